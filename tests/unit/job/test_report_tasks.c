/* test_report_tasks.c: the report's table and chart of multiple choice. */
#include "job/report_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void expect(const char *results, const char *const *parts, size_t n)
{
    json_t *o = json_loads(results, 0, NULL);
    glot_str out = {0};
    assert_int_equal(glot_report_tasks(&out, o, NULL), GLOT_OK);
    assert_false(out.failed);
    const char *at = out.data ? out.data : "";
    if (n == 0)
        assert_string_equal(at, "");
    for (size_t i = 0; i < n; i++) { /* in this order */
        const char *found = strstr(at, parts[i]);
        if (!found)
            fail_msg("'%s' is not in '%s'", parts[i], at);
        at = found + strlen(parts[i]);
    }
    glot_str_release(&out);
    json_decref(o);
}

static void test_table(void **state)
{
    (void)state;
    static const char results[] = "{\"before\": {\"tasks\": {\"a<b\": {\"acc\": 0.5, \"acc_norm\": 0.25, "
                                  "\"acc_stderr\": 0.05, \"items\": 101},"
                                  " \"c\": {\"acc\": 1, \"acc_norm\": 1, \"acc_stderr\": 0, \"items\": 3}}},"
                                  " \"after_train\": {\"tasks\": {\"a<b\": {\"acc\": 0.75, \"acc_norm\": "
                                  "0.625, \"acc_stderr\": 0.04, \"items\": 101}}}}";
    static const char *const parts[] = {"Multiple choice</h2>",
                                        "a&lt;b</td><td class=\"wide\">101</td>",
                                        "50.0 % ± 5.0<br><small>25.0 %</small>",
                                        "75.0 % ± 4.0<br><small>62.5 %</small>",
                                        "</td></tr>",
                                        "c</td><td class=\"wide\">3</td><td>100.0 % ± 0.0",
                                        "–</span></td></tr>",
                                        "</table></div>",
                                        "<figure data-chart=\"tasks\">",
                                        "a&lt;b",
                                        "v0 interval",
                                        "<title>50.0000</title>",
                                        "v1 interval",
                                        "<title>75.0000</title>",
                                        "<title>100.0000</title>"};
    expect(results, parts, sizeof parts / sizeof parts[0]);
}

static void test_no_tasks(void **state)
{
    (void)state;
    expect("{}", NULL, 0);
    expect("{\"before\": {\"text\": {}, \"tasks\": {}}}", NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_no_tasks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
