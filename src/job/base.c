/* base.c: the base model of a job. */
#include "job/base.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "job/language_groups.h"
#include "job/layout.h"
#include "model/params.h"

#include <stdlib.h>
#include <string.h>

static glot_status read_config(glot_model_config *config, json_t **root, const char *path, glot_error *err)
{
    if (!glot_path_is_dir(path)) {
        glot_gguf *g = NULL;
        GLOT_TRY(glot_gguf_open(&g, path, err));
        glot_status status = glot_config_from_gguf(config, g, err);
        glot_gguf_close(g);
        return status;
    }
    char *file = glot_path_join(path, "config.json");
    glot_status status =
        file ? glot_json_load_file(root, file, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if (status == GLOT_OK)
        status = glot_config_from_json(config, *root, file, err);
    if (status == GLOT_OK)
        status = glot_config_read_special_tokens(config, path, err);
    glot_free(file);
    return status;
}

/* base_init: random. The model goes under the base's path, so that the base's other files travel along when
 * it is saved. */
static glot_status open_random(glot_model **model, const glot_recipe *r, glot_backend *be, glot_error *err)
{
    glot_model_config config = {0};
    json_t *root = NULL;
    char *path = glot_strdup(r->base);
    glot_status status =
        path ? read_config(&config, &root, r->base, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if (status == GLOT_OK)
        status = glot_model_create_random(model, be, &config, (uint64_t)r->seed, err);
    if (status == GLOT_OK) {
        glot_free((*model)->path);
        (*model)->path = path;
        (*model)->base_config = root;
    } else {
        glot_free(path);
        json_decref(root);
    }
    glot_config_release(&config);
    return status;
}

static glot_status check_lengths(const glot_recipe *r, const glot_model_config *config, glot_error *err)
{
    const glot_recipe_stage *stages[] = {&r->train, &r->review};
    const glot_key_section sections[] = {GLOT_SECTION_TRAIN, GLOT_SECTION_REVIEW};
    for (int i = 0; i < 2; i++)
        if (glot_recipe_steps(stages[i], 1) > 0 && stages[i]->length > config->context_length)
            return glot_recipe_fail(r, GLOT_BAD_VALUE, sections[i], "length", err,
                                    "is %" PRId64 ", but the context of the base is %" PRId64,
                                    stages[i]->length, config->context_length);
    return GLOT_OK;
}

glot_upcycle_settings glot_base_upcycle_settings(const glot_recipe *r)
{
    return (glot_upcycle_settings){
        .top_k = (int)r->experts.top_k,
        .seed = (uint64_t)r->seed,
        .init = r->experts.init == GLOT_RECIPE_INIT_RANDOM ? GLOT_EXPERT_RANDOM : GLOT_EXPERT_COPY,
        .is_router_fresh = r->grow.router_init == GLOT_RECIPE_ROUTER_FRESH};
}

/* The experts that the recipe asks for, against those that the base has. */
static glot_status check_experts(const glot_recipe *r, const glot_model *model, glot_error *err)
{
    const glot_model_config *c = &model->config;
    static const char *const keys[] = {"per_layer", "allocation", "list"};
    bool is_uniform = r->experts.allocation == GLOT_RECIPE_UNIFORM;
    glot_allocation a;
    glot_upcycle_settings settings = glot_base_upcycle_settings(r);
    glot_error reason = {0};
    if (c->is_expanded && is_uniform && !r->experts.is_per_layer_given)
        return glot_recipe_fail(
            r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, "per_layer", err,
            "is missing: the base is an expanded model, and the experts of every layer afterwards must "
            "be given");
    if (c->is_expanded && r->experts.top_k != c->top_k)
        return glot_recipe_fail(
            r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, "top_k", err,
            "is %" PRId64 ", but the tokens of the expanded base use %d experts each, and growing keeps that",
            r->experts.top_k, c->top_k);
    GLOT_TRY(glot_recipe_layout(&a, r, c, NULL, err));
    if (glot_upcycle_check(model, a.n_experts, &settings, &reason) != GLOT_OK)
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_EXPERTS, keys[r->experts.allocation], err,
                                "does not fit the base: %s", reason.message);
    return GLOT_OK;
}

static glot_status check_lora(const glot_recipe *r, const glot_model *model, glot_error *err)
{
    const glot_recipe_trainable *trainable = &r->train.trainable;
    glot_lora_settings lora = {trainable->rank, trainable->alpha};
    glot_error reason = {0};
    if (trainable->what == GLOT_TRAIN_LORA && glot_model_check_lora(model, &lora, &reason) != GLOT_OK)
        return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_TRAIN, "trainable", err,
                                "does not fit the base: %s", reason.message);
    return GLOT_OK;
}

/* The gates that the recipe asks for, against the layers that will have a router; what a layerwise allocation
 * decides is looked at later. */
static glot_status check_gates(const glot_recipe *r, const glot_model *model, glot_error *err)
{
    const glot_recipe_ints *list = &r->gate.layers.list;
    glot_model_config after = model->config; /* borrows */
    glot_gate_config gate;
    glot_allocation a;
    for (size_t i = 0; r->gate.layers.count < 0 && i < list->n; i++)
        if (list->items[i] >= after.n_layers)
            return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_GATE, "layers", err,
                                    "names layer %" PRId64 ", but the base has layers 0 to %" PRId64,
                                    list->items[i], after.n_layers - 1);
    GLOT_TRY(glot_recipe_layout(&a, r, &model->config, NULL, err));
    memcpy(after.n_experts, a.n_experts, sizeof after.n_experts);
    return glot_recipe_gates(&gate, r, &after, NULL, err);
}

/* The released LPR loss is a cross-entropy towards one expert, the original: it cannot protect a group of
 * several. */
static glot_status check_review(const glot_recipe *r, const glot_model_config *config, glot_error *err)
{
    int n_groups = config->n_groups + (r->job == GLOT_JOB_EXPAND);
    if (config->is_expanded && n_groups > 2 && glot_recipe_steps(&r->review, 1) > 0 &&
        r->review.lpr_form == 1 && r->grow.lpr_groups != GLOT_RECIPE_LPR_ORIGINAL)
        return glot_recipe_fail(
            r, GLOT_BAD_VALUE, GLOT_SECTION_REVIEW, "lpr_form", err,
            "is released, which protects the original expert only; it goes with grow.lpr_groups: original");
    return GLOT_OK;
}

/* The evidence of the exact path must know every language that was added: a text of one that it does not know
 * would stay with the original. */
static glot_status check_evidence(const glot_recipe *r, const glot_model_config *base, glot_error *err)
{
    if (r->exact.mode != GLOT_RECIPE_EXACT_TOKENS)
        return GLOT_OK;
    for (int g = 1; g < base->n_groups; g++)
        for (const char *name = base->group_languages[g]; *name;) {
            int n = (int)strcspn(name, ",");
            bool is_there = false;
            for (size_t i = 0; i < r->n_languages; i++)
                is_there = is_there || (strlen(r->languages[i].name) == (size_t)n &&
                                        memcmp(r->languages[i].name, name, (size_t)n) == 0);
            if (!is_there)
                return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_EXACT, "mode", err,
                                        "is tokens, but the recipe has no text of language '%.*s', which the "
                                        "base has learned: its texts would stay "
                                        "on the exact path",
                                        n, name);
            name += n + (name[n] == ',');
        }
    return GLOT_OK;
}

static glot_status check_growth(const glot_recipe *r, const glot_model *model, glot_error *err)
{
    int32_t groups[GLOT_MAX_LANGUAGES];
    GLOT_TRY(glot_language_groups(groups, r, &model->config, err));
    if (r->job == GLOT_JOB_EXPAND)
        GLOT_TRY(check_experts(r, model, err));
    GLOT_TRY(check_lora(r, model, err));
    GLOT_TRY(check_gates(r, model, err));
    GLOT_TRY(check_review(r, &model->config, err));
    GLOT_TRY(check_evidence(r, &model->config, err));
    return glot_model_check_groups(model, err);
}

static glot_status check(const glot_recipe *r, const glot_model *model, const glot_tokenizer *t,
                         glot_error *err)
{
    const glot_model_config *config = &model->config;
    if (r->job != GLOT_JOB_EXPAND && !config->is_expanded)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s' is a dense model, expected an expanded one (`glot upcycle` makes it)",
                         r->base);
    GLOT_TRY(check_growth(r, model, err));
    GLOT_TRY(check_lengths(r, config, err));
    if (glot_tokenizer_size(t) > config->vocab_size)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': the tokenizer has ids up to %d, but the model's vocabulary has %" PRId64
                         " entries",
                         r->base, glot_tokenizer_size(t) - 1, config->vocab_size);
    if (config->eos_id < 0)
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s' names no EOS token, and every document of the text must end with one",
                         r->base);
    return GLOT_OK;
}

glot_status glot_base_open(glot_model **model, glot_tokenizer **tokenizer, const glot_recipe *r,
                           glot_backend *be, glot_error *err)
{
    if (r->base_init == GLOT_RECIPE_RANDOM)
        GLOT_TRY(open_random(model, r, be, err));
    else
        GLOT_TRY(glot_model_open(model, be, r->base, err));
    GLOT_TRY(glot_tokenizer_open_model(tokenizer, r->base, err));
    return check(r, *model, *tokenizer, err);
}

void glot_base_warn(const glot_recipe *r)
{
    static const char *const words[] = {"instruct", "chat", "-it"};
    char *real = realpath(r->base, NULL);
    const char *name = glot_path_base(real ? real : r->base);
    bool is_instruct = false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        is_instruct = is_instruct || strcasestr(name, words[i]);
    if (is_instruct && r->base_init == GLOT_RECIPE_WEIGHTS)
        glot_warn("the base '%s' looks instruction-tuned, which plain text may wear off; the plain base "
                  "model is the usual start",
                  name);
    if (r->base_init == GLOT_RECIPE_RANDOM && r->train.trainable.what != GLOT_TRAIN_ALL)
        glot_warn("the base begins with random weights, but only part of it trains; train.trainable: all "
                  "trains everything");
    free(real);
}
