/* k_attention.c: causal attention, forward and backward.
 *
 *   s_j = scale (q . k_j)    p_j = exp(s_j - max s) / l,  l = sum exp(s_j - max s)    out = sum_j p_j v_j
 *
 *   dp_j = d_out . v_j       ds_j = p_j (dp_j - d_out . out) scale
 *   dq = sum_j ds_j k_j      dk_j = sum ds_j q      dv_j = sum p_j d_out
 *
 * ORDER    Sums over d and over keys run upward in panels of 256 (from the segment's first key), l in 16
 * lanes; the forward divides by l last. The sums of dk and dv run over the query heads that share the kv head
 *          and in each over the queries, upward. A query's bits depend on its own keys only: keys behind
 * them, or other queries, touch nothing of it.
 *
 * METHOD   Blocks of 64 query rows against the keys they see, never the whole matrix. Scores lie in panels
 *          [keys / 256][64][272] so that the tiles can read them as they are. Keys and values are packed once
 *          for all the blocks of a task; with one block a block of keys is packed, used and forgotten, in
 *          the level 1 cache. One query alone (decoding) packs nothing.
 */
#include "tensor/cpu/attention.h"
#include "tensor/cpu/vn.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { ROWS = GLOT_ATTENTION_ROWS, COLS = GLOT_TILE_COLS };

typedef struct shape {
    int64_t n_heads, n_kv_heads, group, d;
    float scale;
} shape;

/* One kv head of one segment. */
typedef struct keys {
    glot_operand k, v;
    int64_t n;
} keys;

/* Query rows worked on together: their rows in q seen as [T * n_heads, d], and how many keys each sees
 * (never falling). */
typedef struct block {
    int32_t row[ROWS];
    int64_t n_keys[ROWS];
    int64_t n, n_tiles;
} block;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t parts(int64_t n, int64_t of)
{
    return (n + of - 1) / of;
}

static int64_t part_start(int64_t n, int64_t n_parts, int64_t i)
{
    return n / n_parts * i + least(i, n % n_parts);
}

static float *floats(const glot_tensor *t)
{
    GLOT_ASSERT(t->dtype == GLOT_F32);
    return t->addr;
}

static shape shape_of(const glot_tensor *q, const glot_tensor *k, double scale)
{
    GLOT_ASSERT(q->n_dims == 3 && k->n_dims == 3 && k->shape[2] == q->shape[2] &&
                q->shape[1] % k->shape[1] == 0);
    return (shape){q->shape[1], k->shape[1], q->shape[1] / k->shape[1], q->shape[2], (float)scale};
}

/* Head `head` of the rows from `first_row` of a [T, n_heads, d] tensor. */
static glot_operand head_of(const glot_tensor *t, int64_t first_row, int64_t n_heads, int64_t head, int64_t d)
{
    return (glot_operand){
        .data = floats(t) + head * d, .dtype = GLOT_F32, .stride = n_heads * d, .first_row = first_row};
}

/* The rows of a block, of a [T, n_heads, d] tensor. */
static glot_operand rows_of(const glot_tensor *t, const block *b, int64_t d)
{
    return (glot_operand){
        .data = floats(t), .dtype = GLOT_F32, .stride = d, .row_map = b->row, .row_divisor = 1};
}

/* The rows of a block that comes next, into the cache while another is at work: they are short and far
 * apart. */
static void fetch_ahead(const glot_tensor *t, const block *b, int64_t d)
{
    for (int64_t r = 0; r < b->n; r++)
        for (int64_t c = 0; c < d; c += 16)
            __builtin_prefetch(floats(t) + b->row[r] * d + c, 0, 2);
}

static void pack_rows(float *to, const glot_operand *from, const block *b, int64_t d)
{
    for (int64_t t = 0; t < b->n_tiles; t++) {
        int64_t row = part_start(b->n, b->n_tiles, t), rows = part_start(b->n, b->n_tiles, t + 1) - row;
        GLOT_KERNEL(pack_along)(to + row * d + t * GLOT_PACK_SLACK, rows, from, row, rows, 0, d);
    }
}

/* Keys first .. of one block of columns, [d, COLS]. */
static void pack_turned(float *to, const glot_operand *from, int64_t n_keys, int64_t first, int64_t d)
{
    GLOT_KERNEL(pack_along)(to, COLS, from, first, least(COLS, n_keys - first), 0, d);
}

static float *flat_block(float *packed, int64_t panel, int64_t col, int64_t d)
{
    return packed + (panel * parts(d, COLS) + col / COLS) * GLOT_PANEL * COLS;
}

/* Rows first .. end as flat_block's panels; `first` is a multiple of the panel. */
static void pack_flat(float *to, const glot_operand *from, int64_t first, int64_t end, int64_t d)
{
    glot_strip strips[GLOT_STRIPS];
    for (; first < end; first += GLOT_PANEL)
        for (int64_t col = 0; col < d; col += 16 * GLOT_STRIPS) {
            float *panel = flat_block(to, first / GLOT_PANEL, col, d);
            int n = glot_strips_of_b(strips, panel, col, least(16 * GLOT_STRIPS, d - col));
            GLOT_KERNEL(pack_across)(strips, n, from, first, least(GLOT_PANEL, end - first));
        }
}

static float *score_at(float *scores, int64_t row, int64_t key)
{
    return scores + (key / GLOT_PANEL * ROWS + row) * GLOT_PANEL_STRIDE + key % GLOT_PANEL;
}

/* Scores of one block of columns for the tiles of rows that see any of it. */
static void score_columns(float *scores, const block *b, const float *packed_rows, const float *turned,
                          int64_t key, int64_t d)
{
    for (int64_t t = 0; t < b->n_tiles; t++) {
        int64_t row = part_start(b->n, b->n_tiles, t), end = part_start(b->n, b->n_tiles, t + 1),
                rows = end - row;
        if (b->n_keys[end - 1] <= key)
            continue;
        const float *a = packed_rows + row * d + t * GLOT_PACK_SLACK;
        for (int64_t k = 0; k < d; k += GLOT_PANEL)
            GLOT_KERNEL(micro_across)
        [rows](least(GLOT_PANEL, d - k), a + k * rows, rows, turned + k * COLS, score_at(scores, row, key),
               GLOT_PANEL_STRIDE, k ? GLOT_MICRO_ADD : GLOT_MICRO_SET);
    }
}

/* c[COLS] += a_k b_k, k upward: the steps that one row of a tile has and the others do not. */
static void row_steps(float *c, const float *a, int64_t a_step, const float *b, int64_t n)
{
    for (int64_t j = 0; j < COLS; j += 16) {
        v16 sum = v16_load(c + j);
        for (int64_t k = 0; k < n; k++)
            sum = v16_fma(v16_set1(a[k * a_step]), v16_load(b + k * COLS + j), sum);
        v16_store(c + j, sum);
    }
}

static void add_row(float *to, const float *from)
{
    for (int64_t j = 0; j < COLS; j += 16)
        v16_store(to + j, v16_add(v16_load(to + j), v16_load(from + j)));
}

/* total [rows, COLS] = the sums over keys for one tile of rows: the keys that all rows see as a tile, the
 * few behind them row by row. */
static void weigh_tile(float *total, float *scores, const block *b, int64_t row, int64_t end, float *flat,
                       int64_t col, int64_t d)
{
    memset(total, 0, (size_t)((end - row) * COLS) * sizeof *total);
    for (int64_t key = 0; key < b->n_keys[end - 1]; key += GLOT_PANEL) {
        float *values = flat_block(flat, key / GLOT_PANEL, col, d), sums[GLOT_TILE_ROWS * COLS];
        const float *p = score_at(scores, row, key);
        int64_t common = b->n_keys[row] - key;
        common = common < 0 ? 0 : least(common, GLOT_PANEL);
        GLOT_KERNEL(micro_along)[end - row](common, p, 0, values, sums, COLS, GLOT_MICRO_SET);
        for (int64_t r = row; r < end; r++) {
            int64_t n = least(b->n_keys[r] - key, GLOT_PANEL);
            if (n > common)
                row_steps(sums + (r - row) * COLS, p + (r - row) * GLOT_PANEL_STRIDE + common, 1,
                          values + common * COLS, n - common);
            add_row(total + (r - row) * COLS, sums + (r - row) * COLS);
        }
    }
}

static inline void store_up_to(float *to, v16 x, int64_t n)
{
    if (n >= 16)
        v16_store(to, x);
    else
        v16_store_n(to, x, n);
}

/* to's rows of the block = sum over keys of score times the row of `flat`, divided by `by` (or NULL). */
static void weigh_block(const glot_tensor *to, float *scores, const block *b, float *flat, const float *by,
                        int64_t d)
{
    for (int64_t t = 0; t < b->n_tiles; t++) {
        int64_t row = part_start(b->n, b->n_tiles, t), end = part_start(b->n, b->n_tiles, t + 1);
        for (int64_t c = 0; c < d; c += COLS) {
            float total[GLOT_TILE_ROWS * COLS];
            weigh_tile(total, scores, b, row, end, flat, c, d);
            for (int64_t r = row; r < end; r++)
                for (int64_t j = 0; j < least(COLS, d - c); j += 16) {
                    v16 x = v16_load(total + (r - row) * COLS + j);
                    if (by)
                        x = v16_div(x, v16_set1(by[r]));
                    store_up_to(floats(to) + b->row[r] * d + c + j, x, d - c - j);
                }
        }
    }
}

static float row_max(float *scores, int64_t row, int64_t n, v16 scale)
{
    v16 max = v16_set1(-INFINITY);
    for (int64_t j = 0; j < n; j += 16) {
        v16 s = v16_mul(scale, v16_load(score_at(scores, row, j)));
        max = v16_max(n - j < 16 ? v16_keep(s, n - j, -INFINITY) : s, max);
    }
    return v16_fold_max(max);
}

/* Row `row` of dot products becomes exp(scale s - max); returns their sum. Elements behind the last key
 * become 0 up to a multiple of 16. */
static float row_exp(float *scores, int64_t row, int64_t n, float scale)
{
    v16 by = v16_set1(scale), max = v16_set1(row_max(scores, row, n, by)), sum = v16_zero();
    for (int64_t j = 0; j < n; j += 16) {
        float *s = score_at(scores, row, j);
        v16 e = v16_exp(v16_sub(v16_mul(by, v16_load(s)), max));
        if (n - j < 16)
            e = v16_keep(e, n - j, 0.0f);
        v16_store(s, e);
        sum = v16_add(sum, e);
    }
    return v16_fold_sum(sum);
}

/* What a forward task has in its scratch. */
typedef struct forward {
    float *scores, *turned, *flat, *packed;
    int64_t n_turned; /* keys in turned so far */
    bool is_kept;     /* turned holds all of them, not only the block in use */
} forward;

static forward forward_scratch(const glot_backend *be, int64_t n_keys, int64_t d)
{
    float *at = glot_cpu_thread_scratch(be, glot_attention_forward_floats(n_keys, d) * sizeof(float));
    forward f = {.scores = at};
    f.flat = f.scores + glot_attention_scores(n_keys);
    f.packed = f.flat + glot_attention_flat(n_keys, d);
    f.turned = f.packed + glot_attention_packed(d);
    return f;
}

static void forward_block(forward *f, const glot_tensor *out, const glot_tensor *q, const block *b,
                          const keys *kv, const shape *s)
{
    glot_operand rows = rows_of(q, b, s->d);
    int64_t n_keys = b->n_keys[b->n - 1];
    float sums[ROWS];
    pack_rows(f->packed, &rows, b, s->d);
    for (int64_t key = 0; key < n_keys; key += COLS) {
        float *turned = f->turned + (f->is_kept ? key * s->d : 0);
        if (key >= f->n_turned)
            pack_turned(turned, &kv->k, kv->n, key, s->d);
        score_columns(f->scores, b, f->packed, turned, key, s->d);
    }
    f->n_turned = f->is_kept ? parts(n_keys, COLS) * COLS : 0;
    for (int64_t r = 0; r < b->n; r++)
        sums[r] = row_exp(f->scores, r, b->n_keys[r], s->scale);
    weigh_block(out, f->scores, b, f->flat, sums, s->d);
}

/* Rows first .. of a kv head's queries, counted (position, head in the group). */
static void group_block(block *b, const int32_t *segment, const shape *s, int64_t kv_head, int64_t first,
                        int64_t n)
{
    b->n = n;
    b->n_tiles = parts(n, GLOT_TILE_ROWS);
    for (int64_t r = 0; r < n; r++) {
        int64_t position = (first + r) / s->group, head = kv_head * s->group + (first + r) % s->group;
        b->row[r] = (int32_t)((segment[0] + position) * s->n_heads + head);
        b->n_keys[r] = segment[3] - segment[1] + position + 1;
    }
}

static keys keys_of(const glot_tensor *k, const glot_tensor *v, const int32_t *segment, const shape *s,
                    int64_t kv_head)
{
    return (keys){.k = head_of(k, segment[2], s->n_kv_heads, kv_head, s->d),
                  .v = head_of(v, segment[2], s->n_kv_heads, kv_head, s->d),
                  .n = segment[3]};
}

/* ---- one query of a segment: as k_few.c, keys are turned in registers, values read where they lie ---- */

enum { FEW_HEADS = 4, FEW_VECTORS = 4 }; /* worked on together; vectors of d */

/* Up to FEW_HEADS query heads of one token that share a kv head. */
typedef struct few_heads {
    const float *q; /* [m, d] */
    float *out;     /* [m, d] */
    int64_t d;
    float scale;
} few_heads;

/* What lies so many bytes from `at`, where it may be that nothing does. */
ALWAYS_INLINE void fetch_from(const float *at, uintptr_t bytes)
{
    __builtin_prefetch((const void *)((uintptr_t)at + bytes), 0, 2);
}

/* sums[r] += q_r . k over VN_LANES elements of d from `first`, one key in each lane. Fetches the keys after
 * these and the values of these: rows lie apart, and the processor would not guess which come next. */
ALWAYS_INLINE void add_key_square(vn *sums, int64_t m, const few_heads *h, const keys *kv,
                                  const float *const *rows, int64_t first)
{
    vn w[VN_LANES];
    uintptr_t next = (uintptr_t)(VN_LANES * kv->k.stride) * sizeof(float),
              values = (uintptr_t)kv->v.data - (uintptr_t)kv->k.data;
    for (int i = 0; i < VN_LANES; i++) {
        w[i] = vn_load(rows[i] + first);
        fetch_from(rows[i] + first, next);
        fetch_from(rows[i] + first, values);
    }
    vn_turn(w);
    for (int i = 0; i < VN_LANES; i++)
        for (int64_t r = 0; r < m; r++)
            sums[r] = vn_fma(vn_set1(h->q + r * h->d + first + i), w[i], sums[r]);
}

/* Scores of m heads and the VN_LANES keys from `key`; keys that do not exist are the last one again. */
ALWAYS_INLINE void score_few(float *scores, int64_t m, const few_heads *h, const keys *kv, int64_t key)
{
    const float *rows[VN_LANES];
    vn total[FEW_HEADS], sums[FEW_HEADS];
    for (int64_t i = 0; i < VN_LANES; i++)
        rows[i] = glot_operand_row(&kv->k, least(key + i, kv->n - 1));
    for (int64_t r = 0; r < m; r++)
        total[r] = vn_zero();
    for (int64_t panel = 0; panel < h->d; panel += GLOT_PANEL) {
        for (int64_t r = 0; r < m; r++)
            sums[r] = vn_zero();
        for (int64_t c = panel; c < least(h->d, panel + GLOT_PANEL); c += VN_LANES)
            add_key_square(sums, m, h, kv, rows, c);
        for (int64_t r = 0; r < m; r++)
            total[r] = vn_add(total[r], sums[r]);
    }
    for (int64_t r = 0; r < m; r++)
        vn_store(score_at(scores, r, key), total[r]);
}

/* n vectors of columns of m rows of out: the sum over keys of score times value, divided by `by`. */
ALWAYS_INLINE void weigh_few(float *scores, int64_t m, int64_t n, const few_heads *h, const keys *kv,
                             const float *by, int64_t c)
{
    vn total[FEW_HEADS * FEW_VECTORS], sums[FEW_HEADS * FEW_VECTORS];
    for (int64_t i = 0; i < m * n; i++)
        total[i] = vn_zero();
    for (int64_t panel = 0; panel < kv->n; panel += GLOT_PANEL) {
        const float *p = score_at(scores, 0, panel), *v = (const float *)glot_operand_row(&kv->v, panel) + c;
        for (int64_t i = 0; i < m * n; i++)
            sums[i] = vn_zero();
        for (int64_t j = 0; j < least(GLOT_PANEL, kv->n - panel); j++, v += kv->v.stride)
            for (int64_t i = 0; i < m * n; i++)
                sums[i] = vn_fma(vn_set1(p + i / n * GLOT_PANEL_STRIDE + j), vn_load(v + i % n * VN_LANES),
                                 sums[i]);
        for (int64_t i = 0; i < m * n; i++)
            total[i] = vn_add(total[i], sums[i]);
    }
    for (int64_t i = 0; i < m * n; i++)
        vn_store(h->out + i / n * h->d + c + i % n * VN_LANES, vn_div(total[i], vn_set1(by + i / n)));
}

/* Inlined with constant m: sums stay in registers. */
ALWAYS_INLINE void attend_heads(float *scores, int64_t m, const few_heads *h, const keys *kv)
{
    float sums[FEW_HEADS];
    for (int64_t key = 0; key < kv->n; key += VN_LANES)
        score_few(scores, m, h, kv, key);
    for (int64_t r = 0; r < m; r++)
        sums[r] = row_exp(scores, r, kv->n, h->scale);
    int64_t c = 0;
    for (; c + FEW_VECTORS * VN_LANES <= h->d; c += FEW_VECTORS * VN_LANES)
        weigh_few(scores, m, FEW_VECTORS, h, kv, sums, c);
    for (; c < h->d; c += VN_LANES)
        weigh_few(scores, m, 1, h, kv, sums, c);
}

/* All query heads of one kv head. */
static void one_query_task(const glot_backend *be, const glot_tensor *out, const glot_tensor *q,
                           const keys *kv, const int32_t *segment, const shape *s, int64_t kv_head)
{
    forward f = forward_scratch(be, segment[3], s->d);
    int64_t row = segment[0] * s->n_heads + kv_head * s->group;
    for (int64_t first = 0; first < s->group; first += FEW_HEADS) {
        few_heads h = {floats(q) + (row + first) * s->d, floats(out) + (row + first) * s->d, s->d, s->scale};
        switch (least(FEW_HEADS, s->group - first)) {
        case 1:
            attend_heads(f.scores, 1, &h, kv);
            break;
        case 2:
            attend_heads(f.scores, 2, &h, kv);
            break;
        case 3:
            attend_heads(f.scores, 3, &h, kv);
            break;
        default:
            attend_heads(f.scores, FEW_HEADS, &h, kv);
        }
    }
}

/* Queries first .. end of one kv head. */
static void forward_task(const glot_backend *be, const glot_tensor *out, const glot_tensor *q, const keys *kv,
                         const int32_t *segment, const shape *s, int64_t kv_head, int64_t first, int64_t end)
{
    forward f = forward_scratch(be, segment[3], s->d);
    int64_t rows = (end - first) * s->group, n_blocks = parts(rows, ROWS);
    f.is_kept = n_blocks > 1;
    pack_flat(f.flat, &kv->v, 0, segment[3] - segment[1] + end, s->d);
    block blocks[2];
    group_block(&blocks[0], segment, s, kv_head, first * s->group, part_start(rows, n_blocks, 1));
    for (int64_t i = 0; i < n_blocks; i++) {
        block *next = &blocks[(i + 1) % 2];
        if (i + 1 < n_blocks) {
            int64_t row = part_start(rows, n_blocks, i + 1), n = part_start(rows, n_blocks, i + 2) - row;
            group_block(next, segment, s, kv_head, first * s->group + row, n);
            fetch_ahead(q, next, s->d);
            fetch_ahead(out, next, s->d);
        }
        forward_block(&f, out, q, &blocks[i % 2], kv, s);
    }
}

/* Numbers to read, and multiplications, several of which take as long. */
static int64_t work_of(const glot_tensor *segments, const shape *s)
{
    const int32_t *segment = segments->addr;
    int64_t work = 0;
    for (int64_t i = 0; i < segments->shape[0]; i++, segment += 4)
        work += segment[3] * s->d * (2 * s->n_kv_heads + segment[1] * s->n_heads / 8);
    return work;
}

enum { TASKS_PER_THREAD = 4, MIN_TASK_ROWS = 32 };

/* In how many parts the queries of every segment are cut, so that there is enough to do for the team. */
static int64_t splits_of(const glot_tensor *segments, const shape *s, int team)
{
    const int32_t *segment = segments->addr;
    int64_t tasks = segments->shape[0] * s->n_kv_heads,
            splits = parts((int64_t)team * TASKS_PER_THREAD, tasks), longest = 1;
    for (int64_t i = 0; i < segments->shape[0]; i++, segment += 4)
        longest = segment[1] > longest ? segment[1] : longest;
    return least(splits, parts(longest, MIN_TASK_ROWS));
}

void GLOT_KERNEL(attention)(glot_backend *be, const glot_tensor *out, const glot_tensor *q,
                            const glot_tensor *k, const glot_tensor *v, const glot_tensor *segments,
                            double scale)
{
    shape s = shape_of(q, k, scale);
    int64_t n = segments->shape[0];
    if (!n)
        return;
    int team = glot_cpu_team(be, work_of(segments, &s));
    int64_t splits = splits_of(segments, &s, team), per_segment = splits * s.n_kv_heads;
    /* Last parts first: they see the most keys. */
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
    for (int64_t task = n * per_segment - 1; task >= 0; task--) {
        const int32_t *segment = (const int32_t *)segments->addr + task % n * 4;
        int64_t kv_head = task / n % s.n_kv_heads, split = task / n / s.n_kv_heads;
        GLOT_ASSERT(segment[3] >= segment[1]);
        int64_t first = part_start(segment[1], splits, split),
                end = part_start(segment[1], splits, split + 1);
        keys kv = keys_of(k, v, segment, &s, kv_head);
        if (first == end)
            continue;
        if (segment[1] == 1 && s.d % VN_LANES == 0)
            one_query_task(be, out, q, &kv, segment, &s, kv_head);
        else
            forward_task(be, out, q, &kv, segment, &s, kv_head, first, end);
    }
}

/* The tensors of a backward call. */
typedef struct gradients {
    const glot_tensor *dq, *dk, *dv, *d_out, *out, *q;
} gradients;

/* What a backward task has in its scratch: p and ds of a block; keys and values turned; keys flat; the
 * block's q and d_out packed and flat; the sums of dk and dv. */
typedef struct backward {
    float *p, *ds, *k_turned, *v_turned, *k_flat, *q_packed, *d_out_packed, *q_flat, *d_out_flat, *dk, *dv;
} backward;

static backward backward_scratch(const glot_backend *be, int64_t n_keys, int64_t d)
{
    backward w;
    w.p = glot_cpu_thread_scratch(be, glot_attention_backward_floats(n_keys, d) * sizeof(float));
    w.ds = w.p + glot_attention_scores(n_keys);
    w.k_turned = w.ds + glot_attention_scores(n_keys);
    w.v_turned = w.k_turned + glot_attention_turned(n_keys, d);
    w.k_flat = w.v_turned + glot_attention_turned(n_keys, d);
    w.dk = w.k_flat + glot_attention_flat(n_keys, d);
    w.dv = w.dk + glot_attention_flat(n_keys, d);
    w.q_packed = w.dv + glot_attention_flat(n_keys, d);
    w.d_out_packed = w.q_packed + glot_attention_packed(d);
    w.q_flat = w.d_out_packed + glot_attention_packed(d);
    w.d_out_flat = w.q_flat + glot_attention_flat(ROWS, d);
    return w;
}

/* a . b over d, in order; four rows at a time because each is one chain of additions. */
static void row_dots(float dots[4], const float *const a[4], const float *const b[4], int64_t d)
{
    float total[4] = {0};
    for (int64_t first = 0; first < d; first += GLOT_PANEL) {
        float sum[4] = {0};
        for (int64_t c = first; c < least(d, first + GLOT_PANEL); c++)
            for (int i = 0; i < 4; i++)
                sum[i] = fmaf(a[i][c], b[i][c], sum[i]);
        for (int i = 0; i < 4; i++)
            total[i] += sum[i];
    }
    memcpy(dots, total, sizeof total);
}

/* dots[r] = d_out . out of the block's rows. */
static void block_dots(float dots[ROWS], const gradients *g, const block *b, int64_t d)
{
    for (int64_t r = 0; r < b->n; r += 4) {
        const float *a[4], *o[4];
        float four[4];
        for (int64_t i = 0; i < 4; i++) {
            int64_t row = b->row[least(r + i, b->n - 1)];
            a[i] = floats(g->d_out) + row * d;
            o[i] = floats(g->out) + row * d;
        }
        row_dots(four, a, o, d);
        memcpy(dots + r, four, (size_t)least(4, b->n - r) * sizeof *four);
    }
}

/* p: exponentials to probabilities; ds: dp to the scores' gradient. */
static void row_gradient(float *p, float *ds, int64_t row, int64_t n, float sum, float dot, float scale)
{
    for (int64_t j = 0; j < n; j += 16) {
        float *p_j = score_at(p, row, j), *ds_j = score_at(ds, row, j);
        v16 x = v16_div(v16_load(p_j), v16_set1(sum));
        v16 dx = v16_mul(v16_mul(x, v16_sub(v16_load(ds_j), v16_set1(dot))), v16_set1(scale));
        v16_store(p_j, x);
        v16_store(ds_j, dx);
    }
}

static void block_scores(backward *w, const gradients *g, const block *b, const shape *s)
{
    glot_operand q = rows_of(g->q, b, s->d), d_out = rows_of(g->d_out, b, s->d);
    pack_rows(w->q_packed, &q, b, s->d);
    pack_rows(w->d_out_packed, &d_out, b, s->d);
    for (int64_t key = 0; key < b->n_keys[b->n - 1]; key += COLS) {
        score_columns(w->p, b, w->q_packed, w->k_turned + key * s->d, key, s->d);
        score_columns(w->ds, b, w->d_out_packed, w->v_turned + key * s->d, key, s->d);
    }
    float dots[ROWS];
    block_dots(dots, g, b, s->d);
    for (int64_t r = 0; r < b->n; r++) {
        float sum = row_exp(w->p, r, b->n_keys[r], s->scale);
        row_gradient(w->p, w->ds, r, b->n_keys[r], sum, dots[r], s->scale);
    }
}

/* sums [keys, padded d] += scores^T rows, for the keys key .. end of one tile and one block of columns. The
 * queries that see all of the tile's keys go through the tile; before them each key has its own few. Query
 * r of the block sees n_keys[0] + r keys. */
static void gather_tile(float *sums, int64_t sums_step, float *scores, const block *b, int64_t key,
                        int64_t end, const float *rows)
{
    int64_t common = end - b->n_keys[0]; /* the first query that sees key end - 1 */
    common = common < 0 ? 0 : common;
    for (int64_t j = key; j < end - 1; j++) {
        int64_t own = j + 1 - b->n_keys[0];
        own = own < 0 ? 0 : own;
        row_steps(sums + (j - key) * sums_step, score_at(scores, own, j), GLOT_PANEL_STRIDE,
                  rows + own * COLS, common - own);
    }
    GLOT_KERNEL(micro_across)
    [end - key](b->n - common, score_at(scores, common, key), GLOT_PANEL_STRIDE, rows + common * COLS, sums,
                sums_step, GLOT_MICRO_CONTINUE);
}

/* The block's part of dk or dv; sums [n_keys, blocks of columns, COLS]. */
static void gather_block(float *sums, float *scores, const block *b, float *flat_rows, int64_t d)
{
    int64_t n_keys = b->n_keys[b->n - 1], step = parts(d, COLS) * COLS;
    for (int64_t panel = 0; panel < n_keys; panel += GLOT_PANEL) {
        int64_t n = least(GLOT_PANEL, n_keys - panel), n_tiles = parts(n, GLOT_TILE_ROWS);
        for (int64_t c = 0; c < d; c += COLS)
            for (int64_t t = 0; t < n_tiles; t++) {
                int64_t key = panel + part_start(n, n_tiles, t), end = panel + part_start(n, n_tiles, t + 1);
                gather_tile(sums + key * step + c, step, scores, b, key, end, flat_block(flat_rows, 0, c, d));
            }
    }
}

static void backward_block(backward *w, const gradients *g, const block *b, const shape *s)
{
    glot_operand q = rows_of(g->q, b, s->d), d_out = rows_of(g->d_out, b, s->d);
    block_scores(w, g, b, s);
    pack_flat(w->q_flat, &q, 0, b->n, s->d);
    pack_flat(w->d_out_flat, &d_out, 0, b->n, s->d);
    gather_block(w->dv, w->p, b, w->d_out_flat, s->d);
    gather_block(w->dk, w->ds, b, w->q_flat, s->d);
    weigh_block(g->dq, w->ds, b, w->k_flat, NULL, s->d);
}

/* Block i of a kv head: the query heads that share it, one after the other, each from the first position
 * on. */
static void head_block(block *b, const int32_t *segment, const shape *s, int64_t kv_head, int64_t i)
{
    int64_t n_blocks = parts(segment[1], ROWS), head = kv_head * s->group + i / n_blocks,
            first = i % n_blocks * ROWS;
    b->n = least(ROWS, segment[1] - first);
    b->n_tiles = parts(b->n, GLOT_TILE_ROWS);
    for (int64_t r = 0; r < b->n; r++) {
        b->row[r] = (int32_t)((segment[0] + first + r) * s->n_heads + head);
        b->n_keys[r] = first + r + 1;
    }
}

static void store_sums(const glot_tensor *to, const float *sums, const int32_t *segment, const shape *s,
                       int64_t kv_head)
{
    int64_t step = parts(s->d, COLS) * COLS;
    for (int64_t j = 0; j < segment[3]; j++)
        memcpy(floats(to) + ((segment[2] + j) * s->n_kv_heads + kv_head) * s->d, sums + j * step,
               (size_t)s->d * sizeof(float));
}

static void backward_task(const glot_backend *be, const gradients *g, const keys *kv, const int32_t *segment,
                          const shape *s, int64_t kv_head)
{
    int64_t n = segment[3];
    backward w = backward_scratch(be, n, s->d);
    for (int64_t key = 0; key < n; key += COLS) {
        pack_turned(w.k_turned + key * s->d, &kv->k, n, key, s->d);
        pack_turned(w.v_turned + key * s->d, &kv->v, n, key, s->d);
    }
    pack_flat(w.k_flat, &kv->k, 0, n, s->d);
    size_t sum_bytes = (size_t)(n * parts(s->d, COLS) * COLS) * sizeof(float);
    memset(w.dk, 0, sum_bytes);
    memset(w.dv, 0, sum_bytes);
    int64_t n_blocks = parts(n, ROWS) * s->group;
    block blocks[2];
    if (n_blocks)
        head_block(&blocks[0], segment, s, kv_head, 0);
    for (int64_t i = 0; i < n_blocks; i++) {
        block *next = &blocks[(i + 1) % 2];
        if (i + 1 < n_blocks) {
            const glot_tensor *all[] = {g->q, g->d_out, g->out, g->dq};
            head_block(next, segment, s, kv_head, i + 1);
            for (int t = 0; t < 4; t++)
                fetch_ahead(all[t], next, s->d);
        }
        backward_block(&w, g, &blocks[i % 2], s);
    }
    store_sums(g->dk, w.dk, segment, s, kv_head);
    store_sums(g->dv, w.dv, segment, s, kv_head);
}

void GLOT_KERNEL(attention_backward)(glot_backend *be, const glot_tensor *dq, const glot_tensor *dk,
                                     const glot_tensor *dv, const glot_tensor *d_out, const glot_tensor *out,
                                     const glot_tensor *q, const glot_tensor *k, const glot_tensor *v,
                                     const glot_tensor *segments, double scale)
{
    shape s = shape_of(q, k, scale);
    gradients g = {dq, dk, dv, d_out, out, q};
    int team = glot_cpu_team(be, 2 * work_of(segments, &s));
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
    for (int64_t task = 0; task < segments->shape[0] * s.n_kv_heads; task++) {
        const int32_t *segment = (const int32_t *)segments->addr + task / s.n_kv_heads * 4;
        GLOT_ASSERT(segment[1] == segment[3]);
        keys kv = keys_of(k, v, segment, &s, task % s.n_kv_heads);
        backward_task(be, &g, &kv, segment, &s, task % s.n_kv_heads);
    }
}
