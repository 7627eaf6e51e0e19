<?php

/**
 * Settings > Sending status: may this mailbox send, and how much is used up.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_status_page
{
    /** What the box looks like; a state that is not here looks like a warning. */
    const LOOKS = ['ok' => 'confirmation', 'paused' => 'error', 'stopped' => 'error',
        'blocked' => 'error'];

    const MESSAGES_SHOWN = 10;

    private $texts;

    /** @var callable The address at which Roundcube opens a sent message, of its Message-ID */
    private $opens;

    public function __construct(sendguard_texts $texts, callable $opens)
    {
        $this->texts = $texts;
        $this->opens = $opens;
    }

    /** `$status`: what the web interface says of the same mailbox; it may have nothing. */
    public function html(sendguard_answer $answer, sendguard_answer $status)
    {
        $shown = $answer->shown();
        $content = $shown ? $this->verdict($answer, $shown, $status)
            : $this->state('warning', $this->texts->html('unknownstate'));

        return html::div('sendguard-status scroller', html::tag('h2', ['class' => 'sendguard-title'],
            $this->texts->html('status')) . $content);
    }

    private function verdict(sendguard_answer $answer, sendguard_shown $shown, sendguard_answer $status)
    {
        $content = $this->state(self::LOOKS[$shown->text('state')] ?? 'warning', rcube::Q($shown->text('headline')))
            . $this->held($status) . html::div('sendguard-message', $this->texts->paragraphs($this->explanation($shown)));

        $windows = $answer->objects('windows');
        foreach ($windows as $number => $window) {
            $content .= $this->window($window, $shown, "sendguard-window-$number");
        }
        if ($windows) {
            $content .= html::p('hint', rcube::Q($shown->text('rolling')));
        }
        $link = $this->texts->status_link($answer->member('status_url'), $this->texts->plain('fullstatus'), 'btn btn-primary');

        return $content . ($link === '' ? '' : html::div('formbuttons', $link)) . $this->sent($status) . $this->delivery($answer, $status)
            . html::div('sendguard-message', $this->texts->questions($shown) . $this->texts->sentence($shown));
    }

    /** Messages that wait for the postmaster, although this mailbox can send, and such that were deleted. */
    private function held(sendguard_answer $status)
    {
        return $this->on_hold($status, 'held', 'since') . $this->on_hold($status, 'rejected', 'at');
    }

    private function on_hold(sendguard_answer $status, $name, $moment)
    {
        $held = $status->body[$name] ?? null;
        $count = is_array($held) ? (int) ($held['count'] ?? 0) : 0;
        if ($count < 1) {
            return '';
        }
        $with = ['count' => $this->texts->number($count), 'time' => $this->texts->time((string) ($held[$moment] ?? ''), true)];

        return $this->state('warning', $this->texts->html($name . ($count === 1 ? 'one' : 'many'), $with))
            . html::p('sendguard-message', $this->texts->html($name . 'what'));
    }

    /** Of a block also what failed: its lines go on from there. Any other reason is in the windows. */
    private function explanation(sendguard_shown $shown)
    {
        $reasons = $shown->text('state') === 'blocked' ? $shown->texts('reasons') : [];

        return array_merge($reasons, $shown->texts('lines'));
    }

    /** The messages that count, so that the user can tell whether they are his own. */
    private function sent(sendguard_answer $status)
    {
        $messages = array_slice($status->objects('messages'), 0, self::MESSAGES_SHOWN);
        $items = implode('', array_map([$this, 'sent_message'], $messages));

        return $items === '' ? '' : html::tag('section', ['class' => 'sendguard-window', 'aria-labelledby' => 'sendguard-sent-title'],
            html::tag('h3', ['id' => 'sendguard-sent-title'], $this->texts->html('sent'))
            . html::tag('ul', ['class' => 'sendguard-messages sendguard-message'], $items));
    }

    private function sent_message(array $message)
    {
        $text = function ($name) use ($message) {
            return is_string($message[$name] ?? null) ? $message[$name] : '';
        };
        $recipients = (int) ($message['recipients'] ?? $message['off_domain'] ?? 0);
        $parts = [$this->texts->time($text('at'), true), $recipients === 1 ? $this->texts->html('sentone')
            : $this->texts->html('sentmany', ['n' => $this->texts->number($recipients)])];
        if ($text('channel') === 'smtp') {
            $parts[] = $this->texts->html('sentprogram');
        }
        $parts[] = rcube::Q($text('network'));
        // The plugin's ids are the Message-ID and a random part; those of messages that waited are in Sent.
        $id = preg_replace('/^(<[\x21-\x7E]+>)\.[0-9a-f]{16}$/', '$1', $text('id'));
        if ($text('channel') === 'webmail' && ($id !== $text('id') || preg_match(sendguard_parked::SUBMISSION, $id))) {
            $parts[] = html::a(['href' => ($this->opens)($id)], $this->texts->html('opensent'));
        }
        return html::tag('li', null, implode(' · ', array_filter($parts, 'strlen')));
    }

    /** What became of the last messages, and where to read more: beside each in Sent, and for addresses. */
    private function delivery(sendguard_answer $answer, sendguard_answer $status)
    {
        $link = $this->texts->status_link($answer->member('status_url'), $this->texts->plain('deliverylink'), '', 'delivery');
        $delivery = $status->status === 200 && is_array($status->body['delivery'] ?? null) ? $status->body['delivery'] : null;
        if ($link === '' || !$delivery) {
            return '';
        }
        $messages = array_filter((array) ($delivery['messages'] ?? []), 'is_array');
        $items = implode('', array_map([$this, 'message'], $messages));

        return html::tag('section', ['class' => 'sendguard-window', 'aria-labelledby' => 'sendguard-delivery-title'],
            html::tag('h3', ['id' => 'sendguard-delivery-title'], $this->texts->html('delivery'))
            . ($items === '' ? '' : html::tag('ul', ['class' => 'sendguard-messages'], $items))
            . html::p(null, $this->texts->html('deliverywhere')) . html::p('sendguard-message', $link));
    }

    /** One line, and what to do. */
    private function message(array $message)
    {
        $sum = is_array($message['sum'] ?? null) ? $message['sum'] : [];
        $text = function ($name) use ($sum) {
            return is_string($sum[$name] ?? null) ? rcube::Q($sum[$name]) : '';
        };
        $hold = sendguard_delivery::HOLDS[$message['hold'] ?? ''] ?? '';
        $lead = ($message['refunded'] ?? false) === true ? $this->texts->html('deliveryrefused')
            : ($hold !== '' ? $this->texts->html($hold) : $this->texts->delivered((int) ($sum['delivered'] ?? 0), (int) ($sum['recipients'] ?? 0), (int) ($sum['failed'] ?? 0)));

        return html::tag('li', null, $this->texts->time($message['at'] ?? '', true) . ' ' . html::tag('strong', null, $lead)
            . ($text('title') === '' ? '' : ' ' . $text('title') . (($sum['others'] ?? false) === true ? $this->texts->html('deliveryothers') : '') . '.')
            . ($text('advice') === '' ? '' : html::div('hint', $text('advice'))));
    }

    /** A box in Roundcube's own look; it is read out when the page opens. */
    private function state($type, $html)
    {
        return html::div(['class' => "box$type ui alert alert-$type sendguard-state", 'role' => 'status'], html::span(null, $html));
    }

    private function window(array $window, sendguard_shown $shown, $id)
    {
        $used = max(0, (int) ($window['used'] ?? 0));
        $limit = max(0, (int) ($window['limit'] ?? 0));
        // A meter's range must not be empty, and a limit may have been lowered below what was used.
        $range = max($limit, $used, 1);
        $texts = $shown->window($window['rule'] ?? '');
        $back = $this->texts->items($texts->texts('back'));

        return html::tag('section', ['class' => 'sendguard-window', 'aria-labelledby' => $id],
            html::tag('h3', ['id' => $id], rcube::Q($texts->text('name')))
            . $this->meter($used, $limit, $range, $id)
            . html::p('sendguard-numbers', rcube::Q($texts->text('used')))
            . ($back === '' ? '' : html::p('sendguard-refill', rcube::Q($shown->text('back')))
                . html::tag('ul', ['class' => 'sendguard-refill'], $back)));
    }

    private function meter($used, $limit, $range, $label)
    {
        return html::tag('meter', [
            'min' => 0, 'max' => $range, 'value' => $used, 'low' => 0.8 * $limit, 'high' => max(0, $limit - 0.5),
            'optimum' => 0, 'aria-labelledby' => $label,
        ], $this->texts->number($used) . '/' . $this->texts->number($limit));
    }
}
