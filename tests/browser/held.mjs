// Mail at an unusual rate waits: what the postmaster sees and answers, and what its user reads.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assertKind, withVisitor } from './desk.mjs';
import { hurry, lift, park, pause, visit } from './parked.mjs';

const known = fileURLToPath(new URL('../../tools/stack/known', import.meta.url));

function send(stack, mailbox, address, to) {
  execFileSync('swaks', ['--server', `127.0.0.1:${stack.ports.smtp_port}`, '--local-interface', address, '--auth', 'PLAIN',
    '--auth-user', mailbox, '--auth-password', 'secret', '--from', mailbox, '--to', to], { stdio: 'ignore' });
}

// A mailbox of eight days, of which messages wait.
function holds(stack, mailbox) {
  send(stack, mailbox, '127.0.0.1', 'ok@sink.test');
  execFileSync(known, [stack.dir, mailbox, '8']);
  const strangers = Array.from({ length: 41 }, (_, number) => `stranger${number}@sink.test`);
  send(stack, mailbox, '127.0.0.9', strangers.join(','));
  send(stack, mailbox, '127.0.0.9', 'ok1@sink.test');
}

async function answers(staff, action, width, shown) {
  await staff.page.locator('[name=note]').first().fill('Angerufen');
  await staff.page.locator(`button[name=action][value=${action}]`).first().click();
  await assertKind(staff.page, `the preview of ${action} at ${width}`);
  await shown(action);
  assert.match(await staff.text(), /2 Nachrichten warten seit/);
  if (action === 'release') assert.match(await staff.text(), /in einer Stunde 43 neuen Menschen zu schreiben/);
  await staff.page.locator('form[action$="/held"] button[type=submit]').click();
}

export const afresh = true;
export const settings = ['unusual.mode=hold'];

export const tests = {
  async 'it was them, or it was not: asked for, shown before, and done'({ stack }) {
    for (const [width, mailbox, action, done] of [[1280, 'alice@example.test', 'release', /sind freigegeben/],
      [390, 'bob@example.test', 'reject', /gesperrt, und die Nachrichten sind gelöscht/]]) {
      holds(stack, mailbox);
      await withVisitor(stack, { locale: 'de-DE', viewport: { width, height: 900 } }, async (staff) => {
        const shown = (name) => process.env.PICTURES
          && staff.page.screenshot({ path: `${process.env.PICTURES}/held-${name}-${width}.png`, fullPage: true });
        await staff.signIn();
        assert.match(await staff.text(), /warten auf Ihre Antwort: 2 von 1 Postfach/);
        await staff.go(`mailboxes/${mailbox}`);
        assert.match(await staff.text('.say'), /wartet, bis wir wissen/);
        assert.match(await staff.text(), /angenommen, angehalten, ungewöhnlich viel/);
        await staff.go('held');
        await assertKind(staff.page, `held mail at ${width}`);
        await shown('list');
        assert.match(await staff.text(), /schrieb dieses Postfach an 42 Personen/);
        await answers(staff, action, width, shown);
        assert.match(await staff.text(), done);
        assert.match(await staff.text(), /Nichts wartet/);
        await shown('done');
        if (action === 'release') return;
        const { status_url: url } = await stack.ask(mailbox, 'x@example.org');
        await staff.page.goto(url);
        await assertKind(staff.page, 'the status page of who had his mail deleted');
        assert.match(await staff.text(), /2 Ihrer Nachrichten wurden gelöscht und nicht gesendet/);
        await shown('deleted');
      });
      assert.deepEqual(JSON.parse(stack.sendguard('held', '--json')), []);
    }
  },

  async 'without the helper the page says what to type; its user reads what waits'({ stack, carol }) {
    holds(stack, 'carol@example.test');
    await carol.send({ to: 'ok2@sink.test', subject: 'Waits too' });
    const told = carol.page.locator('#messagestack .sendguard-held');
    await told.locator('a[href*="/status?"]').waitFor();
    assert.match(await told.innerText(), /waits until the postmaster has looked at it/);
    assert.ok(await told.evaluate((text) => text.scrollWidth <= text.clientWidth
      && text.getBoundingClientRect().right <= window.innerWidth), 'all of it can be read');
    pause(stack);
    await park(carol, { to: 'ok3@sink.test', subject: 'Parked before' });
    lift(stack);
    hurry(stack);
    await visit(carol);
    const parked = carol.page.locator('#messagestack .warning', { hasText: 'Parked before' });
    assert.match(await parked.innerText(), /waits until the postmaster has looked at it/);
    await carol.go('?_task=settings&_action=plugin.sendguard');
    assert.match(await carol.page.locator('.sendguard-status').innerText(), /4 of your messages have been waiting since .*: our postmaster/);
    if (process.env.PICTURES) await carol.page.screenshot({ path: `${process.env.PICTURES}/held-settings.png` });
    stack.stop('postqueue');
    try {
      await withVisitor(stack, { viewport: { width: 390, height: 900 } }, async (staff) => {
        const { status_url: url } = await stack.ask('carol@example.test', 'x@example.org');
        await staff.page.goto(url);
        await assertKind(staff.page, 'the status page');
        assert.match(await staff.text(), /4 of your messages have been waiting since/);
        if (process.env.PICTURES) await staff.page.screenshot({ path: `${process.env.PICTURES}/held-status.png`, fullPage: true });
        await staff.signIn();
        await staff.go('held');
        await staff.page.locator('[name=note]').first().fill('rang her');
        await staff.page.locator('button[name=action][value=release]').click();
        await assertKind(staff.page, 'commands at 390');
        if (process.env.PICTURES) await staff.page.screenshot({ path: `${process.env.PICTURES}/held-commands.png`, fullPage: true });
        for (const command of await staff.page.locator('main code').allInnerTexts())
          execFileSync('bash', ['-c', command], { stdio: 'ignore' });
        await staff.page.locator('form[action$="/held"] button[type=submit]').click();
        assert.match(await staff.text(), /The messages are released/);
      });
    } finally {
      stack.start('postqueue');
    }
  },
};
