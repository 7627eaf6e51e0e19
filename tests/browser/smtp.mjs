// When the guard behind the mail server refuses what the webmail hands in: how
// the user reads that. Here the webmail's own guard is away and may be passed by.
import assert from 'node:assert/strict';
import { until } from './stack.mjs';

const carols = 'carol@example.test';
const lead = {
  en_US: 'The mail server has not accepted this message', de_DE: 'Der Mailserver hat diese Nachricht nicht angenommen',
  fr_FR: "Le serveur de messagerie n'a pas accepté ce message", es_ES: 'El servidor de correo no ha aceptado este mensaje',
};

// The webmail's guard does not answer, and the plugin lets pass what it cannot ask about.
async function withoutWebmailGuard(stack, walk, ...lines) {
  stack.pluginSettings("$config['sendguard_on_failure'] = 'allow';", ...lines);
  stack.stop('guard');
  try {
    await walk();
  } finally {
    stack.start('guard');
    stack.pluginSettings();
  }
}

async function suspended(stack, walk) {
  stack.sendguard('suspend', carols, '--for', '24h', '--cause', 'volume', '--note', 'for this test');
  try {
    await walk();
  } finally {
    stack.sendguard('lift', carols, '--note', 'for this test');
  }
}

async function refused(user, subject) {
  await user.compose({ to: 'x@example.org', subject, text: 'Still here' });
  await user.pressSend();
  return user.refusal();
}

export const tests = {
  async 'a refusal by the mail server is read as one by the webmail, with a link to click'({ stack, carol }) {
    await suspended(stack, () => withoutWebmailGuard(stack, async () => {
      const { box, text } = await refused(carol, 'round the guard');
      assert.match(text, /Message not sent/);
      assert.ok(text.includes(lead.en_US), text);
      assert.match(text, /Permanent Failure: Your ability to send new mail has been suspended/);
      assert.match(text, /[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/);
      assert.doesNotMatch(text, /END-OF-MESSAGE|End-of-data|\/sending\/r\//, 'nothing that only machines read');
      await until('the draft in its folder', () => stack.has(carols, 'round the guard', 'Drafts'));

      const [page] = await Promise.all([carol.context.waitForEvent('page'),
        box.locator('a[href*="/sending/r/"]').click()]);
      await page.waitForLoadState();
      assert.match(await page.locator('h1').innerText(), /Sending is paused until/);
      await page.close();
      await carol.dismiss(box);
      assert.equal(await carol.page.inputValue('#composebody'), 'Still here');
    }));
  },

  async 'in each language'({ stack, carol }) {
    await suspended(stack, () => withoutWebmailGuard(stack, async () => {
      for (const language of ['de_DE', 'fr_FR', 'es_ES', 'en_US']) {
        await carol.preference('language', language);
        const { box, text } = await refused(carol, `in ${language}`);
        assert.ok(text.includes(lead[language]), text);
        await carol.dismiss(box);
      }
    }));
  },

  async 'a link that does not begin as the operator says is no link'({ stack, carol }) {
    await suspended(stack, () => withoutWebmailGuard(stack, async () => {
      const { box, text } = await refused(carol, 'foreign link');
      assert.match(text, /\/sending\/r\//, 'it can still be read');
      assert.equal(await box.locator('a').count(), 0);
      await carol.dismiss(box);
    }, "$config['sendguard_status_url'] = 'https://other.example/sending';"));
  },

  async 'what else the mail server refuses is shown as Roundcube shows it, and refunded'({ stack, carol }) {
    const before = await stack.used(carols);
    await carol.compose({ to: 'nobody@example.test', subject: 'to nobody' });
    await carol.pressSend();
    await carol.toast('SMTP Error (550)');
    assert.equal(await carol.page.locator('.sendguard-refusal').count(), 0);
    await until('the charge refunded', async () => await stack.used(carols) === before);
  },
};
