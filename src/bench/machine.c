/* machine.c: see machine.h. */
#include "bench/machine.h"
#include "base/memory.h"
#include "bench/products.h"
#include "tensor/cpu/peak.h"

#include <string.h>

static const double product_seconds = 0.2;

/* With products of this type. */
static double peak_flops(glot_backend *be, glot_dtype products)
{
    glot_dtype before = be->products;
    be->products = products;
    double flops = glot_cpu_peak_flops(be);
    be->products = before;
    return flops;
}

/* The numbers are written first: pages that nobody wrote are all the same page. */
static double peak_bytes(const glot_backend *be)
{
    const int64_t n = (int64_t)1 << 26;
    float *memory = glot_calloc((size_t)n, sizeof *memory);
    if (!memory)
        return 0;
    memset(memory, 1, (size_t)n * sizeof *memory);
    double bytes = glot_cpu_peak_bytes(be, memory, n);
    glot_free(memory);
    return bytes;
}

glot_status glot_machine_measure(glot_machine *out, glot_backend *be, glot_error *err)
{
    glot_bench_product product;
    *out = (glot_machine){.float32_flops = peak_flops(be, GLOT_F32), .bf16_flops = peak_flops(be, GLOT_BF16)};
    GLOT_TRY(glot_bench_large_product(&product, be, product_seconds, err));
    out->product_flops = product.flops / product.seconds;
    out->read_bytes = peak_bytes(be);
    return GLOT_OK;
}

double glot_machine_peak(const glot_machine *machine, const glot_backend *be)
{
    return be->products == GLOT_BF16 ? machine->bf16_flops : machine->float32_flops;
}
