/* test_cli.c: what holds for every command: help, exit codes, streams, the manual made from the tables. */
#include "run_glot.h"

#include <signal.h>

static void test_without_a_command(void **state)
{
    glot_run run = run_glot(state, "--help");
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.out, "usage: glot COMMAND"));
    assert_non_null(strstr(run.out, "\n  inspect "));
    assert_string_equal(run.err, "");
    glot_run bare = run_glot_with(state, NULL, NULL, (const char *const[]){NULL});
    assert_int_equal(bare.exit_code, 2);
    assert_string_equal(bare.out, run.out);
    run_release(&run);
    run_release(&bare);
}

static void test_version(void **state)
{
    glot_run run = run_glot(state, "--version");
    assert_int_equal(run.exit_code, 0);
    assert_int_equal(strncmp(run.out, "glot 0.", 7), 0);
    assert_non_null(strstr(run.out, "\ninstruction sets: portable"));
    assert_non_null(strstr(run.out, "\nlibraries: jansson 2."));
    run_release(&run);
    json_t *o = json_of(run_glot(state, "--version", "--json"));
    assert_string_equal(text_at(o, "name"), "glot");
    assert_true(json_array_size(json_object_get(o, "instruction_sets")) >= 1);
    assert_non_null(json_object_get(o, "commit"));
    json_decref(o);
    expect_failure(run_glot(state, "--version", "x"), 2, "'x' is not understood behind --version");
}

static void test_usage_errors(void **state)
{
    expect_failure(run_glot(state, "frobnicate"), 2, "unknown command 'frobnicate', 'glot --help' lists them");
    expect_failure(run_glot(state, "--frobnicate"), 2, "unknown command '--frobnicate', 'glot --help' lists them");
    expect_failure(run_glot(state, "evla"), 2, "unknown command 'evla', did you mean 'eval'? 'glot --help' lists them all");
    expect_failure(run_glot(state, "help", "expnad"), 2, "unknown command 'expnad', did you mean 'expand'? 'glot --help' lists them all");
    expect_failure(run_glot(state, "inspect"), 2, "the argument THING is missing");
    expect_failure(run_glot(state, "inspect", "x", "--tensor"), 2,
                   "unknown option '--tensor', did you mean '--tensors'?");
    expect_failure(run_glot(state, "help", "--threads", "1e3"), 2,
                   "option '--threads' is '1e3', expected a whole number from 0 to 1024");
}

static void test_threads_of_the_environment(void **state)
{
    setenv("GLOT_THREADS", "many", 1);
    expect_failure(run_glot(state, "help"), 2, "the environment variable GLOT_THREADS is 'many', expected 0 to 1024");
    glot_run run = run_glot(state, "help", "--threads", "2"); /* the option comes first */
    assert_int_equal(run.exit_code, 0);
    run_release(&run);
    unsetenv("GLOT_THREADS");
}

/* Every command explains itself: one option row, one line of help. */
static void test_help_of_every_command(void **state)
{
    size_t i, j;
    json_t *commands = json_of(run_glot(state, "help", "--as", "json")), *command, *row;
    assert_true(json_array_size(commands) > 3);
    json_array_foreach(commands, i, command) {
        glot_run run = run_glot(state, text_at(command, "name"), "--help");
        glot_run other = run_glot(state, "help", text_at(command, "name"));
        assert_int_equal(run.exit_code, 0);
        assert_string_equal(run.err, "");
        assert_string_equal(run.out, other.out);
        json_array_foreach(json_object_get(command, "options"), j, row) {
            char form[128];
            bool is_argument = json_is_true(json_object_get(row, "argument"));
            snprintf(form, sizeof form, "%s%s", is_argument ? "" : "--", text_at(row, "name"));
            if (!strstr(run.out, form))
                fail_msg("glot %s --help lacks %s", text_at(command, "name"), form);
            assert_true(strlen(text_at(row, "help")) > 0);
        }
        run_release(&run);
        run_release(&other);
    }
    json_decref(commands);
}

/* docs/CLI.md is what the program prints. */
static void test_manual_is_up_to_date(void **state)
{
    const char *path = GLOT_SOURCE_DIR "/docs/CLI.md";
    char *page = NULL;
    size_t size = 0;
    glot_run run = run_glot(state, "help", "--as", "markdown");
    assert_int_equal(run.exit_code, 0);
    if (getenv("GLOT_UPDATE_DOCS"))
        assert_int_equal(glot_file_write(path, run.out, run.out_size, NULL), GLOT_OK);
    assert_int_equal(glot_file_read(&page, &size, path, 1 << 20, NULL), GLOT_OK);
    if (strcmp(page, run.out) != 0)
        fail_msg("docs/CLI.md is not what the options are now; run tools/update-docs");
    glot_free(page);
    run_release(&run);
}

static void test_man_page(void **state)
{
    glot_run run = run_glot(state, "help", "--as", "man");
    assert_int_equal(run.exit_code, 0);
    assert_int_equal(strncmp(run.out, ".TH GLOT 1", 10), 0);
    assert_non_null(strstr(run.out, "\n.SS glot inspect THING\n"));
    assert_null(strstr(run.out, "\n-"));
    run_release(&run);
}

static void test_full_disk(void **state)
{
    glot_run run = run_glot_with(state, NULL, "/dev/full", ARGS("help"));
    expect_failure(run, 1, "cannot write to standard output: no space left on the disk");
    run = run_glot_with(state, NULL, "/dev/full", ARGS("--version"));
    expect_failure(run, 1, "cannot write to standard output: no space left on the disk");
}

/* `glot ... | head` ends as other programs do, without a word. */
static void test_reader_is_gone(void **state)
{
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    pid_t child = fork();
    if (child == 0) {
        int err = open(in_folder(state, ".err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (dup2(ends[1], 1) < 0 || dup2(err, 2) < 0)
            _exit(126);
        execl(GLOT_PROGRAM, "glot", "help", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    expect_content(in_folder(state, ".err"), "");
}

static void test_no_colours_into_a_file(void **state)
{
    glot_run run = run_glot(state, "inspect", "missing");
    assert_null(strchr(run.err, '\033'));
    expect_failure(run, 3, "'missing' does not exist");
}

static void test_verbose_names_the_place(void **state)
{
    glot_run run = run_glot(state, "inspect", "missing", "-v");
    assert_non_null(strstr(run.err, "error: 'missing' does not exist\n  NOT_FOUND at "));
    run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_without_a_command),
        IN_FOLDER(test_version),
        IN_FOLDER(test_usage_errors),
        IN_FOLDER(test_threads_of_the_environment),
        IN_FOLDER(test_help_of_every_command),
        IN_FOLDER(test_manual_is_up_to_date),
        IN_FOLDER(test_man_page),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_reader_is_gone),
        IN_FOLDER(test_no_colours_into_a_file),
        IN_FOLDER(test_verbose_names_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
