<?php

/**
 * What other plugins may do to a send, by the message's subject: refuse it
 * after the guard admitted it, or end the request at one moment or another. And, once, where a
 * file in Roundcube's temporary folder names a hook: the process is killed there.
 */
class troublemaker extends rcube_plugin
{
    private $subject = '';

    public function init()
    {
        $this->add_hook('message_before_send', [$this, 'before_send']);
        $this->add_hook('smtp_connect', [$this, 'connecting']);
        foreach (['message_before_send', 'smtp_connect', 'message_sent', 'message_saved'] as $hook) {
            $this->add_hook($hook, function ($args) use ($hook) {
                return $this->killed_at($hook, $args);
            });
        }
    }

    private function killed_at($hook, $args)
    {
        $file = rcmail::get_instance()->config->get('temp_dir') . '/kill-at';
        if (is_file($file) && file_get_contents($file) === $hook) {
            unlink($file);
            posix_kill(getmypid(), SIGKILL);
        }
        return $args;
    }

    public function before_send($args)
    {
        $this->subject = (string) ($args['message']->headers()['Subject'] ?? '');
        if ($this->subject === 'refuse after the guard') {
            $args['abort'] = true;
            $args['error'] = 'Refused by another plugin.';
        }
        if ($this->subject === 'die before the mail server') {
            no_such_function();
        }
        return $args;
    }

    public function connecting($args)
    {
        if ($this->subject === 'die while talking') {
            no_such_function();
        }
        return $args;
    }
}
