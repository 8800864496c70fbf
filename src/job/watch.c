/* watch.c: see watch.h. */
#include "job/watch.h"
#include "base/file.h"
#include "base/memory.h"
#include "job/run_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How far metrics.jsonl was read. */
struct glot_watch_place {
    ino_t file;     /* a replaced file has another number */
    int64_t offset; /* behind the last whole line */
    double seconds; /* of the steps' own time: the clock of `progress` */
    double tokens;  /* at the newest step */
    size_t ce_capacity;
    bool was_worked_on;
};

/* ---- a line ---- */

static void replace(json_t **held, json_t *value)
{
    json_decref(*held);
    *held = json_incref(value);
}

/* The stage's number of steps, which its start put into state.json; 0: not known. */
static uint64_t total_steps(const glot_watch *w, const char *phase)
{
    char key[32];
    snprintf(key, sizeof key, "%.16s_steps", phase);
    return (uint64_t)json_integer_value(json_object_get(w->state, key));
}

/* The first step that is seen of a stage. */
static void begin_stage(glot_watch *w, json_t *line, const char *phase)
{
    static const char *const names[] = {"train", "review"};
    struct glot_watch_place *p = w->place;
    int64_t step = (int64_t)json_integer_value(json_object_get(line, "step"));
    p->seconds = p->tokens = 0.0;
    w->n_ce = 0;
    w->progress = glot_progress_begin(names[strcmp(phase, "review") == 0], "tok/s",
                                      step > 0 ? (uint64_t)step - 1 : 0, total_steps(w, phase), 0.0);
}

static glot_status take_step(glot_watch *w, json_t *line, const char *phase, glot_error *err)
{
    struct glot_watch_place *p = w->place;
    if (!w->step || strcmp(glot_json_text(w->step, "phase"), phase) != 0)
        begin_stage(w, line, phase);
    double tokens = glot_json_number_or_zero(line, "tokens") - p->tokens,
           speed = glot_json_number_or_zero(line, "tokens_per_s");
    p->seconds += speed > 0.0 ? tokens / speed : 0.0;
    p->tokens += tokens;
    glot_progress_add(&w->progress, 1, tokens, p->seconds);
    w->progress.total = total_steps(w, phase);
    replace(&w->step, line);
    GLOT_TRY(glot_grow(&w->ce, &p->ce_capacity, w->n_ce + 1, sizeof *w->ce, "the curve", err));
    w->ce[w->n_ce++] = glot_json_number_or_zero(line, "ce");
    return GLOT_OK;
}

static glot_status take_line(glot_watch *w, json_t *line, glot_error *err)
{
    const char *phase = glot_json_text(line, "phase");
    json_t *text = json_object_get(line, "text");
    if (json_array_append(w->news, line) != 0)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the metrics");
    if (strcmp(phase, "train") == 0 || strcmp(phase, "review") == 0)
        return take_step(w, line, phase, err);
    if (strcmp(glot_json_text(line, "stage"), "before") == 0)
        replace(&w->before, text);
    if (text)
        replace(&w->scores, text);
    return GLOT_OK;
}

/* ---- metrics.jsonl ---- */

static void forget(glot_watch *w)
{
    replace(&w->before, NULL);
    replace(&w->scores, NULL);
    replace(&w->step, NULL);
    w->n_ce = 0;
    w->place->offset = 0;
}

/* Takes one line, which need not be whole yet: *is_whole. */
static glot_status read_line(glot_watch *w, const char *text, size_t n, const char *path, bool *is_whole,
                             glot_error *err)
{
    json_t *line = NULL;
    *is_whole = n > 0 && text[n - 1] == '\n';
    if (!*is_whole)
        return GLOT_OK;
    GLOT_TRY(glot_json_load(&line, text, n, path, err));
    glot_status status = take_line(w, line, err);
    json_decref(line);
    w->place->offset += (int64_t)n;
    return status;
}

static glot_status read_file(glot_watch *w, FILE *file, const char *path, glot_error *err)
{
    struct stat info;
    char *text = NULL; /* getline's */
    size_t capacity = 0;
    ssize_t n;
    bool is_whole = true;
    glot_status status = GLOT_OK;
    if (fstat(fileno(file), &info) != 0)
        return glot_fail_errno(err, errno, "look at", path);
    if (info.st_ino != w->place->file || info.st_size < w->place->offset)
        forget(w);
    w->place->file = info.st_ino;
    if (fseeko(file, (off_t)w->place->offset, SEEK_SET) != 0)
        return glot_fail_errno(err, errno, "read", path);
    while (status == GLOT_OK && is_whole && (n = getline(&text, &capacity, file)) > 0)
        status = read_line(w, text, (size_t)n, path, &is_whole, err);
    free(text);
    return status;
}

/* A run that has just begun has no metrics yet. */
static glot_status read_news(glot_watch *w, glot_error *err)
{
    char *path = glot_path_join(w->dir, "metrics.jsonl");
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    FILE *file = fopen(path, "re");
    glot_status status = file              ? read_file(w, file, path, err)
                         : errno == ENOENT ? GLOT_OK
                                           : glot_fail_errno(err, errno, "open", path);
    if (file)
        fclose(file);
    glot_free(path);
    return status;
}

/* ---- who works on it ---- */

/* A job holds a lock on its directory (run_dir.c). /proc/locks lists locks without touching them:
 * "1: FLOCK  ADVISORY  WRITE 2222 fe:00:10952709 0 EOF". */
static bool is_locked(const char *dir)
{
    struct stat info;
    char line[256];
    bool is_found = false;
    FILE *file = fopen("/proc/locks", "re");
    if (!file || stat(dir, &info) != 0) {
        if (file)
            fclose(file);
        return true;
    }
    while (!is_found && fgets(line, sizeof line, file)) {
        const char *last = strrchr(line, ':'); /* before the file's number */
        is_found = last && strstr(line, " FLOCK ") &&
                   strtoull(last + 1, NULL, 10) == (unsigned long long)info.st_ino;
    }
    fclose(file);
    return is_found;
}

/* ---- looking ---- */

glot_status glot_watch_look(glot_watch *w, glot_error *err)
{
    json_t *state = NULL;
    /* before the files: what a process wrote before it went away is then seen */
    w->is_worked_on = is_locked(w->dir);
    json_array_clear(w->news);
    GLOT_TRY(glot_run_dir_read_state(&state, w->dir, err));
    json_decref(w->state);
    w->state = state;
    GLOT_TRY(read_news(w, err));
    w->end = glot_run_state_is_done(state, "model")        ? GLOT_WATCH_FINISHED
             : w->place->was_worked_on && !w->is_worked_on ? GLOT_WATCH_STOPPED
                                                           : GLOT_WATCH_GOES_ON;
    w->place->was_worked_on = w->is_worked_on;
    return GLOT_OK;
}

glot_status glot_watch_open(glot_watch **out, const char *dir, glot_error *err)
{
    glot_watch *w = NULL;
    json_t *state = NULL;
    GLOT_TRY(glot_run_dir_read_state(&state, dir, err)); /* refuses what is no run */
    glot_status status = glot_new(&w, 1, sizeof *w, "the run", err);
    if (status != GLOT_OK) {
        json_decref(state);
        return status;
    }
    w->state = state;
    w->dir = glot_strdup(dir);
    w->news = json_array();
    w->place = glot_calloc(1, sizeof *w->place);
    if (w->dir && w->news && w->place) {
        *out = w;
        return GLOT_OK;
    }
    glot_watch_close(w);
    return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the run");
}

void glot_watch_close(glot_watch *w)
{
    if (!w)
        return;
    json_decref(w->state);
    json_decref(w->news);
    json_decref(w->before);
    json_decref(w->scores);
    json_decref(w->step);
    glot_free(w->ce);
    glot_free(w->place);
    glot_free(w->dir);
    glot_free(w);
}
