// Settings > Sending status.
import assert from 'node:assert/strict';

const page = '?_task=settings&_action=plugin.sendguard';

export const tests = {
  async 'Settings show what is used, what is left, and when it is free again'({ stack, alice }) {
    await alice.send({ to: 'x@example.org, y@example.org', subject: 'two outside' });
    const used = await stack.used('alice@example.test');
    await alice.go(page);
    const day = alice.page.locator('.sendguard-window', { hasText: 'Messages in 24 hours' });
    const text = await day.innerText();
    assert.match(text, new RegExp(`\\b${used} of 600 used, ${600 - used} left`));
    assert.match(text, /free again from \d{4}-\d\d-\d\d \d\d:\d\d/);
    const meter = day.locator('meter');
    assert.equal(await meter.getAttribute('value'), String(used));
    assert.equal(await meter.getAttribute('max'), '600');
    const label = await meter.getAttribute('aria-labelledby');
    assert.equal(await alice.page.locator(`#${label}`).innerText(), 'Messages in 24 hours');
    assert.match(await alice.page.locator('.sendguard-state').innerText(), /You can send messages/);
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

  async 'each language has all texts'({ alice }) {
    const wanted = { de_DE: /Sie können Nachrichten senden/, fr_FR: /Vous pouvez envoyer/, es_ES: /Puede enviar/, en_US: /You can send/ };
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
};
