<?php

/**
 * What is told while a message is being written: what its refusal would say, before it is sent.
 * Every question is a dry run; without an answer nothing is told.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_hints
{
    /** How long the questions of one request may take in all. */
    const SECONDS = 1.0;

    /** Of so many identities it is asked whether they may be used. */
    const MAX_IDENTITIES = 20;

    const MAX_RECIPIENT_BYTES = 1048576;

    private $url;
    private $end;

    /** @param string $url The webmail endpoint's */
    public function __construct($url)
    {
        $this->url = $url;
        $this->end = microtime(true) + self::SECONDS;
    }

    /**
     * The recipients that sending would have.
     *
     * @param array $typed to, cc, bcc as they stand in the form
     *
     * @return array Members of a submission; empty when it is too much to be asked about
     */
    public static function recipients(array $typed)
    {
        if (strlen(implode('', $typed)) > self::MAX_RECIPIENT_BYTES) {
            return [];
        }
        $form = new rcmail_sendmail([], ['charset' => RCUBE_CHARSET]);
        foreach ($typed as $field => $text) {
            $typed[$field] = (string) $form->email_input_format($text, false, false);
        }
        return sendguard_recipients::of($typed['to'], $typed['cc'], $typed['bcc']);
    }

    /**
     * The hints about one message.
     *
     * @return array Lists of text, field ('' for the whole message), recipient ('' or the address, lower
     *               case, as it was typed), key (what stays the same while numbers change); all plain text
     */
    public function about(array $submission)
    {
        $answer = $this->ask($submission);
        $shown = $answer ? $answer->shown() : null;
        return $shown ? $this->listed($shown, $submission) : [];
    }

    /**
     * The identities that no message may be sent as.
     *
     * @param array $submission What is known of any message
     * @param array $identities id => address
     *
     * @return array Their ids
     */
    public function refused(array $submission, array $identities)
    {
        $refused = [];
        foreach (array_slice($identities, 0, self::MAX_IDENTITIES, true) as $id => $address) {
            $answer = $this->ask(['from' => $address, 'to' => []] + $submission);
            if (!$answer) {
                break;
            }
            if ($answer->refused() && $answer->reason_of_from() !== '') {
                $refused[] = (string) $id;
            }
        }
        return $refused;
    }

    /** One answer of the guard; null when no time is left. */
    private function ask(array $submission)
    {
        $left = $this->end - microtime(true);
        return $left < 0.1 ? null : (new sendguard_client($this->url, $left))->hints($submission);
    }

    private function listed(sendguard_shown $shown, array $submission)
    {
        $written = self::written($submission);
        $hints = [];
        foreach ($shown->parts('hints') as $hint) {
            $recipient = $hint->text('recipient');
            $unread = $submission[$hint->text('field')][$hint->number('entry')] ?? null;
            $hints[] = [
                'text'      => $hint->text('text'),
                'field'     => $hint->text('field'),
                'recipient' => $unread ? self::typed(self::address($unread)) : ($written[$recipient] ?? $recipient),
                'key'       => $hint->text('rule') === '' ? $hint->text('text')
                    : implode(' ', [$hint->text('rule'), $hint->text('field'), $hint->text('domain'), $recipient]),
            ];
        }
        return $hints;
    }

    /** The addresses of a submission as the guard names them, and as they were typed. */
    private static function written(array $submission)
    {
        $written = [];
        foreach (array_merge($submission['to'], $submission['cc'], $submission['bcc']) as $recipient) {
            $address = self::address($recipient);
            $written[strtolower(rcube_utils::idn_to_ascii($address))] = self::typed($address);
        }
        return $written;
    }

    /** The address alone of `Name <address>` or `address`. */
    private static function address($recipient)
    {
        return preg_match('/<([^<>]*)>$/', $recipient, $part) ? $part[1] : $recipient;
    }

    /** As the compose window shows it, lower case. */
    private static function typed($address)
    {
        return mb_strtolower(rcube_utils::idn_to_utf8($address));
    }
}
