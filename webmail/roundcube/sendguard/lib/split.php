<?php

/**
 * A message with too many recipients as several, each with as many as one may have: which recipients
 * go together, and the drafts.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_split
{
    /** The limits of one message that were broken: of the message, of a field, and by domain. */
    private $message = PHP_INT_MAX;
    private $field = PHP_INT_MAX;
    private $domains = [];
    private $chars = [];

    /** @var array The messages so far: fields, and what is counted of each */
    private $parts = [];

    /**
     * @param array $fields to, cc, bcc as sendguard_recipients::of has them
     *
     * @return array Of each message its fields; empty when that does not help, or is too much for the
     *               limits over time
     */
    public static function parts(sendguard_answer $answer, array $fields)
    {
        $most = $answer->body['can_split'] ?? 0;
        if (!is_int($most) || $most < 2) {
            return [];
        }
        $split = new self();
        array_map([$split, 'learn'], $answer->objects('reasons'));
        $seen = [];
        foreach (['to', 'cc', 'bcc'] as $field) {
            foreach ($fields[$field] ?? [] as $written) {
                $address = strtolower(preg_replace('/^.*<([^<>]*)>$/s', '$1', $written));
                if (!isset($seen[$address]) && !$split->add($field, $written, $address, $most)) {
                    return [];
                }
                $seen[$address] = true;
            }
        }
        return count($split->parts) > 1 ? array_column($split->parts, 'fields') : [];
    }

    private function learn(array $reason)
    {
        $limit = (int) ($reason['limit'] ?? 0);
        $domain = (string) ($reason['domain'] ?? '');
        switch ($reason['rule'] ?? '') {
        case 'recipients_per_message': $this->message = $limit; break;
        case 'recipients_per_field': $this->field = $limit; break;
        case 'recipients_per_domain': $this->domains[$domain] = $limit; break;
        case 'header_chars_per_domain': $this->chars[$domain] = $limit; break;
        }
    }

    /** Into the first message that has room for it. False: there are too many messages. */
    private function add($field, $written, $address, $most)
    {
        $domain = (string) rcube_utils::idn_to_ascii(substr(strrchr($address, '@') ?: '@', 1));
        $chars = mb_strlen($written, RCUBE_CHARSET) + 2;
        for ($i = 0; $i < $most; $i++) {
            $part = $this->parts[$i] ?? ['fields' => ['to' => [], 'cc' => [], 'bcc' => []], 'all' => 0, 'domains' => [], 'chars' => []];
            $part['fields'][$field][] = $written;
            $part['all']++;
            $part['domains'][$domain] = ($part['domains'][$domain] ?? 0) + 1;
            $part['chars'][$domain] = ($part['chars'][$domain] ?? -2) + $chars; // the last has no comma
            if ($part['all'] <= $this->message && count($part['fields'][$field]) <= $this->field
                && $part['domains'][$domain] <= ($this->domains[$domain] ?? PHP_INT_MAX)
                && $part['chars'][$domain] <= ($this->chars[$domain] ?? PHP_INT_MAX)
            ) {
                $this->parts[$i] = $part;
                return true;
            }
            if (!isset($this->parts[$i])) {
                return false; // it is too much alone
            }
        }
        return false;
    }

    /**
     * Saves one draft for each part.
     *
     * @return bool False: none is saved
     */
    public static function save(Mail_mime $message, array $parts, array $compose, $from)
    {
        $rcmail = rcmail::get_instance();
        $drafts = (string) $rcmail->config->get('drafts_mbox');
        $saved = [];
        foreach ($parts as $part) {
            $headers = ['Message-ID' => $rcmail->gen_message_id($from)];
            foreach ($part as $field => $recipients) {
                $headers[ucfirst($field)] = $recipients ? implode(', ', $recipients) : null;
            }
            $message->headers($headers, true);
            $uid = (new rcmail_sendmail($compose, ['savedraft' => true]))->save_message($message);
            if (!$uid) {
                $rcmail->storage->delete_message(array_filter($saved), $drafts);
                return false;
            }
            // True: an IMAP server without UIDPLUS does not say under which.
            $saved[] = $uid === true ? $rcmail->storage->search_once($drafts,
                'HEADER MESSAGE-ID ' . rcube_imap_generic::escape($headers['Message-ID']))->min() : $uid;
        }
        return true;
    }
}
