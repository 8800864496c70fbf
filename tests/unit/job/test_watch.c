/* test_watch.c: a run's files as they change under who watches it: cut back and replaced metrics, a second
 * stage, damage. */
#include "base/file.h"
#include "job/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/glot-watch-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return glot_dir_remove(root, NULL) == GLOT_OK ? 0 : -1;
}

/* `how` as of fopen: "w" writes over the same file. */
static void put(const char *name, const char *how, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, how);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static glot_watch *open_run(void)
{
    glot_watch *w = NULL;
    put("state.json", "w",
        "{\"format\": \"glot run\", \"version\": 1, \"glot\": \"0\", \"job\": \"expand\", \"done\": [], "
        "\"metrics_lines\": 0, "
        "\"train_steps\": 10, \"review_steps\": 4}");
    assert_int_equal(glot_watch_open(&w, root, NULL), GLOT_OK);
    return w;
}

static void look(glot_watch *w, size_t n_news)
{
    glot_error err = {0};
    if (glot_watch_look(w, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(json_array_size(w->news), n_news);
}

#define STEP(phase, step)                                                                                    \
    "{\"phase\": \"" phase "\", \"step\": " #step ", \"tokens\": " #step                                     \
    "00, \"ce\": 2.5, \"tokens_per_s\": 50}\n"

static void test_cut_and_replaced(void **state)
{
    (void)state;
    glot_watch *w = open_run();
    look(w, 0); /* no metrics yet */
    put("metrics.jsonl", "w", STEP("train", 1) STEP("train", 2) STEP("train", 3));
    look(w, 3);
    assert_int_equal(w->progress.done, 3);
    assert_int_equal(w->n_ce, 3);
    look(w, 0);
    put("metrics.jsonl", "w", STEP("train", 1)); /* the run went back to its checkpoint */
    look(w, 1);
    assert_int_equal(w->progress.done, 1);
    assert_int_equal(w->n_ce, 1);
    assert_true(w->progress.recent_seconds == 2.0); /* 100 tokens at 50 a second */
    char path[96], other[96];
    snprintf(path, sizeof path, "%s/metrics.jsonl", root);
    snprintf(other, sizeof other, "%s/other", root);
    put("other", "w", STEP("train", 1) STEP("train", 2)); /* another file in its place, and longer */
    assert_int_equal(rename(other, path), 0);
    look(w, 2);
    assert_int_equal(w->n_ce, 2);
    glot_watch_close(w);
}

static void test_second_stage(void **state)
{
    (void)state;
    glot_watch *w = open_run();
    put("metrics.jsonl", "w",
        "{\"phase\": \"eval\", \"stage\": \"before\", \"text\": {\"el\": {\"bits_per_byte\": 2}}}\n" STEP(
            "train", 9) STEP("train", 10));
    look(w, 3);
    assert_string_equal(w->progress.name, "train");
    assert_int_equal(w->progress.total, 10);
    put("metrics.jsonl", "a",
        "{\"phase\": \"eval\", \"stage\": \"after_train\", \"text\": {\"el\": {\"bits_per_byte\": "
        "1}}}\n" STEP("review", 1));
    look(w, 2);
    assert_string_equal(w->progress.name, "review");
    assert_int_equal(w->progress.total, 4);
    assert_int_equal(w->progress.done, 1);
    assert_int_equal(w->n_ce, 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(w->before, "el"), "bits_per_byte")),
                     2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(w->scores, "el"), "bits_per_byte")),
                     1);
    glot_watch_close(w);
}

static void test_damage(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_watch *w = open_run();
    put("metrics.jsonl", "w", "rubbish\n");
    assert_int_equal(glot_watch_look(w, &err), GLOT_BAD_FORMAT);
    assert_non_null(strstr(err.message, "metrics.jsonl"));
    put("metrics.jsonl", "w",
        "[]\n{\"phase\": 3}\n{\"phase\": \"train\"}\n{\"phase\": \"eval\", \"text\": 1}\n");
    look(w, 4);
    glot_watch_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cut_and_replaced, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_second_stage, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_damage, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
