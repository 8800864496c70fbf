/* job_upcycle.c: the step of a job that gives the base its experts and routers: how many each layer gets, their
 * settings, and the names of the language groups. It is made again from the seed on every start.
 */
#include "base/memory.h"
#include "expand/gates.h"
#include "expand/upcycle.h"
#include "job/job.h"
#include "job/layout.h"

/* Comma separated names of the languages of a group; the model owns it. */
static glot_status name_group(glot_job *job, int group, int recipe_group, glot_error *err)
{
    glot_str names = {0};
    for (size_t i = 0; i < job->recipe->n_languages; i++)
        if (job->recipe->languages[i].group == recipe_group)
            glot_str_printf(&names, "%s%s", names.length ? "," : "", job->recipe->languages[i].name);
    glot_str_puts(&names, "");
    GLOT_TRY(glot_str_check(&names, "the names of languages", err));
    glot_free(job->model->config.group_languages[group]);
    job->model->config.group_languages[group] = names.data;
    return GLOT_OK;
}

/* glot_upcycle with the recipe's numbers, before anything has trained. */
static glot_status add_experts(glot_job *job, glot_error *err)
{
    const glot_recipe *r = job->recipe;
    int32_t n_experts[GLOT_MAX_LAYERS];
    GLOT_TRY(glot_recipe_layout(n_experts, r, &job->model->config, job->layer_similarity, err));
    glot_upcycle_settings settings = {
        .top_k = (int)r->experts.top_k,
        .seed = (uint64_t)r->seed,
        .init = r->experts.init == GLOT_RECIPE_INIT_RANDOM ? GLOT_EXPERT_RANDOM : GLOT_EXPERT_COPY};
    return glot_upcycle(job->model, n_experts, &settings, err);
}

/* The model's language group of each of the recipe's languages; the newest group is that of the new ones. */
static void assign_groups(glot_job *job, int newest)
{
    const glot_recipe *r = job->recipe;
    for (size_t i = 0; i < r->n_languages; i++)
        job->groups[i] = r->languages[i].group == GLOT_RECIPE_OLD || newest < 0 ? 0 : newest;
}

glot_status glot_job_upcycle(glot_job *job, glot_error *err)
{
    if (job->options->job == GLOT_JOB_EXPAND)
        GLOT_TRY(add_experts(job, err));
    int newest = job->model->config.n_groups - 1;
    assign_groups(job, newest);
    if (newest < 1)
        return GLOT_OK;
    if (job->options->job != GLOT_JOB_TRAIN) /* training alone knows the new languages only */
        GLOT_TRY(name_group(job, 0, GLOT_RECIPE_OLD, err));
    if (job->options->job != GLOT_JOB_REVIEW)
        GLOT_TRY(name_group(job, newest, GLOT_RECIPE_NEW, err));
    return GLOT_OK;
}

glot_status glot_job_add_gates(glot_job *job, glot_error *err)
{
    glot_gate_config gate;
    GLOT_TRY(glot_recipe_gates(&gate, job->recipe, &job->model->config, job->layer_similarity, err));
    return glot_gates_add(job->model, &gate, (uint64_t)job->recipe->seed, err);
}
