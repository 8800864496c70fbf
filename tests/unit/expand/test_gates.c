/* test_gates.c: which layers get a language gate, and what becomes of gates when a model grows, is saved and opened. That they decide and learn
 * as METHOD 6 says: test_gradients.c, test_golden_training.c, test_session.c. */
#include "base/file.h"
#include "expand/gates.h"
#include "unit/ref_backend.h"
#include "unit/tiny_model.h"

static void expect_layers(const glot_gate_config *gate, const char *expected)
{
    char text[64] = "";
    for (int i = 0, n = 0; i < gate->n_layers; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%d", i ? " " : "", gate->layers[i]);
    assert_string_equal(text, expected);
}

/* ---- the choice ---- */

enum { N_LAYERS = 6 };

/* Layers 1 and 4 have no router. */
static glot_model_config layers_of_some(void)
{
    return (glot_model_config){.n_layers = N_LAYERS, .n_experts = {2, 1, 3, 2, 1, 2}};
}

static void test_most_similar(void **state)
{
    static const double similarity[N_LAYERS] = {0.3, 0.9, 0.5, 0.3, 0.8, 0.1};
    glot_error err = {0};
    glot_gate_config gate;
    glot_model_config c = layers_of_some();
    (void)state;
    OK(glot_gates_most_similar(&gate, &c, similarity, 0, &err));
    expect_layers(&gate, "");
    OK(glot_gates_most_similar(&gate, &c, similarity, 1, &err));
    expect_layers(&gate, "2");
    OK(glot_gates_most_similar(&gate, &c, similarity, 2, &err)); /* 0 and 3 are equally similar */
    expect_layers(&gate, "0 2");
    OK(glot_gates_most_similar(&gate, &c, similarity, 4, &err));
    expect_layers(&gate, "0 2 3 5");
    assert_int_equal(glot_gates_most_similar(&gate, &c, similarity, 5, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "5 layers are to have a language gate, but only 4 have a router");
}

/* Those that have a gate count, and stay. */
static void test_most_similar_besides(void **state)
{
    static const double similarity[N_LAYERS] = {0.3, 0.9, 0.5, 0.3, 0.8, 0.1};
    glot_error err = {0};
    glot_gate_config gate;
    glot_model_config c = layers_of_some();
    (void)state;
    c.gate = (glot_gate_config){.is_sequence_sum = true, .n_layers = 2, .layers = {3, 5}};
    OK(glot_gates_most_similar(&gate, &c, similarity, 1, &err));
    expect_layers(&gate, "3 5");
    OK(glot_gates_most_similar(&gate, &c, similarity, 3, &err));
    expect_layers(&gate, "2 3 5");
    assert_true(gate.is_sequence_sum);
}

static void test_listed(void **state)
{
    static const int32_t listed[] = {5, 0, 5}, plain[] = {2, 4}, beyond[] = {N_LAYERS}, negative[] = {-1};
    glot_error err = {0};
    glot_gate_config gate;
    glot_model_config c = layers_of_some();
    (void)state;
    c.gate = (glot_gate_config){.n_layers = 1, .layers = {3}};
    OK(glot_gates_listed(&gate, &c, listed, 3, &err));
    expect_layers(&gate, "0 3 5");
    assert_int_equal(glot_gates_listed(&gate, &c, plain, 2, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "layer 4 is to have a language gate, but has no router");
    assert_int_equal(glot_gates_listed(&gate, &c, beyond, 1, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "layer 6 is to have a language gate, but the layers are 0 to 5");
    assert_int_equal(glot_gates_listed(&gate, &c, negative, 1, &err), GLOT_BAD_ARGUMENT);
}

/* ---- models ---- */

static glot_model *gated_model(int32_t layer, bool is_sequence_sum)
{
    static const int32_t layout[TINY_LAYERS] = {3, 1, 2};
    glot_error err = {0};
    glot_gate_config gate;
    glot_model *m = tiny_dense(backend, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    OK(glot_upcycle(m, layout, &settings, &err));
    OK(glot_gates_listed(&gate, &m->config, &layer, 1, &err));
    gate.is_sequence_sum = is_sequence_sum;
    OK(glot_gates_add(m, &gate, 4, &err));
    return m;
}

static const float *gate_weights(const glot_model *m, int layer)
{
    assert_non_null(m->layers[layer].language_gate);
    assert_int_equal(glot_tensor_elements(&m->layers[layer].language_gate->weight), 2 * 24);
    return m->layers[layer].language_gate->weight.addr;
}

/* A second generation brings experts to every layer, and a gate where none could be before. */
static void test_growing(void **state)
{
    static const int32_t second[TINY_LAYERS] = {5, 2, 2}, more = 1;
    glot_error err = {0};
    glot_gate_config gate;
    glot_model *m = gated_model(2, false);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 4};
    float before[2 * 24];
    (void)state;
    memcpy(before, gate_weights(m, 2), sizeof before);
    OK(glot_upcycle(m, second, &settings, &err));
    expect_layers(&m->config.gate, "2");
    assert_memory_equal(gate_weights(m, 2), before, sizeof before);
    OK(glot_gates_listed(&gate, &m->config, &more, 1, &err));
    OK(glot_gates_add(m, &gate, 4, &err));
    expect_layers(&m->config.gate, "1 2");
    assert_memory_equal(gate_weights(m, 2), before, sizeof before);
    assert_memory_not_equal(gate_weights(m, 1), before, sizeof before);
    assert_null(m->layers[0].language_gate);
    gate.is_sequence_sum = true;
    assert_int_equal(glot_gates_add(m, &gate, 4, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "'random weights': its language gates have the form 'causal' and cannot have 'sequence_sum' besides");
    glot_model_close(m);
}

static void expect_saved(bool is_sequence_sum)
{
    glot_error err = {0};
    char dir[] = GLOT_BINARY_DIR "/test-gates-XXXXXX", before[65], after[65];
    glot_model *m = gated_model(2, is_sequence_sum), *again = NULL;
    assert_non_null(mkdtemp(dir));
    OK(glot_model_save(m, dir, NULL, NULL, 0, &err));
    OK(glot_model_open(&again, backend, dir, &err));
    const json_t *glot = json_object_get(again->base_config, "glot");
    json_t *gate = json_pack("{s:[i], s:s}", "layers", 2, "form", is_sequence_sum ? "sequence_sum" : "causal");
    assert_true(json_equal(json_object_get(glot, "gate"), gate));
    assert_non_null(glot_safetensors_find(again->safetensors, "model.layers.2.mlp.language_gate.weight"));
    assert_null(glot_safetensors_find(again->safetensors, "model.layers.0.mlp.language_gate.weight"));
    expect_layers(&again->config.gate, "2");
    assert_true(again->config.gate.is_sequence_sum == is_sequence_sum);
    assert_memory_equal(gate_weights(again, 2), gate_weights(m, 2), 2 * 24 * sizeof(float));
    OK(glot_model_sha256(before, m, false, &err));
    OK(glot_model_sha256(after, again, false, &err));
    assert_string_equal(before, after);
    json_decref(gate);
    glot_model_close(m);
    glot_model_close(again);
    OK(glot_dir_remove(dir, &err));
}

static void test_saved(void **state)
{
    (void)state;
    expect_saved(false);
    expect_saved(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_most_similar), cmocka_unit_test(test_most_similar_besides), cmocka_unit_test(test_listed),
                                       cmocka_unit_test(test_growing), cmocka_unit_test(test_saved)};
    return cmocka_run_group_tests(tests, open_backend, close_backend);
}
