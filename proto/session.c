#include "proto/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/detect.h"

const struct counter_desc proto_counters[PROTO_COUNTER_COUNT] = {
	[PROTO_COUNTER_DETECTED] = { "app_layer.flows_detected", "flows whose protocol was recognised" },
	[PROTO_COUNTER_UNKNOWN] = { "app_layer.flows_unknown", "flows given up: no protocol recognised their first data" },
	[PROTO_COUNTER_UNDETECTED_BYTES] = { "app_layer.undetected_bytes",
		"bytes at the beginning of recognised flows, passed over before the protocol was recognised" },
	[PROTO_COUNTER_STATE_SHED] = { "app_layer.state_memcap_drop", "recognised flows not parsed: no memory for their state" },
	[PROTO_COUNTER_PDUS] = { "app_layer.pdus", "PDUs parsed" },
	[PROTO_COUNTER_GARBAGE] = { "app_layer.garbage", "times that bytes of a recognised flow were no PDU" },
	[PROTO_COUNTER_GARBAGE_BYTES] = { "app_layer.garbage_bytes", "bytes skipped to find the next PDU" },
	[PROTO_COUNTER_GAPS] = { "app_layer.gaps", "times that lost bytes broke a recognised flow's PDUs" },
	[PROTO_COUNTER_RECORDS_TRUNCATED] = { "app_layer.records_truncated", "records that lack what did not fit" },
	[PROTO_COUNTER_VOLUME] = { "app_layer.records_unchanged", "records not written: values as before, by log: changes" },
	[PROTO_COUNTER_SUMMARISED] = { "app_layer.records_summarised", "records not written but in summaries, by log: summary" },
	[PROTO_COUNTER_UNWANTED] = { "app_layer.records_unwanted", "records not written, by log: alerts" },
};

struct proto_engine {
	const struct proto_settings *settings;
	struct slab *slab;
	proto_garbage_fn garbage;
	struct proto_ctx ctx;
	struct record_builder record;
	_Atomic uint64_t counters[PROTO_COUNTER_COUNT];
	_Atomic uint64_t *proto_counters[PROTO_MAX];
	void *shared[PROTO_MAX]; /* of each protocol's flows; some have another's */
	uint8_t expecting[PROTO_MAX]; /* protocols whose flows others announce */
	unsigned int expecting_count;
	uint8_t *area; /* of the record under construction */
	struct proto_meter *meters; /* NULL: nothing is measured */
	bool unread[PROTO_MAX][2];  /* by to_server */
	uint8_t file_wants[PROTO_MAX][2];
};

/* Protocols that know what another one's flows know, and those whose flows others announce. */
static void
find_shares(struct proto_engine *engine)
{
	const struct proto_settings *settings = engine->settings;

	for (unsigned int i = 0; i < settings->count; i++) {
		const struct proto *proto = settings->each[i].proto;

		for (unsigned int of = 0; proto->shares != NULL && of < settings->count; of++)
			if (settings->each[of].proto == proto->shares)
				engine->shared[i] = engine->shared[of];
		if (proto->expects != NULL && settings->each[i].enabled)
			engine->expecting[engine->expecting_count++] = (uint8_t)i;
	}
}

int
proto_engine_create(struct proto_engine **out, const struct proto_settings *settings, struct slab *slab,
	proto_deliver_fn deliver, proto_garbage_fn garbage, void *owner)
{
	struct proto_engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL)
		return -ENOMEM;
	engine->settings = settings;
	engine->slab = slab;
	engine->garbage = garbage;
	engine->area = malloc(RECORD_LEN_MAX);
	if (engine->area == NULL)
		goto no_memory;
	for (unsigned int i = 0; i < settings->count; i++) {
		const struct proto *proto = settings->each[i].proto;

		engine->proto_counters[i] = calloc(proto->counter_count + 1u, sizeof(_Atomic uint64_t));
		if (engine->proto_counters[i] == NULL)
			goto no_memory;
		engine->shared[i] = proto->shared_len == 0 ? NULL : calloc(1, proto->shared_len);
		if (engine->shared[i] == NULL && proto->shared_len > 0)
			goto no_memory;
	}
	find_shares(engine);
	record_builder_init(&engine->record, engine->area, RECORD_LEN_MAX);
	engine->ctx = (struct proto_ctx){ .slab = slab, .record = &engine->record, .deliver = deliver, .owner = owner,
		.volume_counters = &engine->counters[PROTO_COUNTER_VOLUME] };
	*out = engine;
	return 0;
no_memory:
	proto_engine_destroy(engine);
	return -ENOMEM;
}

void
proto_engine_destroy(struct proto_engine *engine)
{
	if (engine == NULL)
		return;
	for (unsigned int i = 0; i < PROTO_MAX; i++) {
		free(engine->proto_counters[i]);
		if (i < engine->settings->count && engine->settings->each[i].proto->shares == NULL)
			free(engine->shared[i]);
	}
	free(engine->area);
	free(engine);
}

unsigned int
proto_engine_counters(struct proto_engine *engine, struct counter_set sets[], unsigned int sets_max)
{
	unsigned int count = 0;

	if (sets_max > 0)
		sets[count++] = (struct counter_set){ proto_counters, engine->counters, PROTO_COUNTER_COUNT };
	for (unsigned int i = 0; i < engine->settings->count && count < sets_max; i++) {
		const struct proto *proto = engine->settings->each[i].proto;

		if (proto->counter_count > 0)
			sets[count++] = (struct counter_set){ proto->counters, engine->proto_counters[i], proto->counter_count };
	}
	return count;
}

void
proto_engine_set_unread(struct proto_engine *engine, unsigned int proto_idx, bool to_server, bool unread)
{
	engine->unread[proto_idx][to_server] = unread;
}

void
proto_engine_give_files(struct proto_engine *engine, struct file_tracker *files)
{
	engine->ctx.files = files;
}

/* Of a protocol whose records are not written, files are not either. */
void
proto_engine_set_files(struct proto_engine *engine, unsigned int proto_idx, bool to_server, unsigned int wants)
{
	if (engine->settings->each[proto_idx].levels.usual >= PROTO_LOG_SUMMARY)
		wants &= ~(unsigned int)FILE_WANT_EVENT;
	engine->file_wants[proto_idx][to_server] = (uint8_t)wants;
}

void
proto_engine_measure(struct proto_engine *engine, struct proto_meter *meters)
{
	engine->meters = meters;
}

static void
meter_add(struct proto_meter *meter, uint64_t cycles)
{
	meter->pdus++;
	meter->cycles += cycles;
	meter->buckets[histogram_bucket(cycles)]++;
}

static struct proto_ctx *
prepare(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns, bool to_server, bool tcp)
{
	struct proto_ctx *ctx = &engine->ctx;

	ctx->proto = session->proto;
	ctx->config = engine->settings->each[session->proto_idx].config;
	ctx->counters = engine->proto_counters[session->proto_idx];
	ctx->state = session->state;
	ctx->shared = engine->shared[session->proto_idx];
	ctx->ts_ns = ts_ns;
	ctx->to_server = to_server;
	ctx->tcp = tcp;
	ctx->ending = false;
	memcpy(ctx->file_wants, engine->file_wants[session->proto_idx], sizeof(ctx->file_wants));
	memcpy(ctx->unread, engine->unread[session->proto_idx], sizeof(ctx->unread));
	ctx->link = NULL;
	ctx->events = 0;
	ctx->levels = engine->settings->each[session->proto_idx].levels;
	ctx->values = PROTO_VALUES_NONE;
	ctx->volume = &session->volume;
	ctx->client_addr = NULL;
	ctx->server_addr = NULL;
	ctx->sport = 0;
	ctx->dport = 0;
	ctx->pdu = NULL;
	ctx->pdu_len = 0;
	ctx->skip_len = 0;
	ctx->skipped_len = 0;
	ctx->raw = tcp && session->raw[to_server];
	ctx->over = false;
	engine->record.len = 0;
	engine->record.truncated = false;
	return ctx;
}

/* Events that no message took with it are handed on alone. */
static void
settle(struct proto_engine *engine)
{
	if (engine->record.truncated)
		counter_add(&engine->counters[PROTO_COUNTER_RECORDS_TRUNCATED], 1);
	engine->record.len = 0;
	if (engine->ctx.events != 0)
		proto_deliver(&engine->ctx, PROTO_MATCH, 0);
	engine->ctx.events = 0;
	proto_volume_settle(&engine->ctx);
}

/* Says once what was skipped before the PDU (or the end) that was found now. */
static void
report_garbage(struct proto_engine *engine, struct proto_session *session, bool to_server)
{
	uint32_t len = session->garbage_len[to_server];

	if (len == 0)
		return;
	session->garbage_len[to_server] = 0;
	counter_add(&engine->counters[PROTO_COUNTER_GARBAGE], 1);
	if (engine->garbage != NULL)
		engine->garbage(engine->ctx.owner, session, to_server, len);
}

static void
parse_pdu(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input,
	uint32_t at, uint32_t len)
{
	uint64_t since = engine->meters != NULL ? __builtin_ia32_rdtsc() : 0;
	uint32_t skipped_len = session->garbage_len[input->to_server];
	struct proto_ctx *ctx;

	report_garbage(engine, session, input->to_server);
	ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	ctx->skipped_len = skipped_len;
	ctx->link = input->link;
	ctx->client_addr = input->client_addr;
	ctx->server_addr = input->server_addr;
	ctx->sport = input->sport;
	ctx->dport = input->dport;
	ctx->pdu = input->data + at;
	ctx->pdu_len = len;
	ctx->remains = input->ended && at + len == input->len;
	session->parsed = true;
	counter_add(&engine->counters[PROTO_COUNTER_PDUS], 1);
	session->proto->parse(ctx, cursor_of(ctx->pdu, len));
	session->skip_len[input->to_server] = input->tcp ? ctx->skip_len : 0;
	session->raw[input->to_server] = input->tcp && ctx->raw;
	settle(engine);
	if (engine->meters != NULL)
		meter_add(&engine->meters[session->proto_idx], __builtin_ia32_rdtsc() - since);
}

/* @return bytes that the protocol took as they are */
static uint32_t
read_raw(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t at)
{
	struct proto_ctx *ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	uint32_t left = input->len - at, taken;

	ctx->pdu = input->data + at;
	ctx->pdu_len = left;
	taken = session->proto->raw(ctx, cursor_of(ctx->pdu, left));
	assert(taken == left || (taken < left && !ctx->raw));
	session->raw[input->to_server] = ctx->raw;
	settle(engine);
	return taken;
}

/* Of so many bytes, those that the protocol does not want to see. */
static uint32_t
pass_over(struct proto_session *session, bool to_server, uint32_t len)
{
	uint32_t passed = session->skip_len[to_server] < len ? session->skip_len[to_server] : len;

	if (session->skip_len[to_server] == PROTO_SKIP_ALL)
		return len;
	session->skip_len[to_server] -= passed;
	return passed;
}

static bool
begin(struct proto_engine *engine, struct proto_session *session, unsigned int proto_idx)
{
	const struct proto *proto = engine->settings->each[proto_idx].proto;

	if (proto->state_len > 0) {
		session->state = slab_alloc(engine->slab, proto->state_len);
		if (session->state == NULL) {
			counter_add(&engine->counters[PROTO_COUNTER_STATE_SHED], 1);
			session->found = PROTO_GIVEN_UP;
			return false;
		}
		memset(session->state, 0, proto->state_len);
	}
	session->proto = proto;
	session->proto_idx = (uint8_t)proto_idx;
	session->found = PROTO_FOUND;
	memset(session->seen_len, 0, sizeof(session->seen_len));
	counter_add(&engine->counters[PROTO_COUNTER_UNDETECTED_BYTES], session->garbage_len[0] + session->garbage_len[1]);
	memset(session->garbage_len, 0, sizeof(session->garbage_len));
	counter_add(&engine->counters[PROTO_COUNTER_DETECTED], 1);
	return true;
}

/* The input without its first bytes. */
static struct proto_input
rest_of(const struct proto_input *input, uint32_t len)
{
	struct proto_input rest = *input;

	rest.data += len;
	rest.len -= len;
	return rest;
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
	rest = rest_of(input, waited_len);
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
		(void)begin(engine, session, proto_idx);
}

/* @return whether the protocol is known now, behind *consumed of the data; if not, they are done with. */
static bool
detect(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t *consumed)
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
		return begin(engine, session, proto_idx);
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

static int
frame_at(const struct proto *proto, const struct proto_input *input, uint32_t at)
{
	struct cursor in = cursor_of(input->data + at, input->len - at);

	if (!input->tcp && proto->frame_datagram != NULL)
		return proto->frame_datagram(in, input->to_server);
	return proto->frame(in, input->to_server);
}

/*
 * The next place at or behind `from` where a PDU may begin. The first plausible header counts, whatever follows: what
 * comes after may not be here yet, and the answer must not depend on how the bytes were cut.
 */
static uint32_t
find_pdu(const struct proto *proto, const struct proto_input *input, uint32_t from)
{
	for (uint32_t at = from; at < input->len; at++) {
		int len;

		if (proto->pass != NULL)
			at += (uint32_t)proto->pass(cursor_of(input->data + at, input->len - at));
		if (at == input->len)
			break;
		len = frame_at(proto, input, at);
		if (len > 0 && (input->tcp || (uint32_t)len <= input->len - at))
			return at;
		if (len == 0 && input->tcp)
			return at;
	}
	return input->len;
}

static uint32_t
skip_garbage(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t from,
	uint32_t at)
{
	uint32_t next = find_pdu(session->proto, input, at);

	counter_add(&engine->counters[PROTO_COUNTER_GARBAGE_BYTES], next - from);
	session->garbage_len[input->to_server] += next - from;
	return next;
}

/* Where no PDU begins: whether the protocol takes the bytes as they are. */
static bool
take_stray(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	struct proto_ctx *ctx;

	if (session->proto->stray == NULL || !session->parsed || !input->tcp || session->garbage_len[input->to_server] > 0)
		return false;
	ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	session->raw[input->to_server] = session->proto->stray(ctx);
	settle(engine);
	return session->raw[input->to_server];
}

static int
frame_on(const struct proto *proto, const struct proto_input *input, uint32_t at, uint32_t seen_len)
{
	if (seen_len > 0 && input->tcp && proto->frame_on != NULL)
		return proto->frame_on(cursor_of(input->data + at, input->len - at), input->to_server, seen_len);
	return frame_at(proto, input, at);
}

/* Whole PDUs from the front of the data. @return bytes consumed */
static uint32_t
read_pdus(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t at = pass_over(session, input->to_server, input->len);
	uint32_t seen_len = input->missing > 0 || at > 0 ? 0 : session->seen_len[input->to_server];

	session->seen_len[input->to_server] = 0;
	while (at < input->len && !engine->ctx.over) {
		uint32_t left = input->len - at;
		int len;

		if (session->raw[input->to_server]) {
			at += read_raw(engine, session, input, at);
			continue;
		}
		len = frame_on(session->proto, input, at, seen_len);
		len = len == 0 && input->ended ? proto_remains_len(session->proto, input, at) : len;
		seen_len = 0;
		if (len > 0 && (uint32_t)len <= left) {
			parse_pdu(engine, session, input, at, (uint32_t)len);
			at += (uint32_t)len;
			at += pass_over(session, input->to_server, input->len - at);
			continue;
		}
		if (len >= 0 && input->tcp && left < PROTO_PDU_LEN_MAX) {
			session->seen_len[input->to_server] = left;
			return at;
		}
		if (len < 0 && take_stray(engine, session, input))
			continue;
		/* No PDU here; or a datagram's cut one; or one longer than any may be. */
		at = skip_garbage(engine, session, input, at, len >= 0 ? at + 1 : at);
	}
	if (!input->tcp)
		report_garbage(engine, session, input->to_server);
	return at;
}

static void
lose(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	struct proto_ctx *ctx;

	counter_add(&engine->counters[PROTO_COUNTER_GAPS], 1);
	report_garbage(engine, session, input->to_server);
	if (session->proto->gap == NULL)
		return;
	ctx = prepare(engine, session, input->ts_ns, input->to_server, input->tcp);
	session->proto->gap(ctx, input->missing);
	session->raw[input->to_server] = ctx->raw;
	settle(engine);
}

/* @return bytes consumed, by one protocol */
static uint32_t
advance(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t consumed = 0;
	struct proto_input rest;

	if (session->found == PROTO_GIVEN_UP)
		return input->len;
	if (session->found == PROTO_UNKNOWN && !detect(engine, session, input, &consumed))
		return session->found == PROTO_GIVEN_UP ? input->len : consumed;
	if (input->missing > pass_over(session, input->to_server, input->missing))
		lose(engine, session, input);
	if (consumed == 0)
		return read_pdus(engine, session, input);
	rest = rest_of(input, consumed);
	return consumed + read_pdus(engine, session, &rest);
}

/* The protocol says that what follows is another one, once or more. @return bytes consumed, by all of them */
static uint32_t
start_over(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input, uint32_t consumed)
{
	struct proto_input rest = *input;

	rest.missing = 0;
	while (engine->ctx.over) {
		proto_session_end(engine, session, input->ts_ns);
		engine->ctx.over = false;
		rest.data = input->data + consumed;
		rest.len = input->len - consumed;
		consumed += advance(engine, session, &rest);
	}
	return consumed;
}

uint32_t
proto_session_data(struct proto_engine *engine, struct proto_session *session, const struct proto_input *input)
{
	uint32_t consumed;

	engine->ctx.over = false;
	consumed = advance(engine, session, input);
	return engine->ctx.over ? start_over(engine, session, input, consumed) : consumed;
}

/* The last summary, where end() did not bring it. */
static void
end_volume(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns)
{
	struct proto_ctx *ctx;

	if (session->volume == NULL)
		return;
	ctx = prepare(engine, session, ts_ns, true, true);
	ctx->ending = true;
	proto_volume_settle(ctx);
	proto_volume_free(ctx);
}

void
proto_session_end(struct proto_engine *engine, struct proto_session *session, uint64_t ts_ns)
{
	if (session->found == PROTO_FOUND) {
		report_garbage(engine, session, false);
		report_garbage(engine, session, true);
		if (session->parsed && session->proto->end != NULL) {
			struct proto_ctx *ctx = prepare(engine, session, ts_ns, true, true);

			ctx->ending = true;
			session->proto->end(ctx);
			settle(engine);
		}
		end_volume(engine, session, ts_ns);
		slab_free(engine->slab, session->state, session->proto->state_len);
	}
	memset(session, 0, sizeof(*session));
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
