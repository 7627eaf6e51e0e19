#include "guard/terms.h"

#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"
#include "store/kept.h"

/* All that terms are made of, without gaps, so that the bytes can be compared. */
struct made_of {
    int32_t limit[RULE_COUNT], extra[RULE_COUNT], source[RULE_COUNT], observe;
    char plan[PLAN_NAME_SIZE];
};

/* Terms that were used lately. */
struct used {
    struct made_of of; /* where known */
    bool known;        /* made here; else only read */
    uint64_t id;       /* 0: the place is free */
    char *text;
    int64_t kept_until_ms; /* the store keeps it so long */
};

enum { USED_MAX = 64 };
struct terms {
    pthread_rwlock_t lock; /* guards what follows */
    struct used used[USED_MAX];
    size_t next; /* the place that is taken next */
};

struct terms *terms_new(void)
{
    struct terms *terms = xcalloc(1, sizeof *terms);
    pthread_rwlock_init(&terms->lock, NULL);
    return terms;
}

void terms_free(struct terms **terms)
{
    if (*terms == NULL)
        return;
    for (size_t i = 0; i < USED_MAX; i++)
        free((*terms)->used[i].text);
    pthread_rwlock_destroy(&(*terms)->lock);
    free(*terms);
    *terms = NULL;
}

/* Puts terms into the place of older ones with that id, or of the oldest. `text` is taken. */
static void remember(struct terms *terms, const struct used *fresh)
{
    pthread_rwlock_wrlock(&terms->lock);
    struct used *place = NULL;
    for (size_t i = 0; i < USED_MAX && place == NULL; i++)
        if (terms->used[i].id == fresh->id && (fresh->known || !terms->used[i].known))
            place = &terms->used[i];
    if (place == NULL)
        place = &terms->used[terms->next++ % USED_MAX];
    free(place->text);
    *place = *fresh;
    pthread_rwlock_unlock(&terms->lock);
}

/* ---- making ------------------------------------------------------------------------------ */

static void write_adjusted(struct json_writer *writer, const struct made_of *of)
{
    bool begun = false;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        if (of->source[rule] == LIMIT_OF_SETTINGS && of->extra[rule] == 0)
            continue;
        if (!begun)
            json_write_object(writer, "adjusted");
        begun = true;
        json_write_object(writer, rule_table[rule].name);
        json_write_string(writer, "limit_of", limit_source_names[of->source[rule]]);
        if (of->source[rule] == LIMIT_OF_PLAN)
            json_write_string(writer, "plan", of->plan);
        json_write_int(writer, "extra", of->extra[rule]);
        json_write_end(writer);
    }
    if (begun)
        json_write_end(writer);
}

static void write_text(struct text *text, const struct made_of *of)
{
    struct json_writer writer = json_write_text(text);
    json_write_object(&writer, "limits");
    for (int rule = 0; rule < RULE_COUNT; rule++)
        if (of->limit[rule] == LIMIT_OFF)
            json_write_null(&writer, rule_table[rule].name);
        else
            json_write_int(&writer, rule_table[rule].name, of->limit[rule]);
    json_write_end(&writer);
    write_adjusted(&writer, of);
    json_write_string(&writer, "mode", of->observe ? "observe" : "enforce");
    json_write_end(&writer);
}

static uint64_t hash_of(const char *text)
{
    uint64_t id;
    unsigned char hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
    memcpy(&id, hash, sizeof id);
    return id != 0 ? id : 1;
}

enum { KEY_SIZE = 17 };
static void format_key(uint64_t id, char key_r[KEY_SIZE])
{
    snprintf(key_r, KEY_SIZE, "%016" PRIx64, id);
}

/* The id of terms that were made here lately and are kept long enough, 0 for none. */
static uint64_t find(struct terms *terms, const struct made_of *of, int64_t until_ms)
{
    uint64_t id = 0;
    pthread_rwlock_rdlock(&terms->lock);
    for (size_t i = 0; i < USED_MAX && id == 0; i++) {
        const struct used *used = &terms->used[i];
        if (used->known && used->kept_until_ms >= until_ms && memcmp(&used->of, of, sizeof *of) == 0)
            id = used->id;
    }
    pthread_rwlock_unlock(&terms->lock);
    return id;
}

static struct made_of made_of(const struct effective_limits *limits, bool observe)
{
    struct made_of of = {.observe = observe};
    memcpy(of.plan, limits->plan.name, sizeof of.plan);
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        of.limit[rule] = limits->limits.of[rule];
        of.extra[rule] = limits->extra[rule];
        of.source[rule] = (int32_t)limits->source[rule];
    }
    return of;
}

uint64_t terms_id_alone(const struct effective_limits *limits, bool observe)
{
    freed_by(text_free) struct text text = {0};
    const struct made_of of = made_of(limits, observe);
    write_text(&text, &of);
    return hash_of(text_string(&text));
}

int terms_id(struct terms *terms, struct store *store, const struct effective_limits *limits,
             bool observe, int64_t now_ms, int64_t keep_ms, uint64_t *id_r)
{
    const struct made_of of = made_of(limits, observe);
    char key[KEY_SIZE];
    int64_t until_ms = now_ms + keep_ms + DAY_MS; /* longer than need be: many go on using them */
    /* kept again each minute, so that a store that was emptied has them then */
    *id_r = find(terms, &of, until_ms - MINUTE_MS);
    if (*id_r != 0)
        return 1;
    freed_by(text_free) struct text text = {0};
    write_text(&text, &of);
    *id_r = hash_of(text_string(&text));
    format_key(*id_r, key);
    const struct kept kept = {key, text_string(&text), until_ms};
    if (store_keep(store, KEPT_TERMS, &kept, now_ms, NULL) < 0)
        return -1;
    remember(terms, &(struct used){.of = of, .known = true, .id = *id_r,
                                   .text = xstrdup(kept.value), .kept_until_ms = kept.until_ms});
    return 1;
}

/* ---- reading ------------------------------------------------------------------------------ */

static const char *find_text(struct terms *terms, struct arena *arena, uint64_t id)
{
    const char *text = NULL;
    pthread_rwlock_rdlock(&terms->lock);
    for (size_t i = 0; i < USED_MAX && text == NULL; i++)
        if (terms->used[i].id == id)
            text = arena_strdup(arena, terms->used[i].text);
    pthread_rwlock_unlock(&terms->lock);
    return text;
}

const char *terms_text(struct terms *terms, struct store *store, struct arena *arena, uint64_t id,
                       int64_t now_ms)
{
    struct kept kept;
    char key[KEY_SIZE];
    const char *text = id != 0 ? find_text(terms, arena, id) : NULL;
    if (id == 0 || text != NULL)
        return text;
    format_key(id, key);
    if (store_kept(store, arena, KEPT_TERMS, key, now_ms, &kept) < 1)
        return NULL;
    remember(terms, &(struct used){.id = id, .text = xstrdup(kept.value)});
    return kept.value;
}
