/* What every store's handle begins with. */
#ifndef MR_STORE_STORE_PRIVATE_H
#define MR_STORE_STORE_PRIVATE_H

#include "lib/store/store.h"

/** The end of a lane. */
struct store_tail {
	uint64_t next;
	int64_t mark; /* store_mark() of the record before next; of another one, or 0: not known */
};

/** A lane of which nothing is stored begins where its epoch does. */
static inline void
store_tail_begin(struct store_tail *tail, const struct batch_head *head)
{
	if (tail->next <= 1)
		tail->next = head->begins > 1 ? head->begins : 1;
}

/** What a record is under its number, so that another one under the same number is told from it. */
int64_t store_mark(uint64_t sequence, const struct store_line *line);

/**
 * Whether a batch that begins before a lane's end is what is stored there. One record tells: two sensors that go by copies of one
 * spool have nothing in common from the copy on.
 *
 * @return 0: it is, or that cannot be known; -ESTALE: it is not; -EALREADY: it ends before the lane's last record
 */
int store_compare(const struct store_tail *tail, const struct batch_head *head, const struct store_line *lines);

struct store {
	const struct store_ops *ops;
};

#endif
