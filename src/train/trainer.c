/* trainer.c: what a trainer owns: moments, a workspace, the step's text. */
#include "train/train.h"
#include "base/memory.h"
#include "train/step_data.h"

#include <string.h>

static glot_status check_settings(const glot_model *m, const glot_train_settings *s,
                                  const int32_t *language_group, size_t n_languages, glot_error *err)
{
    bool has_home = false;
    for (size_t i = 0; i < n_languages; i++)
        has_home = has_home || language_group[i] < m->config.n_groups - 1;
    if (n_languages > GLOT_MAX_LANGUAGES)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%zu languages are more than the %d that are supported",
                         n_languages, GLOT_MAX_LANGUAGES);
    if (glot_model_trained(m, NULL) == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "nothing trains: every parameter of the model is frozen");
    if (s->phase == GLOT_PHASE_REVIEW && !has_home)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "a review needs text in an old language, and none of the %zu languages given is old",
                         n_languages);
    if (s->length < 2 || s->length > m->config.context_length)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "length %" PRId64 " is outside 2 to %" PRId64 ", the context of the model",
                         s->length, m->config.context_length);
    GLOT_ASSERT(s->batch > 0 && s->micro_batch > 0 && s->micro_batch <= s->batch && s->steps > 0);
    return GLOT_OK;
}

/* Places both moments of every trained tensor and the norm. */
static void plan_moments(glot_trainer *t, glot_pool *pool)
{
    for (size_t i = 0; i < t->n_trained; i++) {
        t->moment1[i] = t->moment2[i] = t->trained[i]->grad;
        glot_pool_take(pool, &t->moment1[i]);
        glot_pool_take(pool, &t->moment2[i]);
    }
    t->norm = glot_tensor_1d(GLOT_F64, 1);
    glot_pool_take(pool, &t->norm);
}

static glot_status make_moments(glot_trainer *t, glot_error *err)
{
    size_t n = t->n_trained;
    glot_backend *be = t->model->be;
    GLOT_TRY(glot_new(&t->trained, n, sizeof *t->trained, "the trainer", err));
    GLOT_TRY(glot_new(&t->moment1, n, sizeof *t->moment1, "the trainer", err));
    GLOT_TRY(glot_new(&t->moment2, n, sizeof *t->moment2, "the trainer", err));
    glot_model_trained(t->model, t->trained);
    glot_pool measure;
    glot_pool_measure(&measure, be);
    plan_moments(t, &measure);
    GLOT_TRY(glot_pool_init(&t->pool, be, measure.peak, "the optimizer's moments", err));
    plan_moments(t, &t->pool);
    for (size_t i = 0; i < n; i++) {
        be->zero(be, &t->moment1[i]);
        be->zero(be, &t->moment2[i]);
    }
    return GLOT_OK;
}

static glot_workspace_mode mode_of(const glot_train_settings *s)
{
    return s->is_recomputed ? GLOT_WORKSPACE_RECOMPUTE : GLOT_WORKSPACE_TRAIN;
}

static void next_of_mix(void *user, glot_block *block)
{
    glot_mix_next(user, block);
}

glot_status glot_trainer_create(glot_trainer **out, glot_model *model, glot_mix *mix,
                                const int32_t *language_group, size_t n_languages,
                                const glot_train_settings *settings, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_trainer *t = NULL;
    GLOT_TRY(check_settings(model, settings, language_group, n_languages, err));
    GLOT_TRY(glot_new(&t, 1, sizeof *t, "the trainer", err));
    t->model = model;
    t->mix = mix;
    t->next_block = mix ? next_of_mix : NULL;
    t->next_block_user = mix;
    t->settings = *settings;
    t->n_trained = glot_model_trained(model, NULL);
    t->n_languages = n_languages;
    memcpy(t->language_group, language_group, n_languages * sizeof *language_group);
    GLOT_TRY_OUT(make_moments(t, err));
    GLOT_TRY_OUT(glot_step_data_create(&t->data, settings, err));
    t->data->is_block_whole = model->config.gate.is_sequence_sum;
    GLOT_TRY_OUT(glot_workspace_create(&t->ws, model, mode_of(settings),
                                       settings->micro_batch * settings->length, settings->length,
                                       settings->length, err));
out:
    if (status == GLOT_OK)
        *out = t;
    else
        glot_trainer_free(t);
    return status;
}

void glot_trainer_free(glot_trainer *t)
{
    if (!t)
        return;
    glot_workspace_free(t->ws);
    glot_step_data_free(t->data);
    glot_pool_release(&t->pool);
    glot_free(t->trained);
    glot_free(t->moment1);
    glot_free(t->moment2);
    glot_free(t);
}

glot_status glot_trainer_measure(glot_train_memory *memory, const glot_model *model,
                                 const glot_train_settings *s, glot_error *err)
{
    *memory = (glot_train_memory){.host = glot_step_data_bytes(s)};
    memory->gradients = glot_model_trained_bytes(model);
    memory->moments = 2 * memory->gradients;
    return glot_workspace_measure(&memory->workspace, model, mode_of(s), s->micro_batch * s->length,
                                  s->length, s->length, err);
}
