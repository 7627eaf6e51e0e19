<?php

/**
 * What other plugins may do to a send, by the message's subject: refuse it
 * after the guard admitted it, or end the request at one moment or another.
 */
class troublemaker extends rcube_plugin
{
    private $subject = '';

    public function init()
    {
        $this->add_hook('message_before_send', [$this, 'before_send']);
        $this->add_hook('smtp_connect', [$this, 'connecting']);
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
