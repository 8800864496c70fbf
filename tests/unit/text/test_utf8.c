/* test_utf8.c: validation against a definition by code points, and the words' white space. */
#include "text/utf8.h"
#include "text_util.h"

/* Bytes of the UTF-8 character at the front of s[0 .. n), or 0: reads the number that the bits spell and then
 * asks whether it may be spelled so. */
static size_t spelled(const uint8_t *s, size_t n)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (length <= 1)
        return length;
    if (length > n)
        return 0;
    uint32_t code = s[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    bool may = code >= smallest[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return may ? length : 0;
}

static size_t put_code_point(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF0 << (4 - n)) | c);
    return n;
}

static void check_bytes(const uint8_t *s, size_t n)
{
    size_t expected = 0;
    while (expected < n) {
        size_t step = spelled(s + expected, n - expected);
        if (!step)
            break;
        expected += step;
    }
    if (glot_utf8_valid_prefix((const char *)s, n) != expected)
        fail_msg("%02x %02x %02x %02x: %zu of %zu bytes, expected %zu", s[0], s[1], s[2], s[3],
                 glot_utf8_valid_prefix((const char *)s, n), n, expected);
}

static void test_short_sequences(void **state)
{
    (void)state;
    static const uint8_t later[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                    0xA0, 0xBF, 0xC0, 0xC3, 0xE2, 0xFF};
    uint8_t s[4];
    for (unsigned pair = 0; pair < 65536; pair++)
        for (size_t i = 0; i < sizeof later; i++)
            for (size_t k = 0; k < sizeof later; k++) {
                s[0] = (uint8_t)(pair >> 8);
                s[1] = (uint8_t)pair;
                s[2] = later[i];
                s[3] = later[k];
                for (size_t n = i || k ? 3 : 1; n <= 4; n++)
                    check_bytes(s, n);
            }
}

static void test_every_code_point(void **state)
{
    (void)state;
    char text[16];
    for (uint32_t c = 0; c <= 0x10FFFF + 1; c++) {
        size_t n = put_code_point(text, c);
        bool is_valid = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        assert_int_equal(glot_utf8_valid_prefix(text, n), is_valid ? n : 0);
    }
}

/* A bad byte at every place of texts around the word size, before and behind other characters. */
static void test_place_of_bad_byte(void **state)
{
    (void)state;
    char text[40];
    for (size_t n = 1; n <= sizeof text; n++)
        for (size_t bad = 0; bad < n; bad++) {
            memset(text, 'a', n);
            text[bad] = (char)0xFF;
            assert_int_equal(glot_utf8_valid_prefix(text, n), bad);
            text[bad] = (char)0xCE; /* begins a character that is cut off or spoilt */
            assert_int_equal(glot_utf8_valid_prefix(text, n), bad);
        }
    assert_int_equal(glot_utf8_valid_prefix("", 0), 0);
    assert_int_equal(glot_utf8_valid_prefix("\xCE\xB1\xCE\xB2gamma\xED\xA0\x80", 12), 9);
}

/* Characters of every size behind up to a block of ASCII, so that they lie across every border of the blocks,
 * whole and with a byte spoilt at every place. */
static void test_characters_across_blocks(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xC3\xA9", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xE4\xB8\xAD",
                                             "\xF0\x90\x80\x80", "\xF1\x80\x80\x80", "\xF4\x8F\xBF\xBF"};
    uint8_t text[96];
    for (size_t c = 0; c < sizeof characters / sizeof characters[0]; c++)
        for (size_t before = 0; before < 33; before++) {
            size_t length = strlen(characters[c]), n = before + 60 / length * length + 3;
            memset(text, 'a', sizeof text);
            for (size_t at = before; at + 3 < n; at += length)
                memcpy(text + at, characters[c], length);
            check_bytes(text, n);
            for (size_t at = 0; at < n; at++) {
                uint8_t kept = text[at];
                text[at] = at % 2 ? 0xFF : 0x80;
                check_bytes(text, n);
                text[at] = kept;
                check_bytes(text, at); /* cut off */
            }
        }
    memset(text, 'a', sizeof text); /* a character whose second byte comes a block too late */
    text[31] = 0xC3;
    text[64] = 0xA9;
    check_bytes(text, sizeof text);
}

static void test_repair(void **state)
{
    (void)state;
#define BAD "\xEF\xBF\xBD"
    static const struct {
        const char *text, *repaired;
    } cases[] = {{"", ""},
                 {"ab\xCE\xB1", "ab\xCE\xB1"},
                 {"\xFF", BAD},
                 {"a\xFF\xFE z", "a" BAD BAD " z"},
                 {"a\xCE", "a" BAD},
                 {"\xED\xA0\x80z", BAD BAD BAD "z"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        glot_str out = {0};
        glot_utf8_append_repaired(&out, cases[i].text, strlen(cases[i].text));
        assert_string_equal(out.data ? out.data : "", cases[i].repaired);
        glot_str_release(&out);
    }
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t words;
    } cases[] = {
        {"", 0},
        {" \t\n", 0},
        {"one", 1},
        {" one  two ", 2},
        {"a\xC2\xA0z", 2},
        {"\xCE\xB1\xCE\xB2 \xCE\xB3", 2},
        {"a\xE3\x80\x80z\xE2\x80\x83", 2},
        {"a\xE2\x80\x8Bz", 1},
        {"\xE4\xBD\xA0\xE5\xA5\xBD", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(glot_utf8_count_words(cases[i].text, strlen(cases[i].text)), cases[i].words);
}

static bool is_white_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

static void test_white_space_is_the_unicode_property(void **state)
{
    (void)state;
    char text[8] = "a";
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        size_t n = 1 + put_code_point(text + 1, c);
        text[n] = 'z';
        if (glot_utf8_count_words(text, n + 1) != (is_white_space(c) ? 2 : 1))
            fail_msg("U+%04X", c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_sequences),
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_place_of_bad_byte),
        cmocka_unit_test(test_characters_across_blocks),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_white_space_is_the_unicode_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
