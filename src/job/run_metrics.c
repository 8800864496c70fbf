/* run_metrics.c
 *
 * metrics.jsonl is the one record of a run; the event file repeats it for TensorBoard, one event for each
 * line. After a stop both are cut back to the lines that belong to where the run goes on, so that neither
 * ever has a step twice.
 */
#include "base/log.h"
#include "base/memory.h"
#include "job/run_files.h"
#include "job/tfevents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char METRICS[] = "metrics.jsonl", EVENTS[] = "events.out.tfevents";
#define METRICS_LIMIT ((size_t)4 << 30)

void glot_run_close_metrics(glot_run_dir *d)
{
    if (d->metrics >= 0)
        close(d->metrics);
    if (d->events >= 0)
        close(d->events);
    d->metrics = d->events = -1;
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- a line's scalars ---- */

typedef struct scalars {
    glot_tf_scalar *items; /* their tags stand in `tags` once all are there */
    size_t *tag_at;        /* [n] where */
    glot_str tags;         /* one behind the other, each with its zero */
    size_t n, items_capacity, at_capacity;
} scalars;

static void release_scalars(scalars *s)
{
    glot_free(s->items);
    glot_free(s->tag_at);
    glot_str_release(&s->tags);
}

static void add_scalar(scalars *s, double value, const char *group, const char *name)
{
    if (glot_grow(&s->items, &s->items_capacity, s->n + 1, sizeof *s->items, EVENTS, NULL) != GLOT_OK ||
        glot_grow(&s->tag_at, &s->at_capacity, s->n + 1, sizeof *s->tag_at, EVENTS, NULL) != GLOT_OK) {
        s->tags.failed = true;
        return;
    }
    s->tag_at[s->n] = s->tags.length;
    s->items[s->n++] = (glot_tf_scalar){.value = (float)value};
    glot_str_printf(&s->tags, "%s/%s", group, name);
    glot_str_append(&s->tags, "", 1);
}

/* A step's line gives train/loss and so on; an evaluation's bits_per_byte/LANGUAGE and acc/TASK. */
static void collect(scalars *s, const json_t *line, const char *phase)
{
    const char *key;
    json_t *value;
    s->n = 0;
    glot_str_reset(&s->tags);
    json_object_foreach((json_t *)(uintptr_t)line, key, value)
    {
        if (json_is_number(value) && strcmp(key, "step") != 0 && strcmp(key, "time") != 0)
            add_scalar(s, json_number_value(value), phase, key);
    }
    json_object_foreach(json_object_get(line, "text"), key, value)
        add_scalar(s, json_number_value(json_object_get(value, "bits_per_byte")), "bits_per_byte", key);
    json_object_foreach(json_object_get(line, "tasks"), key, value)
        add_scalar(s, json_number_value(json_object_get(value, "acc")), "acc", key);
    for (size_t i = 0; i < s->n && !s->tags.failed; i++)
        s->items[i].tag = s->tags.data + s->tag_at[i];
}

static bool is_evaluation(const json_t *line)
{
    return strcmp(glot_json_text(line, "phase"), "eval") == 0;
}

/* Appends the event of one line; n_steps: steps of training before it, in both stages. A step's event has its
 * number in its stage. An evaluation's has n_steps: those of the job (before, after_train, after_review) name
 * no step, and the review counts from 1 again, but scores are one curve. */
static void put_event(glot_str *out, scalars *s, const json_t *line, uint64_t n_steps)
{
    const char *phase = json_string_value(json_object_get(line, "phase"));
    collect(s, line, phase ? phase : "run");
    out->failed = out->failed || s->tags.failed;
    if (out->failed)
        return;
    int64_t step = is_evaluation(line) ? (int64_t)n_steps : json_integer_value(json_object_get(line, "step"));
    glot_tf_event(out, now_seconds(), step, s->items, s->n);
}

/* ---- reading ---- */

/* Lines of JSON, at most `limit`, from bytes; *used: bytes of the lines taken. */
static glot_status parse_lines(json_t *out, const char *text, size_t size, uint64_t limit, size_t *used,
                               const char *path, glot_error *err)
{
    *used = 0;
    while (*used < size && json_array_size(out) < limit) {
        const char *end = memchr(text + *used, '\n', size - *used);
        json_t *line = NULL;
        if (!end)
            break;
        glot_status status = glot_json_load(&line, text + *used, (size_t)(end - text) - *used, path, err);
        if (status != GLOT_OK)
            return glot_error_prefix(err, "line %zu of the metrics", json_array_size(out) + 1);
        if (json_array_append_new(out, line) != 0)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the metrics");
        *used = (size_t)(end - text) + 1;
    }
    return GLOT_OK;
}

/* The first `limit` lines of a metrics file, which need not be there. */
static glot_status read_lines(json_t **out, const char *path, uint64_t limit, size_t *used, glot_error *err)
{
    char *text = NULL;
    size_t size = 0;
    json_t *lines = json_array();
    glot_status status = GLOT_OK;
    *used = 0;
    if (!lines)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the metrics");
    if (glot_path_exists(path))
        status = glot_file_read(&text, &size, path, METRICS_LIMIT, err);
    if (status == GLOT_OK && text)
        status = parse_lines(lines, text, size, limit, used, path, err);
    glot_free(text);
    if (status == GLOT_OK)
        *out = lines;
    else
        json_decref(lines);
    return status;
}

glot_status glot_run_dir_read_metrics(json_t **out, const char *path, glot_error *err)
{
    size_t used;
    char *file = glot_path_join(path, METRICS);
    if (!file)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = read_lines(out, file, UINT64_MAX, &used, err);
    glot_free(file);
    return status;
}

/* ---- opening ---- */

/* The run's event file, or a new name for it. The caller frees. */
static glot_status event_path(const glot_run_dir *d, char **out, glot_error *err)
{
    char **names = NULL, fresh[64];
    size_t n = 0;
    GLOT_TRY(glot_dir_list(&names, &n, d->path, err));
    snprintf(fresh, sizeof fresh, "events.out.tfevents.%lld.glot", (long long)time(NULL));
    const char *name = fresh;
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], "events.out.tfevents.", 20) == 0)
            name = names[i];
    *out = glot_run_dir_join(d, name);
    glot_dir_list_free(names, n);
    return *out ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
}

/* Writes the event file anew from the lines there are. */
static glot_status remake_events(const char *path, const json_t *lines, glot_error *err)
{
    glot_str text = {0};
    scalars s = {0};
    size_t i;
    uint64_t n_steps = 0;
    json_t *line;
    glot_tf_header(&text, now_seconds());
    json_array_foreach((json_t *)(uintptr_t)lines, i, line)
    {
        put_event(&text, &s, line, n_steps);
        n_steps += !is_evaluation(line);
    }
    glot_status status = glot_str_check(&text, EVENTS, err);
    if (status == GLOT_OK)
        status = glot_file_write(path, text.data, text.length, err);
    glot_str_release(&text);
    release_scalars(&s);
    return status;
}

/* Bytes of the first n records; 0 where there are fewer whole ones. */
static size_t record_bytes(const char *data, size_t size, size_t n)
{
    size_t at = 0;
    for (; n > 0; n--) {
        uint64_t length;
        if (size - at < 16)
            return 0;
        memcpy(&length, data + at, sizeof length);
        if (length > size - at - 16)
            return 0;
        at += 16 + (size_t)length;
    }
    return at;
}

/* Cuts the event file to its header and an event for each line; where it has fewer it is made anew. */
static glot_status cut_events(const char *path, const json_t *lines, glot_error *err)
{
    char *data = NULL;
    size_t size = 0, keep = 0;
    if (glot_path_exists(path)) {
        GLOT_TRY(glot_file_read(&data, &size, path, METRICS_LIMIT, err));
        keep = record_bytes(data, size, json_array_size(lines) + 1);
    }
    glot_free(data);
    if (keep == 0)
        return remake_events(path, lines, err);
    return truncate(path, (off_t)keep) == 0 ? GLOT_OK : glot_fail_errno(err, errno, "shorten", path);
}

static glot_status open_append(int *fd, const char *path, glot_error *err)
{
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    return *fd >= 0 ? GLOT_OK : glot_fail_errno(err, errno, "open", path);
}

/* replacement (or NULL) takes the place of the line `index`. */
static glot_status rewrite_line(const glot_run_dir *d, json_t *lines, size_t index, json_t *replacement,
                                glot_error *err)
{
    glot_str text = {0};
    json_array_set(lines, index, replacement);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        char *dump = glot_json_dump(json_array_get(lines, i), 0);
        text.failed = text.failed || !dump;
        glot_str_printf(&text, "%s\n", dump ? dump : "");
        free(dump);
    }
    glot_status status = glot_str_check(&text, "the metrics", err);
    if (status == GLOT_OK)
        status = glot_run_dir_write(d, METRICS, text.data, text.length, err);
    glot_str_release(&text);
    return status;
}

static glot_status open_files(glot_run_dir *d, const char *metrics, const char *events, uint64_t n_lines,
                              glot_error *err)
{
    json_t *lines = NULL;
    size_t used;
    GLOT_TRY(read_lines(&lines, metrics, n_lines, &used, err));
    d->n_lines = json_array_size(lines);
    d->n_steps = 0;
    for (size_t i = 0; i < d->n_lines; i++)
        d->n_steps += !is_evaluation(json_array_get(lines, i));
    if (d->n_lines < n_lines && n_lines != GLOT_ALL_LINES)
        glot_warn("'%s' has %" PRIu64 " whole lines where the run had written %" PRIu64 ": the rest is lost",
                  metrics, d->n_lines, n_lines);
    glot_status status = cut_events(events, lines, err);
    json_decref(lines);
    GLOT_TRY(status);
    GLOT_TRY(open_append(&d->metrics, metrics, err));
    if (ftruncate(d->metrics, (off_t)used) != 0)
        return glot_fail_errno(err, errno, "shorten", metrics);
    return open_append(&d->events, events, err);
}

glot_status glot_run_dir_open_metrics(glot_run_dir *d, uint64_t n_lines, glot_error *err)
{
    char *metrics = glot_run_dir_join(d, METRICS), *events = NULL;
    glot_run_close_metrics(d);
    glot_status status =
        metrics ? event_path(d, &events, err) : GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    if (status == GLOT_OK)
        status = open_files(d, metrics, events, n_lines, err);
    glot_free(metrics);
    glot_free(events);
    return status;
}

/* ---- writing ---- */

/* A failure of one of the two files says which run it is of. */
static glot_status in_run(const glot_run_dir *d, glot_status status, glot_error *err)
{
    return status != GLOT_OK && err ? glot_error_prefix(err, "'%s'", d->path) : status;
}

static glot_status append(const glot_run_dir *d, int fd, const glot_str *text, glot_error *err)
{
    const char *name = fd == d->metrics ? METRICS : EVENTS;
    return in_run(d, glot_file_append(fd, text->data, text->length, name, err), err);
}

glot_status glot_run_dir_add_metrics(glot_run_dir *d, json_t *line, glot_error *err)
{
    glot_str text = {0}, event = {0};
    scalars s = {0};
    glot_status status = line ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for the metrics");
    char *dump = status == GLOT_OK ? glot_json_dump(line, 0) : NULL;
    if (dump)
        glot_str_printf(&text, "%s\n", dump);
    if (status == GLOT_OK)
        put_event(&event, &s, line, d->n_steps);
    if (status == GLOT_OK && (!dump || text.failed || event.failed))
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the metrics");
    if (status == GLOT_OK)
        status = append(d, d->metrics, &text, err);
    if (status == GLOT_OK)
        status = append(d, d->events, &event, err);
    d->n_lines += status == GLOT_OK;
    d->n_steps += status == GLOT_OK && !is_evaluation(line);
    free(dump);
    release_scalars(&s);
    glot_str_release(&text);
    glot_str_release(&event);
    json_decref(line);
    return status;
}

/* Place of the evaluation called `stage`, or the number of lines. */
static size_t find_evaluation(const json_t *lines, const char *stage)
{
    size_t i = 0;
    for (; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        if (is_evaluation(line) && strcmp(glot_json_text(line, "stage"), stage) == 0)
            break;
    }
    return i;
}

/* Puts the line in place of the evaluation `index` and opens the files again. */
static glot_status replace_line(glot_run_dir *d, json_t *lines, size_t index, json_t *line, glot_error *err)
{
    char *events = NULL;
    glot_run_close_metrics(d);
    glot_status status = rewrite_line(d, lines, index, line, err);
    if (status == GLOT_OK)
        status = event_path(d, &events, err);
    if (status == GLOT_OK)
        status = remake_events(events, lines, err);
    if (status == GLOT_OK)
        status = glot_run_dir_open_metrics(d, GLOT_ALL_LINES, err);
    glot_free(events);
    return status;
}

glot_status glot_run_dir_put_evaluation(glot_run_dir *d, const char *stage, json_t *line, glot_error *err)
{
    json_t *lines = NULL;
    glot_status status = line ? GLOT_OK : GLOT_FAIL(err, GLOT_NOMEM, "no memory for the metrics");
    if (status == GLOT_OK && d->metrics < 0)
        status = glot_run_dir_open_metrics(d, GLOT_ALL_LINES, err);
    if (status == GLOT_OK)
        status = glot_run_dir_read_metrics(&lines, d->path, err);
    size_t index = status == GLOT_OK ? find_evaluation(lines, stage) : 0;
    if (status == GLOT_OK && index < json_array_size(lines))
        status = replace_line(d, lines, index, line, err);
    else if (status == GLOT_OK)
        status = glot_run_dir_add_metrics(d, json_incref(line), err);
    json_decref(lines);
    json_decref(line);
    return status;
}

glot_status glot_run_dir_sync_metrics(const glot_run_dir *d, glot_error *err)
{
    if (d->metrics >= 0)
        GLOT_TRY(in_run(d, glot_file_sync(d->metrics, METRICS, err), err));
    return d->events < 0 ? GLOT_OK : in_run(d, glot_file_sync(d->events, EVENTS, err), err);
}
