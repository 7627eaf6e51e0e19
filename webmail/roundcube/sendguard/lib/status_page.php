<?php

/**
 * Settings > Sending status: may this mailbox send, and how much is used up.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_status_page
{
    const REFILLS_SHOWN = 3;

    private $texts;

    public function __construct(sendguard_texts $texts)
    {
        $this->texts = $texts;
    }

    public function html(sendguard_answer $answer)
    {
        if (!$answer->admitted() && $answer->member('verdict') === '') {
            $content = $this->state('warning', $this->texts->html('unknownstate'));
        } else {
            $content = $this->verdict($answer);
        }

        return html::div('sendguard-status scroller', html::tag('h2', ['class' => 'sendguard-title'],
            $this->texts->html('status')) . $content);
    }

    private function verdict(sendguard_answer $answer)
    {
        $content = $answer->admitted()
            ? $this->state('confirmation', $this->texts->html('cansend'))
            : $this->paused($answer);

        $windows = $answer->objects('windows');
        foreach ($windows as $number => $window) {
            $content .= $this->window($window, "sendguard-window-$number");
        }
        if ($windows) {
            $content .= html::p('hint', $this->texts->html('rolling'));
        }
        $link = $this->texts->status_link($answer->member('status_url'), $this->texts->plain('fullstatus'), 'btn btn-primary');

        return $content . ($link === '' ? '' : html::div('formbuttons', $link));
    }

    private function paused(sendguard_answer $answer)
    {
        $until = $this->texts->time($answer->member('retry_at'));
        $lead = $until !== ''
            ? $this->texts->html('pauseduntil', ['time' => html::tag('strong', null, $until)])
            : $this->texts->html('paused');

        return $this->state('error', $lead)
            . html::div('sendguard-message', $this->texts->message($answer));
    }

    /** A box in Roundcube's own look; it is read out when the page opens. */
    private function state($type, $html)
    {
        return html::div(['class' => "box$type ui alert alert-$type sendguard-state", 'role' => 'status'], html::span(null, $html));
    }

    private function window(array $window, $id)
    {
        $used = max(0, (int) ($window['used'] ?? 0));
        $limit = max(0, (int) ($window['limit'] ?? 0));
        // A meter's range must not be empty, and a limit may have been lowered below what was used.
        $range = max($limit, $used, 1);

        return html::tag('section', ['class' => 'sendguard-window', 'aria-labelledby' => $id],
            html::tag('h3', ['id' => $id], $this->name($window))
            . $this->meter($used, $limit, $range, $id)
            . html::p('sendguard-numbers', $this->texts->html('usedoflimit', [
                'used'  => html::tag('strong', null, $this->texts->number($used)),
                'limit' => $this->texts->number($limit),
                'left'  => $this->texts->number(max(0, $limit - $used)),
            ]))
            . $this->refills($window));
    }

    private function meter($used, $limit, $range, $label)
    {
        return html::tag('meter', [
            'min' => 0, 'max' => $range, 'value' => $used, 'low' => 0.8 * $limit, 'high' => max(0, $limit - 0.5),
            'optimum' => 0, 'aria-labelledby' => $label,
        ], $this->texts->number($used) . '/' . $this->texts->number($limit));
    }

    private function name(array $window)
    {
        $rule = (string) ($window['rule'] ?? '');

        return $this->texts->exists("rule_$rule") ? $this->texts->html("rule_$rule") : rcube::Q(strtr($rule, '_', ' '));
    }

    /** What becomes free, when: one line for each minute, the first few of them. */
    private function refills(array $window)
    {
        $minutes = [];
        foreach ((array) ($window['refill'] ?? []) as $refill) {
            $minute = is_array($refill) ? sendguard_texts::minute($refill['at'] ?? '') : 0;
            if ($minute !== 0) {
                $minutes[$minute]['at'] = $minutes[$minute]['at'] ?? $refill['at'];
                $minutes[$minute]['count'] = ($minutes[$minute]['count'] ?? 0) + (int) ($refill['count'] ?? 0);
            }
        }

        $lines = '';
        foreach (array_slice($minutes, 0, self::REFILLS_SHOWN) as $refill) {
            $lines .= html::tag('li', null, $this->texts->html('freeagain',
                ['count' => $this->texts->number($refill['count']), 'time' => $this->texts->time($refill['at'])]));
        }
        return $lines === '' ? '' : html::tag('ul', ['class' => 'sendguard-refill'], $lines);
    }
}
