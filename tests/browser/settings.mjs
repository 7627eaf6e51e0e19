// Settings > Sending status.
import assert from 'node:assert/strict';
import { violations } from './desk.mjs';
import { until } from './stack.mjs';

const page = '?_task=settings&_action=plugin.sendguard';

export const tests = {
  async 'Settings show what is used, what is left, and when it is free again'({ stack, alice }) {
    await alice.send({ to: 'x@example.org, y@example.org', subject: 'two outside' });
    const used = await stack.used('alice@example.test');
    await alice.go(page);
    const day = alice.page.locator('.sendguard-window', { hasText: 'Messages in 24 hours' });
    const text = await day.innerText();
    assert.match(text, new RegExp(`\\b${used} of 600 used, ${600 - used} left`));
    assert.match(text, /Comes back:\s+\d+ messages?: (\w+day )?\d\d:\d\d/);
    const meter = day.locator('meter');
    assert.equal(await meter.getAttribute('value'), String(used));
    assert.equal(await meter.getAttribute('max'), '600');
    const label = await meter.getAttribute('aria-labelledby');
    assert.equal(await alice.page.locator(`#${label}`).innerText(), 'Messages in 24 hours');
    assert.equal(await alice.page.locator('.sendguard-state').innerText(), 'You can send');
  },

  async 'what was sent can be opened in Sent, as long as it is there'({ stack, alice }) {
    await alice.send({ to: 'bob@example.test', subject: 'do you know this one' });
    await alice.go(page);
    const list = alice.page.getByRole('region', { name: 'What was sent' });
    const link = list.locator('li').first().getByRole('link', { name: 'Open in Sent' });
    assert.match(await list.locator('li').first().innerText(), /\d\d:\d\d · to one recipient · .* · Open in Sent/);
    assert.deepEqual(await violations(alice.page, '[aria-labelledby=sendguard-sent-title]'), []);
    if (process.env.PICTURES) await alice.page.screenshot({ path: `${process.env.PICTURES}/settings-sent.png` });
    const address = await link.getAttribute('href');
    await link.focus();
    await alice.page.keyboard.press('Enter');
    await alice.page.waitForSelector('.subject:has-text("do you know this one")');
    await alice.idle(); // before, the webmail knows no command
    await alice.page.evaluate(() => { rcmail.command('delete'); });
    await until('the message deleted', () => !stack.has('alice@example.test', 'do you know this one', 'Sent'));
    // Roundcube goes by itself to the list, or to the next message where it knows one by now.
    await alice.page.waitForSelector('.subject:has-text("do you know this one")', { state: 'detached' });
    await alice.idle();
    await alice.page.goto(new URL(address, alice.url).href);
    assert.match(await alice.page.locator('.sendguard-status').innerText(), /not in Sent any more/);
  },

  async 'looking at Settings counts nothing'({ stack, alice }) {
    const used = await stack.used('alice@example.test');
    await alice.go(page);
    await alice.go(page);
    assert.equal(await stack.used('alice@example.test'), used);
  },

  async 'Settings say so when the guard does not answer'({ stack, alice }) {
    stack.stop('guard');
    try {
      await alice.go(page);
      assert.match(await alice.page.locator('.sendguard-status').innerText(), /not available for the moment/);
    } finally {
      stack.start('guard');
    }
  },

  async 'the page in Settings, the dialog and the status page say the same, in each language'({ stack, alice }) {
    stack.settings('limits.webmail.off_domain_per_day=4', 'on_limit.off_domain_per_day=refuse');
    const state = { de_DE: /eigene/, fr_FR: /domaines?/, es_ES: /dominios?/, en_US: /you can send only inside your own domains/ };
    const withoutSpan = (text) => text.replace(/ \([^)]*\)/, ''); // "in 23 h 59 min" goes on while we look
    try {
      while (await stack.used('alice@example.test', 'off_domain_per_day') < 4) {
        await alice.send({ to: 'x@example.org', subject: 'up to the limit' });
      }
      for (const [language, begins] of Object.entries(state)) {
        await alice.preference('language', language);
        await alice.compose({ to: 'x@example.org', subject: 'one too many' });
        await alice.pressSend();
        const { box } = await alice.refusal();
        const lead = withoutSpan(await box.locator('.sendguard-lead').innerText());
        assert.match(lead, begins);
        await alice.dismiss(box);

        await alice.go(page);
        const settings = alice.page.locator('.sendguard-status');
        assert.match(await settings.locator('.sendguard-state').getAttribute('class'), /boxwarning/, 'not in green');
        assert.equal(withoutSpan(await settings.locator('.sendguard-state').innerText()), lead);
        const found = (await violations(alice.page, '.sendguard-status')).filter((one) => !/^color-contrast .*class="btn btn-primary"/.test(one));
        assert.deepEqual(found, []);

        const status = await alice.context.newPage();
        try {
          await status.setExtraHTTPHeaders({ 'Accept-Language': language.slice(0, 2) });
          await status.goto(await settings.locator('.formbuttons a').getAttribute('href'));
          assert.equal(withoutSpan(await status.locator('h1').innerText()), lead);
          const windows = await status.locator('section.window').all();
          assert.equal(windows.length, 3, "the mailbox's two and the network's");
          for (const window of windows) {
            const ours = settings.locator('.sendguard-window').filter({ has: alice.page.getByRole('heading', { name: await window.locator('h3').innerText(), exact: true }) });
            assert.equal(await ours.locator('.sendguard-numbers').innerText(), await window.locator('.used').innerText());
            assert.deepEqual(await ours.locator('li').allInnerTexts(), await window.locator('li').allInnerTexts());
            assert.equal(await ours.locator('p.sendguard-refill').innerText(), await window.locator('ul').evaluate((list) => list.previousElementSibling.innerText));
          }
        } finally {
          await status.close();
        }
      }
    } finally {
      stack.settings();
    }
  },

  async 'each language has all texts'({ alice }) {
    const wanted = { de_DE: /Sie können senden/, fr_FR: /Vous pouvez envoyer/, es_ES: /Puede enviar/, en_US: /You can send/ };
    for (const [language, sentence] of Object.entries(wanted)) {
      await alice.preference('language', language);
      await alice.go(page);
      const text = await alice.page.locator('.sendguard-status').innerText();
      assert.match(text, sentence);
      assert.doesNotMatch(text, /\[sendguard\.|\$\w/, `no text is missing or unfilled in ${language}`);
    }
  },

  async 'nothing of the page is a script or a style inside the HTML, or fails on a narrow screen'({ alice }) {
    await alice.go(page);
    assert.equal(await alice.page.locator('.sendguard-status [style], .sendguard-status [onclick]').count(), 0);
    await alice.page.setViewportSize({ width: 360, height: 640 });
    const wide = await alice.page.evaluate(() => document.querySelector('.sendguard-status').scrollWidth
      - document.querySelector('.sendguard-status').clientWidth);
    await alice.page.setViewportSize({ width: 1280, height: 800 });
    assert.ok(wide <= 0, `the page is ${wide} pixels too wide`);
  },

  async 'an identity with an address that may not be used is refused when it is made, with the sentence'({ stack, alice }) {
    stack.settings('identity.mode=enforce');
    try {
      const form = alice.page.frameLocator('iframe');
      const save = async (email) => {
        await form.locator('[name=_name]').fill('Alice');
        await form.locator('[name=_email]').fill(email);
        await form.getByRole('button', { name: 'Save' }).click();
      };
      const saved = () => alice.page.locator('#identities-table tr, #identities tr').allInnerTexts();
      await alice.go('?_task=settings&_action=identities');
      const before = (await saved()).length;
      await alice.page.evaluate(() => { rcmail.command('add'); });
      await save('boss@bank.test');
      await alice.toast('You are signed in as alice@example.test and may not write as boss@bank.test: bank.test is not one of our domains. You may write as: alice@example.test.');
      await save('alice+shop@example.test');
      await alice.toast('Successfully saved');
      assert.equal((await saved()).length, before + 1);
      await save('bob@example.test');
      await alice.toast('may not write as bob@example.test');
      await alice.go('?_task=settings&_action=identities');
      assert.doesNotMatch((await saved()).join('\n'), /bob@|bank/);
    } finally {
      stack.settings();
    }
  },
};
