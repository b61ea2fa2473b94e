/*
 * Sampled Values: one message from its header to what is told of it. Thousands come each second from every merging
 * unit; they are counted and compared, and a record is made of few.
 */
#include "proto/sv/sv.h"

#include <errno.h>

#include "lib/base/clock.h"

static const uint64_t NS_PER_S = UINT64_C(1000000000);
static const uint64_t NS_PER_MS = 1000000;

/* Causes that stay with a publication: told when they begin, not with every message. */
static const uint64_t STANDING = 1u << SV_EVENT_INVALID_LENGTH | 1u << SV_EVENT_INVALID_APDU |
	1u << SV_EVENT_MISSING_FIELD | 1u << SV_EVENT_INVALID_VALUE | 1u << SV_EVENT_ASDU_COUNT |
	1u << SV_EVENT_UNICAST | 1u << SV_EVENT_APPID_RANGE;
static const uint64_t MANDATORY = 1u << SV_ASDU_ID | 1u << SV_ASDU_SMP_CNT | 1u << SV_ASDU_CONF_REV |
	1u << SV_ASDU_SMP_SYNCH | 1u << SV_ASDU_SAMPLE;

/** A message on its way. */
struct message {
	struct publication publication;
	struct sv_apdu apdu;
	struct sv_stream *stream; /* of the first ASDU that has one */
	enum sv_reason reason;
	uint64_t before_ns;       /* of that stream */
	uint32_t before_smp_cnt;
	const uint8_t *bytes;     /* from its header on */
	struct sv_repeat repeat;
};

/* ---- streams ---- */

static bool
stream_is(const struct sv_stream *stream, const struct cursor *id)
{
	size_t len = cursor_left(id);

	return stream->id_len == len && memcmp(stream->id, id->pos, len) == 0;
}

static struct sv_stream *
find_stream(struct sv_state *state, const struct cursor *id)
{
	if (state->last_idx < state->stream_count && stream_is(state->streams[state->last_idx], id))
		return state->streams[state->last_idx];
	for (uint8_t i = 0; i < state->stream_count; i++)
		if (stream_is(state->streams[i], id)) {
			state->last_idx = i;
			return state->streams[i];
		}
	return NULL;
}

static struct sv_record *
begin_record(struct proto_ctx *ctx, const struct publication_source *source, enum sv_reason reason)
{
	struct sv_record *record = record_begin(ctx->record, &sv_table);

	record->reason = (uint8_t)reason;
	record->source = *source;
	if (source->linked)
		record_present(&record->head, SV_HAS_LINK);
	if (source->tagged)
		record_present(&record->head, SV_HAS_VLAN);
	return record;
}

static void
put_summary(struct proto_ctx *ctx, struct sv_record *record, struct sv_stream *stream)
{
	record->messages = stream->messages;
	record->samples = stream->samples;
	record->lost = stream->lost;
	record->repeated = stream->repeated;
	record->anomalies = stream->anomalies;
	record->duration_ms = ctx->ts_ns > stream->since_ns ? (ctx->ts_ns - stream->since_ns) / NS_PER_MS : 0;
	record->period = stream->period;
	record_present(&record->head, SV_HAS_SUMMARY);
	if (stream->period != 0)
		record_present(&record->head, SV_HAS_PERIOD);
	stream->messages = stream->samples = stream->lost = stream->repeated = stream->anomalies = 0;
	stream->told = 0;
	stream->since_ns = ctx->ts_ns;
}

/* What a publication said, from memory: its last summary. */
static void
tell_end(struct proto_ctx *ctx, struct sv_stream *stream)
{
	struct sv_record *record = begin_record(ctx, &stream->source, SV_END);

	record_put_bytes(ctx->record, &record->sv_id, stream->id, stream->id_len);
	record->smp_cnt = stream->smp_cnt;
	record->head.present |= 1u << SV_HAS_ID | 1u << SV_HAS_COUNT;
	put_summary(ctx, record, stream);
	proto_deliver(ctx, PROTO_EMIT | PROTO_CYCLIC | PROTO_SUMMARY, 0);
}

/* The oldest one leaves for another. */
static void
drop_oldest(struct proto_ctx *ctx, struct sv_state *state)
{
	uint64_t events = ctx->events;
	uint8_t oldest = 0;

	for (uint8_t i = 1; i < state->stream_count; i++)
		if (state->streams[i]->last_ns < state->streams[oldest]->last_ns)
			oldest = i;
	ctx->events = 0;
	tell_end(ctx, state->streams[oldest]);
	ctx->events = events;
	if (!state->overflowed)
		proto_event(ctx, SV_EVENT_TOO_MANY_STREAMS);
	state->overflowed = true;
	state->broken++;
	slab_free(ctx->slab, state->streams[oldest], sizeof(struct sv_stream));
	state->streams[oldest] = state->streams[--state->stream_count];
}

/* What belongs to no publication, and publications beyond those followed, are told within a budget. */
static void
renew_budget(struct proto_ctx *ctx)
{
	struct sv_state *state = ctx->state;

	if (!clock_has_passed(ctx->ts_ns, state->broken_ns, ctx->levels.summary_interval_s * NS_PER_S))
		return;
	state->broken_ns = ctx->ts_ns;
	state->broken = 0;
}

static struct sv_stream *
add_stream(struct proto_ctx *ctx, const struct publication *publication, const struct cursor *id)
{
	struct sv_state *state = ctx->state;
	struct sv_stream *stream;

	renew_budget(ctx);
	if (state->stream_count == SV_STREAMS_MAX && state->broken >= SV_ANOMALIES_MAX)
		return NULL; /* made up by somebody: not one more record for each */
	if (state->stream_count == SV_STREAMS_MAX)
		drop_oldest(ctx, state);
	stream = slab_alloc(ctx->slab, sizeof(*stream));
	if (stream == NULL) {
		counter_add(&ctx->counters[SV_COUNT_SHED], 1);
		return NULL;
	}
	memset(stream, 0, sizeof(*stream));
	publication_source_fill(&stream->source, ctx->link);
	stream->appid = publication->appid;
	stream->since_ns = ctx->ts_ns;
	stream->id_len = (uint8_t)cursor_left(id);
	memcpy(stream->id, id->pos, stream->id_len);
	state->last_idx = state->stream_count;
	state->streams[state->stream_count++] = stream;
	counter_add(&ctx->counters[SV_COUNT_STREAMS], 1);
	return stream;
}

/* ---- telling ---- */

static void
put_header(struct sv_record *record, const struct publication *publication)
{
	record->appid = publication->appid;
	record->length = publication->length;
	record->reserved1 = publication->reserved1;
	record->reserved2 = publication->reserved2;
	record->header_simulation = publication->simulated;
	record_present(&record->head, SV_HAS_HEADER);
	if (publication->routed) {
		record->spdu_number = publication->spdu_number;
		record->spdu_version = publication->spdu_version;
		record->signature = publication->signature;
		record_present(&record->head, SV_HAS_SESSION);
	}
	record->extension_len = (uint32_t)cursor_left(&publication->apdu);
	if (record->extension_len > 0)
		record_present(&record->head, SV_HAS_EXTENSION);
}

/* Reads the ASDUs again, this time into a record. */
static void
put_asdus(struct proto_ctx *ctx, struct sv_record *record, const struct sv_apdu *apdu)
{
	struct cursor asdus = apdu->asdus;
	struct sv_asdu asdu;

	for (unsigned int i = 0; i < SV_ASDUS_MAX && sv_next_asdu(&asdus, &asdu); i++) {
		if (i == 0 && (asdu.present & 1u << SV_ASDU_ID) != 0) {
			record_put_bytes(ctx->record, &record->sv_id, asdu.sv_id.pos, (uint32_t)cursor_left(&asdu.sv_id));
			record_present(&record->head, SV_HAS_ID);
		}
		if (i == 0 && (asdu.present & 1u << SV_ASDU_SMP_CNT) != 0) {
			record->smp_cnt = asdu.smp_cnt;
			record_present(&record->head, SV_HAS_COUNT);
		}
		sv_put_asdu(ctx, record, &asdu);
	}
	if (cursor_left(&asdus) > 0)
		ctx->record->truncated = true;
}

static struct sv_record *
put_message(struct proto_ctx *ctx, const struct message *message)
{
	struct publication_source source;
	struct sv_record *record;

	publication_source_fill(&source, ctx->link);
	record = begin_record(ctx, &source, message->reason);
	put_header(record, &message->publication);
	record->asdu_number = message->apdu.asdu_number;
	record->security_len = message->apdu.security_len;
	if (message->apdu.has_number)
		record_present(&record->head, SV_HAS_NUMBER);
	if (message->apdu.security_len > 0)
		record_present(&record->head, SV_HAS_SECURITY);
	put_asdus(ctx, record, &message->apdu);
	if (message->before_ns != 0) {
		record->previous_smp_cnt = message->before_smp_cnt;
		record->previous_age_us = ctx->ts_ns > message->before_ns ? (ctx->ts_ns - message->before_ns) / 1000 : 0;
		record_present(&record->head, SV_HAS_PREVIOUS);
	}
	return record;
}

static void
tell_identity(struct proto_ctx *ctx, const struct sv_stream *stream)
{
	static const char role[] = "merging unit";
	struct identity_record *identity = record_begin(ctx->record, &identity_table);

	identity->protocol = "sv";
	identity->of_sender = true;
	identity_put(ctx->record, identity, IDENTITY_NAME, stream->id, stream->id_len);
	identity_put(ctx->record, identity, IDENTITY_ROLE, role, sizeof(role) - 1);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}

/* Whether one more anomaly may be told; the count begins anew with each interval. */
static bool
spend(struct proto_ctx *ctx, uint32_t *told)
{
	if ((*told)++ < SV_ANOMALIES_MAX)
		return true;
	counter_add(&ctx->counters[SV_COUNT_SUPPRESSED], 1);
	ctx->events = 0;
	return false;
}

/* A message that belongs to no publication, or that there is no memory for. */
static void
tell_loose(struct proto_ctx *ctx, struct message *message)
{
	struct sv_state *state = ctx->state;

	renew_budget(ctx);
	if (!spend(ctx, &state->broken))
		return;
	message->reason = SV_ANOMALY;
	(void)put_message(ctx, message);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC, 0);
}

static void
decide(struct proto_ctx *ctx, struct message *message)
{
	struct sv_stream *stream = message->stream;

	if (message->reason == SV_NOTHING && ctx->events != 0)
		message->reason = SV_ANOMALY;
	if (ctx->events != 0)
		stream->anomalies++;
	/* a quality that flickers with every sample is as bounded as any anomaly */
	if ((message->reason == SV_ANOMALY || message->reason == SV_STATE_CHANGE) && !spend(ctx, &stream->told))
		message->reason = SV_NOTHING;
	if (message->reason == SV_NOTHING && clock_has_passed(ctx->ts_ns, stream->since_ns, ctx->levels.summary_interval_s * NS_PER_S))
		message->reason = SV_SUMMARY;
	if (message->reason == SV_NOTHING && ctx->levels.cyclic == PROTO_LOG_ALL)
		message->reason = SV_MESSAGE;
}

static void
tell(struct proto_ctx *ctx, struct message *message)
{
	unsigned int flags = PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC;
	struct sv_record *record;

	decide(ctx, message);
	if (message->reason == SV_NOTHING) {
		if (ctx->events == 0 && !message->publication.routed && !message->publication.wrong_length)
			sv_repeat_learn(message->stream, &message->repeat, message->bytes,
				PUBLICATION_HEADER_LEN + message->publication.len);
		return;
	}
	record = put_message(ctx, message);
	if (message->reason == SV_SUMMARY)
		put_summary(ctx, record, message->stream);
	if (message->reason == SV_FIRST || message->reason == SV_SUMMARY)
		flags |= PROTO_SUMMARY; /* written even where nothing else is */
	proto_deliver(ctx, flags, 0);
	if (message->reason == SV_FIRST)
		tell_identity(ctx, message->stream);
}

/* ---- one message ---- */

static void
handle_asdu(struct proto_ctx *ctx, struct message *message, const struct sv_asdu *asdu)
{
	struct sv_stream *stream = NULL;
	enum sv_reason reason;

	if (asdu->broken)
		proto_event(ctx, SV_EVENT_INVALID_APDU);
	if (asdu->invalid)
		proto_event(ctx, SV_EVENT_INVALID_VALUE);
	if (((asdu->present | asdu->unreadable) & MANDATORY) != MANDATORY)
		proto_event(ctx, SV_EVENT_MISSING_FIELD);
	if (cursor_left(&asdu->sv_id) > 0 && (asdu->present & 1u << SV_ASDU_SMP_CNT) != 0) {
		stream = find_stream(ctx->state, &asdu->sv_id);
		if (stream == NULL)
			stream = add_stream(ctx, &message->publication, &asdu->sv_id);
	}
	if (stream == NULL) {
		message->repeat.refused = true;
		return;
	}
	stream->repeat.len = 0; /* what was known of its messages is no longer what it says */
	if (message->stream == NULL) {
		message->stream = stream;
		message->before_ns = stream->last_ns;
		message->before_smp_cnt = stream->smp_cnt;
		stream->messages++;
	}
	message->repeat.refused = message->repeat.refused || stream != message->stream;
	sv_repeat_note(&message->repeat, message->bytes, asdu);
	reason = sv_track(ctx, stream, asdu, message->publication.simulated);
	if (reason > message->reason)
		message->reason = reason;
}

static void
handle_asdus(struct proto_ctx *ctx, struct message *message)
{
	struct cursor asdus = message->apdu.asdus;
	uint32_t count = 0;
	struct sv_asdu asdu;

	while (count < SV_ASDUS_MAX && sv_next_asdu(&asdus, &asdu)) {
		handle_asdu(ctx, message, &asdu);
		count++;
	}
	for (struct ber ber; count >= SV_ASDUS_MAX && ber_next(&asdus, &ber);)
		count++; /* not read, but there */
	counter_add(&ctx->counters[SV_COUNT_SAMPLES], count);
	if (message->apdu.has_number && message->apdu.asdu_number != count)
		proto_event(ctx, SV_EVENT_ASDU_COUNT);
}

static void
check_message(struct proto_ctx *ctx, const struct message *message)
{
	const struct publication *publication = &message->publication;

	if (publication->wrong_length)
		proto_event(ctx, SV_EVENT_INVALID_LENGTH);
	if (publication->appid < SV_APPID_MIN || publication->appid > SV_APPID_MAX)
		proto_event(ctx, SV_EVENT_APPID_RANGE);
	if (ctx->link != NULL && (ctx->link->dst_mac[0] & 1) == 0)
		proto_event(ctx, SV_EVENT_UNICAST);
	if (message->apdu.broken)
		proto_event(ctx, SV_EVENT_INVALID_APDU);
	if (!message->apdu.has_number || !message->apdu.has_asdus)
		proto_event(ctx, SV_EVENT_MISSING_FIELD);
}

static void
raise_once(struct proto_ctx *ctx, uint64_t *standing)
{
	uint64_t now = ctx->events & STANDING;

	ctx->events &= ~(now & *standing);
	*standing = now;
}

static void
sv_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct message message;
	struct cursor *in = &message.publication.apdu;
	struct cursor content;
	size_t len;
	uint8_t tag;

	counter_add(&ctx->counters[SV_COUNT_MESSAGES], 1);
	if (sv_repeat_take(ctx, pdu))
		return;
	memset(&message, 0, sizeof(message));
	message.bytes = pdu.pos;
	if (!publication_read(pdu, &message.publication)) {
		proto_event(ctx, SV_EVENT_INVALID_LENGTH);
		return;
	}
	tag = cursor_u8(in);
	len = ber_length(in);
	if (tag != SV_TAG_PDU || in->short_read) {
		proto_event(ctx, SV_EVENT_UNKNOWN_APDU);
		tell_loose(ctx, &message);
		return;
	}
	/* one that says to be longer than its frame is read as far as it goes */
	content = cursor_sub(in, len <= cursor_left(in) ? len : cursor_left(in));
	sv_read_apdu(&message.apdu, content);
	message.apdu.broken = message.apdu.broken || cursor_left(&content) < len;
	check_message(ctx, &message);
	handle_asdus(ctx, &message);
	if (message.stream == NULL) {
		tell_loose(ctx, &message);
		return;
	}
	raise_once(ctx, &message.stream->standing);
	tell(ctx, &message);
}

static void
sv_end(struct proto_ctx *ctx)
{
	struct sv_state *state = ctx->state;

	for (uint8_t i = 0; i < state->stream_count; i++) {
		tell_end(ctx, state->streams[i]);
		slab_free(ctx->slab, state->streams[i], sizeof(*state->streams[i]));
	}
	state->stream_count = 0;
}

static enum proto_probe
sv_probe(struct cursor in, bool to_server, bool on_port)
{
	uint16_t length;
	uint8_t tag;

	(void)to_server;
	if (publication_is_routed(in, PUBLICATION_SESSION_SV))
		return PROTO_PROBE_YES;
	cursor_skip(&in, 2);
	length = cursor_be16(&in);
	cursor_skip(&in, 4);
	tag = cursor_u8(&in);
	return on_port && !in.short_read && length > PUBLICATION_HEADER_LEN && tag == SV_TAG_PDU ? PROTO_PROBE_YES
												 : PROTO_PROBE_NO;
}

/* A message is the rest of its frame or datagram: padding and trailers belong to it, the header says where it ends. */
static int
sv_frame(struct cursor in, bool to_server)
{
	(void)to_server;
	return cursor_left(&in) < PUBLICATION_HEADER_LEN ? -EBADMSG : (int)cursor_left(&in);
}

static const uint16_t sv_ports[] = { 102, 0 };
static const uint16_t sv_ether_types[] = { 0x88ba, 0 };

extern const struct proto sv_proto;
const struct proto sv_proto = {
	.app = {
		.name = "sv",
		.record = &sv_table,
		.events = sv_events,
		.event_count = SV_EVENT_COUNT,
	},
	.transports = PROTO_ETHERNET | PROTO_UDP,
	.ports = sv_ports,
	.ether_types = sv_ether_types,
	.pdu_len_min = PUBLICATION_HEADER_LEN,
	.probe = sv_probe,
	.frame = sv_frame,
	.parse = sv_parse,
	.end = sv_end,
	.state_len = sizeof(struct sv_state),
	.counters = sv_counters,
	.counter_count = SV_COUNTER_COUNT,
	.knobs = &sv_knobs,
	.cyclic = PROTO_LOG_CHANGES,
	.config_len = sizeof(struct sv_config),
};
