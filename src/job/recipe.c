/* recipe.c: from a file and settings to a recipe: the tree, settings over it, known keys only, every value by
 * its row of the table. */
#include "job/recipe.h"
#include "base/file.h"
#include "base/memory.h"
#include "job/recipe_reader.h"
#include "job/recipe_values.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECIPE_BYTES = 4 << 20, MAX_LANGUAGE_NAME = 63, MAX_DISTANCE = 3 };

void glot_recipe_free(glot_recipe *r)
{
    if (!r)
        return;
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++) {
        if (k->section != GLOT_SECTION_LANGUAGE)
            glot_recipe_value_clear((char *)r + k->offset, k);
        else
            for (size_t i = 0; i < r->n_languages; i++)
                glot_recipe_value_clear((char *)&r->languages[i] + k->offset, k);
    }
    for (size_t i = 0; i < r->n_languages; i++)
        glot_free(r->languages[i].name);
    glot_free(r->languages);
    glot_free(r->lines);
    glot_free(r->path);
    glot_free(r->folder);
    glot_free(r);
}

/* ---- refusing ---- */

/* Line of a key, or of what should hold it; 0 where that came as a setting or is not there. *is_there: the
 * key itself is. */
static int line_of(const glot_yaml_node *root, glot_recipe_place place, bool *is_there)
{
    const char *names[3] = {place.section, place.language, place.name};
    const glot_yaml_node *node = root;
    int line = 0;
    *is_there = true;
    for (int i = 0; i < 3; i++) {
        if (!names[i] || !*names[i])
            continue;
        const glot_yaml_node *next = node->kind == GLOT_YAML_MAP ? glot_yaml_get(node, names[i]) : NULL;
        *is_there = next != NULL;
        if (!next)
            return line;
        line = glot_yaml_key_line(node, names[i]);
        node = next;
    }
    return line;
}

static void write_place(glot_str *out, glot_recipe_place place)
{
    if (place.section && *place.section)
        glot_str_printf(out, "%s%s", place.section, place.language || place.name ? "." : "");
    if (place.language)
        glot_str_printf(out, "%s%s", place.language, place.name ? "." : "");
    if (place.name)
        glot_str_puts(out, place.name);
}

glot_status glot_recipe_refuse(const glot_recipe_reader *p, glot_status status, glot_recipe_place place,
                               glot_error *err, const char *format, ...)
{
    bool is_there;
    int line = line_of(p->root, place, &is_there);
    glot_str key = {0};
    char sentence[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    write_place(&key, place);
    const char *name = key.data ? key.data : "";
    bool is_setting = line == 0 && (is_there || p->job != GLOT_JOB_EXPAND);
    if (is_setting) {
        bool is_of_file = status == GLOT_NOT_FOUND || status == GLOT_BAD_FORMAT || status == GLOT_IO;
        status = is_of_file || status == GLOT_NOMEM ? status : GLOT_BAD_ARGUMENT;
        GLOT_FAIL(err, status, "setting '%s' %s", name, sentence);
    } else if (line == 0) {
        GLOT_FAIL(err, status, "'%s': key '%s' %s", p->recipe->path, name, sentence);
    } else {
        GLOT_FAIL(err, status, "'%s' line %d: key '%s' %s", p->recipe->path, line, name, sentence);
    }
    glot_str_release(&key);
    return status;
}

bool glot_recipe_is_written(const glot_recipe_reader *p, const char *section, const char *name)
{
    return glot_yaml_get(*section ? glot_yaml_get(p->root, section) : p->root, name) != NULL;
}

glot_status glot_recipe_fail(const glot_recipe *r, glot_status status, glot_key_section section,
                             const char *name, glot_error *err, const char *format, ...)
{
    char sentence[sizeof err->message], place[64] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
        if (k->section == section && strcmp(k->name, name) == 0 && r->lines[k - glot_recipe_keys])
            snprintf(place, sizeof place, " line %d", r->lines[k - glot_recipe_keys]);
    const char *holder = glot_recipe_section_name(section);
    return GLOT_FAIL(err, status, "'%s'%s: key '%s%s%s' %s", r->path, place, holder, *holder ? "." : "", name,
                     sentence);
}

/* ---- known keys ---- */

/* The known key that `name` of `section` most likely means, as "train.lr"; "" for none. A key that another
 * section has under just this name is a better guess than a similar one here. */
static void nearest_key(glot_str *out, glot_key_section section, const char *name)
{
    size_t best = MAX_DISTANCE + 1;
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++) {
        size_t d = glot_edit_distance(name, strlen(name), k->name) +
                   (k->section != section && strcmp(name, k->name) != 0 ? MAX_DISTANCE : 0);
        if (d >= best || d * 2 > strlen(name))
            continue;
        best = d;
        glot_str_reset(out);
        const char *holder = glot_recipe_section_name(k->section);
        glot_str_printf(out, "%s%s%s%s", holder, *holder ? "." : "",
                        k->section == GLOT_SECTION_LANGUAGE ? "NAME." : "", k->name);
    }
    for (int s = 0; section == GLOT_SECTION_TOP && s < GLOT_N_SECTIONS; s++) {
        const char *holder = glot_recipe_section_name((glot_key_section)s);
        size_t d = glot_edit_distance(name, strlen(name), holder);
        if (*holder && d < best && d * 2 <= strlen(name)) {
            best = d;
            glot_str_reset(out);
            glot_str_puts(out, holder);
        }
    }
}

static const glot_recipe_key *find_key(glot_key_section section, const char *name)
{
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
        if (k->section == section && strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

static bool find_section(glot_key_section *out, const char *name)
{
    for (int s = 1; s < GLOT_N_SECTIONS; s++)
        if (strcmp(name, glot_recipe_section_name((glot_key_section)s)) == 0) {
            *out = (glot_key_section)s;
            return true;
        }
    return false;
}

/* Every key of one map must be known to its section. */
static glot_status check_names(const glot_recipe_reader *p, const glot_yaml_node *map,
                               glot_key_section section, const char *language, glot_error *err)
{
    for (size_t i = 0; i < map->n; i++) {
        glot_key_section below;
        if (find_key(section, map->keys[i]) ||
            (section == GLOT_SECTION_TOP && find_section(&below, map->keys[i])))
            continue;
        glot_str guess = {0};
        nearest_key(&guess, section, map->keys[i]);
        glot_recipe_place place = {glot_recipe_section_name(section), language, map->keys[i]};
        glot_status status = guess.length
                                 ? glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err,
                                                      "is not known, the nearest is '%s'", guess.data)
                                 : glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err, "is not known");
        glot_str_release(&guess);
        return status;
    }
    return GLOT_OK;
}

static glot_status check_is_map(const glot_recipe_reader *p, const glot_yaml_node *node,
                                glot_recipe_place place, glot_error *err)
{
    if (node->kind == GLOT_YAML_MAP)
        return GLOT_OK;
    if (node->kind == GLOT_YAML_SCALAR && !*node->text)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err, "has nothing below it, expected keys");
    return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err, "is a %s, expected keys below it",
                              node->kind == GLOT_YAML_LIST ? "list" : "value");
}

static glot_status check_all_names(const glot_recipe_reader *p, glot_error *err)
{
    GLOT_TRY(check_names(p, p->root, GLOT_SECTION_TOP, NULL, err));
    for (size_t i = 0; i < p->root->n; i++) {
        glot_key_section section;
        const glot_yaml_node *node = p->root->items[i];
        if (!find_section(&section, p->root->keys[i]))
            continue;
        GLOT_TRY(check_is_map(p, node, (glot_recipe_place){p->root->keys[i], NULL, NULL}, err));
        if (section != GLOT_SECTION_LANGUAGE)
            GLOT_TRY(check_names(p, node, section, NULL, err));
    }
    return GLOT_OK;
}

/* ---- values ---- */

/* Reads the node into the row's place in `holder`; a NULL node takes the default. */
static glot_status read_value(const glot_recipe_reader *p, void *holder, const glot_recipe_key *k,
                              const glot_yaml_node *node, const char *language, glot_error *err)
{
    void *value = (char *)holder + k->offset;
    glot_yaml_node *initial = NULL;
    glot_str problem = {0};
    if (!node && !k->initial)
        return GLOT_OK;
    if (!node) {
        GLOT_TRY(glot_yaml_parse(&initial, k->initial, strlen(k->initial), k->name, false, err));
        node = initial;
    }
    glot_status status = glot_recipe_value_read(value, k, node, p->recipe->folder, &problem);
    if (status == GLOT_NOMEM || problem.failed)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    else if (status != GLOT_OK)
        glot_recipe_refuse(p, GLOT_BAD_VALUE,
                           (glot_recipe_place){glot_recipe_section_name(k->section), language, k->name}, err,
                           "%s", problem.data);
    if (status == GLOT_BAD_VALUE && err)
        status = err->status;
    glot_yaml_free(initial);
    glot_str_release(&problem);
    return status;
}

static void clear_values(void *holder, bool is_language)
{
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
        if ((k->section == GLOT_SECTION_LANGUAGE) == is_language)
            glot_recipe_value_clear((char *)holder + k->offset, k);
}

/* review: {steps: 8} means no default of tokens beside it. */
static bool takes_default(const glot_recipe_reader *p, const glot_recipe_key *k)
{
    const char *section = glot_recipe_section_name(k->section);
    bool is_stage = k->section == GLOT_SECTION_TRAIN || k->section == GLOT_SECTION_REVIEW;
    return !is_stage || strcmp(k->name, "tokens") != 0 ||
           !(glot_recipe_is_written(p, section, "steps") || glot_recipe_is_written(p, section, "epochs"));
}

static glot_status read_values(const glot_recipe_reader *p, glot_error *err)
{
    clear_values(p->recipe, false);
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++) {
        const char *section = glot_recipe_section_name(k->section);
        const glot_yaml_node *map = *section ? glot_yaml_get(p->root, section) : p->root;
        const glot_yaml_node *node = glot_yaml_get(map, k->name);
        if (node)
            p->recipe->lines[k - glot_recipe_keys] = glot_yaml_key_line(map, k->name);
        if (k->section != GLOT_SECTION_LANGUAGE && (node || takes_default(p, k)))
            GLOT_TRY(read_value(p, p->recipe, k, node, NULL, err));
    }
    return GLOT_OK;
}

/* A name is written into model configurations (comma separated) and on command lines (NAME=FILE). */
static glot_status check_language_name(const glot_recipe_reader *p, const char *name, glot_error *err)
{
    glot_recipe_place place = {"languages", name, NULL};
    if (strlen(name) > MAX_LANGUAGE_NAME)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err,
                                  "is a language name of %zu bytes, expected at most %d", strlen(name),
                                  MAX_LANGUAGE_NAME);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || strchr(",=/\\\"", *c))
            return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err,
                                      "is no name for a language: it may not hold spaces, commas, "
                                      "equals signs, slashes or quotes");
    return GLOT_OK;
}

static glot_status read_language(const glot_recipe_reader *p, const char *name, const glot_yaml_node *node,
                                 int line, glot_error *err)
{
    glot_recipe *r = p->recipe;
    GLOT_TRY(check_language_name(p, name, err));
    GLOT_TRY(check_is_map(p, node, (glot_recipe_place){"languages", name, NULL}, err));
    GLOT_TRY(check_names(p, node, GLOT_SECTION_LANGUAGE, name, err));
    GLOT_TRY(glot_grow(&r->languages, &r->language_capacity, r->n_languages + 1, sizeof *r->languages,
                       "the recipe", err));
    glot_recipe_language *l = &r->languages[r->n_languages];
    *l = (glot_recipe_language){.line = line, .name = glot_strdup(name)};
    clear_values(l, true);
    r->n_languages++;
    if (!l->name)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    for (const glot_recipe_key *k = glot_recipe_keys; k->name; k++)
        if (k->section == GLOT_SECTION_LANGUAGE)
            GLOT_TRY(read_value(p, l, k, glot_yaml_get(node, k->name), name, err));
    if (l->group < 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", name, "group"}, err,
                                  "is missing, expected old or new");
    return GLOT_OK;
}

static glot_status read_languages(const glot_recipe_reader *p, glot_error *err)
{
    const glot_yaml_node *map = glot_yaml_get(p->root, "languages");
    if (!map || map->n == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", NULL, NULL}, err,
                                  "is missing, expected at least one language");
    if (map->n > GLOT_MAX_LANGUAGES)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", NULL, NULL}, err,
                                  "has %zu languages, expected at most %d", map->n, GLOT_MAX_LANGUAGES);
    for (size_t i = 0; i < map->n; i++)
        GLOT_TRY(read_language(p, map->keys[i], map->items[i], map->key_lines[i], err));
    return GLOT_OK;
}

/* ---- settings ---- */

/* Where a setting goes: "train.lr", "seed", "languages.el.train" (a language's name may hold dots). Points
 * into `key`, which is cut up. */
static glot_recipe_place place_of_setting(char *key)
{
    glot_recipe_place place = {.name = key};
    char *dot = strchr(key, '.');
    if (!dot)
        return place;
    *dot = '\0';
    place = (glot_recipe_place){key, NULL, dot + 1};
    if (strcmp(key, "languages") != 0)
        return place;
    char *last = strrchr(dot + 1, '.');
    place = (glot_recipe_place){key, dot + 1, NULL};
    if (last && find_key(GLOT_SECTION_LANGUAGE, last + 1)) {
        *last = '\0';
        place.name = last + 1;
    }
    return place;
}

/* The map under a key, made where there is none. */
static glot_status enter(glot_yaml_node **map, const char *key, const char *setting, glot_error *err)
{
    glot_yaml_node *below = glot_yaml_get(*map, key);
    if (!below) {
        GLOT_TRY(glot_yaml_new_map(&below, err));
        GLOT_TRY(glot_yaml_put(*map, key, below, err));
    }
    if (below->kind != GLOT_YAML_MAP)
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "setting '%s': '%s' has no keys below it", setting, key);
    *map = below;
    return GLOT_OK;
}

/* Of some keys only one may be given; a setting of one takes the place of the others. */
static void remove_rivals(glot_yaml_node *map, const char *name)
{
    static const char *const rivals[][4] = {{"tokens", "steps", "epochs", NULL},
                                            {"new_total", "delta", "new_bytes", NULL}};
    for (size_t i = 0; i < 2; i++) {
        bool is_one = false;
        for (int j = 0; rivals[i][j]; j++)
            is_one = is_one || strcmp(rivals[i][j], name) == 0;
        for (int j = 0; is_one && rivals[i][j]; j++)
            if (strcmp(rivals[i][j], name) != 0)
                glot_yaml_remove(map, rivals[i][j]);
    }
}

static glot_status put_setting(glot_yaml_node *root, glot_recipe_place place, glot_yaml_node *value,
                               const char *setting, glot_error *err)
{
    glot_yaml_node *map = root;
    const char *last = place.name ? place.name : place.language;
    glot_status status = GLOT_OK;
    if (place.section)
        status = enter(&map, place.section, setting, err);
    if (status == GLOT_OK && place.language && place.name)
        status = enter(&map, place.language, setting, err);
    if (status != GLOT_OK) {
        glot_yaml_free(value);
        return status;
    }
    remove_rivals(map, last);
    return glot_yaml_put(map, last, value, err);
}

static glot_status apply_setting(glot_yaml_node *root, const char *setting, glot_error *err)
{
    const char *equals = strchr(setting, '=');
    if (!equals || equals == setting || equals[-1] == '.' || setting[0] == '.')
        return GLOT_FAIL(err, GLOT_BAD_ARGUMENT, "setting '%s' is not of the form KEY=VALUE", setting);
    char *key = glot_strndup(setting, (size_t)(equals - setting));
    glot_yaml_node *value = NULL;
    if (!key)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
    glot_str where = {0};
    glot_str_printf(&where, "setting '%s'", key);
    glot_status status = glot_str_check(&where, "a setting", err);
    if (status == GLOT_OK)
        status = glot_yaml_parse(&value, equals + 1, strlen(equals + 1), where.data, true, err);
    if (status == GLOT_OK)
        status = put_setting(root, place_of_setting(key), value, setting, err);
    glot_free(key);
    glot_str_release(&where);
    return status;
}

/* ---- the whole ---- */

static glot_status read_tree(glot_recipe_reader *p, glot_error *err)
{
    GLOT_TRY(check_all_names(p, err));
    GLOT_TRY(read_values(p, err));
    GLOT_TRY(read_languages(p, err));
    return glot_recipe_resolve(p, err);
}

static glot_status create(glot_recipe **out, const char *path, const char *folder, glot_error *err)
{
    GLOT_TRY(glot_new(out, 1, sizeof **out, "the recipe", err));
    (*out)->path = glot_strdup(path);
    (*out)->folder = glot_strdup(folder);
    clear_values(*out, false);
    size_t n_keys = 0;
    while (glot_recipe_keys[n_keys].name)
        n_keys++;
    (*out)->lines = glot_calloc(n_keys, sizeof *(*out)->lines);
    if ((*out)->path && (*out)->folder && (*out)->lines)
        return GLOT_OK;
    glot_recipe_free(*out);
    *out = NULL;
    return GLOT_FAIL(err, GLOT_NOMEM, "no memory for the recipe");
}

typedef struct recipe_source {
    const char *text; /* NULL: settings alone */
    size_t size;
    const char *path, *folder;
    const char *const *settings;
    size_t n_settings;
    glot_recipe_job job;
    bool has_files; /* what it names must be there */
} recipe_source;

static glot_status make_tree(glot_yaml_node **root, const recipe_source *s, glot_error *err)
{
    if (s->text)
        GLOT_TRY(glot_yaml_parse(root, s->text, s->size, s->path, false, err));
    else
        GLOT_TRY(glot_yaml_new_map(root, err));
    if ((*root)->kind != GLOT_YAML_MAP)
        return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' line %d: a recipe is keys and values, and this is %s",
                         s->path, (*root)->line, (*root)->kind == GLOT_YAML_LIST ? "a list" : "a text");
    for (size_t i = 0; i < s->n_settings; i++)
        GLOT_TRY(apply_setting(*root, s->settings[i], err));
    return GLOT_OK;
}

static glot_status read_source(glot_recipe **out, const recipe_source *s, glot_error *err)
{
    glot_recipe *r = NULL;
    glot_yaml_node *root = NULL;
    glot_status status = make_tree(&root, s, err);
    if (status == GLOT_OK)
        status = create(&r, s->path, s->folder, err);
    if (status == GLOT_OK) {
        glot_recipe_reader p = {r, root, s->job};
        r->job = s->job;
        status = read_tree(&p, err);
        if (status == GLOT_OK && s->has_files)
            status = glot_recipe_check_files(&p, err);
    }
    glot_yaml_free(root);
    if (status == GLOT_OK)
        *out = r;
    else
        glot_recipe_free(r);
    return status;
}

/* The folder of a file, absolute, so that a recipe means the same from everywhere. */
static glot_status folder_of(char **out, const char *path, glot_error *err)
{
    char *folder = glot_path_dir(path);
    char *real = folder ? realpath(folder, NULL) : NULL;
    *out = real ? glot_strdup(real) : NULL;
    free(real);
    glot_free(folder);
    return *out ? GLOT_OK : GLOT_FAIL(err, GLOT_NOT_FOUND, "cannot find the folder of '%s'", path);
}

static glot_status read_file(glot_recipe **out, recipe_source *s, glot_error *err)
{
    char *text = NULL, *folder = NULL;
    GLOT_TRY(glot_file_read(&text, &s->size, s->path, MAX_RECIPE_BYTES, err));
    glot_status status = folder_of(&folder, s->path, err);
    s->text = text;
    s->folder = folder;
    if (status == GLOT_OK)
        status = read_source(out, s, err);
    glot_free(text);
    glot_free(folder);
    return status;
}

glot_status glot_recipe_load(glot_recipe **out, const char *path, const char *const *settings,
                             size_t n_settings, glot_error *err)
{
    recipe_source s = {.path = path, .settings = settings, .n_settings = n_settings, .has_files = true};
    return read_file(out, &s, err);
}

glot_status glot_recipe_reload(glot_recipe **out, const char *path, glot_recipe_job job, glot_error *err)
{
    recipe_source s = {.path = path, .job = job};
    return read_file(out, &s, err);
}

glot_status glot_recipe_from_settings(glot_recipe **out, glot_recipe_job job, const char *const *settings,
                                      size_t n_settings, glot_error *err)
{
    char *folder = NULL;
    GLOT_TRY(folder_of(&folder, "x", err));
    recipe_source s = {.path = "the options",
                       .folder = folder,
                       .settings = settings,
                       .n_settings = n_settings,
                       .job = job,
                       .has_files = true};
    glot_status status = read_source(out, &s, err);
    glot_free(folder);
    return status;
}

glot_status glot_recipe_parse(glot_recipe **out, const char *text, size_t size, const char *path,
                              glot_error *err)
{
    recipe_source s = {.text = text, .size = size, .path = path, .folder = "/"};
    return read_source(out, &s, err);
}
