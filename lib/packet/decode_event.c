#include "lib/packet/decode_event.h"

#include <stddef.h>
#include <string.h>

#define DECODE_EVENT_ROW(id, name, help) [DECODE_##id] = { name, help },
const struct decode_event_desc decode_event_table[DECODE_EVENT_COUNT] = { DECODE_EVENTS(DECODE_EVENT_ROW) };
#undef DECODE_EVENT_ROW

#define DECODE_COUNTER_ROW(id, name, help) [DECODE_##id] = { "decoder.event." name, help },
const struct counter_desc decode_event_counters[DECODE_EVENT_COUNT] = { DECODE_EVENTS(DECODE_COUNTER_ROW) };
#undef DECODE_COUNTER_ROW

int
decode_event_find(const char *name)
{
	for (int i = 0; i < DECODE_EVENT_COUNT; i++)
		if (strcmp(decode_event_table[i].name, name) == 0)
			return i;
	return -1;
}
