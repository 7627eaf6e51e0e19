// A mailbox that sent too much: what it reads when it sends, and in Settings.
// Runs with two messages a day; what carol sent before is forgotten, dave does not exist.
import assert from 'node:assert/strict';
import { until } from './stack.mjs';

// Until when carol's sending is paused, in words and in her zone.
async function end(stack) {
  const { suspension } = await stack.ask('carol@example.test');
  const minute = new Date(Math.ceil(new Date(suspension.until) / 60000) * 60000);
  const shown = (parts) => minute.toLocaleString('en-GB', { timeZone: 'Europe/Berlin', ...parts });
  return `${shown({ weekday: 'long' })} ${shown({ hour: '2-digit', minute: '2-digit' })}`;
}

export const settings = ['limits.webmail.messages_per_day=2'];

export const tests = {
  async 'the third of two messages suspends: until when, why, and where to look'({ stack, carol }) {
    stack.sendguard('reset', 'carol@example.test', '--note', 'other suites send from here');
    await carol.send({ to: 'bob@example.test', subject: 'first of two' });
    await carol.send({ to: 'bob@example.test', subject: 'second of two' });
    await carol.compose({ to: 'bob@example.test', subject: 'one too many', text: 'Still here' });
    await carol.pressSend();
    const { box, text } = await carol.refusal();
    assert.match(text, new RegExp(`Sending is paused until ${await end(stack)}`), 'in the zone of the user');
    assert.match(text, /suspended/);
    assert.match(text, /[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/);
    assert.doesNotMatch(text, /\/sending\/status\?t=/, 'the long address is a link, not a text');
    await until('the draft in its folder', () => stack.has('carol@example.test', 'one too many', 'Drafts'));

    const link = box.locator('a[href*="/sending/status?t="]');
    assert.equal(await link.count(), 1);
    assert.equal(await link.getAttribute('target'), '_blank');
    assert.equal(await link.getAttribute('rel'), 'noopener');
    await carol.dismiss(box);
    assert.equal(await carol.page.inputValue('#composebody'), 'Still here');
    assert.equal(stack.has('bob@example.test', 'one too many'), false);
  },

  async 'the link in Settings opens the status page, in the zone of the user'({ carol }) {
    await carol.go('?_task=settings&_action=plugin.sendguard');
    const [opened] = await Promise.all([carol.context.waitForEvent('page'),
      carol.page.locator('.sendguard-status a.btn').click()]);
    await opened.waitForLoadState();
    assert.match(await opened.locator('h1').innerText(), /^Sending is paused until/);
    assert.equal(new URL(opened.url()).searchParams.get('tz'), 'Europe/Berlin');
    await opened.close();
  },

  async 'the status link answers kindly while its program is not running'({ stack }) {
    stack.stop('web');
    try {
      const answer = await fetch(`${stack.url}sending/status?t=x`);
      assert.equal(answer.status, 503);
      assert.match(answer.headers.get('content-type'), /^text\/plain/);
      assert.match(await answer.text(), /Settings > Sending status/);
    } finally {
      stack.start('web');
    }
  },

  async 'every way out stays closed while it lasts, and higher limits do not open it'({ stack, carol, bob }) {
    stack.settings();
    await carol.compose({ to: 'bob@example.test', subject: 'again' });
    await carol.pressSend();
    const { box, text } = await carol.refusal();
    assert.match(text, /Sending is paused until/);
    await carol.dismiss(box);

    await bob.send({ to: 'carol@example.test', subject: 'receiving goes on', receipt: true });
    await until("the message in carol's mailbox", () => stack.has('carol@example.test', 'receiving goes on'));
    await carol.read('receiving goes on');
    await carol.page.locator('.ui-dialog button.mainaction.send').click();
    const receipt = await carol.refusal();
    assert.match(receipt.text, /Read receipt not sent/);
    await carol.dismiss(receipt.box);
  },

  async 'a receipt that is sent by itself is no attempt of the user'({ stack, carol, bob }) {
    const attempts = async () => (await stack.ask('carol@example.test')).suspension.attempts;
    const before = await attempts();
    await carol.preference('mdn_requests', 1);
    await bob.send({ to: 'carol@example.test', subject: 'read by itself', receipt: true });
    await until("the message in carol's mailbox", () => stack.has('carol@example.test', 'read by itself'));
    await carol.read('read by itself');
    await carol.toast('Read receipt not sent');
    assert.equal(await carol.page.locator('.sendguard-refusal').count(), 0, 'no dialog for what nobody asked for');
    assert.equal(await attempts(), before);
  },

  async 'Settings say that sending is paused, and until when'({ stack, carol }) {
    await carol.go('?_task=settings');
    await carol.page.locator('#settings-menu li.sendguard a').click();
    await carol.page.waitForSelector('.sendguard-status');
    const text = await carol.page.locator('.sendguard-status').innerText();
    assert.match(text, new RegExp(`Sending is paused until ${await end(stack)}`));
    assert.match(text, /suspended/);
    assert.equal(await carol.page.locator('.sendguard-state').getAttribute('role'), 'status');
  },

  async 'a second suspension stands beside the first, and each is lifted by itself'({ stack, carol }) {
    const mailbox = 'carol@example.test', because = ['--note', 'for this test'];
    const told = async () => {
      await carol.go('?_task=settings&_action=plugin.sendguard');
      return carol.page.locator('.sendguard-status').innerText();
    };
    const beside = new RegExp(`Besides this, sending is paused until ${await end(stack)} \\(too much mail\\)\\.`);
    const { until: ending } = (await stack.ask(mailbox)).suspension;
    stack.sendguard('suspend', mailbox, '--cause', 'terms', ...because);
    await carol.compose({ to: 'bob@example.test', subject: 'twice' });
    await carol.pressSend();
    const { box, text } = await carol.refusal();
    assert.match(text, /Sending is stopped until our support has talked to you/);
    assert.match(text, beside);
    await carol.dismiss(box);

    assert.match(await told(), beside);
    stack.sendguard('lift', mailbox, '--cause', 'terms', ...because);
    assert.equal((await stack.ask(mailbox)).suspension.until, ending, 'the other one keeps its own end');
    const paused = await told();
    assert.match(paused, /Sending is paused until/);
    assert.doesNotMatch(paused, /Besides this/);

    stack.sendguard('suspend', mailbox, '--cause', 'terms', ...because);
    stack.sendguard('lift', mailbox, '--cause', 'volume', ...because);
    const stopped = await told();
    assert.match(stopped, /Sending is stopped/);
    assert.doesNotMatch(stopped, /Besides this/);
    stack.sendguard('lift', mailbox, ...because);
    assert.equal((await stack.ask(mailbox)).suspension, null);
  },
};
