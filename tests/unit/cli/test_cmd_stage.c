/* test_cmd_stage.c: `glot train` and `glot review` from their own options: what they say reaches the job. */
#include "run_glot.h"
#include "unit/byte_model.h"

#include <math.h>

static const char *text_of(void **state, const char *language)
{
    static char words[2][600];
    static int next;
    static const char text[] = "one line of text\nand another one\nthe third is the last\n";
    char name[16], *word = words[next++ % 2];
    snprintf(name, sizeof name, "%s.txt", language);
    const char *path = in_folder(state, name);
    assert_int_equal(glot_file_write(path, text, sizeof text - 1, NULL), GLOT_OK);
    snprintf(word, 600, "%s=%s", language, path);
    return word;
}

/* An expanded model whose middle layer has no router, in "up". */
static int make_model(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    byte_model_save(in_folder(state, "m"));
    glot_run made = run_glot(state, "upcycle", in_folder(state, "m"), "--experts", "2,1,3", "--out", in_folder(state, "up"), "--quiet");
    assert_int_equal(made.exit_code, 0);
    run_release(&made);
    return 0;
}

/* Two steps of review with the options of the gate, into `out`. */
static glot_run review(void **state, const char *out, const char *layers, const char *form, const char *coef)
{
    return run_glot(state, "review", in_folder(state, "up"), "--text", text_of(state, "en"), text_of(state, "el"), "--old", "en", "--out",
                    in_folder(state, out), "--steps", "2", "--length", "8", "--batch", "2", "--gate-layers", layers, "--gate-form", form,
                    "--gate-coef", coef, "--lpr-coef", "0.25", "--quiet");
}

static void expect_gates(void **state, const char *layers, const char *form, const char *expected)
{
    glot_error err = {0};
    json_t *config = NULL, *gate = NULL;
    glot_run run = review(state, "run", layers, form, "0.5");
    if (run.exit_code != 0)
        fail_msg("exit code %d: %s", run.exit_code, run.err);
    run_release(&run);
    OK(glot_json_load_file(&config, in_folder(state, "run/model/config.json"), &err));
    OK(glot_json_load(&gate, expected, strlen(expected), "expected", &err));
    assert_true(json_equal(json_object_get(json_object_get(config, "glot"), "gate"), gate));
    json_decref(gate);
    json_decref(config);
}

static double real_of(const json_t *line, const char *key)
{
    assert_true(json_is_number(json_object_get(line, key)));
    return json_number_value(json_object_get(line, key));
}

/* The first step's loss is made with the coefficients that the options name. */
static void expect_loss_of_coefficients(void **state)
{
    glot_error err = {0};
    char *lines = NULL;
    size_t size = 0;
    json_t *line = NULL;
    OK(glot_file_read(&lines, &size, in_folder(state, "run/metrics.jsonl"), 1 << 20, &err));
    const char *review_line = strstr(lines, "{\"phase\": \"review\"");
    assert_non_null(review_line);
    OK(glot_json_load(&line, review_line, strcspn(review_line, "\n"), "metrics.jsonl", &err));
    double expected = real_of(line, "ce") + 0.25 * real_of(line, "lpr") + 0.5 * real_of(line, "gate");
    bool ok = fabs(real_of(line, "loss") - expected) <= 1e-6 && real_of(line, "gate") > 0.0;
    assert_true(ok);
    json_decref(line);
    glot_free(lines);
}

static void test_gate_list(void **state)
{
    expect_gates(state, "2,0", "sequence_sum", "{\"layers\": [0, 2], \"form\": \"sequence_sum\"}");
    expect_loss_of_coefficients(state);
}

static void test_one_gate(void **state)
{
    expect_gates(state, "[2]", "causal", "{\"layers\": [2], \"form\": \"causal\"}");
}

/* Of three layers only two have a router, so two are the most similar ones. */
static void test_number_of_gates(void **state)
{
    expect_gates(state, "2", "causal", "{\"layers\": [0, 2], \"form\": \"causal\"}");
}

static void expect_refused(glot_run run, int exit_code, const char *sentence)
{
    assert_int_equal(run.exit_code, exit_code);
    if (!run.err || !strstr(run.err, sentence))
        fail_msg("got '%s'", run.err ? run.err : "");
    run_release(&run);
}

static void test_bad_gates(void **state)
{
    expect_refused(review(state, "a", "1,2", "causal", "0.1"), 3, "layer 1 is to have a language gate, but has no router");
    expect_refused(review(state, "b", "7", "causal", "0.1"), 3, "7 layers are to have a language gate, but only 2 have a router");
    expect_refused(review(state, "c", "2", "mean", "0.1"), 2, "--gate-form is 'mean', ");
    expect_refused(review(state, "d", "2", "causal", "much"), 2, "--gate-coef is 'much', ");
}

/* `--device` and `--dtype` are as everywhere where a model runs; which language a text is in, --text says. */
static void test_model_options(void **state)
{
    const char *up = in_folder(state, "up"), *text = text_of(state, "el"), *run = in_folder(state, "d");
    expect_refused(run_glot(state, "train", up, "--text", text, "--out", run, "--language", "el"), 2, "--text names the language");
    expect_refused(run_glot(state, "train", up, "--text", text, "--out", run, "--device", "cuda"), 2, "--device asks for cuda");
    expect_refused(run_glot(state, "bench", "walk"), 2, "the argument WORK is 'walk', expected one of train|");
    assert_false(glot_path_exists(run));
    expect_refused(run_glot(state, "train", up, "--text", text, "--out", run, "--device", "cpu", "--dtype", "bf16", "--steps", "1",
                            "--length", "8", "--batch", "1", "--quiet"), 0, "");
}

static glot_run stage(void **state, const char *command, const char *model, const char *text, const char *old, const char *out)
{
    const char *args[24] = {command, in_folder(state, model), "--out", in_folder(state, out), "--steps", "1", "--length", "8", "--batch", "2",
                            "--quiet", "--text", text};
    size_t n = 13;
    if (old) {
        args[n++] = text_of(state, "en");
        args[n++] = "--old";
        args[n++] = old;
    }
    return run_glot_with(state, NULL, NULL, args);
}

/* A language is old or new as the model has it: trained ones are not old, and those of an earlier group are not new. */
static void test_groups_of_the_model(void **state)
{
    char sentence[700];
    glot_run run = stage(state, "train", "up", text_of(state, "el"), NULL, "t");
    assert_int_equal(run.exit_code, 0);
    run_release(&run);
    snprintf(sentence, sizeof sentence, "language 'el' is old, but it belongs to the newest language group 1 of '%s'", in_folder(state, "t/model"));
    expect_refused(stage(state, "review", "t/model", text_of(state, "el"), "en,el", "r"), 3, sentence);
    assert_false(glot_path_exists(in_folder(state, "r")));
    run = stage(state, "review", "t/model", text_of(state, "el"), "en", "r");
    assert_int_equal(run.exit_code, 0);
    run_release(&run);
    snprintf(sentence, sizeof sentence, "language 'en' is new, but it already belongs to language group 0 of '%s'", in_folder(state, "r/model"));
    expect_refused(stage(state, "train", "r/model", text_of(state, "en"), NULL, "n"), 3, sentence);
    assert_false(glot_path_exists(in_folder(state, "n")));
}

static bool has_exact_path(void **state, const char *model)
{
    glot_error err = {0};
    json_t *config = NULL;
    char path[64];
    snprintf(path, sizeof path, "%s/config.json", model);
    OK(glot_json_load_file(&config, in_folder(state, path), &err));
    bool has = json_object_get(json_object_get(config, "glot"), "exact") != NULL;
    json_decref(config);
    return has;
}

/* A review without --exact keeps the exact path that the model has; none takes it away. */
static void test_exact_path_is_kept(void **state)
{
    static const struct {
        const char *model, *out, *exact;
        bool expected;
    } rows[] = {{"up", "a", "tokens", true}, {"a/model", "b", NULL, true}, {"a/model", "c", "none", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        glot_run run = run_glot(state, "review", in_folder(state, rows[i].model), "--text", text_of(state, "en"), text_of(state, "el"), "--old",
                                "en", "--out", in_folder(state, rows[i].out), "--steps", "1", "--length", "8", "--batch", "2", "--quiet",
                                rows[i].exact ? "--exact" : NULL, rows[i].exact);
        char model[16];
        if (run.exit_code != 0)
            fail_msg("exit code %d: %s", run.exit_code, run.err);
        run_release(&run);
        snprintf(model, sizeof model, "%s/model", rows[i].out);
        assert_true(has_exact_path(state, model) == rows[i].expected);
    }
}

/* What is wrong is told by the option that was typed, not by the key of a recipe that nobody wrote. */
static void test_wrong_options(void **state)
{
    static const struct {
        const char *option, *value, *sentence;
    } cases[] = {{"--steps", "x", "--steps is 'x', expected a whole number from 1 to 1000000000000"},
                 {"--micro-batch", "-2", "--micro-batch is '-2', expected a whole number from 1 to 1048576"},
                 {"--gate-layers", "900", "--gate-layers is '900', expected a number of layers, or a list of layer numbers, from 0 to 512"},
                 {"--exact", "foo", "--exact is 'foo', expected none or tokens"}};
    const char *up = in_folder(state, "up"), *en = text_of(state, "en"), *out = in_folder(state, "w");
    char sentence[700];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_failure(run_glot(state, "review", up, "--text", en, "--old", "en", "--out", out, cases[i].option, cases[i].value), 2,
                       cases[i].sentence);
    expect_failure(run_glot(state, "review", up, "--text", en, "--old", "en", "--out", out, "--steps", "2"), 3,
                   "--length is 256, but the context of the base is 64");
    const char *missing = in_folder(state, "missing.txt");
    char word[600];
    snprintf(word, sizeof word, "el=%s", missing);
    expect_failure(run_glot(state, "train", up, "--text", en, "--out", out), 2, "--tokens is missing, expected it, or steps, or epochs");
    snprintf(sentence, sizeof sentence, "--text el names what cannot be used: '%s': no such file", missing);
    expect_failure(run_glot(state, "train", up, "--text", word, "--out", out, "--steps", "2"), 3, sentence);
    snprintf(sentence, sizeof sentence, "MODEL names '%s', which does not exist; expected a Hugging Face directory or a GGUF file", missing);
    expect_failure(run_glot(state, "train", missing, "--text", en, "--out", out, "--steps", "2"), 3, sentence);
}

/* Without valid text nothing is scored, and nothing says so. */
static void test_nothing_to_score(void **state)
{
    glot_run run = run_glot(state, "train", in_folder(state, "up"), "--text", text_of(state, "el"), "--out", in_folder(state, "t"), "--steps", "1", "--length",
                            "8", "--batch", "1");
    assert_int_equal(run.exit_code, 0);
    assert_non_null(strstr(run.err, "== train: "));
    assert_non_null(strstr(run.err, "  balance "));
    assert_null(strstr(run.err, "scoring every"));
    assert_null(strstr(run.err, "bits per byte"));
    assert_null(strstr(run.out, "bits per byte"));
    run_release(&run);
}

/* A dense model has no router: no balance; and no review: no column for it. */
static void test_dense_run(void **state)
{
    char recipe[2000], line[256];
    int n = snprintf(recipe, sizeof recipe, "base: m\noutput: d\nlanguages: {el: {group: new, train: %s, valid: %s}}\nexperts: {per_layer: 1}\n"
                     "train: {steps: 1, length: 8, batch: 1, trainable: all}\nreview: {tokens: 0}\n",
                     strchr(text_of(state, "el"), '=') + 1, strchr(text_of(state, "el"), '=') + 1);
    assert_int_equal(glot_file_write(in_folder(state, "r.yaml"), recipe, (size_t)n, NULL), GLOT_OK);
    glot_run run = run_glot(state, "expand", in_folder(state, "r.yaml"), "--threads", "1");
    assert_int_equal(run.exit_code, 0);
    assert_null(strstr(run.err, "balance"));
    snprintf(line, sizeof line, "%-10s %-6s %9s  %9s %6s  %13s  %13s\n", "language", "group", "before", "trained", "ratio", "95 % before", "95 % result");
    assert_non_null(strstr(run.out, line));
    run_release(&run);
}

int main(void)
{
#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, make_model, remove_folder)
    const struct CMUnitTest tests[] = {WITH_MODEL(test_gate_list), WITH_MODEL(test_one_gate), WITH_MODEL(test_number_of_gates),
                                       WITH_MODEL(test_bad_gates), WITH_MODEL(test_groups_of_the_model), WITH_MODEL(test_exact_path_is_kept), WITH_MODEL(test_model_options),
                                       WITH_MODEL(test_wrong_options), WITH_MODEL(test_nothing_to_score), WITH_MODEL(test_dense_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
