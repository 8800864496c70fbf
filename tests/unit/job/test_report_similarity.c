/* test_report_similarity.c: the pictures of similarity and experts: what they show of whole results, and what
 * they leave out of damaged ones. */
#include "job/report_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Two layers, three languages; the first layer gets two new experts, the second none. */
static const char whole[] =
    "{'experts': [3, 1], 'experts_before': [1, 1], 'similarity': {'layers': ["
    "{'S': 0.25, 'pairs': [{'a': 'el', 'b': 'en', 'sim': 0.1}, {'a': 'tr', 'b': 'en', 'sim': 0.2}]},"
    "{'S': 0.5, 'pairs': [{'a': 'el', 'b': 'en', 'sim': 0.4}, {'a': 'tr', 'b': 'en', 'sim': 0.5}]}]}}";

/* The part for results in JSON with ' for ". */
static glot_str render(const char *text)
{
    char json[1024];
    glot_str out = {0};
    size_t n = strlen(text);
    assert_true(n < sizeof json);
    for (size_t i = 0; i <= n; i++)
        json[i] = text[i] == '\'' ? '"' : text[i];
    json_t *results = json_loads(json, 0, NULL);
    assert_non_null(results);
    assert_int_equal(glot_report_similarity(&out, results, NULL), GLOT_OK);
    glot_report_experts(&out, results);
    glot_str_puts(&out, "");
    json_decref(results);
    return out;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        n++;
    return n;
}

/* How many of charts, cells of the heat map, curves, bars of old and bars of new experts there are. */
static void expect_counts(const char *text, int charts, int cells, int curves, int old, int new)
{
    glot_str out = render(text);
    assert_int_equal(count(out.data, "<svg "), charts);
    assert_int_equal(count(out.data, "</svg>"), charts);
    assert_int_equal(count(out.data, "</title></rect>"), cells);
    assert_int_equal(count(out.data, "<polyline "), curves);
    assert_int_equal(count(out.data, "class=\"heat cell faint\""), old);
    assert_int_equal(count(out.data, "class=\"heat cell\""), cells + new);
    assert_int_equal(count(out.data, "nan") + count(out.data, "inf"), 0);
    glot_str_release(&out);
}

static void test_whole(void **state)
{
    (void)state;
    expect_counts(whole, 3, 4, 1, 2, 1);
    glot_str out = render(whole);
    assert_non_null(strstr(out.data, "faintest 0.100, strongest 0.500"));
    assert_non_null(strstr(out.data, "fill-opacity=\"0.060\"><title>el en, layer 0: 0.1000</title>"));
    assert_non_null(strstr(out.data, "fill-opacity=\"1.000\"><title>tr en, layer 1: 0.5000</title>"));
    /* S 0.25 and 0.5 with a margin of a twentieth of their distance */
    assert_non_null(strstr(out.data, "points=\"50.0,174.1 390.0,15.9\""));
    /* of 90 for three experts 30 were there; two new ones above them */
    assert_non_null(strstr(out.data, "y=\"80.00\" width=\"180.00\" height=\"30.00\""));
    assert_non_null(strstr(out.data, "y=\"20.00\" width=\"180.00\" height=\"60.00\""));
    glot_str_release(&out);
}

static void test_missing(void **state)
{
    (void)state;
    expect_counts("{'similarity': {'layers': [{'S': 0.5}, {'S': 0.25}]}}", 1, 0, 1, 0, 0);
    /* counts of other layers than there are, or none from before: all bars are alike */
    expect_counts("{'experts': [2], 'experts_before': [1, 1], 'similarity': {'layers': [{'S': 0.5}, {}]}}", 2, 0, 1, 0, 1);
    expect_counts("{'similarity': {'layers': [{'pairs': [{'sim': 0.5}]}, {'pairs': 3}, 7]}}", 1, 1, 0, 0, 0);
    expect_counts("{'similarity': {'layers': [{'S': 'x', 'pairs': [{'a': 1, 'sim': null}]}]}}", 0, 0, 0, 0, 0);
    expect_counts("{'experts': ['x'], 'experts_before': [-5], 'similarity': {'layers': [{'S': -1}]}}", 1, 0, 1, 0, 0);
    static const char *const nothing[] = {"{}", "[]", "{'similarity': 1}", "{'similarity': {'layers': []}}"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        glot_str out = render(nothing[i]);
        assert_int_equal(out.length, 0);
        glot_str_release(&out);
    }
}

/* Names are a user's: they may be no markup. */
static void test_names(void **state)
{
    (void)state;
    glot_str out = render("{'similarity': {'layers': [{'pairs': [{'a': '<b>', 'b': '&', 'sim': 0.5}]}]}}");
    assert_non_null(strstr(out.data, "<title>&lt;b&gt; &amp;, layer 0"));
    assert_null(strstr(out.data, "<b>"));
    glot_str_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
