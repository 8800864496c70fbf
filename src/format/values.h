/* values.h: looking at the numbers of a file's tensors, block types included. Opening a file checks its
 * structure only. */
#ifndef GLOT_FORMAT_VALUES_H
#define GLOT_FORMAT_VALUES_H

#include "format/safetensors.h"

/* Reads every byte of the tensor. GLOT_BAD_VALUE naming file, tensor and place of the first NaN or infinity;
 * integers hold none. */
glot_status glot_stored_check_values(const glot_stored_tensor *t, glot_error *err);

#endif
