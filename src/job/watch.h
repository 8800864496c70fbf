/* watch.h
 *
 * A run looked at from outside while another process works on it. Nothing is written or locked: state.json,
 * the new lines of metrics.jsonl and the system's list of locks are read.
 *
 *     GLOT_TRY(glot_watch_open(&w, "runs/demo", err));
 *     do {
 *         GLOT_TRY(glot_watch_look(w, err));
 *         ... w->news, w->progress ...
 *     } while (w->end == GLOT_WATCH_GOES_ON);
 *     glot_watch_close(w);
 */
#ifndef GLOT_JOB_WATCH_H
#define GLOT_JOB_WATCH_H

#include "base/json.h"
#include "base/progress.h"

typedef enum glot_watch_end {
    GLOT_WATCH_GOES_ON,
    GLOT_WATCH_FINISHED,
    GLOT_WATCH_STOPPED /* the process that worked on it is gone */
} glot_watch_end;

/* To be read only. */
typedef struct glot_watch {
    char *dir;
    json_t *state;           /* state.json */
    json_t *news;            /* lines of metrics.jsonl since the look before (the first look: all) */
    json_t *before, *scores; /* "text" of the base's evaluation and of the newest one; NULL: none yet */
    json_t *step;            /* the newest step's line; NULL: none yet */
    glot_progress progress;  /* of that step's stage, at the speed its lines tell */
    double *ce;              /* [n_ce] of that stage's steps */
    size_t n_ce;
    bool is_worked_on; /* by a process of this machine; true where the system does not tell */
    glot_watch_end end;
    struct glot_watch_place *place; /* how far metrics.jsonl was read */
} glot_watch;

/* A directory that is no run of glot is refused. */
glot_status glot_watch_open(glot_watch **out, const char *dir, glot_error *err);
/* Reads what is new. Where metrics.jsonl was cut or replaced (a run that goes on after a stop) it is read
 * anew. */
glot_status glot_watch_look(glot_watch *w, glot_error *err);
void glot_watch_close(glot_watch *w); /* NULL is allowed */

#endif
