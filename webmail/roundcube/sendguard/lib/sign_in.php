<?php

/**
 * Signing in: the mail server hears where the browser is, and who is kept out after wrong passwords
 * reads until when, or that the mailbox is locked (docs/logins.md).
 *
 * @license GPL-3.0-or-later
 */
class sendguard_sign_in
{
    // What sendguard-auth answers.
    const CLOSED = '~^Too many wrong passwords; try again after ((?:[01]\d|2[0-3]):[0-5]\d) UTC$~';
    const LOCKED = '~^This mailbox is locked, since (others may know its password|its password is in a list of stolen passwords); (to set a new one, )?ask (.+)$~';
    const TOO_OLD = '~^The password of this mailbox is older than (\d{1,4}) days; to set a new one, ask (.+)$~';
    const OTHERS = 'others may know its password';
    const SUPPORT = 'your support'; // no contact is set
    const MAX_BYTES = 512;

    private $texts;

    public function __construct(sendguard_texts $texts)
    {
        $this->texts = $texts;
    }

    /**
     * What IMAP's ID says before the password, so that wrong passwords count for the browser's network
     * and not for the webmail's. Never the session's name, which opens the session.
     *
     * @param mixed  $ident   What others say there already
     * @param string $address The browser's
     */
    public static function ident($ident, $address)
    {
        $ident = is_array($ident) ? $ident : [];

        return filter_var($address, FILTER_VALIDATE_IP) === false ? $ident : ['x-originating-ip' => $address] + $ident;
    }

    /**
     * What an alert of the mail server says (RFC 3501: users have to see it).
     *
     * @param mixed  $code  The response code of IMAP
     * @param mixed  $error Its error: the name of the command, and the text
     * @param string $zone  The browser's time zone
     * @param int    $now   Seconds
     *
     * @return string HTML; '' when it was no alert
     */
    public function alert($code, $error, $zone, $now)
    {
        $text = is_string($error) ? trim(preg_replace('~^[A-Z0-9 -]+: ~', '', substr($error, 0, self::MAX_BYTES))) : '';
        if ($code !== 'ALERT' || $text === '') {
            return '';
        }
        if (preg_match(self::LOCKED, $text, $match)) {
            [, $why, $how, $who] = $match;
            $name = $why !== self::OTHERS ? 'signinbreached' : ($how === '' ? 'signinlockedagain' : 'signinlocked');
            return html::span('sendguard-locked', $this->texts->html($name, ['contact' => $this->contact($who)]));
        }
        if (preg_match(self::TOO_OLD, $text, $match)) {
            return html::span('sendguard-locked', $this->texts->html(
                'signintooold', ['days' => $match[1], 'contact' => $this->contact($match[2])]));
        }
        return preg_match(self::CLOSED, $text, $match) ? $this->closed($match[1], $zone, $now) : rcube::Q($text);
    }

    private function contact($who)
    {
        return $who === self::SUPPORT ? $this->texts->html('oursupport') : rcube::Q($who);
    }

    private function closed($clock, $zone, $now)
    {
        // A block is an hour long, so of the moments that have this name it is the next one.
        $end = new DateTime(gmdate('Y-m-d', $now) . " $clock UTC");
        if ($end->getTimestamp() <= $now) {
            $end->modify('+1 day');
        }
        return $this->texts->html('signinclosed', ['time' => $this->texts->clock($end, $zone)]);
    }
}
