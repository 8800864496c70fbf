/* test_cmd_eval_tasks.c: `glot eval MODEL --tasks`: scores and samples are those of the golden answers, files that
 * are wrong are refused before anything is scored; the prompts alone. */
#include "run_glot.h"

#include <math.h>

#define TASKS GLOT_SOURCE_DIR "/tests/golden/eval/tasks"

static const char ITEMS[] = "{\"id\": 1, \"query\": \"a\", \"choices\": [\"b\", \"c\"], \"gold\": 1}\n"
                            "{\"id\": 2, \"query\": \"a\", \"choices\": [\"b\", \"c\", \"d e\"], \"gold\": 0}\n";

static double number_at(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* A line of --samples for each item, with the log likelihoods of the harness. */
static void check_samples(const char *path, const json_t *expected)
{
    char *lines = NULL;
    size_t size, n = 0;
    assert_int_equal(glot_file_read(&lines, &size, path, 1 << 20, NULL), GLOT_OK);
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        json_t *sample = NULL;
        const json_t *theirs = json_array_get(json_object_get(expected, "loglikelihoods"), n);
        assert_int_equal(glot_json_load(&sample, line, (size_t)(end - line), "samples", NULL), GLOT_OK);
        const json_t *ours = json_object_get(sample, "loglikelihoods");
        assert_string_equal(glot_json_text(sample, "task"), "tiny");
        assert_non_null(json_object_get(sample, "id"));
        assert_int_equal(json_array_size(ours), json_array_size(theirs));
        for (size_t i = 0; i < json_array_size(ours); i++) {
            double difference = json_number_value(json_array_get(ours, i)) - json_number_value(json_array_get(theirs, i));
            assert_true(fabs(difference) <= 1e-3);
        }
        json_decref(sample);
    }
    assert_int_equal(n, json_array_size(json_object_get(expected, "loglikelihoods")));
    glot_free(lines);
}

static void test_scores(void **state)
{
    const char *samples = in_folder(state, "samples"), *more = put(state, "more.jsonl", ITEMS);
    json_t *expected = NULL;
    assert_int_equal(glot_json_load_file(&expected, TASKS "/tiny.expected.json", NULL), GLOT_OK);
    json_t *found =
        json_of(run_glot(state, "eval", TASKS, "--tasks", TASKS "/tiny.jsonl", "--samples", samples, "--json"));
    const json_t *tiny = json_object_get(json_object_get(found, "tasks"), "tiny"),
                 *theirs = json_object_get(expected, "scores");
    assert_int_equal(int_at(tiny, "items"), 9);
    assert_true(fabs(number_at(tiny, "acc") - number_at(theirs, "acc")) <= 1e-12);
    assert_true(fabs(number_at(tiny, "acc_norm") - number_at(theirs, "acc_norm")) <= 1e-12);
    assert_true(fabs(number_at(tiny, "acc_stderr") - number_at(theirs, "acc_stderr")) <= 1e-12);
    check_samples(samples, expected);
    glot_run run = run_glot(state, "eval", TASKS, "--tasks", TASKS "/tiny.jsonl", more, "--limit", "1", "--quiet");
    assert_non_null(strstr(run.out, "task"));
    assert_non_null(strstr(run.out, "\ntiny "));
    assert_non_null(strstr(run.out, "\nmore "));
    run_release(&run);
    json_decref(found);
    json_decref(expected);
}

/* Lines as Windows ends them, a byte order mark and blank lines change nothing. */
static void test_other_line_ends(void **state)
{
    glot_str text = {0};
    glot_str_puts(&text, "\xEF\xBB\xBF");
    for (const char *c = ITEMS; *c; c++)
        glot_str_printf(&text, "%s%c", *c == '\n' ? " \r" : "", *c);
    glot_str_puts(&text, "\r\n \t\r\n");
    const char *plain = put(state, "items.jsonl", ITEMS);
    assert_int_equal(glot_dir_make(in_folder(state, "other"), NULL), GLOT_OK);
    const char *other = put(state, "other/items.jsonl", text.data);
    json_t *a = json_of(run_glot(state, "eval", TASKS, "--tasks", plain, "--json")),
           *b = json_of(run_glot(state, "eval", TASKS, "--tasks", other, "--json"));
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    glot_str_release(&text);
}

/* Nothing is printed before the sentence: no score of the text that was asked for too, no progress. */
static void test_refusals(void **state)
{
    char sentence[1200], word[600];
    assert_int_equal(glot_dir_make(in_folder(state, "again"), NULL), GLOT_OK);
    const char *items = put(state, "items.jsonl", ITEMS), *empty = put(state, "empty.jsonl", "\n\r\n"),
               *missing = in_folder(state, "missing.jsonl"), *again = put(state, "again/items.jsonl", ITEMS);
    snprintf(word, sizeof word, "en=%s", put(state, "a.txt", "some text\n"));
    snprintf(sentence, sizeof sentence, "cannot open '%s': no such file or directory", missing);
    expect_failure(run_glot(state, "eval", TASKS, "--text", word, "--tasks", items, missing), 3, sentence);
    snprintf(sentence, sizeof sentence, "'%s' has no items", empty);
    expect_failure(run_glot(state, "eval", TASKS, "--text", word, "--tasks", empty), 3, sentence);
    snprintf(sentence, sizeof sentence, "'%s': another file of --tasks is named 'items' too", again);
    expect_failure(run_glot(state, "eval", TASKS, "--tasks", items, again), 2, sentence);
    expect_failure(run_glot(state, "eval", TASKS, "--tasks", items, "--shots", "1"), 2,
                   "--shots N and --examples FILE go together");
    snprintf(sentence, sizeof sentence,
             "'%s' has 1 example for item 1 (an item is never its own), expected the 2 of 'shots'", items);
    expect_failure(run_glot(state, "eval", TASKS, "--tasks", items, "--examples", items, "--shots", "2"), 3, sentence);
    snprintf(word, sizeof word, "el=%s", in_folder(state, "missing.txt"));
    snprintf(sentence, sizeof sentence, "'%s': no such file", word + 3);
    const char *here = put(state, "b.txt", "some text\n");
    char first[600];
    snprintf(first, sizeof first, "en=%s", here);
    expect_failure(run_glot(state, "eval", TASKS, "--text", first, word), 3, sentence);
}

/* An option of something that is not asked for. */
static void test_useless_options(void **state)
{
    static const char *const given[][3] = {{"--length", "8", "--text"}, {"--max-tokens", "8", "--text"}, {"--text-key", "a", "--text"},
                                           {"--skip-bad-lines", NULL, "--text"}, {"--token-by-token", NULL, "--text"},
                                           {"--beams", "4", "--translate"}, {"--max-new-tokens", "8", "--translate"}};
    static const char *const of_items[][3] = {{"--template", "boolq", "--tasks"}, {"--examples", "x", "--tasks"},
                                              {"--limit", "1", "--tasks or --translate"}, {"--shots", "1", "--tasks or --translate"},
                                              {"--samples", "x", "--tasks or --translate"}};
    char sentence[200], text[600];
    const char *items = put(state, "items.jsonl", ITEMS);
    snprintf(text, sizeof text, "en=%s", put(state, "a.txt", "some text\n"));
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        snprintf(sentence, sizeof sentence, "%s goes with %s", given[i][0], given[i][2]);
        expect_failure(run_glot(state, "eval", TASKS, "--tasks", items, given[i][0], given[i][1]), 2, sentence);
    }
    for (size_t i = 0; i < sizeof of_items / sizeof *of_items; i++) {
        snprintf(sentence, sizeof sentence, "%s goes with %s", of_items[i][0], of_items[i][2]);
        expect_failure(run_glot(state, "eval", TASKS, "--text", text, of_items[i][0], of_items[i][1]), 2, sentence);
    }
    expect_failure(run_glot(state, "eval", "--hypotheses", items, "--references", items, "--limit", "1"), 2,
                   "--limit goes with --tasks or --translate");
}

/* Before anything is scored; and to see it leaves no file behind, nor changes the one that is there. */
static void test_place_of_samples(void **state)
{
    char *kept = NULL, **names = NULL, sentence[1200];
    size_t size, n_before, n_after;
    const char *items = put(state, "items.jsonl", ITEMS), *nowhere = in_folder(state, "no/samples"),
               *there = put(state, "samples", "as it was\n"), *no_model = in_folder(state, "no-model");
    snprintf(sentence, sizeof sentence, "cannot create '%s': its folder does not exist", nowhere);
    expect_failure(run_glot(state, "eval", TASKS, "--tasks", items, "--samples", nowhere), 1, sentence);
    assert_int_equal(glot_dir_list(&names, &n_before, *state, NULL), GLOT_OK);
    glot_dir_list_free(names, n_before);
    for (int i = 0; i < 2; i++) {
        glot_run run = run_glot(state, "eval", no_model, "--tasks", items, "--samples", i ? there : in_folder(state, "new"));
        assert_int_not_equal(run.exit_code, 0);
        run_release(&run);
    }
    assert_int_equal(glot_dir_list(&names, &n_after, *state, NULL), GLOT_OK);
    glot_dir_list_free(names, n_after);
    assert_int_equal(n_after, n_before);
    assert_int_equal(glot_file_read(&kept, &size, there, 100, NULL), GLOT_OK);
    assert_string_equal(kept, "as it was\n");
    glot_free(kept);
}

/* A choice that does not fit is named with its file and item. */
static void test_too_long(void **state)
{
    char sentence[1200];
    glot_str text = {0};
    glot_str_puts(&text, "{\"id\": \"big\", \"query\": \"a\", \"choices\": [\"b\", \"");
    for (int i = 0; i < 257; i++)
        glot_str_puts(&text, "\\u0001");
    glot_str_puts(&text, "\"], \"gold\": 0}\n");
    const char *path = put(state, "long.jsonl", text.data);
    glot_run run = run_glot(state, "eval", TASKS, "--tasks", path, "--quiet");
    snprintf(sentence, sizeof sentence, "error: '%s': item \"big\": a choice of ", path);
    assert_memory_equal(run.err, sentence, strlen(sentence));
    assert_non_null(strstr(run.err, " tokens does not fit the context of 256\n"));
    assert_int_equal(run.exit_code, 3);
    run_release(&run);
    glot_str_release(&text);
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
    expect_failure(run_glot(state, "eval", TASKS, "--tasks", task, "--prompts"), 2,
                   "--prompts goes with --tasks, without MODEL, --text, --translate and --samples");
    expect_failure(run_glot(state, "eval", "--prompts"), 2,
                   "--prompts goes with --tasks, without MODEL, --text, --translate and --samples");
    expect_failure(run_glot(state, "eval", "--tasks", task, "--prompts", "--shots", "1"), 2,
                   "--shots N and --examples FILE go together");
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(test_scores), IN_FOLDER(test_other_line_ends), IN_FOLDER(test_refusals), IN_FOLDER(test_useless_options), IN_FOLDER(test_place_of_samples), IN_FOLDER(test_too_long), IN_FOLDER(test_prompts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
