/* test_multiple_choice.c: scores are lm-evaluation-harness's, item by item (tests/golden/eval/tasks, made by tools/eval/golden_tasks.py);
 * items that are none are refused. */
#include "eval/multiple_choice.h"
#include "base/file.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TASKS GLOT_SOURCE_DIR "/tests/golden/eval/tasks"

static glot_error err[1];
#define OK(call)                                                                                                  \
    do {                                                                                                          \
        if ((call) != GLOT_OK)                                                                                    \
            fail_msg("%s:%d: %s", __FILE__, __LINE__, err->message);                                              \
    } while (0)

typedef struct watcher {
    const json_t *expected; /* log likelihoods of each item */
    size_t n;
} watcher;

static glot_status compare_item(void *user, const glot_item *item, const double *loglikelihoods, size_t picked, glot_error *e)
{
    watcher *w = user;
    const json_t *expected = json_array_get(w->expected, w->n++);
    (void)e;
    assert_int_equal(json_array_size(expected), item->n_choices);
    for (size_t i = 0; i < item->n_choices; i++) {
        double theirs = json_number_value(json_array_get(expected, i));
        bool ok = fabs(loglikelihoods[i] - theirs) <= 1e-3;
        if (!ok)
            fail_msg("item %zu choice %zu: %.9g, expected %.9g", w->n - 1, i, loglikelihoods[i], theirs);
        assert_true(loglikelihoods[picked] >= loglikelihoods[i]);
    }
    return GLOT_OK;
}

static void assert_score(const json_t *expected, const char *key, double got)
{
    double theirs = json_number_value(json_object_get(json_object_get(expected, "scores"), key));
    bool ok = fabs(got - theirs) <= 1e-12;
    if (!ok)
        fail_msg("%s: %.17g, expected %.17g", key, got, theirs);
}

static void score_with(int threads, const json_t *expected, const glot_items *items, const glot_items *examples, size_t shots,
                       glot_choice_score *score)
{
    glot_backend *be = NULL;
    glot_model *model = NULL;
    glot_tokenizer *tokenizer = NULL;
    watcher w = {.expected = json_object_get(expected, "loglikelihoods")};
    OK(glot_cpu_backend_create(&be, threads, NULL, err));
    OK(glot_model_open(&model, be, TASKS, err));
    OK(glot_tokenizer_open_model(&tokenizer, TASKS, err));
    glot_choice_options options = {.examples = examples, .shots = shots, .on_item = examples ? NULL : compare_item, .user = &w};
    OK(glot_multiple_choice(score, model, tokenizer, items, &options, err));
    glot_tokenizer_close(tokenizer);
    glot_model_close(model);
    glot_backend_close(be);
}

static void test_golden(void **state)
{
    (void)state;
    json_t *expected = NULL;
    glot_items items;
    glot_choice_score score;
    OK(glot_json_load_file(&expected, TASKS "/expected.json", err));
    OK(glot_items_read(&items, TASKS "/tiny.jsonl", err));
    score_with(2, expected, &items, NULL, 0, &score);
    assert_int_equal(score.items, 9);
    assert_score(expected, "acc", score.acc);
    assert_score(expected, "acc_norm", score.acc_norm);
    assert_score(expected, "acc_stderr", score.acc_stderr);
    assert_score(expected, "acc_norm_stderr", score.acc_norm_stderr);
    glot_items_release(&items);
    json_decref(expected);
}

/* Two examples in front are the same as writing them into the query; an item is never its own example. */
static void test_examples(void **state)
{
    (void)state;
    glot_items items = {0}, written = {0}, examples = {0};
    glot_choice_score a, b;
    const char *item = "{\"id\": 9, \"query\": \"c\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}";
    const char *whole = "{\"query\": \"a b\\n\\nb c\\n\\nc\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}";
    const char *first = "{\"id\": 1, \"query\": \"a\", \"choices\": [\"x\", \"b\"], \"gold\": 1}";
    const char *second = "{\"id\": 2, \"query\": \"b\", \"choices\": [\"c\", \"b\"], \"gold\": 0}";
    OK(glot_items_add(&items, item, strlen(item), "items", 1, err));
    OK(glot_items_add(&written, whole, strlen(whole), "items", 1, err));
    OK(glot_items_add(&examples, first, strlen(first), "items", 1, err));
    OK(glot_items_add(&examples, item, strlen(item), "items", 2, err));
    OK(glot_items_add(&examples, second, strlen(second), "items", 3, err));
    score_with(1, NULL, &items, &examples, 2, &a);
    score_with(1, NULL, &written, &(glot_items){0}, 2, &b);
    assert_memory_equal(&a, &b, sizeof a);
    glot_items_release(&items);
    glot_items_release(&written);
    glot_items_release(&examples);
}

static void test_bad_items(void **state)
{
    (void)state;
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"[1]", "'t.jsonl line 7': no JSON object, expected {\"query\", \"choices\", \"gold\"}"},
        {"{\"choices\": [\"a\", \"b\"], \"gold\": 0}", "'t.jsonl line 7': key 'query' is missing"},
        {"{\"query\": \"q\", \"choices\": [\"a\"], \"gold\": 0}", "'t.jsonl line 7': key 'choices' has 1 texts, expected a list of at least 2"},
        {"{\"query\": \"q\", \"choices\": \"ab\", \"gold\": 0}", "'t.jsonl line 7': key 'choices' has 0 texts, expected a list of at least 2"},
        {"{\"query\": \"q\", \"choices\": [\"a\", 1], \"gold\": 0}", "'t.jsonl line 7': choice 1 is no text, expected one that is not empty"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"\"], \"gold\": 0}", "'t.jsonl line 7': choice 1 is no text, expected one that is not empty"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 2}", "'t.jsonl line 7': key 'gold' is 2, expected 0 to 1"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": -1}", "'t.jsonl line 7': key 'gold' is -1, expected 0 to 1"},
        {"{\"id\": [], \"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 1}", "'t.jsonl line 7': key 'id' is no string and no number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_items items = {0};
        assert_int_equal(glot_items_add(&items, cases[i].line, strlen(cases[i].line), "t.jsonl", 7, err), GLOT_BAD_FORMAT);
        if (strncmp(err->message, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("'%s', expected '%s'", err->message, cases[i].sentence);
        assert_int_equal(items.n, 0);
        glot_items_release(&items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_examples), cmocka_unit_test(test_bad_items)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
