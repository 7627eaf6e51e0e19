<?php

/**
 * The recipients of a message as the user wrote them, and exactly those that
 * the mail server will be given.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_recipients
{
    /**
     * @param string|array $to  What Roundcube hands to the mail server beside Cc and Bcc
     * @param string       $cc  The header
     * @param string       $bcc The header
     *
     * @return array to, cc, bcc: lists of `Name <address>` or `address`, in UTF-8
     */
    public static function of($to, $cc, $bcc)
    {
        $to = implode(', ', (array) $to);
        $envelope = self::envelope(array_filter([$to, $cc, $bcc], 'strlen'));
        $fields = [];
        $seen = [];

        foreach (['to' => $to, 'cc' => $cc, 'bcc' => $bcc] as $field => $header) {
            $fields[$field] = [];
            foreach (rcube_mime::decode_address_list($header, null, true, RCUBE_CHARSET) as $entry) {
                $key = self::key($entry['mailto']);
                if (isset($envelope[$key])) {
                    $fields[$field][] = self::written($entry['name'], $entry['mailto']);
                    $seen[$key] = true;
                }
            }
        }
        // Two readers of one header can differ. What the mail server gets counts.
        foreach (array_diff_key($envelope, $seen) as $address) {
            $fields['to'][] = self::written('', $address);
        }

        return $fields;
    }

    /**
     * The addresses that rcube_smtp will give to the mail server, by key. Its
     * own reader is the one that can be right about that; it is private.
     */
    private static function envelope(array $headers)
    {
        if (method_exists('rcube_smtp', '_parse_rfc822')) {
            $reader = new ReflectionMethod('rcube_smtp', '_parse_rfc822');
            if (PHP_VERSION_ID < 80100) {
                $reader->setAccessible(true);
            }
            $addresses = $reader->invoke(new rcube_smtp(), $headers);
        } else {
            $addresses = rcube_mime::decode_address_list($headers, null, false, RCUBE_CHARSET, true);
        }

        $keyed = [];
        foreach ((array) $addresses as $address) {
            $keyed[self::key($address)] = $address;
        }
        return $keyed;
    }

    private static function key($address)
    {
        return strtolower(rcube_utils::idn_to_ascii(trim($address)));
    }

    private static function written($name, $address)
    {
        $name = trim(preg_replace('/[\x00-\x1F\x7F]+/', ' ', (string) $name));
        $address = trim(preg_replace('/[\x00-\x1F\x7F]+/', '', $address));
        if ($name === '' || $name === $address) {
            return $address;
        }
        if (preg_match('/[()<>\[\]:;@\\\\,."]/', $name)) {
            $name = '"' . addcslashes($name, '"\\') . '"';
        }
        return "$name <$address>";
    }
}
