/* test_layerwise.c: layers of different size as a user meets them: the plan before and after similarity is known, what experts.for does, and
 * models with plain layers (E = 1) and with K > E, at once and token by token. */
#include "byte_folder.h"

/* A base "m", text, and "recipe.yaml" that leaves the layout to similarity. */
static int make_recipe(void **state)
{
    if (make_model(state) != 0)
        return -1;
    put(state, "en.txt", "one old line of text\nand another one of them\nthe third is the last\n");
    put(state, "el.txt", "one new line of 0123\nand another 45 line\nthe third 678 is last\n");
    put(state, "recipe.yaml",
        "base: m\noutput: run\nlanguages:\n  en: {group: old, train: en.txt, valid: en.txt}\n  el: {group: new, train: el.txt, valid: el.txt}\n"
        "experts: {allocation: layerwise, new_total: 4}\n"
        "train: {steps: 1, batch: 1, length: 8}\nreview: {steps: 1, batch: 2, length: 8}\n");
    return 0;
}

/* ---- plans ---- */

static void test_plan(void **state)
{
    const char *recipe = in_folder(state, "recipe.yaml");
    json_t *open = json_of(run_glot(state, "plan", recipe, "--json"));
    json_t *uniform = json_of(run_glot(state, "plan", recipe, "--set", "experts={per_layer: 3}", "--json")), *experts = json_pack("[i, i, i]", 3, 3, 3);
    assert_true(json_is_true(json_object_get(open, "is_layout_open")));
    assert_true(json_is_null(json_object_get(open, "experts")));
    assert_true(json_is_false(json_object_get(uniform, "is_layout_open")));
    assert_true(json_equal(json_object_get(uniform, "experts"), experts));
    /* as many parameters as the budget allows: 4 experts, and 7 - 3 + 3 router rows */
    assert_int_equal(int_at(open, "new_parameters"), 4 * 3 * 24 * 37 + 7 * 24);
    json_decref(experts);
    json_decref(uniform);
    json_decref(open);
    glot_run run = run_glot(state, "plan", recipe);
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.out, "layout     decided after similarity has been measured; the numbers are for all that the budget allows\n"));
    run_release(&run);
    run = run_glot(state, "plan", recipe, "--set", "experts={per_layer: 3}");
    assert_null(strstr(run.out, "layout"));
    run_release(&run);
}

static json_t *results_of(void **state)
{
    glot_error err = {0};
    json_t *results = NULL;
    OK(glot_json_load_file(&results, in_folder(state, "run/results.json"), &err));
    return results;
}

/* "1 2 3" out of [1, 2, 3]. */
static void spell(glot_str *out, const json_t *counts)
{
    for (size_t i = 0; i < json_array_size(counts); i++)
        glot_str_printf(out, "%s%d", i ? " " : "", (int)json_integer_value(json_array_get(counts, i)));
}

/* A job tells the layout as soon as it knows it. */
static void test_job_tells_layout(void **state)
{
    glot_str line = {0};
    glot_run run = run_glot(state, "expand", in_folder(state, "recipe.yaml"));
    if (run.exit_code != 0)
        fail_msg("exit code %d: %s", run.exit_code, run.err);
    json_t *results = results_of(state);
    glot_str_puts(&line, "\nlayout     by similarity, experts of each layer: ");
    spell(&line, json_object_get(results, "experts"));
    glot_str_puts(&line, "\n");
    const char *open = strstr(run.err, "\nlayout     decided after similarity"), *known = strstr(run.err, line.data);
    assert_true(open && known && open < known);
    assert_true(json_equal(json_object_get(json_object_get(results, "allocation"), "experts"), json_object_get(results, "experts")));
    assert_null(json_object_get(json_object_get(results, "allocation"), "asked"));
    json_decref(results);
    glot_str_release(&line);
    run_release(&run);
}

/* experts.for: the layout that the format holds, and in plan and results what similarity asked for. */
static void test_job_for_a_format(void **state)
{
    glot_str line = {0};
    glot_run run = run_glot(state, "expand", in_folder(state, "recipe.yaml"), "--set", "experts.for=mixtral");
    if (run.exit_code != 0)
        fail_msg("exit code %d: %s", run.exit_code, run.err);
    json_t *results = results_of(state), *experts = json_pack("[i, i, i]", 2, 2, 2);
    const json_t *allocation = json_object_get(results, "allocation");
    assert_true(json_equal(json_object_get(results, "experts"), experts));
    assert_string_equal(text_at(allocation, "for"), "mixtral");
    assert_int_equal(int_at(allocation, "new"), 3);
    glot_str_puts(&line, "layout     by similarity, experts of each layer: 2 2 2\n"
                         "           mixtral holds one count of experts for all layers; similarity alone would give ");
    spell(&line, json_object_get(allocation, "asked"));
    glot_str_puts(&line, "\n");
    assert_non_null(strstr(run.err, line.data));
    json_decref(experts);
    json_decref(results);
    glot_str_release(&line);
    run_release(&run);
}

/* ---- models ---- */

/* An expanded model "up" whose new experts and routers are random, so that it matters where a token goes. */
static const char *upcycle(void **state, const char *experts, const char *top_k)
{
    const char *out = in_folder(state, "up");
    if (glot_path_exists(out))
        assert_int_equal(glot_dir_remove(out, NULL), GLOT_OK);
    glot_run made = run_glot(state, "upcycle", in_folder(state, "m"), "--experts", experts, "--top-k", top_k, "--init", "random", "--out", out, "--quiet");
    if (made.exit_code != 0)
        fail_msg("%s", made.err);
    run_release(&made);
    return out;
}

/* The last row of `logits` for the first n of `ids` is row n - 1 of that for all of them, every digit. */
static void check_logits(void **state, const char *model)
{
    static const char *const ids[] = {"256", "97", "98", "32", "48", "97"};
    glot_str words = {0};
    json_t *prefix[6], *last;
    for (size_t n = 0; n < 6; n++) {
        glot_str_printf(&words, "%s%s", n ? " " : "", ids[n]);
        prefix[n] = json_of(run_glot(state, "logits", model, "--ids", words.data, "--all", "--json"));
    }
    last = json_object_get(prefix[5], "logp");
    for (size_t n = 0; n < 6; n++)
        assert_true(json_equal(json_array_get(json_object_get(prefix[n], "logp"), n), json_array_get(last, n)));
    for (size_t n = 0; n < 6; n++)
        json_decref(prefix[n]);
    glot_str_release(&words);
}

/* Greedy generation takes the likeliest id of `logits` each time, with its log p. */
static void check_generated(void **state, const char *model)
{
    glot_str all = {0};
    json_t *o = json_of(run_glot(state, "generate", model, "--prompt", "ab", "--max-tokens", "6", "--json"));
    const json_t *ids = json_object_get(o, "ids"), *values = json_object_get(o, "logp");
    assert_int_equal(json_array_size(ids), 6);
    glot_str_puts(&all, "97 98 ");
    spell(&all, ids);
    json_t *top = json_of(run_glot(state, "logits", model, "--ids", all.data, "--top", "1", "--json"));
    for (size_t i = 0; i < 6; i++) {
        const json_t *best_id = json_array_get(json_array_get(json_object_get(top, "top_ids"), i + 1), 0);
        const json_t *best = json_array_get(json_array_get(json_object_get(top, "top_logp"), i + 1), 0);
        assert_true(json_equal(json_array_get(ids, i), best_id) && json_equal(json_array_get(values, i), best));
    }
    glot_str_release(&all);
    json_decref(top);
    json_decref(o);
}

static json_t *score(void **state, const char *model, const char *threads, bool is_token_by_token)
{
    char word[600];
    snprintf(word, sizeof word, "en=%s", in_folder(state, "en.txt"));
    return json_of(run_glot(state, "eval", model, "--text", word, "--threads", threads, "--json", "--quiet",
                            is_token_by_token ? "--token-by-token" : NULL));
}

/* The same score to the last digit, at once and token by token, with any number of threads. */
static void check_scores(void **state, const char *model)
{
    static const char *const threads[] = {"1", "2", "8"};
    json_t *first = score(state, model, "1", false);
    for (size_t i = 0; i < 6; i++) {
        json_t *other = score(state, model, threads[i / 2], i % 2);
        assert_true(json_equal(json_object_get(other, "text"), json_object_get(first, "text")));
        json_decref(other);
    }
    json_decref(first);
}

static void test_layers_agree(void **state)
{
    static const struct {
        const char *experts, *top_k;
    } rows[] = {{"1,4,2", "3"}, {"1,1,2", "2"}, {"3,1,1", "1"}, {"2,2,2", "3"}};
    json_t *dense = score(state, in_folder(state, "m"), "1", false);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *model = upcycle(state, rows[i].experts, rows[i].top_k);
        json_t *expanded = score(state, model, "1", false);
        assert_false(json_equal(json_object_get(expanded, "text"), json_object_get(dense, "text"))); /* the new experts are used */
        json_decref(expanded);
        check_logits(state, model);
        check_generated(state, model);
        check_scores(state, model);
    }
    json_decref(dense);
}

/* A model whose frozen weights are not those that its config.json records is not grown. */
static void test_changed_model(void **state)
{
    const char *model = upcycle(state, "2,1,2", "2"), *weights = in_folder(state, "up/model.safetensors"), *out = in_folder(state, "again");
    char *bytes = NULL, sentence[700];
    size_t size = 0;
    glot_run run = run_glot(state, "upcycle", model, "--experts", "3", "--out", in_folder(state, "whole"), "--quiet");
    assert_int_equal(run.exit_code, 0);
    run_release(&run);
    assert_int_equal(glot_file_read(&bytes, &size, weights, 1 << 24, NULL), GLOT_OK);
    bytes[size - 1] ^= 1; /* the final norm */
    assert_int_equal(glot_file_write(weights, bytes, size, NULL), GLOT_OK);
    glot_free(bytes);
    run = run_glot(state, "upcycle", model, "--experts", "3", "--out", out, "--quiet");
    snprintf(sentence, sizeof sentence, "error: '%s': the weights of language group 0 have SHA-256 ", model);
    assert_int_equal(run.exit_code, 3);
    assert_int_equal(strncmp(run.err, sentence, strlen(sentence)), 0);
    assert_false(glot_path_exists(out));
    run_release(&run);
}

int main(void)
{
#define WITH_RECIPE(test) cmocka_unit_test_setup_teardown(test, make_recipe, remove_folder)
    const struct CMUnitTest tests[] = {WITH_RECIPE(test_plan), WITH_RECIPE(test_job_tells_layout), WITH_RECIPE(test_job_for_a_format),
                                       WITH_RECIPE(test_layers_agree), WITH_RECIPE(test_changed_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
