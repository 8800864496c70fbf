/* test_session.c: invariant 4 of DESIGN: a text at once, in pieces, token by token, alone or beside others, with any number of threads: the same
 * routing decisions and the same bits. */
#include "expand/gates.h"
#include "infer/session.h"
#include "model/view.h"
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
    tiny_part_experts(f->m, &rng);
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
    glot_sequence texts[N_TEXTS];
    for (int t = 0; t < N_TEXTS; t++)
        texts[t] = (glot_sequence){.ids = f->ids[t], .n = lengths[t], .nll = f->nll[t]};
    OK(glot_session_score(f->s, texts + first, count, &err));
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

typedef void set_up(fixture *f, int threads, int64_t n_batch);
static set_up setup_exact, setup_gated, setup_gated_exact;

static void check(set_up *start, int threads, int64_t n_batch, size_t together)
{
    fixture one = {0}, other = {0};
    start(&one, 1, 64);
    score_by_feeding(&one, 1);
    start(&other, threads, n_batch);
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
    static set_up *const starts[] = {setup, setup_exact, setup_gated, setup_gated_exact};
    for (size_t i = 0; i < 16; i++) {
        check(starts[i / 4], threads[i % 4], 128, N_TEXTS); /* all texts in one pass */
        check(starts[i / 4], threads[i % 4], 64, 2);
        check(starts[i / 4], threads[i % 4], 7, 1);         /* long ones in pieces behind the cache */
        check(starts[i / 4], threads[i % 4], 1, 1);
    }
}

/* A text's last id need not be fed to be scored; the text may then be one longer than the context. */
static void test_last_id_is_only_scored(void **state)
{
    (void)state;
    static const int64_t batches[] = {128, 7, 1};
    glot_error err = {0};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++) {
        fixture whole = {0}, f = {0};
        glot_session *short_one = NULL;
        glot_sequence texts[N_TEXTS];
        setup(&whole, 1, 64);
        score_all(&whole, 0, N_TEXTS);
        setup(&f, 2, batches[b]);
        OK(glot_session_create(&short_one, f.m, N_CONTEXT - 1, batches[b], &err));
        for (int t = 0; t < N_TEXTS; t++)
            texts[t] = (glot_sequence){.ids = f.ids[t], .n = lengths[t] - 1, .nll = f.nll[t], .has_next = true};
        OK(glot_session_score(short_one, texts, N_TEXTS, &err));
        f.nll[1][0] = 0.0f; /* of a text of one id nothing is fed */
        assert_same(&whole, &f);
        glot_session_free(short_one);
        teardown(&whole);
        teardown(&f);
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
    glot_session_set_exact(expanded.s, GLOT_EXACT_ALWAYS);
    score_all(&expanded, 0, N_TEXTS);
    setup(&dense, 2, 128);
    glot_session_free(dense.s);
    glot_model_close(dense.m);
    dense.m = tiny_dense(dense.be, 1);
    OK(glot_session_create(&dense.s, dense.m, N_CONTEXT, 64, &err));
    score_all(&dense, 0, N_TEXTS);
    assert_same(&expanded, &dense);
    glot_session_set_exact(expanded.s, GLOT_EXACT_NEVER);
    float exact = expanded.nll[0][20];
    score_all(&expanded, 0, N_TEXTS);
    assert_memory_not_equal(&exact, &expanded.nll[0][20], sizeof exact);
    teardown(&expanded);
    teardown(&dense);
}

/* ---- the model's own test on the ids (METHOD 8) ---- */

enum { N_OLD_IDS = 40 }; /* ids below speak for an old language, the others for a new one */

/* Texts 0 and 2 are old throughout, text 1 (one token) and 4 too; text 3 turns new after 15 tokens and back after 20. */
static void setup_exact(fixture *f, int threads, int64_t n_batch)
{
    glot_error err = {0};
    float evidence[TINY_VOCAB];
    setup(f, threads, n_batch);
    for (int v = 0; v < TINY_VOCAB; v++)
        evidence[v] = v < N_OLD_IDS ? -1.0f : 2.0f;
    OK(glot_exact_set(f->m, evidence, 1.5, &err));
    glot_session_free(f->s);
    OK(glot_session_create(&f->s, f->m, N_CONTEXT, n_batch, &err));
    for (int t = 0; t < N_TEXTS; t++)
        for (int i = 0; i < N_CONTEXT; i++) {
            bool is_new = t == 3 && i >= 15 && i < 20;
            f->ids[t][i] = is_new ? N_OLD_IDS + f->ids[t][i] % (TINY_VOCAB - N_OLD_IDS) : f->ids[t][i] % N_OLD_IDS;
        }
}

static void setup_dense(fixture *f, int threads)
{
    glot_error err = {0};
    setup_exact(f, threads, 64);
    glot_session_free(f->s);
    glot_model_close(f->m);
    f->m = tiny_dense(f->be, 1);
    OK(glot_session_create(&f->s, f->m, N_CONTEXT, 64, &err));
}

/* DESIGN, invariant 3: a text that never leaves the exact path has the base model's bits, whatever shares its batch; one that leaves has them up to the token
 * that decided (S: -8 after 15 old tokens, then -6, -4, -2, 0, 2), and the trained model's from there. */
static void test_texts_that_stay_are_the_base_model(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 8};
    enum { LEAVES_AT = 19 };
    fixture dense = {0};
    setup_dense(&dense, 1);
    score_all(&dense, 0, N_TEXTS);
    for (size_t i = 0; i < 3; i++)
        for (int64_t piece = 0; piece < 8; piece++) {
            fixture f = {0};
            setup_exact(&f, threads[i], piece == 0 ? 128 : piece);
            piece == 0 ? score_all(&f, 0, N_TEXTS) : score_by_feeding(&f, 1);
            for (int t = 0; t < N_TEXTS; t++) {
                int64_t n = t == 3 ? LEAVES_AT + 1 : lengths[t];
                assert_memory_equal(f.nll[t], dense.nll[t], (size_t)n * sizeof(float));
            }
            assert_memory_not_equal(&f.nll[3][LEAVES_AT + 1], &dense.nll[3][LEAVES_AT + 1], sizeof(float));
            teardown(&f);
        }
    teardown(&dense);
}

/* The windows of one document share its evidence, within a call and over calls; others do not. */
static void test_evidence_runs_on_through_windows(void **state)
{
    (void)state;
    glot_error err = {0};
    fixture f = {0}, dense = {0};
    float first[6], second[12], again[12], alone[12], base[12];
    setup_exact(&f, 2, 64);
    setup_dense(&dense, 2);
    glot_sequence windows[] = {{.ids = f.ids[3] + 14, .n = 6, .nll = first},
                               {.ids = f.ids[3] + 20, .n = 12, .nll = second, .is_continued = true}};
    OK(glot_session_score(f.s, windows, 2, &err));
    windows[1].nll = again;
    OK(glot_session_score(f.s, windows, 1, &err));
    OK(glot_session_score(f.s, windows + 1, 1, &err));
    assert_memory_equal(second, again, sizeof second);
    windows[1].nll = alone;
    windows[1].is_continued = false;
    OK(glot_session_score(f.s, windows + 1, 1, &err));
    windows[1].nll = base;
    OK(glot_session_score(dense.s, windows + 1, 1, &err));
    assert_memory_equal(alone, base, sizeof alone);
    assert_memory_not_equal(second, base, sizeof second);
    teardown(&f);
    teardown(&dense);
}

/* ---- the language gate (METHOD 6) ---- */

enum { N_GATES = 2, BOS = 0 };
static const int32_t gated[N_GATES] = {0, 2};

static void add_gates(fixture *f, bool is_sequence_sum, int64_t n_batch)
{
    glot_error err = {0};
    glot_gate_config gate;
    OK(glot_gates_listed(&gate, &f->m->config, gated, N_GATES, &err));
    gate.is_sequence_sum = is_sequence_sum;
    OK(glot_gates_add(f->m, &gate, 4, &err));
    glot_session_free(f->s);
    OK(glot_session_create(&f->s, f->m, N_CONTEXT, n_batch, &err));
}

static void setup_gated(fixture *f, int threads, int64_t n_batch)
{
    setup(f, threads, n_batch);
    add_gates(f, false, n_batch);
}

static void setup_gated_exact(fixture *f, int threads, int64_t n_batch)
{
    setup_exact(f, threads, n_batch);
    add_gates(f, false, n_batch);
}

/* What the gates made of each token, in the order in which tokens went through. */
typedef struct gate_log {
    float logits[N_GATES][4 * N_CONTEXT][2];
    int n[N_GATES];
} gate_log;

static void log_gate(void *user, glot_workspace *ws, int64_t layer)
{
    gate_log *log = user;
    int gate = layer == gated[0] ? 0 : 1;
    if (layer != gated[gate])
        return;
    glot_acts_view a = glot_view_acts(ws, layer);
    glot_tensor logits = glot_tensor_prefix_2d(&a.moe->language_logits, ws->n_tokens, 2);
    ws->be->download(ws->be, log->logits[gate][log->n[gate]], &logits);
    log->n[gate] += (int)ws->n_tokens;
}

static void watch(fixture *f, gate_log *log)
{
    *log = (gate_log){0};
    glot_session_workspace(f->s)->on_layer = log_gate;
    glot_session_workspace(f->s)->on_layer_user = log;
}

/* Scores windows in one call, or each in a call of its own. */
static void score_windows(fixture *f, gate_log *log, const glot_sequence *windows, size_t n, bool is_in_one_call)
{
    glot_error err = {0};
    watch(f, log);
    for (size_t i = 0; i < n; i += is_in_one_call ? n : 1)
        OK(glot_session_score(f->s, windows + i, is_in_one_call ? n : 1, &err));
}

/* Windows in one pass, in several, and behind the cache; the first token of each is BOS. */
static void test_gates_run_on_through_windows(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 8};
    static gate_log expected, log;
    int32_t ids[30] = {BOS, 7, 9, 23, 41, 5, 8, BOS, 17, 3, 3, 28, 60, BOS, 4, 4, 9, 11, BOS, 12, 13, 14};
    float nll[30];
    const glot_sequence windows[] = {{.ids = ids, .n = 7, .nll = nll},
                                     {.ids = ids + 7, .n = 6, .nll = nll, .is_continued = true},
                                     {.ids = ids + 13, .n = 5, .nll = nll},
                                     {.ids = ids + 18, .n = 4, .nll = nll, .is_continued = true}};
    for (size_t i = 0; i < 12; i++) {
        fixture f = {0};
        setup_gated(&f, threads[i % 3], i < 6 ? 64 : i < 9 ? 8 : 2);
        score_windows(&f, i ? &log : &expected, windows, 4, i < 3);
        if (i)
            assert_memory_equal(&log, &expected, sizeof log);
        teardown(&f);
    }
    fixture f = {0};
    setup_gated(&f, 1, 64);
    score_windows(&f, &log, windows + 1, 1, true);
    for (int gate = 0; gate < N_GATES; gate++) {
        const float(*seen)[2] = expected.logits[gate];
        assert_true(seen[0][0] == 0 && seen[0][1] == 0 && seen[13][0] == 0); /* nothing seen: a tie */
        assert_memory_equal(seen[7], seen[6], sizeof seen[0]);               /* BOS changes nothing */
        assert_memory_not_equal(seen[8], log.logits[gate][1], sizeof seen[0]); /* alone it is another text */
    }
    teardown(&f);
}

/* Gates and the exact path together, over the windows of a document that leaves the path in the second one, beside another document: token by
 * token is the measure for every other way. A document behind it begins anew. */
static void test_gated_exact_windows(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 8};
    static const int64_t n_batch[] = {1, 3, 64};
    glot_error err = {0};
    enum { FIRST = 14, SECOND = FIRST + 4, THIRD = SECOND + 7, END = 30 };
    static gate_log log;
    float expected[END] = {0}, got[END] = {0}, ungated[END] = {0}, beside[20], beside_expected[20] = {0};
    for (size_t i = 0; i < 10; i++) {
        fixture f = {0};
        set_up *start = i == 9 ? setup_exact : setup_gated_exact;
        float *nll = i == 0 ? expected : i == 9 ? ungated : got;
        start(&f, threads[i % 3], n_batch[i / 3 % 3]);
        const glot_sequence windows[] = {
            {.ids = f.ids[3] + FIRST, .n = SECOND - FIRST, .nll = nll + FIRST},
            {.ids = f.ids[3] + SECOND, .n = THIRD - SECOND, .nll = nll + SECOND, .is_continued = true},
            {.ids = f.ids[3] + THIRD, .n = END - THIRD, .nll = nll + THIRD, .is_continued = true},
            {.ids = f.ids[0], .n = 20, .nll = i ? beside : beside_expected}};
        if (i < 9)
            score_windows(&f, &log, windows, 4, i > 0);
        else
            OK(glot_session_score(f.s, windows, 4, &err));
        if (i > 0 && i < 9)
            assert_memory_equal(got, expected, sizeof got);
        assert_memory_equal(i ? beside : beside_expected, beside_expected, sizeof beside);
        teardown(&f);
    }
    assert_memory_equal(ungated + FIRST, expected + FIRST, 2 * sizeof(float)); /* on the exact path nobody asks the gates */
    assert_memory_not_equal(ungated + THIRD + 1, expected + THIRD + 1, (END - THIRD - 1) * sizeof(float));
}

/* Both classes come up, a token of class 0 has the base model's FFN there, and the text another result than without gates. */
static void test_gates_send_tokens_past_the_router(void **state)
{
    (void)state;
    static gate_log log;
    fixture f = {0}, ungated = {0};
    setup_gated(&f, 2, 128);
    setup(&ungated, 2, 128);
    watch(&f, &log);
    score_all(&f, 0, N_TEXTS);
    score_all(&ungated, 0, N_TEXTS);
    int n_old = 0;
    for (int gate = 0; gate < N_GATES; gate++)
        for (int t = 0; t < log.n[gate]; t++)
            n_old += log.logits[gate][t][0] > log.logits[gate][t][1];
    assert_in_range(n_old, 10, N_GATES * 98 - 10);
    assert_memory_not_equal(f.nll[0], ungated.nll[0], sizeof f.nll[0]);
    teardown(&f);
    teardown(&ungated);
}

/* The published form decides once for a sequence, from all of it: at once and token by token differ. */
static void test_sequence_sum_decides_once(void **state)
{
    (void)state;
    static gate_log log;
    fixture f = {0};
    setup(&f, 2, 128);
    add_gates(&f, true, 128);
    watch(&f, &log);
    score_all(&f, 0, 1);
    for (int t = 1; t < lengths[0]; t++)
        assert_memory_equal(log.logits[0][t], log.logits[0][0], sizeof log.logits[0][0]);
    teardown(&f);
}

/* ---- ends of texts with common beginnings ---- */

enum { N_ENDS = 14 };

/* Sequences that begin as text `of` up to `keep` and go on as another; what is asked begins at `first`. */
static const struct {
    int of, keep, then;
    int64_t n, first;
} ends[N_ENDS] = {
    {0, 20, 2, 26, 20}, {0, 20, 3, 24, 20}, {0, 20, 2, 21, 20}, /* an item; the third choice begins as the first */
    {0, 24, 4, 30, 20}, {0, 20, 4, 20, 20},                     /* ... and one with nothing asked */
    {0, 12, 3, 30, 18}, {0, 12, 3, 27, 22}, {0, 12, 3, 27, 15}, /* an item that begins likewise; places of its own */
    {3, 15, 0, 20, 16}, {3, 22, 2, 25, 15}, {3, 22, 0, 27, 24}, /* leaves the exact path in the prompt, or behind it */
    {2, 1, 0, 2, 1},    {2, 1, 1, 2, 1},    {0, 20, 1, 48, 20}, /* the shortest, and one that fills the context */
};

typedef struct end_texts {
    int32_t ids[N_ENDS][N_CONTEXT];
    float nll[N_ENDS][N_CONTEXT];
    glot_sequence sequences[N_ENDS];
    int64_t first[N_ENDS];
} end_texts;

static void make_ends(end_texts *t, const fixture *f)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < N_ENDS; i++) {
        for (int k = 0; k < N_CONTEXT; k++)
            t->ids[i][k] = f->ids[k < ends[i].keep ? ends[i].of : ends[i].then][k];
        t->sequences[i] = (glot_sequence){.ids = t->ids[i], .n = ends[i].n - i % 2, .nll = t->nll[i], .has_next = i % 2};
        t->first[i] = ends[i].first;
    }
}

static void assert_same_ends(const end_texts *a, const end_texts *b)
{
    for (int i = 0; i < N_ENDS; i++)
        for (int64_t k = ends[i].first; k < ends[i].n; k++) {
            assert_true(a->nll[i][k] > 0.0f);
            assert_memory_equal(&a->nll[i][k], &b->nll[i][k], sizeof(float));
        }
}

/* A choice behind a prompt that others share has the bits of its whole text scored alone: all in one call, in calls of a
 * few, and with another use of the cache or another path between the calls. */
static void check_ends(set_up *start, int threads, int64_t n_batch, size_t together, bool is_disturbed)
{
    static end_texts one, other;
    fixture alone = {0}, f = {0};
    glot_error err = {0};
    const float *log_probs;
    start(&alone, 1, 64);
    make_ends(&one, &alone);
    for (size_t i = 0; i < N_ENDS; i++)
        OK(glot_session_score(alone.s, &one.sequences[i], 1, &err));
    start(&f, threads, n_batch);
    make_ends(&other, &f);
    for (size_t i = 0; i < N_ENDS; i += together) {
        size_t count = i + together <= N_ENDS ? together : N_ENDS - i;
        if (is_disturbed && i % 2 == 0) {
            glot_session_reset(f.s);
            OK(glot_session_feed(f.s, f.ids[4], 9, &log_probs, &err));
        } else if (is_disturbed) {
            glot_session_set_exact(f.s, GLOT_EXACT_ALWAYS);
            OK(glot_session_score_ends(f.s, &other.sequences[i], &other.first[i], 1, &err));
            glot_session_set_exact(f.s, GLOT_EXACT_AUTO);
        }
        OK(glot_session_score_ends(f.s, &other.sequences[i], &other.first[i], count, &err));
    }
    assert_same_ends(&one, &other);
    teardown(&alone);
    teardown(&f);
}

static void test_ends_with_common_beginnings(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    static set_up *const starts[] = {setup, setup_exact, setup_gated, setup_gated_exact};
    for (size_t i = 0; i < 16; i++) {
        check_ends(starts[i / 4], threads[i % 4], 128, N_ENDS, false);
        check_ends(starts[i / 4], threads[i % 4], 32, 5, false); /* the cache holds fewer keys than the texts have */
        check_ends(starts[i / 4], threads[i % 4], 5, 3, false);  /* beginnings in pieces */
        check_ends(starts[i / 4], threads[i % 4], 1, 1, false);
        check_ends(starts[i / 4], threads[i % 4], 40, 1, true);
    }
}

/* A pass does not run a common beginning again: what runs is counted by the routing that an observer sees. */
static void count_rows(void *user, glot_workspace *ws, int64_t layer)
{
    *(int64_t *)user += layer == 0 ? ws->n_tokens : 0;
}

static void test_a_common_beginning_runs_once(void **state)
{
    (void)state;
    static end_texts t;
    fixture f = {0};
    glot_error err = {0};
    int64_t rows = 0;
    setup(&f, 1, 64);
    make_ends(&t, &f);
    glot_session_workspace(f.s)->on_layer = count_rows;
    glot_session_workspace(f.s)->on_layer_user = &rows;
    OK(glot_session_score_ends(f.s, t.sequences, t.first, 3, &err));
    assert_int_equal(rows, 25 + 4 + 1); /* 26 tokens but the last; the last of the prompt and three; one */
    OK(glot_session_score_ends(f.s, t.sequences + 5, t.first + 5, 1, &err));
    assert_int_equal(rows, 30 + 17); /* 12 of its 29 stand in the cache since the call before */
    teardown(&f);
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
        cmocka_unit_test(test_at_once_is_token_by_token), cmocka_unit_test(test_last_id_is_only_scored), cmocka_unit_test(test_every_row_of_log_probs),
        cmocka_unit_test(test_exact_path_is_the_base_model),
        cmocka_unit_test(test_texts_that_stay_are_the_base_model), cmocka_unit_test(test_evidence_runs_on_through_windows),
        cmocka_unit_test(test_gates_run_on_through_windows), cmocka_unit_test(test_gated_exact_windows), cmocka_unit_test(test_gates_send_tokens_past_the_router),
        cmocka_unit_test(test_sequence_sum_decides_once),
        cmocka_unit_test(test_ends_with_common_beginnings), cmocka_unit_test(test_a_common_beginning_runs_once), cmocka_unit_test(test_context_is_checked),
        cmocka_unit_test(test_sampling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
