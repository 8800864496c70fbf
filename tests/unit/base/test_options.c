/* test_options.c: rows to values: what is accepted, and the sentence for what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/options.h"

#include <math.h>
#include <string.h>

static const glot_option rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true, .help = "a model directory"},
    {"FILE", .kind = GLOT_OPTION_WORDS, .is_argument = true, .help = "more files"},
    {"length", .letter = 'l', .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 4096, .initial = "256",
     .unit = "tokens", .help = "ids in a window"},
    {"any", .kind = GLOT_OPTION_INT, .value = "N", .help = "a number without limits"},
    {"lr", .kind = GLOT_OPTION_REAL, .value = "X", .min = 0, .max = INFINITY, .initial = "5e-4", .help = "learning rate"},
    {"tokens", .kind = GLOT_OPTION_SIZE, .value = "N", .help = "how many"},
    {"out", .kind = GLOT_OPTION_STRING, .value = "DIR", .help = "where to"},
    {"device", .kind = GLOT_OPTION_CHOICE, .value = "auto|cpu|cuda", .initial = "auto", .help = "what runs it"},
    {"set", .kind = GLOT_OPTION_STRINGS, .value = "KEY=VALUE", .help = "overrides", .group = "Recipe"},
    {"text", .kind = GLOT_OPTION_TEXTS, .value = "LANG=FILE", .help = "text files"},
    {"json", .letter = 'j', .kind = GLOT_OPTION_FLAG, .help = "one JSON document"},
    {"verbose", .letter = 'v', .kind = GLOT_OPTION_FLAG, .help = "more"},
    {"help", .letter = 'h', .kind = GLOT_OPTION_FLAG, .help = "this text"},
    {0},
};
static const glot_option *const tables[] = {rows, NULL};

enum { MAX_WORDS = 16 };

/* Parses a line of words separated by '|'. */
static glot_status parse(glot_args **args, const char *line, glot_error *err)
{
    static char copy[1024];
    static const char *words[MAX_WORDS];
    int n = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *p = *copy ? copy : NULL; p;) {
        words[n++] = p;
        p = strchr(p, '|');
        if (p)
            *p++ = '\0';
    }
    return glot_args_parse(args, tables, n, words, err);
}

static glot_args *good(const char *line)
{
    glot_args *args = NULL;
    glot_error err = {0};
    if (parse(&args, line, &err) != GLOT_OK)
        fail_msg("'%s' is refused: %s", line, err.message);
    return args;
}

static void refused(const char *line, const char *sentence)
{
    glot_args *args = NULL;
    glot_error err = {0};
    assert_int_equal(parse(&args, line, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, sentence);
    assert_null(args);
}

static void test_defaults(void **state)
{
    (void)state;
    size_t n = 99;
    glot_args *a = good("m");
    assert_string_equal(glot_args_string(a, "MODEL"), "m");
    assert_int_equal(glot_args_int(a, "length"), 256);
    assert_int_equal(glot_args_int(a, "any"), 0);
    assert_true(glot_args_real(a, "lr") == 5e-4);
    assert_string_equal(glot_args_string(a, "device"), "auto");
    assert_null(glot_args_string(a, "out"));
    assert_false(glot_args_flag(a, "json"));
    assert_false(glot_args_given(a, "length"));
    glot_args_words(a, "text", &n);
    assert_int_equal(n, 0);
    glot_args_free(a);
}

static void test_values(void **state)
{
    (void)state;
    size_t n;
    glot_args *a = good("--length|64|m|--lr=-0|--any|-5|--device|cpu|-jv|--tokens|4k|f1|f2|--out|-|--length=65");
    assert_int_equal(glot_args_int(a, "length"), 65);
    assert_int_equal(glot_args_int(a, "any"), -5);
    assert_true(glot_args_real(a, "lr") == 0);
    assert_string_equal(glot_args_string(a, "device"), "cpu");
    assert_string_equal(glot_args_string(a, "out"), "-");
    assert_true(glot_args_flag(a, "json") && glot_args_flag(a, "verbose"));
    assert_int_equal(glot_args_size(a, "tokens"), 4000);
    const char *const *files = glot_args_words(a, "FILE", &n);
    assert_int_equal(n, 2);
    assert_string_equal(files[1], "f2");
    glot_args_free(a);
}

static void test_many_words(void **state)
{
    (void)state;
    size_t n;
    glot_args *a = good("m|--text|el=a|b|hu=c|--set|x=1|f|--set|y=2|--text=tr=d|-|--json|--|--length");
    const char *const *words = glot_args_words(a, "text", &n);
    assert_int_equal(n, 5);
    assert_string_equal(words[0], "el=a");
    assert_string_equal(words[3], "tr=d");
    assert_string_equal(words[4], "-");
    words = glot_args_words(a, "set", &n);
    assert_int_equal(n, 2);
    assert_string_equal(words[1], "y=2");
    words = glot_args_words(a, "FILE", &n);
    assert_int_equal(n, 2);
    assert_string_equal(words[0], "f");
    assert_string_equal(words[1], "--length");
    glot_args_free(a);
}

static void test_values_that_look_like_options(void **state)
{
    (void)state;
    size_t n;
    glot_args *a = good("m|--out|- item|--set=--json|--any|-1|-5");
    assert_string_equal(glot_args_words(a, "FILE", &n)[0], "-5");
    assert_string_equal(glot_args_string(a, "out"), "- item");
    assert_false(glot_args_flag(a, "json"));
    glot_args_free(a);
    refused("m|--out|--json", "option '--out' needs a value, found the option '--json'");
    refused("m|--out|-v", "option '--out' needs a value, found the option '-v'");
}

static void test_numbers_in_range(void **state)
{
    (void)state;
    refused("m|--length|0", "option '--length' is '0', expected a whole number from 1 to 4096");
    refused("m|--length|4097", "option '--length' is '4097', expected a whole number from 1 to 4096");
    refused("m|--length|12x", "option '--length' is '12x', expected a whole number from 1 to 4096");
    refused("m|--length=", "option '--length' is '', expected a whole number from 1 to 4096");
    refused("m|--any|1.5", "option '--any' is '1.5', expected a whole number");
    refused("m|--any|9223372036854775808", "option '--any' is '9223372036854775808', expected a whole number");
    refused("m|--lr|5e-5x", "option '--lr' is '5e-5x', expected a number of at least 0");
    refused("m|--lr|nan", "option '--lr' is 'nan', expected a number of at least 0");
    refused("m|--lr|-1", "option '--lr' is '-1', expected a number of at least 0");
    refused("m|--tokens|4q",
            "option '--tokens' is '4q', expected a whole number with or without a suffix like k, M, GiB");
    glot_args *a = good("m|--length|1");
    assert_int_equal(glot_args_int(a, "length"), 1);
    glot_args_free(a);
    a = good("m|--length|4096");
    assert_int_equal(glot_args_int(a, "length"), 4096);
    glot_args_free(a);
}

static void test_wrong_lines(void **state)
{
    (void)state;
    refused("", "the argument MODEL is missing");
    refused("m|--lenght|5", "unknown option '--lenght', did you mean '--length'?");
    refused("m|--frobnicate", "unknown option '--frobnicate'");
    refused("m|-x", "unknown option '-x'");
    refused("m|--length", "option '--length' needs a value: --length N");
    refused("m|--json=1", "option '--json' takes no value, found '1'");
    refused("m|-lj", "option '-l' needs a value of its own: -l N");
}

static void test_choice(void **state)
{
    (void)state;
    refused("m|--device|gpu", "option '--device' is 'gpu', expected one of auto|cpu|cuda");
    refused("m|--device|cp", "option '--device' is 'cp', expected one of auto|cpu|cuda");
    refused("m|--device|", "option '--device' is '', expected one of auto|cpu|cuda");
}

static void test_help_excuses_missing_arguments(void **state)
{
    (void)state;
    glot_args *a = good("--help");
    assert_true(glot_args_flag(a, "help"));
    glot_args_free(a);
}

static void test_one_argument_too_many(void **state)
{
    (void)state;
    static const glot_option one[] = {
        {"FILE", .kind = GLOT_OPTION_STRING, .is_argument = true, .help = "a file"},
        {"to", .kind = GLOT_OPTION_STRING, .value = "FORMAT", .is_required = true, .help = "a format"},
        {0},
    };
    const glot_option *const table[] = {one, NULL};
    const char *const words[] = {"a", "b", "--to", "x"};
    glot_args *a = NULL;
    glot_error err = {0};
    assert_int_equal(glot_args_parse(&a, table, 4, words, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "'b' is one argument too many");
    assert_int_equal(glot_args_parse(&a, table, 1, words, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "option '--to' is missing");
}

static void test_number_parsers(void **state)
{
    (void)state;
    int64_t i = 7;
    double r = 7;
    assert_true(glot_parse_int(&i, "-9223372036854775808") && i == INT64_MIN);
    assert_true(glot_parse_int(&i, "+12") && i == 12);
    assert_false(glot_parse_int(&i, " 1") || glot_parse_int(&i, "1 ") || glot_parse_int(&i, "") ||
                 glot_parse_int(&i, "1e3") || glot_parse_int(&i, "0x10"));
    assert_int_equal(i, 12);
    assert_true(glot_parse_real(&r, "1e-8") && r == 1e-8);
    assert_true(glot_parse_real(&r, ".5") && r == 0.5);
    assert_false(glot_parse_real(&r, "inf") || glot_parse_real(&r, "1e999") || glot_parse_real(&r, "0x1p3") ||
                 glot_parse_real(&r, "") || glot_parse_real(&r, " 1") || glot_parse_real(&r, "1,5"));
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } known[] = {
        {"0", 0},           {"4k", 4000},          {"4K", 4000},        {"4KiB", 4096},
        {"2GiB", 1ull << 31}, {"2GB", 2000000000},  {"1.5GiB", 3ull << 29}, {"1M", 1000000},
        {"3TiB", 3ull << 40}, {"18446744073709551615", UINT64_MAX},
    };
    static const char *const refused_texts[] = {"", "-1", "k", "4 k", "4kk", "1.5", "0.3k1", "1e3", "18446744073709551616",
                                                "18446744073709552k", "20000000TiB", "4i", "+4"};
    uint64_t size = 7;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_true(glot_parse_size(&size, known[i].text));
        assert_true(size == known[i].value);
    }
    for (size_t i = 0; i < sizeof refused_texts / sizeof refused_texts[0]; i++)
        if (glot_parse_size(&size, refused_texts[i]))
            fail_msg("'%s' is taken for a size", refused_texts[i]);
}

static void test_texts(void **state)
{
    (void)state;
    const char *const words[] = {"el=a.jsonl", "b.jsonl", "hu=x=y.txt", "./p=q.txt", "el=-"};
    glot_text_files *texts = NULL;
    size_t n = 0;
    assert_int_equal(glot_texts_parse(&texts, &n, words, 5, "--text", NULL), GLOT_OK);
    assert_int_equal(n, 2);
    assert_string_equal(texts[0].language, "el");
    assert_int_equal(texts[0].n_files, 3);
    assert_string_equal(texts[0].files[2], "-");
    assert_string_equal(texts[1].language, "hu");
    assert_string_equal(texts[1].files[0], "x=y.txt");
    assert_string_equal(texts[1].files[1], "./p=q.txt");
    glot_texts_free(texts, n);
}

static void test_bad_texts(void **state)
{
    (void)state;
    const char *const nameless[] = {"a.jsonl"};
    const char *const fileless[] = {"el="};
    glot_text_files *texts = NULL;
    size_t n = 0;
    glot_error err = {0};
    assert_int_equal(glot_texts_parse(&texts, &n, nameless, 1, "--text", &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "--text: 'a.jsonl' names no language, expected LANG=FILE");
    assert_int_equal(glot_texts_parse(&texts, &n, fileless, 1, "--text", &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "--text: language 'el' is given without a file");
    assert_null(texts);
}

static void test_help_text(void **state)
{
    (void)state;
    glot_str help = {0};
    glot_options_help(&help, "thing", "does a thing", tables);
    assert_false(help.failed);
    assert_non_null(strstr(help.data, "usage: glot thing MODEL [FILE...] [options]\n\ndoes a thing\n\nArguments:\n"));
    assert_non_null(strstr(help.data, "  -l, --length N              ids in a window (1 to 4096 tokens; default 256)\n"));
    assert_non_null(strstr(help.data, "      --lr X                  learning rate (at least 0; default 5e-4)\n"));
    assert_non_null(strstr(help.data, "      --text LANG=FILE...     text files\n"));
    assert_non_null(strstr(help.data, "\nRecipe:\n      --set KEY=VALUE "));
    glot_str_release(&help);
}

static void test_rows_as_json(void **state)
{
    (void)state;
    json_t *list = glot_options_json(tables);
    assert_int_equal(json_array_size(list), sizeof rows / sizeof rows[0] - 1);
    const json_t *length = json_array_get(list, 2);
    assert_string_equal(json_string_value(json_object_get(length, "name")), "length");
    assert_string_equal(json_string_value(json_object_get(length, "kind")), "int");
    assert_true(json_real_value(json_object_get(length, "max")) == 4096);
    assert_string_equal(json_string_value(json_object_get(length, "default")), "256");
    json_decref(list);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        glot_args *a = NULL;
        glot_heap_fail_after(n);
        glot_status status = parse(&a, "m|f|--text|el=a|b", NULL);
        glot_heap_fail_after(0);
        glot_args_free(a);
        if (status == GLOT_OK) {
            assert_true(n > 3);
            return;
        }
        assert_int_equal(status, GLOT_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_many_words),
        cmocka_unit_test(test_values_that_look_like_options),
        cmocka_unit_test(test_numbers_in_range),
        cmocka_unit_test(test_wrong_lines),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_help_excuses_missing_arguments),
        cmocka_unit_test(test_one_argument_too_many),
        cmocka_unit_test(test_number_parsers),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_help_text),
        cmocka_unit_test(test_rows_as_json),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
