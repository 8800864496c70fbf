/* template.h
 *
 * From a line of a data set (a JSON object) to multiple-choice items: what stands where is text with
 * placeholders.
 *
 *     {key}            the text or number under `key`
 *     {key:open}       the text without its last character: a sentence that goes on
 *     {key:lower}      its first letter made small (Latin letters)
 *     {key:unmarked}   without the marks in brackets that WikiHow's articles have
 *     {key:unfinished} the same, and a last sentence that only begins, in small letters, gets its capital
 *     {key:after TEXT} what stands behind TEXT, everything where TEXT does not occur
 *     {key:a=x,b=y}    x where the text is a, y where it is b
 *     {key:lettered}   of a list of texts: "A. first", "B. second", ..., a line each
 *     {key:letters}    of a list of texts: A, B, ...
 *     {{ and }}        braces
 *
 * A query or choice with a placeholder of a list (all but `lettered`) stands for a text with each of its
 * elements.
 * {list.key} is the list of the texts under `key` in a list of objects (the first where that is a list
 * itself), each text once.
 */
#ifndef GLOT_EVAL_TEMPLATE_H
#define GLOT_EVAL_TEMPLATE_H

#include "base/json.h"
#include "base/str.h"

enum { GLOT_MAX_CHOICE_TEXTS = 16 };

typedef struct glot_template {
    const char *name;
    const char *each;  /* key of a list of objects: an item for each, whose own keys go before the line's;
                          items left with one choice are dropped. NULL: the line is the item */
    const char *query; /* a list: the query of each choice, with one choice text for all */
    const char *choices[GLOT_MAX_CHOICE_TEXTS + 1]; /* up to NULL */
    const char *gold; /* "{key}": a number from 0, or a text that is one of `labels`, else of the choices.
                         NULL: the item is a text to complete, and the one choice how */
    const char *labels[GLOT_MAX_CHOICE_TEXTS + 1];
} glot_template;

/* What an item is without a template: {"query", "choices", "gold"}. */
extern const glot_template glot_template_plain;
/* Those known by name, up to a row without one. */
extern const glot_template glot_templates[];
/* GLOT_BAD_VALUE names those there are. */
glot_status glot_template_find(const glot_template **out, const char *name, glot_error *err);
/* Whether the placeholders can be read; GLOT_BAD_VALUE with the text that is wrong. */
glot_status glot_template_check(const glot_template *t, glot_error *err);

/* What an item is made of. */
typedef struct glot_template_source {
    const json_t *line, *element; /* element: NULL without `each` */
    const char *where;            /* "FILE line N", for messages */
} glot_template_source;

/* Texts that one template text stands for. Zero it to start. */
typedef struct glot_texts {
    char **items; /* owned */
    size_t n, capacity;
} glot_texts;
void glot_texts_release(glot_texts *texts);
/* Appends what `text` stands for. */
glot_status glot_template_render(glot_texts *out, const char *text, const glot_template_source *source,
                                 glot_error *err);
/* The place of the right choice among `choices`. */
glot_status glot_template_gold(size_t *out, const glot_template *t, const glot_texts *choices,
                               const glot_template_source *source, glot_error *err);

#endif
