<?php

// Asks one question with the plugin's client: php question.php URL SECONDS
// Writes what the plugin would make of the answer, as JSON.

require __DIR__ . '/../../webmail/roundcube/sendguard/lib/client.php';

$begun = microtime(true);
$answer = (new sendguard_client($argv[1], (float) $argv[2]))->submit(['id' => 'one', 'mailbox' => 'alice@example.test']);
echo json_encode([
    'status' => $answer->status, 'admitted' => $answer->admitted(), 'held' => $answer->held(), 'refused' => $answer->refused(),
    'may_be_counted' => $answer->may_be_counted(), 'error' => $answer->error,
    'seconds' => microtime(true) - $begun,
]), "\n";
