#include "lib/link/rate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MINUTES_A_DAY = 24 * 60 };

static const struct {
	const char *unit;
	uint64_t times, by; /* to bytes */
} units[] = {
	{ "kbit", 1000, 8 }, { "mbit", 1000000, 8 }, { "kbit/s", 1000, 8 }, { "mbit/s", 1000000, 8 }, { "kib", 1024, 1 },
	{ "kb", 1024, 1 }, { "mib", 1024 * 1024, 1 }, { "mb", 1024 * 1024, 1 },
};

static const char *
read_two(const char *at, unsigned int below, unsigned int *out)
{
	if (at == NULL || at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
		return NULL;
	*out = (unsigned int)(at[0] - '0') * 10 + (unsigned int)(at[1] - '0');
	return *out < below ? at + 2 : NULL;
}

/* "HH:MM", 24:00 for the end of the day. */
static const char *
read_time(const char *at, unsigned int *minute)
{
	unsigned int hours = 0, minutes = 0;

	at = read_two(at, 25, &hours);
	at = at == NULL || *at != ':' ? NULL : read_two(at + 1, 60, &minutes);
	*minute = hours * 60 + minutes;
	return *minute <= MINUTES_A_DAY ? at : NULL;
}

static int
read_rate(const char *at, uint64_t *bytes_s)
{
	char *end;

	if (*at < '0' || *at > '9')
		return -EINVAL;
	errno = 0;
	unsigned long number = strtoul(at, &end, 10);

	end += strspn(end, " ");
	for (size_t i = 0; errno == 0 && number <= 1000000 && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcasecmp(end, units[i].unit) == 0) {
			*bytes_s = number * units[i].times / units[i].by;
			return *bytes_s >= RATE_BYTES_S_MIN ? 0 : -EINVAL;
		}
	return -EINVAL;
}

static int
read_row(struct rate_table *out, const char *text)
{
	unsigned int from = 0, to = MINUTES_A_DAY;
	const char *at = text == NULL ? "" : text;
	uint64_t bytes_s;

	if (out->count == RATE_ROWS_MAX)
		return -EINVAL;
	if (strchr(at, ':') != NULL) {
		at = read_time(at, &from);
		at = at == NULL || *at != '-' ? NULL : read_time(at + 1, &to);
		if (at == NULL || *at != ' ' || from == to)
			return -EINVAL;
		at += strspn(at, " ");
	}
	if (read_rate(at, &bytes_s) != 0)
		return -EINVAL;
	out->rows[out->count].from = from;
	out->rows[out->count].to = to;
	out->rows[out->count++].bytes_s = bytes_s;
	return 0;
}

int
rate_table_read(struct rate_table *out, const json_t *list, const char **bad)
{
	size_t i;
	json_t *item;

	out->count = 0;
	json_array_foreach((json_t *)list, i, item) {
		*bad = json_is_string(item) ? json_string_value(item) : "";
		if (read_row(out, *bad) != 0)
			return -EINVAL;
	}
	return 0;
}

uint64_t
rate_table_at(const struct rate_table *table, unsigned int minute)
{
	for (unsigned int i = 0; i < table->count; i++) {
		unsigned int from = table->rows[i].from, to = table->rows[i].to;
		bool inside = from < to ? minute >= from && minute < to : minute >= from || minute < to;

		if (inside)
			return table->rows[i].bytes_s;
	}
	return 0;
}
