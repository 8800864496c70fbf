/* main.c: finds the command, parses its options, runs it, and turns its status into an exit code. */
#include "cli/cli.h"
#include "tensor/backend.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 1024 };

const glot_command *const cli_commands[] = {
#define CLI_COMMAND(name) &cmd_##name,
#include "cli/commands.inc"
#undef CLI_COMMAND
    NULL,
};

static const glot_option common_rows[] = {
    {"threads", .kind = GLOT_OPTION_INT, .value = "N", .min = 0, .max = MAX_THREADS, .initial = "0",
     .help = "threads to work with; 0: GLOT_THREADS, or every core it may use", .group = "Common options"},
    {"quiet", .letter = 'q', .kind = GLOT_OPTION_FLAG,
     .help = "no progress and no notes, only warnings and errors", .group = "Common options"},
    {"verbose", .letter = 'v', .kind = GLOT_OPTION_FLAG, .help = "say more", .group = "Common options"},
    {"help", .letter = 'h', .kind = GLOT_OPTION_FLAG, .help = "print this text", .group = "Common options"},
    {0},
};

static const glot_option json_rows[] = {
    {"json", .kind = GLOT_OPTION_FLAG, .help = "print one JSON document instead of text",
     .group = "Common options"},
    {0},
};

static const glot_option model_rows[] = {
    {"device", .kind = GLOT_OPTION_CHOICE, .value = "auto|cpu|cuda", .initial = "auto",
     .help = "what runs the model; auto: GLOT_DEVICE, or the best there is", .group = "Model options"},
    {"dtype", .kind = GLOT_OPTION_CHOICE, .value = "float32|bf16", .initial = "float32",
     .help = "type of the matrix products", .group = "Model options"},
    {"language", .kind = GLOT_OPTION_STRING, .value = "L",
     .help = "the text's language: an old one keeps to the base model's path throughout",
     .group = "Model options"},
    {0},
};

void cli_tables(const glot_option *tables[CLI_MAX_TABLES], const glot_command *command)
{
    size_t n = 0;
    tables[n++] = command->options;
    if (command->has & CLI_HAS_MODEL)
        tables[n++] = model_rows;
    if (command->has & CLI_HAS_JSON)
        tables[n++] = json_rows;
    tables[n++] = common_rows;
    tables[n] = NULL;
}

glot_status cli_find_command(const glot_command **out, const char *name, glot_error *err)
{
    size_t length = strlen(name), least = GLOT_LONGEST_WORD;
    const glot_command *nearest = NULL;
    for (size_t i = 0; cli_commands[i]; i++) {
        size_t distance = glot_edit_distance(name, length, cli_commands[i]->name);
        if (distance < least) {
            least = distance;
            nearest = cli_commands[i];
        }
    }
    if (nearest && least <= 2 && 2 * least <= length && least > 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "unknown command '%s', did you mean '%s'? 'glot --help' lists them all", name,
                         nearest->name);
    if (least > 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "unknown command '%s', 'glot --help' lists them", name);
    *out = nearest;
    return GLOT_OK;
}

static glot_cancel cancel;

/* The first signal asks for a stop, the second one is the default again and ends the process. */
static void on_signal(int number)
{
    static const char note[] = "\nstopping; once more to stop at once\n";
    int error = errno; /* of what was interrupted */
    cancel.requested = 1;
    signal(number, SIG_DFL);
    ssize_t ignored = write(STDERR_FILENO, note, sizeof note - 1);
    (void)ignored;
    errno = error;
}

void cli_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static glot_status choose_threads(int *threads, const glot_args *args, glot_error *err)
{
    const char *variable = getenv("GLOT_THREADS");
    int64_t n = glot_args_int(args, "threads");
    if (n == 0 && variable && *variable && (!glot_parse_int(&n, variable) || n < 0 || n > MAX_THREADS))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "the environment variable GLOT_THREADS is '%s', expected 0 to %d", variable,
                         MAX_THREADS);
    *threads = n ? (int)n : glot_cpu_count();
    return GLOT_OK;
}

static glot_status print_help(const glot_command *command, const glot_option *const *tables, glot_error *err)
{
    glot_str text = {0};
    glot_options_help(&text, command->name, command->summary, tables);
    glot_status status = glot_str_check(&text, "the help text", err);
    if (status == GLOT_OK)
        status = cli_write(text.data, text.length, err);
    glot_str_release(&text);
    return status;
}

static glot_status run_parsed(const glot_command *command, const glot_option *const *tables,
                              const glot_args *args, glot_error *err)
{
    if (glot_args_flag(args, "help"))
        return print_help(command, tables, err);
    glot_cli cli = {
        .args = args,
        .is_json = (command->has & CLI_HAS_JSON) && glot_args_flag(args, "json"),
        .is_quiet = glot_args_flag(args, "quiet"),
        .is_verbose = glot_args_flag(args, "verbose"),
        .cancel = &cancel,
    };
    GLOT_TRY(choose_threads(&cli.threads, args, err));
    cli_terminal_init(cli.is_quiet, cli.is_verbose);
    signal(SIGPIPE, SIG_IGN); /* a reader that is gone must not end a training run: cli_write sees to it */
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is a write that fails */
    if (command->has & CLI_STOPS_SAVED)
        cli_catch_signals();
    GLOT_TRY(command->run(&cli, err));
    return cli_flush(err);
}

static int run_command(const glot_command *command, int n_words, const char *const *words)
{
    const glot_option *tables[CLI_MAX_TABLES];
    glot_args *args = NULL;
    glot_error err = {0};
    cli_tables(tables, command);
    bool is_verbose = false;
    glot_status status = glot_args_parse(&args, tables, n_words, words, &err);
    if (status == GLOT_OK) {
        is_verbose = glot_args_flag(args, "verbose");
        status = run_parsed(command, tables, args, &err);
    }
    if (status != GLOT_OK)
        cli_error(&err, is_verbose);
    if (status == GLOT_CANCELLED && (command->has & CLI_STOPS_SAVED))
        cli_note("the same command goes on from here");
    glot_args_free(args);
    return glot_status_exit_code(status);
}

static int print_overview(glot_status status)
{
    glot_str text = {0};
    glot_error err = {0};
    cli_overview(&text);
    if (!text.failed && cli_write(text.data, text.length, &err) == GLOT_OK && cli_flush(&err) == GLOT_OK) {
        glot_str_release(&text);
        return glot_status_exit_code(status);
    }
    glot_str_release(&text);
    cli_error(&err, false);
    return glot_status_exit_code(GLOT_IO);
}

static int print_version(int argc, char **argv)
{
    glot_error err = {0};
    bool is_json = argc > 2 && strcmp(argv[2], "--json") == 0;
    if (argc > 2 + is_json)
        GLOT_FAIL(&err, GLOT_BAD_ARGUMENT, "'%s' is not understood behind --version", argv[2 + is_json]);
    else if (cli_version(is_json, &err) == GLOT_OK)
        cli_flush(&err);
    if (err.status != GLOT_OK)
        cli_error(&err, false);
    return glot_status_exit_code(err.status);
}

int main(int argc, char **argv)
{
    cli_terminal_init(false, false);
    cli_stage_options_init();
    if (argc < 2)
        return print_overview(GLOT_BAD_ARGUMENT);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_overview(GLOT_OK);
    if (strcmp(argv[1], "--version") == 0)
        return print_version(argc, argv);
    const glot_command *command = NULL;
    glot_error err = {0};
    if (cli_find_command(&command, argv[1], &err) == GLOT_OK)
        return run_command(command, argc - 2, (const char *const *)argv + 2);
    cli_error(&err, false);
    return glot_status_exit_code(GLOT_BAD_ARGUMENT);
}
