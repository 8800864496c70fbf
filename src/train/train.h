/* train.h
 *
 * Training a model on blocks of text: stage 1 (METHOD 2), review (METHOD 3), or plain training of everything.
 * step.c is the story of one step; schedule.c the learning rate; checkpoint.c what is saved. The trainer
 * knows no run directory: whoever runs it watches each step and saves when it likes.
 *
 * The model is open, expanded, its trainable parameters marked and glot_model_allocate_grads called:
 *
 *     glot_trainer_create(&t, model, mix, language_group, n_languages, &settings, &err);
 *     glot_trainer_run(t, on_step, user, cancel, &err);
 */
#ifndef GLOT_TRAIN_TRAIN_H
#define GLOT_TRAIN_TRAIN_H

#include "base/cancel.h"
#include "model/model.h"
#include "text/mix.h"

typedef enum glot_phase { GLOT_PHASE_TRAIN, GLOT_PHASE_REVIEW } glot_phase;
typedef enum glot_schedule {
    GLOT_SCHEDULE_COSINE, GLOT_SCHEDULE_CONSTANT, GLOT_SCHEDULE_LINEAR
} glot_schedule;

typedef struct glot_train_settings {
    glot_phase phase;
    int64_t steps;        /* N */
    int64_t batch;        /* sequences in one optimizer step */
    int64_t micro_batch;  /* sequences at once; <= batch */
    int64_t length;       /* ids in a sequence */
    glot_schedule schedule;
    double lr, min_lr;
    double router_lr;     /* the same schedule from another start (its min is min_lr too) */
    int64_t warmup_steps;
    double beta1, beta2, eps, weight_decay, clip; /* clip 0: off */
    double balance_coef;  /* stage 1 */
    bool is_balance_released;
    double lpr_coef;      /* review */
    double gate_coef;     /* review */
    glot_lpr_form lpr_form;
    bool is_lpr_original_only;
    bool is_cross_document; /* attention across documents of a block */
    bool is_recomputed;     /* the forward pass keeps less and is made again in parts: same bits, less memory,
                               more time */
} glot_train_settings;
glot_train_settings glot_train_settings_default(glot_phase phase); /* the recipe's defaults (INTERFACES) */

/* What one step was. */
typedef struct glot_step_report {
    glot_phase phase;
    int64_t step;    /* from 1: steps done */
    int64_t steps;
    uint64_t tokens; /* input tokens so far, this phase */
    double loss, ce, balance, lpr, gate, grad_norm, lr;
    double seconds;  /* this step */
} glot_step_report;

/* Where memory goes; all in bytes. */
typedef struct glot_train_memory {
    size_t gradients, moments, workspace, host;
} glot_train_memory;

/* Where blocks come from: fills block->ids, languages, is_start (arrays of `length`) and block->n. */
typedef void glot_next_block(void *user, glot_block *block);

typedef struct glot_trainer {
    glot_model *model;
    glot_mix *mix;                  /* or NULL */
    glot_next_block *next_block;    /* glot_mix_next on `mix`; without one the caller sets both */
    void *next_block_user;
    glot_train_settings settings;
    int32_t language_group[GLOT_MAX_LANGUAGES]; /* group of each language of the mix */
    size_t n_languages;
    int64_t step;                   /* steps done */
    uint64_t tokens;                /* input tokens so far */
    glot_workspace *ws;
    glot_param **trained;           /* [n_trained] */
    size_t n_trained;
    glot_tensor *moment1, *moment2; /* [n_trained] */
    glot_tensor norm;               /* F64 [1] */
    glot_pool pool;                 /* moments, norm */
    struct glot_step_data *data;    /* the step's blocks on the host: step.c */
} glot_trainer;

/* Moments zero, step 0. The mix stays the caller's (NULL: the caller sets next_block before the first step,
 * and there are no checkpoints); `language_group` of its languages: < newest group of the model is old for
 * the LPR loss. A review whose mix has no old language, or nothing trainable: GLOT_BAD_ARGUMENT. */
glot_status glot_trainer_create(glot_trainer **out, glot_model *model, glot_mix *mix,
                                const int32_t *language_group, size_t n_languages,
                                const glot_train_settings *settings, glot_error *err);
void glot_trainer_free(glot_trainer *t);
/* What create would allocate (gradients included), for the plan. Nothing is allocated. */
glot_status glot_trainer_measure(glot_train_memory *memory, const glot_model *model,
                                 const glot_train_settings *settings, glot_error *err);

/* One optimizer step; makes no heap call. A loss or gradient that is not finite: GLOT_NUMERIC naming step and
 * tensor, weights untouched. */
glot_status glot_trainer_step(glot_trainer *t, glot_step_report *report, glot_error *err);

/* Called after every step; anything but GLOT_OK ends the run with that status. */
typedef glot_status glot_on_step(void *user, glot_trainer *t, const glot_step_report *report,
                                 glot_error *err);
/* Steps until settings.steps are done. Returns GLOT_CANCELLED between steps when asked to stop. */
glot_status glot_trainer_run(glot_trainer *t, glot_on_step *on_step, void *user, const glot_cancel *cancel,
                             glot_error *err);

/* Learning rate of step s (from 0), of a schedule that starts at `lr`. INTERFACES, "Steps". */
double glot_learning_rate(const glot_train_settings *settings, double lr, int64_t step);

/* ---- checkpoints (checkpoint.c) ----
 * A folder: trained.safetensors (weights), moments.safetensors (NAME.m, NAME.v), state.json (phase, step,
 * tokens, place in the text, frozen SHA-256, `extra`), manifest.json (size and SHA-256 of each). Written as
 * DIR.tmp-PID, every file and the folder fsynced, then renamed to DIR. Nothing about threads or machines in
 * it. */

/* frozen_sha256: of the model's frozen parameters (glot_model_sha256; the caller keeps it: they do not
 * change). extra (may be NULL): whatever the caller wants back. An existing DIR is replaced. On failure
 * nothing is left behind and an older DIR is whole. */
glot_status glot_checkpoint_save(const char *dir, const glot_trainer *t, const char *frozen_sha256,
                                 const json_t *extra, glot_error *err);
/* Checks the manifest against every byte; GLOT_BAD_FORMAT names what is damaged. *state (may be NULL): new
 * reference to state.json. */
glot_status glot_checkpoint_verify(const char *dir, json_t **state, glot_error *err);
/* Puts weights, moments, step, tokens and place in the text into a trainer made for the same model, phase and
 * text; a difference (another tensor, shape, phase, language count, frozen hash) is refused by name. Does not
 * verify hashes: verify does. */
glot_status glot_checkpoint_load(const char *dir, glot_trainer *t, const char *frozen_sha256,
                                 glot_error *err);

#endif
