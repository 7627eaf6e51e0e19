#include "cli/cli.h"

int cli_run_config(struct cli *cli)
{
    freed_by(settings_free) struct settings *settings = NULL;
    struct faults faults;
    if (cli->given[OPTION_CHANGED] != NULL && cli->given[OPTION_DEFAULTS] != NULL)
        return cli_usage_error(cli, "-n and --defaults do not go together");
    if (cli->given[OPTION_DEFAULTS] != NULL) {
        settings_write_defaults(stdout);
        return cli_end_output(cli);
    }
    if (program_settings(&cli->options, &settings, &faults) < 1)
        return cli_refuse_settings(cli, &faults);
    settings_write(settings, cli->given[OPTION_CHANGED] != NULL, stdout);
    return cli_end_output(cli);
}
