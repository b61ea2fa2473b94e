/*
 * Inside proto/: what protocols of text lines ask of a line. None of these reads beyond the cursor.
 */
#ifndef MR_PROTO_LINE_H
#define MR_PROTO_LINE_H

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/base/cursor.h"

/** Whether a line begins with a word, its letters of either case. */
static inline bool
line_begins(const struct cursor *line, const char *word)
{
	size_t len = strlen(word);

	return cursor_left(line) >= len && strncasecmp((const char *)line->pos, word, len) == 0;
}

/** The same, anywhere in it. */
static inline bool
line_says(struct cursor line, const char *word)
{
	for (; cursor_left(&line) > 0; cursor_skip(&line, 1))
		if (line_begins(&line, word))
			return true;
	return false;
}

/** Nothing but what a terminal prints: a byte from 0x80 on is a letter of some alphabet. */
static inline bool
line_is_text(struct cursor line)
{
	while (cursor_left(&line) > 0) {
		uint8_t byte = cursor_u8(&line);

		if (byte < ' ' && byte != '\r' && byte != '\n' && byte != '\t')
			return false;
	}
	return true;
}

/** A command's word in capitals, taken off the line's front.
 *  @return its length; 0: there are not 1 to cap letters with a space or the end behind them, and nothing is taken off */
static inline size_t
line_take_word(struct cursor *line, char *word, size_t cap)
{
	struct cursor front = *line;
	size_t len = 0;

	while (cursor_left(line) > 0 && len < cap) {
		uint8_t byte = *line->pos;

		if (byte >= 'a' && byte <= 'z')
			byte = (uint8_t)(byte - 'a' + 'A');
		if (byte < 'A' || byte > 'Z')
			break;
		word[len++] = (char)byte;
		cursor_skip(line, 1);
	}
	if (cursor_left(line) > 0 && *line->pos != ' ') {
		*line = front;
		len = 0;
	}
	return len;
}

/** Without its end; a line that was cut keeps what is there. */
static inline struct cursor
line_bare(struct cursor line)
{
	while (line.left > 0 && (line.pos[line.left - 1] == '\n' || line.pos[line.left - 1] == '\r'))
		line.left--;
	return line;
}

/** Without spaces and tabs at both ends. */
static inline struct cursor
line_trim(struct cursor line)
{
	while (line.left > 0 && (*line.pos == ' ' || *line.pos == '\t'))
		cursor_skip(&line, 1);
	while (line.left > 0 && (line.pos[line.left - 1] == ' ' || line.pos[line.left - 1] == '\t'))
		line.left--;
	return line;
}

#endif
