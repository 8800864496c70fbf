/* cmd_report.c: `glot report DIR [DIR...]`: the page of a run made anew, or several runs side by side. */
#include "cli/cli.h"
#include "job/report.h"

static const glot_option rows[] = {
    {"DIR", .kind = GLOT_OPTION_WORDS, .is_argument = true, .is_required = true,
     .help = "run directories; several are compared on one page"},
    {"out", .kind = GLOT_OPTION_STRING, .value = "FILE",
     .help = "where the page goes; default report.html in DIR, of several compare.html here"},
    {0},
};

static glot_status run(const glot_cli *cli, glot_error *err)
{
    size_t n;
    const char *const *dirs = glot_args_words(cli->args, "DIR", &n);
    const char *out = glot_args_string(cli->args, "out");
    for (size_t i = 0; i < n; i++)
        GLOT_TRY(glot_report_check(dirs[i], err));
    if (n == 1) {
        GLOT_TRY(glot_report_write(dirs[0], out, err));
        return out ? cli_printf(err, "%s\n", out) : cli_printf(err, "%s/report.html\n", dirs[0]);
    }
    out = out ? out : "compare.html";
    GLOT_TRY(glot_report_compare(dirs, n, out, err));
    return cli_printf(err, "%s\n", out);
}

const glot_command cmd_report = {"report", "write the HTML report of a run, or of several side by side", rows,
                                 0, run};
