#include "http/submission_json.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

const struct submission_member_info submission_json_members[SUBMISSION_MEMBERS] = {
    [MEMBER_ID] = {"id", SUBMISSION_MAX_ID_BYTES},
    [MEMBER_MAILBOX] = {"mailbox", ADDRESS_MAX_BYTES},
    [MEMBER_IP] = {"ip", 64},
    [MEMBER_FROM] = {"from", 8 * 1024},
    [MEMBER_LANG] = {"lang", 64},
    [MEMBER_TZ] = {"tz", 64},
    [MEMBER_TO] = {"to", SUBMISSION_MAX_ADDRESS_BYTES},
    [MEMBER_CC] = {"cc", SUBMISSION_MAX_ADDRESS_BYTES},
    [MEMBER_BCC] = {"bcc", SUBMISSION_MAX_ADDRESS_BYTES},
};

bool submission_json_is_list(enum submission_member member)
{
    return member == MEMBER_TO || member == MEMBER_CC || member == MEMBER_BCC;
}

enum field submission_json_field(enum submission_member list)
{
    return list == MEMBER_TO ? FIELD_TO : list == MEMBER_CC ? FIELD_CC : FIELD_BCC;
}

/* Strings that are read with C's functions later. */
static int set_claim(struct submission *submission, enum submission_member member,
                     const char *text, size_t length, const char **claim_r,
                     struct problem *problem)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
            return problem_set(problem, 400, submission_json_members[member].name,
                               "it holds a control character");
    *claim_r = arena_strndup(submission->arena, text, length);
    return 1;
}

int submission_json_set(struct submission *submission, enum submission_member member,
                        const char *text, size_t length, struct submission_claims *claims,
                        struct problem *problem)
{
    const struct submission_member_info *info = &submission_json_members[member];
    if (length > info->max_bytes)
        return problem_set(problem, 413, info->name, "it has at most %zu bytes", info->max_bytes);
    switch (member) {
    case MEMBER_ID: return submission_set_id(submission, text, length, problem);
    case MEMBER_MAILBOX:
        return set_claim(submission, member, text, length, &claims->mailbox, problem);
    case MEMBER_IP: return set_claim(submission, member, text, length, &claims->ip, problem);
    case MEMBER_FROM: return submission_set_from(submission, text, length, problem);
    case MEMBER_LANG: return submission_set_lang(submission, text, length, problem);
    case MEMBER_TZ: return submission_set_zone(submission, text, length, problem);
    default:
        return submission_add_recipients(submission, submission_json_field(member), text,
                                         length, problem);
    }
}

/* One entry of an array: one recipient. While it is typed, one that cannot be read keeps nobody from
 * what is told of the others. */
static int add_entry(struct submission *submission, enum submission_member member,
                     struct json_object *entry, size_t index, struct problem *problem)
{
    const char *name = submission_json_members[member].name;
    const char *text = json_object_get_string(entry);
    size_t length = (size_t)json_object_get_string_len(entry);
    enum field field = submission_json_field(member);
    if (!json_object_is_type(entry, json_type_string))
        problem_set(problem, 400, name, "expected a string with one recipient");
    else if (submission_add_recipient(submission, field, text, length, problem))
        return 1;
    else if (problem->status == 400 && submission->hints)
        return submission_pass_over(submission, field, index, text, length), 1;
    if (problem->status == 400)
        snprintf(problem->where, sizeof problem->where, "%s[%zu]", name, index);
    return 0;
}

static int set_value(struct submission *submission, enum submission_member member,
                     struct json_object *value, struct submission_claims *claims,
                     struct problem *problem)
{
    const char *name = submission_json_members[member].name;
    if (json_object_is_type(value, json_type_string))
        return submission_json_set(submission, member, json_object_get_string(value),
                                   (size_t)json_object_get_string_len(value), claims, problem);
    if (!submission_json_is_list(member))
        return problem_set(problem, 400, name, "expected a string");
    if (!json_object_is_type(value, json_type_array))
        return problem_set(problem, 400, name, "expected an array of strings or one string");
    for (size_t i = 0; i < json_object_array_length(value); i++)
        if (!add_entry(submission, member, json_object_array_get_idx(value, i), i, problem))
            return 0;
    return 1;
}

/* What a webmail could read as another address. */
static bool is_ambiguous(const char *text, size_t length)
{
    const char *open = memchr(text, '<', length), *end = text + length;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    const char *close = memchr(text, '>', (size_t)(end - text));
    if (open == NULL && close == NULL)
        return false;
    return open == NULL || close != end - 1 ||
           memchr(open + 1, '<', (size_t)(end - open - 1)) != NULL;
}

static int check_entries(enum submission_member member, struct json_object *list,
                         struct problem *problem)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        if (!json_object_is_type(entry, json_type_string) ||
            !is_ambiguous(json_object_get_string(entry),
                          (size_t)json_object_get_string_len(entry)))
            continue;
        problem_set(problem, 400, "", "expected < and > only around the address, at the end");
        snprintf(problem->where, sizeof problem->where, "%s[%zu]",
                 submission_json_members[member].name, i);
        return 0;
    }
    return 1;
}

static void set_locale(struct submission *submission, struct json_object *object)
{
    struct json_object *value;
    struct problem passed_over;
    if (json_object_object_get_ex(object, "locale", &value) &&
        json_object_is_type(value, json_type_string))
        (void)!submission_set_lang(submission, json_object_get_string(value),
                                   (size_t)json_object_get_string_len(value), &passed_over);
}

int submission_json_read_recipients(struct submission *submission, struct json_object *object,
                                    struct problem *problem)
{
    struct submission_claims none = {0};
    set_locale(submission, object);
    for (enum submission_member member = 0; member < SUBMISSION_MEMBERS; member++) {
        struct json_object *value = NULL;
        if (!submission_json_is_list(member) ||
            !json_object_object_get_ex(object, submission_json_members[member].name, &value) ||
            value == NULL)
            continue;
        if (json_object_is_type(value, json_type_array) && !check_entries(member, value, problem))
            return 0;
        if (!set_value(submission, member, value, &none, problem))
            return 0;
    }
    return 1;
}

int submission_json_read(struct submission *submission, struct json_object *object,
                         struct submission_claims *claims_r, struct problem *problem)
{
    struct submission_claims claims = {0};
    for (enum submission_member member = 0; member < SUBMISSION_MEMBERS; member++) {
        struct json_object *value = NULL;
        if (json_object_object_get_ex(object, submission_json_members[member].name, &value) &&
            value != NULL && !set_value(submission, member, value, &claims, problem))
            return 0;
    }
    *claims_r = claims;
    return 1;
}
