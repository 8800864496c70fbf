/* byte_folder.h: a test's folder with the byte model in "m", and files in it. */
#ifndef GLOT_TESTS_BYTE_FOLDER_H
#define GLOT_TESTS_BYTE_FOLDER_H

#include "run_glot.h"
#include "unit/byte_model.h"

static inline int make_model(void **state)
{
    if (make_folder(state) != 0)
        return -1;
    byte_model_save(in_folder(state, "m"));
    return 0;
}

static inline const char *put_bytes(void **state, const char *name, const void *bytes, size_t n)
{
    const char *path = in_folder(state, name);
    assert_int_equal(glot_file_write(path, bytes, n, NULL), GLOT_OK);
    return path;
}

static inline const char *put(void **state, const char *name, const char *text)
{
    return put_bytes(state, name, text, strlen(text));
}

#endif
