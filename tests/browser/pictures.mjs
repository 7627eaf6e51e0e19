// Takes the pictures of the documentation: node pictures.mjs [FOLDER]
import { fileURLToPath } from 'node:url';
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

let user;
try {
  stack.up();
  user = await Webmail.open(stack.url, 'alice@example.test');
  await refusal(user);
  await settings(user);
} finally {
  await user?.close();
  stack.down();
}
