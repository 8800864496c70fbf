/* error.c: the status table and the sentence that goes with a failure. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct status_row {
    const char *name;
    const char *text;
    int exit_code;
} status_row;

static const status_row status_rows[] = {
#define STATUS_ROW(name, exit_code, text) {#name, text, exit_code},
    GLOT_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

static const status_row *row_of(glot_status status)
{
    size_t n_rows = sizeof status_rows / sizeof status_rows[0];
    return &status_rows[(size_t)status < n_rows ? (size_t)status : (size_t)GLOT_INTERNAL];
}

const char *glot_status_name(glot_status status)
{
    return row_of(status)->name;
}

const char *glot_status_text(glot_status status)
{
    return row_of(status)->text;
}

int glot_status_exit_code(glot_status status)
{
    return row_of(status)->exit_code;
}

glot_status glot_error_set(glot_error *err, glot_status status, const char *where, int line,
                           const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
        err->status = status;
        err->where = where;
        err->line = line;
    }
    return status;
}

glot_status glot_error_prefix(glot_error *err, const char *format, ...)
{
    if (!err)
        return GLOT_INTERNAL;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (used < 0 || (size_t)used >= sizeof err->message)
        return err->status;
    size_t room = sizeof err->message - (size_t)used;
    if (room > 2) {
        memcpy(err->message + used, ": ", 3);
        size_t n = strnlen(old, room - 3);
        memcpy(err->message + used + 2, old, n);
        err->message[(size_t)used + 2 + n] = '\0';
    }
    return err->status;
}

void glot_assert_failed(const char *condition, const char *file, int line)
{
    /* The one place of the library that writes to stderr: a fault of the program, about to abort. */
    fprintf(stderr, "%s:%d: fault in glot: %s does not hold\n", file, line, condition);
    abort();
}
