/* Code point classes, UTF-8, and NFC. */
#include "tokenizer_util.h"

static bool has(uint32_t code, enum glot_class bit)
{
    return (glot_class(code) & bit) != 0;
}

static void test_classes(void **state)
{
    (void)state;
    assert_true(has('a', GLOT_LETTER) && has('a', GLOT_WORD) && !has('a', GLOT_NUMBER));
    assert_true(has('7', GLOT_NUMBER) && has('7', GLOT_WORD) && !has('7', GLOT_LETTER));
    assert_true(has('_', GLOT_WORD) && !has('_', GLOT_LETTER));
    assert_true(has(0x915, GLOT_LETTER) && !has(0x93E, GLOT_LETTER) &&
                has(0x93E, GLOT_WORD));                           /* ka, vowel sign aa */
    assert_true(has(0xBD, GLOT_NUMBER) && !has(0xBD, GLOT_WORD)); /* one half */
    assert_true(has(0x85, GLOT_SPACE) && has(0x3000, GLOT_SPACE) && has('\v', GLOT_SPACE));
    assert_true(!has(0x200B, GLOT_SPACE) && !has(0x180E, GLOT_SPACE) && !has(0xFEFF, GLOT_SPACE));
    assert_true(has(0x24B6, GLOT_WORD) && !has(0x24B6, GLOT_LETTER)); /* circled A */
    assert_true(has(0x105C9, GLOT_LETTER));                           /* Todhri, Unicode 16 */
    assert_false(has(0x0, GLOT_LETTER | GLOT_NUMBER | GLOT_SPACE | GLOT_WORD));
    assert_false(has(GLOT_MAX_CODE, GLOT_LETTER | GLOT_NUMBER | GLOT_SPACE | GLOT_WORD));
}

/* The sizes of the sets: a table that lost or gained a code point is noticed. */
static void test_sizes_of_the_classes(void **state)
{
    (void)state;
    size_t letters = 0, numbers = 0, spaces = 0, words = 0, numeric = 0;
    for (uint32_t code = 0; code <= GLOT_MAX_CODE; code++) {
        letters += has(code, GLOT_LETTER);
        numbers += has(code, GLOT_NUMBER);
        spaces += has(code, GLOT_SPACE);
        words += has(code, GLOT_WORD);
        numeric += glot_is_numeric(code);
    }
    assert_int_equal(letters, 141028);
    assert_int_equal(numbers, 1911);
    assert_int_equal(spaces, 25);
    assert_int_equal(words, 144667);
    assert_int_equal(numeric, 1924);
}

static void test_utf8_both_ways(void **state)
{
    (void)state;
    for (uint32_t code = 1; code <= GLOT_MAX_CODE; code++) {
        char bytes[4];
        size_t before, after, n = glot_utf8_encode(bytes, code);
        assert_int_equal(glot_utf8_decode(bytes, &after), code);
        assert_int_equal(after, n);
        assert_int_equal(glot_utf8_decode_before(bytes, n, &before), code);
        assert_int_equal(before, n);
    }
}

static void assert_nfc(glot_nfc_scratch *s, const char *text, size_t size, const char *expected,
                       size_t n_expected)
{
    const char *out;
    size_t n;
    assert_int_equal(glot_nfc(s, text, size, &out, &n, NULL), GLOT_OK);
    assert_int_equal(n, n_expected);
    assert_memory_equal(out, expected, n);
}

static void test_nfc_against_tokenizers(void **state)
{
    (void)state;
    json_t *pairs = load_golden("nfc.json");
    glot_nfc_scratch s = {0};
    assert_true(json_array_size(pairs) > 200);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *from = json_array_get(json_array_get(pairs, i), 0),
                     *to = json_array_get(json_array_get(pairs, i), 1);
        assert_nfc(&s, json_string_value(from), json_string_length(from), json_string_value(to),
                   json_string_length(to));
        assert_nfc(&s, json_string_value(to), json_string_length(to), json_string_value(to),
                   json_string_length(to));
    }
    glot_nfc_scratch_release(&s);
    json_decref(pairs);
}

/* Every Hangul syllable from its parts. */
static void test_hangul(void **state)
{
    (void)state;
    glot_nfc_scratch s = {0};
    for (uint32_t code = 0xAC00; code < 0xAC00 + 11172; code++) {
        char parts[12], whole[4];
        uint32_t index = code - 0xAC00;
        size_t n = glot_utf8_encode(parts, 0x1100 + index / 588);
        n += glot_utf8_encode(parts + n, 0x1161 + index / 28 % 21);
        if (index % 28)
            n += glot_utf8_encode(parts + n, 0x11A7 + index % 28);
        assert_nfc(&s, parts, n, whole, glot_utf8_encode(whole, code));
    }
    glot_nfc_scratch_release(&s);
}

static void test_normal_text_is_not_copied(void **state)
{
    (void)state;
    static const char *const normal[] = {"plain",  "caf\u00e9",    "\u0391\u03ac", "\u0928\u0926\u094d\u0926",
                                         "\uac01", "q\u0323\u0307" /* marks in order, nothing composes */};
    glot_nfc_scratch s = {0};
    for (size_t i = 0; i < 5; i++) {
        const char *out;
        size_t n;
        assert_int_equal(glot_nfc(&s, normal[i], strlen(normal[i]), &out, &n, NULL), GLOT_OK);
        assert_ptr_equal(out, normal[i]);
    }
    assert_nfc(&s, normal[5], strlen(normal[5]), normal[5], strlen(normal[5]));
    assert_nfc(&s, "", 0, "", 0);
    glot_nfc_scratch_release(&s);
}

/* A mark of the same class between a letter and its accent keeps them apart; one of another class does not.
 */
static void test_blocked_marks(void **state)
{
    (void)state;
    glot_nfc_scratch s = {0};
    const char blocked[] = "e\u030d\u0301", free[] = "e\u0316\u0301", composed[] = "\u00e9\u0316";
    assert_nfc(&s, blocked, strlen(blocked), blocked, strlen(blocked));
    assert_nfc(&s, free, strlen(free), composed, strlen(composed));
    glot_nfc_scratch_release(&s);
}

/* Characters that came after Unicode 9 neither move nor compose: the tables of tokenizers end there. */
static void test_later_characters_stay(void **state)
{
    (void)state;
    glot_nfc_scratch s = {0};
    const char pair[] = "\U00011935\U00011930", mark[] = "a\u1df6\u0316";
    assert_nfc(&s, pair, strlen(pair), pair, strlen(pair));
    assert_nfc(&s, mark, strlen(mark), mark, strlen(mark));
    glot_nfc_scratch_release(&s);
}

/* Four million marks behind one letter: sorted, and not in millions times millions of steps. */
static void test_long_run_of_marks(void **state)
{
    (void)state;
    enum { N = 2000000 };
    char *text = malloc(1 + 4 * N), *expected = malloc(1 + 4 * N);
    assert_true(text && expected);
    text[0] = expected[0] = 'x';
    for (size_t i = 0; i < N; i++) {
        memcpy(text + 1 + 4 * i, "\u0301\u0316", 4); /* class 230, then 220 */
        memcpy(expected + 1 + 2 * i, "\u0316", 2);
        memcpy(expected + 1 + 2 * N + 2 * i, "\u0301", 2);
    }
    glot_nfc_scratch s = {0};
    assert_nfc(&s, text, 1 + 4 * N, expected, 1 + 4 * N);
    glot_nfc_scratch_release(&s);
    free(text);
    free(expected);
}

/* NFC of an NFC is itself, and NFC does not change between two texts set apart by a stable character. */
static void test_nfc_properties(void **state)
{
    (void)state;
    static char text[4 * 60], joined[2 * 4 * 60 + 64], once[8 * 4 * 60];
    glot_rng rng = glot_rng_seed(7, 0);
    glot_nfc_scratch s = {0};
    for (int i = 0; i < 5000; i++) {
        size_t size = random_text(&rng, text, 1 + glot_rng_below(&rng, 60)), n;
        const char *out;
        assert_int_equal(glot_nfc(&s, text, size, &out, &n, NULL), GLOT_OK);
        memcpy(once, out, n);
        assert_nfc(&s, once, n, once, n);
        memcpy(joined, text, size);
        joined[size] = '\n';
        memcpy(joined + size + 1, text, size);
        memmove(once + n + 1, once, n);
        once[n] = '\n';
        assert_nfc(&s, joined, 2 * size + 1, once, 2 * n + 1);
    }
    glot_nfc_scratch_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_sizes_of_the_classes),
        cmocka_unit_test(test_utf8_both_ways),
        cmocka_unit_test(test_nfc_against_tokenizers),
        cmocka_unit_test(test_hangul),
        cmocka_unit_test(test_normal_text_is_not_copied),
        cmocka_unit_test(test_blocked_marks),
        cmocka_unit_test(test_later_characters_stay),
        cmocka_unit_test(test_long_run_of_marks),
        cmocka_unit_test(test_nfc_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
