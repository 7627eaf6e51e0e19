<?php

/**
 * What the user reads when a message was not sent.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_refusal
{
    private $texts;

    public function __construct(sendguard_texts $texts)
    {
        $this->texts = $texts;
    }

    /**
     * The dialog: title, back and close (names of its buttons) are plain text, html is safe to insert.
     *
     * @param string $title     Name of the title's text
     * @param bool   $composing A window with the user's text is behind it
     * @param bool   $drafts    That text can be saved to a folder of drafts
     */
    public function dialog(sendguard_answer $answer, $title, $composing, $drafts)
    {
        $later = false;
        if (!$answer->refused()) {
            $later = true;
            $html = html::p('sendguard-lead', $this->texts->html('notnow')) . html::p(null, $this->texts->html('tryagain'));
        } elseif ($this->mendable($answer)) {
            $html = $this->to_mend($answer);
        } else {
            $later = true;
            $html = $this->to_wait($answer);
        }
        if ($later && $composing) {
            $html .= html::p(null, $this->texts->html($drafts ? 'textissaved' : 'textstays'));
        }

        return [
            'title'      => $this->texts->plain($title),
            'html'       => html::div('sendguard-refusal', $html . $this->reference($answer)),
            'back'       => $this->texts->plain($composing ? 'backtomessage' : 'close'),
            'close'      => $this->texts->plain('close'),
            'save_draft' => $later && $drafts,
        ];
    }

    /** The same when the mail server refused: all that is known is its text, which is English. */
    public function dialog_of_server(sendguard_server_refusal $refusal, $title, $composing, $drafts)
    {
        $lead = $refusal->temporary() ? 'servernotnow' : 'serverrefused';
        $html = html::p('sendguard-lead', $this->texts->html($lead))
            . html::tag('div', ['lang' => 'en'], $this->texts->message($refusal->answer), ['lang']);
        if ($composing) {
            $html .= html::p(null, $this->texts->html($drafts ? 'textissaved' : 'textstays'));
        }

        return [
            'title'      => $this->texts->plain($title),
            'html'       => html::div('sendguard-refusal', $html),
            'back'       => $this->texts->plain($composing ? 'backtomessage' : 'close'),
            'close'      => $this->texts->plain('close'),
            'save_draft' => $drafts,
        ];
    }

    /** Whether changing the message helps. It also does when waiting never will: then no time is given. */
    private function mendable(sendguard_answer $answer)
    {
        return in_array($answer->status, [400, 413, 422], true)
            || ($answer->status === 429 && $answer->member('retry_at') === '');
    }

    /** Something about this message is too much: say each, so that all can be mended at once. */
    private function to_mend(sendguard_answer $answer)
    {
        $lines = '';
        foreach ($answer->objects('reasons') as $reason) {
            $lines .= html::tag('li', null, rcube::Q((string) ($reason['text'] ?? '')));
        }
        if ($lines === '') {
            $detail = $answer->status === 413 && $answer->member('detail') === ''
                ? $this->texts->plain('toolarge') : $answer->member('detail');
            $lines = html::tag('li', null, rcube::Q($detail));
        }

        return html::p('sendguard-lead', $this->texts->html('changethis')) . html::tag('ul', null, $lines)
            . $this->link($answer);
    }

    /** Too much in a time, or suspended: say until when first, because that is what the user looks for. */
    private function to_wait(sendguard_answer $answer)
    {
        $until = $this->texts->time($answer->member('retry_at'));
        $lead = $until !== ''
            ? $this->texts->html('pauseduntil', ['time' => html::tag('strong', null, $until)])
            : $this->texts->html('paused');
        $message = $answer->member('message');
        $url = $answer->member('status_url');

        return html::p('sendguard-lead', $lead) . $this->texts->message($answer)
            . ($url !== '' && strpos($message, $url) !== false ? '' : $this->link($answer));
    }

    private function link(sendguard_answer $answer)
    {
        $link = $this->texts->status_link($answer->member('status_url'), $this->texts->plain('yourstatus'));

        return $link === '' ? '' : html::p(null, $link);
    }

    private function reference(sendguard_answer $answer)
    {
        $decision = $answer->member('decision');
        $told = !$this->mendable($answer) && strpos($answer->member('message'), $decision ?: '-') !== false;
        if ($decision === '' || $told) {
            return '';
        }
        return html::p('sendguard-reference hint', $this->texts->html('reference',
            ['id' => html::tag('code', null, rcube::Q($decision))]));
    }
}
