/* test_bench_decode.c: the bytes of active weights, counted by hand; generation uses no heap. */
#include "bench/bench_decode.h"
#include "unit/tiny_model.h"

/* Numbers of the tiny model (tied embedding): those of its matrices outside the FFNs and the embedding, of one FFN, of its norms. */
enum {
    ATTENTION = TINY_LAYERS * (2 * 24 * 24 + 2 * 8 * 24),
    FFN = TINY_LAYERS * 3 * 37 * 24,
    HEAD = TINY_VOCAB * 24,
    NORMS = TINY_LAYERS * 2 * 24 + 24
};

static void check(glot_dtype weights, int n_experts, int top_k, double active_bytes)
{
    glot_error err = {0};
    glot_backend *be;
    glot_bench_decode_result r;
    glot_bench_decode_options o = {.n_experts = n_experts, .top_k = top_k, .length = 3, .steps = 1, .seed = 1};
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    glot_model *m = tiny_dense(be, 1);
    OK(glot_model_store_as(m, weights, &err));
    OK(glot_bench_decode(&r, m, &o, NULL, &err));
    assert_true(r.active_bytes == active_bytes);
    assert_true(r.times.best > 0 && r.times.best <= r.times.median);
    assert_int_equal(r.times.heap_calls, 0);
    glot_model_close(m);
    glot_backend_close(be);
}

static void test_active_bytes(void **state)
{
    (void)state;
    check(GLOT_F32, 1, 1, 4.0 * (ATTENTION + FFN + HEAD + NORMS));
    check(GLOT_BF16, 1, 1, 2.0 * (ATTENTION + FFN + HEAD) + 4.0 * NORMS);
    check(GLOT_BF16, 4, 2, 2.0 * (ATTENTION + 2 * FFN + HEAD) + 4.0 * (NORMS + TINY_LAYERS * 4 * 24)); /* routers are float32 */
}

/* More tokens than the context holds are refused, and so are more steps than are kept. */
static void test_limits(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be;
    glot_bench_decode_result r;
    glot_bench_decode_options o = {.n_experts = 1, .top_k = 1, .length = 60, .steps = 1, .seed = 1};
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model *m = tiny_dense(be, 1);
    assert_int_equal(glot_bench_decode(&r, m, &o, NULL, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "76 tokens"));
    glot_model_close(m);
    glot_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_active_bytes), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
