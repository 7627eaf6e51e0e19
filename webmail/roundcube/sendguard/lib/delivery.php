<?php

/**
 * Beside a message in Sent: what became of it at each of its recipients.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_delivery
{
    const MAX_RECIPIENTS = 1000;
    /** For so many days the guard knows about a message. */
    const DAYS = 11;
    /** What a message on hold is said to be, by the member `hold` of it. */
    const HOLDS = ['waits' => 'deliverywaits', 'deleted' => 'deliverydeleted'];

    private $texts;

    public function __construct(sendguard_texts $texts)
    {
        $this->texts = $texts;
    }

    /** Whether the guard may know anything about a message of that age. */
    public static function may_be_known($headers)
    {
        $sent = $headers ? (int) $headers->timestamp : 0;
        return $sent > time() - self::DAYS * 86400;
    }

    /** What the guard is asked: the Message-ID and everybody whom the sent copy names. */
    public static function question($headers)
    {
        $addresses = [];
        foreach (['to', 'cc', 'bcc'] as $field) {
            $list = rcube_mime::decode_address_list((string) ($headers->$field ?? ''), null, true, $headers->charset);
            foreach ($list as $entry) {
                if (!empty($entry['mailto'])) {
                    $addresses[strtolower($entry['mailto'])] = $entry['mailto'];
                }
            }
        }
        $id = trim((string) $headers->messageID);

        return $id === '' || !$addresses ? null
            : ['message_id' => $id, 'recipients' => array_slice(array_values($addresses), 0, self::MAX_RECIPIENTS)];
    }

    /**
     * The box, and the addresses that it is about.
     *
     * @return ?array html, safe to insert; failed, a list of addresses. null: there is nothing to say
     */
    public function shown(sendguard_answer $answer)
    {
        $groups = ['delivered' => [], 'failed' => [], 'deferred' => [], 'pending' => []];
        $kinds = ['expired' => 'failed', 'discarded' => 'failed'];
        foreach ($answer->status === 200 ? $answer->objects('recipients') : [] as $recipient) {
            $outcome = (string) ($recipient['outcome'] ?? '');
            $kind = $kinds[$outcome] ?? $outcome;
            if (isset($groups[$kind]) && is_string($recipient['address'] ?? null)) {
                $groups[$kind][] = $recipient;
            }
        }
        $hold = $this->hold($answer);
        if ($hold !== '') {
            return ['html' => $hold, 'failed' => []];
        }
        $all = array_sum(array_map('count', $groups));
        if ($all === 0 || $all === count($groups['pending'])) {
            return null;
        }

        return [
            'html'   => $groups['failed'] || $groups['deferred'] ? $this->box($groups, $all)
                : html::p('hint sendguard-delivered', $this->texts->delivered(count($groups['delivered']), $all, count($groups['failed']))),
            'failed' => array_column($groups['failed'], 'address'),
        ];
    }

    /** Of a message that waits for the postmaster, or was deleted then; else ''. */
    private function hold(sendguard_answer $answer)
    {
        foreach ($answer->status === 200 ? $answer->objects('messages') : [] as $message) {
            $text = self::HOLDS[$message['hold'] ?? ''] ?? '';
            if ($text !== '') {
                return html::div('boxwarning ui alert alert-warning sendguard-delivery-box',
                    html::div('sendguard-message', html::p('sendguard-lead', $this->texts->html($text))));
            }
        }
        return '';
    }

    private function box(array $groups, $all)
    {
        $type = $groups['failed'] ? 'error' : 'warning';
        $html = html::p('sendguard-lead', $this->texts->delivered(count($groups['delivered']), $all, count($groups['failed'])));
        foreach (['failed' => 'deliveryfailed', 'deferred' => 'deliverydeferred'] as $kind => $title) {
            if ($groups[$kind]) {
                $html .= html::p(null, $this->texts->html($title))
                    . html::tag('ul', null, implode('', array_map([$this, 'recipient'], $groups[$kind])));
            }
        }
        return html::div("box$type ui alert alert-$type sendguard-delivery-box", html::div('sendguard-message', $html));
    }

    private function recipient(array $recipient)
    {
        $text = function ($name) use ($recipient) {
            return is_string($recipient[$name] ?? null) ? $recipient[$name] : '';
        };
        // Most servers' words have the code already.
        $words = $text('code') !== '' && strpos($text('text'), $text('code')) !== false ? $text('text')
            : trim($text('code') . ' ' . $text('text'));
        $title = $text('title') === '' ? '' : ': ' . rcube::Q($text('title')) . '.';

        return html::tag('li', null, html::tag('strong', null, rcube::Q($text('address'))) . $title
            . ($text('advice') === '' ? '' : ' ' . rcube::Q($text('advice')))
            . ($words === '' ? '' : html::div('hint', $this->texts->html('serversaid', ['words' => html::tag('q', null, rcube::Q($words))]))));
    }
}
