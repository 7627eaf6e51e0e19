<?php

/**
 * Two readers of one form: ours, which counts, and Roundcube, which sends. Mutated forms go through
 * both; of every form that ours accepts Roundcube must write to nobody whom ours did not count.
 *
 *   php differential.php FORM-READER SEED FORMS
 *
 * Exit status 0; 1 when they differ: the first forms that show it are printed.
 */

require __DIR__ . '/roundcube.php';

const NAMES = ['Bob', 'Dr. B. Smith', '"Smith, Bob"', '"b@y.test"', "J\xC3\xBCrgen M\xC3\xBCller",
    "\"M\xC3\xBCller, J\xC3\xBCrgen\"", "\"J\xC3\xBC <j@y.test>\"", 'Bob "B" Smith', "O'Neil", '"a; b"', "\xF0\x9F\x98\x80",
    '=?UTF-8?Q?J=C3=BCrgen?=', '"Sales: all"', '""', 'Bob (work)', "J\xC3\xBC \"@home\"", "\"\xC3\xA9 b@y.test, c\""];
const LOCALS = ['a', 'b.c', 'd+e', "j\xC3\xBC", '"john doe"', '"f@g.test"', '"h,i"', '"k;l"', '"m<n"', '"o>p"', '"q(r)"',
    "\"\xC3\xBC\"", '"s  t"', '" u"', '"v "', '"w:x"', 'y%z.test', 'A', '"B"', "'c'", '"x y@z.test w"', '50%off', '{x}', '"[d]"'];
const DOMAINS = ['x.test', 'own.test', "b\xC3\xBC.test", 'X.TEST', 'ab--cd.test', 'xn--0.test', '[192.0.2.1]', 'x.test.',
    "b\xC3\xBCcher.ex\xC3\xA4mple", "x\xE3\x80\x82test", 'localhost', "xe\xCC\x81.test", "x.te\xCC\x81", "stra\xC3\x9Fe.test"];
const SEPARATORS = [', ', ',', ';', '; ', ' , ', ',,', ' '];
const COMMENTS = ['(work)', '(a, b)', '(")', '(\\)', '(b@y.test)', "(\xC3\xBC)", '(;)', '(<)', '()'];
// What one reader may take for something else than the other.
const TOKENS = ['"', '\\', '\\"', '\\\\', '<', '>', '@', ',', ';', ':', '(', ')', '[', ']', ' ', "\t", '.', '%', '=', '?',
    "\xC3\xA9", "\xCC\x81", "\xC2\xA0", "\xE2\x80\xA8", "\xE3\x80\x80", "\xEF\xBC\x8C", "\xE2\x80\x8B", "\x7F", "\xC2\x85", '=?UTF-8?Q?', '?=',
    'b@y.test', ' <b@y.test>', '<b@y.test>', '"b@y.test"', ' b@y.test ', ', b@y.test', ' "', '" ', '"@x.test', "'", '-', '_', '0', 'group:', ';,'];
// Ways past readers that were found.
const CORPUS = [
    ['_bcc' => "\"\xC3\xA9\\\\\\\" <b@x.test>, x\" <d@own.test>"],
    ['_to' => '"\\"x a@y.test b@z.test "@own.test,"\\"y k"@own.test'],
    ['_to' => "\"a\\\\\" \"e@x.test, f@x.test\" <c@d.test>"],
    ['_cc' => "\"\xC3\xA9 a@y.test\" <c@d.test>"],
    ['_to' => 'a@x.test (", b@y.test, ") c@z.test'],
];

function any(array $list)
{
    return $list[mt_rand(0, count($list) - 1)];
}

function chance($percent)
{
    return mt_rand(0, 99) < $percent;
}

function entry()
{
    $address = any(LOCALS) . '@' . any(DOMAINS);
    $entry = chance(50) ? any(NAMES) . any([' ', '', '  ']) . "<$address>" : (chance(20) ? "<$address>" : $address);
    if (chance(5)) {
        $entry = chance(50) ? any(COMMENTS) . " $entry" : "$entry " . any(COMMENTS);
    }
    return $entry;
}

function field()
{
    if (chance(10)) {
        return 'Team: ' . entry() . ', ' . entry() . ';' . (chance(20) ? any(COMMENTS) : '');
    }
    $text = entry();
    for ($more = mt_rand(0, 2); $more > 0; $more--) {
        $text .= any(SEPARATORS) . entry();
    }
    return $text;
}

function mutate($text)
{
    $characters = preg_split('//u', $text, -1, PREG_SPLIT_NO_EMPTY);
    $at = mt_rand(0, count($characters));
    switch (mt_rand(0, 5)) {
    case 0:
        array_splice($characters, $at, mt_rand(1, 3));
        break;
    case 1: // a piece once more, elsewhere
        $piece = array_slice($characters, $at, mt_rand(1, 12));
        array_splice($characters, mt_rand(0, count($characters)), 0, $piece);
        break;
    default:
        array_splice($characters, $at, chance(20) ? 1 : 0, [any(TOKENS)]);
    }
    return implode('', $characters);
}

function form($number)
{
    if ($number < count(CORPUS)) {
        return CORPUS[$number];
    }
    if (chance(15)) {
        $form = any(CORPUS);
    } else {
        $form = [any(['_to', '_cc', '_bcc']) => field()];
        if (chance(30)) {
            $form[any(['_to', '_cc', '_bcc'])] = field();
        }
    }
    for ($times = any([0, 0, 1, 1, 1, 2, 2, 3, 5]); $times > 0; $times--) {
        $field = array_rand($form);
        $form[$field] = mutate($form[$field]);
    }
    return $form;
}

/** The reader's answers to all lines. */
function ask($reader, array $lines)
{
    if (!$lines) {
        return [];
    }
    $pipe = fopen('php://temp', 'w+');
    fwrite($pipe, implode("\n", $lines) . "\n");
    rewind($pipe);
    $file = tempnam(sys_get_temp_dir(), 'forms');
    file_put_contents($file, $pipe);
    $process = proc_open([$reader], [['file', $file, 'r'], ['pipe', 'w'], STDERR], $pipes);
    $answers = explode("\n", rtrim(stream_get_contents($pipes[1]), "\n"));
    $status = proc_close($process);
    unlink($file);
    if ($status !== 0 || count($answers) !== count($lines)) {
        fwrite(STDERR, "$reader: status $status, " . count($answers) . ' answers to ' . count($lines) . " lines\n");
        exit(2);
    }
    return $answers;
}

[, $reader, $seed, $count] = $argv;
mt_srand((int) $seed);
$forms = $lines = [];
for ($number = 0; $number < $count; $number++) {
    $forms[] = $form = form($number);
    $lines[] = http_build_query($form, '', '&', PHP_QUERY_RFC3986);
}

$roundcube = new roundcube();
$accepted = $sent = $asked = $addresses = [];
foreach (ask($reader, $lines) as $number => $answer) {
    if (strncmp($answer, 'ok', 2) !== 0) {
        continue;
    }
    $accepted[$number] = array_map('rawurldecode', explode(' ', substr($answer, 3)));
    $sent[$number] = $roundcube->recipients($forms[$number]);
    foreach ($sent[$number] as $address) {
        $addresses[$address] = '@' . rawurlencode($address);
    }
}
$keys = array_combine(array_keys($addresses), ask($reader, array_values($addresses)));

$wrong = 0;
$reached = 0;
foreach ($accepted as $number => $counted) {
    $reached += $sent[$number] ? 1 : 0;
    foreach ($sent[$number] as $address) {
        $key = $keys[$address];
        if (strncmp($key, 'ok ', 3) !== 0 || !in_array(rawurldecode(substr($key, 3)), $counted, true)) {
            if (++$wrong <= (int) (getenv('SENDGUARD_FORMS_SHOWN') ?: 10)) {
                printf("form %d: %s\n  counted: %s\n  sent to: %s\n", $number,
                    json_encode($forms[$number], JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES),
                    implode('  ', $counted), implode('  ', $sent[$number]));
            }
            break;
        }
    }
}
printf("seed %d: %d forms, %d accepted, %d of them sent by Roundcube %s, %d to others than counted\n",
    $seed, $count, count($accepted), $reached, RCMAIL_VERSION, $wrong);
exit($wrong > 0 ? 1 : 0);
