/* How a value of an answer is written. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/link/batch.h"
#include "lib/store/clickhouse/clickhouse_group.h"
#include "lib/store/function.h"

static json_t *
write_time(int64_t seconds, int64_t ns)
{
	char day[32];
	time_t at = (time_t)seconds;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%06u+0000", day, (unsigned int)(ns / 1000));
}

static json_t *
write_ip(const char *hex)
{
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN];
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len && i < sizeof(bytes); i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1] };

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	if ((len != 4 && len != 16) || inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)) == NULL)
		return json_null();
	return json_string(text);
}

static json_t *
write_line(const char *line)
{
	json_t *record = line == NULL ? NULL : json_loads(line, JSON_ALLOW_NUL, NULL);

	return record == NULL ? json_null() : record;
}

/* What the record asks or answers, or the message of an alert. */
static json_t *
write_sample(const char *line, enum clickhouse_format format)
{
	json_t *record = write_line(line);
	json_t *alert = json_object_get(record, "alert");
	json_t *message = json_object_get(alert, "signature");
	const char *name = format == AS_FUNCTION ? store_function_name(record) : json_string_value(message);
	json_t *text = name == NULL ? json_null() : json_string(name);

	json_decref(record);
	return text;
}

json_t *
clickhouse_cell_write(const struct clickhouse_column *column, const struct clickhouse_group *group, const char *cell)
{
	int64_t value;

	if (column->format == AS_FUNCTION || column->format == AS_SIGNATURE)
		return write_sample(group->line, column->format);
	if (cell == NULL)
		return json_null();
	value = clickhouse_format_is_number(column->format) ? strtoll(cell, NULL, 10) : 0;
	switch (column->format) {
	case AS_INTEGER:
		return json_integer(value);
	case AS_WHOLE:
		return clickhouse_cell_real(cell) < 9e18 ? json_integer((json_int_t)clickhouse_cell_real(cell)) : json_real(clickhouse_cell_real(cell));
	case AS_SECONDS:
		return write_time(value, 0);
	case AS_NS:
		return write_time(value / 1000000000, value % 1000000000);
	case AS_HEX:
		return json_sprintf("%016" PRIx64, (uint64_t)value);
	case AS_LANE:
		return value < 0 || value >= LINK_LANE_COUNT ? json_null() : json_string(link_lane_name((enum link_lane)value));
	case AS_IP:
		return write_ip(cell);
	case AS_JSON:
		return write_line(cell);
	default:
		return json_string(cell);
	}
}
