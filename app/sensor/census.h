/*
 * The flows of a running worker, for who asks. The worker looks through its table a little between bursts and copies those with
 * the most bytes; the asking thread waits and reads the copies.
 */
#ifndef MR_SENSOR_CENSUS_H
#define MR_SENSOR_CENSUS_H

#include <stdatomic.h>

#include "lib/flow/flow.h"

enum { CENSUS_ROWS_MAX = 256 };

enum census_state {
	CENSUS_IDLE,  /* the asking thread's */
	CENSUS_ASKED, /* the worker's until it is done */
	CENSUS_DONE,  /* the asking thread's: rows hold */
};

/** What is asked for. */
struct census_question {
	bool of_addr;        /* only flows with an end at addr */
	struct ip_addr addr;
	uint8_t ip_version;
	uint16_t limit;      /* 1..CENSUS_ROWS_MAX */
};

struct census_row {
	struct flow flow; /* its pointers mean nothing outside the worker */
	struct flow_part whole;
};

/** Zeroed at first. One asking thread at a time. */
struct census {
	_Atomic uint8_t state; /* enum census_state */
	struct census_question question;
	uint32_t at;           /* of the table */
	uint32_t found;        /* flows that were asked for; more than there are rows, perhaps */
	uint16_t count;
	struct census_row rows[CENSUS_ROWS_MAX]; /* [count], in no order */
	const struct flow_table *table; /* of the step at hand */
};

/** Asking thread. @return false: the worker has not answered the last question yet */
bool census_ask(struct census *census, const struct census_question *question);
static inline bool
census_is_done(const struct census *census)
{
	return atomic_load_explicit(&census->state, memory_order_acquire) == CENSUS_DONE;
}

/** Worker, between bursts. */
static inline bool
census_is_asked(const struct census *census)
{
	return atomic_load_explicit(&census->state, memory_order_acquire) == CENSUS_ASKED;
}
void census_step(struct census *census, const struct flow_table *table);

#endif
