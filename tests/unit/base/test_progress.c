/* test_progress.c: speed and time left at known points, and the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/progress.h"

#include <math.h>
#include <string.h>

static void test_constant_speed(void **state)
{
    (void)state;
    glot_progress p = glot_progress_begin("train", "tok/s", 0, 40, 100.0);
    assert_true(glot_progress_rate(&p) == 0.0);
    assert_true(glot_progress_eta(&p) < 0);
    for (int i = 1; i <= 12; i++)
        glot_progress_add(&p, 1, 1520, 100.0 + 10.0 * i);
    assert_true(fabs(glot_progress_rate(&p) - 152.0) <= 1e-9);
    assert_true(fabs(glot_progress_eta(&p) - 280.0) <= 1e-9);
}

static void test_line(void **state)
{
    (void)state;
    glot_str line = {0};
    glot_progress p = glot_progress_begin("train", "tok/s", 0, 40, 0);
    glot_progress_line(&p, NULL, &line);
    assert_string_equal(line.data, "train 0/40 (0%)  eta ?");
    for (int i = 1; i <= 12; i++)
        glot_progress_add(&p, 1, 1520, 10.0 * i);
    glot_str_reset(&line);
    glot_progress_line(&p, "loss 2.314", &line);
    assert_string_equal(line.data, "train 12/40 (30%)  eta 4:40  tok/s 152  loss 2.314");
    glot_progress_add(&p, 27, 1, 190);
    glot_str_reset(&line);
    glot_progress_line(&p, NULL, &line);
    assert_non_null(strstr(line.data, "train 39/40 (97%)")); /* never 100 before the end */
    glot_progress_add(&p, 1, 1, 200);
    glot_str_reset(&line);
    glot_progress_line(&p, NULL, &line);
    assert_non_null(strstr(line.data, "train 40/40 (100%)"));
    assert_non_null(strstr(line.data, "eta 0:00"));
    glot_str_release(&line);
}

static void test_without_a_total(void **state)
{
    (void)state;
    glot_str line = {0};
    glot_progress p = glot_progress_begin("tokenize", "MB/s", 0, 0, 0);
    glot_progress_add(&p, 3, 4.5, 2.0);
    glot_progress_line(&p, NULL, &line);
    assert_string_equal(line.data, "tokenize 3  MB/s 2.2");
    glot_str_release(&line);
}

/* A resumed run: the steps of the time before say nothing about the speed of now. */
static void test_resumed(void **state)
{
    (void)state;
    glot_progress p = glot_progress_begin("train", NULL, 30, 40, 0);
    glot_progress_add(&p, 1, 0, 2.0);
    assert_true(fabs(glot_progress_eta(&p) - 18.0) <= 1e-9);
}

static void test_follows_a_change(void **state)
{
    (void)state;
    glot_progress p = glot_progress_begin("train", "tok/s", 0, 1000, 0);
    double now = 0;
    for (int i = 0; i < 100; i++)
        glot_progress_add(&p, 1, 100, now += 1);
    for (int i = 0; i < 120; i++)
        glot_progress_add(&p, 1, 100, now += 2);
    assert_true(fabs(glot_progress_rate(&p) - 50.0) <= 0.1);
}

/* Time that stands still or runs backward (a clock that was set) must not give infinities. */
static void test_broken_clock(void **state)
{
    (void)state;
    glot_progress p = glot_progress_begin("train", "tok/s", 0, 10, 5);
    glot_progress_add(&p, 1, 10, 5);
    assert_true(glot_progress_rate(&p) == 0.0);
    glot_progress_add(&p, 1, 10, 4);
    assert_true(glot_progress_rate(&p) == 0.0);
    assert_true(isfinite(glot_progress_eta(&p)));
    glot_progress_add(&p, 1, 10, 6);
    assert_true(fabs(glot_progress_rate(&p) - 15.0) <= 1.0);
}

static void expect_duration(double seconds, const char *text)
{
    char found[32];
    glot_duration_text(seconds, found);
    assert_string_equal(found, text);
}

static void test_durations(void **state)
{
    (void)state;
    expect_duration(0, "0:00");
    expect_duration(7.4, "0:07");
    expect_duration(59.6, "1:00");
    expect_duration(312, "5:12");
    expect_duration(3723, "1:02:03");
    expect_duration(2 * 86400 + 3 * 3600 + 4 * 60, "2d 03:04");
    expect_duration(-1, "?");
    expect_duration(NAN, "?");
    expect_duration(INFINITY, "?");
}

static void expect_bytes(uint64_t bytes, const char *text)
{
    char found[32];
    glot_bytes_text(bytes, found);
    assert_string_equal(found, text);
}

static void test_bytes(void **state)
{
    (void)state;
    expect_bytes(0, "0 B");
    expect_bytes(1023, "1023 B");
    expect_bytes(1024, "1.0 KiB");
    expect_bytes(1048575, "1.0 MiB");
    expect_bytes(98362432, "93.8 MiB");
    expect_bytes(UINT64_MAX, "16.0 EiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant_speed),   cmocka_unit_test(test_line),
        cmocka_unit_test(test_without_a_total),  cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_follows_a_change), cmocka_unit_test(test_broken_clock),
        cmocka_unit_test(test_durations),        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
