/* Hot: a few bytes in many, by the needle's first two bytes at BLOCK_LEN places at once. */
#include "lib/rule/rule_find.h"

#include <string.h>

enum { BLOCK_LEN = 32, CASE_BIT = 0x20 };

typedef uint8_t block __attribute__((vector_size(BLOCK_LEN)));

struct find {
	const uint8_t *needle;
	size_t len;
	bool nocase;
	uint8_t fold[2];      /* set in the first two bytes before they are compared */
	uint8_t second;       /* the place of the second; 0: there is but one */
};

static inline uint8_t
fold_of(uint8_t byte, bool nocase)
{
	return nocase && byte >= 'a' && byte <= 'z' ? CASE_BIT : 0;
}

static bool
is_at(const struct find *find, const uint8_t *data)
{
	if (!find->nocase)
		return memcmp(data, find->needle, find->len) == 0;
	for (size_t i = 0; i < find->len; i++)
		if ((data[i] | fold_of(find->needle[i], true)) != find->needle[i])
			return false;
	return true;
}

static inline bool
first_two(const struct find *find, const uint8_t *data)
{
	return (data[0] | find->fold[0]) == find->needle[0] && (data[find->second] | find->fold[1]) == find->needle[find->second];
}

/* Whether some of BLOCK_LEN places may be a beginning. */
static inline bool
block_may(const struct find *find, const uint8_t *data)
{
	block first, second, both;
	uint64_t any[BLOCK_LEN / sizeof(uint64_t)];

	memcpy(&first, data, sizeof(first));
	memcpy(&second, data + find->second, sizeof(second));
	both = (block)((first | find->fold[0]) == find->needle[0]) & (block)((second | find->fold[1]) == find->needle[find->second]);
	memcpy(any, &both, sizeof(any));
	return (any[0] | any[1] | any[2] | any[3]) != 0;
}

const uint8_t *
rule_find(const uint8_t *data, size_t len, const uint8_t *needle, size_t needle_len, bool nocase)
{
	struct find find = { .needle = needle, .len = needle_len, .nocase = nocase, .second = needle_len > 1 };
	size_t places = len < needle_len ? 0 : len - needle_len + 1, at = 0;

	find.fold[0] = fold_of(needle[0], nocase);
	find.fold[1] = fold_of(needle[find.second], nocase);
	while (at < places) {
		size_t end = places - at < BLOCK_LEN ? places : at + BLOCK_LEN;

		if (end - at == BLOCK_LEN && !block_may(&find, data + at))
			at = end;
		for (; at < end; at++)
			if (first_two(&find, data + at) && is_at(&find, data + at))
				return data + at;
	}
	return NULL;
}
