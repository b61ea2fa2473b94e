/*
 * Counters with one writer each. A module declares a table of names beside an enum of
 * indexes; whoever owns the module's instance owns the values, any thread may read them.
 */
#ifndef MR_BASE_COUNTER_H
#define MR_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter_desc {
	const char *name; /* dotted, "flow.table_full": the path in stats events */
	const char *help; /* one line for the reference page */
};

/** A module's names alone, for the reference page. */
struct counter_table {
	const struct counter_desc *descs;
	unsigned int count;
};

/** One instance of a module's counters: values[i] is named by descs[i]. */
struct counter_set {
	const struct counter_desc *descs;
	_Atomic uint64_t *values;
	unsigned int count;
};

/** Single writer: the owning thread. Any thread may read. */
static inline void
counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + n, memory_order_relaxed);
}

static inline void
counter_set(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_relaxed);
}

static inline uint64_t
counter_get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
