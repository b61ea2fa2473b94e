#include "app/sensor/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/worker.h"

struct held {
	struct held *next, *prev;           /* in its flow's list */
	struct held *next_timed, *prev_timed; /* by deadline, in the worker */
	struct hold_list *list;
	uint64_t deadline_ns;
	struct hold_terms terms;
	uint8_t wait;                       /* enum hold_wait */
	uint32_t len;                       /* of this block */
	struct event event;                 /* with its sections behind */
};

/* Deadlines are a constant after arrival: the list is in their order. Only alerts waiting for a response are in it. */
struct hold {
	struct held *first, *last;
	uint8_t room[EVENT_LEN_MAX] __attribute__((aligned(8))); /* an alert being completed */
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

static void
timed_add(struct hold *hold, struct held *held)
{
	held->prev_timed = hold->last;
	held->next_timed = NULL;
	if (hold->last != NULL)
		hold->last->next_timed = held;
	else
		hold->first = held;
	hold->last = held;
}

static void
timed_remove(struct hold *hold, struct held *held)
{
	if (held->prev_timed != NULL)
		held->prev_timed->next_timed = held->next_timed;
	else
		hold->first = held->next_timed;
	if (held->next_timed != NULL)
		held->next_timed->prev_timed = held->prev_timed;
	else
		hold->last = held->prev_timed;
}

static void
list_add(struct hold_list *list, struct held *held)
{
	held->list = list;
	held->prev = list->last;
	held->next = NULL;
	if (list->last != NULL)
		list->last->next = held;
	else
		list->first = held;
	list->last = held;
	list->count++;
}

/* Out of both lists and back to the slab. */
static void
forget(struct worker *worker, struct held *held)
{
	struct hold_list *list = held->list;

	if (held->prev != NULL)
		held->prev->next = held->next;
	else
		list->first = held->next;
	if (held->next != NULL)
		held->next->prev = held->prev;
	else
		list->last = held->prev;
	list->count--;
	if (held->wait == HOLD_TX)
		timed_remove(worker->hold, held);
	slab_free(worker->slab, held, held->len);
}

static void
give_out(struct worker *worker, struct held *held)
{
	emit_push(worker, &held->event);
	forget(worker, held);
}

bool
hold_add(struct worker *worker, struct hold_list *list, const struct event *event, const struct hold_terms *terms)
{
	uint32_t len = (uint32_t)(offsetof(struct held, event) + event->len);
	struct held *held = list->count < HOLD_PER_FLOW_MAX ? slab_alloc(worker->slab, len) : NULL;

	if (held == NULL) {
		counter_add(&worker->counters[WORKER_HELD_SHED], 1);
		return false;
	}
	held->len = len;
	held->terms = *terms;
	held->wait = terms->tx_id != 0 ? HOLD_TX : HOLD_ACK;
	held->deadline_ns = worker->now_ns + worker->settings->sensor.hold_ms * 1000000;
	memcpy(&held->event, event, event->len);
	list_add(list, held);
	if (held->wait == HOLD_TX)
		timed_add(worker->hold, held);
	return true;
}

/* The event again, with the complete record in the place of the request's. NULL: it does not fit. */
static const struct event *
with_record(struct hold *hold, const struct event *event, const void *record, uint32_t record_len)
{
	struct event_builder b;

	event_begin(&b, hold->room, sizeof(hold->room), event->type);
	memcpy(b.event, event, offsetof(struct event, sections));
	b.event->len = sizeof(struct event);
	b.event->section_count = 0;
	for (uint8_t i = 0; i < event->section_count; i++) {
		const struct event_section *section = &event->sections[i];
		bool app = section->kind == EVENT_SECTION_APP;
		void *at = event_add(&b, section->kind, app ? record_len : section->len);

		if (at == NULL)
			return NULL;
		memcpy(at, app ? record : (const uint8_t *)event + section->off, app ? record_len : section->len);
	}
	return b.event;
}

/* The alert goes on: to wait for an acknowledgement when reading a capture, else out. */
static void
release_tx(struct worker *worker, struct held *held, const struct event *event)
{
	struct hold_terms terms = held->terms;

	terms.tx_id = 0;
	if (!terms.for_ack || !hold_add(worker, held->list, event, &terms))
		emit_push(worker, event);
	forget(worker, held);
}

void
hold_complete(struct worker *worker, struct flow *flow, uint32_t tx_id, const void *record, uint32_t record_len)
{
	struct flow_session *session = flow->session;
	struct held *next;

	for (struct held *held = session->held.first; held != NULL; held = next) {
		const struct event *event;

		next = held->next;
		if (held->wait != HOLD_TX || held->terms.tx_id != tx_id)
			continue;
		event = with_record(worker->hold, &held->event, record, record_len);
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
		if (!stream_is_acked(flow, held->terms.to_server, held->terms.seq_end))
			return false;
		held->wait = HOLD_DIRECTION;
	}
	if (held->terms.for_direction && held->terms.to_server != to_server)
		return false;
	held->event.frame_number = packet->frame_number;
	return true;
}

void
hold_packet(struct worker *worker, struct flow *flow, struct hold_list *list, const struct packet *packet)
{
	struct held *next;

	for (struct held *held = list->first; held != NULL; held = next) {
		next = held->next;
		if (step(held, flow, packet, flow_to_server(packet)))
			give_out(worker, held);
	}
}

void
hold_flush(struct worker *worker, struct hold_list *list)
{
	while (list->first != NULL)
		give_out(worker, list->first);
}

void
hold_expire(struct worker *worker, uint64_t now_ns)
{
	while (worker->hold->first != NULL && worker->hold->first->deadline_ns <= now_ns)
		release_tx(worker, worker->hold->first, &worker->hold->first->event);
}

void
hold_flush_all(struct worker *worker)
{
	while (worker->hold->first != NULL)
		give_out(worker, worker->hold->first);
}
