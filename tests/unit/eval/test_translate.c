/* test_translate.c: a translation is the first line of what beam search writes behind the few-shot prompt. */
#include "eval/translate.h"
#include "unit/tiny_model.h"

#define MODEL GLOT_SOURCE_DIR "/tests/golden/eval/tasks"

enum { N_BEAMS = 3, MAX_TOKENS = 16 };

static glot_error err;
static glot_backend *be;
static glot_model *model;
static glot_tokenizer *tokenizer;
static const glot_sentence_pair examples[] = {{"A b.", "C d."}, {"One", "Two"}};

static int set_up(void **state)
{
    (void)state;
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    OK(glot_model_open(&model, be, MODEL, &err));
    OK(glot_tokenizer_open_model(&tokenizer, MODEL, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    glot_tokenizer_close(tokenizer);
    glot_model_close(model);
    glot_backend_close(be);
    return 0;
}

static glot_translate_options options_for(size_t n_examples, int64_t max_tokens)
{
    return (glot_translate_options){.source_language = "English",
                                    .target_language = "Greek",
                                    .examples = examples,
                                    .n_examples = n_examples,
                                    .n_beams = N_BEAMS,
                                    .max_tokens = max_tokens};
}

static glot_translator *start(const glot_translate_options *o)
{
    glot_translator *t = NULL;
    OK(glot_translator_create(&t, model, tokenizer, o, &err));
    return t;
}

static void expect_prompt(const glot_translated *found, const char *text)
{
    glot_encoder *encoder = NULL;
    const int32_t *ids;
    size_t n;
    OK(glot_encoder_create(&encoder, tokenizer, &err));
    OK(glot_encode(encoder, text, strlen(text), &ids, &n, &err));
    assert_int_equal(found->n_prompt, n);
    assert_memory_equal(found->prompt, ids, n * sizeof *ids);
    glot_encoder_free(encoder);
}

static void test_prompt(void **state)
{
    (void)state;
    glot_translate_options none = options_for(0, MAX_TOKENS), two = options_for(2, MAX_TOKENS);
    glot_translator *a = start(&none), *b = start(&two);
    glot_translated found;
    OK(glot_translate(&found, a, "The sun.", &err));
    expect_prompt(&found, "English: The sun.\nGreek:");
    OK(glot_translate(&found, b, "The sun.", &err));
    expect_prompt(&found,
                  "English: A b.\nGreek: C d.\n\nEnglish: One\nGreek: Two\n\nEnglish: The sun.\nGreek:");
    glot_translator_free(a);
    glot_translator_free(b);
}

/* The text is that of the ids up to the end of the line; a sentence has the same translation first and after
 * others, longer ones too. */
static void test_text(void **state)
{
    (void)state;
    static const char *const sentences[] = {
        "The sun.", "A kutya", "x",
        "rises in the east, and then it rises in the east, and then it rises again", "2 + 2"};
    glot_translate_options o = options_for(1, MAX_TOKENS);
    glot_translator *t = start(&o);
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        glot_translated found, again;
        glot_str text = {0}, kept = {0};
        OK(glot_translate(&found, t, sentences[i], &err));
        assert_true(found.beam.n >= 1 && found.beam.n <= MAX_TOKENS && found.size == strlen(found.text));
        assert_null(strchr(found.text, '\n'));
        OK(glot_decode(tokenizer, found.ids, (size_t)found.beam.n, true, false, &text, &err));
        glot_str_append(&text, "", 1);
        assert_int_equal(found.beam.is_stopped,
                         strchr(text.data, '\n') || found.ids[found.beam.n - 1] == model->config.eos_id);
        glot_str_append(&kept, found.text, found.size + 1);
        glot_translator *fresh = start(&o);
        OK(glot_translate(&again, fresh, sentences[i], &err));
        assert_string_equal(again.text, kept.data);
        glot_translator_free(fresh);
        glot_str_release(&text);
        glot_str_release(&kept);
    }
    glot_translator_free(t);
}

static void test_no_room(void **state)
{
    (void)state;
    glot_translate_options o = options_for(0, 250); /* of a context of 256 */
    glot_translator *t = start(&o);
    glot_translated found;
    assert_int_equal(glot_translate(&found, t, "A sentence that is too long for it", &err), GLOT_BAD_VALUE);
    assert_non_null(
        strstr(err.message, "and 250 to come do not fit the context of 256; fewer examples might"));
    glot_translator_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prompt), cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
