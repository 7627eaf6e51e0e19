<?php

/**
 * Texts for pages: from localization/, always escaped, with times as the user
 * has set them in Roundcube.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_texts
{
    private $plugin;
    private $rcmail;

    public function __construct(rcube_plugin $plugin, rcmail $rcmail)
    {
        $this->plugin = $plugin;
        $this->rcmail = $rcmail;
    }

    /** A text as it is, not escaped: for titles and labels that Roundcube escapes. */
    public function plain($name)
    {
        return $this->plugin->gettext($name);
    }

    /** A text as HTML. `$with` are its variables, each HTML already. */
    public function html($name, array $with = [])
    {
        $replace = [];
        foreach ($with as $variable => $html) {
            $replace['$' . $variable] = $html;
        }
        return strtr(rcube::Q($this->plugin->gettext($name)), $replace);
    }

    /**
     * A time of the guard (RFC 3339), in the user's zone and format; '' when it
     * is none. Rounded up to a minute, because before it nothing is free; one that
     * is over (`$past`) is in its own minute. HTML.
     */
    public function time($rfc3339, $past = false)
    {
        $minute = self::minute($rfc3339);
        if ($minute !== 0 && $past) {
            $minute = intdiv((new DateTime($rfc3339))->getTimestamp(), 60) * 60;
        }
        if ($minute === 0) {
            return '';
        }
        $text = $this->rcmail->format_date(new DateTime("@$minute"), $this->rcmail->config->get('date_long', 'Y-m-d H:i'));

        return html::tag('time', ['datetime' => gmdate('Y-m-d\TH:i:s\Z', $minute)], rcube::Q($text));
    }

    /** A moment of these hours, in a zone that the browser named; in UTC, and saying so, if that is none. HTML. */
    public function clock(DateTime $moment, $zone)
    {
        $known = in_array($zone, DateTimeZone::listIdentifiers(DateTimeZone::ALL_WITH_BC), true);
        $moment->setTimezone(new DateTimeZone($known ? $zone : 'UTC'));

        return html::tag('time', ['datetime' => gmdate('Y-m-d\TH:i:s\Z', $moment->getTimestamp())],
            rcube::Q($moment->format($this->rcmail->config->get('time_format', 'H:i')) . ($known ? '' : ' UTC')));
    }

    /** The minute in which a time of the guard is over, in seconds; 0 when it is none. */
    public static function minute($rfc3339)
    {
        if (!is_string($rfc3339) || !preg_match('/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/', $rfc3339)) {
            return 0;
        }
        return (int) (ceil((float) (new DateTime($rfc3339))->format('U.u') / 60) * 60);
    }

    /** A sentence: delivered to how many of how many, when it failed for so many. HTML */
    public function delivered($delivered, $recipients, $failed)
    {
        if ($delivered === 0) {
            return $this->html($failed > 0 ? 'deliverednone' : 'deliverednotyet');
        }
        $name = $delivered < $recipients ? 'deliveredsome' : ($recipients === 1 ? 'deliveredone' : 'deliveredall');
        return $this->html($name, ['delivered' => $this->number($delivered), 'recipients' => $this->number($recipients)]);
    }

    public function number($number)
    {
        return rcube::Q(number_format((float) $number, 0, '', "\u{202F}"));
    }

    /** Texts of the guard as items of a list. */
    public function items(array $texts)
    {
        $items = '';
        foreach ($texts as $text) {
            $items .= html::tag('li', null, rcube::Q($text));
        }
        return $items;
    }

    /** Texts of the guard, each on its own. */
    public function paragraphs(array $texts)
    {
        $html = '';
        foreach ($texts as $text) {
            $html .= html::p(null, rcube::Q($text));
        }
        return $html;
    }

    /** Whom to ask. */
    public function questions(sendguard_shown $shown)
    {
        return $shown->text('questions') === '' ? '' : $this->paragraphs([$shown->text('questions')]);
    }

    /** The provider's own sentence, which is English in every language: users search for it. */
    public function sentence(sendguard_shown $shown)
    {
        return $shown->text('sentence') === '' ? '' : html::p('hint', rcube::Q($shown->text('quoted') . ': ')
            . html::tag('q', ['lang' => 'en'], rcube::Q($shown->text('sentence')), ['lang']));
    }

    /** A link to the user's status page, in his language and time zone and in a new tab; '' when the address is none. */
    public function status_link($url, $label, $class = '', $part = '')
    {
        if (!preg_match('~^https?://[^\s"\'<>]+$~i', (string) $url)) {
            return '';
        }
        $zone = $this->rcmail->config->get('timezone');
        if (is_string($zone) && $zone !== '' && strpos($url, '?') !== false) {
            $url .= '&tz=' . rawurlencode($zone) . '&lang=' . str_replace('_', '-', (string) $this->rcmail->get_user_language());
        }
        $url .= $part === '' ? '' : "#$part";
        return html::a(['href' => $url, 'target' => '_blank', 'rel' => 'noopener', 'class' => $class ?: null],
            rcube::Q($label) . html::span('voice', ' ' . rcube::Q($this->plain('newtab'))));
    }

    /**
     * The guard's text for the user, in paragraphs. The long address of the
     * status page becomes a link; times (UTC, the guard cannot know better) are
     * given in the user's zone.
     */
    public function message(sendguard_answer $answer)
    {
        $url = $answer->member('status_url');
        $link = $this->status_link($url, $this->plain('statuspage'));
        $html = '';
        foreach (preg_split('/\n\s*\n/', $this->in_paragraphs($answer)) as $paragraph) {
            $pieces = array_map(['rcube', 'Q'], $link === '' ? [$paragraph] : explode($url, $paragraph));
            $text = array_shift($pieces);
            foreach ($pieces as $piece) {
                // No full stop follows an address, so that it can be copied; after a link it is missed.
                $text .= $link . (preg_match('/^\s\S/', $piece) ? '.' : '') . $piece;
            }
            $html .= html::p(null, preg_replace_callback('/\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC\b/',
                function ($time) { return $this->time("$time[1]T$time[2]:00Z"); }, nl2br($text, false)));
        }
        return $html;
    }

    /** The provider's sentence, the reasons with what follows from them, where to look: each on its own. */
    private function in_paragraphs(sendguard_answer $answer)
    {
        $message = trim($answer->member('message'));
        $starts = [];
        $reason = $answer->objects('reasons')[0]['text'] ?? '';
        if (is_string($reason) && $reason !== '') {
            $starts[] = strpos($message, $reason);
        }
        $url = $answer->member('status_url');
        $at = $url === '' ? false : strpos($message, $url);
        if ($at !== false) {
            $sentence = strrpos(substr($message, 0, $at), '. ');
            $starts[] = $sentence === false ? false : $sentence + 2;
        }
        foreach (array_reverse(array_filter($starts)) as $start) {
            $message = rtrim(substr($message, 0, $start)) . "\n\n" . substr($message, $start);
        }
        return $message;
    }
}
