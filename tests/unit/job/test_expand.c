/* test_expand.c: the whole job on a tiny model: what it leaves behind, and that whatever stops it (a signal,
 * kill -9, a full disk, a damaged checkpoint) the next start ends with the same bits. */
#include "job_run.h"

static uint64_t whole_calls; /* writes, fsyncs and renames of an unbroken run */
static double whole_ms;      /* how long it takes */

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

/* What results.json says of the exact path; bits[before, after_train, after_review][en, el, tr]. */
static void expect_exact(const json_t *results, double bits[3][3])
{
    static const char *const languages[] = {"en", "el", "tr"};
    const json_t *exact = json_object_get(results, "exact"), *routing = json_object_get(results, "routing");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(exact, "held_out"), "documents")), 15);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(exact, "held_out"), "stay")), 15);
    for (size_t l = 0; l < 3; l++) {
        const json_t *entry = json_object_get(json_object_get(exact, "languages"), languages[l]);
        const json_t *scores = json_object_get(entry, "bits_per_byte"), *share = json_object_get(entry, "token_share");
        bool is_old = l == 0;
        assert_string_equal(json_string_value(json_object_get(entry, "group")), is_old ? "old" : "new");
        assert_true(json_number_value(json_object_get(entry, "document_share")) == (is_old ? 1.0 : 0.0));
        assert_true(is_old ? json_number_value(share) == 1.0 : json_number_value(share) < 0.2);
        assert_true(json_is_null(json_object_get(entry, "leaves_after")) == is_old);
        assert_true(json_number_value(json_object_get(scores, "base")) == bits[0][l]);
        assert_true(json_number_value(json_object_get(scores, "on")) == bits[2][l]);
        assert_true(json_number_value(json_object_get(scores, "off")) > 0.0);
        assert_true(json_equal(share, json_object_get(json_object_get(routing, languages[l]), "exact_share")));
    }
}

static const json_t *task_of(const json_t *results, const char *when, const char *name)
{
    return json_object_get(json_object_get(json_object_get(results, when), "tasks"), name);
}

/* Layers of 3, 1 and 2 experts: shares that sum to 1, their entropy, and a probability of the original. */
static void expect_routing(const json_t *routing)
{
    static const char *const languages[] = {"en", "el", "tr"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *entry = json_object_get(routing, languages[i]);
        for (size_t l = 0; l < 3; l++) {
            const json_t *shares = json_array_get(json_object_get(entry, "expert_share"), l);
            double sum = 0.0, entropy = 0.0, p = json_number_value(json_array_get(json_object_get(entry, "p_original"), l));
            for (size_t e = 0; e < json_array_size(shares); e++) {
                double share = json_number_value(json_array_get(shares, e));
                sum += share;
                entropy -= share > 0.0 ? share * log2(share) : 0.0;
            }
            assert_true(fabs(sum - 1.0) <= 1e-12 && p > 0.0 && p <= 1.0 + 1e-6);
            assert_true(fabs(json_number_value(json_array_get(json_object_get(entry, "entropy"), l)) - entropy) <= 1e-12);
        }
    }
}

/* Both tasks every time. */
static void expect_tasks(const json_t *results)
{
    static const char *const whens[] = {"before", "after_train", "after_review"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_integer_value(json_object_get(task_of(results, whens[i], "items"), "items")), 3);
        assert_int_equal(json_integer_value(json_object_get(task_of(results, whens[i], "own"), "items")), 2);
        double acc = json_number_value(json_object_get(task_of(results, whens[i], "items"), "acc"));
        assert_true(acc >= 0.0 && acc <= 1.0);
    }
}

/* The run that all others must equal, and what is in it. */
static void test_whole(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *lines = NULL, *results = NULL;
    run_options o = {.output = "whole"};
    double began = now_ms();
    expect_status(&o, GLOT_OK);
    whole_ms = now_ms() - began;
    whole_calls = file_calls();
    assert_true(whole_calls > 100);

    OK(glot_run_dir_read_metrics(&lines, in_root("whole"), &err));
    /* before; 8 steps with an evaluation after 3 and 6; after_train; 5 steps with one after 5; after_review
     */
    static const char *const phases[] = {"eval",   "train",  "train",  "train", "eval", "train",  "train",
                                         "train",  "eval",   "train",  "train", "eval", "review", "review",
                                         "review", "review", "review", "eval",  "eval"};
    assert_int_equal(json_array_size(lines), sizeof phases / sizeof phases[0]);
    for (size_t i = 0; i < json_array_size(lines); i++)
        assert_string_equal(json_string_value(json_object_get(json_array_get(lines, i), "phase")), phases[i]);
    const json_t *tasks = json_object_get(json_array_get(lines, 0), "tasks");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(tasks, "items"), "items")), 3);
    json_decref(lines);

    OK(glot_json_load_file(&results, in_root("whole/results.json"), &err));
    static const char *const whens[] = {"before", "after_train", "after_review"}, *const languages[] = {
                                                                                      "en", "el", "tr"};
    double bits[3][3];
    for (size_t w = 0; w < 3; w++)
        for (size_t l = 0; l < 3; l++) {
            const json_t *text = json_object_get(json_object_get(results, whens[w]), "text");
            bits[w][l] =
                json_real_value(json_object_get(json_object_get(text, languages[l]), "bits_per_byte"));
            assert_true(bits[w][l] > 0.0);
        }
    assert_true(bits[1][1] < bits[0][1] && bits[1][2] < bits[0][2]); /* the new languages were learned */
    assert_true(bits[1][0] != bits[0][0] && bits[2][0] == bits[0][0]); /* the old one left the exact path never */
    expect_exact(results, bits);
    expect_tasks(results);
    expect_routing(json_object_get(results, "routing_before_review"));
    expect_routing(json_object_get(results, "routing"));
    const json_t *en = json_array_get(json_object_get(results, "languages"), 0);
    assert_true(json_real_value(json_object_get(en, "tokens_per_byte")) == 1.0); /* a tokenizer of bytes */
    const json_t *frozen = json_object_get(results, "frozen_sha256");
    assert_int_equal(strlen(json_string_value(json_object_get(frozen, "before"))), 64);
    assert_string_equal(json_string_value(json_object_get(frozen, "before")),
                        json_string_value(json_object_get(frozen, "after")));
    json_t *experts = json_pack("[i, i, i]", 3, 1, 2);
    assert_true(json_equal(json_object_get(results, "experts"), experts));
    json_decref(experts);
    json_decref(results);
    char *html = read_all(in_root("whole/report.html"));
    assert_non_null(strstr(html, "retained to 100 %")); /* beside what the published method kept */
    assert_non_null(strstr(html, "96.6 %"));
    glot_free(html);
    static const char *const files[] = {"whole/report.html",          "whole/recipe.yaml",
                                        "whole/state.json",           "whole/model/config.json",
                                        "whole/model/tokenizer.json", "whole/model/model.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_true(glot_path_exists(in_root(files[i])));
    /* once more: nothing to do, nothing done */
    expect_status(&o, GLOT_OK);
    expect_same_run("whole");
}

/* The model that is left is the base with experts: expert 0 and all else bit for bit, groups named. */
static void test_model(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_backend *be = NULL;
    glot_model *base = NULL, *m = NULL;
    OK(glot_ref_backend_create(&be, GLOT_F32, &err));
    OK(glot_model_open(&base, be, in_root("base"), &err));
    OK(glot_model_open(&m, be, in_root("whole/model"), &err));
    assert_string_equal(m->config.group_languages[0], "en");
    assert_string_equal(m->config.group_languages[1], "el,tr");
    for (int l = 0; l < 3; l++) {
        size_t n = glot_tensor_bytes(&base->layers[l].up_proj[0]->weight);
        char *a = malloc(n), *b = malloc(n);
        be->download(be, a, &base->layers[l].up_proj[0]->weight);
        be->download(be, b, &m->layers[l].up_proj[0]->weight);
        assert_memory_equal(a, b, n);
        free(a);
        free(b);
    }
    glot_model_close(base);
    glot_model_close(m);
    glot_backend_close(be);
}

/* A signal at every kind of moment. */
static void test_cancel(void **state)
{
    (void)state;
    const run_options rows[] = {
        {.output = "c", .cancel_phase = 1, .cancel_step = 1},
        {.output = "c", .cancel_phase = 1, .cancel_step = 3}, /* before an evaluation */
        {.output = "c", .cancel_phase = 1, .cancel_step = 6},
        {.output = "c", .cancel_phase = 1, .cancel_step = 8},
        {.output = "c", .cancel_phase = 2, .cancel_step = 1},
        {.output = "c", .cancel_phase = 2, .cancel_step = 5},
        {.output = "c", .cancel_at_begin = "text"},
        {.output = "c", .cancel_at_begin = "before"},
        {.output = "c", .cancel_at_begin = "after_train"},
        {.output = "c", .cancel_at_begin = "after_review"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = run_in_child(&rows[i], 0);
        if (status != GLOT_CANCELLED)
            fail_msg("row %zu ended with status %d, expected to be stopped", i, status);
        expect_status(&(run_options){.output = "c"}, GLOT_OK);
        expect_same_run("c");
        forget("c");
    }
    /* one directory, stopped again and again */
    for (size_t i = 0; i < 6; i++)
        expect_status(&rows[i], GLOT_CANCELLED);
    expect_status(&(run_options){.output = "c"}, GLOT_OK);
    expect_same_run("c");
    forget("c");
}

/* kill -9 at the n-th write, fsync or rename, for random n, until the run gets through. */
static void test_killed(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(99, 1);
    int n_kills = 0, n_runs = 0;
    while (n_kills < 24) {
        run_options o = {.output = "k"};
        for (int status = KILLED; status == KILLED;) {
            o.kill_at = 1 + glot_rng_below(&rng, (uint32_t)whole_calls / 2);
            status = run_in_child(&o, 0);
            if (status != KILLED && status != GLOT_OK)
                fail_msg("after %d kills: status %d", n_kills, status);
            n_kills += status == KILLED;
        }
        expect_same_run("k");
        forget("k");
        n_runs++;
    }
    assert_true(n_runs >= 2);
}

/* kill -9 from outside, 20 times, anywhere within the time that a whole run takes. */
static void test_killed_at_any_time(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(98, 1);
    for (int n_kills = 0; n_kills < 20;) {
        run_options o = {.output = "k"};
        int status = run_in_child(&o, 1 + (int)glot_rng_below(&rng, (uint32_t)whole_ms));
        assert_true(status == KILLED || status == GLOT_OK);
        n_kills += status == KILLED;
        if (status == GLOT_OK) {
            expect_same_run("k");
            forget("k");
        }
    }
    expect_status(&(run_options){.output = "k"}, GLOT_OK);
    expect_same_run("k");
    forget("k");
}

/* A full disk wherever it comes is said, and nothing of the run is lost. */
static void test_disk_full(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(5, 2);
    for (int i = 0; i < 10; i++) {
        run_options o = {.output = "f", .full_at = 1 + glot_rng_below(&rng, (uint32_t)whole_calls - 2)};
        expect_status(&o, GLOT_NO_SPACE);
        expect_status(&(run_options){.output = "f"}, GLOT_OK);
        expect_same_run("f");
        forget("f");
    }
}

/* A damaged newest checkpoint is named and the one before it used; stage 1's last one in the middle of the
 * review, too. */
static void test_damaged(void **state)
{
    (void)state;
    const struct {
        int phase;
        int64_t step;
        const char *file, *warning;
    } rows[] = {
        {1, 5, "d/checkpoints/000005/moments.safetensors", "warning: checkpoint 5 cannot be used"},
        {1, 1, "d/checkpoints/000001/trained.safetensors", "warning: checkpoint 1 cannot be used"},
        {2, 3, "d/checkpoints/000011/state.json", "warning: checkpoint 11 cannot be used"},
        {2, 3, "d/checkpoints/000008/trained.safetensors", "warning: checkpoint 8 cannot be used"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_status(
            &(run_options){.output = "d", .cancel_phase = rows[i].phase, .cancel_step = rows[i].step},
            GLOT_CANCELLED);
        damage(rows[i].file);
        expect_status(&(run_options){.output = "d"}, GLOT_OK);
        expect_log(rows[i].warning);
        expect_same_run("d");
        forget("d");
    }
}

static void test_changed_recipe(void **state)
{
    (void)state;
    const run_options stopped = {.output = "r", .cancel_phase = 1, .cancel_step = 4};
    expect_status(&stopped, GLOT_CANCELLED);
    expect_status(&(run_options){.output = "r", .settings = {"train.lr=0.5"}}, GLOT_BAD_VALUE);
    expect_log("key 'train.lr' was 0.01 when the run in");
    expect_status(&(run_options){.output = "r", .settings = {"languages.el.weight=3"}}, GLOT_BAD_VALUE);
    expect_log("key 'languages.el.weight'");
    /* what may change; the result is the same */
    expect_status(
        &(run_options){.output = "r", .settings = {"train.keep=5", "train.checkpoint_every=1h", "threads=2"}},
        GLOT_OK);
    expect_log("going on after step 4 of 8");
    expect_same_run("r");
    forget("r");
}

/* Tokens that grow before their stage is finished; after it they must not. */
static void test_growing_tokens(void **state)
{
    (void)state;
    const char *short_run = "train.tokens=288", *long_run = "train.tokens=432"; /* 4 and 6 steps */
    expect_status(&(run_options){.output = "t", .settings = {short_run}, .cancel_phase = 1, .cancel_step = 3},
                  GLOT_CANCELLED);
    expect_status(&(run_options){.output = "t", .settings = {long_run}, .cancel_phase = 2, .cancel_step = 1},
                  GLOT_CANCELLED);
    expect_log("warning: train.tokens grows from 288 to 432");
    expect_status(&(run_options){.output = "t", .settings = {"train.tokens=500"}}, GLOT_BAD_VALUE);
    expect_log("but that stage is finished (--fresh starts over)");
    expect_status(&(run_options){.output = "t", .settings = {long_run}}, GLOT_OK);
    forget("t");
}

/* Other scores than the run began with: all of them are taken again, so that they can be compared. */
static void test_changed_eval(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *results = NULL;
    expect_status(&(run_options){.output = "e", .cancel_phase = 2, .cancel_step = 2}, GLOT_CANCELLED);
    expect_status(&(run_options){.output = "e", .settings = {"eval.max_tokens=60"}}, GLOT_OK);
    OK(glot_json_load_file(&results, in_root("e/results.json"), &err));
    json_int_t tokens[3];
    static const char *const whens[] = {"before", "after_train", "after_review"};
    for (size_t i = 0; i < 3; i++)
        tokens[i] = json_integer_value(json_object_get(
            json_object_get(json_object_get(json_object_get(results, whens[i]), "text"), "el"), "tokens"));
    json_decref(results);
    assert_true(tokens[0] > 0 && tokens[0] == tokens[1] && tokens[1] == tokens[2] && tokens[0] < 150);
    expect_same_folder(in_root("whole/model"), in_root("e/model"));
    expect_status(&(run_options){.output = "e", .settings = {"eval.max_tokens=60", "eval.tasks=[{file: items.jsonl, limit: 1}]"}}, GLOT_OK);
    OK(glot_json_load_file(&results, in_root("e/results.json"), &err));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_integer_value(json_object_get(task_of(results, whens[i], "items"), "items")), 1);
    json_decref(results);
    forget("e");
}

static void test_fresh(void **state)
{
    (void)state;
    glot_error err = {0};
    expect_status(&(run_options){.output = "s", .cancel_phase = 1, .cancel_step = 4}, GLOT_CANCELLED);
    expect_status(
        &(run_options){
            .output = "s", .settings = {"seed=8"}, .is_fresh = true, .cancel_phase = 1, .cancel_step = 2},
        GLOT_CANCELLED);
    expect_status(&(run_options){.output = "s", .is_fresh = true}, GLOT_OK);
    expect_same_run("s");
    OK(glot_file_write(in_root("s/notes.txt"), "x", 1, &err));
    expect_status(&(run_options){.output = "s", .is_fresh = true}, GLOT_EXISTS);
    expect_log("notes.txt' was not written by glot");
    expect_same_run("s");
    forget("s");
}

/* What does not go together with the base is refused before anything is written. */
static void test_refused(void **state)
{
    (void)state;
    const struct {
        const char *settings[4];
        glot_status status;
        const char *sentence;
    } rows[] = {
        {{"train.length=65"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'train.length' is 65, but the context of the base is 64"},
        {{"review.length=65"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'review.length' is 65, but the context of the base is 64"},
        {{"experts.list=[2, 2]"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'experts.list' has 2 numbers, but the base has 3 layers"},
        {{"experts={allocation: layerwise, new_bytes: 10655}"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'experts.new_bytes' is less than one new expert of the base, which takes 10656 bytes"},
        {{"experts={allocation: list, list: [3, 1, 2], for: mixtral}"},
         GLOT_BAD_VALUE,
         "recipe.yaml': key 'experts.for' is mixtral, which holds one count of experts for all layers; experts.list asks for another layout"},
        {{"base=en.txt"}, GLOT_BAD_FORMAT, "en.txt' is neither a model directory nor a GGUF file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_options o = {.output = "n"};
        memcpy(o.settings, rows[i].settings, sizeof o.settings);
        expect_status(&o, rows[i].status);
        expect_log(rows[i].sentence);
        assert_false(glot_path_exists(in_root("n")));
    }
}

/* Text that is not enough for the exact path is said before anything is measured or trained. */
static void test_too_little_text(void **state)
{
    (void)state;
    make_text("one.txt", "abcdefgh", 1, 9);
    expect_status(&(run_options){.output = "n", .settings = {"languages.en.train=one.txt"}}, GLOT_BAD_VALUE);
    expect_log("old language 'en' has 1 document to train on, but the exact path needs at least 2");
    assert_true(has_begun("text") && !has_begun("before"));
    forget("n");
}

/* A weight that is no number is named before anything is written. */
static void test_nan_in_base(void **state)
{
    (void)state;
    copy_model("nan", "base");
    FILE *file = fopen(in_root("nan/model.safetensors"), "r+b");
    const float value = NAN;
    assert_non_null(file);
    assert_int_equal(fseek(file, -(long)sizeof value, SEEK_END), 0);
    assert_int_equal(fwrite(&value, sizeof value, 1, file), 1);
    fclose(file);
    expect_status(&(run_options){.output = "n", .settings = {"base=nan"}}, GLOT_BAD_VALUE);
    expect_log("nan'");
    expect_log("tensor '");
    assert_false(glot_path_exists(in_root("n")));
    forget("nan");
}

/* Full fine-tuning of the dense model: no experts, no routers, no review; the result is a plain model. */
static void test_dense(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *config = NULL, *results = NULL;
    const run_options o = {
        .output = "full",
        .settings = {"experts={per_layer: 1}", "train.trainable=all", "review={tokens: 0}", "exact={mode: none}"}};
    expect_status(&o, GLOT_OK);
    OK(glot_json_load_file(&config, in_root("full/model/config.json"), &err));
    assert_null(json_object_get(config, "glot"));
    assert_string_equal(json_string_value(json_object_get(config, "model_type")), "llama");
    json_decref(config);
    OK(glot_json_load_file(&results, in_root("full/results.json"), &err));
    assert_null(json_object_get(results, "after_review"));
    assert_non_null(json_object_get(results, "after_train"));
    json_decref(results);
    forget("full");
}

/* Experts by similarity: it is measured once, kept over kills wherever they come, and told in the results. */
static void test_layerwise(void **state)
{
    (void)state;
    glot_error err = {0};
    json_t *results = NULL, *kept = NULL;
    glot_rng rng = glot_rng_seed(5, 1);
    run_options o = {.output = "layers", .settings = {"experts={allocation: layerwise, new_total: 4, similarity_tokens: 200}"}};
    expect_status(&o, GLOT_OK);
    OK(glot_json_load_file(&results, in_root("layers/results.json"), &err));
    json_int_t total = 0;
    for (size_t l = 0; l < TINY_LAYERS; l++)
        total += json_integer_value(json_array_get(json_object_get(results, "experts"), l));
    assert_int_equal(total, TINY_LAYERS + 4);
    kept = json_object_get(results, "similarity");
    assert_int_equal(json_array_size(json_object_get(kept, "layers")), TINY_LAYERS);
    assert_string_equal(json_string_value(json_array_get(json_object_get(kept, "old"), 0)), "en");
    json_decref(results);

    o.output = "k";
    o.cancel_at_begin = "similarity";
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_at_begin = NULL;
    for (int status = KILLED; status == KILLED;) {
        o.kill_at = 1 + glot_rng_below(&rng, 60);
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_runs("layers", "k");
    forget("k");
    forget("layers");

    o = (run_options){.output = "k", .settings = {"experts={allocation: layerwise, delta: 1.01}"}};
    expect_status(&o, GLOT_BAD_VALUE);
    expect_log("gives no layer a new expert");
    forget("k");
}

/* Layers that a finished run's model has a language gate in. */
static json_t *gated_layers(const char *output)
{
    glot_error err = {0};
    json_t *config = NULL;
    char path[64];
    snprintf(path, sizeof path, "%s/model/config.json", output);
    OK(glot_json_load_file(&config, in_root(path), &err));
    json_t *layers = json_incref(json_object_get(json_object_get(json_object_get(config, "glot"), "gate"), "layers"));
    json_decref(config);
    return layers;
}

/* Every language has a share of right decisions over all its tokens. */
static void expect_gate_accuracy(const char *output)
{
    glot_error err = {0};
    json_t *results = NULL, *entry;
    const char *language;
    char path[64];
    snprintf(path, sizeof path, "%s/results.json", output);
    OK(glot_json_load_file(&results, in_root(path), &err));
    assert_true(json_object_size(json_object_get(results, "routing")) >= 2);
    json_object_foreach(json_object_get(results, "routing"), language, entry) {
        const json_t *accuracy = json_object_get(entry, "gate_accuracy");
        double all = json_number_value(json_object_get(accuracy, "all")); /* 0 too where it is missing */
        assert_true(json_is_number(json_object_get(accuracy, "all")) && all >= 0.0 && all <= 1.0);
        assert_int_equal(json_object_size(json_object_get(accuracy, "after")), 4);
    }
    json_decref(results);
    char *html = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/report.html", output);
    OK(glot_file_read(&html, &size, in_root(path), 1 << 24, &err));
    assert_non_null(strstr(html, "<h2>Language gates</h2>"));
    glot_free(html);
}

/* Language gates in the most similar layers, or in those listed; trained in the review alone, through kills and stops. */
static void test_gated(void **state)
{
    (void)state;
    glot_rng rng = glot_rng_seed(6, 1);
    run_options o = {.output = "gates", .settings = {"experts={allocation: list, list: [2, 1, 3]}", "gate={layers: 2, coef: 0.5}"}};
    expect_status(&o, GLOT_OK);
    json_t *layers = gated_layers("gates");
    assert_int_equal(json_array_size(layers), 2); /* layer 1 has no router */
    assert_int_equal(json_integer_value(json_array_get(layers, 1)), 2);
    json_decref(layers);
    expect_gate_accuracy("gates");
    o.output = "k";
    o.cancel_phase = 2;
    o.cancel_step = 3;
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_step = 0;
    for (int status = KILLED; status == KILLED;) {
        o.kill_at = 1 + glot_rng_below(&rng, 60);
        status = run_in_child(&o, 0);
        assert_true(status == KILLED || status == GLOT_OK);
    }
    expect_same_runs("gates", "k");
    forget("k");
    forget("gates");

    o = (run_options){.output = "k", .settings = {"experts={allocation: list, list: [2, 1, 3]}", "gate={layers: [1]}"}};
    expect_status(&o, GLOT_BAD_VALUE);
    expect_log("gate.layers");
    expect_log("layer 1 is to have a language gate, but has no router");
    assert_false(glot_path_exists(in_root("k")));
    o.settings[0] = "experts={allocation: layerwise, new_total: 3}";
    o.settings[1] = "gate={layers: [3]}";
    expect_status(&o, GLOT_BAD_VALUE);
    expect_log("names layer 3, but the base has layers 0 to 2");
    assert_false(glot_path_exists(in_root("k")));
    o.settings[0] = "experts={allocation: list, list: [2, 1, 3]}";
    o.settings[1] = "gate={layers: [2], form: sequence_sum}";
    expect_status(&o, GLOT_OK);
    layers = gated_layers("k");
    assert_int_equal(json_array_size(layers), 1);
    json_decref(layers);
    forget("k");
}

/* Random weights need no more of the base than its configuration and tokenizer. */
static void test_random_base(void **state)
{
    (void)state;
    glot_error err = {0};
    OK(glot_dir_make(in_root("bare"), &err));
    OK(glot_file_copy(in_root("bare/config.json"), in_root("base/config.json"), &err));
    OK(glot_file_copy(in_root("bare/tokenizer.json"), in_root("base/tokenizer.json"), &err));
    const run_options o = {.output = "random",
                           .settings = {"base=bare", "base_init=random", "train.trainable=all", "exact={mode: none}"}};
    expect_status(&o, GLOT_OK);
    forget("random");
    forget("bare");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_model),
        cmocka_unit_test(test_cancel),         cmocka_unit_test(test_killed),
        cmocka_unit_test(test_killed_at_any_time), cmocka_unit_test(test_nan_in_base),
        cmocka_unit_test(test_too_little_text),
        cmocka_unit_test(test_disk_full),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_changed_recipe), cmocka_unit_test(test_growing_tokens),
        cmocka_unit_test(test_changed_eval),   cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_layerwise),      cmocka_unit_test(test_gated),
        cmocka_unit_test(test_random_base),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
