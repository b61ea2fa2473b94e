/* Hot: a few bytes in many, by the needle's first two bytes at BLOCK_LEN places at once. */
#include "lib/rule/rule_find.h"

#include <immintrin.h>
#include <string.h>

enum { BLOCK_LEN = 32, CASE_BIT = 0x20 };

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

/* Which of BLOCK_LEN places may be a beginning, a bit for each. */
static inline uint32_t
block_places(const struct find *find, const uint8_t *data)
{
	__m256i first = _mm256_loadu_si256((const __m256i *)(const void *)data);
	__m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(data + find->second));

	first = _mm256_or_si256(first, _mm256_set1_epi8((char)find->fold[0]));
	second = _mm256_or_si256(second, _mm256_set1_epi8((char)find->fold[1]));
	first = _mm256_cmpeq_epi8(first, _mm256_set1_epi8((char)find->needle[0]));
	second = _mm256_cmpeq_epi8(second, _mm256_set1_epi8((char)find->needle[find->second]));
	return (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(first, second));
}

/* @param places  where it may begin: at least BLOCK_LEN; the last block overlaps the one before */
static const uint8_t *
find_by_block(const struct find *find, const uint8_t *data, size_t places)
{
	for (size_t at = 0; at < places; at += BLOCK_LEN) {
		const uint8_t *block = data + (places - at < BLOCK_LEN ? places - BLOCK_LEN : at);

		for (uint32_t bits = block_places(find, block); bits != 0; bits &= bits - 1)
			if (is_at(find, block + __builtin_ctz(bits)))
				return block + __builtin_ctz(bits);
	}
	return NULL;
}

const uint8_t *
rule_find(const uint8_t *data, size_t len, const uint8_t *needle, size_t needle_len, bool nocase)
{
	struct find find = { .needle = needle, .len = needle_len, .nocase = nocase, .second = needle_len > 1 };
	size_t places = len < needle_len ? 0 : len - needle_len + 1;

	find.fold[0] = fold_of(needle[0], nocase);
	find.fold[1] = fold_of(needle[find.second], nocase);
	if (places >= BLOCK_LEN)
		return find_by_block(&find, data, places);
	for (size_t at = 0; at < places; at++)
		if (first_two(&find, data + at) && is_at(&find, data + at))
			return data + at;
	return NULL;
}
