#include "lib/stream/stream_event.h"

#include <stddef.h>
#include <string.h>

#define STREAM_EVENT_ROW(id, name, help) [STREAM_##id] = { name, "stream." name, help },
const struct stream_event_desc stream_event_table[STREAM_EVENT_COUNT] = { STREAM_EVENTS(STREAM_EVENT_ROW) };
#undef STREAM_EVENT_ROW

#define QUIET(id, word) (STREAM_##id / 64 == (word) ? UINT64_C(1) << STREAM_##id % 64 : 0)
#define QUIET_WORD(word) \
	(QUIET(PKT_RETRANSMISSION, word) | QUIET(PKT_SPURIOUS_RETRANSMISSION, word) | QUIET(EST_SYNACK_RESEND, word) | \
		QUIET(EST_SYN_RESEND, word) | QUIET(EST_PKT_BEFORE_LAST_ACK, word) | QUIET(URGENT_DATA, word) | \
		QUIET(RST_BUT_NO_SESSION, word) | QUIET(FIN_BUT_NO_SESSION, word) | QUIET(REASSEMBLY_SEQ_GAP, word))

const uint64_t stream_event_quiet[2] = { QUIET_WORD(0), QUIET_WORD(1) };

int
stream_event_find(const char *name)
{
	for (int i = 0; i < STREAM_EVENT_COUNT; i++)
		if (strcmp(stream_event_table[i].name, name) == 0)
			return i;
	return -1;
}
