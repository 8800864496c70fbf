/* gguf_file.h: what the source files of the GGUF reader share: a cursor over bytes, and metadata values. */
#ifndef GLOT_FORMAT_GGUF_FILE_H
#define GLOT_FORMAT_GGUF_FILE_H

#include "format/gguf.h"
#include "format/stored.h"

/* The value types of metadata: name, number in the file, bytes of one (0 where that varies), what messages
 * call it. */
#define GLOT_GGUF_TYPE_LIST(X)                                                                               \
    X(UINT8, 0, 1, "uint8")                                                                                  \
    X(INT8, 1, 1, "int8")                                                                                    \
    X(UINT16, 2, 2, "uint16")                                                                                \
    X(INT16, 3, 2, "int16")                                                                                  \
    X(UINT32, 4, 4, "uint32")                                                                                \
    X(INT32, 5, 4, "int32")                                                                                  \
    X(FLOAT32, 6, 4, "float32")                                                                              \
    X(BOOL, 7, 1, "bool")                                                                                    \
    X(STRING, 8, 0, "string")                                                                                \
    X(ARRAY, 9, 0, "array")                                                                                  \
    X(UINT64, 10, 8, "uint64")                                                                               \
    X(INT64, 11, 8, "int64")                                                                                 \
    X(FLOAT64, 12, 8, "float64")

typedef enum glot_gguf_type {
#define GLOT_GGUF_TYPE_ENUM(name, number, bytes, text) GLOT_GGUF_##name = number,
    GLOT_GGUF_TYPE_LIST(GLOT_GGUF_TYPE_ENUM)
#undef GLOT_GGUF_TYPE_ENUM
        GLOT_GGUF_N_TYPES
} glot_gguf_type;

/* One key and its value. Scalars are arrays of one element. Of the pointers one is set, by the type of the
 * elements. */
typedef struct glot_gguf_value {
    char *key;
    bool is_array;
    glot_gguf_type type; /* of the elements */
    size_t n;
    int64_t *ints;        /* [n] integers and bools; a uint64 beyond INT64_MAX keeps its bits */
    double *doubles;      /* [1] a scalar float32 or float64 */
    float *reals;         /* [n] an array of either */
    const char **strings; /* [n] point into text */
    char *text;
} glot_gguf_value;

struct glot_gguf {
    char *path;
    glot_map map;            /* empty where the bytes are borrowed */
    glot_gguf_value *values; /* [n_values] in file order */
    size_t n_values;
    const glot_gguf_value **by_key; /* [n_values] sorted */
    glot_stored_table table;
};

/* A cursor. `place` says what is being read, for messages. */
typedef struct glot_gguf_cursor {
    const uint8_t *bytes;
    size_t size, at;
    const char *path;
    char place[256];
} glot_gguf_cursor;

void glot_gguf_place(glot_gguf_cursor *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Steps over n bytes and points *out at them; GLOT_BAD_FORMAT where the file ends before. */
glot_status glot_gguf_take(const uint8_t **out, glot_gguf_cursor *c, size_t n, glot_error *err);
glot_status glot_gguf_u32(uint32_t *out, glot_gguf_cursor *c, glot_error *err);
glot_status glot_gguf_u64(uint64_t *out, glot_gguf_cursor *c, glot_error *err);
/* The bytes of a string, not zero-terminated; a zero byte inside is refused. */
glot_status glot_gguf_text(const uint8_t **out, size_t *length, glot_gguf_cursor *c, glot_error *err);
/* A name (of a key or tensor): a string of 1 to `limit` printable ASCII bytes. */
glot_status glot_gguf_name(const uint8_t **out, size_t *length, glot_gguf_cursor *c, size_t limit,
                           glot_error *err);

/* Reads n_values keys and values into g, and sorts them. */
glot_status glot_gguf_read_metadata(glot_gguf *g, glot_gguf_cursor *c, uint64_t n_values, glot_error *err);
void glot_gguf_value_release(glot_gguf_value *value);

#endif
