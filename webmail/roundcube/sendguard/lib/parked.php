<?php

/**
 * Messages that wait to be sent ("parked"): one that was refused by something that ends by itself is
 * a marked draft in its user's own folder, and is sent at a visit after its moment. The web interface
 * of the guard knows the moment, and who has it in hand: it is claimed there before it is sent, so it
 * is never sent twice. What lies in the folder of drafts is what counts.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_parked
{
    /** How long each question to the web interface takes at most. */
    const SECONDS = 2.0;
    /** An open session looks so often what else is parked, by another one say. */
    const LOOK_SECONDS = 900;
    /** So many are sent in one visit at most; the next comes within a minute. */
    const AT_ONCE = 5;
    /** What the mail server refused for the time being is tried again after that. */
    const SERVER_WAIT_SECONDS = 3600;
    /** The ids under which these messages are judged. */
    const SUBMISSION = '/^parked\.[0-9a-f]{32}\.\d{1,19}\.\d{1,9}$/';
    /** What is said of one that is opened, by its state: the draft of any other is like all drafts. */
    const NOTES = ['waiting' => 'parkednote', 'due' => 'parkednote', 'claimed' => 'parkedclaimed', 'unknown' => 'parkedunknown'];

    private $plugin;
    private $rcmail;
    private $texts;

    /** @var ?sendguard_client */
    private $web;
    private $token = '';

    private $has_sent = false;

    /** @var ?array The one that is on its way: id, submission_id, claim, claimed, answer, error */
    private $sending;

    public function __construct(sendguard $plugin)
    {
        $this->plugin = $plugin;
        $this->rcmail = rcmail::get_instance();
        $this->texts = new sendguard_texts($plugin, $this->rcmail);
    }

    /* ---- parking ------------------------------------------------------------------------------- */

    /** A signed or encrypted message is not for drafts: what it was made of lies there, or it is signed too early. */
    public static function may_be_kept(array $headers)
    {
        $type = (string) ($headers['Content-Type'] ?? '');

        return !preg_match('~^(multipart/(signed|encrypted)|application/(x-)?pkcs7)~i', $type);
    }

    /**
     * Parks the message of the compose window, and leaves that window.
     *
     * @return string '' (it does not return then), or why not: plain text
     */
    public function park(array $args, sendguard_answer $answer, array $submission)
    {
        $drafts = (string) $this->rcmail->config->get('drafts_mbox');
        $id = bin2hex(random_bytes(16));
        $compose = $this->compose();
        $sendmail = new rcmail_sendmail($compose, ['savedraft' => true]);
        $args['message']->headers(array_filter([sendguard_parked_message::MARK => $id,
            'X-Draft-Info' => $this->draft_info($compose, $args)]), true);
        $saved = $sendmail->save_message($args['message']);
        if (!$saved) {
            return $this->texts->plain('parkednodraft');
        }
        $recipients = count($submission['to']) + count($submission['cc']) + count($submission['bcc']);
        $uid = $saved === true ? $this->uid_of($drafts, $id) : $saved;
        $kept = $this->tell(['action' => 'park', 'id' => $id, 'at' => $answer->member('park_at'), 'recipients' => $recipients]
            + $this->draft_words($args, $uid, $drafts));
        if ($kept->status !== 200) {
            if ($uid) {
                $this->rcmail->storage->delete_message($uid, $drafts);
            }
            return $this->texts->plain($kept->status === 429 ? 'parkedmany' : 'parkednot');
        }
        unset($_SESSION['sendguard_parked_look']);
        $this->leave($drafts, $this->texts->plain('parkeddone'));
    }

    /** By what sendguard-parked, where there is one, finds the draft and knows that it is still the same. */
    private function draft_words(array $args, $uid, $drafts)
    {
        $storage = $this->rcmail->storage;
        $file = tmpfile();
        if (!$uid || !$file || !empty($args['options']['dsn'])) { // it asks for no confirmation of delivery
            return [];
        }
        $storage->set_folder($drafts);
        $storage->get_raw_body($uid, $file);
        rewind($file);
        $hash = hash_init('sha256');
        hash_update_stream($hash, $file);
        fclose($file);
        $sent = $this->rcmail->config->get('no_save_sent_messages') ? '' : (string) $this->rcmail->config->get('sent_mbox');

        return ['digest' => hash_final($hash), 'drafts' => $drafts, 'sent' => $sent];
    }

    /** What Roundcube knows of the compose window of this request. */
    public function compose()
    {
        $id = rcube_utils::get_input_string('_id', rcube_utils::INPUT_GPC);

        return is_array($_SESSION["compose_data_$id"] ?? null) ? $_SESSION["compose_data_$id"] : [];
    }

    /** As Roundcube writes it into its drafts: what the message answers, and whether a receipt is wanted. */
    private function draft_info(array $compose, array $args)
    {
        $info = !empty($args['options']['dsn']) ? ['dsn' => 'on'] : [];
        foreach (['reply', 'forward'] as $type) {
            $uid = (string) ($compose["{$type}_uid"] ?? '');
            if (preg_match('/^\d+$/', $uid)) {
                $info += ['type' => $type, 'uid' => $uid, 'folder' => $compose['mailbox'] ?? ''];
            }
        }
        return $info ? rcmail_sendmail::draftinfo_encode($info) : null;
    }

    /**
     * Ends the compose window as after a message that was sent, and leads to the drafts; does not return.
     * That page says the text once more: the compose window is gone half a second later.
     */
    public function leave($folder, $text)
    {
        $id = $this->compose()['id'] ?? '';
        $old = rcube_utils::get_input_string('_draft_saveid', rcube_utils::INPUT_POST);
        if ($old) {
            $this->rcmail->storage->delete_message($old, (string) $this->rcmail->config->get('drafts_mbox'));
        }
        $this->rcmail->plugins->exec_hook('attachments_cleanup', ['group' => $id]);
        $this->rcmail->session->remove("compose_data_$id");
        $_SESSION['last_compose_session'] = $id;
        $this->rcmail->output->command('remove_compose_data', $id);
        if (!rcube_utils::get_input_string('_extwin', rcube_utils::INPUT_GPC)) {
            $_SESSION['sendguard_left'] = $text;
            $this->rcmail->output->command('set_env', 'mailbox', $folder);
        }
        $this->rcmail->output->command('sent_successfully', 'confirmation', $text, [$folder], false);
        $this->rcmail->output->send('iframe');
    }

    /* ---- what its user does with the draft ------------------------------------------------------- */

    /** The mark of that draft, or ''. */
    public function mark_of($uid, $folder)
    {
        $headers = $this->rcmail->storage->get_message_headers($uid, $folder, true);

        return (string) ($headers->others[strtolower(sendguard_parked_message::MARK)] ?? '');
    }

    /** How it stands with the message of that mark; '' when nothing is kept of it. */
    public function state_of($id)
    {
        foreach ($this->tell(['action' => 'list'])->objects('parked') as $one) {
            if (($one['id'] ?? '') === $id) {
                return (string) ($one['state'] ?? '');
            }
        }
        return '';
    }

    /** What the mail pages have to know. */
    public function init_page()
    {
        $this->rcmail->output->set_env('sendguard_parked_due', self::is_time());
        $note = self::NOTES[$this->compose()['param']['sendguard_parked_state'] ?? ''] ?? '';
        if ($note !== '') {
            $this->plugin->add_texts('localization/');
            $this->rcmail->output->set_env('sendguard_parked_note', $this->texts->plain($note));
        }
    }

    /**
     * The user saves that draft: that ends its waiting.
     *
     * @return sendguard_answer Of the guard
     */
    public function take_over()
    {
        $compose = $this->compose();
        $id = (string) ($compose['param']['sendguard_parked'] ?? '');
        $answer = $id === '' ? new sendguard_answer() : $this->tell(['action' => 'cancel', 'id' => $id]);
        if ($answer->status === 200) {
            $this->forget_opened($compose);
        }
        return $answer;
    }

    /**
     * The user sends it. Another page may have sent it since it was opened: so much is said once.
     *
     * @return string The name of the text that says why it does not go; or ''
     */
    public function send_opened()
    {
        $status = $this->take_over()->status;
        if ($status === 404) {
            $this->forget_opened($this->compose());
        }
        return $status === 404 ? 'parkedaway' : ($status === 409 ? 'parkedbusy' : '');
    }

    private function forget_opened(array $compose)
    {
        unset($_SESSION["compose_data_{$compose['id']}"]['param']['sendguard_parked']);
    }

    /* ---- sending ----------------------------------------------------------------------------------- */

    /** Whether this visit is to look at what is parked. */
    public static function is_time()
    {
        return ($_SESSION['sendguard_parked_look'] ?? 0) <= time();
    }

    /**
     * Sends what is due, and says what became of it.
     *
     * @return array What waits or is to be read: the entries of the guard, each with uid and subject
     */
    public function visit()
    {
        $this->plugin->add_texts('localization/');
        $drafts = (string) $this->rcmail->config->get('drafts_mbox');
        $answer = $drafts === '' ? new sendguard_answer() : $this->tell(['action' => 'list']);
        $look = time() + self::LOOK_SECONDS;
        $left = [];
        $sent = 0;
        foreach ($answer->status === 200 ? $answer->objects('parked') : [] as $one) {
            $uid = $this->uid_of($drafts, (string) $one['id']);
            if ($uid === 0 && $one['state'] !== 'claimed') {
                $this->tell(['action' => 'cancel', 'id' => $one['id']]);
                continue;
            }
            if ($one['state'] === 'due' && $uid) {
                $one = $sent++ < self::AT_ONCE ? $this->send($one, $uid, $drafts) : $one;
            }
            if ($one) {
                $headers = $uid ? $this->rcmail->storage->get_message_headers($uid, $drafts) : null;
                $left[] = $one + ['subject' => $headers ? (string) $headers->get('subject') : ''];
                $may_go = ($one['may_go'] ?? false) === true;
                $look = $may_go ? min($look, sendguard_texts::minute($one['at'])) : $look;
            }
        }
        // All this has taken a while: another request may have opened a compose window in the session.
        $this->rcmail->session->reload();
        $_SESSION['sendguard_parked_look'] = $look;

        return $left;
    }

    /** Whether the visit has taken drafts away. */
    public function has_sent()
    {
        return $this->has_sent;
    }

    /** The draft with that mark; 0 when there is none, null when the mail server does not say. */
    private function uid_of($drafts, $id)
    {
        if (!preg_match('/^[0-9a-f]{32}$/', $id)) {
            return 0;
        }
        $found = $this->rcmail->storage->search_once($drafts, 'UNDELETED HEADER ' . sendguard_parked_message::MARK . " $id");

        return $found->is_error() ? null : (int) $found->min();
    }

    /** @return ?array The entry as it is then; null when it is gone */
    private function send(array $one, $uid, $drafts)
    {
        $message = sendguard_parked_message::of($this->rcmail->storage, $drafts, $uid, $this->rcmail->user_date());
        if (!$message) {
            return $one;
        }
        $this->sending = ['id' => $one['id'], 'submission_id' => (string) $one['submission_id'],
            'claim' => bin2hex(random_bytes(16)), 'claimed' => false, 'answer' => null, 'error' => null];
        $file = null;
        $error = null;
        $sent = $this->rcmail->deliver_message($message, $message->from(), $message->mailto(), $error, $file,
            ['dsn' => ($message->draft_info['dsn'] ?? '') === 'on'], true);
        $this->rcmail->smtp = null; // it is closed; the next message needs another one
        $sending = $this->sending;
        $this->sending = null;
        $entry = $sent ? $this->was_sent($sending, $message, $file, $uid, $drafts) : $this->was_not_sent($sending, $one, $message);
        if ($file) {
            @unlink($file);
        }
        return $entry;
    }

    /** The id under which it is judged: the same however often it is tried at this moment, so it counts once. */
    public function submission_id()
    {
        return $this->sending ? $this->sending['submission_id'] : null;
    }

    /**
     * The guard has said whether the one that is on its way may go. What may is claimed; nothing is sent
     * without that.
     *
     * @return bool Whether another has claimed it, under whose charge it goes
     */
    public function judged(sendguard_answer $answer)
    {
        $this->sending['answer'] = $answer;
        $claimed = $answer->admitted() ? $this->tell(['action' => 'claim', 'id' => $this->sending['id'], 'claim' => $this->sending['claim']])
            : new sendguard_answer();
        $this->sending['claimed'] = $claimed->status === 200;
        if ($answer->admitted() && !in_array($claimed->status, [200, 404, 409], true)) {
            rcube::raise_error(['code' => 600, 'file' => __FILE__, 'line' => __LINE__,
                'message' => 'sendguard: a parked message is not sent, since it cannot be claimed: ' . $claimed->problem()], true, false);
        }

        return $claimed->status === 409;
    }

    public function is_claimed()
    {
        return $this->sending['claimed'];
    }

    /** Hook message_send_error of the one that is on its way. */
    public function failed($error)
    {
        $this->sending['error'] = $error;
    }

    private function was_sent(array $sending, sendguard_parked_message $message, $file, $uid, $drafts)
    {
        $storage = $this->rcmail->storage;
        $folder = $this->rcmail->config->get('no_save_sent_messages') ? '' : (string) $this->rcmail->config->get('sent_mbox');
        $exists = $folder !== '' && ($storage->folder_exists($folder) || $storage->create_folder($folder, true));
        // Where it cannot be saved the draft stays: it would be the only copy.
        if ($folder === '' || $exists && $storage->save_message($folder, $file,
            $message->txtHeaders([sendguard_parked_message::SENT => $sending['submission_id']]), true, ['SEEN'])) {
            $storage->delete_message($uid, $drafts);
        } else {
            $this->rcmail->output->show_message('errorsavingsent', 'error');
        }
        $this->tell(['action' => 'sent', 'id' => $sending['id'], 'claim' => $sending['claim']]);
        $info = $message->draft_info;
        if (!empty($info['uid']) && !empty($info['folder']) && in_array($info['type'] ?? '', ['reply', 'forward'], true)) {
            $storage->set_flag($info['uid'], $info['type'] === 'reply' ? 'ANSWERED' : 'FORWARDED', $info['folder']);
        }
        $this->has_sent = true;
        if ($sending['answer']->held()) {
            $this->rcmail->output->show_message(html::tag('strong', null, self::title($message)) . $this->plugin->told_of_held($sending['answer']),
                'warning', null, true, -1);
        } else {
            $this->say('parkedsent', $message, 'confirmation');
        }

        return null;
    }

    /** It waits for another moment where somebody refused it; what nobody decided on stays as it is. */
    private function was_not_sent(array $sending, array $one, sendguard_parked_message $message)
    {
        $answer = $sending['answer'];
        $words = ['action' => 'defer', 'id' => $sending['id']];
        if ($sending['claimed'] && sendguard_send_error::is_certain($sending['error'])) {
            $words['claim'] = $sending['claim'];
            if (sendguard_send_error::code($sending['error']) < 500) {
                $words['at'] = gmdate('Y-m-d\TH:i:s\Z', time() + self::SERVER_WAIT_SECONDS);
            }
        } elseif ($answer && $answer->refused()) {
            $words += array_filter(['at' => $answer->member('park_at'), 'decision' => $answer->member('decision')], 'strlen');
        } else {
            return $one;
        }
        $told = $this->tell($words);
        if ($told->status !== 200) {
            return $one; // another session has seen to it
        }
        foreach ($told->objects('parked') as $other) {
            $one = ($other['id'] ?? '') === $one['id'] ? $other : $one;
        }
        $this->say($one['state'] === 'waiting' ? 'parkedagain' : 'parkedgone', $message, 'error',
            $answer && $answer->refused() && $answer->shown() ? $answer->shown()->text('headline') : '');
        return $one;
    }

    /** Its subject, escaped. */
    private static function title(sendguard_parked_message $message)
    {
        return rcube::Q($message->subject() ?: rcmail::get_instance()->gettext('nosubject'));
    }

    /** One line for the user; it stays longer than Roundcube's own. */
    private function say($name, sendguard_parked_message $message, $type, $why = '')
    {
        $text = $this->texts->html($name, ['subject' => self::title($message)]);
        $this->rcmail->output->show_message($text . ($why === '' ? '' : ' ' . rcube::Q($why) . '.'), $type, null, true, 60);
    }

    /* ---- what there is to see ------------------------------------------------------------------------ */

    /** The box above the list of drafts: HTML, '' when nothing is parked. */
    public function box(array $parked)
    {
        $items = '';
        foreach ($parked as $one) {
            $may_go = ($one['may_go'] ?? false) === true;
            $state = in_array($one['state'], ['waiting', 'due', 'claimed', 'unknown', 'refused', 'late'], true) ? $one['state'] : 'due';
            $text = $this->texts->html("parked$state", ['time' => $this->texts->time($one['at'] ?? '')]);
            $name = $this->texts->plain($may_go ? 'parkedcancel' : 'parkedseen');
            $subject = $one['subject'] !== '' ? $one['subject'] : $this->rcmail->gettext('nosubject');
            $button = $one['state'] === 'claimed' ? '' : html::tag('button', ['type' => 'button', 'class' => 'sendguard-unpark',
                'data-id' => $one['id'], 'aria-label' => "$name: $subject"], rcube::Q($name));
            $items .= html::tag('li', null, html::tag('strong', null, rcube::Q($subject)) . html::div('hint', $text) . $button);
        }
        return $items === '' ? '' : html::tag('h3', ['id' => 'sendguard-parked-title'], $this->texts->html('parkedtitle')) . html::tag('ul', null, $items);
    }

    /** The user takes one off the list. */
    public function cancel($id)
    {
        return preg_match('/^[0-9a-f]{32}$/', $id) && $this->tell(['action' => 'cancel', 'id' => $id])->status === 200;
    }

    /* ---- the web interface ------------------------------------------------------------------------- */

    private function tell(array $words)
    {
        if (!$this->web) {
            [$this->web, $this->token] = $this->plugin->web_of_user('/status/parked', self::SECONDS);
        }
        return $this->web ? $this->web->parked($this->token, $words) : new sendguard_answer();
    }
}
