// The compose window: what is told while a message is being written, before it is sent.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { tooWide, violations } from './desk.mjs';
import { until } from './stack.mjs';

export const afresh = true;
export const settings = ['limits.webmail.messages_per_day=1000'];

const people = (count, domain) => Array.from({ length: count }, (_, i) => `p${i}@${domain(i)}`).join(', ');
const anywhere = (i) => `example${i % 4}.org`;

const hint = (user, field = 'to') => user.page.locator(`#sendguard-hint-${field}`);
const told = (user, text, field) => user.page.waitForFunction(([id, wanted]) => document.getElementById(id)?.textContent.includes(wanted),
  [`sendguard-hint-${field ?? 'to'}`, text]);
const quiet = (user, field) => user.page.waitForFunction((id) => document.getElementById(id)?.textContent === '', `sendguard-hint-${field ?? 'to'}`);

// How often the browser asked, and when it has an answer to its last question.
function watch(user) {
  const seen = { asked: 0, answered: 0, most: 0 };
  const mine = (request) => request.url().includes('plugin.sendguard_hints');
  const begun = (request) => { if (mine(request)) { seen.asked += 1; seen.most = Math.max(seen.most, seen.asked - seen.answered); } };
  const ended = (request) => { if (mine(request)) seen.answered += 1; };
  user.page.on('request', begun);
  user.page.on('requestfinished', ended);
  user.page.on('requestfailed', ended);
  seen.stop = () => { user.page.off('request', begun); user.page.off('requestfinished', ended); user.page.off('requestfailed', ended); };
  return seen;
}

async function picture(user, name) {
  if (process.env.PICTURES) await user.page.screenshot({ path: `${process.env.PICTURES}/compose-${name}.png` });
}

// Of what is ours; the skin's own faults are not.
async function faults(user) {
  const found = [];
  for (const field of ['from', 'to', 'cc']) found.push(...await violations(user.page, `#sendguard-hint-${field}`));
  return found;
}

// Also beside a field that is taller than the window.
const inWindow = (user, field) => hint(user, field).evaluate((place) => {
  const box = place.getBoundingClientRect();
  const seen = document.elementFromPoint(box.left + 2, box.top + box.height / 2);
  return box.left >= 0 && box.right <= window.innerWidth && place.contains(seen);
});

const bodyAt = (user) => user.page.evaluate(() => document.getElementById('composebody').getBoundingClientRect().top);

export const tests = {
  async 'too many recipients are said at the field while they are typed, and no more once they are gone'({ alice }) {
    const seen = watch(alice);
    await alice.compose({ subject: 'to all' });
    await until('the first answer', () => seen.answered === 1);
    assert.equal(await hint(alice).innerText(), '');
    const input = alice.page.locator('#compose_to .recipient-input input');
    await input.focus();
    await alice.page.evaluate((text) => { $('#_to').val(text).trigger('change'); }, people(100, anywhere));
    await until('an answer about 100', () => seen.answered === 2);
    assert.equal(await hint(alice).innerText(), '', '100 are not too many');
    await alice.page.keyboard.type('one@more.example,');
    await told(alice, '101 of 100 in To');
    assert.equal(await input.getAttribute('aria-invalid'), 'true');
    assert.equal(await input.getAttribute('aria-describedby'), 'sendguard-hint-to');
    assert.equal(await alice.page.locator('#compose-headers [aria-live]').innerText(), '101 of 100 in To');
    assert.ok(await inWindow(alice), 'it is seen');
    assert.deepEqual(await faults(alice), []);
    await picture(alice, '101');
    await alice.page.keyboard.press('Backspace');
    await quiet(alice);
    assert.equal(await input.getAttribute('aria-invalid'), null);
    assert.equal(seen.most, 1, 'one question at a time');
    seen.stop();
  },

  async 'each field and domain says its own, in German, and the phone sees it'({ alice }) {
    await alice.preference('language', 'de_DE');
    await alice.page.setViewportSize({ width: 390, height: 844 });
    try {
      await alice.compose({ to: people(57, () => 'choir.example'), cc: people(101, (i) => `x${i}.example`), subject: 'an alle' });
      await told(alice, '57 von 50 bei choir.example');
      await told(alice, '101 von 100 in „Cc“', 'cc');
      assert.ok(await tooWide(alice.page) <= 0, 'not wider than the phone');
      assert.ok(await inWindow(alice), 'it is seen');
      assert.deepEqual(await faults(alice), []);
      await picture(alice, '390-de');
    } finally {
      await alice.page.setViewportSize({ width: 1280, height: 800 });
      await alice.preference('language', 'en_US');
    }
  },

  async 'blocked recipients are marked one by one, and read out once'({ stack, alice }) {
    for (const address of ['tired@example.org', 'gone@example.org']) {
      stack.sendguard('block', address, '--reason', 'They asked us to stop.', '--note', 'for this test');
    }
    try {
      await until('the block in force', async () => (await stack.ask('alice@example.test', 'gone@example.org')).status === 422);
      await alice.compose({ to: 'Tired One <Tired@example.org>, bob@example.test, gone@example.org', subject: 'x' });
      const marked = alice.page.locator('#compose_to li.sendguard-recipient-wrong');
      await until('two marks', async () => await marked.count() === 2);
      assert.match(await marked.first().innerText(), /Tired One/);
      await told(alice, 'Mail to gone@example.org (To) is blocked: They asked us to stop.');
      const voice = alice.page.locator('#compose-headers [aria-live]');
      assert.match(await voice.innerText(), /tired@example\.org.*gone@example\.org/);
      await alice.page.evaluate(() => {
        window.spoken = 0;
        new MutationObserver(() => { window.spoken += 1; }).observe(document.querySelector('#compose-headers [aria-live]'),
          { childList: true, characterData: true, subtree: true });
      });
      await alice.page.evaluate(() => document.documentElement.classList.add('dark-mode'));
      assert.deepEqual(await faults(alice), [], 'on a dark page');
      await picture(alice, 'blocked-dark');
      await marked.last().locator('a.button').click();
      await until('one mark', async () => await marked.count() === 1 && !(await hint(alice).innerText()).includes('gone@'));
      assert.equal(await alice.page.evaluate(() => window.spoken), 0, 'the other one is not read out again');
    } finally {
      for (const address of ['tired@example.org', 'gone@example.org']) stack.sendguard('unblock', address, '--note', 'for this test');
    }
  },

  async 'an address that is none is marked, and the others are told of all the same'({ alice }) {
    await alice.compose({ to: `Typo <typo@choir..example>, ${people(51, () => 'choir.example')}`, subject: 'x' });
    await told(alice, '51 of 50 at choir.example');
    await told(alice, 'typo@choir..example>" is no address');
    const marked = alice.page.locator('#compose_to li.sendguard-recipient-wrong');
    assert.equal(await marked.count(), 1);
    assert.match(await marked.innerText(), /Typo/);
    assert.deepEqual(await faults(alice), []);
    await picture(alice, 'no-address');
    await marked.locator('a.button').click();
    await until('no mark', async () => await marked.count() === 0 && !(await hint(alice).innerText()).includes('no address'));
    await told(alice, '51 of 50 at choir.example');
  },

  async 'what comes while the text is being written moves nothing'({ stack, alice }) {
    const seen = watch(alice);
    await alice.compose({ to: 'bob@example.test', subject: 'x' });
    await until('an answer', () => seen.answered > 0 && seen.answered === seen.asked);
    await alice.page.focus('#composebody');
    const before = await bodyAt(alice);
    stack.sendguard('suspend', 'alice@example.test', '--for', '8h', '--cause', 'staff', '--note', 'for this test');
    try {
      await until('the suspension in force', async () => (await stack.ask('alice@example.test')).status === 403);
      await alice.page.evaluate(() => { $('#_to').val('bob@example.test, carol@example.test').trigger('change'); });
      await alice.page.focus('#composebody');
      await told(alice, 'Sending is paused until');
      assert.match(await hint(alice).innerText(), /Drafts work\./);
      assert.equal(await bodyAt(alice), before);
      await alice.compose({ subject: 'opened while paused' });
      await told(alice, 'Sending is paused until');
      assert.match(await alice.page.locator('#compose-headers [aria-live]').innerText(), /Sending is paused until .* Drafts work\./);
      await picture(alice, 'paused');
    } finally {
      stack.sendguard('lift', 'alice@example.test', '--note', 'for this test');
      seen.stop();
    }
  },

  async 'from four fifths of a limit on, what is left is said'({ stack, carol }) {
    const limit = async (value) => {
      stack.sendguard('limit', 'carol@example.test', `messages_per_day=${value}`, '--note', 'for this test');
      await until('the limit in force', async () => (await stack.ask('carol@example.test')).windows
        .some((one) => one.rule === 'messages_per_day' && one.limit === value));
    };
    while (await stack.used('carol@example.test') < 4) await carol.send({ to: 'bob@example.test', subject: 'before' });
    const used = await stack.used('carol@example.test');
    try {
      await limit(used * 2);
      const seen = watch(carol);
      await carol.compose({ to: 'bob@example.test', subject: 'x' });
      await until('an answer', () => seen.answered > 0 && seen.answered === seen.asked);
      assert.equal(await hint(carol).innerText(), '');
      seen.stop();
      await limit(used + 1);
      await carol.compose({ to: 'bob@example.test', subject: 'x' });
      await told(carol, '1 message left today');
      await picture(carol, 'one-left');
    } finally {
      stack.sendguard('limit', 'carol@example.test', 'messages_per_day=default', '--note', 'for this test');
    }
  },

  async 'the list of senders says which may not be used, and why'({ stack, alice }) {
    const sender = alice.page.locator('#_from');
    const add = (id, email) => execFileSync('sqlite3', [`${stack.dir}/rc/db/roundcube.db`, '.timeout 5000',
      `INSERT INTO identities (identity_id, user_id, name, email) SELECT ${id}, user_id, 'Alice', '${email}' FROM users WHERE username = 'alice@example.test'`]);
    stack.settings('identity.mode=enforce');
    try {
      add(901, 'boss@bank.test');
      add(902, 'alice+shop@example.test');
      await alice.compose({ to: 'bob@example.test', subject: 'x' });
      await until('the mark', async () => /Alice <boss@bank\.test> \(may not be used\)/.test(await sender.innerText()));
      assert.equal((await sender.innerText()).match(/may not be used/g).length, 1);
      await sender.focus();
      await alice.page.keyboard.press('ArrowDown'); // opens the skin's own list
      await alice.page.locator('.select-menu a.active:focus').waitFor();
      for (let i = 0; i < 2; i += 1) await alice.page.keyboard.press('ArrowDown');
      assert.match(await alice.page.locator('.select-menu a.active:focus').innerText(), /boss@bank\.test> \(may not be used\)/);
      await alice.page.keyboard.press('Enter');
      assert.equal(await sender.inputValue(), '901');
      await told(alice, 'You are signed in as alice@example.test and may not write as boss@bank.test', 'from');
      assert.equal(await sender.getAttribute('aria-describedby'), 'sendguard-hint-from');
      assert.deepEqual(await faults(alice), []);
      await picture(alice, 'from');
      await sender.selectOption('902');
      await quiet(alice, 'from');
    } finally {
      execFileSync('sqlite3', [`${stack.dir}/rc/db/roundcube.db`, '.timeout 5000', 'DELETE FROM identities WHERE identity_id > 900']);
      stack.settings(...settings);
    }
  },

  async 'without the guard nothing is said, and nothing is in the way'({ stack, alice }) {
    const seen = watch(alice);
    stack.stop('guard');
    try {
      await alice.compose({ to: people(101, anywhere), subject: 'guard away' });
      await until('an answer', () => seen.answered > 0 && seen.answered === seen.asked);
      assert.equal(await hint(alice).innerText(), '');
      assert.equal(await alice.page.locator('#messagestack > div').count(), 0);
      assert.equal(await alice.page.evaluate(() => Boolean(rcmail.busy)), false);
    } finally {
      stack.start('guard');
      seen.stop();
    }
  },
};
