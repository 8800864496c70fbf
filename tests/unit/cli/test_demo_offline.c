/* test_demo_offline.c: the base model of the repository (examples/paper/base) is the one that was trained, and the recipe of
 * `make demo-offline` runs with it: here a few steps of it. */
#include "run_glot.h"

#define BASE GLOT_SOURCE_DIR "/examples/paper/base/"

/* SHA256SUMS holds a line as sha256sum writes it: the digits, two blanks, the file's name. */
static void test_base_hash(void **state)
{
    (void)state;
    glot_error err = {0};
    char hex[65], expected[128];
    if (glot_sha256_file(hex, BASE "model.safetensors", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    snprintf(expected, sizeof expected, "%s  model.safetensors\n", hex);
    expect_content(BASE "SHA256SUMS", expected);
}

static void expect_scores(const json_t *results, const char *when)
{
    static const char *const languages[] = {"en", "es", "zh", "el", "hu", "tr"};
    const json_t *text = json_object_get(json_object_get(results, when), "text");
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        double bits = json_number_value(json_object_get(json_object_get(text, languages[i]), "bits_per_byte"));
        if (!(bits > 1.0 && bits < 5.0)) /* random weights need more than 5 */
            fail_msg("%s: %s has %g bits per byte", when, languages[i], bits);
    }
}

/* The finished run's scores come again, and it is said that nothing is computed; what differs is refused. */
static void expect_nothing_again(void **state, const char *output)
{
    char sentence[800];
    glot_run run = run_glot(state, "expand", GLOT_SOURCE_DIR "/examples/demo-offline.yaml", "--threads", "1", "--set", output, "--set", "train.tokens=2048", "--set",
                            "review.tokens=1024", "--set", "eval.max_tokens=200", "--set", "experts.similarity_tokens=200");
    snprintf(sentence, sizeof sentence, "the run in '%s' is finished, so nothing is done again (--fresh starts over)\n", in_folder(state, "run"));
    assert_int_equal(run.exit_code, 0);
    assert_string_equal(run.err, sentence);
    assert_non_null(strstr(run.out, "bits per byte"));
    run_release(&run);
}

/* What the plan counts is all that its peak is made of. */
static void test_plan_adds_up(void **state)
{
    static const char *const parts[] = {"mapped_bytes", "owned_bytes", "other_bytes"};
    static const char *const stage_parts[] = {"gradient_bytes", "moment_bytes", "activation_bytes"};
    glot_run text = run_glot(state, "plan", GLOT_SOURCE_DIR "/examples/demo-offline.yaml");
    assert_non_null(strstr(text.out, "MiB, the program itself 60.0 MiB\n"));
    run_release(&text);
    json_t *plan = json_of(run_glot(state, "plan", GLOT_SOURCE_DIR "/examples/demo-offline.yaml", "--json"));
    json_int_t sum = 0;
    for (size_t i = 0; i < 3; i++)
        sum += int_at(plan, parts[i]) + int_at(json_object_get(plan, "train"), stage_parts[i]);
    json_int_t batch = int_at(plan, "peak_memory_bytes") - sum; /* the ids of a batch are not told */
    assert_true(batch > 0 && batch < 1 << 20);
    json_decref(plan);
}

/* A stage cannot keep more checkpoints than it writes: 300 steps, one each 100 and the last. */
static void test_plan_of_kept_checkpoints(void **state)
{
    static const char *const keeps[] = {"train.keep=4", "train.keep=1000000"};
    json_int_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        json_t *plan = json_of(run_glot(state, "plan", GLOT_SOURCE_DIR "/examples/demo-offline.yaml", "--json", "--set", keeps[i], "--set",
                                        "train.steps=300", "--set", "train.checkpoint_every=100"));
        bytes[i] = int_at(plan, "disk_bytes");
        json_decref(plan);
    }
    assert_int_equal(bytes[0], bytes[1]);
}

static void test_demo_runs(void **state)
{
    char output[600];
    glot_error err = {0};
    json_t *results = NULL;
    snprintf(output, sizeof output, "output=%s", in_folder(state, "run"));
    glot_run run = run_glot(state, "expand", GLOT_SOURCE_DIR "/examples/demo-offline.yaml", "--quiet", "--threads", "1", "--set", output, "--set", "train.tokens=2048",
                            "--set", "review.tokens=1024", "--set", "eval.max_tokens=200", "--set", "experts.similarity_tokens=200");
    if (run.exit_code != 0)
        fail_msg("exit code %d: %s", run.exit_code, run.err);
    run_release(&run);
    if (glot_json_load_file(&results, in_folder(state, "run/results.json"), &err) != GLOT_OK)
        fail_msg("%s", err.message);
    expect_scores(results, "before");
    expect_scores(results, "after_review");
    json_decref(results);
    expect_nothing_again(state, output);
    assert_int_equal(access(in_folder(state, "run/report.html"), R_OK), 0);
    assert_int_equal(access(in_folder(state, "run/model/model.safetensors"), R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_base_hash), IN_FOLDER(test_plan_adds_up), IN_FOLDER(test_plan_of_kept_checkpoints),
                                       IN_FOLDER(test_demo_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
