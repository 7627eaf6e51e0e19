// Complaints about a user's mail: what the user reads, and what staff sees and does. The reports go through
// Postfix (tools/stack/complain).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assertKindUnfolded, withVisitor } from './desk.mjs';
import { until } from './stack.mjs';

const program = fileURLToPath(new URL('../../tools/stack/complain', import.meta.url));
const bobs = 'bob@example.test';

function complain(stack, ...words) { execFileSync(program, [stack.dir, ...words], { stdio: ['ignore', 'ignore', 'inherit'] }); }

function complaints(stack, ...words) { return JSON.parse(stack.sendguard('complaints', ...words, '--json')); }

const assertKind = (page, what) => assertKindUnfolded(page, what, `complaints-${what}`);

export const tests = {
  async 'complaints suspend; the user reads about which messages, in each language, on a phone too'({ stack }) {
    complain(stack, bobs, '--as', 'stranger.test', '1');
    complain(stack, bobs, '2');
    await until('bob to be suspended', () => JSON.parse(stack.sendguard('show', bobs, '--json')).suspension);
    const { status_url } = await stack.ask(bobs);
    const wanted = {
      en: [/Complaints about your mail/, /1 report of a mailbox provider/, /1 report of somebody else/],
      de: [/Beschwerden über Ihre Mail/, /1 Meldung eines Mailanbieters/, /1 Meldung von jemand anderem/],
      fr: [/Plaintes sur votre courrier/, /1 signalement d’un fournisseur de messagerie/, /1 signalement d’une autre personne/],
      es: [/Quejas sobre su correo/, /1 aviso de un proveedor de correo/, /1 aviso de otra persona/],
    };
    for (const [locale, sentences] of Object.entries(wanted)) {
      for (const [width, colorScheme] of locale === 'en' ? [[320, 'light'], [1280, 'dark']] : [[320, 'dark']]) {
        await withVisitor(stack, { locale, colorScheme, viewport: { width, height: 800 } }, async ({ page }) => {
          await page.goto(status_url);
          const text = await page.locator('main').innerText();
          for (const sentence of sentences) assert.match(text, sentence);
          assert.doesNotMatch(text, /carol@|loop\.test|stranger\.test|\{\{/);
          await assertKind(page, `status-${locale}-${width}`);
        });
      }
    }
  },

  async 'staff sees why each counts or not, on every screen'({ stack }) {
    for (const width of [320, 1280]) {
      await withVisitor(stack, { viewport: { width, height: 800 } }, async (visitor) => {
        await visitor.signIn();
        await visitor.go(`mailboxes/${bobs}`);
        await visitor.page.getByRole('link', { name: 'Complaints' }).click();
        const text = await visitor.text();
        assert.match(text, /loop\.test[^]*another mail server/);
        assert.match(text, /sent before a suspension for complaints ended/);
        await assertKind(visitor.page, `mailbox-${width}`);
      });
    }
  },

  async 'a report that waits stands on the first page; staff counts it and drops another'({ stack }) {
    complain(stack, 'alice@example.test', '2', '--as', '');
    await until('the reports to wait', () => complaints(stack).length === 2);
    for (const width of [320, 1280]) {
      await withVisitor(stack, { viewport: { width, height: 800 } }, async (visitor) => {
        await visitor.signIn();
        await assertKind(visitor.page, `home-${width}`);
        await visitor.page.getByRole('link', { name: 'of complaints wait' }).click();
        assert.match(await visitor.text(), /who sent it is not known[^]*alice@example\.test/);
        await assertKind(visitor.page, `reports-${width}`);
      });
    }
    await withVisitor(stack, {}, async (visitor) => {
      await visitor.signIn();
      for (const button of ['Count as a complaint', 'Drop']) {
        await visitor.go('complaints');
        await visitor.page.locator('details.action summary').first().click();
        await visitor.page.locator('details.action [name=note]').first().fill('asked her');
        await visitor.page.getByRole('button', { name: button }).first().click();
        await visitor.page.locator('main [role=status]').waitFor();
      }
      assert.match(await visitor.text(), /No report waits/);
      await assertKind(visitor.page, 'dealt-with');
    });
    const [counted, ...others] = complaints(stack, 'alice@example.test');
    assert.deepEqual([counted.source, counted.counted, others.length], ['staff', true, 0]);
  },
};
