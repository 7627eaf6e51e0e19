// Messages that wait in the webmail to be sent when they may go: parked, judged again at their moment,
// sent once, cancelled, dropped; killed at every step.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tooWide, violations } from './desk.mjs';
import { until } from './stack.mjs';

const mailbox = 'carol@example.test';
const because = ['--note', 'for this test'];
const database = (stack) => `${stack.dir}/guard/sendguard.db`;

const sql = (stack, text) => execFileSync('sqlite3', [`-cmd`, '.timeout 5000', database(stack), text], { encoding: 'utf8' }).trim();

async function shown({ page }, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/parked-${name}.png` });
}

// Nothing waits, whatever the test before has left.
export function pause(stack) {
  sql(stack, `DELETE FROM value WHERE key = '${mailbox}' AND CAST(bytes AS TEXT) LIKE '{"parked":%'`);
  stack.sendguard('suspend', mailbox, '--for', '1h', '--cause', 'volume', ...because);
}
export const lift = (stack, cause = 'volume') => stack.sendguard('lift', mailbox, '--cause', cause, ...because);

// What the guard keeps of the mailbox.
function kept(stack) {
  const text = sql(stack, `SELECT bytes FROM value WHERE key = '${mailbox}' AND CAST(bytes AS TEXT) LIKE '{"parked":%'`);
  return text ? JSON.parse(text).parked : [];
}

// Their moments are a minute ago, and claims are `claimed` minutes old: nobody waits for an hour.
export function hurry(stack, claimed = 0) {
  const now = Date.now();
  const list = kept(stack).map((one) => ({ ...one, at_ms: now - 60000,
    ...(one.claimed_ms ? { claimed_ms: now - claimed * 60000 } : {}) }));
  sql(stack, `UPDATE value SET bytes = CAST('${JSON.stringify({ parked: list })}' AS BLOB), version = version + 1
    WHERE key = '${mailbox}' AND CAST(bytes AS TEXT) LIKE '{"parked":%'`);
}

// The button of the refusal.
export async function park(user, fields, name = 'Send it when it may go') {
  await user.compose(fields);
  await user.pressSend();
  const { box, text } = await user.refusal();
  await until('the copy in the drafts', () => user.page.evaluate(() => $('[name="_draft_saveid"]').val()));
  await user.idle();
  await box.getByRole('button', { name }).click();
  await user.sent();
  return text;
}

const drafts = (user) => user.go('?_task=mail&_mbox=Drafts');
const box = (user) => user.page.locator('#sendguard-parked');
// The visit of an open session.
export const visit = (user) => user.page.evaluate(() => { rcmail.http_post('plugin.sendguard_parked', {}); });
// A visit whose answer the network keeps until the function that is returned is called.
async function lateAnswer(user) {
  const urls = '**/*plugin.sendguard_parked*';
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  const fetched = new Promise((resolve) => {
    user.page.route(urls, async (route) => {
      const response = await route.fetch();
      resolve();
      await released;
      await route.fulfill({ response });
    }, { times: 1 });
  });
  await visit(user);
  await fetched;
  return async () => {
    const shown = user.page.waitForResponse(urls);
    release();
    await (await shown).finished();
    await user.idle();
  };
}
const waiting = (stack, subject) => stack.messages(mailbox, 'Drafts').filter((text) => text.includes(`Subject: ${subject}\n`));
const arrived = (stack, subject) => stack.messages('bob@example.test').filter((text) => text.includes(`Subject: ${subject}\n`));

// The draft in a compose window.
async function open(user, subject, note = 'This message waits to be sent by itself.') {
  await drafts(user);
  const uid = await (await user.page.waitForFunction((wanted) => Object.values(rcmail.message_list?.rows ?? {})
    .find((row) => row.obj.innerText.includes(wanted))?.uid, subject)).jsonValue();
  await user.go(`?_task=mail&_mbox=Drafts&_action=compose&_draft_uid=${uid}`);
  await user.page.getByText(note).waitFor();
  return uid;
}

// The request dies when it comes to that hook, as on a machine that is switched off (troublemaker).
const killAt = (stack, hook) => writeFileSync(`${stack.dir}/rc/temp/kill-at`, hook);
const killed = (stack) => until('the kill', () => !existsSync(`${stack.dir}/rc/temp/kill-at`));

// The mail server cannot open that folder meanwhile.
async function without(stack, folder, action) {
  const path = `${stack.dir}/mail/${mailbox}/.${folder}`;
  const aside = `${stack.dir}/mail/aside`;
  renameSync(path, aside);
  writeFileSync(path, '');
  try {
    await action();
  } finally {
    unlinkSync(path);
    renameSync(aside, path);
  }
}

export const afresh = true;
export const settings = ['parked.per_mailbox=3'];

export const tests = {
  async 'killed at any step it is never sent twice, and its user reads that it may not have gone'({ stack, carol }) {
    stack.addPlugin('troublemaker');
    // claimed; connecting; it has left; it is in Sent
    for (const [hook, gone] of [['message_before_send', 0], ['smtp_connect', 0], ['message_sent', 1], ['message_saved', 1]]) {
      const subject = `killed at ${hook}`;
      pause(stack);
      await park(carol, { to: 'bob@example.test', subject });
      lift(stack);
      hurry(stack);
      killAt(stack, hook);
      await visit(carol);
      await killed(stack);
      await until('what has left', () => arrived(stack, subject).length === gone);
      await drafts(carol);
      await box(carol).getByText('Is being sent at this moment.').waitFor();
      hurry(stack, 6);
      await visit(carol);
      await box(carol).getByText('It may not have been sent').waitFor();
      if (hook === 'message_sent') await shown(carol, 'unknown');
      assert.equal(waiting(stack, subject).length, 1, 'the draft is still there');
      await box(carol).getByRole('button', { name: `Take it off this list: ${subject}` }).click();
      await until('nothing is kept', () => kept(stack).length === 0);
      assert.equal(arrived(stack, subject).length, gone, hook);
    }
  },

  async 'killed while it is parked it is a draft that nobody sends'({ stack, carol }) {
    pause(stack);
    await carol.compose({ to: 'bob@example.test', subject: 'half parked' });
    await carol.pressSend();
    const { box: dialog } = await carol.refusal();
    await until('the copy', () => carol.page.evaluate(() => $('[name="_draft_saveid"]').val()));
    await carol.idle();
    killAt(stack, 'message_saved');
    await dialog.getByRole('button', { name: 'Send it when it may go' }).click();
    await killed(stack);
    lift(stack);
    await drafts(carol);
    await visit(carol);
    assert.ok(waiting(stack, 'half parked').length >= 1);
    assert.deepEqual(kept(stack), []);
    assert.equal(arrived(stack, 'half parked').length, 0);
  },

  async 'while the guard does not say that it is claimed it is not sent, and not counted'({ stack, carol }) {
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'no claim' });
    lift(stack);
    hurry(stack);
    const before = await stack.used(mailbox);
    stack.stop('web');
    try {
      await visit(carol);
      await carol.idle();
    } finally {
      stack.start('web');
    }
    assert.equal(arrived(stack, 'no claim').length, 0);
    assert.equal(await stack.used(mailbox), before);
    await visit(carol);
    await until('the message', () => arrived(stack, 'no claim').length === 1);
    await until('the count', async () => await stack.used(mailbox) === before + 1);
  },

  async 'a refused message waits among the drafts, and is sent once when it may go'({ stack, carol }) {
    pause(stack);
    const text = await park(carol, { to: 'bob@example.test', cc: 'someone@example.org', bcc: 'alice@example.test', subject: 'later', text: 'Good things' });
    assert.match(text, /the message waits in your drafts/);
    assert.match(text, /paused until (.+) \(in[\s\S]+by itself after \1, if/, 'one moment, said in one way');
    await until('one marked draft', () => waiting(stack, 'later').length === 1);
    assert.match(waiting(stack, 'later')[0], /X-Sendguard-Parked: [0-9a-f]{32}/);
    assert.equal(kept(stack)[0].recipients, 3);
    await drafts(carol);
    await box(carol).getByText('Is sent after').waitFor();
    await shown(carol, 'drafts');
    assert.deepEqual(await violations(carol.page, '#sendguard-parked'), []);

    const before = await stack.used(mailbox);
    lift(stack);
    hurry(stack);
    await visit(carol);
    await carol.toast('“later”, which waited in your drafts, was sent.');
    await until("the message in bob's mailbox", () => arrived(stack, 'later').length === 1);
    await box(carol).waitFor({ state: 'detached' });
    assert.equal(waiting(stack, 'later').length, 0);
    assert.equal(await stack.used(mailbox), before + 1);
    assert.equal(await stack.used(mailbox, 'off_domain_per_day'), 1);
    const [sent] = stack.messages(mailbox, 'Sent').filter((one) => one.includes('Subject: later\n'));
    assert.match(sent, /^Bcc: alice@example.test/m);
    for (const one of [sent, ...arrived(stack, 'later')]) assert.doesNotMatch(one, /X-Sendguard-Parked|X-Draft-Info/);
    assert.doesNotMatch(arrived(stack, 'later')[0], /X-Sendguard-Sent/);
    assert.doesNotMatch(arrived(stack, 'later')[0], /^Bcc:/m);
    assert.deepEqual(kept(stack), []);
    await carol.go('?_task=settings&_action=plugin.sendguard');
    await carol.page.locator('.sendguard-messages a[href*="parked."]').first().click();
    await carol.page.locator('h2.subject', { hasText: 'later' }).waitFor();
  },

  async 'what the mail server cannot read is not taken as deleted, and what it cannot save stays'({ stack, carol }) {
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'no folder' });
    lift(stack);
    hurry(stack);
    await carol.go('?_task=settings'); // a page that sends nothing
    await without(stack, 'Drafts', async () => {
      const answer = await carol.page.evaluate(() => $.post(rcmail.url('mail/plugin.sendguard_parked'),
        { _remote: 1, _token: rcmail.env.request_token }));
      assert.match(JSON.stringify(answer), /sendguard-unpark/);
    });
    assert.equal(kept(stack).length, 1);
    assert.equal(arrived(stack, 'no folder').length, 0);
    await without(stack, 'Sent', async () => {
      await drafts(carol);
      await carol.toast('An error occurred while saving sent message.');
      await until('the message', () => arrived(stack, 'no folder').length === 1);
    });
    assert.equal(waiting(stack, 'no folder').length, 1, 'the only copy stays');
    assert.deepEqual(kept(stack), []);

    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'new folder' });
    lift(stack);
    hurry(stack);
    rmSync(`${stack.dir}/mail/${mailbox}/.Sent`, { recursive: true });
    await visit(carol);
    await until('it is in a folder that was made', () => stack.messages(mailbox, 'Sent').some((text) => text.includes('Subject: new folder\n')));
    await until('it is no draft any more', () => waiting(stack, 'new folder').length === 0);
  },

  async 'at a sign-in what is due goes, and what is not yet due stays'({ stack, carol }) {
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'not yet' });
    lift(stack);
    await carol.go('?_task=mail');
    await visit(carol);
    assert.equal(arrived(stack, 'not yet').length, 0);
    hurry(stack);
    await carol.context.clearCookies();
    await carol.signIn();
    await until('the message', () => arrived(stack, 'not yet').length === 1);
    await until('its end', () => kept(stack).length === 0);
  },

  async 'refused again its user reads why, and it goes on waiting'({ stack, carol }) {
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'again' });
    hurry(stack);
    await visit(carol); // on this page: another one would lose what an earlier visit says here
    await carol.toast('was refused once more and goes on waiting. Sending is paused until');
    assert.equal(kept(stack)[0].tries, 1);
    assert.ok(kept(stack)[0].at_ms > Date.now());
    for (let i = 0; i < 2; i += 1) {
      hurry(stack);
      await visit(carol);
      await until('the refusal', () => kept(stack)[0].tries === i + 2);
    }
    await box(carol).getByText('It was refused again, and is not sent by itself any more.').waitFor();
    lift(stack);
    hurry(stack);
    await visit(carol);
    const off = box(carol).getByRole('button', { name: 'Take it off this list: again' });
    await off.waitFor();
    const late = await lateAnswer(carol);
    await off.click();
    await box(carol).waitFor({ state: 'detached' });
    await until('nothing is kept', () => kept(stack).length === 0);
    await late();
    assert.equal(await box(carol).count(), 0, 'the answer to an earlier visit does not show it again');
    assert.equal(waiting(stack, 'again').length, 1, 'the draft stays');
    assert.equal(arrived(stack, 'again').length, 0);
  },

  async 'it is cancelled among the drafts and on the status page, by keyboard, on a phone, in German'({ stack, carol }) {
    pause(stack);
    await carol.preference('language', 'de_DE');
    await carol.page.setViewportSize({ width: 390, height: 844 });
    try {
      for (const subject of ['eins', 'zwei']) {
        await carol.compose({ to: 'bob@example.test', subject });
        await carol.page.evaluate(() => { rcmail.command('send', '', null, new Event('click')); });
        const { box: dialog } = await carol.refusal();
        await until('the copy in the drafts', () => carol.page.evaluate(() => $('[name="_draft_saveid"]').val()));
        await carol.idle();
        await carol.page.keyboard.press('Tab');
        assert.equal(await carol.page.evaluate(() => document.activeElement.innerText), 'Senden, sobald es geht');
        await shown(carol, `refusal-${subject}-390`);
        assert.deepEqual(await violations(carol.page, '.ui-dialog'), []);
        assert.ok(await tooWide(carol.page) <= 0);
        await carol.page.keyboard.press('Enter');
        await dialog.waitFor({ state: 'detached' });
        await carol.sent();
      }
      await drafts(carol);
      const button = box(carol).getByRole('button', { name: 'Nicht senden: eins' });
      await button.waitFor();
      await shown(carol, 'drafts-390');
      assert.ok(await tooWide(carol.page) <= 0);
      assert.deepEqual(await violations(carol.page, '#sendguard-parked'), []);
      await button.focus();
      await carol.page.keyboard.press('Enter');
      await button.waitFor({ state: 'detached' });
      await carol.page.waitForFunction(() => document.activeElement.id === 'sendguard-parked'); // the focus stays near
      assert.equal(kept(stack).length, 1);

      const { status_url: url } = await stack.ask(mailbox);
      await carol.page.goto(url);
      await carol.page.getByText('Messages that wait to be sent').waitFor();
      await shown(carol, 'status-390');
      assert.deepEqual(await violations(carol.page), []);
      assert.ok(await tooWide(carol.page) <= 0);
      await carol.page.getByRole('button', { name: 'Do not send it' }).focus();
      await carol.page.keyboard.press('Enter');
      await until('nothing waits', () => kept(stack).length === 0);
      assert.equal(waiting(stack, 'eins').length + waiting(stack, 'zwei').length, 2, 'the drafts stay');
    } finally {
      lift(stack);
      await carol.page.setViewportSize({ width: 1280, height: 800 });
      await carol.preference('language', 'en_US');
    }
  },

  async 'what its user changes, moves or deletes is what counts'({ stack, carol }) {
    pause(stack);
    for (const subject of ['changed', 'sent by hand', 'deleted']) await park(carol, { to: 'bob@example.test', subject });
    // as many as may be
    await carol.compose({ to: 'bob@example.test', subject: 'one too many' });
    await carol.pressSend();
    const { box: dialog } = await carol.refusal();
    await until('the copy', () => carol.page.evaluate(() => $('[name="_draft_saveid"]').val()));
    await carol.idle();
    await dialog.getByRole('button', { name: 'Send it when it may go' }).click();
    await carol.page.getByText('As many of your messages as may be wait already.').waitFor();
    assert.equal(kept(stack).length, 3);
    lift(stack);

    await open(carol, 'changed');
    await shown(carol, 'compose');
    await carol.page.fill('#composebody', 'Other words');
    await carol.page.evaluate(() => rcmail.command('savedraft'));
    await until('it does not wait', () => kept(stack).length === 2);
    await open(carol, 'sent by hand');
    await carol.pressSend();
    await carol.sent();
    await until('it does not wait', () => kept(stack).length === 1);
    const uid = await open(carol, 'deleted');
    await carol.go('?_task=mail&_mbox=Drafts');
    await carol.page.evaluate((id) => { rcmail.http_post('delete', { _uid: id, _mbox: 'Drafts' }); }, uid);
    await until('the draft is away', () => waiting(stack, 'deleted').length === 0);
    hurry(stack);
    await visit(carol);
    await until('nothing waits', () => kept(stack).length === 0);
    assert.equal(arrived(stack, 'sent by hand').length, 1);
    assert.equal(arrived(stack, 'changed').length + arrived(stack, 'deleted').length, 0);
  },

  async 'one that goes while it is open in a compose window is sent a second time only by who knows'({ stack, carol }) {
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'open meanwhile' });
    lift(stack);
    await open(carol, 'open meanwhile');
    hurry(stack);
    await visit(carol); // the refresh of this very window
    await until('the message', () => arrived(stack, 'open meanwhile').length === 1);
    await until('its end', () => kept(stack).length === 0);
    await carol.pressSend();
    await carol.page.getByText('This draft does not wait any more: it was sent meanwhile').waitFor();
    await shown(carol, 'sent-meanwhile');
    assert.equal(arrived(stack, 'open meanwhile').length, 1);
    await carol.pressSend();
    await carol.sent();
    await until('both', () => arrived(stack, 'open meanwhile').length === 2);
  },

  async 'one that is opened while it is on its way, or may have gone, says so'({ stack, carol }) {
    stack.addPlugin('troublemaker');
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'open on its way' });
    lift(stack);
    hurry(stack);
    killAt(stack, 'smtp_connect');
    await visit(carol);
    await killed(stack);
    await open(carol, 'open on its way', 'Is being sent at this moment.');
    await carol.pressSend();
    await carol.page.getByText('This message is being sent at this moment.').waitFor();
    hurry(stack, 6);
    await open(carol, 'open on its way', 'It may not have been sent');
    await shown(carol, 'open-unknown');
    assert.equal(arrived(stack, 'open on its way').length, 0);
    await carol.pressSend();
    await carol.sent();
    await until('the message', () => arrived(stack, 'open on its way').length === 1);
    await until('its end', () => kept(stack).length === 0);
  },

  async 'a message with too many recipients becomes drafts that can be sent, and each is looked at'({ stack, carol }) {
    const to = [...Array.from({ length: 57 }, (_, i) => `Chor ${i}é <singer${i}@choir.example>`), 'bob@example.test'].join(', ');
    const cc = Array.from({ length: 103 }, (_, i) => `reader${i}@example${i % 5}.org`).join(', ');
    await carol.compose({ to, cc, bcc: 'alice@example.test', subject: 'rehearsal', text: 'Dear all' });
    await carol.pressSend();
    const { box: dialog, text } = await carol.refusal();
    assert.match(text, /makes 2 drafts of this message/);
    await shown(carol, 'split');
    for (const part of ['.sendguard-refusal', '.sendguard-again']) assert.deepEqual(await violations(carol.page, part), []);
    await dialog.getByRole('button', { name: 'Split for me' }).click();
    await carol.sent();
    assert.equal(await carol.page.evaluate(() => rcmail.env.mailbox), 'Drafts');
    await carol.toast('2 drafts were made of your message.');
    const made = waiting(stack, 'rehearsal');
    assert.equal(made.length, 2);
    const addresses = (field) => made.map((one) => new RegExp(`^${field}:((?:.*\n[ \t])*.*)$`, 'mi').exec(one)?.[1].match(/[\w.]+@[\w.]+/g) ?? []);
    assert.deepEqual(addresses('To').map((list) => list.filter((one) => one.endsWith('choir.example')).length).sort((a, b) => a - b), [7, 50]);
    assert.deepEqual(addresses('Cc').map((list) => list.length).sort((a, b) => a - b), [3, 100]);
    assert.equal(new Set([...addresses('To').flat(), ...addresses('Cc').flat()]).size, 58 + 103);
    assert.deepEqual(addresses('Bcc').flat(), ['alice@example.test']);
    assert.equal(new Set(made.map((one) => /^Message-ID: (.*)$/im.exec(one)[1])).size, 2);
    assert.equal(arrived(stack, 'rehearsal').length, 0, 'nothing is sent by itself');

    const before = await stack.used(mailbox, 'off_domain_per_day');
    for (let i = 1; i <= 2; i += 1) {
      await drafts(carol);
      const uid = await (await carol.page.waitForFunction(() => Object.values(rcmail.message_list?.rows ?? {})
        .find((row) => row.obj.innerText.includes('rehearsal'))?.uid)).jsonValue();
      await carol.go(`?_task=mail&_mbox=Drafts&_action=compose&_draft_uid=${uid}`);
      await carol.pressSend();
      await carol.sent();
      await until('it is no draft any more', () => waiting(stack, 'rehearsal').length === 2 - i);
    }
    assert.equal(await stack.used(mailbox, 'off_domain_per_day'), before + 57 + 103);
    await until("the message in bob's mailbox", () => arrived(stack, 'rehearsal').length === 1);
  },

  async 'what the day has no room for is not split, and an operator names a newsletter service instead'({ stack, carol }) {
    const many = (count) => Array.from({ length: count }, (_, i) => `reader${i}@choir.example`).join(', ');
    await carol.compose({ to: many(990), subject: 'too many' });
    await carol.pressSend();
    let { box: dialog } = await carol.refusal();
    assert.equal(await dialog.getByRole('button').filter({ hasText: 'Split' }).count(), 0);
    await carol.dismiss(dialog);
    stack.pluginSettings("$config['sendguard_newsletter_url'] = 'https://news.example.test/';");
    try {
      await until('the link', async () => {
        await carol.compose({ to: many(57), subject: 'newsletter' });
        await carol.pressSend();
        const { box: other, text } = await carol.refusal();
        dialog = other;
        return text.includes('https://news.example.test/');
      });
      assert.equal(await dialog.getByRole('button').filter({ hasText: 'Split' }).count(), 0);
    } finally {
      stack.pluginSettings();
    }
  },

  async 'a lock drops what waits, and the draft stays'({ stack, carol }) {
    pause(stack);
    await park(carol, { to: 'bob@example.test', subject: 'before the lock' });
    stack.sendguard('suspend', mailbox, '--for', '1h', '--cause', 'compromised', ...because);
    lift(stack);
    lift(stack, 'compromised');
    hurry(stack);
    await drafts(carol);
    await visit(carol);
    await carol.page.waitForFunction(() => !rcmail.busy);
    await carol.page.reload();
    await carol.idle();
    assert.equal(await box(carol).count(), 0);
    assert.equal(waiting(stack, 'before the lock').length, 1);
    assert.equal(arrived(stack, 'before the lock').length, 0);
  },
};
