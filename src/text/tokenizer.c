/* tokenizer.c: opening, and what a tokenizer says about itself. */
#include "text/tokenizer.h"
#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer_impl.h"

#include <string.h>
#include <zlib.h>

enum { MAX_FILE_BYTES = 1 << 30 };

static void *zlib_take(void *user, unsigned count, unsigned size)
{
    (void)user;
    return glot_calloc(count, size);
}

static void zlib_give(void *user, void *memory)
{
    (void)user;
    glot_free(memory);
}

/* Inflates into memory that grows; the caller frees *out. */
static glot_status inflate_all(z_stream *z, char **out, size_t *out_size, const char *path, glot_error *err)
{
    size_t capacity = 0, size = 0;
    for (;;) {
        GLOT_TRY(glot_grow(out, &capacity, size + 65536, 1, "a tokenizer", err));
        z->next_out = (Bytef *)*out + size;
        z->avail_out = (uInt)(capacity - size);
        int code = inflate(z, Z_NO_FLUSH);
        size = capacity - z->avail_out;
        if (code == Z_STREAM_END)
            break;
        if (size > MAX_FILE_BYTES)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' unpacks to more than %d bytes", path,
                             MAX_FILE_BYTES);
        if (code == Z_MEM_ERROR)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory to unpack '%s'", path);
        if (code != Z_OK)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is not whole gzip: %s after %lu bytes", path,
                             z->msg ? z->msg : "it ends", z->total_in);
    }
    *out_size = size;
    return GLOT_OK;
}

/* Replaces gzip by what is packed in it. */
static glot_status unpack(char **data, size_t *size, const char *path, glot_error *err)
{
    if (*size < 2 || (unsigned char)(*data)[0] != 0x1F || (unsigned char)(*data)[1] != 0x8B)
        return GLOT_OK;
    z_stream z = {.zalloc = zlib_take, .zfree = zlib_give};
    z.next_in = (Bytef *)*data;
    z.avail_in = (uInt)*size;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory to unpack '%s'", path);
    char *unpacked = NULL;
    glot_status status = inflate_all(&z, &unpacked, size, path, err);
    inflateEnd(&z);
    if (status != GLOT_OK) {
        glot_free(unpacked);
        return status;
    }
    glot_free(*data);
    *data = unpacked;
    return GLOT_OK;
}

glot_status glot_tokenizer_open(glot_tokenizer **out, const char *path, glot_error *err)
{
    char *data = NULL;
    size_t size = 0;
    GLOT_TRY(glot_file_read(&data, &size, path, MAX_FILE_BYTES, err));
    glot_status status = unpack(&data, &size, path, err);
    if (status == GLOT_OK)
        status = glot_tokenizer_parse(out, data, size, path, err);
    glot_free(data);
    return status;
}

static glot_status open_gguf(glot_tokenizer **out, const char *path, glot_error *err)
{
    glot_gguf *gguf;
    GLOT_TRY(glot_gguf_open(&gguf, path, err));
    glot_status status = glot_tokenizer_from_gguf(out, gguf, err);
    glot_gguf_close(gguf);
    return status;
}

static glot_status open_directory(glot_tokenizer **out, const char *directory, glot_error *err)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.json.gz"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = glot_path_join(directory, names[i]);
        if (!path)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path in '%s'", directory);
        bool exists = glot_path_exists(path);
        glot_status status = exists ? glot_tokenizer_open(out, path, err) : GLOT_OK;
        glot_free(path);
        if (exists)
            return status;
    }
    return GLOT_FAIL(err, GLOT_NOT_FOUND, "'%s' holds no tokenizer.json", directory);
}

glot_status glot_tokenizer_open_model(glot_tokenizer **out, const char *model_path, glot_error *err)
{
    if (glot_path_is_dir(model_path))
        return open_directory(out, model_path, err);
    if (glot_gguf_is_file(model_path))
        return open_gguf(out, model_path, err);
    return glot_tokenizer_open(out, model_path, err);
}

int32_t glot_tokenizer_size(const glot_tokenizer *t)
{
    return (int32_t)t->vocabulary.size;
}

int32_t glot_tokenizer_id(const glot_tokenizer *t, const char *token)
{
    return glot_vocabulary_find(&t->vocabulary, token, strlen(token));
}

const char *glot_tokenizer_token(const glot_tokenizer *t, int32_t id)
{
    return glot_vocabulary_text(&t->vocabulary, id, NULL);
}

bool glot_tokenizer_is_special(const glot_tokenizer *t, int32_t id)
{
    if (id < 0 || (size_t)id >= t->vocabulary.size || !t->vocabulary.entries[id].added)
        return false;
    return t->added[t->vocabulary.entries[id].added - 1].special;
}

int32_t glot_tokenizer_bos(const glot_tokenizer *t)
{
    return t->bos;
}

int32_t glot_tokenizer_eos(const glot_tokenizer *t)
{
    return t->eos;
}

bool glot_tokenizer_adds_bos(const glot_tokenizer *t)
{
    return t->adds_bos;
}

const char *glot_tokenizer_hash(const glot_tokenizer *t)
{
    return t->hash;
}
