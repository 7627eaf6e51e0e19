#include "cli.h"
#include "print.h"

int run_config(struct cli *cli)
{
    freed_by(settings_free) struct settings *settings = NULL;
    struct problem problem;
    if (cli->given[OPTION_CHANGED] != NULL && cli->given[OPTION_DEFAULTS] != NULL)
        return cli_usage_error(cli, "-n and --defaults do not go together");
    if (cli->given[OPTION_DEFAULTS] != NULL) {
        settings_write_defaults(stdout);
        return cli_end_output(cli);
    }
    if (program_settings(&cli->options, &settings, &problem) < 1) {
        fprintf(stderr, "sendguard: %s: %s\n", plain(cli->arena, problem.where),
                plain(cli->arena, problem.text));
        return PROGRAM_CONFIG;
    }
    settings_write(settings, cli->given[OPTION_CHANGED] != NULL, stdout);
    return cli_end_output(cli);
}
