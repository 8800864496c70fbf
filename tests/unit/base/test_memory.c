/* test_memory.c: checked sizes, counted and failing heap calls, growing arrays and strings. */
#include "base_util.h"

#include "base/str.h"

static void test_checked_sizes(void **state)
{
    (void)state;
    size_t out = 7;
    assert_true(glot_size_mul(&out, SIZE_MAX / 3, 3) && out == SIZE_MAX / 3 * 3);
    assert_true(glot_size_mul(&out, 0, SIZE_MAX) && out == 0);
    assert_true(glot_size_add(&out, SIZE_MAX, 0) && out == SIZE_MAX);
    out = 7;
    assert_false(glot_size_mul(&out, SIZE_MAX / 2 + 1, 2));
    assert_false(glot_size_add(&out, SIZE_MAX, 1));
    assert_int_equal(out, 7);
}

static void test_memory_is_zeroed(void **state)
{
    (void)state;
    unsigned char *bytes = glot_calloc(100, 3);
    for (int i = 0; i < 300; i++)
        assert_int_equal(bytes[i], 0);
    glot_free(bytes);
    void *nothing = glot_calloc(0, 8);
    assert_non_null(nothing);
    glot_free(nothing);
}

static void test_products_that_do_not_fit(void **state)
{
    (void)state;
    glot_error err = {0};
    void *memory = NULL;
    assert_null(glot_calloc(SIZE_MAX / 2, 4));
    assert_null(glot_realloc(NULL, SIZE_MAX / 2, 4));
    assert_int_equal(glot_new(&memory, SIZE_MAX / 2, 4, "a table", &err), GLOT_NOMEM);
    assert_non_null(strstr(err.message, "no memory for a table ("));
    assert_null(memory);
}

static void test_calls_are_counted(void **state)
{
    (void)state;
    uint64_t before = glot_heap_calls();
    char *copy = glot_strdup("abc");
    copy = glot_realloc(copy, 10, 1);
    assert_string_equal(copy, "abc");
    assert_int_equal(glot_heap_calls() - before, 2);
    glot_free(copy);
    assert_int_equal(glot_heap_calls() - before, 2);
}

static void test_planted_failures(void **state)
{
    (void)state;
    glot_heap_fail_after(2);
    void *first = glot_calloc(1, 1), *second = glot_calloc(1, 1), *third = glot_calloc(1, 1);
    glot_heap_fail_after(0);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    glot_free(first);
    glot_free(third);
}

static void test_strndup(void **state)
{
    (void)state;
    char *part = glot_strndup("abcdef", 3);
    assert_string_equal(part, "abc");
    glot_free(part);
}

static void test_grow(void **state)
{
    (void)state;
    int *array = NULL;
    size_t capacity = 0;
    glot_error err = {0};
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(glot_grow(&array, &capacity, i + 1, sizeof *array, "numbers", &err), GLOT_OK);
        array[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(array[i], i);
    uint64_t calls = glot_heap_calls();
    assert_int_equal(glot_grow(&array, &capacity, 10, sizeof *array, "numbers", &err), GLOT_OK);
    assert_int_equal(glot_heap_calls(), calls);
    assert_int_equal(glot_grow(&array, &capacity, SIZE_MAX, sizeof *array, "numbers", &err), GLOT_NOMEM);
    assert_int_equal(array[999], 999); /* the old block is still there */
    glot_free(array);
}

static void test_string(void **state)
{
    (void)state;
    glot_str s = {0};
    glot_str_puts(&s, "ab");
    glot_str_append(&s, "c\0d", 3);
    glot_str_printf(&s, "%d-%s", 12, "x");
    assert_int_equal(s.length, 9);
    assert_memory_equal(s.data, "abc\0d12-x", 10);
    glot_str_reset(&s);
    assert_int_equal(s.length, 0);
    assert_string_equal(s.data, "");
    glot_str_append(&s, NULL, 0);
    assert_int_equal(glot_str_check(&s, "a text", NULL), GLOT_OK);
    glot_str_release(&s);
    assert_null(s.data);
}

/* A failed growth is remembered: later appends do nothing, the check at the end tells. */
static void test_string_without_memory(void **state)
{
    (void)state;
    glot_str s = {0};
    glot_error err = {0};
    glot_str_puts(&s, "first");
    glot_heap_fail_after(1);
    glot_str_printf(&s, "%100d", 1);
    glot_heap_fail_after(0);
    glot_str_puts(&s, "second");
    assert_string_equal(s.data, "first");
    assert_int_equal(glot_str_check(&s, "a text", &err), GLOT_NOMEM);
    assert_string_equal(err.message, "no memory for a text");
    glot_str_reset(&s);
    assert_int_equal(glot_str_check(&s, "a text", &err), GLOT_OK);
    glot_str_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checked_sizes),
        cmocka_unit_test(test_memory_is_zeroed),
        cmocka_unit_test(test_products_that_do_not_fit),
        cmocka_unit_test(test_calls_are_counted),
        cmocka_unit_test(test_planted_failures),
        cmocka_unit_test(test_strndup),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_string),
        cmocka_unit_test(test_string_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
