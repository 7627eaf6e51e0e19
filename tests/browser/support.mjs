// How support finds whom a call is about.
import assert from 'node:assert/strict';
import { assertKind, withVisitor } from './desk.mjs';
import { until } from './stack.mjs';

const bobs = 'bob@example.test';

const shown = (page, picture) => process.env.PICTURES && page.screenshot({ path: `${process.env.PICTURES}/${picture}.png`, fullPage: true });

// Suspends by the shell, for a cause that ends by itself.
const suspend = (stack, ...mailboxes) => stack.sendguard('suspend', ...mailboxes, '--cause', 'terms', '--for', '24h', '--note', 'for this test');

// Sends by the webmail's endpoint; the answer's status.
async function submit(stack, mailbox, ip) {
  const answer = await fetch(`http://127.0.0.1:${stack.ports.submissions_port}/sendguard/submissions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ mailbox, ip, from: mailbox, to: ['x@example.org'] }),
  });
  return answer.status;
}

// Stopped for too much mail, all from that address.
async function exceed(stack, mailbox, ip) {
  stack.sendguard('limit', mailbox, 'messages_per_day=2', '--note', 'for this test');
  await until('the limit in force', async () => (await stack.ask(mailbox)).windows.some((one) => one.rule === 'messages_per_day' && one.limit === 2));
  while (await submit(stack, mailbox, ip) === 200);
}

export const afresh = true;
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

  async 'five calls are answered from the desk alone, in few pages'({ stack }) {
    const [alone, locked, twenty] = ['dana@example.test', 'erin@example.test', Array.from({ length: 20 }, (_, i) => `choir${i}@example.test`)];
    await exceed(stack, alone, '203.0.113.7');
    await exceed(stack, locked, '198.51.100.77');
    for (const mailbox of twenty) await submit(stack, mailbox, '192.0.2.20');
    suspend(stack, ...twenty);
    await withVisitor(stack, {}, async (staff) => {
      let pages = 0;
      await staff.signIn();
      await staff.page.waitForURL(/\/desk\/$/);
      staff.page.on('framenavigated', (frame) => { pages += frame === staff.page.mainFrame(); });
      const call = async (what, most, walk) => {
        pages = 0;
        await walk();
        assert.ok(pages <= most, `${what}: ${pages} pages`);
      };
      const find = async (mailbox) => { await staff.search(mailbox); await staff.page.waitForURL(/mailboxes/); };

      await call('"why?"', 1, async () => {
        await find(alone);
        assert.match(await staff.text('.say'), /paused until .+The reason: too much mail[\s\S]+keep trying/);
        assert.match(await staff.text('.call'), /In 30 days\s+too much mail: 1/);
        await assertKind(staff.page, 'the call card');
        await shown(staff.page, 'call-1280');
      });
      await call('"until when?"', 1, async () => {
        await find(alone);
        assert.match(await staff.text('.say'), /paused until \w+day \d\d:\d\d\..+ends by itself/);
      });
      await call('"it was not me"', 3, async () => {
        await find(locked);
        assert.match(await staff.text('.call'), /198\.51\.100\.77: 3 messages, last (\w+day )?\d\d:\d\d, new: first seen/);
        await staff.preview('lock', 'it was not her');
        await staff.confirm();
        assert.match(await staff.text('h1'), /Locked until the password was changed/);
        assert.match(await staff.text('.say'), /stopped[\s\S]+Change it from a device that you trust/);
      });
      await call('"there are twenty of us"', 4, async () => {
        await staff.page.getByRole('link', { name: 'Suspended', exact: true }).click();
        await staff.page.locator('dl.facts').getByRole('link', { name: '192.0.2.20' }).click();
        await staff.page.waitForURL(/network=192/);
        await staff.page.locator('#many-note').fill('the choir called');
        await staff.page.locator('button[name=all]').click();
        await staff.page.locator('form:has([name=confirm])').waitFor();
        assert.match(await staff.text(), /20 will be able to send\./);
        await staff.page.locator('form:has([name=confirm]) button.button-primary').click();
        await staff.page.locator('main [role=status]').waitFor();
      });
      stack.sendguard('lift', alone, '--note', 'promised to stop');
      assert.equal(await submit(stack, alone, '203.0.113.7'), 403);
      await call('"you have lifted it and it is back"', 3, async () => {
        await find(alone);
        assert.match(await staff.text('.call .note'), /Lifted .+ by .+promised to stop[\s\S]+Suspended again since .+too much mail[\s\S]+counts were not reset/);
        await assertKind(staff.page, 'the call card of one that is back');
        await shown(staff.page, 'call-back-1280');
        await staff.preview('lift', 'it came back for the counts');
        await staff.page.getByRole('button', { name: /Lift.*reset/i }).click();
        await staff.page.locator('main [role=status]').waitFor();
        assert.match(await staff.text('.say'), /You can send/);
      });
    });
    await withVisitor(stack, { locale: 'de-DE', viewport: { width: 390, height: 800 } }, async (staff) => {
      await staff.signIn();
      await staff.search(locked);
      await staff.page.waitForURL(/mailboxes/);
      assert.match(await staff.text('.say'), /angehalten/);
      await assertKind(staff.page, 'the call card on a phone, in German');
      await shown(staff.page, 'call-390');
    });
    stack.sendguard('reopen', locked, '--note', 'the end of this test');
  },
};
