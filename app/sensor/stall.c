#include "app/sensor/stall.h"

enum stall_news
stall_step(struct stall *stall, uint64_t rounds, bool ended)
{
	bool before = stall->stalled;

	stall->ticks = ended || rounds != stall->rounds ? 0 : stall->ticks + 1;
	stall->rounds = rounds;
	stall->stalled = stall->ticks == 0 ? false : before || stall->ticks >= STALL_TICKS;
	if (stall->stalled == before)
		return STALL_NONE;
	stall->count += stall->stalled;
	return stall->stalled ? STALL_BEGINS : STALL_ENDS;
}
