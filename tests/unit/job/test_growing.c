/* test_growing.c: an expanded base in the whole job: what each generation leaves alone, the same bits through stops, kills and any number of
 * threads (with experts by similarity and language gates, too), and what is refused. */
#include "job_run.h"

#define LANGUAGE(name, group) #name ": {group: " #group ", train: " #name ".txt, valid: " #name ".valid.txt}"
#define OLDER "en: {group: old, train: en.txt, valid: en.valid.txt}, " LANGUAGE(el, old) ", " LANGUAGE(tr, old)
#define SECOND "languages={" OLDER ", " LANGUAGE(bn, new) "}"
#define THIRD "languages={" OLDER ", " LANGUAGE(bn, old) ", " LANGUAGE(hi, new) "}"

static const run_options first_run = {.output = "whole"};
static const run_options second_run = {.output = "two",
                                       .settings = {"base=whole/model", SECOND,
                                                    "experts={allocation: list, list: [4, 2, 2], init: best}"}};
static const run_options third_run = {
    .output = "three", .settings = {"base=two/model", THIRD, "experts={allocation: list, list: [5, 2, 4], init: best}"}};

static uint64_t first_calls; /* writes, fsyncs and renames of the first run */

static int make_first(void **state)
{
    if (make_all(state) != 0)
        return -1;
    expect_status(&first_run, GLOT_OK);
    first_calls = file_calls();
    return 0;
}

static json_t *load(const char *name)
{
    glot_error err = {0};
    json_t *document = NULL;
    OK(glot_json_load_file(&document, in_root(name), &err));
    return document;
}

/* ---- what stays ---- */

static const glot_param *find_param(const glot_model *m, const glot_param *like)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (m->params[i]->role == like->role && m->params[i]->layer == like->layer && m->params[i]->expert == like->expert)
            return m->params[i];
    return NULL;
}

/* What a review trains, or counts anew. */
static bool is_renewed(const glot_param *p)
{
    return p->role == GLOT_ROLE_ROUTER || p->role == GLOT_ROLE_LANGUAGE_GATE || p->role == GLOT_ROLE_EXACT_EVIDENCE;
}

/* All else of `before` is in `after`, bit for bit; and the hashes that config.json records hold. */
static void expect_kept(const char *before, const char *after, const char *const *groups, int n_groups)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *old = NULL, *m = NULL;
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    OK(glot_model_open(&old, be, in_root(before), &err));
    OK(glot_model_open(&m, be, in_root(after), &err));
    assert_int_equal(m->config.n_groups, n_groups);
    for (int g = 0; g < n_groups; g++)
        assert_string_equal(m->config.group_languages[g], groups[g]);
    assert_string_equal(m->config.base_sha256, old->config.base_sha256);
    for (int g = 1; g < n_groups - 1; g++)
        assert_string_equal(m->config.added_sha256[g], old->config.added_sha256[g]);
    assert_int_equal(strlen(m->config.added_sha256[n_groups - 1]), 64);
    OK(glot_model_check_groups(m, &err));
    for (size_t i = 0; i < old->n_params; i++) {
        const glot_param *a = old->params[i], *b = find_param(m, a);
        if (is_renewed(a))
            continue;
        assert_int_equal(a->weight.dtype, b->weight.dtype);
        if (memcmp(a->weight.addr, b->weight.addr, glot_tensor_bytes(&a->weight)) != 0)
            fail_msg("%s is not what it was in %s", b->name, before);
    }
    glot_model_close(old);
    glot_model_close(m);
    glot_backend_close(be);
}

static double bits(const json_t *results, const char *when, const char *language)
{
    const json_t *text = json_object_get(json_object_get(results, when), "text");
    return json_real_value(json_object_get(json_object_get(text, language), "bits_per_byte"));
}

/* Old, el tr, bn, hi: each generation trained and reviewed, each leaving what was there alone. */
static void test_generations(void **state)
{
    static const char *const groups[] = {"en", "el,tr", "bn", "hi"};
    static const char *const languages[] = {"en", "el", "tr", "bn", "hi"};
    (void)state;
    expect_status(&second_run, GLOT_OK);
    expect_kept("whole/model", "two/model", groups, 3);
    json_t *results = load("two/results.json");
    /* what the base's exact path knew is not asked about the new language */
    assert_true(bits(results, "after_train", "bn") < bits(results, "before", "bn"));
    json_decref(results);
    expect_status(&third_run, GLOT_OK);
    expect_kept("two/model", "three/model", groups, 4);
    results = load("three/results.json");
    json_t *experts = json_pack("[i, i, i]", 5, 2, 4);
    assert_true(json_equal(json_object_get(results, "experts"), experts));
    for (size_t i = 0; i < 5; i++) {
        const json_t *routing = json_object_get(json_object_get(results, "routing"), languages[i]);
        assert_int_equal(json_array_size(json_array_get(json_object_get(routing, "expert_share"), 0)), 5);
        assert_true(bits(results, "before", languages[i]) > 0.0);
    }
    json_decref(experts);
    json_decref(results);
}

/* A recipe without the exact path gives a model without one, whatever the base had, and says so. */
static void test_exact_path_dropped(void **state)
{
    static const char *const groups[] = {"en", "el,tr", "bn"};
    run_options o = second_run;
    (void)state;
    o.output = "none";
    o.settings[3] = "exact={mode: none}";
    expect_status(&o, GLOT_OK);
    expect_log("has an exact path, which knows nothing of the new languages; exact.mode is none, so the result will have none");
    expect_kept("whole/model", "none/model", groups, 3);
    json_t *before = load("whole/model/config.json"), *after = load("none/model/config.json"), *results = load("none/results.json");
    assert_non_null(json_object_get(json_object_get(before, "glot"), "exact"));
    assert_null(json_object_get(json_object_get(after, "glot"), "exact"));
    assert_true(bits(results, "after_review", "bn") < bits(results, "before", "bn"));
    json_decref(before);
    json_decref(after);
    json_decref(results);
    forget("none");
}

/* The third generation, stopped and killed in every way: the same bits. */
static void test_generation_killed(void **state)
{
    glot_rng rng = glot_rng_seed(3, 4);
    run_options o = third_run;
    (void)state;
    o.output = "g";
    o.cancel_phase = 1;
    o.cancel_step = 3;
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_phase = 2;
    o.cancel_step = 2;
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_phase = 0;
    expect_status(&o, GLOT_OK);
    expect_same_runs("three", "g");
    forget("g");
    for (int status = KILLED, n_kills = 0; status == KILLED; n_kills++) {
        o.kill_at = n_kills < 8 ? 1 + glot_rng_below(&rng, (uint32_t)first_calls / 4) : 0;
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_runs("three", "g");
    forget("g");
}

/* The released settings of a second group: another router, another review, but what is frozen stays. */
static void test_released_growth(void **state)
{
    static const char *const groups[] = {"en", "el,tr", "bn"};
    run_options o = second_run;
    (void)state;
    o.output = "released";
    o.settings[3] = "grow={router_init: fresh, lpr_groups: original}";
    expect_status(&o, GLOT_OK);
    expect_kept("whole/model", "released/model", groups, 3);
    forget("released");
}

/* ---- experts by similarity and language gates, grown again ---- */

static const run_options layered_first = {.output = "la",
                                          .settings = {"experts={allocation: layerwise, new_total: 4, similarity_tokens: 200}",
                                                       "gate={layers: 1, coef: 0.5}"}};
static const run_options layered = {
    .output = "lb",
    .settings = {"base=la/model", SECOND, "experts={allocation: layerwise, new_total: 3, similarity_tokens: 200, init: best}",
                 "gate={layers: 2, coef: 0.5}"}};
static uint64_t layered_calls;

static json_t *expansion(const char *model)
{
    char path[64];
    snprintf(path, sizeof path, "%s/config.json", model);
    json_t *config = load(path), *glot = json_incref(json_object_get(config, "glot"));
    json_decref(config);
    return glot;
}

static void test_layered(void **state)
{
    static const char *const groups[] = {"en", "el,tr", "bn"};
    int64_t n_new = 0;
    (void)state;
    expect_status(&layered_first, GLOT_OK);
    expect_status(&layered, GLOT_OK);
    layered_calls = file_calls();
    expect_kept("la/model", "lb/model", groups, 3);
    json_t *before = expansion("la/model"), *after = expansion("lb/model"), *results = load("lb/results.json");
    for (size_t l = 0; l < TINY_LAYERS; l++)
        n_new += json_integer_value(json_array_get(json_object_get(after, "num_experts_per_layer"), l)) -
                 json_integer_value(json_array_get(json_object_get(before, "num_experts_per_layer"), l));
    assert_int_equal(n_new, 3);
    assert_int_equal(json_array_size(json_object_get(json_object_get(before, "gate"), "layers")), 1);
    assert_int_equal(json_array_size(json_object_get(json_object_get(after, "gate"), "layers")), 2);
    assert_int_equal(json_array_size(json_object_get(json_object_get(results, "similarity"), "old")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(results, "allocation"), "new")), 3);
    json_decref(before);
    json_decref(after);
    json_decref(results);
}

/* A run that goes on takes similarity, and the experts that new ones copy, from where it left them. */
static void test_layered_measured_once(void **state)
{
    run_options o = layered;
    (void)state;
    o.output = "m";
    o.cancel_phase = 1;
    o.cancel_step = 3;
    expect_status(&o, GLOT_CANCELLED);
    assert_true(has_begun("similarity") && has_begun("upcycle"));
    assert_true(has_begun("similarity: all languages"));
    o.cancel_phase = 0;
    expect_status(&o, GLOT_OK);
    assert_true(has_begun("train") && has_begun("review"));
    assert_false(has_begun("similarity") || has_begun("upcycle"));
    expect_same_runs("lb", "m");
    forget("m");
}

static void test_layered_stopped(void **state)
{
    (void)state;
    const struct {
        int phase;
        int64_t step;
        const char *begin;
    } rows[] = {{.begin = "text"}, {.begin = "similarity"}, {1, 1, NULL}, {1, 8, NULL}, {.begin = "after_train"}, {2, 1, NULL}, {2, 3, NULL},
                {2, 5, NULL}, {.begin = "after_review"}};
    run_options o = layered;
    o.output = "c";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) { /* one directory, stopped again and again */
        o.cancel_phase = rows[i].phase;
        o.cancel_step = rows[i].step;
        o.cancel_at_begin = rows[i].begin;
        expect_status(&o, GLOT_CANCELLED);
    }
    o.cancel_phase = 0;
    o.cancel_at_begin = NULL;
    expect_status(&o, GLOT_OK);
    expect_same_runs("lb", "c");
    forget("c");
}

/* kill -9 at a write, fsync or rename: all over the run, and at each of the last ones, where the model, the results and the report are saved. */
static void test_layered_killed(void **state)
{
    enum { N_SPREAD = 12, N_LAST = 8 };
    run_options o = layered;
    (void)state;
    o.output = "k";
    for (uint64_t i = 1; i <= N_SPREAD + N_LAST; i++) {
        o.kill_at = i <= N_SPREAD ? layered_calls * i / (N_SPREAD + 1) : layered_calls - (i - N_SPREAD - 1);
        assert_int_equal(run_in_child(&o, 0), KILLED);
        o.kill_at = 0;
        expect_status(&o, GLOT_OK);
        expect_same_runs("lb", "k");
        forget("k");
    }
}

/* A full disk is said, and a damaged checkpoint named and the one before it used. */
static void test_layered_mishaps(void **state)
{
    static const char *const damaged[] = {"f/checkpoints/000005/moments.safetensors", "f/checkpoints/000011/trained.safetensors"};
    run_options o = layered;
    (void)state;
    o.output = "f";
    for (uint64_t i = 1; i <= 5; i++) {
        o.full_at = layered_calls * i / 6;
        expect_status(&o, GLOT_NO_SPACE);
        o.full_at = 0;
        expect_status(&o, GLOT_OK);
        expect_same_runs("lb", "f");
        forget("f");
    }
    for (int i = 0; i < 2; i++) {
        o.cancel_phase = 1 + i;
        o.cancel_step = i == 0 ? 5 : 3;
        expect_status(&o, GLOT_CANCELLED);
        damage(damaged[i]);
        o.cancel_phase = 0;
        expect_status(&o, GLOT_OK);
        expect_log(i == 0 ? "warning: checkpoint 5 cannot be used" : "warning: checkpoint 11 cannot be used");
        expect_same_runs("lb", "f");
        forget("f");
    }
}

static void test_layered_threads(void **state)
{
    static const char *const threads[] = {"threads=2", "threads=8"};
    run_options o = layered;
    (void)state;
    o.output = "t";
    for (size_t i = 0; i < 2; i++) {
        o.settings[4] = threads[i];
        expect_status(&o, GLOT_OK);
        expect_same_runs("lb", "t");
        forget("t");
    }
}

/* ---- what is refused ---- */

/* A model that was upcycled and nothing else. */
static void make_untrained(const char *name)
{
    static const int32_t layout[] = {2, 2, 2};
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *m = NULL;
    glot_upcycle_settings settings = {.top_k = 2, .seed = 1};
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    OK(glot_model_open(&m, be, in_root("base"), &err));
    OK(glot_upcycle(m, layout, &settings, &err));
    OK(glot_model_save(m, in_root(name), NULL, NULL, 0, &err));
    glot_model_close(m);
    glot_backend_close(be);
}

static void test_growth_refused(void **state)
{
    const char *base = "base=whole/model", *layout = "experts={per_layer: 4}";
    const struct {
        const char *settings[6];
        const char *sentence;
    } rows[] = {
        {{base, layout}, "language 'el' is new, but it already belongs to language group 1 of"},
        {{base, layout, "languages={" OLDER ", bn: {group: old, train: bn.txt, valid: bn.valid.txt}, " LANGUAGE(hi, new) "}"},
         "language 'bn' is old, but it belongs to none of the language groups 0 to 1 of"},
        {{base, SECOND, "experts={top_k: 2}"}, "key 'experts.per_layer' is missing: the base is an expanded model"},
        {{base, SECOND, "experts={per_layer: 2}"}, "key 'experts.per_layer' does not fit the base: layer 0 has 3 experts"},
        {{base, SECOND, "experts={allocation: list, list: [3, 1, 2]}"}, "no layer would get a new expert"},
        {{base, SECOND, "experts={per_layer: 4, top_k: 3}"}, "key 'experts.top_k' is 3, but the tokens of the expanded base use 2"},
        {{base, SECOND, layout, "review.lpr_form=released"}, "it goes with grow.lpr_groups: original"},
        {{base, "languages={en: {group: old, train: en.txt, valid: en.valid.txt}, " LANGUAGE(el, old) ", " LANGUAGE(bn, new) "}", layout},
         "key 'exact.mode' is tokens, but the recipe has no text of language 'tr', which the base has learned"},
        {{"base=la/model", SECOND, layout, "gate={layers: 2, form: sequence_sum}"},
         "key 'gate.form' is sequence_sum, but the language gates of the base are causal, and a model has one form"},
        {{"base=untrained", SECOND, layout}, "language group 0 has no languages: it must be reviewed"},
        {{"base=changed", SECOND, layout}, "the weights of language group 0 have SHA-256 "},
    };
    glot_error err = {0};
    (void)state;
    make_untrained("untrained");
    OK(glot_file_copy(in_root("untrained/tokenizer.json"), in_root("base/tokenizer.json"), &err));
    copy_model("changed", "whole/model");
    damage_at("changed/model.safetensors", 16000, SEEK_SET); /* the embedding: 24 kB behind a short header */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_options o = {.output = "n"};
        memcpy(o.settings, rows[i].settings, sizeof o.settings);
        if (run_in_child(&o, 0) != GLOT_BAD_VALUE)
            fail_msg("row %zu was not refused: %s", i, rows[i].sentence);
        expect_log(rows[i].sentence);
        assert_false(glot_path_exists(in_root("n")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generations),     cmocka_unit_test(test_generation_killed),
        cmocka_unit_test(test_released_growth), cmocka_unit_test(test_exact_path_dropped),
        cmocka_unit_test(test_layered),         cmocka_unit_test(test_layered_measured_once),
        cmocka_unit_test(test_layered_stopped), cmocka_unit_test(test_layered_killed),
        cmocka_unit_test(test_layered_mishaps), cmocka_unit_test(test_layered_threads),
        cmocka_unit_test(test_growth_refused),
    };
    return cmocka_run_group_tests(tests, make_first, remove_all);
}
