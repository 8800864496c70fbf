/* error.h
 *
 * How functions fail. Every fallible function returns a glot_status and takes a glot_error * last (NULL is
 * allowed). GLOT_FAIL writes the sentence and yields the status; GLOT_TRY passes a failure on.
 *
 *     if (size > file_size)
 *         return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s': tensor '%s' ends at byte %" PRIu64 ", the file has %"
 *                          PRIu64, ...);
 *     GLOT_TRY(glot_file_map(&map, path, err));
 */
#ifndef GLOT_BASE_ERROR_H
#define GLOT_BASE_ERROR_H

#include "glot.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

/* Writes status, message and place into *err (if not NULL) and returns status. `status` must not be
 * GLOT_OK. */
glot_status glot_error_set(glot_error *err, glot_status status, const char *where, int line,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Puts "PREFIX: " in front of the message of a failure that is being passed on. Returns err's status. */
glot_status glot_error_prefix(glot_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define GLOT_FAIL(err, status, ...) glot_error_set(err, status, __FILE__, __LINE__, __VA_ARGS__)

#define GLOT_TRY(call)                                                                                       \
    do {                                                                                                     \
        glot_status try_status_ = (call);                                                                    \
        if (try_status_ != GLOT_OK)                                                                          \
            return try_status_;                                                                              \
    } while (0)

/* The same where resources must be released first: sets the local `status` and jumps to the label `out`. */
#define GLOT_TRY_OUT(call)                                                                                   \
    do {                                                                                                     \
        status = (call);                                                                                     \
        if (status != GLOT_OK)                                                                               \
            goto out;                                                                                        \
    } while (0)

/* A fault of the program itself (never of its input): prints the place and aborts. Always on. */
#define GLOT_ASSERT(condition)                                                                               \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            glot_assert_failed(#condition, __FILE__, __LINE__);                                              \
    } while (0)
void glot_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#endif
