/* test_cmd_eval_translation.c: `glot eval --hypotheses FILE --references FILE`. */
#include "run_glot.h"

static const char *put(void **state, const char *name, const char *text)
{
    const char *path = in_folder(state, name);
    assert_int_equal(glot_file_write(path, text, strlen(text), NULL), GLOT_OK);
    return path;
}

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
                   "--hypotheses and --references score files alone, without MODEL, --text and --tasks");
    expect_failure(run_glot(state, "eval"), 2,
                   "expected MODEL with --text LANG=FILE or --tasks FILE, or --hypotheses FILE and --references FILE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {IN_FOLDER(test_scores), IN_FOLDER(test_bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
