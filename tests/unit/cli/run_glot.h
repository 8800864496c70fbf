/* run_glot.h: runs the program as a user would, in a folder of the test's own, and keeps what it prints. */
#ifndef GLOT_TESTS_RUN_GLOT_H
#define GLOT_TESTS_RUN_GLOT_H

#include "../base/base_util.h"

#include "base/json.h"
#include "base/str.h"

#include <fcntl.h>
#include <sys/wait.h>

typedef struct glot_run {
    int exit_code;      /* -1: ended by a signal */
    char *out, *err;    /* standard output and error, zero-terminated */
    size_t out_size;
} glot_run;

/* The child's side: files for the three streams, a clean environment, and the program. */
static inline void exec_glot(const char *input, const char *out, const char *errors, const char *const *args)
{
    const char *words[64] = {GLOT_PROGRAM};
    int n = 1;
    while (*args && n < 63)
        words[n++] = *args++;
    int in = open(input ? input : "/dev/null", O_RDONLY);
    int to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (dup2(in, 0) < 0 || dup2(to, 1) < 0 || dup2(err, 2) < 0)
        _exit(126);
    unsetenv("GLOT_DEVICE");
    execv(GLOT_PROGRAM, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* `out`: where standard output goes, NULL: kept in the result; `input`: path of standard input, NULL: nothing. `args` ends with
 * NULL. */
static inline glot_run run_glot_with(void **state, const char *input, const char *out, const char *const *args)
{
    glot_run run = {.exit_code = -1};
    char kept[512], errors[512];
    int status = 0;
    size_t size = 0;
    snprintf(kept, sizeof kept, "%s/.out", (const char *)*state);
    snprintf(errors, sizeof errors, "%s/.err", (const char *)*state);
    pid_t child = fork();
    if (child == 0)
        exec_glot(input, out ? out : kept, errors, args);
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status))
        run.exit_code = WEXITSTATUS(status);
    if (!out)
        assert_int_equal(glot_file_read(&run.out, &run.out_size, kept, 64 << 20, NULL), GLOT_OK);
    assert_int_equal(glot_file_read(&run.err, &size, errors, 64 << 20, NULL), GLOT_OK);
    return run;
}

static inline void run_release(glot_run *run)
{
    glot_free(run->out);
    glot_free(run->err);
    *run = (glot_run){0};
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define run_glot(state, ...) run_glot_with(state, NULL, NULL, ARGS(__VA_ARGS__))

/* The one sentence of a failure: exit code, and standard error exactly; nothing on standard output. */
static inline void expect_failure(glot_run run, int exit_code, const char *sentence)
{
    char expected[2048];
    snprintf(expected, sizeof expected, "error: %s\n", sentence);
    assert_string_equal(run.err, expected);
    assert_int_equal(run.exit_code, exit_code);
    assert_string_equal(run.out ? run.out : "", "");
    run_release(&run);
}

/* The JSON document that a good run printed, and nothing else; new reference. */
static inline json_t *json_of(glot_run run)
{
    json_t *document = NULL;
    glot_error err = {0};
    if (run.exit_code != 0)
        fail_msg("exit code %d: %s", run.exit_code, run.err);
    if (glot_json_load(&document, run.out, run.out_size, "standard output", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    run_release(&run);
    return document;
}

static inline int64_t int_at(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_integer(value))
        fail_msg("no integer '%s'", key);
    return json_integer_value(value);
}

static inline const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* A file in the test's folder. */
static inline const char *put_bytes(void **state, const char *name, const void *bytes, size_t n)
{
    const char *path = in_folder(state, name);
    assert_int_equal(glot_file_write(path, bytes, n, NULL), GLOT_OK);
    return path;
}

static inline const char *put(void **state, const char *name, const char *text)
{
    return put_bytes(state, name, text, strlen(text));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
