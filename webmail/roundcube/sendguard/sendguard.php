<?php

/**
 * Asks Sendguard about each message before it leaves, and tells the user when
 * it may not, and until when. Collects, asks, shows; every rule is the guard's.
 *
 * @license GPL-3.0-or-later
 */

require_once __DIR__ . '/lib/client.php';
require_once __DIR__ . '/lib/recipients.php';
require_once __DIR__ . '/lib/texts.php';
require_once __DIR__ . '/lib/refusal.php';
require_once __DIR__ . '/lib/send_error.php';
require_once __DIR__ . '/lib/server_refusal.php';
require_once __DIR__ . '/lib/status_page.php';
require_once __DIR__ . '/lib/delivery.php';
require_once __DIR__ . '/lib/hints.php';
require_once __DIR__ . '/lib/sign_in.php';
require_once __DIR__ . '/lib/parked_message.php';
require_once __DIR__ . '/lib/parked.php';
require_once __DIR__ . '/lib/split.php';

class sendguard extends rcube_plugin
{
    // No $task, $noajax or $noframe: sending is a framed request, resending and
    // read receipts are not, and other plugins send from tasks of their own.

    /** How long the reader of a sent message waits at most for what became of it. */
    const DELIVERY_SECONDS = 1.0;

    /** @var ?array The attempt that is counted and whose outcome is not known yet: id, mailbox, talking */
    private $attempt;

    /** @var string HTML, what is told when the message on its way waits for the postmaster; else '' */
    private $held = '';

    /** @var ?sendguard_client */
    private $client;

    /** @var ?sendguard_parked */
    private $parked;

    public function init()
    {
        $this->load_config();
        $this->add_hook('message_before_send', [$this, 'before_send']);
        $this->add_hook('smtp_connect', [$this, 'talking']);
        $this->add_hook('message_sent', [$this, 'sent']);
        $this->add_hook('message_send_error', [$this, 'not_sent']);
        $this->add_hook('storage_connect', [$this, 'connect']);
        $this->add_hook('login_failed', [$this, 'not_signed_in']);
        $this->add_hook('password_change', [$this, 'password_changed']);
        $this->add_hook('identity_create', [$this, 'check_identity']);
        $this->add_hook('identity_update', [$this, 'check_identity']);

        $rcmail = rcmail::get_instance();
        if ($rcmail->task === 'mail') {
            $this->register_action('plugin.sendguard_delivery', [$this, 'delivery']);
            $this->register_action('plugin.sendguard_hints', [$this, 'hints']);
            $this->register_action('plugin.sendguard_sent', [$this, 'open_sent']);
            $this->register_action('plugin.sendguard_parked', [$this, 'look_at_parked']);
            $this->add_hook('storage_init', [$this, 'fetch_mark']);
            $this->add_hook('message_compose', [$this, 'compose_parked']);
            $this->add_hook('message_draftsaved', [$this, 'draft_saved']);
        }
        $this->add_hook('refresh', [$this, 'refresh']);
        if ($rcmail->output instanceof rcmail_output_html) {
            $this->init_pages($rcmail->task, $rcmail->action);
        }
    }

    private function init_pages($task, $action)
    {
        if ($task === 'mail') {
            $this->include_script('sendguard.js');
            $this->tell_before($action);
            if ($action === 'compose') {
                $this->add_texts('localization/', ['hintsmore', 'fromrefused']);
                $this->include_script('compose.js');
            }
            $this->include_script('parked.js');
            $this->parked()->init_page();
            $this->add_hook('message_objects', [$this, 'delivery_place']);
            $this->include_stylesheet($this->local_skin_path() . '/sendguard.css');
        } elseif ($task === 'settings') {
            $this->add_texts('localization/');
            $this->add_hook('settings_actions', [$this, 'add_to_settings']);
            $this->register_action('plugin.sendguard', [$this, 'status_page']);
            $this->include_stylesheet($this->local_skin_path() . '/sendguard.css');
        } elseif ($task === 'login') {
            $this->include_stylesheet($this->local_skin_path() . '/sendguard.css');
        }
    }

    /** HTML about a message that was taken, and waits. */
    public function told_of_held(sendguard_answer $answer)
    {
        $this->add_texts('localization/');
        return html::div('sendguard-held', (new sendguard_texts($this, rcmail::get_instance()))->message($answer));
    }

    /** What came of the message that was written before, once; that it is held until that is closed. */
    private function tell_before($action)
    {
        $rcmail = rcmail::get_instance();
        if ($action === 'send' || $rcmail->output->framed) {
            return;
        }
        foreach (['sendguard_held' => ['warning', -1], 'sendguard_left' => ['confirmation', 20]] as $name => $how) {
            if (($text = $_SESSION[$name] ?? '') !== '') {
                $rcmail->session->remove($name);
                $rcmail->output->show_message($text, $how[0], null, true, $how[1]);
            }
        }
    }

    /**
     * Hook message_before_send: every way out of Roundcube comes through here
     * (composed, resent, read receipts); drafts do not.
     */
    public function before_send($args)
    {
        $this->settle();
        $mailbox = $this->mailbox();
        // Refused by another plugin already; or sent while nobody is signed in
        // (a forgotten password, say), so by the host and not by a mailbox.
        if (!empty($args['abort']) || $mailbox === '') {
            return $args;
        }

        $submission = $this->submission($args, $mailbox);
        if ($this->parked()->submission_id() !== null) {
            return $this->before_parked($args, ['id' => $this->parked()->submission_id()] + $submission);
        }
        $why = $this->is_composing() ? $this->parked()->send_opened() : '';
        if ($why !== '') {
            return $this->abort($args, rcube::Q($this->text($why)));
        }
        $wish = $this->wish($args);
        if ($wish === 'park' || $wish === 'split') {
            $answer = $this->client()->ask($submission);
            if (!$answer->admitted()) {
                return $wish === 'park' ? $this->park($args, $answer, $submission) : $this->split($args, $answer, $submission);
            }
        }
        $automatic = $this->is_automatic_receipt($args);
        // A receipt that Roundcube sends by itself on reading must not count as
        // an attempt of the user, so that reading never prolongs a suspension.
        $answer = $automatic ? $this->client()->ask($submission) : null;
        if (!$answer || $answer->admitted()) {
            $answer = $this->client()->submit($submission);
            $this->remember($submission, $answer);
        }

        if ($answer->admitted()) {
            $this->held = $answer->held() && !$automatic ? $this->told_of_held($answer) : '';
            $this->let_go();
            return $args;
        }
        if (!$answer->refused()) {
            rcube::raise_error(['code' => 600, 'file' => __FILE__, 'line' => __LINE__,
                'message' => 'sendguard: ' . $answer->problem()], true, false);
            if ($this->setting('sendguard_on_failure', 'refuse') === 'allow') {
                $this->let_go();
                return $args;
            }
        }

        return $this->refuse($args, $answer, $automatic, $submission);
    }

    /** A parked message at its moment: it goes if the guard admits it now, and nobody else has it in hand. */
    private function before_parked($args, array $submission)
    {
        $answer = $this->client()->submit($submission);
        $this->remember($submission, $answer);
        $is_others = $this->parked()->judged($answer);
        if ($this->parked()->is_claimed()) {
            $this->let_go();
            return $args;
        }
        if ($is_others || ($answer->body['repeated'] ?? false) === true) {
            $this->attempt = null; // the charge is another session's too
        }
        $this->settle();
        return $this->abort($args, '');
    }

    /** Parks a message that was refused again; or says why it is not. */
    private function park($args, sendguard_answer $answer, array $submission)
    {
        $this->add_texts('localization/');
        $why = $answer->member('park_at') !== '' && sendguard_parked::may_be_kept($args['message']->headers())
            ? $this->parked()->park($args, $answer, $submission) : '';

        return $this->refuse($args, $answer, false, $submission, $why);
    }

    /** Makes drafts of a message that has too many recipients; or says why not. */
    private function split($args, sendguard_answer $answer, array $submission)
    {
        $why = '';
        $parts = $this->parts($answer, $submission, $args['message']->headers());
        if ($parts && sendguard_split::save($args['message'], $parts, $this->parked()->compose(), $args['from'])) {
            $this->parked()->leave((string) rcmail::get_instance()->config->get('drafts_mbox'),
                strtr($this->text('splitdone'), ['$count' => count($parts)]));
        } elseif ($parts) {
            $why = $this->text('splitnot');
        }
        return $this->refuse($args, $answer, false, $submission, $why);
    }

    /** The messages into which this one can be split; none where there is something better, or nothing helps. */
    private function parts(sendguard_answer $answer, array $submission, array $headers)
    {
        return $this->setting('sendguard_newsletter_url', '') === '' && sendguard_parked::may_be_kept($headers)
            ? sendguard_split::parts($answer, $submission) : [];
    }

    /** Hook smtp_connect: from here on a message may have left without our being told. */
    public function talking($args)
    {
        if ($this->attempt) {
            $this->attempt['talking'] = true;
        }
        return $args;
    }

    /** Hook message_sent. What is told of a message that waits is told by the page that follows: this one goes. */
    public function sent($args)
    {
        $this->attempt = null;
        if ($this->held !== '') {
            $_SESSION['sendguard_held'] = $this->held;
        }
        return $args;
    }

    /**
     * Hook message_send_error: the mail server refused, or was not there, or
     * nobody knows; then the message stays counted. When the guard behind the
     * mail server refused, that is shown as our own refusals are.
     */
    public function not_sent($args)
    {
        if (sendguard_send_error::is_certain($args['error'] ?? null)) {
            $this->refund();
        }
        $this->attempt = null;
        if ($this->parked()->submission_id() !== null) {
            $this->parked()->failed($args['error'] ?? null);
            return $args;
        }
        $refusal = sendguard_server_refusal::of($args['error'] ?? null,
            (string) $this->setting('sendguard_status_url', ''), rcube_utils::server_name('HTTP_HOST'));
        if (!$refusal) {
            return $args;
        }
        $args['error'] = $this->show($args, function (sendguard_refusal $page, $title, $composing, $drafts) use ($refusal) {
            return $page->dialog_of_server($refusal, $title, $composing, $drafts);
        }, $this->is_automatic_receipt($args));
        return $args;
    }

    /**
     * At the end of the request. A shutdown function would not do: after an
     * uncaught exception one of Roundcube's own, registered before, exits.
     */
    public function __destruct()
    {
        $this->settle();
    }

    /**
     * Neither "sent" nor "not sent" came: another plugin refused after us, the
     * message could not be built, or the request died. Before the mail server
     * was contacted nothing can have left, so the charge is refunded. Once it
     * was contacted nobody knows, and the charge stays: otherwise dying at the
     * right moment would be a way to send uncounted.
     */
    private function settle()
    {
        if ($this->attempt && !$this->attempt['talking']) {
            $this->refund();
        }
        $this->attempt = null;
    }

    /** Hook storage_connect: before each sign-in to the mail server. */
    public function connect($args)
    {
        $args['preauth_ident'] = sendguard_sign_in::ident($args['preauth_ident'] ?? null, rcube_utils::remote_addr());
        return $args;
    }

    /** Hook login_failed. Roundcube itself says no more than that it failed. */
    public function not_signed_in($args)
    {
        $rcmail = rcmail::get_instance();
        $this->add_texts('localization/');
        $imap = $rcmail->get_storage()->conn ?? null;
        $text = (new sendguard_sign_in(new sendguard_texts($this, $rcmail)))->alert(
            $imap->resultcode ?? null, $imap->error ?? null,
            (string) rcube_utils::get_input_string('_timezone', rcube_utils::INPUT_POST), time());
        if ($text !== '' && $rcmail->output instanceof rcmail_output_html) {
            $rcmail->output->show_message($text, 'error', null, true, -1); // stays until it is closed
        }
        return $args;
    }

    /**
     * Hook password_change, of Roundcube's plugin password: it was changed. The guard is told so;
     * neither password is. Whether that ends a lock is the guard's to say.
     */
    public function password_changed($args)
    {
        if (!$this->setting('sendguard_tell_password_change', true)) {
            return $args;
        }
        $mailbox = $this->mailbox();
        $endpoint = new sendguard_client($this->endpoint(), self::DELIVERY_SECONDS);
        $url = $endpoint->ask($this->envelope($mailbox) + ['from' => $mailbox, 'to' => [$mailbox]], true)->member('status_url');
        [$web, $token] = $this->web($url, '/status', self::DELIVERY_SECONDS);
        $answer = $web ? $web->password_changed($token) : new sendguard_answer();
        if ($answer->status !== 200) {
            rcube::raise_error(['code' => 600, 'file' => __FILE__, 'line' => __LINE__,
                'message' => 'sendguard: the guard does not know of a changed password: ' . $answer->problem()], true, false);
        }
        return $args;
    }

    /**
     * Hooks identity_create, identity_update: an identity that no message could be sent as is
     * refused when it is made, with the sentence that its first message would be refused with.
     * Without an answer of the guard it is saved: each message is asked about again.
     */
    public function check_identity($args)
    {
        $email = (string) ($args['record']['email'] ?? '');
        $mailbox = $this->mailbox();
        if (!empty($args['abort']) || $email === '' || $mailbox === '') {
            return $args;
        }
        $answer = $this->client()->ask($this->envelope($mailbox) + ['from' => $email, 'to' => [$mailbox]]);
        $text = $answer->refused() ? $answer->reason_of_from() : '';
        if ($text !== '') {
            $args['abort'] = true;
            $args['result'] = false;
            $args['message'] = rcube::Q($text);
        }
        return $args;
    }

    /** Hook settings_actions: an entry in Settings. */
    public function add_to_settings($args)
    {
        $args['actions'][] = [
            'action' => 'plugin.sendguard',
            'class'  => 'sendguard',
            'label'  => 'status',
            'title'  => 'status',
            'domain' => 'sendguard',
        ];
        return $args;
    }

    /** Hook refresh: an open session sends what has become due, and tells so. */
    public function refresh($args)
    {
        if (sendguard_parked::is_time() && $this->mailbox() !== '') {
            $this->send_parked();
        }
        return $args;
    }

    /** Action of the mail pages: the box above the drafts, and what is due. */
    public function look_at_parked()
    {
        $this->add_texts('localization/');
        $id = (string) rcube_utils::get_input_string('_cancel', rcube_utils::INPUT_POST);
        if ($id !== '' && !$this->parked()->cancel($id)) {
            rcmail::get_instance()->output->show_message($this->gettext('parkedbusy'), 'warning');
        }
        $this->send_parked();
        rcmail::get_instance()->output->send();
    }

    private function send_parked()
    {
        $parked = $this->parked()->visit();
        rcmail::get_instance()->output->command('plugin.sendguard_parked',
            ['html' => $this->parked()->box($parked), 'drafts' => $this->parked()->has_sent(),
                'number' => (int) rcube_utils::get_input_string('_number', rcube_utils::INPUT_POST)]);
    }

    /** Hook storage_init: the mark of a parked draft is read with the headers of its message. */
    public function fetch_mark($args)
    {
        $args['fetch_headers'] = trim(($args['fetch_headers'] ?? '') . ' ' . sendguard_parked_message::MARK);
        return $args;
    }

    /** Hook message_compose: who opens a parked draft reads how it stands with it. */
    public function compose_parked($args)
    {
        $uid = $args['param']['draft_uid'] ?? null;
        $mark = $uid ? $this->parked()->mark_of($uid, (string) ($args['mailbox'] ?? '')) : '';
        $state = $mark !== '' ? $this->parked()->state_of($mark) : '';
        if (isset(sendguard_parked::NOTES[$state])) { // the window comes by a redirect
            $args['param'] = ['sendguard_parked' => $mark, 'sendguard_parked_state' => $state] + $args['param'];
        }
        return $args;
    }

    /** Hook message_draftsaved. */
    public function draft_saved($args)
    {
        $this->parked()->take_over();
        return $args;
    }

    /** Settings > Sending status. */
    public function status_page()
    {
        $rcmail = rcmail::get_instance();
        $mailbox = $this->mailbox();
        $answer = $this->client()->ask($this->envelope($mailbox) + ['from' => $mailbox, 'to' => [$mailbox]]);
        $page = new sendguard_status_page(new sendguard_texts($this, $rcmail), function ($id) use ($rcmail) {
            return $rcmail->url(['_task' => 'mail', '_action' => 'plugin.sendguard_sent', '_id' => $id]);
        });
        [$web, $token] = $this->web($answer->member('status_url'), '/status', self::DELIVERY_SECONDS);
        $status = $web ? $web->status($token, $this->envelope($mailbox)['lang']) : new sendguard_answer();

        $rcmail->output->set_pagetitle($this->gettext('status'));
        $this->register_handler('plugin.body', function () use ($page, $answer, $status) {
            return $page->html($answer, $status);
        });
        $rcmail->output->send('plugin');
    }

    /** A link of that page: the message in Sent, or that it is there no longer. */
    public function open_sent()
    {
        $rcmail = rcmail::get_instance();
        $id = (string) rcube_utils::get_input_string('_id', rcube_utils::INPUT_GET, true);
        $sent = (string) $rcmail->config->get('sent_mbox');
        $header = preg_match(sendguard_parked::SUBMISSION, $id) ? sendguard_parked_message::SENT
            : (preg_match('/^<[\x21-\x7E]{1,900}>$/', $id) ? 'MESSAGE-ID' : '');
        $found = $sent !== '' && $header !== ''
            ? $rcmail->get_storage()->search_once($sent, "HEADER $header " . rcube_imap_generic::escape($id)) : null;
        $uids = $found ? $found->get() : [];
        if ($uids) {
            $rcmail->output->redirect(['_task' => 'mail', '_action' => 'show', '_mbox' => $sent, '_uid' => end($uids)]);
        }
        $this->add_texts('localization/');
        $rcmail->output->set_pagetitle($this->gettext('status'));
        $this->register_handler('plugin.body', function () {
            return html::div('sendguard-status scroller', html::p(null, rcube::Q($this->gettext('notinsent'))));
        });
        $rcmail->output->send('plugin');
    }

    /**
     * Hook message_objects: a place for what became of a message in Sent. Its browser asks for that
     * once the message is shown, so reading waits for nobody.
     */
    public function delivery_place($args)
    {
        $message = $args['message'];
        if ($this->is_sent_folder($message->folder) && sendguard_delivery::may_be_known($message->headers)) {
            rcmail::get_instance()->output->set_env('sendguard_delivery', true);
            $args['content'][] = html::tag('section', ['id' => 'sendguard-delivery', 'role' => 'status', 'aria-live' => 'polite'], '');
        }
        return $args;
    }

    /** The answer to that browser; nothing when the guard has nothing to say, or not in time. */
    public function delivery()
    {
        $rcmail = rcmail::get_instance();
        $folder = rcube_utils::get_input_string('_mbox', rcube_utils::INPUT_POST, true);
        $uid = rcube_utils::get_input_string('_uid', rcube_utils::INPUT_POST);
        $rcmail->storage->set_options(['all_headers' => true]); // Message-ID and Bcc too
        $headers = $this->is_sent_folder($folder) ? $rcmail->storage->get_message_headers($uid, $folder, true) : null;
        $question = $headers ? sendguard_delivery::question($headers) : null;
        if ($question) {
            $this->add_texts('localization/');
            $answer = $this->ask_about_delivery($question);
            $shown = $answer ? (new sendguard_delivery(new sendguard_texts($this, $rcmail)))->shown($answer) : null;
            if ($shown) {
                $rcmail->output->command('plugin.sendguard_delivery', $shown + ['uid' => $uid]);
            }
        }
        $rcmail->output->send();
    }

    /** The answer to the browser of somebody who writes a message; no hints when the guard has none, or not in time. */
    public function hints()
    {
        $rcmail = rcmail::get_instance();
        // Beside it the same session may be written for the message: nothing of it is to be undone.
        $rcmail->session->nowrite = true;
        $typed = [];
        foreach (['to', 'cc', 'bcc'] as $field) {
            $typed[$field] = (string) rcube_utils::get_input_string("_$field", rcube_utils::INPUT_POST, true);
        }
        $identities = array_column($rcmail->user->list_identities(), 'email', 'identity_id');
        $from = (string) rcube_utils::get_input_string('_from', rcube_utils::INPUT_POST, true);
        $mailbox = $this->mailbox();
        $recipients = sendguard_hints::recipients($typed);
        $hints = new sendguard_hints($this->endpoint());
        $envelope = $this->envelope($mailbox);
        $answer = ['hints' => $recipients ? $hints->about($envelope + ['from' => $identities[$from] ?? $from] + $recipients) : []];
        if (rcube_utils::get_input_string('_identities', rcube_utils::INPUT_POST)) {
            $answer['refused'] = $hints->refused($envelope, array_diff($identities, [$mailbox]));
        }
        $rcmail->output->command('plugin.sendguard_hints', $answer);
        $rcmail->output->send();
    }

    /** At most a second, for both questions; null when it is over. */
    private function ask_about_delivery(array $question)
    {
        $end = microtime(true) + self::DELIVERY_SECONDS;
        $mailbox = $this->mailbox();
        $envelope = $this->envelope($mailbox);
        $endpoint = new sendguard_client($this->endpoint(), self::DELIVERY_SECONDS);
        $url = $endpoint->ask($envelope + ['from' => $mailbox, 'to' => [$mailbox]])->member('status_url');
        [$web, $token] = $this->web($url, '/status/delivery', $end - microtime(true));
        return $web ? $web->delivery($token, $question, $envelope['lang']) : null;
    }

    /** The web interface and the token of a status link; null for none, or when no time is left. */
    private function web($url, $path, $seconds)
    {
        if ($seconds < 0.1 || !preg_match('~^(https?://[^?#]+)/status\?(?:[^#]*&)?t=([^&#]+)~', $url, $part)) {
            return [null, ''];
        }
        $base = rtrim((string) $this->setting('sendguard_web_url', ''), '/') ?: $part[1];
        return [new sendguard_client($base . $path, $seconds), $part[2]];
    }

    /** The folder of sent messages, as the user has chosen it, or one below it. */
    private function is_sent_folder($folder)
    {
        $rcmail = rcmail::get_instance();
        $sent = (string) $rcmail->config->get('sent_mbox');

        return $sent !== '' && ($folder === $sent
            || strpos((string) $folder, $sent . $rcmail->storage->get_hierarchy_delimiter()) === 0);
    }

    /** Abort the send, and say why. `$note` comes before it. */
    private function refuse($args, sendguard_answer $answer, $automatic, array $submission, $note = '')
    {
        $headers = $args['message']->headers();
        $parts = count($this->parts($answer, $submission, $headers));
        $newsletter = ($answer->body['can_split'] ?? 0) > 0 ? (string) $this->setting('sendguard_newsletter_url', '') : '';
        $may_park = $answer->member('park_at') !== '' && sendguard_parked::may_be_kept($headers);

        return $this->abort($args, $this->show($args, function (sendguard_refusal $page, $title, $composing, $drafts) use ($answer, $parts, $may_park, $newsletter, $note) {
            $page->offer($drafts && $may_park, $drafts ? $parts : 0, $newsletter);
            return $page->dialog($answer, $title, $composing, $drafts, $note);
        }, $automatic));
    }

    private function abort($args, $error)
    {
        return ['abort' => true, 'result' => false, 'error' => $error] + $args;
    }

    /**
     * Shows a dialog that stays until it is closed, where a user waits for an answer.
     *
     * @param callable $dialog Makes it: (sendguard_refusal, title, composing, drafts)
     *
     * @return string The one line that Roundcube itself shows. HTML
     */
    private function show($args, callable $dialog, $automatic)
    {
        $this->add_texts('localization/');
        $rcmail = rcmail::get_instance();
        $title = $this->is_receipt($args) ? 'receiptnotsent' : 'notsent';

        if (!$automatic && is_object($rcmail->output) && method_exists($rcmail->output, 'command')) {
            $refusal = new sendguard_refusal(new sendguard_texts($this, $rcmail));
            $composing = $this->is_composing();
            $drafts = $composing && $rcmail->config->get('drafts_mbox');
            $rcmail->output->command('plugin.sendguard_refused',
                $dialog($refusal, $title, $composing, (bool) $drafts));
        }

        return rcube::Q($this->gettext($title));
    }

    private function is_composing()
    {
        $rcmail = rcmail::get_instance();

        return $rcmail->task === 'mail' && $rcmail->action === 'send';
    }

    /** What the user has asked for, of the message in the compose window, where it is refused again. */
    private function wish($args)
    {
        return $this->is_composing() && !$this->is_receipt($args)
            ? (string) rcube_utils::get_input_string('_sendguard', rcube_utils::INPUT_POST) : '';
    }

    private function parked()
    {
        return $this->parked ?: ($this->parked = new sendguard_parked($this));
    }

    /** A text of ours, plain. */
    private function text($name)
    {
        $this->add_texts('localization/');

        return $this->gettext($name);
    }

    /** The web interface at that path, and the token of a link that the guard has just made. */
    public function web_of_user($path, $seconds)
    {
        $mailbox = $this->mailbox();
        $endpoint = new sendguard_client($this->endpoint(), $seconds);
        $url = $endpoint->ask($this->envelope($mailbox) + ['from' => $mailbox, 'to' => [$mailbox]])->member('status_url');

        return $this->web($url, $path, $seconds);
    }

    private function submission($args, $mailbox)
    {
        $headers = $args['message']->headers();
        // Message-IDs stay the same when a refused message is sent again, so
        // what makes an attempt is its own random part: each that really goes
        // out counts, and asking twice about one counts once.
        // (An imported draft can bring any bytes as its Message-ID.)
        $name = substr(preg_replace('/[^\x21-\x7E]+/', '', (string) ($headers['Message-ID'] ?? '')), 0, 900);
        $id = $name . '.' . bin2hex(random_bytes(8));

        return $this->envelope($mailbox) + ['id' => $id, 'from' => (string) $args['from']]
            + sendguard_recipients::of($args['mailto'], $headers['Cc'] ?? '', $headers['Bcc'] ?? '');
    }

    /** Who sends from where, and in which language and time zone he reads. Never from what the message says. */
    private function envelope($mailbox)
    {
        $zone = rcmail::get_instance()->config->get('timezone');

        return [
            'mailbox' => $mailbox,
            'ip'      => rcube_utils::remote_addr(),
            'lang'    => str_replace('_', '-', (string) rcmail::get_instance()->get_user_language()),
            'tz'      => is_string($zone) && $zone !== '' ? $zone : 'UTC',
        ];
    }

    /** The account that is signed in; a login without a domain is completed as Roundcube does it. */
    private function mailbox()
    {
        $rcmail = rcmail::get_instance();
        $name = (string) $rcmail->get_user_name();

        return $name === '' || strpos($name, '@') !== false ? $name : (string) $rcmail->get_user_email();
    }

    private function is_receipt($args)
    {
        $type = $args['message']->headers()['Content-Type'] ?? '';

        return stripos($type, 'multipart/report') === 0 && stripos($type, 'disposition-notification') !== false;
    }

    private function is_automatic_receipt($args)
    {
        return rcmail::get_instance()->action !== 'sendmdn' && $this->is_receipt($args);
    }

    /** Keep in mind what may have been counted, whether or not the answer came. */
    private function remember($submission, sendguard_answer $answer)
    {
        if (!$answer->may_be_counted()) {
            return;
        }
        $this->attempt = [
            'id'      => $submission['id'],
            'mailbox' => $submission['mailbox'],
            'talking' => false,
        ];
    }

    /** The message goes on to the mail server. A connection that is open already is announced by no hook. */
    private function let_go()
    {
        if (is_object(rcmail::get_instance()->smtp)) {
            $this->talking([]);
        }
    }

    private function refund()
    {
        if ($this->attempt) {
            $attempt = $this->attempt;
            $this->attempt = null;
            $this->client()->refund($attempt['id'], $attempt['mailbox']);
        }
    }

    private function client()
    {
        if (!$this->client) {
            $this->client = new sendguard_client(
                $this->endpoint(),
                (float) $this->setting('sendguard_timeout', 3)
            );
        }
        return $this->client;
    }

    private function endpoint()
    {
        return $this->setting('sendguard_url', 'http://127.0.0.1:8081/sendguard/submissions');
    }

    private function setting($name, $default)
    {
        return rcmail::get_instance()->config->get($name, $default);
    }
}
