/* test_recipe.c: recipes: values, defaults, settings, sentences, the resolved recipe, and what may change
 * when a run goes on. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "job/recipe_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SMALL                                                                                                \
    "base: /models/base\n"                                                                                   \
    "output: run\n"                                                                                          \
    "languages:\n"                                                                                           \
    "  en: {group: old, train: en.txt, valid: en.valid.txt}\n"                                               \
    "  el: {group: new, train: [a.txt, 'b c.txt'], valid: el.valid.txt, weight: 2}\n"                        \
    "train: {tokens: 60000}\n"

static glot_recipe *parse(const char *text)
{
    glot_recipe *r = NULL;
    glot_error err = {0};
    if (glot_recipe_parse(&r, text, strlen(text), "r.yaml", &err) != GLOT_OK)
        fail_msg("%s", err.message);
    return r;
}

static void expect_sentence(const char *text, glot_status status, const char *sentence)
{
    glot_recipe *r = NULL;
    glot_error err = {0};
    glot_status got = glot_recipe_parse(&r, text, strlen(text), "r.yaml", &err);
    if (r)
        fail_msg("accepted:\n%s", text);
    if (strcmp(err.message, sentence) != 0)
        fail_msg("got:      %s\nexpected: %s", err.message, sentence);
    assert_int_equal(got, status);
    assert_int_equal(err.status, status);
}

static void test_values(void **state)
{
    (void)state;
    glot_recipe *r = parse(SMALL);
    assert_string_equal(r->base, "/models/base");
    assert_string_equal(r->output, "/run");
    assert_int_equal(r->n_languages, 2);
    assert_string_equal(r->languages[0].name, "en");
    assert_int_equal(r->languages[0].group, GLOT_RECIPE_OLD);
    assert_int_equal(r->languages[1].group, GLOT_RECIPE_NEW);
    assert_int_equal(r->languages[1].train.n, 2);
    assert_string_equal(r->languages[1].train.items[1], "/b c.txt");
    assert_true(r->languages[0].weight == 1.0 && r->languages[1].weight == 2.0);
    assert_int_equal(r->train.tokens, 60000);
    assert_int_equal(glot_recipe_steps(&r->train, 0), 30);
    glot_recipe_free(r);
}

/* INTERFACES, "The recipe": what is not written. */
static void test_defaults(void **state)
{
    (void)state;
    glot_recipe *r = parse(SMALL);
    assert_int_equal(r->seed, 1);
    assert_int_equal(r->base_init, GLOT_RECIPE_WEIGHTS);
    assert_int_equal(r->experts.allocation, GLOT_RECIPE_UNIFORM);
    assert_int_equal(r->experts.per_layer, 4);
    assert_int_equal(r->experts.top_k, 2);
    assert_int_equal(r->experts.init, GLOT_RECIPE_INIT_COPY);
    assert_int_equal(r->gate.layers.count, 0);
    assert_true(r->gate.coef == 0.1);
    assert_true(r->exact.keep == 0.99);
    assert_int_equal(r->train.batch, 8);
    assert_int_equal(r->train.micro_batch, 8);
    assert_int_equal(r->train.length, 256);
    assert_true(r->train.lr == 5e-4 && r->train.router_lr == 5e-4 && r->train.min_lr == 0.0);
    assert_int_equal(r->train.schedule, GLOT_SCHEDULE_COSINE);
    assert_true(r->train.betas[0] == 0.9 && r->train.betas[1] == 0.999 && r->train.eps == 1e-8);
    assert_true(r->train.weight_decay == 0.0 && r->train.clip == 1.0 && r->train.balance_coef == 0.01);
    assert_true(r->train.old_share == 0.0);
    assert_int_equal(r->train.trainable.what, GLOT_TRAIN_NEW_EXPERTS);
    assert_true(r->train.checkpoint_every.seconds == 600.0 && r->train.checkpoint_every.steps == 0);
    assert_int_equal(r->train.keep, 2);
    assert_int_equal(r->train.eval_every, 0);
    assert_int_equal(r->review.tokens, 16000);
    assert_true(r->review.lr == 1e-3 && r->review.lpr_coef == 0.1 && r->review.old_share == 0.33);
    assert_true(r->eval.bits_per_byte);
    assert_int_equal(r->eval.max_tokens, 4096);
    assert_int_equal(r->device, GLOT_RECIPE_CPU);
    assert_int_equal(r->dtype, glot_cpu_has_bf16() ? GLOT_RECIPE_BF16 : GLOT_RECIPE_FLOAT32);
    assert_int_equal(r->save_dtype, GLOT_RECIPE_DTYPE_AUTO);
    assert_int_equal(r->threads, 0);
    glot_recipe_free(r);
}

/* The recipe's defaults and the trainer's are the same numbers. */
static void test_settings_agree(void **state)
{
    (void)state;
    glot_recipe *r = parse(SMALL);
    for (int phase = 0; phase < 2; phase++) {
        glot_train_settings a = glot_recipe_settings(r, (glot_phase)phase),
                            b = glot_train_settings_default((glot_phase)phase);
        assert_int_equal(a.batch, b.batch);
        assert_int_equal(a.micro_batch, b.micro_batch);
        assert_int_equal(a.length, b.length);
        assert_int_equal(a.schedule, b.schedule);
        assert_true(a.lr == b.lr && a.min_lr == b.min_lr && a.router_lr == b.router_lr && a.clip == b.clip);
        assert_true(a.beta1 == b.beta1 && a.beta2 == b.beta2 && a.eps == b.eps &&
                    a.weight_decay == b.weight_decay);
        assert_true(a.balance_coef == b.balance_coef && a.lpr_coef == b.lpr_coef);
        assert_int_equal(a.lpr_form, b.lpr_form);
        assert_int_equal(a.is_balance_released, b.is_balance_released);
        assert_int_equal(a.is_cross_document, b.is_cross_document);
        assert_int_equal(a.is_recomputed, b.is_recomputed);
        assert_int_equal(a.steps, phase ? 8 : 30);
    }
    glot_recipe_free(r);
}

static void test_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t steps;
        double seconds;
    } every[] = {{"25", 25, 0},     {"0", 0, 0},       {"90s", 0, 90},
                 {"10min", 0, 600}, {"1.5h", 0, 5400}, {"'2h'", 0, 7200}};
    char text[1024];
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++) {
        snprintf(text, sizeof text, "%sreview: {checkpoint_every: %s}\n", SMALL, every[i].text);
        glot_recipe *r = parse(text);
        assert_int_equal(r->review.checkpoint_every.steps, every[i].steps);
        assert_true(r->review.checkpoint_every.seconds == every[i].seconds);
        glot_recipe_free(r);
    }
    static const struct {
        const char *text;
        int64_t tokens;
    } counts[] = {{"60k", 60000}, {"2M", 2000000}, {"1.5G", 1500000000}, {"6e4", 60000}, {"60000", 60000}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        snprintf(text, sizeof text, "%sreview: {tokens: %s}\n", SMALL, counts[i].text);
        glot_recipe *r = parse(text);
        assert_int_equal(r->review.tokens, counts[i].tokens);
        glot_recipe_free(r);
    }
}

/* Tokens, or steps, or epochs. */
static void test_amounts(void **state)
{
    (void)state;
    glot_recipe *r = parse(SMALL "review: {steps: 5}\n");
    assert_int_equal(r->review.tokens, -1);
    assert_int_equal(glot_recipe_steps(&r->review, 0), 5);
    glot_recipe_free(r);
    r = parse(SMALL "review: {epochs: 1.5, batch: 2, length: 10}\n");
    assert_int_equal(glot_recipe_steps(&r->review, 100), 8); /* 150 ids in steps of 20 */
    glot_recipe_free(r);
    r = parse(SMALL "review: {tokens: 0}\n");
    assert_int_equal(glot_recipe_steps(&r->review, 100), 0);
    glot_recipe_free(r);
}

#define HEAD "base: b\noutput: o\n"
#define LANGS "languages:\n  en: {group: old, train: e, valid: e}\n  el: {group: new, train: e, valid: e}\n"

static void test_sentences(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        glot_status status;
        const char *sentence;
    } rows[] = {
        {SMALL "trian: {lr: 1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'trian' is not known, the nearest is 'train'"},
        {HEAD LANGS "train:\n  tokens: 5\n  lrr: 1\n", GLOT_BAD_VALUE,
         "'r.yaml' line 8: key 'train.lrr' is not known, the nearest is 'train.lr'"},
        {SMALL "lpr_coef: 1\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'lpr_coef' is not known, the nearest is 'review.lpr_coef'"},
        {SMALL "review: {tokens: 0}\ngate: {layers: [1, 2]}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 8: key 'gate.layers' asks for language gates, but they are trained by the review, and "
         "there is none"},
        {SMALL "zzzzzz: 1\n", GLOT_BAD_VALUE, "'r.yaml' line 7: key 'zzzzzz' is not known"},
        {SMALL "review: {balance_coef: 1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'review.balance_coef' is not known, the nearest is 'train.balance_coef'"},
        {HEAD "languages:\n  el: {group: new, trian: x}\ntrain: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 4: key 'languages.el.trian' is not known, the nearest is 'languages.NAME.train'"},
        {HEAD LANGS "train: {tokens: many}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is 'many', expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: '5'}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is the text '5', expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: -5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is '-5', expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: 0}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is '0', expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: 5.5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is '5.5', expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: 60KiB}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is '60KiB', expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: 99999999999999999999}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is '99999999999999999999', expected a whole number from 1 to "
         "1e+15"},
        {HEAD LANGS "train: {tokens: [5]}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is a list, expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: }\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' has no value, expected a whole number from 1 to 1e+15"},
        {HEAD LANGS "train: {tokens: 5, lr: nan}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.lr' is 'nan', expected a number from 0 to 100"},
        {HEAD LANGS "train: {tokens: 5, lr: 0x1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.lr' is '0x1', expected a number from 0 to 100"},
        {HEAD LANGS "train: {tokens: 5, eps: 0}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.eps' is '0', expected a number above 0 and at most 1"},
        {HEAD LANGS "train: {tokens: 5, schedule: cosin}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.schedule' is 'cosin', expected cosine, constant or linear"},
        {HEAD LANGS "train: {tokens: 5, betas: [0.9, 1]}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.betas' is a list, expected two numbers from 0 to below 1"},
        {HEAD LANGS "train: {tokens: 5, recompute: yes}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.recompute' is 'yes', expected true or false"},
        {HEAD LANGS "train: {tokens: 5, checkpoint_every: 5parsecs}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.checkpoint_every' is '5parsecs', expected a number of steps or a time "
         "as 90s, 10min or 2h"},
        {HEAD LANGS "train: {tokens: 5, checkpoint_every: infs}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.checkpoint_every' is 'infs', expected a number of steps or a time as "
         "90s, 10min or 2h"},
        {HEAD LANGS "train: {steps: 1e12, batch: 1048576}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.steps' is 1000000000000, with 268435456 tokens in each; expected at most 1e+15 tokens in all"},
        {HEAD LANGS "train: {tokens: 5, micro_batch: 9}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.micro_batch' is 9, more than the batch of 8"},
        {HEAD LANGS "train: {tokens: 5, min_lr: 1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.min_lr' is 1, more than the learning rate 0.0005 it ends from"},
        {HEAD LANGS "train: {tokens: 5, steps: 3}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.steps' stands beside 'train.tokens', expected one of tokens, steps and "
         "epochs"},
        {HEAD LANGS "train: {lr: 0.1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train.tokens' is missing, expected it, or steps, or epochs"},
        {HEAD LANGS, GLOT_BAD_VALUE,
         "'r.yaml': key 'train.tokens' is missing, expected it, or steps, or epochs"},
        {HEAD LANGS "train:\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train' has nothing below it, expected keys"},
        {HEAD LANGS "train: 5\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'train' is a value, expected keys below it"},
        {"output: o\n" LANGS "train: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml': key 'base' is missing, expected the path of the base model"},
        {"base: b\n" LANGS "train: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml': key 'output' is missing, expected the path of the run directory"},
        {HEAD "train: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml': key 'languages' is missing, expected at least one language"},
        {HEAD "languages:\n  en: {group: old, train: e}\ntrain: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 3: key 'languages' has no language of group new, expected at least one"},
        {HEAD "languages:\n  en: {train: e}\ntrain: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 4: key 'languages.en.group' is missing, expected old or new"},
        {HEAD "languages:\n  en: {group: ancient, train: e}\ntrain: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 4: key 'languages.en.group' is 'ancient', expected old or new"},
        {HEAD "languages:\n  'e,n': {group: new, train: e}\ntrain: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 4: key 'languages.e,n' is no name for a language: it may not hold spaces, commas, "
         "equals signs, slashes "
         "or quotes"},
        {HEAD "languages:\n  en: {group: new, train: []}\ntrain: {tokens: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 4: key 'languages.en.train' is a list, expected a path or a list of paths"},
        {HEAD "languages:\n  en: {group: old, train: e}\n  en: {group: new, train: e}\ntrain: {tokens: 5}\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 5: key 'en' stands there twice, first in line 4"},
        {HEAD LANGS "languages: {}\ntrain: {tokens: 5}\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 6: key 'languages' stands there twice, first in line 3"},
        {HEAD "languages: &x {}\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 3: '&x' is a YAML anchor, and a recipe has none"},
        {HEAD "languages: *x\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 3: '*x' is a YAML alias, and a recipe has none"},
        {HEAD "seed: !!int 5\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 3: 'tag:yaml.org,2002:int' is a YAML tag, and a recipe has none"},
        {HEAD "languages: [[[[[[[[[[[[[[[[[[\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 3: nested more than 16 deep"},
        {HEAD "---\n", GLOT_BAD_FORMAT, "'r.yaml' line 3: a second YAML document begins, expected one"},
        {HEAD "seed: [1\n", GLOT_BAD_FORMAT,
         "'r.yaml' line 4: not valid YAML: did not find expected ',' or ']'"},
        {HEAD "? {a: 1}\n: 2\n", GLOT_BAD_FORMAT, "'r.yaml' line 3: a key that is no plain text"},
        {"- 1\n", GLOT_BAD_FORMAT, "'r.yaml' line 1: a recipe is keys and values, and this is a list"},
        {"", GLOT_BAD_VALUE, "'r.yaml': key 'languages' is missing, expected at least one language"},
        {SMALL "experts: {list: [4, 4]}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.list' has no place where experts.allocation is uniform"},
        {SMALL "experts: {allocation: list}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.list' is missing, expected the experts of each layer"},
        {SMALL "experts: {allocation: list, list: [4, 0]}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.list' is '0', expected a list of whole numbers, each from 1 to 256"},
        {SMALL "experts: {per_layer: 1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.per_layer' gives no layer a new expert, so that nothing would train; "
         "train.trainable: "
         "all trains the dense model"},
        {SMALL "experts: {allocation: layerwise, delta: 1}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.delta' is 1, which gives no layer a new expert whatever the similarity, expected more than 1"},
        {SMALL "experts: {allocation: layerwise, new_total: 0}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.new_total' is '0', expected a whole number from 1 to 1000000"},
        {SMALL "experts: {allocation: layerwise, delta: 9, new_total: 4}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.new_total' or delta or new_bytes: expected one of them"},
        {SMALL "experts: {per_layer: 257}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'experts.per_layer' is '257', expected a whole number from 1 to 256"},
        {SMALL "review: {old_share: 0}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'review.old_share' is 0: a review needs text in an old language"},
        {HEAD "languages:\n  el: {group: new, train: e}\ntrain: {tokens: 5}\nreview: {tokens: 5}\n",
         GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'review.tokens' asks for a review, but a review needs text in an old "
         "language, and no language is old"},
        {HEAD "languages:\n  el: {group: new, train: e}\ntrain: {tokens: 5, old_share: 0.5}\n",
         GLOT_BAD_VALUE, "'r.yaml' line 5: key 'train.old_share' is 0.5, but no language is old"},
        {SMALL "exact: {mode: tokens, keep: 0}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'exact.keep' is '0', expected a number above 0 and at most 1"},
        {SMALL "exact: {keep: 1.01}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'exact.keep' is '1.01', expected a number above 0 and at most 1"},
        {HEAD "languages:\n  el: {group: new, train: e}\ntrain: {tokens: 5}\nexact: {mode: tokens}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'exact.mode' asks for the exact path, but no language is old"},
        {HEAD LANGS "train: {tokens: 5, trainable: all_experts}\nexact: {mode: tokens}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'exact.mode' asks for the exact path, but train.trainable does not leave the original experts as they are"},
        {HEAD "languages:\n  el: {group: new, train: e}\ntrain: {tokens: 5}\nexperts: {allocation: layerwise, new_total: 4}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 6: key 'experts.allocation' goes by the similarity of new languages to old ones, but no old language has train text"},
        {HEAD "languages:\n  en: {group: old, valid: e}\n  el: {group: new, train: e, valid: e}\ntrain: {tokens: 5}\nreview: {tokens: 0}\n"
              "experts: {allocation: layerwise, delta: 9}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 8: key 'experts.allocation' goes by the similarity of new languages to old ones, but no old language has train text"},
        {SMALL "gate: {layers: 2}\nreview: {tokens: 0}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 7: key 'gate.layers' asks for language gates, but they are trained by the review, and there is none"},
        {SMALL "eval: {bits_per_byte: false}\nreview: {eval_every: 5}\n", GLOT_BAD_VALUE,
         "'r.yaml' line 8: key 'review.eval_every' is 5, but there is nothing to evaluate: "
         "eval.bits_per_byte is false"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_sentence(rows[i].text, rows[i].status, rows[i].sentence);
}

/* An export format that nobody knows. */
static void test_unknown_format(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_recipe *r = NULL;
    static const char text[] = SMALL "experts: {for: onnx}\n";
    assert_int_equal(glot_recipe_parse(&r, text, sizeof text - 1, "r.yaml", &err), GLOT_BAD_VALUE);
    assert_non_null(strstr(err.message, "'r.yaml' line 7: key 'experts.for' is unknown: 'onnx'"));
}

/* What this version does not have is read, checked, and refused by name where it is asked for; spelled out as
 * not wanted it is fine. */
static void test_features_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {SMALL "device: cuda\n",
         "'r.yaml' line 7: key 'device' asks for cuda, which glot 0.1.0 does not have; cpu is there"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_sentence(rows[i].text, GLOT_UNSUPPORTED, rows[i].sentence);
    expect_sentence(HEAD LANGS "train: {tokens: 5, trainable: {lora: {rank: 0}}}\n", GLOT_BAD_VALUE,
                    "'r.yaml' line 6: key 'train.trainable' has keys below it, expected new_experts, "
                    "all_experts, all or {lora: {rank: R, alpha: A}}");
    expect_sentence(HEAD LANGS "train: {tokens: 5, trainable: {lora: {rank: 8}}}\n", GLOT_BAD_VALUE,
                    "'r.yaml' line 6: key 'train.trainable' asks for LoRA, which is for a dense model: it goes with "
                    "experts.per_layer: 1");
    glot_recipe_free(
        parse(SMALL "gate: {layers: 0}\nexact: {mode: none}\neval: {tasks: []}\ngrow: {router_init: fresh}\n"
                    "device: cpu\ndtype: float32\nreview: {recompute: false}\n"));
}

static void test_recompute(void **state)
{
    (void)state;
    glot_recipe *r = parse(HEAD LANGS "train: {tokens: 5, recompute: true}\nreview: {recompute: false}\n");
    assert_true(glot_recipe_settings(r, GLOT_PHASE_TRAIN).is_recomputed);
    assert_false(glot_recipe_settings(r, GLOT_PHASE_REVIEW).is_recomputed);
    glot_recipe_free(r);
}

/* What follows from other keys. */
static void test_resolved(void **state)
{
    (void)state;
    glot_recipe *r = parse(HEAD LANGS "train: {tokens: 5, lr: 0.25, batch: 3}\n");
    assert_true(r->train.router_lr == 0.25);
    assert_int_equal(r->train.micro_batch, 3);
    assert_true(glot_recipe_trains_on(&r->train, &r->languages[1]));
    assert_false(glot_recipe_trains_on(&r->train, &r->languages[0]));
    assert_true(glot_recipe_trains_on(&r->review, &r->languages[0]));
    glot_recipe_free(r);
    /* a dense model: nothing to review */
    r = parse(HEAD LANGS "train: {tokens: 5, trainable: all}\nexperts: {per_layer: 1}\n");
    assert_int_equal(r->review.tokens, 0);
    glot_recipe_free(r);
    /* random weights: every language by its weight */
    r = parse(HEAD "base_init: random\nlanguages:\n  en: {group: old, train: e, weight: 3}\n  el: {group: "
                   "new, train: e}\n"
                   "train: {tokens: 5, trainable: all}\n");
    assert_true(r->train.old_share == 0.75);
    glot_recipe_free(r);
    /* full fine-tuning on old languages alone */
    r = parse(HEAD "languages:\n  en: {group: old, train: e}\ntrain: {tokens: 5, trainable: all}\nexperts: "
                   "{per_layer: 1}\n");
    assert_true(r->train.old_share == 1.0);
    glot_recipe_free(r);
}

static char *resolved(const glot_recipe *r)
{
    glot_str text = {0};
    assert_int_equal(glot_recipe_write(r, &text, NULL), GLOT_OK);
    return text.data;
}

/* The default of ten minutes, and no 6e+02. */
static void test_numbers_for_people(void **state)
{
    (void)state;
    glot_recipe *r = parse(SMALL);
    char *text = resolved(r);
    assert_non_null(strstr(text, "checkpoint_every: 600s\n"));
    assert_non_null(strstr(text, "eps: 1e-08\n"));
    glot_free(text);
    glot_recipe_free(r);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {
        SMALL,
        SMALL "experts: {allocation: list, list: [4, 3, 1]}\nreview: {epochs: 0.1, betas: [0.8, 0.95], "
              "lpr_form: released}\n",
        SMALL
        "review: {tokens: 0}\neval: {bits_per_byte: false, max_tokens: 7}\nthreads: 3\nsave_dtype: bf16\n",
        HEAD "languages:\n  'no': {group: old, train: ['a: b', \"q\\\"\\\\x\\ty\", \"\xce\xb5\"], valid: "
             "e}\n  zh.simple: {group: new, train: e}\n"
             "train: {steps: 7, lr: 0.1, min_lr: 0.012345678901234567, checkpoint_every: 17}\n",
        HEAD "base_init: random\nlanguages:\n  en: {group: old, train: e, weight: 3}\n  el: {group: new, "
             "train: e, weight: 0.1}\n"
             "train: {tokens: 5, trainable: all}\n",
        SMALL "eval: {tasks: [a/b.jsonl, {file: c.jsonl, template: copa_hu, examples: d.jsonl, shots: 3, limit: 7}, {file: e.jsonl, name: own, query: "
              "\"{a}\\nb: {{\", choices: ['{b}, c', d], labels: [1, two], gold: '{l}', each: qas}, {file: f.jsonl, complete: '{x}'}]}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        glot_recipe *r = parse(texts[i]);
        char *once = resolved(r);
        glot_recipe *again = parse(once);
        char *twice = resolved(again);
        assert_string_equal(once, twice);
        glot_error err = {0};
        assert_int_equal(glot_recipe_check_change(r, again, (glot_recipe_progress){true, true}, &err),
                         GLOT_OK);
        free(twice);
        glot_recipe_free(again);
        free(once);
        glot_recipe_free(r);
    }
}

static void test_tasks(void **state)
{
    (void)state;
    glot_recipe *r = parse(SMALL "eval: {tasks: [a/b.jsonl.gz, {file: c.jsonl, complete: '{x}', query: '{q}'}]}\n");
    const glot_recipe_tasks *tasks = &r->eval.tasks;
    assert_int_equal(tasks->n, 2);
    assert_string_equal(tasks->items[0].file, "/a/b.jsonl.gz");
    assert_string_equal(tasks->items[0].name, "b");
    glot_template plain = glot_recipe_task_template(&tasks->items[0]), own = glot_recipe_task_template(&tasks->items[1]);
    assert_string_equal(plain.query, "{query}");
    assert_string_equal(own.query, "{q}");
    assert_string_equal(own.choices[0], "{x}");
    assert_true(!own.choices[1] && !own.gold);
    glot_recipe_free(r);
}

static void test_tasks_refused(void **state)
{
    (void)state;
#define TASKS(list) SMALL "eval: {tasks: " list "}\n"
#define BEGIN "'r.yaml' line 7: key 'eval.tasks' "
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {TASKS("[{name: a}]"), BEGIN "has a task without 'file'"},
        {TASKS("[{file: a, shot: 1}]"), BEGIN "has a task with 'shot', which is not known"},
        {TASKS("[{file: a, limit: 0}]"), BEGIN "has a task whose 'limit' is '0', expected a whole number from 1 to 1000000000"},
        {TASKS("[[a]]"), BEGIN "is a list, expected a path"},
        {TASKS("[{file: a, shots: 2}]"), BEGIN "has a task with 'shots' or 'examples' alone, expected both"},
        {TASKS("[{file: a, template: arc_easy, query: b}]"), BEGIN "has a task with 'template' and a template of its own"},
        {TASKS("[{file: a, query: b}]"), BEGIN "has a task with a template of its own but neither 'choices' nor 'complete'"},
        {TASKS("[{file: a, complete: b, gold: '{g}'}]"), BEGIN "has a task with 'complete' and choices"},
        {TASKS("[{file: a, choices: '{b'}]"),
         BEGIN "has a task whose template is wrong: '{b' is no placeholder, expected {key} or {key:filter} ({{ for a brace)"},
        {TASKS("[x/a.jsonl, y/a.jsonl]"), BEGIN "has two tasks of the name 'a', expected 'name' to tell them apart"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_sentence(rows[i].text, GLOT_BAD_VALUE, rows[i].sentence);
#undef TASKS
#undef BEGIN
}

/* ---- files ---- */

static char folder[] = "/tmp/glot-recipe-XXXXXX";

static void put(const char *name, const char *text)
{
    char *path = glot_path_join(folder, name);
    glot_error err = {0};
    if (glot_file_write(path, text, strlen(text), &err) != GLOT_OK)
        fail_msg("%s", err.message);
    glot_free(path);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    put("base", "x");
    put("el.txt", "one document\n");
    put("el.2.txt", "another\n");
    put("empty.txt", "\n\n");
    put("bad.jsonl", "{\"text\": 5}\n");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return glot_dir_remove(folder, NULL) == GLOT_OK ? 0 : -1;
}

static glot_status load(glot_recipe **r, const char *text, const char *const *settings, size_t n,
                        glot_error *err)
{
    put("r.yaml", text);
    char *path = glot_path_join(folder, "r.yaml");
    glot_status status = glot_recipe_load(r, path, settings, n, err);
    glot_free(path);
    return status;
}

static const char good[] = "base: ./base\noutput: run\nlanguages:\n"
                           "  el: {group: new, train: \"el*.txt\", valid: el.txt}\ntrain:\n  tokens: 100\n";

static void test_files(void **state)
{
    (void)state;
    glot_recipe *r = NULL;
    glot_error err = {0};
    char expected[512];
    if (load(&r, good, NULL, 0, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    snprintf(expected, sizeof expected, "%s/base", folder);
    assert_string_equal(r->base, expected);
    snprintf(expected, sizeof expected, "%s/el*.txt", folder);
    assert_string_equal(r->languages[0].train.items[0], expected);
    glot_recipe_free(r);
}

static void expect_load(const char *setting, glot_status status, const char *part)
{
    glot_recipe *r = NULL;
    glot_error err = {0};
    assert_int_equal(load(&r, good, &setting, 1, &err), status);
    if (!strstr(err.message, part))
        fail_msg("got:      %s\nexpected: %s", err.message, part);
}

static void test_file_sentences(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        glot_status status;
        const char *part;
    } rows[] = {
        {"./base", "nowhere", GLOT_NOT_FOUND, "r.yaml' line 1: key 'base' names '"},
        {"el*.txt", "fr*.txt", GLOT_NOT_FOUND,
         "r.yaml' line 4: key 'languages.el.train' names what cannot be used: "},
        {"el*.txt", "empty.txt", GLOT_BAD_VALUE,
         "r.yaml' line 4: key 'languages.el.train' gives the language no text: '"},
        {"el*.txt", "bad.jsonl", GLOT_BAD_FORMAT,
         "r.yaml' line 4: key 'languages.el.train' names what cannot be used: "},
        {"el*.txt", ".", GLOT_BAD_FORMAT,
         "r.yaml' line 4: key 'languages.el.train' names what cannot be used: "},
        {", valid: el.txt", "", GLOT_BAD_VALUE,
         "r.yaml' line 4: key 'languages.el.valid' is missing: the language has no text to score on"},
        {"train: \"el*.txt\", ", "", GLOT_BAD_VALUE,
         "r.yaml' line 4: key 'languages.el.train' is missing: the language has no text to train on"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024];
        const char *at = strstr(good, rows[i].from);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, rows[i].to,
                 at + strlen(rows[i].from));
        glot_recipe *r = NULL;
        glot_error err = {0};
        assert_int_equal(load(&r, text, NULL, 0, &err), rows[i].status);
        if (!strstr(err.message, rows[i].part))
            fail_msg("got:      %s\nexpected: %s", err.message, rows[i].part);
    }
}

static void test_settings(void **state)
{
    (void)state;
    static const char *const settings[] = {"train.lr=1e-4",
                                           "seed=7",
                                           "languages.el.weight=2.5",
                                           "train.steps=9",
                                           "languages.zh.simple={group: old, train: el.txt, valid: el.txt}",
                                           "review.betas=[0.5, 0.6]",
                                           "languages.el.train=[el.txt, el.2.txt]"};
    glot_recipe *r = NULL;
    glot_error err = {0};
    if (load(&r, good, settings, sizeof settings / sizeof settings[0], &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_true(r->train.lr == 1e-4);
    assert_int_equal(r->seed, 7);
    assert_true(r->languages[0].weight == 2.5);
    assert_int_equal(r->train.steps, 9);
    assert_int_equal(r->train.tokens, -1); /* steps took the place of tokens */
    assert_int_equal(r->n_languages, 2);
    assert_string_equal(r->languages[1].name, "zh.simple");
    assert_true(r->review.betas[0] == 0.5 && r->review.betas[1] == 0.6);
    assert_int_equal(r->languages[0].train.n, 2);
    glot_recipe_free(r);

    expect_load("train.lrr=5", GLOT_BAD_ARGUMENT,
                "setting 'train.lrr' is not known, the nearest is 'train.lr'");
    expect_load("train.lr=fast", GLOT_BAD_ARGUMENT,
                "setting 'train.lr' is 'fast', expected a number from 0 to 100");
    expect_load("train.lr=", GLOT_BAD_ARGUMENT,
                "setting 'train.lr' has no value, expected a number from 0 to 100");
    expect_load("train.lr", GLOT_BAD_ARGUMENT, "setting 'train.lr' is not of the form KEY=VALUE");
    expect_load("=5", GLOT_BAD_ARGUMENT, "setting '=5' is not of the form KEY=VALUE");
    expect_load("train.=5", GLOT_BAD_ARGUMENT, "setting 'train.=5' is not of the form KEY=VALUE");
    expect_load("experts.list=[4", GLOT_BAD_ARGUMENT, "setting 'experts.list': not valid YAML: ");
    expect_load("seed.x=5", GLOT_BAD_ARGUMENT,
                "setting 'seed' has keys below it, expected a whole number from 0 to 9e+15");
    expect_load("base=elsewhere", GLOT_NOT_FOUND, "setting 'base' names '"); /* as where a recipe or a command names it */
    expect_load("languages.el.train=nowhere.txt", GLOT_NOT_FOUND, "setting 'languages.el.train' names what cannot be used: '");
    expect_load("output.x.y=5", GLOT_BAD_ARGUMENT, "setting 'output.x.y=5': 'output' has no keys below it");
}

/* One stage from a command line's options. */
static void test_from_settings(void **state)
{
    (void)state;
    char train[256], base[256];
    snprintf(train, sizeof train, "languages.el={group: new, train: \"%s/el.txt\"}", folder);
    snprintf(base, sizeof base, "base=%s/base", folder);
    const char *settings[] = {base, train, "output=/tmp/x", "train.steps=5", "eval.bits_per_byte=false"};
    glot_recipe *r = NULL;
    glot_error err = {0};
    if (glot_recipe_from_settings(&r, GLOT_JOB_TRAIN, settings, 5, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(r->review.tokens, 0);
    assert_int_equal(glot_recipe_steps(&r->train, 0), 5);
    glot_recipe_free(r);
    assert_int_equal(glot_recipe_from_settings(&r, GLOT_JOB_TRAIN, settings, 3, &err), GLOT_BAD_ARGUMENT);
    assert_string_equal(err.message, "setting 'train.tokens' is missing, expected it, or steps, or epochs");
}

/* ---- changes ---- */

static const char *last_warning;
static char warning[1024];
static void keep_warning(void *user, glot_log_level level, const char *message)
{
    (void)user;
    (void)level;
    snprintf(warning, sizeof warning, "%s", message);
    last_warning = warning;
}

static void expect_change(const char *from, const char *to, glot_recipe_progress done, const char *sentence)
{
    glot_recipe *old = parse(from), *now = parse(to);
    glot_error err = {0};
    glot_status status = glot_recipe_check_change(old, now, done, &err);
    if (strcmp(err.message, sentence) != 0)
        fail_msg("got:      %s\nexpected: %s", err.message, sentence);
    assert_int_equal(status, *sentence ? GLOT_BAD_VALUE : GLOT_OK);
    glot_recipe_free(old);
    glot_recipe_free(now);
}

static void test_changes(void **state)
{
    (void)state;
    const glot_recipe_progress begun = {false, false}, trained = {true, false};
    const char *never = ", which must not change in a run (--fresh starts over)";
    char text[512];
    glot_log_set_sink(keep_warning, NULL);
    expect_change(
        SMALL,
        SMALL "eval: {max_tokens: 5}\nthreads: 2\nreview: {keep: 5, checkpoint_every: 5, eval_every: 2}\n",
        begun, "");
    assert_null(last_warning);
    expect_change(SMALL "review: {tokens: 100}\n", SMALL "review: {tokens: 200}\n", trained, "");
    assert_string_equal(
        last_warning,
        "review.tokens grows from 100 to 200: from here on the learning rate follows the longer "
        "schedule, which is not that of a run with 200 from the start");
    expect_change(SMALL "review: {tokens: 200}\n", SMALL "review: {tokens: 100}\n", trained,
                  "'r.yaml': key 'review.tokens' was 200 when the run in '/run' began and is now 100, "
                  "expected the same or more");
    expect_change(HEAD LANGS "train: {tokens: 100}\n", HEAD LANGS "train: {tokens: 200}\n", trained,
                  "'r.yaml': key 'train.tokens' was 100 when the run in '/o' began and is now 200, but that "
                  "stage is finished (--fresh starts over)");
    expect_change(HEAD LANGS "train: {tokens: 100}\n", HEAD LANGS "train: {tokens: 200}\n", begun, "");
    expect_change(SMALL "dtype: float32\n", SMALL "dtype: bf16\n", begun,
                  "'r.yaml': key 'dtype' was float32 when the run in '/run' began and is now bf16, which must not "
                  "change in a run (--fresh starts over)");
    static const struct {
        const char *line, *what;
    } rows[] = {
        {"seed: 2\n", "key 'seed' was 1 when the run in '/run' began and is now 2"},
        {"review: {lr: 0.5}\n", "key 'review.lr' was 0.001 when the run in '/run' began and is now 0.5"},
        {"review: {length: 8}\n", "key 'review.length' was 256 when the run in '/run' began and is now 8"},
        {"review: {lpr_form: released}\n",
         "key 'review.lpr_form' was paper when the run in '/run' began and is now released"},
        {"review: {order: file}\n",
         "key 'review.order' was shuffled when the run in '/run' began and is now file"},
        {"experts: {per_layer: 3}\n",
         "key 'experts.per_layer' was 4 when the run in '/run' began and is now 3"},
        {"experts: {top_k: 1}\n", "key 'experts.top_k' was 2 when the run in '/run' began and is now 1"},
        {"save_dtype: bf16\n", "key 'save_dtype' was auto when the run in '/run' began and is now bf16"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char now[1024];
        snprintf(now, sizeof now, "%s%s", SMALL, rows[i].line);
        snprintf(text, sizeof text, "'r.yaml': %s%s", rows[i].what, never);
        expect_change(SMALL, now, begun, text);
    }
    snprintf(text, sizeof text,
             "'r.yaml': key 'languages.el.weight' was 1 when the run in '/o' began and is now 2%s", never);
    expect_change(HEAD LANGS "train: {tokens: 5}\n",
                  HEAD "languages:\n  en: {group: old, train: e, valid: e}\n"
                       "  el: {group: new, train: e, valid: e, weight: 2}\ntrain: {tokens: 5}\n",
                  begun, text);
    snprintf(text, sizeof text,
             "'r.yaml': key 'languages.fr' was not given when the run in '/o' began and is now there%s",
             never);
    expect_change(HEAD LANGS "train: {tokens: 5}\n",
                  HEAD LANGS "  fr: {group: new, train: f}\ntrain: {tokens: 5}\n", begun, text);
    glot_log_set_sink(NULL, NULL);
}

/* Memory that ends anywhere leaves nothing behind (the leak checker looks) and says so. */
static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        glot_recipe *r = NULL;
        glot_error err = {0};
        glot_heap_fail_after(n);
        glot_status status = glot_recipe_parse(&r, SMALL, strlen(SMALL), "r.yaml", &err);
        glot_heap_fail_after(0);
        if (status == GLOT_OK) {
            glot_recipe_free(r);
            assert_true(n > 50);
            return;
        }
        assert_int_equal(status, GLOT_NOMEM);
    }
}

static void test_manual(void **state)
{
    (void)state;
    glot_str text = {0};
    char *page = NULL;
    size_t size = 0;
    glot_error err = {0};
    assert_int_equal(glot_recipe_manual(&text, &err), GLOT_OK);
    if (getenv("GLOT_UPDATE_DOCS"))
        assert_int_equal(glot_file_write(GLOT_SOURCE_DIR "/docs/RECIPE.md", text.data, text.length, &err),
                         GLOT_OK);
    if (glot_file_read(&page, &size, GLOT_SOURCE_DIR "/docs/RECIPE.md", 1 << 20, &err) != GLOT_OK)
        fail_msg("%s", err.message);
    if (strcmp(page, text.data) != 0)
        fail_msg("docs/RECIPE.md is not what the table of keys says; GLOT_UPDATE_DOCS=1 %s writes it anew",
                 "test_recipe");
    glot_free(page);
    glot_str_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),           cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_settings_agree),   cmocka_unit_test(test_units),
        cmocka_unit_test(test_amounts),          cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_unknown_format),   cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_features_refused), cmocka_unit_test(test_resolved),
        cmocka_unit_test(test_numbers_for_people),
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_files),
        cmocka_unit_test(test_tasks),            cmocka_unit_test(test_tasks_refused),
        cmocka_unit_test(test_file_sentences),   cmocka_unit_test(test_settings),
        cmocka_unit_test(test_from_settings),    cmocka_unit_test(test_changes),
        cmocka_unit_test(test_no_memory),        cmocka_unit_test(test_manual),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
