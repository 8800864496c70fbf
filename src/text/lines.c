/* lines.c: lines out of a stream. The buffer holds the unread rest of what was decompressed; it grows only
 * when one line does not fit. */
#include "base/memory.h"
#include "text/corpus.h"
#include "text/stream.h"

#include <string.h>

static const size_t BUFFER_BYTES = 256 * 1024;
static const size_t LONGEST_LINE = (size_t)1
                                   << 30; /* counts of bytes of one document must fit into 32 bits */

struct glot_lines {
    char *path;
    glot_stream *stream;
    char *buffer; /* bytes begin .. end are unread, those before `scanned` hold no newline */
    size_t capacity, begin, scanned, end;
    bool is_at_end; /* of the stream */
    uint64_t number;
};

glot_status glot_lines_open(glot_lines **out, const char *path, glot_error *err)
{
    glot_lines *l = NULL;
    glot_status status;
    GLOT_TRY(glot_new(&l, 1, sizeof *l, "a line reader", err));
    l->path = glot_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    if (!l->path) {
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for a line reader");
        goto out;
    }
    GLOT_TRY_OUT(glot_grow(&l->buffer, &l->capacity, BUFFER_BYTES, 1, "a line reader", err));
    GLOT_TRY_OUT(glot_stream_open(&l->stream, path, err));
    *out = l;
    return GLOT_OK;
out:
    glot_lines_close(l);
    return status;
}

void glot_lines_close(glot_lines *l)
{
    if (!l)
        return;
    glot_stream_close(l->stream);
    glot_free(l->buffer);
    glot_free(l->path);
    glot_free(l);
}

uint64_t glot_lines_number(const glot_lines *l)
{
    return l->number;
}

/* Makes room behind the unread bytes and reads once. One byte stays free for the zero behind a last line. */
static glot_status read_more(glot_lines *l, glot_error *err)
{
    size_t unread = l->end - l->begin, got;
    if (unread > LONGEST_LINE)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' line %" PRIu64 ": longer than %zu bytes", l->path,
                         l->number + 1, LONGEST_LINE);
    if (l->begin > 0) {
        memmove(l->buffer, l->buffer + l->begin, unread);
        l->scanned -= l->begin;
        l->begin = 0;
        l->end = unread;
    }
    GLOT_TRY(glot_grow(&l->buffer, &l->capacity, unread + BUFFER_BYTES / 2, 1, "a line", err));
    glot_status status = glot_stream_read(l->stream, l->buffer + l->end, l->capacity - l->end - 1, &got, err);
    if (status != GLOT_OK) {
        glot_error_prefix(err, "'%s' after line %" PRIu64, l->path, l->number);
        return status;
    }
    l->is_at_end = got == 0;
    l->end += got;
    return GLOT_OK;
}

static void take_line(glot_lines *l, size_t line_end, const char **line, size_t *size)
{
    *line = l->buffer + l->begin;
    *size = line_end - l->begin;
    l->buffer[line_end] = '\0';
    l->begin = l->scanned = line_end < l->end ? line_end + 1 : line_end;
    l->number++;
}

glot_status glot_lines_next(glot_lines *l, const char **line, size_t *size, glot_error *err)
{
    *line = NULL;
    *size = 0;
    for (;;) {
        const char *newline = memchr(l->buffer + l->scanned, '\n', l->end - l->scanned);
        if (newline) {
            take_line(l, (size_t)(newline - l->buffer), line, size);
            return GLOT_OK;
        }
        l->scanned = l->end;
        if (l->is_at_end)
            break;
        GLOT_TRY(read_more(l, err));
    }
    if (l->begin < l->end)
        take_line(l, l->end, line, size);
    return GLOT_OK;
}

glot_status glot_lines_next_text(glot_lines *l, const char **line, size_t *size, glot_error *err)
{
    GLOT_TRY(glot_lines_next(l, line, size, err));
    if (!*line)
        return GLOT_OK;
    if (l->number == 1 && *size >= 3 && memcmp(*line, "\xEF\xBB\xBF", 3) == 0) {
        *line += 3;
        *size -= 3;
    }
    if (*size > 0 && (*line)[*size - 1] == '\r')
        --*size;
    return GLOT_OK;
}

bool glot_line_is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r", line[i]) || line[i] == '\0')
            return false;
    return true;
}
