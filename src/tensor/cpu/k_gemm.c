/* k_gemm.c: the products.
 *
 *   c [m, n] = start + sum over k of a(i, k) b(k, j),   start: 0, or what c holds
 *
 * ORDER    Each output's sum runs over k from 0 upward with fused multiply-add from +0, in panels of 256, and
 *          the panels' sums are added to the start in order; in bf16 the same in steps of two elements
 *          (ops.inc), 256 of them a panel. Nothing else decides its bits: tiles, threads
 * and the split of the work may be anything.
 *
 * SIDES    a is activations (float32), b weights or activations; either may have k along its rows or across:
 *              linears                  c = out   a = x, along     b = w, along
 *              linear_backward_input    c = dx    a = dy, along    b = w, across
 *              linear_backward_weight   c = dw    a = dy, across   b = x, across
 *          Grouped: one such product for each expert, its rows picked by the dispatch plan.
 *
 * METHOD   The list of all products is cut into slabs, as many rows and panels as the shared scratch holds of
 *          packed a; slabs that fit together make a batch, and share what they have of the same a. The team
 *          packs the batch's a, then takes tasks (some columns, sometimes a part of the rows of a slab) from
 *          one list: a task packs 256 x 128 of b into its own scratch, which stays in the level 2 cache, and
 *          runs the register tiles over it. b, the large side where it is a weight, is read from memory once
 *          and never written. Outputs of few rows go through k_few.c (decoding).
 */
#include "tensor/cpu/few.h"
#include "tensor/cpu/gemm.h"

/* One product, or one expert's part of a grouped one. */
typedef struct product {
    glot_operand a, b;
    bool is_a_across, is_b_across;
    int64_t m, n, k;
    float *c; /* [m, n] */
    bool is_bf16;   /* set by run: k then counts steps of two elements, */
    int64_t length; /* of which there are so many */
    const glot_tensor *bias;
    bool is_added;
} product;

/* Products of a grouped op, made when their turn comes. */
typedef struct gemm {
    int n_groups;
    product (*group)(const void *op, int g);
    const void *op;
} gemm;

enum { SLAB_ROWS = 1024, MAX_SLABS = 64, A_BLOCK_ROWS = 96, MIN_SPLIT_ROWS = 96, TASKS_PER_THREAD = 8 };

/* Rows and panels of one product whose a is packed at once. */
typedef struct slab {
    product p;
    int64_t first_row, rows; /* of c */
    int64_t first_k, k;
    int64_t n_tiles;     /* of rows, nearly equal */
    int64_t tile_floats; /* of one packed tile and panel */
    float *packed;       /* [panels, n_tiles, tile_floats] */
    int64_t n_packs, n_splits, n_blocks, n_tasks;
} slab;

typedef struct batch {
    slab slabs[MAX_SLABS];
    int n;
    int64_t n_floats, n_packs, n_tasks, work;
} batch;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t parts(int64_t n, int64_t of)
{
    return (n + of - 1) / of;
}

/* Where part `i` begins when n things are cut into n_parts nearly equal ones. */
static int64_t part_start(int64_t n, int64_t n_parts, int64_t i)
{
    return n / n_parts * i + least(i, n % n_parts);
}

static int64_t panels_of(const slab *s)
{
    return parts(s->k, GLOT_PANEL);
}

/* Tile `t` of panel `p`. */
static float *packed_tile(const slab *s, int64_t p, int64_t t)
{
    return s->packed + (p * s->n_tiles + t) * s->tile_floats;
}

/* Steps k .. k + n_k of a side whose k lies across its rows. */
static void pack_across(const glot_strip *strips, int n, const product *p, const glot_operand *from,
                        int64_t k, int64_t n_k)
{
    if (p->is_bf16)
        GLOT_KERNEL(pack_pairs_across)(strips, n, from, 2 * k, least(2 * n_k, p->length - 2 * k));
    else
        GLOT_KERNEL(pack_across)(strips, n, from, k, n_k);
}

/* The same of a side whose k lies along them: `width` rows, `step` floats from one step to the next. */
static void pack_along(float *to, int64_t step, const product *p, const glot_operand *from, int64_t row,
                       int64_t width, int64_t k, int64_t n_k)
{
    if (p->is_bf16)
        GLOT_KERNEL(pack_pairs_along)(to, step, from, row, width, 2 * k, least(2 * n_k, p->length - 2 * k));
    else
        GLOT_KERNEL(pack_along)(to, step, from, row, width, k, n_k);
}

static int64_t tile_row(const slab *s, int64_t t)
{
    return part_start(s->rows, s->n_tiles, t);
}

/* Tiles t .. end of a panel, a's k across its rows. */
static void pack_a_across(const slab *s, int64_t panel, int64_t t, int64_t end, int64_t k, int64_t n_k)
{
    glot_strip strips[GLOT_STRIPS];
    int n = 0;
    for (; t < end; t++) {
        int64_t row = tile_row(s, t), rows = tile_row(s, t + 1) - row;
        strips[n++] = (glot_strip){
            .to = packed_tile(s, panel, t), .step = rows, .first = s->first_row + row, .n = rows};
    }
    pack_across(strips, n, &s->p, &s->p.a, k, n_k);
}

static void pack_a_along(const slab *s, int64_t panel, int64_t t, int64_t k, int64_t n_k)
{
    int64_t row = tile_row(s, t), rows = tile_row(s, t + 1) - row;
    pack_along(packed_tile(s, panel, t), rows, &s->p, &s->p.a, s->first_row + row, rows, k, n_k);
}

/* Tiles that are packed together. */
static int64_t pack_tiles(const product *p)
{
    return p->is_a_across ? GLOT_STRIPS : 1;
}

static void pack_a(const slab *s, int64_t pack)
{
    int64_t n_groups = parts(s->n_tiles, pack_tiles(&s->p)), panel = pack / n_groups, group = pack % n_groups;
    int64_t k = s->first_k + panel * GLOT_PANEL, n_k = least(GLOT_PANEL, s->k - panel * GLOT_PANEL);
    int64_t first = part_start(s->n_tiles, n_groups, group),
            end = part_start(s->n_tiles, n_groups, group + 1);
    if (s->p.is_a_across)
        pack_a_across(s, panel, first, end, k, n_k);
    else
        pack_a_along(s, panel, first, k, n_k);
}

/* Columns col .. col + cols in tiles one behind the other. */
static void pack_b(float *to, const product *p, int64_t col, int64_t cols, int64_t k, int64_t n_k)
{
    glot_strip strips[GLOT_STRIPS];
    if (p->is_b_across) {
        pack_across(strips, glot_strips_of_b(strips, to, col, cols), p, &p->b, k, n_k);
        return;
    }
    for (int64_t j = 0; j < cols; j += GLOT_TILE_COLS)
        pack_along(to + glot_tile_place(j), GLOT_TILE_COLS, p, &p->b, col + j,
                   least(GLOT_TILE_COLS, cols - j), k, n_k);
}

/* Whether c is not read before this panel's sums are stored. */
static bool is_start(const slab *s, int64_t panel)
{
    return s->first_k + panel == 0 && !s->p.is_added;
}

/* Tiles first .. end of the slab times one packed column of tiles of b. */
static void multiply_tiles(const slab *s, int64_t panel, int64_t first, int64_t end, const float *b,
                           int64_t col, int64_t cols)
{
    const product *p = &s->p;
    int64_t n_k = least(GLOT_PANEL, s->k - panel * GLOT_PANEL);
    glot_micro_mode mode = is_start(s, panel) ? GLOT_MICRO_SET : GLOT_MICRO_ADD;
    for (int64_t t = first; t < end; t++) {
        int64_t row = part_start(s->rows, s->n_tiles, t), rows = part_start(s->rows, s->n_tiles, t + 1) - row;
        float *c = p->c + (s->first_row + row) * p->n + col;
        glot_micro *micro = p->is_bf16 ? GLOT_KERNEL(micro_pairs)[rows] : GLOT_KERNEL(micro_across)[rows];
        if (cols == GLOT_TILE_COLS)
            micro(n_k, packed_tile(s, panel, t), rows, b, c, p->n, mode);
        else
            GLOT_KERNEL(micro_edge)(micro, rows, cols, n_k, packed_tile(s, panel, t), rows, b, c, p->n, mode);
    }
}

/* If there is one, to rows row .. end and columns col .. col + cols. */
static void add_bias(const product *p, int64_t row, int64_t end, int64_t col, int64_t cols)
{
    for (; p->bias && row < end; row++) {
        float *c = p->c + row * p->n;
        for (int64_t j = col; j < col + cols; j += 16) {
            int64_t n = least(16, col + cols - j);
            v16 bias = v16_load_as_n(p->bias->dtype, p->bias->addr, j, n);
            v16_store_n(c + j, v16_add(v16_load_n(c + j, n), bias), n);
        }
    }
}

/* Columns col .. col + cols (at most GLOT_GEMM_BLOCK_COLS) of tiles first .. end of a slab. */
static void multiply_block(const slab *s, int64_t first, int64_t end, int64_t col, int64_t cols, float *b)
{
    for (int64_t panel = 0; panel < panels_of(s); panel++) {
        int64_t k = s->first_k + panel * GLOT_PANEL, n_k = least(GLOT_PANEL, s->k - panel * GLOT_PANEL);
        pack_b(b, &s->p, col, cols, k, n_k);
        for (int64_t t = first; t < end; t += A_BLOCK_ROWS / GLOT_TILE_ROWS)
            for (int64_t j = 0; j < cols; j += GLOT_TILE_COLS)
                multiply_tiles(s, panel, t, least(end, t + A_BLOCK_ROWS / GLOT_TILE_ROWS), b + j * GLOT_PANEL,
                               col + j, least(GLOT_TILE_COLS, cols - j));
    }
    if (s->first_k + s->k == s->p.k)
        add_bias(&s->p, s->first_row + part_start(s->rows, s->n_tiles, first),
                 s->first_row + part_start(s->rows, s->n_tiles, end), col, cols);
}

static void run_task(const slab *s, int64_t task, float *b)
{
    int64_t split = task / s->n_blocks, block = task % s->n_blocks, units = parts(s->p.n, GLOT_TILE_COLS);
    int64_t col = part_start(units, s->n_blocks, block) * GLOT_TILE_COLS;
    int64_t end = least(part_start(units, s->n_blocks, block + 1) * GLOT_TILE_COLS, s->p.n);
    int64_t first = part_start(s->n_tiles, s->n_splits, split),
            last = part_start(s->n_tiles, s->n_splits, split + 1);
    multiply_block(s, first, last, col, end - col, b);
}

/* The slab that item `*i` of a list over all slabs belongs to; *i becomes its number there. */
static const slab *slab_of_pack(const batch *b, int64_t *i)
{
    const slab *s = b->slabs;
    for (; *i >= s->n_packs; s++)
        *i -= s->n_packs;
    return s;
}

static const slab *slab_of_task(const batch *b, int64_t *i)
{
    const slab *s = b->slabs;
    for (; *i >= s->n_tasks; s++)
        *i -= s->n_tasks;
    return s;
}

static void pack_item(const batch *b, int64_t i)
{
    const slab *s = slab_of_pack(b, &i);
    pack_a(s, i);
}

/* A packed a below this many floats is no work for a team. */
enum { SERIAL_PACK_FLOATS = 1 << 13 };

static void run_batch(const glot_backend *be, batch *b)
{
    int64_t n_team_packs = b->n_floats < SERIAL_PACK_FLOATS ? 0 : b->n_packs;
    for (int64_t i = n_team_packs; i < b->n_packs; i++)
        pack_item(b, i);
#pragma omp parallel num_threads(glot_cpu_team(be, b->work / 8))
    {
        if (n_team_packs) {
#pragma omp for schedule(dynamic, 1)
            for (int64_t i = 0; i < n_team_packs; i++)
                pack_item(b, i);
        }
        float *mine = glot_cpu_thread_scratch(be, GLOT_GEMM_THREAD_FLOATS * sizeof(float));
#pragma omp for schedule(dynamic, 1) nowait
        for (int64_t i = 0; i < b->n_tasks; i++) {
            int64_t task = i;
            const slab *s = slab_of_task(b, &task);
            run_task(s, task, mine);
        }
    }
    b->n = 0;
    b->n_floats = b->n_packs = b->n_tasks = b->work = 0;
}

/* Blocks of columns and splits of rows: enough tasks for the team, and their number a multiple of it where
 * that is possible. */
static void plan_tasks(slab *s, int n_threads)
{
    int64_t units = parts(s->p.n, GLOT_TILE_COLS), most = GLOT_GEMM_BLOCK_COLS / GLOT_TILE_COLS;
    s->n_splits = 1;
    while (units * s->n_splits < TASKS_PER_THREAD * n_threads && s->rows >= 2 * MIN_SPLIT_ROWS * s->n_splits)
        s->n_splits *= 2;
    s->n_blocks = parts(parts(units, most), n_threads) * n_threads;
    s->n_blocks = least(s->n_blocks, units);
    s->n_tasks = s->n_splits * s->n_blocks;
}

/* The same part of the same a as another slab of the batch packs it, or NULL. */
static float *packed_before(const batch *b, const slab *s)
{
    for (const slab *o = b->slabs; o < b->slabs + b->n; o++)
        if (o->p.a.data == s->p.a.data && o->p.a.first_row == s->p.a.first_row &&
            o->p.a.row_map == s->p.a.row_map && o->first_row == s->first_row && o->rows == s->rows &&
            o->first_k == s->first_k && o->k == s->k)
            return o->packed;
    return NULL;
}

static void add_slab(const glot_backend *be, batch *b, slab s)
{
    s.n_tiles = parts(s.rows, GLOT_TILE_ROWS);
    s.tile_floats = GLOT_PANEL * parts(s.rows, s.n_tiles) + GLOT_PACK_SLACK;
    if (b->n == MAX_SLABS)
        run_batch(be, b);
    s.packed = packed_before(b, &s);
    if (!s.packed) {
        int64_t floats = panels_of(&s) * s.n_tiles * s.tile_floats;
        if (b->n_floats + floats > GLOT_GEMM_SHARED_FLOATS)
            run_batch(be, b);
        GLOT_ASSERT(floats <= GLOT_GEMM_SHARED_FLOATS);
        s.packed =
            (float *)glot_cpu_shared_scratch(be, GLOT_GEMM_SHARED_FLOATS * sizeof(float)) + b->n_floats;
        s.n_packs = panels_of(&s) * parts(s.n_tiles, pack_tiles(&s.p));
        b->n_floats += floats;
    }
    plan_tasks(&s, be->n_threads);
    b->slabs[b->n++] = s;
    b->n_packs += s.n_packs;
    b->n_tasks += s.n_tasks;
    b->work += s.rows * s.k * s.p.n;
}

/* The slabs of one product, in order: panels of the same rows never share a batch. */
static void add_product(const glot_backend *be, batch *b, const product *p)
{
    int64_t n_parts = parts(p->m, SLAB_ROWS);
    for (int64_t i = 0; i < n_parts; i++) {
        int64_t first = part_start(p->m, n_parts, i), rows = part_start(p->m, n_parts, i + 1) - first;
        int64_t panel_floats = (rows + GLOT_TILE_ROWS) * (GLOT_PANEL + GLOT_PACK_SLACK);
        int64_t most = GLOT_GEMM_SHARED_FLOATS / panel_floats * GLOT_PANEL;
        for (int64_t k = 0; k < p->k; k += most) {
            if (k)
                run_batch(be, b);
            add_slab(
                be, b,
                (slab){.p = *p, .first_row = first, .rows = rows, .first_k = k, .k = least(most, p->k - k)});
        }
    }
}

/* Sums over nothing. */
static void store_start(const product *p)
{
    if (!p->is_added)
        memset(p->c, 0, (size_t)(p->m * p->n) * sizeof *p->c);
    add_bias(p, 0, p->m, 0, p->n);
}

/* Outputs of few rows, weights with k along their rows: those of k_few.c. */
static bool is_few(const product *p)
{
    return p->m <= GLOT_FEW_ROWS && !p->is_a_across && !p->is_b_across && !p->is_added;
}

static glot_few_product few_of(const product *p)
{
    return (glot_few_product){
        .x = p->a, .w = p->b, .m = p->m, .n = p->n, .k = p->length, .out = p->c, .bias = p->bias};
}

static void run(const glot_backend *be, const gemm *g)
{
    glot_few_product few[GLOT_FEW_PRODUCTS];
    int n_few = 0;
    batch b;
    b.n = 0;
    b.n_floats = b.n_packs = b.n_tasks = b.work = 0;
    for (int i = 0; i < g->n_groups; i++) {
        product p = g->group(g->op, i);
        p.length = p.k;
        p.is_bf16 = be->products == GLOT_BF16;
        if (p.is_bf16)
            p.k = parts(p.length, 2);
        if (p.m <= 0 || p.n <= 0)
            continue;
        if (p.k <= 0)
            store_start(&p);
        else if (is_few(&p))
            few[n_few++] = few_of(&p);
        else
            add_product(be, &b, &p);
        if (n_few == GLOT_FEW_PRODUCTS) {
            GLOT_KERNEL(few_products)(be, few, n_few);
            n_few = 0;
        }
    }
    if (n_few)
        GLOT_KERNEL(few_products)(be, few, n_few);
    if (b.n)
        run_batch(be, &b);
}

static float *floats(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == GLOT_F32);
    return t->addr;
}

/* A matrix as one side; its rows are `cols` long. */
static glot_operand operand(const glot_tensor *t, int64_t cols)
{
    GLOT_ASSERT(t->dtype == GLOT_F32 || t->dtype == GLOT_F16 || t->dtype == GLOT_BF16);
    return (glot_operand){.data = t->addr, .dtype = t->dtype, .stride = cols};
}

/* Rows of a product with outputs y, n wide, and inputs x, k wide: either may have no width. */
static int64_t rows_of(const glot_tensor *y, int64_t n, const glot_tensor *x, int64_t k)
{
    return n ? glot_tensor_elements(y) / n : k ? glot_tensor_elements(x) / k : 0;
}

static product one_product(const void *op, int g)
{
    (void)g;
    return *(const product *)op;
}

static void run_one(const glot_backend *be, const product *p)
{
    run(be, &(gemm){.n_groups = 1, .group = one_product, .op = p});
}

/* Several products with one x. */
typedef struct linears {
    const glot_projection *projections;
    const glot_tensor *x;
} linears;

static product projection(const void *context, int i)
{
    const linears *op = context;
    const glot_projection *p = &op->projections[i];
    const glot_tensor *x = op->x, *w = p->w[0];
    int64_t n = w->shape[0], k = w->shape[1], rows = rows_of(p->out, n, x, k);
    GLOT_ASSERT(glot_tensor_elements(x) == rows * k && glot_tensor_elements(p->out) == rows * n);
    GLOT_ASSERT(x->dtype == GLOT_F32 && (!p->bias || glot_tensor_elements(p->bias) == n));
    return (product){.a = operand(x, k),
                     .b = operand(w, k),
                     .m = rows,
                     .n = n,
                     .k = k,
                     .c = floats(p->out),
                     .bias = p->bias};
}

void GLOT_KERNEL(linears)(glot_backend *be, const glot_projection *projections, int count,
                          const glot_tensor *x)
{
    linears op = {projections, x};
    run(be, &(gemm){.n_groups = count, .group = projection, .op = &op});
}

void GLOT_KERNEL(linear_backward_input)(glot_backend *be, const glot_tensor *dx, const glot_tensor *dy,
                                        const glot_tensor *w, bool is_added)
{
    int64_t n = w->shape[0], k = w->shape[1], rows = rows_of(dy, n, dx, k);
    GLOT_ASSERT(glot_tensor_elements(dy) == rows * n && glot_tensor_elements(dx) == rows * k);
    GLOT_ASSERT(dy->dtype == GLOT_F32);
    run_one(be, &(product){.a = operand(dy, n),
                           .b = operand(w, k),
                           .is_b_across = true,
                           .m = rows,
                           .n = k,
                           .k = n,
                           .c = floats(dx),
                           .is_added = is_added});
}

void GLOT_KERNEL(linear_backward_weight)(glot_backend *be, const glot_tensor *dw, const glot_tensor *dy,
                                         const glot_tensor *x)
{
    int64_t n = dw->shape[0], k = dw->shape[1], rows = rows_of(dy, n, x, k);
    GLOT_ASSERT(glot_tensor_elements(dy) == rows * n && glot_tensor_elements(x) == rows * k);
    GLOT_ASSERT(dy->dtype == GLOT_F32 && x->dtype == GLOT_F32);
    run_one(be, &(product){.a = operand(dy, n),
                           .b = operand(x, k),
                           .is_a_across = true,
                           .is_b_across = true,
                           .m = n,
                           .n = k,
                           .k = rows,
                           .c = floats(dw),
                           .is_added = true});
}

/* A grouped op: the tensors by their role in the three products above. */
typedef struct grouped {
    const glot_projection *projections;
    int count; /* of them */
    const glot_tensor *out, *dy, *x;
    const glot_tensor *const *w; /* or dw */
    const glot_dispatch *plan;
    bool is_gathered, is_added;
} grouped;

static const int32_t *expert_rows(const grouped *op, int e, int64_t *first, int64_t *n)
{
    const int32_t *offsets = op->plan->expert_offsets.addr;
    *first = offsets[e];
    *n = offsets[e + 1] - *first;
    return op->plan->row_map.addr;
}

/* Rows first .. of x, or of the tokens they stand for. */
static glot_operand rows_of_x(const grouped *op, int64_t first, int64_t cols, const int32_t *row_map)
{
    glot_operand x = operand(op->x, cols);
    x.first_row = first;
    if (op->is_gathered) {
        x.row_map = row_map;
        x.row_divisor = op->plan->top_k;
    }
    return x;
}

/* All projections of an expert's rows, then those of the next one's. */
static product expert_forward(const void *context, int i)
{
    const grouped *op = context;
    const glot_projection *p = &op->projections[i % op->count];
    int e = i / op->count;
    int64_t first, rows, n = p->w[e]->shape[0], k = p->w[e]->shape[1];
    const int32_t *row_map = expert_rows(op, e, &first, &rows);
    return (product){.a = rows_of_x(op, first, k, row_map),
                     .b = operand(p->w[e], k),
                     .m = rows,
                     .n = n,
                     .k = k,
                     .c = floats(p->out) + first * n};
}

static product expert_backward_input(const void *context, int e)
{
    const grouped *op = context;
    int64_t first, rows, n = op->w[e]->shape[0], k = op->w[e]->shape[1];
    expert_rows(op, e, &first, &rows);
    glot_operand dy = operand(op->dy, n);
    dy.first_row = first;
    return (product){.a = dy,
                     .b = operand(op->w[e], k),
                     .is_b_across = true,
                     .m = rows,
                     .n = k,
                     .k = n,
                     .c = floats(op->out) + first * k,
                     .is_added = op->is_added};
}

static product expert_backward_weight(const void *context, int e)
{
    const grouped *op = context;
    if (!op->w[e])
        return (product){0};
    int64_t first, rows, n = op->w[e]->shape[0], k = op->w[e]->shape[1];
    const int32_t *row_map = expert_rows(op, e, &first, &rows);
    glot_operand dy = operand(op->dy, n);
    dy.first_row = first;
    return (product){.a = dy,
                     .b = rows_of_x(op, first, k, row_map),
                     .is_a_across = true,
                     .is_b_across = true,
                     .m = n,
                     .n = k,
                     .k = rows,
                     .c = floats(op->w[e]),
                     .is_added = op->is_added};
}

void GLOT_KERNEL(grouped_linears)(glot_backend *be, const glot_projection *projections, int count,
                                  const glot_tensor *x, const glot_dispatch *plan, bool is_gathered)
{
    grouped op = {
        .projections = projections, .count = count, .x = x, .plan = plan, .is_gathered = is_gathered};
    GLOT_ASSERT(x->dtype == GLOT_F32);
    run(be, &(gemm){.n_groups = plan->n_experts * count, .group = expert_forward, .op = &op});
}

void GLOT_KERNEL(grouped_linear_backward_input)(glot_backend *be, const glot_tensor *dx,
                                                const glot_tensor *dy, const glot_tensor *const *w,
                                                const glot_dispatch *plan, bool is_added)
{
    grouped op = {.out = dx, .dy = dy, .w = w, .plan = plan, .is_added = is_added};
    GLOT_ASSERT(dy->dtype == GLOT_F32);
    run(be, &(gemm){.n_groups = plan->n_experts, .group = expert_backward_input, .op = &op});
}

void GLOT_KERNEL(grouped_linear_backward_weight)(glot_backend *be, const glot_tensor *const *dw,
                                                 const glot_tensor *dy, const glot_tensor *x,
                                                 const glot_dispatch *plan, bool is_gathered, bool is_added)
{
    grouped op = {
        .dy = dy, .x = x, .w = dw, .plan = plan, .is_gathered = is_gathered, .is_added = is_added};
    GLOT_ASSERT(dy->dtype == GLOT_F32 && x->dtype == GLOT_F32);
    run(be, &(gemm){.n_groups = plan->n_experts, .group = expert_backward_weight, .op = &op});
}
