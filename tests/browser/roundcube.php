<?php

// Runs parts of the plugin inside Roundcube's own classes, without a browser.
//   php -- ROUNDCUBE-FOLDER recipients|refusal|server_refusal|sign_in JSON < roundcube.php
// Writes a JSON value. To be run as the webmail's user, who may not come here:
// hence from standard input.

define('INSTALL_PATH', rtrim($argv[1], '/') . '/');
putenv('ROUNDCUBE_CONFIG_DIR=' . INSTALL_PATH . 'config');
require INSTALL_PATH . 'program/include/clisetup.php';

$rcmail = rcmail::get_instance();
$_SESSION['language'] = 'en_US';
$plugin = $rcmail->plugins->get_plugin('sendguard');
$case = json_decode($argv[3], true);

switch ($argv[2]) {
case 'recipients':
    $result = sendguard_recipients::of($case['to'], $case['cc'] ?? '', $case['bcc'] ?? '');
    break;
case 'refusal':
    $plugin->add_texts('localization/');
    $answer = new sendguard_answer();
    $answer->status = $case['status'];
    $answer->body = $case['body'];
    $refusal = new sendguard_refusal(new sendguard_texts($plugin, $rcmail));
    $result = $refusal->dialog($answer, 'notsent', true, true);
    $result['page'] = (new sendguard_status_page(new sendguard_texts($plugin, $rcmail), 'strval'))->html($answer, $answer);
    break;
case 'server_refusal':
    $plugin->add_texts('localization/');
    $refusal = sendguard_server_refusal::of($case['error'], $case['base'] ?? '', $case['host'] ?? '');
    $result = $refusal ? (new sendguard_refusal(new sendguard_texts($plugin, $rcmail)))
        ->dialog_of_server($refusal, 'notsent', true, true) : null;
    break;
case 'sign_in':
    $plugin->add_texts('localization/');
    $result = [
        'html' => (new sendguard_sign_in(new sendguard_texts($plugin, $rcmail)))
            ->alert($case['code'], $case['error'], $case['zone'], $case['now']),
        'ident' => sendguard_sign_in::ident($case['ident'] ?? null, $case['address'] ?? ''),
    ];
    break;
default:
    fwrite(STDERR, "no such part: $argv[2]\n");
    exit(64);
}
echo json_encode($result, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
