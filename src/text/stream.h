/* stream.h: the bytes of a file, a pipe or standard input ("-"), gzip and zstd taken apart on the way.
 * Compression is known by the first bytes. Inside src/text only. */
#ifndef GLOT_TEXT_STREAM_H
#define GLOT_TEXT_STREAM_H

#include "base/error.h"

typedef struct glot_stream glot_stream;
glot_status glot_stream_open(glot_stream **out, const char *path, glot_error *err);
/* At most n > 0 bytes; *got is 0 at the end and only there. The sentence of a failure leaves the path to the
 * caller and names the byte of the file. */
glot_status glot_stream_read(glot_stream *s, void *bytes, size_t n, size_t *got, glot_error *err);
void glot_stream_close(glot_stream *s);

#endif
