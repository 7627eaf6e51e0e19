// Takes the pictures of the documentation: node pictures.mjs [FOLDER]
import { chmodSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endChromium } from './chromium.mjs';
import { Visitor } from './desk.mjs';
import { Stack } from './stack.mjs';
import { Webmail } from './webmail.mjs';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/screenshots', import.meta.url));
const stack = new Stack();

const names = ['ada', 'alan', 'barbara', 'donald', 'edsger', 'grace', 'hedy', 'john', 'katherine', 'margaret'];
const members = (count, domain) => Array.from({ length: count },
  (_, i) => `${names[i % names.length]}${i >= names.length ? Math.floor(i / names.length) : ''}@${domain}`);

async function refusal(user) {
  await user.page.setViewportSize({ width: 1280, height: 640 });
  await user.compose({
    to: [...members(57, 'choir.example'), ...members(45, 'orchestra.example')].join(', '),
    subject: 'Rehearsal on Thursday', text: 'Dear all,',
  });
  await user.pressSend();
  const { box } = await user.refusal();
  // Not in the middle of a fading colour.
  await box.evaluate((element) => Promise.all(element.getAnimations({ subtree: true }).map((one) => one.finished)));
  await user.page.screenshot({ path: `${folder}/refusal.png` });
  await user.dismiss(box);
}

async function settings(user) {
  for (let i = 0; i < 3; i += 1) {
    await user.send({ to: members(40 + i, `club${i}.example`).join(', '), subject: `Newsletter ${i}` });
  }
  await user.go('?_task=settings&_action=plugin.sendguard');
  const end = await user.page.locator('.sendguard-status .formbuttons').boundingBox();
  await user.page.setViewportSize({ width: 1280, height: Math.ceil(end.y + end.height + 24) });
  await user.page.screenshot({ path: `${folder}/settings.png` });
}

// A day of sending by bob, each batch as long ago as it says: a guard whose clock is behind.
function setClock(offset) {
  const guard = `${stack.dir}/guard/sendguard-fcgi`;
  if (!existsSync(`${guard}.real`)) renameSync(guard, `${guard}.real`);
  writeFileSync(guard, `#!/bin/sh\nexec ${offset && `faketime -f '${offset}'`} '${guard}.real' "$@"\n`);
  chmodSync(guard, 0o755);
  stack.run('restart', stack.dir, 'guard');
}

async function submit(mailbox, recipients, number) {
  const answer = await fetch(`http://127.0.0.1:${stack.ports.submissions_port}/sendguard/submissions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ mailbox, ip: '203.0.113.7', from: mailbox, to: members(recipients, `club${number}.example`) }),
  });
  return answer.json();
}

async function dayOfSending(mailbox) {
  let number = 0;
  for (const [offset, messages] of [['-20h', 6], ['-15h', 4], ['-9h', 5], ['-5h', 4], ['-2h', 3]]) {
    setClock(offset);
    for (let i = 0; i < messages; i += 1) await submit(mailbox, 45, number += 1);
  }
  setClock('');
  for (let i = 0; i < 3; i += 1) await submit(mailbox, 45, 99);
  return (await submit(mailbox, 45, 99)).status_url;
}

// At both widths, light and dark; as much as a screen shows, or the whole page.
async function photograph(visitor, name, prepare, fullPage = false) {
  for (const width of [1280, 360]) {
    for (const colorScheme of ['light', 'dark']) {
      await visitor.page.setViewportSize({ width, height: width > 1000 ? 960 : 780 });
      await visitor.page.emulateMedia({ colorScheme });
      await prepare();
      await visitor.page.evaluate(() => document.activeElement?.blur());
      await visitor.page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage });
    }
  }
}

async function people() {
  const mailbox = 'bob@example.test';
  const link = await dayOfSending(mailbox);
  const visitor = await Visitor.open(stack);
  try {
    await photograph(visitor, 'status', () => visitor.page.goto(link), true);
    await visitor.signIn();
    await photograph(visitor, 'desk', () => visitor.go(''));
    await photograph(visitor, 'desk-mailbox', () => visitor.go(`mailboxes/${mailbox}`));
    await photograph(visitor, 'desk-lift', async () => {
      await visitor.go(`mailboxes/${mailbox}`);
      await visitor.preview('lift', 'talked to him: choir tour, now with a newsletter service');
    });
  } finally {
    await visitor.close();
  }
}

try {
  stack.up();
  await people();
  const user = await Webmail.open(stack.url, 'alice@example.test');
  await refusal(user);
  await settings(user);
} finally {
  await endChromium();
  stack.down();
}
