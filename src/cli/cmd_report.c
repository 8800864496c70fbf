/* cmd_report.c: `glot report DIR`: report.html of a run directory, made anew. */
#include "cli/cli.h"
#include "job/report.h"

static const glot_option rows[] = {
    {"DIR", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true, .help = "a run directory"},
    {0},
};

static glot_status run(const glot_cli *cli, glot_error *err)
{
    const char *dir = glot_args_string(cli->args, "DIR");
    GLOT_TRY(glot_report_write(dir, err));
    return cli_printf(err, "%s/report.html\n", dir);
}

const glot_command cmd_report = {"report", "write the HTML report of a run", rows, 0, run};
