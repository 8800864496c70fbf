/* byte_folder.h: a test's folder with the byte model in "m". */
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

#endif
