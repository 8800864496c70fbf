/* test_cmd_eval_translation.c: `glot eval --hypotheses FILE --references FILE`. */
#include "run_glot.h"

static void test_scores(void **state)
{
    const char *h = put(state, "h", "a b c d e\r\nsame\n"), *r = put(state, "r", "a b c d e\nsame");
    json_t *scores = json_of(run_glot(state, "eval", "--hypotheses", h, "--references", r, "--json"));
    assert_int_equal(int_at(scores, "sentences"), 2);
    assert_true(json_real_value(json_object_get(scores, "bleu")) > 99.999);
    assert_true(json_real_value(json_object_get(scores, "chrf")) == 100.0);
    assert_true(json_real_value(json_object_get(scores, "chrf++")) == 100.0);
    json_decref(scores);
    glot_run run = run_glot(state, "eval", "--hypotheses", h, "--references", r);
    assert_string_equal(run.out, "BLEU 100.00   chrF 100.00   chrF++ 100.00   (2 sentences)\n");
    run_release(&run);
}

static void test_bad_input(void **state)
{
    char sentence[1024];
    const char *h = put(state, "h", "a\nb\n"), *r = put(state, "r", "a\n"), *empty = put(state, "empty", "");
    const char *bad = put(state, "bad", "a\nb\xff\n");
    snprintf(sentence, sizeof sentence, "'%s' has 1 lines and '%s' has more, expected as many", r, h);
    expect_failure(run_glot(state, "eval", "--hypotheses", h, "--references", r), 3, sentence);
    expect_failure(run_glot(state, "eval", "--hypotheses", r, "--references", h), 3, sentence);
    snprintf(sentence, sizeof sentence, "'%s' line 2: byte 2 begins no UTF-8 character", bad);
    expect_failure(run_glot(state, "eval", "--hypotheses", h, "--references", bad), 3, sentence);
    snprintf(sentence, sizeof sentence, "'%s' has no lines, expected sentences to score", empty);
    expect_failure(run_glot(state, "eval", "--hypotheses", empty, "--references", empty), 3, sentence);
    expect_failure(run_glot(state, "eval", "--hypotheses", h), 2, "--hypotheses needs --references beside it");
    expect_failure(run_glot(state, "eval", "model", "--hypotheses", h, "--references", h), 2,
                   "--hypotheses and --references score files alone, without MODEL, --text, --tasks and --translate");
    expect_failure(run_glot(state, "eval"), 2,
                   "expected MODEL with --text LANG=FILE, --tasks FILE or --translate, or --hypotheses FILE and --references FILE");
}

#define MODEL GLOT_SOURCE_DIR "/tests/golden/eval/tasks"

/* "English=PATH"; the caller frees. */
static char *word_of(const char *language, const char *path)
{
    glot_str word = {0};
    glot_str_printf(&word, "%s=%s", language, path);
    assert_false(word.failed);
    return word.data;
}

/* The first line is the example; the scores are those of the translations as files. */
static void test_by_a_model(void **state)
{
    const char *source = put(state, "s", "One\nThe sun.\nA kutya\n"), *target = put(state, "t", "Two\nO ilios.\nthe dog\n");
    const char *samples = in_folder(state, "samples");
    char *a = word_of("English", source), *b = word_of("Greek", target);
    json_t *found = json_of(run_glot(state, "eval", MODEL, "--translate", a, b, "--shots", "1", "--beams", "2", "--max-new-tokens", "8", "--samples", samples, "--json"));
    json_t *scores = json_object_get(json_object_get(found, "translation"), "English-Greek");
    assert_int_equal(int_at(scores, "sentences"), 2);
    char *lines = NULL;
    size_t size;
    glot_str hypotheses = {0};
    json_t *sample = NULL;
    assert_int_equal(glot_file_read(&lines, &size, samples, 1 << 20, NULL), GLOT_OK);
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
        assert_int_equal(glot_json_load(&sample, line, (size_t)(end - line), "samples", NULL), GLOT_OK);
        glot_str_printf(&hypotheses, "%s\n", json_string_value(json_object_get(sample, "hypothesis")));
        json_decref(sample);
    }
    const char *h = put(state, "h", hypotheses.data), *r = put(state, "r", "O ilios.\nthe dog\n");
    json_t *again = json_of(run_glot(state, "eval", "--hypotheses", h, "--references", r, "--json"));
    assert_true(json_equal(scores, again));
    expect_failure(run_glot(state, "eval", MODEL, "--translate", a), 2, "--translate takes two languages with a file each, SOURCE=FILE TARGET=FILE");
    expect_failure(run_glot(state, "eval", MODEL, "--translate", a, b, "--tasks", h), 2,
                   "--tasks and --translate each have their own --shots and --samples: one of them at a time");
    json_decref(again);
    json_decref(found);
    glot_str_release(&hypotheses);
    glot_free(lines);
    glot_free(a);
    glot_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(test_scores), IN_FOLDER(test_bad_input), IN_FOLDER(test_by_a_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
