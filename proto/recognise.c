/* Whose the first bytes of a flow are: announced by another flow, on a usual port, by content. */
#include <string.h>

#include "proto/engine.h"

static bool
begin(struct proto_engine *engine, struct proto_session *session, unsigned int proto_idx, bool to_server)
{
	const struct proto *proto = engine->settings->each[proto_idx].proto;

	session->proto = proto;
	if (proto->state_len > 0) {
		session->state = slab_alloc(engine->slab, proto->state_len);
		if (session->state == NULL) {
			counter_add(&engine->counters[PROTO_COUNTER_STATE_SHED], 1);
			session->found = PROTO_GIVEN_UP;
			return false;
		}
		memset(session->state, 0, proto->state_len);
	}
	session->proto_idx = (uint8_t)proto_idx;
	session->found = PROTO_FOUND;
	session->seen_len[to_server] = 0;
	session->waited[!to_server] = session->seen_len[!to_server] > 0;
	counter_add(&engine->counters[PROTO_COUNTER_UNDETECTED_BYTES], session->garbage_len[0] + session->garbage_len[1]);
	memset(session->garbage_len, 0, sizeof(session->garbage_len));
	counter_add(&engine->counters[PROTO_COUNTER_DETECTED], 1);
	return true;
}

/*
 * A probe that waits keeps the bytes it waits with, which may be none of its protocol: another one may begin behind them, where
 * it would have been asked had nobody waited.
 */
static bool
detect_behind(struct proto_engine *engine, const struct proto_input *input, uint32_t waited_len, unsigned int *proto_idx)
{
	struct proto_input rest;

	if (waited_len == 0 || waited_len >= input->len)
		return false;
	rest = proto_input_rest(input, waited_len);
	return proto_detect(engine->settings, &rest, proto_idx) == PROTO_PROBE_YES;
}

/* A flow that another one announced is what that said, whatever its bytes look like. */
static bool
detect_expected(const struct proto_engine *engine, const struct proto_ends *ends, unsigned int *proto_idx)
{
	if (ends->client_addr == NULL || ends->server_addr == NULL)
		return false;
	for (unsigned int i = 0; i < engine->expecting_count; i++) {
		*proto_idx = engine->expecting[i];
		if (engine->settings->each[*proto_idx].proto->expects(engine->shared[*proto_idx], ends))
			return true;
	}
	return false;
}

/* What is certain of a flow at its next bytes: announced, over TCP, or they are a protocol's. */
static enum proto_probe
detect_front(const struct proto_engine *engine, const struct proto_input *input, unsigned int *proto_idx)
{
	const struct proto_ends ends = { input->client_addr, input->server_addr, input->sport, input->dport, input->ts_ns };

	if (input->tcp && detect_expected(engine, &ends, proto_idx))
		return PROTO_PROBE_YES;
	return proto_detect(engine->settings, input, proto_idx);
}

void
proto_session_recognise(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	unsigned int proto_idx;

	if (session->found == PROTO_UNKNOWN && input->len > 0 && detect_front(engine, input, &proto_idx) == PROTO_PROBE_YES)
		(void)begin(engine, session, proto_idx, input->to_server);
}

bool
proto_recognise(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t *consumed)
{
	uint32_t waited_len = input->missing > 0 ? 0 : session->seen_len[input->to_server];
	unsigned int proto_idx = 0;
	enum proto_probe verdict;
	bool on_port;

	*consumed = 0;
	if (input->len == 0)
		return false;
	session->seen_len[input->to_server] = 0;
	verdict = detect_front(engine, input, &proto_idx);
	if (verdict != PROTO_PROBE_YES && detect_behind(engine, input, waited_len, &proto_idx)) {
		*consumed = waited_len;
		session->garbage_len[input->to_server] += waited_len;
		verdict = PROTO_PROBE_YES;
	}
	if (verdict == PROTO_PROBE_YES || (verdict == PROTO_PROBE_MORE && proto_detect_remains(engine->settings, input, &proto_idx)))
		return begin(engine, session, proto_idx, input->to_server);
	if (verdict == PROTO_PROBE_MORE && input->tcp && input->len < PROTO_DETECT_LEN_MAX) {
		session->seen_len[input->to_server] = input->len;
		return false;
	}
	*consumed = input->len;
	session->garbage_len[input->to_server] += input->len;
	on_port = input->link != NULL || proto_is_port(engine, input->tcp, input->sport) ||
		proto_is_port(engine, input->tcp, input->dport);
	if (++session->tries < (on_port ? PROTO_DETECT_TRIES_PORT : PROTO_DETECT_TRIES))
		return false;
	session->found = PROTO_GIVEN_UP;
	counter_add(&engine->counters[PROTO_COUNTER_UNKNOWN], 1);
	return false;
}

int
proto_sender_is_server(struct proto_engine *engine, const struct proto_input *input)
{
	unsigned int proto_idx = 0;
	const struct proto *proto;

	if (proto_detect(engine->settings, input, &proto_idx) != PROTO_PROBE_YES)
		return -1;
	proto = engine->settings->each[proto_idx].proto;
	return proto->sender_is_server == NULL ? -1 : proto->sender_is_server(cursor_of(input->data, input->len));
}

bool
proto_is_port(const struct proto_engine *engine, bool tcp, uint16_t port)
{
	return engine->settings->by_port[tcp][port] != 0;
}
