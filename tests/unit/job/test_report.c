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
    char path[192];
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
    if (glot_report_write(root, NULL, &err) != GLOT_OK || glot_file_read(&html, &size, path, 1 << 24, &err) != GLOT_OK)
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
    static const char *const names[] = {"table", "tr", "td", "th", "svg", "figure", "figcaption", "h2", "h3", "div", "main", "pre", "text", "p"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char bare[16], with[16], end[16];
        snprintf(bare, sizeof bare, "<%s>", names[i]);
        snprintf(with, sizeof with, "<%s ", names[i]);
        snprintf(end, sizeof end, "</%s>", names[i]);
        if (count(html, bare) + count(html, with) != count(html, end))
            fail_msg("<%s>: %zu opened, %zu closed", names[i], count(html, bare) + count(html, with), count(html, end));
    }
}

/* Two layers; in the first the router chooses 2 of 3 experts. */
static const char full[] =
    "{\"languages\": [{\"name\": \"e<n\", \"group\": \"old\"}, {\"name\": \"el\", \"group\": \"new\", \"tokens_per_byte\": 0.625}],"
    "\"before\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.0, \"bits_per_byte_low\": 0.875, \"bits_per_byte_high\": 1.25}, "
    "\"el\": {\"bits_per_byte\": 2.0}}},"
    "\"after_train\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.25}, \"el\": {\"bits_per_byte\": 1.5}}},"
    "\"after_review\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.125, \"bits_per_byte_low\": 1.0, \"bits_per_byte_high\": 1.375}, "
    "\"el\": {\"bits_per_byte\": 1.5}}},"
    "\"experts\": [3, 1], \"experts_before\": [2, 1], \"top_k\": 2, "
    "\"similarity\": {\"layers\": [{\"S\": 0.25, \"pairs\": [{\"a\": \"e<n\", \"b\": \"el\", \"sim\": 0.5}]},"
    "{\"S\": 0.5, \"pairs\": [{\"a\": \"e<n\", \"b\": \"el\", \"sim\": 0.75}]}]},"
    "\"routing_before_review\": {\"e<n\": {\"expert_share\": [[0.5, 0.25, 0.25], [1]], \"p_original\": [0.125, 1]}},"
    "\"routing\": {\"e<n\": {\"expert_share\": [[0.5, 0.25, 0.25], [1]], \"entropy\": [1.5, 0], \"p_original\": [0.875, 1], "
    "\"gate_accuracy\": {\"after\": {\"1\": 0.5, \"4\": null}, \"all\": 0.75}}},"
    "\"exact\": {\"threshold\": 3.5, \"keep\": 0.99, \"held_out\": {\"documents\": 200, \"stay\": 198}, \"languages\": "
    "{\"el\": {\"document_share\": 0.25, \"token_share\": 0.5, \"bits_per_byte\": {\"base\": 2, \"off\": 1, \"on\": 1.5}}}},"
    "\"samples\": {\"before\": [{\"text\": \"old\"}], \"after_review\": [{\"language\": \"el\", \"prompt\": \"<script>\", "
    "\"text\": \"a & b\"}]}, \"processor\": \"a <fast> one\", \"glot\": \"9.8.7\", \"commit\": \"c0ffee\", \"base_sha256\": \"ba5e\","
    "\"seconds\": {\"train\": 1.5}, \"frozen_sha256\": {\"before\": \"abc\", \"after\": \"abc\"}, \"isa\": \"avx2\", \"threads\": 2}";
static const char metrics[] =
    "{\"phase\": \"train\", \"step\": 1, \"ce\": 3.5, \"balance\": 1.0, \"tokens_per_s\": 100.0}\n"
    "{\"phase\": \"train\", \"step\": 2, \"ce\": 3.25, \"balance\": 1.5, \"tokens_per_s\": 120.0}\n"
    "{\"phase\": \"eval\", \"step\": 2, \"text\": {\"el\": {\"bits_per_byte\": 1.75}}}\n"
    "{\"phase\": \"review\", \"step\": 3, \"ce\": 3.0, \"lpr\": 0.5, \"tokens_per_s\": 200.0}\n";

static void assert_has_all(const char *html, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_has(html, words[i]);
}

static void test_sections(void **state)
{
    (void)state;
    static const char *const words[] = {
        "1 new language: 25.0 % fewer bits per byte", "1 old language: 12.5 % more", "<h2>Bits per byte</h2>",
        "1.0000<br><small>0.875–1.250</small>", "<h2>How it went</h2>", "<h2>Similarity of the languages</h2>",
        "<h2>Experts in each layer</h2>", "4 experts in 2 layers, 1 of them new", "<h2>Where tokens go</h2>",
        "<td>0.125</td><td>0.875</td><td>1.500</td>", "<h2>Language gates</h2>", "<td>50.0 %</td><td class=\"wide\"></td>",
        "<h2>Exact path</h2>", "198 of 200 held-out", "1.0000<br><small class=\"good\">0.5000</small>",
        "<h2>Samples</h2>", "<h2>To repeat it</h2>", "avx2", "0.625 tokens a byte", "a &lt;fast&gt; one", "9.8.7", "c0ffee", "ba5e",
        "<h1>glot: Report of a run, from &lt;b&gt;&amp;</h1>", "time: training</td><td>1.5 s", "time: all of it</td><td>1.5 s",
        "<td class=\"bad\">+12.5 %</td>", "<td class=\"good\">−25.0 %</td>",
        "base: &lt;b&gt;&amp;"};
    static const char *const charts[] = {"scores", "scores-on-the-way", "train-ce", "train-balance", "train-speed",
                                         "review-ce", "review-lpr", "review-speed", "similarity", "similarity-mean",
                                         "experts", "p-original", "share-0"};
    char *html = report(full, metrics);
    assert_has_all(html, words, sizeof words / sizeof words[0]);
    for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++) {
        char mark[64];
        snprintf(mark, sizeof mark, "<figure data-chart=\"%s\">", charts[i]);
        assert_has(html, mark);
    }
    assert_int_equal(count(html, "<figure "), sizeof charts / sizeof charts[0]);
    check_tags(html);
    assert_int_equal(count(html, "role=\"img\" aria-label=") + count(html, "aria-hidden=\"true\""), count(html, "<svg "));
    glot_free(html);
}

/* Where the router chooses all experts neither shares nor balance are drawn, and the report says why. */
static void test_without_a_choice(void **state)
{
    (void)state;
    static const char results[] =
        "{\"languages\": [{\"name\": \"el\"}], \"experts\": [2, 2], \"experts_before\": [2, 2], \"top_k\": 2, "
        "\"routing\": {\"el\": {\"expert_share\": [[0.5, 0.5], [0.5, 0.5]], \"p_original\": [0.75, 0.5]}}}";
    char *html = report(results, metrics);
    assert_null(strstr(html, "data-chart=\"share-0\""));
    assert_null(strstr(html, "data-chart=\"train-balance\""));
    assert_has(html, "data-chart=\"p-original\"");
    assert_has(html, "Load balancing is not drawn");
    assert_has(html, "In 2 layers the router chooses all");
    assert_has(html, "4 experts in 2 layers."); /* nothing new: a stage alone */
    check_tags(html);
    glot_free(html);
}

static const char dense[] =
    "{\"languages\": [{\"name\": \"el\", \"group\": \"old\"}], \"experts\": [1], \"experts_before\": [1], \"top_k\": 1,"
    "\"before\": {\"text\": {\"el\": {\"bits_per_byte\": 2.0}}}, \"after_train\": {\"text\": {\"el\": {\"bits_per_byte\": 2.0}}},"
    "\"train_text\": {\"el\": {\"tokens\": 1234567, \"times\": 2}}, \"frozen_tensors\": 0}";

/* Full fine-tuning: no review, no router, nothing frozen, and here nothing changed. */
static void test_dense_run(void **state)
{
    (void)state;
    static const char *const words[] = {"1 old language: bits per byte as before", "<td>2.0000</td><td>2.0000</td><td class=\"soft\">0.0 %</td>",
                                        "1,234,567 tokens, 2.00 times"};
    char *html = report(dense, metrics);
    assert_has_all(html, words, sizeof words / sizeof words[0]);
    assert_null(strstr(html, "after review"));
    assert_null(strstr(html, "oad balancing"));
    check_tags(html);
    glot_free(html);
}

/* A review alone: no table where nothing was scored, and not a word on load balancing. */
static void test_a_stage_alone(void **state)
{
    (void)state;
    char *html = report("{\"languages\": [{\"name\": \"el\", \"group\": \"old\"}], \"experts\": [2], \"top_k\": 2,"
                        "\"before\": {\"text\": {}}, \"after_review\": {\"text\": {}}}",
                        "{\"phase\": \"review\", \"step\": 1, \"ce\": 3.0, \"lpr\": 0.5}\n");
    assert_null(strstr(html, "Bits per byte"));
    assert_null(strstr(html, "Load balancing"));
    assert_has(html, "data-chart=\"review-lpr\"");
    check_tags(html);
    glot_free(html);
}

/* A number that hardly changes: its ticks differ, and rounding is no curve over the whole height. */
static void test_flat_curve(void **state)
{
    (void)state;
    char *html = report(full, "{\"phase\": \"train\", \"step\": 1, \"balance\": 1.0000000002}\n"
                              "{\"phase\": \"train\", \"step\": 2, \"balance\": 1.0000000003}\n");
    const char *chart = strstr(html, "<figure data-chart=\"train-balance\">");
    assert_non_null(chart);
    assert_has(chart, ">0.996</text>");
    assert_has(chart, ">1.004</text>");
    assert_has(chart, "points=\"50.0,95.0 390.0,95.0\"");
    glot_free(html);
}

/* The ninth language has the first one's colour and another dash. */
static void test_many_languages(void **state)
{
    (void)state;
    glot_str results = {0};
    glot_str_puts(&results, "{\"languages\": [");
    for (int i = 0; i < 10; i++)
        glot_str_printf(&results, "%s{\"name\": \"l%d\"}", i ? ", " : "", i);
    glot_str_puts(&results, "]}");
    char *html = report(results.data, "{\"phase\": \"eval\", \"step\": 1, \"text\": {\"l0\": {\"bits_per_byte\": 1}, "
                                      "\"l8\": {\"bits_per_byte\": 2}}}\n");
    const char *chart = strstr(html, "<figure data-chart=\"scores-on-the-way\">");
    assert_non_null(chart);
    assert_has(chart, "<polyline class=\"s0 d0\" points=\"50.");
    assert_has(chart, "<polyline class=\"s0 d1\" points=\"50.");
    assert_has(chart, "</svg>l8</span>");
    assert_null(strstr(chart, "</svg>l1</span>")); /* not scored on the way */
    glot_free(html);
    glot_str_release(&results);
}

/* A long run's curve has few enough points for a page, and its running mean upon it. */
static void test_long_run(void **state)
{
    (void)state;
    glot_str lines = {0};
    for (int i = 1; i <= 4000; i++)
        glot_str_printf(&lines, "{\"phase\": \"train\", \"step\": %d, \"ce\": %d}\n", i, 3 + i % 2);
    char *html = report(full, lines.data);
    char *chart = strstr(html, "<figure data-chart=\"train-ce\">"), *end = strstr(chart, "</figure>");
    assert_non_null(end);
    *end = '\0';
    assert_int_equal(count(chart, "<polyline "), 2);
    assert_int_equal(count(chart, " faint\""), 1);
    /* ten steps become one point, their mean 3.5 */
    assert_int_equal(count(chart, ",95.0 ") + count(chart, ",95.0\""), 800);
    glot_free(html);
    glot_str_release(&lines);
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
    html = report("{\"frozen_tensors\": 0, \"frozen_sha256\": {\"before\": \"e3b0\", \"after\": \"e3b0\"}}", "");
    assert_has(html, "none: every weight was trained");
    assert_null(strstr(html, "e3b0"));
    glot_free(html);
}

/* A run below the root: its directory. */
static const char *put_run(const char *name, const char *results, const char *recipe, bool is_done)
{
    static char dirs[2][96];
    static int next;
    char *dir = dirs[next++ % 2], file[96];
    static const char *const names[] = {"results.json", "recipe.yaml", "metrics.jsonl", "state.json"};
    const char *texts[] = {results, recipe, metrics,
                           is_done ? "{\"format\": \"glot run\", \"version\": 1, \"job\": \"expand\", \"done\": [\"model\"], \"metrics_lines\": 4}"
                                   : "{\"format\": \"glot run\", \"version\": 1, \"job\": \"expand\", \"done\": [\"text\"], \"metrics_lines\": 4}"};
    snprintf(dir, 96, "%s/%s", root, name);
    assert_int_equal(glot_dir_make(dir, NULL), GLOT_OK);
    for (size_t i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", name, names[i]);
        put(file, texts[i]);
    }
    return dir;
}

/* Runs of one name are told apart by the folders they are in; a run beside itself and a slash at the end do no harm. */
static void test_names_of_runs(void **state)
{
    (void)state;
    static const char recipe[] = "base: b\noutput: /o\n";
    static const struct {
        const char *dirs[3], *names[3];
    } cases[] = {{{"x/same", "y/same", "y/other"}, {"x/same", "y/same", "y/other"}},
                 {{"x/same/", "y/other", "y/third"}, {"same", "other", "third"}},
                 {{"y/other", "y/other", "x/same"}, {"other", "other", "same"}}};
    glot_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char dirs[3][128], path[96], heading[160], *html = NULL;
        const char *given[3];
        size_t size;
        for (size_t k = 0; k < 3; k++) {
            put_run(cases[i].dirs[k], full, recipe, true);
            snprintf(dirs[k], sizeof dirs[k], "%s/%s", root, cases[i].dirs[k]);
            given[k] = dirs[k];
        }
        snprintf(path, sizeof path, "%s/compare.html", root);
        if (glot_report_compare(given, 3, path, &err) != GLOT_OK || glot_file_read(&html, &size, path, 1 << 24, &err) != GLOT_OK)
            fail_msg("%s", err.message);
        for (size_t k = 0; k < 3; k++) {
            snprintf(heading, sizeof heading, "%s</th>", cases[i].names[k]);
            assert_has(html, heading);
        }
        glot_free(html);
    }
}

/* Two runs side by side: scores, the best of each language, curves of both, what their recipes differ in, a language that only one has. */
static void test_two_runs(void **state)
{
    (void)state;
    static const char other[] =
        "{\"languages\": [{\"name\": \"e<n\", \"group\": \"old\"}, {\"name\": \"hu\"}], \"experts\": [2, 2], \"glot\": \"9.8.6\", "
        "\"before\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.0}}, \"tasks\": {\"t<k\": {\"acc\": 0.25, \"acc_stderr\": 0.1}}}, "
        "\"after_train\": {\"text\": {\"e<n\": {\"bits_per_byte\": 1.0625}}, \"tasks\": {\"t<k\": {\"acc\": 0.5, \"acc_stderr\": 0.1}}}}";
    static const char *const words[] = {
        "2 runs, 3 languages", "<td>1.1250<br><small class=\"bad\">+12.5 %</small></td>", "<td><b>1.0625</b><br><small class=\"bad\">+6.2 %",
        "<td><b>1.5000</b><br><small class=\"good\">−25.0 %</small></td><td class=\"soft\">–</td>", "data-chart=\"compare-scores\"",
        "<td>t&lt;k</td><td class=\"soft\">–</td><td><b>50.0 %</b><br><small class=\"good\">+25.0</small></td>", "data-chart=\"compare-tasks\"",
        "data-chart=\"train-ce\"", "data-chart=\"review-lpr\"", "<td>train.lr</td><td>0.001</td><td>0.002</td>",
        "<td>gate.layers</td><td>–</td><td>[1, 2]</td>", "3 other keys have the same value",
        "<td>languages.el.valid</td><td>[../../data/el.gz]</td><td>[below, /elsewhere/el.gz]</td>", "</svg>a</th>", "</svg>b</th>", "<td>9.8.7</td><td>9.8.6</td>",
        "<td>experts</td><td>4</td><td>4</td>", "<td><code>ba5e</code></td>"};
    const char *dirs[] = {put_run("a", full, "base: /home/x/models/b\noutput: /home/x/runs/a\nlanguages: {el: {valid: [/home/x/data/el.gz]}}\n"
                                               "train: {lr: 0.001, batch: 8, order: file}\n", true),
                          put_run("b", other, "base: /srv/y/models/b\noutput: /srv/y/runs/b\nlanguages: {el: {valid: [/srv/y/runs/b/below, /elsewhere/el.gz]}}\n"
                                                "train: {lr: 0.002, batch: 8, order: file}\ngate: {layers: [1, 2]}\n", true)};
    glot_error err = {0};
    char path[96], *html = NULL;
    size_t size;
    snprintf(path, sizeof path, "%s/compare.html", root);
    if (glot_report_compare(dirs, 2, path, &err) != GLOT_OK || glot_file_read(&html, &size, path, 1 << 24, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_has_all(html, words, sizeof words / sizeof words[0]);
    check_tags(html);
    assert_null(strstr(html, "http"));
    assert_null(strstr(html, "<td>output</td>")); /* always another one */
    assert_null(strstr(html, "home")); /* the base lies beside both runs: no difference */
    assert_null(strstr(html, "nan"));
    glot_free(html);
}

/* Runs without a router have no balance to draw. */
static void test_two_dense_runs(void **state)
{
    (void)state;
    glot_error err = {0};
    char path[96], *html = NULL;
    size_t size;
    const char *dirs[] = {put_run("a", dense, "base: b\n", true), put_run("b", dense, "base: b\n", true)};
    snprintf(path, sizeof path, "%s/compare.html", root);
    if (glot_report_compare(dirs, 2, path, &err) != GLOT_OK || glot_file_read(&html, &size, path, 1 << 24, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_has(html, "data-chart=\"train-ce\"");
    assert_null(strstr(html, "data-chart=\"train-balance\""));
    assert_has(html, "<td>time of review</td><td>–</td><td>–</td>");
    glot_free(html);
}

/* The heading names the run and its base. */
static void test_heading(void **state)
{
    (void)state;
    glot_error err = {0};
    char path[96], *html = NULL;
    size_t size;
    const char *dir = put_run("a", full, "base: /some/models/tiny/base\noutput: /some/runs/first\n", true);
    snprintf(path, sizeof path, "%s/report.html", dir);
    if (glot_report_write(dir, NULL, &err) != GLOT_OK || glot_file_read(&html, &size, path, 1 << 24, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_has(html, "<title>glot: first, from tiny/base</title>");
    glot_free(html);
}

static void test_what_is_no_finished_run(void **state)
{
    (void)state;
    glot_error err = {0};
    assert_int_equal(glot_report_check("/nowhere", &err), GLOT_NOT_FOUND);
    assert_string_equal(err.message, "'/nowhere' does not exist, expected a run directory");
    assert_int_equal(glot_report_check(root, &err), GLOT_NOT_FOUND);
    assert_non_null(strstr(err.message, "' is no run of glot: it has no state.json"));
    assert_int_equal(glot_report_check(put_run("c", full, "base: b\n", false), &err), GLOT_NOT_FOUND);
    assert_non_null(strstr(err.message, "/c' is not finished"));
    assert_int_equal(glot_report_check(put_run("c", full, "base: b\n", true), &err), GLOT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sections, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_without_a_choice, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_dense_run, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_flat_curve, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_many_languages, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_long_run, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_two_runs, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_names_of_runs, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_a_stage_alone, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_two_dense_runs, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_heading, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_what_is_no_finished_run, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_escaped, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_missing_parts, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
