/* cmd_selftest.c: `glot selftest`: does this machine compute what the reference computes? A table of ops by
 * instruction sets. */
#include "base/memory.h"
#include "bench/selftest.h"
#include "base/json.h"
#include "cli/cli.h"

static const glot_option rows[] = {{0}};

static const char *const words[] = {"equal bits", "within tolerance", "FAILED"};
static const char *const json_words[] = {"equal", "close", "failed"};

static size_t count_failed(const glot_selftest_cell *cells, size_t n)
{
    size_t failed = 0;
    for (size_t i = 0; i < n; i++)
        failed += cells[i].agreement == GLOT_DISAGREES;
    return failed;
}

static glot_status print_json(const glot_selftest_cell *cells, size_t n, glot_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o, s:i}", "op", cells[i].op, "isa", cells[i].isa, "agreement",
                            json_words[cells[i].agreement], "difference",
                            cells[i].difference <= 1e300 ? json_real(cells[i].difference) : json_null(),
                            "cases", cells[i].n_cases));
    return cli_json(json_pack("{s:o, s:I}", "ops", list, "failed", (json_int_t)count_failed(cells, n)), err);
}

static glot_status print_table(const glot_selftest_cell *cells, size_t n, size_t n_isas, glot_error *err)
{
    GLOT_TRY(cli_printf(err, "%-30s", "op"));
    for (size_t i = 0; i < n_isas; i++)
        GLOT_TRY(cli_printf(err, "  %16s", cells[i].isa));
    for (size_t i = 0; i < n; i++) {
        if (i % n_isas == 0)
            GLOT_TRY(cli_printf(err, "\n%-30s", cells[i].op));
        GLOT_TRY(cli_printf(err, "  %16s", words[cells[i].agreement]));
    }
    return cli_printf(err, "\n%zu kernels against the reference, %zu failed\n", n, count_failed(cells, n));
}

static glot_status run(const glot_cli *cli, glot_error *err)
{
    glot_selftest_cell *cells = NULL;
    size_t n = 0, n_isas = 0;
    while (glot_cpu_isas()[n_isas])
        n_isas++;
    GLOT_TRY(glot_selftest(&cells, &n, cli->threads, cli->cancel, err));
    glot_status status = cli->is_json ? print_json(cells, n, err) : print_table(cells, n, n_isas, err);
    size_t failed = count_failed(cells, n);
    if (status == GLOT_OK && failed > 0)
        status = GLOT_FAIL(err, GLOT_NUMERIC,
                           "%zu of %zu kernels disagree with the reference on this machine", failed, n);
    glot_free(cells);
    return status;
}

const glot_command cmd_selftest = {"selftest", "check every kernel of this machine against the reference",
                                   rows, CLI_HAS_JSON, run};
