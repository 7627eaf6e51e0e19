// Signing in to the webmail with wrong passwords: until when it is closed, said on the login page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Visitor, tooWide, violations } from './desk.mjs';
import { changePassword, signsIn } from './passwords.mjs';
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
    assert.match(text, /^Too many wrong passwords\. Until (\w+day )?\d\d:\d\d you cannot sign in from here, not even with the right password\./);
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

  async 'the status page says what is closed, and where the mailbox was signed in to'({ stack }) {
    const { status_url: url } = await stack.ask(name);
    for (const [lang, closed, known] of [['en', /Until .*\d\d:\d\d nobody can sign in to it from there/, /signed in from within 30 days/],
      ['de', /Bis .*\d\d:\d\d kann sich von dort niemand anmelden/, /in den letzten 30 Tagen angemeldet/],
      ['fr', /Jusqu’à .*\d\d:\d\d, personne ne peut s’y connecter/, /au cours des 30 derniers jours/],
      ['es', /Hasta .*\d\d:\d\d nadie puede iniciar sesión desde allí/, /en los últimos 30 días/]]) {
      const visitor = await Visitor.open(stack, { locale: lang, viewport: { width: 320, height: 800 } });
      try {
        await visitor.page.goto(url);
        await visitor.page.locator('#signins').waitFor();
        const text = await visitor.text();
        assert.match(text, closed);
        assert.match(text, known);
        assert.match(text, /127\.0\.0\.0\/24/);
        assert.doesNotMatch(text, /127\.0\.0\.1/);
        assert.ok(await tooWide(visitor.page) <= 0, lang);
        assert.deepEqual(await violations(visitor.page), [], lang);
        if (process.env.PICTURES) await visitor.page.screenshot({ path: `${process.env.PICTURES}/signins-${lang}.png`, fullPage: true });
        assert.deepEqual(visitor.errors, []);
      } finally {
        await visitor.close();
      }
    }
  },

  async 'an old password that is used again closes nothing, and the status page says so'({ stack }) {
    const bob = 'bob@example.test';
    await changePassword(stack, bob, 'secret', 'newer');
    try {
      for (let i = 0; i < 12; i += 1) assert.equal(signsIn(stack, bob, 'secret'), false);
      const { status_url: url } = await stack.ask(bob);
      const view = await until('the tries', async () => {
        const { signins } = await (await fetch(url, { headers: { Accept: 'application/json' } })).json();
        return signins?.old_passwords[0]?.tries >= 12 && signins;
      });
      assert.deepEqual(view.closed, []);
      assert.equal(view.old_passwords[0].network, '127.0.0.0/24');
      assert.match(await (await fetch(url)).text(), /uses an old password: \d+ tries since/);
    } finally {
      await changePassword(stack, bob, 'newer', 'secret');
    }
  },

  async 'who reads in a known network opens what is closed to all others'({ stack }) {
    const alice = 'alice@example.test'; // signed in here when the tests began
    const key = readFileSync(`${stack.dir}/guard/auth-key`, 'utf8').trim();
    const tell = (command, body) => fetch(`http://127.0.0.1:${stack.ports.auth_port}/?command=${command}`,
      { method: 'POST', headers: { Authorization: `Bearer ${key}` }, body: JSON.stringify({ login: alice, ...body }) });
    const guess = (i) => tell('report', { remote: `198.51.100.${i % 50}`, pwhash: i.toString(16).padStart(3, '0'), success: false });
    for (let i = 0; i < 100; i += 1) assert.equal((await guess(i)).status, 200);
    const elsewhere = async () => (await (await tell('allow', { remote: '203.0.113.9', pwhash: '000' })).json()).status;
    assert.equal(await elsewhere(), -1);
    const { status_url: url } = await stack.ask(alice);
    const button = 'button[value=open_signins]';
    for (const [lang, label] of [['de', 'Einen Tag lang öffnen'], ['fr', 'Ouvrir pendant un jour'], ['es', 'Abrir durante un día'], ['en', 'Open for a day']]) {
      const visitor = await Visitor.open(stack, { locale: lang, viewport: { width: 320, height: 800 } });
      try {
        await until('the block on the page', async () => {
          await visitor.page.goto(url);
          return await visitor.page.locator(button).count();
        });
        assert.equal(await visitor.text(button), label);
        assert.ok(await tooWide(visitor.page) <= 0, lang);
        assert.deepEqual(await violations(visitor.page), [], lang);
        if (process.env.PICTURES) await visitor.page.screenshot({ path: `${process.env.PICTURES}/signins-open-${lang}.png`, fullPage: true });
        if (lang !== 'en') continue;
        await visitor.page.click(button);
        await visitor.page.locator('#signins').waitFor();
        assert.equal(await visitor.page.locator(button).count(), 0);
      } finally {
        await visitor.close();
      }
    }
    await until('sendguard-auth knows', async () => await elsewhere() === 0);
    assert.notEqual(JSON.parse(stack.sendguard('logins', alice, '--json')).open_until, null);
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
