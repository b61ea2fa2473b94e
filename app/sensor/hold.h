/*
 * Events that wait. An alert on a request waits for the response that its transaction will
 * show, for a bounded time. When reading a capture, an event of a TCP stream waits for the
 * frame that acknowledges its bytes, whose number is its pcap_cnt; an alert on them is
 * numbered by the next frame of its direction after that.
 *
 * Thread: the worker that owns it.
 */
#ifndef MR_SENSOR_HOLD_H
#define MR_SENSOR_HOLD_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct flow;
struct flow_session;
struct hold;
struct packet;
struct stream_data;
struct worker;

enum { HOLD_PER_FLOW_MAX = 512 };

enum hold_wait {
	HOLD_TX,  /* for the transaction tx_id to be complete */
	HOLD_ACK, /* for seq_end to be acknowledged */
	HOLD_DIRECTION, /* for the next frame of its direction */
};

/** What an event waits for. Steps are taken in the order TX, ACK, DIRECTION. */
struct hold_terms {
	uint32_t tx_id;      /* 0: waits for no transaction */
	uint32_t seq_end;
	bool for_ack;
	bool for_direction;
	bool to_server;
	bool bytes_to_server; /* for_ack: the direction of the bytes, which a protocol may tell as the other's */
};

int hold_create(struct hold **out);
void hold_destroy(struct hold *hold);

/** Copies the event and keeps it. @return false when there is no room: the caller hands it on at once */
bool hold_add(struct worker *worker, struct flow_session *session, const struct event *event, const struct hold_terms *terms);
/** The transaction is complete: its alerts carry the record and go on. */
void hold_complete(struct worker *worker, struct flow *flow, uint32_t tx_id, const void *record, uint32_t record_len);
/** A packet of the flow was handled: acknowledgements and directions it brings. */
void hold_packet(struct worker *worker, struct flow *flow, struct flow_session *session, const struct packet *packet);
/** When reading a capture: stream data is about to be shown to the rules. What is not acknowledged yet is kept: an
 *  alert on it that no frame follows shows all of it, with "[4 bytes missing]" where bytes were lost. */
void hold_stream(struct worker *worker, struct flow *flow, const struct stream_data *data);
/** The flow is over: everything goes. */
void hold_end(struct worker *worker, struct flow_session *session);
/** Alerts whose wait for a response is over. */
void hold_expire(struct worker *worker, uint64_t now_ns);
/** Every event that waits goes at once: the rule set that alerts point into is leaving. */
void hold_flush_all(struct worker *worker);

#endif
