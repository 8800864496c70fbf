/* test_multiple_choice.c: scores are lm-evaluation-harness's, item by item (tests/golden/eval/tasks, made by tools/eval/golden_tasks.py);
 * items that are none are refused. */
#include "eval/multiple_choice.h"
#include "eval/prompt.h"
#include "base/file.h"
#include "base/memory.h"
#include "text/utf8.h"

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
    assert_int_equal(json_array_size(expected), glot_item_n_choices(item));
    for (size_t i = 0; i < glot_item_n_choices(item); i++) {
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

/* Scores with the model of TASKS. */
static void score_with(int threads, const glot_items *items, const glot_choice_options *options, glot_choice_score *score)
{
    glot_backend *be = NULL;
    glot_model *model = NULL;
    glot_tokenizer *tokenizer = NULL;
    OK(glot_cpu_backend_create(&be, threads, NULL, err));
    OK(glot_model_open(&model, be, TASKS, err));
    OK(glot_tokenizer_open_model(&tokenizer, TASKS, err));
    OK(glot_multiple_choice(score, model, tokenizer, items, options, err));
    glot_tokenizer_close(tokenizer);
    glot_model_close(model);
    glot_backend_close(be);
}

static void compare_with_harness(const char *name, size_t n)
{
    char path[1024];
    json_t *expected = NULL;
    glot_items items;
    glot_choice_score score;
    snprintf(path, sizeof path, TASKS "/%s.expected.json", name);
    OK(glot_json_load_file(&expected, path, err));
    snprintf(path, sizeof path, TASKS "/%s.jsonl", name);
    OK(glot_items_read(&items, path, &glot_template_plain, 0, err));
    watcher w = {.expected = json_object_get(expected, "loglikelihoods")};
    score_with(2, &items, &(glot_choice_options){.on_item = compare_item, .user = &w}, &score);
    assert_int_equal(w.n, n);
    assert_int_equal(score.items, n);
    assert_score(expected, "acc", score.acc);
    assert_score(expected, "acc_norm", score.acc_norm);
    assert_score(expected, "acc_stderr", score.acc_stderr);
    assert_score(expected, "acc_norm_stderr", score.acc_norm_stderr);
    glot_items_release(&items);
    json_decref(expected);
}

static void test_golden(void **state)
{
    (void)state;
    compare_with_harness("tiny", 9);
}

/* White space at the border of query and choice, a special token in a choice, texts around the context's length. */
static void test_edges(void **state)
{
    (void)state;
    compare_with_harness("edges", 12);
}

/* ---- few-shot examples ---- */

static glot_status keep_sums(void *user, const glot_item *item, const double *loglikelihoods, size_t picked, glot_error *e)
{
    (void)picked;
    (void)e;
    memcpy(user, loglikelihoods, glot_item_n_choices(item) * sizeof *loglikelihoods);
    return GLOT_OK;
}

/* Log likelihoods of the two choices of an item, a line of JSON. */
static void sums_of(double sums[2], const char *item, const glot_items *examples, size_t shots)
{
    glot_items items = {0};
    glot_choice_score score;
    OK(glot_items_add(&items, item, strlen(item), "items", 1, &glot_template_plain, err));
    score_with(1, &items, &(glot_choice_options){.examples = examples, .shots = shots, .on_item = keep_sums, .user = sums}, &score);
    glot_items_release(&items);
}

/* Examples in front are the same as writing them into the query, which may be empty itself; an item is never its own example. */
static void test_examples(void **state)
{
    (void)state;
    static const char *const pool[] = {"{\"id\": 1, \"query\": \"a \", \"choices\": [\"x\", \"b\"], \"gold\": 1}",
                                       "{\"id\": 9, \"query\": \"c\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}",
                                       "{\"id\": 2, \"query\": \"b\", \"choices\": [\"c\", \"b\"], \"gold\": 0}"};
    static const char *const cases[][2] = {
        {"{\"id\": 9, \"query\": \"c\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}",
         "{\"query\": \"a b\\n\\nb c\\n\\nc\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}"},
        {"{\"id\": 8, \"query\": \"\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}",
         "{\"query\": \"a b\\n\\nc d\\n\\n\", \"choices\": [\"d\", \"e f\"], \"gold\": 0}"}};
    glot_items examples = {0};
    for (size_t i = 0; i < sizeof pool / sizeof pool[0]; i++)
        OK(glot_items_add(&examples, pool[i], strlen(pool[i]), "items", i + 1, &glot_template_plain, err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double got[2], expected[2];
        sums_of(got, cases[i][0], &examples, 2);
        sums_of(expected, cases[i][1], NULL, 0);
        assert_memory_equal(got, expected, sizeof got);
    }
    glot_items_release(&examples);
}

/* ---- texts to complete ---- */

typedef struct opened {
    glot_backend *be;
    glot_model *model;
    glot_tokenizer *tokenizer;
    double sum; /* of the item scored last */
} opened;

static glot_status keep_sum(void *user, const glot_item *item, const double *loglikelihoods, size_t picked, glot_error *e)
{
    (void)item;
    (void)picked;
    (void)e;
    ((opened *)user)->sum = loglikelihoods[0];
    return GLOT_OK;
}

static double acc_of(opened *o, const glot_template *t, const json_t *line)
{
    glot_items items = {0};
    glot_choice_score score;
    glot_choice_options options = {.on_item = keep_sum, .user = o};
    char *text = json_dumps(line, 0);
    OK(glot_items_add(&items, text, strlen(text), "items", 1, t, err));
    OK(glot_multiple_choice(&score, o->model, o->tokenizer, &items, &options, err));
    glot_items_release(&items);
    free(text);
    return score.acc;
}

/* The likeliest token behind `query` as text, "" where it does not begin with the space that stands before a choice. */
static void likeliest_word(opened *o, const char *query, glot_str *out)
{
    glot_encoder *encoder = NULL;
    glot_session *session = NULL;
    const int32_t *ids;
    const float *log_probs;
    size_t n;
    glot_sample_params greedy = glot_sample_params_default();
    OK(glot_encoder_create(&encoder, o->tokenizer, err));
    OK(glot_encode(encoder, query, strlen(query), &ids, &n, err));
    OK(glot_session_create(&session, o->model, 64, 64, err));
    OK(glot_session_feed(session, ids, (int64_t)n, &log_probs, err));
    int32_t id = glot_sample(log_probs, o->model->config.vocab_size, &greedy, NULL, NULL);
    glot_str_reset(out);
    OK(glot_decode(o->tokenizer, &id, 1, true, false, out, err));
    if (out->length < 2 || out->data[0] != ' ' || glot_utf8_valid_prefix(out->data, out->length) != out->length)
        glot_str_reset(out);
    glot_session_free(session);
    glot_encoder_free(encoder);
}

/* Right with the likeliest continuation and no other; the sum is the one that a choice of these tokens has. */
static void test_completion(void **state)
{
    (void)state;
    static const char *const queries[] = {"one", "I am", "The sun", "wor", "A kutya", "What is", "2 +", "rises in", "the", "a b", "Question", "not", "x y"};
    const glot_template complete = {.query = "{query}", .choices = {"{end}"}};
    opened o = {0};
    glot_str word = {0};
    int n_found = 0;
    OK(glot_cpu_backend_create(&o.be, 2, NULL, err));
    OK(glot_model_open(&o.model, o.be, TASKS, err));
    OK(glot_tokenizer_open_model(&o.tokenizer, TASKS, err));
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        likeliest_word(&o, queries[i], &word);
        if (word.length == 0)
            continue;
        n_found++;
        json_t *right = json_pack("{s:s, s:s}", "query", queries[i], "end", word.data + 1);
        json_t *wrong = json_pack("{s:s, s:s}", "query", queries[i], "end", "zebra");
        json_t *choices = json_pack("{s:s, s:[s, s], s:i}", "query", queries[i], "choices", word.data + 1, "zebra", "gold", 0);
        assert_true(acc_of(&o, &complete, right) == 1.0);
        double sum = o.sum;
        assert_true(acc_of(&o, &complete, wrong) == 0.0);
        acc_of(&o, &glot_template_plain, choices);
        assert_true(o.sum == sum);
        json_decref(right);
        json_decref(wrong);
        json_decref(choices);
    }
    assert_true(n_found > 0);
    glot_str_release(&word);
    glot_tokenizer_close(o.tokenizer);
    glot_model_close(o.model);
    glot_backend_close(o.be);
}

/* ---- prompts that are run once ---- */

typedef struct whole_passes {
    opened *o;
    const glot_items *examples;
    size_t shots, n; /* n: items compared */
} whole_passes;

/* log p of a choice: its whole text alone in a pass, the tokens beyond the context's number. */
static double sum_alone(whole_passes *w, const glot_item *item, size_t choice)
{
    glot_session *session = NULL;
    glot_encoder *encoder = NULL;
    glot_str text = {0};
    size_t context_size, n_context, n;
    const int32_t *ids;
    int32_t start = w->o->model->config.bos_id;
    float nll[256];
    double sum = 0.0;
    OK(glot_session_create(&session, w->o->model, 256, 256, err));
    OK(glot_encoder_create(&encoder, w->o->tokenizer, err));
    OK(glot_prompt_write(&text, &context_size, w->examples, w->shots, item, choice, err));
    OK(glot_encode(encoder, text.data, context_size, &ids, &n_context, err));
    OK(glot_encode(encoder, text.data, text.length, &ids, &n, err));
    int32_t *whole = malloc((n + 1) * sizeof *whole);
    whole[0] = start;
    memcpy(whole + 1, ids, n * sizeof *ids);
    size_t skipped = n_context > 0; /* only a text without a context begins with the start token */
    n_context += !skipped;
    glot_sequence q = {.ids = whole + skipped, .n = (int64_t)(n + 1 - skipped), .nll = nll};
    OK(glot_session_score(session, &q, 1, err));
    for (int64_t i = (int64_t)n_context; i < q.n; i++)
        sum -= (double)nll[i];
    free(whole);
    glot_str_release(&text);
    glot_encoder_free(encoder);
    glot_session_free(session);
    return sum;
}

static glot_status compare_with_whole_passes(void *user, const glot_item *item, const double *loglikelihoods, size_t picked, glot_error *e)
{
    whole_passes *w = user;
    (void)picked;
    (void)e;
    for (size_t i = 0; i < glot_item_n_choices(item); i++) {
        double alone = sum_alone(w, item, i);
        if (memcmp(&alone, &loglikelihoods[i], sizeof alone) != 0)
            fail_msg("item %zu choice %zu with %zu examples: %.17g, alone %.17g", w->n, i, w->shots, loglikelihoods[i], alone);
    }
    w->n++;
    return GLOT_OK;
}

/* Items share passes, choices their prompt and items their examples: the bits are those of every text alone. */
static void test_same_bits_as_whole_passes(void **state)
{
    (void)state;
    opened o = {0};
    glot_items items;
    OK(glot_cpu_backend_create(&o.be, 2, NULL, err));
    OK(glot_model_open(&o.model, o.be, TASKS, err));
    OK(glot_tokenizer_open_model(&o.tokenizer, TASKS, err));
    OK(glot_items_read(&items, TASKS "/tiny.jsonl", &glot_template_plain, 0, err));
    for (size_t shots = 0; shots <= 4; shots += 2) {
        glot_choice_score score;
        whole_passes w = {.o = &o, .examples = &items, .shots = shots};
        glot_choice_options options = {.examples = &items, .shots = shots, .on_item = compare_with_whole_passes, .user = &w};
        OK(glot_multiple_choice(&score, o.model, o.tokenizer, &items, &options, err));
        assert_int_equal(w.n, items.n);
    }
    glot_items_release(&items);
    glot_tokenizer_close(o.tokenizer);
    glot_model_close(o.model);
    glot_backend_close(o.be);
}

static void test_bad_items(void **state)
{
    (void)state;
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"[1]", "'t.jsonl line 7': no JSON object"},
        {"{\"choices\": [\"a\", \"b\"], \"gold\": 0}", "'t.jsonl line 7': key 'query' is missing or no text"},
        {"{\"query\": \"q\", \"choices\": [\"a\"], \"gold\": 0}", "'t.jsonl line 7': an item has 1 choice, expected at least 2"},
        {"{\"query\": \"q\", \"choices\": [], \"gold\": 0}", "'t.jsonl line 7': an item has 0 choices, expected at least 2"},
        {"{\"query\": \"q\", \"choices\": \"ab\", \"gold\": 0}", "'t.jsonl line 7': an item has 1 choice, expected at least 2"},
        {"{\"query\": [], \"choices\": [\"ab\"], \"gold\": 0}", "'t.jsonl line 7': the list of queries is empty"},
        {"{\"query\": \"q\", \"choices\": {}, \"gold\": 0}", "'t.jsonl line 7': key 'choices' is missing or no text"},
        {"{\"query\": \"q\", \"choices\": [\"a\", 1], \"gold\": 0}", "'t.jsonl line 7': element 1 of key 'choices' is no text"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"\"], \"gold\": 0}", "'t.jsonl line 7': choice 1 is empty"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 2}", "'t.jsonl line 7': the right answer has number 2, expected 0 to 1"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": -1}", "'t.jsonl line 7': the right answer has number -1, expected 0 to 1"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": \"c\"}", "'t.jsonl line 7': the right answer 'c' is none of the 2 there are"},
        {"{\"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 1.5}", "'t.jsonl line 7': key 'gold' is missing or no text or whole number"},
        {"{\"id\": [], \"query\": \"q\", \"choices\": [\"a\", \"b\"], \"gold\": 1}", "'t.jsonl line 7': key 'id' is no string and no number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_items items = {0};
        assert_int_equal(glot_items_add(&items, cases[i].line, strlen(cases[i].line), "t.jsonl", 7, &glot_template_plain, err), GLOT_BAD_FORMAT);
        if (strncmp(err->message, cases[i].sentence, strlen(cases[i].sentence)) != 0)
            fail_msg("'%s', expected '%s'", err->message, cases[i].sentence);
        assert_int_equal(items.n, 0);
        glot_items_release(&items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_edges), cmocka_unit_test(test_examples), cmocka_unit_test(test_completion),
                                       cmocka_unit_test(test_same_bits_as_whole_passes),
                                       cmocka_unit_test(test_bad_items)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
