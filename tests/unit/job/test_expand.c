/* test_expand.c: the whole job on a tiny model: what it leaves behind, and that whatever stops it (a signal,
 * kill -9, a full disk, a damaged checkpoint) the next start ends with the same bits. Every run is a process
 * of its own: a killed one cannot be in ours. */
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

static const char *in_root(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s/%s", root, name);
    return path;
}

/* Documents of made-up words over an alphabet of the language's own. */
static void make_text(const char *name, const char *letters, int n_documents, uint64_t seed)
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

static void make_recipe(void)
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
        "exact: {mode: tokens, keep: 0.9}\neval: {max_tokens: 150}\nthreads: 1\n";
    OK(glot_file_write(in_root("recipe.yaml"), text, sizeof text - 1, &err));
}

static int make_all(void **state)
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

static int remove_all(void **state)
{
    (void)state;
    return glot_dir_remove(root, NULL) == GLOT_OK ? 0 : -1;
}

/* ---- one process: a run ---- */

typedef struct run_options {
    const char *output;      /* below root */
    const char *settings[4]; /* further ones, NULL-terminated */
    int cancel_phase;        /* glot_phase + 1; 0: no cancelling */
    int64_t cancel_step;
    const char *cancel_at_begin; /* of a step of the job; NULL: none */
    uint64_t kill_at;            /* the n-th write, fsync or rename kills; 0: none */
    uint64_t full_at;            /* ... finds the disk full */
    bool is_fresh;
    glot_recipe_job job;
} run_options;

typedef struct watcher {
    const run_options *options;
    glot_cancel cancel;
} watcher;

static void on_step(void *user, const glot_step_report *report)
{
    watcher *w = user;
    if ((int)report->phase + 1 == w->options->cancel_phase && report->step == w->options->cancel_step)
        w->cancel.requested = 1;
}

static void on_begin(void *user, const char *step, const char *what)
{
    watcher *w = user;
    (void)what;
    if (w->options->cancel_at_begin && strcmp(step, w->options->cancel_at_begin) == 0)
        w->cancel.requested = 1;
}

static FILE *log_file;
static void log_line(void *user, glot_log_level level, const char *message)
{
    (void)user;
    if (level == GLOT_LOG_WARNING)
        fprintf(log_file, "warning: %s\n", message);
}

/* What the child does; its exit code is the status. Messages go to the file "log", the number of file calls
 * to "calls". */
static int run_here(const run_options *o)
{
    glot_error err = {0};
    glot_recipe *recipe = NULL;
    watcher w = {.options = o};
    glot_job_view view = {.user = &w, .on_step = on_step, .on_begin = on_begin};
    glot_job_options options = {.job = o->job, .is_fresh = o->is_fresh, .cancel = &w.cancel, .view = &view};
    char output[128];
    const char *settings[6] = {output};
    size_t n = 1;
    snprintf(output, sizeof output, "output=%s", o->output);
    while (n < 5 && o->settings[n - 1]) {
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
    FILE *file = fopen(in_root("calls"), "w");
    fprintf(file, "%llu", (unsigned long long)calls);
    fclose(file);
    return (int)status;
}

enum { KILLED = 1000 };

/* Runs in a child; gives its status, or KILLED. after_ms: SIGKILL comes after so many milliseconds (0:
 * never). */
static int run_in_child(const run_options *o, int after_ms)
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

static char *read_all(const char *path)
{
    char *text = NULL;
    size_t size;
    glot_error err = {0};
    OK(glot_file_read(&text, &size, path, 1 << 24, &err));
    return text;
}

static void expect_status(const run_options *o, glot_status expected)
{
    int status = run_in_child(o, 0);
    if (status != (int)expected) {
        char *text = read_all(in_root("log"));
        fail_msg("status %d, expected %d: %s", status, (int)expected, text);
    }
}

static void expect_log(const char *part)
{
    char *text = read_all(in_root("log"));
    if (!strstr(text, part))
        fail_msg("log is: %s\nexpected in it: %s", text, part);
    glot_free(text);
}

/* ---- comparing runs ---- */

static void expect_same_file(const char *a, const char *b)
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

static void expect_same_folder(const char *a, const char *b)
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
static void expect_same_metrics(const char *a, const char *b)
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

static void expect_same_results(const char *a, const char *b)
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
static void expect_same_checkpoint(const char *a, const char *b, const char *step)
{
    static const char *const names[] = {"trained.safetensors", "moments.safetensors"};
    for (size_t i = 0; i < 2; i++) {
        char x[512], y[512];
        snprintf(x, sizeof x, "%s/checkpoints/%s/%s", a, step, names[i]);
        snprintf(y, sizeof y, "%s/checkpoints/%s/%s", b, step, names[i]);
        expect_same_file(x, y);
    }
}

static void expect_same_runs(const char *expected, const char *name)
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

static void expect_same_run(const char *name)
{
    expect_same_runs("whole", name);
}

static void forget(const char *name)
{
    glot_error err = {0};
    OK(glot_dir_remove(in_root(name), &err));
}

/* ---- tests ---- */

static uint64_t whole_calls; /* writes, fsyncs and renames of an unbroken run */
static double whole_ms;      /* how long it takes */

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

/* What results.json says of the exact path; bits[before, after_train, after_review][en, el, tr]. */
static void expect_exact(const json_t *results, double bits[3][3])
{
    static const char *const languages[] = {"en", "el", "tr"};
    const json_t *exact = json_object_get(results, "exact"), *routing = json_object_get(results, "routing");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(exact, "held_out"), "documents")), 15);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(exact, "held_out"), "stay")), 15);
    for (size_t l = 0; l < 3; l++) {
        const json_t *entry = json_object_get(json_object_get(exact, "languages"), languages[l]);
        const json_t *scores = json_object_get(entry, "bits_per_byte"), *share = json_object_get(entry, "token_share");
        bool is_old = l == 0;
        assert_string_equal(json_string_value(json_object_get(entry, "group")), is_old ? "old" : "new");
        assert_true(json_number_value(json_object_get(entry, "document_share")) == (is_old ? 1.0 : 0.0));
        assert_true(is_old ? json_number_value(share) == 1.0 : json_number_value(share) < 0.2);
        assert_true(json_is_null(json_object_get(entry, "leaves_after")) == is_old);
        assert_true(json_number_value(json_object_get(scores, "base")) == bits[0][l]);
        assert_true(json_number_value(json_object_get(scores, "on")) == bits[2][l]);
        assert_true(json_number_value(json_object_get(scores, "off")) > 0.0);
        assert_true(json_equal(share, json_object_get(json_object_get(routing, languages[l]), "exact_share")));
    }
}

/* The run that all others must equal, and what is in it. */
static void test_whole(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *lines = NULL, *results = NULL;
    run_options o = {.output = "whole"};
    double began = now_ms();
    expect_status(&o, GLOT_OK);
    whole_ms = now_ms() - began;
    char *calls = read_all(in_root("calls"));
    whole_calls = strtoull(calls, NULL, 10);
    glot_free(calls);
    assert_true(whole_calls > 100);

    OK(glot_run_dir_read_metrics(&lines, in_root("whole"), &err));
    /* before; 8 steps with an evaluation after 3 and 6; after_train; 5 steps with one after 5; after_review
     */
    static const char *const phases[] = {"eval",   "train",  "train",  "train", "eval", "train",  "train",
                                         "train",  "eval",   "train",  "train", "eval", "review", "review",
                                         "review", "review", "review", "eval",  "eval"};
    assert_int_equal(json_array_size(lines), sizeof phases / sizeof phases[0]);
    for (size_t i = 0; i < json_array_size(lines); i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(lines, i), "phase")), phases[i]);
    json_decref(lines);

    OK(glot_json_load_file(&results, in_root("whole/results.json"), &err));
    static const char *const whens[] = {"before", "after_train", "after_review"}, *const languages[] = {
                                                                                      "en", "el", "tr"};
    double bits[3][3];
    for (size_t w = 0; w < 3; w++)
        for (size_t l = 0; l < 3; l++) {
            const json_t *text = json_object_get(json_object_get(results, whens[w]), "text");
            bits[w][l] =
                json_real_value(json_object_get(json_object_get(text, languages[l]), "bits_per_byte"));
            assert_true(bits[w][l] > 0.0);
        }
    assert_true(bits[1][1] < bits[0][1] && bits[1][2] < bits[0][2]); /* the new languages were learned */
    assert_true(bits[1][0] != bits[0][0] && bits[2][0] == bits[0][0]); /* the old one left the exact path never */
    expect_exact(results, bits);
    const json_t *frozen = json_object_get(results, "frozen_sha256");
    assert_int_equal(strlen(json_string_value(json_object_get(frozen, "before"))), 64);
    assert_string_equal(json_string_value(json_object_get(frozen, "before")),
                        json_string_value(json_object_get(frozen, "after")));
    json_t *experts = json_pack("[i, i, i]", 3, 1, 2);
    assert_true(json_equal(json_object_get(results, "experts"), experts));
    json_decref(experts);
    json_decref(results);
    static const char *const files[] = {"whole/report.html",          "whole/recipe.yaml",
                                        "whole/state.json",           "whole/model/config.json",
                                        "whole/model/tokenizer.json", "whole/model/model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_true(glot_path_exists(in_root(files[i])));
    /* once more: nothing to do, nothing done */
    expect_status(&o, GLOT_OK);
    expect_same_run("whole");
}

/* The model that is left is the base with experts: expert 0 and all else bit for bit, groups named. */
static void test_model(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *base = NULL, *m = NULL;
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    OK(glot_model_open(&base, be, in_root("base"), &err));
    OK(glot_model_open(&m, be, in_root("whole/model"), &err));
    assert_string_equal(m->config.group_languages[0], "en");
    assert_string_equal(m->config.group_languages[1], "el,tr");
    for (int l = 0; l < 3; l++) {
        size_t n = glot_tensor_bytes(&base->layers[l].up_proj[0]->weight);
        char *a = malloc(n), *b = malloc(n);
        be->download(be, a, &base->layers[l].up_proj[0]->weight);
        be->download(be, b, &m->layers[l].up_proj[0]->weight);
        assert_memory_equal(a, b, n);
        free(a);
        free(b);
    }
    glot_model_close(base);
    glot_model_close(m);
    glot_backend_close(be);
}

/* A signal at every kind of moment. */
static void test_cancel(void **state)
{
    (void)state;
    const run_options rows[] = {
        {.output = "c", .cancel_phase = 1, .cancel_step = 1},
        {.output = "c", .cancel_phase = 1, .cancel_step = 3}, /* before an evaluation */
        {.output = "c", .cancel_phase = 1, .cancel_step = 6},
        {.output = "c", .cancel_phase = 1, .cancel_step = 8},
        {.output = "c", .cancel_phase = 2, .cancel_step = 1},
        {.output = "c", .cancel_phase = 2, .cancel_step = 5},
        {.output = "c", .cancel_at_begin = "text"},
        {.output = "c", .cancel_at_begin = "before"},
        {.output = "c", .cancel_at_begin = "after_train"},
        {.output = "c", .cancel_at_begin = "after_review"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = run_in_child(&rows[i], 0);
        if (status != GLOT_CANCELLED)
            fail_msg("row %zu ended with status %d, expected to be stopped", i, status);
        expect_status(&(run_options){.output = "c"}, GLOT_OK);
        expect_same_run("c");
        forget("c");
    }
    /* one directory, stopped again and again */
    for (size_t i = 0; i < 6; i++)
        expect_status(&rows[i], GLOT_CANCELLED);
    expect_status(&(run_options){.output = "c"}, GLOT_OK);
    expect_same_run("c");
    forget("c");
}

/* kill -9 at the n-th write, fsync or rename, for random n, until the run gets through. */
static void test_killed(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(99, 1);
    int n_kills = 0, n_runs = 0;
    while (n_kills < 24) {
        run_options o = {.output = "k"};
        for (int status = KILLED; status == KILLED;) {
            o.kill_at = 1 + glot_rng_below(&rng, (uint32_t)whole_calls / 2);
            status = run_in_child(&o, 0);
            if (status != KILLED && status != GLOT_OK)
                fail_msg("after %d kills: status %d", n_kills, status);
            n_kills += status == KILLED;
        }
        expect_same_run("k");
        forget("k");
        n_runs++;
    }
    assert_true(n_runs >= 2);
}

/* kill -9 from outside, 20 times, anywhere within the time that a whole run takes. */
static void test_killed_at_any_time(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(98, 1);
    for (int n_kills = 0; n_kills < 20;) {
        run_options o = {.output = "k"};
        int status = run_in_child(&o, 1 + (int)glot_rng_below(&rng, (uint32_t)whole_ms));
        assert_true(status == KILLED || status == GLOT_OK);
        n_kills += status == KILLED;
        if (status == GLOT_OK) {
            expect_same_run("k");
            forget("k");
        }
    }
    expect_status(&(run_options){.output = "k"}, GLOT_OK);
    expect_same_run("k");
    forget("k");
}

/* A full disk wherever it comes is said, and nothing of the run is lost. */
static void test_disk_full(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(5, 2);
    for (int i = 0; i < 10; i++) {
        run_options o = {.output = "f", .full_at = 1 + glot_rng_below(&rng, (uint32_t)whole_calls - 2)};
        expect_status(&o, GLOT_NO_SPACE);
        expect_status(&(run_options){.output = "f"}, GLOT_OK);
        expect_same_run("f");
        forget("f");
    }
}

static void damage_at(const char *name, long offset, int whence)
{
    FILE *file = fopen(in_root(name), "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, whence), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, offset, whence), 0);
    fputc(byte ^ 1, file);
    fclose(file);
}

static void damage(const char *name)
{
    damage_at(name, -3, SEEK_END);
}

/* A damaged newest checkpoint is named and the one before it used; stage 1's last one in the middle of the
 * review, too. */
static void test_damaged(void **state)
{
    (void)state;
    const struct {
        int phase;
        int64_t step;
        const char *file, *warning;
    } rows[] = {
        {1, 5, "d/checkpoints/000005/moments.safetensors", "warning: checkpoint 5 cannot be used"},
        {1, 1, "d/checkpoints/000001/trained.safetensors", "warning: checkpoint 1 cannot be used"},
        {2, 3, "d/checkpoints/000011/state.json", "warning: checkpoint 11 cannot be used"},
        {2, 3, "d/checkpoints/000008/trained.safetensors", "warning: checkpoint 8 cannot be used"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_status(
            &(run_options){.output = "d", .cancel_phase = rows[i].phase, .cancel_step = rows[i].step},
            GLOT_CANCELLED);
        damage(rows[i].file);
        expect_status(&(run_options){.output = "d"}, GLOT_OK);
        expect_log(rows[i].warning);
        expect_same_run("d");
        forget("d");
    }
}

static void test_changed_recipe(void **state)
{
    (void)state;
    const run_options stopped = {.output = "r", .cancel_phase = 1, .cancel_step = 4};
    expect_status(&stopped, GLOT_CANCELLED);
    expect_status(&(run_options){.output = "r", .settings = {"train.lr=0.5"}}, GLOT_BAD_VALUE);
    expect_log("key 'train.lr' was 0.01 when the run in");
    expect_status(&(run_options){.output = "r", .settings = {"languages.el.weight=3"}}, GLOT_BAD_VALUE);
    expect_log("key 'languages.el.weight'");
    /* what may change; the result is the same */
    expect_status(
        &(run_options){.output = "r", .settings = {"train.keep=5", "train.checkpoint_every=1h", "threads=2"}},
        GLOT_OK);
    expect_same_run("r");
    forget("r");
}

/* Tokens that grow before their stage is finished; after it they must not. */
static void test_growing_tokens(void **state)
{
    (void)state;
    const char *short_run = "train.tokens=288", *long_run = "train.tokens=432"; /* 4 and 6 steps */
    expect_status(&(run_options){.output = "t", .settings = {short_run}, .cancel_phase = 1, .cancel_step = 3},
                  GLOT_CANCELLED);
    expect_status(&(run_options){.output = "t", .settings = {long_run}, .cancel_phase = 2, .cancel_step = 1},
                  GLOT_CANCELLED);
    expect_log("warning: train.tokens grows from 288 to 432");
    expect_status(&(run_options){.output = "t", .settings = {"train.tokens=500"}}, GLOT_BAD_VALUE);
    expect_log("but that stage is finished");
    expect_status(&(run_options){.output = "t", .settings = {long_run}}, GLOT_OK);
    forget("t");
}

/* Other scores than the run began with: all of them are taken again, so that they can be compared. */
static void test_changed_eval(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *results = NULL;
    expect_status(&(run_options){.output = "e", .cancel_phase = 2, .cancel_step = 2}, GLOT_CANCELLED);
    expect_status(&(run_options){.output = "e", .settings = {"eval.max_tokens=60"}}, GLOT_OK);
    OK(glot_json_load_file(&results, in_root("e/results.json"), &err));
    json_int_t tokens[3];
    static const char *const whens[] = {"before", "after_train", "after_review"};
    for (size_t i = 0; i < 3; i++)
        tokens[i] = json_integer_value(json_object_get(
            json_object_get(json_object_get(json_object_get(results, whens[i]), "text"), "el"), "tokens"));
    json_decref(results);
    assert_true(tokens[0] > 0 && tokens[0] == tokens[1] && tokens[1] == tokens[2] && tokens[0] < 150);
    expect_same_folder(in_root("whole/model"), in_root("e/model"));
    forget("e");
}

static void test_fresh(void **state)
{
    (void)state;
    glot_error err = {0};
    expect_status(&(run_options){.output = "s", .cancel_phase = 1, .cancel_step = 4}, GLOT_CANCELLED);
    expect_status(
        &(run_options){
            .output = "s", .settings = {"seed=8"}, .is_fresh = true, .cancel_phase = 1, .cancel_step = 2},
        GLOT_CANCELLED);
    expect_status(&(run_options){.output = "s", .is_fresh = true}, GLOT_OK);
    expect_same_run("s");
    OK(glot_file_write(in_root("s/notes.txt"), "x", 1, &err));
    expect_status(&(run_options){.output = "s", .is_fresh = true}, GLOT_EXISTS);
    expect_log("notes.txt' was not written by glot");
    expect_same_run("s");
    forget("s");
}

/* What does not go together with the base is refused before anything is written. */
static void test_refused(void **state)
{
    (void)state;
    const struct {
        const char *settings[4];
        glot_status status;
        const char *sentence;
    } rows[] = {
        {{"train.length=65"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'train.length' is 65, but the context of the base is 64"},
        {{"review.length=65"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'review.length' is 65, but the context of the base is 64"},
        {{"experts.list=[2, 2]"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'experts.list' has 2 numbers, but the base has 3 layers"},
        {{"base=en.txt"}, GLOT_BAD_FORMAT, "en.txt' is neither a model directory nor a GGUF file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_options o = {.output = "n"};
        memcpy(o.settings, rows[i].settings, sizeof o.settings);
        expect_status(&o, rows[i].status);
        expect_log(rows[i].sentence);
        assert_false(glot_path_exists(in_root("n")));
    }
}

/* A weight that is no number is named before anything is written. */
static void test_nan_in_base(void **state)
{
    (void)state;
    glot_error err = {0};
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    OK(glot_dir_make(in_root("nan"), &err));
    for (size_t i = 0; i < 3; i++) {
        char to[64], from[64];
        snprintf(to, sizeof to, "nan/%s", names[i]);
        snprintf(from, sizeof from, "base/%s", names[i]);
        OK(glot_file_copy(in_root(to), in_root(from), &err));
    }
    FILE *file = fopen(in_root("nan/model.safetensors"), "r+b");
    const float value = NAN;
    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)sizeof value, SEEK_END), 0);
    assert_int_equal(fwrite(&value, sizeof value, 1, file), 1);
    fclose(file);
    expect_status(&(run_options){.output = "n", .settings = {"base=nan"}}, GLOT_BAD_VALUE);
    expect_log("nan'");
    expect_log("tensor '");
    assert_false(glot_path_exists(in_root("n")));
    forget("nan");
}

/* Full fine-tuning of the dense model: no experts, no routers, no review; the result is a plain model. */
static void test_dense(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *config = NULL, *results = NULL;
    const run_options o = {
        .output = "full",
        .settings = {"experts={per_layer: 1}", "train.trainable=all", "review={tokens: 0}", "exact={mode: none}"}};
    expect_status(&o, GLOT_OK);
    OK(glot_json_load_file(&config, in_root("full/model/config.json"), &err));
    assert_null(json_object_get(config, "glot"));
    assert_string_equal(json_string_value(json_object_get(config, "model_type")), "llama");
    json_decref(config);
    OK(glot_json_load_file(&results, in_root("full/results.json"), &err));
    assert_null(json_object_get(results, "after_review"));
    assert_non_null(json_object_get(results, "after_train"));
    json_decref(results);
    forget("full");
}

/* Experts by similarity: it is measured once, kept over kills wherever they come, and told in the results. */
static void test_layerwise(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *results = NULL, *kept = NULL;
    glot_rng rng = glot_rng_seed(5, 1);
    run_options o = {.output = "layers", .settings = {"experts={allocation: layerwise, new_total: 4, similarity_tokens: 200}"}};
    expect_status(&o, GLOT_OK);
    OK(glot_json_load_file(&results, in_root("layers/results.json"), &err));
    json_int_t total = 0;
    for (size_t l = 0; l < TINY_LAYERS; l++)
        total += json_integer_value(json_array_get(json_object_get(results, "experts"), l));
    assert_int_equal(total, TINY_LAYERS + 4);
    kept = json_object_get(results, "similarity");
    assert_int_equal(json_array_size(json_object_get(kept, "layers")), TINY_LAYERS);
    assert_string_equal(json_string_value(json_array_get(json_object_get(kept, "old"), 0)), "en");
    json_decref(results);

    o.output = "k";
    o.cancel_at_begin = "similarity";
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_at_begin = NULL;
    for (int status = KILLED; status == KILLED;) {
        o.kill_at = 1 + glot_rng_below(&rng, 60);
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_runs("layers", "k");
    forget("k");
    forget("layers");

    o = (run_options){.output = "k", .settings = {"experts={allocation: layerwise, delta: 0.5}"}};
    expect_status(&o, GLOT_BAD_VALUE);
    expect_log("gives no layer a new expert");
    forget("k");
}

/* Layers that a finished run's model has a language gate in. */
static json_t *gated_layers(const char *output)
{
    glot_error err = {0};
    json_t *config = NULL;
    char path[64];
    snprintf(path, sizeof path, "%s/model/config.json", output);
    OK(glot_json_load_file(&config, in_root(path), &err));
    json_t *layers = json_incref(json_object_get(json_object_get(json_object_get(config, "glot"), "gate"), "layers"));
    json_decref(config);
    return layers;
}

/* Every language has a share of right decisions over all its tokens. */
static void expect_gate_accuracy(const char *output)
{
    glot_error err = {0};
    json_t *results = NULL, *entry;
    const char *language;
    char path[64];
    snprintf(path, sizeof path, "%s/results.json", output);
    OK(glot_json_load_file(&results, in_root(path), &err));
    assert_true(json_object_size(json_object_get(results, "routing")) >= 2);
    json_object_foreach(json_object_get(results, "routing"), language, entry) {
        const json_t *accuracy = json_object_get(entry, "gate_accuracy");
        double all = json_number_value(json_object_get(accuracy, "all")); /* 0 too where it is missing */
        assert_true(json_is_number(json_object_get(accuracy, "all")) && all >= 0.0 && all <= 1.0);
        assert_int_equal(json_object_size(json_object_get(accuracy, "after")), 4);
    }
    json_decref(results);
    char *html = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/report.html", output);
    OK(glot_file_read(&html, &size, in_root(path), 1 << 24, &err));
    assert_non_null(strstr(html, "<h2>Language gates</h2>"));
    glot_free(html);
}

/* Language gates in the most similar layers, or in those listed; trained in the review alone, through kills and stops. */
static void test_gated(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(6, 1);
    run_options o = {.output = "gates", .settings = {"experts={allocation: list, list: [2, 1, 3]}", "gate={layers: 2, coef: 0.5}"}};
    expect_status(&o, GLOT_OK);
    json_t *layers = gated_layers("gates");
    assert_int_equal(json_array_size(layers), 2); /* layer 1 has no router */
    assert_int_equal(json_integer_value(json_array_get(layers, 1)), 2);
    json_decref(layers);
    expect_gate_accuracy("gates");
    o.output = "k";
    o.cancel_phase = 2;
    o.cancel_step = 3;
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_step = 0;
    for (int status = KILLED; status == KILLED;) {
        o.kill_at = 1 + glot_rng_below(&rng, 60);
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_runs("gates", "k");
    forget("k");
    forget("gates");

    o = (run_options){.output = "k", .settings = {"experts={allocation: list, list: [2, 1, 3]}", "gate={layers: [1]}"}};
    expect_status(&o, GLOT_BAD_VALUE);
    expect_log("gate.layers");
    expect_log("layer 1 is to have a language gate, but has no router");
    assert_false(glot_path_exists(in_root("k")));
    o.settings[0] = "experts={allocation: layerwise, new_total: 3}";
    o.settings[1] = "gate={layers: [3]}";
    expect_status(&o, GLOT_BAD_VALUE);
    expect_log("names layer 3, but the base has layers 0 to 2");
    assert_false(glot_path_exists(in_root("k")));
    o.settings[0] = "experts={allocation: list, list: [2, 1, 3]}";
    o.settings[1] = "gate={layers: [2], form: sequence_sum}";
    expect_status(&o, GLOT_OK);
    layers = gated_layers("k");
    assert_int_equal(json_array_size(layers), 1);
    json_decref(layers);
    forget("k");
}

/* Random weights need no more of the base than its configuration and tokenizer. */
static void test_random_base(void **state)
{
    (void)state;
    glot_error err = {0};
    OK(glot_dir_make(in_root("bare"), &err));
    OK(glot_file_copy(in_root("bare/config.json"), in_root("base/config.json"), &err));
    OK(glot_file_copy(in_root("bare/tokenizer.json"), in_root("base/tokenizer.json"), &err));
    const run_options o = {.output = "random",
                           .settings = {"base=bare", "base_init=random", "train.trainable=all", "exact={mode: none}"}};
    expect_status(&o, GLOT_OK);
    forget("random");
    forget("bare");
}

/* ---- growing again ---- */

#define LANGUAGE(name, group) #name ": {group: " #group ", train: " #name ".txt, valid: " #name ".valid.txt}"
#define OLDER "en: {group: old, train: en.txt, valid: en.valid.txt}, " LANGUAGE(el, old) ", " LANGUAGE(tr, old)
#define SECOND "languages={" OLDER ", " LANGUAGE(bn, new) "}"
#define THIRD "languages={" OLDER ", " LANGUAGE(bn, old) ", " LANGUAGE(hi, new) "}"

static const run_options second_run = {.output = "two",
                                       .settings = {"base=whole/model", SECOND,
                                                    "experts={allocation: list, list: [4, 2, 2], init: best}"}};
static const run_options third_run = {
    .output = "three", .settings = {"base=two/model", THIRD, "experts={allocation: list, list: [5, 2, 4], init: best}"}};

static const glot_param *find_param(const glot_model *m, const glot_param *like)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (m->params[i]->role == like->role && m->params[i]->layer == like->layer && m->params[i]->expert == like->expert)
            return m->params[i];
    return NULL;
}

/* All that `before` has but its routers (and the exact path's evidence, which is counted anew) is in `after`, bit for bit; and the hashes that config.json records hold. */
static void expect_kept(const char *before, const char *after, const char *const *groups, int n_groups)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *old = NULL, *m = NULL;
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    OK(glot_model_open(&old, be, in_root(before), &err));
    OK(glot_model_open(&m, be, in_root(after), &err));
    assert_int_equal(m->config.n_groups, n_groups);
    for (int g = 0; g < n_groups; g++)
        assert_string_equal(m->config.group_languages[g], groups[g]);
    assert_string_equal(m->config.base_sha256, old->config.base_sha256);
    for (int g = 1; g < n_groups - 1; g++)
        assert_string_equal(m->config.added_sha256[g], old->config.added_sha256[g]);
    assert_int_equal(strlen(m->config.added_sha256[n_groups - 1]), 64);
    OK(glot_model_check_groups(m, &err));
    for (size_t i = 0; i < old->n_params; i++) {
        const glot_param *a = old->params[i], *b = find_param(m, a);
        if (a->role == GLOT_ROLE_ROUTER || a->role == GLOT_ROLE_EXACT_EVIDENCE)
            continue;
        assert_int_equal(a->weight.dtype, b->weight.dtype);
        if (memcmp(a->weight.addr, b->weight.addr, glot_tensor_bytes(&a->weight)) != 0)
            fail_msg("%s is not what it was in %s", b->name, before);
    }
    glot_model_close(old);
    glot_model_close(m);
    glot_backend_close(be);
}

/* Old, el tr, bn, hi: each generation trained and reviewed, each leaving what was there alone. */
static void test_generations(void **state)
{
    static const char *const groups[] = {"en", "el,tr", "bn", "hi"};
    static const char *const languages[] = {"en", "el", "tr", "bn", "hi"};
    glot_error err = {0};
    json_t *results = NULL;
    (void)state;
    expect_status(&second_run, GLOT_OK);
    expect_kept("whole/model", "two/model", groups, 3);
    expect_status(&third_run, GLOT_OK);
    expect_kept("two/model", "three/model", groups, 4);
    OK(glot_json_load_file(&results, in_root("three/results.json"), &err));
    json_t *experts = json_pack("[i, i, i]", 5, 2, 4);
    assert_true(json_equal(json_object_get(results, "experts"), experts));
    for (size_t i = 0; i < 5; i++) {
        const json_t *routing = json_object_get(json_object_get(results, "routing"), languages[i]);
        assert_int_equal(json_array_size(json_array_get(json_object_get(routing, "expert_share"), 0)), 5);
        assert_non_null(json_object_get(json_object_get(json_object_get(results, "before"), "text"), languages[i]));
    }
    json_decref(experts);
    json_decref(results);
}

/* The third generation, stopped and killed in every way: the same bits. */
static void test_generation_killed(void **state)
{
    glot_rng rng = glot_rng_seed(3, 4);
    run_options o = third_run;
    (void)state;
    o.output = "g";
    o.cancel_phase = 1;
    o.cancel_step = 3;
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_phase = 2;
    o.cancel_step = 2;
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_phase = 0;
    expect_status(&o, GLOT_OK);
    expect_same_runs("three", "g");
    forget("g");
    for (int status = KILLED, n_kills = 0; status == KILLED; n_kills++) {
        o.kill_at = n_kills < 8 ? 1 + glot_rng_below(&rng, (uint32_t)whole_calls / 4) : 0;
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_runs("three", "g");
    forget("g");
}

/* The released settings of a second group: another router, another review, but what is frozen stays. */
static void test_released_growth(void **state)
{
    static const char *const groups[] = {"en", "el,tr", "bn"};
    run_options o = second_run;
    (void)state;
    o.output = "released";
    o.settings[3] = "grow={router_init: fresh, lpr_groups: original}";
    expect_status(&o, GLOT_OK);
    expect_kept("whole/model", "released/model", groups, 3);
    forget("released");
}

/* A copy of a model folder, below root. */
static void copy_model(const char *to, const char *from)
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

/* A model that was upcycled and nothing else. */
static void make_untrained(const char *name)
{
    static const int32_t layout[] = {2, 2, 2};
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *m = NULL;
    glot_upcycle_settings settings = {.top_k = 2, .seed = 1};
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    OK(glot_model_open(&m, be, in_root("base"), &err));
    OK(glot_upcycle(m, layout, &settings, &err));
    OK(glot_model_save(m, in_root(name), NULL, NULL, 0, &err));
    glot_model_close(m);
    glot_backend_close(be);
}

static void test_growth_refused(void **state)
{
    const char *base = "base=whole/model", *layout = "experts={per_layer: 4}";
    const struct {
        const char *settings[4];
        const char *sentence;
    } rows[] = {
        {{base, layout}, "language 'el' is new, but it already belongs to language group 1 of"},
        {{base, layout, "languages={" OLDER ", bn: {group: old, train: bn.txt, valid: bn.valid.txt}, " LANGUAGE(hi, new) "}"},
         "language 'bn' is old, but it belongs to none of the language groups 0 to 1 of"},
        {{base, SECOND, "experts={top_k: 2}"}, "key 'experts.per_layer' is missing: the base is an expanded model"},
        {{base, SECOND, "experts={per_layer: 2}"}, "key 'experts.per_layer' does not fit the base: layer 0 has 3 experts"},
        {{base, SECOND, "experts={allocation: list, list: [3, 1, 2]}"}, "no layer would get a new expert"},
        {{base, SECOND, "experts={per_layer: 4, top_k: 3}"}, "key 'experts.top_k' is 3, but the tokens of the expanded base use 2"},
        {{base, SECOND, layout, "review.lpr_form=released"}, "it goes with grow.lpr_groups: original"},
        {{"base=untrained", SECOND, layout}, "language group 0 has no languages: it must be reviewed"},
        {{"base=changed", SECOND, layout}, "the weights of language group 0 have SHA-256 "},
    };
    glot_error err = {0};
    (void)state;
    make_untrained("untrained");
    OK(glot_file_copy(in_root("untrained/tokenizer.json"), in_root("base/tokenizer.json"), &err));
    copy_model("changed", "whole/model");
    damage_at("changed/model.safetensors", 16000, SEEK_SET); /* the embedding: 24 kB behind a short header */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_options o = {.output = "n"};
        memcpy(o.settings, rows[i].settings, sizeof o.settings);
        if (run_in_child(&o, 0) != GLOT_BAD_VALUE)
            fail_msg("row %zu was not refused: %s", i, rows[i].sentence);
        expect_log(rows[i].sentence);
        assert_false(glot_path_exists(in_root("n")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_model),
        cmocka_unit_test(test_cancel),         cmocka_unit_test(test_killed),
        cmocka_unit_test(test_killed_at_any_time), cmocka_unit_test(test_nan_in_base),
        cmocka_unit_test(test_disk_full),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_changed_recipe), cmocka_unit_test(test_growing_tokens),
        cmocka_unit_test(test_changed_eval),   cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_layerwise),      cmocka_unit_test(test_gated),
        cmocka_unit_test(test_random_base),
        cmocka_unit_test(test_generations),    cmocka_unit_test(test_generation_killed),
        cmocka_unit_test(test_released_growth), cmocka_unit_test(test_growth_refused),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
