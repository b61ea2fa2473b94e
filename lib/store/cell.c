#include "lib/store/cell.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <time.h>

#include "lib/base/json_read.h"
#include "lib/link/batch.h"
#include "lib/store/line.h"

json_t *
store_cell_time(int64_t seconds, int64_t ns)
{
	char day[32];
	time_t at = (time_t)seconds;
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%06u+0000", day, (unsigned int)(ns / 1000));
}

json_t *
store_cell_ip(const void *bytes, size_t len)
{
	char text[INET6_ADDRSTRLEN];

	if ((len != 4 && len != 16) || inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)) == NULL)
		return json_null();
	return json_string(text);
}

json_t *
store_cell_lane(int64_t lane)
{
	return lane < 0 || lane >= LINK_LANE_COUNT ? json_null() : json_string(link_lane_name((enum link_lane)lane));
}

json_t *
store_cell_hex(uint64_t value)
{
	return json_sprintf("%016" PRIx64, value);
}

json_t *
store_cell_whole(double value)
{
	return value < 9e18 ? json_integer((json_int_t)value) : json_real(value);
}

json_t *
store_cell_line(const char *line, size_t len)
{
	json_t *record = line == NULL ? NULL : json_read(line, len);

	return record == NULL ? json_null() : record;
}

int64_t
store_cell_time_read(const json_t *record)
{
	const json_t *text = json_object_get(record, "timestamp");
	struct line_number ts = { 0 };

	if (json_is_string(text))
		(void)store_time_read(&ts, json_string_value(text), json_string_length(text));
	return ts.value;
}
