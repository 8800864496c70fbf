/* run_checkpoints.c: the folders below checkpoints/: which there are, which is whole, which go. */
#include "base/log.h"
#include "base/memory.h"
#include "job/run_dir.h"
#include "train/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *glot_run_dir_checkpoint(const glot_run_dir *d, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "checkpoints/%06" PRId64, step);
    return glot_run_dir_join(d, name);
}

static bool is_step(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= GLOT_MAX_STEP_DIGITS && strspn(name, "0123456789") == n;
}

static int compare_steps(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

glot_status glot_run_dir_checkpoints(const glot_run_dir *d, int64_t **steps, size_t *n, glot_error *err)
{
    char *path = glot_run_dir_join(d, "checkpoints"), **names = NULL;
    size_t n_names = 0;
    *steps = NULL;
    *n = 0;
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_path_is_dir(path) ? glot_dir_list(&names, &n_names, path, err) : GLOT_OK;
    glot_free(path);
    if (status == GLOT_OK)
        status = glot_new(steps, n_names, sizeof **steps, "the list of checkpoints", err);
    for (size_t i = 0; i < n_names && status == GLOT_OK; i++)
        if (is_step(names[i]))
            (*steps)[(*n)++] = strtoll(names[i], NULL, 10);
    if (*n)
        qsort(*steps, *n, sizeof **steps, compare_steps);
    glot_dir_list_free(names, n_names);
    return status;
}

static glot_status remove_checkpoint(const glot_run_dir *d, int64_t step, glot_error *err)
{
    char *path = glot_run_dir_checkpoint(d, step);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_dir_remove(path, err);
    glot_free(path);
    return status;
}

/* A file that is gone or is not what was written. What cannot be read now, or was written by another version,
 * is not ours to delete. */
static bool is_damage(glot_status status)
{
    return status == GLOT_NOT_FOUND || status == GLOT_BAD_FORMAT || status == GLOT_BAD_VALUE;
}

/* Verifies one; *state stays NULL where it is damaged, which is said and not an error. */
static glot_status look_at(const glot_run_dir *d, int64_t step, json_t **state, glot_error *err)
{
    glot_error found = {0};
    char *path = glot_run_dir_checkpoint(d, step);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    glot_status status = glot_checkpoint_verify(path, state, &found);
    glot_free(path);
    if (status == GLOT_OK)
        return GLOT_OK;
    if (!is_damage(status)) {
        if (err)
            *err = found;
        return status;
    }
    glot_warn("checkpoint %" PRId64 " cannot be used, the one before it is: %s", step, found.message);
    return remove_checkpoint(d, step, err);
}

glot_status glot_run_dir_newest(const glot_run_dir *d, int64_t first, int64_t last, int64_t *step,
                                json_t **state, glot_error *err)
{
    int64_t *steps = NULL;
    size_t n = 0;
    *step = -1;
    *state = NULL;
    glot_status status = glot_run_dir_checkpoints(d, &steps, &n, err);
    for (size_t i = n; i > 0 && status == GLOT_OK && !*state; i--) {
        if (steps[i - 1] < first || steps[i - 1] > last)
            continue;
        status = look_at(d, steps[i - 1], state, err);
        if (*state)
            *step = steps[i - 1];
    }
    glot_free(steps);
    return status;
}

glot_status glot_run_dir_rotate(const glot_run_dir *d, int64_t first, int64_t keep, glot_error *err)
{
    int64_t *steps = NULL;
    size_t n = 0;
    glot_status status = glot_run_dir_checkpoints(d, &steps, &n, err);
    for (size_t i = 0; i + (size_t)keep < n && status == GLOT_OK; i++)
        if (steps[i] >= first)
            status = remove_checkpoint(d, steps[i], err);
    glot_free(steps);
    return status;
}

glot_status glot_run_dir_forget_after(const glot_run_dir *d, int64_t step, glot_error *err)
{
    int64_t *steps = NULL;
    size_t n = 0;
    glot_status status = glot_run_dir_checkpoints(d, &steps, &n, err);
    for (size_t i = 0; i < n && status == GLOT_OK; i++)
        if (steps[i] > step)
            status = remove_checkpoint(d, steps[i], err);
    glot_free(steps);
    return status;
}
