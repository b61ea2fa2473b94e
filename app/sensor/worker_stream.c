/*
 * Hot: what rules see of a TCP stream. Bytes come as the protocol's PDUs, each once whole and before that as it grows;
 * bytes of no protocol as they come, behind some that came before, so that no cut between segments hides a match.
 */
#include "app/sensor/worker.h"

/*
 * Bytes of no protocol that rules see again with the next ones. Suricata looks at a stream in pieces of at least
 * toserver-chunk-size bytes, 2,560, which randomize-chunk-range moves by 10 in 100, and a rule's contents must lie in one
 * piece: behind so many bytes, whatever lies in one of its pieces lies in one of ours.
 */
enum { STRADDLE_LEN = 2816 };

unsigned int
worker_rules_want(const struct worker *worker, const struct flow *flow)
{
	struct flow_session *session = flow->session;
	uint16_t proto = worker_rules_proto(flow);
	unsigned int wants;

	if (worker->matcher == NULL)
		return 0;
	if (session != NULL && session->wants_epoch == worker->matcher_epoch && session->wants_proto == proto)
		return session->wants;
	wants = rule_wants(worker->matcher, flow, proto);
	if (session != NULL) {
		session->wants_epoch = worker->matcher_epoch;
		session->wants_proto = proto;
		session->wants = (uint8_t)wants;
	}
	return wants;
}

static uint32_t
match_chunk(struct worker *worker, struct flow *flow, const struct packet *packet, const struct rule_chunk *chunk)
{
	uint32_t again_len;

	if (chunk->len <= chunk->seen_len)
		return 0;
	rule_hits_reset(&worker->hits);
	again_len = rule_match_stream(worker->matcher, packet, flow, chunk, &worker->hits);
	emit_alerts(worker, chunk->to_server, NULL, 0, false);
	return again_len;
}

/* Length of what rules see as one piece at the front of a direction's data: a PDU where one is whole, else the rest. */
static uint32_t
unit_len(const struct flow_session *session, const uint8_t *data, uint32_t len, bool to_server)
{
	int pdu_len = session == NULL || session->proto.found != PROTO_FOUND || session->proto.raw[to_server]
		? 0
		: session->proto.proto->frame(cursor_of(data, len), to_server);

	return pdu_len > 0 && (uint32_t)pdu_len < len ? (uint32_t)pdu_len : len;
}

/* A rule may ask for the protocol of the very bytes by which it is recognised. */
static void
recognise(struct worker *worker, struct flow *flow, const struct proto_input *input)
{
	struct flow_session *session = worker_session(worker, flow);

	if (session == NULL)
		return;
	proto_session_recognise(worker->protos, &session->proto, input);
	if (session->proto.found == PROTO_FOUND)
		worker_note_proto(flow, session);
}

uint32_t
worker_match_stream(struct worker *worker, struct flow *flow, const struct packet *packet, const struct stream_data *data,
	const struct proto_input *input)
{
	uint32_t kept = data->len - input->len, again_len;
	const struct flow_session *session;
	uint64_t offset;

	if (flow->app_proto == 0)
		recognise(worker, flow, input);
	session = flow->session;
	again_len = session == NULL ? 0 : session->again_len[data->to_server];
	if (data->len <= data->fresh_off)
		return again_len;
	offset = stream_size(flow, data->to_server) - data->len;
	for (uint32_t at = 0, context = kept, len; at < data->len; at += len, context = 0) {
		struct rule_chunk chunk = { .data = data->data + at, .unit_off = context, .to_server = data->to_server,
			.offset = offset + at, .again_len = again_len };

		len = context + unit_len(session, chunk.data + context, data->len - at - context, data->to_server);
		chunk.len = len;
		chunk.seen_len = data->fresh_off <= at ? 0 : data->fresh_off - at < len ? data->fresh_off - at : len;
		if (session == NULL || session->proto.found == PROTO_GIVEN_UP)
			chunk.unit_off = chunk.seen_len;
		again_len = match_chunk(worker, flow, packet, &chunk);
	}
	return again_len;
}

uint32_t
worker_straddle_len(const struct flow *flow, const struct stream_data *data, uint32_t done)
{
	const struct flow_session *session = flow->session;
	uint32_t len = STRADDLE_LEN;

	if ((flow->flags & FLOW_APP_GIVEN_UP) != 0)
		return 0;
	if (session->proto.found == PROTO_FOUND && !session->proto.raw[data->to_server] && session->proto.garbage_len[data->to_server] < len)
		len = session->proto.garbage_len[data->to_server]; /* PDUs begin anew, what is between them does not */
	return len < done ? len : done;
}

void
worker_orient(struct worker *worker, struct flow *flow, struct packet *packet)
{
	struct proto_input input = { .data = packet->payload, .len = packet->payload_len, .ts_ns = packet->ts_ns,
		.sport = packet->sport, .dport = packet->dport, .tcp = packet->ip_proto == IP_PROTO_TCP,
		.to_server = flow_to_server(packet) };
	int verdict = proto_sender_is_server(worker->protos, &input);

	if (verdict < 0 && proto_is_port(worker->protos, input.tcp, packet->sport) !=
				   proto_is_port(worker->protos, input.tcp, packet->dport))
		verdict = proto_is_port(worker->protos, input.tcp, packet->sport);
	if (verdict < 0 || (verdict == 1) != flow_to_server(packet))
		return;
	flow_swap_direction(flow);
	stream_swap_direction(flow);
	packet->flags ^= PACKET_TO_SERVER;
}
