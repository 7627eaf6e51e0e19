// What became of a message: beside it in Sent, on the status page and at the desk. The mail server
// hands all for sink.test to one that answers by name (tools/stack/sink).
import assert from 'node:assert/strict';
import { Visitor, violations } from './desk.mjs';
import { until } from './stack.mjs';

const mailbox = 'carol@example.test';

async function openSent(user, subject) {
  await user.go('?_task=mail&_mbox=Sent');
  const found = await user.page.waitForFunction((wanted) => Object.values(rcmail.message_list?.rows ?? {})
    .find((row) => row.obj.innerText.includes(wanted))?.uid, subject);
  await user.go(`?_task=mail&_mbox=Sent&_action=show&_uid=${await found.jsonValue()}`);
  // The question that the page asks once it is shown; idle() is true before it.
  await user.page.waitForLoadState('networkidle');
  return user.page.locator('#sendguard-delivery');
}

// Opens it again until the log has been read that far.
async function told(user, subject, pattern) {
  await until(`${pattern} beside "${subject}"`, async () => pattern.test(await (await openSent(user, subject)).innerText()));
  return user.page.locator('#sendguard-delivery');
}

async function wide(page, selector) {
  return page.locator(selector).evaluate((one) => one.scrollWidth - one.clientWidth);
}

export const tests = {
  async 'beside a message in Sent stands which addresses failed, and what to do'({ carol }) {
    await carol.send({ to: 'ok1@sink.test, ok2@sink.test', cc: 'nobody@sink.test', bcc: 'full@sink.test', subject: 'to four' });
    const box = await told(carol, 'to four', /Delivered to 2 of 4\./);
    const text = await box.innerText();
    assert.match(text, /nobody@sink\.test: This address does not exist\. .*take it off your lists/);
    assert.match(text, /full@sink\.test: The recipient's mailbox is full/, 'the sent copy names Bcc too');
    assert.match(text, /The server said: host .* said: 550 5\.1\.1 /, 'the code once, in the words');
    assert.doesNotMatch(text, /ok1@/);
    assert.equal(await box.getAttribute('aria-live'), 'polite');
    const failed = await carol.page.locator('#message-header .sendguard-failed').evaluateAll((all) => all.map((one) => one.title));
    assert.deepEqual([...new Set(failed)].sort(), ['full@sink.test', 'nobody@sink.test']);
    assert.deepEqual(await violations(carol.page, '#sendguard-delivery'), []);
  },

  async 'in each language, on a phone too'({ carol }) {
    const wanted = { de_DE: /An 2 von 4 zugestellt/, fr_FR: /Remis à 2 sur 4/, es_ES: /Entregado a 2 de 4/, en_US: /Delivered to 2 of 4/ };
    for (const [language, sentence] of Object.entries(wanted)) {
      await carol.preference('language', language);
      await carol.page.setViewportSize({ width: 360, height: 640 });
      try {
        const text = await (await told(carol, 'to four', sentence)).innerText();
        assert.doesNotMatch(text, /\[sendguard\.|\$\w/, `no text is missing or unfilled in ${language}`);
        if (language !== 'en_US') assert.doesNotMatch(text, /This address does not exist/);
        assert.ok(await wide(carol.page, '#sendguard-delivery') <= 0, 'no wider than the phone');
      } finally {
        await carol.page.setViewportSize({ width: 1280, height: 800 });
      }
    }
  },

  async 'when all is delivered it is a small line; in other folders there is nothing'({ carol, bob }) {
    await carol.send({ to: 'bob@example.test', subject: 'to one' });
    const box = await told(carol, 'to one', /^Delivered\.$/);
    assert.equal(await box.locator('.boxerror, .boxwarning').count(), 0);
    await bob.read('to one');
    assert.equal(await bob.page.locator('#sendguard-delivery').count(), 0);
  },

  async 'who got nothing at all, or not yet, is told so'({ carol }) {
    await carol.send({ to: 'nobody@sink.test', subject: 'to nobody' });
    await told(carol, 'to nobody', /^Not delivered\.\s+Not delivered to:\s+nobody@sink\.test: /);
    await carol.send({ to: 'busy@sink.test', subject: 'to one who is busy' });
    await told(carol, 'to one who is busy', /^Not delivered yet\.\s+Not delivered yet, our mail server goes on trying:/);
  },

  async 'while the guard is away the message is shown as ever, and nothing beside it'({ stack, carol }) {
    stack.stop('web');
    try {
      const box = await openSent(carol, 'to four');
      assert.equal(await box.innerText(), '');
      assert.match(await carol.page.locator('#messagebody').innerText(), /Hello/);
      assert.equal(await carol.page.locator('#messagestack > div').count(), 0);
    } finally {
      stack.start('web');
    }
  },

  async 'Settings have the last messages, and say where to look, with a link that opens at the place'({ carol }) {
    await carol.go('?_task=settings&_action=plugin.sendguard');
    const messages = carol.page.locator('[aria-labelledby=sendguard-delivery-title] li');
    assert.match(await messages.nth(0).innerText(), / Not delivered yet\./);
    assert.match(await messages.nth(1).innerText(), / Not delivered\. This address does not exist\./);
    assert.match(await messages.nth(2).innerText(), / Delivered\./);
    assert.match(await messages.nth(3).innerText(), /Delivered to 2 of 4\. (This address does not exist|The recipient's mailbox is full), and other reasons\./);
    const link = carol.page.locator('.sendguard-status a[href$="#delivery"]');
    const [page] = await Promise.all([carol.context.waitForEvent('page'), link.click()]);
    await page.waitForLoadState();
    assert.equal(await page.locator('h2#delivery').count(), 1);
    await page.close();
  },

  async 'on the status page a pasted list is looked up, without JavaScript'({ stack }) {
    const { status_url } = await stack.ask(mailbox);
    for (const options of [{ javaScriptEnabled: false }, { viewport: { width: 320, height: 800 } }]) {
      const visitor = await Visitor.open(stack, { locale: 'en-GB', ...options });
      try {
        await visitor.page.goto(status_url);
        assert.match(await visitor.text(), /delivered to 2 of 4 · 2 failed: /);
        await visitor.page.getByText('Which addresses failed?').click();
        await visitor.page.getByLabel('Addresses, one in each line').fill('Nobody <nobody@sink.test>\nok1@sink.test');
        await visitor.page.getByRole('button', { name: 'Look them up' }).click();
        assert.match(await visitor.text(), /1 of these 2 failed[^]*nobody@sink\.test: This address does not exist/);
        assert.doesNotMatch(visitor.page.url(), /nobody/);
        if (options.viewport) {
          assert.deepEqual(await violations(visitor.page), []);
          assert.ok(await wide(visitor.page, 'html') <= 0, 'no wider than the phone');
        }
        await visitor.page.getByRole('link', { name: 'Back to the sending status' }).click();
        assert.match(await visitor.text('h1'), /You can send/);
        assert.deepEqual(visitor.errors, []);
      } finally {
        await visitor.close();
      }
    }
  },

  async 'the desk shows it for mailbox, message and domain, and axe finds nothing'({ stack }) {
    for (const width of [360, 1280]) {
      const visitor = await Visitor.open(stack, { locale: 'en-GB', viewport: { width, height: 800 } });
      const look = async (pattern) => {
        assert.match(await visitor.text(), pattern);
        assert.deepEqual(await violations(visitor.page), []);
        assert.ok(await wide(visitor.page, 'html') <= 0, `${pattern}: wider than ${width} pixels`);
      };
      try {
        await visitor.signIn();
        await visitor.go(`mailboxes/${mailbox}`);
        await look(/delivered to 2 of 4 · 2 failed: /);
        await visitor.page.getByRole('link', { name: 'All messages and sums' }).click();
        await look(/Why not delivered/);
        await visitor.page.getByText('Find an address').click();
        await visitor.page.fill('#addresses', 'full@sink.test');
        await visitor.page.getByRole('button', { name: 'Look them up' }).click();
        await look(/1 of these 1 failed[^]*mailbox is full/);
        await visitor.page.locator('li', { hasText: 'delivered to 2 of 4' }).locator('a').click();
        await look(/What became of the message[^]*This address does not exist[^]*550 5\.1\.1/);
        await visitor.go('domains/example.test');
        await look(/By destination/);
        assert.deepEqual(visitor.errors, []);
      } finally {
        await visitor.close();
      }
    }
  },
};
