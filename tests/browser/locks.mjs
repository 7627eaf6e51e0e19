// A stranger has the password of a mailbox: what staff see and do at the desk, and what its user reads.
import assert from 'node:assert/strict';
import { assertKind, withVisitor } from './desk.mjs';

const mailbox = 'dora@example.test';
const because = ['--note', 'for this test'];

async function shown({ page }, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/lock-${name}.png`, fullPage: true });
}

const lockOf = (stack) => JSON.parse(stack.sendguard('show', mailbox, '--json')).lock;

export const tests = {
  async 'support locks a mailbox, on a phone and by keyboard, and opens it again with the list done'({ stack }) {
    await withVisitor(stack, { viewport: { width: 390, height: 844 } }, async (staff) => {
      const { page } = staff;
      await staff.signIn();
      await staff.search(mailbox);
      await page.getByText('Lock: a stranger has the password').focus();
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      assert.equal(await page.locator('#lock-scope').evaluate((one) => one === document.activeElement), true);
      await page.keyboard.press('Tab');
      await page.keyboard.type('spam from abroad');
      await assertKind(page, 'the form of a lock at 390');
      await shown(staff, 'form-390');
      await page.keyboard.press('Enter');
      await page.locator('[name=confirm]').waitFor({ state: 'attached' });
      assert.match(await staff.text(), /Locked since[^]*nobody can sign in, and nothing is sent\. This is the first offence/);
      assert.equal(lockOf(stack).phase, 'none', 'a preview does nothing');
      await assertKind(page, 'the preview of a lock');
      await shown(staff, 'preview-390');
      await staff.confirm();
      assert.match(await staff.text('.state'), /nobody can sign in[^]*No sign-in has shown yet/);
      await assertKind(page, 'a locked mailbox at 390');
      await shown(staff, 'locked-390');
      assert.equal(lockOf(stack).scope, 'login');
      await page.setViewportSize({ width: 1280, height: 900 });
      await assertKind(page, 'a locked mailbox');
      await shown(staff, 'locked');

      await staff.preview('lift', 'a mistake?');
      assert.match(await staff.text('main'), /Ends the lock as our own mistake/);
      await assertKind(page, 'the preview of a lift');
      await shown(staff, 'lift');
      await staff.search(mailbox);

      const form = page.locator('form:has([name=action][value=reopen])');
      await form.locator('[name=check_password]').focus();
      for (const box of ['password', 'rules', 'sessions', 'device']) {
        assert.equal(await page.evaluate(() => document.activeElement.name), `check_${box}`);
        await page.keyboard.press('Space');
        await page.keyboard.press('Tab');
      }
      await page.keyboard.type('she came by');
      await form.locator('[name=check_device]').uncheck();
      await form.evaluate((one) => { one.noValidate = true; });
      await form.locator('button').click();
      assert.match(await staff.text('.problem'), /Done before it is opened: expected all four/);
      await assertKind(page, 'a list that is not done');
      await shown(staff, 'unchecked');
      await page.locator('[name=check_device]').check();
      await page.locator('main form button').click();
      await page.locator('[name=confirm]').waitFor({ state: 'attached' });
      await assertKind(page, 'the preview of opening');
      await shown(staff, 'reopen');
      await staff.confirm();
      assert.match(await staff.text('h1'), /Can send/);
      assert.match(await staff.text(), /Opened again after a lock/);
      assert.match(await staff.text('.timeline'), /opened again; all four points confirmed/);
      await shown(staff, 'reopened');
    });
  },

  async 'a second offence closes; support opens nothing, an administrator does, without JavaScript'({ stack }) {
    stack.sendguard('lock', mailbox, ...because);
    stack.sendguardInput('only-for-support\n', 'staff', 'add', 'susan', '--role', 'support', '--note', 'for this test');
    await withVisitor(stack, { javaScriptEnabled: false }, async (staff) => {
      await staff.signIn('susan', 'only-for-support');
      await staff.search(mailbox);
      assert.match(await staff.text('.state'), /It is closed: a changed password does not open it[^]*second offence/);
      assert.equal(await staff.page.locator('[name=action][value=open]').count(), 0);
    });
    await withVisitor(stack, { javaScriptEnabled: false }, async (staff) => {
      await staff.signIn();
      await staff.search(mailbox);
      const form = staff.page.locator('form:has([name=action][value=open])');
      for (const box of await form.locator('[type=checkbox]').all()) await box.check();
      await form.locator('[name=note]').fill('talked to her');
      await form.locator('button').click();
      await staff.confirm();
      assert.match(await staff.text('h1'), /Can send/);
    });
    assert.equal(lockOf(stack).phase, 'reopened');
  },

  async 'the page of a locked mailbox is clean in all languages'({ stack }) {
    stack.sendguard('lock', mailbox, ...because);
    for (const locale of ['en', 'de', 'fr', 'es']) {
      await withVisitor(stack, { locale, viewport: { width: 390, height: 844 } }, async (staff) => {
        await staff.signIn();
        await staff.search(mailbox);
        for (const details of await staff.page.locator('details').all()) await details.evaluate((one) => { one.open = true; });
        await assertKind(staff.page, `a locked mailbox, ${locale}`);
        await shown(staff, `${locale}-390`);
      });
    }
    stack.sendguard('lift', mailbox, ...because);
  },
};
