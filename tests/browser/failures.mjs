// A domain whose mail fails: what its users read, and what staff sees and does. The mail goes through
// Postfix to a server that answers by name (tools/stack/sink).
import assert from 'node:assert/strict';
import { assertKindUnfolded, withVisitor } from './desk.mjs';
import { until } from './stack.mjs';

// The domain is near the limit of SMTP, which nobody here uses, so that the desk shows who sends.
export const settings = ['failures.at_least=3', 'limits.webmail.messages_per_hour_per_domain=100',
  'limits.smtp.messages_per_hour_per_domain=2'];

const carols = 'carol@example.test';

function failures(stack) { return JSON.parse(stack.sendguard('show', '@example.test', '--json')).failures; }

const assertKind = (page, what) => assertKindUnfolded(page, what, `failures-${what}`);

export const tests = {
  async 'mail that fails pauses a domain; its user reads why and what to do, in each language, on a phone too'({ stack, carol }) {
    await carol.send({ to: 'nobody1@sink.test, nobody2@sink.test, nobody3@sink.test', subject: 'to an old list' });
    await carol.send({ to: 'nobody4@sink.test, nobody5@sink.test, nobody6@sink.test', subject: 'to an old list again' });
    await until('the domain to be blocked', () => failures(stack).blocked_until);
    const { status_url } = await stack.ask(carols);
    const wanted = {
      en: [/^Sending is paused until/, /all mailboxes of example\.test/, /remove the addresses that do not exist/],
      de: [/^Senden ist pausiert bis/, /alle Postfächer von example\.test/, /Streichen Sie die Adressen, die es nicht gibt/],
      fr: [/^L’envoi est en pause\s; fin\s: (\p{L}+ )?\d/u, /toutes les boîtes de example\.test/, /retirez les adresses qui n’existent pas/],
      es: [/^El envío está en pausa; termina: (\p{L}+ )?\d/u, /todos los buzones de example\.test/, /quite las direcciones que no existen/],
    };
    for (const [locale, [heading, ...sentences]] of Object.entries(wanted)) {
      for (const [width, colorScheme] of locale === 'en' ? [[320, 'light'], [1280, 'dark']] : [[320, 'dark']]) {
        await withVisitor(stack, { locale, colorScheme, viewport: { width, height: 800 } }, async ({ page }) => {
          await page.goto(status_url);
          assert.match(await page.locator('h1').innerText(), heading);
          const text = await page.locator('main').innerText();
          for (const sentence of sentences) assert.match(text, sentence);
          assert.match(text, /Domain example\.test has exceeded the max defers and failures per hour allowed/);
          assert.doesNotMatch(text, /bob@|alice@|nobody\d|\{\{/);
          assert.match(await page.locator('#support-text').inputValue(), /\d+ .* \d+/);
          await assertKind(page, `status-${locale}-${width}`);
        });
      }
    }
  },

  async 'who made none of it is told so, and reads no advice for who did'({ stack, bob }) {
    await bob.go('?_task=settings&_action=plugin.sendguard');
    assert.match(await bob.page.locator('.sendguard-status').innerText(),
      /Mail from example\.test to \d+ of \d+ recipients failed[^]*Perhaps none of it was yours/);
    const { status_url } = await stack.ask('bob@example.test');
    await withVisitor(stack, {}, async ({ page }) => {
      await page.goto(status_url);
      const text = await page.locator('main').innerText();
      assert.match(text, /Nothing of it came from your mailbox/);
      assert.doesNotMatch(text, /remove the addresses|take it off your lists/);
    });
  },

  async 'the desk shows it first, with its numbers, on every screen'({ stack }) {
    for (const width of [360, 1280]) {
      await withVisitor(stack, { viewport: { width, height: 800 } }, async (visitor) => {
        await visitor.signIn();
        await assertKind(visitor.page, `home-${width}`);
        await visitor.page.getByLabel('Blocked because mail failed').getByRole('link', { name: '@example.test' }).click();
        const text = await visitor.text();
        assert.match(text, /Blocked until .*: mail failed/);
        assert.match(text, /@example\.test: mail to \d+ of \d+ recipients failed or was deferred/);
        assert.match(text, /This address does not exist[^]*carol@example\.test/);
        assert.match(text, /Who sent in the last hour[^]*near its limit of messages an hour[^]*carol@example\.test/);
        await assertKind(visitor.page, `domain-${width}`);
        await visitor.go(`mailboxes/${carols}`);
        assert.match(await visitor.text('h1'), /^Blocked until/);
        await assertKind(visitor.page, `mailbox-${width}`);
      });
    }
  },

  async 'staff lifts it by the keyboard alone, sees before what follows, and the user sends'({ stack, carol }) {
    await withVisitor(stack, {}, async (visitor) => {
      const { page } = visitor;
      await visitor.signIn();
      await visitor.go('domains/example.test');
      await page.locator('#lift-note').focus();
      await page.keyboard.type('list is clean');
      await page.keyboard.press('Enter');
      await page.locator('form:has([name=confirm])').waitFor();
      const text = await visitor.text();
      assert.match(text, /Now[^]*blocked: mail failed[^]*would be refused[^]*Afterwards[^]*can send[^]*would be sent/);
      assert.match(text, /@example\.test: otherwise blocked until/);
      await assertKind(page, 'preview');
      await page.getByRole('button', { name: 'Lift the block' }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('status').filter({ hasText: 'The block is lifted.' }).waitFor();
      assert.match(await visitor.text(), /Blocks of the last 7 days[^]*lifted by staff/);
      await assertKind(page, 'lifted');
      await visitor.go('audit');
      assert.match(await visitor.text(), /@example\.test[^]*list is clean/);
    });
    assert.equal(failures(stack).blocked_until, null);
    await carol.send({ to: 'bob@example.test', subject: 'the block is lifted' });
    await until('the message', () => stack.has('bob@example.test', 'the block is lifted'));
  },
};
