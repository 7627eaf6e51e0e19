<?php

/**
 * A parked draft on its way out: the message as it lies in the mailbox, with the date of the moment
 * at which it is sent, and without what only drafts have.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_parked_message extends Mail_mime
{
    /** The header that marks a parked draft, with its id. */
    const MARK = 'X-Sendguard-Parked';
    /** The header of its copy in Sent, with the id of its submission. */
    const SENT = 'X-Sendguard-Sent';
    const OF_DRAFTS = ['x-sendguard-parked', 'x-draft-info'];

    /** @var array Of each header: name, and value as it stands there, encoded and unfolded */
    private $fields = [];

    /** @var string The file with the body */
    private $body;

    /** @var array What the draft says of the message that it answers: type, uid, folder, dsn */
    public $draft_info = [];

    /** The message of that draft; null when it cannot be read. */
    public static function of(rcube_storage $storage, $folder, $uid, $date)
    {
        $source = rcube_utils::temp_filename('parked');
        $file = fopen($source, 'w+');
        $storage->set_folder($folder);
        $storage->get_raw_body($uid, $file);
        rewind($file);
        $message = new self(['delay_file_io' => true, 'eol' => "\r\n"]);
        $good = $message->read($file, $date);
        fclose($file);
        unlink($source);

        return $good ? $message : null;
    }

    private function read($file, $date)
    {
        $name = null;
        while (($line = fgets($file)) !== false && ($line = rtrim($line, "\r\n")) !== '') {
            if ($name !== null && ($line[0] === ' ' || $line[0] === "\t")) {
                $this->fields[count($this->fields) - 1][1] .= ' ' . ltrim($line);
            } elseif (preg_match('/^([!-9;-~]+):\s*(.*)$/', $line, $part)) {
                $name = $part[1];
                $this->fields[] = [$name, $part[2]];
            }
        }
        if ($line === false || $this->field('from') === '') {
            return false;
        }
        $this->draft_info = rcmail_sendmail::draftinfo_decode($this->field('x-draft-info'));
        $this->fields = array_values(array_filter($this->fields, function ($field) {
            return !in_array(strtolower($field[0]), self::OF_DRAFTS, true);
        }));
        $this->headers(['Date' => $date], true);
        $this->body = rcube_utils::temp_filename('parked');

        return file_put_contents($this->body, $file) !== false;
    }

    private function field($name)
    {
        foreach ($this->fields as [$other, $value]) {
            if (strtolower($other) === $name) {
                return $value;
            }
        }
        return '';
    }

    /** The address in From. */
    public function from()
    {
        $list = rcube_mime::decode_address_list($this->field('from'), 1, true, RCUBE_CHARSET);

        return (string) (reset($list)['mailto'] ?? '');
    }

    /** What Roundcube hands to the mail server beside Cc and Bcc. */
    public function mailto()
    {
        return $this->field('to');
    }

    /** In plain text. */
    public function subject()
    {
        return rcube_mime::decode_header($this->field('subject'), RCUBE_CHARSET);
    }

    public function headers($headers = [], $overwrite = false, $skip_content = false)
    {
        foreach ($headers as $name => $value) {
            $this->fields = array_values(array_filter($this->fields, function ($field) use ($name) {
                return strcasecmp($field[0], $name) !== 0;
            }));
            if ($value !== null) {
                $this->fields[] = [$name, $value];
            }
        }
        return array_column($this->fields, 1, 0);
    }

    public function txtHeaders($headers = [], $overwrite = false, $skip_content = false)
    {
        $this->headers($headers, $overwrite);
        $text = '';
        foreach ($this->fields as [$name, $value]) {
            // A header that was folded is folded again: no line may have more than 998 characters.
            $text .= wordwrap("$name: $value", 900, "\r\n ", false) . "\r\n";
        }
        return substr($text, 0, -2);
    }

    public function saveMessageBody($file, $params = null)
    {
        return copy($this->body, $file);
    }

    public function __destruct()
    {
        if ($this->body) {
            unlink($this->body);
        }
    }
}
