/* test_beam.c: branches of a sequence have the bits of sequences of their own; beam search against greedy
 * search, against every continuation there is, and against transformers (tests/golden/eval/beams.json, made
 * by tools/eval/golden_beams.py). */
#include "infer/beam.h"
#include "base/json.h"
#include "expand/gates.h"
#include "unit/cpu_model.h"

#include <math.h>

enum { N_BRANCHES = 4, N_STEPS = 12, N_CONTEXT = 56, N_PROMPT = 5, N_OLD_IDS = 40 };

static const int32_t prompt[N_PROMPT] = {0, 7, 33, 12, 20};
static const uint8_t nothing_stops[TINY_VOCAB];

/* Experts that differ, language gates, and an exact path that ids from N_OLD_IDS on lead away from: all that
 * a branch must carry. */
static glot_model *make_model(glot_backend *backend)
{
    static const int32_t layerwise[TINY_LAYERS] = {3, 1, 4}, gated[] = {0, 2};
    glot_rng rng = glot_rng_seed(2, 2);
    glot_model *m = tiny_expanded(backend, layerwise, GLOT_TRAIN_NEW_EXPERTS);
    glot_gate_config gate;
    float evidence[TINY_VOCAB];
    tiny_spread(m, 0.3f);
    tiny_part_experts(m, &rng);
    for (int v = 0; v < TINY_VOCAB; v++)
        evidence[v] = v < N_OLD_IDS ? -1.0f : 2.0f;
    OK(glot_exact_set(m, evidence, 1.5, &err));
    OK(glot_gates_listed(&gate, &m->config, gated, 2, &err));
    OK(glot_gates_add(m, &gate, 4, &err));
    return m;
}

static int set_up(void **state)
{
    (void)state;
    OK(glot_cpu_backend_create(&be, 2, NULL, &err));
    model = make_model(be);
    return 0;
}

/* ---- branches ---- */

/* log p behind prompt and n ids, fed alone. */
static void feed_alone(float *out, glot_session *s, const int32_t *ids, int64_t n)
{
    const float *log_probs;
    glot_session_reset(s);
    OK(glot_session_feed(s, prompt, N_PROMPT, &log_probs, &err));
    OK(glot_session_feed(s, ids, n, &log_probs, &err));
    memcpy(out, log_probs, TINY_VOCAB * sizeof *out);
}

/* Random ids and random parents: branches end, stay and part. */
static void test_branches_are_sequences(void **state)
{
    (void)state;
    int32_t ids[N_BRANCHES][N_STEPS], old[N_BRANCHES][N_STEPS], fed[N_BRANCHES], parents[N_BRANCHES] = {0};
    glot_session *branched = NULL, *alone = NULL;
    const float *log_probs;
    glot_rng rng = glot_rng_seed(9, 1);
    OK(glot_session_create_branched(&branched, model, N_CONTEXT, 16, N_BRANCHES, &err));
    OK(glot_session_create(&alone, model, N_CONTEXT, 16, &err));
    for (int round = 0; round < 2; round++) { /* again after a reset */
        glot_session_reset(branched);
        OK(glot_session_feed(branched, prompt, N_PROMPT, &log_probs, &err));
        for (int step = 0; step < N_STEPS; step++) {
            memcpy(old, ids, sizeof old);
            for (int i = 0; i < N_BRANCHES; i++) {
                parents[i] = step ? (int32_t)glot_rng_below(&rng, N_BRANCHES) : 0;
                memcpy(ids[i], old[parents[i]], sizeof ids[i]);
                fed[i] = ids[i][step] = (int32_t)glot_rng_below(&rng, TINY_VOCAB);
            }
            OK(glot_session_feed_branches(branched, parents, fed, &log_probs, &err));
            for (int i = 0; i < N_BRANCHES; i++) {
                float expected[TINY_VOCAB];
                feed_alone(expected, alone, ids[i], step + 1);
                assert_memory_equal(expected, log_probs + i * TINY_VOCAB, sizeof expected);
            }
        }
    }
    glot_session_free(branched);
    glot_session_free(alone);
}

static void test_too_many_branches(void **state)
{
    (void)state;
    glot_session *s = NULL;
    assert_int_equal(glot_session_create_branched(&s, model, N_CONTEXT, 16, 17, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "17 branches of a sequence are outside 1 to 16");
}

/* ---- beam search ---- */

typedef struct found {
    glot_beam_result result;
    int32_t ids[N_STEPS];
} found;

static found search(const glot_model *m, const int32_t *ids, int64_t n, glot_beam_options o)
{
    found f = {0};
    glot_session *s = NULL;
    OK(glot_session_create_branched(&s, m, N_CONTEXT, 64, o.n_beams, &err));
    OK(glot_beam_search(&f.result, f.ids, s, m->config.vocab_size, ids, n, &o, &err));
    glot_session_free(s);
    return f;
}

/* Greedy, token by token, up to a stop token. */
static found greedy(const uint8_t *is_stop)
{
    found f = {0};
    glot_session *s = NULL;
    const float *log_probs;
    glot_sample_params params = glot_sample_params_default();
    OK(glot_session_create(&s, model, N_CONTEXT, 16, &err));
    OK(glot_session_feed(s, prompt, N_PROMPT, &log_probs, &err));
    while (f.result.n < N_STEPS && !f.result.is_stopped) {
        int32_t id = glot_sample(log_probs, TINY_VOCAB, &params, NULL, NULL);
        f.ids[f.result.n++] = id;
        f.result.log_prob += (double)log_probs[id];
        f.result.is_stopped = is_stop[id];
        OK(glot_session_feed(s, &id, 1, &log_probs, &err));
    }
    glot_session_free(s);
    return f;
}

static void test_one_beam_is_greedy(void **state)
{
    (void)state;
    for (int stop = 0; stop < TINY_VOCAB; stop++) {
        uint8_t is_stop[TINY_VOCAB] = {0};
        is_stop[stop] = 1;
        found a = greedy(is_stop);
        found b = search(model, prompt, N_PROMPT, (glot_beam_options){1, N_STEPS, 1.0, is_stop, NULL});
        assert_int_equal(a.result.n, b.result.n);
        assert_memory_equal(a.ids, b.ids, (size_t)a.result.n * sizeof *a.ids);
        assert_true(a.result.log_prob == b.result.log_prob && a.result.is_stopped == b.result.is_stopped);
    }
}

/* With a beam for every first token nothing is pruned before the second: the best of all pairs is found. */
static void test_every_pair(void **state)
{
    (void)state;
    glot_session *s = NULL;
    const float *log_probs;
    float first[TINY_VOCAB];
    double best = -INFINITY;
    OK(glot_session_create(&s, model, N_CONTEXT, 16, &err));
    OK(glot_session_feed(s, prompt, N_PROMPT, &log_probs, &err));
    memcpy(first, log_probs, sizeof first);
    for (int32_t id = 0; id < TINY_VOCAB; id++) {
        glot_session_reset(s);
        OK(glot_session_feed(s, prompt, N_PROMPT, &log_probs, &err));
        OK(glot_session_feed(s, &id, 1, &log_probs, &err));
        for (int k = 0; k < TINY_VOCAB; k++)
            best = fmax(best, (double)first[id] + (double)log_probs[k]);
    }
    glot_session_free(s);
    found f = search(model, prompt, N_PROMPT, (glot_beam_options){TINY_VOCAB, 2, 1.0, nothing_stops, NULL});
    assert_true(f.result.log_prob == best && f.result.score == best / 2.0);
    assert_true(f.result.n == 2 && !f.result.is_stopped);
}

/* More beams find likelier texts here, the same ones with any number of threads. */
static void test_more_beams(void **state)
{
    (void)state;
    double last = greedy(nothing_stops).result.log_prob;
    glot_backend *lone = NULL;
    OK(glot_cpu_backend_create(&lone, 1, NULL, &err));
    glot_model *same = make_model(lone);
    for (int64_t n = 2; n <= 32; n *= 2) {
        glot_beam_options o = {n, N_STEPS, 1.0, nothing_stops, NULL};
        found a = search(model, prompt, N_PROMPT, o), b = search(same, prompt, N_PROMPT, o);
        assert_memory_equal(&a, &b, sizeof a);
        assert_true(a.result.log_prob >= last);
        last = a.result.log_prob;
    }
    glot_model_close(same);
    glot_backend_close(lone);
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t is_stop[TINY_VOCAB] = {1, 1};
    glot_session *s = NULL;
    found f;
    glot_cancel cancel = {.requested = 1};
    glot_beam_options o = {60, N_STEPS, 1.0, is_stop, NULL};
    OK(glot_session_create_branched(&s, model, N_CONTEXT, 64, 60, &err));
    assert_int_equal(glot_beam_search(&f.result, f.ids, s, TINY_VOCAB, prompt, N_PROMPT, &o, &err),
                     GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message,
                        "60 beams need as many tokens that do not stop, and the vocabulary has 59");
    o.cancel = &cancel;
    assert_int_equal(glot_beam_search(&f.result, f.ids, s, TINY_VOCAB, prompt, N_PROMPT, &o, &err),
                     GLOT_CANCELLED);
    glot_session_free(s);
}

/* ---- transformers ---- */

static size_t read_ids(int32_t *out, const json_t *list)
{
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static void check_golden(const glot_model *m, const json_t *entry, uint8_t *is_stop)
{
    int32_t ids[64], expected[64];
    size_t n = read_ids(ids, json_object_get(entry, "prompt")),
           n_expected = read_ids(expected, json_object_get(entry, "ids"));
    int32_t stop = (int32_t)json_integer_value(json_object_get(entry, "stop"));
    glot_beam_options o = {json_integer_value(json_object_get(entry, "beams")), N_STEPS,
                           json_number_value(json_object_get(entry, "length_penalty")), is_stop, NULL};
    is_stop[stop] = 1;
    found f = search(m, ids, (int64_t)n, o);
    is_stop[stop] = 0;
    assert_int_equal(f.result.n, n_expected);
    assert_memory_equal(f.ids, expected, n_expected * sizeof *expected);
    if (o.n_beams > 1) /* greedy search has no score there */
        assert_true(fabs(f.result.score - json_number_value(json_object_get(entry, "score"))) <= 1e-4);
}

static void test_golden(void **state)
{
    (void)state;
    json_t *all = NULL;
    size_t i;
    json_t *entry;
    glot_model *m = NULL;
    OK(glot_json_load_file(&all, GLOT_SOURCE_DIR "/tests/golden/eval/beams.json", &err));
    OK(glot_model_open(&m, be, GLOT_SOURCE_DIR "/tests/golden/eval/tasks", &err));
    uint8_t *is_stop = calloc((size_t)m->config.vocab_size, 1);
    json_array_foreach(all, i, entry) check_golden(m, entry, is_stop);
    assert_true(i >= 20);
    free(is_stop);
    json_decref(all);
    glot_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_branches_are_sequences),
        cmocka_unit_test(test_too_many_branches),
        cmocka_unit_test(test_one_beam_is_greedy),
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_more_beams),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, set_up, close_model);
}
