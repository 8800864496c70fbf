/* template_filters.c: the texts of placeholders, changed. */
#include "eval/template_filters.h"
#include "eval/ngrams.h"
#include "text/unicode.h"
#include "text/utf8.h"

#include <string.h>

/* A small letter for a capital of Latin-1 and Latin Extended-A; any other character stays. */
static uint32_t small_letter(uint32_t c)
{
    bool is_odd_pair = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E); /* capitals at odd places */
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7))
        return c + 32;
    if (c == 0x178)
        return 0xFF;
    if (c >= 0x100 && c <= 0x17E && c != 0x138 && c != 0x149 && c != 0x131)
        return c + ((c & 1) == (is_odd_pair ? 1u : 0u));
    return c;
}

/* The capital I with a dot becomes an i and a dot above it, as Unicode has it for every language. */
static void put_small(glot_str *out, uint32_t code)
{
    char letter[4];
    if (code == 0x130)
        glot_str_puts(out, "i\xCC\x87");
    else
        glot_str_append(out, letter, glot_utf8_encode(letter, small_letter(code)));
}

void glot_filter_lower(glot_str *out, const char *text)
{
    size_t length = 0;
    if (!*text)
        return;
    put_small(out, glot_utf8_decode(text, &length));
    glot_str_puts(out, text + length);
}

void glot_filter_open(glot_str *out, const char *text)
{
    size_t n = strlen(text), length = 0;
    if (n)
        (void)glot_utf8_decode_before(text, n, &length);
    glot_str_append(out, text, n - length);
}

void glot_filter_after(glot_str *out, const char *text, const char *mark, size_t n)
{
    const char *found = memmem(text, strlen(text), mark, n);
    glot_str_puts(out, found ? found + n : text);
}

/* `from` with `to` for every `what`, in one run from the left. */
static void put_replaced(glot_str *out, const char *from, const char *what, const char *to)
{
    for (const char *found; (found = strstr(from, what)) != NULL; from = found + strlen(what)) {
        glot_str_append(out, from, (size_t)(found - from));
        glot_str_puts(out, to);
    }
    glot_str_puts(out, from);
}

static void put_without_brackets(glot_str *out, const char *from)
{
    for (const char *open = strchr(from, '['); open; open = strchr(open, '[')) {
        const char *end = open + strcspn(open, "]\n");
        if (*end != ']') { /* this bracket does not close in its line */
            open++;
            continue;
        }
        glot_str_append(out, from, (size_t)(open - from));
        from = open = end + 1;
    }
    glot_str_puts(out, from);
}

static const char *text_of(const glot_str *s)
{
    return s->data ? s->data : "";
}

/* The text without white space at its ends. */
static void put_stripped(glot_str *out, const char *text)
{
    size_t n = strlen(text), length = 0;
    while (*text && glot_is_split_space(glot_utf8_decode(text, &length))) {
        text += length;
        n -= length;
    }
    while (n > 0 && glot_is_split_space(glot_utf8_decode_before(text, n, &length)))
        n -= length;
    glot_str_append(out, text, n);
}

void glot_filter_unmarked(glot_str *out, const char *text)
{
    glot_str stripped = {0}, titled = {0}, bare = {0};
    put_stripped(&stripped, text);
    put_replaced(&titled, text_of(&stripped), " [title]", ". ");
    put_without_brackets(&bare, text_of(&titled));
    if (stripped.failed || titled.failed || bare.failed)
        out->failed = true;
    put_replaced(out, text_of(&bare), "  ", " ");
    glot_str_release(&stripped);
    glot_str_release(&titled);
    glot_str_release(&bare);
}

/* Where the beginning of a sentence stands at the end of a text: small letters behind a full stop; NULL:
 * nowhere. */
static const char *find_beginning(const char *text)
{
    const char *at = NULL;
    for (const char *p = text; *p; p++)
        if (strchr(".!?", *p)) {
            const char *next = p[1] == '"' ? p + 2 : p + 1;
            at = *next == ' ' ? next + 1 : NULL;
        }
    return at && *at >= 'a' && *at <= 'z' ? at : NULL;
}

void glot_filter_unfinished(glot_str *out, const char *text)
{
    glot_str whole = {0}, bare = {0};
    const char *beginning = find_beginning(text);
    size_t length;
    glot_str_append(&whole, text, beginning ? (size_t)(beginning - text) : strlen(text));
    if (beginning) {
        glot_str_printf(&whole, "%c", *beginning - 'a' + 'A');
        for (const char *p = beginning + 1; *p; p += length)
            put_small(&whole, glot_utf8_decode(p, &length));
    }
    glot_filter_unmarked(&bare, text_of(&whole));
    if (whole.failed || bare.failed)
        out->failed = true;
    glot_str_puts(out, text_of(&bare) + strspn(text_of(&bare), " "));
    glot_str_release(&whole);
    glot_str_release(&bare);
}
