#include "text/problem_text.h"

#include <string.h>

#include "base/json.h"

/* The sentences that staff may read at the desk, as problem_set() has them: %s and %d stand for
 * anything, which is {{a}}, {{b}} and so on in the text of that key. tools/check-docs holds them
 * against the sources. */
static const struct {
    const char *key, *pattern;
} sentences[] = {
    {"problem.act",
     "your role may look, but not act"},
    {"problem.exempt",
     "your role may not exempt; ask an administrator"},
    {"problem.resets",
     "your role may reset %d times in 24 hours (desk.max_resets_per_day); ask an "
     "administrator"},
    {"problem.why",
     "expected 1 to %d bytes: why"},
    {"problem.reason",
     "expected the reason for this action"},
    {"problem.reason_log",
     "expected why this is done, for the audit log"},
    {"problem.bytes",
     "it has at most %d bytes"},
    {"problem.bytes_expected",
     "expected at most %d bytes"},
    {"problem.characters",
     "expected 1 to %d characters"},
    {"problem.characters_most",
     "expected at most %d characters"},
    {"problem.too_long",
     "it is too long"},
    {"problem.missing",
     "is missing"},
    {"problem.span",
     "expected 1s to 3650d, such as 30m, 24h or 7d, or permanent"},
    {"problem.span_ends",
     "expected 1s to 3650d, such as 30m, 24h or 7d"},
    {"problem.number",
     "expected 0 to %d, off or default"},
    {"problem.number_most",
     "expected at most %d"},
    {"problem.extra_number",
     "expected a number of messages or of recipients (off_domain) above 0"},
    {"problem.extra_ends",
     "an extra ends by itself; for longer set a limit"},
    {"problem.number_least",
     "expected a number, %d or more"},
    {"problem.address",
     "expected an address such as name@example.org, but %s"},
    {"problem.mailbox",
     "expected a mailbox, local@domain"},
    {"problem.mailbox_or_domain",
     "it has no @: expected a mailbox such as name@example.org, or a domain such as "
     "@example.org"},
    {"problem.one_mailbox",
     "%s is for one mailbox, not for a domain"},
    {"problem.domain",
     "expected a domain"},
    {"problem.ip",
     "expected an IP address"},
    {"problem.network",
     "expected an IP address or a network, such as 203.0.113.0/24"},
    {"problem.mailbox_or_ip",
     "expected a mailbox or an IP address"},
    {"problem.decision",
     "no decision of that id is kept (any longer)"},
    {"problem.moment_past",
     "expected a moment in the past"},
    {"problem.past_off",
     "how it stood then is not known: log.keep_admitted is not above 24 hours"},
    {"problem.past_from",
     "how it stood then is not known: expected %s or later, which is log.keep_admitted less "
     "24 hours ago"},
    {"problem.passed_from",
     "messages that passed are known for %d hours (log.keep_admitted): expected no earlier "
     "moment"},
    {"problem.not_suspended",
     "it is not suspended"},
    {"problem.suspension_ended",
     "the suspension has ended meanwhile"},
    {"problem.is_locked",
     "it is not suspended, but locked: reopen ends that"},
    {"problem.domain_blocked",
     "it is not suspended, but %s is blocked: expected @%s, to lift that"},
    {"problem.other_cause",
     "it is not suspended for %s: expected %s"},
    {"problem.many_causes",
     "it is suspended more than once: expected %s"},
    {"problem.not_exempt",
     "it is not exempt"},
    {"problem.no_own",
     "it has no %s of its own"},
    {"problem.limits_race",
     "others change limits at the same moment; try again"},
    {"problem.race",
     "others change it at the same moment; try again"},
    {"problem.second_now",
     "with what others have changed just now it takes a second person; try again"},
    {"problem.cap_extra",
     "an extra of %d is more than the %d that your role may give (desk.max_extra); ask an "
     "administrator"},
    {"problem.cap_limit",
     "%d is more than the %d of the settings (%s) and the %d that your role may add "
     "(desk.max_extra); ask an administrator"},
    {"problem.cap_domain",
     "your role may not change a limit of a whole domain; ask an administrator, or give an "
     "extra"},
    {"problem.cap_off",
     "your role may not switch a limit off; ask an administrator"},
    {"problem.cap_lower",
     "%d is less than the %d that hold without a limit of its own, and your role may not "
     "lower them; ask an administrator, or suspend the mailbox"},
    {"problem.same_waits",
     "the same waits for a second person already: asked for by %s"},
    {"problem.waits_full",
     "%d requests wait for a second person, and there is no room for more"},
    {"problem.waits_gone",
     "no such request waits: it was answered, or its time is over"},
    {"problem.waits_answering",
     "somebody else answers it at this moment"},
    {"problem.waits_answered",
     "somebody else has answered it meanwhile"},
    {"problem.waits_own",
     "you asked for it yourself; another person has to agree"},
    {"problem.undo_whose",
     "%s did it; who did it may undo it, or an administrator"},
    {"problem.undo_changed",
     "%s has changed it since, at %s (%s)"},
    {"problem.undo_suspended",
     "%s has suspended it for %s again since, at %s"},
    {"problem.undo_undone",
     "%s has undone it already, at %s"},
    {"problem.undo_lock",
     "it belongs to a lock: lock the mailbox again"},
    {"problem.undo_alone",
     "it was done alone: there is no batch"},
    {"problem.undo_late",
     "it was done more than %d minutes ago"},
    {"problem.undo_second",
     "limits were changed since, and with them it takes a second person: ask for it anew"},
    {"problem.undo_over",
     "the suspension would have ended by itself meanwhile, at %s: there is nothing to put "
     "back"},
    {"problem.undo_ended",
     "it was suspended for %s again since, and that has ended"},
    {"problem.undo_much",
     "too much was done about it since"},
    {"problem.undo_unknown",
     "what it was is not known any more"},
    {"problem.undo_never",
     "what this entry did cannot be undone: a lift of a suspension, a limit, an extra, an exemption, a "
     "plan and an unblock can"},
    {"problem.no_entry",
     "there is no such entry"},
    {"problem.held_more",
     "more messages came since they were shown: look again"},
    {"problem.held_coming",
     "messages come all the time; do it again"},
    {"problem.held_fresh",
     "message %s came a moment ago, and is not in the hold queue yet: do it again in a "
     "minute"},
    {"problem.held_postfix",
     "Postfix fails at message %s; the log of sendguard-postqueue says why. Do it again"},
    {"problem.lock_closed",
     "it is closed after a second offence: an administrator opens it (open)"},
    {"problem.lock_not_closed",
     "it is not closed"},
    {"problem.lock_none",
     "it is not locked"},
    {"problem.lock_counted",
     "passwords are counted at the same moment; try again"},
    {"problem.lock_role",
     "your role may not open what is closed; ask an administrator"},
    {"problem.lock_points",
     "expected all four, each of them done"},
    {"problem.signins_none",
     "no block of sign-ins holds"},
    {"problem.signins_here",
     "nothing is closed that can be opened from here"},
    {"problem.permissions_full",
     "it has %d permissions, and no room for more"},
    {"problem.permission_none",
     "it has no such permission"},
    {"problem.appeal_answered",
     "it is answered already, by %s"},
    {"problem.appeal_none",
     "it has no appeal of that number"},
    {"problem.report_none",
     "no such report waits (any longer)"},
    {"problem.blocks_none",
     "it is not on the list; a block since mail failed ends with a lift"},
    {"problem.blocks_race",
     "others change the lists at the same moment; try again"},
    {"problem.blocks_changed",
     "others have changed these entries since the preview: look at them again"},
    {"problem.blocks_reason",
     "expected a name of [blocks] reasons, or the sentence that the sender reads"},
    {"problem.blocks_word",
     "[blocks] reasons has no such name; a sentence has more than one word"},
    {"problem.blocks_pair",
     "expected the mailbox of the pair"},
    {"problem.blocks_what",
     "expected what is to be blocked"},
    {"problem.recipients_none",
     "there is no recipient in to, cc or bcc"},
    {"problem.domain_counted",
     "mail of the domain is counted at the same moment; try again"},
    {"problem.domain_open",
     "neither it nor a mailbox of it is blocked"},
    {"problem.mailboxes",
     "expected a list of 1 to %d mailboxes"},
    {"problem.addresses",
     "expected at most %d addresses"},
    {"problem.password_short",
     "has less than %d characters"},
    {"problem.password_long",
     "has more than %d bytes"},
    {"problem.password_again",
     "it is not the same"},
    {"problem.password_wrong",
     "this is not your password"},
    {"problem.password_busy",
     "too many sign in at this moment; try again"},
    {"problem.password_hour",
     "it was wrong too often; try again in an hour"},
    {"problem.account_race",
     "others change this account at the same moment"},
    {"problem.code_clock",
     "it does not fit: is the clock of the phone right?"},
    {"problem.code_wrong",
     "it does not fit"},
    {"problem.codes_on",
     "codes are asked for already"},
    {"problem.codes_off",
     "no codes are asked for"},
};

enum { PLACE = 2 }; /* bytes of %s */

/* Adds to `values` what stands in the places of the pattern. */
static bool fits(const char *pattern, const char *sentence, struct json_object *values)
{
    char name[] = "a";
    for (;;) {
        size_t plain = strcspn(pattern, "%");
        if (strncmp(pattern, sentence, plain) != 0)
            return false;
        pattern += plain;
        sentence += plain;
        if (*pattern == '\0')
            return *sentence == '\0';
        pattern += PLACE;
        size_t left = strlen(sentence), behind = strcspn(pattern, "%");
        const char *end = behind == 0 ? sentence + left : memmem(sentence, left, pattern, behind);
        if (end == NULL || end == sentence)
            return false;
        json_object_object_add(values, name,
                               json_object_new_string_len(sentence, (int)(end - sentence)));
        name[0]++;
        sentence = end;
    }
}

const char *problem_text(const struct catalogue *catalogue, struct arena *arena,
                         const char *language, const char *sentence)
{
    for (size_t i = 0; i < countof(sentences); i++) {
        freed_by(json_put) struct json_object *values = json_object_new_object();
        if (fits(sentences[i].pattern, sentence, values))
            return catalogue_text(catalogue, arena, language, sentences[i].key, values);
    }
    return NULL;
}
