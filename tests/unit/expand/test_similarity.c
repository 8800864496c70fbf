/* test_similarity.c: METHOD 4 against the mean over all pairs of tokens, the same bits whatever the threads, and what a similarity file is
 * checked against. */
#include "expand/similarity.h"
#include "model/view.h"
#include "unit/tiny_model.h"

#include <math.h>

enum { N_LANGUAGES = 3, MAX_TOKENS = 400 };

/* Documents of one language: random ids, some longer than a window. */
typedef struct text {
    int32_t ids[MAX_TOKENS];
    uint32_t n[8]; /* ids of each document; 0 ends */
} text;

static text make_text(uint64_t seed)
{
    text t = {.n = {5, 70, 1, 33, 64}};
    glot_rng rng = glot_rng_seed(seed, 9);
    for (int i = 0; i < MAX_TOKENS; i++)
        t.ids[i] = 2 + (int32_t)glot_rng_below(&rng, TINY_VOCAB - 2);
    return t;
}

static void measure(double *means, const glot_model *m, const text *t, int64_t length)
{
    glot_error err = {0};
    glot_hsa *hsa = NULL;
    uint64_t n = 0;
    OK(glot_hsa_create(&hsa, m, &(glot_hsa_options){.length = length}, &err));
    for (int d = 0, at = 0; t->n[d]; at += (int)t->n[d++])
        OK(glot_hsa_add(hsa, &(glot_document){.ids = t->ids + at, .n_ids = t->n[d]}, &err));
    OK(glot_hsa_finish(hsa, means, &n, &err));
    assert_int_equal(n, 173);
    glot_hsa_free(hsa);
}

/* ---- by brute force: one window after the other, every vector kept ---- */

typedef struct vectors {
    float *rows; /* [n_layers][MAX_TOKENS, h] */
    int64_t n;   /* tokens of each layer so far */
    int64_t hidden;
} vectors;

static void keep_layer(void *user, glot_workspace *ws, int64_t layer)
{
    vectors *v = user;
    glot_acts_view a = glot_view_acts(ws, layer);
    glot_tensor counted = glot_tensor_slice(&a.ffn_in, 1, ws->n_tokens - 1);
    ws->be->download(ws->be, v->rows + (layer * MAX_TOKENS + v->n) * v->hidden, &counted);
}

static vectors collect(const glot_model *m, const text *t, int64_t length)
{
    glot_error err = {0};
    glot_workspace *ws = NULL;
    vectors v = {.hidden = m->config.hidden_size};
    int32_t ids[64], positions[64];
    v.rows = calloc((size_t)(m->config.n_layers * MAX_TOKENS * v.hidden), sizeof *v.rows);
    OK(glot_workspace_create(&ws, m, GLOT_WORKSPACE_INFER, 64, 64, 64, &err));
    ws->on_layer = keep_layer;
    ws->on_layer_user = &v;
    for (int d = 0, at = 0; t->n[d]; at += (int)t->n[d++])
        for (int64_t first = 0; first < t->n[d]; first += length) {
            int32_t n = (int32_t)(t->n[d] - first < length ? t->n[d] - first : length), segment[4] = {0, n + 1, 0, n + 1};
            for (int i = 0; i <= n; i++) {
                ids[i] = i ? t->ids[at + first + i - 1] : m->config.bos_id;
                positions[i] = i;
            }
            glot_batch b = {.n_tokens = n + 1, .ids = ids, .positions = positions, .n_segments = 1, .segments = segment};
            OK(glot_workspace_load(ws, &b, &err));
            glot_model_forward(m, ws, NULL);
            v.n += n;
        }
    glot_workspace_free(ws);
    return v;
}

static double cosine(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static double mean_cosine(const vectors *a, const vectors *b, int64_t layer)
{
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t k = 0; k < b->n; k++)
            sum += cosine(a->rows + (layer * MAX_TOKENS + i) * a->hidden, b->rows + (layer * MAX_TOKENS + k) * b->hidden, a->hidden);
    return sum / (double)(a->n * b->n);
}

static void expect_close(double got, double expected)
{
    bool is_close = fabs(got - expected) <= 1e-12;
    if (!is_close)
        fail_msg("%.17g, expected %.17g", got, expected);
}

static void check_brute_force(const glot_model *m)
{
    glot_error err = {0};
    glot_similarity s = {0};
    vectors v[N_LANGUAGES];
    double means[N_LANGUAGES][TINY_LAYERS * 24];
    const double *all[N_LANGUAGES];
    static const bool is_old[N_LANGUAGES] = {true, false, false};
    for (int i = 0; i < N_LANGUAGES; i++) {
        text t = make_text((uint64_t)i + 1);
        measure(means[i], m, &t, 40);
        v[i] = collect(m, &t, 40);
        all[i] = means[i];
    }
    OK(glot_similarity_measure(&s, all, is_old, N_LANGUAGES, TINY_LAYERS, 24, &err));
    for (int l = 0; l < TINY_LAYERS; l++) {
        double a = mean_cosine(&v[0], &v[1], l), b = mean_cosine(&v[0], &v[2], l), c = mean_cosine(&v[1], &v[2], l);
        expect_close(glot_similarity_of(&s, l, 0, 1), a);
        expect_close(glot_similarity_of(&s, l, 2, 0), b);
        expect_close(glot_similarity_of(&s, l, 2, 1), c);
        expect_close(s.s[l], (c + (a + b) / 2) / 2);
    }
    OK((glot_similarity_release(&s), glot_similarity_measure(&s, all, is_old, 2, TINY_LAYERS, 24, &err)));
    expect_close(s.s[1], mean_cosine(&v[0], &v[1], 1)); /* one new language: new-old alone */
    glot_similarity_release(&s);
    for (int i = 0; i < N_LANGUAGES; i++)
        free(v[i].rows);
}

static void test_brute_force(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model *dense = tiny_dense(be, 1), *expanded = tiny_expanded(be, (const int32_t[]){3, 1, 2}, GLOT_TRAIN_NEW_EXPERTS);
    check_brute_force(dense);
    check_brute_force(expanded);
    glot_model_close(dense);
    glot_model_close(expanded);
    glot_backend_close(be);
}

/* The same bits with 1, 2 and 8 threads and every instruction set. */
static void test_same_bits(void **state)
{
    (void)state;
    glot_error err = {0};
    double first[TINY_LAYERS * 24], means[TINY_LAYERS * 24];
    text t = make_text(5);
    for (const char *const *isa = glot_cpu_isas(); *isa; isa++)
        for (int threads = 1; threads <= 8; threads *= threads == 1 ? 2 : 4) {
            glot_backend *be = NULL;
            OK(glot_cpu_backend_create(&be, threads, *isa, &err));
            glot_model *m = tiny_dense(be, 1);
            measure(means, m, &t, 63);
            if (isa == glot_cpu_isas() && threads == 1)
                memcpy(first, means, sizeof first);
            assert_memory_equal(first, means, sizeof first);
            glot_model_close(m);
            glot_backend_close(be);
        }
}

static void test_no_pair(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_similarity s = {0};
    static const double mean[2] = {1, 0};
    const double *means[2] = {mean, mean};
    assert_int_equal(glot_similarity_measure(&s, means, (const bool[]){true, true}, 2, 1, 2, &err), GLOT_BAD_ARGUMENT);
    assert_int_equal(glot_similarity_measure(&s, means, (const bool[]){false, false}, 2, 1, 2, &err), GLOT_BAD_ARGUMENT);
}

/* What is written is read again, and belongs to the model it was measured on. */
static void test_file(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    json_t *root = NULL;
    glot_similarity s = {0};
    glot_layer_similarity read;
    double means[2][TINY_LAYERS * 24];
    static const bool is_old[2] = {true, false};
    OK(glot_cpu_backend_create(&be, 1, NULL, &err));
    glot_model *m = tiny_dense(be, 1), *other = tiny_dense(be, 2);
    for (int i = 0; i < 2; i++) {
        text t = make_text((uint64_t)i + 1);
        measure(means[i], m, &t, 0);
    }
    OK(glot_similarity_measure(&s, (const double *const[]){means[0], means[1]}, is_old, 2, TINY_LAYERS, 24, &err));
    OK(glot_similarity_to_json(&root, &s, m, (const char *const[]){"en", "el"}, is_old, &err));
    const json_t *pair = json_array_get(json_object_get(json_array_get(json_object_get(root, "layers"), 0), "pairs"), 0);
    assert_string_equal(json_string_value(json_object_get(pair, "a")), "el");
    assert_string_equal(json_string_value(json_object_get(pair, "b")), "en");
    OK(glot_layer_similarity_from_json(&read, root, "s.json", &err));
    assert_int_equal(read.n_layers, TINY_LAYERS);
    assert_memory_equal(read.s, s.s, TINY_LAYERS * sizeof *s.s);
    OK(glot_layer_similarity_check(&read, m, "s.json", &err));
    assert_int_equal(glot_layer_similarity_check(&read, other, "s.json", &err), GLOT_BAD_VALUE);
    assert_non_null(strstr(err.message, "another model"));
    read.n_layers = 2;
    assert_int_equal(glot_layer_similarity_check(&read, other, "s.json", &err), GLOT_BAD_VALUE);
    json_decref(root);
    glot_similarity_release(&s);
    glot_model_close(other);
    glot_model_close(m);
    glot_backend_close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_no_pair),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
