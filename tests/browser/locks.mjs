// A stranger has the password of a mailbox: what staff see and do at the desk, and what its user reads.
import assert from 'node:assert/strict';
import { assertKind, tooWide, violations, withVisitor } from './desk.mjs';
import { until } from './stack.mjs';

const mailbox = 'dora@example.test';
const because = ['--note', 'for this test'];

async function shown({ page }, name) {
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/lock-${name}.png`, fullPage: true });
}

const lockOf = (stack, whose = mailbox) => JSON.parse(stack.sendguard('show', whose, '--json')).lock;

export const tests = {
  async 'support locks a mailbox, on a phone and by keyboard, and opens it again with the list done'({ stack }) {
    await withVisitor(stack, { viewport: { width: 390, height: 844 } }, async (staff) => {
      const { page } = staff;
      await staff.signIn();
      await staff.search(mailbox);
      await page.getByText('Lock: a stranger has the password').focus();
      await page.keyboard.press('Enter');
      for (const field of ['cause', 'scope']) {
        await page.keyboard.press('Tab');
        assert.equal(await page.locator(`#lock-${field}`).evaluate((one) => one === document.activeElement), true);
      }
      await page.keyboard.press('Tab');
      await page.keyboard.type('spam from abroad');
      await assertKind(page, 'the form of a lock at 390');
      await shown(staff, 'form-390');
      await page.keyboard.press('Enter');
      await page.locator('[name=confirm]').waitFor({ state: 'attached' });
      assert.match(await staff.text(), /Locked since[^]*nobody can sign in, and nothing is sent\. This is the first offence/);
      assert.equal(lockOf(stack).phase, 'none', 'a preview does nothing');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'main', 'Tab goes on behind the links of the desk');
      await assertKind(page, 'the preview of a lock');
      await shown(staff, 'preview-390');
      await staff.confirm();
      assert.match(await staff.text('.state'), /nobody can sign in[^]*Which password the stranger had is not known/);
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
      assert.match(await staff.text('.timeline'), /opened again after a lock by ada · all four points confirmed/);
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

  async '"That wasn\'t me" stops sending, then keeps everybody out, without JavaScript, and staff see it'({ stack }) {
    const emmas = 'emma@example.test';
    const { status_url: link } = await stack.ask(emmas);
    await withVisitor(stack, { javaScriptEnabled: false, viewport: { width: 390, height: 844 } }, async (user) => {
      const { page } = user;
      await page.goto(link);
      await page.locator('details', { has: page.locator('[value=lock]') }).locator('summary').click();
      await page.locator('[value=lock]').click();
      assert.match(await user.text('h1'), /Sending is stopped until our support has talked to you/);
      assert.match(await user.text(), /Keep everybody out as well\?[^]*You will not be able to sign in either[^]*nothing is lost/);
      assert.equal(lockOf(stack, emmas).phase, 'none', 'nothing more is done without the second step');
      await shown(user, 'status-second-step-390');
      await page.locator('[value=lock_signins]').focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'This mailbox is locked until its password was changed' }).waitFor();
      assert.equal(await page.locator('[value=lock_signins]').count(), 0);
    });
    assert.equal(lockOf(stack, emmas).phase, 'asked');
    for (const [locale, heading] of [['en', /locked until its password/], ['de', /gesperrt, bis sein Passwort/],
      ['fr', /verrouillée jusqu’au changement/], ['es', /bloqueado hasta que se cambie/]]) {
      await withVisitor(stack, { locale, viewport: { width: 320, height: 700 } }, async (user) => {
        await user.page.goto(link);
        assert.match(await user.text('h1'), heading);
        await assertKind(user.page, `the status page of a locked mailbox, ${locale}`);
        await shown(user, `status-${locale}-320`);
      });
    }
    await withVisitor(stack, {}, async (staff) => {
      await staff.signIn();
      await staff.search(emmas);
      assert.match(await staff.text('.state'), /Its user asked for it[^]*no offence until you lock it/);
      await assertKind(staff.page, 'a mailbox whose user keeps everybody out');
      await shown(staff, 'asked');
      await staff.preview('lock', 'confirmed by telephone');
      assert.match(await staff.text(), /nobody can sign in[^]*first offence/);
      await staff.search(emmas);
      await staff.preview('lift', 'it was her own phone');
      await staff.confirm();
    });
    assert.equal(lockOf(stack, emmas).phase, 'none');
  },

  async 'a mailbox that is locked for sending alone reads and composes in Roundcube, and is told'({ stack, carol }) {
    const carols = 'carol@example.test';
    stack.sendguard('lock', carols, '--scope', 'sending', ...because);
    await until('the lock in force', async () => (await stack.ask(carols)).verdict === 'refuse');
    await carol.compose({ to: 'bob@example.test', subject: 'locked' });
    await carol.pressSend();
    const { box, text } = await carol.refusal();
    assert.match(text, /Somebody else may know the password of this mailbox[^]*Change the password[^]*Mail still arrives/);
    assert.doesNotMatch(text, /Receiving, reading/);
    if (process.env.PICTURES) await carol.page.screenshot({ path: `${process.env.PICTURES}/lock-roundcube.png` });
    await carol.dismiss(box);
    await carol.go('?_task=settings&_action=plugin.sendguard');
    assert.match(await carol.page.locator('.sendguard-status').innerText(), /Somebody else may know the password/);
    const { status_url: link } = await stack.ask(carols);
    for (const [locale, why] of [['en', /somebody else is sending/], ['de', /jemand anderes aus diesem Postfach/], ['fr', /cette boîte/], ['es', /este buzón/]]) {
      await withVisitor(stack, { locale, viewport: { width: 320, height: 700 } }, async (user) => {
        await user.page.goto(link);
        assert.match(await user.text(), why);
        await assertKind(user.page, `the status page of one locked for sending, ${locale}`);
      });
    }
    stack.sendguard('lift', carols, ...because);
  },

  async 'who signs in to a locked mailbox reads why on the login page, with the right password alone'({ stack }) {
    const carols = 'carol@example.test';
    stack.sendguard('lock', carols, ...because);
    for (const [locale, words] of [['en-GB', /^This mailbox is locked[^]*nothing is lost[^]*support@example\.test/],
      ['de-DE', /^Dieses Postfach ist gesperrt[^]*support@example\.test/], ['fr-FR', /^Cette boîte est verrouillée[^]*support@example\.test/],
      ['es-ES', /^Este buzón está bloqueado[^]*support@example\.test/]]) {
      await withVisitor(stack, { locale, viewport: { width: 320, height: 640 } }, async ({ page }) => {
        const signIn = async (password) => {
          await page.goto(`${stack.url}?_task=login`);
          await page.fill('#rcmloginuser', carols);
          await page.fill('#rcmloginpwd', password);
          await Promise.all([page.waitForNavigation(), page.click('#rcmloginsubmit')]);
          await page.waitForSelector('#messagestack [role=alert]');
          return page.locator('#messagestack [role=alert]').allInnerTexts();
        };
        assert.ok(!(await signIn('a guess')).some((text) => words.test(text)), 'a stranger learns nothing');
        assert.ok((await signIn('secret')).some((text) => words.test(text)), locale);
        assert.deepEqual(await violations(page, '#messagestack'), [], locale);
        await shown({ page }, `login-${locale}`);
      });
    }
    stack.sendguard('lift', carols, ...because);
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
