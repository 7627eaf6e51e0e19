// The private mail stack of tools/stack, and what the tests look at in it.
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../tools/stack/stack', import.meta.url));

export class Stack {
  constructor() { this.newFolder(); }

  newFolder() { this.dir = mkdtempSync(`${tmpdir()}/sendguard.`); }

  run(...args) {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  }

  up(...settings) {
    this.run('up', this.dir, ...settings);
    this.ports = Object.fromEntries(readFileSync(`${this.dir}/stack.env`, 'utf8').trim().split('\n')
      .map((line) => line.split('=')));
    this.url = `http://127.0.0.1:${this.ports.webmail_port}/`;
  }

  down() { this.run('down', this.dir); }
  start(...services) { this.run('start', this.dir, ...services); }
  stop(...services) { this.run('stop', this.dir, ...services); }
  settings(...settings) { this.run('settings', this.dir, ...settings); }

  // The command line on the guard's store; what it prints.
  sendguard(...args) { return this.sendguardInput('', ...args); }
  sendguardInput(input, ...args) {
    return execFileSync(program, ['sendguard', this.dir, ...args], { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'inherit'] });
  }

  // The plugin's settings: PHP lines after the opening tag.
  pluginSettings(...lines) {
    writeFileSync(`${this.dir}/rc/plugins/sendguard/config.inc.php`, ['<?php',
      `$config['sendguard_url'] = 'http://127.0.0.1:${this.ports.submissions_port}/sendguard/submissions';`,
      ...lines, ''].join('\n'));
  }

  // One more plugin for Roundcube, from a folder beside this file.
  addPlugin(name) {
    cpSync(fileURLToPath(new URL(name, import.meta.url)), `${this.dir}/rc/plugins/${name}`, { recursive: true });
    appendFileSync(`${this.dir}/rc/config/config.inc.php`, `$config['plugins'][] = '${name}';\n`);
  }

  guardLog() { return readFileSync(`${this.dir}/log/guard.log`, 'utf8'); }

  // What the guard would say to a message of this mailbox, to itself or another one; counts nothing.
  async ask(mailbox, to = mailbox) {
    const answer = await fetch(`http://127.0.0.1:${this.ports.submissions_port}/sendguard/submissions?dry_run=1`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ mailbox, ip: '127.0.0.1', from: mailbox, to: [to] }),
    });
    return { status: answer.status, ...await answer.json() };
  }

  // How much of a window is used, as the guard sees it.
  async used(mailbox, rule = 'messages_per_day') {
    const answer = await this.ask(mailbox);
    const window = answer.windows.find((one) => one.rule === rule);
    if (!window) throw new Error(`the guard names no window ${rule} for ${mailbox}`);
    return window.used;
  }

  // The messages in a mailbox's folder ('' is the inbox), as text.
  messages(mailbox, folder = '') {
    for (;;) {
      try { return this.messagesNow(mailbox, folder); } catch (error) {
        if (error.code !== 'ENOENT') throw error; // Dovecot has renamed one meanwhile: look again
      }
    }
  }

  messagesNow(mailbox, folder) {
    const found = [];
    for (const part of ['new', 'cur']) {
      const path = `${this.dir}/mail/${mailbox}/${folder && `.${folder}/`}${part}`;
      let names = [];
      try { names = readdirSync(path); } catch { /* not made before its first message */ }
      for (const name of names) found.push(readFileSync(`${path}/${name}`, 'utf8'));
    }
    return found;
  }

  has(mailbox, subject, folder = '') {
    return this.messages(mailbox, folder).some((text) => text.includes(`Subject: ${subject}\n`));
  }
}

// Looks again and again until the condition holds; no test waits for a fixed time.
export async function until(what, condition, ms = 60000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms / 1000} s: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 30); });
  }
}
