/* test_comparison.c: every method of the papers' table that is training with this architecture, as a recipe: the job runs it, the right
 * tensors moved and no others, and LoRA ends as a plain model with the same bits however often it was stopped. */
#include "job_run.h"

#define DENSE "experts={per_layer: 1}", "review={tokens: 0}", "exact={mode: none}"
#define EXPERTS "exact={mode: none}"
#define LORA "train.trainable={lora: {rank: 4, alpha: 8}}"
#define NO_REVIEW "review={tokens: 0}"

static const run_options lora = {.output = "lora", .settings = {DENSE, LORA}};

/* ---- what moved ---- */

typedef bool moves_fn(const glot_param *p);

static bool all_move(const glot_param *p)
{
    return p != NULL;
}

static bool new_experts_move(const glot_param *p)
{
    return p->role == GLOT_ROLE_ROUTER || p->expert > 0;
}

/* Layer 1 keeps its plain FFN. */
static bool all_experts_move(const glot_param *p)
{
    return p->role == GLOT_ROLE_ROUTER || (p->expert >= 0 && p->layer != 1);
}

static bool routers_move(const glot_param *p)
{
    return p->role == GLOT_ROLE_ROUTER;
}

static bool linear_layers_move(const glot_param *p)
{
    return p->layer >= 0 && p->weight.n_dims == 2;
}

static glot_model *open_model(glot_backend *be, const char *dir)
{
    glot_error err = {0};
    glot_model *m = NULL;
    OK(glot_model_open(&m, be, in_root(dir), &err));
    return m;
}

/* Exactly the tensors that `moves` names are others in `after`. Closes both. */
static void expect_moved(glot_model *before, glot_model *after, moves_fn *moves)
{
    assert_int_equal(before->n_params, after->n_params);
    for (size_t i = 0; i < before->n_params; i++) {
        const glot_param *a = before->params[i], *b = after->params[i];
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->weight.dtype, b->weight.dtype);
        bool has_moved = memcmp(a->weight.addr, b->weight.addr, glot_tensor_bytes(&a->weight)) != 0;
        if (has_moved != moves(a))
            fail_msg("%s %s", a->name, has_moved ? "moved" : "did not move");
    }
    glot_model_close(before);
    glot_model_close(after);
}

/* The model that training began with: the base with the row's new experts. */
static glot_model *begin_model(glot_backend *be, glot_expert_init init)
{
    static const int32_t layout[TINY_LAYERS] = {3, 1, 2};
    glot_error err = {0};
    glot_model *m = open_model(be, "base");
    glot_upcycle_settings settings = {.top_k = 2, .seed = 7, .init = init};
    OK(glot_upcycle(m, layout, &settings, &err));
    return m;
}

static glot_backend *open_backend(void)
{
    glot_error err = {0};
    glot_backend *be = NULL;
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    return be;
}

/* ---- rows without new experts ---- */

/* The result is a plain model. */
static void expect_plain(const char *output)
{
    glot_error err = {0};
    json_t *config = NULL;
    char path[64];
    snprintf(path, sizeof path, "%s/model/config.json", output);
    OK(glot_json_load_file(&config, in_root(path), &err));
    assert_null(json_object_get(config, "glot"));
    assert_string_equal(json_string_value(json_object_get(config, "model_type")), "llama");
    json_decref(config);
}

/* What the results say of how many weights were left alone. */
static void expect_frozen(const char *output, int64_t n)
{
    glot_error err = {0};
    char path[96];
    json_t *results = NULL;
    int64_t found = -1;
    snprintf(path, sizeof path, "%s/results.json", output);
    OK(glot_json_load_file(&results, in_root(path), &err));
    OK(glot_json_get_int(results, "frozen_tensors", &found, path, &err));
    assert_int_equal(found, n);
    json_decref(results);
}

static void test_full_fine_tuning(void **state)
{
    const run_options full = {.output = "full", .settings = {DENSE, "train.trainable=all"}};
    glot_backend *be = open_backend();
    (void)state;
    expect_status(&full, GLOT_OK);
    expect_plain("full");
    expect_moved(open_model(be, "base"), open_model(be, "full/model"), all_move);
    glot_backend_close(be);
    expect_frozen("full", 0);
}

static const char *text_at(const json_t *results, const char *key, const char *inner)
{
    return json_string_value(json_object_get(json_object_get(results, key), inner));
}

static double bits_per_byte(const json_t *results, const char *when)
{
    const json_t *text = json_object_get(json_object_get(results, when), "text");
    return json_number_value(json_object_get(json_object_get(text, "el"), "bits_per_byte"));
}

/* Every linear layer moved, norms and the embedding did not; what was frozen has the hash it had until the merging. */
static void test_lora(void **state)
{
    glot_error err = {0};
    json_t *results = NULL;
    glot_backend *be = open_backend();
    (void)state;
    expect_status(&lora, GLOT_OK);
    expect_plain("lora");
    OK(glot_json_load_file(&results, in_root("lora/results.json"), &err));
    assert_string_equal(text_at(results, "frozen_sha256", "before"), text_at(results, "frozen_sha256", "after"));
    assert_true(bits_per_byte(results, "after_train") < bits_per_byte(results, "before"));
    expect_frozen("lora", TINY_LAYERS * 9 + 2); /* all of the base: seven matrices and two norms a layer, embedding, last norm */
    expect_moved(open_model(be, "base"), open_model(be, "lora/model"), linear_layers_move);
    json_decref(results);
    glot_backend_close(be);
}

/* A checkpoint holds the adapters and nothing of the base. */
static void expect_adapters(const char *path)
{
    glot_error err = {0};
    glot_safetensors *s = NULL;
    OK(glot_safetensors_open(&s, in_root(path), &err));
    assert_int_equal(glot_safetensors_count(s), TINY_LAYERS * 7 * 2);
    for (size_t i = 0; i < glot_safetensors_count(s); i++)
        assert_non_null(strstr(glot_safetensors_at(s, i)->name, "_proj.lora_"));
    glot_safetensors_close(s);
}

static void expect_same_as_lora(const char *output)
{
    char a[256], b[256];
    snprintf(a, sizeof a, "%s/model", in_root("lora"));
    snprintf(b, sizeof b, "%s/model", in_root(output));
    expect_same_folder(a, b);
    expect_same_metrics(in_root("lora"), in_root(output));
    expect_same_results(in_root("lora"), in_root(output));
    expect_same_checkpoint(in_root("lora"), in_root(output), "000008");
}

/* Stopped in training, where an evaluation under adapters is due, and when trained but not merged; or killed: the same bits. */
static void test_lora_resumed(void **state)
{
    static const int64_t stops[] = {1, 3, 8};
    glot_rng rng = glot_rng_seed(8, 1);
    run_options o = lora;
    (void)state;
    o.output = "k";
    o.cancel_phase = 1;
    for (size_t i = 0; i < 3; i++) {
        o.cancel_step = stops[i];
        expect_status(&o, GLOT_CANCELLED);
        if (i == 0)
            expect_adapters("k/checkpoints/000001/trained.safetensors");
    }
    o.cancel_phase = 0;
    expect_status(&o, GLOT_OK);
    expect_same_as_lora("k");
    forget("k");
    for (int status = KILLED, n_kills = 0; status == KILLED; n_kills++) {
        o.kill_at = n_kills < 8 ? 1 + glot_rng_below(&rng, 60) : 0;
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_as_lora("k");
    forget("k");
}

static void expect_near(uint64_t planned, uint64_t actual)
{
    double ratio = (double)planned / (double)actual;
    bool ok = fabs(ratio - 1.0) <= 0.05;
    if (!ok)
        fail_msg("planned %" PRIu64 " bytes, took %" PRIu64, planned, actual);
}

static uint64_t file_bytes(const char *name)
{
    glot_error err = {0};
    glot_map map = {0};
    OK(glot_map_open(&map, in_root(name), &err));
    uint64_t size = map.size;
    glot_map_close(&map);
    return size;
}

/* What the plan says of LoRA: adapters, their gradients and moments, the weights they are merged into, and what the run wrote. */
static void test_lora_plan(void **state)
{
    static const char *const settings[] = {DENSE, LORA};
    glot_error err = {0};
    glot_recipe *recipe = NULL;
    glot_plan p;
    (void)state;
    OK(glot_recipe_load(&recipe, in_root("recipe.yaml"), settings, 4, &err));
    OK(glot_plan_recipe(&p, recipe, &err));
    const int64_t h = 24, kv = 8, ffn = 37, rank = 4; /* q and o; k and v; gate, up and down */
    uint64_t trained = (uint64_t)(TINY_LAYERS * rank * (2 * (h + h) + 2 * (h + kv) + 3 * (h + ffn)));
    uint64_t merged = (uint64_t)(TINY_LAYERS * (2 * h * h + 2 * h * kv + 3 * h * ffn)) * sizeof(float);
    assert_true(p.n_new == 0 && p.n_parameters == p.n_base && p.train.n_trained == trained);
    assert_true(p.train.memory.gradients == trained * sizeof(float) && p.train.memory.moments == 2 * trained * sizeof(float));
    assert_true(p.owned_bytes == trained * sizeof(float) && p.merged_bytes == merged);
    expect_near(p.model_bytes, file_bytes("lora/model/model.safetensors"));
    assert_true(p.checkpoint_bytes == 3 * trained * sizeof(float));
    glot_recipe_free(recipe);
}

/* The review alone: its checkpoints are all there are, weights and two moments of the routers. */
static void test_review_plan(void **state)
{
    static const char *const settings[] = {EXPERTS};
    glot_error err = {0};
    glot_recipe *recipe = NULL;
    glot_plan p;
    (void)state;
    OK(glot_recipe_load(&recipe, in_root("recipe.yaml"), settings, 1, &err));
    recipe->train.tokens = recipe->train.steps = -1; /* as `glot review` has it */
    OK(glot_plan_recipe(&p, recipe, &err));
    assert_true(p.train.steps == 0 && p.review.n_trained > 0);
    assert_true(p.checkpoint_bytes == 3 * p.review.n_trained * sizeof(float));
    glot_recipe_free(recipe);
}

/* ---- rows with new experts ---- */

static void test_all_experts(void **state)
{
    const run_options o = {.output = "all_experts", .settings = {EXPERTS, NO_REVIEW, "train.trainable=all_experts"}};
    glot_backend *be = open_backend();
    (void)state;
    expect_status(&o, GLOT_OK);
    expect_moved(begin_model(be, GLOT_EXPERT_COPY), open_model(be, "all_experts/model"), all_experts_move);
    glot_backend_close(be);
}

static void test_random_experts(void **state)
{
    const run_options o = {.output = "random", .settings = {EXPERTS, "experts={allocation: list, list: [3, 1, 2], init: random}"}};
    glot_backend *be = open_backend();
    (void)state;
    expect_status(&o, GLOT_OK);
    expect_moved(begin_model(be, GLOT_EXPERT_RANDOM), open_model(be, "random/model"), new_experts_move);
    glot_backend_close(be);
}

/* Stage 1 is the same in all three; what a review does, and its LPR loss, is in the routers alone. */
static void test_reviews(void **state)
{
    const run_options rows[] = {{.output = "unreviewed", .settings = {EXPERTS, NO_REVIEW}},
                                {.output = "without_lpr", .settings = {EXPERTS, "review.lpr_coef=0"}},
                                {.output = "moe_lpr", .settings = {EXPERTS}}};
    glot_backend *be = open_backend();
    (void)state;
    for (size_t i = 0; i < 3; i++)
        expect_status(&rows[i], GLOT_OK);
    expect_moved(begin_model(be, GLOT_EXPERT_COPY), open_model(be, "unreviewed/model"), new_experts_move);
    expect_moved(open_model(be, "unreviewed/model"), open_model(be, "without_lpr/model"), routers_move);
    expect_moved(open_model(be, "unreviewed/model"), open_model(be, "moe_lpr/model"), routers_move);
    expect_moved(open_model(be, "without_lpr/model"), open_model(be, "moe_lpr/model"), routers_move);
    glot_backend_close(be);
}

/* ---- what LoRA cannot be ---- */

static void test_refused(void **state)
{
    const struct {
        const char *settings[6], *sentence;
    } rows[] = {
        {{LORA}, "setting 'train.trainable' asks for LoRA, which is for a dense model: it goes with experts.per_layer: 1"},
        {{"experts={allocation: list, list: [1, 2, 1]}", LORA}, "which is for a dense model"},
        {{DENSE, "train.trainable={lora: {rank: 0}}"}, "setting 'train.trainable' "},
        {{DENSE, "train.trainable={lora: {rank: 9}}"},
         "train.trainable' does not fit the base: rank 9 is larger than 'model.layers.0.self_attn.k_proj.weight' [8, 24] is wide"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_options o = {.output = "n"};
        memcpy(o.settings, rows[i].settings, sizeof o.settings);
        assert_true(run_in_child(&o, 0) != GLOT_OK);
        expect_log(rows[i].sentence);
        assert_false(glot_path_exists(in_root("n")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_fine_tuning), cmocka_unit_test(test_lora),
                                       cmocka_unit_test(test_lora_resumed),     cmocka_unit_test(test_lora_plan),
                                       cmocka_unit_test(test_review_plan),
                                       cmocka_unit_test(test_all_experts),
                                       cmocka_unit_test(test_random_experts),   cmocka_unit_test(test_reviews),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
