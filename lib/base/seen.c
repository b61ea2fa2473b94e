#include "lib/base/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	SETS = 2048,
	SET_PRINTS = 4, /* a cache line */
};

struct noted {
	uint64_t ts_ns;
	uint64_t print; /* 0: none */
};

struct seen {
	struct noted sets[SETS][SET_PRINTS];
	uint64_t key[2];
};

int
seen_create(struct seen **out)
{
	struct seen *seen = aligned_alloc(64, (sizeof(*seen) + 63) / 64 * 64);

	if (seen == NULL)
		return -ENOMEM;
	memset(seen, 0, sizeof(*seen));
	if (getrandom(seen->key, sizeof(seen->key), 0) != sizeof(seen->key)) {
		free(seen);
		return -EIO;
	}
	seen->key[1] |= 1;
	*out = seen;
	return 0;
}

static uint64_t
fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t
seen_print(const struct seen *seen, uint64_t from, const uint8_t *data, size_t len)
{
	uint64_t print = from ^ seen->key[0] ^ len;

	for (; len > 0; data += 8) {
		size_t step = len < 8 ? len : 8;
		uint64_t word = 0;

		memcpy(&word, data, step);
		print = fold(print ^ word, seen->key[1]) + seen->key[0];
		len -= step;
	}
	return print == 0 ? 1 : print;
}

/** Where the print is, or where it goes: the oldest of its set. */
static struct noted *
place_of(struct noted set[], uint64_t print)
{
	struct noted *oldest = set;

	for (unsigned int i = 0; i < SET_PRINTS; i++) {
		if (set[i].print == print)
			return &set[i];
		if (set[i].ts_ns < oldest->ts_ns)
			oldest = &set[i];
	}
	return oldest;
}

bool
seen_note(struct seen *seen, uint64_t print, uint64_t ts_ns, uint64_t window_ns, bool again)
{
	struct noted *at = place_of(seen->sets[print % SETS], print);
	uint64_t apart_ns = ts_ns > at->ts_ns ? ts_ns - at->ts_ns : at->ts_ns - ts_ns;
	bool found = at->print == print && apart_ns <= window_ns;

	if (!found)
		*at = (struct noted){ .ts_ns = ts_ns, .print = print };
	else if (!again)
		*at = (struct noted){ 0 };
	return found;
}
