// Sending: what goes out, what is refused and how that reads, and what is
// counted for it. Each test uses a mailbox whose numbers nobody else changes meanwhile.
import assert from 'node:assert/strict';
import { tooWide, violations } from './desk.mjs';
import { until } from './stack.mjs';

const readers = (count) => Array.from({ length: count }, (_, i) => `reader${i}@example${i % 3}.org`);

export const tests = {
  async 'a message to three recipients arrives and counts once'({ stack, alice }) {
    const before = await stack.used('alice@example.test');
    await alice.send({ to: 'Bob <bob@example.test>, carol@example.test', cc: 'Someone <someone@example.org>', subject: 'three of you' });
    await until("the message in bob's mailbox", () => stack.has('bob@example.test', 'three of you'));
    await until("the message in carol's mailbox", () => stack.has('carol@example.test', 'three of you'));
    assert.equal(await stack.used('alice@example.test'), before + 1);
    assert.equal(await stack.used('alice@example.test', 'off_domain_per_day'), 1);
  },

  async '101 recipients in To are refused, the window stays, 100 are sent'({ stack, alice }) {
    const before = await stack.used('alice@example.test');
    await alice.compose({ to: readers(101).join(', '), subject: 'to all readers', text: 'Dear readers' });
    await alice.pressSend();
    const { box, text } = await alice.refusal();
    assert.match(text, /Message not sent/);
    assert.match(text, /101/);
    assert.match(text, /100/);
    assert.match(text, /To/);
    assert.match(text, /[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/);
    assert.equal(await stack.used('alice@example.test'), before, 'a refused message counts nowhere');

    await alice.dismiss(box);
    assert.equal(await alice.page.inputValue('#composebody'), 'Dear readers');
    await alice.page.locator('#compose_to li.recipient a.button').first().click();
    await alice.pressSend();
    await alice.sent();
    assert.equal(await stack.used('alice@example.test'), before + 1);
  },

  async 'the refusal can be read and closed without a mouse'({ alice }) {
    await alice.compose({ to: readers(101).join(', '), subject: 'keyboard' });
    await alice.pressSend();
    const { box } = await alice.refusal();
    assert.equal(await box.getAttribute('role'), 'alertdialog');
    const labelled = await box.getAttribute('aria-labelledby');
    assert.equal(await alice.page.locator(`[id="${labelled}"]`).innerText(), 'Message not sent');
    const described = await box.getAttribute('aria-describedby');
    assert.match(await alice.page.locator(`[id="${described}"]`).innerText(), /101/);
    assert.equal(await alice.page.evaluate(() => document.activeElement.innerText), 'Back to the message');
    assert.ok(await box.evaluate((element) => element.contains(document.activeElement)), 'the focus is in the dialog');
    await alice.page.keyboard.press('Escape');
    await box.waitFor({ state: 'detached' });
    const back = await alice.page.evaluate(() => document.activeElement.outerHTML.slice(0, 200));
    assert.match(back, /^<button [^>]*class="[^"]*\bsend\b/, `the focus is where it was, not at ${back}`);
  },

  async 'a long refusal is whole in a low window and in large letters, and the message about the draft covers no button'({ stack, alice }) {
    const shape = (box) => box.evaluate((dialog) => {
      const title = dialog.querySelector('.ui-dialog-title');
      const text = dialog.querySelector('.ui-dialog-content');
      const { top, bottom } = dialog.getBoundingClientRect();
      return { top, below: bottom - window.innerHeight, cut: title.scrollWidth - title.clientWidth,
        scrolled: text.scrollTop, hidden: text.scrollHeight - text.clientHeight };
    });
    const covered = () => alice.page.evaluate(() => [...document.querySelectorAll('a.send, button.send')]
      .filter((one) => one.offsetParent).filter((button) => {
        const { left, top, width, height } = button.getBoundingClientRect();
        return !button.contains(document.elementFromPoint(left + width / 2, top + height / 2));
      }).length);
    // What is wrong with it as it stands; the skin sizes it again some time after the window has changed.
    const wrong = async (box) => {
      const { top, below, cut, scrolled, hidden } = await shape(box);
      if (top < -1 || below > 1) return `it is ${top} from the top, ${below} below the window`;
      if (cut > 0) return 'the title is cut';
      if (scrolled !== 0) return 'its beginning is not seen first';
      return hidden > 0 ? '' : 'there is nothing to scroll to';
    };
    const inWindow = async (box, what) => {
      let last;
      await until('the dialog whole', async () => !(last = await wrong(box))).catch(() => {});
      assert.equal(last, '', what);
    };
    stack.sendguard('suspend', 'alice@example.test', '--for', '1h', '--cause', 'volume', '--note', 'for this test');
    await alice.preference('language', 'de_DE');
    try {
      for (const [width, height, letters] of [[667, 375, 14], [360, 640, 28], [320, 568, 28]]) {
        const what = `${width}x${height} ${letters}px`;
        await alice.compose({ to: 'bob@example.test', subject: what });
        await alice.page.evaluate((size) => {
          document.documentElement.style.fontSize = `${size}px`;
          rcmail.message_time = 60000; // the message about the draft outlives what comes before Escape
        }, letters);
        await alice.page.setViewportSize({ width, height });
        await alice.page.evaluate(() => { rcmail.command('send', '', null, new Event('click')); });
        const { box } = await alice.refusal();
        await until('the draft in its folder', () => stack.has('alice@example.test', what, 'Drafts'));
        await inWindow(box, what);

        const text = box.locator('.ui-dialog-content');
        await text.focus();
        await alice.page.keyboard.press('End');
        await until('its end', () => text.evaluate((element) => element.scrollTop + element.clientHeight > element.scrollHeight - 2));
        await alice.page.keyboard.press('Home'); // what sets scrollTop may be undone by the end of the scrolling before
        await until('its beginning', () => text.evaluate((element) => element.scrollTop === 0));
        await alice.page.setViewportSize({ width: 375, height: 667 });
        await alice.page.setViewportSize({ width: 667, height: 375 });
        await inWindow(box, `${what}, turned`);
        await alice.page.setViewportSize({ width, height });

        await alice.page.keyboard.press('Escape');
        await box.waitFor({ state: 'detached' });
        await alice.page.waitForFunction(() => document.querySelector('#messagestack .confirmation'));
        await until(`${what}: Send can be pressed`, async () => await covered() === 0);
      }
    } finally {
      stack.sendguard('lift', 'alice@example.test', '--note', 'for this test');
      await alice.page.setViewportSize({ width: 1280, height: 800 });
      await alice.preference('language', 'en_US');
    }
  },

  async 'on a phone nothing lies over the button of a refusal, and axe finds nothing'({ stack, alice }) {
    // What a finger in the middle of the button touches.
    const touched = (box) => box.locator('button.mainaction').evaluate((button) => {
      const { left, top, width, height } = button.getBoundingClientRect();
      const under = document.elementFromPoint(left + width / 2, top + height / 2);
      return button.contains(under) ? 'the button' : under?.outerHTML.slice(0, 200);
    });
    const suspend = ['suspend', 'alice@example.test', '--for', '1h', '--cause', 'volume', '--note', 'for this test'];
    stack.sendguard(...suspend);
    try {
      for (const width of [360, 1280]) {
        await alice.compose({ to: 'bob@example.test', subject: `phone ${width}` });
        await alice.page.setViewportSize({ width, height: 640 });
        await alice.page.evaluate(() => { rcmail.command('send', '', null, new Event('click')); });
        const { box } = await alice.refusal();
        assert.equal(await touched(box), 'the button', 'at once');
        await until('the draft in its folder', () => stack.has('alice@example.test', `phone ${width}`, 'Drafts'));
        await alice.page.waitForFunction(() => document.querySelector('#messagestack .confirmation'));
        assert.equal(await touched(box), 'the button', 'with the message about the draft');
        assert.equal(await alice.page.locator('#messagestack > div', { hasText: 'Message not sent' }).count(), 0);
        assert.equal(await box.locator('.ui-dialog-titlebar-close').getAttribute('aria-label'), 'Close');
        // The colours of buttons are the skin's own.
        const found = (await violations(alice.page, '.ui-dialog')).filter((one) => !/^color-contrast .*<button[^<]*<\/button>$/.test(one));
        assert.deepEqual(found, [], `at ${width} pixels`);

        await alice.page.evaluate(() => { rcmail.display_message('The disk is <b>full</b>.', 'error'); });
        assert.equal(await box.getByRole('alert').innerText(), 'The disk is full.', 'what went wrong is read in the dialog');
        assert.equal(await touched(box), 'the button', 'with an error');
        await alice.dismiss(box);
        assert.ok(await alice.page.locator('#messagestack').isVisible(), 'messages are shown again');
      }
    } finally {
      stack.sendguard('lift', 'alice@example.test', '--note', 'for this test');
      await alice.page.setViewportSize({ width: 1280, height: 800 });
    }
  },

  async 'what staff blocked is refused in each language, on a phone, and read aloud'({ stack, alice }) {
    const why = ['--reason', 'They asked us to stop.', '--note', 'for this test'];
    const says = {
      de_DE: [/E-Mail an tired@example\.org \(An\) ist blockiert: They asked us to stop\. Bitte/, /Von diesem Postfach wird keine E-Mail angenommen: They asked/],
      fr_FR: [/Les messages à tired@example\.org \(À\) sont bloqués : They asked us to stop\. Retirez/, /Les messages de cette boîte ne sont pas acceptés : They asked/],
      es_ES: [/El correo a tired@example\.org \(Para\) está bloqueado: They asked us to stop\. Quite/, /No se acepta correo de este buzón: They asked/],
      en_US: [/Mail to tired@example\.org \(To\) is blocked: They asked us to stop\. Remove/, /Mail from this mailbox is not accepted: They asked/],
    };
    const blocked = (to, rule) => until('the block in force', async () => {
      const { reasons } = await stack.ask('alice@example.test', to);
      return reasons?.some((reason) => reason.rule === rule);
    });
    const refused = async (to, wanted, what) => {
      await alice.compose({ to, subject: what, text: 'Dear all' });
      await alice.page.setViewportSize({ width: 360, height: 640 });
      await alice.page.evaluate(() => { rcmail.command('send', '', null, new Event('click')); });
      const { box } = await alice.refusal();
      assert.equal(await box.getAttribute('role'), 'alertdialog');
      const described = await box.getAttribute('aria-describedby');
      assert.match(await alice.page.locator(`[id="${described}"]`).innerText(), wanted, what);
      assert.ok(await tooWide(alice.page) <= 0, `${what}: not wider than the phone`);
      const { hidden, beside } = await box.evaluate((dialog) => {
        const { left, right } = dialog.getBoundingClientRect();
        const text = dialog.querySelector('.ui-dialog-content');
        return { hidden: text.scrollWidth - text.clientWidth, beside: Math.max(-left, right - window.innerWidth) };
      });
      assert.ok(hidden <= 0 && beside <= 0, `${what}: nothing is cut`);
      const found = (await violations(alice.page, '.ui-dialog')).filter((one) => !/^color-contrast .*<button[^<]*<\/button>$/.test(one));
      assert.deepEqual(found, [], what);
      if (process.env.PICTURES) await alice.page.screenshot({ path: `${process.env.PICTURES}/refused-${what}.png` });
      await alice.dismiss(box);
      assert.equal(await alice.page.inputValue('#composebody'), 'Dear all', 'what was written stays');
      await alice.page.setViewportSize({ width: 1280, height: 800 });
    };
    try {
      for (const [language, [recipient, sender]] of Object.entries(says)) {
        await alice.preference('language', language);
        stack.sendguard('block', 'tired@example.org', ...why);
        await blocked('tired@example.org', 'recipient_blocked');
        await refused('tired@example.org', recipient, `recipient-${language}`);
        stack.sendguard('unblock', 'tired@example.org', '--note', 'for this test');
        stack.sendguard('block', '--sender', 'alice@example.test', ...why);
        await blocked('bob@example.test', 'sender_blocked');
        await refused('bob@example.test', sender, `sender-${language}`);
        stack.sendguard('unblock', '--sender', 'alice@example.test', '--note', 'for this test');
      }
    } finally {
      await alice.page.setViewportSize({ width: 1280, height: 800 });
      await alice.preference('language', 'en_US');
    }
  },

  async 'all that is too much is said at once, and names with script are text'({ alice }) {
    const hostile = Array.from({ length: 101 }, (_, i) => `"<img src=x onerror=hacked=1>" <r${i}@evil.example>`);
    await alice.compose({ to: hostile.join(', '), subject: '<script>hacked=1</script>' });
    await alice.pressSend();
    const { box, text } = await alice.refusal();
    assert.match(text, /evil\.example/);
    assert.equal(await box.locator('li').count(), 3, `one line for field, domain and header: ${text}`);
    assert.equal(await box.locator('img, script').count(), 0);
    assert.equal(await alice.page.evaluate(() => typeof window.hacked), 'undefined');
    await alice.dismiss(box);
  },

  async 'a draft is not judged'({ stack, alice }) {
    const used = await stack.used('alice@example.test');
    const before = stack.guardLog().length;
    await alice.compose({ to: readers(101).join(', '), subject: 'only a draft' });
    await alice.page.click('a.save.draft, a.savedraft, a.draft');
    await until('the draft in its folder', () => stack.has('alice@example.test', 'only a draft', 'Drafts'));
    assert.doesNotMatch(stack.guardLog().slice(before), /mailbox=alice@example\.test/, 'the guard was not asked');
    assert.equal(await stack.used('alice@example.test'), used);
  },

  async 'what the mail server refuses is refunded'({ stack, alice }) {
    const before = await stack.used('alice@example.test');
    await alice.compose({ to: 'nobody-here@example.test, x@example.org', subject: 'to nobody' });
    await alice.pressSend();
    await alice.toast('Failed to add recipient');
    assert.equal(await stack.used('alice@example.test'), before);
    assert.equal(await alice.page.locator('.sendguard-refusal').count(), 0);
  },

  async 'what cannot reach the mail server is refunded'({ stack, alice }) {
    const before = await stack.used('alice@example.test');
    stack.stop('mailer');
    try {
      await alice.compose({ to: 'bob@example.test', subject: 'no mail server' });
      await alice.pressSend();
      await alice.toast('SMTP Error');
      assert.equal(await stack.used('alice@example.test'), before);
    } finally {
      stack.start('mailer');
    }
    await alice.pressSend();
    await alice.sent();
    assert.equal(await stack.used('alice@example.test'), before + 1);
  },

  async 'what another plugin stops before the mail server is refunded, what dies later stays counted'({ stack, alice }) {
    stack.addPlugin('troublemaker');
    const before = await stack.used('alice@example.test');
    await alice.compose({ to: 'bob@example.test', subject: 'refuse after the guard' });
    await alice.pressSend();
    await alice.toast('Refused by another plugin.');
    await until('the charge refunded', async () => await stack.used('alice@example.test') === before);

    await alice.compose({ to: 'bob@example.test', subject: 'die before the mail server' });
    await alice.pressSend();
    await alice.toast('Failed to reach the server');
    await until('the charge refunded', async () => await stack.used('alice@example.test') === before);

    await alice.compose({ to: 'bob@example.test', subject: 'die while talking' });
    await alice.pressSend();
    await alice.toast('Failed to reach the server');
    assert.equal(await stack.used('alice@example.test'), before + 1, 'nobody knows whether it left');
    const decisions = stack.guardLog().match(/msg=decision .*mailbox=alice@example\.test/g).length;
    assert.ok(decisions >= 3, 'each of the three was judged');
  },

  async 'without the guard the refusal is temporary, and the text is kept'({ stack, alice }) {
    const before = await stack.used('alice@example.test');
    stack.stop('guard');
    try {
      await alice.compose({ to: 'bob@example.test', subject: 'guard away', text: 'Not to be lost' });
      await alice.pressSend();
      const { box, text } = await alice.refusal();
      assert.match(text, /temporary/);
      assert.match(text, /drafts/);
      await until('the draft in its folder', () => stack.has('alice@example.test', 'guard away', 'Drafts'));
      await alice.dismiss(box);
      assert.equal(await alice.page.inputValue('#composebody'), 'Not to be lost');
    } finally {
      stack.start('guard');
    }
    await alice.pressSend();
    await alice.sent();
    await until("the message in bob's mailbox", () => stack.has('bob@example.test', 'guard away'));
    assert.equal(await stack.used('alice@example.test'), before + 1);
  },

  async 'without the guard, on_failure = allow sends'({ stack, alice }) {
    stack.pluginSettings("$config['sendguard_on_failure'] = 'allow';");
    stack.stop('guard');
    try {
      await alice.send({ to: 'bob@example.test', subject: 'allowed unjudged' });
      await until("the message in bob's mailbox", () => stack.has('bob@example.test', 'allowed unjudged'));
    } finally {
      stack.start('guard');
      stack.pluginSettings();
    }
  },

  async 'a resent message is judged'({ stack, bob }) {
    const before = await stack.used('bob@example.test');
    await bob.read('three of you');
    await bob.resend('carol@example.test');
    await until('two copies for carol', () => stack.messages('carol@example.test')
      .filter((text) => text.includes('Subject: three of you\n')).length === 2);
    assert.equal(await stack.used('bob@example.test'), before + 1);

    await bob.read('three of you');
    await bob.resend(readers(101).join(', '));
    const { box, text } = await bob.refusal();
    assert.match(text, /101/);
    await bob.dismiss(box);
    assert.equal(await stack.used('bob@example.test'), before + 1);
  },

  async 'a read receipt is judged'({ stack, alice, bob }) {
    await alice.send({ to: 'bob@example.test', subject: 'please confirm', receipt: true });
    await until("the message in bob's mailbox", () => stack.has('bob@example.test', 'please confirm'));
    const before = await stack.used('bob@example.test');
    await bob.read('please confirm');
    await bob.page.locator('.ui-dialog button.mainaction.send').click();
    await until("the receipt in alice's mailbox", () => stack.messages('alice@example.test')
      .some((text) => text.includes('disposition-notification')));
    assert.equal(await stack.used('bob@example.test'), before + 1);
  },
};
