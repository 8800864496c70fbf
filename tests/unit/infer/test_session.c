/* test_session.c: invariant 4 of DESIGN: a text at once, in pieces, token by token, alone or beside others, with any number of threads: the same
 * routing decisions and the same bits. */
#include "infer/session.h"
#include "unit/tiny_model.h"

#include <math.h>

enum { N_TEXTS = 5, N_CONTEXT = 48 };
static const int32_t layerwise[TINY_LAYERS] = {3, 1, 4};
static const int64_t lengths[N_TEXTS] = {48, 1, 17, 30, 2};

typedef struct fixture {
    glot_backend *be;
    glot_model *m;
    glot_session *s;
    int32_t ids[N_TEXTS][N_CONTEXT];
    float nll[N_TEXTS][N_CONTEXT];
} fixture;

/* Experts that differ from one another and routers with an opinion. */
static void setup(fixture *f, int threads, int64_t n_batch)
{
    glot_error err = {0};
    glot_rng rng = glot_rng_seed(2, 2);
    OK(glot_cpu_backend_create(&f->be, threads, NULL, &err));
    f->m = tiny_expanded(f->be, layerwise, GLOT_TRAIN_NEW_EXPERTS);
    for (size_t i = 0; i < f->m->n_params; i++) {
        glot_param *p = f->m->params[i];
        if (p->expert < 1)
            continue;
        int64_t n = glot_tensor_elements(&p->weight);
        float *host = malloc((size_t)n * sizeof *host);
        for (int64_t k = 0; k < n; k++)
            host[k] = 0.2f * (float)glot_rng_normal(&rng);
        f->be->upload(f->be, &p->weight, host);
        free(host);
    }
    for (int t = 0; t < N_TEXTS; t++)
        for (int i = 0; i < N_CONTEXT; i++)
            f->ids[t][i] = (int32_t)glot_rng_below(&rng, TINY_VOCAB);
    OK(glot_session_create(&f->s, f->m, N_CONTEXT, n_batch, &err));
}

static void teardown(fixture *f)
{
    glot_session_free(f->s);
    glot_model_close(f->m);
    glot_backend_close(f->be);
}

static void score_all(fixture *f, size_t first, size_t count)
{
    glot_error err = {0};
    const int32_t *ids[N_TEXTS];
    float *nll[N_TEXTS];
    for (int t = 0; t < N_TEXTS; t++) {
        ids[t] = f->ids[t];
        nll[t] = f->nll[t];
    }
    OK(glot_session_score(f->s, ids + first, lengths + first, count, nll + first, &err));
}

/* The reference way: one text, one token after the other. */
static void score_by_feeding(fixture *f, int64_t piece)
{
    glot_error err = {0};
    const float *log_probs = NULL;
    for (int t = 0; t < N_TEXTS; t++) {
        glot_session_reset(f->s);
        f->nll[t][0] = 0.0f;
        for (int64_t i = 0; i + 1 < lengths[t]; i += piece) {
            int64_t n = i + piece < lengths[t] ? piece : lengths[t] - 1 - i;
            OK(glot_session_feed(f->s, f->ids[t] + i, n, &log_probs, &err));
            f->nll[t][i + n] = -log_probs[f->ids[t][i + n]];
        }
    }
}

static void assert_same(const fixture *a, const fixture *b)
{
    for (int t = 0; t < N_TEXTS; t++)
        for (int64_t i = 0; i < lengths[t]; i++) {
            assert_true(isfinite(a->nll[t][i]));
            assert_memory_equal(&a->nll[t][i], &b->nll[t][i], sizeof(float));
        }
}

static void check(int threads, int64_t n_batch, size_t together)
{
    fixture one = {0}, other = {0};
    setup(&one, 1, 64);
    score_by_feeding(&one, 1);
    setup(&other, threads, n_batch);
    for (size_t i = 0; i < N_TEXTS; i += together)
        score_all(&other, i, i + together <= N_TEXTS ? together : N_TEXTS - i);
    assert_same(&one, &other);
    teardown(&one);
    teardown(&other);
}

static void test_at_once_is_token_by_token(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    for (size_t i = 0; i < 4; i++) {
        check(threads[i], 128, N_TEXTS); /* all texts in one pass */
        check(threads[i], 64, 2);
        check(threads[i], 7, 1);         /* long ones in pieces behind the cache */
        check(threads[i], 1, 1);
    }
}

static void test_every_row_of_log_probs(void **state)
{
    (void)state;
    fixture f = {0};
    glot_error err = {0};
    setup(&f, 2, 64);
    score_all(&f, 0, N_TEXTS);
    float last = f.nll[0][47];
    const float *log_probs;
    glot_session_reset(f.s);
    OK(glot_session_feed(f.s, f.ids[0], 47, &log_probs, &err));
    float from_feed = -log_probs[f.ids[0][47]];
    assert_memory_equal(&last, &from_feed, sizeof last);
    double sum = 0.0;
    for (int i = 0; i < TINY_VOCAB; i++)
        sum += exp((double)log_probs[i]);
    assert_true(fabs(sum - 1.0) <= 1e-5);
    teardown(&f);
}

/* METHOD 8, the language named by the caller: the exact path gives the base model's bits although the experts differ. */
static void test_exact_path_is_the_base_model(void **state)
{
    (void)state;
    fixture expanded = {0}, dense = {0};
    glot_error err = {0};
    setup(&expanded, 2, 128);
    glot_session_set_exact(expanded.s, true);
    score_all(&expanded, 0, N_TEXTS);
    setup(&dense, 2, 128);
    glot_session_free(dense.s);
    glot_model_close(dense.m);
    dense.m = tiny_dense(dense.be, 1);
    OK(glot_session_create(&dense.s, dense.m, N_CONTEXT, 64, &err));
    score_all(&dense, 0, N_TEXTS);
    assert_same(&expanded, &dense);
    glot_session_set_exact(expanded.s, false);
    float exact = expanded.nll[0][20];
    score_all(&expanded, 0, N_TEXTS);
    assert_memory_not_equal(&exact, &expanded.nll[0][20], sizeof exact);
    teardown(&expanded);
    teardown(&dense);
}

static void test_context_is_checked(void **state)
{
    (void)state;
    fixture f = {0};
    glot_error err = {0};
    const float *log_probs;
    setup(&f, 1, 64);
    OK(glot_session_feed(f.s, f.ids[0], N_CONTEXT, &log_probs, &err));
    assert_int_equal(glot_session_feed(f.s, f.ids[0], 1, &log_probs, &err), GLOT_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "49"));
    glot_session_reset(f.s);
    int32_t outside = TINY_VOCAB;
    assert_int_equal(glot_session_feed(f.s, &outside, 1, &log_probs, &err), GLOT_BAD_VALUE);
    assert_int_equal(glot_session_create(&f.s, f.m, 65, 64, &err), GLOT_BAD_ARGUMENT);
    teardown(&f);
}

static void test_sampling(void **state)
{
    (void)state;
    const float log_probs[4] = {-1.2039728f, -0.91629073f, -2.3025851f, -1.6094379f}; /* .3 .4 .1 .2 */
    int32_t scratch[4];
    glot_sample_params p = glot_sample_params_default();
    glot_rng rng = glot_rng_seed(1, 1);
    assert_int_equal(glot_sample(log_probs, 4, &p, &rng, scratch), 1);
    p.temperature = 1.0;
    int counts[4] = {0};
    for (int i = 0; i < 20000; i++)
        counts[glot_sample(log_probs, 4, &p, &rng, scratch)]++;
    for (int i = 0; i < 4; i++)
        assert_true(fabs(counts[i] / 20000.0 - exp((double)log_probs[i])) <= 0.015);
    p.top_k = 2;
    for (int i = 0; i < 200; i++)
        assert_in_range(glot_sample(log_probs, 4, &p, &rng, scratch), 0, 1);
    p.top_k = 0;
    p.top_p = 0.4; /* the largest alone reaches it */
    for (int i = 0; i < 200; i++)
        assert_int_equal(glot_sample(log_probs, 4, &p, &rng, scratch), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once_is_token_by_token), cmocka_unit_test(test_every_row_of_log_probs),
        cmocka_unit_test(test_exact_path_is_the_base_model), cmocka_unit_test(test_context_is_checked),
        cmocka_unit_test(test_sampling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
