/* tfevents.h
 *
 * TensorBoard's event file: a TFRecord file (little-endian) of Event messages, each with scalars. Written as
 * bytes, two messages deep, without a protobuf library:
 *
 *     record    uint64 length, uint32 masked CRC-32C of it, bytes, uint32 masked CRC-32C of them
 *     Event     1: double wall_time   2: int64 step   3: string file_version   5: Summary
 *     Summary   1: repeated Value
 *     Value     1: string tag   2: float simple_value
 */
#ifndef GLOT_JOB_TFEVENTS_H
#define GLOT_JOB_TFEVENTS_H

#include "base/str.h"

typedef struct glot_tf_scalar {
    const char *tag; /* "train/loss" */
    float value;
} glot_tf_scalar;

/* The record that every event file begins with. */
void glot_tf_header(glot_str *out, double wall_time);
/* One event with n scalars; wall_time in seconds since 1970. */
void glot_tf_event(glot_str *out, double wall_time, int64_t step, const glot_tf_scalar *scalars, size_t n);

/* CRC-32C (Castagnoli), and TensorFlow's masking of it. */
uint32_t glot_crc32c(const void *bytes, size_t n);
uint32_t glot_crc32c_masked(const void *bytes, size_t n);

#endif
