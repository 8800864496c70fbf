/* test_bootstrap.c: the interval against what theory says of a mean, and of documents that leave no doubt. */
#include "eval/bootstrap.h"
#include "base/rng.h"
#include "unit/tiny_model.h"

#include <math.h>

enum { N = 400 };
static glot_error err;

/* Documents of 100 bytes each with independent scores: sum of nll / ln 2 / bytes is their mean, and its 95 %
 * interval is that of a mean, 1.96 standard errors each way. 1,000 resamples know the ends to about 5 % of
 * the width. */
static void test_of_a_mean(void **state)
{
    (void)state;
    static glot_document_score documents[N];
    glot_rng rng = glot_rng_seed(3, 1);
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < N; i++) {
        double bits = 1.5 + 0.3 * glot_rng_normal(&rng);
        documents[i] = (glot_document_score){bits * log(2.0) * 100.0, 100};
        sum += bits;
        squares += bits * bits;
    }
    double mean = sum / N, half = 1.96 * sqrt((squares / N - mean * mean) / N);
    glot_interval found, again;
    OK(glot_bootstrap_bits_per_byte(&found, documents, N, &err));
    bool ok =
        fabs(found.low - (mean - half)) <= 0.15 * half && fabs(found.high - (mean + half)) <= 0.15 * half;
    if (!ok)
        fail_msg("%g to %g, expected about %g to %g", found.low, found.high, mean - half, mean + half);
    OK(glot_bootstrap_bits_per_byte(&again, documents, N, &err));
    assert_memory_equal(&found, &again, sizeof found);
}

/* Long documents weigh more: bytes are summed, not scores. */
static void test_of_unequal_documents(void **state)
{
    (void)state;
    const glot_document_score documents[] = {
        {log(2.0) * 1e6, 1000000}, {log(2.0) * 1e6, 1000000}, {log(2.0) * 50.0, 10}};
    glot_interval found;
    OK(glot_bootstrap_bits_per_byte(&found, documents, 3, &err));
    assert_true(fabs(found.low - 1.0) <= 1e-12); /* most draws hold a long one, and those have 1 bit */
    assert_true(found.high < 5.1);
}

static void test_no_doubt(void **state)
{
    (void)state;
    const glot_document_score alike[] = {{log(2.0) * 30.0, 20}, {log(2.0) * 30.0, 20}, {log(2.0) * 30.0, 20}};
    glot_interval found;
    OK(glot_bootstrap_bits_per_byte(&found, alike, 3, &err));
    assert_true(fabs(found.low - 1.5) <= 1e-12 && found.low == found.high);
    for (size_t n = 0; n < 2; n++) {
        OK(glot_bootstrap_bits_per_byte(&found, alike, n, &err));
        assert_true(isnan(found.low) && isnan(found.high));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_mean),
        cmocka_unit_test(test_of_unequal_documents),
        cmocka_unit_test(test_no_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
