/* utf8.h: what the readers need to know of a text's bytes. */
#ifndef GLOT_TEXT_UTF8_H
#define GLOT_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Offset of the first byte that begins no valid UTF-8 character (overlong forms, surrogates, anything above
 * U+10FFFF and a character cut off at the end are not valid), or size. Any thread. */
size_t glot_utf8_valid_prefix(const char *text, size_t size);

/* Words of a valid UTF-8 text: runs of characters without the Unicode property White_Space. */
uint64_t glot_utf8_count_words(const char *text, size_t size);

#endif
