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

    public function exists($name)
    {
        return $this->rcmail->text_exists('sendguard.' . $name);
    }

    /** A time of the guard (RFC 3339), in the user's zone and format; '' when it is none. HTML. */
    public function time($rfc3339)
    {
        if (!is_string($rfc3339) || !preg_match('/^\d{4}-\d\d-\d\dT\d\d:\d\d/', $rfc3339)) {
            return '';
        }
        $text = $this->rcmail->format_date($rfc3339, $this->rcmail->config->get('date_long', 'Y-m-d H:i'));

        return html::tag('time', ['datetime' => $rfc3339], rcube::Q($text));
    }

    public function number($number)
    {
        return rcube::Q(number_format((float) $number, 0, '', "\u{202F}"));
    }

    /** A link to the user's status page, in a new tab; '' when the address is none. */
    public function status_link($url, $label, $class = '')
    {
        if (!preg_match('~^https?://[^\s"\'<>]+$~i', (string) $url)) {
            return '';
        }
        return html::a(['href' => $url, 'target' => '_blank', 'rel' => 'noopener', 'class' => $class ?: null],
            rcube::Q($label) . html::span('voice', ' ' . rcube::Q($this->plain('newtab'))));
    }

    /**
     * The guard's text for the user: paragraphs, with the long address of the
     * status page as a link, and its times (UTC, because it cannot know better)
     * in the user's zone.
     */
    public function message($text, $url)
    {
        $paragraphs = '';
        foreach (preg_split('/\n\s*\n/', trim($text)) as $paragraph) {
            if ($paragraph === '') {
                continue;
            }
            $link = $url === '' ? '' : $this->status_link($url, $this->plain('statuspage'));
            $pieces = $link === '' ? [$paragraph] : explode($url, $paragraph);
            $html = nl2br(implode($link, array_map(['rcube', 'Q'], $pieces)), false);
            $paragraphs .= html::p(null, preg_replace_callback('/\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC\b/',
                function ($time) { return $this->time("$time[1]T$time[2]:00Z"); }, $html));
        }
        return $paragraphs;
    }
}
