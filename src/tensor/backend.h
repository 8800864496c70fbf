/* backend.h
 *
 * A backend is memory plus the ops of ops.inc. Model, MoE and training code see tensors and these calls and
 * nothing of where the numbers live: the CPU backend, the plain C reference (float and double) and later CUDA
 * are the same to them.
 *
 *     glot_backend *be;
 *     glot_cpu_backend_create(&be, threads, NULL, &err);
 *     glot_pool pool; glot_tensor y = glot_tensor_2d(be->real, T, n);
 *     glot_pool_init(&pool, be, bytes, "activations", &err); glot_pool_take(&pool, &y);
 *     glot_op_linear(be, &y, &x, &w, NULL);
 *
 * One thread calls a backend at a time; the ops run on the backend's own team inside. Ops are asynchronous in
 * principle: download waits.
 */
#ifndef GLOT_TENSOR_BACKEND_H
#define GLOT_TENSOR_BACKEND_H

#include "tensor/tensor.h"

typedef struct glot_backend glot_backend;

/* Where the (token, slot) pairs of one MoE layer go: rows of expert e are expert_offsets[e] ..
 * expert_offsets[e + 1], in token order. */
typedef struct glot_dispatch {
    int n_experts, top_k;          /* E, K */
    glot_tensor tokens_per_expert; /* I32 [E] */
    glot_tensor expert_offsets;    /* I32 [E + 1] */
    glot_tensor row_map;           /* I32 [T * K]: permuted row -> token * K + slot */
    glot_tensor slot_rows;         /* I32 [T, K]: (token, slot) -> permuted row; -1: slot unused */
} glot_dispatch;

/* A product with weights, of several that have the same x. */
typedef struct glot_projection {
    const glot_tensor *out;
    const glot_tensor *const *w; /* the weight, or one of each expert */
    const glot_tensor *bias;     /* NULL: none */
} glot_projection;

typedef enum glot_lpr_form { GLOT_LPR_PAPER, GLOT_LPR_RELEASED } glot_lpr_form;

typedef struct glot_adamw {
    double lr, beta1, beta2, eps, weight_decay;
    int64_t step;      /* from 1 */
    double grad_scale; /* clipping */
} glot_adamw;

typedef struct glot_ops {
#define GLOT_OP(name, parameters, arguments) void(*name) parameters;
#include "tensor/ops.inc"
#undef GLOT_OP
} glot_ops;

/* The largest sizes that ops will be called with: scratch is made for these once, so that no op allocates. */
typedef struct glot_limits {
    int64_t max_tokens;   /* T of any op; rows of grouped ops are at most max_tokens * max_top_k */
    int64_t max_keys;     /* n_kv of any attention segment */
    int64_t max_segments;
    int64_t max_width;    /* largest k or n of a row-wise op or product, vocabulary included */
    int64_t max_head_dim;
    int64_t max_experts;
    int64_t max_top_k;
} glot_limits;

struct glot_backend {
    const char *name;  /* "cpu", "ref_f32", "ref_f64" */
    const char *isa;   /* of glot_cpu_isas; "" where it means nothing */
    glot_dtype real;   /* type of activations, gradients, trained weights: F32 or F64 */
    /* F32, or BF16: what the operands of linear and grouped products are rounded to (ops.inc); F32 at first,
     * may be set between ops, and means nothing where `real` is F64. */
    glot_dtype products;
    int n_threads;
    const glot_ops *ops;

    /* Memory, 64-byte aligned, not zeroed. */
    glot_status (*alloc)(glot_backend *be, void **addr, size_t bytes, const char *what, glot_error *err);
    void (*free)(glot_backend *be, void *addr);
    /* Host <-> backend, whole tensors, same dtype and shape; download waits for the ops before it. */
    void (*upload)(glot_backend *be, const glot_tensor *to, const void *host);
    void (*download)(glot_backend *be, void *host, const glot_tensor *from);
    void (*zero)(glot_backend *be, const glot_tensor *t);
    /* Converts between F32, F16, BF16, F64. */
    void (*copy)(glot_backend *be, const glot_tensor *to, const glot_tensor *from);
    /* A weight that lies in host memory (a mapped file) for as long as the model lives: the CPU uses it where
     * it is, another backend makes a copy. `host->addr` is a host address; out gets the backend's. */
    glot_status (*place)(glot_backend *be, glot_tensor *out, const glot_tensor *host, glot_error *err);
    /* Grows, never shrinks. */
    glot_status (*reserve)(glot_backend *be, const glot_limits *limits, glot_error *err);
    glot_status (*check)(glot_backend *be, glot_error *err); /* a fault that an op met, if any */
    void (*close)(glot_backend *be);
};

/* glot_op_NAME(be, ...): the call through the table. */
#define GLOT_OP(name, parameters, arguments)                                                                 \
    static inline void glot_op_##name parameters                                                             \
    {                                                                                                        \
        be->ops->name arguments;                                                                             \
    }
#include "tensor/ops.inc"
#undef GLOT_OP

/* One projection. */
static inline void glot_op_linear(glot_backend *be, const glot_tensor *out, const glot_tensor *x,
                                  const glot_tensor *w, const glot_tensor *bias)
{
    glot_op_linears(be, &(glot_projection){out, &w, bias}, 1, x);
}

static inline void glot_op_grouped_linear(glot_backend *be, const glot_tensor *out, const glot_tensor *x,
                                          const glot_tensor *const *w, const glot_dispatch *plan,
                                          bool is_gathered)
{
    glot_op_grouped_linears(be, &(glot_projection){out, w, NULL}, 1, x, plan, is_gathered);
}

/* The CPU: threads 0 = every core this process may use; isa NULL = $GLOT_ISA or the best the processor has; a
 * name it does not have is GLOT_BAD_ARGUMENT. */
glot_status glot_cpu_backend_create(glot_backend **out, int threads, const char *isa, glot_error *err);
/* Instruction sets this processor can run, best last, NULL-terminated static list: "portable", "avx2",
 * "avx512", "avx512_bf16" (the same, with instructions for products in bf16: others compute these with the
 * same bits, but slowly). */
const char *const *glot_cpu_isas(void);
/* Has the processor instructions for products in bf16? */
bool glot_cpu_has_bf16(void);
/* Cores this process may use (affinity and cgroup). */
int glot_cpu_count(void);
/* The processor as it calls itself ("AMD EPYC 9B45"), or where it does not, its family ("aarch64"). */
void glot_cpu_name(char name[96]);
/* The specification in plain C, one thread: F32 (in the law's order of summation) or F64. */
glot_status glot_ref_backend_create(glot_backend **out, glot_dtype real, glot_error *err);
void glot_backend_close(glot_backend *be); /* NULL is allowed */
/* A test counts ops that have no kernel: every slot of the table must be filled. */
bool glot_ops_complete(const glot_ops *ops);

/* A pool: one block of backend memory, tensors placed one behind the other. A measuring pool (base NULL) only
 * counts: the same code that will place the tensors tells how much they need. */
typedef struct glot_pool {
    glot_backend *be;
    char *base;
    size_t size, used, peak; /* bytes */
    bool is_measuring;
} glot_pool;
void glot_pool_measure(glot_pool *pool, glot_backend *be);
glot_status glot_pool_init(glot_pool *pool, glot_backend *be, size_t bytes, const char *what,
                           glot_error *err);
void glot_pool_release(glot_pool *pool);
/* Gives t an address (64-byte aligned). Asserts that it fits: pools are sized by a measuring run of the same
 * code. */
void glot_pool_take(glot_pool *pool, glot_tensor *t);
size_t glot_pool_mark(const glot_pool *pool);
void glot_pool_return(glot_pool *pool, size_t mark);

#endif
