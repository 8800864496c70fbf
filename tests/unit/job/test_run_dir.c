/* test_run_dir.c: whose a run directory is, what --fresh deletes, states, metrics cut back to where a run
 * goes on, checkpoints. */
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "job/run_dir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != GLOT_OK)                                                                               \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, err.message);                                          \
    } while (0)

static char root[64], run[96];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/glot-run-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(run, sizeof run, "%s/deep/run", root);
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    return glot_dir_remove(root, NULL) == GLOT_OK ? 0 : -1;
}

static void put(const char *name, const char *text)
{
    char *path = glot_path_join(run, name), *folder = glot_path_dir(path);
    glot_error err = {0};
    OK(glot_dir_make(folder, &err));
    OK(glot_file_write(path, text, strlen(text), &err));
    glot_free(path);
    glot_free(folder);
}

static char *get(const char *name)
{
    char *path = glot_path_join(run, name), *text = NULL;
    size_t size;
    glot_error err = {0};
    OK(glot_file_read(&text, &size, path, 1 << 20, &err));
    glot_free(path);
    return text;
}

static bool is_there(const char *name)
{
    char *path = glot_path_join(run, name);
    bool result = glot_path_exists(path);
    glot_free(path);
    return result;
}

static glot_run_dir *open_run(void)
{
    glot_run_dir *d = NULL;
    glot_error err = {0};
    OK(glot_run_dir_open(&d, run, "expand", &err));
    return d;
}

static void expect_refused(const char *part)
{
    glot_run_dir *d = NULL;
    glot_error err = {0};
    assert_int_equal(glot_run_dir_open(&d, run, "expand", &err), GLOT_EXISTS);
    if (!strstr(err.message, part))
        fail_msg("got: %s\nexpected: %s", err.message, part);
}

static void test_begins_and_goes_on(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_run_dir *d = open_run();
    assert_false(glot_run_dir_is_done(d, "tokenize"));
    OK(glot_run_dir_put(d, "results", json_pack("{s:i}", "a", 5), &err));
    OK(glot_run_dir_set_done(d, "tokenize", &err));
    OK(glot_run_dir_set_done(d, "before", &err));
    OK(glot_run_dir_set_done(d, "before", &err));
    glot_run_dir_close(d);
    d = open_run();
    assert_true(glot_run_dir_is_done(d, "tokenize"));
    assert_true(glot_run_dir_is_done(d, "before"));
    assert_false(glot_run_dir_is_done(d, "train"));
    assert_int_equal(json_integer_value(json_object_get(glot_run_dir_get(d, "results"), "a")), 5);
    const char *const undone[] = {"before", "never"};
    OK(glot_run_dir_set_undone(d, undone, 2, &err));
    glot_run_dir_close(d);
    d = open_run();
    assert_true(glot_run_dir_is_done(d, "tokenize"));
    assert_false(glot_run_dir_is_done(d, "before"));
    glot_run_dir_close(d);
}

static void test_belongs_to_something_else(void **state)
{
    (void)state;
    put("thesis.tex", "x");
    expect_refused("belongs to something else: it holds 'thesis.tex' and is no run of glot");
    glot_error err = {0};
    assert_int_equal(glot_run_dir_clear(run, &err), GLOT_EXISTS);
    assert_true(is_there("thesis.tex"));
    put("state.json", "{\"format\": \"other\"}");
    expect_refused("format is 'other', expected 'glot run'");
    glot_run_kind kind;
    put("state.json", "not json");
    assert_int_equal(glot_run_dir_look(&kind, run, NULL, &err), GLOT_BAD_FORMAT);
}

static void test_file_in_the_way(void **state)
{
    (void)state;
    glot_error err = {0};
    char *folder = glot_path_dir(run);
    OK(glot_dir_make(folder, &err));
    OK(glot_file_write(run, "x", 1, &err));
    expect_refused("is a file, expected a run directory or nothing");
    glot_free(folder);
}

static void test_other_job(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_run_dir *d = open_run(), *other = NULL;
    glot_run_dir_close(d);
    assert_int_equal(glot_run_dir_open(&other, run, "train", &err), GLOT_EXISTS);
    assert_non_null(strstr(err.message, "belongs to a run of `glot expand`, expected one of `glot train`"));
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    glot_run_dir *d = open_run();
    glot_error err = {0};
    expect_refused("another process is working in");
    put("recipe.yaml", "x");
    assert_int_equal(glot_run_dir_clear(run, &err), GLOT_EXISTS);
    assert_non_null(strstr(err.message, "another process is working in"));
    assert_true(is_there("recipe.yaml") && is_there("state.json"));
    glot_run_dir_close(d);
    OK(glot_run_dir_clear(run, &err));
    glot_run_dir_close(open_run());
}

/* A stop before the first state.json was finished, or in the middle of any other write. */
static void test_leftovers(void **state)
{
    (void)state;
    put("state.json.tmp-123", "{");
    glot_run_dir_close(open_run());
    put("recipe.yaml.tmp-77", "x");
    put("checkpoints/000003.tmp-77/trained.safetensors.tmp-77", "x");
    put("checkpoints/000002/trained.safetensors", "x");
    put("model.tmp-9/config.json", "x");
    put("notes.tmp-x", "mine");
    glot_run_dir_close(open_run());
    assert_false(is_there("recipe.yaml.tmp-77"));
    assert_false(is_there("checkpoints/000003.tmp-77"));
    assert_false(is_there("model.tmp-9"));
    assert_true(is_there("checkpoints/000002/trained.safetensors"));
    assert_true(is_there("notes.tmp-x"));
}

static void fill_run(void)
{
    static const char *const files[] = {"recipe.yaml",
                                        "metrics.jsonl",
                                        "events.out.tfevents.1.glot",
                                        "results.json",
                                        "report.html",
                                        "tokens/train.tokens",
                                        "checkpoints/000012/trained.safetensors",
                                        "checkpoints/000012/moments.safetensors",
                                        "checkpoints/000012/state.json",
                                        "checkpoints/000012/manifest.json",
                                        "checkpoints/000013.tmp-5/trained.safetensors",
                                        "model/config.json",
                                        "model/model-00001-of-00002.safetensors",
                                        "model/tokenizer.json",
                                        "model/LICENSE.txt",
                                        "model.tmp-5/config.json.tmp-5"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        put(files[i], "x");
}

static void test_fresh(void **state)
{
    (void)state;
    glot_error err = {0};
    static const char *const foreign[] = {"notes.txt",
                                          "model/README.md",
                                          "checkpoints/best/state.json",
                                          "tokens/x.txt",
                                          "checkpoints/000012/x",
                                          "data/tokens/train.tokens",
                                          "model/sub/config.json"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        glot_run_dir_close(open_run());
        fill_run();
        put(foreign[i], "mine");
        assert_int_equal(glot_run_dir_clear(run, &err), GLOT_EXISTS);
        assert_non_null(strstr(err.message, "was not written by glot, so that nothing in"));
        assert_true(is_there("recipe.yaml") && is_there("checkpoints/000012/manifest.json") &&
                    is_there(foreign[i]));
        OK(glot_dir_remove(run, &err));
    }
    glot_run_dir_close(open_run());
    fill_run();
    OK(glot_run_dir_clear(run, &err));
    char **names = NULL;
    size_t n = 0;
    OK(glot_dir_list(&names, &n, run, &err));
    assert_int_equal(n, 0);
    glot_dir_list_free(names, n);
    OK(glot_run_dir_clear(run, &err)); /* nothing there: nothing to do */
    OK(glot_dir_remove(run, &err));
    OK(glot_run_dir_clear(run, &err));
}

/* ---- metrics ---- */

static void add(glot_run_dir *d, const char *phase, int step)
{
    glot_error err = {0};
    OK(glot_run_dir_add_metrics(d,
                                json_pack("{s:s, s:i, s:f, s:f}", "phase", phase, "step", step, "loss",
                                          0.1 * step, "time", 1000.0 + step),
                                &err));
}

static size_t event_bytes(void)
{
    char **names = NULL;
    size_t n = 0, found = 0, size = 0;
    glot_error err = {0};
    OK(glot_dir_list(&names, &n, run, &err));
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], "events.out.tfevents.", 20) == 0) {
            char *path = glot_path_join(run, names[i]), *text = NULL;
            OK(glot_file_read(&text, &size, path, 1 << 20, &err));
            glot_free(text);
            glot_free(path);
            found++;
        }
    glot_dir_list_free(names, n);
    assert_int_equal(found, 1);
    return size;
}

/* The run's event file; the caller frees. */
static char *read_events(size_t *size)
{
    char **names = NULL, *bytes = NULL;
    size_t n_names = 0;
    glot_error err = {0};
    OK(glot_dir_list(&names, &n_names, run, &err));
    for (size_t i = 0; i < n_names; i++)
        if (strncmp(names[i], "events.out.tfevents.", 20) == 0) {
            char *path = glot_path_join(run, names[i]);
            OK(glot_file_read(&bytes, size, path, 1 << 20, &err));
            glot_free(path);
        }
    glot_dir_list_free(names, n_names);
    return bytes;
}

/* Steps of the events in it, in order; how many. */
static size_t event_steps(int64_t *steps, size_t most)
{
    size_t size = 0, n = 0;
    char *bytes = read_events(&size);
    /* a record: length, CRC, 9 bytes of time, then key 0x10 and the step (here one byte) */
    for (size_t at = 0; at < size; at += 16 + (size_t)(uint8_t)bytes[at])
        if (bytes[at + 12 + 9] == 0x10) {
            assert_true(n < most);
            steps[n++] = bytes[at + 12 + 10];
        }
    glot_free(bytes);
    return n;
}

/* Scores are one curve in TensorBoard: those of the job, which name no step, and those of the review stand behind the steps before
 * them, when they are first written and when the file is made anew. */
static void test_event_steps(void **state)
{
    (void)state;
    static const int64_t expected[] = {0, 1, 2, 2, 1, 3};
    int64_t steps[16];
    glot_error err = {0};
    glot_run_dir *d = open_run();
    for (int is_again = 0; is_again < 2; is_again++) {
        OK(glot_run_dir_put_evaluation(d, "before", json_pack("{s:s, s:s}", "phase", "eval", "stage", "before"), &err));
        if (!is_again) {
            add(d, "train", 1);
            add(d, "train", 2);
            add(d, "eval", 2);
            add(d, "review", 1);
            add(d, "eval", 1);
        }
        assert_int_equal(event_steps(steps, 16), 6);
        assert_memory_equal(steps, expected, sizeof expected);
    }
    glot_run_dir_close(d);
}

/* Every score has its value and whole name, however many there are and however long they are called. */
static void test_many_scores(void **state)
{
    (void)state;
    char name[240], tag[256];
    glot_error err = {0};
    glot_run_dir *d = open_run();
    json_t *tasks = json_object();
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "%0200d", i);
        json_object_set_new(tasks, name, json_pack("{s:f}", "acc", 0.5));
    }
    OK(glot_run_dir_put_evaluation(d, "before", json_pack("{s:s, s:s, s:o}", "phase", "eval", "stage", "before", "tasks", tasks), &err));
    size_t size = 0;
    char *bytes = read_events(&size);
    for (int i = 0; i < 150; i++) {
        snprintf(tag, sizeof tag, "acc/%0200d", i);
        assert_non_null(memmem(bytes, size, tag, strlen(tag)));
    }
    glot_free(bytes);
    glot_run_dir_close(d);
}

static void test_metrics(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_run_dir *d = open_run();
    OK(glot_run_dir_open_metrics(d, 0, &err));
    add(d, "train", 1);
    add(d, "train", 2);
    add(d, "eval", 2);
    assert_int_equal(d->n_lines, 3);
    size_t three = event_bytes();
    add(d, "train", 3);
    size_t four = event_bytes();
    assert_true(four > three);
    OK(glot_run_dir_set_done(d, "x", &err));
    assert_int_equal(json_integer_value(glot_run_dir_get(d, "metrics_lines")), 4);
    glot_run_dir_close(d);

    /* goes on after line 3: line 4 and a half one behind it are gone, from both files */
    char *text = get("metrics.jsonl");
    glot_str torn = {0};
    glot_str_printf(&torn, "%s{\"phase\": \"tra", text);
    put("metrics.jsonl", torn.data);
    glot_str_release(&torn);
    glot_free(text);
    d = open_run();
    OK(glot_run_dir_open_metrics(d, 3, &err));
    assert_int_equal(d->n_lines, 3);
    assert_int_equal(event_bytes(), three);
    add(d, "train", 3);
    assert_int_equal(event_bytes(), four);
    glot_run_dir_close(d);
    text = get("metrics.jsonl");
    assert_string_equal(
        text, "{\"phase\": \"train\", \"step\": 1, \"loss\": 0.10000000000000001, \"time\": 1001.0}\n"
              "{\"phase\": \"train\", \"step\": 2, \"loss\": 0.20000000000000001, \"time\": 1002.0}\n"
              "{\"phase\": \"eval\", \"step\": 2, \"loss\": 0.20000000000000001, \"time\": 1002.0}\n"
              "{\"phase\": \"train\", \"step\": 3, \"loss\": 0.30000000000000004, \"time\": 1003.0}\n");
    glot_free(text);
    json_t *lines = NULL;
    OK(glot_run_dir_read_metrics(&lines, run, &err));
    assert_int_equal(json_array_size(lines), 4);
    json_decref(lines);
}

static int n_warnings;
static void count_warning(void *user, glot_log_level level, const char *message)
{
    (void)user;
    (void)message;
    n_warnings += level == GLOT_LOG_WARNING;
}

static void test_lost_and_damaged_metrics(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_log_set_sink(count_warning, NULL);
    n_warnings = 0;
    glot_run_dir *d = open_run();
    OK(glot_run_dir_open_metrics(d, 0, &err));
    add(d, "train", 1);
    OK(glot_run_dir_open_metrics(d, 5, &err));
    assert_int_equal(d->n_lines, 1);
    assert_int_equal(n_warnings, 1);
    put("metrics.jsonl", "{\"phase\": \"train\"}\nrubbish\n");
    assert_int_equal(glot_run_dir_open_metrics(d, 2, &err), GLOT_BAD_FORMAT);
    assert_non_null(strstr(err.message, "line 2 of the metrics: "));
    glot_run_dir_close(d);
    glot_log_set_sink(NULL, NULL);
}

/* ---- checkpoints ---- */

static void put_checkpoint_of_version(int64_t step, int version)
{
    static const char *const names[] = {"trained.safetensors", "moments.safetensors", "state.json"};
    glot_error err = {0};
    char name[96], hex[65];
    json_t *manifest = json_object();
    for (size_t i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, i == 2 ? "{\"format\": \"glot checkpoint\", \"version\": %d}" : "x", version);
        snprintf(name, sizeof name, "checkpoints/%06d/%s", (int)step, names[i]);
        put(name, text);
        char *path = glot_path_join(run, name);
        OK(glot_sha256_file(hex, path, &err));
        json_object_set_new(manifest, names[i],
                            json_pack("{s:i, s:s}", "bytes", (int)strlen(text), "sha256", hex));
        glot_free(path);
    }
    char *dump = glot_json_dump(manifest, 0);
    snprintf(name, sizeof name, "checkpoints/%06d/manifest.json", (int)step);
    put(name, dump);
    free(dump);
    json_decref(manifest);
}

static void put_checkpoint(int64_t step)
{
    put_checkpoint_of_version(step, 1);
}

static void expect_newest(const glot_run_dir *d, int64_t first, int64_t last, int64_t expected)
{
    int64_t step;
    json_t *state = NULL;
    glot_error err = {0};
    OK(glot_run_dir_newest(d, first, last, &step, &state, &err));
    assert_int_equal(step, expected);
    assert_int_equal(state != NULL, expected >= 0);
    json_decref(state);
}

static void test_checkpoints(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_run_dir *d = open_run();
    expect_newest(d, 0, 100, -1);
    for (int step = 5; step <= 25; step += 5)
        put_checkpoint(step);
    expect_newest(d, 0, 100, 25);
    expect_newest(d, 0, 22, 20);
    expect_newest(d, 26, 100, -1);

    glot_log_set_sink(count_warning, NULL);
    n_warnings = 0;
    put("checkpoints/000025/moments.safetensors", "y");
    char *path = glot_path_join(run, "checkpoints/000020/manifest.json");
    assert_int_equal(unlink(path), 0);
    glot_free(path);
    expect_newest(d, 0, 100, 15);
    assert_int_equal(n_warnings, 2);
    expect_newest(d, 0, 100, 15);
    assert_int_equal(n_warnings, 2);
    assert_false(is_there("checkpoints/000025") || is_there("checkpoints/000020"));
    glot_log_set_sink(NULL, NULL);

    put_checkpoint(1000000);
    OK(glot_run_dir_rotate(d, 11, 1, &err)); /* those up to 10 belong to another stage */
    assert_true(is_there("checkpoints/000005") && is_there("checkpoints/000010") &&
                is_there("checkpoints/1000000"));
    assert_false(is_there("checkpoints/000015"));
    OK(glot_run_dir_forget_after(d, 5, &err));
    expect_newest(d, 0, 2000000, 5);
    glot_run_dir_close(d);
}

/* A checkpoint of a later version of the program is no damage: it is refused, and stays. */
static void test_checkpoint_of_another_version(void **state)
{
    (void)state;
    glot_error err = {0};
    int64_t step;
    json_t *found = NULL;
    glot_run_dir *d = open_run();
    put_checkpoint(5);
    put_checkpoint_of_version(10, 2);
    assert_int_equal(glot_run_dir_newest(d, 0, 100, &step, &found, &err), GLOT_BAD_VERSION);
    assert_non_null(strstr(err.message, "checkpoints/000010/state.json': version is 2, this program reads 1"));
    assert_null(found);
    assert_true(is_there("checkpoints/000010/state.json"));
    expect_newest(d, 0, 9, 5);
    glot_run_dir_close(d);
}

/* Whatever write, fsync or rename fails while the state is written, the one before is whole. */
static void test_faults(void **state)
{
    (void)state;
    glot_error err = {0};
    for (uint64_t n = 1;; n++) {
        glot_run_dir *d = open_run();
        OK(glot_run_dir_put(d, "count", json_integer((json_int_t)n), &err));
        glot_file_fail_after(n, ENOSPC);
        glot_status status = glot_run_dir_set_done(d, "x", &err);
        glot_file_fail_after(0, 0);
        glot_run_dir_close(d);
        d = open_run();
        if (status == GLOT_OK) {
            assert_true(n > 3);
            assert_int_equal(json_integer_value(glot_run_dir_get(d, "count")), n);
            glot_run_dir_close(d);
            return;
        }
        assert_int_equal(status, GLOT_NO_SPACE);
        glot_run_dir_close(d);
    }
}

/* A full disk while a line is added to one of the two files: it is said of which, and where the run goes on both have whole lines. */
static void test_faults_while_appending(void **state)
{
    static const char *const files[] = {"metrics.jsonl", "events.out.tfevents"};
    static const int faults[] = {ENOSPC, GLOT_FAULT_SHORT};
    (void)state;
    glot_error err = {0};
    for (uint64_t n = 0; n < 4; n++) {
        char expected[200];
        glot_run_dir *d = open_run();
        OK(glot_run_dir_open_metrics(d, 0, &err));
        add(d, "train", 1);
        size_t one = event_bytes();
        glot_file_fail_after(1 + n % 2, faults[n / 2]);
        glot_status status = glot_run_dir_add_metrics(d, json_pack("{s:s, s:i}", "phase", "train", "step", 2), &err);
        glot_file_fail_after(0, 0);
        assert_int_equal(status, n < 2 ? GLOT_NO_SPACE : GLOT_OK); /* the rest of a short write follows */
        snprintf(expected, sizeof expected, "'%s': cannot write '%s': no space left on device", run, files[n % 2]);
        if (n < 2)
            assert_string_equal(err.message, expected);
        assert_int_equal(d->n_lines, n < 2 ? 1 : 2);
        OK(glot_run_dir_open_metrics(d, 1, &err));
        assert_int_equal(d->n_lines, 1);
        assert_int_equal(event_bytes(), one);
        for (uint64_t flush = 1; flush <= 2; flush++) {
            glot_file_fail_after(flush, ENOSPC);
            assert_int_equal(glot_run_dir_sync_metrics(d, &err), GLOT_NO_SPACE);
            glot_file_fail_after(0, 0);
            assert_non_null(strstr(err.message, files[flush - 1]));
        }
        glot_run_dir_close(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begins_and_goes_on, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_belongs_to_something_else, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_file_in_the_way, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_other_job, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_one_at_a_time, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_leftovers, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_fresh, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_metrics, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_event_steps, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_many_scores, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_lost_and_damaged_metrics, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_checkpoints, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_checkpoint_of_another_version, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_faults, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_faults_while_appending, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
