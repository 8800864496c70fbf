/* safetensors.c
 *
 * Reading one file: header length, JSON header, data.
 *
 *     | n: u64 | header: n bytes of JSON, padded with spaces | data |
 *
 * The header is an object: tensor name -> {"dtype", "shape", "data_offsets": [begin, end] in the data}, and
 * optionally "__metadata__", an object of strings. The tensors must cover the data without gap or overlap, so
 * no byte of a file can hide.
 */
#include "format/safetensors_file.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* The limit of the reference implementation. */
static const uint64_t max_header_bytes = 100000000;

/* Where a tensor of the header says it lies. */
typedef struct span {
    const char *name; /* the JSON object's */
    glot_tensor tensor;
    size_t begin, end; /* bytes in the data */
    size_t position;   /* in the header */
} span;

/* The parts of a file. */
typedef struct layout {
    const char *path;
    const uint8_t *data;
    size_t data_bytes;
    json_t *header;
} layout;

static glot_status read_header(layout *l, const uint8_t *bytes, size_t size, const char *path,
                               glot_error *err)
{
    uint64_t header_bytes;
    if (size < sizeof header_bytes)
        return GLOT_FAIL(
            err, GLOT_BAD_FORMAT,
            "'%s': a safetensors file starts with the 8 bytes of its header's length, found %zu bytes", path,
            size);
    memcpy(&header_bytes, bytes, sizeof header_bytes);
    if (header_bytes > max_header_bytes)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': header length %" PRIu64 " is above the limit of %" PRIu64 " bytes", path,
                         header_bytes, max_header_bytes);
    size_t rest = size - sizeof header_bytes;
    if (header_bytes > rest)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': header length is %" PRIu64 " but only %zu bytes follow it", path,
                         header_bytes, rest);
    const char *text = (const char *)bytes + sizeof header_bytes;
    if (header_bytes == 0 || text[0] != '{')
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the header does not start with '{'", path);
    l->path = path;
    l->data = bytes + sizeof header_bytes + header_bytes;
    l->data_bytes = rest - header_bytes;
    return glot_json_load(&l->header, text, header_bytes, path, err);
}

static glot_status read_metadata(json_t **out, const layout *l, glot_error *err)
{
    json_t *metadata = json_object_get(l->header, GLOT_SAFETENSORS_METADATA);
    if (!metadata)
        return GLOT_OK;
    if (!json_is_object(metadata))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': __metadata__ is not an object", l->path);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) if (!json_is_string(value)) return GLOT_FAIL(
        err, GLOT_BAD_FORMAT, "'%s': __metadata__ value of '%.200s' is not a string", l->path, key);
    *out = json_incref(metadata);
    return GLOT_OK;
}

static glot_status read_dtype(span *sp, const json_t *entry, const layout *l, glot_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' has no dtype string", l->path, sp->name);
    if (glot_dtype_from_safetensors(&sp->tensor.dtype, name))
        return GLOT_OK;
    glot_str known = {0};
    for (int i = 0; i < GLOT_N_DTYPES; i++) {
        const char *one = glot_dtype_safetensors((glot_dtype)i);
        if (one)
            glot_str_printf(&known, "%s%s", known.length ? ", " : "", one);
    }
    glot_status status = GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': dtype '%.40s' of tensor '%s' is none of %s",
                                   l->path, name, sp->name, known.data ? known.data : "the known ones");
    glot_str_release(&known);
    return status;
}

static glot_status read_shape(span *sp, const json_t *entry, const layout *l, glot_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' has no shape array", l->path, sp->name);
    size_t n_dims = json_array_size(shape);
    if (n_dims > GLOT_MAX_DIMS)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s': tensor '%s' has %zu dimensions, at most %d are expected", l->path, sp->name,
                         n_dims, GLOT_MAX_DIMS);
    sp->tensor.n_dims = (int)n_dims;
    for (size_t i = 0; i < n_dims; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': dimension %zu of tensor '%s' is not a count",
                             l->path, i, sp->name);
        sp->tensor.shape[i] = json_integer_value(dim);
    }
    return GLOT_OK;
}

static glot_status read_offsets(span *sp, const json_t *entry, const layout *l, glot_error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < 0)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': data_offsets of tensor '%s' are not two counts",
                         l->path, sp->name);
    sp->begin = (size_t)json_integer_value(begin);
    sp->end = (size_t)json_integer_value(end);
    if (sp->begin > sp->end)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': data_offsets [%zu, %zu] of tensor '%s' run backwards",
                         l->path, sp->begin, sp->end, sp->name);
    if (sp->end > l->data_bytes)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': tensor '%s' ends at byte %zu of the data but the file has %zu", l->path,
                         sp->name, sp->end, l->data_bytes);
    return GLOT_OK;
}

static glot_status check_size(const span *sp, const layout *l, glot_error *err)
{
    char shape[96];
    const char *dtype = glot_dtype_safetensors(sp->tensor.dtype);
    size_t bytes;
    glot_tensor_shape_text(&sp->tensor, shape);
    if (!glot_tensor_bytes_checked(&bytes, &sp->tensor))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' of %s %s is larger than any file", l->path,
                         sp->name, dtype, shape);
    if (bytes != sp->end - sp->begin)
        return GLOT_FAIL(
            err, GLOT_BAD_FORMAT,
            "'%s': tensor '%s' of %s %s takes %zu bytes but its data_offsets [%zu, %zu] hold %zu", l->path,
            sp->name, dtype, shape, bytes, sp->begin, sp->end, sp->end - sp->begin);
    return GLOT_OK;
}

static glot_status read_span(span *sp, const json_t *entry, const layout *l, glot_error *err)
{
    if (strlen(sp->name) > GLOT_MAX_TENSOR_NAME)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': tensor name '%.60s...' has %zu bytes, at most %d are expected", l->path,
                         sp->name, strlen(sp->name), GLOT_MAX_TENSOR_NAME);
    if (!json_is_object(entry))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': entry of tensor '%s' is not an object", l->path,
                         sp->name);
    GLOT_TRY(read_dtype(sp, entry, l, err));
    GLOT_TRY(read_shape(sp, entry, l, err));
    GLOT_TRY(read_offsets(sp, entry, l, err));
    GLOT_TRY(check_size(sp, l, err));
    sp->tensor.addr = (void *)(l->data + sp->begin);
    return GLOT_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->position < y->position ? -1 : 1;
}

/* Spans sorted by place: they must cover the data exactly. */
static glot_status check_cover(const span *spans, size_t n, const layout *l, glot_error *err)
{
    size_t covered = 0;
    for (size_t i = 0; i < n; i++) {
        const span *sp = &spans[i];
        if (sp->begin < covered)
            return GLOT_FAIL(
                err, GLOT_BAD_FORMAT,
                "'%s': tensor '%s' starts at byte %zu of the data, inside tensor '%s' that ends at %zu",
                l->path, sp->name, sp->begin, spans[i - 1].name, covered);
        if (sp->begin > covered)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': bytes %zu to %zu of the data, before tensor '%s', belong to no tensor",
                             l->path, covered, sp->begin, sp->name);
        covered = sp->end;
    }
    if (covered != l->data_bytes)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': bytes %zu to %zu at the end of the data belong to no tensor", l->path,
                         covered, l->data_bytes);
    return GLOT_OK;
}

static glot_status read_spans(span *spans, size_t *n_spans, const layout *l, glot_error *err)
{
    size_t n = 0;
    const char *name;
    json_t *entry;
    json_object_foreach(l->header, name, entry)
    {
        if (strcmp(name, GLOT_SAFETENSORS_METADATA) == 0)
            continue;
        spans[n] = (span){.name = name, .position = n};
        GLOT_TRY(read_span(&spans[n], entry, l, err));
        n++;
    }
    qsort(spans, n, sizeof *spans, compare_spans);
    *n_spans = n;
    return check_cover(spans, n, l, err);
}

/* A tensor at an address that its elements may not have gets memory of its own. */
static glot_status align_tensor(glot_safetensors *s, glot_tensor *t, glot_error *err)
{
    size_t bytes = glot_tensor_bytes(t);
    if (bytes == 0 || (uintptr_t)t->addr % glot_dtype_block_bytes(t->dtype) == 0)
        return GLOT_OK;
    GLOT_TRY(glot_grow(&s->copies, &s->copies_capacity, s->n_copies + 1, sizeof *s->copies,
                       "tensors that are not aligned", err));
    void *copy;
    GLOT_TRY(glot_new(&copy, bytes, 1, "a tensor that is not aligned in its file", err));
    memcpy(copy, t->addr, bytes);
    s->copies[s->n_copies++] = copy;
    t->addr = copy;
    return GLOT_OK;
}

/* Parses a file's bytes into a new shard of s; `map` is taken over, success or not. */
static glot_status add_bytes(glot_safetensors *s, const uint8_t *bytes, size_t size, glot_map map,
                             const char *path, glot_error *err)
{
    glot_status status;
    layout l = {0};
    span *spans = NULL;
    size_t n_spans = 0;
    GLOT_TRY_OUT(glot_grow(&s->shards, &s->shards_capacity, s->n_shards + 1, sizeof *s->shards,
                           "the files of a model", err));
    glot_safetensors_shard *shard = &s->shards[s->n_shards++];
    *shard = (glot_safetensors_shard){.map = map};
    map = (glot_map){0};
    shard->path = glot_strdup(path);
    if (!shard->path) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path '%s'", path);
        goto out;
    }
    GLOT_TRY_OUT(read_header(&l, bytes, size, shard->path, err));
    GLOT_TRY_OUT(read_metadata(&shard->metadata, &l, err));
    GLOT_TRY_OUT(glot_new(&spans, json_object_size(l.header), sizeof *spans, "the header's tensors", err));
    GLOT_TRY_OUT(read_spans(spans, &n_spans, &l, err));
    for (size_t i = 0; i < n_spans; i++) {
        GLOT_TRY_OUT(align_tensor(s, &spans[i].tensor, err));
        GLOT_TRY_OUT(glot_stored_add(&s->table, spans[i].name, strlen(spans[i].name), &spans[i].tensor,
                                     shard->path, err));
    }
out:
    glot_map_close(&map);
    glot_free(spans);
    json_decref(l.header);
    return status;
}

glot_status glot_safetensors_add_file(glot_safetensors *s, const char *path, glot_error *err)
{
    glot_map map = {0};
    GLOT_TRY(glot_map_open(&map, path, err));
    return add_bytes(s, map.data, map.size, map, path, err);
}

glot_status glot_safetensors_open(glot_safetensors **out, const char *path, glot_error *err)
{
    glot_status status;
    glot_safetensors *s = NULL;
    GLOT_TRY_OUT(glot_new(&s, 1, sizeof *s, "a safetensors file", err));
    GLOT_TRY_OUT(glot_safetensors_add_file(s, path, err));
    GLOT_TRY_OUT(glot_stored_index(&s->table, err));
    *out = s;
    s = NULL;
out:
    glot_safetensors_close(s);
    return status;
}

glot_status glot_safetensors_parse(glot_safetensors **out, const uint8_t *bytes, size_t size,
                                   const char *path, glot_error *err)
{
    glot_status status;
    glot_safetensors *s = NULL;
    GLOT_TRY_OUT(glot_new(&s, 1, sizeof *s, "a safetensors file", err));
    GLOT_TRY_OUT(add_bytes(s, bytes, size, (glot_map){0}, path, err));
    GLOT_TRY_OUT(glot_stored_index(&s->table, err));
    *out = s;
    s = NULL;
out:
    glot_safetensors_close(s);
    return status;
}

void glot_safetensors_close(glot_safetensors *s)
{
    if (!s)
        return;
    glot_stored_release(&s->table);
    for (size_t i = 0; i < s->n_shards; i++) {
        glot_map_close(&s->shards[i].map);
        json_decref(s->shards[i].metadata);
        glot_free(s->shards[i].path);
    }
    for (size_t i = 0; i < s->n_copies; i++)
        glot_free(s->copies[i]);
    glot_free(s->shards);
    glot_free(s->copies);
    glot_free(s);
}

size_t glot_safetensors_count(const glot_safetensors *s)
{
    return s->table.n;
}

const glot_stored_tensor *glot_safetensors_at(const glot_safetensors *s, size_t i)
{
    GLOT_ASSERT(i < s->table.n);
    return &s->table.items[i];
}

const glot_stored_tensor *glot_safetensors_find(const glot_safetensors *s, const char *name)
{
    return glot_stored_find(&s->table, name);
}

const char *glot_safetensors_metadata(const glot_safetensors *s, const char *key)
{
    for (size_t i = 0; i < s->n_shards; i++) {
        const json_t *value = json_object_get(s->shards[i].metadata, key);
        if (value)
            return json_string_value(value);
    }
    return NULL;
}
