/* test_score.c: bits per byte against a plain loop that feeds one token after the other; windows, what stands
 * in front of them, the limit of tokens, and that the sum does not depend on what shares a pass. */
#include "eval/eval.h"
#include "expand/gates.h"
#include "unit/byte_model.h"
#include "unit/cpu_model.h"

#include <math.h>
#include <stdio.h>

enum {
    N_DOCUMENTS = 60,
    LONGEST = 100
}; /* some 3,000 ids: more than one pass; longer than the context of 64 */
static int32_t ids[N_DOCUMENTS][LONGEST];
static glot_document documents[N_DOCUMENTS];

static int set_up(void **state)
{
    (void)state;
    static const int32_t n_experts[TINY_LAYERS] = {3, 1, 2};
    glot_rng rng = glot_rng_seed(5, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    model = byte_model(be, 1);
    OK(glot_upcycle(model, n_experts, &settings, &err));
    for (int d = 0; d < N_DOCUMENTS; d++) {
        uint32_t n = 1 + glot_rng_below(&rng, LONGEST);
        for (uint32_t i = 0; i < n; i++)
            ids[d][i] = (int32_t)glot_rng_below(&rng, 256);
        documents[d] = (glot_document){.ids = ids[d], .n_ids = n, .n_bytes = n + 3};
    }
    return 0;
}

static glot_text_score score(int64_t length, int first, int n)
{
    glot_score_options options = {.length = length};
    glot_scorer *s = NULL;
    glot_text_score out;
    OK(glot_scorer_create(&s, model, &options, &err));
    for (int d = first; d < first + n; d++)
        OK(glot_scorer_add(s, &documents[d], &err));
    OK(glot_scorer_finish(s, &out, &err));
    glot_scorer_free(s);
    return out;
}

/* The definition: each window behind `start`, token by token, summed in order. */
static double plain_sum(glot_session *s, const glot_document *d, int64_t length, int32_t start)
{
    double sum = 0.0;
    const float *log_probs = NULL;
    for (int64_t i = 0; i < d->n_ids; i++) {
        bool is_first = i % length == 0;
        if (is_first)
            glot_session_reset(s);
        OK(glot_session_feed(s, is_first ? &start : &d->ids[i - 1], 1, &log_probs, &err));
        sum -= (double)log_probs[d->ids[i]];
    }
    return sum;
}

static glot_text_score plain(int64_t length, int32_t start)
{
    glot_text_score sum = {0};
    glot_session *s = NULL;
    OK(glot_session_create(&s, model, length + 1, 1, &err));
    for (int d = 0; d < N_DOCUMENTS; d++) {
        sum.nll_nats += plain_sum(s, &documents[d], length, start);
        sum.tokens += documents[d].n_ids;
        sum.bytes += documents[d].n_bytes;
    }
    glot_session_free(s);
    return sum;
}

/* The sums run in another order than the definition's (per document, then over documents), so that they may
 * differ by rounding in double: 3,000 terms below 20 keep 11 digits. */
static void assert_close(double got, double expected)
{
    bool ok = fabs(got - expected) <= 1e-11 * fabs(expected);
    if (!ok)
        fail_msg("%.17g is not %.17g", got, expected);
}

static void check_plain(int64_t length, int64_t window, int32_t start)
{
    glot_text_score a = score(length, 0, N_DOCUMENTS), b = plain(window, start);
    assert_close(a.nll_nats, b.nll_nats);
    assert_int_equal(a.tokens, b.tokens);
    assert_int_equal(a.bytes, b.bytes);
    assert_int_equal(a.documents, N_DOCUMENTS);
    assert_close(a.bits_per_byte, b.nll_nats / log(2.0) / (double)b.bytes);
}

static void test_plain_loop(void **state)
{
    (void)state;
    check_plain(1, 1, BYTE_END);
    check_plain(7, 7, BYTE_END);
    check_plain(63, 63, BYTE_END);
    check_plain(0, 63, BYTE_END); /* the context of 64 less one, for BOS */
}

/* BOS where the model has one, else EOS; nothing else stands in front. */
static void test_what_begins_a_window(void **state)
{
    (void)state;
    model->config.bos_id = 9;
    check_plain(20, 20, 9);
    model->config.bos_id = -1;
    model->config.eos_id = 10;
    check_plain(20, 20, 10);
    model->config.eos_id = -1;
    glot_scorer *s = NULL;
    glot_score_options options = {0};
    glot_status status = glot_scorer_create(&s, model, &options, &err);
    model->config.bos_id = model->config.eos_id = BYTE_END;
    assert_int_equal(status, GLOT_BAD_VALUE);
    assert_string_equal(
        err.message,
        "'random weights' names neither a BOS nor an EOS token, and every window of a text begins with one");
}

/* Documents alone or beside others, in whatever order: the same sums of the same numbers. */
static void test_company_does_not_matter(void **state)
{
    (void)state;
    double alone = 0.0;
    for (int d = 0; d < N_DOCUMENTS; d++)
        alone += score(20, d, 1).nll_nats;
    assert_close(score(20, 0, N_DOCUMENTS).nll_nats, alone);
    double halves = score(20, 0, 31).nll_nats + score(20, 31, N_DOCUMENTS - 31).nll_nats;
    assert_close(halves, alone);
    glot_text_score again = score(20, 0, N_DOCUMENTS), once = score(20, 0, N_DOCUMENTS);
    assert_memory_equal(&again.nll_nats, &once.nll_nats, sizeof once.nll_nats);
}

/* The interval is that of the documents' own scores, windows of one document together. */
static void test_interval(void **state)
{
    (void)state;
    glot_document_score each[N_DOCUMENTS];
    glot_interval expected;
    for (int d = 0; d < N_DOCUMENTS; d++)
        each[d] = (glot_document_score){score(20, d, 1).nll_nats, documents[d].n_bytes};
    OK(glot_bootstrap_bits_per_byte(&expected, each, N_DOCUMENTS, &err));
    glot_text_score found = score(20, 0, N_DOCUMENTS), lone = score(20, 0, 1);
    assert_close(found.interval.low, expected.low);
    assert_close(found.interval.high, expected.high);
    assert_true(found.interval.low < found.bits_per_byte && found.bits_per_byte < found.interval.high);
    json_t *with = glot_text_score_json(&found), *without = glot_text_score_json(&lone);
    assert_true(json_real_value(json_object_get(with, "bits_per_byte_low")) == found.interval.low);
    assert_true(json_real_value(json_object_get(with, "bits_per_byte_high")) == found.interval.high);
    assert_null(json_object_get(without, "bits_per_byte_low"));
    json_decref(with);
    json_decref(without);
}

/* Token by token the same bits come out; a document of two windows is refused. */
static void test_token_by_token(void **state)
{
    (void)state;
    glot_score_options options = {.length = 63, .is_token_by_token = true};
    glot_scorer *s = NULL;
    glot_text_score out;
    double at_once = 0.0;
    int n_refused = 0;
    OK(glot_scorer_create(&s, model, &options, &err));
    for (int d = 0; d < N_DOCUMENTS; d++) {
        bool fits = documents[d].n_ids <= 63;
        assert_int_equal(glot_scorer_add(s, &documents[d], &err), fits ? GLOT_OK : GLOT_BAD_ARGUMENT);
        at_once += fits ? score(63, d, 1).nll_nats : 0.0;
        n_refused += !fits;
    }
    OK(glot_scorer_finish(s, &out, &err));
    assert_close(out.nll_nats, at_once);
    assert_int_equal(out.documents, N_DOCUMENTS - n_refused);
    assert_true(n_refused > 0);
    glot_scorer_free(s);
}

static void test_nothing_to_score(void **state)
{
    (void)state;
    glot_text_score none = score(0, 0, 0);
    assert_true(none.tokens == 0 && none.bytes == 0 && none.documents == 0);
    assert_true(none.nll_nats == 0.0 && none.bits_per_byte == 0.0);
}

static void test_lengths_out_of_range(void **state)
{
    (void)state;
    static const int64_t lengths[] = {64, 1 << 24, -1};
    for (size_t i = 0; i < 3; i++) {
        char sentence[200];
        glot_scorer *s = NULL;
        glot_score_options options = {.length = lengths[i]};
        assert_int_equal(glot_scorer_create(&s, model, &options, &err), GLOT_BAD_ARGUMENT);
        assert_null(s);
        snprintf(sentence, sizeof sentence,
                 "windows of %d tokens are outside 1 to 63, the model's context less one", (int)lengths[i]);
        assert_string_equal(err.message, sentence);
    }
}

static void test_cancelled(void **state)
{
    (void)state;
    glot_cancel cancel = {.requested = 1};
    glot_scorer *s = NULL;
    glot_score_options options = {.cancel = &cancel};
    OK(glot_scorer_create(&s, model, &options, &err));
    assert_int_equal(glot_scorer_add(s, &documents[0], &err), GLOT_CANCELLED);
    glot_scorer_free(s);
}

/* ---- token stores ---- */

static char folder[32];

static glot_token_store *build_store(void)
{
    char text[128], other[128], path[128];
    glot_str json = {0};
    glot_tokenizer *t = NULL;
    glot_token_store *store = NULL;
    glot_corpus_options options = glot_corpus_options_default();
    strcpy(folder, "/tmp/glot-score-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, "%s/a.txt", folder);
    snprintf(other, sizeof other, "%s/b.txt", folder);
    snprintf(path, sizeof path, "%s/store", folder);
    OK(glot_file_write(text, "first\nsecond line\nthird\n", 24, &err));
    OK(glot_file_write(other, "other\n", 6, &err));
    const char *a = text, *b = other;
    glot_store_source sources[] = {{"en", 0, &a, 1, 0}, {"el", 1, &b, 1, 0}};
    byte_tokenizer_json(&json);
    OK(glot_tokenizer_parse(&t, json.data, json.length, "tokenizer", &err));
    OK(glot_token_store_build(path, t, sources, 2, &options, 1, &err));
    OK(glot_token_store_open(&store, path, &err));
    glot_tokenizer_close(t);
    glot_str_release(&json);
    return store;
}

/* Whole documents of that language until the limit is reached: 5, then 11, then 5 tokens. */
static void test_max_tokens(void **state)
{
    (void)state;
    static const struct {
        uint64_t max_tokens, documents, tokens;
    } rows[] = {{1, 1, 5}, {5, 1, 5}, {6, 2, 16}, {16, 2, 16}, {17, 3, 21}, {1000, 3, 21}, {0, 3, 21}};
    glot_token_store *store = build_store();
    glot_text_score found;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        glot_score_options options = {.max_tokens = rows[i].max_tokens};
        OK(glot_score_store(&found, model, store, 0, &options, &err));
        assert_int_equal(found.documents, rows[i].documents);
        assert_int_equal(found.tokens, rows[i].tokens);
        assert_int_equal(found.bytes, rows[i].tokens);
    }
    glot_score_options all = {0};
    OK(glot_score_store(&found, model, store, 1, &all, &err));
    assert_int_equal(found.tokens, 5);
    glot_token_store_close(store);
    OK(glot_dir_remove(folder, &err));
}

/* A gate of zeros always says class 1: wrong for the old language, right for the new one. No document has 16 tokens. */
static void test_gate_accuracy(void **state)
{
    (void)state;
    static const int32_t layer = 0;
    glot_token_store *store = build_store();
    glot_gate_config gate;
    OK(glot_gates_listed(&gate, &model->config, &layer, 1, &err));
    OK(glot_gates_add(model, &gate, 1, &err));
    be->zero(be, &model->layers[0].language_gate->weight);
    for (int32_t language = 0; language < 2; language++) {
        glot_gate_accuracy found;
        OK(glot_gate_accuracy_measure(&found, model, store, language, language, 1000, &err));
        assert_true(found.all == language && found.after[0] == language && found.after[1] == language);
        assert_true(isnan(found.after[2]) && isnan(found.after[3]));
    }
    glot_token_store_close(store);
    OK(glot_dir_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_loop),
        cmocka_unit_test(test_what_begins_a_window),
        cmocka_unit_test(test_company_does_not_matter),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_token_by_token),
        cmocka_unit_test(test_nothing_to_score),
        cmocka_unit_test(test_lengths_out_of_range),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_max_tokens),
        cmocka_unit_test(test_gate_accuracy),
    };
    return cmocka_run_group_tests(tests, set_up, close_model);
}
