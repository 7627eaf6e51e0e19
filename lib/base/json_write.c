#include "base/json_write.h"

#include <stdlib.h>

#include "base/decision.h"
#include "base/json.h"

struct json_writer json_write_text(struct text *text)
{
    text_add_char(text, '{');
    return (struct json_writer){.text = text, .closing = {'}'}, .depth = 1};
}

struct json_writer json_write_tree(void)
{
    return (struct json_writer){.tree = {json_object_new_object()}, .closing = {'}'}, .depth = 1};
}

/* Into a text: what stands before a value. */
static void begin(struct json_writer *writer, const char *name)
{
    if (writer->comma)
        text_add_char(writer->text, ',');
    writer->comma = true;
    if (name == NULL)
        return;
    text_add_char(writer->text, '"');
    text_add(writer->text, name);
    text_add(writer->text, "\":");
}

/* Into a tree. `child` is taken. */
static void add(struct json_writer *writer, const char *name, struct json_object *child)
{
    struct json_object *innermost = writer->tree[writer->depth - 1];
    if (name != NULL)
        json_object_object_add(innermost, name, child);
    else
        json_object_array_add(innermost, child);
}

static void descend(struct json_writer *writer, const char *name, bool list)
{
    if (writer->depth == JSON_WRITE_DEPTH)
        abort();
    if (writer->text != NULL) {
        begin(writer, name);
        text_add_char(writer->text, list ? '[' : '{');
        writer->comma = false;
    } else {
        struct json_object *child = list ? json_object_new_array() : json_object_new_object();
        add(writer, name, child);
        writer->tree[writer->depth] = child;
    }
    writer->closing[writer->depth++] = list ? ']' : '}';
}

void json_write_object(struct json_writer *writer, const char *name)
{
    descend(writer, name, false);
}

void json_write_list(struct json_writer *writer, const char *name) { descend(writer, name, true); }

void json_write_end(struct json_writer *writer)
{
    if (writer->depth == 0)
        abort();
    writer->depth--;
    if (writer->text != NULL)
        text_add_char(writer->text, writer->closing[writer->depth]);
    writer->comma = true;
}

void json_write_string(struct json_writer *writer, const char *name, const char *value)
{
    if (writer->text != NULL) {
        begin(writer, name);
        text_add_json(writer->text, value);
    } else {
        add(writer, name, value != NULL ? json_object_new_string(value) : NULL);
    }
}

void json_write_int(struct json_writer *writer, const char *name, int64_t value)
{
    if (writer->text != NULL) {
        begin(writer, name);
        text_add_int(writer->text, value);
    } else {
        add(writer, name, json_object_new_int64(value));
    }
}

void json_write_bool(struct json_writer *writer, const char *name, bool value)
{
    if (writer->text != NULL)
        json_write_raw(writer, name, value ? "true" : "false");
    else
        add(writer, name, json_object_new_boolean(value));
}

void json_write_null(struct json_writer *writer, const char *name)
{
    json_write_string(writer, name, NULL);
}

void json_write_moment(struct json_writer *writer, const char *name, int64_t time_ms)
{
    if (time_ms == 0 || time_ms == UNTIL_LIFTED) {
        json_write_null(writer, name);
    } else if (writer->text != NULL) {
        begin(writer, name);
        text_add_char(writer->text, '"');
        text_add_time(writer->text, time_ms);
        text_add_char(writer->text, '"');
    } else {
        freed_by(text_free) struct text moment = {0};
        text_add_time(&moment, time_ms);
        add(writer, name, json_object_new_string(text_string(&moment)));
    }
}

void json_write_decision(struct json_writer *writer, const char *name, uint64_t decision)
{
    char id[DECISION_TEXT_SIZE];
    decision_format(decision, id);
    json_write_string(writer, name, decision != 0 ? id : NULL);
}

void json_write_raw(struct json_writer *writer, const char *name, const char *json)
{
    if (writer->text != NULL) {
        begin(writer, name);
        text_add(writer->text, json);
    } else {
        add(writer, name, json_read(json));
    }
}
