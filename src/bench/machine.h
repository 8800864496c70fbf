/* machine.h: this machine's own limits, measured: what a benchmark's work is compared with. */
#ifndef GLOT_BENCH_MACHINE_H
#define GLOT_BENCH_MACHINE_H

#include "tensor/backend.h"

/* A second, all threads of the backend together; 0 what cannot be told (no CPU, or no memory to read). */
typedef struct glot_machine {
    double float32_flops; /* multiply-adds in registers, two operations each */
    double bf16_flops;    /* the same of bf16 numbers; float32's where there are no instructions for them */
    double product_flops; /* the backend's own product of 1024 x 1536 x 576, in the type of its products */
    double read_bytes;    /* from memory */
} glot_machine;

/* Takes about half a second, and 256 MiB that are given back. */
glot_status glot_machine_measure(glot_machine *out, glot_backend *be, glot_error *err);
/* Of the type of the backend's products. */
double glot_machine_peak(const glot_machine *machine, const glot_backend *be);

#endif
