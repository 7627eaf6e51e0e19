#include "notify/notify_text.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/zone.h"
#include "guard/sending_state.h"
#include "notify/notify_numbers.h"
#include "rules/suspension.h"
#include "text/present.h"

/* What a line has of its subject, which stands before it. */
typedef void line_writer(const struct notify_writer *writer, struct json_object *item,
                         struct text *out);

/* Moments are told with their date: a mail may be read on another day. UTC is named: it is hardly
 * the readers' own zone. */
static struct reader reader_of(const struct notify_writer *writer, const char *language)
{
    return (struct reader){writer->catalogue, language, writer->settings->web_time_zone, 0};
}

static const char *moment_text(const struct notify_writer *writer, const struct reader *reader,
                               int64_t time_ms)
{
    return arena_printf(writer->arena, "%s%s", present_moment(writer->arena, reader, time_ms),
                        strcmp(reader->zone, "UTC") == 0 ? " UTC" : "");
}

static const char *moment(const struct notify_writer *writer, struct json_object *item,
                          const char *name)
{
    const struct reader reader = reader_of(writer, "en");
    const char *text = json_string(item, name, NULL);
    int64_t time_ms;
    return text != NULL && zone_moment_read(text, &time_ms)
               ? moment_text(writer, &reader, time_ms)
               : NULL;
}

static void add_until(const struct notify_writer *writer, struct json_object *item,
                      struct text *out)
{
    const char *until = moment(writer, item, "until");
    if (until != NULL)
        text_addf(out, ", until %s", until);
    else
        text_add(out, ", until support lifts it");
}

static void add_count(struct text *out, int64_t count, const char *one, const char *many)
{
    text_addf(out, "%lld %s", (long long)count, count == 1 ? one : many);
}

/* ---- a line of each condition ---------------------------------------------------------------- */

static void line_suspension(const struct notify_writer *writer, struct json_object *item,
                            struct text *out)
{
    const char *key = arena_printf(writer->arena, "cause.%s", json_string(item, "cause", ""));
    const char *cause = catalogue_text(writer->catalogue, writer->arena, "en", key, NULL);
    const char *note = json_string(item, "note", NULL);
    const char *by = json_string(item, "by", SUSPENSION_BY_GUARD);
    text_add(out, cause != NULL ? cause : json_string(item, "cause", ""));
    if (note != NULL)
        text_addf(out, " (%s)", note);
    add_until(writer, item, out);
    if (strcmp(by, SUSPENSION_BY_GUARD) != 0)
        text_addf(out, ", by %s", by);
}

static void line_own_lock(const struct notify_writer *writer, struct json_object *item,
                          struct text *out)
{
    (void)writer, (void)item;
    text_add(out, "its user did not send what went out. Nothing can be sent now.");
}

static void line_near(const struct notify_writer *writer, struct json_object *item,
                      struct text *out)
{
    (void)writer;
    text_addf(out, "four fifths of %s are used", json_string(item, "rule", "a limit"));
}

static void line_bypassed(const struct notify_writer *writer, struct json_object *item,
                          struct text *out)
{
    (void)writer;
    add_count(out, json_int(item, "count", 0), "message", "messages");
    text_add(out, " of the webmail's host that its own endpoint had not judged");
}

static void line_complaint(const struct notify_writer *writer, struct json_object *item,
                           struct text *out)
{
    (void)writer;
    add_count(out, json_int(item, "count", 0), "new complaint", "new complaints");
}

static void line_blocked(const struct notify_writer *writer, struct json_object *item,
                         struct text *out)
{
    text_addf(out, "%lld of %lld recipients failed or were deferred",
              (long long)json_int(item, "bad", 0), (long long)json_int(item, "all", 0));
    add_until(writer, item, out);
}

static void line_logins(const struct notify_writer *writer, struct json_object *item,
                        struct text *out)
{
    (void)writer;
    add_count(out, json_int(item, "count", 0), "block, for an hour", "blocks, for an hour each");
}

static void line_held(const struct notify_writer *writer, struct json_object *item,
                      struct text *out)
{
    (void)writer;
    text_addf(out, "in an hour it wrote to %lld people that it had not written to before",
              (long long)json_int(item, "new_recipients", 0));
}

static void line_appeal(const struct notify_writer *writer, struct json_object *item,
                        struct text *out)
{
    (void)writer, (void)item;
    text_add(out, "what the user writes stands at the desk");
}

static void line_gap(const struct notify_writer *writer, struct json_object *item,
                     struct text *out)
{
    (void)writer;
    text_add(out, "no line of ");
    add_count(out, json_int(item, "count", 0), "message that Postfix took",
              "messages that Postfix took");
}

static void line_digest(const struct notify_writer *writer, struct json_object *item,
                        struct text *out)
{
    static const char *const words[NUMBER_COUNT] = {
        [NUMBER_WEBMAIL] = "messages by webmail",
        [NUMBER_SMTP] = "messages by SMTP",
        [NUMBER_FORWARDED] = "messages forwarded by filters",
        [NUMBER_REFUSED] = "of these refused",
        [NUMBER_SUSPENSIONS] = "suspensions for volume or complaints",
        [NUMBER_OWN_LOCKS] = "users who said \"That wasn't me\"",
        [NUMBER_COMPLAINTS] = "complaints",
        [NUMBER_BYPASSED] = "messages that bypassed the webmail endpoint",
        [NUMBER_UNUSUAL] = "messages at an unusual rate",
        [NUMBER_LOGINS_REFUSED] = "sign-ins that a block kept out",
        [NUMBER_LOGIN_BLOCKS] = "blocks of sign-ins"};
    const char *since = moment(writer, item, "since");
    text_addf(out, "since %s:", since != NULL ? since : "the beginning");
    for (int number = 0; number < NUMBER_COUNT; number++)
        text_addf(out, "\n%12lld  %s", (long long)json_int(item, notify_number_names[number], 0),
                  words[number]);
    text_addf(out, "\n%12lld  mailboxes are suspended now",
              (long long)json_int(item, "suspended_now", 0));
}

/* ---- conditions ------------------------------------------------------------------------------ */

static const struct {
    const char *one;    /* the title, about the subject */
    const char *many;   /* behind the number of them; NULL: as `one`, which names none */
    const char *advice; /* or NULL */
    const char *page;   /* of the desk for all subjects, "" is its first; NULL: each has its own */
    line_writer *line;
} conditions[NOTIFY_CONDITION_COUNT] = {
    [NOTIFY_SUSPENSION] = {"%s is suspended", "mailboxes are suspended",
                           "The desk shows what was sent, from where, and what is usual.", NULL,
                           line_suspension},
    [NOTIFY_OWN_LOCK] = {"%s: \"That wasn't me\"", "users say \"That wasn't me\"",
                         "Sending is opened again by support, once the password was changed.", NULL,
                         line_own_lock},
    [NOTIFY_NEAR_LIMIT] = {"%s has used four fifths of a limit", "limits are used to four fifths",
                           "Who is known to send that much can be given more before it is full.",
                           NULL, line_near},
    [NOTIFY_BYPASSED] = {"Messages bypassed the webmail endpoint", NULL,
                         "The webmail's plugin is off, or the endpoint was away: sendguard "
                         "doctor.", "", line_bypassed},
    [NOTIFY_COMPLAINT] = {"A complaint about %s", "mailboxes with complaints",
                          "Recipients did not want what was sent.", NULL, line_complaint},
    [NOTIFY_DOMAIN_BLOCKED] = {"%s is blocked: its mail fails too often",
                               "are blocked: their mail fails too often",
                               "An old list of addresses, a web form that writes to strangers, or "
                               "a stolen password.", NULL, line_blocked},
    [NOTIFY_LOGINS_BLOCKED] = {"Sign-ins are blocked after wrong passwords", NULL,
                               "Whose they are is known by hashes alone: sendguard logins MAILBOX, "
                               "or an IP.", "", line_logins},
    [NOTIFY_HELD] = {"Mail of %s waits", "mailboxes whose mail waits",
                     "It sends at an unusual rate. What waits is not sent until somebody of staff has "
                     "looked.", NULL, line_held},
    [NOTIFY_APPEAL] = {"%s objects", "users object", NULL, "/appeals", line_appeal},
    [NOTIFY_LOG_GAP] = {"The mail server's log has gaps", NULL,
                        "What became of that mail is not known: sendguard doctor gaps.", NULL,
                        line_gap},
    [NOTIFY_DIGEST] = {"Numbers of the day", NULL, NULL, "", line_digest},
};

static enum notify_condition condition_of(struct json_object *notification)
{
    const char *name = json_string(notification, "condition", "");
    int condition = 0;
    while (condition < NOTIFY_DIGEST &&
           strcmp(notify_state_condition((enum notify_condition)condition), name) != 0)
        condition++;
    return (enum notify_condition)condition;
}

static struct json_object *items_of(struct json_object *notification)
{
    struct json_object *items = json_member(notification, "items");
    return json_object_is_type(items, json_type_array) ? items : NULL;
}

static size_t item_count(struct json_object *notification)
{
    struct json_object *items = items_of(notification);
    return items != NULL ? json_object_array_length(items) : 0;
}

/* Its page at the desk, in `arena`; NULL: there is none. */
static const char *url_of(const struct notify_writer *writer, enum notify_condition condition,
                          struct json_object *item)
{
    static const char *const folders[][2] = {
        {"mailbox", "/mailboxes/"}, {"domain", "/domains/"}, {"ip", "/ips/"}};
    freed_by(text_free) struct text url = {0};
    text_addf(&url, "%s/desk", writer->settings->web_base_url);
    const char *page = conditions[condition].page;
    if (page != NULL) {
        text_addf(&url, "%s", *page != '\0' ? page : "/");
        return arena_strdup(writer->arena, url.data);
    }
    for (size_t i = 0; i < countof(folders); i++) {
        const char *name = json_string(item, folders[i][0], NULL);
        if (name == NULL)
            continue;
        text_add(&url, folders[i][1]);
        text_add_url(&url, name);
        if (condition == NOTIFY_COMPLAINT)
            text_add(&url, "/complaints");
        return arena_strdup(writer->arena, url.data);
    }
    return NULL;
}

/* ---- for support ----------------------------------------------------------------------------- */

static void add_title(struct text *out, struct json_object *notification)
{
    enum notify_condition condition = condition_of(notification);
    const char *one = conditions[condition].one, *many = conditions[condition].many;
    const char *place = strstr(one, "%s");
    int64_t count = (int64_t)item_count(notification) + json_int(notification, "more", 0);
    const char *subject = json_string(json_object_array_get_idx(items_of(notification), 0),
                                      "subject", "");
    if (many != NULL && count > 1)
        text_addf(out, "%lld %s", (long long)count, many);
    else if (place == NULL)
        text_add(out, one);
    else
        text_addf(out, "%.*s%s%s", (int)(place - one), one, subject, place + 2);
}

const char *notify_text_subject(const struct notify_writer *writer,
                                struct json_object *notification)
{
    freed_by(text_free) struct text out = {0};
    text_add(&out, json_is_true(notification, "test") ? "[Sendguard test] " : "[Sendguard] ");
    add_title(&out, notification);
    return arena_strdup(writer->arena, text_string(&out));
}

/* The lines of its items. */
static void add_lines(const struct notify_writer *writer, struct json_object *notification,
                      struct text *out)
{
    enum notify_condition condition = condition_of(notification);
    const char *url = NULL;
    for (size_t i = 0; i < item_count(notification); i++) {
        struct json_object *item = json_object_array_get_idx(items_of(notification), i);
        int64_t times = json_int(item, "times", 1);
        const char *subject = json_string(item, "subject", "");
        text_addf(out, "%s%s", subject, *subject != '\0' ? "\n  " : "");
        conditions[condition].line(writer, item, out);
        if (times > 1)
            text_addf(out, " (the last of %lld times)", (long long)times);
        text_add(out, "\n");
        url = url_of(writer, condition, item);
        if (url != NULL && conditions[condition].page == NULL)
            text_addf(out, "  %s\n", url);
    }
    int64_t more = json_int(notification, "more", 0);
    if (more > 0)
        text_addf(out, "and %lld more that are not named here\n", (long long)more);
    if (url != NULL && conditions[condition].page != NULL)
        text_addf(out, "\n%s\n", url);
}

const char *notify_text_body(const struct notify_writer *writer, struct json_object *notification)
{
    freed_by(text_free) struct text out = {0}, interval = {0};
    const struct settings *settings = writer->settings;
    const char *advice = conditions[condition_of(notification)].advice;
    settings_duration_print(settings->notify_interval_ms, &interval);
    add_title(&out, notification);
    text_add(&out, ".\n\n");
    if (json_is_true(notification, "test"))
        text_add(&out, "This is a test: nothing of it has happened.\n\n");
    add_lines(writer, notification, &out);
    if (advice != NULL)
        text_addf(&out, "\n%s\n", advice);
    if (settings->guard_mode == MODE_OBSERVE)
        text_add(&out, "\nMode observe: nobody is refused.\n");
    if (json_is_true(notification, "late"))
        text_addf(&out, "\nThis comes late: more than %lld notifications in an hour would have "
                        "been sent (notify.per_hour).\n", (long long)settings->notify_per_hour);
    text_addf(&out,
              "\n-- \nSendguard on %s. What follows of this kind is told together, every %s.\n",
              writer->host, text_string(&interval));
    return arena_strdup(writer->arena, text_string(&out));
}

const char *notify_text_json(const struct notify_writer *writer, struct json_object *notification)
{
    freed_by(text_free) struct text lines = {0};
    freed_by(json_put) struct json_object *out = NULL;
    enum notify_condition condition = condition_of(notification);
    if (json_object_deep_copy(notification, &out, NULL) != 0)
        return "{}";
    for (int way = 0; way < NOTIFY_WAYS; way++)
        json_object_object_del(out, notify_way_names[way]);
    for (size_t i = 0; i < item_count(out); i++) {
        struct json_object *item = json_object_array_get_idx(items_of(out), i);
        const char *url = url_of(writer, condition, item);
        if (url != NULL)
            json_add_string(item, "url", url);
    }
    if (writer->settings->guard_mode == MODE_OBSERVE)
        json_add_bool(out, "observed", true);
    json_add_string(out, "host", writer->host);
    json_add_string(out, "subject", notify_text_subject(writer, notification));
    add_lines(writer, notification, &lines);
    json_add_string(out, "text", text_string(&lines));
    return arena_strdup(writer->arena, json_object_to_json_string_ext(
                                           out, JSON_C_TO_STRING_PLAIN |
                                                    JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* ---- for users ------------------------------------------------------------------------------- */

enum { LANGUAGES_MAX_TOLD = 8 };

/* The catalogue's language that is the user's own; NULL: it is not known, or there is none. */
static const char *own_language(const struct notify_writer *writer, struct json_object *mail)
{
    const char *own = json_string(mail, "lang", "");
    const char *language = catalogue_language(writer->catalogue, own);
    size_t length = strcspn(language, "-");
    return strncasecmp(language, own, length) == 0 ? language : NULL;
}

/* The user's own, or those of notify.user_languages, each once. */
static size_t languages_of(const struct notify_writer *writer, struct json_object *mail,
                           const char *languages_r[LANGUAGES_MAX_TOLD])
{
    const char *rest = writer->settings->notify_user_languages;
    size_t count = 0;
    const char *own = own_language(writer, mail);
    if (own != NULL)
        return languages_r[0] = own, 1;
    while (count < LANGUAGES_MAX_TOLD && *(rest += strspn(rest, " \t,")) != '\0') {
        size_t length = strcspn(rest, " \t,"), before = 0;
        const char *language = catalogue_language(
            writer->catalogue, arena_strndup(writer->arena, rest, length));
        while (before < count && strcmp(languages_r[before], language) != 0)
            before++;
        if (before == count)
            languages_r[count++] = language;
        rest += length;
    }
    return count;
}

static struct suspension suspension_of(struct json_object *mail)
{
    struct suspension suspension = {.since_ms = json_int(mail, "since_ms", 0),
                                    .until_ms = json_int(mail, "until_ms", UNTIL_LIFTED)};
    const char *cause = json_string(mail, "cause", "");
    for (int i = 0; i < CAUSE_COUNT; i++)
        if (strcmp(cause_names[i], cause) == 0)
            suspension.cause = (enum cause)i;
    snprintf(suspension.by, sizeof suspension.by, "%s", json_string(mail, "by", ""));
    return suspension;
}

/* What the texts name, to be put. */
static struct json_object *values_of(const struct notify_writer *writer, const char *language,
                                     struct json_object *mail)
{
    const struct reader reader = reader_of(writer, language);
    struct suspension suspension = suspension_of(mail);
    struct json_object *values = json_object_new_object();
    json_add_string(values, "mailbox", json_string(mail, "mailbox", ""));
    json_add_string(values, "contact", writer->settings->support_contact);
    json_add_string(values, "since_text", moment_text(writer, &reader, suspension.since_ms));
    json_add_string(values, "moment",
                    suspension.until_ms != UNTIL_LIFTED
                        ? moment_text(writer, &reader, suspension.until_ms)
                        : NULL);
    return values;
}

static void add_text(const struct notify_writer *writer, const char *language, const char *key,
                     struct json_object *values, const char *end, struct text *out)
{
    const char *text = catalogue_text(writer->catalogue, writer->arena, language, key, values);
    text_addf(out, "%s%s", text != NULL ? text : "", end);
}

const char *notify_text_user_subject(const struct notify_writer *writer, struct json_object *mail)
{
    const char *languages[LANGUAGES_MAX_TOLD] = {"en"};
    freed_by(text_free) struct text out = {0};
    (void)languages_of(writer, mail, languages);
    freed_by(json_put) struct json_object *values = values_of(writer, languages[0], mail);
    const char *key = json_is_true(mail, "held")     ? "notify.subject_held"
                      : !json_is_true(mail, "begins") ? "notify.subject_end"
                      : suspension_of(mail).until_ms == UNTIL_LIFTED ? "notify.subject_stopped"
                                                                      : "notify.subject_paused";
    add_text(writer, languages[0], key, values, "", &out);
    return arena_strdup(writer->arena, text_string(&out));
}

static void add_begin(const struct notify_writer *writer, const char *language,
                      struct json_object *mail, struct json_object *values, struct text *out)
{
    struct suspension suspension = suspension_of(mail);
    bool own = suspension_is_own_lock(suspension.cause, suspension.by);
    const char *why = own ? "message.own_lock"
                          : arena_printf(writer->arena, "status.why.%s",
                                         cause_names[suspension.cause]);
    add_text(writer, language,
             suspension.until_ms == UNTIL_LIFTED ? "message.stopped" : "message.paused", values,
             " ", out);
    if (own)
        json_add_string(values, "moment", json_string(values, "since_text", ""));
    add_text(writer, language, why, values, "\n\n", out);
    add_text(writer, language, sending_state_what_to_do(&suspension), values, "\n", out);
    if (suspension_is_of_lock(suspension.cause))
        return; /* who has no password cannot read either */
    text_add(out, "\n");
    add_text(writer, language, "status.s.works", values, "\n", out);
}

static void add_held(const struct notify_writer *writer, const char *language,
                     struct json_object *values, struct text *out)
{
    add_text(writer, language, "notify.held", values, " ", out);
    add_text(writer, language, "status.held.what", values, "\n\n", out);
    add_text(writer, language, "status.held.do", values, "\n", out);
}

const char *notify_text_user_body(const struct notify_writer *writer, struct json_object *mail)
{
    const char *languages[LANGUAGES_MAX_TOLD] = {"en"};
    freed_by(text_free) struct text out = {0};
    size_t count = languages_of(writer, mail, languages);
    for (size_t i = 0; i < count; i++) {
        freed_by(json_put) struct json_object *values = values_of(writer, languages[i], mail);
        if (i > 0)
            text_add(&out, "\n\n----\n\n");
        add_text(writer, languages[i], "notify.about", values, "\n\n", &out);
        if (json_is_true(mail, "held"))
            add_held(writer, languages[i], values, &out);
        else if (json_is_true(mail, "begins"))
            add_begin(writer, languages[i], mail, values, &out);
        else
            add_text(writer, languages[i], "notify.end", values, "\n", &out);
        if (writer->settings->support_contact[0] != '\0') {
            text_add(&out, "\n");
            add_text(writer, languages[i], "message.questions", values, "\n", &out);
        }
        text_add(&out, "\n");
        add_text(writer, languages[i], "notify.by_program", values, "\n", &out);
    }
    return arena_strdup(writer->arena, text_string(&out));
}

/* ---- a test ---------------------------------------------------------------------------------- */

struct json_object *notify_text_sample(enum notify_condition condition, int64_t now_ms)
{
    static const char *const items[NOTIFY_CONDITION_COUNT] = {
        [NOTIFY_SUSPENSION] = "{\"subject\":\"test@example.invalid\",\"mailbox\":"
                              "\"test@example.invalid\",\"cause\":\"volume\",\"by\":\"guard\","
                              "\"note\":\"messages_per_day\"}",
        [NOTIFY_OWN_LOCK] = "{\"subject\":\"test@example.invalid\",\"mailbox\":"
                            "\"test@example.invalid\",\"cause\":\"compromised\",\"until\":null,"
                            "\"by\":\"user\"}",
        [NOTIFY_NEAR_LIMIT] = "{\"subject\":\"test@example.invalid\",\"mailbox\":"
                              "\"test@example.invalid\",\"rule\":\"off_domain_per_day\"}",
        [NOTIFY_BYPASSED] = "{\"subject\":\"\",\"count\":3}",
        [NOTIFY_COMPLAINT] = "{\"subject\":\"test@example.invalid\",\"mailbox\":"
                             "\"test@example.invalid\",\"count\":2}",
        [NOTIFY_DOMAIN_BLOCKED] = "{\"subject\":\"@example.invalid\",\"domain\":"
                                  "\"example.invalid\",\"bad\":12,\"all\":20}",
        [NOTIFY_LOGINS_BLOCKED] = "{\"subject\":\"wrong_passwords_per_ip\",\"rule\":"
                                  "\"wrong_passwords_per_ip\",\"count\":1}",
        [NOTIFY_HELD] = "{\"subject\":\"test@example.invalid\",\"mailbox\":"
                        "\"test@example.invalid\",\"new_recipients\":60}",
        [NOTIFY_APPEAL] = "{\"subject\":\"test@example.invalid\",\"mailbox\":"
                          "\"test@example.invalid\"}",
        [NOTIFY_LOG_GAP] = "{\"subject\":\"mail.example.invalid journal\",\"source\":"
                           "\"mail.example.invalid journal\",\"count\":1}",
        [NOTIFY_DIGEST] = "{\"subject\":\"\"}"};
    struct json_object *notification = json_object_new_object();
    struct json_object *item = json_read(items[condition]);
    const char *name = notify_state_condition(condition);
    freed_by(free_string) char *id = xasprintf("test-%s-%lld", name, (long long)now_ms);
    json_add_moment(item, "at", now_ms);
    if (condition == NOTIFY_DIGEST || condition == NOTIFY_SUSPENSION ||
        condition == NOTIFY_OWN_LOCK)
        json_add_moment(item, "since", now_ms - (condition == NOTIFY_DIGEST ? DAY_MS : 0));
    if (condition == NOTIFY_SUSPENSION || condition == NOTIFY_DOMAIN_BLOCKED)
        json_add_moment(item, "until", now_ms + HOUR_MS);
    json_add_string(notification, "id", id);
    json_add_string(notification, "condition", name);
    json_add_moment(notification, "at", now_ms);
    json_add_bool(notification, "test", true);
    json_object_array_add(json_add_list(notification, "items"), item);
    return notification;
}
