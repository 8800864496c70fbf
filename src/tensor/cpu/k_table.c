/* k_table.c: the op table of one instruction set. */
#include "tensor/cpu/kernel.h"

extern const glot_ops GLOT_JOIN(glot_ops_, cpu, GLOT_ISA_NAME);

const glot_ops GLOT_JOIN(glot_ops_, cpu, GLOT_ISA_NAME) = {
#define GLOT_OP(name, parameters, arguments) .name = GLOT_KERNEL(name),
#include "tensor/ops.inc"
#undef GLOT_OP
};
