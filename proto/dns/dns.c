/* DNS: finding messages, recognising the protocol, and the way of one message. */
#include "proto/dns/dns.h"

#include <errno.h>

enum {
	OPCODE_MAX = 6,          /* DSO (RFC 8490); 3 was never given */
	NBNS_LABEL_LEN = 32,     /* RFC 1001 14.1: the name service of NetBIOS writes names of one length in A to P */
	STREAM_PDU_LEN_MAX = 16 * 1024, /* as far as pointers reach; what is behind is passed over */
	STRANGE_QUESTIONS_MAX = 64, /* of a message that no port says to be one */
	CUT_ADDITIONALS_MAX = 2,    /* of one of which only the header says that it is one: OPT and a signature (RFC 6891, 8945) */
};

static uint8_t
opcode_of(uint16_t flags)
{
	return flags >> 11 & 15;
}

/* Whether the counts fit into so many bytes. */
static bool
fits(const struct dns_header *header, size_t len)
{
	size_t least = (size_t)header->counts[0] * DNS_QUESTION_LEN_MIN +
		((size_t)header->counts[1] + header->counts[2] + header->counts[3]) * DNS_RR_LEN_MIN;

	return len >= DNS_HEADER_LEN && least <= len - DNS_HEADER_LEN;
}

static int
dns_frame_datagram(struct cursor in, bool to_server)
{
	(void)to_server;
	return cursor_left(&in) < DNS_HEADER_LEN ? -EBADMSG : (int)cursor_left(&in);
}

/* ---- recognising ---- */

static bool
is_class(uint16_t class)
{
	class &= 0x7fff; /* RFC 6762 5.4: mDNS has a bit of its own */
	return class == 1 || class == 3 || class == 4 || class == 254 || class == 255;
}

static bool
is_known_type(uint16_t type)
{
	return field_name_of(&dns_types, type) != dns_types.unknown;
}

static bool
is_host_name(const struct dns_name *name)
{
	if (name->labels == 0 || name->faults != 0)
		return false;
	for (uint16_t i = 0; i < name->len; i++)
		if (name->text[i] <= ' ' || name->text[i] >= 0x7f)
			return false;
	return true;
}

static bool
is_netbios(const struct dns_name *name)
{
	uint16_t letters = 0;

	while (letters < name->len && name->text[letters] >= 'A' && name->text[letters] <= 'P')
		letters++;
	return letters == NBNS_LABEL_LEN;
}

/* A question, or what a resource record begins with. */
static bool
is_entry(struct cursor whole, struct cursor *in, bool strict)
{
	struct dns_name name;
	uint16_t type, class;

	if (!dns_name_read(whole, in, &name))
		return false;
	type = cursor_be16(in);
	class = cursor_be16(in);
	if (in->short_read || is_netbios(&name))
		return false;
	if (!strict)
		return true;
	return is_host_name(&name) && is_class(class) && is_known_type(type);
}

/* Every entry of a whole message is in its place and nothing is behind the last. */
static bool
is_whole(struct cursor whole)
{
	struct cursor in = whole;
	struct dns_header header = dns_header_read(&in);
	unsigned int entries = 0;

	for (unsigned int section = 0; section < 4; section++)
		for (unsigned int i = 0; i < header.counts[section]; i++) {
			/* The first says it: later ones may be anything, as OPT with its empty name. */
			if (entries == DNS_RRS_MAX || !is_entry(whole, &in, entries++ == 0))
				return false;
			if (section == 0)
				continue;
			cursor_skip(&in, 4);
			cursor_skip(&in, cursor_be16(&in));
			if (in.short_read)
				return false;
		}
	return entries > 0 && cursor_left(&in) == 0;
}

/*
 * A datagram on the port that ends before what its header counts, to be told as malformed. Its header must be one that
 * somebody would write and its first question look like one, as far as it is here; where that has no name to go by, there
 * must be no other, and in a request nothing that only responses have.
 */
static bool
is_cut(struct cursor whole, const struct dns_header *header)
{
	const uint16_t reply_only = DNS_AA | DNS_RA | 15;
	struct cursor in = whole;
	struct dns_name name;
	uint16_t type, class;

	(void)dns_header_read(&in);
	if (header->counts[0] == 0 || opcode_of(header->flags) != 0 || (header->flags & DNS_Z) != 0)
		return false;
	if (!dns_name_read(whole, &in, &name) && !in.short_read)
		return false;
	if (name.faults != 0 || is_netbios(&name) || (name.labels > 0 && !is_host_name(&name)))
		return false;
	type = cursor_be16(&in);
	class = cursor_be16(&in);
	if (!in.short_read && (!is_class(class) || !is_known_type(type)))
		return false;
	if (!in.short_read && name.labels > 0)
		return true;
	if (header->counts[0] > 1 || header->counts[3] > CUT_ADDITIONALS_MAX)
		return false;
	return (header->flags & DNS_QR) != 0 ||
		((header->flags & reply_only) == 0 && header->counts[1] == 0 && header->counts[2] == 0);
}

/*
 * A message over TCP whose counts are beyond its length, which its prefix says all the same (RFC 1035 4.2.2): malformed, and no reason to
 * look for the next one elsewhere. Its whole first question must look like one, since this is asked of any bytes behind lost ones.
 */
static enum proto_probe
is_overcounted(struct cursor message, uint16_t len, const struct dns_header *header)
{
	enum { FRONT = DNS_HEADER_LEN + DNS_NAME_LEN_MAX + 4 };
	const uint16_t reply_only = DNS_AA | DNS_RA | 15;
	uint16_t wanted = len < FRONT ? len : FRONT;
	struct dns_name name;
	struct cursor in;

	if (len < DNS_HEADER_LEN || header->counts[0] > STRANGE_QUESTIONS_MAX ||
		((header->flags & DNS_QR) == 0 && (header->flags & reply_only) != 0) || opcode_of(header->flags) != 0)
		return PROTO_PROBE_NO;
	if (cursor_left(&message) < wanted)
		return PROTO_PROBE_MORE;
	message = cursor_sub(&message, wanted);
	in = message;
	cursor_skip(&in, DNS_HEADER_LEN);
	if (!dns_name_read(message, &in, &name) || name.labels == 0 || cursor_left(&in) < 4)
		return PROTO_PROBE_NO;
	return is_cut(message, header) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

/* A refusal of what its sender could not read: the header may be alone. */
static bool
is_refusal(const struct dns_header *header, size_t len)
{
	return len == DNS_HEADER_LEN && (header->flags & DNS_QR) != 0 && (header->flags & DNS_Z) == 0 &&
		(header->flags & 15) != 0 && opcode_of(header->flags) <= OPCODE_MAX &&
		(header->counts[0] | header->counts[1] | header->counts[2] | header->counts[3]) == 0;
}

/* On its port a plausible header is enough, so that malformed messages are called that; elsewhere all must fit. */
static enum proto_probe
judge(struct cursor whole, size_t len, bool on_port)
{
	struct cursor in = whole;
	struct dns_header header = dns_header_read(&in);
	bool here = cursor_left(&whole) >= len;

	/* said before the header is here: while one protocol waits, what comes is nobody's */
	if (len < DNS_HEADER_LEN)
		return PROTO_PROBE_NO;
	if (in.short_read)
		return PROTO_PROBE_MORE;
	if (!fits(&header, len) || (!on_port && header.counts[0] > STRANGE_QUESTIONS_MAX))
		return PROTO_PROBE_NO;
	if (opcode_of(header.flags) > OPCODE_MAX)
		return on_port && here && is_whole(cursor_sub(&whole, len)) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	if (on_port && header.counts[0] + header.counts[1] > 0) {
		struct dns_name name;

		return dns_name_read(whole, &in, &name) && is_netbios(&name) ? PROTO_PROBE_NO : PROTO_PROBE_YES;
	}
	if ((header.flags & DNS_Z) != 0 || header.counts[0] + header.counts[1] == 0)
		return PROTO_PROBE_NO;
	if (!here)
		return PROTO_PROBE_MORE;
	return is_whole(cursor_sub(&whole, len)) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

static int
dns_frame(struct cursor in, bool to_server)
{
	uint16_t len = cursor_be16(&in);
	struct cursor message = in;
	struct dns_header header = dns_header_read(&in);
	enum proto_probe verdict;

	(void)to_server;
	if (in.short_read)
		return 0;
	if (!fits(&header, len)) {
		verdict = is_overcounted(message, len, &header);
		if (verdict != PROTO_PROBE_YES)
			return verdict == PROTO_PROBE_MORE ? 0 : -EBADMSG;
	}
	return len + DNS_PREFIX_LEN > STREAM_PDU_LEN_MAX ? STREAM_PDU_LEN_MAX : len + DNS_PREFIX_LEN;
}

static enum proto_probe
dns_probe(struct cursor in, bool to_server, bool on_port)
{
	uint16_t len = cursor_be16(&in);
	struct cursor message = in;
	struct dns_header header = dns_header_read(&message);

	(void)to_server;
	if (!message.short_read && on_port && !fits(&header, len))
		return is_overcounted(in, len, &header);
	return in.short_read ? PROTO_PROBE_MORE : judge(in, len, on_port);
}

static enum proto_probe
dns_probe_datagram(struct cursor in, bool to_server, bool on_port)
{
	size_t len = cursor_left(&in);
	enum proto_probe verdict = len < DNS_HEADER_LEN ? PROTO_PROBE_NO : judge(in, len, on_port);
	struct cursor whole = in;
	struct dns_header header = dns_header_read(&in);

	(void)to_server;
	if (verdict != PROTO_PROBE_NO || in.short_read || !on_port)
		return verdict;
	return is_refusal(&header, len) || (!fits(&header, len) && is_cut(whole, &header)) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
}

/* Asked of what a probe took. Of both forms the flags that fit the counts behind them are the ones; none do in a datagram
 * that is cut. */
static int
dns_sender_is_server(struct cursor in)
{
	struct cursor behind = in;
	size_t len = cursor_left(&in);
	struct dns_header header = dns_header_read(&in);
	uint16_t prefix = cursor_be16(&behind);
	bool alone = prefix == cursor_left(&behind);
	struct dns_header prefixed = dns_header_read(&behind);

	if (in.short_read)
		return -1;
	if (alone || (!fits(&header, len) && !behind.short_read && fits(&prefixed, prefix)))
		header = prefixed;
	return (header.flags & DNS_QR) != 0;
}

/* ---- messages ---- */

static uint8_t
service_of(const struct proto_ctx *ctx)
{
	if (ctx->sport == DNS_PORT_MDNS || ctx->dport == DNS_PORT_MDNS)
		return DNS_SERVICE_MDNS;
	return ctx->sport == DNS_PORT_LLMNR || ctx->dport == DNS_PORT_LLMNR ? DNS_SERVICE_LLMNR : DNS_SERVICE_DNS;
}

static void
put_header(struct dns_message *message, const struct dns_header *header)
{
	static const struct {
		uint16_t flag;
		uint8_t bit;
	} flags[] = { { DNS_QR, DNS_HAS_QR }, { DNS_AA, DNS_HAS_AA }, { DNS_TC, DNS_HAS_TC }, { DNS_RD, DNS_HAS_RD },
		{ DNS_RA, DNS_HAS_RA }, { DNS_Z, DNS_HAS_Z } };
	struct dns_record *record = message->record;
	char text[8];
	uint32_t len = hex_of_u32(text, header->flags);

	record->version = DNS_VERSION;
	record->type = (header->flags & DNS_QR) != 0;
	record->id = header->id;
	record->flags = header->flags;
	record->set = true;
	record->opcode = opcode_of(header->flags);
	record->rcode = header->flags & 15;
	record->service = service_of(message->ctx);
	if (record->service != DNS_SERVICE_DNS)
		record_present(&record->head, DNS_HAS_SERVICE);
	record_put_bytes(message->ctx->record, &record->flags_text, text, len);
	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if ((header->flags & flags[i].flag) != 0)
			record_present(&record->head, flags[i].bit);
}

/* What the header says that it should not. */
static void
check_header(struct dns_message *message)
{
	const struct dns_record *record = message->record;
	struct proto_ctx *ctx = message->ctx;

	if (record->opcode > OPCODE_MAX || record->opcode == 3)
		proto_event(ctx, DNS_EVENT_INVALID_OPCODE);
	/* RFC 4795 2.1.1 has other bits there; of mDNS either end sends both kinds, to all (RFC 6762 6). */
	if (record->service == DNS_SERVICE_LLMNR || record->service == DNS_SERVICE_MDNS)
		return;
	if ((record->flags & DNS_Z) != 0)
		proto_event(ctx, DNS_EVENT_Z_FLAG_SET);
	if (record->type == 1 && ctx->to_server)
		proto_event(ctx, DNS_EVENT_NOT_REQUEST);
	if (record->type == 0 && !ctx->to_server)
		proto_event(ctx, DNS_EVENT_NOT_RESPONSE);
}

static void
open_request(struct dns_message *message)
{
	struct proto_ctx *ctx = message->ctx;
	struct dns_state *state = ctx->state;
	struct dns_open *open = &state->open[state->next];

	counter_add(&ctx->counters[DNS_COUNT_REQUESTS], 1);
	message->record->tx_id = state->messages++;
	state->requested = true;
	if (message->record->service == DNS_SERVICE_MDNS) /* answered by all and anywhere */
		return;
	if (open->waits) {
		counter_add(&ctx->counters[DNS_COUNT_UNANSWERED], 1);
		if (!state->flooded)
			proto_event(ctx, DNS_EVENT_FLOODED);
		state->flooded = true;
	}
	*open = (struct dns_open){ .opened_ns = ctx->ts_ns, .tx_id = message->record->tx_id, .id = message->record->id,
		.waits = true };
	state->next = (uint8_t)((state->next + 1) % DNS_OPEN_MAX);
}

/* Zone transfers and the like answer one request with several messages: the request stays until its place is needed. */
static void
answer_request(struct dns_message *message)
{
	struct proto_ctx *ctx = message->ctx;
	struct dns_state *state = ctx->state;
	struct dns_record *record = message->record;

	counter_add(&ctx->counters[DNS_COUNT_RESPONSES], 1);
	state->messages++;
	for (unsigned int i = 1; i <= DNS_OPEN_MAX; i++) {
		struct dns_open *open = &state->open[(state->next + DNS_OPEN_MAX - i) % DNS_OPEN_MAX];
		uint64_t waited_us;

		if (!open->waits || open->id != record->id)
			continue;
		waited_us = ctx->ts_ns > open->opened_ns ? (ctx->ts_ns - open->opened_ns) / 1000 : 0;
		record->tx_id = open->tx_id;
		record->response_time_us = waited_us > UINT32_MAX ? UINT32_MAX : (uint32_t)waited_us;
		record_present(&record->head, DNS_HAS_RESPONSE_TIME);
		open->waits = false;
		return;
	}
	record->tx_id = state->messages - 1;
	if (record->service == DNS_SERVICE_MDNS)
		return;
	counter_add(&ctx->counters[DNS_COUNT_ORPHANS], 1);
	if (state->requested && !ctx->tcp)
		proto_event(ctx, DNS_EVENT_UNSOLICITED_RESPONSE);
}

static void
put_types(struct dns_message *message)
{
	struct dns_record *record = message->record;
	uint16_t *kept;

	if (message->type_count == 0)
		return;
	kept = record_reserve(message->ctx->record, &record->types, message->type_count, sizeof(*kept));
	if (kept == NULL)
		return;
	memcpy(kept, message->types, message->type_count * sizeof(*kept));
	record_present(&record->head, DNS_HAS_TYPES);
}

static void
dns_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	uint16_t types[DNS_RRS_MAX];
	struct dns_message message = { .ctx = ctx, .types = types };
	struct dns_header header;
	const struct dns_config *config = ctx->config;
	uint64_t told;
	bool cut = false, emit;

	if (ctx->tcp) {
		uint32_t len = cursor_be16(&pdu);

		ctx->skip_len = len > cursor_left(&pdu) ? len - (uint32_t)cursor_left(&pdu) : 0;
		cut = ctx->skip_len > 0;
		counter_add(&ctx->counters[DNS_COUNT_CUT], cut);
	}
	message.whole = message.in = pdu;
	header = dns_header_read(&message.in);
	if (message.in.short_read)
		return;
	message.record = record_begin(ctx->record, &dns_table);
	put_header(&message, &header);
	check_header(&message);
	if (message.record->type == 0)
		open_request(&message);
	else
		answer_request(&message);
	told = ctx->events;
	if (dns_sections_read(&message, &header) && cursor_left(&message.in) > 0)
		proto_event(ctx, DNS_EVENT_TRAILING_BYTES);
	if (cut) /* the end is not here, which is nobody's fault */
		ctx->events = told;
	if (message.record->queries.count > 0)
		record_present(&message.record->head, message.record->type == 0 ? DNS_HAS_REQUEST : DNS_HAS_RESPONSE);
	put_types(&message);
	emit = message.record->type == 0 ? config->requests : config->responses;
	proto_deliver(ctx, PROTO_MATCH | (emit ? PROTO_EMIT : 0), message.record->tx_id + 1);
}

static void
dns_end(struct proto_ctx *ctx)
{
	const struct dns_state *state = ctx->state;

	for (unsigned int i = 0; i < DNS_OPEN_MAX; i++)
		if (state->open[i].waits)
			counter_add(&ctx->counters[DNS_COUNT_UNANSWERED], 1);
}

static const uint16_t dns_ports[] = { 53, DNS_PORT_MDNS, DNS_PORT_LLMNR, 0 };

extern const struct proto dns_proto;
const struct proto dns_proto = {
	.app = {
		.name = "dns",
		.record = &dns_table,
		.events = dns_events,
		.event_count = DNS_EVENT_COUNT,
		.buffers = dns_buffers,
		.buffer_count = DNS_BUFFER_COUNT,
		.aliases = dns_aliases,
		.alias_count = DNS_ALIAS_COUNT,
		.from_sender = true,
	},
	.transports = PROTO_TCP | PROTO_UDP,
	.counts_transactions = true,
	.ports = dns_ports,
	.pdu_len_min = DNS_PREFIX_LEN + DNS_HEADER_LEN,
	.probe = dns_probe,
	.probe_datagram = dns_probe_datagram,
	.sender_is_server = dns_sender_is_server,
	.frame = dns_frame,
	.frame_datagram = dns_frame_datagram,
	.parse = dns_parse,
	.end = dns_end,
	.state_len = sizeof(struct dns_state),
	.knobs = &dns_knobs,
	.config_len = sizeof(struct dns_config),
	.counters = dns_counters,
	.counter_count = DNS_COUNTER_COUNT,
};
