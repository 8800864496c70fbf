/* bench_products.c: `glot bench products`: GFLOP/s of each product, and GB/s of its weights. */
#include "cli/bench_products.h"
#include "bench/products.h"
#include "cli/model.h"
#include "tensor/cpu/peak.h"

static const double seconds_each = 0.2;

static glot_status print_text(const glot_bench_product *rows, int n, double peak_flops, glot_error *err)
{
    GLOT_TRY(
        cli_printf(err, "%-24s %6s %6s %6s %10s %6s %8s\n", "", "m", "n", "k", "GFLOP/s", "peak", "GB/s"));
    for (int i = 0; i < n; i++) {
        const glot_bench_product *r = &rows[i];
        GLOT_TRY(cli_printf(err, "%-24s %6d %6d %6d %10.1f %4.0f %% %8.1f\n", r->name, (int)r->m, (int)r->n,
                            (int)r->k, r->flops / r->seconds / 1e9,
                            100.0 * r->flops / r->seconds / peak_flops, r->bytes / r->seconds / 1e9));
    }
    return GLOT_OK;
}

static glot_status print_json(const glot_bench_product *rows, int n, double peak_flops, glot_error *err)
{
    json_t *products = json_array();
    for (int i = 0; i < n; i++) {
        const glot_bench_product *r = &rows[i];
        json_array_append_new(products, json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "op", r->name, "m",
                                                  (json_int_t)r->m, "n", (json_int_t)r->n, "k",
                                                  (json_int_t)r->k, "flops_per_s", r->flops / r->seconds,
                                                  "bytes_per_s", r->bytes / r->seconds));
    }
    return cli_json(json_pack("{s:s, s:f, s:o}", "work", "products", "peak_flops_per_s", peak_flops,
                              "products", products),
                    err);
}

glot_status cli_bench_products(const glot_cli *cli, glot_dtype weights, glot_error *err)
{
    glot_bench_product rows[GLOT_BENCH_PRODUCTS];
    glot_backend *be = NULL;
    int n = 0;
    GLOT_TRY(cli_backend_open(&be, cli, err));
    glot_status status = glot_bench_products(rows, &n, be, weights, seconds_each, err);
    if (status == GLOT_OK)
        status = (cli->is_json ? print_json : print_text)(rows, n, glot_cpu_peak_flops(be), err);
    glot_backend_close(be);
    return status;
}
