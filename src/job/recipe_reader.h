/* recipe_reader.h: what reading a recipe shares between its files. Private to src/job. */
#ifndef GLOT_JOB_RECIPE_READER_H
#define GLOT_JOB_RECIPE_READER_H

#include "job/recipe.h"
#include "job/yaml_tree.h"

typedef struct glot_recipe_reader {
    glot_recipe *recipe;
    const glot_yaml_node *root;
    glot_recipe_job job;
} glot_recipe_reader;

/* Where a key stands: `section` "train", `name` "lr"; for a language's key section "languages" and language
 * its name. */
typedef struct glot_recipe_place {
    const char *section, *language, *name;
} glot_recipe_place;

/* Fails with "'FILE' line N: key 'train.lr' SENTENCE"; for a key that came as a setting "setting 'train.lr'
 * SENTENCE" and GLOT_BAD_ARGUMENT. A key that is not there is placed at the line of what should hold it. */
glot_status glot_recipe_refuse(const glot_recipe_reader *p, glot_status status, glot_recipe_place place,
                               glot_error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Whether the recipe (or a setting) gives the key. */
bool glot_recipe_is_written(const glot_recipe_reader *p, const char *section, const char *name);

/* recipe_check.c: what keys mean to each other, and what this version does not have; fills in what follows
 * from other keys. */
glot_status glot_recipe_resolve(const glot_recipe_reader *p, glot_error *err);
/* recipe_files.c: that the base is there and every language has text where a stage or an evaluation reads
 * it. */
glot_status glot_recipe_check_files(const glot_recipe_reader *p, glot_error *err);

#endif
