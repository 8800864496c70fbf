/* test_exact_path.c: the sequential test of METHOD 8 against sums done by hand. */
#include "model/exact.h"
#include "unit/tiny_model.h"

#include <math.h>

/* ids: 0 BOS, 1 EOS, 2 old, 3 new, 4 a little new */
static float evidence[] = {9.0f, 9.0f, -4.0f, 4.0f, 0.5f};
static const glot_exact_test plain = {.evidence = evidence, .vocab = 5, .threshold = 6.0};

static void assert_marks(const glot_exact_test *test, const int32_t *ids, size_t n, const char *expected)
{
    glot_exact_state at_once = {0}, one_by_one = {0};
    uint8_t marks[32], mark;
    glot_exact_mark(test, &at_once, ids, (int64_t)n, marks);
    for (size_t i = 0; i < n; i++) {
        glot_exact_mark(test, &one_by_one, ids + i, 1, &mark);
        assert_int_equal(marks[i], mark);
        assert_int_equal(marks[i], expected[i] == 'e');
    }
    assert_memory_equal(&at_once, &one_by_one, sizeof at_once);
}

static void test_leaves_before_the_token_that_decides(void **state)
{
    (void)state;
    assert_marks(&plain, (int32_t[]){3, 4, 4, 4, 4, 4}, 6, "eeeeen"); /* 4 4.5 5 5.5 6 (not more than A) 6.5 */
    assert_marks(&plain, (int32_t[]){3, 3, 2, 2, 2}, 5, "ennnn");      /* for good */
    assert_marks(&plain, (int32_t[]){2, 2, 2, 2, 3, 3, 3, 3}, 8, "eeeeeeen"); /* from the floor of -8: -4 0 4 8 */
    assert_marks(&plain, (int32_t[]){3}, 1, "e");
}

static void test_a_threshold_below_every_sum(void **state)
{
    (void)state;
    glot_exact_test all = plain, none = plain;
    all.threshold = 1e9;
    assert_marks(&all, (int32_t[]){3, 3, 3, 3}, 4, "eeee");
    none.threshold = -1.0;
    assert_marks(&none, (int32_t[]){2, 4, 2}, 3, "eee");
    assert_marks(&none, (int32_t[]){4, 2}, 2, "nn");
    assert_marks(&plain, (int32_t[]){5, -1, 3, 3}, 4, "eeen"); /* ids of no vocabulary are no evidence */
}

static glot_model *model_with(glot_backend *be, const float *values, double threshold)
{
    glot_error err = {0};
    glot_model *m = tiny_dense(be, 1);
    OK(glot_exact_set(m, values, threshold, &err));
    return m;
}

static void test_models_test(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    float values[TINY_VOCAB];
    for (int v = 0; v < TINY_VOCAB; v++)
        values[v] = 0.25f * (float)v;
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model *m = model_with(be, values, 3.5);
    values[TINY_VOCAB - 1] = -1.0f;
    OK(glot_exact_set(m, values, 4.5, &err)); /* in place of the first */
    glot_exact_test test;
    OK(glot_exact_test_init(&test, m, &err));
    assert_true(test.threshold == 4.5);
    assert_true(test.evidence[0] == 0.0f && test.evidence[1] == 0.0f); /* BOS, EOS */
    assert_memory_equal(test.evidence + 2, values + 2, sizeof values - 2 * sizeof *values);
    glot_exact_test_release(&test);
    values[7] = NAN;
    OK(glot_exact_set(m, values, 4.5, &err));
    assert_int_equal(glot_exact_test_init(&test, m, &err), GLOT_BAD_VALUE);
    assert_non_null(strstr(err.message, "'model.exact_evidence' holds nan at 7"));
    assert_null(test.evidence);
    glot_model_close(m);
    m = tiny_dense(be, 1);
    OK(glot_exact_test_init(&test, m, &err));
    assert_marks(&test, (int32_t[]){2, 3}, 2, "nn"); /* no test: nobody is on the exact path */
    glot_exact_test_release(&test);
    glot_model_close(m);
    glot_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_leaves_before_the_token_that_decides),
                                       cmocka_unit_test(test_a_threshold_below_every_sum), cmocka_unit_test(test_models_test)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
