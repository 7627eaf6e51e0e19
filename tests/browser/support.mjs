// How support finds whom a call is about.
import assert from 'node:assert/strict';
import { assertKind, withVisitor } from './desk.mjs';

const bobs = 'bob@example.test';

const shown = (page, picture) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/${picture}.png`, fullPage: true });

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
};
