// The plugin's parts without a browser: whom it names to the guard, what it
// makes of good, bad and missing answers, and that it escapes what it shows.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

function roundcube(stack, part, input) {
  return JSON.parse(execFileSync('setpriv', ['--reuid=www-data', '--regid=www-data', '--clear-groups',
    'php', '--', `${stack.dir}/rc`, part, JSON.stringify(input)],
  { input: readFileSync(here('roundcube.php')), encoding: 'utf8' }));
}

// A server that answers each connection as the next function of `turns` says,
// and what the plugin made of that.
async function conversation(turns, seconds = 2, socketPath = '') {
  const requests = [];
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    let answered = false;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      text += bytes;
      if (answered || !text.includes('\r\n\r\n{')) return;
      answered = true;
      requests.push(text);
      turns[Math.min(requests.length, turns.length) - 1](socket);
    });
  });
  await new Promise((resolve) => { server.listen(socketPath || { port: 0, host: '127.0.0.1' }, resolve); });
  const url = socketPath ? `unix:${socketPath}:/sendguard/submissions`
    : `http://127.0.0.1:${server.address().port}/sendguard/submissions`;
  const { stdout } = await promisify(execFile)('php', [here('question.php'), url, String(seconds)]);
  for (const socket of sockets) socket.destroy();
  server.close();
  return { requests, ...JSON.parse(stdout) };
}

const answer = (status, body, headers = '') => (socket) => socket.end(
  `HTTP/1.1 ${status} X\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
const admit = answer(200, '{"verdict": "admit"}');
const hangUp = (socket) => socket.destroy();

export const tests = {
  async 'recipients are named as written, and are those that the mail server gets'({ stack }) {
    const cases = [
      [{ to: 'bob@example.test' }, { to: ['bob@example.test'] }],
      [{ to: 'Bob <bob@example.test>, carol@example.test' }, { to: ['Bob <bob@example.test>', 'carol@example.test'] }],
      [{ to: '"Grün, Jürgen" <j@example.org>' }, { to: ['"Grün, Jürgen" <j@example.org>'] }],
      [{ to: '=?UTF-8?Q?J=C3=BCrgen_Gr=C3=BCn?= <j@example.org>' }, { to: ['Jürgen Grün <j@example.org>'] }],
      [{ to: 'a@x.test', cc: 'b@x.test', bcc: 'C <c@x.test>' }, { to: ['a@x.test'], cc: ['b@x.test'], bcc: ['C <c@x.test>'] }],
      [{ to: 'undisclosed-recipients:;', bcc: 'a@x.test' }, { to: [], bcc: ['a@x.test'] }],
      [{ to: 'a@x.test, a@x.test', cc: 'a@x.test' }, { to: ['a@x.test', 'a@x.test'], cc: ['a@x.test'] }],
      [{ to: 'Back\\slash "Q" <q@x.test>' }, { to: ['"Back\\\\slash \\"Q\\"" <q@x.test>'] }],
      [{ to: 'A\r\n <a@x.test>,\r\n b@x.test' }, { to: ['A <a@x.test>', 'b@x.test'] }],
      // Roundcube's reader of the envelope finds two here, its reader of names one.
      [{ to: 'hidden@evil.test Name <a@x.test>' }, { to: ['"hidden@evil.test Name" <a@x.test>', 'hidden@evil.test'] }],
      [{ to: ['a@x.test', 'b@x.test'] }, { to: ['a@x.test', 'b@x.test'] }],
    ];
    for (const [input, expected] of cases) {
      assert.deepEqual(roundcube(stack, 'recipients', input), { to: [], cc: [], bcc: [], ...expected }, JSON.stringify(input));
    }
  },

  async 'an answer of the guard is an answer'() {
    const result = await conversation([admit]);
    assert.equal(result.admitted, true);
    assert.equal(result.held, false);
    const held = await conversation([answer(202, '{"verdict": "hold"}')]);
    assert.deepEqual([held.admitted, held.held, held.refused], [true, true, false]);
    assert.equal(result.may_be_counted, true);
    assert.match(result.requests[0], /^POST \/sendguard\/submissions HTTP\/1\.0\r\n/);
    for (const [status, body, refused] of [[403, '{"verdict": "refuse"}', true], [422, '{"verdict": "refuse"}', true],
      [429, '{"verdict": "refuse"}', true], [400, '{"detail": "to[3]: no address"}', true], [413, '', true],
      [403, '<html>Forbidden</html>', false], [401, '{"detail": "no mailbox"}', false], [503, '{"verdict": "refuse"}', false]]) {
      const other = await conversation([answer(status, body)]);
      assert.equal(other.refused, refused, `${status} ${body}`);
      assert.equal(other.admitted, false);
      assert.equal(other.requests.length, 1, `${status} is not asked again`);
    }
  },

  async 'the guard can be asked over a unix socket'({ stack }) {
    const result = await conversation([admit], 2, `${stack.dir}/question.sock`);
    assert.equal(result.admitted, true);
    assert.match(result.requests[0], /^POST \/sendguard\/submissions HTTP\/1\.0\r\nHost: localhost\r\n/);
  },

  async 'a connection that breaks before the answer is tried once more, with the same id'() {
    const once = await conversation([hangUp, admit]);
    assert.equal(once.admitted, true);
    assert.equal(once.requests.length, 2);
    assert.equal(once.requests[0], once.requests[1]);
    const behind = await conversation([answer(502, '<html>Bad Gateway</html>'), admit]);
    assert.equal(behind.admitted, true);
    const half = await conversation([(socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"verdict"'), admit]);
    assert.equal(half.admitted, true);
    const twice = await conversation([hangUp, hangUp, admit]);
    assert.equal(twice.admitted, false);
    assert.equal(twice.refused, false);
    assert.equal(twice.may_be_counted, true, 'the guard may have heard it');
    assert.equal(twice.requests.length, 2);
  },

  async 'what is no answer admits nothing'() {
    for (const body of ['', 'ok', '[]', '{}', 'null', '{"verdict": "refuse"}', '{"verdict": ["admit"]}', '{"verdict": "admit"']) {
      const result = await conversation([answer(200, body)]);
      assert.equal(result.admitted, false, body);
      assert.equal(result.refused, false, body);
    }
    const endless = await conversation([(socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const more = () => { while (!socket.destroyed && socket.write('x'.repeat(65536))); };
      socket.on('drain', more);
      more();
    }]);
    assert.equal(endless.admitted, false);
  },

  async 'a guard that says nothing is not waited for beyond the timeout'() {
    const silent = await conversation([() => {}], 0.3);
    assert.equal(silent.admitted, false);
    assert.equal(silent.requests.length, 1, 'a timeout is not asked again');
    assert.ok(silent.seconds < 20, `took ${silent.seconds} s`);
    const slow = await conversation([(socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const drip = setInterval(() => (socket.destroyed ? clearInterval(drip) : socket.write('A: b\r\n')), 20);
    }], 0.3);
    assert.equal(slow.admitted, false);
    assert.ok(slow.seconds < 20, `took ${slow.seconds} s`);
  },

  async 'a wrong address of the guard is said, not guessed'() {
    for (const url of ['', 'localhost', 'ftp://127.0.0.1/x', 'unix:/no/such.sock:/sendguard/submissions', 'http://127.0.0.1:1/x']) {
      const { stdout } = await promisify(execFile)('php', [here('question.php'), url, '1']);
      const result = JSON.parse(stdout);
      assert.equal(result.status, 0, url);
      assert.equal(result.may_be_counted, false, url);
      assert.notEqual(result.error, '', url);
    }
  },

  async 'whatever the guard says is shown as text'({ stack }) {
    const hostile = '<script>hacked=1</script>" onload="hacked=1';
    const result = roundcube(stack, 'refusal', {
      status: 403,
      body: {
        verdict: 'refuse', decision: hostile, message: `${hostile}\n\nSee javascript:hacked=1`, retry_at: hostile,
        status_url: 'javascript:hacked=1', reasons: [{ text: hostile }],
        windows: [{ rule: hostile, used: hostile, limit: hostile, refill: [{ at: hostile, count: hostile }, hostile] }],
        shown: {
          headline: hostile, state: hostile, lines: [hostile, [hostile]], reasons: [hostile, null], questions: hostile,
          windows: [{ rule: hostile, name: hostile, used: hostile, back: [hostile, 1] }, hostile], back: hostile,
          rolling: hostile, quoted: hostile, sentence: hostile,
        },
        messages: [{ at: hostile, recipients: hostile, channel: 'webmail', network: hostile, id: `<${hostile}>.0123456789abcdef` }, hostile],
      },
    });
    for (const html of [result.html, result.page]) {
      assert.doesNotMatch(html, /<script|href="javascript|<[^>]*onload=/);
      assert.match(html, /&lt;script&gt;/);
    }
  },

  async 'the long address in the text becomes a link'({ stack }) {
    const url = 'http://127.0.0.1:8080/sending/status?t=abc&x=1';
    const { html } = roundcube(stack, 'refusal', {
      status: 403,
      body: { verdict: 'refuse', decision: '7K3M-Q2XD-9F4A', message: `Suspended.\n\nSee ${url} (7K3M-Q2XD-9F4A)`,
        retry_at: '2026-11-23T14:05:00Z', status_url: url },
    });
    assert.match(html, /<a href="http:\/\/127\.0\.0\.1:8080\/sending\/status\?t=abc&amp;x=1&amp;tz=[\w%]+&amp;lang=[\w-]+" target="_blank" rel="noopener">/);
    assert.equal(html.match(/t=abc/g).length, 1);
    assert.equal(html.match(/7K3M-Q2XD-9F4A/g).length, 1, 'the decision is named once');
  },

  async 'a refusal by the guard behind the mail server is shown as ours'({ stack }) {
    const host = 'webmail.example.org';
    const link = `https://${host}/sending/status?t=AbC-d_9`;
    const text = `Permanent Failure: suspended. Until 2026-11-23 14:05 UTC. Details: ${link} (reference 7K3M-Q2XD-9F4A)`;
    const at = { end: { label: 'smtperror', vars: { msg: `[554] 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: ${text}` } },
      recipient: { label: 'smtptoerror', vars: { code: 450, to: 'a@x.test', msg: `4.7.1 <a@x.test>: Recipient address rejected: ${text}` } } };
    for (const [error, lead] of [[at.end, /has not accepted/], [at.recipient, /just now/]]) {
      for (const [base, clickable] of [['', true], [`https://${host}/sending`, true], [`https://${host}/sending/`, true],
        ['https://other.example/sending', false], [`https://${host}/send`, false]]) {
        const { html, title } = roundcube(stack, 'server_refusal', { error, base, host });
        assert.equal(title, 'Message not sent');
        assert.match(html, lead);
        assert.match(html, /<div lang="en"><p>Permanent Failure/, 'without what Postfix writes before it');
        assert.match(html, /7K3M-Q2XD-9F4A/);
        assert.match(html, /<time datetime="2026-11-23T14:05:00Z">/);
        assert.equal(/<a href="https:\/\/webmail\.example\.org\/sending\/status\?t=AbC-d_9&amp;tz=/.test(html), clickable, base);
        assert.doesNotMatch(html, /END-OF-MESSAGE|a@x\.test/);
      }
    }
  },

  async 'who is kept out after wrong passwords reads until when, and any other alert as text'({ stack }) {
    const now = Date.parse('2026-11-29T23:30:10Z') / 1000;
    const say = (error, more) => roundcube(stack, 'sign_in', { code: 'ALERT', error, zone: 'Europe/Berlin', now, ...more }).html;
    const closed = (clock) => `AUTHENTICATE PLAIN: Too many wrong passwords; try again after ${clock} UTC`;
    for (const [clock, zone, shown, at] of [['23:59', 'Europe/Berlin', '00:59', '2026-11-29T23:59:00Z'],
      ['00:12', 'Europe/Berlin', '01:12', '2026-11-30T00:12:00Z'], ['00:12', 'America/St_Johns', '20:42', '2026-11-30T00:12:00Z'],
      ['00:12', '_default_', '00:12 UTC', '2026-11-30T00:12:00Z'], ['00:12', '<b>', '00:12 UTC', '2026-11-30T00:12:00Z']]) {
      assert.match(say(closed(clock), { zone }), new RegExp(`Until <time datetime="${at}">${shown}</time> you cannot sign in`), zone);
    }
    assert.match(say('LOGIN: Too many wrong passwords; try again after 00:12 UTC'), /Until <time/, 'another command of IMAP');
    const hostile = '<script>hacked=1</script>" onload="hacked=1';
    assert.equal(say(`AUTHENTICATE PLAIN: ${hostile}`), '&lt;script&gt;hacked=1&lt;/script&gt;&quot; onload=&quot;hacked=1');
    assert.equal(say(closed('25:00')), 'Too many wrong passwords; try again after 25:00 UTC');
    const locked = (more, contact) => say(`LOGIN: This mailbox is locked, since others may know its password; ${more}ask ${contact}`);
    assert.match(locked('to set a new one, ', 'your support'), />This mailbox is locked[^]*ask our support\.</);
    assert.match(locked('', 'help@example.test'), />This mailbox is closed[^]*Ask help@example\.test\.</);
    assert.match(say('LOGIN: This mailbox is locked, since its password is in a list of stolen passwords; to set a new one, ask help@example.test'),
      />This mailbox is locked, since its password is in a list[^]*ask help@example\.test\.</);
    assert.match(say('LOGIN: The password of this mailbox is older than 365 days; to set a new one, ask your support'),
      />The password of this mailbox is older than 365 days[^]*ask our support\.</);
    assert.match(locked('', hostile), /&lt;script&gt;[^]*&quot; onload/);
    assert.ok(say('x'.repeat(100000)).length < 1000);
    for (const [error, code] of [[closed('00:12'), null], [closed('00:12'), 'AUTHENTICATIONFAILED'], ['', 'ALERT'], [null, 'ALERT'], [['x'], 'ALERT']]) {
      assert.equal(say(error, { code }), '', `${code} ${error}`);
    }
  },

  async 'the mail server hears the address of the browser, beside what other plugins tell it'({ stack }) {
    const say = (address, ident) => roundcube(stack, 'sign_in', { code: null, error: null, zone: '', now: 0, address, ident }).ident;
    assert.deepEqual(say('192.0.2.7'), { 'x-originating-ip': '192.0.2.7' });
    assert.deepEqual(say('2001:db8::7', { name: 'x', 'x-originating-ip': '192.0.2.1' }), { name: 'x', 'x-originating-ip': '2001:db8::7' });
    for (const address of ['', 'unknown', '192.0.2.7, 192.0.2.8', '192.0.2.7\r\nA1 LOGOUT']) {
      assert.deepEqual(say(address), [], address);
      assert.deepEqual(say(address, { name: 'x' }), { name: 'x' });
    }
  },

  async 'other errors of the mail server stay as they are, and nothing of them becomes HTML'({ stack }) {
    const host = 'webmail.example.org';
    const hostile = '<script>hacked=1</script>" onload="hacked=1';
    const say = (msg) => roundcube(stack, 'server_refusal', { error: { label: 'smtperror', vars: { msg } }, host });
    for (const msg of ['[451] 4.3.5 <END-OF-MESSAGE>: End-of-data rejected: Server configuration problem', '', hostile,
      '[554] 5.7.1 blocked, see https://evil.example/sending/status?t=abc', '[554] https://webmail.example.org.evil.example/status?t=a',
      '[554] see https://webmail.example.org@evil.example/status?t=a', '[554] see https://webmail.example.org/other?t=a',
      '[554] see https://evil.example\\@webmail.example.org/status?t=a', '[554] see https://me@webmail.example.org/status?t=a',
      '[550] rejected by 12345-ABCD-ABCD-ABCD', '[550] case ABCD-1234', ['7K3M-Q2XD-9F4A'], null]) {
      assert.equal(say(msg), null, JSON.stringify(msg));
    }
    for (const error of [null, 'text', [], { label: 'smtpconnerror' }, { vars: 'x' }]) {
      assert.equal(roundcube(stack, 'server_refusal', { error, host }), null, JSON.stringify(error));
    }
    const { html } = say(`[554] 5.7.1 <${hostile}>: End-of-data rejected: ${hostile} https://evil.example/status?t=a `
      + `javascript:hacked=1 https://${host}/status?t=a"onclick="hacked=1 (7K3M-Q2XD-9F4A)`);
    assert.doesNotMatch(html, /<script|href="javascript|evil\.example\/status\?t=a"|<[^>]*on(load|click)=/);
    assert.match(html, /&lt;script&gt;/);
    assert.match(html, /<a href="https:\/\/webmail\.example\.org\/status\?t=a&amp;tz=/);
  },
};
