/* A process of senders: its part of the sensors, each with a connection of its own. */
#ifndef MR_BENCH_SENDER_FLEET_H
#define MR_BENCH_SENDER_FLEET_H

#include <stdbool.h>
#include <stdint.h>

struct bench_batches;

enum {
	FLEET_LATENCY_SLOTS = 2000, /* of a millisecond; the last holds all beyond */
	FLEETS_MAX = 64,
};

struct fleet_options {
	const char *file;  /* for who loads the batches */
	const char *pki;
	const char *address;
	uint16_t port;
	uint32_t first;    /* number of the first sender */
	uint32_t senders;
	uint32_t batch_records;
	uint32_t seconds;
	bool http2;
	bool check;        /* batches are checked, and not stored: the door alone */
	double interval_s; /* between a sensor's batches; 0: as soon as the last is acknowledged */
};

/** What a fleet tells while it runs: written by it, read by the process that began it. */
struct fleet_tally {
	_Atomic uint32_t connected; /* whether all of its senders have shaken hands, or failed */
	uint32_t ready, lost;
	uint64_t batches, records, later, refused;
	uint64_t latencies[FLEET_LATENCY_SLOTS];
};

/** Shared by all fleets. */
struct fleet_shared {
	_Atomic uint32_t go; /* set when every fleet is connected: delivery is measured from here on */
	uint64_t epoch;
	struct fleet_tally tallies[FLEETS_MAX];
};

/** Connects all, waits for go, delivers for options->seconds. @return 0 or -errno, said on stderr. */
int fleet_run(const struct fleet_options *options, const struct bench_batches *batches, struct fleet_shared *shared,
	struct fleet_tally *tally);

uint64_t fleet_clock_ns(void);

#endif
