/* manual.c: the manual in its forms, all made from the commands' tables of options. */
#include "cli/cli.h"

#include <string.h>

static const char about[] =
    "teaches a large language model new languages without making it forget the old ones";

static const struct {
    int code;
    const char *meaning;
} exit_codes[] = {
    {0, "done"},
    {1, "failed"},
    {2, "an option or argument is wrong"},
    {3, "an input file is wrong"},
    {75, "stopped by a signal with everything saved; the same command goes on from there"},
};

static const struct {
    const char *name, *meaning;
} variables[] = {
    {"GLOT_CACHE", "where fetched models are kept (default ~/.cache/glot)"},
    {"GLOT_THREADS", "threads to work with where --threads is not given"},
    {"GLOT_ISA",
     "instruction set of the CPU kernels: portable, avx2, avx512, avx512_bf16 (default: the best there is)"},
    {"GLOT_DEVICE", "what runs models where --device is not given"},
    {"NO_COLOR", "no colours on a terminal"},
};

enum {
    N_EXIT_CODES = sizeof exit_codes / sizeof exit_codes[0],
    N_VARIABLES = sizeof variables / sizeof variables[0]
};

void cli_overview(glot_str *out)
{
    glot_str_printf(out, "glot %s\n\nusage: glot COMMAND [options]\n\nCommands, in the order of the work:\n",
                    about);
    for (size_t i = 0; cli_commands[i]; i++)
        glot_str_printf(out, "  %-12s%s\n", cli_commands[i]->name, cli_commands[i]->summary);
    glot_str_puts(
        out, "\n'glot COMMAND --help' explains one command, 'glot --version' says what this program is.\n");
}

/* Markdown. */

static void markdown_row(glot_str *out, const glot_option *row)
{
    glot_str_puts(out, "| `");
    if (row->letter)
        glot_str_printf(out, "-%c`, `", row->letter);
    glot_str form = {0};
    glot_option_form(&form, row);
    for (const char *p = form.data ? form.data : ""; *p; p++)
        glot_str_append(out, *p == '|' ? "\\|" : p, *p == '|' ? 2 : 1); /* a bar would end the table's cell */
    out->failed = out->failed || form.failed;
    glot_str_release(&form);
    glot_str_printf(out, "` | %s | ", row->help);
    glot_option_limits(out, row);
    glot_str_puts(out, " |\n");
}

static void markdown_command(glot_str *out, const glot_command *command)
{
    const glot_option *tables[CLI_MAX_TABLES];
    cli_tables(tables, command);
    glot_str_printf(out, "\n## glot %s\n\n%s.\n\n    glot %s", command->name, command->summary,
                    command->name);
    glot_options_usage(out, tables);
    glot_str_puts(out, " [options]\n\n| option | meaning | range, unit, default |\n| --- | --- | --- |\n");
    for (size_t t = 0; tables[t + 1]; t++) /* the last table is common to all commands */
        for (const glot_option *row = tables[t]; row->name; row++)
            markdown_row(out, row);
}

void cli_manual_markdown(glot_str *out)
{
    const glot_option *tables[CLI_MAX_TABLES];
    size_t n = 0;
    glot_str_printf(
        out,
        "# The command line\n\nglot %s. This page is made by\n`glot help --as markdown` from the tables that "
        "parse the options; `tools/update-docs` renews it and a test compares it.\n\n",
        about);
    glot_str_puts(
        out,
        "Every command also takes:\n\n| option | meaning | range, unit, default |\n| --- | --- | --- |\n");
    cli_tables(tables, cli_commands[0]);
    while (tables[n + 1])
        n++;
    for (const glot_option *row = tables[n]; row->name; row++)
        markdown_row(out, row);
    for (size_t i = 0; cli_commands[i]; i++)
        markdown_command(out, cli_commands[i]);
    glot_str_puts(out, "\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (size_t i = 0; i < N_EXIT_CODES; i++)
        glot_str_printf(out, "| %d | %s |\n", exit_codes[i].code, exit_codes[i].meaning);
    glot_str_puts(out, "\n## Environment\n\n| variable | meaning |\n| --- | --- |\n");
    for (size_t i = 0; i < N_VARIABLES; i++)
        glot_str_printf(out, "| `%s` | %s |\n", variables[i].name, variables[i].meaning);
}

/* A man page (the man macros). */

/* Text in which a minus stays a minus and a line never begins with a control character. */
static void man_text(glot_str *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '-')
            glot_str_puts(out, "\\-");
        else if (*p == '\\')
            glot_str_puts(out, "\\e");
        else if (p == text && (*p == '.' || *p == '\''))
            glot_str_printf(out, "\\&%c", *p);
        else
            glot_str_append(out, p, 1);
    }
}

static void man_row(glot_str *out, const glot_option *row)
{
    glot_str text = {0};
    glot_str_puts(out, ".TP\n");
    if (row->letter)
        glot_str_printf(&text, "-%c, ", row->letter);
    glot_option_form(&text, row);
    man_text(out, text.data ? text.data : "");
    glot_str_puts(out, "\n");
    glot_str_reset(&text);
    glot_option_limits(&text, row);
    man_text(out, row->help);
    if (text.length) {
        glot_str_puts(out, " (");
        man_text(out, text.data);
        glot_str_puts(out, ")");
    }
    glot_str_puts(out, "\n");
    out->failed = out->failed || text.failed;
    glot_str_release(&text);
}

static void man_command(glot_str *out, const glot_command *command)
{
    const glot_option *tables[CLI_MAX_TABLES];
    glot_str usage = {0};
    cli_tables(tables, command);
    glot_options_usage(&usage, tables);
    glot_str_printf(out, ".SS glot %s", command->name);
    man_text(out, usage.data ? usage.data : "");
    glot_str_puts(out, "\n");
    man_text(out, command->summary);
    glot_str_puts(out, ".\n");
    out->failed = out->failed || usage.failed;
    glot_str_release(&usage);
    for (size_t t = 0; tables[t + 1]; t++)
        for (const glot_option *row = tables[t]; row->name; row++)
            man_row(out, row);
}

void cli_manual_man(glot_str *out)
{
    glot_str_printf(out, ".TH GLOT 1 \"\" \"glot %s\"\n.SH NAME\nglot \\- ", glot_version());
    man_text(out, about);
    glot_str_puts(out, "\n.SH SYNOPSIS\n.B glot\nCOMMAND [options]\n.SH COMMANDS\n");
    for (size_t i = 0; cli_commands[i]; i++)
        man_command(out, cli_commands[i]);
    glot_str_puts(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < N_EXIT_CODES; i++)
        glot_str_printf(out, ".TP\n%d\n%s\n", exit_codes[i].code, exit_codes[i].meaning);
    glot_str_puts(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < N_VARIABLES; i++) {
        glot_str_printf(out, ".TP\n%s\n", variables[i].name);
        man_text(out, variables[i].meaning);
        glot_str_puts(out, "\n");
    }
}

/* JSON. */

json_t *cli_manual_json(void)
{
    json_t *list = json_array();
    for (size_t i = 0; list && cli_commands[i]; i++) {
        const glot_option *tables[CLI_MAX_TABLES];
        cli_tables(tables, cli_commands[i]);
        json_t *command = json_pack("{s:s, s:s, s:o}", "name", cli_commands[i]->name, "summary",
                                    cli_commands[i]->summary, "options", glot_options_json(tables));
        if (json_array_append_new(list, command) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
