/* utf8.h: what the readers need to know of a text's bytes. */
#ifndef GLOT_TEXT_UTF8_H
#define GLOT_TEXT_UTF8_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that begins no valid UTF-8 character (overlong forms, surrogates, anything above
 * U+10FFFF and a character cut off at the end are not valid), or size. Any thread. */
size_t glot_utf8_valid_prefix(const char *text, size_t size);

/* Appends the text with U+FFFD for each byte that belongs to no valid character: for readers that take
 * nothing but UTF-8. */
void glot_utf8_append_repaired(glot_str *out, const char *text, size_t size);

/* Words of a valid UTF-8 text: runs of characters without the Unicode property White_Space. */
uint64_t glot_utf8_count_words(const char *text, size_t size);

#endif
