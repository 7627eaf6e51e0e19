// The status page as people open it: from the link of a refusal, with and
// without JavaScript, on small and large screens, light and dark.
import assert from 'node:assert/strict';
import { newContext } from './chromium.mjs';
import { assertKindEverywhere, violations } from './desk.mjs';
import { until } from './stack.mjs';

// Three messages a day bring a pause; twenty recipients a day only a refusal.
export const settings = ['limits.webmail.messages_per_day=3', 'limits.webmail.off_domain_per_day=20',
  'on_limit.off_domain_per_day=refuse', 'suspension.retries_before_restart=3', 'support.contact=support@example.test',
  'support.password_url=https://panel.example.test/password',
  'support.links=Change your password https://panel.example.test/password', 'support.links=Newsletter service https://news.example.test/'];

let serial = 0;

async function submit(stack, mailbox, recipients, domain = 'club.example') {
  const answer = await fetch(`http://127.0.0.1:${stack.ports.submissions_port}/sendguard/submissions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      id: `status-${serial += 1}-${process.pid}`, mailbox, ip: '203.0.113.7', from: mailbox,
      to: Array.from({ length: recipients }, (_, i) => `member${i}@${domain}`),
    }),
  });
  return answer.json();
}

async function send(stack, mailbox, times) {
  for (let i = 0; i < times; i += 1) assert.equal((await submit(stack, mailbox, 1)).verdict, 'admit');
}

async function linkWithoutRefusal(stack, mailbox) {
  const { status_url } = await stack.ask(mailbox);
  return status_url;
}

// How a mailbox of its own gets into each state, and the link that then is shown.
const states = {
  ok: { heading: 'You can send', link: linkWithoutRefusal },
  too_big: { heading: 'This message has too many recipients', link: async (stack, mailbox) => (await submit(stack, mailbox, 57)).status_url },
  over_time: {
    heading: 'This message was more than your limit has left',
    async link(stack, mailbox) {
      assert.equal((await submit(stack, mailbox, 15)).verdict, 'admit');
      return (await submit(stack, mailbox, 10)).status_url;
    },
  },
  split: {
    heading: 'This message is more than your whole limit: split it',
    link: async (stack, mailbox) => (await submit(stack, mailbox, 25)).status_url,
  },
  own: {
    heading: 'Until ',
    async link(stack, mailbox) {
      assert.equal((await submit(stack, mailbox, 20)).verdict, 'admit');
      return (await submit(stack, mailbox, 1)).status_url;
    },
  },
  full: {
    heading: 'Your limit is used up until',
    async link(stack, mailbox) {
      await send(stack, mailbox, 3);
      return linkWithoutRefusal(stack, mailbox);
    },
  },
  paused: {
    heading: 'Sending is paused until',
    async link(stack, mailbox) {
      await send(stack, mailbox, 3);
      const { status_url } = await submit(stack, mailbox, 1);
      await submit(stack, mailbox, 1);
      return status_url;
    },
  },
  stopped: {
    heading: 'Sending is stopped until our support has talked to you',
    async link(stack, mailbox) {
      await send(stack, mailbox, 2);
      const url = await linkWithoutRefusal(stack, mailbox);
      const token = new URL(url).searchParams.get('t');
      const answer = await fetch(url.split('?')[0], {
        method: 'POST', redirect: 'manual', body: new URLSearchParams({ t: token, action: 'lock' }),
      });
      assert.equal(answer.status, 303);
      return url;
    },
  },
};

// A browser whose contexts end with it.
async function withBrowser(run) {
  const contexts = [];
  const opened = async (options) => {
    contexts.push(await newContext(options));
    return contexts.at(-1);
  };
  try {
    await run({ newContext: opened });
  } finally {
    for (const context of contexts) await context.close();
  }
}

// Opens a page and collects what goes wrong in it, a style or script that the policy forbids too.
async function open(browser, url, options = {}) {
  const context = await browser.newContext({ timezoneId: 'Europe/Berlin', locale: 'en-GB', ...options });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && !/status of 4\d\d/.test(message.text()) && faults.push(message.text()));
  const response = await page.goto(url);
  return { context, page, faults, response };
}

// At both widths, light and dark, also with letters of twice the size.
async function checkPage(browser, url, name, status = 200, heading = '') {
  const { context, page, faults, response } = await open(browser, url);
  assert.equal(response.status(), status, name);
  const begins = await page.locator('h1').innerText();
  assert.ok(begins.startsWith(heading), `${name}: ${begins}`);
  for (const details of await page.locator('details').all()) await details.evaluate((element) => { element.open = true; });
  await assertKindEverywhere(page, name, async (width, colorScheme) => {
    if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    const wide = await page.evaluate(() => {
      document.documentElement.style.fontSize = '200%';
      const pixels = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      document.documentElement.style.fontSize = '';
      return pixels;
    });
    assert.equal(wide, 0, `${name}, ${width} px, letters of 200%: ${wide} pixels too wide`);
  });
  assert.deepEqual(faults, [], name);
  await context.close();
}

export const tests = {
  async 'each state says so first, fits every screen, and axe finds nothing'({ stack }) {
    await withBrowser(async (browser) => {
      for (const [name, { heading, link }] of Object.entries(states)) {
        const url = await link(stack, `status-${name.replace('_', '-')}@example.test`);
        await checkPage(browser, url, name, 200, heading);
      }
    });
  },

  async 'in each language the page is whole, and axe finds nothing'({ stack }) {
    const url = await linkWithoutRefusal(stack, 'status-paused@example.test');
    const wanted = { en: 'Sending is paused', de: 'Senden ist pausiert', fr: 'L’envoi est en pause', es: 'El envío está en pausa' };
    await withBrowser(async (browser) => {
      for (const [locale, sentence] of Object.entries(wanted)) {
        const { context, page, faults } = await open(browser, url, { locale, viewport: { width: 320, height: 800 } });
        assert.equal(await page.locator('html').getAttribute('lang'), locale);
        assert.ok((await page.locator('h1').innerText()).startsWith(sentence));
        assert.deepEqual(await violations(page), [], locale);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth), false);
        assert.deepEqual(faults, []);
        if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/paused-${locale}.png`, fullPage: true });
        await context.close();
      }
    });
  },

  async 'who said "That wasn\'t me" is accused in no language, and has a receipt'({ stack }) {
    const url = await linkWithoutRefusal(stack, 'status-stopped@example.test');
    const wanted = { en: /Nobody blames you/, de: /Niemand wirft Ihnen etwas vor/, fr: /Personne ne vous reproche/, es: /Nadie le reprocha/ };
    const receipts = { en: ['Receipt', 'Reference', 'Change the password'], de: ['Quittung', 'Kennung', 'Passwort ändern'],
      fr: ['Confirmation', 'Référence', 'Changer le mot de passe'], es: ['Justificante', 'Referencia', 'Cambiar la contraseña'] };
    const { suspension } = await stack.ask('status-stopped@example.test');
    await withBrowser(async (browser) => {
      for (const [locale, sentence] of Object.entries(wanted)) {
        const { context, page, faults } = await open(browser, url, { locale, viewport: { width: 320, height: 800 } });
        const text = await page.locator('main').innerText();
        assert.match(text, sentence);
        assert.doesNotMatch(text, /terms of usage|suspicious mail/);
        const [title, reference, password] = receipts[locale];
        const receipt = page.getByRole('region', { name: title });
        assert.match(await receipt.innerText(), new RegExp(`status-stopped@example\\.test[^]*${suspension.since}[^]*${reference}.*status-stopped@example\\.test, \\d+`));
        assert.equal(await receipt.getByRole('link', { name: password }).getAttribute('href'), 'https://panel.example.test/password');
        assert.equal(await receipt.locator('ol > li').count(), 3, 'what happens next');
        assert.match(await page.locator('#support-text').inputValue(), new RegExp(`${reference}.*status-stopped@example\\.test, \\d+\n`));
        if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/receipt-${locale}.png`, fullPage: true });
        assert.deepEqual(await violations(page), [], locale);
        assert.deepEqual(faults, []);
        await context.close();
      }
    });
  },

  async 'what a mail server\'s reply links to names nobody, in each language, on every screen'({ stack }) {
    const mailbox = 'status-paused@example.test';
    const { decision } = await submit(stack, mailbox, 2);
    const url = `${stack.url}sending/r/${decision}`;
    const wanted = { en: 'Sending is paused', de: 'Senden ist pausiert', fr: 'L’envoi est en pause', es: 'El envío está en pausa' };
    await withBrowser(async (browser) => {
      await checkPage(browser, url, 'reference', 200);
      await checkPage(browser, `${stack.url}sending/r/7K3M-Q2XD-9F4A`, 'reference-none', 404);
      for (const [locale, sentence] of Object.entries(wanted)) {
        const { context, page } = await open(browser, url, { locale, javaScriptEnabled: false, viewport: { width: 320, height: 800 } });
        assert.ok((await page.locator('h1').innerText()).startsWith(sentence), locale);
        assert.doesNotMatch(await page.content(), /status-paused|203\.0\.113|<button|<form/);
        assert.match(await page.locator('blockquote').innerText(), /^The message was rejected for the following reason/);
        await context.close();
      }
    });
  },

  async 'a text for support can be copied without JavaScript, and the operator\'s links follow'({ stack }) {
    const url = await linkWithoutRefusal(stack, 'status-paused@example.test');
    await withBrowser(async (browser) => {
      const { context, page } = await open(browser, url, { javaScriptEnabled: false });
      const text = await page.getByLabel('Text for your message to support').inputValue();
      assert.match(text, /^Mailbox: status-paused@example\.test\nDomain: example\.test\nState: Sending is paused\nCause: too much mail\n/);
      assert.equal(await page.getByRole('link', { name: 'Change your password' }).getAttribute('href'), 'https://panel.example.test/password');
      await context.close();
    });
  },

  async 'a link that does not hold and a page that is not there are clean too'({ stack }) {
    await withBrowser(async (browser) => {
      await checkPage(browser, `${stack.url}sending/status?t=forged`, 'link', 403);
      await checkPage(browser, `${stack.url}sending/nothing`, 'error', 404);
      await checkPage(browser, `${stack.url}sending/desk/sign-in`, 'signin');
    });
  },

  async 'without JavaScript, "That wasn\'t me" says what will happen, and the second press does it'({ stack }) {
    const url = await linkWithoutRefusal(stack, 'status-noscript@example.test');
    await withBrowser(async (browser) => {
      const { context, page } = await open(browser, url, { javaScriptEnabled: false });
      const stop = page.getByRole('button', { name: 'Stop sending now' });
      assert.equal(await stop.isVisible(), false);
      await page.getByText('That wasn’t me').click();
      assert.match(await page.locator('details').innerText(), /Nothing can be sent from status-noscript@example\.test/);
      await stop.click();
      assert.match(await page.locator('h1').innerText(), /Sending is stopped/);
      assert.match(page.url(), /\/sending\/status\?t=/);
      assert.equal((await submit(stack, 'status-noscript@example.test', 1)).suspension.cause, 'compromised');
      await context.close();
    });
  },

  async 'the first pause can be ended once by its user, after reading, by keys alone'({ stack }) {
    const mailbox = 'status-unpause@example.test';
    const sent = { en: ['What was sent', 'from another connection, first seen'], de: ['Was gesendet wurde', 'über eine andere Verbindung, zuerst gesehen'],
      fr: ['Ce qui a été envoyé', 'd’une autre connexion, vue pour la première fois'], es: ['Lo que se envió', 'desde otra conexión, vista por primera vez'] };
    stack.settings(...settings, 'suspension.unpause_messages=2');
    try {
      await send(stack, mailbox, 3);
      const { status_url: url } = await submit(stack, mailbox, 1);
      await withBrowser(async (browser) => {
        for (const [locale, button] of Object.entries({ en: 'End the pause now', de: 'Pause jetzt beenden', fr: 'Mettre fin à la pause maintenant', es: 'Terminar la pausa ahora' })) {
          const { context, page, faults } = await open(browser, url, { locale, viewport: { width: 390, height: 844 } });
          await page.locator('details', { hasText: button }).evaluate((element) => { element.open = true; });
          assert.deepEqual(await violations(page), [], locale);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, locale);
          assert.ok(await page.getByRole('button', { name: button }).isVisible());
          assert.match(await page.getByRole('region', { name: sent[locale][0] }).innerText(), new RegExp(`203\\.0\\.113\\.0/24\\s+${sent[locale][1]}.*\\d\\d:\\d\\d`));
          assert.deepEqual(faults, []);
          if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/unpause-${locale}.png`, fullPage: true });
          await context.close();
        }
        const { context, page } = await open(browser, url, { javaScriptEnabled: false });
        await page.getByText('I sent this myself').focus();
        await page.keyboard.press('Enter');
        await page.getByRole('button', { name: 'End the pause now' }).focus();
        await page.keyboard.press('Enter');
        assert.match(await page.locator('h1').innerText(), /Sending is paused/, 'what has to be read is not confirmed yet');
        await page.getByLabel('I have read why sending is paused').focus();
        await page.keyboard.press('Space');
        await page.keyboard.press('Tab');
        await page.keyboard.press('Enter');
        await page.waitForURL(/\/status\?t=/);
        await until('the pause to be over', async () => !/paused/.test(await page.locator('h1').innerText()));
        assert.equal(await page.getByText('End the pause yourself').count(), 0);
        await context.close();
      });
      await until('room for two more', async () => (await stack.ask(mailbox)).windows.find((one) => one.rule === 'messages_per_day').limit === 5);
      await send(stack, mailbox, 2);
      assert.equal((await submit(stack, mailbox, 1)).suspension.offence, 2);
    } finally {
      stack.settings(...settings);
    }
  },

  async 'times are in the reader\'s own zone, and the page follows what happens'({ stack }) {
    const mailbox = 'status-live@example.test';
    await send(stack, mailbox, 3);
    const url = await linkWithoutRefusal(stack, mailbox);
    await withBrowser(async (browser) => {
      const context = await browser.newContext({ timezoneId: 'Asia/Tokyo', locale: 'en-GB' });
      const page = await context.newPage();
      await page.clock.install();
      await page.goto(url);
      assert.equal(await page.locator('.zone').innerText(), 'Asia/Tokyo');
      assert.equal(await page.locator('main').getAttribute('data-live'), 'full');
      await submit(stack, mailbox, 1);
      await page.clock.runFor(31000);
      await until('the page to say that sending is paused', async () => /paused/.test(await page.locator('h1').innerText()));
      await until('who cannot see it to hear it', async () => /paused/.test(await page.locator('div[role=status]').textContent()));
      assert.match(await page.title(), /Sending is paused/);
      const end = await page.locator('h1 time').getAttribute('datetime');
      const clock = new Date(Math.ceil(new Date(end) / 60000) * 60000)
        .toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo', hour: '2-digit', minute: '2-digit' });
      assert.match(await page.locator('h1 time').innerText(), new RegExp(`${clock}$`));
      // Also while the network is away.
      await context.setOffline(true);
      await page.clock.runFor(121000);
      await until('the countdown to go on', async () => /in 23 h 5[78] min/.test(await page.locator('h1 [data-until]').innerText()));
      await context.setOffline(false);
      // Not under somebody's hands.
      await page.getByText('That wasn’t me').click();
      await page.clock.runFor(31000);
      assert.equal(await page.locator('details', { hasText: 'That wasn’t me' }).evaluate((element) => element.open), true);
      await context.close();
    });
  },
};
