/* cli.h
 *
 * The program around the library: the table of commands, what every command is given, and the one way to
 * write to the terminal. The result of a command goes to standard output through cli_write, cli_printf or
 * cli_json; everything else (warnings, progress, errors) goes to standard error.
 *
 * To add a command NAME: write cmd_NAME.c, which defines `const glot_command cmd_NAME`, and put one line into
 * commands.inc.
 */
#ifndef GLOT_CLI_CLI_H
#define GLOT_CLI_CLI_H

#include "base/cancel.h"
#include "base/options.h"
#include "base/progress.h"

/* What a command is given. */
typedef struct glot_cli {
    const glot_args *args;
    bool is_json;    /* --json: one JSON document on standard output and nothing else there */
    bool is_quiet;   /* --quiet: no progress, no notes; warnings and errors only */
    bool is_verbose; /* -v */
    int threads;     /* --threads, GLOT_THREADS, or every core; at least 1 */
    const glot_cancel *cancel; /* set by SIGINT and SIGTERM where the command asks for it */
} glot_cli;

/* Rows that more than one command has, beside the common ones (help, threads, quiet, verbose). */
enum {
    CLI_HAS_JSON = 1,  /* --json */
    CLI_HAS_MODEL = 2, /* --device, --dtype, --language: where a model runs */
    CLI_STOPS_SAVED =
        4 /* a first SIGINT or SIGTERM only sets `cancel`; the command saves and returns GLOT_CANCELLED */
};

typedef struct glot_command {
    const char *name;
    const char *summary;        /* one line, lower case */
    const glot_option *options; /* its own rows, ended by a row without a name */
    unsigned has;               /* CLI_HAS_... */
    glot_status (*run)(const glot_cli *cli, glot_error *err);
} glot_command;

/* All commands in the order of the work, NULL-terminated. */
extern const glot_command *const cli_commands[];
#define CLI_COMMAND(name) extern const glot_command cmd_##name;
#include "cli/commands.inc"
#undef CLI_COMMAND
/* The command of that name; else GLOT_BAD_ARGUMENT, with the name that was likely meant. */
glot_status cli_find_command(const glot_command **out, const char *name, glot_error *err);

/* The tables of a command: its own rows, then those that `has` asks for, then the common ones;
 * NULL-terminated. */
enum { CLI_MAX_TABLES = 5 };
void cli_tables(const glot_option *tables[CLI_MAX_TABLES], const glot_command *command);

/* Fills the tables of `train` and `review`, which follow from the recipe's: main calls it once, before
 * anything looks at them. */
void cli_stage_options_init(void);

/* What `glot` alone and `glot --help` print. */
void cli_overview(glot_str *out);
/* The whole manual, made from the tables: Markdown (docs/CLI.md), a man page, JSON. */
void cli_manual_markdown(glot_str *out);
void cli_manual_man(glot_str *out);
json_t *cli_manual_json(void); /* new reference */

/* Commit the program was built from, "" where the source had no .git. */
const char *cli_commit(void);
/* `glot --version`, as text or as a JSON document. */
glot_status cli_version(bool is_json, glot_error *err);

/* From now on a first SIGINT or SIGTERM sets the command's `cancel` instead of ending the program; a second
 * one ends it at once. A command with CLI_STOPS_SAVED has it from its start. */
void cli_catch_signals(void);

/* Standard output. A reader that is gone (`| head`) ends the program as SIGPIPE would. */
glot_status cli_write(const void *bytes, size_t n, glot_error *err);
glot_status cli_printf(glot_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints `document` and a newline, and releases it. NULL: no memory to make it. */
glot_status cli_json(json_t *document, glot_error *err);
/* Writes what is still buffered. */
glot_status cli_flush(glot_error *err);

/* Standard error. Sets the library's log sink too. */
void cli_terminal_init(bool is_quiet, bool is_verbose);
void cli_error(const glot_error *err, bool is_verbose);
/* A line of text, without its newline, that tells a person how the work goes. Nothing with --quiet. */
void cli_note(const char *text);
/* Shows where long work is: on a terminal one line that is written over, at most twice a second, with as many
 * of its fields as fit
 * (`rest`: the last ones); elsewhere a line every ten seconds. `is_last` is always shown and stays. Nothing
 * with --quiet. */
void cli_progress(const glot_progress *p, const char *rest, bool is_last);

#endif
