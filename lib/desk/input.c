#include "desk/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/decision.h"
#include "base/json.h"
#include "desk/context.h"
#include "message/address.h"

static int at_where(struct problem *problem, const char *where)
{
    problem->status = 400;
    snprintf(problem->where, sizeof problem->where, "%s", where);
    return 0;
}

int input_mailbox(const struct context *context, const char *text, const char *where,
                  const char **mailbox_r, struct problem *problem)
{
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, 400, where, "expected a mailbox, local@domain");
    return address_key(context->arena, text, strlen(text), mailbox_r, problem) ||
           at_where(problem, where);
}

int input_domain(const struct context *context, const char *text, const char *where,
                 const char **domain_r, struct problem *problem)
{
    if (text != NULL && text[0] == '@')
        text++;
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, 400, where, "expected a domain");
    return address_domain_key(context->arena, text, strlen(text), domain_r, problem) ||
           at_where(problem, where);
}

int input_ip(const struct context *context, const char *text, const char *where, const char **ip_r,
             struct problem *problem)
{
    if (text == NULL || text[0] == '\0')
        return problem_set(problem, 400, where, "expected an IP address");
    size_t length = strlen(text);
    if (length > 3 && strcmp(text + length - 3, "/64") == 0 && strchr(text, ':') != NULL)
        length -= 3;
    struct submission submission;
    submission_init(&submission, context->arena, CHANNEL_WEBMAIL);
    if (!submission_set_ip(&submission, text, length, problem))
        return at_where(problem, where);
    *ip_r = submission.ip;
    return 1;
}

int input_word(const struct context *context, struct json_object *value, const char *where,
               const char **word_r, struct problem *problem)
{
    static const char blank[] = " \t\r\n";
    const char *text = value != NULL ? json_object_get_string(value) : "";
    text += strspn(text, blank);
    size_t length = strlen(text);
    while (length > 0 && strchr(blank, text[length - 1]) != NULL)
        length--;
    if (length > INPUT_WORD_MAX_BYTES)
        return problem_set(problem, 400, where, "it is too long");
    if (json_object_is_type(value, json_type_string) &&
        strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
        return problem_set(problem, 400, where, "it holds a NUL");
    const char *fault = address_text_fault(text, length);
    if (fault != NULL)
        return problem_set(problem, 400, where, "%s", fault);
    *word_r = length > 0 ? arena_strndup(context->arena, text, length) : NULL;
    return 1;
}

int input_number(const char *text, const char *where, int64_t min, int64_t otherwise,
                 int64_t *number_r, struct problem *problem)
{
    *number_r = otherwise;
    if (text == NULL || text[0] == '\0')
        return 1;
    size_t digits = strspn(text, "0123456789");
    if (text[digits] != '\0' || digits > 18 || strtoll(text, NULL, 10) < min)
        return problem_set(problem, 400, where, "expected a number, %lld or more", (long long)min);
    *number_r = strtoll(text, NULL, 10);
    return 1;
}

int input_list_length(struct json_object *list, const char *where, size_t max, size_t *count_r,
                      struct problem *problem)
{
    *count_r = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return (*count_r > 0 && *count_r <= max) ||
           problem_set(problem, 400, where, "expected a list of 1 to %zu mailboxes", max);
}

int input_list(struct json_object *list, const char *where, input_add *add, void *closure,
               struct problem *problem)
{
    size_t count = json_object_array_length(list), wrong = 0;
    struct problem first = {0};
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        const char *text = json_object_is_type(one, json_type_string) ? json_object_get_string(one)
                                                                      : "";
        if (!add(closure, text, problem) && wrong++ == 0)
            problem_set(&first, 400, where, "\"%.100s\": %s", text, problem->text);
    }
    return wrong == 0 || problem_set(problem, 400, where, "%s (%zu of %zu are wrong)", first.text,
                                     wrong, count);
}

int input_cursor(const char *text, uint64_t *decision_r, struct problem *problem)
{
    *decision_r = UINT64_MAX;
    if (text == NULL || text[0] == '\0')
        return 1;
    return decision_parse(text, decision_r) ||
           problem_set(problem, 400, "before", "expected the mark of a page that was told before");
}
