/* safetensors_save.c
 *
 * Writing files, and directories of shards. The bytes depend on the list alone: the header is in the order of
 * the data, without spaces but those behind it that bring the data to a multiple of 64.
 */
#include "format/safetensors_file.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DATA_ALIGNMENT = 64,
    MAX_HEADER_BYTES = 100000000, /* readers take no more */
    LENGTH_BYTES = 8,             /* of the header's length */
    ENTRY_EXTRA_BYTES = 90 /* an entry's text beside name, type and shape: 50, and two offsets of 20 digits */
};

/* Of all tensors together: sums with it and headers fit into 64 bits. */
static const uint64_t max_total_bytes = UINT64_C(1) << 62;

/* One file to be written: tensors [first, first + n) of the caller's list. */
typedef struct file_part {
    const char *path;
    const glot_save_tensor *tensors; /* [n] */
    size_t n, first;
    const json_t *metadata;
    glot_save_fill *fill;
    void *user;
} file_part;

static void append_json(glot_str *s, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text)
        glot_str_puts(s, text);
    else
        s->failed = true;
    free(text);
}

static void append_name(glot_str *s, const char *name)
{
    json_t *string = json_string(name);
    append_json(s, string);
    json_decref(string);
}

static glot_status check_metadata(const json_t *metadata, const char *path, glot_error *err)
{
    if (!metadata)
        return GLOT_OK;
    if (!json_is_object(metadata))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': the metadata to be written is not an object", path);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return GLOT_FAIL(
        err, GLOT_BAD_ARGUMENT, "'%s': metadata '%.200s' to be written is not a string", path, key);
    return GLOT_OK;
}

static glot_status check_tensor(const glot_save_tensor *t, bool has_fill, const char *path, glot_error *err)
{
    size_t bytes;
    json_t *string = json_string(t->name);
    json_decref(string);
    if (!string || strlen(t->name) > GLOT_MAX_TENSOR_NAME || strcmp(t->name, GLOT_SAFETENSORS_METADATA) == 0)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': '%.60s' cannot be the name of a tensor", path,
                         t->name);
    if (!glot_dtype_safetensors(t->tensor.dtype))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT,
                         "'%s': tensor '%s' has type %s, which safetensors cannot hold", path, t->name,
                         glot_dtype_name(t->tensor.dtype));
    if (!glot_tensor_bytes_checked(&bytes, &t->tensor))
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': tensor '%s' is larger than any file", path, t->name);
    if (!t->tensor.addr && !has_fill && bytes)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': tensor '%s' has no bytes to be written", path,
                         t->name);
    return GLOT_OK;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static glot_status check_unique(const glot_save_tensor *tensors, size_t n, const char *path, glot_error *err)
{
    const char **names;
    glot_status status = GLOT_OK;
    GLOT_TRY(glot_new(&names, n, sizeof *names, "the names of the tensors", err));
    for (size_t i = 0; i < n; i++)
        names[i] = tensors[i].name;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n && status == GLOT_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status = GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': two tensors to be written are called '%s'",
                               path, names[i]);
    glot_free(names);
    return status;
}

/* Everything that can be wrong with a list is found before a byte is written. */
static glot_status check_list(const glot_save_tensor *tensors, size_t n, const json_t *metadata,
                              bool has_fill, const char *path, glot_error *err)
{
    GLOT_TRY(check_metadata(metadata, path, err));
    for (size_t i = 0; i < n; i++)
        GLOT_TRY(check_tensor(&tensors[i], has_fill, path, err));
    return check_unique(tensors, n, path, err);
}

/* order[0 .. n) = the tensors by falling element size, each size in the list's order. */
static void order_by_size(size_t *order, const glot_save_tensor *tensors, size_t n)
{
    size_t placed = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (size_t i = 0; i < n; i++)
            if (glot_dtype_block_bytes(tensors[i].tensor.dtype) == size)
                order[placed++] = i;
    GLOT_ASSERT(placed == n);
}

static void append_entry(glot_str *header, const glot_save_tensor *t, size_t begin, size_t end)
{
    append_name(header, t->name);
    glot_str_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", glot_dtype_safetensors(t->tensor.dtype));
    for (int i = 0; i < t->tensor.n_dims; i++)
        glot_str_printf(header, "%s%" PRId64, i ? "," : "", t->tensor.shape[i]);
    glot_str_printf(header, "],\"data_offsets\":[%zu,%zu]}", begin, end);
}

/* The header's text, padded so that 8 + its length is a multiple of 64. */
static glot_status make_header(glot_str *header, const file_part *part, const size_t *order, glot_error *err)
{
    size_t begin = 0;
    glot_str_puts(header, "{");
    if (part->metadata) {
        glot_str_puts(header, "\"" GLOT_SAFETENSORS_METADATA "\":");
        append_json(header, part->metadata);
    }
    for (size_t i = 0; i < part->n; i++) {
        const glot_save_tensor *t = &part->tensors[order[i]];
        size_t end;
        if (!glot_size_add(&end, begin, glot_tensor_bytes(&t->tensor)) || end > INT64_MAX)
            return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': the tensors are larger than any file",
                             part->path);
        if (header->length > 1)
            glot_str_puts(header, ",");
        append_entry(header, t, begin, end);
        begin = end;
    }
    glot_str_puts(header, "}");
    while (!header->failed && (LENGTH_BYTES + header->length) % DATA_ALIGNMENT)
        glot_str_puts(header, " ");
    GLOT_TRY(glot_str_check(header, "the header of a safetensors file", err));
    if (header->length > MAX_HEADER_BYTES)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "'%s': a header of %zu bytes is above the limit of %d",
                         part->path, header->length, MAX_HEADER_BYTES);
    return GLOT_OK;
}

static glot_status write_filled(glot_writer *w, const file_part *part, size_t index, void *piece,
                                glot_error *err)
{
    size_t bytes = glot_tensor_bytes(&part->tensors[index].tensor);
    for (size_t offset = 0; offset < bytes;) {
        size_t n = bytes - offset < GLOT_SAVE_PIECE ? bytes - offset : GLOT_SAVE_PIECE;
        GLOT_TRY(part->fill(part->user, part->first + index, offset, n, piece, err));
        GLOT_TRY(glot_writer_write(w, piece, n, err));
        offset += n;
    }
    return GLOT_OK;
}

static glot_status write_tensor(glot_writer *w, const file_part *part, size_t index, void *piece,
                                glot_error *err)
{
    const glot_tensor *t = &part->tensors[index].tensor;
    if (t->addr)
        return glot_writer_write(w, t->addr, glot_tensor_bytes(t), err);
    return write_filled(w, part, index, piece, err);
}

static glot_status write_file(glot_writer *w, const file_part *part, const size_t *order,
                              const glot_str *header, void *piece, glot_error *err)
{
    uint64_t header_bytes = header->length;
    GLOT_TRY(glot_writer_write(w, &header_bytes, sizeof header_bytes, err));
    GLOT_TRY(glot_writer_write(w, header->data, header->length, err));
    for (size_t i = 0; i < part->n; i++)
        GLOT_TRY(write_tensor(w, part, order[i], piece, err));
    return GLOT_OK;
}

static glot_status save_part(const file_part *part, char sha256_hex[65], uint64_t *bytes, glot_error *err)
{
    glot_status status;
    size_t *order = NULL;
    void *piece = NULL;
    glot_writer *w = NULL;
    glot_str header = {0};
    GLOT_TRY_OUT(glot_new(&order, part->n, sizeof *order, "the order of the tensors", err));
    GLOT_TRY_OUT(glot_new(&piece, part->fill ? GLOT_SAVE_PIECE : 1, 1, "a piece of a tensor", err));
    order_by_size(order, part->tensors, part->n);
    GLOT_TRY_OUT(make_header(&header, part, order, err));
    GLOT_TRY_OUT(glot_writer_open(&w, part->path, err));
    GLOT_TRY_OUT(write_file(w, part, order, &header, piece, err));
    if (bytes)
        *bytes = glot_writer_bytes(w);
    if (sha256_hex)
        glot_writer_sha256(w, sha256_hex);
    status = glot_writer_commit(w, err);
    w = NULL;
out:
    glot_writer_abandon(w);
    glot_str_release(&header);
    glot_free(piece);
    glot_free(order);
    return status;
}

glot_status glot_safetensors_save(const char *path, const glot_save_tensor *tensors, size_t n,
                                  const json_t *metadata, glot_save_fill *fill, void *user,
                                  char sha256_hex[65], uint64_t *bytes, glot_error *err)
{
    GLOT_TRY(check_list(tensors, n, metadata, fill != NULL, path, err));
    file_part part = {path, tensors, n, 0, metadata, fill, user};
    return save_part(&part, sha256_hex, bytes, err);
}

/* At least what a tensor's entry adds to the header. */
static glot_status entry_cost(uint64_t *cost, const glot_save_tensor *t, glot_error *err)
{
    char shape[96];
    glot_str name = {0};
    append_name(&name, t->name);
    *cost = name.length + strlen(glot_tensor_shape_text(&t->tensor, shape)) + ENTRY_EXTRA_BYTES;
    glot_status status = glot_str_check(&name, "the name of a tensor", err);
    glot_str_release(&name);
    return status;
}

/* What a file has beside its tensors. */
static glot_status empty_file_cost(uint64_t *cost, const json_t *metadata, glot_error *err)
{
    glot_str text = {0};
    if (metadata)
        append_json(&text, metadata);
    *cost = LENGTH_BYTES + DATA_ALIGNMENT + strlen("{\"" GLOT_SAFETENSORS_METADATA "\":,}") + text.length;
    glot_status status = glot_str_check(&text, "the metadata of a safetensors file", err);
    glot_str_release(&text);
    return status;
}

glot_status glot_shard_plan_make(glot_shard_plan *plan, const glot_save_tensor *tensors, size_t n,
                                 const json_t *metadata, uint64_t shard_bytes, glot_error *err)
{
    glot_status status;
    glot_shard_plan made = {.n_shards = 1};
    uint64_t empty, cost;
    GLOT_TRY_OUT(empty_file_cost(&empty, metadata, err));
    GLOT_TRY_OUT(glot_new(&made.first, n + 2, sizeof *made.first, "the plan of the shards", err));
    uint64_t used = empty;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = glot_tensor_bytes(&tensors[i].tensor);
        GLOT_TRY_OUT(entry_cost(&cost, &tensors[i], err));
        if (bytes > max_total_bytes - made.total_bytes) {
            status = GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "the tensors to be written are larger than any disk");
            goto out;
        }
        made.total_bytes += bytes;
        cost += bytes;
        bool is_full = cost > shard_bytes || used > shard_bytes - cost;
        if (is_full && i > made.first[made.n_shards - 1]) {
            made.first[made.n_shards++] = i;
            used = empty;
        }
        used += cost;
    }
    made.first[made.n_shards] = n;
    *plan = made;
    made.first = NULL;
out:
    glot_free(made.first);
    return status;
}

static void shard_name(char name[64], size_t shard, size_t n_shards)
{
    if (n_shards == 1)
        snprintf(name, 64, "%s", GLOT_SAFETENSORS_NAME);
    else
        snprintf(name, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, n_shards);
}

/* Fails where DIR/NAME is there. */
static glot_status refuse_existing(const char *dir, const char *name, const char *instead_of, glot_error *err)
{
    char *path = glot_path_join(dir, name);
    glot_status status = GLOT_OK;
    if (!path)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path of '%s'", name);
    else if (glot_path_exists(path))
        status = GLOT_FAIL(err, GLOT_EXISTS,
                           "'%s' is in the way: readers would take it for the model instead of '%s'", path,
                           instead_of);
    glot_free(path);
    return status;
}

static glot_status save_shard(const char *dir, const file_part *part, size_t shard, size_t n_shards,
                              glot_error *err)
{
    char name[64];
    shard_name(name, shard, n_shards);
    char *path = glot_path_join(dir, name);
    if (!path)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path of '%s'", name);
    file_part file = *part;
    file.path = path;
    glot_status status = save_part(&file, NULL, NULL, err);
    glot_free(path);
    return status;
}

/* {"metadata": {"total_size": N}, "weight_map": {TENSOR: FILE, ...}}, keys sorted; NULL where memory ends. */
static char *index_text(const glot_save_tensor *tensors, const glot_shard_plan *plan)
{
    json_t *weight_map = json_object();
    bool failed = false;
    for (size_t shard = 0; shard < plan->n_shards; shard++) {
        char name[64];
        shard_name(name, shard, plan->n_shards);
        for (size_t i = plan->first[shard]; i < plan->first[shard + 1]; i++)
            failed |= json_object_set_new(weight_map, tensors[i].name, json_string(name)) != 0;
    }
    json_t *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)plan->total_bytes,
                              "weight_map", weight_map);
    char *text = failed ? NULL : json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(index);
    return text;
}

static glot_status save_index(const char *dir, const glot_save_tensor *tensors, const glot_shard_plan *plan,
                              glot_error *err)
{
    glot_str text = {0};
    char *json = index_text(tensors, plan);
    char *path = glot_path_join(dir, GLOT_SAFETENSORS_INDEX_NAME);
    glot_status status;
    if (json && path) {
        glot_str_printf(&text, "%s\n", json);
        status = glot_str_check(&text, "the index of the shards", err);
        if (status == GLOT_OK)
            status = glot_file_write(path, text.data, text.length, err);
    } else {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the index of the shards in '%s'", dir);
    }
    glot_str_release(&text);
    glot_free(path);
    free(json);
    return status;
}

static glot_status save_shards(const char *dir, const file_part *all, const glot_shard_plan *plan,
                               glot_error *err)
{
    const char *other = plan->n_shards == 1 ? GLOT_SAFETENSORS_INDEX_NAME : GLOT_SAFETENSORS_NAME;
    const char *own = plan->n_shards == 1 ? GLOT_SAFETENSORS_NAME : GLOT_SAFETENSORS_INDEX_NAME;
    GLOT_TRY(refuse_existing(dir, other, own, err));
    for (size_t shard = 0; shard < plan->n_shards; shard++) {
        file_part part = *all;
        part.first = plan->first[shard];
        part.tensors = all->tensors + part.first;
        part.n = plan->first[shard + 1] - part.first;
        GLOT_TRY(save_shard(dir, &part, shard, plan->n_shards, err));
    }
    return plan->n_shards == 1 ? GLOT_OK : save_index(dir, all->tensors, plan, err);
}

glot_status glot_safetensors_save_dir(const char *dir, const glot_save_tensor *tensors, size_t n,
                                      const json_t *metadata, uint64_t shard_bytes, glot_save_fill *fill,
                                      void *user, glot_error *err)
{
    glot_shard_plan plan = {0};
    GLOT_TRY(check_list(tensors, n, metadata, fill != NULL, dir, err));
    GLOT_TRY(glot_shard_plan_make(&plan, tensors, n, metadata, shard_bytes, err));
    file_part all = {dir, tensors, n, 0, metadata, fill, user};
    glot_status status = save_shards(dir, &all, &plan, err);
    glot_free(plan.first);
    return status;
}
