/*
 * A burst's whole path: receive, decode, find flows, and for each packet in order follow
 * TCP, parse protocols, match rules; then expire what is due and give the frames back.
 */
#include "app/sensor/worker.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/sensor/frame_meta.h"
#include "lib/base/clock.h"

enum { EXPIRE_BUDGET = 64, IDLE_POLLS_BEFORE_SLEEP = 64, IDLE_SLEEP_US = 50, STATE_AHEAD = 6, NEXT_AHEAD = 3 };

static uint64_t
burst_time(struct worker *worker, uint64_t tsc)
{
	return worker->wall_base_ns + (uint64_t)((double)(tsc - worker->tsc_base) * worker->ns_per_tsc);
}

/* A frame in several mbufs, laid out in one piece. */
static const uint8_t *
gather(struct worker *worker, struct rte_mbuf *mbuf, uint32_t *len)
{
	uint8_t *to = worker->gather + worker->gather_len;

	if (mbuf->pkt_len > WORKER_GATHER_LEN - worker->gather_len) {
		counter_add(&worker->counters[WORKER_CUT], 1);
		*len = mbuf->data_len;
		return rte_pktmbuf_mtod(mbuf, const uint8_t *);
	}
	*len = mbuf->pkt_len;
	worker->gather_len += mbuf->pkt_len;
	return rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, to);
}

/* What the port verified. */
static uint32_t
checksum_flags(uint64_t checked)
{
	uint32_t flags = 0;

	if ((checked & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		flags |= PACKET_L3_CHECKSUM_GOOD;
	if ((checked & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= PACKET_L4_CHECKSUM_GOOD;
	return flags;
}

/* Time follows the frames forward, and back where that is more than disorder among them: two agree on the other time, for one
 * alone may have a wrong one. */
static inline void
tell_time(struct worker *worker, uint64_t ts_ns)
{
	const uint64_t back_ns = CLOCK_BACK_S * UINT64_C(1000000000);

	/* one comparison: outside of the time from back_ns ago until now */
	if (ts_ns - (worker->now_ns - back_ns) <= back_ns)
		return;
	if (ts_ns < worker->now_ns) {
		bool agrees = ts_ns - (worker->behind_ns - back_ns) <= 2 * back_ns;

		worker->behind_ns = ts_ns;
		if (!agrees)
			return;
	}
	worker->now_ns = ts_ns;
}

static void
fill_packet(struct worker *worker, struct packet *packet, struct rte_mbuf *mbuf, uint64_t now_ns)
{
	const struct frame_meta *meta = frame_meta_of(mbuf);
	/* a driver's time may be in any unit, of any clock */
	bool timed = !worker->source->live && (mbuf->ol_flags & frame_time_flag) != 0;
	uint64_t checked = mbuf->ol_flags & (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);

	packet->len = mbuf->data_len;
	packet->data = mbuf->nb_segs == 1 ? rte_pktmbuf_mtod(mbuf, const uint8_t *) : gather(worker, mbuf, &packet->len);
	packet->ts_ns = timed ? *frame_time_of(mbuf) : now_ns;
	packet->port_idx = worker->source->port_idx;
	packet->flags = checked == 0 ? 0 : checksum_flags(checked);
	if (worker->source->live) {
		packet->frame_number = 0;
		packet->wire_len = packet->len;
		packet->link_type = PACKET_LINK_ETHERNET;
	} else {
		packet->frame_number = meta->frame_number;
		packet->wire_len = meta->wire_len;
		packet->link_type = meta->link_type;
	}
	tell_time(worker, packet->ts_ns);
}

static void
fill_burst(struct worker *worker, uint16_t count)
{
	uint64_t now_ns = worker->source->live ? burst_time(worker, worker->burst->tsc) : 0;
	uint64_t bytes = 0;

	worker->gather_len = 0;
	for (uint16_t i = 0; i < count; i++) {
		fill_packet(worker, &worker->packets[i], worker->burst->mbufs[i], now_ns);
		bytes += worker->packets[i].wire_len;
	}
	counter_add(&worker->counters[WORKER_RECEIVED], count);
	counter_add(&worker->counters[WORKER_BYTES], bytes);
}

/* The flow's session, made when first wanted; NULL when memory is short. */
struct flow_session *
worker_session(struct worker *worker, struct flow *flow)
{
	struct flow_session *session = flow->session;

	if (session != NULL)
		return session;
	session = slab_alloc(worker->slab, sizeof(*session));
	if (session == NULL) {
		counter_add(&worker->counters[WORKER_SESSION_SHED], 1);
		return NULL;
	}
	memset(session, 0, sizeof(*session));
	session->proto.midstream = (flow->flags & FLOW_MIDSTREAM) != 0;
	flow->session = session;
	return session;
}

/*
 * Whether no protocol is there, for rules that ask: the search is over, or, where the flow was seen from its beginning, the first
 * pieces are nobody's. The search itself goes on for longer on a port that a protocol usually has.
 */
static bool
is_no_protocol(const struct flow *flow, const struct proto_session *session)
{
	if (session->proto != NULL || session->found == PROTO_GIVEN_UP)
		return session->proto == NULL;
	return (flow->flags & FLOW_MIDSTREAM) == 0 && session->tries >= PROTO_DETECT_TRIES;
}

static uint32_t
parse(struct worker *worker, struct flow *flow, const struct proto_input *input)
{
	struct flow_session *session = worker_session(worker, flow);
	uint32_t consumed;

	if (session == NULL || (flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return input->len;
	consumed = proto_session_data(worker->protos, &session->proto, input);
	if (session->proto.found == PROTO_FOUND)
		worker_note_proto(flow, session);
	else if (is_no_protocol(flow, &session->proto))
		flow->app_failed = true;
	return consumed;
}

/* Contiguous bytes of one direction: the rules see what is new, the protocol takes whole PDUs. */
static uint32_t
deliver_stream(void *arg, struct flow *flow, struct packet *packet, const struct stream_data *data)
{
	struct worker *worker = arg;
	struct flow_session *session = flow->session;
	uint32_t kept = session == NULL || (data->flags & STREAM_GAP) != 0 ? 0 : session->kept_len[data->to_server];

	if (kept > data->fresh_off)
		kept = data->fresh_off;
	struct proto_input input = { .data = data->data + kept, .len = data->len - kept, .missing = data->missing,
		.ts_ns = packet != NULL ? packet->ts_ns : flow->last_ns, .sport = flow_originator_port(flow),
		.dport = flow_responder_port(flow), .client_addr = flow_originator(flow)->bytes,
		.server_addr = flow_responder(flow)->bytes, .to_server = data->to_server, .tcp = true,
		.ended = (data->flags & STREAM_END) != 0 };
	bool wanted = (worker_rules_want(worker, flow) & (data->to_server ? RULE_WANTS_TO_SERVER : RULE_WANTS_TO_CLIENT)) != 0;

	worker->flow = flow;
	worker->packet = packet;
	worker->chunk = data;
	if (worker->settings->sensor.acked_frame_numbers)
		hold_stream(worker, flow, data);
	uint32_t again_len = wanted ? worker_match_stream(worker, flow, packet, data, &input) : 0;
	uint32_t done = kept + parse(worker, flow, &input);

	worker->chunk = NULL;
	session = flow->session;
	if (session == NULL)
		return done;
	kept = wanted ? worker_straddle_len(flow, data, done) : 0;
	session->kept_len[data->to_server] = (uint16_t)kept;
	session->again_len[data->to_server] = (uint16_t)(again_len < RULE_AGAIN_MAX ? again_len : RULE_AGAIN_MAX);
	return done - kept;
}

/* The protocol gave up: the stream stops copying unless rules want its bytes. */
static void
settle_stream(struct worker *worker, struct flow *flow)
{
	const struct flow_session *session = flow->session;

	if (session == NULL || session->proto.found != PROTO_GIVEN_UP || (flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return;
	if (worker_rules_want(worker, flow) != 0)
		return;
	flow->flags |= FLOW_APP_GIVEN_UP;
	stream_give_up(worker->streams, flow);
}

static bool
wants_orientation(const struct flow *flow, const struct packet *packet)
{
	if (packet->payload_len == 0 || flow->session != NULL || (flow->flags & FLOW_DIRECTION_SWAPPED) != 0)
		return false;
	return packet->ip_proto == IP_PROTO_UDP ? flow->packets[0] + flow->packets[1] == 1
						: (flow->flags & FLOW_MIDSTREAM) != 0;
}

static void
handle_datagram(struct worker *worker, struct flow *flow, const struct packet *packet)
{
	struct proto_input input = { .data = packet->payload, .len = packet->payload_len, .ts_ns = packet->ts_ns,
		.sport = packet->sport, .dport = packet->dport, .client_addr = flow_originator(flow)->bytes,
		.server_addr = flow_responder(flow)->bytes, .to_server = flow_to_server(packet), .tcp = false };

	if (packet->payload_len > 0 && (flow->flags & FLOW_APP_GIVEN_UP) == 0)
		(void)parse(worker, flow, &input);
}

/* A protocol without IP: what is behind the EtherType is one message. */
static void
handle_ethernet(struct worker *worker, struct flow *flow, const struct packet *packet)
{
	struct proto_link link = { .src_mac = packet_src_mac(packet), .dst_mac = packet_dst_mac(packet),
		.ether_type = packet->ether_type };
	struct proto_input input = { .data = packet->payload, .len = packet->payload_len, .ts_ns = packet->ts_ns,
		.to_server = flow_to_server(packet), .link = &link };

	link.tagged = packet_vlan_tci(packet, &link.vlan_tci);
	if (packet->payload_len > 0 && (flow->flags & FLOW_APP_GIVEN_UP) == 0)
		(void)parse(worker, flow, &input);
}

static void
handle_transport(struct worker *worker, struct flow *flow, struct packet *packet)
{
	if (packet->ip_version == 0) {
		if (worker->depth == WORKER_ALL)
			handle_ethernet(worker, flow, packet);
		return;
	}
	if (wants_orientation(flow, packet))
		worker_orient(worker, flow, packet);
	if (packet->ip_proto == IP_PROTO_TCP) {
		stream_segment(worker->streams, flow, packet, deliver_stream, worker);
		settle_stream(worker, flow);
	} else if (packet->ip_proto == IP_PROTO_UDP && worker->depth == WORKER_ALL) {
		handle_datagram(worker, flow, packet);
	}
}

static uint32_t
deliver_nothing(void *arg, struct flow *flow, struct packet *packet, const struct stream_data *data)
{
	return data->len;
}

/* Whether no rule on packets could match: the flow is TCP whose ports none names, and not at its first packet. */
static inline bool
is_plain(const struct worker *worker, const struct flow *flow, const struct packet *packet)
{
	const struct flow_session *session = flow == NULL || packet->ip_proto != IP_PROTO_TCP ? NULL : flow->session;

	return session != NULL && session->wants_epoch == worker->matcher_epoch && session->wants_proto == worker_rules_proto(flow)
		&& (session->wants & RULE_WANTS_PACKETS) == 0
		&& flow->packets[flow_to_server(packet)] > 1 && !packet_has_events(packet);
}

static void
match_packet(struct worker *worker, struct flow *flow, const struct packet *packet)
{
	if (worker->matcher == NULL)
		return;
	if (!is_plain(worker, flow, packet)) {
		rule_hits_reset(&worker->hits);
		rule_match_packet(worker->matcher, packet, flow, &worker->hits);
		if (worker->hits.count > 0)
			emit_alerts(worker, flow == NULL || flow_to_server(packet), NULL, 0, false);
	}
	if (rule_packet_tagged(worker->matcher, packet, flow) && worker->settings->sensor.alert_tagged)
		emit_tagged(worker);
}

static void
handle_packet(struct worker *worker, struct packet *packet, struct flow *flow)
{
	struct packet_arp arp;

	worker->packet = packet;
	worker->chunk = NULL;
	if (packet_is(packet, PACKET_COPY) || flow_is_duplicate(worker->flows, packet))
		return;
	if (flow != NULL)
		flow = flow_update(worker->flows, flow, packet);
	worker->flow = flow;
	if (worker->depth < WORKER_STREAM)
		return;
	if (worker->depth == WORKER_STREAM) {
		if (flow != NULL && packet->ip_proto == IP_PROTO_TCP)
			stream_segment(worker->streams, flow, packet, deliver_nothing, worker);
		return;
	}
	if (flow != NULL)
		handle_transport(worker, flow, packet);
	worker->packet = packet;
	worker->flow = flow;
	match_packet(worker, flow, packet);
	if (packet_has_events(packet))
		emit_decode_anomalies(worker);
	if (packet_is(packet, PACKET_ARP) && worker->settings->sensor.log_arp && packet_arp_get(packet, &arp))
		emit_arp(worker, &arp);
	if (flow == NULL)
		return;
	if (flow->session != NULL && worker->settings->sensor.acked_frame_numbers)
		hold_packet(worker, flow, flow->session, packet);
	macs_note(worker, flow, packet);
}

/* A protocol handed over to another one, which nobody knows. */
static void
forget_proto(struct flow *flow, const struct flow_session *session)
{
	if (flow->app_proto == 0 || session->proto.found == PROTO_FOUND)
		return;
	if (session->proto.tries == 0 && session->proto.seen_len[0] + session->proto.seen_len[1] == 0)
		return; /* nothing came behind it */
	flow->app_proto_before = flow->app_proto;
	flow->app_proto = 0;
}

/* What hangs from a flow goes with it; its record comes last. */
static void
end_flow(void *arg, struct flow *flow)
{
	struct worker *worker = arg;
	struct flow_session *session;
	const struct flow *next = flow_next_ended(worker->flows);

	if (next != NULL && next->session != NULL)
		proto_session_prefetch(&((const struct flow_session *)next->session)->proto);
	worker->flow = flow;
	worker->packet = NULL;
	worker->chunk = NULL;
	if (worker->depth == WORKER_ALL && flow->stream != NULL)
		stream_end(worker->streams, flow, deliver_stream, worker);
	else
		stream_end(worker->streams, flow, NULL, NULL);
	session = flow->session;
	worker->packet = NULL;
	if (session != NULL) {
		forget_proto(flow, session);
		proto_session_end(worker->protos, &session->proto, flow->last_ns);
		hold_end(worker, session);
	}
	if (worker->depth == WORKER_ALL && flow->packets[0] + flow->packets[1] > 0)
		emit_flow(worker, flow);
	if (worker->matcher != NULL)
		rule_flow_end(worker->matcher, flow);
	worker->flow = NULL;
	if (session == NULL)
		return;
	macs_end(worker, session);
	slab_free(worker->slab, session, sizeof(*session));
	flow->session = NULL;
}

static void
stage_done(struct worker *worker, enum worker_stage stage, uint64_t *since)
{
	uint64_t now;

	if (!worker->measure)
		return;
	now = rte_rdtsc();
	worker->stage_cycles[stage] += now - *since;
	*since = now;
}

/* The lookup asked for the flows' sessions; by now they are here and say where the protocols' states are. */
static inline void
prefetch_state(const struct worker *worker, uint16_t at, uint16_t count)
{
	const struct flow *flow = at < count ? worker->flow_of[at] : NULL;

	if (flow == NULL || flow->session == NULL)
		return;
	proto_session_prefetch(&((const struct flow_session *)flow->session)->proto);
	rule_flow_prefetch(flow->rule_state, flow_goes_to_server(flow, &worker->packets[at]));
}

static inline void
prefetch_next(const struct worker *worker, uint16_t at, uint16_t count)
{
	const struct flow *flow = at < count ? worker->flow_of[at] : NULL;

	if (flow != NULL && flow->session != NULL)
		proto_session_prefetch_next(&((const struct flow_session *)flow->session)->proto);
}

/* The headers, what the checksum reads of most frames, and the end, where PRP's trailer may be, are on their way while the
 * burst before is handled: a frame of it for each packet, as so many at once would wait for each other. */
static inline void
prefetch_frame(const struct rte_mbuf *mbuf)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	rte_prefetch0(data);
	rte_prefetch0(data + 64);
	if (mbuf->data_len > 128)
		rte_prefetch0(data + 128);
	if (mbuf->data_len > 192)
		rte_prefetch0(data + mbuf->data_len - 2);
}

static void
record(struct worker *worker, uint16_t count)
{
	struct recording *recording = atomic_load_explicit(&worker->recording, memory_order_relaxed);

	counter_add(&worker->counters[WORKER_UNRECORDED], recording_take(recording, worker->worker_idx, worker->packets, count));
}

static void
handle_burst(struct worker *worker, uint16_t received, const struct worker_frames *next, uint64_t *since)
{
	uint16_t count, asked = 0;

	fill_burst(worker, received);
	if (atomic_load_explicit(&worker->recording, memory_order_relaxed) != NULL)
		record(worker, received);
	if (worker->depth >= WORKER_DECODE) {
		count = packet_decode_burst(worker->decoder, worker->packets, received, WORKER_PACKETS_MAX);
		stage_done(worker, STAGE_DECODE, since);
		if (worker->depth >= WORKER_FLOW) {
			flow_lookup_burst(worker->flows, worker->packets, count, worker->now_ns, worker->flow_of);
			stage_done(worker, STAGE_FLOW, since);
			for (uint16_t i = 0; i != PACKET_NO_NEXT; i = worker->packets[i].next_idx) {
				if (asked < next->count)
					prefetch_frame(next->mbufs[asked++]);
				prefetch_state(worker, i + STATE_AHEAD, count);
				prefetch_next(worker, i + NEXT_AHEAD, count);
				handle_packet(worker, &worker->packets[i], worker->flow_of[i]);
			}
		}
	}
	while (asked < next->count)
		prefetch_frame(next->mbufs[asked++]);
	stage_done(worker, STAGE_ANALYSE, since);
	counter_add(&worker->counters[WORKER_PROCESSED], received);
}

static void
expire(struct worker *worker)
{
	if (worker->depth < WORKER_FLOW || worker->now_ns == 0) /* 0: no frame has told the time yet */
		return;
	flow_expire(worker->flows, worker->now_ns, EXPIRE_BUDGET, end_flow, worker);
	hold_expire(worker, worker->now_ns);
	event_ring_publish(worker->ring);
}

/* The burst at hand, and its frames back to where they came from. */
static void
finish_burst(struct worker *worker, const struct worker_frames *next, uint64_t since)
{
	struct worker_frames *burst = worker->burst;

	counter_add(&worker->counters[WORKER_BURSTS], 1);
	handle_burst(worker, burst->count, next, &since);
	expire(worker);
	stage_done(worker, STAGE_EXPIRE, &since);
	source_give_back(worker->source, burst->mbufs, burst->count);
	stage_done(worker, STAGE_FREE, &since);
	burst->count = 0;
}

/* Handles the frames received before, while those received now come from memory. */
uint16_t
worker_burst(struct worker *worker)
{
	struct worker_frames *next = &worker->frames[worker->burst == &worker->frames[0]];
	uint16_t handled = worker->burst->count;
	uint64_t since = rte_rdtsc();

	next->tsc = since;
	next->count = source_rx_burst(worker->source, next->mbufs, worker->burst_max);
	if (handled > 0) {
		stage_done(worker, STAGE_RX, &since);
		finish_burst(worker, next, since);
	} else {
		counter_add(&worker->counters[WORKER_EMPTY_POLLS], next->count == 0);
		if (worker->source->live)
			worker->now_ns = burst_time(worker, next->tsc);
		expire(worker);
	}
	worker->burst = next;
	return handled > 0 ? handled : next->count;
}

/* Between bursts: a new rule set is taken over, the old one given back. */
static void
take_rules(struct worker *worker)
{
	struct rule_matcher *next = atomic_exchange_explicit(&worker->matcher_next, NULL, memory_order_acq_rel);

	if (next == NULL)
		return;
	hold_flush_all(worker);
	event_ring_publish(worker->ring); /* the exporter is done with the old set once it has passed these */
	if (worker->matcher != NULL)
		rule_matcher_inherit(next, worker->matcher);
	atomic_store_explicit(&worker->matcher_old, worker->matcher, memory_order_release);
	worker->matcher = next;
	worker->matcher_epoch++;
	worker_tell_readers(worker);
	counter_add(&worker->counters[WORKER_RELOADS], 1);
}

/* Between bursts, too: who waits for it knows then that the worker is done with the one before. */
static void
take_recording(struct worker *worker)
{
	struct recording *next = atomic_load_explicit(&worker->recording_next, memory_order_acquire);

	if (next != atomic_load_explicit(&worker->recording, memory_order_relaxed))
		atomic_store_explicit(&worker->recording, next, memory_order_release);
}

static void
start_clock(struct worker *worker)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	worker->tsc_base = rte_rdtsc();
	worker->wall_base_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	worker->ns_per_tsc = 1e9 / (double)rte_get_tsc_hz();
}

/* Once a second of silence or work the wall clock is read again, so that the two do not drift apart. */
static void
keep_clock(struct worker *worker)
{
	if (worker->source->live && rte_rdtsc() - worker->tsc_base > rte_get_tsc_hz())
		start_clock(worker);
}

int
worker_run(void *arg)
{
	struct worker *worker = arg;
	unsigned int idle = 0;

	start_clock(worker);
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		if (atomic_load_explicit(&worker->matcher_next, memory_order_relaxed) != NULL)
			take_rules(worker);
		take_recording(worker);
		if (census_is_asked(worker->census))
			census_step(worker->census, worker->flows);
		if (worker_burst(worker) > 0) {
			idle = 0;
			continue;
		}
		if (atomic_load_explicit(&worker->source->ended, memory_order_relaxed))
			break;
		if (++idle > IDLE_POLLS_BEFORE_SLEEP && worker->settings->sensor.idle_sleep)
			usleep(IDLE_SLEEP_US);
		keep_clock(worker);
	}
	worker_finish(worker);
	atomic_store(&worker->done, true);
	return 0;
}

void
worker_finish(struct worker *worker)
{
	if (worker->burst->count > 0)
		finish_burst(worker, &worker->frames[worker->burst == &worker->frames[0]], rte_rdtsc());
	if (worker->depth >= WORKER_FLOW) {
		flow_expire(worker->flows, worker->now_ns, UINT32_MAX, end_flow, worker);
		flow_expire_all(worker->flows, end_flow, worker);
	}
	event_ring_publish(worker->ring);
}
