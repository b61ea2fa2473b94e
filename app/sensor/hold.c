#include "app/sensor/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/worker.h"
#include "lib/base/clock.h"

enum { HOLD_BYTES_FIRST = 256 };

struct held {
	struct held *next, *prev;           /* in its flow's list */
	struct held *next_waiting, *prev_waiting; /* in the worker's queue of its kind */
	struct flow_session *session;
	uint64_t deadline_ns;
	struct hold_terms terms;
	uint8_t wait;                       /* enum hold_wait */
	uint32_t len;                       /* of this block */
	struct event event;                 /* with its sections behind */
};

/* Every held event is in one of two queues: those that wait for a response, which have deadlines (a constant after arrival:
 * the queue is in their order), and those that wait for an acknowledgement, which have none. */
struct hold_queue {
	struct held *first, *last;
};

struct hold {
	struct hold_queue timed, untimed;
	uint8_t room[EVENT_LEN_MAX] __attribute__((aligned(8))); /* an alert being completed */
};

/* Stream bytes of one direction that its receiver has not acknowledged. */
struct hold_bytes {
	uint32_t cap, len;
	uint8_t data[];
};

int
hold_create(struct hold **out)
{
	*out = calloc(1, sizeof(**out));
	return *out == NULL ? -ENOMEM : 0;
}

void
hold_destroy(struct hold *hold)
{
	free(hold);
}

/* What waits is in the queue it began in: an acknowledged one goes on waiting without a deadline. */
static struct hold_queue *
queue_of(struct hold *hold, const struct held *held)
{
	return held->wait == HOLD_TX ? &hold->timed : &hold->untimed;
}

static void
queue_add(struct hold_queue *queue, struct held *held)
{
	held->prev_waiting = queue->last;
	held->next_waiting = NULL;
	if (queue->last != NULL)
		queue->last->next_waiting = held;
	else
		queue->first = held;
	queue->last = held;
}

static void
queue_remove(struct hold_queue *queue, struct held *held)
{
	if (held->prev_waiting != NULL)
		held->prev_waiting->next_waiting = held->next_waiting;
	else
		queue->first = held->next_waiting;
	if (held->next_waiting != NULL)
		held->next_waiting->prev_waiting = held->prev_waiting;
	else
		queue->last = held->prev_waiting;
}

static void
list_add(struct flow_session *session, struct held *held)
{
	held->session = session;
	held->prev = session->held_last;
	held->next = NULL;
	if (session->held_last != NULL)
		session->held_last->next = held;
	else
		session->held_first = held;
	session->held_last = held;
	session->held_count++;
}

/* Out of both lists and back to the slab. */
static void
forget(struct worker *worker, struct held *held)
{
	struct flow_session *session = held->session;

	if (held->prev != NULL)
		held->prev->next = held->next;
	else
		session->held_first = held->next;
	if (held->next != NULL)
		held->next->prev = held->prev;
	else
		session->held_last = held->prev;
	session->held_count--;
	queue_remove(queue_of(worker->hold, held), held);
	slab_free(worker->slab, held, held->len);
}

static void
give_out(struct worker *worker, struct held *held)
{
	emit_push(worker, &held->event);
	forget(worker, held);
}

bool
hold_add(struct worker *worker, struct flow_session *session, const struct event *event, const struct hold_terms *terms)
{
	uint32_t len = (uint32_t)(offsetof(struct held, event) + event->len);
	struct held *held = session->held_count < HOLD_PER_FLOW_MAX ? slab_alloc(worker->slab, len) : NULL;

	if (held == NULL) {
		counter_add(&worker->counters[WORKER_HELD_SHED], 1);
		return false;
	}
	held->len = len;
	held->terms = *terms;
	held->wait = terms->tx_id != 0 ? HOLD_TX : HOLD_ACK;
	held->deadline_ns = worker->now_ns + worker->settings->sensor.hold_ms * 1000000;
	memcpy(&held->event, event, event->len);
	list_add(session, held);
	queue_add(queue_of(worker->hold, held), held);
	return true;
}

/* The event again, with other content in the section of a kind, or with such a section. NULL: it does not fit. */
static const struct event *
with_section(struct hold *hold, const struct event *event, enum event_section_kind kind, const void *content,
	uint32_t content_len)
{
	const struct event_section *section = NULL;
	struct event_builder b;
	bool found = false;

	event_begin(&b, hold->room, sizeof(hold->room), event->type);
	memcpy(b.event, event, sizeof(*event));
	b.event->len = sizeof(*event);
	while ((section = event_section_next(event, section)) != NULL) {
		bool other = section->kind == kind;
		void *at = event_add(&b, section->kind, other ? content_len : section->len);

		if (at == NULL)
			return NULL;
		memcpy(at, other ? content : event_section_data(section), other ? content_len : section->len);
		found |= other;
	}
	if (!found) {
		void *at = event_add(&b, kind, content_len);

		if (at == NULL)
			return NULL;
		memcpy(at, content, content_len);
	}
	return b.event;
}

/* The alert goes on: to wait for an acknowledgement when reading a capture, else out. */
static void
release_tx(struct worker *worker, struct held *held, const struct event *event)
{
	struct hold_terms terms = held->terms;

	terms.tx_id = 0;
	if (!terms.for_ack || !hold_add(worker, held->session, event, &terms))
		emit_push(worker, event);
	forget(worker, held);
}

void
hold_complete(struct worker *worker, struct flow *flow, uint32_t tx_id, const void *record, uint32_t record_len)
{
	struct flow_session *session = flow->session;
	struct held *next;

	for (struct held *held = session->held_first; held != NULL; held = next) {
		const struct event *event;

		next = held->next;
		if (held->wait != HOLD_TX || held->terms.tx_id != tx_id)
			continue;
		event = with_section(worker->hold, &held->event, EVENT_SECTION_APP, record, record_len);
		release_tx(worker, held, event != NULL ? event : &held->event);
	}
}

/* One step of one event. @return whether it goes out now */
static bool
step(struct held *held, const struct flow *flow, const struct packet *packet, bool to_server)
{
	if (held->wait == HOLD_TX)
		return false;
	if (held->wait == HOLD_ACK) {
		if (!stream_is_acked(flow, held->terms.bytes_to_server, held->terms.seq_end))
			return false;
		held->wait = HOLD_DIRECTION;
	}
	if (held->terms.for_direction && held->terms.to_server != to_server)
		return false;
	held->event.frame_number = packet->frame_number;
	return true;
}

static void
bytes_free(struct worker *worker, struct flow_session *session, bool to_server)
{
	struct hold_bytes *bytes = session->unacked[to_server];

	if (bytes != NULL)
		slab_free(worker->slab, bytes, sizeof(*bytes) + bytes->cap);
	session->unacked[to_server] = NULL;
}

/* Room for more bytes of a direction, up to what a payload shows. @return how many of len fit */
static uint32_t
bytes_reserve(struct worker *worker, struct flow_session *session, bool to_server, uint32_t len)
{
	struct hold_bytes *bytes = session->unacked[to_server], *bigger;
	uint32_t used = bytes != NULL ? bytes->len : 0, cap = HOLD_BYTES_FIRST;

	if (len > EMIT_PAYLOAD_LEN_MAX - used)
		len = EMIT_PAYLOAD_LEN_MAX - used;
	if (bytes != NULL && used + len <= bytes->cap)
		return len;
	while (cap < used + len)
		cap *= 2;
	bigger = slab_alloc(worker->slab, sizeof(*bigger) + cap);
	if (bigger == NULL)
		return 0;
	bigger->cap = cap;
	bigger->len = used;
	if (used > 0)
		memcpy(bigger->data, bytes->data, used);
	bytes_free(worker, session, to_server);
	session->unacked[to_server] = bigger;
	return len;
}

static void
bytes_append(struct worker *worker, struct flow_session *session, bool to_server, const void *data, uint32_t len)
{
	len = bytes_reserve(worker, session, to_server, len);
	if (len == 0)
		return;
	memcpy(session->unacked[to_server]->data + session->unacked[to_server]->len, data, len);
	session->unacked[to_server]->len += len;
}

/* "[4 bytes missing]", as decimal digits from the back. */
static void
bytes_append_gap(struct worker *worker, struct flow_session *session, bool to_server, uint32_t missing)
{
	static const char tail[] = " bytes missing]";
	char digits[10];
	uint32_t count = 0;

	do {
		digits[sizeof(digits) - ++count] = (char)('0' + missing % 10);
		missing /= 10;
	} while (missing > 0);
	bytes_append(worker, session, to_server, "[", 1);
	bytes_append(worker, session, to_server, digits + sizeof(digits) - count, count);
	bytes_append(worker, session, to_server, tail, sizeof(tail) - 1);
}

void
hold_stream(struct worker *worker, struct flow *flow, const struct stream_data *data)
{
	const struct sensor_config *config = &worker->settings->sensor;
	struct flow_session *session;

	if (worker->matcher == NULL || (data->len == data->fresh_off && data->missing == 0))
		return;
	session = worker_session(worker, flow);
	if (session == NULL || !config->alert_payload)
		return;
	if (data->missing > 0)
		bytes_append_gap(worker, session, data->to_server, data->missing);
	if (data->len > data->fresh_off)
		bytes_append(worker, session, data->to_server, data->data + data->fresh_off, data->len - data->fresh_off);
}

/* An alert says how far its flow had come with the frame that it is numbered by. */
static void
recount(struct event *event, const struct worker *worker, const struct flow *flow)
{
	const void *alert = event_find_section(event, EVENT_SECTION_ALERT);

	if (alert != NULL)
		emit_alert_counts((struct alert_record *)(uintptr_t)alert, worker->flows, flow);
}

/* What a protocol or a file is told with is what rules wrote down up to the frame that it is told by. */
static void
give_out_acked(struct worker *worker, const struct flow *flow, struct held *held)
{
	const struct event *event = NULL;

	recount(&held->event, worker, flow);
	if (held->event.type == EVENT_APP || held->event.type == EVENT_FILE) {
		emit_read_metadata(worker, flow);
		if (worker->metadata.len > 0)
			event = with_section(worker->hold, &held->event, EVENT_SECTION_METADATA, worker->metadata.data,
				(uint32_t)worker->metadata.len);
	}
	emit_push(worker, event != NULL ? event : &held->event);
	forget(worker, held);
}

void
hold_packet(struct worker *worker, struct flow *flow, struct flow_session *session, const struct packet *packet)
{
	struct held *next;

	for (struct held *held = session->held_first; held != NULL; held = next) {
		next = held->next;
		if (step(held, flow, packet, flow_to_server(packet)))
			give_out_acked(worker, flow, held);
	}
	for (unsigned int i = 0; i < 2 && session->held_count == 0; i++)
		if (session->unacked[i] != NULL && stream_is_acked(flow, i != 0, stream_next_seq(flow, i != 0)))
			bytes_free(worker, session, i != 0);
}

/* An alert on stream data that no later frame of its direction followed. */
static void
give_out_late(struct worker *worker, const struct flow_session *session, struct held *held)
{
	const struct hold_bytes *bytes = session->unacked[held->terms.to_server];
	const struct event *event = NULL;

	held->event.pkt_source = PACKET_SOURCE_FLOW_TIMEOUT;
	if (worker->flow != NULL)
		recount(&held->event, worker, worker->flow);
	if (bytes != NULL && event_alert_is_stream(&held->event))
		event = with_section(worker->hold, &held->event, EVENT_SECTION_PAYLOAD, bytes->data, bytes->len);
	emit_push(worker, event != NULL ? event : &held->event);
	forget(worker, held);
}

void
hold_end(struct worker *worker, struct flow_session *session)
{
	while (session->held_first != NULL)
		if (session->held_first->wait != HOLD_TX && session->held_first->event.type == EVENT_ALERT)
			give_out_late(worker, session, session->held_first);
		else
			give_out(worker, session->held_first);
	bytes_free(worker, session, false);
	bytes_free(worker, session, true);
}

void
hold_expire(struct worker *worker, uint64_t now_ns)
{
	struct hold_queue *timed = &worker->hold->timed;

	const uint64_t hold_ns = worker->settings->sensor.hold_ms * 1000000;

	while (timed->first != NULL &&
	       (timed->first->deadline_ns <= now_ns || clock_is_back(now_ns + hold_ns, timed->first->deadline_ns)))
		release_tx(worker, timed->first, &timed->first->event);
}

void
hold_flush_all(struct worker *worker)
{
	while (worker->hold->timed.first != NULL)
		give_out(worker, worker->hold->timed.first);
	while (worker->hold->untimed.first != NULL)
		give_out(worker, worker->hold->untimed.first);
}
