/*
 * A conversation between two hosts, TCP or UDP, as the mirror port sees it: ARP, handshake,
 * segments with sequence numbers and acknowledgements, close; and the faults on the way.
 *
 * Every function takes the time of the first frame and returns the time after the last one.
 */
#ifndef MR_BENCH_PLANT_TALK_H
#define MR_BENCH_PLANT_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/bench/plant/capture.h"
#include "app/bench/plant/fault.h"
#include "app/bench/plant/random.h"
#include "app/bench/plant/wire.h"

enum plant_end { PLANT_CLIENT, PLANT_SERVER };

/** What all conversations of a run share. */
struct plant_net {
	struct plant_capture *capture; /* borrowed */
	struct plant_random random;
	uint16_t fault_permille[PLANT_FAULT_COUNT];
	uint64_t fault_count[PLANT_FAULT_COUNT]; /* how often each one struck */
	uint16_t segment_len_max; /* no TCP segment is longer; 0: the MSS */
	bool quiet; /* a scenario: no ARP, fixed delays, so that each frame is the author's */
};

struct plant_talk {
	struct plant_net *net;
	struct plant_host *hosts[2]; /* by enum plant_end; borrowed */
	uint16_t ports[2];
	uint32_t seq[2]; /* next byte to send */
	uint32_t acked[2]; /* what the end has told the other so far */
	uint64_t arp_next_ns;
	bool tcp;
	bool open;
	bool timestamps; /* RFC 7323 option on every segment */
};

void plant_talk_init(
	struct plant_talk *talk, struct plant_net *net, struct plant_host *client, struct plant_host *server);
/** Begins anew from another client port: handshake for TCP; nothing but ARP for UDP. */
uint64_t plant_talk_open(struct plant_talk *talk, uint64_t now_ns);
/** Sends bytes, in as many segments (TCP) or datagrams (UDP) as it takes. */
uint64_t plant_talk_send(struct plant_talk *talk, enum plant_end from, const void *data, size_t len, uint64_t now_ns);
/** An acknowledgement without data, where something is not acknowledged yet. */
uint64_t plant_talk_ack(struct plant_talk *talk, enum plant_end from, uint64_t now_ns);
uint64_t plant_talk_close(struct plant_talk *talk, uint64_t now_ns);
uint64_t plant_talk_reset(struct plant_talk *talk, enum plant_end from, uint64_t now_ns);

/** Whether the fault strikes now; counted. */
bool plant_fault_strikes(struct plant_net *net, enum plant_fault fault);

#endif
