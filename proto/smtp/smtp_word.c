/* Encoded words (RFC 2047 2, 4): =?charset?B?text?=, =?charset?Q?text?=. Bytes stay those of their character set. */
#include "lib/base/hex.h"
#include "proto/smtp/smtp.h"

/* What is decoded is never longer: out may be where in is. @return bytes of out */
static uint32_t
decode_base64(uint8_t *out, const uint8_t *in, uint32_t len)
{
	uint32_t group = 0, at = 0;
	unsigned int bits = 0;

	for (uint32_t i = 0; i < len && base64_value(in[i]) >= 0; i++) {
		group = group << 6 | (uint32_t)base64_value(in[i]);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		out[at++] = (uint8_t)(group >> bits);
	}
	return at;
}

static uint32_t
decode_quoted(uint8_t *out, const uint8_t *in, uint32_t len)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < len; i++) {
		if (in[i] == '=' && i + 2 < len && hex_digit(in[i + 1]) >= 0 && hex_digit(in[i + 2]) >= 0) {
			out[at++] = (uint8_t)(hex_digit(in[i + 1]) << 4 | hex_digit(in[i + 2]));
			i += 2;
		} else {
			out[at++] = in[i] == '_' ? ' ' : in[i];
		}
	}
	return at;
}

struct word {
	uint32_t text, end, next; /* of its text, and of what is behind it */
	bool base64;
};

static uint32_t
find_mark(const uint8_t *text, uint32_t at, uint32_t len)
{
	while (at < len && text[at] != '?' && text[at] > ' ')
		at++;
	return at < len && text[at] == '?' ? at : len;
}

static bool
read_word(const uint8_t *text, uint32_t at, uint32_t len, struct word *word)
{
	uint32_t charset_end, end;

	if (at + 2 > len || text[at] != '=' || text[at + 1] != '?')
		return false;
	charset_end = find_mark(text, at + 2, len);
	if (charset_end + 3 > len || text[charset_end + 2] != '?')
		return false;
	word->base64 = (text[charset_end + 1] | 0x20) == 'b';
	if (!word->base64 && (text[charset_end + 1] | 0x20) != 'q')
		return false;
	word->text = charset_end + 3;
	end = find_mark(text, word->text, len);
	if (end + 2 > len || text[end + 1] != '=')
		return false;
	word->end = end;
	word->next = end + 2;
	return true;
}

uint32_t
smtp_words_decode(uint8_t *text, uint32_t len)
{
	uint32_t from = 0, to = 0, kept = 0;
	bool behind_word = false;

	while (from < len) {
		struct word word;

		if (read_word(text, from, len, &word)) {
			to = behind_word ? kept : to; /* blanks between two words are none of the text (RFC 2047 6.2) */
			to += (word.base64 ? decode_base64 : decode_quoted)(text + to, text + word.text, word.end - word.text);
			from = word.next;
			kept = to;
			behind_word = true;
			continue;
		}
		behind_word = behind_word && (text[from] == ' ' || text[from] == '\t');
		text[to++] = text[from++];
	}
	return to;
}
