/* expand.h
 *
 * The whole job, from a recipe to an expanded model and a report; `train` and `review` alone are parts of it.
 * Every step is called done in the run directory when what it made is on the disk, so a job that was stopped,
 * by a signal or by kill -9, goes on where it was and ends with the same bits.
 *
 *     glot_job_options o = {.threads = 0, .cancel = &cancel, .view = &view};
 *     status = glot_expand(&results, recipe, &o, &err);      GLOT_CANCELLED: stopped, everything saved
 */
#ifndef GLOT_JOB_EXPAND_H
#define GLOT_JOB_EXPAND_H

#include "base/cancel.h"
#include "job/recipe.h"

/* When scores are taken of everything: their keys in state.json and results.json. The last two are there
 * where the job has that stage. */
enum { GLOT_N_WHENS = 3 };
extern const char *const glot_job_whens[GLOT_N_WHENS];

/* Who watches; any function may be NULL. Called by the thread that runs the job. */
struct glot_plan; /* plan.h */

typedef struct glot_job_view {
    void *user;
    /* A step of the job begins: "text", "before", "train", ...; `what` is one line for a person. */
    void (*on_begin)(void *user, const char *step, const char *what);
    /* Within a step that goes from language to language: so many of all are done (0: it starts); `language`
     * is the next one, NULL at the end. */
    void (*on_language)(void *user, const char *step, const char *language, size_t done, size_t total);
    /* What the job will need, before its first step. */
    void (*on_plan)(void *user, const struct glot_plan *plan);
    /* After each training step, this run's first and last included. */
    void (*on_step)(void *user, const glot_step_report *report);
    /* Scores of every language: {"el": {"bits_per_byte": ...}, ...}; `when` is one of
     * glot_job_whens or "train step 20"; `before` as the base had them, or NULL. */
    void (*on_scores)(void *user, const char *when, const json_t *scores, const json_t *before);
    /* A checkpoint has been written. */
    void (*on_checkpoint)(void *user, const char *path);
} glot_job_view;

typedef struct glot_job_options {
    glot_recipe_job job; /* expand, train or review */
    bool is_fresh;       /* delete an earlier run first (only what glot wrote) */
    const char *commit;  /* of the program, for results.json; NULL or "": unknown */
    const glot_cancel *cancel;
    const glot_job_view *view;
} glot_job_options;

/* Runs the job, or goes on with it. *results (may be NULL): new reference to what results.json holds. A
 * finished job is left as it is and its results are given again. */
glot_status glot_expand(json_t **results, const glot_recipe *recipe, const glot_job_options *options,
                        glot_error *err);

#endif
