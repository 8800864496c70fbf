/* glot.h
 *
 * glot teaches a dense decoder language model new languages without making it forget the old ones.
 * This is the only installed header. The library prints nothing and never exits: every function that can fail
 * returns a glot_status and, when the caller gives a glot_error, one finished sentence that says what was
 * found, where, and what was expected.
 *
 *     glot_error err = {0};
 *     if (glot_something(..., &err) != GLOT_OK)
 *         fprintf(stderr, "error: %s\n", err.message);
 */
#ifndef GLOT_H
#define GLOT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GLOT_API __attribute__((visibility("default")))

/* The one list of errors: name, exit code of the command line program, what it means. */
#define GLOT_STATUS_LIST(X)                                                                                  \
    X(OK, 0, "done")                                                                                         \
    X(NOMEM, 1, "not enough memory")                                                                         \
    X(IO, 1, "reading or writing failed")                                                                    \
    X(NO_SPACE, 1, "not enough space on the disk")                                                           \
    X(EXISTS, 1, "the output is in the way of something else")                                               \
    X(NUMERIC, 1, "a number is not finite")                                                                  \
    X(DEVICE, 1, "the device failed")                                                                        \
    X(INTERNAL, 1, "a fault of the program itself")                                                          \
    X(BAD_ARGUMENT, 2, "an option or argument is wrong")                                                     \
    X(UNSUPPORTED, 3, "a file asks for something that is not supported")                                     \
    X(NOT_FOUND, 3, "a file is missing")                                                                     \
    X(BAD_FORMAT, 3, "a file is damaged or is not what it should be")                                        \
    X(BAD_VERSION, 3, "a file has a version that is not known")                                              \
    X(SHAPE_MISMATCH, 3, "a tensor has the wrong shape or type")                                             \
    X(BAD_VALUE, 3, "a value in a file is wrong")                                                            \
    X(CANCELLED, 75, "stopped by a signal with everything saved")

typedef enum glot_status {
#define GLOT_STATUS_ENUM(name, exit_code, text) GLOT_##name,
    GLOT_STATUS_LIST(GLOT_STATUS_ENUM)
#undef GLOT_STATUS_ENUM
} glot_status;

/* Filled by the function that failed; untouched on success. The caller owns it; zero it before first use. */
typedef struct glot_error {
    glot_status status;
    char message[1024]; /* one sentence, lower case, no full stop, names in single quotes */
    const char *where;  /* source file of the check that failed, static */
    int line;
} glot_error;

/* Name ("BAD_FORMAT"), meaning, and exit code of a status; static strings. */
GLOT_API const char *glot_status_name(glot_status status);
GLOT_API const char *glot_status_text(glot_status status);
GLOT_API int glot_status_exit_code(glot_status status);

/* "0.1.0"; static string. */
GLOT_API const char *glot_version(void);

#ifdef __cplusplus
}
#endif
#endif
