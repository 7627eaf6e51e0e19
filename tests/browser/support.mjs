// How support finds whom a call is about.
import assert from 'node:assert/strict';
import { assertKind, withVisitor } from './desk.mjs';

const bobs = 'bob@example.test';

const shown = (page, picture) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/${picture}.png`, fullPage: true });

// Suspends by the shell, for a cause that ends by itself.
const suspend = (stack, ...mailboxes) => stack.sendguard('suspend', ...mailboxes, '--cause', 'terms', '--for', '24h', '--note', 'for this test');

export const tests = {
  async 'a search forgives: a part, a text that is pasted, a network, a name that is not known'({ stack, bob }) {
    await bob.send({ to: 'x@example.org', subject: 'to be found' });
    const { decisions: [{ decision, ip }] } = JSON.parse(stack.sendguard('log', bobs, '--json'));
    for (const [locale, width, meant] of [['en-GB', 1280, 'Did you mean …'], ['de-DE', 390, 'Meinten Sie …']]) {
      await withVisitor(stack, { locale, viewport: { width, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] }, async (staff) => {
        await staff.signIn();
        await staff.page.evaluate((text) => navigator.clipboard.writeText(text), `From: ${bobs}\nSubject: help!\n\n550 refused, see http://x.test/sending/r/${decision}\nThank you`);
        await staff.page.locator('main input[name=q]').press('Control+V');
        await staff.page.locator('main input[name=q]').press('Enter');
        await staff.page.waitForURL(/decisions/);
        assert.ok((await staff.text('h1')).includes(decision), 'the link in what was pasted');
        const exact = new RegExp(`\\d{1,2}\\.? \\S+ 20\\d\\d,? \\d\\d:\\d\\d:\\d\\d \\(UTC\\)`);
        assert.match(await staff.text('.facts'), exact, 'the full moment and its zone');
        await assertKind(staff.page, `a decision, ${locale}`);
        await staff.search('bob@exmaple.test');
        assert.equal(await staff.text('h2'), meant);
        await assertKind(staff.page, `did you mean, ${locale}`);
        await shown(staff.page, `search-meant-${width}`);
        await staff.page.locator('main').getByRole('link', { name: bobs }).first().press('Enter');
        await staff.page.waitForURL(/mailboxes/);
        assert.match(await staff.text('.lead'), new RegExp(bobs));
        await staff.search(`${ip.replace(/\d+$/, '')}0/24`);
        assert.ok((await staff.text()).includes(ip));
        await assertKind(staff.page, `a network, ${locale}`);
        await staff.search('nobody.here@elsewhere.test');
        assert.doesNotMatch(await staff.text('h1'), /Can send|Kann senden/);
        assert.match(await staff.text('h1'), /known|bekannt/);
        await assertKind(staff.page, `a mailbox never seen, ${locale}`);
        await shown(staff.page, `search-unseen-${width}`);
        await staff.go('');
        assert.match(await staff.text('.looked'), new RegExp(`nobody\\.here@elsewhere\\.test[\\s\\S]*${bobs}[\\s\\S]*${decision}`));
        assert.match(await staff.text('footer'), /Europe\/Berlin/);
        await assertKind(staff.page, `the first screen, ${locale}`);
        await shown(staff.page, `home-looked-${width}`);
      });
    }
  },

  async 'many are lifted for one reason: what they have in common, one preview, one batch'({ stack, carol }) {
    await carol.send({ to: 'x@example.org', subject: 'before it was stopped' });
    const carols = 'carol@example.test', users = Array.from({ length: 5 }, (_, i) => `user${i}@example.test`);
    for (const [locale, width] of [['en-GB', 1280], ['de-DE', 390]]) {
      suspend(stack, carols, ...users);
      await withVisitor(stack, { locale, viewport: { width, height: 900 } }, async (staff) => {
        await staff.signIn();
        await staff.go('suspended');
        await assertKind(staff.page, `the suspended, ${locale}`);
        await shown(staff.page, `suspended-${width}`);
        assert.match(await staff.text('tbody'), /\(in 2[34] (h|Std\.)/);
        assert.match(await staff.text('dl.facts'), /user#@example\.test \(5\)/);
        await staff.page.getByRole('link', { name: 'user#@example.test' }).press('Enter');
        await staff.page.waitForURL(/name=user%23/);
        assert.equal(await staff.page.locator('tbody tr').count(), 5);
        await staff.page.locator('#many-note').fill('an outage');
        const boxes = staff.page.locator('tbody input[type=checkbox]');
        await staff.page.locator('input[data-boxes]').press('Space');
        await boxes.first().press('Space');
        await staff.page.locator('button.button-primary:not([name])').last().press('Enter');
        await staff.page.locator('form:has([name=confirm])').waitFor();
        assert.match(await staff.text(), /\b4 (will be able to send|können dann senden)/);
        await assertKind(staff.page, `what many lifts would do, ${locale}`);
        await shown(staff.page, `lifts-${width}`);
        await staff.page.locator('form:has([name=confirm]) button.button-primary').press('Enter');
        await staff.page.locator('main [role=status]').waitFor();
        await assertKind(staff.page, `many lifts, ${locale}`);
        await staff.page.locator('a[href*="audit?text=batch"]').press('Enter');
        await staff.page.waitForURL(/audit/);
        assert.equal(await staff.page.locator('tbody tr').count(), 4);
        assert.match(await staff.text('tbody'), /an outage \[batch [0-9A-Z-]{14}\]/);
        await assertKind(staff.page, `the audit log with a filter, ${locale}`);
        await shown(staff.page, `audit-filter-${width}`);
        await staff.go('decisions?outcome=admitted');
        assert.match(await staff.text('tbody'), /carol@example\.test/);
        await assertKind(staff.page, `decisions with a filter, ${locale}`);
        await shown(staff.page, `decisions-filter-${width}`);
        // the rest, all of the list
        await staff.go('suspended?cause=terms');
        await staff.page.locator('#many-note').fill('all of it');
        await staff.page.locator('button[name=all]').click();
        await staff.page.locator('form:has([name=confirm]) button.button-primary').click();
        await staff.page.locator('main [role=status]').waitFor();
        assert.deepEqual(JSON.parse(stack.sendguard('suspended', '--json')).suspended, []);
      });
    }
  },
};
