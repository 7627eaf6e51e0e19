// page.mjs URL MAILBOX: signs in to SOGo, sends a message from its compose window, and prints what it then says.
import { endChromium, newContext } from '../browser/chromium.mjs';

const [url, mailbox] = process.argv.slice(2);
const context = await newContext({ locale: 'es-ES', viewport: { width: 1200, height: 800 } });
context.setDefaultTimeout(60000);
const page = await context.newPage();
await page.goto(url);
await page.fill('input[ng-model$=".username"]', mailbox);
await page.fill('input[type=password]', 'secret');
await page.press('input[type=password]', 'Enter');
await page.waitForURL(/\/SOGo\/so\//);
await page.goto(`${url}so/${mailbox}/Mail/view`);
// A button that moves in; a click that comes too early finds nothing.
const button = page.locator('button[ng-click*="newMessage"]').first();
await button.waitFor({ state: 'attached' });
await button.evaluate((element) => { element.click(); });
const to = page.locator('form[name=messageForm] md-chips input').first();
const send = page.locator('button[ng-click*="editor.send("]').first();
await to.click();
await page.keyboard.insertText('bob@example.test');
// Who is typed is taken when the field is left.
await page.fill('input[ng-model*="subject"]', 'hello');
await send.click();
const said = page.locator('[ng-switch-when=error]');
await said.waitFor();
console.log(await said.innerText());
if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/sogo.png` });
await endChromium();
