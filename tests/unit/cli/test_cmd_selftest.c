/* test_cmd_selftest.c: `glot selftest` looks at every op on every instruction set and finds this machine sound. */
#include "run_glot.h"
#include "tensor/op_cases.h"

static size_t count_isas(void)
{
    size_t n = 0;
    while (glot_cpu_isas()[n])
        n++;
    return n;
}

static void test_json(void **state)
{
    json_t *found = json_of(run_glot(state, "selftest", "--json")), *ops = json_object_get(found, "ops");
    assert_int_equal(json_array_size(ops), GLOT_N_OP_CASES * count_isas());
    assert_int_equal(json_integer_value(json_object_get(found, "failed")), 0);
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *row = json_array_get(ops, i);
        assert_string_equal(json_string_value(json_object_get(row, "op")), glot_op_cases[i / count_isas()].name);
        assert_string_equal(json_string_value(json_object_get(row, "isa")), glot_cpu_isas()[i % count_isas()]);
        assert_string_equal(json_string_value(json_object_get(row, "agreement")), "equal");
        assert_true(json_integer_value(json_object_get(row, "cases")) >= 40);
    }
    json_decref(found);
}

static void test_table(void **state)
{
    glot_run run = run_glot(state, "selftest");
    assert_int_equal(run.exit_code, 0);
    for (size_t i = 0; i < GLOT_N_OP_CASES; i++)
        assert_non_null(strstr(run.out, glot_op_cases[i].name));
    assert_null(strstr(run.out, "FAILED"));
    assert_non_null(strstr(run.out, " kernels against the reference, 0 failed\n"));
    run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_json, make_folder, remove_folder),
                                       cmocka_unit_test_setup_teardown(test_table, make_folder, remove_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
