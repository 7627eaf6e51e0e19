/* The names that an action is done to: words, and the lines of a file; and a file as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int too_many(const struct cli *cli)
{
    return cli_usage_error(cli, "too many names: expected at most %d", CLI_SUBJECTS_MAX);
}

/* Takes a line over: not an empty one, nor one that begins with '#'. */
static int take_line(struct cli *cli, const char *file, int number, char *line, size_t length)
{
    static const char blanks[] = " \t\r\n";
    if (strlen(line) != length)
        return cli_usage_error(cli, "%s:%d: expected text, found a NUL", file, number);
    line += strspn(line, blanks);
    for (length = strlen(line); length > 0 && strchr(blanks, line[length - 1]) != NULL;)
        length--;
    if (length == 0 || line[0] == '#')
        return -1;
    if (cli->subject_count == CLI_SUBJECTS_MAX)
        return too_many(cli);
    cli->subjects[cli->subject_count++] =
        (struct cli_subject){arena_strndup(cli->arena, line, length),
                             arena_printf(cli->arena, "%s:%d: %.*s", file, number,
                                          (int)length, line)};
    return -1;
}

static int read_lines(struct cli *cli, const char *file, FILE *in)
{
    char *line = NULL;
    size_t size = 0;
    int status = -1;
    ssize_t length;
    for (int number = 1; status < 0 && (length = getline(&line, &size, in)) >= 0; number++)
        status = take_line(cli, file, number, line, (size_t)length);
    free(line);
    return status < 0 && ferror(in) ? cli_failed(cli, "%s: cannot be read: %s", file,
                                                 strerror(errno))
                                    : status;
}

static int read_file(struct cli *cli, const char *file)
{
    if (strcmp(file, "-") == 0)
        return read_lines(cli, "standard input", stdin);
    FILE *in = fopen(file, "re");
    if (in == NULL)
        return cli_failed(cli, "%s: cannot be read: %s", file, strerror(errno));
    int status = read_lines(cli, file, in);
    fclose(in);
    return status;
}

int cli_read_subjects(struct cli *cli)
{
    const char *file = cli->given[OPTION_FROM];
    if (cli->word_count > CLI_SUBJECTS_MAX)
        return too_many(cli);
    cli->subjects = arena_alloc(cli->arena, CLI_SUBJECTS_MAX * sizeof *cli->subjects);
    cli->subject_count = (size_t)cli->word_count;
    for (int i = 0; i < cli->word_count; i++)
        cli->subjects[i] = (struct cli_subject){
            cli->words[i], file != NULL || cli->word_count > 1 ? cli->words[i] : NULL};
    int status = file != NULL ? read_file(cli, file) : -1;
    return status < 0 && cli->subject_count == 0
               ? cli_usage_error(cli, "%s: expected a name a line, found none", file)
               : status;
}

static int read_all(struct cli *cli, const char *file, FILE *in)
{
    char bytes[16 * 1024];
    size_t length;
    while ((length = fread(bytes, 1, sizeof bytes, in)) > 0) {
        text_add_bytes(&cli->imported, bytes, length);
        if (cli->imported.length > DESK_IMPORT_MAX_BYTES)
            return cli_failed(cli, "%s: expected at most %d bytes", file, DESK_IMPORT_MAX_BYTES);
    }
    return ferror(in) ? cli_failed(cli, "%s: cannot be read: %s", file, strerror(errno)) : -1;
}

int cli_read_imported(struct cli *cli)
{
    const char *file = cli->given[OPTION_IMPORT];
    if (strcmp(file, "-") == 0)
        return read_all(cli, "standard input", stdin);
    FILE *in = fopen(file, "re");
    if (in == NULL)
        return cli_failed(cli, "%s: cannot be read: %s", file, strerror(errno));
    int status = read_all(cli, file, in);
    fclose(in);
    return status;
}
