/* table.c: the op table of the reference, for float or for double. */
#include "tensor/ref/ref.h"

#if REF_IS_DOUBLE
#define TABLE ref_f64_ops
#else
#define TABLE ref_f32_ops
#endif

const glot_ops TABLE = {
#define GLOT_OP(name, parameters, arguments) .name = REF_NAME(name),
#include "tensor/ops.inc"
#undef GLOT_OP
};
