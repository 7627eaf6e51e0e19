<?php

/**
 * A refusal that came from the mail server, when the guard behind that server
 * is who refused: then its text carries a status link or a reference of ours.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_server_refusal
{
    // The alphabet of references has no I, L, O and U.
    const REFERENCE = '~(?<![\w-])[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}(?![\w-])~';
    // No sign before the path that browsers and parse_url() take in different ways: @ and \ above all.
    const LINK = '~https?://[\w.:\[\]-]+(?:/[^\s"\'<>?#\\\\]*)?/(?:status\?t=[\w-]+(?:&\w+=[\w-]+)*|r/[\w-]+)~i';
    // What Postfix writes before the text of a policy service, after Roundcube's "[554] ".
    const PREFIX = '~^(?:\[\d{3}\]\s)?(?:\d\.\d{1,3}\.\d{1,3}\s)?(?:<[^<>]*>:\s[^:<>]*\srejected:\s)?~';
    const MAX_BYTES = 4096;

    /** @var int The SMTP code */
    public $code = 0;

    /** @var sendguard_answer The parts as an answer of the webmail endpoint has them */
    public $answer;

    /**
     * @param mixed  $error The error of hook message_send_error: label and vars
     * @param string $base  What status links begin with; '' for any address of $host
     * @param string $host  The name by which the browser reaches the webmail
     *
     * @return ?sendguard_server_refusal null when it is another error of the mail server
     */
    public static function of($error, $base, $host)
    {
        $vars = is_array($error) && is_array($error['vars'] ?? null) ? $error['vars'] : [];
        $text = is_string($vars['msg'] ?? null) ? substr($vars['msg'], 0, self::MAX_BYTES) : '';
        preg_match_all(self::LINK, $text, $matches);
        $links = array_filter($matches[0], function ($one) use ($base, $host) {
            return self::is_ours($one, $base, $host);
        });
        $link = (string) reset($links);
        $reference = preg_match(self::REFERENCE, $text, $match) ? $match[0] : '';
        if ($link === '' && $reference === '') {
            return null;
        }

        $refusal = new self();
        $refusal->code = sendguard_send_error::code($error);
        $refusal->answer = new sendguard_answer();
        $refusal->answer->body = [
            'message'    => trim(preg_replace(self::PREFIX, '', $text)),
            'status_url' => $link,
            'decision'   => $reference,
        ];
        return $refusal;
    }

    /** Another attempt may pass without any change. */
    public function temporary()
    {
        return $this->code >= 400 && $this->code < 500;
    }

    /** Any mail server can write an address into its errors; only ours become links. */
    private static function is_ours($link, $base, $host)
    {
        if ($base !== '') {
            return strpos($link, rtrim($base, '/') . '/status?t=') === 0
                || strpos($link, rtrim($base, '/') . '/r/') === 0;
        }
        return $host !== '' && strcasecmp((string) parse_url($link, PHP_URL_HOST), $host) === 0;
    }
}
