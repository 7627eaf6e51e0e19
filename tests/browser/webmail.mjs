// Roundcube as a user sees it: signing in, writing, sending, reading.
import { newContext } from './chromium.mjs';

export class Webmail {
  static async open(url, mailbox) {
    const webmail = new Webmail();
    webmail.url = url;
    webmail.mailbox = mailbox;
    webmail.context = await newContext({ viewport: { width: 1280, height: 800 } });
    webmail.context.setDefaultTimeout(60000);
    webmail.page = await webmail.context.newPage();
    webmail.errors = [];
    webmail.page.on('pageerror', (error) => webmail.errors.push(error.message));
    await webmail.signIn();
    return webmail;
  }

  async signIn() {
    await this.page.goto(this.url);
    await this.page.fill('#rcmloginuser', this.mailbox);
    await this.page.fill('#rcmloginpwd', 'secret');
    await this.page.click('#rcmloginsubmit');
    await this.page.waitForSelector('#messagelist-content');
  }

  close() { return this.context.close(); }

  async go(query) {
    // A compose window would ask whether to leave its text behind.
    await this.page.evaluate(() => { window.onbeforeunload = null; window.rcmail && (rcmail.env.exit_warning = false); });
    await this.page.goto(this.url + query);
    await this.idle();
  }

  idle() {
    return this.page.waitForFunction(() => window.rcmail && rcmail.loaded && !rcmail.busy);
  }

  // fields: to, cc, bcc as typed, subject, text, receipt
  async compose(fields) {
    // Requests of the list that was just shown write the session too, and on a
    // busy machine Roundcube then forgets the new window; it offers another itself.
    for (let tries = 0; tries < 3; tries += 1) {
      await this.go('?_task=mail&_action=compose');
      await this.page.waitForSelector('#composebody, .error-title');
      if (await this.page.locator('#composebody').count()) break;
    }
    await this.page.evaluate((values) => {
      for (const name of ['to', 'cc', 'bcc']) {
        if (values[name]) $(`#_${name}`).val(values[name]).trigger('change');
      }
      $('#compose-subject').val(values.subject);
      $('#composebody').val(values.text || 'Hello.');
      if (values.receipt) $('[name="_mdn"]').prop('checked', true).trigger('change');
    }, fields);
  }

  pressSend() { return this.page.click('button.send'); }

  // The list of messages comes back once the message is sent.
  async sent() { await this.page.waitForSelector('#messagelist-content'); }

  async send(fields) {
    await this.compose(fields);
    await this.pressSend();
    await this.sent();
  }

  // The plugin's dialog: its text and where it is.
  async refusal() {
    const box = this.page.locator('.ui-dialog:has(.sendguard-refusal)');
    await box.waitFor();
    return { box, text: await box.innerText() };
  }

  async dismiss(box) {
    await box.locator('button.mainaction').click();
    await box.waitFor({ state: 'detached' });
  }

  // One of Roundcube's own settings of this user.
  async preference(name, value) {
    const section = { mdn_requests: 'mailview', language: 'general' }[name];
    await this.go(`?_task=settings&_action=edit-prefs&_section=${section}&_framed=1`);
    await this.page.selectOption(`[name="_${name}"]`, String(value));
    await Promise.all([this.page.waitForNavigation(), this.page.evaluate(() => { rcmail.command('save'); })]);
    // With another language the page loads itself anew in half a second, once: not any more.
    await this.page.goto('about:blank').catch(() => this.page.goto('about:blank'));
  }

  toast(text) { return this.page.locator('#messagestack > div', { hasText: text }).first().waitFor(); }

  // Uid of the message with this subject in the inbox.
  async uidOf(subject) {
    await this.go('?_task=mail&_mbox=INBOX');
    const found = await this.page.waitForFunction((wanted) => {
      const rows = Object.values(rcmail.message_list?.rows ?? {});
      return rows.find((row) => row.obj.innerText.includes(wanted))?.uid;
    }, subject);
    return found.jsonValue();
  }

  async read(subject) {
    const uid = await this.uidOf(subject);
    await this.go(`?_task=mail&_mbox=INBOX&_action=show&_uid=${uid}`);
  }

  // Resends the message that is open.
  async resend(to) {
    await this.page.evaluate(() => { rcmail.command('bounce', '', null, new Event('click')); });
    const frame = this.page.frameLocator('.ui-dialog iframe');
    await frame.locator('form').first().waitFor();
    await this.page.waitForFunction(() => document.querySelector('.ui-dialog iframe').contentWindow.rcmail?.loaded);
    await frame.locator('body').evaluate((body, text) => {
      body.ownerDocument.defaultView.$('#_to').val(text).trigger('change');
    }, to);
    await this.page.locator('.ui-dialog-buttonpane button.mainaction').click();
  }
}
