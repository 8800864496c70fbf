/* stream.c: raw, gzip and zstd bytes behind one read function.
 *
 * A gzip file is any number of members, a zstd file any number of frames, one after the other. A file that
 * ends inside one is truncated, never silently shorter. Zero bytes behind the last gzip member are padding,
 * as gzip itself takes them. */
#include "text/stream.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { INPUT_BYTES = 128 * 1024 }; /* a zstd block and more; larger reads gain nothing */

typedef enum stream_kind { STREAM_RAW, STREAM_GZIP, STREAM_ZSTD } stream_kind;

struct glot_stream {
    int file;       /* -1: none yet */
    bool is_stdin;  /* not ours to close */
    bool is_at_end; /* of the file: what is left is in `input` */
    stream_kind kind;
    bool is_inside; /* of a member or frame that has not ended */
    uint8_t *input; /* [INPUT_BYTES], bytes begin .. end are still to be used */
    size_t begin, end;
    uint64_t file_offset; /* of input[end] in the file */
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

static uint64_t byte_of_file(const glot_stream *s)
{
    return s->file_offset - (s->end - s->begin);
}

/* Reads once more behind what is there; input must be empty or begin at 0. */
static glot_status fill_input(glot_stream *s, glot_error *err)
{
    if (s->begin == s->end)
        s->begin = s->end = 0;
    ssize_t got;
    do
        got = read(s->file, s->input + s->end, INPUT_BYTES - s->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return GLOT_FAIL(err, GLOT_IO, "cannot read at byte %" PRIu64 ": %s", s->file_offset,
                         strerror(errno));
    s->is_at_end = got == 0;
    s->end += (size_t)got;
    s->file_offset += (uint64_t)got;
    return GLOT_OK;
}

static bool begins_with(const glot_stream *s, const char *magic, size_t n)
{
    return s->end - s->begin >= n && memcmp(s->input + s->begin, magic, n) == 0;
}

static bool begins_with_zstd(const glot_stream *s)
{
    /* A frame, or a skippable frame (0x184D2A50 to 5F) in front of one. */
    bool is_skippable =
        s->end >= 4 && (s->input[0] & 0xF0) == 0x50 && memcmp(s->input + 1, "\x2A\x4D\x18", 3) == 0;
    return begins_with(s, "\x28\xB5\x2F\xFD", 4) || is_skippable;
}

static voidpf gzip_alloc(voidpf user, uInt count, uInt size)
{
    (void)user;
    return glot_calloc(count, size);
}

static void gzip_free(voidpf user, voidpf memory)
{
    (void)user;
    glot_free(memory);
}

static glot_status choose_kind(glot_stream *s, glot_error *err)
{
    while (!s->is_at_end && s->end < 4)
        GLOT_TRY(fill_input(s, err));
    if (begins_with(s, "\x1F\x8B", 2)) {
        s->gzip.zalloc = gzip_alloc;
        s->gzip.zfree = gzip_free;
        if (inflateInit2(&s->gzip, 15 + 16) != Z_OK)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for reading gzip");
        s->kind = STREAM_GZIP;
        s->is_inside = true;
    } else if (begins_with_zstd(s)) {
        s->zstd = ZSTD_createDCtx();
        if (!s->zstd)
            return GLOT_FAIL(err, GLOT_NOMEM, "no memory for reading zstd");
        s->kind = STREAM_ZSTD;
        s->is_inside = true;
    }
    return GLOT_OK;
}

static glot_status open_file(glot_stream *s, const char *path, glot_error *err)
{
    struct stat info;
    s->is_stdin = strcmp(path, "-") == 0;
    s->file = s->is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->file < 0)
        return glot_fail_errno(err, errno, "open", path);
    if (fstat(s->file, &info) == 0 && S_ISDIR(info.st_mode))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is a folder, expected a file", path);
    return GLOT_OK;
}

glot_status glot_stream_open(glot_stream **out, const char *path, glot_error *err)
{
    glot_stream *s = NULL;
    glot_status status;
    GLOT_TRY(glot_new(&s, 1, sizeof *s, "a stream", err));
    s->file = -1;
    GLOT_TRY_OUT(glot_new(&s->input, INPUT_BYTES, 1, "a stream", err));
    GLOT_TRY_OUT(open_file(s, path, err));
    status = choose_kind(s, err);
    if (status != GLOT_OK) {
        glot_error_prefix(err, "'%s'", path);
        goto out;
    }
    *out = s;
    return GLOT_OK;
out:
    glot_stream_close(s);
    return status;
}

void glot_stream_close(glot_stream *s)
{
    if (!s)
        return;
    if (s->kind == STREAM_GZIP)
        inflateEnd(&s->gzip);
    ZSTD_freeDCtx(s->zstd);
    if (s->file >= 0 && !s->is_stdin)
        close(s->file);
    glot_free(s->input);
    glot_free(s);
}

static glot_status fail_truncated(const glot_stream *s, const char *format, const char *unit, glot_error *err)
{
    return GLOT_FAIL(err, GLOT_BAD_FORMAT,
                     "the %s data stops inside a %s at byte %" PRIu64 ": the file is truncated", format, unit,
                     s->file_offset);
}

/* Behind a member: another one, zero bytes, or the end. */
static glot_status next_gzip_member(glot_stream *s, glot_error *err)
{
    while (s->begin < s->end && s->input[s->begin] == 0)
        s->begin++;
    if (s->begin < s->end) {
        if (inflateReset(&s->gzip) != Z_OK)
            return GLOT_FAIL(err, GLOT_INTERNAL, "the gzip reader cannot be reset");
        s->is_inside = true;
    }
    return GLOT_OK;
}

static glot_status inflate_some(glot_stream *s, uint8_t *bytes, size_t n, size_t *got, glot_error *err)
{
    s->gzip.next_in = s->input + s->begin;
    s->gzip.avail_in = (uInt)(s->end - s->begin);
    s->gzip.next_out = bytes;
    s->gzip.avail_out = (uInt)n;
    int code = inflate(&s->gzip, Z_NO_FLUSH);
    s->begin = s->end - s->gzip.avail_in;
    *got = n - s->gzip.avail_out;
    if (code == Z_STREAM_END)
        s->is_inside = false;
    else if (code == Z_MEM_ERROR)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for reading gzip");
    else if (code != Z_OK && code != Z_BUF_ERROR)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "damaged gzip data before byte %" PRIu64 ": %s",
                         byte_of_file(s), s->gzip.msg ? s->gzip.msg : "a dictionary is asked for");
    return GLOT_OK;
}

/* What read gives for gzip: decode what input holds, fetch more, until there is output or the end. */
static glot_status read_gzip(glot_stream *s, uint8_t *bytes, size_t n, size_t *got, glot_error *err)
{
    while (*got == 0) {
        if (s->begin == s->end && !s->is_at_end)
            GLOT_TRY(fill_input(s, err));
        if (!s->is_inside)
            GLOT_TRY(next_gzip_member(s, err));
        if (s->is_inside)
            GLOT_TRY(inflate_some(s, bytes, n, got, err));
        if (*got == 0 && s->begin == s->end && s->is_at_end)
            return s->is_inside ? fail_truncated(s, "gzip", "member", err) : GLOT_OK;
    }
    return GLOT_OK;
}

static glot_status zstd_some(glot_stream *s, uint8_t *bytes, size_t n, size_t *got, glot_error *err)
{
    ZSTD_inBuffer in = {s->input + s->begin, s->end - s->begin, 0};
    ZSTD_outBuffer out = {bytes, n, 0};
    size_t code = ZSTD_decompressStream(s->zstd, &out, &in);
    s->begin += in.pos;
    *got = out.pos;
    if (ZSTD_isError(code))
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "damaged zstd data before byte %" PRIu64 ": %s",
                         byte_of_file(s), ZSTD_getErrorName(code));
    s->is_inside = code != 0;
    return GLOT_OK;
}

static glot_status read_zstd(glot_stream *s, uint8_t *bytes, size_t n, size_t *got, glot_error *err)
{
    while (*got == 0) {
        if (s->begin == s->end && !s->is_at_end)
            GLOT_TRY(fill_input(s, err));
        bool has_input = s->begin < s->end;
        if (!has_input && !s->is_inside)
            return GLOT_OK;
        GLOT_TRY(zstd_some(s, bytes, n, got, err));
        if (*got == 0 && !has_input && s->is_at_end)
            return s->is_inside ? fail_truncated(s, "zstd", "frame", err) : GLOT_OK;
    }
    return GLOT_OK;
}

static glot_status read_raw(glot_stream *s, uint8_t *bytes, size_t n, size_t *got, glot_error *err)
{
    if (s->begin == s->end && !s->is_at_end)
        GLOT_TRY(fill_input(s, err));
    size_t left = s->end - s->begin;
    *got = left < n ? left : n;
    memcpy(bytes, s->input + s->begin, *got);
    s->begin += *got;
    return GLOT_OK;
}

glot_status glot_stream_read(glot_stream *s, void *bytes, size_t n, size_t *got, glot_error *err)
{
    *got = 0;
    if (n > INPUT_BYTES)
        n = INPUT_BYTES;
    switch (s->kind) {
    case STREAM_GZIP:
        return read_gzip(s, bytes, n, got, err);
    case STREAM_ZSTD:
        return read_zstd(s, bytes, n, got, err);
    default:
        return read_raw(s, bytes, n, got, err);
    }
}
