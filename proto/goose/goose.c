/*
 * GOOSE: one message from its header to what is told of it. Most messages repeat the state of the one before, and
 * nothing but counting is done for them.
 */
#include "proto/goose/goose.h"

#include <errno.h>

#include "lib/base/clock.h"

enum { RESERVED_EXTENSION = 0x0fff }; /* IEC 62351-6: bytes of the extension behind the APDU */

static const uint64_t NS_PER_S = UINT64_C(1000000000);

/* Causes that stay with a publication: told when they begin, not with every message. */
static const uint64_t STANDING = 1u << GOOSE_EVENT_INVALID_LENGTH | 1u << GOOSE_EVENT_INVALID_APDU |
	1u << GOOSE_EVENT_MISSING_FIELD | 1u << GOOSE_EVENT_INVALID_VALUE | 1u << GOOSE_EVENT_UNICAST |
	1u << GOOSE_EVENT_APPID_RANGE | 1u << GOOSE_EVENT_SIMULATION_MISMATCH;
static const uint64_t STANDING_DATA = 1u << GOOSE_EVENT_INVALID_APDU | 1u << GOOSE_EVENT_INVALID_VALUE |
	1u << GOOSE_EVENT_ENTRY_COUNT;

/* 8-1 annex A: what may be absent is the id, and the flags that are false then. */
static const uint64_t MANDATORY = 1u << GOOSE_HAS_REF | 1u << GOOSE_HAS_TTL | 1u << GOOSE_HAS_DAT_SET |
	1u << GOOSE_HAS_T | 1u << GOOSE_HAS_ST_NUM | 1u << GOOSE_HAS_SQ_NUM | 1u << GOOSE_HAS_CONF_REV |
	1u << GOOSE_HAS_ENTRIES | 1u << GOOSE_HAS_ALL_DATA;
/* Without these a message belongs to no publication. */
static const uint64_t TRACKED = 1u << GOOSE_HAS_REF | 1u << GOOSE_HAS_ST_NUM | 1u << GOOSE_HAS_SQ_NUM;

/* ---- the APDU ---- */

enum element_kind { ELEMENT_TEXT = 1, ELEMENT_U32, ELEMENT_BOOL, ELEMENT_TIME, ELEMENT_DATA, ELEMENT_SECURITY };

/* By tag number. */
static const struct {
	uint8_t kind; /* enum element_kind */
	uint16_t offset;
} elements[] = {
	[GOOSE_HAS_REF] = { ELEMENT_TEXT, 0 },
	[GOOSE_HAS_TTL] = { ELEMENT_U32, offsetof(struct goose_apdu, ttl_ms) },
	[GOOSE_HAS_DAT_SET] = { ELEMENT_TEXT, 0 },
	[GOOSE_HAS_GO_ID] = { ELEMENT_TEXT, 0 },
	[GOOSE_HAS_T] = { ELEMENT_TIME, 0 },
	[GOOSE_HAS_ST_NUM] = { ELEMENT_U32, offsetof(struct goose_apdu, st_num) },
	[GOOSE_HAS_SQ_NUM] = { ELEMENT_U32, offsetof(struct goose_apdu, sq_num) },
	[GOOSE_HAS_SIMULATION] = { ELEMENT_BOOL, offsetof(struct goose_apdu, simulation) },
	[GOOSE_HAS_CONF_REV] = { ELEMENT_U32, offsetof(struct goose_apdu, conf_rev) },
	[GOOSE_HAS_NDS_COM] = { ELEMENT_BOOL, offsetof(struct goose_apdu, nds_com) },
	[GOOSE_HAS_ENTRIES] = { ELEMENT_U32, offsetof(struct goose_apdu, entries) },
	[GOOSE_HAS_ALL_DATA] = { ELEMENT_DATA, 0 },
	[GOOSE_HAS_SECURITY] = { ELEMENT_SECURITY, 0 },
};

static bool
read_element(struct goose_apdu *apdu, unsigned int number, struct cursor content)
{
	uint8_t *at = (uint8_t *)apdu + elements[number].offset;

	switch (elements[number].kind) {
	case ELEMENT_TEXT:
		if (cursor_left(&content) > PUBLICATION_TEXT_MAX)
			apdu->invalid = true;
		apdu->texts[number] = cursor_left(&content) > PUBLICATION_TEXT_MAX ? cursor_sub(&content, PUBLICATION_TEXT_MAX) : content;
		return true;
	case ELEMENT_U32:
		return ber_u32(content, (uint32_t *)(void *)at);
	case ELEMENT_BOOL:
		return ber_bool(content, (bool *)at);
	case ELEMENT_TIME:
		return publication_time(content, &apdu->t_ns, &apdu->t_quality);
	case ELEMENT_DATA:
		apdu->all_data = content;
		return true;
	default:
		apdu->security_len = (uint32_t)cursor_left(&content);
		return true;
	}
}

static void
read_apdu(struct goose_apdu *apdu, struct cursor in)
{
	struct ber ber;

	for (unsigned int i = 0; i < GOOSE_ELEMENTS_MAX && ber_next(&in, &ber); i++) {
		unsigned int number = ber.tag & 0x1f;

		if ((ber.tag & ~0x3fu) != 0x80 || number >= sizeof(elements) / sizeof(elements[0])) {
			apdu->invalid = true; /* an element of a later edition, or none at all */
			continue;
		}
		if (read_element(apdu, number, ber.content)) {
			apdu->present |= UINT64_C(1) << number;
		} else {
			apdu->present &= ~(UINT64_C(1) << number); /* it may have come before */
			apdu->unreadable |= UINT64_C(1) << number;
			apdu->invalid = true;
		}
	}
	apdu->broken = apdu->broken || in.short_read;
}

/* The outermost element. One that says to be longer than its frame is read as far as it goes. */
static bool
open_apdu(struct publication *publication, uint32_t *tag, struct cursor *content)
{
	struct cursor *in = &publication->apdu;
	size_t len;

	*tag = cursor_u8(in);
	len = ber_length(in);
	if (in->short_read) {
		*content = (struct cursor){ .short_read = true };
		return false;
	}
	if (len <= cursor_left(in)) {
		*content = cursor_sub(in, len);
		return true;
	}
	*content = cursor_sub(in, cursor_left(in));
	return false;
}

/* ---- records ---- */

static void
put_header(struct goose_record *record, const struct publication *publication)
{
	record->appid = publication->appid;
	record->length = publication->length;
	record->reserved1 = publication->reserved1;
	record->reserved2 = publication->reserved2;
	record->header_simulation = publication->simulated;
	record_present(&record->head, GOOSE_HAS_HEADER);
	if (publication->routed) {
		record->spdu_number = publication->spdu_number;
		record->spdu_version = publication->spdu_version;
		record->signature = publication->signature;
		record_present(&record->head, GOOSE_HAS_SESSION);
	}
	record->extension_len = (uint32_t)cursor_left(&publication->apdu);
	if (record->extension_len > 0)
		record_present(&record->head, GOOSE_HAS_EXTENSION);
}

static void
put_text(struct proto_ctx *ctx, struct record_ref *ref, const struct cursor *text)
{
	record_put_bytes(ctx->record, ref, text->pos, (uint32_t)cursor_left(text));
}

static void
put_apdu(struct proto_ctx *ctx, struct goose_record *record, const struct goose_apdu *apdu)
{
	record->head.present |= apdu->present;
	put_text(ctx, &record->ref, &apdu->texts[GOOSE_HAS_REF]);
	put_text(ctx, &record->dat_set, &apdu->texts[GOOSE_HAS_DAT_SET]);
	put_text(ctx, &record->go_id, &apdu->texts[GOOSE_HAS_GO_ID]);
	record->ttl_ms = apdu->ttl_ms;
	record->t_ns = apdu->t_ns;
	record->t_flags = apdu->t_quality >> 5;
	record->t_accuracy = apdu->t_quality & TIME_ACCURACY;
	record->st_num = apdu->st_num;
	record->sq_num = apdu->sq_num;
	record->simulation = apdu->simulation;
	record->conf_rev = apdu->conf_rev;
	record->nds_com = apdu->nds_com;
	record->entries = apdu->entries;
	record->security_len = apdu->security_len;
}

/* A cause that stays is an event only when it begins. */
static void
raise_once(struct proto_ctx *ctx, uint64_t *standing, uint64_t which)
{
	uint64_t now = ctx->events & which;

	ctx->events &= ~(now & *standing);
	*standing = now;
}

/* ---- telling ---- */

/* The IED's name begins the reference: everything before the slash is its logical device. */
static void
tell_identity(struct proto_ctx *ctx, const struct cursor *ref)
{
	static const char role[] = "GOOSE publisher";
	const uint8_t *slash = memchr(ref->pos, '/', cursor_left(ref));
	struct identity_record *identity;

	if (slash == NULL || slash == ref->pos)
		return;
	identity = record_begin(ctx->record, &identity_table);
	identity->protocol = "goose";
	identity->of_sender = true;
	identity_put(ctx->record, identity, IDENTITY_NAME, ref->pos, (uint32_t)(slash - ref->pos));
	identity_put(ctx->record, identity, IDENTITY_ROLE, role, sizeof(role) - 1);
	proto_deliver(ctx, PROTO_IDENTITY, 0);
}

/* Numbers of the stream as they were before the message at hand. */
struct before {
	uint64_t last_ns;
	uint32_t st_num, sq_num;
};

static void
put_previous(struct proto_ctx *ctx, struct goose_record *record, const struct before *before)
{
	if (before->last_ns == 0)
		return;
	record->previous_st_num = before->st_num;
	record->previous_sq_num = before->sq_num;
	record->previous_age_us = ctx->ts_ns > before->last_ns ? (ctx->ts_ns - before->last_ns) / 1000 : 0;
	record_present(&record->head, GOOSE_HAS_PREVIOUS);
}

/* @param changes  of the data kept; NULL: not known */
static struct goose_record *
put_message(struct proto_ctx *ctx, const struct publication *publication, const struct goose_apdu *apdu,
	enum goose_reason reason, struct goose_changes *changes)
{
	struct publication_source source;
	struct goose_record *record;

	publication_source_fill(&source, ctx->link);
	record = goose_record_begin(ctx, &source, reason);
	put_header(record, publication);
	put_apdu(ctx, record, apdu);
	if ((apdu->present & 1u << GOOSE_HAS_ALL_DATA) != 0) {
		uint32_t count;

		if (changes == NULL || !goose_known_put(ctx, record, apdu->all_data, changes, &count))
			count = goose_data_put(ctx, record, apdu->all_data);
		if ((apdu->present & 1u << GOOSE_HAS_ENTRIES) != 0 && count != apdu->entries)
			proto_event(ctx, GOOSE_EVENT_ENTRY_COUNT);
	}
	return record;
}

/* A message that belongs to no publication, or that there is no memory for. */
static void
tell_loose(struct proto_ctx *ctx, const struct publication *publication, const struct goose_apdu *apdu)
{
	struct goose_state *state = ctx->state;

	goose_budget_renew(ctx);
	if (state->broken++ >= GOOSE_ANOMALIES_MAX) {
		counter_add(&ctx->counters[GOOSE_COUNT_SUPPRESSED], 1);
		ctx->events = 0;
		return;
	}
	(void)put_message(ctx, publication, apdu, GOOSE_ANOMALY, NULL);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC, 0);
}

static bool
is_told(struct proto_ctx *ctx, struct goose_stream *stream, enum goose_reason *reason)
{

	if (*reason == GOOSE_NOTHING && ctx->events != 0)
		*reason = GOOSE_ANOMALY;
	if (ctx->events != 0)
		stream->anomalies++;
	if (*reason == GOOSE_ANOMALY && stream->told++ >= GOOSE_ANOMALIES_MAX) {
		counter_add(&ctx->counters[GOOSE_COUNT_SUPPRESSED], 1);
		ctx->events = 0;
		*reason = GOOSE_NOTHING;
	}
	if (*reason == GOOSE_NOTHING && clock_has_passed(ctx->ts_ns, stream->since_ns, ctx->levels.summary_interval_s * NS_PER_S))
		*reason = GOOSE_SUMMARY;
	if (*reason == GOOSE_NOTHING && ctx->levels.cyclic == PROTO_LOG_ALL)
		*reason = GOOSE_MESSAGE;
	return *reason != GOOSE_NOTHING;
}

static void
check_apdu(struct proto_ctx *ctx, const struct publication *publication, const struct goose_apdu *apdu)
{
	if (apdu->broken)
		proto_event(ctx, GOOSE_EVENT_INVALID_APDU);
	if (apdu->invalid)
		proto_event(ctx, GOOSE_EVENT_INVALID_VALUE);
	if (((apdu->present | apdu->unreadable) & MANDATORY) != MANDATORY)
		proto_event(ctx, GOOSE_EVENT_MISSING_FIELD);
	if (publication->simulated && !apdu->simulation)
		proto_event(ctx, GOOSE_EVENT_SIMULATION_MISMATCH);
}

/* The first message and summaries are written even where nothing else is. */
static unsigned int
told_flags(enum goose_reason reason)
{
	return PROTO_MATCH | PROTO_EMIT | PROTO_CYCLIC | (reason == GOOSE_FIRST || reason == GOOSE_SUMMARY ? PROTO_SUMMARY : 0);
}

static void
handle_message(struct proto_ctx *ctx, struct goose_stream *stream, const struct publication *publication,
	const struct goose_apdu *apdu)
{
	struct goose_changes changes;
	struct before before = { stream->last_ns, stream->st_num, stream->sq_num };
	enum goose_reason reason;
	struct goose_record *record;

	raise_once(ctx, &stream->standing, STANDING);
	changes.count = 0;
	changes.known = NULL;
	if (before.last_ns != 0 && apdu->st_num != before.st_num) /* tracking replaces the data to compare with */
		goose_data_compare(&changes, stream, apdu->all_data);
	reason = goose_track(ctx, stream, apdu);
	if (!is_told(ctx, stream, &reason))
		return;
	record = put_message(ctx, publication, apdu, reason, &changes);
	if (reason == GOOSE_STATE_CHANGE || changes.known != NULL)
		goose_known_keep(ctx, stream, &changes, apdu->all_data);
	raise_once(ctx, &stream->standing_data, STANDING_DATA);
	put_previous(ctx, record, &before);
	goose_data_put_changes(ctx, record, &changes);
	if (reason == GOOSE_SUMMARY)
		goose_summary_put(ctx, record, stream);
	proto_deliver(ctx, told_flags(reason), 0);
	if (reason == GOOSE_FIRST)
		tell_identity(ctx, &apdu->texts[GOOSE_HAS_REF]);
}

/* NULL: it belongs to none, or there is no memory for its own. */
static struct goose_stream *
stream_of(struct proto_ctx *ctx, const struct publication *publication, const struct goose_apdu *apdu)
{
	const struct cursor *ref = &apdu->texts[GOOSE_HAS_REF];
	struct goose_stream *stream;

	if ((apdu->present & TRACKED) != TRACKED || cursor_left(ref) == 0)
		return NULL;
	stream = goose_stream_find(ctx->state, ref);
	return stream != NULL ? stream : goose_stream_add(ctx, publication, ref);
}

/* ---- GSE management, 8-1 annex A: who asks which references or elements a control block has ---- */

static void
read_management(struct proto_ctx *ctx, const struct publication *publication, struct cursor in)
{
	struct publication_source source;
	struct goose_record *record;
	struct ber ber, service;

	publication_source_fill(&source, ctx->link);
	record = goose_record_begin(ctx, &source, GOOSE_MANAGEMENT);
	put_header(record, publication);
	if (ber_next(&in, &ber) && ber.tag == 0x80 && ber_u32(ber.content, &record->state_id))
		record_present(&record->head, GOOSE_HAS_MANAGEMENT);
	if (ber_next(&in, &ber) && (ber.tag == 0xa1 || ber.tag == 0xa2)) {
		record->response = ber.tag == 0xa2;
		if (ber_next(&ber.content, &service)) {
			record->service = service.tag & 0x1f;
			record_present(&record->head, GOOSE_HAS_SERVICE);
		}
	}
	if (!record_is_present(record, GOOSE_HAS_SERVICE))
		proto_event(ctx, GOOSE_EVENT_INVALID_APDU);
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, 0);
}

/* ---- the protocol ---- */

static void
check_header(struct proto_ctx *ctx, const struct publication *publication)
{
	bool trip = publication->appid >= GOOSE_TRIP_APPID_MIN && publication->appid <= GOOSE_TRIP_APPID_MAX;

	if (publication->wrong_length)
		proto_event(ctx, GOOSE_EVENT_INVALID_LENGTH);
	if (publication->appid > GOOSE_APPID_MAX && !trip)
		proto_event(ctx, GOOSE_EVENT_APPID_RANGE);
	if (ctx->link != NULL && (ctx->link->dst_mac[0] & 1) == 0)
		proto_event(ctx, GOOSE_EVENT_UNICAST);
}

static void
read_message(struct proto_ctx *ctx, struct publication *publication, struct goose_apdu *apdu, struct cursor content,
	struct cursor pdu)
{
	struct goose_stream *stream;

	read_apdu(apdu, content);
	check_apdu(ctx, publication, apdu);
	apdu->secured = apdu->security_len > 0 || publication->signature ||
		(cursor_left(&publication->apdu) > 0 && (publication->reserved1 & RESERVED_EXTENSION) != 0);
	stream = stream_of(ctx, publication, apdu);
	if (stream == NULL) {
		tell_loose(ctx, publication, apdu);
		return;
	}
	handle_message(ctx, stream, publication, apdu);
	goose_form_keep(stream, publication, apdu, pdu);
}

static void
read_pdu(struct proto_ctx *ctx, struct cursor pdu)
{
	struct publication publication;
	struct goose_apdu apdu;
	struct cursor content;
	uint32_t tag;

	if (!publication_read(pdu, &publication)) {
		proto_event(ctx, GOOSE_EVENT_INVALID_LENGTH);
		return;
	}
	memset(&apdu, 0, sizeof(apdu));
	apdu.broken = !open_apdu(&publication, &tag, &content);
	check_header(ctx, &publication);
	if (tag == GOOSE_TAG_MANAGEMENT) {
		read_management(ctx, &publication, content);
	} else if (tag == GOOSE_TAG_PDU) {
		read_message(ctx, &publication, &apdu, content, pdu);
	} else {
		proto_event(ctx, GOOSE_EVENT_UNKNOWN_APDU);
		tell_loose(ctx, &publication, &apdu);
	}
}

static void
goose_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct goose_stream *stream = goose_form_find(ctx->state, pdu);

	counter_add(&ctx->counters[GOOSE_COUNT_MESSAGES], 1);
	if (stream == NULL) {
		read_pdu(ctx, pdu);
		return;
	}
	check_header(ctx, &stream->form.publication);
	check_apdu(ctx, &stream->form.publication, &stream->form.apdu);
	handle_message(ctx, stream, &stream->form.publication, &stream->form.apdu);
}

static enum proto_probe
goose_probe(struct cursor in, bool to_server, bool on_port)
{
	uint16_t length;
	uint8_t tag;

	(void)to_server;
	if (publication_is_routed(in, PUBLICATION_SESSION_GOOSE))
		return PROTO_PROBE_YES;
	cursor_skip(&in, 2);
	length = cursor_be16(&in);
	cursor_skip(&in, 4);
	tag = cursor_u8(&in);
	if (!on_port || in.short_read || length <= PUBLICATION_HEADER_LEN)
		return PROTO_PROBE_NO;
	return tag == GOOSE_TAG_PDU || tag == GOOSE_TAG_MANAGEMENT ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

/* A message is the rest of its frame or datagram: padding and trailers belong to it, the header says where it ends. */
static int
goose_frame(struct cursor in, bool to_server)
{
	(void)to_server;
	return cursor_left(&in) < PUBLICATION_HEADER_LEN ? -EBADMSG : (int)cursor_left(&in);
}

static const uint16_t goose_ports[] = { 102, 0 };
static const uint16_t goose_ether_types[] = { 0x88b8, 0x88b9, 0 };

extern const struct proto goose_proto;
const struct proto goose_proto = {
	.app = {
		.name = "goose",
		.record = &goose_table,
		.events = goose_events,
		.event_count = GOOSE_EVENT_COUNT,
	},
	.transports = PROTO_ETHERNET | PROTO_UDP,
	.ports = goose_ports,
	.ether_types = goose_ether_types,
	.pdu_len_min = PUBLICATION_HEADER_LEN,
	.probe = goose_probe,
	.frame = goose_frame,
	.parse = goose_parse,
	.end = goose_streams_end,
	.state_len = sizeof(struct goose_state),
	.ahead = GOOSE_AHEAD,
	.counters = goose_counters,
	.counter_count = GOOSE_COUNTER_COUNT,
	.cyclic = PROTO_LOG_CHANGES,
};
