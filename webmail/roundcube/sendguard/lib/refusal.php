<?php

/**
 * What the user reads when a message was not sent.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_refusal
{
    private $texts;

    /** What the second button does: 'park', 'split', or '' for none; and into how many it splits. */
    private $again = '';
    private $parts = 0;
    private $newsletter = '';

    public function __construct(sendguard_texts $texts)
    {
        $this->texts = $texts;
    }

    /** What the dialog offers: parking, or so many drafts (0: none), or a link instead ('': none). */
    public function offer($park, $parts, $newsletter)
    {
        $this->again = $park ? 'park' : ($parts > 0 ? 'split' : '');
        $this->parts = $parts;
        $this->newsletter = $newsletter;
    }

    /**
     * The dialog: title, back and close (names of its buttons) are plain text, html is safe to insert.
     *
     * @param string $title     Name of the title's text
     * @param bool   $composing A window with the user's text is behind it
     * @param bool   $drafts    That text can be saved to a folder of drafts
     * @param string $note      Plain text that comes first
     */
    public function dialog(sendguard_answer $answer, $title, $composing, $drafts, $note = '')
    {
        $note = $note === '' ? '' : html::p('sendguard-note', rcube::Q($note));
        $later = !$answer->refused() || !$this->mendable($answer);
        if (!$answer->refused()) {
            $html = html::p('sendguard-lead', $this->texts->html('notnow')) . html::p(null, $this->texts->html('tryagain'));
        } else {
            $html = $later ? $this->to_wait($answer) : $this->to_mend($answer);
        }
        if ($later && $composing) {
            $html .= html::p(null, $this->texts->html($drafts ? 'textissaved' : 'textstays'));
        }
        $html .= $this->offered($answer);
        if ($answer->refused()) {
            $html .= $this->where_to_go_on($answer);
        }

        return [
            'title'      => $this->texts->plain($title),
            'html'       => html::div('sendguard-refusal', $note . $html),
            'back'       => $this->texts->plain($composing ? 'backtomessage' : 'close'),
            'close'      => $this->texts->plain('close'),
            'save_draft' => $later && $drafts,
            'again'      => $this->again === '' ? [] : [['what' => $this->again, 'text' => $this->texts->plain($this->again)]],
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

    private function offered(sendguard_answer $answer)
    {
        if ($this->newsletter !== '') {
            return html::p(null, $this->texts->html('newsletter') . ' ' . html::a(['href' => $this->newsletter, 'target' => '_blank', 'rel' => 'noopener'],
                rcube::Q($this->newsletter) . html::span('voice', ' ' . $this->texts->html('newtab'))));
        }
        $shown = $answer->shown();
        $time = $shown ? rcube::Q($shown->text('park_at')) : $this->texts->time($answer->member('park_at'));
        return $this->again === '' ? '' : html::p(null, $this->texts->html("{$this->again}offer",
            ['name' => $this->texts->html($this->again), 'time' => $time, 'count' => $this->texts->number($this->parts)]));
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
        $shown = $answer->shown();
        $lead = $shown ? html::p('sendguard-lead', rcube::Q($shown->text('headline'))) : '';
        $lines = $shown ? $this->texts->items($shown->texts('reasons')) : '';
        if ($lines === '') {
            $detail = $answer->status === 413 && $answer->member('detail') === ''
                ? $this->texts->plain('toolarge') : ($answer->member('message') ?: $answer->member('detail'));
            $lines = html::tag('li', null, rcube::Q($detail));
        }

        return $lead . html::p($shown ? null : 'sendguard-lead', $this->texts->html('changethis')) . html::tag('ul', null, $lines);
    }

    /** Too much in a time, or suspended: what holds and until when first, because that is what the user looks for. */
    private function to_wait(sendguard_answer $answer)
    {
        $shown = $answer->shown();

        return !$shown ? $this->texts->message($answer)
            : html::p('sendguard-lead', rcube::Q($shown->text('headline')))
                . $this->texts->paragraphs(array_merge($shown->texts('reasons'), $shown->texts('lines')));
    }

    /** The link, whom to ask, under which reference; the provider's sentence comes last. */
    private function where_to_go_on(sendguard_answer $answer)
    {
        $shown = $answer->shown();
        $told = !$shown && !$this->mendable($answer) && $answer->member('message') !== '';

        return $told ? '' : $this->link($answer) . ($shown ? $this->texts->questions($shown) : '')
            . $this->reference($answer) . ($shown ? $this->texts->sentence($shown) : '');
    }

    private function link(sendguard_answer $answer)
    {
        $link = $this->texts->status_link($answer->member('status_url'), $this->texts->plain('yourstatus'));

        return $link === '' ? '' : html::p(null, $link);
    }

    private function reference(sendguard_answer $answer)
    {
        $decision = $answer->member('decision');
        if ($decision === '') {
            return '';
        }
        return html::p('sendguard-reference hint', $this->texts->html('reference',
            ['id' => html::tag('code', null, rcube::Q($decision))]));
    }
}
