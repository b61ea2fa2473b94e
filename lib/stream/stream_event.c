#include "lib/stream/stream_event.h"

#include <stddef.h>
#include <string.h>

#define STREAM_EVENT_ROW(id, name, help) [STREAM_##id] = { name, help },
const struct stream_event_desc stream_event_table[STREAM_EVENT_COUNT] = { STREAM_EVENTS(STREAM_EVENT_ROW) };
#undef STREAM_EVENT_ROW

int
stream_event_find(const char *name)
{
	for (int i = 0; i < STREAM_EVENT_COUNT; i++)
		if (strcmp(stream_event_table[i].name, name) == 0)
			return i;
	return -1;
}
