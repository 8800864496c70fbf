/* gguf.c
 *
 * Opening a GGUF file:
 *
 *     "GGUF" | version: u32 | n_tensors: u64 | n_keys: u64 | key-values | tensor infos | padding | data
 *     a tensor info: name: string | n_dims: u32 | n_dims x u64, fastest first | type: u32 | offset in the
 * data: u64
 *
 * The data and every tensor start at a multiple of `general.alignment` (32 where that key is missing).
 */
#include "format/gguf_file.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_ALIGNMENT = 32,
    MIN_INFO_BYTES = 25 /* length, one byte of name, number of dimensions, type, offset */
};

static const char magic[4] = "GGUF";

/* Types of ggml that have no reader here, for the sentence that refuses them. */
static const char *unsupported_type(uint32_t type)
{
    static const char *const names[] = {
        [9] = "Q8_1",     [10] = "Q2_K",  [11] = "Q3_K",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS",
        [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S", [22] = "IQ2_S",   [23] = "IQ4_XS",
        [24] = "I8",      [25] = "I16",   [29] = "IQ1_M",  [34] = "TQ1_0", [35] = "TQ2_0",   [39] = "MXFP4",
    };
    return type < sizeof names / sizeof names[0] && names[type] ? names[type] : "unknown";
}

static glot_status read_dims(glot_tensor *t, glot_gguf_cursor *c, glot_error *err)
{
    uint32_t n_dims = 0;
    GLOT_TRY(glot_gguf_u32(&n_dims, c, err));
    if (n_dims > GLOT_MAX_DIMS)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': %s has %" PRIu32 " dimensions, at most %d are expected",
                         c->path, c->place, n_dims, GLOT_MAX_DIMS);
    t->n_dims = (int)n_dims;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t dim = 0;
        GLOT_TRY(glot_gguf_u64(&dim, c, err));
        if (dim > INT64_MAX)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': %s has a dimension of %" PRIu64 ", which is larger than any file",
                             c->path, c->place, dim);
        t->shape[n_dims - 1 - i] = (int64_t)dim;
    }
    return GLOT_OK;
}

static glot_status read_dtype(glot_tensor *t, glot_gguf_cursor *c, glot_error *err)
{
    uint32_t type = 0;
    GLOT_TRY(glot_gguf_u32(&type, c, err));
    if (!glot_dtype_from_gguf(&t->dtype, type))
        return GLOT_FAIL(err, GLOT_UNSUPPORTED, "'%s': %s has type %" PRIu32 " (%s), which is not supported",
                         c->path, c->place, type, unsupported_type(type));
    size_t block = glot_dtype_block_elements(t->dtype);
    int64_t row = t->n_dims ? t->shape[t->n_dims - 1] : 1;
    if ((size_t)row % block)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': %s has rows of %" PRId64 " elements, expected whole %s blocks of %zu",
                         c->path, c->place, row, glot_dtype_name(t->dtype), block);
    return GLOT_OK;
}

static glot_status read_info(glot_gguf *g, uint64_t *offset, glot_gguf_cursor *c, glot_error *err)
{
    const uint8_t *name = NULL;
    size_t length = 0, bytes;
    glot_tensor t = {0};
    glot_gguf_place(c, "tensor info %zu", g->table.n);
    GLOT_TRY(glot_gguf_name(&name, &length, c, GLOT_MAX_TENSOR_NAME, err));
    glot_gguf_place(c, "tensor '%.*s'", (int)(length < 200 ? length : 200), (const char *)name);
    GLOT_TRY(read_dims(&t, c, err));
    GLOT_TRY(read_dtype(&t, c, err));
    GLOT_TRY(glot_gguf_u64(offset, c, err));
    if (!glot_tensor_bytes_checked(&bytes, &t)) {
        char shape[96];
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': %s of %s %s is larger than any file", c->path, c->place,
                         glot_dtype_name(t.dtype), glot_tensor_shape_text(&t, shape));
    }
    return glot_stored_add(&g->table, (const char *)name, length, &t, g->path, err);
}

static glot_status read_alignment(size_t *alignment, const glot_gguf *g, glot_error *err)
{
    int64_t value = DEFAULT_ALIGNMENT;
    if (glot_gguf_has(g, "general.alignment"))
        GLOT_TRY(glot_gguf_int(g, "general.alignment", &value, err));
    if (value < 8 || value > UINT32_MAX || (value & (value - 1)))
        return GLOT_FAIL(err, GLOT_BAD_VALUE,
                         "'%s': general.alignment is %" PRId64 ", expected a power of two from 8 up", g->path,
                         value);
    *alignment = (size_t)value;
    return GLOT_OK;
}

static size_t pad_bytes(size_t at, size_t alignment)
{
    return (alignment - at % alignment) % alignment;
}

/* Points every tensor into the data, which starts at the first multiple of the alignment from c->at on. */
static glot_status place_tensors(glot_gguf *g, const uint64_t *offsets, const glot_gguf_cursor *c,
                                 size_t alignment, glot_error *err)
{
    size_t start,
        expected = 0; /* start <= size + alignment, and expected <= size - start + alignment: no overflow */
    start = c->at + pad_bytes(c->at, alignment);
    for (size_t i = 0; i < g->table.n; i++) {
        glot_stored_tensor *t = &g->table.items[i];
        size_t bytes = glot_tensor_bytes(&t->tensor);
        if (offsets[i] != expected)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': tensor '%s' starts at byte %" PRIu64 " of the data, expected %zu",
                             c->path, t->name, offsets[i], expected);
        size_t left = c->size < start ? 0 : c->size - start;
        left = left < expected ? 0 : left - expected;
        if (bytes > left)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': tensor '%s' has %zu bytes from byte %zu on but the file has %zu bytes",
                             c->path, t->name, bytes, start + expected, c->size);
        t->tensor.addr = bytes ? (void *)(c->bytes + start + expected) : (void *)c->bytes;
        expected += bytes + pad_bytes(bytes, alignment);
    }
    return GLOT_OK;
}

static glot_status read_tensors(glot_gguf *g, glot_gguf_cursor *c, uint64_t n_tensors, glot_error *err)
{
    glot_status status;
    size_t alignment = DEFAULT_ALIGNMENT;
    uint64_t *offsets = NULL;
    if (n_tensors > (c->size - c->at) / MIN_INFO_BYTES)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': %" PRIu64 " tensors are announced, but only %zu bytes follow the metadata",
                         c->path, n_tensors, c->size - c->at);
    GLOT_TRY_OUT(read_alignment(&alignment, g, err));
    GLOT_TRY_OUT(glot_new(&offsets, n_tensors, sizeof *offsets, "the offsets of tensors", err));
    for (size_t i = 0; i < n_tensors; i++)
        GLOT_TRY_OUT(read_info(g, &offsets[i], c, err));
    GLOT_TRY_OUT(place_tensors(g, offsets, c, alignment, err));
    status = glot_stored_index(&g->table, err);
out:
    glot_free(offsets);
    return status;
}

static glot_status check_version(uint32_t version, const char *path, glot_error *err)
{
    if (version == 2 || version == 3)
        return GLOT_OK;
    if (version && (version & 0xffff) == 0)
        return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                         "'%s' is a big-endian GGUF file, expected a little-endian one", path);
    return GLOT_FAIL(err, GLOT_BAD_VERSION, "'%s' is GGUF version %" PRIu32 ", expected 2 or 3", path,
                     version);
}

static glot_status read_file(glot_gguf *g, glot_gguf_cursor *c, glot_error *err)
{
    uint32_t version = 0;
    uint64_t n_tensors = 0, n_keys = 0;
    const uint8_t *start;
    if (c->size < sizeof magic || memcmp(c->bytes, magic, sizeof magic) != 0)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' does not start with 'GGUF'", c->path);
    GLOT_TRY(glot_gguf_take(&start, c, sizeof magic, err));
    glot_gguf_place(c, "the version");
    GLOT_TRY(glot_gguf_u32(&version, c, err));
    GLOT_TRY(check_version(version, c->path, err));
    glot_gguf_place(c, "the number of tensors");
    GLOT_TRY(glot_gguf_u64(&n_tensors, c, err));
    glot_gguf_place(c, "the number of keys");
    GLOT_TRY(glot_gguf_u64(&n_keys, c, err));
    GLOT_TRY(glot_gguf_read_metadata(g, c, n_keys, err));
    return read_tensors(g, c, n_tensors, err);
}

/* Takes the map over, success or not. */
static glot_status open_bytes(glot_gguf **out, const uint8_t *bytes, size_t size, glot_map map,
                              const char *path, glot_error *err)
{
    glot_status status;
    glot_gguf *g = NULL;
    GLOT_TRY_OUT(glot_new(&g, 1, sizeof *g, "a GGUF file", err));
    g->map = map;
    map = (glot_map){0};
    g->path = glot_strdup(path);
    if (!g->path) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the path '%s'", path);
        goto out;
    }
    glot_gguf_cursor c = {.bytes = bytes, .size = size, .path = g->path};
    GLOT_TRY_OUT(read_file(g, &c, err));
    *out = g;
    g = NULL;
out:
    glot_map_close(&map);
    glot_gguf_close(g);
    return status;
}

glot_status glot_gguf_open(glot_gguf **out, const char *path, glot_error *err)
{
    glot_map map = {0};
    GLOT_TRY(glot_map_open(&map, path, err));
    return open_bytes(out, map.data, map.size, map, path, err);
}

glot_status glot_gguf_parse(glot_gguf **out, const uint8_t *bytes, size_t size, const char *path,
                            glot_error *err)
{
    return open_bytes(out, bytes, size, (glot_map){0}, path, err);
}

void glot_gguf_forget(const glot_gguf *g)
{
    glot_map_forget(&g->map);
}

void glot_gguf_close(glot_gguf *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n_values; i++)
        glot_gguf_value_release(&g->values[i]);
    glot_free(g->values);
    glot_free(g->by_key);
    glot_stored_release(&g->table);
    glot_map_close(&g->map);
    glot_free(g->path);
    glot_free(g);
}

bool glot_gguf_is_file(const char *path)
{
    char start[sizeof magic];
    FILE *file = fopen(path, "rbe");
    if (!file)
        return false;
    bool is_gguf = fread(start, sizeof start, 1, file) == 1 && memcmp(start, magic, sizeof magic) == 0;
    fclose(file);
    return is_gguf;
}

size_t glot_gguf_count(const glot_gguf *g)
{
    return g->table.n;
}

const glot_stored_tensor *glot_gguf_at(const glot_gguf *g, size_t i)
{
    GLOT_ASSERT(i < g->table.n);
    return &g->table.items[i];
}

const glot_stored_tensor *glot_gguf_find(const glot_gguf *g, const char *name)
{
    return glot_stored_find(&g->table, name);
}

const char *glot_gguf_path(const glot_gguf *g)
{
    return g->path;
}
