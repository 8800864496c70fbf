/* run_dir.h
 *
 * The run directory (INTERFACES): what a job leaves behind and what it goes on from.
 *
 *     recipe.yaml   state.json   metrics.jsonl   results.json   report.html   events.out.tfevents.TIME.glot
 *     tokens/LIST.tokens   checkpoints/STEP/   model/
 *
 * state.json says which steps of the job are done and how many lines of metrics.jsonl belong to that; it is
 * replaced atomically, and what a step made is on the disk before the step is called done. So whatever stops
 * a job, the next one finds a true state and cuts off or makes again the rest. One process at a time may have
 * a directory open.
 */
#ifndef GLOT_JOB_RUN_DIR_H
#define GLOT_JOB_RUN_DIR_H

#include "base/file.h"
#include "base/json.h"

enum { GLOT_MAX_STEP_DIGITS = 12 };

typedef struct glot_run_dir {
    char *path;
    json_t *state;    /* state.json */
    int lock;         /* file descriptor of the directory, locked */
    int metrics;      /* file descriptor of metrics.jsonl; -1: not open */
    int events;       /* of the event file; -1: none */
    uint64_t n_lines; /* of metrics.jsonl that belong to what is done */
    uint64_t n_steps; /* of these lines those of training steps; known while the metrics are open */
} glot_run_dir;

typedef enum glot_run_kind {
    GLOT_RUN_NONE, /* no such directory, or an empty one */
    GLOT_RUN_OURS  /* a run of ours */
} glot_run_kind;
/* What is at `path`, changing nothing. GLOT_EXISTS where something else is there: a file, a directory that
 * holds other things, a run of another `job` ("expand", "train", "review"; NULL: any). */
glot_status glot_run_dir_look(glot_run_kind *kind, const char *path, const char *job, glot_error *err);
/* Opens a run, or begins one: makes the directory and its first state.json. GLOT_EXISTS where another process
 * has it open. What an interrupted write left behind (NAME.tmp-PID) is removed. */
glot_status glot_run_dir_open(glot_run_dir **out, const char *path, const char *job, glot_error *err);
void glot_run_dir_close(glot_run_dir *d); /* NULL is allowed */
/* Deletes a run: only files that glot writes; if there is any other file in it nothing is deleted and
 * GLOT_EXISTS names it, as it does a run that another process works on. The directory itself stays. Nothing
 * there: GLOT_OK. */
glot_status glot_run_dir_clear(const char *path, glot_error *err);

/* "DIR/NAME"; the caller frees. NULL where memory ends. */
char *glot_run_dir_join(const glot_run_dir *d, const char *name);
/* Writes DIR/NAME atomically. */
glot_status glot_run_dir_write(const glot_run_dir *d, const char *name, const char *text, size_t size,
                               glot_error *err);
glot_status glot_run_dir_write_json(const glot_run_dir *d, const char *name, const json_t *value,
                                    glot_error *err);

/* ---- steps ---- */

/* state.json of a run that another process may be working on: nothing is opened for writing or locked. What
 * is no run directory is refused. New reference. */
glot_status glot_run_dir_read_state(json_t **out, const char *path, glot_error *err);
bool glot_run_state_is_done(const json_t *state, const char *step);
bool glot_run_dir_is_done(const glot_run_dir *d, const char *step);
/* Calls a step done, with what there is of metrics so far, and writes state.json. */
glot_status glot_run_dir_set_done(glot_run_dir *d, const char *step, glot_error *err);
/* Calls steps not done again. */
glot_status glot_run_dir_set_undone(glot_run_dir *d, const char *const *steps, size_t n, glot_error *err);
/* Puts value (a new reference, taken) under a key of state.json; written with the next set_done or save. */
glot_status glot_run_dir_put(glot_run_dir *d, const char *key, json_t *value, glot_error *err);
/* Borrowed, NULL where there is none. */
json_t *glot_run_dir_get(const glot_run_dir *d, const char *key);
glot_status glot_run_dir_save(glot_run_dir *d, glot_error *err);

/* ---- metrics.jsonl and the event file ---- */

/* Cuts metrics.jsonl to its first n lines and the event file to theirs, and opens both for appending. Fewer
 * lines than n are a warning. */
glot_status glot_run_dir_open_metrics(glot_run_dir *d, uint64_t n_lines, glot_error *err);
/* ... for n_lines: every whole line there is. */
#define GLOT_ALL_LINES UINT64_MAX
/* Appends one line (and its scalars to the event file). Takes the reference. */
glot_status glot_run_dir_add_metrics(glot_run_dir *d, json_t *line, glot_error *err);
/* The line of an evaluation of the job (phase eval, `stage` before, after_train, after_review): in place of
 * the one there is, else appended. Opens the metrics if they are not. Takes the reference. */
glot_status glot_run_dir_put_evaluation(glot_run_dir *d, const char *stage, json_t *line, glot_error *err);
/* Brings both files to the disk. */
glot_status glot_run_dir_sync_metrics(const glot_run_dir *d, glot_error *err);
/* Every line of a run's metrics.jsonl as a JSON array; a last line without an end is left out. New
 * reference. */
glot_status glot_run_dir_read_metrics(json_t **out, const char *path, glot_error *err);

/* ---- checkpoints ---- */

/* "DIR/checkpoints/000012". The caller frees; NULL where memory ends. */
char *glot_run_dir_checkpoint(const glot_run_dir *d, int64_t step);
/* Steps of the checkpoints there are, ascending. The caller frees with glot_free. */
glot_status glot_run_dir_checkpoints(const glot_run_dir *d, int64_t **steps, size_t *n, glot_error *err);
/* The newest whole checkpoint from `first` to `last`. A damaged one is named with glot_warn, removed, and the
 * one before it looked at. *step is -1 where there is none; *state (new reference) its state.json. */
glot_status glot_run_dir_newest(const glot_run_dir *d, int64_t first, int64_t last, int64_t *step,
                                json_t **state, glot_error *err);
/* Removes all but the `keep` newest checkpoints from `first` on. */
glot_status glot_run_dir_rotate(const glot_run_dir *d, int64_t first, int64_t keep, glot_error *err);
/* Removes the checkpoints after `step`. */
glot_status glot_run_dir_forget_after(const glot_run_dir *d, int64_t step, glot_error *err);

#endif
