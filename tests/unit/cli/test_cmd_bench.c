/* test_cmd_bench.c: what `glot bench` prints for other programs to read. (`bench tokenize`: test_cmd_tokenize.c.) */
#include "run_glot.h"

static double number_at(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_number(value))
        fail_msg("no number '%s'", key);
    return json_number_value(value);
}

/* One layer of the shape: 2 * 28,311,552 numbers of the tied head in 16 bits and the layer's. */
static void test_decode(void **state)
{
    json_t *r = json_of(run_glot(state, "bench", "decode", "--layers", "1", "--experts", "1", "--weights", "bf16", "--dtype", "bf16", "--length",
                                 "2", "--steps", "1", "--json"));
    assert_string_equal(text_at(r, "work"), "decode");
    assert_true(number_at(r, "tokens_per_s") > 0 && number_at(r, "best_tokens_per_s") >= number_at(r, "tokens_per_s"));
    assert_true(number_at(r, "bytes_per_token") == 2.0 * (49152 * 576 + 2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576) + 4.0 * 3 * 576);
    assert_true(number_at(r, "bytes_per_s") > 0 && number_at(r, "peak_bytes_per_s") > 0);
    assert_int_equal(int_at(r, "heap_calls"), 0);
    assert_true(number_at(json_object_get(r, "phases"), "logits_and_loss") > 0);
    json_decref(r);
}

static void test_forward(void **state)
{
    json_t *r = json_of(run_glot(state, "bench", "forward", "--layers", "1", "--experts", "2", "--batch", "1", "--length", "4", "--steps", "1",
                                 "--json"));
    assert_true(number_at(r, "flops_per_token") > 0 && number_at(r, "tokens_per_s") > 0);
    assert_true(number_at(r, "bytes_per_token") ==
                (49152 * 576 + 2 * 576 * 576 + 2 * 192 * 576 + 2 * 3 * 1536 * 576 + 2 * 576 + 3 * 576)); /* 4 bytes, of 4 tokens */
    json_decref(r);
}

/* The machine's limits, those of both types, and the phases: they add up to the fastest step. */
static void test_limits_and_phases(void **state)
{
    json_t *r = json_of(run_glot(state, "bench", "train", "--layers", "1", "--batch", "1", "--length", "4", "--steps", "1", "--json"));
    const char *limits[] = {"peak_float32_flops_per_s", "peak_bf16_flops_per_s", "product_flops_per_s", "peak_bytes_per_s"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        assert_true(number_at(r, limits[i]) > 0);
    assert_string_equal(text_at(r, "dtype"), "float32");
    assert_true(number_at(r, "peak_flops_per_s") == number_at(r, "peak_float32_flops_per_s"));
    const char *name;
    json_t *seconds;
    double sum = 0, step = 4 / number_at(r, "best_tokens_per_s");
    json_object_foreach(json_object_get(r, "phases"), name, seconds)
        sum += json_real_value(seconds);
    assert_true(sum > 0.999 * step && sum < 1.001 * step);
    json_decref(r);
}

/* Two layers with 4 experts, top-2, 4 tokens: the products of a step, counted by hand. */
static void expect_flops(void **state, const char *work, double down_of_first, double trained_experts)
{
    json_t *r = json_of(run_glot(state, "bench", work, "--layers", "2", "--batch", "1", "--length", "4", "--steps", "1", "--json"));
    const double attention = 2 * 576 * 576 + 2 * 192 * 576, expert = 3 * 1536 * 576, router = 4 * 576, head = 49152 * 576;
    const double layer = attention + 2 * expert + router, scores = 2 * 576; /* half of 4 keys, all heads */
    double forward = 2 * layer + head + 2 * 2 * scores;
    double to_inputs = layer + head + down_of_first * 1536 * 576 + 5 * scores; /* of the second layer's input */
    double to_weights = 2 * (trained_experts * expert + router);
    assert_true(number_at(r, "flops_per_token") == 2 * (forward + to_inputs + to_weights));
    json_decref(r);
}

/* Of 2 experts' share a token 1.5 go to new ones. In the first layer training needs what comes before `down`; the review does not. */
static void test_flops(void **state)
{
    expect_flops(state, "train", 2, 1.5);
    expect_flops(state, "review", 0, 0);
}

/* What would not fit is refused before it is made: 28 layers with 256 experts, weights, gradients and moments, are some 8 TB. */
static void test_refuses(void **state)
{
    glot_run run = run_glot(state, "bench", "train", "--shape", "llama-3.2-3b", "--experts", "256");
    assert_int_equal(run.exit_code, 1);
    assert_non_null(strstr(run.err, "error: the work needs "));
    assert_non_null(strstr(run.err, "fewer --layers or --experts need less\n"));
    run_release(&run);
    expect_failure(run_glot(state, "bench", "train", "--layers", "31"), 2, "smollm2-135m has 30 layers, 31 were asked for");
    expect_failure(run_glot(state, "bench", "forward", "--recompute"), 2, "--recompute is for bench train, review, not for bench forward");
    expect_failure(run_glot(state, "bench", "train", "--model", "m", "--shape", "llama-3.2-1b"), 2,
                   "--model has its own shape and weights: give either it or --shape and --weights");
}

/* Nine languages of one window: passes without logits, and what is said of them. */
static void test_similarity(void **state)
{
    json_t *r = json_of(run_glot(state, "bench", "similarity", "--layers", "1", "--experts", "1", "--batch", "1", "--length", "4", "--steps", "1",
                                 "--json"));
    double of_weights = 2.0 * (2 * 576 * 576 + 2 * 192 * 576 + 3 * 1536 * 576), flops = number_at(r, "flops_per_token");
    assert_true(flops >= of_weights && flops < 1.01 * of_weights);
    assert_true(number_at(r, "forward_ratio") > 0 && number_at(r, "tokens_per_s") > 0);
    json_decref(r);
}

static void test_products(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    print_message("[ skipped ] the products are of real sizes: too slow with sanitizers\n");
    (void)state;
    skip();
#else
    json_t *r = json_of(run_glot(state, "bench", "products", "--weights", "f16", "--json"));
    const json_t *first = json_array_get(json_object_get(r, "products"), 0);
    assert_string_equal(text_at(first, "op"), "linear");
    assert_int_equal(int_at(first, "m"), 1024);
    assert_true(number_at(first, "flops_per_s") > 0 && number_at(r, "peak_flops_per_s") > 0);
    json_decref(r);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(test_decode), IN_FOLDER(test_forward), IN_FOLDER(test_limits_and_phases), IN_FOLDER(test_flops), IN_FOLDER(test_refuses),
                                        IN_FOLDER(test_similarity), IN_FOLDER(test_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
