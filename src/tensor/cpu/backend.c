/* backend.c: the CPU backend: memory, scratch, and the choice of the instruction set. Its ops are in k_*.c.
 * */
#include "tensor/cpu/gemm.h"
#include "tensor/cpu/attention.h"
#include "base/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#if GLOT_N_ISAS > 1
#include <cpuid.h>
#endif

enum { ALIGNMENT = 64, MAX_THREADS = 1024, COPY_CHUNK = 1 << 16 };
static const size_t huge_page = (size_t)2 << 20;

extern const glot_ops glot_ops_cpu_portable;
#if GLOT_N_ISAS > 1
extern const glot_ops glot_ops_cpu_avx2, glot_ops_cpu_avx512, glot_ops_cpu_avx512_bf16;
#endif

typedef struct isa_row {
    const char *name;
    const glot_ops *ops;
} isa_row;

static const isa_row isa_rows[] = {
    {"portable", &glot_ops_cpu_portable},
#if GLOT_N_ISAS > 1
    {"avx2", &glot_ops_cpu_avx2},
    {"avx512", &glot_ops_cpu_avx512},
    {"avx512_bf16", &glot_ops_cpu_avx512_bf16},
#endif
};

/* How many of isa_rows this processor can run. */
static int isa_count(void)
{
#if GLOT_N_ISAS > 1
    unsigned a, b, c = 0, d;
    bool has_f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    if (!has_f16c || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 1;
    bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (!has_avx512)
        return 2;
    bool has_bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVX512BF16);
    return has_bf16 ? 4 : 3;
#else
    return 1;
#endif
}

const char *const *glot_cpu_isas(void)
{
    static const char *const lists[4][5] = {{"portable", NULL},
                                            {"portable", "avx2", NULL},
                                            {"portable", "avx2", "avx512", NULL},
                                            {"portable", "avx2", "avx512", "avx512_bf16", NULL}};
    return lists[isa_count() - 1];
}

bool glot_cpu_has_bf16(void)
{
    return isa_count() == 4;
}

/* The heap gives 16-byte alignment: the block starts at a multiple of 64, or of a huge page where it is
 * many of them, and the heap's own address lies in front of it. */
static glot_status cpu_alloc(glot_backend *be, void **addr, size_t bytes, const char *what, glot_error *err)
{
    (void)be;
    size_t alignment = bytes >= huge_page ? huge_page : ALIGNMENT, padded;
    if (!glot_size_add(&padded, bytes, alignment + sizeof(void *)))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for %s (%zu bytes)", what, bytes);
    char *block;
    GLOT_TRY(glot_new(&block, padded, 1, what, err));
    char *aligned = block + sizeof(void *);
    aligned += (alignment - (uintptr_t)aligned % alignment) % alignment;
    memcpy(aligned - sizeof(void *), &block, sizeof block);
    if (alignment == huge_page)
        madvise(aligned, bytes / huge_page * huge_page, MADV_HUGEPAGE); /* advice only: fewer TLB misses */
    *addr = aligned;
    return GLOT_OK;
}

static void cpu_free(glot_backend *be, void *addr)
{
    (void)be;
    if (!addr)
        return;
    void *block;
    memcpy(&block, (char *)addr - sizeof(void *), sizeof block);
    glot_free(block);
}

static int64_t chunk_bytes(int64_t chunk, int64_t bytes)
{
    int64_t rest = bytes - chunk * COPY_CHUNK;
    return rest < COPY_CHUNK ? rest : COPY_CHUNK;
}

/* memcpy, or with from NULL zeros, by the whole team. */
static void move(const glot_backend *be, void *to, const void *from, size_t n_bytes)
{
    int64_t bytes = (int64_t)n_bytes, chunks = (bytes + COPY_CHUNK - 1) / COPY_CHUNK;
    int team = chunks < 8 ? 1 : be->n_threads;
#pragma omp parallel for num_threads(team) schedule(static)
    for (int64_t i = 0; i < chunks; i++) {
        size_t n = (size_t)chunk_bytes(i, bytes);
        if (from)
            memcpy((char *)to + i * COPY_CHUNK, (const char *)from + i * COPY_CHUNK, n);
        else
            memset((char *)to + i * COPY_CHUNK, 0, n);
    }
}

static void cpu_upload(glot_backend *be, const glot_tensor *to, const void *host)
{
    if (glot_tensor_elements(to))
        move(be, to->addr, host, glot_tensor_bytes(to));
}

static void cpu_download(glot_backend *be, void *host, const glot_tensor *from)
{
    if (glot_tensor_elements(from))
        move(be, host, from->addr, glot_tensor_bytes(from));
}

static void cpu_zero(glot_backend *be, const glot_tensor *t)
{
    if (glot_tensor_elements(t))
        move(be, t->addr, NULL, glot_tensor_bytes(t));
}

static void cpu_copy(glot_backend *be, const glot_tensor *to, const glot_tensor *from)
{
    int64_t n = glot_tensor_elements(from);
    GLOT_ASSERT(glot_tensor_elements(to) == n);
    if (to->dtype == from->dtype) {
        cpu_upload(be, to, from->addr);
        return;
    }
#pragma omp parallel for num_threads(glot_cpu_team(be, n)) schedule(static)
    for (int64_t i = 0; i < n; i++)
        glot_dtype_set(to->dtype, to->addr, i, glot_dtype_get(from->dtype, from->addr, i));
}

static glot_status cpu_place(glot_backend *be, glot_tensor *out, const glot_tensor *host, glot_error *err)
{
    (void)be, (void)err;
    *out = *host;
    return GLOT_OK;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

void glot_cpu_scratch_needs(const glot_limits *limits, size_t *shared_bytes, size_t *thread_bytes)
{
    size_t rows = (size_t)limits->max_tokens * most((size_t)limits->max_top_k, 1);
    size_t width = (size_t)limits->max_width;
    size_t row_sums = (rows / 64 + 1) * width * sizeof(double); /* one row of sums for each 64 rows */
    size_t counts =
        (rows / 64 + 1) * (size_t)limits->max_experts * sizeof(int64_t) + rows * 4 * sizeof(double);
    *shared_bytes = most(GLOT_GEMM_SHARED_FLOATS * sizeof(float), most(row_sums, counts));
    *thread_bytes = most(GLOT_GEMM_THREAD_FLOATS * sizeof(float), glot_attention_thread_bytes(limits));
    *thread_bytes = most(*thread_bytes, 2 * width * sizeof(double));
    *shared_bytes = (*shared_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *thread_bytes = (*thread_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Makes *block at least `need` bytes; its contents are lost. */
static glot_status grow(glot_backend *be, char **block, size_t *bytes, size_t need, size_t count,
                        const char *what, glot_error *err)
{
    if (need <= *bytes)
        return GLOT_OK;
    size_t total;
    if (!glot_size_mul(&total, need, count))
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for %s (%zu times %zu bytes)", what, count, need);
    void *larger;
    GLOT_TRY(cpu_alloc(be, &larger, total, what, err));
    cpu_free(be, *block);
    *block = larger;
    *bytes = need;
    return GLOT_OK;
}

static glot_status cpu_reserve(glot_backend *be, const glot_limits *limits, glot_error *err)
{
    glot_cpu *cpu = (glot_cpu *)be;
    size_t shared, thread;
    glot_cpu_scratch_needs(limits, &shared, &thread);
    GLOT_TRY(
        grow(be, &cpu->shared, &cpu->shared_bytes, shared, 1, "the scratch memory of the products", err));
    return grow(be, &cpu->threads, &cpu->thread_bytes, thread, (size_t)be->n_threads,
                "the scratch memory of the threads", err);
}

static glot_status cpu_check(glot_backend *be, glot_error *err)
{
    (void)be, (void)err;
    return GLOT_OK;
}

static void cpu_close(glot_backend *be)
{
    glot_cpu *cpu = (glot_cpu *)be;
    cpu_free(be, cpu->shared);
    cpu_free(be, cpu->threads);
    glot_free(cpu);
}

/* The row of isa_rows for a name, NULL: $GLOT_ISA or the best. */
static glot_status choose_isa(const isa_row **out, const char *name, glot_error *err)
{
    const char *source = "the instruction set";
    int n = isa_count();
    if (!name) {
        name = getenv("GLOT_ISA");
        source = "GLOT_ISA";
    }
    *out = &isa_rows[n - 1];
    if (!name || !*name)
        return GLOT_OK;
    for (int i = 0; i < n; i++)
        if (strcmp(isa_rows[i].name, name) == 0) {
            *out = &isa_rows[i];
            return GLOT_OK;
        }
    return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "%s is '%s', but this processor has only %s%s%s%s", source,
                     name, isa_rows[0].name, n > 1 ? ", avx2" : "", n > 2 ? ", avx512" : "",
                     n > 3 ? ", avx512_bf16" : "");
}

static const glot_backend cpu_methods = {
    .name = "cpu",
    .real = GLOT_F32,
    .products = GLOT_F32,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_upload,
    .download = cpu_download,
    .zero = cpu_zero,
    .copy = cpu_copy,
    .place = cpu_place,
    .reserve = cpu_reserve,
    .check = cpu_check,
    .close = cpu_close,
};

glot_status glot_cpu_backend_create(glot_backend **out, int threads, const char *isa, glot_error *err)
{
    const isa_row *row;
    GLOT_TRY(choose_isa(&row, isa, err));
    if (threads < 0 || threads > MAX_THREADS)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "the number of threads is %d, expected 0 to %d", threads,
                         MAX_THREADS);
    glot_cpu *cpu;
    GLOT_TRY(glot_new(&cpu, 1, sizeof *cpu, "a backend", err));
    cpu->base = cpu_methods;
    cpu->base.isa = row->name;
    cpu->base.ops = row->ops;
    cpu->base.n_threads = threads ? threads : glot_cpu_count();
    if (cpu->base.n_threads > MAX_THREADS)
        cpu->base.n_threads = MAX_THREADS;
    glot_status status = cpu_reserve(&cpu->base, &(glot_limits){0}, err);
    if (status != GLOT_OK) {
        cpu_close(&cpu->base);
        return status;
    }
    *out = &cpu->base;
    return GLOT_OK;
}
