<?php

/**
 * What an error of hook message_send_error says about where the message is now.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_send_error
{
    /** Roundcube gave up before MAIL FROM, or before DATA because of the server's own SIZE. */
    const NEVER_OFFERED = ['smtpconnerror', 'smtpautherror', 'smtputf8error', 'smtprecipientserror', 'smtpsizeerror'];

    /**
     * The code of the mail server's answer; 0 when there was none: Roundcube
     * then names -1 or the code of an earlier answer, which is no refusal.
     *
     * @param mixed $error label and vars, as rcube_smtp sets them
     */
    public static function code($error)
    {
        $vars = is_array($error) && is_array($error['vars'] ?? null) ? $error['vars'] : [];
        $code = $vars['code'] ?? null;
        if ($code === null && is_string($vars['msg'] ?? null) && preg_match('~^\[(\d{3})\]~', $vars['msg'], $match)) {
            $code = $match[1]; // of an answer to DATA, or after the final dot
        }
        return is_numeric($code) && $code >= 400 && $code <= 599 ? (int) $code : 0;
    }

    /**
     * Whether it is certain that the message was not sent. An answer that was
     * lost after the final dot says nothing: the mail server may have queued it.
     */
    public static function is_certain($error)
    {
        return self::code($error) !== 0
            || (is_array($error) && in_array($error['label'] ?? null, self::NEVER_OFFERED, true));
    }
}
