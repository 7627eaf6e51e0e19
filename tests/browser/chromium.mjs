// One Chromium for all tests, which starts when it is wanted. Each visitor has a context of their own:
// cookies, cache and storage of nobody else.
import { chromium } from 'playwright-core';

let running;

export async function newContext(options) {
  running ??= chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  return (await running).newContext({ timezoneId: 'Europe/Berlin', ...options });
}

export async function endChromium() {
  await (await running)?.close();
  running = undefined;
}
