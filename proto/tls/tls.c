/* TLS: finding records, recognising the protocol, and the way of one record into the session's. */
#include "proto/tls/tls.h"

#include <errno.h>

enum {
	ALERT_LEN = 2,
	ALERT_FATAL = 2,
	OTHER_LEN_MAX = 4096, /* of records that are never long */
	HEARTBEAT_HEADER_LEN = 3,
	HEARTBEAT_PADDING_MIN = 16,
	SSLV2_HEADER_LEN = 2,
	SSLV2_HELLO_LEN_MIN = 9 + 3 + 16,
	PROBE_RECORDS_MAX = 8,
	TX_ID = 1, /* a flow is one transaction: its session */
};

struct header {
	uint8_t content;
	uint16_t version;
	uint16_t len;
};

enum fit { FIT_NO, FIT_MORE, FIT_YES };

/* RFC 5246 6.2.1. Empty records are only of application data. */
static enum fit
fit_header(struct cursor *in, struct header *header)
{
	size_t left = cursor_left(in);
	struct cursor ahead = *in;

	if (left == 0)
		return FIT_MORE;
	header->content = cursor_u8(&ahead);
	if (header->content < TLS_CHANGE_CIPHER_SPEC || header->content > TLS_HEARTBEAT)
		return FIT_NO;
	if (left >= 2 && cursor_u8(&ahead) != TLS_SSL_3 >> 8)
		return FIT_NO;
	header->version = (uint16_t)(TLS_SSL_3 | cursor_u8(&ahead));
	if (left >= 3 && header->version > TLS_1_3)
		return FIT_NO;
	header->len = cursor_be16(&ahead);
	if (ahead.short_read)
		return FIT_MORE;
	if (header->len > TLS_RECORD_LEN_MAX || (header->len == 0 && header->content != TLS_APPLICATION_DATA))
		return FIT_NO;
	if (header->len > OTHER_LEN_MAX && (header->content == TLS_CHANGE_CIPHER_SPEC || header->content == TLS_ALERT))
		return FIT_NO;
	*in = ahead;
	return FIT_YES;
}

/* RFC 5246 E.2: a hello of SSL 2.0, whose lengths must add up. @return with FIT_YES its length in *len */
static enum fit
fit_sslv2(struct cursor in, uint16_t *len)
{
	size_t left = cursor_left(&in);
	uint8_t high = cursor_u8(&in);
	uint16_t version, specs_len, id_len, challenge_len;

	if (left > 0 && high < 0x80)
		return FIT_NO;
	*len = (uint16_t)((high & 0x7f) << 8 | cursor_u8(&in));
	if (left >= 3 && (cursor_u8(&in) != TLS_CLIENT_HELLO || *len < SSLV2_HELLO_LEN_MIN || *len > OTHER_LEN_MAX))
		return FIT_NO;
	version = cursor_be16(&in);
	if (left >= 5 && version != TLS_SSL_2 && (version < TLS_SSL_3 || version > TLS_1_2))
		return FIT_NO;
	specs_len = cursor_be16(&in);
	id_len = cursor_be16(&in);
	challenge_len = cursor_be16(&in);
	if (in.short_read)
		return FIT_MORE;
	if (specs_len == 0 || specs_len % 3 != 0 || (id_len != 0 && id_len != 16) || challenge_len < 16 || challenge_len > 32)
		return FIT_NO;
	return 9u + specs_len + id_len + challenge_len == *len ? FIT_YES : FIT_NO;
}

static int
tls_frame(struct cursor in, bool to_server)
{
	struct header header;
	uint16_t len = 0;
	enum fit fit = fit_header(&in, &header);

	(void)to_server;
	if (fit == FIT_YES)
		return header.content == TLS_APPLICATION_DATA ? TLS_HEADER_LEN : TLS_HEADER_LEN + header.len;
	if (fit == FIT_NO) {
		fit = fit_sslv2(in, &len);
		if (fit == FIT_NO)
			return -EBADMSG;
	}
	return fit == FIT_YES ? SSLV2_HEADER_LEN + len : 0;
}

/* A record that begins with a hello or a chain of certificates says all; its first 11 bytes do. */
static enum fit
fit_handshake(struct cursor in, const struct header *header, uint8_t *type)
{
	uint32_t len;

	*type = cursor_u8(&in);
	len = cursor_be24(&in);
	if (in.short_read)
		return FIT_MORE;
	if (!tls_handshake_is_plausible(*type, len) || header->len < 4)
		return FIT_NO;
	if (*type == TLS_CLIENT_HELLO || *type == TLS_SERVER_HELLO) {
		uint16_t version = cursor_be16(&in);

		if (in.short_read)
			return FIT_MORE;
		return version >> 8 == 3 || version >> 8 == 0x7f ? FIT_YES : FIT_NO;
	}
	if (*type == TLS_CERTIFICATE) {
		uint32_t chain_len = cursor_be24(&in);

		if (in.short_read)
			return FIT_MORE;
		return chain_len + 3 == len ? FIT_YES : FIT_NO;
	}
	return FIT_NO;
}

/* From the middle of a connection: records one behind the other; on a usual port one is enough. */
static enum proto_probe
probe_records(struct cursor in, bool on_port)
{
	for (unsigned int i = 0; i < PROBE_RECORDS_MAX; i++) {
		struct header header;
		enum fit fit = fit_header(&in, &header);

		if (fit == FIT_NO)
			return PROTO_PROBE_NO;
		if (fit == FIT_MORE)
			return PROTO_PROBE_MORE;
		if (on_port || i > 0)
			return PROTO_PROBE_YES;
		if (header.len > cursor_left(&in))
			return header.content == TLS_CHANGE_CIPHER_SPEC && header.len != 1 ? PROTO_PROBE_NO : PROTO_PROBE_MORE;
		cursor_skip(&in, header.len);
	}
	return PROTO_PROBE_NO;
}

static enum proto_probe
tls_probe(struct cursor in, bool to_server, bool on_port)
{
	struct cursor body = in;
	struct header header;
	uint16_t len;
	uint8_t type;
	enum fit fit = fit_header(&body, &header);

	(void)to_server;
	if (fit == FIT_NO)
		fit = fit_sslv2(in, &len);
	else if (fit == FIT_YES && header.content == TLS_HANDSHAKE) {
		fit = fit_handshake(body, &header, &type);
		if (fit == FIT_NO && on_port)
			return probe_records(in, on_port);
	} else if (fit == FIT_YES)
		return probe_records(in, on_port);
	if (fit == FIT_YES)
		return PROTO_PROBE_YES;
	return fit == FIT_MORE ? PROTO_PROBE_MORE : PROTO_PROBE_NO;
}

static int
tls_sender_is_server(struct cursor in)
{
	struct header header;
	uint16_t len;
	uint8_t type;

	if (fit_sslv2(in, &len) == FIT_YES)
		return 0;
	if (fit_header(&in, &header) != FIT_YES || header.content != TLS_HANDSHAKE ||
		fit_handshake(in, &header, &type) != FIT_YES)
		return -1;
	return type == TLS_CERTIFICATE ? -1 : type == TLS_SERVER_HELLO;
}

/* ---- the session's record ---- */

void
tls_add_text(struct tls_pdu *pdu, struct record_list *list, const void *text, uint32_t len)
{
	struct tls_text *item = record_append(pdu->ctx->record, list, tls_text_tables, 0);

	if (item != NULL)
		record_put_bytes(pdu->ctx->record, &item->text, text, len);
}

struct tls_record *
tls_open(struct tls_pdu *pdu)
{
	const struct tls_state *state = pdu->state;

	if (pdu->record == NULL && state->blob != NULL)
		pdu->record = record_begin_copy(pdu->ctx->record, state->blob, state->blob_len);
	if (pdu->record == NULL)
		pdu->record = record_begin(pdu->ctx->record, &tls_table);
	return pdu->record;
}

static void
forget(struct proto_ctx *ctx, struct tls_state *state)
{
	slab_free(ctx->slab, state->blob, state->blob_len);
	state->blob = NULL;
	state->blob_len = 0;
}

/* @return false: there is no memory; what was known before is gone too */
static bool
keep(struct tls_pdu *pdu)
{
	struct tls_state *state = pdu->state;

	forget(pdu->ctx, state);
	state->blob = slab_alloc(pdu->ctx->slab, pdu->ctx->record->len);
	if (state->blob == NULL) {
		counter_add(&pdu->ctx->counters[TLS_COUNT_SHED], 1);
		return false;
	}
	state->blob_len = pdu->ctx->record->len;
	memcpy(state->blob, pdu->ctx->record->base, state->blob_len);
	return true;
}

/* What only rules see of the record at hand. */
static void
put_for_rules(struct tls_pdu *pdu, struct tls_record *record)
{
	record->states = pdu->states;
	if ((pdu->states & (TLS_STATE_CLIENT_HELLO | TLS_STATE_SERVER_HELLO)) != 0 || cursor_left(&pdu->chain) > 0)
		record->rule_version = pdu->version;
	record->now_s = (int64_t)(pdu->ctx->ts_ns / UINT64_C(1000000000));
	if (pdu->cert != NULL)
		record->cert = *pdu->cert;
	for (unsigned int i = 0; i < TLS_CHAIN_MAX && cursor_left(&pdu->chain) > 0; i++) {
		struct cursor der = cursor_sub(&pdu->chain, cursor_be24(&pdu->chain));
		struct tls_text *item;

		if (der.short_read)
			break;
		item = record_append(pdu->ctx->record, &record->certs, tls_der_tables, 0);
		if (item == NULL)
			break;
		record_put_bytes(pdu->ctx->record, &item->text, der.pos, (uint32_t)cursor_left(&der));
		pdu->match |= TLS_BIT(CERTS);
	}
	record->alpn = pdu->alpn;
	if (record->alpn.count > 0)
		pdu->match |= TLS_BIT(ALPN);
	if (pdu->random == NULL)
		return;
	record_put_bytes(pdu->ctx->record, &record->random, pdu->random, TLS_RANDOM_LEN);
	record->random_time = (struct record_ref){ record->random.off, 4 };
	record->random_bytes = (struct record_ref){ record->random.off + 4, TLS_RANDOM_LEN - 4 };
	if (record->random.count > 0)
		pdu->match |= TLS_BIT(RANDOM);
}

/* Whether nothing is to come that the event should have. */
static bool
is_complete(const struct tls_state *state)
{
	return state->failed || (state->ends[0].encrypted && state->ends[1].encrypted);
}

/* Lists that rules look at and nobody wants written. */
static void
hide(struct tls_pdu *pdu)
{
	const struct tls_config *config = pdu->ctx->config;

	if (!config->log_handshake)
		pdu->record->head.present &= ~(TLS_BIT(CLIENT_LISTS) | TLS_BIT(SERVER_LISTS));
}

static void
emit(struct tls_pdu *pdu)
{
	struct tls_state *state = pdu->state;

	if (state->emitted || state->blob == NULL)
		return;
	pdu->record = NULL;
	(void)tls_open(pdu);
	forget(pdu->ctx, state);
	state->emitted = true;
	counter_add(&pdu->ctx->counters[TLS_COUNT_SESSIONS], 1);
	hide(pdu);
	proto_deliver(pdu->ctx, PROTO_EMIT, TX_ID);
}

/* What this record cannot tell to be missing: only a hello lacks what hellos have, and only who begins to encrypt without
 * having shown a certificate has none. */
static uint64_t
undecided(const struct tls_pdu *pdu)
{
	const uint64_t certs = (UINT64_C(1) << TLS_CERT_BITS) - 1, chain = TLS_BIT(CHAIN) | TLS_BIT(CERTS);
	uint64_t bits = UINT64_MAX;

	if ((pdu->states & (TLS_STATE_CLIENT_HELLO | TLS_STATE_SERVER_HELLO)) != 0 && !pdu->repeats)
		bits &= certs | chain;
	if (pdu->ciphers && !pdu->end->certified && !pdu->end->lost)
		bits &= ~(certs | chain);
	return bits;
}

/* The rules see the record with what is new in it; the event waits until the session is complete. */
static void
deliver(struct tls_pdu *pdu)
{
	struct tls_state *state = pdu->state;
	struct tls_record *record;
	struct tls_cert cert;
	uint64_t present;
	bool kept = true;

	state->states |= pdu->states;
	if (pdu->changed && !state->emitted)
		kept = keep(pdu);
	record = pdu->record != NULL ? pdu->record : record_begin(pdu->ctx->record, &tls_table);
	present = record->head.present;
	cert = record->cert;
	put_for_rules(pdu, record);
	pdu->ctx->known = tls_known_of_hello(pdu, record);
	record->head.present = pdu->match | pdu->ctx->known;
	pdu->ctx->undecided = undecided(pdu);
	proto_deliver(pdu->ctx, PROTO_MATCH | (state->emitted || state->blob == NULL ? 0 : PROTO_HOLD), TX_ID);
	pdu->ctx->undecided = pdu->ctx->known = 0;
	if (!kept) { /* said now or never */
		record->head.present = present;
		record->cert = cert;
		state->emitted = true;
		pdu->record = record;
		hide(pdu);
		proto_deliver(pdu->ctx, PROTO_EMIT, TX_ID);
	}
	if (is_complete(state))
		emit(pdu);
}

/* ---- contents of records ---- */

static void
read_alert(struct tls_pdu *pdu, struct cursor body)
{
	size_t len = cursor_left(&body);
	uint8_t level = cursor_u8(&body);
	uint8_t description = cursor_u8(&body);
	struct tls_alert *alert;

	if (pdu->end->encrypted || pdu->end->ciphered)
		return;
	if (len != ALERT_LEN || level == 0 || level > ALERT_FATAL) {
		proto_event(pdu->ctx, TLS_EVENT_INVALID_ALERT);
		return;
	}
	if (level == ALERT_FATAL)
		pdu->state->failed = true;
	if (pdu->state->alert_count >= TLS_ALERTS_MAX)
		return;
	pdu->state->alert_count++;
	alert = record_append(pdu->ctx->record, &tls_open(pdu)->alerts, tls_alert_tables, 0);
	if (alert == NULL)
		return;
	alert->level = level;
	alert->description = description;
	alert->to_server = pdu->ctx->to_server;
	tls_has(pdu, TLS_BIT(ALERTS));
}

/* A response longer than its request has what nobody sent, also where both are encrypted (CVE-2014-0160). */
static void
compare_heartbeats(struct tls_pdu *pdu, uint16_t len)
{
	struct tls_state *state = pdu->state;

	if (state->heartbeat_len != 0 && state->heartbeat_to_server != pdu->ctx->to_server) {
		if (len > state->heartbeat_len)
			proto_event(pdu->ctx, TLS_EVENT_DATALEAK_HEARTBEAT);
		state->heartbeat_len = 0;
		return;
	}
	state->heartbeat_len = len;
	state->heartbeat_to_server = pdu->ctx->to_server;
}

/* RFC 6520 4: type, length, payload, at least 16 bytes of padding. A length beyond the record asks for memory. */
static void
read_heartbeat(struct tls_pdu *pdu, struct cursor body)
{
	size_t len = cursor_left(&body);
	uint8_t type = cursor_u8(&body);
	uint16_t payload_len = cursor_be16(&body);

	compare_heartbeats(pdu, (uint16_t)len);
	if (pdu->end->encrypted)
		return;
	if (body.short_read || (type != 1 && type != 2))
		proto_event(pdu->ctx, TLS_EVENT_INVALID_HEARTBEAT);
	else if ((size_t)payload_len + HEARTBEAT_HEADER_LEN + HEARTBEAT_PADDING_MIN > len)
		proto_event(pdu->ctx, TLS_EVENT_OVERFLOW_HEARTBEAT);
}

/* Whether handshake bytes behind ChangeCipherSpec are in the clear all the same: the hello after a HelloRetryRequest
 * (RFC 8446 D.4), where the server's version is not known. */
static bool
is_plain_hello(struct cursor body)
{
	uint8_t type = cursor_u8(&body);
	uint32_t len = cursor_be24(&body);
	size_t left = cursor_left(&body);

	return (type == TLS_CLIENT_HELLO || type == TLS_SERVER_HELLO) && cursor_u8(&body) == 3 && len >= left;
}

static void
read_handshake(struct tls_pdu *pdu, struct cursor body)
{
	struct tls_end *end = pdu->end;

	if (end->ciphered && (pdu->state->server_version <= TLS_1_2 || !is_plain_hello(body))) {
		end->encrypted = true;
		return;
	}
	if (end->encrypted || end->lost)
		return;
	tls_handshake_read(pdu, body);
}

/* The server that continues a session says so by going on without a certificate (RFC 5077 3.4). */
static bool
goes_on(const struct tls_pdu *pdu)
{
	const struct tls_end *end = pdu->end;

	return !end->client && end->hellos > 0 && !end->certified && !end->lost &&
		!(pdu->state->states & TLS_STATE_SERVER_KEYX);
}

static void
read_change_cipher(struct tls_pdu *pdu, struct cursor body)
{
	struct tls_state *state = pdu->state;
	bool known = state->server_version != 0 && state->server_version <= TLS_1_2;

	if (!pdu->end->ciphered && cursor_left(&body) != 1)
		proto_event(pdu->ctx, TLS_EVENT_INVALID_RECORD_LENGTH);
	tls_assembly_drop(pdu->ctx, &pdu->end->assembly);
	if (known && !pdu->end->ciphered && goes_on(pdu) && !tls_open(pdu)->resumed) { /* the hello may have said it */
		pdu->record->resumed = true;
		tls_has(pdu, TLS_BIT(RESUMED));
	}
	pdu->ciphers = !pdu->end->ciphered;
	pdu->end->ciphered = true;
	if (known || (state->states & TLS_STATE_CLIENT_KEYX))
		pdu->end->encrypted = true;
}

/* Only its header is here: the rest is passed over. */
static void
read_application_data(struct tls_pdu *pdu, uint16_t len)
{
	struct proto_ctx *ctx = pdu->ctx;
	bool first = !pdu->end->encrypted;

	ctx->skip_len = len;
	counter_add(&ctx->counters[TLS_COUNT_ENCRYPTED_BYTES], len);
	if (!first)
		return;
	tls_assembly_drop(ctx, &pdu->end->assembly);
	pdu->end->encrypted = true;
	pdu->ciphers = !pdu->end->ciphered && pdu->end->hellos > 0;
	if (pdu->ciphers) /* RFC 8446 D.4: ChangeCipherSpec is left out where no middlebox wants it */
		deliver(pdu);
	else if (is_complete(pdu->state))
		emit(pdu);
}

static void
read_content(struct tls_pdu *pdu, const struct header *header, struct cursor body)
{
	if (header->content == TLS_HANDSHAKE)
		read_handshake(pdu, body);
	else if (header->content == TLS_ALERT)
		read_alert(pdu, body);
	else if (header->content == TLS_HEARTBEAT)
		read_heartbeat(pdu, body);
	else
		read_change_cipher(pdu, body);
	deliver(pdu);
}

static void
tls_parse(struct proto_ctx *ctx, struct cursor in)
{
	struct tls_state *state = ctx->state;
	struct tls_pdu pdu = { .ctx = ctx, .state = state, .end = &state->ends[ctx->to_server] };
	struct cursor body = in;
	struct header header;

	counter_add(&ctx->counters[TLS_COUNT_RECORDS], 1);
	if (fit_header(&body, &header) != FIT_YES) {
		cursor_skip(&in, SSLV2_HEADER_LEN);
		tls_sslv2_hello(&pdu, in);
		deliver(&pdu);
		return;
	}
	pdu.version = state->server_version != 0 ? state->server_version : header.version;
	if (header.content == TLS_APPLICATION_DATA)
		read_application_data(&pdu, header.len);
	else
		read_content(&pdu, &header, body);
	slab_free(ctx->slab, pdu.used, pdu.used_len);
}

/* What was begun cannot be ended; what comes may begin within a message. */
static void
tls_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct tls_state *state = ctx->state;
	struct tls_end *end = &state->ends[ctx->to_server];

	(void)missing;
	tls_assembly_drop(ctx, &end->assembly);
	if (!end->encrypted)
		end->lost = true;
}

static void
tls_end(struct proto_ctx *ctx)
{
	struct tls_state *state = ctx->state;
	struct tls_pdu pdu = { .ctx = ctx, .state = state };

	for (unsigned int i = 0; i < 2; i++)
		tls_assembly_drop(ctx, &state->ends[i].assembly);
	if (!state->emitted && state->blob != NULL) {
		counter_add(&ctx->counters[TLS_COUNT_INCOMPLETE], 1);
		emit(&pdu);
	}
	forget(ctx, state);
}

/* HTTPS, Modbus/TCP Security, IEC 60870-5-104 over TLS, MQTT over TLS, directories and mail. */
static const uint16_t tls_ports[] = { 443, 8443, 802, 19998, 8883, 636, 853, 465, 989, 990, 993, 995, 5671, 0 };

extern const struct proto tls_proto;
const struct proto tls_proto = {
	.app = {
		.name = "tls",
		.record = &tls_table,
		.events = tls_events,
		.event_count = TLS_EVENT_COUNT,
		.keywords = tls_keywords,
		.keyword_count = TLS_KEYWORD_COUNT,
		.buffers = tls_buffers,
		.buffer_count = TLS_BUFFER_COUNT,
		.buffer_direction = tls_buffer_direction,
	},
	.transports = PROTO_TCP,
	.ports = tls_ports,
	.pdu_len_min = 3,
	.probe = tls_probe,
	.starts = { { 20, 24 }, { 0x80, 0xff } },
	.start_count = 2,
	.sender_is_server = tls_sender_is_server,
	.frame = tls_frame,
	.parse = tls_parse,
	.gap = tls_gap,
	.end = tls_end,
	.state_len = sizeof(struct tls_state),
	.counters = tls_counters,
	.counter_count = TLS_COUNTER_COUNT,
	.knobs = &tls_knobs,
	.config_len = sizeof(struct tls_config),
};
