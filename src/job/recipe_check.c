/* recipe_check.c: what the keys of a recipe mean to each other: what follows from others is filled in, what
 * contradicts others is refused, and so is what this version does not have. */
#include "expand/allocate.h"
#include "job/recipe_tasks.h"
#include "tensor/backend.h"

#include <math.h>

#define KEY(section, name) ((glot_recipe_place){section, NULL, name})

static const char *const stage_names[] = {[GLOT_PHASE_TRAIN] = "train", [GLOT_PHASE_REVIEW] = "review"};

/* ---- facts about a recipe ---- */

const glot_recipe_stage *glot_recipe_stage_of(const glot_recipe *r, glot_phase phase)
{
    return phase == GLOT_PHASE_REVIEW ? &r->review : &r->train;
}

/* Whether the stage has anything to do. */
static bool is_active(const glot_recipe_stage *s)
{
    return s->tokens > 0 || s->steps > 0 || s->epochs > 0.0;
}

bool glot_recipe_trains_on(const glot_recipe_stage *stage, const glot_recipe_language *l)
{
    return is_active(stage) &&
           (l->group == GLOT_RECIPE_OLD ? stage->old_share > 0.0 : stage->old_share < 1.0);
}

int64_t glot_recipe_steps(const glot_recipe_stage *stage, uint64_t text_ids)
{
    int64_t per_step = stage->batch * stage->length;
    if (stage->steps > 0)
        return stage->steps;
    if (stage->tokens > 0)
        return (stage->tokens - 1) / per_step + 1;
    if (!(stage->epochs > 0.0))
        return 0;
    double steps = ceil(stage->epochs * (double)text_ids / (double)per_step);
    return steps < 1.0 ? 1 : (int64_t)steps;
}

glot_train_settings glot_recipe_settings(const glot_recipe *r, glot_phase phase)
{
    const glot_recipe_stage *s = glot_recipe_stage_of(r, phase);
    bool is_review = phase == GLOT_PHASE_REVIEW;
    return (glot_train_settings){.phase = phase,
                                 .steps = glot_recipe_steps(s, 0),
                                 .batch = s->batch,
                                 .micro_batch = s->micro_batch,
                                 .length = s->length,
                                 .schedule = (glot_schedule)s->schedule,
                                 .lr = s->lr,
                                 .min_lr = s->min_lr,
                                 .router_lr = s->router_lr,
                                 .warmup_steps = s->warmup_steps,
                                 .beta1 = s->betas[0],
                                 .beta2 = s->betas[1],
                                 .eps = s->eps,
                                 .weight_decay = s->weight_decay,
                                 .clip = s->clip,
                                 .balance_coef = is_review ? 0.0 : s->balance_coef,
                                 .is_balance_released = !is_review && s->balance_form == 1,
                                 .lpr_coef = is_review ? s->lpr_coef : 0.0,
                                 .lpr_form =
                                     is_review && s->lpr_form == 1 ? GLOT_LPR_RELEASED : GLOT_LPR_PAPER,
                                 .is_lpr_original_only = r->grow.lpr_groups == GLOT_RECIPE_LPR_ORIGINAL,
                                 .gate_coef = is_review ? r->gate.coef : 0.0,
                                 .is_cross_document = s->cross_document_attention,
                                 .is_recomputed = s->recompute};
}

static size_t count_group(const glot_recipe *r, int group, double *weight)
{
    size_t n = 0;
    *weight = 0.0;
    for (size_t i = 0; i < r->n_languages; i++)
        if (r->languages[i].group == group) {
            *weight += r->languages[i].weight;
            n++;
        }
    return n;
}

/* Whether some layer will have a router, as far as the recipe tells. */
static bool has_router(const glot_recipe *r)
{
    if (r->experts.allocation == GLOT_RECIPE_UNIFORM)
        return r->experts.per_layer > 1;
    if (r->experts.allocation ==
        GLOT_RECIPE_LAYERWISE) /* a budget too small for one new expert is refused later */
        return true;
    for (size_t i = 0; i < r->experts.list.n; i++)
        if (r->experts.list.items[i] > 1)
            return true;
    return false;
}

/* ---- what this version does not have ---- */

static glot_status not_there(const glot_recipe_reader *p, glot_recipe_place place, const char *what,
                             const char *instead, glot_error *err)
{
    return glot_recipe_refuse(p, GLOT_UNSUPPORTED, place, err, "asks for %s, which glot %s does not have; %s",
                              what, glot_version(), instead);
}

static glot_status check_features(const glot_recipe_reader *p, glot_error *err)
{
    const glot_recipe *r = p->recipe;
    if (r->device == GLOT_RECIPE_CUDA)
        return not_there(p, KEY("", "device"), "cuda", "cpu is there", err);
    return GLOT_OK;
}

/* ---- stages ---- */

static glot_status check_amount(const glot_recipe_reader *p, glot_phase phase, glot_error *err)
{
    const glot_recipe_stage *s = glot_recipe_stage_of(p->recipe, phase);
    const char *name = stage_names[phase];
    int n = (s->tokens >= 0) + (s->steps >= 0) + !isnan(s->epochs);
    if (n > 1)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, s->steps >= 0 ? "steps" : "epochs"), err,
                                  "stands beside '%s.%s', expected one of tokens, steps and epochs", name,
                                  s->tokens >= 0 ? "tokens" : "epochs");
    if (n == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "tokens"), err,
                                  "is missing, expected it, or steps, or epochs");
    return GLOT_OK;
}

static glot_status resolve_numbers(const glot_recipe_reader *p, glot_recipe_stage *s, const char *name,
                                   glot_error *err)
{
    if ((double)s->steps * (double)(s->batch * s->length) > GLOT_RECIPE_MOST_TOKENS)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "steps"), err,
                                  "is %" PRId64 ", with %" PRId64
                                  " tokens in each; expected at most %g tokens in all",
                                  s->steps, s->batch * s->length, GLOT_RECIPE_MOST_TOKENS);
    if (s->micro_batch < 0)
        s->micro_batch = s->batch;
    if (s->micro_batch > s->batch)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "micro_batch"), err,
                                  "is %" PRId64 ", more than the batch of %" PRId64, s->micro_batch,
                                  s->batch);
    if (isnan(s->router_lr))
        s->router_lr = s->lr;
    if (s->min_lr > s->lr)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "min_lr"), err,
                                  "is %g, more than the learning rate %g it ends from", s->min_lr, s->lr);
    if (s->eval_every > 0 && !p->recipe->eval.bits_per_byte)
        return glot_recipe_refuse(
            p, GLOT_BAD_VALUE, KEY(name, "eval_every"), err,
            "is %" PRId64 ", but there is nothing to evaluate: eval.bits_per_byte is false", s->eval_every);
    return GLOT_OK;
}

/* The share of old text: what is written must be possible with the languages there are; what is not written
 * follows from them. */
static glot_status resolve_share(const glot_recipe_reader *p, glot_recipe_stage *s, glot_phase phase,
                                 glot_error *err)
{
    const glot_recipe *r = p->recipe;
    const char *name = stage_names[phase];
    double old_weight, new_weight;
    size_t n_old = count_group(r, GLOT_RECIPE_OLD, &old_weight),
           n_new = count_group(r, GLOT_RECIPE_NEW, &new_weight);
    bool is_written = glot_recipe_is_written(p, name, "old_share");
    if (!is_written &&
        phase == GLOT_PHASE_TRAIN) /* random weights know no language: every one is trained by its weight */
        s->old_share = r->base_init == GLOT_RECIPE_RANDOM ? old_weight / (old_weight + new_weight) : 0.0;
    if (!is_written && n_new == 0)
        s->old_share = 1.0;
    if (s->old_share > 0.0 && n_old == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "old_share"), err,
                                  "is %g, but no language is old", s->old_share);
    if (s->old_share < 1.0 && n_new == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "old_share"), err,
                                  "is %g, but no language is new", s->old_share);
    if (phase == GLOT_PHASE_REVIEW && s->old_share == 0.0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY(name, "old_share"), err,
                                  "is 0: a review needs text in an old language");
    return GLOT_OK;
}

/* What trains must be there, and have text to train on. */
static glot_status check_trainable(const glot_recipe_reader *p, glot_error *err)
{
    const glot_recipe *r = p->recipe;
    int what = r->train.trainable.what;
    bool is_dense = p->job == GLOT_JOB_EXPAND && !has_router(r);
    double weight;
    if (what == GLOT_TRAIN_LORA && !is_dense)
        return glot_recipe_refuse(
            p, GLOT_BAD_VALUE, KEY("train", "trainable"), err,
            "asks for LoRA, which is for a dense model: it goes with experts.per_layer: 1");
    if (what != GLOT_TRAIN_LORA && what != GLOT_TRAIN_ALL && is_dense)
        return glot_recipe_refuse(
            p, GLOT_BAD_VALUE,
            KEY("experts", r->experts.allocation == GLOT_RECIPE_UNIFORM ? "per_layer" : "list"), err,
            "gives no layer a new expert, so that nothing would train; train.trainable: all trains the dense "
            "model");
    if (what != GLOT_TRAIN_ALL && count_group(r, GLOT_RECIPE_NEW, &weight) == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", NULL, NULL}, err,
                                  "has no language of group new, expected at least one");
    return GLOT_OK;
}

static glot_status resolve_train(const glot_recipe_reader *p, glot_error *err)
{
    glot_recipe *r = p->recipe;
    if (p->job == GLOT_JOB_REVIEW) {
        r->train.tokens = r->train.steps = -1;
        r->train.epochs = NAN;
        return GLOT_OK;
    }
    GLOT_TRY(check_amount(p, GLOT_PHASE_TRAIN, err));
    GLOT_TRY(check_trainable(p, err));
    GLOT_TRY(resolve_numbers(p, &r->train, "train", err));
    return resolve_share(p, &r->train, GLOT_PHASE_TRAIN, err);
}

/* Why a review cannot be, or NULL. */
static const char *review_obstacle(const glot_recipe_reader *p)
{
    double weight;
    if (p->job == GLOT_JOB_EXPAND && !has_router(p->recipe))
        return "there is nothing to review: no layer has a router";
    if (count_group(p->recipe, GLOT_RECIPE_OLD, &weight) == 0)
        return "a review needs text in an old language, and no language is old";
    return NULL;
}

/* Review comes by default, so where it cannot be it is left out, unless somebody asked for it. */
static glot_status resolve_review(const glot_recipe_reader *p, glot_error *err)
{
    glot_recipe_stage *s = &p->recipe->review;
    const char *amounts[] = {"tokens", "steps", "epochs"}, *obstacle = review_obstacle(p);
    if (p->job == GLOT_JOB_TRAIN)
        s->tokens = 0;
    GLOT_TRY(check_amount(p, GLOT_PHASE_REVIEW, err));
    for (size_t i = 0; i < 3 && obstacle && is_active(s) && p->job != GLOT_JOB_TRAIN; i++)
        if (glot_recipe_is_written(p, "review", amounts[i]))
            return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("review", amounts[i]), err,
                                      "asks for a review, but %s", obstacle);
    if (obstacle)
        s->tokens = 0;
    GLOT_TRY(resolve_numbers(p, s, "review", err));
    return is_active(s) ? resolve_share(p, s, GLOT_PHASE_REVIEW, err) : GLOT_OK;
}

/* ---- the rest ---- */

static glot_status resolve_experts(const glot_recipe_reader *p, glot_error *err)
{
    glot_recipe *r = p->recipe;
    static const char *const allocations[] = {"uniform", "layerwise", "list"};
    const char *allocation = allocations[r->experts.allocation];
    bool is_layerwise = r->experts.allocation == GLOT_RECIPE_LAYERWISE;
    const struct {
        const char *name;
        bool belongs;
    } keys[] = {{"per_layer", r->experts.allocation == GLOT_RECIPE_UNIFORM},
                {"new_total", is_layerwise},
                {"delta", is_layerwise},
                {"new_bytes", is_layerwise},
                {"list", r->experts.allocation == GLOT_RECIPE_AS_LISTED}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (!keys[i].belongs && glot_recipe_is_written(p, "experts", keys[i].name))
            return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("experts", keys[i].name), err,
                                      "has no place where experts.allocation is %s", allocation);
    if (r->experts.allocation == GLOT_RECIPE_AS_LISTED && r->experts.list.n == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("experts", "list"), err,
                                  "is missing, expected the experts of each layer");
    if (is_layerwise &&
        (r->experts.new_total >= 0) + !isnan(r->experts.delta) + (r->experts.new_bytes >= 0) != 1)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("experts", "new_total"), err,
                                  "or delta or new_bytes: expected one of them");
    if (is_layerwise &&
        r->experts.delta <=
            1.0) /* METHOD 5: a layer's share is less than 1, so that N_l = ceil(share * delta) is 1 */
        return glot_recipe_refuse(
            p, GLOT_BAD_VALUE, KEY("experts", "delta"), err,
            "is %g, which gives no layer a new expert whatever the similarity, expected more than 1",
            r->experts.delta);
    if (r->experts.allocation != GLOT_RECIPE_UNIFORM)
        r->experts.per_layer = -1;
    const glot_layout_format *format;
    glot_error problem = {0};
    if (r->experts.format && glot_layout_find(&format, r->experts.format, &problem) != GLOT_OK)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("experts", "for"), err, "is unknown: %s",
                                  problem.message);
    r->experts.is_per_layer_given = glot_recipe_is_written(p, "experts", "per_layer");
    return GLOT_OK;
}

/* METHOD 8: without old and new text there is no evidence, without new experts nothing to decide, and where
 * the original experts train, the exact path would not be the base model. */
static glot_status check_exact(const glot_recipe_reader *p, glot_error *err)
{
    const glot_recipe *r = p->recipe;
    double weight;
    const char *obstacle = NULL;
    p->recipe->exact.is_mode_given = glot_recipe_is_written(p, "exact", "mode");
    if (r->exact.mode == GLOT_RECIPE_EXACT_NONE)
        return GLOT_OK;
    if (count_group(r, GLOT_RECIPE_OLD, &weight) == 0)
        obstacle = "no language is old";
    else if (count_group(r, GLOT_RECIPE_NEW, &weight) == 0)
        obstacle = "no language is new";
    else if (p->job == GLOT_JOB_EXPAND && !has_router(r))
        obstacle = "no layer gets a new expert";
    else if (p->job == GLOT_JOB_EXPAND && r->train.trainable.what != GLOT_TRAIN_NEW_EXPERTS)
        obstacle = "train.trainable does not leave the original experts as they are";
    return obstacle ? glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("exact", "mode"), err,
                                         "asks for the exact path, but %s", obstacle)
                    : GLOT_OK;
}

/* METHOD 4: similarity compares text of new languages with text of old ones. Refused here, not when it is
 * measured. */
static glot_status check_similarity(const glot_recipe_reader *p, glot_error *err)
{
    const glot_recipe *r = p->recipe;
    bool is_layerwise = p->job == GLOT_JOB_EXPAND && r->experts.allocation == GLOT_RECIPE_LAYERWISE,
         has_text[2] = {false, false};
    for (size_t i = 0; i < r->n_languages; i++)
        has_text[r->languages[i].group == GLOT_RECIPE_NEW] |= r->languages[i].train.n > 0;
    if ((!is_layerwise && r->gate.layers.count <= 0) || (has_text[0] && has_text[1]))
        return GLOT_OK;
    glot_recipe_place place = is_layerwise ? KEY("experts", "allocation") : KEY("gate", "layers");
    return glot_recipe_refuse(
        p, GLOT_BAD_VALUE, place, err,
        "goes by the similarity of new languages to old ones, but no %s language has train text",
        has_text[0] ? "new" : "old");
}

/* METHOD 6 */
static glot_status check_gate(const glot_recipe_reader *p, glot_error *err)
{
    const glot_recipe *r = p->recipe;
    if (r->gate.layers.count != 0 && !is_active(&r->review))
        return glot_recipe_refuse(
            p, GLOT_BAD_VALUE, KEY("gate", "layers"), err,
            "asks for language gates, but they are trained by the review, and there is none");
    return GLOT_OK;
}

static glot_status check_required(const glot_recipe_reader *p, glot_error *err)
{
    if (!p->recipe->base)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("", "base"), err,
                                  "is missing, expected the path of the base model");
    if (!p->recipe->output)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, KEY("", "output"), err,
                                  "is missing, expected the path of the run directory");
    return GLOT_OK;
}

glot_status glot_recipe_resolve(const glot_recipe_reader *p, glot_error *err)
{
    glot_recipe *r = p->recipe;
    GLOT_TRY(check_required(p, err));
    GLOT_TRY(resolve_experts(p, err));
    GLOT_TRY(check_features(p, err));
    GLOT_TRY(glot_recipe_tasks_resolve(p, err));
    GLOT_TRY(resolve_train(p, err));
    GLOT_TRY(resolve_review(p, err));
    GLOT_TRY(check_gate(p, err));
    GLOT_TRY(check_similarity(p, err));
    GLOT_TRY(check_exact(p, err));
    r->device = GLOT_RECIPE_CPU;
    if (r->dtype == GLOT_RECIPE_DTYPE_AUTO) /* what runs here fast; the resolved recipe keeps it, so that a
                                               run goes on as it began */
        r->dtype = glot_cpu_has_bf16() ? GLOT_RECIPE_BF16 : GLOT_RECIPE_FLOAT32;
    return GLOT_OK;
}
