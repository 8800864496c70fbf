/* job_stage.c: one stage of training inside a run directory: metrics, evaluations and checkpoints as it goes,
 * and going on after any stop.
 *
 * Checkpoints are numbered through both stages: step s of the review is train_steps + s. Stage 1's last one
 * stays until the job is done: the experts' weights are in it and nowhere else.
 */
#include "base/log.h"
#include "base/memory.h"
#include "expand/trainable.h"
#include "job/job.h"

#include <stdio.h>
#include <string.h>

/* A stage under way; glot_on_step gets it. */
typedef struct stage {
    glot_job *job;
    glot_phase phase;
    const glot_recipe_stage *recipe;
    glot_trainer *trainer;
    glot_mix *mix;
    char frozen[65];
    int64_t first_step;    /* what this stage's steps are counted from */
    int64_t saved_step;    /* of the newest checkpoint, this stage's count; -1: none */
    bool is_eval_due;      /* stopped in the evaluation that follows the checkpoint's step */
    double saved_at;       /* when */
    double last_step_at;
} stage;

static const char *phase_name(glot_phase phase)
{
    return phase == GLOT_PHASE_TRAIN ? "train" : "review";
}

static json_t *step_line(const glot_step_report *r, double tokens_per_s)
{
    bool is_review = r->phase == GLOT_PHASE_REVIEW;
    return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "phase", phase_name(r->phase),
                     "step", (json_int_t)r->step, "tokens", (json_int_t)r->tokens, "loss", r->loss, "ce",
                     r->ce, is_review ? "lpr" : "balance", is_review ? r->lpr : r->balance, "gate", r->gate,
                     "grad_norm", r->grad_norm, "lr", r->lr, "tokens_per_s", tokens_per_s);
}

static glot_status save_checkpoint(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    char *path = glot_run_dir_checkpoint(job->dir, s->first_step + s->trainer->step);
    char *folder = glot_run_dir_join(job->dir, "checkpoints");
    json_t *extra = json_pack("{s:I, s:b}", "metrics_lines", (json_int_t)job->dir->n_lines, "is_eval_due",
                              s->is_eval_due);
    glot_status status =
        path && folder && extra ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a checkpoint");
    if (status == GLOT_OK)
        status = glot_dir_make(folder, err);
    if (status == GLOT_OK)
        status = glot_run_dir_sync_metrics(job->dir, err);
    if (status == GLOT_OK)
        status = glot_checkpoint_save(path, s->trainer, s->frozen, extra, err);
    if (status == GLOT_OK)
        status = glot_run_dir_rotate(job->dir, s->phase == GLOT_PHASE_REVIEW ? s->first_step + 1 : 0,
                                     s->recipe->keep, err);
    if (status == GLOT_OK) {
        s->saved_step = s->trainer->step;
        s->saved_at = glot_seconds();
        if (job->options->view && job->options->view->on_checkpoint)
            job->options->view->on_checkpoint(job->options->view->user, path);
    }
    json_decref(extra);
    glot_free(path);
    glot_free(folder);
    return status;
}

static bool is_checkpoint_due(const stage *s)
{
    const glot_recipe_every *every = &s->recipe->checkpoint_every;
    if (every->steps > 0)
        return s->trainer->step % every->steps == 0;
    return every->seconds > 0.0 && glot_seconds() - s->saved_at >= every->seconds;
}

/* Scores every language in the middle of a stage: one line of phase eval. */
static glot_status evaluate(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    const glot_job_view *view = job->options->view;
    json_t *scores = NULL;
    char when[64];
    s->is_eval_due = true;
    glot_dtype products = job->be->products;
    job->be->products = GLOT_F32; /* scores always are */
    GLOT_TRY(glot_job_score(&scores, job, GLOT_EXACT_AUTO, err));
    job->be->products = products;
    s->is_eval_due = false;
    snprintf(when, sizeof when, "%s step %" PRId64, phase_name(s->phase), s->trainer->step);
    if (view && view->on_scores)
        view->on_scores(view->user, when, scores, glot_run_dir_get(job->dir, "before"));
    return glot_run_dir_add_metrics(job->dir,
                                    json_pack("{s:s, s:s, s:I, s:I, s:o}", "phase", "eval", "stage",
                                              phase_name(s->phase), "step", (json_int_t)s->trainer->step,
                                              "tokens", (json_int_t)s->trainer->tokens, "text", scores),
                                    err);
}

/* glot_on_step */
static glot_status after_step(void *user, glot_trainer *t, const glot_step_report *report, glot_error *err)
{
    stage *s = user;
    glot_job *job = s->job;
    const glot_job_view *view = job->options->view;
    double now = glot_seconds(), tokens = (double)(t->settings.batch * t->settings.length);
    GLOT_TRY(glot_run_dir_add_metrics(job->dir, step_line(report, tokens / report->seconds), err));
    if (view && view->on_step)
        view->on_step(view->user, report);
    if (s->recipe->eval_every > 0 && t->step % s->recipe->eval_every == 0)
        GLOT_TRY(evaluate(s, err));
    glot_job_add_seconds(job, phase_name(s->phase), now - s->last_step_at);
    s->last_step_at = now;
    return is_checkpoint_due(s) ? save_checkpoint(s, err) : GLOT_OK;
}

static glot_trainable trainable_of(const glot_job *job, glot_phase phase)
{
    return phase == GLOT_PHASE_REVIEW ? GLOT_TRAIN_ROUTERS
                                      : (glot_trainable)job->recipe->train.trainable.what;
}

static glot_status prepare(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    int32_t groups[GLOT_MAX_LANGUAGES];
    size_t n = 0;
    GLOT_TRY(glot_set_trainable(job->model, trainable_of(job, s->phase), err));
    GLOT_TRY(glot_model_allocate_grads(job->model, err));
    GLOT_TRY(glot_model_sha256(s->frozen, job->model, true, err));
    GLOT_TRY(glot_job_mix(&s->mix, job, s->phase, groups, &n, err));
    glot_train_settings settings = glot_recipe_settings(job->recipe, s->phase);
    settings.steps = glot_recipe_steps(s->recipe, glot_job_text_ids(job, s->phase));
    return glot_trainer_create(&s->trainer, job->model, s->mix, groups, n, &settings, err);
}

/* The stage's first step. Where its metrics begin is kept: should all of its checkpoints be lost later, it
 * begins there again. */
static glot_status begin(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    const char *key = s->phase == GLOT_PHASE_TRAIN ? "train_begins" : "review_begins";
    const json_t *line = glot_run_dir_get(job->dir, key);
    uint64_t n_lines = line ? (uint64_t)json_integer_value(line) : job->dir->n_lines;
    GLOT_TRY(glot_run_dir_forget_after(job->dir, s->first_step, err));
    GLOT_TRY(glot_run_dir_open_metrics(job->dir, n_lines, err));
    GLOT_TRY(glot_run_dir_put(job->dir, key, json_integer((json_int_t)n_lines), err));
    return glot_run_dir_save(job->dir, err);
}

/* Puts the newest whole checkpoint of this stage into the trainer; metrics are cut to what belongs to it. */
static glot_status go_on(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    int64_t first = s->phase == GLOT_PHASE_REVIEW ? s->first_step + 1 : 0, step = -1, lines = 0;
    json_t *state = NULL;
    GLOT_TRY(
        glot_run_dir_newest(job->dir, first, s->first_step + s->trainer->settings.steps, &step, &state, err));
    s->saved_step = -1;
    s->saved_at = s->last_step_at = glot_seconds();
    if (step < 0)
        return begin(s, err);
    char *path = glot_run_dir_checkpoint(job->dir, step);
    glot_status status = path ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if (status == GLOT_OK)
        status = glot_json_get_int(json_object_get(state, "extra"), "metrics_lines", &lines, path, err);
    s->is_eval_due = json_is_true(json_object_get(json_object_get(state, "extra"), "is_eval_due"));
    if (status == GLOT_OK)
        status = glot_checkpoint_load(path, s->trainer, s->frozen, err);
    if (status == GLOT_OK)
        status = glot_run_dir_forget_after(job->dir, step, err);
    if (status == GLOT_OK)
        status = glot_run_dir_open_metrics(job->dir, (uint64_t)lines, err);
    if (status == GLOT_OK)
        glot_info("   going on after step %" PRId64 " of %" PRId64, s->trainer->step,
                  s->trainer->settings.steps);
    s->saved_step = s->trainer->step;
    json_decref(state);
    glot_free(path);
    return status;
}

/* A finished stage: only its weights. *is_whole is false, which is said, where the checkpoint is gone or
 * damaged. */
static glot_status restore(stage *s, bool *is_whole, glot_error *err)
{
    int64_t last = s->first_step + s->trainer->settings.steps, step;
    json_t *state;
    GLOT_TRY(glot_run_dir_newest(s->job->dir, last, last, &step, &state, err));
    json_decref(state);
    *is_whole = step == last;
    if (!*is_whole) {
        glot_warn("the weights of the finished stage have to be made again: its last checkpoint is gone");
        return GLOT_OK;
    }
    char *path = glot_run_dir_checkpoint(s->job->dir, last);
    glot_status status = path ? glot_checkpoint_load(path, s->trainer, s->frozen, err)
                              : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_free(path);
    return status;
}

/* How often each language's text was read: for the report. */
static glot_status keep_epochs(const stage *s, glot_error *err)
{
    const glot_job *job = s->job;
    const glot_recipe *r = job->recipe;
    const glot_mix_state *mix = glot_mix_get_state(s->mix);
    json_t *read = json_object();
    for (size_t i = 0, k = 0, at; i < r->n_languages; i++) {
        if (!glot_recipe_trains_on(s->recipe, &r->languages[i]))
            continue;
        GLOT_TRY(glot_token_store_find_language(job->train, r->languages[i].name, &at, err));
        const glot_store_language *l = glot_token_store_language(job->train, at);
        double epochs = (double)mix->tokens[k] / (double)(l->n_tokens + l->n_documents);
        if (epochs > 2.0)
            glot_warn("language '%s': its text was read %.1f times in %s", r->languages[i].name, epochs,
                      phase_name(s->phase));
        json_object_set_new(read, r->languages[i].name,
                            json_pack("{s:I, s:f}", "tokens", (json_int_t)mix->tokens[k], "times", epochs));
        k++;
    }
    return glot_run_dir_put(job->dir, s->phase == GLOT_PHASE_TRAIN ? "train_text" : "review_text", read, err);
}

/* DESIGN, invariant 2, for what this stage leaves frozen: in the review the experts, too. */
static glot_status check_frozen(const stage *s, glot_error *err)
{
    char after[65];
    GLOT_TRY(glot_model_sha256(after, s->job->model, true, err));
    if (strcmp(s->frozen, after) != 0)
        return GLOT_FAIL(err, GLOT_INTERNAL,
                         "weights that are frozen in %s changed: SHA-256 %s before, %s after",
                         phase_name(s->phase), s->frozen, after);
    return GLOT_OK;
}

static glot_status finish(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    GLOT_TRY(check_frozen(s, err));
    if (s->saved_step != s->trainer->step)
        GLOT_TRY(save_checkpoint(s, err));
    GLOT_TRY(keep_epochs(s, err));
    return glot_run_dir_set_done(job->dir, phase_name(s->phase), err);
}

/* The stage is not done after all, and nothing that came after it. */
static glot_status undo(const stage *s, glot_error *err)
{
    static const char *const steps[] = {"train", "after_train", "review", "after_review", "model"};
    size_t first = s->phase == GLOT_PHASE_TRAIN ? 0 : 2;
    return glot_run_dir_set_undone(s->job->dir, steps + first, 5 - first, err);
}

/* For who watches the run from outside. */
static glot_status tell_steps(const stage *s, glot_error *err)
{
    const char *key = s->phase == GLOT_PHASE_TRAIN ? "train_steps" : "review_steps";
    GLOT_TRY(glot_run_dir_put(s->job->dir, key, json_integer((json_int_t)s->trainer->settings.steps), err));
    return glot_run_dir_save(s->job->dir, err);
}

static glot_status run(stage *s, glot_error *err)
{
    glot_job *job = s->job;
    GLOT_TRY(prepare(s, err));
    GLOT_TRY(tell_steps(s, err));
    if (glot_run_dir_is_done(job->dir, phase_name(s->phase))) {
        bool is_whole = false;
        GLOT_TRY(restore(s, &is_whole, err));
        if (is_whole)
            return GLOT_OK;
        GLOT_TRY(undo(s, err));
    }
    GLOT_TRY(go_on(s, err));
    glot_status status = s->is_eval_due ? evaluate(s, err) : GLOT_OK;
    if (status == GLOT_OK) {
        job->be->products = job->recipe->dtype == GLOT_RECIPE_BF16 ? GLOT_BF16 : GLOT_F32;
        status = glot_trainer_run(s->trainer, after_step, s, job->options->cancel, err);
        job->be->products = GLOT_F32;
    }
    if (status == GLOT_CANCELLED && s->saved_step != s->trainer->step) {
        glot_error saving = {0};
        if (save_checkpoint(s, &saving) != GLOT_OK || glot_run_dir_save(job->dir, &saving) != GLOT_OK) {
            if (err)
                *err = saving;
            return saving.status;
        }
    }
    GLOT_TRY(status);
    return finish(s, err);
}

/* One line for a person. */
static const char *what_of(const glot_job *job, glot_phase phase)
{
    static const char *const lines[] = {
        [GLOT_TRAIN_NEW_EXPERTS] = "training the new experts on the new languages",
        [GLOT_TRAIN_ALL_EXPERTS] = "training all experts on the new languages",
        [GLOT_TRAIN_ALL] = "training everything",
        [GLOT_TRAIN_LORA] = "training adapters on the new languages",
        [GLOT_TRAIN_ROUTERS] = "reviewing the routers with a little old text"};
    return lines[trainable_of(job, phase)];
}

glot_status glot_job_stage(glot_job *job, glot_phase phase, glot_error *err)
{
    stage s = {.job = job, .phase = phase, .recipe = glot_recipe_stage_of(job->recipe, phase),
               .first_step = phase == GLOT_PHASE_REVIEW ? job->train_steps : 0};
    if (!glot_run_dir_is_done(job->dir, phase_name(phase)))
        glot_job_begin(job, phase_name(phase), what_of(job, phase));
    glot_status status = run(&s, err);
    glot_trainer_free(s.trainer);
    glot_mix_free(s.mix);
    return status;
}
