/* recipe_write.c: a recipe as text again: the resolved recipe, its comparison with another, and the manual
 * page of the table. */
#include "base/log.h"
#include "base/memory.h"
#include "job/recipe.h"
#include "job/recipe_values.h"

#include <stdlib.h>
#include <string.h>

/* ---- the resolved recipe ---- */

static void write_languages(glot_str *out, const glot_recipe *r)
{
    glot_str_puts(out, "languages:\n");
    for (size_t i = 0; i < r->n_languages; i++) {
        const glot_recipe_language *l = &r->languages[i];
        glot_str_puts(out, "  ");
        glot_recipe_write_text(out, l->name);
        glot_str_puts(out, ":\n");
        for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++) {
            const void *value = (const char *)l + k->offset;
            if (k->section != GLOT_SECTION_LANGUAGE || !glot_recipe_value_is_given(value, k))
                continue;
            glot_str_printf(out, "    %s: ", k->name);
            glot_recipe_value_write(out, value, k);
            glot_str_puts(out, "\n");
        }
    }
}

static void write_key(glot_str *out, const glot_recipe *r, const glot_recipe_key *k)
{
    const void *value = (const char *)r + k->offset;
    if (!glot_recipe_value_is_given(value, k))
        return;
    glot_str_printf(out, "%s%s: ", k->section == GLOT_SECTION_TOP ? "" : "  ", k->name);
    glot_recipe_value_write(out, value, k);
    glot_str_puts(out, "\n");
}

glot_status glot_recipe_write(const glot_recipe *r, glot_str *out, glot_error *err)
{
    glot_key_section section = GLOT_SECTION_TOP;
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++) {
        if (k->section != section) {
            section = k->section;
            if (section == GLOT_SECTION_LANGUAGE)
                write_languages(out, r);
            else if (section != GLOT_SECTION_TOP)
                glot_str_printf(out, "%s:\n", glot_recipe_section_name(section));
        }
        if (section != GLOT_SECTION_LANGUAGE)
            write_key(out, r, k);
    }
    return glot_str_check(out, "the resolved recipe", err);
}

/* The text of one value; the caller frees with glot_free. NULL: no memory. An absent value is "". */
static char *value_text(const void *value, const glot_recipe_key *k)
{
    glot_str text = {0};
    if (glot_recipe_value_is_given(value, k))
        glot_recipe_value_write(&text, value, k);
    char *copy = text.failed ? NULL : glot_strdup(text.data ? text.data : "");
    glot_str_release(&text);
    return copy;
}

/* ---- going on with a changed recipe ---- */

static glot_status refuse_change(const glot_recipe *now, const char *section, const char *language,
                                 const char *name, const char *was, const char *is, const char *why,
                                 glot_error *err)
{
    return GLOT_FAIL(err, GLOT_BAD_VALUE,
                     "'%s': key '%s%s%s%s%s' was %s when the run in '%s' began and is now %s, %s", now->path,
                     section, *section ? "." : "", language ? language : "", language ? "." : "", name,
                     *was ? was : "not given", now->output, *is ? is : "not given", why);
}

/* tokens may grow until their stage is finished. */
static glot_status check_growth(const glot_recipe *now, const glot_recipe_key *k, const char *was,
                                const char *is, bool is_done, glot_error *err)
{
    const char *section = glot_recipe_section_name(k->section);
    if (is_done)
        return refuse_change(now, section, NULL, k->name, was, is,
                             "but that stage is finished (--fresh starts over)", err);
    /* From steps or epochs to tokens, or back, is another schedule from the start. */
    if (!*was || !*is || strtoll(is, NULL, 10) < strtoll(was, NULL, 10) || strtoll(was, NULL, 10) == 0)
        return refuse_change(now, section, NULL, k->name, was, is, "expected the same or more", err);
    glot_warn("%s.%s grows from %s to %s: from here on the learning rate follows the longer schedule, which "
              "is not that of a run with %s from the start",
              section, k->name, was, is, is);
    return GLOT_OK;
}

static glot_status compare_key(const glot_recipe *now, const void *old_value, const void *new_value,
                               const char *language, const glot_recipe_key *k, glot_recipe_progress done,
                               glot_error *err)
{
    bool is_done = k->section == GLOT_SECTION_TRAIN ? done.is_train_done : done.is_review_done;
    char *was = value_text(old_value, k), *is = value_text(new_value, k);
    glot_status status = GLOT_OK;
    if (!was || !is)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    else if (strcmp(was, is) != 0 && k->change == GLOT_CHANGE_GROWS)
        status = check_growth(now, k, was, is, is_done, err);
    else if (strcmp(was, is) != 0 && k->change == GLOT_CHANGE_NEVER)
        status = refuse_change(now, glot_recipe_section_name(k->section), language, k->name, was, is,
                               "which must not change in a run (--fresh starts over)", err);
    glot_free(was);
    glot_free(is);
    return status;
}

static glot_status compare_languages(const glot_recipe *old, const glot_recipe *now, glot_error *err)
{
    size_t n = old->n_languages < now->n_languages ? old->n_languages : now->n_languages;
    for (size_t i = 0; i < n; i++) {
        const glot_recipe_language *a = &old->languages[i], *b = &now->languages[i];
        if (strcmp(a->name, b->name) != 0)
            return refuse_change(now, "languages", NULL, b->name, a->name, b->name,
                                 "languages and their order must not change in a run (--fresh starts over)",
                                 err);
        for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
            if (k->section == GLOT_SECTION_LANGUAGE)
                GLOT_TRY(compare_key(now, (const char *)a + k->offset, (const char *)b + k->offset, b->name,
                                     k, (glot_recipe_progress){0}, err));
    }
    if (old->n_languages == now->n_languages)
        return GLOT_OK;
    bool is_gone = old->n_languages > now->n_languages;
    const char *name = is_gone ? old->languages[n].name : now->languages[n].name;
    return refuse_change(now, "languages", NULL, name, is_gone ? "there" : "", is_gone ? "" : "there",
                         "which must not change in a run (--fresh starts over)", err);
}

glot_status glot_recipe_check_change(const glot_recipe *old, const glot_recipe *now,
                                     glot_recipe_progress done, glot_error *err)
{
    GLOT_TRY(compare_languages(old, now, err));
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
        if (k->section != GLOT_SECTION_LANGUAGE)
            GLOT_TRY(compare_key(now, (const char *)old + k->offset, (const char *)now + k->offset, NULL, k,
                                 done, err));
    return GLOT_OK;
}

/* ---- docs/RECIPE.md ---- */

static void write_values_column(glot_str *out, const glot_recipe_key *k)
{
    static const char *const names[] = {[GLOT_KEY_INT] = "whole number",
                                        [GLOT_KEY_COUNT] = "whole number (60k, 2M)",
                                        [GLOT_KEY_SIZE] = "bytes (500MB, 2GiB)",
                                        [GLOT_KEY_REAL] = "number",
                                        [GLOT_KEY_BOOL] = "true, false",
                                        [GLOT_KEY_CHOICE] = "",
                                        [GLOT_KEY_TEXT] = "text",
                                        [GLOT_KEY_PATH] = "path",
                                        [GLOT_KEY_PATHS] = "paths, patterns",
                                        [GLOT_KEY_TEXTS] = "list of texts",
                                        [GLOT_KEY_INTS] = "list of whole numbers",
                                        [GLOT_KEY_BETAS] = "two numbers below 1",
                                        [GLOT_KEY_EVERY] = "steps, or a time (90s, 10min, 2h)",
                                        [GLOT_KEY_LAYERS] = "number or list of layers",
                                        [GLOT_KEY_TASKS] = "files, maps",
                                        [GLOT_KEY_TRAINABLE] = ""};
    bool has_range = k->type == GLOT_KEY_INT || k->type == GLOT_KEY_REAL || k->type == GLOT_KEY_COUNT;
    glot_str_puts(out, names[k->type]);
    for (const char *p = k->choices; p && *p; p += strcspn(p, "|") + (p[strcspn(p, "|")] == '|'))
        glot_str_printf(out, "%s`%.*s`", p == k->choices ? "" : ", ", (int)strcspn(p, "|"), p);
    if (k->type == GLOT_KEY_TRAINABLE)
        glot_str_puts(out, ", `{lora: {rank: 16, alpha: 32}}`");
    if (has_range && k->max < 1e9)
        glot_str_printf(out, " %s %.15g to %.15g", k->is_open ? "above" : "from", k->min, k->max);
    else if (has_range)
        glot_str_printf(out, " %s %.15g", k->is_open ? "above" : "from", k->min);
}

static void write_row(glot_str *out, const glot_recipe_key *k)
{
    static const char *const changes[] = {"", " It may grow while its stage is not finished.",
                                          " It may change in a run."};
    glot_str_printf(out, "| `%s` | ", k->name);
    write_values_column(out, k);
    glot_str_printf(out, " | %s%s%s | %s.%s |\n", k->initial ? "`" : "", k->initial ? k->initial : "",
                    k->initial ? "`" : "", k->help, changes[k->change]);
}

static void write_head(glot_str *out, const char *title)
{
    glot_str_printf(out, "\n## %s\n\n| key | values | default | meaning |\n| --- | --- | --- | --- |\n",
                    title);
}

glot_status glot_recipe_manual(glot_str *out, glot_error *err)
{
    static const char *const titles[GLOT_N_SECTIONS] = {
        "Top level",
        "`languages.NAME`: one for each language, under a name of your choice",
        "`experts`",
        "`gate`",
        "`exact`",
        "`grow`",
        "`train`: stage 1",
        "`review`: stage 2",
        "`eval`"};
    glot_str_puts(out, "# The recipe\n\n"
                       "Every key that `glot expand` reads. This page is made from the table in "
                       "`src/job/recipe_keys.c` that also does the\n"
                       "parsing (a test checks that both agree). Relative paths start at the recipe's own "
                       "folder. `--set train.lr=1e-4`\n"
                       "overrides any key. What a run that has begun may change is said with the key; "
                       "anything else needs `--fresh`.\n\n"
                       "Whole recipes to begin with: the one in the [README](../README.md), "
                       "`examples/demo.yaml` (with comments, "
                       "`examples/layermoe.yaml`),\nand the methods that glot is compared with in "
                       "[comparisons.md](comparisons.md). `glot plan RECIPE` says what one will need.\n");
    for (int s = 0; s < GLOT_N_SECTIONS; s++) {
        write_head(out, titles[s]);
        for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
            if ((int)k->section == s)
                write_row(out, k);
    }
    write_head(out, "A task of `eval.tasks`");
    for (const glot_recipe_key *k = glot_recipe_task_keys; k->name; k++)
        write_row(out, k);
    return glot_str_check(out, "the manual", err);
}
