/* chat.h: the known chat templates, told by what they are: a model's template is recognised by its markers
 * and written by our own code; another one is refused rather than guessed. */
#ifndef GLOT_TEXT_CHAT_H
#define GLOT_TEXT_CHAT_H

#include "base/str.h"

typedef enum glot_chat_template {
    GLOT_CHAT_CHATML,
    GLOT_CHAT_LLAMA3,
    GLOT_CHAT_LLAMA2,
    GLOT_CHAT_MISTRAL
} glot_chat_template;

/* Recognises a Jinja template (tokenizer_config.json's or a GGUF's chat_template). GLOT_UNSUPPORTED names
 * `path`. */
glot_status glot_chat_recognise(glot_chat_template *out, const char *jinja, const char *path,
                                glot_error *err);
/* A model's template: a directory's chat_template.jinja or tokenizer_config.json, or a GGUF's metadata. */
glot_status glot_chat_of_model(glot_chat_template *out, const char *model_path, glot_error *err);
/* Appends one user turn and the opening of the assistant's answer; special tokens as text, BOS left to the
 * caller. */
void glot_chat_render(glot_str *out, glot_chat_template t, const char *user);
/* What ends the assistant's turn ("<|im_end|>"); static. */
const char *glot_chat_end(glot_chat_template t);

#endif
