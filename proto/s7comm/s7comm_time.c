/* Times as S7 devices write them. They know no time zone; they are shown as if they were UTC. */
#include "proto/s7comm/s7comm.h"

enum {
	NS_PER_S = 1000000000,
	NS_PER_MS = 1000000,
	S_PER_DAY = 86400,
	DAYS_1970_TO_1984 = 5113,
	CENTURY_PIVOT = 90, /* years from 90 on are of the last century */
};

static bool
bcd(uint8_t octet, uint32_t max, uint32_t *out)
{
	*out = (octet >> 4) * 10u + (octet & 0x0f);
	return (octet >> 4) < 10 && (octet & 0x0f) < 10 && *out <= max;
}

/* Days from 1970-01-01 in the Gregorian calendar; years begin with March, so that the leap day is the last. */
static uint64_t
days_from_date(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t years = month > 2 ? year : year - 1;
	uint32_t months = month > 2 ? month - 3 : month + 9;

	return UINT64_C(365) * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - 719468;
}

bool
s7_read_clock(struct cursor *in, uint64_t *out_ns)
{
	uint8_t octets[8];
	uint32_t year, month, day, hour, minute, second, hundredths;
	bool valid;

	for (unsigned int i = 0; i < sizeof(octets); i++)
		octets[i] = cursor_u8(in);
	valid = bcd(octets[0], 99, &year);
	valid = bcd(octets[1], 12, &month) && valid;
	valid = bcd(octets[2], 31, &day) && valid;
	valid = bcd(octets[3], 23, &hour) && valid;
	valid = bcd(octets[4], 59, &minute) && valid;
	valid = bcd(octets[5], 59, &second) && valid;
	valid = bcd(octets[6], 99, &hundredths) && valid;
	if (in->short_read || !valid || month == 0 || day == 0 || (octets[7] >> 4) > 9)
		return false;
	year += year >= CENTURY_PIVOT ? 1900 : 2000;
	*out_ns = (days_from_date(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second) * NS_PER_S +
		(hundredths * UINT64_C(10) + (octets[7] >> 4)) * NS_PER_MS;
	return true;
}

uint64_t
s7_read_stamp(struct cursor *in)
{
	uint64_t ms = cursor_be32(in);
	uint64_t days = cursor_be16(in);

	return (days + DAYS_1970_TO_1984) * S_PER_DAY * NS_PER_S + ms * NS_PER_MS;
}
