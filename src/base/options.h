/* options.h
 *
 * The options of a command, each declared once as a row of a table. The same rows parse the command line
 * (with a sentence that names the option, what was found and what was expected), make the --help text, and
 * are dumped as JSON for the manual.
 *
 *     static const glot_option rows[] = {
 *         {"MODEL", .kind = GLOT_OPTION_STRING, .is_argument = true, .is_required = true, .help = "..."},
 *         {"length", .kind = GLOT_OPTION_INT, .value = "N", .min = 1, .max = 1e6, .initial = "256",
 *          .help = "..."},
 *         {0}};
 *     const glot_option *const tables[] = {rows, NULL};
 *     GLOT_TRY(glot_args_parse(&args, tables, argc, argv, err));    argv: the words after the command's name
 *     int64_t length = glot_args_int(args, "length");
 *
 * Options may stand before, between and after arguments; `--name value` and `--name=value` mean the same, and
 * after `--` every word is an argument. Given twice, the last one holds (kinds of many words add up). The
 * getters assert that the row exists and is of their kind: asking for another one is a fault of the program.
 */
#ifndef GLOT_BASE_OPTIONS_H
#define GLOT_BASE_OPTIONS_H

#include "base/json.h"
#include "base/str.h"

typedef enum glot_option_kind {
    GLOT_OPTION_FLAG, /* no value */
    GLOT_OPTION_INT,  /* whole number */
    GLOT_OPTION_REAL, /* finite number */
    GLOT_OPTION_SIZE, /* whole number >= 0 with a suffix: k M G T (thousands), KiB MiB GiB TiB, kB MB GB TB, B
                       */
    GLOT_OPTION_STRING,  /* one word */
    GLOT_OPTION_CHOICE,  /* one of `value`, which lists them: "auto|cpu|cuda" */
    GLOT_OPTION_STRINGS, /* one word, the option may be given again */
    GLOT_OPTION_WORDS,   /* all words up to the next option; as an argument: all that are left */
    GLOT_OPTION_TEXTS    /* the same, as LANG=FILE...: see glot_texts_parse */
} glot_option_kind;

typedef struct glot_option {
    const char *name;      /* without dashes; of an argument what stands for it in the help: "MODEL" */
    char letter;           /* short form, 0: none */
    glot_option_kind kind;
    const char *value;     /* in place of it in the help: "N", "FILE", "auto|cpu|cuda"; NULL for flags */
    double min, max;       /* of numbers, both included; both 0: no limits */
    const char *initial;   /* default as text, parsed by the same rules; NULL: none (0, NULL, false) */
    const char *unit;      /* of numbers: "tokens", "threads"; NULL: none */
    const char *help;      /* one line, lower case */
    const char *group;     /* heading in the help; NULL: "Options" */
    bool is_argument;      /* a place on the line instead of a --name */
    bool is_required;
} glot_option;

/* Numbers as the options read them; the whole text must be used up. False where it is no such number. */
bool glot_parse_int(int64_t *out, const char *text);
bool glot_parse_real(double *out, const char *text);
bool glot_parse_size(uint64_t *out, const char *text);

typedef struct glot_args glot_args;

/* Parses words against the tables (a NULL-terminated list of tables, each ended by a row without a name).
 * `words` must outlive the result. Everything wrong is GLOT_BAD_ARGUMENT. With --help among the words (where
 * a table has that row) missing arguments are no error. */
glot_status glot_args_parse(glot_args **out, const glot_option *const *tables, int n_words,
                            const char *const *words, glot_error *err);
void glot_args_free(glot_args *a); /* NULL is allowed */

bool glot_args_given(const glot_args *a, const char *name); /* on the line, whatever the value */
bool glot_args_flag(const glot_args *a, const char *name);
int64_t glot_args_int(const glot_args *a, const char *name);
double glot_args_real(const glot_args *a, const char *name);
uint64_t glot_args_size(const glot_args *a, const char *name);
/* STRING, CHOICE: the word, the default, or NULL. */
const char *glot_args_string(const glot_args *a, const char *name);
/* STRINGS, WORDS, TEXTS: all words, *n of them. */
const char *const *glot_args_words(const glot_args *a, const char *name, size_t *n);

/* LANG=FILE...: a word "el=a.txt" begins language el with its first file; a word without LANG= is a further
 * file of the language before it; a language named again gets more files. The order is that of first
 * appearance. */
typedef struct glot_text_files {
    char *language;
    const char **files; /* [n_files], borrowed from the words */
    size_t n_files;
    size_t capacity;
} glot_text_files;
/* `where` names the option in messages: "--text". The caller frees with glot_texts_free. */
glot_status glot_texts_parse(glot_text_files **out, size_t *n, const char *const *words, size_t n_words,
                             const char *where, glot_error *err);
void glot_texts_free(glot_text_files *texts, size_t n);

/* The help of one command: usage line, `summary`, arguments, options by group. */
void glot_options_help(glot_str *out, const char *command, const char *summary,
                       const glot_option *const *tables);
/* The usage line's words behind the command, a space before each: " MODEL [FILE...]". */
void glot_options_usage(glot_str *out, const glot_option *const *tables);
/* "--length N": an option as it is written. */
void glot_option_form(glot_str *out, const glot_option *row);
/* "1 to 1000000 tokens; default 256": range, unit and default of a row; nothing where it has none. */
void glot_option_limits(glot_str *out, const glot_option *row);
/* The rows as a JSON list of objects; new reference, NULL where memory ends. */
json_t *glot_options_json(const glot_option *const *tables);

#endif
