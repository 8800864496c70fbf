/* recipe_files.c: that what a recipe names is there: the base, and text for every language that is trained on
 * or scored. */
#include "job/recipe_tasks.h"
#include "base/file.h"
#include "text/token_store.h"

/* Passes a failure of reading a file on with the key in front; what the reader found stays the sentence. */
static glot_status refuse_file(const glot_recipe_reader *p, glot_recipe_place place, glot_error *err)
{
    glot_error found = err ? *err : (glot_error){.status = GLOT_NOT_FOUND};
    if (found.status == GLOT_NOMEM)
        return found.status;
    return glot_recipe_refuse(p, found.status, place, err, "names what cannot be used: %s", found.message);
}

static glot_status check_base(const glot_recipe_reader *p, glot_error *err)
{
    glot_recipe_place place = {"", NULL, "base"};
    if (!glot_path_exists(p->recipe->base))
        return glot_recipe_refuse(p, GLOT_NOT_FOUND, place, err,
                                  "names '%s', which does not exist; expected a Hugging Face directory or "
                                  "a GGUF file",
                                  p->recipe->base);
    return GLOT_OK;
}

/* Whether one file has a document: a token store's language, or the first line of text. */
static glot_status has_document(bool *found, const char *path, const char *language, glot_error *err)
{
    glot_status status;
    *found = false;
    if (glot_token_store_is_file(path)) {
        glot_token_store *store = NULL;
        size_t i;
        GLOT_TRY(glot_token_store_open(&store, path, err));
        status = glot_token_store_language_for(store, language, &i, err);
        *found = status == GLOT_OK && glot_token_store_language(store, i)->n_documents > 0;
        glot_token_store_close(store);
        return status;
    }
    glot_corpus *corpus = NULL;
    glot_corpus_options options = glot_corpus_options_default();
    const char *text = NULL;
    size_t size;
    GLOT_TRY(glot_corpus_open(&corpus, &path, 1, &options, err));
    status = glot_corpus_next(corpus, &text, &size, err);
    *found = status == GLOT_OK && text;
    glot_corpus_close(corpus);
    return status;
}

static glot_status check_text(const glot_recipe_reader *p, const glot_recipe_language *l,
                              const glot_recipe_list *files, const char *key, glot_error *err)
{
    glot_recipe_place place = {"languages", l->name, key};
    bool found = false;
    for (size_t i = 0; i < files->n; i++) {
        char **paths = NULL;
        size_t n = 0;
        const char *pattern = files->items[i];
        glot_status status =
            glot_path_is_dir(pattern)
                ? GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is a folder, expected files", pattern)
                : glot_paths_expand(&paths, &n, &pattern, 1, err);
        for (size_t k = 0; k < n && status == GLOT_OK && !found; k++)
            status = has_document(&found, paths[k], l->name, err);
        glot_paths_free(paths, n);
        if (status != GLOT_OK)
            return refuse_file(p, place, err);
    }
    if (!found)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, place, err,
                                  "gives the language no text: '%s' holds no document", files->items[0]);
    return GLOT_OK;
}

static glot_status check_language(const glot_recipe_reader *p, const glot_recipe_language *l, glot_error *err)
{
    const glot_recipe *r = p->recipe;
    bool is_trained = glot_recipe_trains_on(&r->train, l) || glot_recipe_trains_on(&r->review, l);
    bool is_scored = r->eval.bits_per_byte;
    if (is_trained && l->train.n == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", l->name, "train"}, err,
                                  "is missing: the language has no text to train on");
    if (r->exact.mode == GLOT_RECIPE_EXACT_TOKENS && l->train.n == 0)
        return glot_recipe_refuse(p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", l->name, "train"}, err,
                                  "is missing: exact.mode is tokens, and the language has no text to count");
    if (is_scored && l->valid.n == 0)
        return glot_recipe_refuse(
            p, GLOT_BAD_VALUE, (glot_recipe_place){"languages", l->name, "valid"}, err,
            "is missing: the language has no text to score on (eval.bits_per_byte: false scores nothing)");
    if (l->train.n)
        GLOT_TRY(check_text(p, l, &l->train, "train", err));
    if (l->valid.n)
        GLOT_TRY(check_text(p, l, &l->valid, "valid", err));
    return GLOT_OK;
}

glot_status glot_recipe_check_files(const glot_recipe_reader *p, glot_error *err)
{
    GLOT_TRY(check_base(p, err));
    for (size_t i = 0; i < p->recipe->n_languages; i++)
        GLOT_TRY(check_language(p, &p->recipe->languages[i], err));
    glot_status status = glot_recipe_tasks_check_files(p, err);
    return status == GLOT_OK ? status : refuse_file(p, (glot_recipe_place){"eval", NULL, "tasks"}, err);
}
