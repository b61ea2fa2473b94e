#include "lib/base/json_read.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char greatest[] = "9223372036854775807";

enum {
	GREATEST_LEN = sizeof(greatest) - 1,
	ADDED = 2, /* ".0" */
};

static bool
is_wide(const char *token, size_t len)
{
	bool negative = len > 0 && token[0] == '-';
	const char *digits = token + negative;
	size_t count = len - negative;

	for (size_t i = 0; i < count; i++)
		if (digits[i] < '0' || digits[i] > '9')
			return false;
	return count > GREATEST_LEN || (count == GREATEST_LEN && memcmp(digits, greatest, GREATEST_LEN) > 0);
}

static size_t
number_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && memchr("+-.0123456789Ee", text[n], 15) != NULL)
		n++;
	return n;
}

/* The end of a string whose quotation mark is the first character. */
static size_t
string_len(const char *text, size_t len)
{
	size_t n = 1;

	while (n < len && text[n] != '"')
		n += text[n] == '\\' ? 2 : 1;
	return n < len ? n + 1 : len;
}

/* A copy in which integers that do not fit are written as reals. @return its length */
static size_t
widen(char *out, const char *text, size_t len)
{
	size_t written = 0;

	for (size_t at = 0, n; at < len; at += n) {
		size_t number = number_len(text + at, len - at);

		n = number > 0 ? number : text[at] == '"' ? string_len(text + at, len - at) : 1;
		memcpy(out + written, text + at, n);
		written += n;
		if (!is_wide(text + at, number))
			continue;
		memcpy(out + written, ".0", ADDED);
		written += ADDED;
	}
	return written;
}

json_t *
json_read(const char *text, size_t len)
{
	json_t *root = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	char *copy;

	if (root != NULL)
		return root;
	copy = malloc(len + len / GREATEST_LEN * ADDED + 1);
	if (copy == NULL)
		return NULL;
	root = json_loadb(copy, widen(copy, text, len), JSON_ALLOW_NUL, NULL);
	free(copy);
	return root;
}
