/* test_error.c: the status table and the sentences; the log sink. */
#include "base_util.h"

#include "base/log.h"

static void test_every_status_has_its_row(void **state)
{
    (void)state;
    assert_string_equal(glot_status_name(GLOT_OK), "OK");
    assert_int_equal(glot_status_exit_code(GLOT_OK), 0);
    assert_string_equal(glot_status_name(GLOT_BAD_FORMAT), "BAD_FORMAT");
    assert_int_equal(glot_status_exit_code(GLOT_BAD_FORMAT), 3);
    assert_int_equal(glot_status_exit_code(GLOT_BAD_ARGUMENT), 2);
    assert_int_equal(glot_status_exit_code(GLOT_NO_SPACE), 1);
    assert_int_equal(glot_status_exit_code(GLOT_CANCELLED), 75);
    assert_string_equal(glot_status_name((glot_status)999), "INTERNAL");
}

static void test_fail_writes_the_sentence(void **state)
{
    (void)state;
    glot_error err = {0};
    assert_int_equal(GLOT_FAIL(&err, GLOT_IO, "cannot read '%s': %d", "x", 7), GLOT_IO);
    assert_string_equal(err.message, "cannot read 'x': 7");
    assert_int_equal(err.status, GLOT_IO);
    assert_non_null(strstr(err.where, "test_error.c"));
    assert_int_equal(GLOT_FAIL(NULL, GLOT_IO, "nobody reads this"), GLOT_IO);
}

static void test_prefix(void **state)
{
    (void)state;
    glot_error err = {0};
    GLOT_FAIL(&err, GLOT_BAD_VALUE, "a fault");
    assert_int_equal(glot_error_prefix(&err, "'%s' line %d", "f", 3), GLOT_BAD_VALUE);
    assert_string_equal(err.message, "'f' line 3: a fault");
    assert_int_equal(glot_error_prefix(NULL, "x"), GLOT_INTERNAL);
}

/* A message too long for its place is cut, never written past it. */
static void test_long_messages_are_cut(void **state)
{
    (void)state;
    struct {
        glot_error err;
        char guard[8];
    } s = {.guard = "guard!!"};
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    GLOT_FAIL(&s.err, GLOT_IO, "%s", text);
    assert_int_equal(strlen(s.err.message), sizeof s.err.message - 1);
    for (int n = 1019; n < 1030; n++) {
        glot_error_prefix(&s.err, "%.*s", n, text);
        assert_int_equal(strnlen(s.err.message, sizeof s.err.message), n == 1022 ? 1022 : 1023);
    }
    assert_string_equal(s.guard, "guard!!");
}

static char logged[64];
static glot_log_level logged_level;

static void keep(void *user, glot_log_level level, const char *message)
{
    snprintf(logged, sizeof logged, "%s%s", (const char *)user, message);
    logged_level = level;
}

static void test_log_sink(void **state)
{
    (void)state;
    glot_warn("dropped without a sink");
    glot_log_set_sink(keep, "> ");
    glot_warn("%d lines", 3);
    assert_string_equal(logged, "> 3 lines");
    assert_int_equal(logged_level, GLOT_LOG_WARNING);
    glot_info("a note");
    assert_int_equal(logged_level, GLOT_LOG_INFO);
    glot_log_set_sink(NULL, NULL);
    glot_debug("dropped");
    assert_string_equal(logged, "> a note");
}

static void test_version(void **state)
{
    (void)state;
    int major, minor, patch;
    char rest;
    assert_int_equal(sscanf(glot_version(), "%d.%d.%d%c", &major, &minor, &patch, &rest), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_its_row),
        cmocka_unit_test(test_fail_writes_the_sentence),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_log_sink),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
