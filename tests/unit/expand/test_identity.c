/* test_identity.c: invariant 1 of DESIGN: an upcycled model computes the dense model's function, bit for bit, for any router and any number of
 * experts in each layer. The best single test of the program. */
#include "unit/tiny_model.h"

enum { N = 40 };

typedef struct captured {
    float *rows; /* [N, vocab] */
} captured;

static void log_probs_of(captured *out, const glot_model *m)
{
    glot_error err = {0};
    glot_workspace *ws = NULL;
    int32_t ids[N], positions[N], segments[4] = {0, N, 0, N};
    glot_rng rng = glot_rng_seed(11, 1);
    for (int i = 0; i < N; i++) {
        ids[i] = (int32_t)glot_rng_below(&rng, TINY_VOCAB);
        positions[i] = i;
    }
    glot_batch batch = {.n_tokens = N, .ids = ids, .positions = positions, .n_segments = 1, .segments = segments};
    OK(glot_workspace_create(&ws, m, GLOT_WORKSPACE_INFER, N, N, N, &err));
    OK(glot_workspace_load(ws, &batch, &err));
    glot_model_forward(m, ws, NULL);
    out->rows = malloc(sizeof(float) * N * TINY_VOCAB);
    glot_model_log_probs(m, ws, 0, N, out->rows);
    glot_workspace_free(ws);
}

static void check_layout(const int32_t *n_experts, int top_k, uint64_t seed, float router_scale)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    captured dense = {0}, expanded = {0};
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    glot_model *m = tiny_dense(be, 1);
    log_probs_of(&dense, m);
    glot_upcycle_settings settings = {.top_k = top_k, .seed = seed};
    OK(glot_upcycle(m, n_experts, &settings, &err));
    for (int l = 0; l < TINY_LAYERS; l++) { /* any router: sharp ones too */
        glot_param *router = m->layers[l].router;
        if (!router)
            continue;
        int64_t n = glot_tensor_elements(&router->weight);
        float *host = malloc((size_t)n * sizeof *host);
        be->download(be, host, &router->weight);
        for (int64_t k = 0; k < n; k++)
            host[k] *= router_scale;
        be->upload(be, &router->weight, host);
        free(host);
    }
    log_probs_of(&expanded, m);
    assert_memory_equal(dense.rows, expanded.rows, sizeof(float) * N * TINY_VOCAB);
    free(dense.rows);
    free(expanded.rows);
    glot_model_close(m);
    glot_backend_close(be);
}

static void test_upcycling_changes_no_bit(void **state)
{
    (void)state;
    static const int32_t layouts[][TINY_LAYERS] = {{2, 2, 2}, {4, 4, 4}, {1, 5, 2}, {7, 1, 3}, {1, 1, 2}};
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        for (uint64_t seed = 1; seed <= 4; seed++) {
            check_layout(layouts[i], 2, seed, 1.0f);
            check_layout(layouts[i], 3, seed, 30.0f);
            check_layout(layouts[i], 1, seed, 1000.0f);
        }
}

/* Growing again, with rows kept: where a layer's experts agree, and where it had one expert only, no bit changes either. (Where they differ,
 * a token changes as soon as one of its K largest router rows is a new one.) */
static void test_growing_equal_experts_changes_no_bit(void **state)
{
    static const int32_t first[TINY_LAYERS] = {3, 1, 2}, second[TINY_LAYERS] = {4, 3, 2};
    glot_error err = {0};
    glot_backend *be = NULL;
    captured dense = {0}, grown = {0};
    (void)state;
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    glot_model *m = tiny_dense(be, 1);
    glot_upcycle_settings settings = {.top_k = 2, .seed = 3};
    log_probs_of(&dense, m);
    OK(glot_upcycle(m, first, &settings, &err));
    OK(glot_upcycle(m, second, &settings, &err));
    log_probs_of(&grown, m);
    assert_memory_equal(dense.rows, grown.rows, sizeof(float) * N * TINY_VOCAB);
    free(dense.rows);
    free(grown.rows);
    glot_model_close(m);
    glot_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_upcycling_changes_no_bit),
                                       cmocka_unit_test(test_growing_equal_experts_changes_no_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
