// From a refusal to sending again: what the user reads, what staff sees and does.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { assertKind, assertKindEverywhere, withVisitor } from './desk.mjs';
import { changePassword, signsIn } from './passwords.mjs';
import { until } from './stack.mjs';

const bobs = 'bob@example.test';
const alices = 'alice@example.test';

// Another limit, in force when this returns.
async function limit(stack, mailbox, value) {
  stack.sendguard('limit', mailbox, `messages_per_day=${value}`, '--note', 'for this test');
  await until('the limit in force', async () => {
    const { windows } = await stack.ask(mailbox);
    const { limit: now } = windows.find((one) => one.rule === 'messages_per_day');
    return now === (value === 'default' ? 600 : value);
  });
}

// As many messages a day as the user has sent already: the next one is too many.
async function fill(stack, user, mailbox) {
  await user.send({ to: 'x@example.org', subject: 'the last one of the day' });
  const used = await stack.used(mailbox);
  await limit(stack, mailbox, used);
  return used;
}

async function refused(user, subject) {
  await user.compose({ to: 'x@example.org', subject });
  await user.pressSend();
  return user.refusal();
}

// Follows the link of a refusal in the webmail, as its user does.
async function followLink(user, box) {
  const [page] = await Promise.all([user.context.waitForEvent('page'),
    box.locator('a[href*="/sending/status?t="]').click()]);
  await page.waitForLoadState();
  return page;
}

export const tests = {
  async 'a refused user learns why and until when; staff looks, lifts and resets; the user sends'({ stack, bob }) {
    const used = await fill(stack, bob, bobs);
    const { box } = await refused(bob, 'one too many');
    const page = await followLink(bob, box);
    const headline = await page.locator('h1').innerText();
    assert.match(headline, /Sending is paused until \w+day \d\d:\d\d \(in 2[34] h/);
    const moment = await page.locator('h1 time').first().getAttribute('datetime');
    assert.ok(Math.abs(new Date(moment) - Date.now() - 24 * 3600e3) < 120e3, 'machine-readable, in 24 hours');
    const text = await page.locator('main').innerText();
    assert.match(text, new RegExp(`${used} of ${used} used`));
    assert.match(text, /Receiving, reading and writing drafts/);
    assert.match(text, /newsletter service/);
    assert.doesNotMatch(text, /x@example\.org/, 'no address of a recipient');
    const mail = await page.locator('a[href^="mailto:support@example.test"]').first().getAttribute('href');
    const reference = decodeURIComponent(mail).match(/[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/)?.[0];
    assert.ok(reference, 'the mail to support names the decision');
    await assertKind(page, 'the status page');
    await page.close();
    await bob.dismiss(box);

    await withVisitor(stack, {}, async (staff) => {
      await staff.signIn();
      await assertKind(staff.page, 'the first screen');
      await staff.search(reference);
      assert.match(await staff.text(), /Messages in 24 hours/);
      await assertKind(staff.page, 'the decision');
      await staff.search(bobs);
      assert.match(await staff.text('h1'), /Suspended until \w+day \d\d:\d\d/);
      await assertKind(staff.page, 'the mailbox');

      await staff.preview('lift', 'talked to him');
      assert.match(await staff.text(), /refused/, 'the preview says that the next message is refused again');
      assert.match(await staff.text(), new RegExp(`\\b${used}\\b`), 'with the numbers');
      assert.equal((await stack.ask(bobs)).verdict, 'refuse', 'a preview does nothing');
      await assertKind(staff.page, 'the preview');
      await staff.page.getByRole('button', { name: /Lift.*reset/i }).click();
      await staff.page.locator('main [role=status]').waitFor();
      assert.match(await staff.text('h1'), /Can send/);
      assert.match(await staff.text(), /talked to him/, 'what staff did stands in the timeline');
    });
    await bob.send({ to: 'x@example.org', subject: 'sent after all' });
    await until('what was sent after the reset', async () => await stack.used(bobs) === 1);
    await limit(stack, bobs, 'default');
  },

  async 'the status page and the desk work without JavaScript'({ stack, bob }) {
    await fill(stack, bob, bobs);
    const { box } = await refused(bob, 'one too many again');
    const link = await box.locator('a[href*="/sending/status?t="]').getAttribute('href');
    await bob.dismiss(box);
    await withVisitor(stack, { javaScriptEnabled: false }, async (visitor) => {
      await visitor.page.goto(link);
      assert.match(await visitor.text('h1'), /Sending is paused until \w+day \d\d:\d\d/);
      const zone = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', hour: '2-digit', minute: '2-digit' });
      const moment = new Date(await visitor.page.locator('h1 time').first().getAttribute('datetime'));
      assert.ok((await visitor.text('h1')).includes(zone.format(new Date(Math.ceil(moment / 60e3) * 60e3))),
        "the zone of the user's webmail");
      await visitor.signIn();
      await visitor.search(bobs);
      assert.match(await visitor.text('h1'), /Suspended until/);
      await visitor.preview('lift', 'without a script');
      await visitor.confirm();
      await visitor.preview('reset', 'without a script');
      await visitor.confirm();
      assert.match(await visitor.text('h1'), /Can send/);
      assert.match(await visitor.text(), /without a script/);
    });
    assert.equal((await stack.ask(bobs)).verdict, 'admit');
    await limit(stack, bobs, 'default');
  },

  async '"That wasn\'t me" locks at once; support sees why, lifts, and it is as before'({ stack, alice }) {
    await alice.go('?_task=settings&_action=plugin.sendguard');
    const [page] = await Promise.all([alice.context.waitForEvent('page'),
      alice.page.locator('.sendguard-status a[href*="/sending/status?t="]').first().click()]);
    await page.waitForLoadState();
    assert.match(await page.locator('h1').innerText(), /You can send/);
    await assertKind(page, 'the status page of a good mailbox');
    const lock = page.locator('button[name=action][value=lock]');
    await page.locator('details', { has: lock }).locator('summary').click();
    await lock.click();
    await page.waitForLoadState();
    assert.match(await page.locator('h1').innerText(), /stopped until our support has talked to you/);
    assert.match(await page.locator('main').innerText(), /[Cc]hange the password/);
    await assertKind(page, 'the status page of a locked mailbox');
    await page.close();
    const { box, text } = await refused(alice, 'locked');
    assert.match(text, /support has talked to you|suspended/);
    await alice.dismiss(box);

    await withVisitor(stack, {}, async (staff) => {
      await staff.signIn();
      assert.match(await staff.text(), /Locked by their own users[\s\S]*alice@example\.test/);
      await staff.page.getByRole('link', { name: alices }).first().click();
      assert.match(await staff.text('h1'), /until staff lifts it/);
      assert.match(await staff.text('.state'), /used by a stranger/);
      await staff.preview('lift', 'she changed her password');
      await staff.confirm();
      assert.match(await staff.text('h1'), /Can send/);
    });
    await alice.send({ to: 'bob@example.test', subject: 'mine again' });
  },

  async 'a user objects without JavaScript; support reads it first, answers; the user reads the answer'({ stack, alice }) {
    stack.sendguard('suspend', alices, '--cause', 'terms', '--note', 'for this test');
    const { box } = await refused(alice, 'mine, and harmless');
    const own = await box.locator('a[href*="/sending/status?t="]').getAttribute('href');
    const link = own.replace('&lang=en-US', ''); // the browser's language
    assert.notEqual(link, own);
    await alice.dismiss(box);
    for (const [locale, heading] of [['de', 'Halten Sie das für einen Irrtum?'], ['fr', 'Vous pensez que c’est une erreur ?'],
      ['es', '¿Cree que es un error?'], ['en', 'You think this is a mistake?']]) {
      await withVisitor(stack, { javaScriptEnabled: locale !== 'en', locale, viewport: { width: 320, height: 700 } }, async (user) => {
        await user.page.goto(link);
        assert.equal(await user.text('#appeal'), heading);
        if (locale !== 'en') {
          await user.page.locator('#appeal + details summary').click();
          await assertKind(user.page, `the form for an objection, ${locale}`);
          if (process.env.PICTURES) await user.page.screenshot({ path: `${process.env.PICTURES}/appeal-${locale}.png`, fullPage: true });
          return;
        }
        await user.page.locator('#appeal + details summary').focus();
        await user.page.keyboard.press('Enter');
        await user.page.keyboard.press('Tab');
        await user.page.keyboard.type('  ');
        await user.page.keyboard.press('Tab');
        await user.page.keyboard.press('Enter');
        assert.equal(await user.text('.problem'), 'Please write 1 to 1,000 characters.');
        await user.page.locator('textarea[name=text]').focus();
        await user.page.keyboard.type('It was an invitation.\nAll of them know me. <b>');
        await user.page.keyboard.press('Tab');
        await user.page.keyboard.press('Enter');
        await user.page.locator('#appeals').waitFor();
        assert.match(await user.text(), /It waits for an answer/);
        assert.equal(await user.page.locator('#appeal').count(), 0, 'one is enough');
      });
    }

    await withVisitor(stack, {}, async (staff) => {
      await staff.signIn();
      assert.match(await staff.text('main section'), /wait for an answer[\s\S]*alice@example\.test[\s\S]*All of them know me\. <b>/);
      await assertKind(staff.page, 'the start page with an objection');
      if (process.env.PICTURES) await staff.page.screenshot({ path: `${process.env.PICTURES}/desk-appeals.png`, fullPage: true });
      await staff.page.getByRole('link', { name: alices }).first().click();
      assert.match(await staff.text(), /against the terms[\s\S]*It was an invitation/);
      await assertKind(staff.page, 'the page of a mailbox with an objection');
      if (process.env.PICTURES) await staff.page.screenshot({ path: `${process.env.PICTURES}/desk-appeal.png`, fullPage: true });
      const form = staff.page.locator('form[action$="/desk/appeals"]');
      await form.locator('textarea').fill('You are right. Sending works again.');
      await form.locator('button').click();
      await staff.page.locator('main [role=status]').waitFor();
      assert.match(await staff.text(), /Answered by[\s\S]*Sending works again/);
      await staff.preview('lift', 'it was an invitation');
      await staff.confirm();
    });

    await withVisitor(stack, {}, async (user) => {
      await user.page.goto(link);
      assert.match(await user.text('h1'), /You can send/);
      assert.match(await user.text(), /All of them know me[\s\S]*Answer of our support[\s\S]*You are right\. Sending works again\./);
      await assertKind(user.page, 'the status page with an answer');
      if (process.env.PICTURES) await user.page.screenshot({ path: `${process.env.PICTURES}/appeal-answered.png`, fullPage: true });
    });
  },

  async 'the link of one mailbox tells nothing of another, and a forged one nothing at all'({ stack }) {
    const { status_url: good } = await stack.ask(bobs);
    const token = new URL(good).searchParams.get('t');
    const bad = `${token.slice(0, -3)}${token.endsWith('AAA') ? 'BBB' : 'AAA'}`;
    await withVisitor(stack, {}, async (visitor) => {
      const answer = await visitor.page.goto(`${stack.url}sending/status?t=${bad}`);
      assert.equal(answer.status(), 403);
      assert.doesNotMatch(await visitor.text('body'), /@example\.test/);
      await assertKind(visitor.page, 'the page of a bad link');
    });
  },

  async 'support reads how it stood with a mailbox a while ago'({ stack, bob }) {
    await bob.send({ to: 'x@example.org', subject: 'one that counts' });
    const clock = (zone) => new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
    for (const [width, locale, ask, title, suspended] of [ // or not: a test before may have suspended him in this minute
      [1280, 'en-GB', 'How did it stand at another moment?', /^How it stood: /, /It was not suspended\.|Suspended until/],
      [390, 'de-DE', 'Wie stand es zu einer anderen Zeit?', /^Wie es stand: /, /Es war nicht gesperrt\.|Gesperrt,? bis/]]) {
      await withVisitor(stack, { locale, viewport: { width, height: 900 } }, async (staff) => {
        const shown = (picture) => process.env.PICTURES && staff.page.screenshot({ path: `${process.env.PICTURES}/${picture}-${width}.png`, fullPage: true });
        await staff.signIn();
        await staff.go(`mailboxes/${bobs}`);
        await staff.page.locator('summary', { hasText: ask }).click();
        await staff.page.fill('[name=at]', '2020-01-01 00:00');
        await staff.page.press('[name=at]', 'Enter');
        await staff.page.locator('[role=alert]').waitFor();
        assert.match(await staff.text('[role=alert]'), /not known|nicht bekannt/);
        await assertKind(staff.page, 'too long ago');
        const now = new Date(), typed = clock('Europe/Berlin').format(now);
        await staff.page.fill('[name=at]', typed);
        await staff.page.press('[name=at]', 'Enter');
        await staff.page.locator('.cards').waitFor();
        assert.match(await staff.text('h1'), title);
        assert.match(await staff.text('h1'), new RegExp(typed), 'in the zone of who asks');
        assert.match(await staff.text(), suspended);
        assert.match(await staff.text('.window p'), /\d+/);
        await assertKind(staff.page, 'how it stood');
        await shown('past');
      });
    }
  },

  async 'before a limit is changed the desk says whom it would have stopped'({ stack, bob }) {
    await bob.send({ to: 'x@example.org', subject: 'one that counts' });
    const used = await stack.used(bobs);
    for (const [width, locale, heading, result, missing] of [
      [1280, 'en-GB', 'Whom would another limit have stopped?', /[1-9]\d* of \d+ messages would have been refused, of 1 mailbox\./, /expected/],
      [390, 'de-DE', 'Wen hätte ein anderes Limit aufgehalten?', /[1-9]\d* von \d+ Nachrichten wären abgewiesen worden, von 1 Postfach\./, /Seit/]]) {
      await withVisitor(stack, { locale, viewport: { width, height: 900 } }, async (staff) => {
        const shown = (picture) => process.env.PICTURES && staff.page.screenshot({ path: `${process.env.PICTURES}/${picture}-${width}.png`, fullPage: true });
        await staff.signIn();
        await staff.go(`actions?action=limit&subject=${bobs}`);
        await staff.page.getByRole('link', { name: heading }).click();
        assert.equal(await staff.text('h1'), heading);
        assert.equal(await staff.page.inputValue('[name=subject]'), bobs);
        await staff.page.fill('[name=value]', String(used - 1));
        await staff.page.press('[name=value]', 'Enter');
        await staff.page.locator('#result').waitFor();
        assert.match(await staff.text('section.card'), result);
        assert.equal(await staff.page.locator('tbody th a').innerText(), bobs);
        await assertKind(staff.page, 'whom it would have stopped');
        const [looked, first] = await staff.page.locator('section.card time').evaluateAll((times) => times.slice(1).map((time) => time.textContent));
        const hour = (moment) => Number(moment.match(/(\d\d):\d\d$/)[1]); // before it the weekday, of one on the other side of midnight
        assert.ok([0, 1, 23].includes(Math.abs(hour(looked) - hour(first))), 'all in one zone');
        assert.match(await staff.text('#since-hint'), /Europe\/Berlin/);
        assert.equal(await staff.page.inputValue('[name=tz]'), 'Europe/Berlin');
        await shown('what-if');
        await staff.page.fill('[name=since]', 'soon');
        await staff.page.press('[name=since]', 'Enter');
        await staff.page.locator('[role=alert]').waitFor();
        assert.match(await staff.text('[role=alert]'), missing);
        assert.equal(await staff.page.inputValue('[name=value]'), String(used - 1));
        await assertKind(staff.page, 'what is wrong');
      });
    }
  },

  async 'every page of the desk is clean for axe, at both widths, light and dark'({ stack, bob }) {
    const decided = () => JSON.parse(stack.sendguard('log', bobs, '--json')).decisions;
    if (!decided().length) await bob.send({ to: 'x@example.org', subject: 'one to look at' });
    stack.sendguard('limit', bobs, 'messages_per_day=599', '--note', 'for this test');
    const { actions: [{ number }] } = JSON.parse(stack.sendguard('audit', '--max', '1', '--json'));
    await withVisitor(stack, {}, async (staff) => {
      await staff.page.goto(staff.desk);
      await assertKind(staff.page, 'signing in');
      await staff.signIn();
      const [{ decision }] = decided();
      const paths = ['', 'suspended', 'near', 'blocks', 'blocks/import', 'logins', `logins?mailbox=${bobs}`, 'logins?ip=127.0.0.1', 'spf', 'appeals', 'held', 'decisions', 'simulate', 'account', 'approvals', 'what-if', 'what-if?rule=messages_per_day&value=0', 'what-if?rule=messages_per_day&value=x', 'audit', `audit/${number}/undo`, 'search?q=nothing-of-ours',
        `mailboxes/${bobs}`, `mailboxes/${bobs}/past?at=today 00:00`, 'domains/example.test', 'ips/127.0.0.1', `decisions/${decision}`,
        `actions?action=limit&subject=${bobs}`, 'no-such-page'];
      for (const path of paths) {
        await staff.go(path);
        await assertKindEverywhere(staff.page, `desk/${path}`);
      }
    });
    await limit(stack, bobs, 'default');
  },

  async 'staff undoes a wrong lift with the keyboard, also in German on a phone'({ stack }) {
    const carols = 'carol@example.test';
    const suspended = () => JSON.parse(stack.sendguard('suspended', '--cause', 'terms', '--json')).suspended.map((one) => one.mailbox);
    stack.sendguard('suspend', carols, '--cause', 'terms', '--for', '2h', '--note', 'for this test');
    for (const [width, locale, undo, done] of [
      [1280, 'en-GB', 'Undo', /It is undone/], [390, 'de-DE', 'Rückgängig machen', /Es ist rückgängig gemacht/]]) {
      await withVisitor(stack, { locale, viewport: { width, height: 900 } }, async (staff) => {
        const { page } = staff;
        const shown = (name) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/undo-${name}-${width}.png`, fullPage: true });
        await staff.signIn();
        await staff.go(`mailboxes/${carols}`);
        await staff.preview('lift', 'the wrong mailbox');
        await staff.confirm();
        assert.ok(!suspended().includes(carols));
        await assertKind(page, `the page behind a lift, ${width}`);
        await shown('lifted');
        await page.locator('main [role=status]').getByRole('link', { name: undo }).focus();
        await page.keyboard.press('Enter');
        await page.locator('#undo-note').waitFor();
        await assertKind(page, `what is put back, ${width}`);
        await shown('asked');
        await page.locator('#undo-note').focus();
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.locator('main [role=status]').waitFor();
        assert.match(await staff.text('main [role=status]'), done);
        await shown('done');
        await staff.go('audit');
        await assertKind(page, `the audit log, ${width}`);
        await shown('audit');
      });
      assert.ok(suspended().includes(carols));
    }
    stack.sendguard('lift', carols, '--note', 'for this test');
  },

  async 'staff is asked about a number that is hardly meant, and loses nothing with its session'({ stack }) {
    stack.sendguardInput('only-for-support\n', 'staff', 'add', 'sven', '--role', 'admin', '--note', 'for this test');
    for (const width of [1280, 390]) {
      await withVisitor(stack, { locale: 'de-DE', viewport: { width, height: 900 } }, async (staff) => {
        const { page } = staff;
        const shown = (name) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/confirm-${name}-${width}.png`, fullPage: true });
        await staff.signIn('sven', 'only-for-support');
        await staff.go(`mailboxes/${alices}`);
        await staff.preview('limit', 'Chorfest', { rule: 'messages_per_day', value: '60000', for: '7d' });
        assert.match(await staff.text(), /Nachrichten in 24 Stunden\s+60000[^]*in 7 Tagen[^]*600 → 60000/);
        await assertKind(page, `a doubtful number, ${width}`);
        await shown('doubt');
        await page.locator('[name=sure]').focus();
        await page.keyboard.press('Space');
        // Meanwhile a colleague acts, and the session ends.
        stack.sendguard('note', alices, '--note', 'she asked for 6000');
        await staff.context.clearCookies({ name: 'sendguard_session' });
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.locator('#password').waitFor();
        assert.match(await staff.text('main [role=alert]'), /bleibt erhalten/);
        await page.fill('#name', 'sven');
        await page.fill('#password', 'only-for-support');
        await page.keyboard.press('Enter');
        await page.locator('#again-note').waitFor();
        assert.equal(await page.locator('#again-note').inputValue(), 'Chorfest');
        await assertKind(page, `what was typed, after signing in again, ${width}`);
        await shown('again');
        await page.locator('#again-note').focus();
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.locator('[name=seen]').waitFor({ state: 'attached' });
        stack.sendguard('note', alices, '--note', 'no, she asked for 600');
        await page.check('[name=sure]');
        await page.locator('form:has([name=confirm]) button.button-primary').click();
        assert.match(await staff.text('main [role=alert]'), /Inzwischen hat hier jemand anderes[^]*she asked for 600$/);
        await assertKind(page, `a colleague was faster, ${width}`);
        await shown('faster');
      });
    }
    assert.ok(!stack.sendguard('audit', alices).includes('Chorfest'));
  },

  async 'staff signs in with a code of an app, set up by the keyboard alone'({ stack }) {
    const codeOf = (secret, step) => {
      const bits = [...secret].map((one) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one).toString(2).padStart(5, '0')).join('');
      const counter = Buffer.alloc(8);
      counter.writeBigInt64BE(BigInt(step));
      const hash = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))).update(counter).digest();
      return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0');
    };
    const step = () => Math.floor(Date.now() / 30000);
    stack.sendguardInput('only-for-support\n', 'staff', 'add', 'tina', '--role', 'support', '--note', 'for this test');
    for (const width of [1280, 390]) {
      await withVisitor(stack, { locale: 'de-DE', viewport: { width, height: 900 } }, async (staff) => {
        const { page } = staff;
        const shown = (name) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/codes-${name}-${width}.png`, fullPage: true });
        await staff.signIn('tina', 'only-for-support');
        await page.getByRole('link', { name: 'tina' }).click();
        await assertKind(page, `the own account, ${width}`);
        await shown('account');
        await page.getByRole('button', { name: 'Einrichten' }).focus();
        await page.keyboard.press('Enter');
        await page.locator('#on-code').waitFor();
        await assertKind(page, `a secret, ${width}`);
        await shown('secret');
        await page.emulateMedia({ colorScheme: width > 400 ? 'light' : 'dark' });
        const picture = `${stack.dir}/qr.png`;
        await page.locator('svg.qr').screenshot({ path: picture });
        const link = await page.locator('main a[href^="otpauth:"]').getAttribute('href');
        assert.equal(execFileSync('zbarimg', ['-q', '--raw', picture], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(), link, 'as a camera reads it');
        const secret = await page.locator('[name=secret]').inputValue(), used = step();
        await page.locator('#on-code').focus();
        await page.keyboard.type(codeOf(secret, used));
        await page.keyboard.press('Tab');
        await page.keyboard.type('only-for-support');
        await page.keyboard.press('Enter');
        await page.locator('#recovery').waitFor();
        assert.equal(await page.locator('section li').count(), 10);
        await assertKind(page, `recovery codes, ${width}`);
        await shown('recovery');
        await staff.context.clearCookies({ name: 'sendguard_session' });
        await staff.signIn('tina', 'only-for-support');
        await page.locator('#code').waitFor();
        await page.keyboard.type(codeOf(secret, used));
        await page.keyboard.press('Enter');
        assert.match(await staff.text('main [role=alert]'), /passt nicht oder ist schon benutzt/);
        await assertKind(page, `a code that was used, ${width}`);
        await shown('signin');
        // The next one, which a phone that is half a minute ahead shows already.
        await page.locator('#code').fill(codeOf(secret, used + 1));
        await page.keyboard.press('Enter');
        await page.locator('.bar-person').waitFor();
      });
      stack.sendguard('staff', 'nocodes', 'tina', '--note', 'a new phone');
    }
    await withVisitor(stack, {}, async (staff) => {
      await staff.signIn('tina', 'only-for-support');
      assert.match(await staff.text('.bar-person'), /tina/);
    });
  },

  async 'support reads why somebody cannot sign in, and opens it by the keyboard alone'({ stack }) {
    const carols = 'carol@example.test', known = () => JSON.parse(stack.sendguard('logins', carols, '--json'));
    assert.ok(signsIn(stack, carols, 'secret'));
    await changePassword(stack, carols, 'secret', 'newer');
    for (let i = 0; i < 3; i += 1) assert.ok(!signsIn(stack, carols, 'secret'));
    for (let i = 0; i < 10; i += 1) signsIn(stack, carols, `wrong ${i}`);
    try {
      await until('the block', () => known().blocks.length > 0);
      await withVisitor(stack, {}, async (staff) => {
        const shown = (picture) => process.env.PICTURES && staff.page.screenshot({ path: `${process.env.PICTURES}/${picture}.png`, fullPage: true });
        const press = async (...keys) => { for (const key of keys) await staff.page.keyboard.press(key); };
        await staff.signIn();
        assert.match(await staff.text(), /Closed now for wrong passwords: 1 mailbox, 0 networks\./);
        await assertKind(staff.page, 'the first screen with something closed');
        await shown('desk-signins-home');
        await staff.search(carols);
        const here = 'section:has(#signins)';
        const until_time = (await staff.page.locator(`${here} time`).first().getAttribute('datetime'));
        const clock = new Date(Math.ceil(new Date(until_time) / 60000) * 60000).toLocaleTimeString('de-DE', { hour: '2-digit', minute: '2-digit', timeZone: 'Europe/Berlin' });
        const until_shown = new RegExp(`Closed to 127\\.0\\.0\\.1 until (\\w+ )?${clock} \\(in `); // after midnight with the day
        assert.match(await staff.text(here), until_shown, 'in the zone of the page');
        assert.match(await staff.text(here), /A program \(IMAP\) at 127\.0\.0\.1 uses an old password, which was right until about .*: \d+ tries since/);
        assert.match(await staff.text(here), /Last sign-in: .* from 127\.0\.0\.1 by IMAP\. 10 different wrong passwords in the last hour\./);
        for (const width of [1280, 390]) {
          await staff.page.setViewportSize({ width, height: 900 });
          await assertKind(staff.page, `a mailbox that is closed, at ${width}`);
          await shown(`desk-signins-mailbox-${width}`);
        }
        await staff.page.locator(here).getByRole('link', { name: 'All about these sign-ins' }).press('Enter');
        await staff.page.locator('#known').waitFor();
        assert.equal(await staff.page.locator('#signins-q').inputValue(), carols);
        assert.match(await staff.text(), /127\.0\.0\.1\s+10[\s\S]*127\.0\.0\.1\s+IMAP/);
        for (const width of [1280, 390]) {
          await staff.page.setViewportSize({ width, height: 900 });
          await assertKind(staff.page, `its sign-ins, at ${width}`);
          await shown(`desk-signins-${width}`);
        }
        await staff.page.locator('summary', { hasText: 'Open sign-ins again' }).press('Enter');
        await press('Tab');
        await staff.page.keyboard.type('by telephone');
        await press('Tab', 'Enter');
        await staff.page.locator('form:has([name=confirm])').waitFor();
        assert.match(await staff.text(), /This ends\s+Closed to 127\.0\.0\.1 until/);
        assert.ok(known().blocks.length > 0, 'a preview does nothing');
        await assertKind(staff.page, 'the preview');
        await shown('desk-signins-preview-390');
        await staff.page.locator('form:has([name=confirm]) button').press('Enter');
        assert.match(await staff.text('main [role=status]'), /^Sign-ins are open again/);
        await assertKind(staff.page, 'what is open again');
        assert.match(await staff.text(), /Wrong passwords keep nobody out/);
        await until('the sign-in', () => signsIn(stack, carols, 'newer'));
        await staff.go('audit');
        assert.match(await staff.text(), /sign-ins opened[\s\S]*by telephone/);
        await staff.go('logins');
        assert.match(await staff.text(), /Closed now for wrong passwords: 0 mailboxes, 0 networks\./);
        await shown('desk-signins-all-390');
        await staff.page.locator('#signins-q').fill('127.0.0.1');
        await press('Enter');
        await staff.page.getByText(/mailboxes? ha(s|ve) signed in from there within 30 days/).waitFor();
        await assertKind(staff.page, 'the sign-ins of a network');
        await shown('desk-signins-network-390');
        await staff.go('ips/127.0.0.1');
        await assertKind(staff.page, 'a network with its sign-ins');
        await shown('desk-signins-ip-390');
      });
    } finally { // other tests sign in from here
      if (known().blocks.length) stack.sendguard('logins', carols, '--end', '--note', 'the end of this test');
      await changePassword(stack, carols, 'newer', 'secret');
    }
  },

  async 'support blocks a recipient at the desk, its sender reads why, and support takes it off again'({ stack, alice }) {
    await withVisitor(stack, {}, async (staff) => {
      const shown = (name) => process.env.PICTURES && staff.page.screenshot({ path: `${process.env.PICTURES}/${name}.png`, fullPage: true });
      await staff.signIn();
      await staff.page.getByRole('link', { name: 'Block lists' }).click();
      assert.match(await staff.text(), /Nothing on the list/);
      await staff.page.getByText('Put on the list', { exact: true }).click();
      const form = staff.page.locator('form:has(#block-subject)');
      await form.locator('[name=subject]').fill('no address at all');
      await form.locator('[name=reason]').fill('They asked us to send no more.');
      await form.locator('[name=note]').fill('ticket 16');
      await form.locator('button').click();
      assert.match(await staff.text('.problem'), /address|recipient/);
      assert.equal(await form.locator('[name=reason]').inputValue(), 'They asked us to send no more.', 'what was typed stays');
      await assertKind(staff.page, 'the form for a block with what is wrong');
      await form.locator('[name=subject]').fill('tired@example.org');
      await form.locator('button').click();
      assert.match(await staff.text(), /concerns all mailboxes[\s\S]*They asked us to send no more/);
      await assertKind(staff.page, 'the preview of a block');
      await shown('desk-block');
      await staff.confirm();
      assert.equal(await staff.text('main [role=status]'), 'It is on the list.');
      assert.match(await staff.text('table'), /tired@example\.org[\s\S]*They asked us to send no more/);
      await staff.page.setViewportSize({ width: 320, height: 900 });
      await assertKind(staff.page, 'a list with something on it');
      await shown('desk-blocks-320');
      await staff.page.setViewportSize({ width: 1280, height: 900 });
      await shown('desk-blocks');

      await until('the block in force', async () => (await stack.ask(alices, 'tired@example.org')).status === 422);
      await alice.compose({ to: 'tired@example.org', subject: 'once more' });
      await alice.pressSend();
      const { box, text } = await alice.refusal();
      assert.match(text, /tired@example\.org[\s\S]*They asked us to send no more/);
      await alice.dismiss(box);

      await staff.page.locator('#blocks-q').fill('tir');
      await staff.page.locator('#blocks-q').press('Enter');
      await staff.page.locator('tbody details summary').click();
      await staff.page.locator('tbody [name=note]').fill('they write again');
      await staff.page.locator('tbody button').click();
      await staff.confirm();
      assert.match(await staff.text(), /Nothing on the list/);
    });
  },

  async 'support imports a list at the desk, by keyboard or on a phone, and exports it'({ stack }) {
    const lines = 'subject,reason\nlist1@example.org,They asked us to stop.\nlist2@example.org,They asked us to stop.\n';
    const languages = [['de', /Was der Import bewirken würde[^]*neu\s+2/, /2 Zeilen sind falsch[^]*Zeile 2, subject/],
      ['fr', /Ce que l’importation ferait[^]*nouvelles\s+2/, /2 lignes sont incorrectes[^]*Ligne 2, subject/],
      ['es', /Qué efecto tendría la importación[^]*nuevas\s+2/, /2 líneas son incorrectas[^]*Línea 2, subject/]];
    for (const [locale, would, wrong] of languages) {
      await withVisitor(stack, { locale, viewport: { width: 320, height: 900 } }, async (staff) => {
        const shown = (name) => process.env.PICTURES && staff.page.screenshot({ path: `${process.env.PICTURES}/import-${name}-${locale}-320.png`, fullPage: true });
        await staff.signIn();
        await staff.go('blocks/import');
        await shown('form');
        await staff.page.fill('#import-csv', 'subject,reason\nnobody@,No.\nnoone@,No.\n');
        await staff.page.fill('#import-note', 'ticket 20');
        await staff.page.locator('main form button').click();
        assert.match(await staff.text('#faults'), wrong);
        await assertKind(staff.page, `lines that are wrong, ${locale}`);
        await shown('wrong');
        await staff.page.fill('#import-csv', lines);
        await staff.page.locator('main form button').click();
        assert.match(await staff.text(), would);
        await assertKind(staff.page, `the preview of an import, ${locale}`);
        await shown('preview');
      });
    }
    await withVisitor(stack, {}, async (staff) => {
      const { page } = staff;
      const shown = (name) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/import-${name}.png`, fullPage: true });
      await staff.signIn();
      await page.getByRole('link', { name: 'Block lists' }).click();
      await page.getByRole('link', { name: 'Import from CSV' }).focus();
      await page.keyboard.press('Enter');
      await page.fill('#import-note', 'too much');
      const much = await page.locator('#import-csv').evaluate((area) => {
        area.value = 'subject,reason\n'.padEnd(1000000, 'a@example.org,No.\n');
        area.dispatchEvent(new Event('input'));
        return area.value.length;
      });
      await page.locator('main form button').click();
      assert.deepEqual(await page.locator('#import-csv').evaluate((area) => [area.value.length, area.validationMessage]),
        [much, 'This is too much at once. Import it in parts.'], 'what is too much is not sent');
      await page.fill('#import-note', '');
      await page.fill('#import-csv', '');
      await page.keyboard.insertText(lines);
      await page.keyboard.press('Tab');
      await page.keyboard.type('ticket 20');
      await shown('form');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.locator('[name=confirm]').waitFor();
      assert.match(await staff.text(), /new\s+2[^]*concerns all mailboxes[^]*ticket 20/);
      await assertKind(page, 'the preview of an import');
      await shown('preview');

      // Meanwhile the session ends.
      const session = await staff.context.cookies();
      await staff.context.clearCookies({ name: 'sendguard_session' });
      await page.locator('[name=confirm]').click();
      assert.match(await staff.text('main [role=alert]'), /what you typed is kept/);
      await assertKind(page, 'signing in again');
      await shown('session');
      await page.fill('#name', stack.ports.staff_name);
      await page.fill('#password', stack.ports.staff_password);
      await page.click('main button[type=submit]');
      assert.equal(await page.locator('#import-csv').inputValue(), lines);
      assert.equal(await page.locator('#import-note').inputValue(), 'ticket 20');
      await assertKind(page, 'the form after signing in again');
      assert.ok(session.length > 0);
      await page.locator('main form button').click();
      await page.locator('[name=confirm]').dblclick();
      await page.locator('main [role=status]').waitFor();
      assert.match(await staff.text('main [role=status]'), /^Imported: /);
      assert.match(await staff.text('table'), /list1@example\.org[^]*list2@example\.org/);
      await assertKind(page, 'what was imported');
      await shown('done');
      await page.fill('#blocks-q', 'list');
      await page.locator('#blocks-q').press('Enter');
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Export as CSV' }).click()]);
      assert.equal(download.suggestedFilename(), 'sendguard-blocks.csv');
      const exported = readFileSync(await download.path(), 'utf8').trim().split('\r\n');
      assert.equal(exported.length, 3);
      assert.match(exported[1], /"list1@example\.org","","staff","They asked us to stop\."/);
      await page.setViewportSize({ width: 320, height: 900 });
      await assertKind(page, 'the list with its buttons at 320');
      await shown('blocks-320');
    });
    await withVisitor(stack, { javaScriptEnabled: false }, async (staff) => {
      await staff.signIn();
      await staff.go('blocks/import');
      await staff.page.fill('#import-csv', lines.replaceAll('stop', 'stop at once'));
      await staff.page.fill('#import-note', 'without a script');
      await staff.page.locator('main form button').click();
      await staff.page.locator('[name=change]').click();
      await staff.page.locator('main form button').click();
      assert.match(await staff.text(), /replaced\s+2/);
      await staff.confirm();
      assert.match(await staff.text('table'), /stop at once/);
    });
    for (const one of ['list1@example.org', 'list2@example.org']) stack.sendguard('unblock', one, '--note', 'for this test');
  },

  async 'a viewer sees, and has no form to action with'({ stack }) {
    stack.sendguardInput('only-for-looking\n', 'staff', 'add', 'vera', '--role', 'viewer', '--note', 'for this test');
    await withVisitor(stack, {}, async (staff) => {
      await staff.signIn('vera', 'only-for-looking');
      await staff.search(bobs);
      assert.match(await staff.text(), /What is used/);
      assert.equal(await staff.page.locator('form:has(input[name=action])').count(), 0);
      await staff.page.getByRole('button', { name: 'Sign out' }).click();
      await staff.go('');
      assert.equal(await staff.page.locator('#password').count(), 1, 'signed out');
    });
  },

  async 'support permits a sender address on the page of a mailbox, on a phone, and takes it back'({ stack }) {
    await withVisitor(stack, { viewport: { width: 390, height: 844 } }, async (staff) => {
      const { page } = staff;
      const give = page.getByRole('button', { name: 'Permit a sender address' });
      await staff.signIn();
      await staff.search('dora@example.test');
      await page.locator('details:has(#allow-address) > summary').click();
      await page.fill('#allow-address', 'press@@agency.test');
      await page.fill('#allow-note', 'their agency');
      await assertKind(page, 'the form of a permission at 390');
      await give.click();
      await page.locator('#allow-address[aria-invalid=true]').waitFor();
      await assertKind(page, 'the form of a permission with what is wrong');
      await page.fill('#allow-address', 'Press@Agency.test');
      await page.fill('#allow-for', '30d');
      await give.click();
      assert.match(await staff.text('[role=status]'), /may write as this address now/);
      assert.match(await staff.text('main'), /press@agency\.test[^]*their agency/);
      await assertKind(page, 'a mailbox with a permission at 390');
      await page.locator('details:has(#disallow-address) > summary').click();
      await page.fill('#disallow-note', 'the contract ended');
      await page.getByRole('button', { name: 'Take a sender address back' }).click();
      assert.match(await staff.text('[role=status]'), /The permission is taken back/);
      assert.equal(await page.locator('#disallow-address').count(), 0);
      assert.match(await staff.text('.timeline'), /sender address permitted[^]*their agency/);
    });
  },
};
