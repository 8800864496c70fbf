/* test_mishaps.c: what must not pass unseen while a job runs: weights that change though they are frozen, and checkpoints that are gone. */
#include "unit/job/job_run.h"

static void test_whole(void **state)
{
    (void)state;
    expect_status(&(run_options){.output = "whole"}, GLOT_OK);
}

/* A bit of the mapped base changes: in a stage that stage's end sees it, after the stages the end of the job. There is no result then, and
 * a later start does not go on from checkpoints over other weights. */
static void test_frozen_weights_change(void **state)
{
    (void)state;
    const struct {
        run_options run;
        const char *sentence;
    } rows[] = {
        {{.spoil_phase = 1, .spoil_step = 3}, "weights that are frozen in train changed: SHA-256 "},
        {{.spoil_phase = 2, .spoil_step = 2}, "weights that are frozen in review changed: SHA-256 "},
        {{.spoil_at_begin = "model"}, "the frozen weights changed: SHA-256 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_options o = rows[i].run;
        o.output = "s";
        o.settings[0] = "base=spoiled";
        copy_model("spoiled", "base");
        expect_status(&o, GLOT_INTERNAL);
        expect_log(rows[i].sentence);
        assert_false(glot_path_exists(in_root("s/model")) || glot_path_exists(in_root("s/results.json")));
        expect_status(&(run_options){.output = "s", .settings = {"base=spoiled"}}, GLOT_BAD_VALUE);
        expect_log("it was made over frozen weights with SHA-256 ");
        forget("s");
    }
    forget("spoiled");
}

/* A stage whose checkpoints are all gone begins again, where it began before: what came after it goes, checkpoints and metrics. */
static void test_lost_checkpoints(void **state)
{
    (void)state;
    static const char *const lost[][2] = {{"l/checkpoints/000006", "l/checkpoints/000008"}, {"l/checkpoints/000010", "l/checkpoints/000011"}};
    for (size_t i = 0; i < 2; i++) {
        expect_status(&(run_options){.output = "l", .cancel_phase = 2, .cancel_step = 3}, GLOT_CANCELLED);
        for (size_t k = 0; k < 2; k++) {
            assert_true(glot_path_exists(in_root(lost[i][k])));
            forget(lost[i][k]);
        }
        expect_status(&(run_options){.output = "l"}, GLOT_OK);
        expect_same_run("l");
        forget("l");
    }
}

/* A checkpoint that cannot be read now is no damage: nothing of the run is given up, and it goes on once it can be read. */
static void test_unreadable_checkpoint(void **state)
{
    (void)state;
    char file[256], kept[256];
    snprintf(file, sizeof file, "%s", in_root("u/checkpoints/000008/trained.safetensors"));
    snprintf(kept, sizeof kept, "%s", in_root("kept"));
    expect_status(&(run_options){.output = "u", .cancel_phase = 2, .cancel_step = 3}, GLOT_CANCELLED);
    assert_int_equal(rename(file, kept), 0);
    assert_int_equal(symlink("trained.safetensors", file), 0); /* to itself */
    expect_status(&(run_options){.output = "u"}, GLOT_IO);
    assert_int_equal(rename(kept, file), 0);
    expect_status(&(run_options){.output = "u"}, GLOT_OK);
    expect_log("going on after step 3 of 5");
    expect_same_run("u");
    forget("u");
}

/* Only what the plan counts is taken off what the disk must still hold: of a run with much text the tokens are no checkpoints. */
static void test_disk_there(void **state)
{
    (void)state;
    glot_error err = {0};
    glot_recipe *recipe = NULL;
    glot_plan plan;
    const char *const settings[] = {"output=d"};
    OK(glot_dir_make(in_root("d/tokens"), &err));
    OK(glot_dir_make(in_root("d/checkpoints/000001"), &err));
    OK(glot_file_write(in_root("d/tokens/train.tokens"), "tokens", 6, &err));
    OK(glot_file_write(in_root("d/checkpoints/000001/state.json"), "{}", 2, &err));
    OK(glot_recipe_load(&recipe, in_root("recipe.yaml"), settings, 1, &err));
    OK(glot_plan_recipe(&plan, recipe, &err));
    assert_int_equal(plan.disk_there_bytes, 2);
    glot_recipe_free(recipe);
    forget("d");
}

/* --fresh deletes the recipe first: where it was stopped then, the rest is no run to go on with, whatever its state says. */
static void test_lost_recipe(void **state)
{
    (void)state;
    expect_status(&(run_options){.output = "r", .cancel_phase = 1, .cancel_step = 3}, GLOT_CANCELLED);
    forget("r/recipe.yaml");
    expect_status(&(run_options){.output = "r", .settings = {"seed=8"}}, GLOT_EXISTS);
    expect_log("has lost its recipe.yaml, so that what it did cannot be gone on with (--fresh starts over)");
    expect_status(&(run_options){.output = "r", .is_fresh = true}, GLOT_OK);
    expect_same_run("r");
    forget("r");
}

/* The last step of a stage is in a checkpoint though none was due, and the stage after it begins with its weights. */
static void test_last_step(void **state)
{
    (void)state;
    const char *const seldom[] = {"train.checkpoint_every=1h", "review.checkpoint_every=1h"};
    run_options o = {.output = "e", .settings = {seldom[0], seldom[1]}, .cancel_at_begin = "after_review"};
    expect_status(&o, GLOT_CANCELLED);
    o.cancel_at_begin = NULL;
    expect_status(&o, GLOT_OK);
    expect_same_run("e");
    forget("e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_frozen_weights_change),
        cmocka_unit_test(test_lost_checkpoints),
        cmocka_unit_test(test_unreadable_checkpoint),
        cmocka_unit_test(test_disk_there),
        cmocka_unit_test(test_lost_recipe),
        cmocka_unit_test(test_last_step),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
