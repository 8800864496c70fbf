/* Ids and decoded texts of small tokenizers of every kind, against those of Hugging Face tokenizers. */
#include "tokenizer_util.h"

#include "base/log.h"

static const char *const names[] = {"gpt2", "llama3", "qwen2", "sentencepiece"};
enum { N_NAMES = sizeof names / sizeof names[0] };

static void assert_golden_ids(glot_encoder *e, const json_t *text, const json_t *ids, const char *what)
{
    int32_t expected[2048];
    size_t n = json_array_size(ids);
    assert_true(n <= 2048);
    for (size_t i = 0; i < n; i++)
        expected[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    assert_ids(e, json_string_value(text), json_string_length(text), expected, n, what);
}

/* What HF decodes has U+FFFD where bytes are no UTF-8: those texts are left to the round trips. */
static bool has_replacement(const char *text)
{
    return strstr(text, "\xEF\xBF\xBD") != NULL;
}

static void assert_decoded(const glot_tokenizer *t, const json_t *ids, const char *expected, size_t size,
                           const char *what)
{
    int32_t list[2048];
    glot_str out = {0};
    for (size_t i = 0; i < json_array_size(ids); i++)
        list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    assert_int_equal(glot_decode(t, list, json_array_size(ids), false, true, &out, NULL), GLOT_OK);
    if (out.length != size || (size && memcmp(out.data, expected, size) != 0))
        fail_msg("%s: decoded to '%s', expected '%s'", what, out.data ? out.data : "", expected);
    glot_str_release(&out);
}

/* All texts through one tokenizer; `golden` holds ids and decoded. */
static void check(const glot_tokenizer *t, const json_t *texts, const json_t *golden, const char *what)
{
    glot_encoder *e = new_encoder(t);
    size_t n_decoded = 0;
    assert_int_equal(json_array_size(texts), json_array_size(json_object_get(golden, "ids")));
    for (int round = 0; round < 2; round++) /* the second time from the cache */
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const json_t *text = json_array_get(texts, i),
                         *ids = json_array_get(json_object_get(golden, "ids"), i);
            char index[24];
            snprintf(index, sizeof index, "%zu", i);
            assert_golden_ids(e, text, ids, what);
            const json_t *other = json_object_get(json_object_get(golden, "decoded"), index);
            const json_t *decoded = other ? other : text;
            if (has_replacement(json_string_value(decoded)))
                continue;
            assert_decoded(t, ids, json_string_value(decoded), json_string_length(decoded), what);
            n_decoded++;
        }
    assert_true(n_decoded > 0);
    glot_encoder_free(e);
}

static void test_ids_and_texts_of_every_kind(void **state)
{
    (void)state;
    json_t *texts = load_golden("texts.json");
    assert_true(json_array_size(texts) >= 300);
    for (size_t i = 0; i < N_NAMES; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.json", names[i]);
        json_t *golden = load_golden(file);
        glot_tokenizer *t = open_golden(names[i]);
        check(t, texts, golden, names[i]);
        glot_tokenizer_close(t);
        json_decref(golden);
    }
    json_decref(texts);
}

/* The tokenizer.json of `base` with the variant's keys. */
static json_t *patched(const json_t *variant)
{
    glot_tokenizer *t = open_golden(json_string_value(json_object_get(variant, "base")));
    char *text;
    size_t size;
    assert_int_equal(glot_tokenizer_json(t, &text, &size, NULL), GLOT_OK);
    json_t *root = json_loadb(text, size, 0, NULL), *patch = json_object_get(variant, "patch"), *value;
    glot_free(text);
    glot_tokenizer_close(t);
    assert_non_null(root);
    const char *key;
    json_object_foreach(patch, key, value)
    {
        if (strcmp(key, "model") == 0)
            assert_int_equal(json_object_update(json_object_get(root, "model"), value), 0);
        else
            assert_int_equal(json_object_set(root, key, value), 0);
    }
    json_array_extend(json_object_get(root, "added_tokens"), json_object_get(variant, "added_tokens"));
    return root;
}

static void count_warning(void *user, glot_log_level level, const char *message)
{
    (void)message;
    *(size_t *)user += level == GLOT_LOG_WARNING;
}

static void test_ids_of_variants(void **state)
{
    (void)state;
    size_t n_warnings = 0;
    json_t *variants = load_golden("variants.json.gz");
    glot_log_set_sink(count_warning, &n_warnings);
    assert_true(json_array_size(variants) > 40);
    for (size_t i = 0; i < json_array_size(variants); i++) {
        const json_t *variant = json_array_get(variants, i);
        json_t *root = patched(variant);
        glot_tokenizer *t = parse_json(root);
        char what[64];
        snprintf(what, sizeof what, "variant %zu", i);
        check(t, json_object_get(variant, "texts"), variant, what);
        glot_tokenizer_close(t);
        json_decref(root);
    }
    assert_int_equal(n_warnings, 12); /* the patterns that PCRE2 runs */
    glot_log_set_sink(NULL, NULL);
    json_decref(variants);
}

/* Decoding gives back the text: all of it for GPT-2 and Llama 3, its NFC for Qwen. */
static void test_round_trip_of_random_text(void **state)
{
    (void)state;
    static char text[4 * 200];
    for (size_t k = 0; k < 3; k++) {
        glot_tokenizer *t = open_golden(names[k]);
        glot_encoder *e = new_encoder(t);
        glot_rng rng = glot_rng_seed(5, k);
        glot_nfc_scratch scratch = {0};
        for (int i = 0; i < 3000; i++) {
            const char *expected = text;
            size_t size = random_text(&rng, text, 1 + glot_rng_below(&rng, 200)), n, n_expected = size;
            const int32_t *ids;
            glot_str out = {0};
            assert_int_equal(glot_encode(e, text, size, &ids, &n, NULL), GLOT_OK);
            assert_int_equal(glot_decode(t, ids, n, false, true, &out, NULL), GLOT_OK);
            if (strcmp(names[k], "qwen2") == 0)
                assert_int_equal(glot_nfc(&scratch, text, size, &expected, &n_expected, NULL), GLOT_OK);
            assert_int_equal(out.length, n_expected);
            assert_memory_equal(out.data, expected, n_expected);
            glot_str_release(&out);
        }
        glot_nfc_scratch_release(&scratch);
        glot_encoder_free(e);
        glot_tokenizer_close(t);
    }
}

/* A stream of ids, decoded a few at a time, gives what all at once give. */
static void test_decoding_in_pieces(void **state)
{
    (void)state;
    json_t *texts = load_golden("texts.json");
    glot_rng rng = glot_rng_seed(6, 0);
    for (size_t k = 0; k < N_NAMES; k++) {
        glot_tokenizer *t = open_golden(names[k]);
        glot_encoder *e = new_encoder(t);
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const json_t *text = json_array_get(texts, i);
            const int32_t *ids;
            size_t n;
            glot_str whole = {0}, parts = {0};
            assert_int_equal(
                glot_encode(e, json_string_value(text), json_string_length(text), &ids, &n, NULL), GLOT_OK);
            assert_int_equal(glot_decode(t, ids, n, true, true, &whole, NULL), GLOT_OK);
            /* The start is the first id that is not skipped. */
            size_t at = 0;
            while (at < n && glot_tokenizer_is_special(t, ids[at]))
                at++;
            for (size_t take, first = at; at < n; at += take) {
                take = 1 + glot_rng_below(&rng, 4);
                take = take < n - at ? take : n - at;
                assert_int_equal(glot_decode(t, ids + at, take, true, at == first, &parts, NULL), GLOT_OK);
            }
            assert_int_equal(whole.length, parts.length);
            if (whole.length)
                assert_memory_equal(whole.data, parts.data, whole.length);
            glot_str_release(&whole);
            glot_str_release(&parts);
        }
        glot_encoder_free(e);
        glot_tokenizer_close(t);
    }
    json_decref(texts);
}

static void test_specials_are_skipped(void **state)
{
    (void)state;
    glot_tokenizer *t = open_golden("sentencepiece");
    glot_encoder *e = new_encoder(t);
    const char text[] = "<s>The river</s>";
    const int32_t *ids;
    size_t n;
    glot_str with = {0}, without = {0};
    assert_int_equal(glot_encode(e, text, strlen(text), &ids, &n, NULL), GLOT_OK);
    assert_int_equal(ids[0], 1);
    assert_int_equal(glot_decode(t, ids, n, false, true, &with, NULL), GLOT_OK);
    assert_int_equal(glot_decode(t, ids, n, true, true, &without, NULL), GLOT_OK);
    assert_string_equal(with.data, "<s> The river</s>");
    assert_string_equal(without.data, "The river");
    int32_t unknown[] = {-1, 1 << 30, glot_tokenizer_id(t, "er")};
    glot_str_reset(&with);
    assert_int_equal(glot_decode(t, unknown, 3, true, false, &with, NULL), GLOT_OK);
    assert_string_equal(with.data, "er");
    glot_str_release(&with);
    glot_str_release(&without);
    glot_encoder_free(e);
    glot_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_and_texts_of_every_kind), cmocka_unit_test(test_ids_of_variants),
        cmocka_unit_test(test_round_trip_of_random_text),   cmocka_unit_test(test_decoding_in_pieces),
        cmocka_unit_test(test_specials_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
