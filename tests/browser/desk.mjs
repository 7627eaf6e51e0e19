// Status page and support desk as people see them, and what axe finds on them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { newContext } from './chromium.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Violations of WCAG and best practice: what, and where. `part`: a selector; of the page around nothing is said.
// `rules`: these alone.
export async function violations(page, part = null, rules = null) {
  // Through the debugger: the page's own policy lets no foreign script in.
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(axe);
  return page.evaluate(async ([selector, only]) => {
    const { violations: found } = await window.axe.run(selector ?? document, { resultTypes: ['violations'], ...(only && { runOnly: only }) });
    return found.map((one) => `${one.id} (${one.impact}): ${one.help}; ${one.nodes.map((node) => node.html).join(' ')}`);
  }, [part, rules]);
}

// How many pixels the page is wider than its window.
export const tooWide = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

// Somebody who is no user of the webmail in these tests.
export class Visitor {
  static async open(stack, options = {}) {
    const visitor = new Visitor();
    visitor.stack = stack;
    visitor.desk = `${stack.url}sending/desk/`;
    visitor.context = await newContext({ viewport: { width: 1280, height: 900 }, ...options });
    visitor.context.setDefaultTimeout(60000);
    visitor.page = await visitor.context.newPage();
    visitor.errors = [];
    visitor.page.on('pageerror', (error) => visitor.errors.push(error.message));
    visitor.page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) visitor.errors.push(message.text());
    });
    return visitor;
  }

  async signIn(name = this.stack.ports.staff_name, password = this.stack.ports.staff_password) {
    await this.page.goto(this.desk);
    await this.page.fill('#name', name);
    await this.page.fill('#password', password);
    await this.page.click('main button[type=submit]');
  }

  async go(path) { await this.page.goto(this.desk + path); }

  async search(text) {
    const box = this.page.locator('main input[name=q], .bar-search input[name=q]').first();
    await box.fill(text);
    await box.press('Enter');
  }

  text(selector = 'main') { return this.page.locator(selector).first().innerText(); }

  // Unfolds the form of an action, gives the reason, and asks for the preview.
  async preview(action, note, fields = {}) {
    const form = this.page.locator(`form:has(input[name=action][value=${action}])`).first();
    const details = this.page.locator('details.action', { has: form });
    if (await details.count() && !(await details.evaluate((one) => one.open))) await details.locator('summary').click();
    for (const [name, value] of Object.entries(fields)) {
      const field = form.locator(`[name=${name}]`);
      if (await field.evaluate((one) => one.tagName) === 'SELECT') await field.selectOption(value);
      else await field.fill(value);
    }
    await form.locator('[name=note]').fill(note);
    await form.locator('button[type=submit]').click();
    await this.page.locator('form:has([name=confirm])').waitFor();
  }

  async confirm() {
    await this.page.locator('form:has([name=confirm]) button.button-primary').click();
    await this.page.locator('main [role=status]').waitFor();
  }

  close() { return this.context.close(); }
}

export async function withVisitor(stack, options, walk) {
  const visitor = await Visitor.open(stack, { locale: 'en-GB', ...options });
  try {
    await walk(visitor);
    assert.deepEqual(visitor.errors, [], 'no error of JavaScript, nothing that the policy blocks');
  } finally {
    await visitor.close();
  }
}

export async function assertKind(page, what) {
  assert.deepEqual(await violations(page), [], `${what}: axe finds nothing`);
  assert.ok(await tooWide(page) <= 0, `${what} is not wider than its window`);
}

// All that axe says about a page that depends on colours.
const colourRules = ['color-contrast', 'link-in-text-block'];

// A page at both widths, light and dark, opened once. Dark changes nothing but colours, which is looked at too: what
// axe says of anything else is the same as in light. `seen(width, colorScheme)` is called each time.
export async function assertKindEverywhere(page, what, seen = () => {}) {
  const others = await page.evaluate(() => [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .filter((rule) => rule.conditionText?.includes('prefers-color-scheme')).flatMap((rule) => [...rule.cssRules])
    .filter((rule) => rule.selectorText !== ':root' || [...rule.style].some((name) => !name.startsWith('--')))
    .map((rule) => rule.cssText));
  assert.deepEqual(others, [], `${what}: dark changes more than colours`);
  await page.emulateMedia({ reducedMotion: 'reduce' }); // no colour is on its way to another
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: 'light' });
    await assertKind(page, `${what} at ${width}`);
    await seen(width, 'light');
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.deepEqual(await violations(page, null, colourRules), [], `${what} at ${width}, dark: axe finds nothing`);
    await seen(width, 'dark');
  }
}

// The same with all unfolded; `picture`: the name of a screenshot in the folder PICTURES.
export async function assertKindUnfolded(page, what, picture) {
  for (const details of await page.locator('details').all()) await details.evaluate((one) => { one.open = true; });
  await assertKind(page, what);
  if (process.env.PICTURES) await page.screenshot({ path: `${process.env.PICTURES}/${picture}.png`, fullPage: true });
}
