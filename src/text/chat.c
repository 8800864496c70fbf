/* chat.c: one table of templates: the marker that tells them, what stands before and behind the user's words,
 * what ends the answer. */
#include "text/chat.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "format/gguf.h"

#include <string.h>

typedef struct chat_row {
    glot_chat_template template;
    const char *marker, *other_marker; /* both must occur */
    const char *before, *behind, *end;
} chat_row;

/* In order: llama-2's template holds mistral's marker too. */
static const chat_row rows[] = {
    {GLOT_CHAT_CHATML, "<|im_start|>", "<|im_end|>", "<|im_start|>user\n",
     "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"},
    {GLOT_CHAT_LLAMA3, "<|start_header_id|>", "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n",
     "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
    {GLOT_CHAT_LLAMA2, "[INST]", "<<SYS>>", "[INST] ", " [/INST]", "</s>"},
    {GLOT_CHAT_MISTRAL, "[INST]", "[/INST]", "[INST] ", " [/INST]", "</s>"},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

glot_status glot_chat_recognise(glot_chat_template *out, const char *jinja, const char *path, glot_error *err)
{
    for (int i = 0; i < N_ROWS; i++)
        if (strstr(jinja, rows[i].marker) && strstr(jinja, rows[i].other_marker)) {
            *out = rows[i].template;
            return GLOT_OK;
        }
    return GLOT_FAIL(err, GLOT_UNSUPPORTED,
                     "'%s': the chat template is none of chatml, llama-3, llama-2, mistral", path);
}

static glot_status of_gguf(glot_chat_template *out, const char *path, glot_error *err)
{
    glot_gguf *g = NULL;
    const char *jinja;
    GLOT_TRY(glot_gguf_open(&g, path, err));
    glot_status status = glot_gguf_string(g, "tokenizer.chat_template", &jinja, err);
    if (status == GLOT_OK)
        status = glot_chat_recognise(out, jinja, path, err);
    glot_gguf_close(g);
    return status;
}

static glot_status of_config(glot_chat_template *out, const char *path, glot_error *err)
{
    json_t *root = NULL;
    const char *jinja;
    GLOT_TRY(glot_json_load_file(&root, path, err));
    glot_status status = glot_json_get_string(root, "chat_template", &jinja, path, err);
    if (status == GLOT_OK)
        status = glot_chat_recognise(out, jinja, path, err);
    json_decref(root);
    return status;
}

static glot_status of_jinja_file(glot_chat_template *out, const char *path, glot_error *err)
{
    char *text = NULL;
    size_t size;
    GLOT_TRY(glot_file_read(&text, &size, path, 1 << 20, err));
    glot_status status = glot_chat_recognise(out, text, path, err);
    glot_free(text);
    return status;
}

glot_status glot_chat_of_model(glot_chat_template *out, const char *model_path, glot_error *err)
{
    if (glot_gguf_is_file(model_path))
        return of_gguf(out, model_path, err);
    char *jinja = glot_path_join(model_path, "chat_template.jinja"),
         *config = glot_path_join(model_path, "tokenizer_config.json");
    glot_status status;
    if (!jinja || !config)
        status = GLOT_FAIL(err, GLOT_NOMEM, "no memory for a path");
    else if (!glot_path_exists(jinja) && !glot_path_exists(config))
        status = GLOT_FAIL(
            err, GLOT_NOT_FOUND,
            "'%s' has no chat template: neither chat_template.jinja nor tokenizer_config.json is there",
            model_path);
    else
        status = glot_path_exists(jinja) ? of_jinja_file(out, jinja, err) : of_config(out, config, err);
    glot_free(jinja);
    glot_free(config);
    return status;
}

static const chat_row *row_of(glot_chat_template t)
{
    for (int i = 0; i < N_ROWS; i++)
        if (rows[i].template == t)
            return &rows[i];
    GLOT_ASSERT(!"a template without a row");
    return NULL;
}

void glot_chat_render(glot_str *out, glot_chat_template t, const char *user)
{
    glot_str_puts(out, row_of(t)->before);
    glot_str_puts(out, user);
    glot_str_puts(out, row_of(t)->behind);
}

const char *glot_chat_end(glot_chat_template t)
{
    return row_of(t)->end;
}
