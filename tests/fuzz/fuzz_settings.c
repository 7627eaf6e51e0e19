/* The settings reader: a file, and behind a NUL each an override. What is
 * refused says where and what in UTF-8; what is read prints as a file that
 * reads the same. The reader of INI files gets all bytes, also the NULs. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "message/address.h"
#include "settings/ini.h"
#include "settings/settings.h"

enum { OVERRIDES_MAX = 4 };

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* Puts the bytes where settings_read can open them. */
static const char *as_file(const void *bytes, size_t length)
{
    static char path[64];
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("settings", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    require(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, length, 0) == (ssize_t)length, "no file");
    return path;
}

static void check_problem(const struct problem *problem)
{
    require(memchr(problem->where, '\0', sizeof problem->where) != NULL, "where has no end");
    require(problem->where[0] != '\0' && problem->text[0] != '\0', "an empty problem");
    require(address_text_fault(problem->where, strlen(problem->where)) == NULL, "where: no UTF-8");
    require(address_text_fault(problem->text, strlen(problem->text)) == NULL, "text: no UTF-8");
}

static void check_printed(const struct settings *settings, bool only_changed)
{
    char *bytes = NULL;
    size_t size = 0;
    struct settings *again = NULL;
    struct problem problem;
    const char *name = "";
    FILE *out = open_memstream(&bytes, &size);
    require(out != NULL, "no memory");
    settings_write(settings, only_changed, out);
    fclose(out);
    int good = settings_read(as_file(bytes, size), NULL, 0, &again, &problem);
    require(good, good ? "" : problem.text);
    require(settings_differences(settings, again, &name, 1) == 0, name);
    settings_free(&again);
    free(bytes);
}

/* `bytes` end with a NUL, which is not counted. */
static void check_lines(char *bytes, size_t length)
{
    struct ini ini;
    int last = 0;
    for (ini_begin(&ini, bytes, length); ini_next(&ini); ini.continues = ini.line % 2 == 0) {
        require(ini.line > last, "a line twice");
        last = ini.line;
        require(ini.fault == NULL || (ini.name[0] == '\0' && ini.value[0] == '\0'), "fault");
        require(strpbrk(ini.name, ini.kind == INI_SECTION ? "]\n" : "=:\n") == NULL, "name");
        require(strlen(ini.value) < INI_LINE_MAX_BYTES, "value");
    }
}

static void ask(const struct settings *settings)
{
    for (size_t i = 0; i < settings->own_index_count; i++)
        require(settings_own_domain(settings, settings->own_index[0].domain,
                                    settings->own_index[i].domain) ==
                    (settings->own_index[0].group == settings->own_index[i].group),
                "own domain");
    for (size_t i = 0; i < settings->exempt_mailboxes.count; i++)
        require(settings_exempt_mailbox(settings, settings->exempt_mailboxes.items[i]), "mailbox");
    for (size_t i = 0; i < settings->exempt_recipients.count; i++)
        require(settings_exempt_recipient(settings, settings->exempt_recipients.items[i]),
                "recipient");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + 1);
    const char *overrides[OVERRIDES_MAX];
    size_t count = 0, file_length = 0;
    require(bytes != NULL, "no memory");
    if (size > 0)
        memcpy(bytes, data, size);
    bytes[size] = '\0';
    while (file_length < size && bytes[file_length] != '\0')
        file_length++;
    for (size_t at = file_length + 1; at < size && count < OVERRIDES_MAX; count++) {
        overrides[count] = bytes + at;
        at += strlen(bytes + at) + 1;
    }
    struct settings *settings = NULL;
    struct problem problem = {0};
    if (settings_read(as_file(bytes, file_length), overrides, count, &settings, &problem)) {
        ask(settings);
        check_printed(settings, false);
        check_printed(settings, true);
    } else {
        require(settings == NULL, "settings in spite of a problem");
        check_problem(&problem);
    }
    settings_free(&settings);
    check_lines(bytes, size);
    free(bytes);
    return 0;
}
