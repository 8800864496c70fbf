/* The split patterns: hand-written scanners against the patterns themselves run by PCRE2, and what the stages
 * do. */
#include "tokenizer_util.h"

/* PCRE2 in Debian 12 knows Unicode 14, takes U+180E for a space, and has no letters or numbers that came
 * later. */
static bool known_to_both(uint32_t code)
{
    return code != 0x180E && code < 0x20000 && !(code >= 0x10500 && code < 0x1D000) &&
           !(code >= 0x1D200 && code < 0x1F000) && !(code >= 0x1C80 && code < 0x1C90) &&
           !(code >= 0xA7C0 && code < 0xA7E0) && code != 0x323AF;
}

static size_t common_text(glot_rng *rng, char *out)
{
    static char text[4 * 80];
    size_t size = random_text(rng, text, 1 + glot_rng_below(rng, 80)), n = 0;
    for (size_t i = 0, length; i < size; i += length) {
        uint32_t code = glot_utf8_decode(text + i, &length);
        if (known_to_both(code))
            n += glot_utf8_encode(out + n, code);
    }
    /* Contractions, in any case. */
    static const char *const tails[] = {"'s", "'S", "'ll", "'Ll",  "'re'VE",  "'\u017f",
                                        "'x", "'",  "''d", " 'm ", "'\u017fx"};
    if (glot_rng_below(rng, 2)) {
        const char *tail = tails[glot_rng_below(rng, sizeof tails / sizeof tails[0])];
        memcpy(out + n, tail, strlen(tail));
        n += strlen(tail);
    }
    return n;
}

typedef size_t scan_fn(const char *text, size_t size, size_t at);

static void compare_with_pattern(scan_fn *scan, glot_stage_kind kind)
{
    static char text[4 * 80 + 16];
    int code;
    PCRE2_SIZE where;
    pcre2_code *pattern = pcre2_compile((PCRE2_SPTR)glot_stage_pattern(kind), PCRE2_ZERO_TERMINATED,
                                        PCRE2_UTF | PCRE2_UCP, &code, &where, NULL);
    assert_non_null(pattern);
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    glot_rng rng = glot_rng_seed(11, (uint64_t)kind);
    for (int i = 0; i < 20000; i++) {
        size_t size = common_text(&rng, text);
        for (size_t at = 0; at < size;) {
            int n = pcre2_match(pattern, (PCRE2_SPTR)text, size, at, 0, match, NULL);
            assert_true(n >= 0);
            const PCRE2_SIZE *places = pcre2_get_ovector_pointer(match);
            assert_int_equal(places[0], at);
            size_t end = scan(text, size, at);
            if (end != places[1])
                fail_msg("text %d ('%.*s'): from byte %zu to %zu, expected %zu", i, (int)size, text, at, end,
                         places[1]);
            at = end;
        }
    }
    pcre2_match_data_free(match);
    pcre2_code_free(pattern);
}

static void test_gpt2(void **state)
{
    (void)state;
    compare_with_pattern(glot_scan_gpt2, GLOT_STAGE_GPT2);
}

static void test_llama3(void **state)
{
    (void)state;
    compare_with_pattern(glot_scan_llama3, GLOT_STAGE_LLAMA3);
}

static void test_qwen2(void **state)
{
    (void)state;
    compare_with_pattern(glot_scan_qwen2, GLOT_STAGE_QWEN2);
}

/* --- stages --- */

static glot_status collect(void *user, const char *piece, size_t size, glot_error *err)
{
    (void)err;
    glot_str_append(user, piece, size);
    glot_str_puts(user, "|");
    return GLOT_OK;
}

/* Pieces of a text under one stage, each followed by a bar. */
static void assert_pieces(const glot_stage *stage, const char *text, const char *expected)
{
    glot_pretokenizer p = {0};
    glot_pretokenizer_scratch s = {0};
    glot_str out = {0};
    glot_str_puts(&out, "");
    assert_int_equal(glot_pretokenizer_add(&p, stage, "test", NULL), GLOT_OK);
    assert_int_equal(glot_pretokenize(&p, &s, text, strlen(text), true, collect, &out, NULL), GLOT_OK);
    assert_string_equal(out.data, expected);
    glot_str_release(&out);
    glot_pretokenizer_scratch_release(&s);
    glot_pretokenizer_release(&p);
}

static void test_behaviors(void **state)
{
    (void)state;
    static const char *const expected[] = {"x|-|-|y|-|", "x|y|", "x|--|y|-|", "x-|-|y-|", "x|-|-y|-|"};
    for (int i = 0; i < 5; i++) {
        glot_stage string = {.kind = GLOT_STAGE_STRING, .text = "-", .behavior = (glot_split_behavior)i};
        glot_stage pattern = {.kind = GLOT_STAGE_PATTERN, .text = "[-]", .behavior = (glot_split_behavior)i};
        assert_pieces(&string, "x--y-", expected[i]);
        assert_pieces(&pattern, "x--y-", expected[i]);
    }
    glot_stage inverted = {
        .kind = GLOT_STAGE_STRING, .text = "-", .behavior = GLOT_SPLIT_REMOVED, .invert = true};
    assert_pieces(&inverted, "x--y-", "-|-|-|");
    assert_pieces(&(glot_stage){.kind = GLOT_STAGE_PATTERN, .text = "y*"}, "xyyz", "x|yy|z|");
    assert_pieces(&(glot_stage){.kind = GLOT_STAGE_GPT2}, "", "");
}

static void test_metaspace(void **state)
{
    (void)state;
    glot_stage stage = {
        .kind = GLOT_STAGE_METASPACE, .text = "_", .scheme = GLOT_PREPEND_ALWAYS, .split = true};
    assert_pieces(&stage, "a  b", "_a|_|_b|");
    assert_pieces(&stage, " a", "_a|");
    stage.split = false;
    assert_pieces(&stage, "a  b", "_a__b|");
    stage.scheme = GLOT_PREPEND_NEVER;
    assert_pieces(&stage, "a b", "a_b|");
}

static void test_patterns_that_are_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(",       "[a&&[b]]", "[a[b]]",        "\\h+", "\\w+",
                                           "a{1,3}+", "(?m)x",    "\\p{Nonsense}", "a\\Kb"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glot_pretokenizer p = {0};
        glot_error err = {0};
        glot_stage stage = {.kind = GLOT_STAGE_PATTERN, .text = (char *)patterns[i]};
        assert_int_equal(glot_pretokenizer_add(&p, &stage, "x.json", &err), GLOT_UNSUPPORTED);
        assert_non_null(strstr(err.message, "'x.json': the split pattern '"));
        glot_pretokenizer_release(&p);
    }
}

/* A pattern that explodes is stopped with a sentence. */
static void test_match_limit(void **state)
{
    (void)state;
    glot_pretokenizer p = {0};
    glot_pretokenizer_scratch s = {0};
    glot_error err = {0};
    glot_str out = {0};
    const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    glot_stage stage = {.kind = GLOT_STAGE_PATTERN, .text = "(a+)+b|(a|aa)+c"};
    assert_int_equal(glot_pretokenizer_add(&p, &stage, "test", NULL), GLOT_OK);
    assert_int_equal(glot_pretokenize(&p, &s, text, strlen(text), true, collect, &out, &err), GLOT_BAD_VALUE);
    assert_non_null(strstr(err.message, "fails on the text"));
    glot_str_release(&out);
    glot_pretokenizer_scratch_release(&s);
    glot_pretokenizer_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),        cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_qwen2),       cmocka_unit_test(test_behaviors),
        cmocka_unit_test(test_metaspace),   cmocka_unit_test(test_patterns_that_are_refused),
        cmocka_unit_test(test_match_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
