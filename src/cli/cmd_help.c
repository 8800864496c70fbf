/* cmd_help.c: `glot help`: the manual, of one command or of all, as people and tools read it. */
#include "cli/cli.h"

#include <string.h>

static const glot_option rows[] = {
    {"COMMAND", .kind = GLOT_OPTION_STRING, .is_argument = true,
     .help = "the command to explain; all of them without it"},
    {"as", .kind = GLOT_OPTION_CHOICE, .value = "text|markdown|man|json", .initial = "text",
     .help = "form of the manual; other forms than text hold all commands"},
    {0},
};

static glot_status put_command(glot_str *out, const char *name, glot_error *err)
{
    const glot_command *command = NULL;
    const glot_option *tables[CLI_MAX_TABLES];
    GLOT_TRY(cli_find_command(&command, name, err));
    cli_tables(tables, command);
    glot_options_help(out, name, command->summary, tables);
    return GLOT_OK;
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    const char *name = glot_args_string(cli->args, "COMMAND");
    const char *form = glot_args_string(cli->args, "as");
    glot_str text = {0};
    glot_status status = GLOT_OK;
    if (strcmp(form, "json") == 0)
        return cli_json(cli_manual_json(), err);
    if (strcmp(form, "markdown") == 0)
        cli_manual_markdown(&text);
    else if (strcmp(form, "man") == 0)
        cli_manual_man(&text);
    else if (name)
        status = put_command(&text, name, err);
    else
        cli_overview(&text);
    if (status == GLOT_OK)
        status = glot_str_check(&text, "the manual", err);
    if (status == GLOT_OK)
        status = cli_write(text.data, text.length, err);
    glot_str_release(&text);
    return status;
}

const glot_command cmd_help = {"help", "print the manual of a command or of all", rows, 0, run};
