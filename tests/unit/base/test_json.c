/* test_json.c: what is read, and the sentence for what is not. */
#include "base_util.h"

#include "base/json.h"

#include <math.h>

static json_t *good(const char *text)
{
    json_t *value = NULL;
    glot_error err = {0};
    if (glot_json_load(&value, text, strlen(text), "f.json", &err) != GLOT_OK)
        fail_msg("'%s' is refused: %s", text, err.message);
    return value;
}

static void refused(const char *text, const char *part)
{
    json_t *value = NULL;
    glot_error err = {0};
    assert_int_equal(glot_json_load(&value, text, strlen(text), "f.json", &err), GLOT_BAD_FORMAT);
    assert_null(value);
    assert_non_null(strstr(err.message, "'f.json' is not valid JSON: line "));
    if (!strstr(err.message, part))
        fail_msg("'%s' lacks '%s'", err.message, part);
}

static void test_bad_json(void **state)
{
    (void)state;
    refused("", "line 1, column 0");
    refused("{\"a\": 1,\n \"a\": 2}", "line 2, column 4: duplicate object key");
    refused("{\"a\": 1} x", "end of file expected");
    refused("{\"a\": \"\xff\"}", "unable to decode byte 0xff");
    refused("[1e999]", "real number overflow");
    refused("[99999999999999999999]", "too big integer");
    refused("[NaN]", "line 1");
    refused("{\"a\\u0000b\": 1}", "NUL byte in object key not supported");
}

/* Nesting deep enough to end the stack is refused, not followed. */
static void test_deep_nesting(void **state)
{
    (void)state;
    char text[100001];
    memset(text, '[', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    refused(text, "maximum parsing depth reached");
}

static void test_getters(void **state)
{
    (void)state;
    json_t *o = good("{\"i\": -5, \"r\": 2.5, \"e\": 1e3, \"b\": true, \"s\": \"caf\xc3\xa9\", \"n\": null}");
    int64_t i = 0;
    double r = 0;
    bool b = false;
    const char *s = NULL;
    assert_int_equal(glot_json_get_int(o, "i", &i, "f", NULL), GLOT_OK);
    assert_int_equal(i, -5);
    assert_int_equal(glot_json_get_int(o, "e", &i, "f", NULL), GLOT_OK);
    assert_int_equal(i, 1000);
    assert_int_equal(glot_json_get_real(o, "r", &r, "f", NULL), GLOT_OK);
    assert_true(r == 2.5);
    assert_int_equal(glot_json_get_real(o, "i", &r, "f", NULL), GLOT_OK);
    assert_true(r == -5);
    assert_int_equal(glot_json_get_bool_opt(o, "b", &b, "f", NULL), GLOT_OK);
    assert_true(b);
    assert_int_equal(glot_json_get_string(o, "s", &s, "f", NULL), GLOT_OK);
    assert_string_equal(s, "caf\xc3\xa9");
    json_decref(o);
}

static void test_missing_and_null_leave_defaults(void **state)
{
    (void)state;
    json_t *o = good("{\"n\": null}");
    int64_t i = 7;
    double r = 7;
    bool b = true;
    const char *s = "seven", *keys[] = {"n", "missing"};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(glot_json_get_int_opt(o, keys[k], &i, "f", NULL), GLOT_OK);
        assert_int_equal(glot_json_get_real_opt(o, keys[k], &r, "f", NULL), GLOT_OK);
        assert_int_equal(glot_json_get_bool_opt(o, keys[k], &b, "f", NULL), GLOT_OK);
        assert_int_equal(glot_json_get_string_opt(o, keys[k], &s, "f", NULL), GLOT_OK);
    }
    assert_true(i == 7 && r == 7 && b && strcmp(s, "seven") == 0);
    json_decref(o);
}

static void test_sentences(void **state)
{
    (void)state;
    json_t *o = good("{\"i\": \"x\", \"r\": [], \"big\": 1e300, \"f\": 1.5, \"n\": null, \"b\": 1}");
    json_t *list = good("[1]");
    int64_t i = 0;
    double r = 0;
    bool b = false;
    const char *s = NULL;
    glot_error err = {0};
    assert_int_equal(glot_json_get_int(o, "i", &i, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'i' is a string, expected an integer");
    assert_int_equal(glot_json_get_int(o, "f", &i, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'f' is a number with a fraction, expected an integer");
    assert_int_equal(glot_json_get_int(o, "big", &i, "c.json", &err), GLOT_BAD_FORMAT);
    assert_int_equal(glot_json_get_real(o, "r", &r, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'r' is a list, expected a number");
    assert_int_equal(glot_json_get_bool_opt(o, "b", &b, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'b' is an integer, expected true or false");
    assert_int_equal(glot_json_get_string(o, "none", &s, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'none' is missing");
    assert_int_equal(glot_json_get_string(o, "n", &s, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'n' is null");
    assert_int_equal(glot_json_get_real(list, "a", &r, "c.json", &err), GLOT_BAD_FORMAT);
    assert_string_equal(err.message, "'c.json': key 'a' is looked for in a list, expected an object");
    json_decref(o);
    json_decref(list);
}

static void test_dump_keeps_every_bit(void **state)
{
    (void)state;
    static const double values[] = {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0, 0.1f};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        json_t *list = json_pack("[f]", values[i]);
        char *text = glot_json_dump(list, 0);
        json_t *again = good(text);
        double back = json_real_value(json_array_get(again, 0));
        assert_memory_equal(&back, &values[i], sizeof back);
        free(text);
        json_decref(list);
        json_decref(again);
    }
}

static void test_dump_form(void **state)
{
    (void)state;
    json_t *o = good("{\"b\": 1, \"a\": [true, \"x\"]}");
    char *line = glot_json_dump(o, 0), *lines = glot_json_dump(o, 2);
    assert_string_equal(line, "{\"b\": 1, \"a\": [true, \"x\"]}");
    assert_non_null(strstr(lines, "{\n  \"b\": 1,\n"));
    free(line);
    free(lines);
    json_decref(o);
}

static void test_load_file(void **state)
{
    const char *path = in_folder(state, "a.json");
    json_t *value = NULL;
    glot_error err = {0};
    assert_int_equal(glot_json_load_file(&value, path, &err), GLOT_NOT_FOUND);
    assert_int_equal(glot_file_write(path, "{\"a\": 3}", 8, &err), GLOT_OK);
    assert_int_equal(glot_json_load_file(&value, path, &err), GLOT_OK);
    assert_int_equal(json_integer_value(json_object_get(value, "a")), 3);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_missing_and_null_leave_defaults),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_dump_keeps_every_bit),
        cmocka_unit_test(test_dump_form),
        cmocka_unit_test_setup_teardown(test_load_file, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
