/* cmd_stage.c: `glot train MODEL` and `glot review MODEL`: one stage of the job alone. Their options are the
 * recipe's keys of that stage with dashes, made from the recipe's own table; what they say becomes settings
 * of a recipe, so the same code checks and runs both. */
#include "base/memory.h"
#include "cli/job_view.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 48, MAX_NAME = 40 };

/* Rows of one stage. */
typedef struct stage_rows {
    glot_option rows[MAX_ROWS];
    char names[MAX_ROWS][MAX_NAME];
    char defaults[MAX_ROWS][MAX_NAME]; /* as help tells them; the recipe's own code fills them in */
} stage_rows;

static const glot_option first_rows[] = {
    {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true,
     .help = "an expanded model directory (glot upcycle makes one)"},
    {"text", .kind = GLOT_OPTION_TEXTS, .value = "LANG=FILE", .is_required = true,
     .help = "train text of each language"},
    {"out", .kind = GLOT_OPTION_STRING, .value = "DIR", .is_required = true,
     .help = "the run directory; the result is DIR/model"},
    {"fresh", .kind = GLOT_OPTION_FLAG,
     .help = "start over: delete the earlier run in DIR (only what glot wrote)"},
    {"seed", .kind = GLOT_OPTION_INT, .value = "N", .initial = "1", .help = "of the order of the text"},
};
static const glot_option old_row = {"old", .kind = GLOT_OPTION_STRING, .value = "L,L", .is_required = true,
                                    .help = "which of the languages are old, separated by commas"};

static const glot_option own_rows[] = {
    {"exact", .kind = GLOT_OPTION_STRING, .value = "none|tokens",
     .help = "tokens: count the evidence that keeps texts in old languages bit for bit"},
    {"gate-layers", .kind = GLOT_OPTION_STRING, .value = "N|L,L,...",
     .help = "how many layers get a language gate, most similar first, or their numbers ([L] for one)"},
    {"gate-form", .kind = GLOT_OPTION_STRING, .value = "causal|sequence_sum",
     .help = "what the language gates look at"},
    {"gate-coef", .kind = GLOT_OPTION_STRING, .value = "COEF", .help = "weight of the language gates' loss"},
    {"exact-keep", .kind = GLOT_OPTION_STRING, .value = "SHARE",
     .help = "share of old documents that must never leave the exact path"},
};

/* Options that are a recipe's key under another name or in another place. */
typedef struct option_key {
    const char *option, *key;
    bool is_review; /* of review alone */
} option_key;

static const option_key option_keys[] = {
    {"device", "device", false},
    {"dtype", "dtype", false},
    {"exact", "exact.mode", true},
    {"exact-keep", "exact.keep", true},
    {"gate-form", "gate.form", true},
    {"gate-coef", "gate.coef", true},
};

static void add_row(stage_rows *s, size_t *n, const glot_option *row)
{
    GLOT_ASSERT(*n + 1 < MAX_ROWS);
    s->rows[(*n)++] = *row;
}

/* Whether a key is an option of the stage: its own, and which groups a review protects. */
static bool is_option_of(const glot_recipe_key *key, glot_key_section section)
{
    bool is_groups = key->section == GLOT_SECTION_GROW && strcmp(key->name, "lpr_groups") == 0;
    return key->section == section || (section == GLOT_SECTION_REVIEW && is_groups);
}

static void make_rows(stage_rows *s, glot_key_section section)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof first_rows / sizeof first_rows[0]; i++)
        add_row(s, &n, &first_rows[i]);
    if (section == GLOT_SECTION_REVIEW)
        add_row(s, &n, &old_row);
    for (const glot_recipe_key *key = glot_recipe_keys; key->name; key++) {
        if (!is_option_of(key, section))
            continue;
        size_t length = strnlen(key->name, MAX_NAME - 1);
        for (size_t i = 0; i < length; i++)
            s->names[n][i] = key->name[i] == '_' ? '-' : key->name[i];
        glot_option row = {s->names[n], .kind = GLOT_OPTION_STRING,
                           .value = key->choices ? key->choices : "VALUE", .help = key->help,
                           .group = "Training (keys of the recipe: docs/RECIPE.md)"};
        if (key->initial) {
            snprintf(s->defaults[n], MAX_NAME, "default %s", key->initial);
            row.unit = s->defaults[n];
        }
        add_row(s, &n, &row);
    }
    for (size_t i = 0; section == GLOT_SECTION_REVIEW && i < sizeof own_rows / sizeof own_rows[0]; i++)
        add_row(s, &n, &own_rows[i]);
}

static stage_rows train_rows, review_rows;

void cli_stage_options_init(void)
{
    make_rows(&train_rows, GLOT_SECTION_TRAIN);
    make_rows(&review_rows, GLOT_SECTION_REVIEW);
}

/* "KEY=VALUE" settings that a recipe is made of; owned. */
typedef struct settings {
    char **items;
    size_t n, capacity;
} settings;

static void settings_release(settings *s)
{
    for (size_t i = 0; i < s->n; i++)
        glot_free(s->items[i]);
    glot_free(s->items);
}

/* Takes `text`. */
static glot_status settings_add(settings *s, glot_str *text, glot_error *err)
{
    glot_status status = glot_str_check(text, "a setting", err);
    if (status == GLOT_OK)
        status = glot_grow(&s->items, &s->capacity, s->n + 1, sizeof *s->items, "settings", err);
    if (status == GLOT_OK)
        s->items[s->n++] = text->data;
    else
        glot_str_release(text);
    return status;
}

/* A word as a quoted YAML scalar. */
static void put_quoted(glot_str *out, const char *word)
{
    glot_str_puts(out, "'");
    for (const char *p = word; *p; p++)
        glot_str_append(out, *p == '\'' ? "''" : p, *p == '\'' ? 2 : 1);
    glot_str_puts(out, "'");
}

static glot_status add_languages(settings *s, const glot_args *a, const char *old, glot_error *err)
{
    size_t n_words, n = 0;
    glot_text_files *texts = NULL;
    const char *const *words = glot_args_words(a, "text", &n_words);
    glot_status status = glot_texts_parse(&texts, &n, words, n_words, "--text", err);
    for (size_t i = 0; i < n && status == GLOT_OK; i++) {
        glot_str text = {0};
        glot_str_printf(&text, "languages.%s={group: %s, train: [", texts[i].language,
                        glot_list_has(old, texts[i].language) ? "old" : "new");
        for (size_t k = 0; k < texts[i].n_files; k++) {
            glot_str_puts(&text, k ? ", " : "");
            put_quoted(&text, texts[i].files[k]);
        }
        glot_str_puts(&text, "]}");
        status = settings_add(s, &text, err);
    }
    glot_texts_free(texts, n);
    return status;
}

static glot_status add_setting(settings *s, const char *key, const char *value, bool is_quoted,
                               glot_error *err)
{
    glot_str text = {0};
    glot_str_printf(&text, "%s=", key);
    if (is_quoted)
        put_quoted(&text, value);
    else
        glot_str_puts(&text, value);
    return settings_add(s, &text, err);
}

/* Every option of the stage that was given. */
static glot_status add_stage_keys(settings *s, const glot_args *a, glot_key_section section,
                                  const stage_rows *rows, glot_error *err)
{
    size_t row = sizeof first_rows / sizeof first_rows[0] + (section == GLOT_SECTION_REVIEW);
    for (const glot_recipe_key *key = glot_recipe_keys; key->name; key++) {
        if (!is_option_of(key, section))
            continue;
        const char *name = rows->rows[row++].name;
        glot_str full = {0};
        glot_str_printf(&full, "%s.%s", glot_recipe_section_name(key->section), key->name);
        glot_status status = glot_str_check(&full, "a setting", err);
        if (status == GLOT_OK && glot_args_given(a, name))
            status = add_setting(s, full.data, glot_args_string(a, name), false, err);
        glot_str_release(&full);
        GLOT_TRY(status);
    }
    return GLOT_OK;
}

/* Each of option_keys as a setting; one that was not given has its default or says nothing. */
static glot_status add_option_keys(settings *s, const glot_args *a, bool is_review, glot_error *err)
{
    for (size_t i = 0; i < sizeof option_keys / sizeof option_keys[0]; i++) {
        const option_key *o = &option_keys[i];
        if ((!o->is_review || is_review) && glot_args_string(a, o->option))
            GLOT_TRY(add_setting(s, o->key, glot_args_string(a, o->option), false, err));
    }
    return GLOT_OK;
}

/* A number, or a list with or without its brackets. */
static glot_status add_gate_layers(settings *s, const glot_args *a, glot_error *err)
{
    glot_str text = {0};
    if (!glot_args_given(a, "gate-layers"))
        return GLOT_OK;
    const char *layers = glot_args_string(a, "gate-layers");
    bool is_bare = strchr(layers, ',') && layers[0] != '[';
    glot_str_printf(&text, is_bare ? "gate.layers=[%s]" : "gate.layers=%s", layers);
    return settings_add(s, &text, err);
}

/* ---- failures ---- */

/* What the user gave where the recipe says `key`: "train.lr" is --lr, "languages.el.train" --text el. */
static void put_option(glot_str *out, const char *key)
{
    static const char languages[] = "languages.";
    static const option_key others[] = {
        {"MODEL", "base", false}, {"--out", "output", false}, {"--gate-layers", "gate.layers", true}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(key, others[i].key) == 0) {
            glot_str_puts(out, others[i].option);
            return;
        }
    for (size_t i = 0; i < sizeof option_keys / sizeof option_keys[0]; i++)
        if (strcmp(key, option_keys[i].key) == 0) {
            glot_str_printf(out, "--%s", option_keys[i].option);
            return;
        }
    if (strncmp(key, languages, strlen(languages)) == 0) {
        const char *name = key + strlen(languages), *last = strrchr(name, '.');
        glot_str_printf(out, "--text %.*s", (int)(last ? (size_t)(last - name) : strlen(name)), name);
        return;
    }
    const char *dot = strrchr(key, '.');
    glot_str_puts(out, "--");
    for (const char *p = dot ? dot + 1 : key; *p; p++)
        glot_str_append(out, *p == '_' ? "-" : p, 1);
}

/* "setting 'train.lr' is ..." becomes "--lr is ...": there is no recipe that the user wrote. */
static void name_option(glot_error *err)
{
    static const char *const begins[] = {"setting '", "'the options': key '"};
    char *key = NULL, *end = NULL;
    glot_str sentence = {0};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (strncmp(err->message, begins[i], strlen(begins[i])) == 0)
            key = err->message + strlen(begins[i]);
    if (key)
        end = strstr(key, "' ");
    if (!end)
        return;
    *end = '\0';
    put_option(&sentence, key);
    *end = '\'';
    glot_str_puts(&sentence, end + 1);
    if (!sentence.failed)
        snprintf(err->message, sizeof err->message, "%s", sentence.data);
    glot_str_release(&sentence);
}

static glot_status make_recipe(glot_recipe **out, const glot_cli *cli, glot_recipe_job job, glot_error *err)
{
    const glot_args *a = cli->args;
    settings s = {0};
    bool is_review = job == GLOT_JOB_REVIEW;
    char seed[32];
    snprintf(seed, sizeof seed, "%" PRId64, glot_args_int(a, "seed"));
    glot_status status = add_setting(&s, "base", glot_args_string(a, "MODEL"), true, err);
    if (status == GLOT_OK)
        status = add_setting(&s, "output", glot_args_string(a, "out"), true, err);
    if (status == GLOT_OK)
        status = add_setting(&s, "seed", seed, false, err);
    if (status == GLOT_OK)
        status = add_setting(&s, "eval.bits_per_byte", "false", false, err);
    if (status == GLOT_OK)
        status = add_languages(&s, a, is_review ? glot_args_string(a, "old") : "", err);
    if (status == GLOT_OK)
        status = add_stage_keys(&s, a, is_review ? GLOT_SECTION_REVIEW : GLOT_SECTION_TRAIN,
                                is_review ? &review_rows : &train_rows, err);
    if (status == GLOT_OK)
        status = add_option_keys(&s, a, is_review, err);
    if (status == GLOT_OK && is_review)
        status = add_gate_layers(&s, a, err);
    if (status == GLOT_OK)
        status = glot_recipe_from_settings(out, job, (const char *const *)s.items, s.n, err);
    settings_release(&s);
    return status;
}

/* The stage's recipe, run; both failing with a sentence of the recipe's keys. */
static glot_status make_and_run(json_t **results, glot_recipe **recipe, const glot_cli *cli,
                                const glot_job_options *options, glot_error *err)
{
    GLOT_TRY(make_recipe(recipe, cli, options->job, err));
    if ((*recipe)->threads == 0)
        (*recipe)->threads = cli->threads;
    return glot_expand(results, *recipe, options, err);
}

static glot_status run_stage(const glot_cli *cli, glot_recipe_job job, glot_error *err)
{
    glot_recipe *recipe = NULL;
    json_t *results = NULL;
    cli_job_view view;
    cli_job_view_init(&view);
    glot_job_options options = {.job = job,
                                .is_fresh = glot_args_flag(cli->args, "fresh"),
                                .commit = cli_commit(),
                                .cancel = cli->cancel,
                                .view = &view.view};
    if (glot_args_given(cli->args, "language"))
        return GLOT_FAIL(
            err, GLOT_BAD_ARGUMENT,
            "--language is for text that is read or written; here --text names the language of each file");
    glot_status status = make_and_run(&results, &recipe, cli, &options, err);
    if (status != GLOT_OK)
        name_option(err);
    if (status == GLOT_OK && cli->is_json)
        status = cli_json(json_incref(results), err);
    else if (status == GLOT_OK)
        status =
            cli_printf(err, "model   %s/model\nreport  %s/report.html\n", recipe->output, recipe->output);
    json_decref(results);
    glot_recipe_free(recipe);
    return status;
}

static glot_status run_train(const glot_cli *cli, glot_error *err)
{
    return run_stage(cli, GLOT_JOB_TRAIN, err);
}

static glot_status run_review(const glot_cli *cli, glot_error *err)
{
    return run_stage(cli, GLOT_JOB_REVIEW, err);
}

const glot_command cmd_train = {"train", "stage 1 alone: train the new experts of an expanded model",
                                train_rows.rows, CLI_HAS_JSON | CLI_HAS_MODEL | CLI_STOPS_SAVED, run_train};
const glot_command cmd_review = {"review", "stage 2 alone: review the routers with some old text",
                                 review_rows.rows, CLI_HAS_JSON | CLI_HAS_MODEL | CLI_STOPS_SAVED,
                                 run_review};
