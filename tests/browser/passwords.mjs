// Passwords as a mail program uses them, by IMAP.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { until } from './stack.mjs';

export function signsIn(stack, mailbox, password) {
  return spawnSync('curl', ['-s', '-u', `${mailbox}:${password}`, `imap://127.0.0.1:${stack.ports.imap_port}/`]).status === 0;
}

// Dovecot looks no more than once a second whether the file has changed.
export async function changePassword(stack, mailbox, before, after) {
  const path = `${stack.dir}/dovecot/passwd`;
  writeFileSync(path, readFileSync(path, 'utf8').replace(`${mailbox}:{PLAIN}${before}:`, `${mailbox}:{PLAIN}${after}:`));
  await until('the new password', () => signsIn(stack, mailbox, after));
}
