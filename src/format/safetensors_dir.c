/* safetensors_dir.c
 *
 * A model directory: one file, or shards under an index. The index maps every tensor's name to its shard's
 * file name; the set is whole when the index and the shards name the same tensors in the same places.
 */
#include "format/safetensors_file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A shard stands beside its index: an index that names other places is refused. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static glot_status check_weight_map(const json_t **out, const json_t *index, const char *path,
                                    glot_error *err)
{
    const json_t *weight_map = json_object_get(index, "weight_map");
    if (!json_is_object(weight_map) || json_object_size(weight_map) == 0)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': no object weight_map with the file of every tensor",
                         path);
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)weight_map, name,
                        file) if (!json_is_string(file) ||
                                  !is_plain_name(json_string_value(
                                      file))) return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                                                               "'%s': weight_map of tensor '%.512s' is not "
                                                               "the name of a file beside it",
                                                               path, name);
    *out = weight_map;
    return GLOT_OK;
}

static int compare_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Every file of the map, once, sorted. The strings stay the map's. */
static glot_status list_shards(const char ***out, size_t *n_out, const json_t *weight_map, glot_error *err)
{
    const char **files;
    size_t n = 0, n_unique = 0;
    GLOT_TRY(glot_new(&files, json_object_size(weight_map), sizeof *files, "the names of the shards", err));
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)weight_map, name, file) files[n++] = json_string_value(file);
    qsort(files, n, sizeof *files, compare_text);
    for (size_t i = 0; i < n; i++)
        if (n_unique == 0 || strcmp(files[n_unique - 1], files[i]) != 0)
            files[n_unique++] = files[i];
    *out = files;
    *n_out = n_unique;
    return GLOT_OK;
}

static glot_status open_shards(glot_safetensors *s, const char *dir, const json_t *weight_map,
                               glot_error *err)
{
    const char **files = NULL;
    size_t n = 0;
    GLOT_TRY(list_shards(&files, &n, weight_map, err));
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        char *path = glot_path_join(dir, files[i]);
        if (path)
            status = glot_safetensors_add_file(s, path, err);
        else
            status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path of shard '%s'", files[i]);
        glot_free(path);
    }
    glot_free(files);
    return status;
}

/* The index and the shards must tell the same. */
static glot_status compare_with_index(const glot_safetensors *s, const json_t *weight_map, const char *path,
                                      glot_error *err)
{
    const char *name;
    json_t *file;
    json_object_foreach((json_t *)weight_map, name, file)
    {
        const glot_stored_tensor *t = glot_safetensors_find(s, name);
        const char *expected = json_string_value(file);
        if (!t)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%.512s' is in no shard, expected in '%s'",
                             path, name, expected);
        if (strcmp(glot_path_base(t->file), expected) != 0)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' is in '%s', expected in '%s'", path,
                             name, glot_path_base(t->file), expected);
    }
    for (size_t i = 0; i < s->table.n; i++) {
        const glot_stored_tensor *t = &s->table.items[i];
        if (!json_object_get(weight_map, t->name))
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' is missing in the index '%s'", t->file,
                             t->name, path);
    }
    return GLOT_OK;
}

static glot_status open_index(glot_safetensors **out, const char *dir, const char *path, glot_error *err)
{
    glot_status status;
    glot_safetensors *s = NULL;
    json_t *index = NULL;
    const json_t *weight_map = NULL;
    GLOT_TRY_OUT(glot_json_load_file(&index, path, err));
    GLOT_TRY_OUT(check_weight_map(&weight_map, index, path, err));
    GLOT_TRY_OUT(glot_new(&s, 1, sizeof *s, "a set of safetensors files", err));
    GLOT_TRY_OUT(open_shards(s, dir, weight_map, err));
    GLOT_TRY_OUT(glot_stored_index(&s->table, err));
    GLOT_TRY_OUT(compare_with_index(s, weight_map, path, err));
    *out = s;
    s = NULL;
out:
    glot_safetensors_close(s);
    json_decref(index);
    return status;
}

static glot_status fail_without_weights(const char *dir, glot_error *err)
{
    static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof pickles / sizeof pickles[0]; i++) {
        char *path = glot_path_join(dir, pickles[i]);
        bool is_pickled = path && glot_path_exists(path);
        glot_free(path);
        if (is_pickled)
            return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                             "'%s' has its weights as a pickle ('%s'), expected '%s' or '%s'", dir,
                             pickles[i], GLOT_SAFETENSORS_NAME, GLOT_SAFETENSORS_INDEX_NAME);
    }
    return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s' has neither '%s' nor '%s'", dir, GLOT_SAFETENSORS_NAME,
                     GLOT_SAFETENSORS_INDEX_NAME);
}

glot_status glot_safetensors_open_dir(glot_safetensors **out, const char *dir, glot_error *err)
{
    glot_status status;
    char *one = glot_path_join(dir, GLOT_SAFETENSORS_NAME);
    char *index = glot_path_join(dir, GLOT_SAFETENSORS_INDEX_NAME);
    if (!one || !index)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for paths in '%s'", dir);
    else if (glot_path_exists(one))
        status = glot_safetensors_open(out, one, err);
    else if (glot_path_exists(index))
        status = open_index(out, dir, index, err);
    else
        status = fail_without_weights(dir, err);
    glot_free(one);
    glot_free(index);
    return status;
}
