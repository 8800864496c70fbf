/* windows.h: the windows a document is cut into when it is run alone (INTERFACES, "Bits per byte"). */
#ifndef GLOT_MODEL_WINDOWS_H
#define GLOT_MODEL_WINDOWS_H

#include "model/model.h"

typedef struct glot_windows {
    int64_t length;   /* text tokens in a window, the first one not counted */
    int32_t start_id; /* what every window begins with: BOS, or EOS where the model has none */
} glot_windows;

/* `length` 0: the smaller of 1,024 and the model's context less one. */
glot_status glot_windows_of(glot_windows *out, const glot_model *m, int64_t length, glot_error *err);

#endif
