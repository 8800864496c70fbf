/* job_tasks.c: the recipe's multiple-choice tasks on the model as it is now. */
#include "eval/multiple_choice.h"
#include "job/job.h"
#include "job/recipe_tasks.h"

static glot_status score_task(json_t *out, const glot_job *job, const glot_recipe_task *task, glot_error *err)
{
    glot_items items, examples;
    glot_choice_score score;
    GLOT_TRY(glot_recipe_task_items(&items, &examples, task, err));
    glot_choice_options options = {.examples = task->examples ? &examples : NULL,
                                   .shots = task->shots > 0 ? (size_t)task->shots : 0,
                                   .exact = GLOT_EXACT_AUTO,
                                   .cancel = job->options->cancel};
    glot_status status = glot_multiple_choice(&score, job->model, job->tokenizer, &items, &options, err);
    if (status == GLOT_OK)
        json_object_set_new(out, task->name, glot_choice_score_json(&score));
    else
        glot_error_prefix(err, "'%s'", task->file);
    glot_items_release(&items);
    glot_items_release(&examples);
    return status;
}

glot_status glot_job_tasks(json_t **out, const glot_job *job, glot_error *err)
{
    const glot_recipe_tasks *tasks = &job->recipe->eval.tasks;
    json_t *scores = json_object();
    glot_status status = GLOT_OK;
    for (size_t i = 0; i < tasks->n && status == GLOT_OK; i++)
        status = score_task(scores, job, &tasks->items[i], err);
    if (status == GLOT_OK)
        *out = scores;
    else
        json_decref(scores);
    return status;
}
