/* language_groups.c: names are compared and nothing else: that two languages are alike is not guessed. */
#include "job/language_groups.h"
#include "base/str.h"

#include <stdio.h>

int glot_language_group_of(const glot_model_config *c, const char *language)
{
    for (int g = 0; g < c->n_groups; g++)
        if (glot_list_has(c->group_languages[g], language))
            return g;
    return -1;
}

static glot_status refuse(const glot_recipe *r, const glot_recipe_language *l, const char *sentence,
                          int group, glot_error *err)
{
    char place[32] = "";
    if (l->line)
        snprintf(place, sizeof place, " line %d", l->line);
    return GLOT_FAIL(err, GLOT_BAD_VALUE, "'%s'%s: language '%s' is %s, but %s %d of '%s'", r->path, place,
                     l->name, l->group == GLOT_RECIPE_OLD ? "old" : "new", sentence, group, r->base);
}

/* A model can grow once the languages of all its groups are known: the group LPR loss of the review is about
 * them. */
static glot_status check_named(const glot_recipe *r, const glot_model_config *base, glot_error *err)
{
    for (int g = 0; g < base->n_groups; g++)
        if (!base->group_languages[g][0])
            return glot_recipe_fail(r, GLOT_BAD_VALUE, GLOT_SECTION_TOP, "base", err,
                                    "names an expanded model whose language group %d has no languages: it "
                                    "must be %s before it grows",
                                    g, g == 0 ? "reviewed (glot review)" : "trained (glot train)");
    return GLOT_OK;
}

static glot_status group_of(int32_t *group, const glot_recipe *r, const glot_recipe_language *l,
                            const glot_model_config *base, int newest, glot_error *err)
{
    int known = glot_language_group_of(base, l->name);
    bool is_growing = r->job == GLOT_JOB_EXPAND && base->is_expanded;
    *group = known >= 0 ? known : l->group == GLOT_RECIPE_OLD ? 0 : newest;
    if (l->group == GLOT_RECIPE_NEW && known >= 0 && known < newest)
        return refuse(r, l, "it already belongs to language group", known, err);
    if (l->group == GLOT_RECIPE_OLD && known == newest)
        return refuse(r, l, "it belongs to the newest language group", known, err);
    if (l->group == GLOT_RECIPE_OLD && known < 0 && is_growing)
        return refuse(r, l, "it belongs to none of the language groups 0 to", base->n_groups - 1, err);
    return GLOT_OK;
}

glot_status glot_language_groups(int32_t *groups, const glot_recipe *r, const glot_model_config *base,
                                 glot_error *err)
{
    bool is_whole_job = r->job == GLOT_JOB_EXPAND;
    int newest = !base->is_expanded ? 1 : is_whole_job ? base->n_groups : base->n_groups - 1;
    if (is_whole_job)
        GLOT_TRY(check_named(r, base, err));
    for (size_t i = 0; i < r->n_languages; i++)
        GLOT_TRY(group_of(&groups[i], r, &r->languages[i], base, newest, err));
    return GLOT_OK;
}
