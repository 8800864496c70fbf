/* recipe.h
 *
 * A recipe: what `glot expand` is told (docs/RECIPE.md). One table, glot_recipe_keys, names every key with
 * its type, range, default and whether it may change when a run goes on; parsing, defaults, `--set`, the
 * resolved recipe, the refusal of a changed one, the options of `train` and `review` and docs/RECIPE.md all
 * follow from it.
 *
 *     glot_recipe *r;
 *     GLOT_TRY(glot_recipe_load(&r, "recipe.yaml", settings, n_settings, err));
 *     ... r->train.lr ...
 *     glot_recipe_free(r);
 *
 * Whatever is wrong is one sentence with the file's name, line and key (or the option). A key whose feature
 * this version does not have is read and checked like any other and refused where it asks for the feature.
 */
#ifndef GLOT_JOB_RECIPE_H
#define GLOT_JOB_RECIPE_H

#include "base/str.h"
#include "expand/trainable.h"
#include "expand/upcycle.h"
#include "train/train.h"

/* Of a stage: beyond what any machine will do, and far inside an int64_t. */
#define GLOT_RECIPE_MOST_TOKENS 1e15

typedef enum glot_key_section {
    GLOT_SECTION_TOP,
    GLOT_SECTION_LANGUAGE,
    GLOT_SECTION_EXPERTS,
    GLOT_SECTION_GATE,
    GLOT_SECTION_EXACT,
    GLOT_SECTION_GROW,
    GLOT_SECTION_TRAIN,
    GLOT_SECTION_REVIEW,
    GLOT_SECTION_EVAL,
    GLOT_N_SECTIONS
} glot_key_section;

/* Words, or paths. */
typedef struct glot_recipe_list {
    char **items;
    size_t n, capacity;
} glot_recipe_list;

typedef struct glot_recipe_ints {
    int64_t *items;
    size_t n, capacity;
} glot_recipe_ints;

/* "so many steps" or "so much time"; 0 and 0: never. */
typedef struct glot_recipe_every {
    int64_t steps;
    double seconds;
} glot_recipe_every;

/* How many gated layers, or which. */
typedef struct glot_recipe_layers {
    int64_t count; /* -1: `list` holds */
    glot_recipe_ints list;
} glot_recipe_layers;

typedef struct glot_recipe_trainable {
    int what; /* glot_trainable */
    int64_t rank; /* of GLOT_TRAIN_LORA */
    double alpha;
} glot_recipe_trainable;

/* Multiple choice to score: a file and what makes items of its lines, a template by name or one of the
 * recipe's own. */
typedef struct glot_recipe_task {
    char *file, *name; /* no two names alike */
    char *template_name;
    char *query, *gold, *complete, *each; /* of its own, as in eval/template.h */
    glot_recipe_list choices, labels;
    char *examples;       /* few-shot; NULL: none */
    int64_t shots, limit; /* -1: not given */
} glot_recipe_task;

typedef struct glot_recipe_tasks {
    glot_recipe_task *items;
    size_t n, capacity;
} glot_recipe_tasks;

typedef struct glot_recipe_language {
    char *name;
    int line;  /* where the recipe begins it */
    int group; /* glot_recipe_group */
    glot_recipe_list train, valid;
    double weight;
} glot_recipe_language;

/* Stage 1 or review. Keys of the other stage only stay unset. */
typedef struct glot_recipe_stage {
    int64_t tokens,
        steps;     /* one of tokens, steps, epochs is given; -1: not given; tokens 0: the stage is left out */
    double epochs; /* NaN: not given */
    int64_t batch, micro_batch, length;
    double lr, min_lr, router_lr;
    int schedule; /* glot_schedule */
    int64_t warmup_steps;
    double betas[2], eps, weight_decay, clip;
    double balance_coef, lpr_coef;
    int balance_form, lpr_form; /* 0 paper, 1 released */
    double old_share;           /* share of tokens from old languages */
    glot_recipe_trainable trainable;
    int order; /* 0 shuffled, 1 file */
    bool cross_document_attention, recompute;
    glot_recipe_every checkpoint_every;
    int64_t keep, eval_every;
} glot_recipe_stage;

enum { GLOT_RECIPE_OLD, GLOT_RECIPE_NEW };                                  /* group */
enum { GLOT_RECIPE_WEIGHTS, GLOT_RECIPE_RANDOM };                           /* base_init */
enum { GLOT_RECIPE_UNIFORM, GLOT_RECIPE_LAYERWISE, GLOT_RECIPE_AS_LISTED }; /* experts.allocation */
enum { GLOT_RECIPE_CAUSAL, GLOT_RECIPE_SEQUENCE_SUM };                      /* gate.form */
enum { GLOT_RECIPE_EXACT_NONE, GLOT_RECIPE_EXACT_TOKENS };                  /* exact.mode */
enum { GLOT_RECIPE_INIT_COPY, GLOT_RECIPE_INIT_RANDOM, GLOT_RECIPE_INIT_BEST };
enum { GLOT_RECIPE_ROUTER_KEEP, GLOT_RECIPE_ROUTER_FRESH };             /* grow.router_init */
enum { GLOT_RECIPE_LPR_ALL, GLOT_RECIPE_LPR_ORIGINAL };                 /* grow.lpr_groups */
enum { GLOT_RECIPE_AUTO, GLOT_RECIPE_CPU, GLOT_RECIPE_CUDA };           /* device */
enum { GLOT_RECIPE_DTYPE_AUTO, GLOT_RECIPE_FLOAT32, GLOT_RECIPE_BF16 }; /* dtype, save_dtype */

/* What a recipe is for: the whole job, or one stage of it from the command line. */
typedef enum glot_recipe_job { GLOT_JOB_EXPAND, GLOT_JOB_TRAIN, GLOT_JOB_REVIEW } glot_recipe_job;

typedef struct glot_recipe {
    glot_recipe_job job;
    char *path;   /* for messages */
    char *folder; /* where relative paths start */
    int *lines;   /* of each row of glot_recipe_keys: where the recipe gives it; 0: it does not */
    char *base, *output;
    int base_init;
    int64_t seed;
    glot_recipe_language *languages; /* [n_languages] in the recipe's order */
    size_t n_languages, language_capacity;
    struct {
        int allocation, init;
        int64_t per_layer, new_total, top_k;
        bool is_per_layer_given;
        double delta;
        int64_t new_bytes, similarity_tokens;
        glot_recipe_ints list;
        char *format;
    } experts;
    struct {
        glot_recipe_layers layers;
        int form;
        double coef;
    } gate;
    struct {
        int mode;
        bool is_mode_given;
        double keep;
    } exact;
    struct {
        int router_init, lpr_groups;
    } grow;
    glot_recipe_stage train, review;
    struct {
        bool bits_per_byte;
        int64_t max_tokens;
        glot_recipe_tasks tasks;
    } eval;
    int device, dtype, save_dtype;
    int64_t threads;
} glot_recipe;

/* Reads a recipe, puts "KEY=VALUE" settings over it (values as YAML), fills in the defaults and checks
 * everything that can be checked without opening the base model: keys, types, ranges, that files exist and
 * every language has text. Faults of a setting are GLOT_BAD_ARGUMENT, those of the file GLOT_BAD_VALUE,
 * GLOT_BAD_FORMAT, GLOT_NOT_FOUND, and GLOT_UNSUPPORTED for what this version does not have. */
glot_status glot_recipe_load(glot_recipe **out, const char *path, const char *const *settings,
                             size_t n_settings, glot_error *err);
/* The same from settings alone, relative paths from the current folder: what `glot train` and `glot review`
 * make of their options. */
glot_status glot_recipe_from_settings(glot_recipe **out, glot_recipe_job job, const char *const *settings,
                                      size_t n_settings, glot_error *err);
/* The resolved recipe of a run directory: as load, but what it names need not exist any more. */
glot_status glot_recipe_reload(glot_recipe **out, const char *path, glot_recipe_job job, glot_error *err);
/* From memory, without a look at any file. The fuzz target's door. */
glot_status glot_recipe_parse(glot_recipe **out, const char *text, size_t size, const char *path,
                              glot_error *err);
void glot_recipe_free(glot_recipe *r); /* NULL is allowed */

/* The resolved recipe as YAML, every key with its value, paths absolute: reading it again gives the same
 * recipe. */
glot_status glot_recipe_write(const glot_recipe *r, glot_str *out, glot_error *err);

/* Fails with "'FILE' line N: key 'train.length' SENTENCE" for what only shows once the base is open. */
glot_status glot_recipe_fail(const glot_recipe *r, glot_status status, glot_key_section section,
                             const char *name, glot_error *err, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Which stages a run has finished. */
typedef struct glot_recipe_progress {
    bool is_train_done, is_review_done;
} glot_recipe_progress;
/* Whether a run that began with `old` may go on with `now`: GLOT_BAD_VALUE names the first key that must not
 * change. What may grow and has grown is told through glot_warn. */
glot_status glot_recipe_check_change(const glot_recipe *old, const glot_recipe *now,
                                     glot_recipe_progress done, glot_error *err);

bool glot_recipe_has_same_tasks(const glot_recipe *a, const glot_recipe *b);

/* What the trainer is told. `steps` is left to the caller where `epochs` is given: glot_recipe_steps. */
glot_train_settings glot_recipe_settings(const glot_recipe *r, glot_phase phase);
/* Optimizer steps of a stage; text_ids: ids (EOS included) of one epoch of its text, used where epochs are
 * given. 0: left out. */
int64_t glot_recipe_steps(const glot_recipe_stage *stage, uint64_t text_ids);
/* The stage of a phase. */
const glot_recipe_stage *glot_recipe_stage_of(const glot_recipe *r, glot_phase phase);
/* Whether the language's train text is read in the stage. */
bool glot_recipe_trains_on(const glot_recipe_stage *stage, const glot_recipe_language *l);

/* ---- the table ---- */

typedef enum glot_key_type {
    GLOT_KEY_INT,      /* int64_t */
    GLOT_KEY_COUNT,    /* int64_t; 60k, 2M, 1G are thousands */
    GLOT_KEY_SIZE,     /* int64_t bytes; 500MB, 2GiB */
    GLOT_KEY_REAL,     /* double */
    GLOT_KEY_BOOL,     /* bool */
    GLOT_KEY_CHOICE,   /* int, place in `choices` */
    GLOT_KEY_TEXT,     /* char * */
    GLOT_KEY_PATH,     /* char * */
    GLOT_KEY_PATHS,    /* glot_recipe_list of files and patterns */
    GLOT_KEY_TEXTS,    /* glot_recipe_list */
    GLOT_KEY_INTS,     /* glot_recipe_ints */
    GLOT_KEY_BETAS,    /* double [2] */
    GLOT_KEY_EVERY,    /* glot_recipe_every */
    GLOT_KEY_LAYERS,   /* glot_recipe_layers */
    GLOT_KEY_TASKS,    /* glot_recipe_tasks */
    GLOT_KEY_TRAINABLE /* glot_recipe_trainable */
} glot_key_type;

typedef enum glot_key_change {
    GLOT_CHANGE_NEVER, /* a run that has begun goes on with the value it began with */
    GLOT_CHANGE_GROWS, /* may become larger as long as its stage is not finished */
    GLOT_CHANGE_FREE
} glot_key_change;

typedef struct glot_recipe_key {
    glot_key_section section;
    const char *name;
    glot_key_type type;
    size_t offset;       /* in glot_recipe; in glot_recipe_language for keys of a language */
    const char *initial; /* default, as a recipe would write it; NULL: none */
    double min, max;     /* of numbers */
    bool is_open;        /* min itself is not allowed */
    const char *choices; /* "copy|random|best"; NULL: not a choice */
    glot_key_change change;
    const char *help; /* one sentence part, lower case */
} glot_recipe_key;

/* Ends with a row without a name. */
extern const glot_recipe_key glot_recipe_keys[];
/* The same for one task of eval.tasks; offsets in glot_recipe_task. */
extern const glot_recipe_key glot_recipe_task_keys[];
/* "train", "" for top-level keys. */
const char *glot_recipe_section_name(glot_key_section section);
/* docs/RECIPE.md. */
glot_status glot_recipe_manual(glot_str *out, glot_error *err);

#endif
