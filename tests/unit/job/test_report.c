/* test_report.c: report.html of small results: every section where its part is there, tags that match, text escaped, missing parts left out. */
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "job/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/glot-report-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return glot_dir_remove(root, NULL) == GLOT_OK ? 0 : -1;
}

static void put(const char *name, const char *text)
{
    glot_error err = {0};
    char path[96];
    snprintf(path, sizeof path, "%s/%s", root, name);
    if (glot_file_write(path, text, strlen(text), &err) != GLOT_OK)
        fail_msg("%s", err.message);
}

/* The report of these results and metrics. The caller frees. */
static char *report(const char *results, const char *metrics)
{
    glot_error err = {0};
    char path[96], *html = NULL;
    size_t size;
    put("results.json", results);
    put("metrics.jsonl", metrics);
    put("recipe.yaml", "base: <b>&\n");
    snprintf(path, sizeof path, "%s/report.html", root);
    if (glot_report_write(root, &err) != GLOT_OK || glot_file_read(&html, &size, path, 1 << 24, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    return html;
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
        n++;
    return n;
}

static void assert_has(const char *html, const char *word)
{
    if (!strstr(html, word))
        fail_msg("the report has no '%s'", word);
}

/* Every element that must be closed is: each opening has its end. */
static void check_tags(const char *html)
{
    static const char *const names[] = {"table", "tr", "td", "th", "svg", "figure", "h2", "h3", "div", "main", "pre", "text", "p"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char bare[16], with[16], end[16];
        snprintf(bare, sizeof bare, "<%s>", names[i]);
        snprintf(with, sizeof with, "<%s ", names[i]);
        snprintf(end, sizeof end, "</%s>", names[i]);
        if (count(html, bare) + count(html, with) != count(html, end))
            fail_msg("<%s>: %zu opened, %zu closed", names[i], count(html, bare) + count(html, with), count(html, end));
    }
}

static const char full[] =
    "{\"languages\": [{\"name\": \"e<n\", \"group\": \"old\"}, {\"name\": \"el\", \"group\": \"new\"}],"
    "\"before\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.0}, \"el\": {\"bits_per_byte\": 2.0}}},"
    "\"after_train\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.25}, \"el\": {\"bits_per_byte\": 1.5}}},"
    "\"after_review\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.125}, \"el\": {\"bits_per_byte\": 1.5}}},"
    "\"experts\": [2, 1], \"similarity\": {\"layers\": [{\"pairs\": [{\"a\": \"e<n\", \"b\": \"el\", \"sim\": 0.5}]},"
    "{\"pairs\": [{\"a\": \"e<n\", \"b\": \"el\", \"sim\": 0.75}]}]},"
    "\"routing_before_review\": {\"e<n\": {\"expert_share\": [[0.5, 0.5], [1]], \"p_original\": [0.125, 1]}},"
    "\"routing\": {\"e<n\": {\"expert_share\": [[0.75, 0.25], [1]], \"p_original\": [0.875, 1]}},"
    "\"samples\": {\"before\": [{\"text\": \"old\"}], \"after_review\": [{\"language\": \"el\", \"prompt\": \"<script>\", \"text\": \"a & b\"}]},"
    "\"seconds\": {\"train\": 1.5}, \"frozen_sha256\": {\"before\": \"abc\", \"after\": \"abc\"}, \"isa\": \"avx2\", \"threads\": 2}";
static const char metrics[] =
    "{\"phase\": \"train\", \"step\": 1, \"ce\": 3.5, \"balance\": 1.0, \"tokens_per_s\": 100.0}\n"
    "{\"phase\": \"train\", \"step\": 2, \"ce\": 3.25, \"balance\": 1.5, \"tokens_per_s\": 120.0}\n"
    "{\"phase\": \"eval\", \"step\": 2, \"text\": {\"el\": {\"bits_per_byte\": 1.75}}}\n"
    "{\"phase\": \"review\", \"step\": 3, \"ce\": 3.0, \"lpr\": 0.5, \"tokens_per_s\": 200.0}\n";

static void test_sections(void **state)
{
    (void)state;
    static const char *const words[] = {
        "1 new language: 25.0 % fewer bits per byte", "1 old language: 12.5 % more",
        "<h2>Bits per byte</h2>", "<h2>How it went</h2>", "bits per byte on the way", "stage 1: cross-entropy", "load balancing",
        "review: LPR loss", "tokens a second", "<h2>Similarity of the languages</h2>", "<h2>Experts in each layer</h2>",
        "3 experts in 2 layers, 1 of them new", "<h2>Where tokens go</h2>", "<td>0.125</td><td>0.875</td><td>0.811</td>",
        "<h2>Samples</h2>", "<h2>To repeat it</h2>", "avx2", "base: &lt;b&gt;&amp;"};
    char *html = report(full, metrics);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_has(html, words[i]);
    check_tags(html);
    assert_int_equal(count(html, "role=\"img\" aria-label="), count(html, "<svg "));
    glot_free(html);
}

static void test_escaped(void **state)
{
    (void)state;
    char *html = report(full, metrics);
    assert_null(strstr(html, "<script"));
    assert_null(strstr(html, "e<n"));
    assert_has(html, "&lt;script&gt;");
    assert_has(html, "a &amp; b");
    assert_null(strstr(html, "http"));
    glot_free(html);
}

static void test_missing_parts(void **state)
{
    (void)state;
    char *html = report("{}", "");
    check_tags(html);
    assert_null(strstr(html, "<svg "));
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "(null)"));
    glot_free(html);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sections, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_escaped, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_missing_parts, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
