#include "app/sensor/source_multi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct source_multi {
	struct source base;
	unsigned int part_count, next;
	struct source *parts[SOURCE_MULTI_MAX];
};

/* A burst is of one part, whose port the frames then belong to. */
static uint16_t
multi_rx_burst(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	struct source_multi *multi = (struct source_multi *)source;

	for (unsigned int tries = 0; tries < multi->part_count; tries++) {
		struct source *part = multi->parts[multi->next];
		uint16_t got = source_rx_burst(part, mbufs, count);

		multi->next = multi->next + 1 == multi->part_count ? 0 : multi->next + 1;
		if (got > 0) {
			source->port_idx = part->port_idx;
			return got;
		}
	}
	return 0;
}

static void
multi_destroy(struct source *source)
{
	struct source_multi *multi = (struct source_multi *)source;

	for (unsigned int i = 0; i < multi->part_count; i++)
		source_destroy(multi->parts[i]);
	free(multi);
}

static const struct source_ops multi_ops = { .name = "multi", .rx_burst = multi_rx_burst, .destroy = multi_destroy };

int
source_multi_create(struct source **out, struct source *const parts[], unsigned int part_count)
{
	struct source_multi *multi = calloc(1, sizeof(*multi));

	for (unsigned int i = 0; i < part_count && multi == NULL; i++)
		source_destroy(parts[i]);
	if (multi == NULL)
		return -ENOMEM;
	multi->base = (struct source){ .ops = &multi_ops, .live = true };
	multi->part_count = part_count;
	memcpy(multi->parts, parts, part_count * sizeof(parts[0]));
	*out = &multi->base;
	return 0;
}
