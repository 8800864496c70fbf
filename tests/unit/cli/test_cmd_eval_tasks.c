/* test_cmd_eval_tasks.c: `glot eval --tasks`: scores and samples of a small model, and the prompts alone. */
#include "run_glot.h"

#define MODEL GLOT_SOURCE_DIR "/tests/golden/eval/tasks"
#define TASK MODEL "/tiny.jsonl"

static const char *put(void **state, const char *name, const char *text)
{
    const char *path = in_folder(state, name);
    assert_int_equal(glot_file_write(path, text, strlen(text), NULL), GLOT_OK);
    return path;
}

/* Each line of samples has an item's log likelihoods; the largest is the one picked. */
static void test_scores(void **state)
{
    const char *samples = in_folder(state, "samples");
    json_t *found = json_of(run_glot(state, "eval", MODEL, "--tasks", TASK, "--samples", samples, "--json"));
    assert_int_equal(int_at(json_object_get(json_object_get(found, "tasks"), "tiny"), "items"), 9);
    json_decref(found);
    char *lines = NULL;
    size_t size, n = 0;
    assert_int_equal(glot_file_read(&lines, &size, samples, 1 << 20, NULL), GLOT_OK);
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        json_t *sample = NULL;
        assert_int_equal(glot_json_load(&sample, line, (size_t)(end - line), "samples", NULL), GLOT_OK);
        const json_t *sums = json_object_get(sample, "loglikelihoods");
        double best = json_real_value(json_array_get(sums, (size_t)int_at(sample, "picked")));
        for (size_t i = 0; i < json_array_size(sums); i++)
            assert_true(best >= json_real_value(json_array_get(sums, i)));
        json_decref(sample);
    }
    assert_int_equal(n, 9);
    glot_free(lines);
}

static void test_prompts(void **state)
{
    const char *task = put(state, "mine.jsonl",
                           "{\"id\": 7, \"query\": \"Who? \", \"choices\": [\"I\", \"you\"], \"gold\": 1}\n"
                           "{\"id\": 8, \"query\": \"\", \"choices\": [\"a\", \"b\"], \"gold\": 0}\n");
    glot_run run = run_glot(state, "eval", "--tasks", task, "--prompts");
    assert_string_equal(run.out,
                        "{\"id\": 7, \"requests\": [[\"Who?\", \" I\"], [\"Who?\", \" you\"]], \"gold\": 1}\n"
                        "{\"id\": 8, \"requests\": [[\"\", \" a\"], [\"\", \" b\"]], \"gold\": 0}\n");
    run_release(&run);
    run = run_glot(state, "eval", "--tasks", task, "--prompts", "--examples", task, "--shots", "1");
    assert_string_equal(
        run.out,
        "{\"id\": 7, \"requests\": [[\" a\\n\\nWho?\", \" I\"], [\" a\\n\\nWho?\", \" you\"]], \"gold\": 1}\n"
        "{\"id\": 8, \"requests\": [[\"Who? you\", \"\\n\\n a\"], [\"Who? you\", \"\\n\\n b\"]], \"gold\": "
        "0}\n");
    run_release(&run);
    expect_failure(run_glot(state, "eval", MODEL, "--tasks", task, "--prompts"), 2,
                   "--prompts goes with --tasks, without MODEL, --text and --translate");
    expect_failure(run_glot(state, "eval", "--prompts"), 2,
                   "--prompts goes with --tasks, without MODEL, --text and --translate");
    expect_failure(run_glot(state, "eval", "--tasks", task, task, "--prompts", "--shots", "1"), 2,
                   "--shots N and --examples FILE go together");
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(test_scores), IN_FOLDER(test_prompts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
