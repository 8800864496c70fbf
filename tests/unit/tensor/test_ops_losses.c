/* The losses at points where their values are known, on every backend: METHOD 2 and 3 with the test vectors
 * of METHOD 3, cross-entropy and log-softmax. */
#include "ops_util.h"

static bool is_near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance;
}

static void assert_near(const char *what, double got, double expected, double tolerance)
{
    if (!is_near(got, expected, tolerance))
        fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

static glot_tensor make_loss(bench *b)
{
    glot_tensor loss = make(b, glot_tensor_1d(GLOT_F64, 1));
    set(&loss, 0, 0);
    return loss;
}

/* ---- LPR ---- */

typedef struct lpr_vector {
    double z[4];
    double loss[2], dz[2][4]; /* by glot_lpr_form */
} lpr_vector;

/* The table of METHOD 3. */
static const lpr_vector vectors[] = {
    {{0, 1, 2, -1},
     {2.440190, 1.579589},
     {{-.912856, .236883, .643914, .032059}, {-.088821, .003327, .086465, -.000971}}},
    {{-6, 1, 2, -1},
     {8.349249, 1.678066},
     {{-.999763, .259435, .705218, .035111}, {-.000272, -.024361, .029637, -.005004}}},
    {{4, 1, 2, -1},
     {0.175515, 0.862570},
     {{-.160975, .041773, .113550, .005653}, {-.105057, .026855, .074606, .003596}}},
    {{0, 0, 0, 0}, {1.386294, 1.386294}, {{-.75, .25, .25, .25}, {-.1875, .0625, .0625, .0625}}},
};
enum { N_VECTORS = sizeof vectors / sizeof vectors[0] };

static void check_vector(glot_backend *be, const lpr_vector *v, glot_lpr_form form)
{
    bench b = bench_start(be, 1);
    const int32_t n_allowed[1] = {1};
    glot_tensor z = make(&b, glot_tensor_2d(be->real, 1, 4)), dz = make(&b, z), loss = make_loss(&b);
    glot_tensor group = make_whole(&b, glot_tensor_1d(GLOT_U8, 1), 0, 1);
    for (int i = 0; i < 4; i++)
        set(&z, i, v->z[i]);
    fill(&dz, 0);
    glot_op_lpr_loss(be, &loss, &dz, &z, &group, n_allowed, 1, form, 1);
    assert_near("lpr", get(&loss, 0), v->loss[form], 1e-6);
    for (int i = 0; i < 4; i++)
        assert_near("d lpr", get(&dz, i), v->dz[form][i], 1e-6);
    bench_end(&b);
}

static void check_vectors(glot_backend *be)
{
    for (int i = 0; i < N_VECTORS; i++) {
        check_vector(be, &vectors[i], GLOT_LPR_PAPER);
        check_vector(be, &vectors[i], GLOT_LPR_RELEASED);
    }
}

/* The four vectors as four tokens; those of `groups` that are 0 are old. Adds to what is in the loss and in
 * the gradients, and multiplies the gradients alone by the scale. */
static void check_lpr_of(glot_backend *be, glot_lpr_form form, const uint8_t groups[N_VECTORS])
{
    bench b = bench_start(be, 1);
    const int32_t n_allowed[2] = {1, 0};
    glot_tensor z = make(&b, glot_tensor_2d(be->real, N_VECTORS, 4)), dz = make(&b, z), loss = make_loss(&b);
    glot_tensor group = make(&b, glot_tensor_1d(GLOT_U8, N_VECTORS));
    double expected = 10;
    set(&loss, 0, 10);
    fill(&dz, 0.5);
    for (int t = 0; t < N_VECTORS; t++) {
        set(&group, t, groups[t]);
        expected += groups[t] ? 0 : vectors[t].loss[form];
        for (int e = 0; e < 4; e++)
            set(&z, t * 4 + e, vectors[t].z[e]);
    }
    glot_op_lpr_loss(be, &loss, &dz, &z, &group, n_allowed, 2, form, 2);
    assert_near("lpr", get(&loss, 0), expected, 4e-6);
    for (int t = 0; t < N_VECTORS; t++)
        for (int e = 0; e < 4; e++) {
            double d = groups[t] ? 0 : 2 * vectors[t].dz[form][e];
            assert_near("d lpr", get(&dz, t * 4 + e), 0.5 + d, groups[t] ? 0 : 2e-6);
        }
    bench_end(&b);
}

static void check_which_tokens(glot_backend *be)
{
    for (int form = 0; form < 2; form++) {
        check_lpr_of(be, (glot_lpr_form)form, (const uint8_t[]){1, 1, 1, 1}); /* M = 0 */
        check_lpr_of(be, (glot_lpr_form)form, (const uint8_t[]){0, 0, 0, 0});
        check_lpr_of(be, (glot_lpr_form)form, (const uint8_t[]){1, 0, 1, 1});
    }
}

/* METHOD 7: the experts up to a group's own count together; all of them: nothing is lost. */
static void check_groups(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor z = make(&b, glot_tensor_2d(be->real, 2, 4)), dz = make(&b, z), loss = make_loss(&b);
    glot_tensor group = make(&b, glot_tensor_1d(GLOT_U8, 2));
    const int32_t n_allowed[2] = {3, 4};
    set(&group, 0, 0);
    set(&group, 1, 1);
    for (int i = 0; i < 8; i++)
        set(&z, i, vectors[i / 4].z[i % 4]);
    fill(&dz, 0);
    glot_op_lpr_loss(be, &loss, &dz, &z, &group, n_allowed, 2, GLOT_LPR_PAPER, 1);
    assert_near("lpr of three", get(&loss, 0), -log(1 - .032059), 2e-6);
    double share = 1 - .032059; /* p_e - p_e / share for the three, p_3 for the last */
    double p[4] = {.087144, .236883, .643914, .032059};
    for (int e = 0; e < 4; e++)
        assert_near("d lpr of three", get(&dz, e), p[e] - (e < 3 ? p[e] / share : 0), 2e-6);
    for (int e = 4; e < 8; e++)
        assert_true(get(&dz, e) == 0);
    bench_end(&b);
}

/* Logits so far apart that every probability but one is 0 in float. */
static void check_far_logits(glot_backend *be)
{
    bench b = bench_start(be, 1);
    glot_tensor z = make(&b, glot_tensor_2d(be->real, 1, 2)), dz = make(&b, z), loss = make_loss(&b);
    glot_tensor group = make_whole(&b, glot_tensor_1d(GLOT_U8, 1), 0, 1);
    const int32_t n_allowed[1] = {1};
    set(&z, 0, -500);
    set(&z, 1, 500);
    fill(&dz, 0);
    glot_op_lpr_loss(be, &loss, &dz, &z, &group, n_allowed, 1, GLOT_LPR_PAPER, 1);
    assert_true(get(&loss, 0) == 1000 && get(&dz, 0) == -1 && get(&dz, 1) == 1);
    glot_op_lpr_loss(be, &loss, &dz, &z, &group, n_allowed, 1, GLOT_LPR_RELEASED, 1);
    assert_near("released form at its worst", get(&loss, 0) - 1000, log(exp(1) + 1), 1e-6);
    bench_end(&b);
}

static void test_lpr(void **state)
{
    (void)state;
    on_every_backend(check_vectors);
    on_every_backend(check_which_tokens);
    on_every_backend(check_groups);
    on_every_backend(check_far_logits);
}

/* ---- load balancing ---- */

typedef struct balance {
    bench b;
    glot_tensor logits, probs, ids, mix, loss, d;
    glot_dispatch plan;
    int64_t T;
    int E, K;
} balance;

/* Token t takes experts t, t + 1, ... (mod E): with T a multiple of E, equal loads. */
static balance begin_balance(glot_backend *be, int64_t T, int E, int K)
{
    balance x = {.b = bench_start(be, 3), .T = T, .E = E, .K = K};
    x.logits = make_normal(&x.b, glot_tensor_2d(be->real, T, E), 1);
    x.probs = make(&x.b, x.logits);
    x.ids = make(&x.b, glot_tensor_2d(GLOT_I32, T, K));
    x.mix = make(&x.b, glot_tensor_2d(be->real, T, K));
    x.plan = make_plan(&x.b, T, E, K);
    x.loss = make_loss(&x.b);
    x.d = make_normal(&x.b, x.logits, 0);
    return x;
}

static void route_in_turn(balance *x)
{
    for (int64_t t = 0; t < x->T; t++)
        for (int s = 0; s < x->K; s++)
            set(&x->ids, t * x->K + s, (double)((t + s) % x->E));
    glot_op_dispatch(x->b.be, &x->plan, &x->ids);
}

static void check_perfect_balance(glot_backend *be)
{
    for (int E = 2; E <= 19; E++) { /* equal probabilities and equal loads */
        balance x = begin_balance(be, 2 * E, E, 2);
        fill(&x.probs, 1.0 / E);
        route_in_turn(&x);
        glot_op_balance_loss(be, &x.loss, &x.d, &x.probs, &x.plan, E, 1);
        assert_near("balance, factor E", get(&x.loss, 0), 1, 1e-6);
        for (int64_t i = 0; i < x.T * E; i++)
            assert_true(get(&x.d, i) == 0);
        set(&x.loss, 0, 0);
        glot_op_balance_loss(be, &x.loss, &x.d, &x.probs, &x.plan, E * x.K, 1);
        assert_near("balance, the released factor E K", get(&x.loss, 0), 2, 2e-6);
        bench_end(&x.b);
    }
}

/* One expert has every token and nearly all probability: the loss is E / K. */
static void check_worst_balance(glot_backend *be)
{
    balance x = begin_balance(be, 6, 4, 1);
    for (int64_t i = 0; i < 24; i++)
        set(&x.probs, i, i % 4 == 2);
    fill(&x.ids, 2);
    glot_op_dispatch(be, &x.plan, &x.ids);
    glot_op_balance_loss(be, &x.loss, &x.d, &x.probs, &x.plan, 4, 1);
    assert_near("balance at its worst", get(&x.loss, 0), 4, 0);
    bench_end(&x.b);
}

/* Every token takes every expert: 1 whatever the probabilities, and no gradient. */
static void check_all_experts(glot_backend *be)
{
    for (int E = 1; E <= 7; E++) {
        balance x = begin_balance(be, 5, E, E);
        glot_op_router_topk(be, &x.probs, &x.ids, &x.mix, &x.logits, NULL);
        glot_op_dispatch(be, &x.plan, &x.ids);
        glot_op_balance_loss(be, &x.loss, &x.d, &x.probs, &x.plan, E, 1);
        assert_near("balance with E = K", get(&x.loss, 0), 1, 1e-6);
        for (int64_t i = 0; i < x.T * E; i++)
            assert_true(get(&x.d, i) == 0);
        bench_end(&x.b);
    }
}

static void check_no_tokens(glot_backend *be)
{
    balance x = begin_balance(be, 0, 3, 2);
    set(&x.loss, 0, 5);
    glot_op_dispatch(be, &x.plan, &x.ids);
    glot_op_balance_loss(be, &x.loss, &x.d, &x.probs, &x.plan, 3, 1);
    assert_true(get(&x.loss, 0) == 5);
    bench_end(&x.b);
}

/* Adds to loss and gradient; the scale is the gradient's alone. */
static void check_balance_accumulates(glot_backend *be)
{
    balance x = begin_balance(be, 7, 3, 2);
    glot_op_router_topk(be, &x.probs, &x.ids, &x.mix, &x.logits, NULL);
    glot_op_dispatch(be, &x.plan, &x.ids);
    glot_op_balance_loss(be, &x.loss, &x.d, &x.probs, &x.plan, 3, 1);
    double loss = get(&x.loss, 0);
    glot_tensor d = make(&x.b, x.d);
    fill(&d, 0.25);
    glot_op_balance_loss(be, &x.loss, &d, &x.probs, &x.plan, 3, 0.5);
    assert_near("balance twice", get(&x.loss, 0), 2 * loss, 1e-12);
    for (int64_t i = 0; i < 21; i++)
        assert_near("half the gradient", get(&d, i), 0.25 + 0.5 * get(&x.d, i), 1e-7);
    bench_end(&x.b);
}

static void test_balance(void **state)
{
    (void)state;
    on_every_backend(check_perfect_balance);
    on_every_backend(check_worst_balance);
    on_every_backend(check_all_experts);
    on_every_backend(check_no_tokens);
    on_every_backend(check_balance_accumulates);
}

/* ---- cross-entropy and log-softmax ---- */

static void check_cross_entropy(glot_backend *be)
{
    bench b = bench_start(be, 5);
    int64_t V = 37;
    glot_tensor z = make(&b, glot_tensor_2d(be->real, 3, V)), nll = make(&b, glot_tensor_1d(be->real, 3));
    glot_tensor targets = make(&b, glot_tensor_1d(GLOT_I32, 3));
    memcpy(targets.addr, (int32_t[3]){4, -1, 36}, 12);
    for (int64_t j = 0; j < V; j++) { /* equal; of no matter; 100 below the rest */
        set(&z, j, 700);
        set(&z, V + j, 3);
        set(&z, 2 * V + j, j == 36 ? -100 : 0);
    }
    glot_op_cross_entropy(be, &nll, &z, &targets, 0);
    assert_near("nll of equal logits", get(&nll, 0), log(37), 1e-6);
    assert_true(get(&nll, 1) == 0);
    assert_near("nll of a far logit", get(&nll, 2), 100 + log(36), 1e-5);
    assert_true(get(&z, 0) == 700); /* no scale: the logits stay */
    glot_op_cross_entropy(be, &nll, &z, &targets, 0.5);
    for (int64_t j = 0; j < V; j++) {
        assert_near("d of equal logits", get(&z, j), 0.5 * (1.0 / 37 - (j == 4)), 1e-7);
        assert_true(get(&z, V + j) == 0);
        assert_near("d of a far logit", get(&z, 2 * V + j), j == 36 ? -0.5 : 0.5 / 36, 1e-7);
    }
    bench_end(&b);
}

/* -nll is the target's log p, to the bit. */
static void check_log_softmax(glot_backend *be)
{
    bench b = bench_start(be, 6);
    glot_tensor z = make_normal(&b, glot_tensor_2d(be->real, 5, 83), 3),
                nll = make(&b, glot_tensor_1d(be->real, 5));
    glot_tensor targets = make_whole(&b, glot_tensor_1d(GLOT_I32, 5), 0, 83);
    glot_op_cross_entropy(be, &nll, &z, &targets, 0);
    glot_op_log_softmax(be, &z);
    for (int t = 0; t < 5; t++) {
        double sum = 0;
        for (int j = 0; j < 83; j++)
            sum += exp(get(&z, t * 83 + j));
        assert_near("sum of p", sum, 1, 1e-5);
        assert_true(get(&z, t * 83 + (int64_t)get(&targets, t)) == -get(&nll, t));
    }
    bench_end(&b);
}

/* A NaN or an infinity among the logits is in the loss: the trainer stops at it. */
static void check_not_finite(glot_backend *be)
{
    const double bad[] = {(double)NAN, (double)INFINITY};
    for (int i = 0; i < 2; i++) {
        bench b = bench_start(be, 8);
        glot_tensor z = make_normal(&b, glot_tensor_2d(be->real, 1, 40), 1),
                    nll = make(&b, glot_tensor_1d(be->real, 1));
        glot_tensor targets = make_whole(&b, glot_tensor_1d(GLOT_I32, 1), 3, 4);
        set(&z, 21, bad[i]);
        glot_op_cross_entropy(be, &nll, &z, &targets, 1);
        assert_true(isnan(get(&nll, 0)));
        bench_end(&b);
    }
}

static void test_cross_entropy(void **state)
{
    (void)state;
    on_every_backend(check_cross_entropy);
    on_every_backend(check_log_softmax);
    on_every_backend(check_not_finite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lpr),
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_cross_entropy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
