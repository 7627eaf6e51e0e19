/* What sources of owners answer: a reply of a socketmap server, whole and as it grows byte by byte; the
 * list of owners in it; and the same bytes as a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/owner_source.h"
#include "owners/owners_file.h"
#include "owners/owners_socketmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* In a heap block of its own size. */
static int frame(const uint8_t *data, size_t size, size_t *begin_r, size_t *end_r)
{
    char *copy = xmalloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    int whole = owners_socketmap_frame(copy, size, begin_r, end_r);
    free(copy);
    return whole;
}

/* It is whole once, at its end, and nothing that came before was taken for it. */
static void read_reply(const uint8_t *data, size_t size)
{
    size_t begin = 0, end = 0;
    int whole = frame(data, size, &begin, &end);
    for (size_t length = 0; length < size && length < 64; length++) {
        size_t begin_before, end_before;
        int before = frame(data, length, &begin_before, &end_before);
        require(whole <= 0 || before == 0);
    }
    if (whole <= 0)
        return;
    require(begin <= end && end + 1 == size);
    freed_by(text_free) struct text found = {0};
    freed_by(free_string) char *reply =
        xasprintf("%.*s", (int)(end - begin), (const char *)data + begin);
    struct owners_answer answer = {0};
    const char *why;
    int result = owners_socketmap_read(reply, strlen(reply), &found, &why);
    require(result > 0 || found.length == 0);
    if (result > 0)
        owners_answer_add(&answer, text_string(&found), found.length, "a@b.test");
    require(answer.found == (answer.mine || answer.others));
}

/* A table that is taken knows each mailbox by the addresses that it lists for it. */
static void read_file(const uint8_t *data, size_t size)
{
    char path[64];
    struct problem problem;
    freed_by(owners_table_free) struct owners_table *table = NULL;
    snprintf(path, sizeof path, "/tmp/fuzz-owners-%d", (int)getpid());
    FILE *file = fopen(path, "w");
    require(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    if (owners_table_read(path, &table, &problem)) {
        freed_by(arena_free) struct arena *arena = arena_new();
        struct owners_file *owners = owners_file_new(path);
        struct owners_answer answer = {0};
        const char *addresses[4];
        require(owners_file_ask(owners, "a@b.test", "a@b.test", 0, &answer) > 0);
        size_t count = owners_file_addresses(owners, arena, "a@b.test", false, 4, addresses);
        for (size_t i = 0; i < count; i++) {
            struct owners_answer one = {0};
            require(owners_file_ask(owners, addresses[i], "a@b.test", 0, &one) > 0 && one.mine);
            require(owners_file_knows_domain(owners, strrchr(addresses[i], '@') + 1));
        }
        owners_file_free(&owners);
    }
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct owner_source source;
    if (owner_source_read((const char *)data, size, &source) == NULL)
        require(source.path[0] != '\0' || source.name[0] != '\0');
    read_reply(data, size);
    read_file(data, size);
    return 0;
}
