<?php

/**
 * The installed Roundcube as it sends a message, from the form to the mail server, but for the
 * mail server: what it would be given at RCPT is kept.
 */

define('INSTALL_PATH', getenv('ROUNDCUBE_FOLDER') ?: '/usr/share/roundcube/');

/** Stands in the place of Net_SMTP's connection. */
class recording_connection
{
    public $recipients = [];

    public function getServiceExtensions()
    {
        return ['SMTPUTF8' => true, 'DSN' => true];
    }

    public function mailFrom($from, $params)
    {
        $this->recipients = [];
        return true;
    }

    public function rcptTo($recipient, $params)
    {
        $this->recipients[] = $recipient;
        return true;
    }

    public function data($body, $headers)
    {
        return true;
    }

    public function getResponse()
    {
        return [250, 'OK'];
    }

    public function disconnect()
    {
        return true;
    }
}

class roundcube
{
    private $rcmail;
    private $connection;
    private $folder;

    public function __construct()
    {
        $this->folder = sys_get_temp_dir() . '/sendguard-forms-' . getmypid();
        mkdir($this->folder, 0700);
        symlink('/etc/roundcube/defaults.inc.php', "$this->folder/defaults.inc.php");
        file_put_contents("$this->folder/config.inc.php", '<?php $config = ' . var_export([
            'db_dsnw' => 'sqlite:///' . $this->folder . '/db?mode=0600',
            'des_key' => str_repeat('x', 24),
            'plugins' => [],
            'enable_spellcheck' => false,
            'log_dir' => $this->folder,
            'temp_dir' => $this->folder,
            'collected_recipients' => false,
            'max_recipients' => 0,
            'email_dns_check' => false,
        ], true) . ';');
        putenv("ROUNDCUBE_CONFIG_DIR=$this->folder");
        // What it warns of, here without a browser and a session, is not what is tried.
        error_reporting(0);
        require INSTALL_PATH . 'program/include/clisetup.php';
        error_reporting(0);
        $this->rcmail = rcmail::get_instance();
        $this->connection = new recording_connection();
        $this->rcmail->smtp = new rcube_smtp();
        $connection = new ReflectionProperty('rcube_smtp', 'conn');
        if (PHP_VERSION_ID < 80100) {
            $connection->setAccessible(true);
        }
        $connection->setValue($this->rcmail->smtp, $this->connection);
    }

    public function __destruct()
    {
        foreach (glob("$this->folder/*") as $file) {
            unlink($file);
        }
        rmdir($this->folder);
    }

    /** What the mail server is given for a form's fields: as program/actions/mail/send.php goes about it. */
    public function recipients(array $form)
    {
        $_POST = $form + ['_from' => 'alice@example.test', '_subject' => 'x', '_message' => 'x'];
        $this->connection->recipients = [];
        $sender = new rcmail_sendmail([], [
            'sendmail'      => true,
            'error_handler' => function () {
                throw new refused_by_roundcube();
            },
        ]);
        try {
            $headers = $sender->headers_input();
            $message = $sender->create_message($headers, 'x');
            $sender->deliver_message($message, false);
        } catch (refused_by_roundcube $refused) {
            return [];
        }
        return $this->connection->recipients;
    }
}

class refused_by_roundcube extends Exception
{
}
