#include "app/sensor/advice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* `part` of `whole` (counters, by their names) is too much from one in `one_in` on. */
static const struct {
	const char *part, *whole;
	uint64_t one_in;
	const char *what, *advice;
} rows[] = {
	{ "tcp.invalid_checksum", "decoder.tcp", 10, "TCP segments have wrong checksums and are in no stream",
		"the sending machine's card fills them in later: for its own captures and interfaces read with -k none, or set "
		"stream.checksum-validation: no" },
	{ "decoder.event.ipv4.trunc_pkt", "decoder.ipv4", 100, "IPv4 packets are longer than their frame",
		"frames are cut: turn off merging on the port (ethtool -K IFACE gro off lro off), or capture with a larger snapshot length" },
};

enum { PART_MIN = 10 }; /* so few say nothing */

static uint64_t
counter(const json_t *stats, const char *name)
{
	char part[64];

	for (const char *dot = strchr(name, '.'); dot != NULL && stats != NULL; dot = strchr(name, '.')) {
		snprintf(part, sizeof(part), "%.*s", (int)(dot - name), name);
		stats = json_object_get(stats, part);
		name = dot + 1;
	}
	return (uint64_t)json_integer_value(json_object_get(stats, name));
}

bool
advice_next(const json_t *stats, uint32_t *given, char *text, size_t size)
{
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t part = counter(stats, rows[i].part), whole = counter(stats, rows[i].whole);

		if ((*given & 1u << i) != 0 || part < PART_MIN || part * rows[i].one_in < whole)
			continue;
		*given |= 1u << i;
		snprintf(text, size, "%" PRIu64 " of %" PRIu64 " %s: %s", part, whole, rows[i].what, rows[i].advice);
		return true;
	}
	return false;
}
