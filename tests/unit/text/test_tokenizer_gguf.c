/* A tokenizer from GGUF metadata gives the ids of the tokenizer it was made from, and so does the
 * tokenizer.json written for it. */
#include "tokenizer_util.h"

#include "base/log.h"

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6 };

/* The type that llama.cpp's converter would give. */
static int32_t type_of(const glot_tokenizer *t, int32_t id)
{
    const char *text = glot_tokenizer_token(t, id);
    if (id == t->bpe.unk_id)
        return UNKNOWN;
    if (t->vocabulary.entries[id].added)
        return glot_tokenizer_is_special(t, id) ? CONTROL : USER_DEFINED;
    return t->bpe.byte_fallback && strncmp(text, "<0x", 3) == 0 && strlen(text) == 6 ? BYTE : NORMAL;
}

static void put_tokens(gguf_file *f, const glot_tokenizer *t)
{
    int32_t n = glot_tokenizer_size(t);
    put_gguf_array(f, "tokenizer.ggml.tokens", GGUF_STRING, (uint64_t)n);
    for (int32_t id = 0; id < n; id++)
        put_gguf_string(&f->pairs, glot_tokenizer_token(t, id));
    put_gguf_array(f, "tokenizer.ggml.token_type", GGUF_INT32, (uint64_t)n);
    for (int32_t id = 0; id < n; id++) {
        int32_t type = type_of(t, id);
        glot_str_append(&f->pairs, &type, sizeof type);
    }
}

static void put_merges(gguf_file *f, const glot_tokenizer *t)
{
    const glot_merge_table *merges = &t->bpe.merges;
    put_gguf_array(f, "tokenizer.ggml.merges", GGUF_STRING, merges->n);
    for (size_t i = 0; i < merges->n; i++) {
        char merge[512];
        snprintf(merge, sizeof merge, "%s %s", glot_tokenizer_token(t, merges->merges[i].left),
                 glot_tokenizer_token(t, merges->merges[i].right));
        put_gguf_string(&f->pairs, merge);
    }
}

static void put_scores(gguf_file *f, const glot_tokenizer *t)
{
    int32_t n = glot_tokenizer_size(t);
    put_gguf_array(f, "tokenizer.ggml.scores", GGUF_FLOAT32, (uint64_t)n);
    for (int32_t id = 0; id < n; id++) {
        float score = id < 259 ? 0.0f : (float)(259 - id);
        glot_str_append(&f->pairs, &score, sizeof score);
    }
}

static glot_tokenizer *open_or_fail(gguf_file *f)
{
    glot_error err = {0};
    glot_tokenizer *t = NULL;
    if (open_gguf_file(f, &t, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    return t;
}

/* Both tokenizers on every golden text and on random ones. */
static void assert_same_ids(const glot_tokenizer *original, const glot_tokenizer *t, const char *what)
{
    static char random[4 * 200];
    glot_encoder *a = new_encoder(original), *b = new_encoder(t);
    json_t *texts = load_golden("texts.json");
    glot_rng rng = glot_rng_seed(12, 0);
    for (size_t i = 0; i < json_array_size(texts) + 1000; i++) {
        const json_t *golden = json_array_get(texts, i);
        const char *text = golden ? json_string_value(golden) : random;
        size_t size = golden ? json_string_length(golden)
                             : random_text(&rng, random, 1 + glot_rng_below(&rng, 200)),
               n;
        const int32_t *ids;
        assert_int_equal(glot_encode(a, text, size, &ids, &n, NULL), GLOT_OK);
        assert_ids(b, text, size, ids, n, what);
    }
    json_decref(texts);
    glot_encoder_free(a);
    glot_encoder_free(b);
}

/* What is written for the tokenizer reads back as the same one. */
static void assert_written(const glot_tokenizer *original, const glot_tokenizer *t)
{
    glot_error err = {0};
    glot_tokenizer *again = NULL;
    char *json;
    size_t size;
    assert_int_equal(glot_tokenizer_json(t, &json, &size, NULL), GLOT_OK);
    if (glot_tokenizer_parse(&again, json, size, "written.json", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_string_equal(glot_tokenizer_hash(t), glot_tokenizer_hash(again));
    assert_int_equal(glot_tokenizer_adds_bos(t), glot_tokenizer_adds_bos(again));
    assert_same_ids(original, again, "written");
    const int32_t ids[] = {0, 1, 300, 301, 302, 700};
    glot_str from = {0}, to = {0};
    assert_int_equal(glot_decode(t, ids, 6, true, true, &from, NULL), GLOT_OK);
    assert_int_equal(glot_decode(again, ids, 6, true, true, &to, NULL), GLOT_OK);
    assert_string_equal(from.data, to.data);
    glot_str_release(&from);
    glot_str_release(&to);
    glot_free(json);
    glot_tokenizer_close(again);
}

static void check_byte_level(const glot_tokenizer *original, const char *pre, bool adds_bos)
{
    gguf_file f = {0};
    put_gguf_text(&f, "tokenizer.ggml.model", "gpt2");
    if (pre)
        put_gguf_text(&f, "tokenizer.ggml.pre", pre);
    put_tokens(&f, original);
    put_merges(&f, original);
    put_gguf_int(&f, "tokenizer.ggml.bos_token_id", 0);
    put_gguf_int(&f, "tokenizer.ggml.eos_token_id", 1);
    glot_tokenizer *t = open_or_fail(&f);
    assert_int_equal(glot_tokenizer_bos(t), 0);
    assert_int_equal(glot_tokenizer_eos(t), 1);
    assert_int_equal(glot_tokenizer_adds_bos(t), adds_bos);
    assert_same_ids(original, t, pre ? pre : "no pre");
    assert_written(original, t);
    glot_tokenizer_close(t);
}

static void test_byte_level(void **state)
{
    (void)state;
    glot_tokenizer *gpt2 = open_golden("gpt2"), *llama3 = open_golden("llama3"),
                   *qwen2 = open_golden("qwen2");
    check_byte_level(gpt2, "gpt-2", false);
    check_byte_level(gpt2, "default", false);
    check_byte_level(gpt2, NULL, false);
    check_byte_level(llama3, "llama-bpe", true);
    check_byte_level(llama3, "llama3", true);
    check_byte_level(qwen2, "qwen2", false);
    glot_tokenizer_close(gpt2);
    glot_tokenizer_close(llama3);
    glot_tokenizer_close(qwen2);
}

static void test_smollm_splits_every_digit(void **state)
{
    (void)state;
    glot_tokenizer *gpt2 = open_golden("gpt2");
    char *text;
    size_t size;
    assert_int_equal(glot_tokenizer_json(gpt2, &text, &size, NULL), GLOT_OK);
    json_t *root = json_loadb(text, size, 0, NULL);
    json_t *digits = json_pack("{s:s, s:[{s:s, s:b}, O]}", "type", "Sequence", "pretokenizers", "type",
                               "Digits", "individual_digits", 1, json_object_get(root, "pre_tokenizer"));
    assert_int_equal(json_object_set_new(root, "pre_tokenizer", digits), 0);
    glot_tokenizer *smollm = parse_json(root);
    check_byte_level(smollm, "smollm", false);
    json_decref(root);
    glot_free(text);
    glot_tokenizer_close(smollm);
    glot_tokenizer_close(gpt2);
}

static void put_sentencepiece(gguf_file *f, const glot_tokenizer *t)
{
    put_gguf_text(f, "tokenizer.ggml.model", "llama");
    put_tokens(f, t);
    put_scores(f, t);
    put_gguf_int(f, "tokenizer.ggml.bos_token_id", 1);
    put_gguf_int(f, "tokenizer.ggml.eos_token_id", 2);
    put_gguf_int(f, "tokenizer.ggml.unknown_token_id", 0);
}

static void test_sentencepiece(void **state)
{
    (void)state;
    glot_tokenizer *original = open_golden("sentencepiece");
    gguf_file f = {0};
    put_sentencepiece(&f, original);
    glot_tokenizer *t = open_or_fail(&f);
    assert_true(glot_tokenizer_adds_bos(t));
    assert_string_equal(glot_tokenizer_hash(t), glot_tokenizer_hash(original));
    assert_same_ids(original, t, "sentencepiece");
    assert_written(original, t);
    glot_tokenizer_close(t);
    put_sentencepiece(&f, original);
    put_gguf_bool(&f, "tokenizer.ggml.add_bos_token", false);
    put_gguf_bool(&f, "tokenizer.ggml.add_space_prefix", false);
    t = open_or_fail(&f);
    assert_false(glot_tokenizer_adds_bos(t));
    assert_int_equal(t->normalizer.n, 1);
    glot_tokenizer_close(t);
    glot_tokenizer_close(original);
}

/* --- what is refused --- */

typedef struct bad_gguf {
    const char *model, *pre, *second_token, *merge;
    int32_t n_types, type, n_scores, eos, bos;
    bool remove_spaces;
    glot_status status;
    const char *sentence;
} bad_gguf;

/* Two tokens "a" and "b" (or another), unless the case says otherwise. */
static void put_bad(gguf_file *f, const bad_gguf *c)
{
    put_gguf_text(f, "tokenizer.ggml.model", c->model);
    if (c->pre)
        put_gguf_text(f, "tokenizer.ggml.pre", c->pre);
    if (c->second_token) {
        put_gguf_array(f, "tokenizer.ggml.tokens", GGUF_STRING, 2);
        put_gguf_string(&f->pairs, "a");
        put_gguf_string(&f->pairs, c->second_token);
    }
    if (c->merge) {
        put_gguf_array(f, "tokenizer.ggml.merges", GGUF_STRING, 1);
        put_gguf_string(&f->pairs, c->merge);
    }
    put_gguf_array(f, "tokenizer.ggml.token_type", GGUF_INT32, (uint64_t)c->n_types);
    for (int32_t i = 0; i < c->n_types; i++)
        glot_str_append(&f->pairs, &c->type, sizeof c->type);
    put_gguf_array(f, "tokenizer.ggml.scores", GGUF_FLOAT32, (uint64_t)c->n_scores);
    const float score = c->n_scores == 2 && c->type == NORMAL ? __builtin_nanf("") : 0.0f;
    for (int32_t i = 0; i < c->n_scores; i++)
        glot_str_append(&f->pairs, &score, sizeof score);
    put_gguf_int(f, "tokenizer.ggml.eos_token_id", c->eos);
    put_gguf_int(f, "tokenizer.ggml.bos_token_id", c->bos);
    put_gguf_bool(f, "tokenizer.ggml.remove_extra_whitespaces", c->remove_spaces);
}

static void test_bad_metadata(void **state)
{
    (void)state;
    static const bad_gguf cases[] = {
        {"bert", NULL, "b", NULL, 2, 1, 0, 0, 0, false, GLOT_UNSUPPORTED,
         "tokenizer.ggml.model is 'bert', expected gpt2 or llama"},
        {"gpt2", "tekken", "b", "a b", 2, 1, 0, 0, 0, false, GLOT_UNSUPPORTED,
         "tokenizer.ggml.pre is 'tekken', which is not supported"},
        {"gpt2", "gpt-2", NULL, "a b", 2, 1, 0, 0, 0, false, GLOT_BAD_FORMAT, "tokenizer.ggml.tokens"},
        {"gpt2", "gpt-2", "b", NULL, 2, 1, 0, 0, 0, false, GLOT_BAD_FORMAT, "tokenizer.ggml.merges"},
        {"gpt2", "gpt-2", "b", "ab", 2, 1, 0, 0, 0, false, GLOT_BAD_FORMAT,
         "merge 0 is 'ab', expected two pieces"},
        {"gpt2", "gpt-2", "b", "a b c", 2, 1, 0, 0, 0, false, GLOT_BAD_FORMAT,
         "merge 0 is 'a b c', expected two pieces"},
        {"gpt2", "gpt-2", "b", "a b", 2, 1, 0, 0, 0, false, GLOT_BAD_VALUE,
         "merge 0 names the piece 'ab', which is not"},
        {"gpt2", "gpt-2", "b", "a c", 2, 1, 0, 0, 0, false, GLOT_BAD_VALUE,
         "merge 0 names the piece 'c', which is not"},
        {"gpt2", "gpt-2", "aa", "a a", 3, 1, 0, 0, 0, false, GLOT_BAD_VALUE,
         "token_type has 3 elements, but there are 2 tokens"},
        {"gpt2", "gpt-2", "aa", "a a", 2, 7, 0, 0, 0, false, GLOT_BAD_VALUE,
         "the token with id 0 has type 7, expected 1 to 6"},
        {"gpt2", "gpt-2", "aa", "a a", 2, 1, 0, 2, 0, false, GLOT_BAD_VALUE,
         "eos_token_id is 2, but there are 2 tokens"},
        {"gpt2", "gpt-2", "aa", "a a", 2, 1, 0, 0, -1, false, GLOT_BAD_VALUE,
         "bos_token_id is -1, but there are 2 tokens"},
        {"gpt2", "gpt-2", "a", "a a", 2, 1, 0, 0, 0, false, GLOT_BAD_VALUE,
         "the token 'a' has two ids, 0 and 1"},
        {"gpt2", "gpt-2", "\xff", "a a", 2, 1, 0, 0, 0, false, GLOT_BAD_FORMAT,
         "the token with id 1 is not valid UTF-8"},
        {"llama", NULL, "b", NULL, 2, 3, 1, 0, 0, false, GLOT_BAD_VALUE,
         "scores has 1 elements, but there are 2 tokens"},
        {"llama", NULL, "b", NULL, 2, 1, 2, 0, 0, false, GLOT_BAD_VALUE,
         "the score of the token with id 0 is not a number"},
        {"llama", NULL, "b", NULL, 2, 3, 2, 0, 0, true, GLOT_UNSUPPORTED,
         "remove_extra_whitespaces is not supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gguf_file f = {0};
        glot_error err = {0};
        glot_tokenizer *t = NULL;
        put_bad(&f, &cases[i]);
        glot_status status = open_gguf_file(&f, &t, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].sentence) ||
            !strstr(err.message, "'test.gguf'"))
            fail_msg("case %zu: %s: %s", i, glot_status_name(status), err.message);
        assert_null(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_smollm_splits_every_digit),
        cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_bad_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
