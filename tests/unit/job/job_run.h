/* job_run.h: a tiny job for the tests of runs: text, a recipe, one run as a process of its own (a killed one cannot be in ours), and what two
 * runs must have in common, which is all but times. */
#ifndef GLOT_TESTS_JOB_RUN_H
#define GLOT_TESTS_JOB_RUN_H

#include "base/file.h"
#include "base/log.h"
#include "job/expand.h"
#include "job/plan.h"
#include "job/run_dir.h"
#include "unit/byte_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char root[] = "/tmp/glot-expand-XXXXXX";

/* ---- text and a recipe ---- */

static inline const char *in_root(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s/%s", root, name);
    return path;
}

/* Documents of made-up words over an alphabet of the language's own. */
static inline void make_text(const char *name, const char *letters, int n_documents, uint64_t seed)
{
    glot_error err = {0};
    glot_str text = {0};
    glot_rng rng = glot_rng_seed(seed, 1);
    for (int d = 0; d < n_documents; d++) {
        for (uint32_t w = 0, n = 3 + glot_rng_below(&rng, 9); w < n; w++) {
            for (uint32_t i = 0, k = 2 + glot_rng_below(&rng, 5); i < k; i++)
                glot_str_append(&text, letters + glot_rng_below(&rng, (uint32_t)strlen(letters)), 1);
            glot_str_puts(&text, " ");
        }
        glot_str_puts(&text, "\n");
    }
    OK(glot_file_write(in_root(name), text.data, text.length, &err));
    glot_str_release(&text);
}

static inline void make_recipe(void)
{
    glot_error err = {0};
    static const char text[] =
        "base: base\noutput: run\nseed: 7\n"
        "languages:\n"
        "  en: {group: old, train: en.txt, valid: en.valid.txt}\n"
        "  el: {group: new, train: el.txt, valid: el.valid.txt}\n"
        "  tr: {group: new, train: tr.txt, valid: tr.valid.txt, weight: 2}\n"
        "experts: {allocation: list, list: [3, 1, 2]}\n"
        "train: {steps: 8, batch: 3, micro_batch: 2, length: 24, lr: 0.01, checkpoint_every: 2, eval_every: "
        "3}\n"
        "review: {steps: 5, batch: 2, length: 24, lr: 0.02, checkpoint_every: 2, eval_every: 5}\n"
        "exact: {mode: tokens, keep: 0.9}\nthreads: 1\n"
        "eval: {max_tokens: 150, tasks: [items.jsonl, {file: items.jsonl, name: own, query: '{query}?', choices: '{choices:letters}', "
        "examples: items.jsonl, shots: 1, limit: 2}]}\n";
    static const char items[] = "{\"query\": \"abc\", \"choices\": [\"nop\", \"ab cd\"], \"gold\": 1}\n"
                                "{\"query\": \"uvw\", \"choices\": [\"xyz\", \"abc\"], \"gold\": 0}\n"
                                "{\"query\": \"nop\", \"choices\": [\"qrs\", \"xyz\", \"a\"], \"gold\": 0}\n";
    OK(glot_file_write(in_root("recipe.yaml"), text, sizeof text - 1, &err));
    OK(glot_file_write(in_root("items.jsonl"), items, sizeof items - 1, &err));
}

static inline int make_all(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    byte_model_save(in_root("base"));
    make_text("en.txt", "abcdefgh", 30, 1);
    make_text("el.txt", "nopqrst", 30, 2);
    make_text("tr.txt", "uvwxyz", 9, 3);
    make_text("en.valid.txt", "abcdefgh", 6, 4);
    make_text("el.valid.txt", "nopqrst", 6, 5);
    make_text("tr.valid.txt", "uvwxyz", 6, 6);
    make_text("bn.txt", "0123456", 20, 7);
    make_text("bn.valid.txt", "0123456", 6, 8);
    make_text("hi.txt", "+-*=&%!", 20, 9);
    make_text("hi.valid.txt", "+-*=&%!", 6, 10);
    make_recipe();
    return 0;
}

static inline int remove_all(void **state)
{
    (void)state;
    return glot_dir_remove(root, NULL) == GLOT_OK ? 0 : -1;
}

/* ---- one process: a run ---- */

typedef struct run_options {
    const char *output;      /* below root */
    const char *settings[6]; /* further ones, NULL-terminated */
    int cancel_phase;        /* glot_phase + 1; 0: no cancelling */
    int64_t cancel_step;
    const char *cancel_at_begin; /* of a step of the job; NULL: none */
    int spoil_phase;             /* as cancel_phase: then a bit of the weights in "spoiled" changes, which the run has mapped */
    int64_t spoil_step;
    const char *spoil_at_begin;
    uint64_t kill_at;            /* the n-th write, fsync or rename kills; 0: none */
    uint64_t full_at;            /* ... finds the disk full */
    bool is_fresh;
    glot_recipe_job job;
} run_options;

typedef struct watcher {
    const run_options *options;
    glot_cancel cancel;
    FILE *begun; /* the names of the steps that began, in brackets */
} watcher;

/* Another last bit in one byte of a file below root. */
static inline void damage_at(const char *name, long offset, int whence)
{
    FILE *file = fopen(in_root(name), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, whence), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, offset, whence), 0);
    fputc(byte ^ 1, file);
    fclose(file);
}

static inline void damage(const char *name)
{
    damage_at(name, -3, SEEK_END);
}

static inline void on_step(void *user, const glot_step_report *report)
{
    watcher *w = user;
    if ((int)report->phase + 1 == w->options->spoil_phase && report->step == w->options->spoil_step)
        damage("spoiled/model.safetensors");
    if ((int)report->phase + 1 == w->options->cancel_phase && report->step == w->options->cancel_step)
        w->cancel.requested = 1;
}

static inline void on_begin(void *user, const char *step, const char *what)
{
    watcher *w = user;
    (void)what;
    fprintf(w->begun, "[%s]", step);
    fflush(w->begun);
    if (w->options->spoil_at_begin && strcmp(step, w->options->spoil_at_begin) == 0)
        damage("spoiled/model.safetensors");
    if (w->options->cancel_at_begin && strcmp(step, w->options->cancel_at_begin) == 0)
        w->cancel.requested = 1;
}

/* Languages come one after the other; the last call says that all are done. */
static inline void on_language(void *user, const char *step, const char *language, size_t done, size_t total)
{
    watcher *w = user;
    if (done == total && !language)
        fprintf(w->begun, "[%s: all languages]", step);
    fflush(w->begun);
}

static FILE *log_file;
static inline void log_line(void *user, glot_log_level level, const char *message)
{
    (void)user;
    if (level != GLOT_LOG_DEBUG)
        fprintf(log_file, "%s%s\n", level == GLOT_LOG_WARNING ? "warning: " : "", message);
}

/* What the child does; its exit code is the status. Messages go to the file "log", the steps that began to "begun", the number of file calls
 * to "calls". */
static inline int run_here(const run_options *o)
{
    glot_error err = {0};
    glot_recipe *recipe = NULL;
    watcher w = {.options = o, .begun = fopen(in_root("begun"), "w")};
    glot_job_view view = {.user = &w, .on_step = on_step, .on_begin = on_begin, .on_language = on_language};
    glot_job_options options = {.job = o->job, .is_fresh = o->is_fresh, .cancel = &w.cancel, .view = &view};
    char output[128];
    const char *settings[7] = {output};
    size_t n = 1;
    snprintf(output, sizeof output, "output=%s", o->output);
    while (n < 7 && o->settings[n - 1]) {
        settings[n] = o->settings[n - 1];
        n++;
    }
    log_file = fopen(in_root("log"), "w");
    glot_log_set_sink(log_line, NULL);
    glot_status status = glot_recipe_load(&recipe, in_root("recipe.yaml"), settings, n, &err);
    uint64_t calls = glot_file_calls();
    if (o->kill_at || o->full_at)
        glot_file_fail_after(o->kill_at ? o->kill_at : o->full_at, o->kill_at ? GLOT_FAULT_KILL : ENOSPC);
    if (status == GLOT_OK)
        status = glot_expand(NULL, recipe, &options, &err);
    glot_file_fail_after(0, 0);
    calls = glot_file_calls() - calls;
    glot_recipe_free(recipe);
    glot_log_set_sink(NULL, NULL);
    fprintf(log_file, "%s\n", err.message);
    fclose(log_file);
    fclose(w.begun);
    FILE *file = fopen(in_root("calls"), "w");
    fprintf(file, "%llu", (unsigned long long)calls);
    fclose(file);
    return (int)status;
}

enum { KILLED = 1000 };

/* Runs in a child; gives its status, or KILLED. after_ms: SIGKILL comes after so many milliseconds (0:
 * never). */
static inline int run_in_child(const run_options *o, int after_ms)
{
    int result;
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run_here(o));
    if (after_ms) {
        usleep((useconds_t)after_ms * 1000);
        kill(child, SIGKILL);
    }
    assert_true(waitpid(child, &result, 0) == child);
    if (WIFSIGNALED(result)) {
        assert_int_equal(WTERMSIG(result), SIGKILL);
        return KILLED;
    }
    return WEXITSTATUS(result);
}

static inline char *read_all(const char *path)
{
    char *text = NULL;
    size_t size;
    glot_error err = {0};
    OK(glot_file_read(&text, &size, path, 1 << 24, &err));
    return text;
}

static inline void expect_status(const run_options *o, glot_status expected)
{
    int status = run_in_child(o, 0);
    if (status != (int)expected) {
        char *text = read_all(in_root("log"));
        fail_msg("status %d, expected %d: %s", status, (int)expected, text);
    }
}

static inline void expect_log(const char *part)
{
    char *text = read_all(in_root("log"));
    if (!strstr(text, part))
        fail_msg("log is: %s\nexpected in it: %s", text, part);
    glot_free(text);
}

/* Whether the last run began a step of the job. */
static inline bool has_begun(const char *step)
{
    char word[64], *text = read_all(in_root("begun"));
    snprintf(word, sizeof word, "[%s]", step);
    bool has = strstr(text, word) != NULL;
    glot_free(text);
    return has;
}

static inline uint64_t file_calls(void)
{
    char *text = read_all(in_root("calls"));
    uint64_t calls = strtoull(text, NULL, 10);
    glot_free(text);
    return calls;
}

/* ---- comparing runs ---- */

static inline void expect_same_file(const char *a, const char *b)
{
    char *left = NULL, *right = NULL;
    size_t n_left, n_right;
    glot_error err = {0};
    OK(glot_file_read(&left, &n_left, a, 1 << 24, &err));
    OK(glot_file_read(&right, &n_right, b, 1 << 24, &err));
    if (n_left != n_right || memcmp(left, right, n_left) != 0)
        fail_msg("%s and %s differ", a, b);
    glot_free(left);
    glot_free(right);
}

static inline void expect_same_folder(const char *a, const char *b)
{
    char **left, **right;
    size_t n_left, n_right;
    glot_error err = {0};
    OK(glot_dir_list(&left, &n_left, a, &err));
    OK(glot_dir_list(&right, &n_right, b, &err));
    assert_int_equal(n_left, n_right);
    for (size_t i = 0; i < n_left; i++) {
        char *x = glot_path_join(a, left[i]), *y = glot_path_join(b, right[i]);
        assert_string_equal(left[i], right[i]);
        expect_same_file(x, y);
        glot_free(x);
        glot_free(y);
    }
    glot_dir_list_free(left, n_left);
    glot_dir_list_free(right, n_right);
}

/* Every line equal but for times. */
static inline void expect_same_metrics(const char *a, const char *b)
{
    json_t *left = NULL, *right = NULL;
    glot_error err = {0};
    OK(glot_run_dir_read_metrics(&left, a, &err));
    OK(glot_run_dir_read_metrics(&right, b, &err));
    assert_int_equal(json_array_size(left), json_array_size(right));
    for (size_t i = 0; i < json_array_size(left); i++) {
        json_t *x = json_array_get(left, i), *y = json_array_get(right, i);
        json_object_del(x, "tokens_per_s");
        json_object_del(y, "tokens_per_s");
        if (!json_equal(x, y))
            fail_msg("line %zu of the metrics: %s\n%s", i + 1, json_dumps(x, 0), json_dumps(y, 0));
    }
    json_decref(left);
    json_decref(right);
}

static inline void expect_same_results(const char *a, const char *b)
{
    static const char *const times[] = {"seconds", "peak_memory_bytes", "threads"};
    json_t *left = NULL, *right = NULL;
    glot_error err = {0};
    char *x = glot_path_join(a, "results.json"), *y = glot_path_join(b, "results.json");
    OK(glot_json_load_file(&left, x, &err));
    OK(glot_json_load_file(&right, y, &err));
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        json_object_del(left, times[i]);
        json_object_del(right, times[i]);
    }
    if (!json_equal(left, right))
        fail_msg("results differ:\n%s\n%s", json_dumps(left, 0), json_dumps(right, 0));
    json_decref(left);
    json_decref(right);
    glot_free(x);
    glot_free(y);
}

/* Moments and weights of the last step of a stage. */
static inline void expect_same_checkpoint(const char *a, const char *b, const char *step)
{
    static const char *const names[] = {"trained.safetensors", "moments.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        char x[512], y[512];
        snprintf(x, sizeof x, "%s/checkpoints/%s/%s", a, step, names[i]);
        snprintf(y, sizeof y, "%s/checkpoints/%s/%s", b, step, names[i]);
        expect_same_file(x, y);
    }
}

static inline void expect_same_runs(const char *expected, const char *name)
{
    char a[256], b[256], x[300], y[300];
    snprintf(a, sizeof a, "%s", in_root(expected));
    snprintf(b, sizeof b, "%s", in_root(name));
    snprintf(x, sizeof x, "%s/model", a);
    snprintf(y, sizeof y, "%s/model", b);
    expect_same_folder(x, y);
    expect_same_metrics(a, b);
    expect_same_results(a, b);
    expect_same_checkpoint(a, b, "000008");
    expect_same_checkpoint(a, b, "000013");
}

static inline void expect_same_run(const char *name)
{
    expect_same_runs("whole", name);
}

static inline void forget(const char *name)
{
    glot_error err = {0};
    OK(glot_dir_remove(in_root(name), &err));
}

/* A copy of a model folder, below root. */
static inline void copy_model(const char *to, const char *from)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors"};
    glot_error err = {0};
    char a[300], b[300];
    OK(glot_dir_make(in_root(to), &err));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(a, sizeof a, "%s/%s", in_root(to), files[i]);
        snprintf(b, sizeof b, "%s/%s", in_root(from), files[i]);
        OK(glot_file_copy(a, b, &err));
    }
}

#endif
