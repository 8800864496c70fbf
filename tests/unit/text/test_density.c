/* test_density.c: when a tokenizer is called poor for a language, and how. */
#include "text/density.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

typedef struct heard {
    int n;
    char last[1024];
} heard;

static void hear(void *user, glot_log_level level, const char *message)
{
    heard *h = user;
    if (level != GLOT_LOG_WARNING)
        return;
    h->n++;
    snprintf(h->last, sizeof h->last, "%s", message);
}

static void test_ratio(void **state)
{
    (void)state;
    assert_true(glot_tokens_per_byte(1, 4) == 0.25);
    assert_true(glot_tokens_per_byte(0, 0) == 0.0);
}

static void test_warning(void **state)
{
    (void)state;
    heard h = {0};
    glot_log_set_sink(hear, &h);
    glot_warn_of_density("el", 65, 100);
    glot_warn_of_density("none", 0, 0);
    assert_int_equal(h.n, 0);
    glot_warn_of_density("bn", 66, 100);
    glot_log_set_sink(NULL, NULL);
    assert_int_equal(h.n, 1);
    const char *begin =
        "language 'bn': the tokenizer makes 0.66 tokens of each byte of its text (more than 0.65: ";
    assert_memory_equal(h.last, begin, strlen(begin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ratio), cmocka_unit_test(test_warning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
