<?php

/**
 * Talks to the guard's webmail endpoint: HTTP over TCP, TLS or a unix socket, with
 * a deadline for the whole call, and no extension of PHP.
 *
 * @license GPL-3.0-or-later
 */
class sendguard_client
{
    const CONNECT_SECONDS = 1.0;
    const REFUND_SECONDS = 1.0;
    const MAX_ANSWER_BYTES = 1048576;

    private $remote;
    private $host;
    private $path;
    private $seconds;
    private $language = '';

    /**
     * @param string $url     http://HOST[:PORT]/PATH, https://…, or unix:/SOCKET:/PATH
     * @param float  $seconds How long one question may take in all
     */
    public function __construct($url, $seconds)
    {
        $this->seconds = max(0.1, $seconds);

        if (preg_match('~^unix:(/[^:]+):(/[^?#]*)$~', $url, $part)) {
            [, $socket, $this->path] = $part;
            $this->remote = 'unix://' . $socket;
            $this->host = 'localhost';
        } elseif (preg_match('~^(https?)://([^/?#@]+?)(?::(\d+))?(/[^?#]*)$~', $url, $part)) {
            [, $scheme, $host, $port, $this->path] = $part;
            $tls = $scheme === 'https';
            $this->remote = ($tls ? 'tls' : 'tcp') . "://$host:" . ($port ?: ($tls ? 443 : 80));
            $this->host = $host;
        }
        $this->path = rtrim((string) $this->path, '/');
    }

    /** Judge a message and count it when it is admitted. */
    public function submit(array $submission)
    {
        return $this->post('', $submission);
    }

    /**
     * Judge without counting: nothing is left behind.
     *
     * @param bool $password_changed The sender has changed the password just now: with the token of the
     *                               status link that comes, password_changed() tells so
     */
    public function ask(array $submission, $password_changed = false)
    {
        return $this->post('?dry_run=1' . ($password_changed ? '&password_changed=1' : ''), $submission);
    }

    /** The same while the message is still being written: what to tell meanwhile. Not asked twice. */
    public function hints(array $submission)
    {
        return $this->call('POST', '?dry_run=1&hints=1', $this->json($submission), microtime(true) + $this->seconds);
    }

    /**
     * What became of a message: a question to the web interface, with a status link's token. It is
     * asked once, since nobody waits for long.
     */
    public function delivery($token, array $question, $language)
    {
        $this->language = preg_replace('/[^A-Za-z-]/', '', $language);
        return $this->call('POST', '?t=' . $token, $this->json($question), microtime(true) + $this->seconds);
    }

    /** How it stands with a status link's mailbox, as the status page has it. */
    public function status($token, $language)
    {
        $this->language = preg_replace('/[^A-Za-z-]/', '', $language);
        return $this->call('GET', '?t=' . $token, '', microtime(true) + $this->seconds);
    }

    /** What is done with a parked message, by a token that was just made. It is asked once. */
    public function parked($token, array $words)
    {
        return $this->call('POST', '?t=' . $token, json_encode($words), microtime(true) + $this->seconds);
    }

    /** Tells the web interface, with such a token. */
    public function password_changed($token)
    {
        return $this->call('POST', '?t=' . $token, '{"action":"password_changed"}', microtime(true) + $this->seconds);
    }

    /** The message was not sent after all. Best effort: nobody waits for it. 404: not counted, or it has reached the mail server. */
    public function refund($id, $mailbox)
    {
        $path = '/' . rawurlencode($id) . '?mailbox=' . rawurlencode($mailbox);
        $answer = $this->call('DELETE', $path, '', microtime(true) + min($this->seconds, self::REFUND_SECONDS));
        if (!in_array($answer->status, [200, 204, 404], true)) {
            rcube::raise_error(['code' => 600, 'file' => __FILE__, 'line' => __LINE__,
                'message' => "sendguard: a charge was not refunded: " . $answer->problem()], true, false);
        }
    }

    /**
     * A connection that broke before the answer is tried once more: the id is
     * the same, so the message counts once even if the first try was counted.
     */
    private function post($query, array $submission)
    {
        $body = $this->json($submission);
        $deadline = microtime(true) + $this->seconds;
        $first = $this->call('POST', $query, $body, $deadline);
        if (!$first->broken()) {
            return $first;
        }
        $second = $this->call('POST', $query, $body, $deadline);
        $second->left = $second->left || $first->left;
        return $second;
    }

    private function json(array $members)
    {
        return json_encode($members, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE);
    }

    private function call($method, $path, $body, $deadline)
    {
        $answer = new sendguard_answer();
        if (!$this->remote) {
            $answer->error = 'sendguard_url is no URL of the form http://HOST:PORT/PATH or unix:/SOCKET:/PATH';
            return $answer;
        }
        $stream = @stream_socket_client($this->remote, $code, $text,
            min(self::CONNECT_SECONDS, max(0.01, $deadline - microtime(true))));
        if (!$stream) {
            $answer->error = "no connection to $this->remote: $text";
            return $answer;
        }
        // HTTP/1.0: the answer comes whole, and ends with the connection.
        $request = "$method $this->path$path HTTP/1.0\r\nHost: $this->host\r\n"
            . "Content-Type: application/json\r\nAccept: application/json\r\n"
            . ($this->language === '' ? '' : "Accept-Language: $this->language\r\n")
            . 'Content-Length: ' . strlen($body) . "\r\n\r\n" . $body;
        $answer->left = true;
        if ($this->write($stream, $request, $deadline)) {
            $answer->read($this->read($stream, $deadline));
        } else {
            $answer->error = 'the connection broke while asking';
        }
        if ($answer->status === 0 && (stream_get_meta_data($stream)['timed_out'] || microtime(true) >= $deadline)) {
            $answer->timed_out = true;
            $answer->error = "no answer within $this->seconds s";
        }
        fclose($stream);
        return $answer;
    }

    private function write($stream, $bytes, $deadline)
    {
        while ($bytes !== '') {
            if (!$this->set_deadline($stream, $deadline)) {
                return false;
            }
            $written = @fwrite($stream, $bytes);
            if (!$written) {
                return false;
            }
            $bytes = substr($bytes, $written);
        }
        return true;
    }

    private function read($stream, $deadline)
    {
        $bytes = '';
        while (strlen($bytes) < self::MAX_ANSWER_BYTES && $this->set_deadline($stream, $deadline)) {
            $more = @fread($stream, 65536);
            if ($more === false || $more === '') {
                break;
            }
            $bytes .= $more;
        }
        return $bytes;
    }

    private function set_deadline($stream, $deadline)
    {
        $left = $deadline - microtime(true);
        if ($left <= 0) {
            return false;
        }
        return stream_set_timeout($stream, (int) $left, (int) (($left - (int) $left) * 1e6));
    }
}

/** What came back: a verdict, a complaint about the request, or nothing of use. */
class sendguard_answer
{
    /** @var int HTTP status; 0 while there is no whole answer */
    public $status = 0;

    /** @var array The JSON object */
    public $body = [];

    /** @var string Why there is no answer; for the log */
    public $error = '';

    /** @var bool The question left this machine's hands, so it may have been heard */
    public $left = false;

    /** @var bool */
    public $timed_out = false;

    /** Takes the bytes of an HTTP answer apart. */
    public function read($bytes)
    {
        $parts = explode("\r\n\r\n", $bytes, 2);
        if (count($parts) < 2 || !preg_match('~^HTTP/1\.[01] (\d{3})~', $parts[0], $status)) {
            $this->error = 'the connection broke before an answer';
            return;
        }
        if (preg_match('~^Content-Length:\s*(\d+)~mi', $parts[0], $length) && strlen($parts[1]) < (int) $length[1]) {
            $this->error = 'the connection broke within the answer';
            return;
        }
        $this->status = (int) $status[1];
        $body = json_decode($parts[1], true);
        $this->body = is_array($body) ? $body : [];
    }

    public function admitted()
    {
        return in_array($this->status, [200, 202], true)
            && $this->member('verdict') !== '' && $this->member('verdict') !== 'refuse';
    }

    /** Admitted, and the mail server keeps it until the postmaster has looked at it. */
    public function held()
    {
        return $this->admitted() && $this->member('verdict') === 'hold';
    }

    /** The guard said no: by a rule, or because it cannot read an address. Nothing that would pass by itself. */
    public function refused()
    {
        if (in_array($this->status, [403, 422, 429], true)) {
            return $this->member('verdict') === 'refuse';
        }
        // nginx refuses what is too large before the guard sees it.
        return $this->status === 413 || ($this->status === 400 && $this->member('detail') !== '');
    }

    /** Worth asking again at once: nginx says 502 when its own connection to the guard broke. */
    public function broken()
    {
        return $this->status === 502 || ($this->status === 0 && $this->left && !$this->timed_out);
    }

    public function may_be_counted()
    {
        return $this->admitted() || (!$this->refused() && $this->left);
    }

    /** A text member of the answer, or ''. */
    public function member($name)
    {
        $value = $this->body[$name] ?? '';
        return is_string($value) ? $value : '';
    }

    /** A list member of the answer, its objects only. */
    public function objects($name)
    {
        $value = $this->body[$name] ?? [];
        return is_array($value) ? array_values(array_filter($value, 'is_array')) : [];
    }

    /** The sentence that the mailbox may not write as the address in From, or ''. */
    public function reason_of_from()
    {
        foreach ($this->objects('reasons') as $reason) {
            $rule = $reason['rule'] ?? null;
            if (is_string($rule) && strpos($rule, 'from_') === 0 && is_string($reason['text'] ?? null)) {
                return $reason['text'];
            }
        }
        return '';
    }

    /** What to show, in the words of the status page; null when this answer has nothing of it. */
    public function shown()
    {
        return isset($this->body['shown']) && is_array($this->body['shown']) ? new sendguard_shown($this->body['shown']) : null;
    }

    /** For the log: never the body, which names addresses. */
    public function problem()
    {
        return $this->error !== '' ? $this->error : "the guard answered with status $this->status"
            . ($this->body ? '' : ' and no JSON');
    }
}

/** The texts of an answer that are to be shown: plain, so each is escaped where it is put. */
class sendguard_shown
{
    private $members;

    public function __construct(array $members)
    {
        $this->members = $members;
    }

    /** One text, or ''. */
    public function text($name)
    {
        $value = $this->members[$name] ?? '';
        return is_string($value) ? $value : '';
    }

    /** A number that is none below 0; else -1. */
    public function number($name)
    {
        $value = $this->members[$name] ?? -1;
        return is_int($value) ? $value : -1;
    }

    /** A list of texts. */
    public function texts($name)
    {
        $value = $this->members[$name] ?? [];
        return is_array($value) ? array_values(array_filter($value, 'is_string')) : [];
    }

    /** A list of such objects. */
    public function parts($name)
    {
        $value = $this->members[$name] ?? [];
        $parts = [];
        foreach (is_array($value) ? array_filter($value, 'is_array') : [] as $part) {
            $parts[] = new self($part);
        }
        return $parts;
    }

    /** The texts of one window by its rule; none when there is no such window. */
    public function window($rule)
    {
        foreach ($this->parts('windows') as $window) {
            if ($window->text('rule') === $rule) {
                return $window;
            }
        }
        return new self([]);
    }
}
