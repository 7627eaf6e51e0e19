<?php
// A plugin of ISPConfig's server: copy it as sendguard_plugin.inc.php to /usr/local/ispconfig/server/plugins-available
// and link it in plugins-enabled. From ISPConfig's own plugins, not tried. The mailbox's own user changes the password
// in ISPConfig too.
class sendguard_plugin
{
    public $plugin_name = 'sendguard_plugin';
    public $class_name = 'sendguard_plugin';

    public function onInstall()
    {
        global $conf;
        return $conf['services']['mail'] == true;
    }

    public function onLoad()
    {
        global $app;
        $app->plugins->registerEvent('mail_user_update', $this->plugin_name, 'changed');
    }

    public function changed($event, $data)
    {
        if ($data['old']['password'] !== $data['new']['password']) {
            exec('/usr/local/bin/sendguard-password-changed --owner ' . escapeshellarg($data['new']['email']));
        }
    }
}
