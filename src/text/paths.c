/* paths.c: what the caller's words for files stand for. */
#include "base/memory.h"
#include "text/corpus.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct path_list {
    char **paths;
    size_t n, capacity;
} path_list;

static glot_status append_path(path_list *list, const char *path, glot_error *err)
{
    GLOT_TRY(glot_grow(&list->paths, &list->capacity, list->n + 1, sizeof *list->paths, "file names", err));
    char *copy = glot_strdup(path);
    if (!copy)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for file names");
    list->paths[list->n++] = copy;
    return GLOT_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The literal name comes first: a file may well be called data[1].txt. */
static glot_status append_pattern(path_list *list, const char *pattern, glot_error *err)
{
    glob_t found;
    glot_status status = GLOT_OK;
    if (strcmp(pattern, "-") == 0 || access(pattern, F_OK) == 0)
        return append_path(list, pattern, err);
    int code = glob(pattern, GLOB_NOSORT, NULL, &found);
    if (code == GLOB_NOMATCH)
        return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s': %s", pattern,
                         strpbrk(pattern, "*?[") ? "no file matches this pattern" : "no such file");
    if (code != 0)
        return GLOT_FAIL(err, code == GLOB_NOSPACE ? GLOT_NOMEM : GLOT_IO, "'%s': cannot look for files",
                         pattern);
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths);
    for (size_t i = 0; i < found.gl_pathc && status == GLOT_OK; i++)
        status = append_path(list, found.gl_pathv[i], err);
    globfree(&found);
    return status;
}

glot_status glot_paths_expand(char ***paths, size_t *n, const char *const *patterns, size_t n_patterns,
                              glot_error *err)
{
    path_list list = {0};
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < n_patterns && status == GLOT_OK; i++)
        status = append_pattern(&list, patterns[i], err);
    if (status != GLOT_OK) {
        glot_paths_free(list.paths, list.n);
        return status;
    }
    *paths = list.paths;
    *n = list.n;
    return GLOT_OK;
}

void glot_paths_free(char **paths, size_t n)
{
    for (size_t i = 0; i < n; i++)
        glot_free(paths[i]);
    glot_free(paths);
}
