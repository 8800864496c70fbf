/* test_upcycle.c: what upcycling makes of a model: copies, routers, groups, growing again, and what it
 * refuses. That it changes no bit of what the model computes is test_identity.c. */
#include "unit/ref_backend.h"
#include "unit/tiny_model.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>

#define assert_refused(call, expected, sentence)                                                             \
    do {                                                                                                     \
        glot_status got_ = (call);                                                                           \
        if (got_ != (expected) || strcmp(err.message, sentence) != 0)                                        \
            fail_msg("%s:%d: got %s, '%s', expected '%s'", __FILE__, __LINE__, glot_status_name(got_),       \
                     err.message, sentence);                                                                 \
    } while (0)

static bool same_values(const glot_param *a, const glot_param *b)
{
    return a->weight.dtype == b->weight.dtype && glot_tensor_same_shape(&a->weight, &b->weight) &&
           memcmp(a->weight.addr, b->weight.addr, glot_tensor_bytes(&a->weight)) == 0;
}

static bool same_expert(const glot_layer *layer, int a, int b)
{
    return same_values(layer->gate_proj[a], layer->gate_proj[b]) &&
           same_values(layer->up_proj[a], layer->up_proj[b]) &&
           same_values(layer->down_proj[a], layer->down_proj[b]);
}

static void hash(char hex[65], const glot_model *m)
{
    glot_error err = {0};
    OK(glot_model_sha256(hex, m, false, &err));
}

static void test_layerwise(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {1, 3, 2};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    char base[65];
    (void)state;
    hash(base, m);
    OK(glot_upcycle(m, layout, &settings, &err));
    assert_true(m->config.is_expanded);
    assert_int_equal(m->config.top_k, 2);
    assert_int_equal(m->config.n_groups, 2);
    assert_string_equal(m->config.group_languages[0], "");
    assert_string_equal(m->config.group_languages[1], "");
    assert_string_equal(m->config.base_sha256, base);
    assert_null(m->layers[0].router);
    assert_string_equal(m->layers[0].up_proj[0]->name, "model.layers.0.mlp.up_proj.weight");
    assert_string_equal(m->layers[1].up_proj[0]->name, "model.layers.1.mlp.experts.0.up_proj.weight");
    for (int l = 0; l < TINY_LAYERS; l++) {
        assert_int_equal(m->layers[l].n_experts, layout[l]);
        for (int e = 0; e < layout[l]; e++) {
            assert_true(same_expert(&m->layers[l], 0, e));
            assert_int_equal(m->config.expert_group[l][e], e > 0);
        }
    }
    glot_model_close(m);
}

static double std_of(const glot_tensor *t)
{
    const float *values = t->addr;
    double sum = 0.0;
    int64_t n = glot_tensor_elements(t);
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum / (double)n);
}

static void test_routers(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {8, 8, 4};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1), *same = tiny_dense(backend, 1), *other = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    (void)state;
    OK(glot_upcycle(m, layout, &settings, &err));
    OK(glot_upcycle(same, layout, &settings, &err));
    settings.seed = 5;
    OK(glot_upcycle(other, layout, &settings, &err));
    for (int l = 0; l < TINY_LAYERS; l++) {
        const glot_tensor *router = &m->layers[l].router->weight;
        double expected = sqrt(2.0 / (24.0 + layout[l])), n = 24.0 * layout[l];
        bool ok = fabs(std_of(router) - expected) <= 4 * expected / sqrt(2 * n);
        if (!ok)
            fail_msg("router %d has std %g, expected %g", l, std_of(router), expected);
        assert_true(same_values(m->layers[l].router, same->layers[l].router));
        assert_false(same_values(m->layers[l].router, other->layers[l].router));
    }
    assert_false(same_values(m->layers[0].router, m->layers[1].router));
    glot_model_close(m);
    glot_model_close(same);
    glot_model_close(other);
}

static void test_random_experts(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {3, 1, 2};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1), *dense = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .init = GLOT_EXPERT_RANDOM, .seed = 4};
    (void)state;
    OK(glot_upcycle(m, layout, &settings, &err));
    assert_true(same_values(m->layers[0].down_proj[0], dense->layers[0].down_proj[0]));
    assert_false(same_expert(&m->layers[0], 0, 1));
    assert_false(same_values(m->layers[0].gate_proj[1], m->layers[0].gate_proj[2]));
    double std = std_of(&m->layers[0].gate_proj[1]->weight);
    assert_true(std > 0.018 && std < 0.022);
    glot_model_close(m);
    glot_model_close(dense);
}

/* A base's type is kept by the copies until they train. */
static void test_sixteen_bit_base(void **state)
{
    static const int32_t layout[2] = {2, 3};
    glot_error err = {0};
    glot_model *m = NULL;
    (void)state;
    OK(glot_model_open(&m, backend, GLOT_SOURCE_DIR "/tests/golden/models/mistral_tied", &err));
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    OK(glot_upcycle(m, layout, &settings, &err));
    assert_int_equal(m->layers[1].up_proj[2]->weight.dtype, GLOT_BF16);
    assert_true(same_expert(&m->layers[1], 0, 2));
    assert_int_equal(m->layers[1].router->weight.dtype, GLOT_F32);
    assert_false(m->layers[1].up_proj[0]->is_owned);
    OK(glot_set_trainable(m, GLOT_TRAIN_NEW_EXPERTS, &err));
    OK(glot_model_allocate_grads(m, &err));
    assert_int_equal(m->layers[1].up_proj[2]->weight.dtype, GLOT_F32);
    assert_int_equal(m->layers[1].up_proj[0]->weight.dtype, GLOT_BF16);
    glot_model_close(m);
}

/* ---- growing again ---- */

static void spread_experts(glot_model *m)
{
    for (int l = 0; l < TINY_LAYERS; l++)
        for (int e = 1; e < m->layers[l].n_experts; e++)
            ((float *)m->layers[l].up_proj[e]->weight.addr)[0] = (float)(100 * l + e);
}

static void test_growing(void **state)
{
    static const int32_t first[TINY_LAYERS] = {3, 1, 2}, second[TINY_LAYERS] = {5, 2, 2},
                         source[TINY_LAYERS] = {2, 0, 1};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    float rows[3 * 24], old_router[2 * 24];
    char base[65];
    (void)state;
    OK(glot_upcycle(m, first, &settings, &err));
    spread_experts(m);
    memcpy(rows, m->layers[0].router->weight.addr, sizeof rows);
    memcpy(old_router, m->layers[2].router->weight.addr, sizeof old_router);
    memcpy(base, m->config.base_sha256, sizeof base);
    settings.source_expert = source;
    OK(glot_upcycle(m, second, &settings, &err));
    assert_int_equal(m->config.n_groups, 3);
    assert_string_equal(m->config.base_sha256, base); /* still of the dense base */
    const float *router = m->layers[0].router->weight.addr;
    assert_memory_equal(router, rows, sizeof rows); /* rows that exist are kept */
    for (int old = 0; old < 3; old++)               /* and not drawn again with the same seed */
        for (int e = 3; e < 5; e++)
            assert_memory_not_equal(router + 24 * e, rows + 24 * old, 24 * sizeof(float));
    assert_memory_equal(m->layers[2].router->weight.addr, old_router, sizeof old_router);
    assert_true(same_expert(&m->layers[0], 2, 3) && same_expert(&m->layers[0], 2, 4));
    assert_true(((const float *)m->layers[0].up_proj[1]->weight.addr)[0] == 1.0f);
    assert_true(same_expert(&m->layers[1], 0, 1));
    assert_int_equal(m->config.expert_group[0][2], 1);
    assert_int_equal(m->config.expert_group[0][4], 2);
    assert_int_equal(m->config.expert_group[1][1], 2);
    glot_model_close(m);
}

static void test_fresh_router(void **state)
{
    static const int32_t first[TINY_LAYERS] = {3, 1, 2}, second[TINY_LAYERS] = {4, 1, 2};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1), *at_once = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    float row[24];
    (void)state;
    OK(glot_upcycle(m, first, &settings, &err));
    memcpy(row, m->layers[2].router->weight.addr, sizeof row);
    settings.is_router_fresh = true;
    settings.seed = 9;
    OK(glot_upcycle(m, second, &settings, &err));
    OK(glot_upcycle(at_once, second, &settings, &err));
    assert_true(same_values(m->layers[0].router, at_once->layers[0].router));
    assert_memory_not_equal(m->layers[2].router->weight.addr, row,
                            sizeof row); /* a layer that does not grow, too */
    glot_model_close(m);
    glot_model_close(at_once);
}

/* ---- refusals ---- */

static void test_refused(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {3, 1, 2}, fewer[TINY_LAYERS] = {2, 1, 2},
                         many[TINY_LAYERS] = {3, 257, 2}, none[TINY_LAYERS] = {0, 1, 2},
                         sources[TINY_LAYERS] = {0, 1, 0};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    (void)state;
    assert_refused(glot_upcycle(m, none, &settings, &err), GLOT_BAD_ARGUMENT,
                   "layer 0 has 1 experts and cannot be left with 0: experts are only added");
    assert_refused(glot_upcycle(m, many, &settings, &err), GLOT_BAD_ARGUMENT,
                   "layer 1 is to have 257 experts, expected at most 256");
    settings.source_expert = sources;
    assert_refused(glot_upcycle(m, layout, &settings, &err), GLOT_BAD_ARGUMENT,
                   "new experts of layer 1 cannot copy expert 1 of 1");
    settings.source_expert = NULL;
    settings.top_k = 0;
    assert_refused(glot_upcycle(m, layout, &settings, &err), GLOT_BAD_ARGUMENT,
                   "a token cannot use 0 experts, expected 1 to 256");
    settings.top_k = 2;
    OK(glot_upcycle(m, layout, &settings, &err));
    assert_refused(glot_upcycle(m, fewer, &settings, &err), GLOT_BAD_ARGUMENT,
                   "layer 0 has 3 experts and cannot be left with 2: experts are only added");
    assert_refused(glot_upcycle(m, layout, &settings, &err), GLOT_BAD_ARGUMENT,
                   "'random weights': no layer would get a new expert");
    settings.top_k = 3;
    assert_refused(glot_upcycle(m, layout, &settings, &err), GLOT_BAD_ARGUMENT,
                   "'random weights': its tokens use 2 experts each; growing keeps that, 3 was asked for");
    glot_model_close(m);
}

/* One expert everywhere: the dense model stays as it is. */
static void test_nothing_to_add(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {1, 1, 1};
    glot_error err = {0};
    glot_model *m = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    char before[65], after[65];
    (void)state;
    hash(before, m);
    OK(glot_upcycle(m, layout, &settings, &err));
    hash(after, m);
    assert_string_equal(before, after);
    assert_false(m->config.is_expanded);
    assert_int_equal(m->config.n_groups, 0);
    glot_model_close(m);
}

/* ---- saved and opened ---- */

static void test_saved(void **state)
{
    static const int32_t first[TINY_LAYERS] = {3, 1, 2}, second[TINY_LAYERS] = {4, 2, 2};
    glot_error err = {0};
    char dir[] = GLOT_BINARY_DIR "/test-upcycle-XXXXXX", before[65], after[65];
    glot_model *m = tiny_dense(backend, 1), *again = NULL;
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    char base[65];
    (void)state;
    assert_non_null(mkdtemp(dir));
    hash(base, m);
    OK(glot_upcycle(m, first, &settings, &err));
    spread_experts(m);
    OK(glot_upcycle(m, second, &settings, &err));
    OK(glot_model_record_groups(m, NULL, &err));
    OK(glot_model_save(m, dir, NULL, NULL, 0, &err));
    OK(glot_model_open(&again, backend, dir, &err));
    hash(before, m);
    hash(after, again);
    assert_string_equal(before, after);
    assert_int_equal(again->config.n_groups, 3);
    assert_string_equal(again->config.base_sha256, m->config.base_sha256);
    assert_memory_equal(again->config.n_experts, m->config.n_experts, TINY_LAYERS * sizeof(int32_t));
    assert_memory_equal(again->config.expert_group, m->config.expert_group, sizeof m->config.expert_group);
    assert_string_equal(json_string_value(json_object_get(again->base_config, "model_type")), "glot");
    assert_string_equal(again->config.base_sha256, base); /* growing has left the base alone */
    OK(glot_model_check_groups(again, &err));
    glot_model_close(m);
    glot_model_close(again);
    OK(glot_dir_remove(dir, &err));
}

/* Hashes are of the values as they are saved, and tell which group was changed. */
static void test_group_hashes(void **state)
{
    static const int32_t layout[TINY_LAYERS] = {3, 1, 2};
    const glot_dtype narrow = GLOT_BF16;
    glot_error err = {0};
    char dir[] = GLOT_BINARY_DIR "/test-upcycle-XXXXXX", sentence[64];
    glot_model *m = tiny_dense(backend, 1), *again = NULL;
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    (void)state;
    assert_non_null(mkdtemp(dir));
    OK(glot_upcycle(m, layout, &settings, &err));
    OK(glot_model_check_groups(m, &err));
    OK(glot_model_record_groups(m, &narrow, &err));
    OK(glot_model_save(m, dir, &narrow, NULL, 0, &err));
    OK(glot_model_open(&again, backend, dir, &err));
    OK(glot_model_check_groups(again, &err));
    OK(glot_model_record_groups(m, NULL, &err));
    ((float *)m->layers[0].router->weight.addr)[0] += 1.0f; /* routers train in every generation */
    OK(glot_model_check_groups(m, &err));
    for (int e = 2; e >= 0; e -= 2) {
        ((float *)m->layers[0].up_proj[e]->weight.addr)[7] += 1.0f;
        assert_int_equal(glot_model_check_groups(m, &err), GLOT_BAD_VALUE);
        snprintf(sentence, sizeof sentence, "the weights of language group %d have SHA-256", e > 0);
        assert_non_null(strstr(err.message, sentence));
        ((float *)m->layers[0].up_proj[e]->weight.addr)[7] -= 1.0f;
    }
    glot_model_close(m);
    glot_model_close(again);
    OK(glot_dir_remove(dir, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layerwise),      cmocka_unit_test(test_routers),
        cmocka_unit_test(test_random_experts), cmocka_unit_test(test_sixteen_bit_base),
        cmocka_unit_test(test_growing),        cmocka_unit_test(test_fresh_router),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_nothing_to_add),
        cmocka_unit_test(test_saved),          cmocka_unit_test(test_group_hashes)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
