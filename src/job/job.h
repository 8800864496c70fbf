/* job.h: a job under way: what its steps share. Private to src/job. */
#ifndef GLOT_JOB_JOB_H
#define GLOT_JOB_JOB_H

#include "base/clock.h"
#include "eval/eval.h"
#include "job/expand.h"
#include "job/run_dir.h"

typedef struct glot_job {
    const glot_recipe *recipe;
    const glot_job_options *options;
    glot_run_dir *dir;
    glot_backend *be;
    glot_model *model;
    glot_tokenizer *tokenizer;
    glot_token_store *train, *valid; /* languages in the recipe's order; valid: only those with valid files */
    int32_t groups[GLOT_MAX_LANGUAGES]; /* language group in the model of each of the recipe's languages */
    int64_t train_steps;      /* steps of stage 1, what the review's step numbers begin after; 0: left out */
    double *layer_similarity; /* [n_layers] S of METHOD 4, where glot_job_similarity was needed; else NULL */
    char frozen_before[65];          /* SHA-256 of what stage 1 leaves frozen, before it */
    bool is_merged;                  /* LoRA is in the weights: what was frozen was looked at before */
} glot_job;

/* Stops a job between two pieces of work. */
glot_status glot_job_check_cancel(const glot_job *job, glot_error *err);
void glot_job_begin(const glot_job *job, const char *step, const char *what);
/* Adds the seconds since `began` to a step's time in state.json. */
void glot_job_add_seconds(glot_job *job, const char *step, double seconds);

/* ---- job_text.c ---- */

/* Tokenizes the recipe's text into tokens/train.tokens and tokens/valid.tokens unless that is done, opens
 * both, and warns of what deserves it. */
glot_status glot_job_text(glot_job *job, glot_error *err);
/* The mix of a stage. `text_ids`: ids (EOS included) of one epoch of its languages. The caller frees. */
glot_status glot_job_mix(glot_mix **out, const glot_job *job, glot_phase phase, int32_t *groups, size_t *n,
                         glot_error *err);
uint64_t glot_job_text_ids(const glot_job *job, glot_phase phase);
/* Train text of language i of the recipe: false where it has none. */
bool glot_job_find_train(const glot_job *job, size_t language, size_t *at);

/* ---- job_similarity.c ---- */

/* Fills in `layer_similarity`, measured on the model as it is now, where the recipe allocates experts by it
 * or has a number of gated layers. */
glot_status glot_job_similarity(glot_job *job, glot_error *err);

/* ---- job_upcycle.c ---- */

/* Gives the base its new experts, or its adapters (the whole job only; `train` and `review` get an expanded
 * model), fills in `groups` and names the model's language groups. The same seed gives the same bits, so a
 * resumed run does it again. */
glot_status glot_job_upcycle(glot_job *job, glot_error *err);
/* Before the review: the language gates that the recipe asks for. The same seed gives the same bits. */
glot_status glot_job_add_gates(glot_job *job, glot_error *err);

/* ---- job_stage.c ---- */

/* Runs stage 1 or the review to its end, from its newest checkpoint; a finished stage only puts its weights
 * into the model. */
glot_status glot_job_stage(glot_job *job, glot_phase phase, glot_error *err);

/* ---- job_exact.c ---- */

/* Before anything expensive: whether the text is enough for the evidence of the exact path, where the recipe
 * asks for it. */
glot_status glot_job_check_evidence(const glot_job *job, glot_error *err);
/* Where the recipe asks for the exact path: counts its evidence into the model. Made again from the text on
 * every start. */
glot_status glot_job_count_evidence(glot_job *job, glot_error *err);
/* What the exact path keeps and costs on the valid text: completes "exact" of state.json. Nothing where there
 * is none. */
glot_status glot_job_measure_exact(glot_job *job, glot_error *err);

/* ---- results.c ---- */

/* Bits per byte of every language with valid text: {"el": {...}}; new reference. */
glot_status glot_job_score(json_t **out, const glot_job *job, glot_exact_choice exact, glot_error *err);
/* The recipe's tasks: {NAME: {"acc": ...}}; new reference. (job_tasks.c) */
glot_status glot_job_tasks(json_t **out, const glot_job *job, glot_error *err);
/* Index of a language of the recipe in the valid store; false where it has no valid text. */
bool glot_job_find_valid(const glot_job *job, size_t language, size_t *at);
/* Short continuations of the beginning of valid documents, greedy: [{"language", "prompt", "text"}]. */
glot_status glot_job_samples(json_t **out, const glot_job *job, glot_error *err);
/* Shares per language: {"el": {"expert_share": [[...]], "entropy": [...], "p_original": [...], "exact_share":
 * 0}}. */
glot_status glot_job_routing(json_t **out, const glot_job *job, glot_error *err);
/* results.json from what state.json holds. New reference. */
glot_status glot_job_results(json_t **out, const glot_job *job, glot_error *err);

#endif
