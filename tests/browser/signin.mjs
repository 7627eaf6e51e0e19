// Signing in to the webmail with wrong passwords: until when it is closed, said on the login page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tooWide, violations } from './desk.mjs';
import { until } from './stack.mjs';

const name = 'carol@example.test';
const alert = '#messagestack [role=alert]:has(time)';

async function tryPassword(user, password, language = 'en-GB') {
  const { page } = user;
  await user.context.clearCookies(); // Roundcube keeps the language in its session
  await page.setExtraHTTPHeaders({ 'Accept-Language': language });
  await page.goto(user.url);
  await page.fill('#rcmloginuser', name);
  await page.fill('#rcmloginpwd', password);
  await Promise.all([page.waitForNavigation(), page.click('#rcmloginsubmit')]);
  await page.waitForSelector('#messagestack [role=alert], #messagelist-content');
}

// The time as the browser's clock has it, and how many minutes it is ahead.
async function minutesAhead(page) {
  const time = page.locator(`${alert} time`);
  const at = new Date(await time.getAttribute('datetime'));
  assert.equal(await time.innerText(),
    at.toLocaleTimeString('de-DE', { hour: '2-digit', minute: '2-digit', timeZone: 'Europe/Berlin' }));
  return (at - Date.now()) / 60000;
}

const blocks = (stack) => JSON.parse(stack.sendguard('logins', name, '--json')).blocks;

export const tests = {
  async 'ten wrong passwords close the mailbox to the browser, and the login page says until when'({ stack, carol }) {
    for (let i = 1; i <= 9; i += 1) await tryPassword(carol, `wrong ${i}`);
    assert.equal(await carol.page.locator(alert).count(), 0, 'nine close nothing');
    await tryPassword(carol, 'wrong 10');
    const [block] = await until('the block', () => blocks(stack).length && blocks(stack));
    assert.equal(block.network, '127.0.0.1', "the browser's, not the webmail's");

    await tryPassword(carol, 'wrong 11');
    const text = await carol.page.locator(alert).innerText();
    assert.match(text, /^Too many wrong passwords\. Until \d\d:\d\d you cannot sign in from here, not even with the right password\./);
    const minutes = await minutesAhead(carol.page);
    assert.ok(minutes > 50 && minutes <= 61, `${minutes} minutes`);
    assert.doesNotMatch(readFileSync(`${stack.dir}/log/auth.log`, 'utf8'), /webmail host/, 'each sign-in named the browser');
  },

  async 'meanwhile the right password is refused with the same words, in each language'({ carol }) {
    for (const [language, words] of [['en-GB', /not even with the right password/], ['de-DE', /auch nicht mit dem richtigen Passwort/],
      ['fr-FR', /même avec le bon mot de passe/], ['es-ES', /ni siquiera con la contraseña correcta/]]) {
      await tryPassword(carol, 'secret', language);
      assert.match(await carol.page.locator(alert).innerText(), words);
      await minutesAhead(carol.page);
    }
  },

  async 'the sentence stays, and is readable on a phone'({ carol }) {
    const { page } = carol;
    const size = page.viewportSize();
    try {
      for (const viewport of [{ width: 320, height: 640 }, size]) {
        await page.setViewportSize(viewport);
        await tryPassword(carol, 'secret');
        // Roundcube takes its other messages away after ten seconds, an error after twenty.
        await page.clock.install();
        await page.clock.runFor(60000);
        assert.ok(await page.locator(alert).isVisible());
        assert.ok(await tooWide(page) <= 0);
        if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/signin-${viewport.width}.png` });
        assert.deepEqual(await violations(page, '#messagestack'), []);
      }
    } finally {
      await page.setViewportSize(size);
    }
  },

  async 'support ends it, and the user signs in'({ stack, carol }) {
    stack.sendguard('logins', name, '--end', '--note', 'called, it was her');
    assert.deepEqual(blocks(stack), []);
    await until('the programs know', async () => {
      await tryPassword(carol, 'secret');
      return await carol.page.locator('#messagelist-content').count() === 1;
    });
    await carol.page.setExtraHTTPHeaders({});
  },
};
