// Runs all tests against one stack, one browser context for each mailbox; with ONLY those whose name
// has these words. A suite that says `afresh` gets a new stack, on which nothing has happened yet.
// With SECOND_TRY up to three tests that fail are tried once more, with their suite on a new stack,
// and that decides; those that pass then are called UNSTEADY.
import { mkdtempSync } from 'node:fs';
import { endChromium } from './chromium.mjs';
import { Stack } from './stack.mjs';
import { Webmail } from './webmail.mjs';
import * as sending from './sending.mjs';
import * as settings from './settings.mjs';
import * as suspension from './suspension.mjs';
import * as plugin from './plugin.mjs';
import * as people from './people.mjs';
import * as status from './status.mjs';
import * as smtp from './smtp.mjs';
import * as delivery from './delivery.mjs';
import * as failures from './failures.mjs';
import * as complaints from './complaints.mjs';
import * as signin from './signin.mjs';
import * as locks from './locks.mjs';
import * as support from './support.mjs';
import * as compose from './compose.mjs';
import * as held from './held.mjs';
import * as parked from './parked.mjs';

// First the one that needs a domain of whose mail most fails: the others send mail that arrives.
const suites = { failures, plugin, sending, smtp, settings, delivery, people, status, suspension, complaints, signin, locks, support, compose, held, parked };
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!suites[name]) {
    console.error(`no suite ${name}; there are: ${Object.keys(suites).join(', ')}`);
    process.exit(64);
  }
}
const mailboxes = ['alice', 'bob', 'carol'];
const stack = new Stack();
const users = {};
let pictures;
let described = 0;
let passed = 0;
let failed = 0;

// What a person would look at first: the page's text and picture, and the logs' ends.
async function describe(error) {
  console.log(`    ${String(error.stack ?? error).split('\n').slice(0, 12).join('\n    ')}`);
  pictures ??= mkdtempSync('/tmp/sendguard-failures.');
  described += 1;
  for (const [name, user] of Object.entries(users)) {
    const path = `${pictures}/${described}-${name}.png`;
    try {
      const text = await user.page.locator('body').innerText({ timeout: 2000 });
      await user.page.screenshot({ path });
      console.log(`    ${name} sees (picture: ${path}):\n      ${text.replace(/\s*\n\s*/g, ' | ').slice(0, 700)}`);
    } catch (problem) {
      console.log(`    ${name}'s page cannot be shown: ${problem.message.split('\n')[0]}`);
    }
  }
  console.log(`    end of the guard's log:\n      ${stack.guardLog().trim().split('\n').slice(-6).join('\n      ')}`);
}

// Whether it passed.
async function runTest(name, test) {
  const begun = Date.now();
  try {
    for (const user of Object.values(users)) user.errors.length = 0;
    await test({ stack, ...users });
    for (const user of Object.values(users)) {
      if (user.errors.length) throw new Error(`errors of JavaScript in ${user.mailbox}'s page: ${user.errors.join('; ')}`);
    }
    console.log(`ok      ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${name}`);
    await describe(error);
    return false;
  }
}

const guardSettings = process.env.GUARD_SETTINGS?.split(' ').filter(Boolean) ?? [];

async function begin() {
  stack.up(...guardSettings);
  for (const name of mailboxes) users[name] = await Webmail.open(stack.url, `${name}@example.test`);
}

async function end() {
  for (const user of Object.values(users)) await user.close().catch(() => {});
  stack.down();
}

async function afresh() {
  await end();
  stack.newFolder();
  await begin();
}

// The titles of those that failed, and how many passed.
async function runSuite(suite) {
  const failures = [];
  let passes = 0;
  stack.settings(...guardSettings, ...(suite.settings ?? []));
  for (const [title, test] of Object.entries(suite.tests)) {
    if (!title.includes(process.env.ONLY ?? '')) continue;
    if (await runTest(title, test)) passes += 1;
    else failures.push(title);
  }
  return { failures, passes };
}

async function main() {
  let used = false;
  let triesLeft = process.env.SECOND_TRY ? 3 : 0;
  stack.run('sweep');
  await begin();
  for (const [name, suite] of Object.entries(suites)) {
    if (wanted.length && !wanted.includes(name)) continue;
    if (suite.afresh && used) await afresh();
    used = true;
    let result = await runSuite(suite);
    const first = result.failures;
    if (first.length && first.length <= triesLeft) {
      triesLeft -= first.length;
      await afresh();
      result = await runSuite(suite);
      for (const title of first.filter((one) => !result.failures.includes(one))) console.log(`UNSTEADY: ${name}: ${title}`);
    }
    passed += result.passes;
    failed += result.failures.length;
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    stack.down();
    process.exit(1);
  });
}

try {
  await main();
} catch (error) {
  failed += 1;
  console.log(`FAILED  the tests could not be run\n    ${error.stack ?? error}`);
} finally {
  await end();
  await endChromium();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
