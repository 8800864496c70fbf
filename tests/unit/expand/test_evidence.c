/* test_evidence.c: the evidence of METHOD 8 and its threshold, against counts and sums done the plain way. */
#include "unit/text/text_util.h"
#include "expand/evidence.h"
#include "unit/tiny_model.h"

#include <math.h>

enum { VOCAB = 258, BOS = 256 };

static glot_backend *be;
static glot_tokenizer *tokenizer;

static int open_all(void **state)
{
    glot_error err = {0};
    tokenizer = byte_tokenizer(true);
    return make_test_dir(state) == 0 && glot_cpu_backend_create(&be, 1, NULL, &err) == GLOT_OK ? 0 : -1;
}

static int close_all(void **state)
{
    glot_tokenizer_close(tokenizer);
    glot_backend_close(be);
    return remove_test_dir(state);
}

static glot_model *make_model(void)
{
    glot_error err = {0};
    glot_model *m = NULL;
    glot_model_config c = tiny_dense_config();
    c.vocab_size = VOCAB;
    c.bos_id = c.eos_id = BOS;
    OK(glot_model_create_random(&m, be, &c, 1, &err));
    return m;
}

/* A store of one language for each text, a line a document. */
static glot_token_store *make_store(const char *const *texts, size_t n)
{
    static const char *const names[] = {"l0", "l1", "l2", "l3"};
    glot_error err = {0};
    glot_store_source sources[4];
    const char *paths[4];
    glot_token_store *store = NULL;
    glot_corpus_options options = glot_corpus_options_default();
    for (size_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "%s.txt", names[i]);
        write_text(name, texts[i]);
        paths[i] = in_dir(name);
        sources[i] = (glot_store_source){.language = names[i], .paths = &paths[i], .n_paths = 1};
    }
    OK(glot_token_store_build(in_dir("store"), tokenizer, sources, n, &options, 1, &err));
    OK(glot_token_store_open(&store, in_dir("store"), &err));
    return store;
}

/* Documents of 1 to 40 letters; every fifth has some of `foreign`. The caller frees. */
static char *random_text(const char *letters, const char *foreign, int n_documents, uint64_t seed)
{
    glot_str text = {0};
    glot_rng rng = glot_rng_seed(seed, 3);
    for (int d = 0; d < n_documents; d++) {
        for (uint32_t i = 0, n = 1 + glot_rng_below(&rng, 40); i < n; i++) {
            const char *from = d % 5 == 1 && glot_rng_below(&rng, 3) == 0 ? foreign : letters;
            glot_str_append(&text, from + glot_rng_below(&rng, (uint32_t)strlen(from)), 1);
        }
        glot_str_puts(&text, "\n");
    }
    return text.data;
}

/* ---- what is counted ---- */

/* Old: four documents, of which the second and the fourth are held out. New: two languages of different size, each with the same share. */
static void test_evidence_by_hand(void **state)
{
    (void)state;
    static const char *const texts[] = {"aab\nzzzz\nabb\nzz\n", "bccc\n", "cd\ncdcdcdcd\n"};
    glot_error err = {0};
    glot_model *m = make_model();
    glot_token_store *store = make_store(texts, 3);
    glot_evidence_language languages[] = {{store, 0, true, 0, 0, 0}, {store, 1, false, 0, 0, 0}, {store, 2, false, 0, 0, 0}};
    glot_exact_test test;
    OK(glot_evidence_count(m, languages, 3, 1.0, &err));
    OK(glot_exact_test_init(&test, m, &err));
    assert_int_equal(languages[0].n_counted_tokens, 6);
    assert_int_equal(languages[0].n_held_out, 2);
    assert_int_equal(languages[0].n_stay, 2);
    assert_int_equal(languages[1].n_counted_tokens, 4);
    assert_int_equal(languages[2].n_counted_tokens, 10);
    const double old_mass = 6 + VOCAB / 2.0, new_mass = 14 + VOCAB / 2.0;
    const struct {
        int id;
        double old, new;
    } rows[] = {{'a', 3, 0}, {'b', 3, 14 * 0.25 / 2}, {'c', 0, 14 * (0.75 + 0.5) / 2}, {'d', 0, 14 * 0.5 / 2}, {'z', 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double l = log((rows[i].new + 0.5) / new_mass) - log((rows[i].old + 0.5) / old_mass);
        assert_true(fabs((double)test.evidence[rows[i].id] - l) <= 1e-6);
    }
    assert_true(test.evidence[BOS] == 0.0f);
    glot_exact_test_release(&test);
    glot_token_store_close(store);
    glot_model_close(m);
}

static void test_evidence_is_clipped(void **state)
{
    (void)state;
    glot_error err = {0};
    char *texts[] = {random_text("ab", "ab", 400, 1), random_text("xy", "xy", 400, 2)};
    glot_model *m = make_model();
    glot_token_store *store = make_store((const char *const *)texts, 2);
    glot_evidence_language languages[] = {{store, 0, true, 0, 0, 0}, {store, 1, false, 0, 0, 0}};
    glot_exact_test test;
    OK(glot_evidence_count(m, languages, 2, 0.99, &err));
    OK(glot_exact_test_init(&test, m, &err));
    assert_true(test.evidence['a'] == -4.0f && test.evidence['y'] == 4.0f);
    assert_true(test.threshold == 0.0); /* S is 0 at the beginning of a document that never rises above it */
    glot_exact_test_release(&test);
    glot_token_store_close(store);
    glot_model_close(m);
    free(texts[0]);
    free(texts[1]);
}

/* Of more text than is counted, a part spread over all of it: here both halves, which use different letters. */
static void test_much_text(void **state)
{
    (void)state;
    enum { N_LINES = 30000 };
    glot_error err = {0};
    glot_str old = {0};
    for (int i = 0; i < N_LINES; i++)
        for (int k = 0; k < 100; k++)
            glot_str_puts(&old, k == 99 ? "\n" : i < N_LINES / 2 ? "a" : "b");
    const char *texts[] = {"abababababababab\n", old.data};
    glot_model *m = make_model();
    glot_token_store *store = make_store(texts, 2);
    glot_evidence_language languages[] = {{store, 1, true, 0, 0, 0}, {store, 0, false, 0, 0, 0}};
    glot_exact_test test;
    OK(glot_evidence_count(m, languages, 2, 0.99, &err));
    OK(glot_exact_test_init(&test, m, &err));
    assert_true(languages[0].n_counted_tokens <= GLOT_EVIDENCE_MAX_TOKENS);
    assert_true(languages[0].n_counted_tokens > GLOT_EVIDENCE_MAX_TOKENS - 1000);
    assert_int_equal(languages[0].n_held_out, GLOT_EVIDENCE_MAX_HELD_OUT);
    assert_true(fabs((double)test.evidence['a'] - (double)test.evidence['b']) <= 0.01);
    glot_exact_test_release(&test);
    glot_token_store_close(store);
    glot_model_close(m);
    glot_str_release(&old);
}

/* ---- the threshold ---- */

/* Held-out documents (every second one) of which the model's test keeps at least one on the path, with the threshold put to `threshold`. */
static int count_staying(const glot_exact_test *test, double threshold, const glot_token_store *store, size_t language)
{
    glot_exact_test other = *test;
    int n = 0;
    other.threshold = threshold;
    uint64_t first = glot_token_store_first_document(store, language);
    for (uint64_t i = 1; i < glot_token_store_language(store, language)->n_documents; i += 2) {
        glot_document d = glot_token_store_document(store, first + i);
        glot_exact_state s = {0};
        glot_exact_mark(&other, &s, d.ids, d.n_ids < 512 ? d.n_ids : 512, NULL);
        n += !s.has_left;
    }
    return n;
}

static void test_threshold_is_the_smallest(void **state)
{
    (void)state;
    static const double keeps[] = {1.0, 0.99, 0.9, 0.5, 0.01};
    glot_error err = {0};
    char *texts[] = {random_text("abcd", "wxyz", 150, 1), random_text("bcde", "vwxy", 90, 2), random_text("vwxyzd", "ab", 60, 3)};
    glot_model *m = make_model();
    glot_token_store *store = make_store((const char *const *)texts, 3);
    for (size_t i = 0; i < sizeof keeps / sizeof keeps[0]; i++) {
        glot_evidence_language languages[] = {{store, 0, true, 0, 0, 0}, {store, 1, true, 0, 0, 0}, {store, 2, false, 0, 0, 0}};
        glot_exact_test test;
        OK(glot_evidence_count(m, languages, 3, keeps[i], &err));
        OK(glot_exact_test_init(&test, m, &err));
        int n = (int)(languages[0].n_held_out + languages[1].n_held_out), stay = 0, below = 0;
        assert_int_equal(n, 75 + 45);
        for (size_t l = 0; l < 2; l++) {
            int of_language = count_staying(&test, test.threshold, store, l);
            assert_int_equal(of_language, languages[l].n_stay);
            stay += of_language;
            below += count_staying(&test, nextafter(test.threshold, -1.0), store, l);
        }
        assert_true(stay >= keeps[i] * n - 1e-9);
        if (test.threshold > 0.0)
            assert_true(below < keeps[i] * n);
        glot_exact_test_release(&test);
    }
    glot_token_store_close(store);
    glot_model_close(m);
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
}

/* ---- what cannot be ---- */

static void expect_refused(glot_model *m, glot_evidence_language *languages, size_t n, double keep, const char *part)
{
    glot_error err = {0};
    assert_int_equal(glot_evidence_count(m, languages, n, keep, &err), GLOT_BAD_VALUE);
    if (!strstr(err.message, part))
        fail_msg("the sentence is '%s', expected in it '%s'", err.message, part);
    assert_false(m->config.exact.is_on);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"a\nb\n", "c\n", "a\n"};
    glot_error err = {0};
    glot_model *m = make_model();
    glot_token_store *store = make_store(texts, 3);
    glot_evidence_language languages[] = {{store, 0, true, 0, 0, 0}, {store, 1, false, 0, 0, 0}};
    expect_refused(m, languages, 2, 0.0, "is 0, expected a number above 0 to 1");
    expect_refused(m, languages, 2, 1.5, "is 1.5, expected");
    expect_refused(m, languages, 2, NAN, "is nan, expected");
    expect_refused(m, languages, 1, 0.99, "but none is new");
    expect_refused(m, languages + 1, 1, 0.99, "but none is old");
    glot_evidence_language one[] = {{store, 2, true, 0, 0, 0}, {store, 1, false, 0, 0, 0}};
    expect_refused(m, one, 2, 0.99, "old language 'l2' has 1 document to train on");
    OK(glot_evidence_count(m, languages, 2, 1.0, &err)); /* documents of one token */
    glot_token_store_close(store);
    glot_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_evidence_by_hand), cmocka_unit_test(test_evidence_is_clipped),
                                       cmocka_unit_test(test_much_text), cmocka_unit_test(test_threshold_is_the_smallest),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
