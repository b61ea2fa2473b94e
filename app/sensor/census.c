#include "app/sensor/census.h"

#include <string.h>

enum { STEP = 128 }; /* places of the table between two bursts: some microseconds */

bool
census_ask(struct census *census, const struct census_question *question)
{
	if (census_is_asked(census))
		return false;
	census->question = *question;
	census->at = 0;
	census->found = 0;
	census->count = 0;
	atomic_store_explicit(&census->state, CENSUS_ASKED, memory_order_release);
	return true;
}

static uint64_t
bytes_of(const struct flow *flow)
{
	return flow->bytes[0] + flow->bytes[1];
}

static bool
is_asked_for(const struct census_question *question, const struct flow *flow)
{
	if (!question->of_addr)
		return true;
	return flow->key.ip_version == question->ip_version &&
		(memcmp(&flow->key.addr[0], &question->addr, sizeof(question->addr)) == 0 ||
			memcmp(&flow->key.addr[1], &question->addr, sizeof(question->addr)) == 0);
}

static struct census_row *
least_of(struct census *census)
{
	struct census_row *least = &census->rows[0];

	for (uint16_t i = 1; i < census->count; i++)
		if (bytes_of(&census->rows[i].flow) < bytes_of(&least->flow))
			least = &census->rows[i];
	return least;
}

static void
consider(void *arg, const struct flow *flow)
{
	struct census *census = arg;
	struct census_row *row;

	if (!is_asked_for(&census->question, flow))
		return;
	census->found++;
	if (census->count < census->question.limit) {
		row = &census->rows[census->count++];
	} else {
		row = least_of(census);
		if (bytes_of(flow) <= bytes_of(&row->flow))
			return;
	}
	*row = (struct census_row){ *flow, flow_whole(census->table, flow) };
}

void
census_step(struct census *census, const struct flow_table *table)
{
	census->table = table;
	census->at = flow_table_walk(table, census->at, STEP, consider, census);
	if (census->at == 0)
		atomic_store_explicit(&census->state, CENSUS_DONE, memory_order_release);
}
