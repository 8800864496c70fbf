/* gguf_cursor.c: a position in a GGUF file that never leaves it. */
#include "format/gguf_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void glot_gguf_place(glot_gguf_cursor *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->place, sizeof c->place, format, args);
    va_end(args);
}

glot_status glot_gguf_take(const uint8_t **out, glot_gguf_cursor *c, size_t n, glot_error *err)
{
    size_t left = c->size - c->at;
    if (n > left)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                         "'%s': the file ends at byte %zu, but %s has %zu more bytes at byte %zu", c->path,
                         c->size, c->place, n, c->at);
    *out = c->bytes + c->at;
    c->at += n;
    return GLOT_OK;
}

glot_status glot_gguf_u32(uint32_t *out, glot_gguf_cursor *c, glot_error *err)
{
    const uint8_t *bytes = NULL;
    GLOT_TRY(glot_gguf_take(&bytes, c, sizeof *out, err));
    memcpy(out, bytes, sizeof *out);
    return GLOT_OK;
}

glot_status glot_gguf_u64(uint64_t *out, glot_gguf_cursor *c, glot_error *err)
{
    const uint8_t *bytes = NULL;
    GLOT_TRY(glot_gguf_take(&bytes, c, sizeof *out, err));
    memcpy(out, bytes, sizeof *out);
    return GLOT_OK;
}

glot_status glot_gguf_text(const uint8_t **out, size_t *length, glot_gguf_cursor *c, glot_error *err)
{
    uint64_t n = 0;
    GLOT_TRY(glot_gguf_u64(&n, c, err));
    GLOT_TRY(glot_gguf_take(out, c, n, err));
    if (memchr(*out, '\0', n))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': a string of %s has a zero byte in it", c->path,
                         c->place);
    *length = n;
    return GLOT_OK;
}

glot_status glot_gguf_name(const uint8_t **out, size_t *length, glot_gguf_cursor *c, size_t limit,
                           glot_error *err)
{
    GLOT_TRY(glot_gguf_text(out, length, c, err));
    if (*length == 0 || *length > limit)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': the name of %s has %zu bytes, expected 1 to %zu",
                         c->path, c->place, *length, limit);
    for (size_t i = 0; i < *length; i++)
        if ((*out)[i] < 0x20 || (*out)[i] > 0x7e)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                             "'%s': the name of %s has byte 0x%02x at %zu, expected printable ASCII", c->path,
                             c->place, (*out)[i], i);
    return GLOT_OK;
}
