/* test_translation.c: BLEU, chrF and chrF++ are sacreBLEU's to all digits (tests/golden/eval/translation.json, made by
 * tools/eval/golden_translation.py), and hold at points that can be worked out by hand. */
#include "eval/translation.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/ngrams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static glot_translation_scores score(const char *const *hypotheses, const char *const *references, size_t n)
{
    glot_error err = {0};
    glot_translation *t = NULL;
    assert_int_equal(glot_translation_create(&t, &err), GLOT_OK);
    for (size_t i = 0; i < n; i++)
        if (glot_translation_add(t, hypotheses[i], strlen(hypotheses[i]), references[i], strlen(references[i]), &err) != GLOT_OK)
            fail_msg("%s", err.message);
    glot_translation_scores s = glot_translation_finish(t);
    glot_translation_free(t);
    return s;
}

/* Python and C round each operation alike; exp and log may differ by a bit between C libraries. */
static void assert_same(double got, const json_t *c, const char *key)
{
    double expected = json_number_value(json_object_get(c, key));
    bool ok = fabs(got - expected) <= 4e-15 * fabs(expected);
    if (!ok)
        fail_msg("%s of '%s': %.17g, expected %.17g", key, json_string_value(json_object_get(c, "name")), got, expected);
}

static void test_golden(void **state)
{
    (void)state;
    json_t *root = NULL, *cases;
    glot_error err = {0};
    if (glot_json_load_file(&root, GLOT_SOURCE_DIR "/tests/golden/eval/translation.json", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    cases = json_object_get(root, "cases");
    assert_true(json_array_size(cases) >= 20);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *h = json_object_get(c, "hypotheses"), *r = json_object_get(c, "references");
        const char *hypotheses[64], *references[64];
        size_t n = json_array_size(h);
        assert_true(n > 0 && n <= 64 && n == json_array_size(r));
        for (size_t k = 0; k < n; k++) {
            hypotheses[k] = json_string_value(json_array_get(h, k));
            references[k] = json_string_value(json_array_get(r, k));
        }
        glot_translation_scores s = score(hypotheses, references, n);
        assert_same(s.bleu, c, "bleu");
        assert_same(s.chrf, c, "chrf");
        assert_same(s.chrf_pp, c, "chrf++");
    }
    json_decref(root);
}

/* "a b c d e" for "a b c d f": 4/5, 3/4, 2/3, 1/2 match; for characters 4/5, 3/4, 2/3, 1/2, 0/1 and no 6-gram. */
static void test_by_hand(void **state)
{
    (void)state;
    const char *h[] = {"a b c d e"}, *r[] = {"a b c d f"};
    glot_translation_scores s = score(h, r, 1);
    double mean = (4.0 / 5 + 3.0 / 4 + 2.0 / 3 + 1.0 / 2) / 5.0;
    assert_true(fabs(s.bleu - 100.0 * pow(4.0 / 5 * 3 / 4 * 2 / 3 * 1 / 2, 0.25)) < 1e-12);
    assert_true(fabs(s.chrf - 100.0 * mean) < 1e-12);
    assert_true(fabs(s.chrf_pp - 100.0 * (5.0 * mean + 4.0 / 5 + 3.0 / 4) / 7.0) < 1e-12);
}

/* Clipped counts: an n-gram matches as often as the other side has it. */
static void test_clipping(void **state)
{
    (void)state;
    glot_ngram_counts c;
    glot_ngram_scratch scratch = {0};
    uint32_t h[] = {1, 1, 1, 2}, r[] = {1, 1, 2, 2, 3};
    glot_codes hypothesis = {h, 4, 4}, reference = {r, 5, 5};
    assert_int_equal(glot_ngrams_match(&c, &scratch, &hypothesis, &reference, 1, NULL), GLOT_OK);
    assert_int_equal(c.hypothesis, 4);
    assert_int_equal(c.reference, 5);
    assert_int_equal(c.matches, 3);
    assert_int_equal(glot_ngrams_match(&c, &scratch, &hypothesis, &reference, 5, NULL), GLOT_OK);
    assert_int_equal(c.hypothesis, 0);
    assert_int_equal(c.reference, 1);
    assert_int_equal(c.matches, 0);
    glot_ngram_scratch_release(&scratch);
}

static void test_no_memory(void **state)
{
    (void)state;
    glot_status status = GLOT_NOMEM;
    for (uint64_t n = 1; status == GLOT_NOMEM && n < 200; n++) {
        glot_translation *t = NULL;
        glot_error err = {0};
        glot_heap_fail_after(n);
        status = glot_translation_create(&t, &err);
        if (status == GLOT_OK)
            status = glot_translation_add(t, "a b, c.", 7, "a b, d!", 7, &err);
        glot_heap_fail_after(0);
        glot_translation_free(t);
    }
    assert_int_equal(status, GLOT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_by_hand),
                                       cmocka_unit_test(test_clipping), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
