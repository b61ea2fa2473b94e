/* How a value of an answer is written. */
#include <stdlib.h>
#include <string.h>

#include "lib/store/cell.h"
#include "lib/store/clickhouse/clickhouse_group.h"
#include "lib/store/function.h"

static json_t *
write_ip(const char *hex)
{
	uint8_t bytes[16];
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len && i < sizeof(bytes); i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1] };

		bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return store_cell_ip(bytes, len);
}

/* What the record asks or answers, or the message of an alert. */
static json_t *
write_sample(const char *line, enum clickhouse_format format)
{
	json_t *record = store_cell_line(line, line == NULL ? 0 : strlen(line));
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
		return store_cell_whole(clickhouse_cell_real(cell));
	case AS_SECONDS:
		return store_cell_time(value, 0);
	case AS_NS:
		return store_cell_time(value / 1000000000, value % 1000000000);
	case AS_HEX:
		return store_cell_hex((uint64_t)value);
	case AS_LANE:
		return store_cell_lane(value);
	case AS_IP:
		return write_ip(cell);
	case AS_JSON:
		return store_cell_line(cell, strlen(cell));
	default:
		return json_string(cell);
	}
}
