/*
 * IEC 60870-5-104: finding APDUs, recognising the protocol, and the way of one APDU
 * (60870-5-104 5).
 */
#include "proto/iec104/iec104.h"

#include <assert.h>
#include <errno.h>

enum {
	FORMAT_BIT = 0x01,  /* of the first control octet: not an I format */
	FORMAT_MASK = 0x03,
	RESERVED_BIT = 0x01, /* of the third control octet, in I and S formats */
	VSQ_LEN = 2,        /* type and variable structure qualifier: what a probe needs of an ASDU */
	ASDU_MIN = 4,       /* type, qualifier, cause and common address of one octet each */
	PROBE_APDUS_MAX = 4, /* looked at in the first bytes of a flow */
	CAUSE_MASK = 0x3f,
};

struct apci {
	uint8_t start;
	uint8_t length;
	uint8_t control[IEC104_CONTROL_LEN];
};

static struct apci
read_apci(struct cursor *in)
{
	struct apci apci;

	apci.start = cursor_u8(in);
	apci.length = cursor_u8(in);
	for (unsigned int i = 0; i < IEC104_CONTROL_LEN; i++)
		apci.control[i] = cursor_u8(in);
	return apci;
}

static enum iec104_format
format_of(uint8_t control)
{
	if ((control & FORMAT_BIT) == 0)
		return IEC104_FORMAT_I;
	return (control & FORMAT_MASK) == FORMAT_MASK ? IEC104_FORMAT_U : IEC104_FORMAT_S;
}

static uint16_t
number_of(uint8_t low, uint8_t high)
{
	return (uint16_t)(low >> 1 | high << 7);
}

static bool
is_u_function(uint8_t function)
{
	return function != 0 && (function & (function - 1)) == 0;
}

/* Whether the bits that the standard sets to 0 are 0, and a U format has one function. */
static bool
is_canonical(const struct apci *apci)
{
	const uint8_t *control = apci->control;

	switch (format_of(control[0])) {
	case IEC104_FORMAT_I:
		return (control[2] & RESERVED_BIT) == 0;
	case IEC104_FORMAT_S:
		return control[0] == 1 && control[1] == 0 && (control[2] & RESERVED_BIT) == 0;
	default:
		return is_u_function(control[0] & (uint8_t)~FORMAT_MASK) && (control[1] | control[2] | control[3]) == 0;
	}
}

/*
 * An I format must have room for an ASDU's identifier; the others have none, unless all their bits are as they should
 * be: then the length is the anomaly to tell.
 */
static bool
is_plausible(const struct apci *apci)
{
	if (apci->start != IEC104_START || apci->length < IEC104_CONTROL_LEN || apci->length > IEC104_LENGTH_MAX)
		return false;
	if (format_of(apci->control[0]) == IEC104_FORMAT_I)
		return (apci->control[2] & RESERVED_BIT) == 0;
	return apci->length == IEC104_CONTROL_LEN || is_canonical(apci);
}

static int
iec104_frame(struct cursor in, bool to_server)
{
	struct apci apci = read_apci(&in);

	(void)to_server;
	if (in.short_read)
		return 0;
	return is_plausible(&apci) ? IEC104_APCI_LEN - IEC104_CONTROL_LEN + apci.length : -EBADMSG;
}

/* ---- which protocol it is ---- */

/* Whether an ASDU's type, number of objects, cause and length agree. in: from the type on, maybe not all of it. */
static bool
asdu_is_likely(struct cursor in, uint32_t len)
{
	uint8_t type_id = cursor_u8(&in);
	uint8_t vsq = cursor_u8(&in);
	uint8_t cause = cursor_u8(&in) & CAUSE_MASK;
	const struct iec104_type *type = &iec104_types[type_id & (IEC104_TYPE_COUNT - 1)];

	if (len < ASDU_MIN || type_id >= IEC104_TYPE_COUNT || type->name == NULL || (vsq & 0x7f) == 0 || cause == 0)
		return false;
	return iec104_lengths_fit(type_id, vsq, len) != 0 && (type->causes >> cause & 1) != 0;
}

/* One APDU at the start of in, which is consumed when it is whole. */
static enum proto_probe
probe_one(struct cursor *in)
{
	size_t left = cursor_left(in);
	struct apci apci = read_apci(in);
	struct cursor asdu = *in;
	uint32_t asdu_len;

	if (in->short_read)
		return left >= 1 && apci.start != IEC104_START ? PROTO_PROBE_NO
			: left >= 2 && (apci.length < IEC104_CONTROL_LEN || apci.length > IEC104_LENGTH_MAX)
			? PROTO_PROBE_NO
			: PROTO_PROBE_MORE;
	if (!is_plausible(&apci) || !is_canonical(&apci))
		return PROTO_PROBE_NO;
	asdu_len = apci.length - IEC104_CONTROL_LEN;
	if (format_of(apci.control[0]) != IEC104_FORMAT_I)
		return asdu_len == 0 ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	if (cursor_left(&asdu) <= VSQ_LEN)
		return asdu_len < ASDU_MIN ? PROTO_PROBE_NO : PROTO_PROBE_MORE;
	if (!asdu_is_likely(asdu, asdu_len))
		return PROTO_PROBE_NO;
	cursor_skip(in, asdu_len);
	return PROTO_PROBE_YES;
}

static enum proto_probe
iec104_probe(struct cursor in, bool to_server, bool on_port)
{
	enum proto_probe verdict = probe_one(&in);

	(void)to_server;
	(void)on_port;
	/* What follows must be APDUs too. */
	for (unsigned int i = 1; i < PROBE_APDUS_MAX && verdict == PROTO_PROBE_YES && cursor_left(&in) > 0; i++) {
		struct apci apci;

		if (cursor_left(&in) < IEC104_APCI_LEN)
			break;
		apci = read_apci(&in);
		if (!is_plausible(&apci))
			return PROTO_PROBE_NO;
		cursor_skip(&in, apci.length - IEC104_CONTROL_LEN);
	}
	return verdict;
}

/* The controlled station listens. It sends what was measured and confirms. */
static int
iec104_sender_is_server(struct cursor in)
{
	enum { CLIENT_FUNCTIONS = IEC104_STARTDT_ACT | IEC104_STOPDT_ACT };
	enum { SERVER_FUNCTIONS = IEC104_STARTDT_CON | IEC104_STOPDT_CON };
	struct apci apci = read_apci(&in);
	const struct iec104_type *type;
	uint8_t cause;

	if (in.short_read || !is_plausible(&apci))
		return -1;
	if (format_of(apci.control[0]) == IEC104_FORMAT_U && (apci.control[0] & SERVER_FUNCTIONS) != 0)
		return 1;
	if (format_of(apci.control[0]) == IEC104_FORMAT_U && (apci.control[0] & CLIENT_FUNCTIONS) != 0)
		return 0;
	if (format_of(apci.control[0]) != IEC104_FORMAT_I)
		return -1;
	type = &iec104_types[cursor_u8(&in) & (IEC104_TYPE_COUNT - 1)];
	cursor_skip(&in, 1);
	cause = cursor_u8(&in) & CAUSE_MASK;
	if (in.short_read)
		return -1;
	if (type->category == IEC104_PROCESS_MONITOR || type->category == IEC104_SYSTEM_MONITOR)
		return 1;
	if (cause == IEC104_CAUSE_ACT || cause == IEC104_CAUSE_DEACT)
		return 0;
	return cause == IEC104_CAUSE_ACTCON || cause == IEC104_CAUSE_DEACTCON || cause == IEC104_CAUSE_ACTTERM ? 1 : -1;
}

/* ---- one APDU ---- */

static struct iec104_record *
begin_record(struct proto_ctx *ctx, const struct apci *apci)
{
	struct iec104_record *record = record_begin(ctx->record, &iec104_record_table);

	record->apci_type = (uint8_t)format_of(apci->control[0]);
	record->apdu_len = apci->length;
	record_present(&record->head, IEC104_HAS_APCI);
	if (record->apci_type == IEC104_FORMAT_U)
		return record;
	record->rsn = number_of(apci->control[2], apci->control[3]);
	record_present(&record->head, IEC104_HAS_RSN);
	return record;
}

static void
parse_i(struct proto_ctx *ctx, const struct apci *apci, struct cursor asdu)
{
	struct iec104_state *state = ctx->state;
	struct iec104_record *record = begin_record(ctx, apci);
	uint16_t common_address;
	bool monitors;

	counter_add(&ctx->counters[IEC104_I_FRAMES], 1);
	record->ssn = number_of(apci->control[0], apci->control[1]);
	record_present(&record->head, IEC104_HAS_SSN);
	iec104_sequence_i(ctx, record->ssn, record->rsn);
	iec104_asdu_parse(ctx, record, asdu);
	common_address = record->common_address;
	monitors = record->category == IEC104_PROCESS_MONITOR || record->category == IEC104_SYSTEM_MONITOR;
	proto_deliver(ctx, PROTO_MATCH | PROTO_EMIT, 0);
	if (monitors && !state->direction_told)
		iec104_identity_tell(ctx, common_address);
}

static void
parse_s(struct proto_ctx *ctx, const struct apci *apci)
{
	const struct iec104_config *config = ctx->config;
	struct iec104_record *record = begin_record(ctx, apci);

	counter_add(&ctx->counters[IEC104_S_FRAMES], 1);
	iec104_sequence_s(ctx, record->rsn);
	proto_deliver(ctx, config->log_supervisory ? PROTO_MATCH | PROTO_EMIT : PROTO_MATCH, 0);
}

static void
parse_u(struct proto_ctx *ctx, const struct apci *apci)
{
	enum { TESTS = IEC104_TESTFR_ACT | IEC104_TESTFR_CON };
	const struct iec104_config *config = ctx->config;
	struct iec104_record *record = begin_record(ctx, apci);
	bool quiet;

	counter_add(&ctx->counters[IEC104_U_FRAMES], 1);
	record->u_function = apci->control[0] & (uint8_t)~FORMAT_MASK;
	record_present(&record->head, IEC104_HAS_U);
	if (is_u_function(record->u_function))
		iec104_sequence_u(ctx, record->u_function);
	else
		proto_event(ctx, IEC104_EVENT_INVALID_U_FUNCTION);
	quiet = !config->log_supervisory && (record->u_function & TESTS) != 0;
	proto_deliver(ctx, quiet ? PROTO_MATCH : PROTO_MATCH | PROTO_EMIT, 0);
}

static void
iec104_parse(struct proto_ctx *ctx, struct cursor pdu)
{
	struct apci apci = read_apci(&pdu);
	enum iec104_format format = format_of(apci.control[0]);

	if (pdu.short_read)
		return;
	if (format == IEC104_FORMAT_I) {
		parse_i(ctx, &apci, pdu);
		return;
	}
	if (cursor_left(&pdu) > 0)
		proto_event(ctx, IEC104_EVENT_INVALID_LENGTH);
	if (format == IEC104_FORMAT_S) {
		if (!is_canonical(&apci))
			proto_event(ctx, IEC104_EVENT_RESERVED_CONTROL);
		parse_s(ctx, &apci);
		return;
	}
	if ((apci.control[1] | apci.control[2] | apci.control[3]) != 0)
		proto_event(ctx, IEC104_EVENT_RESERVED_CONTROL);
	parse_u(ctx, &apci);
}

/* Bytes of this direction are missing: its numbers are learned anew, and so is what it acknowledged. */
static void
iec104_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct iec104_state *state = ctx->state;

	(void)missing;
	state->sequences[ctx->to_server].next_known = false;
	state->sequences[!ctx->to_server].acked_known = false;
	state->file.known = false;
	state->file.section_known = false;
	state->command_seen = false;
}

static void
iec104_end(struct proto_ctx *ctx)
{
	iec104_command_end(ctx);
}

static const uint16_t ports[] = { 2404, 0 };

static const struct counter_desc counters[IEC104_COUNTERS_END] = {
	[IEC104_I_FRAMES] = { "app_layer.iec104.i_frames", "APDUs of I format: information" },
	[IEC104_S_FRAMES] = { "app_layer.iec104.s_frames", "APDUs of S format: acknowledgements" },
	[IEC104_U_FRAMES] = { "app_layer.iec104.u_frames", "APDUs of U format: start, stop, test" },
	[IEC104_OBJECTS] = { "app_layer.iec104.objects", "information objects read" },
	[IEC104_COMMANDS] = { "app_layer.iec104.commands", "activations" },
	[IEC104_COMMANDS_CONFIRMED] = { "app_layer.iec104.commands_confirmed", "positive confirmations" },
	[IEC104_COMMANDS_REFUSED] = { "app_layer.iec104.commands_refused", "negative confirmations and refusals" },
	[IEC104_COMMANDS_SHED] = { "app_layer.iec104.commands_shed", "commands no longer followed, as too many were open" },
	[IEC104_SEQUENCE_ERRORS] = { "app_layer.iec104.sequence_errors", "sequence numbers that did not follow" },
	[IEC104_LENGTHS_RELEARNED] = { "app_layer.iec104.lengths_relearned", "times a flow's field lengths were found anew" },
};

static const char *const two_lengths[] = { "auto", "1", "2", NULL };
static const char *const three_lengths[] = { "auto", "1", "2", "3", NULL };

#define KNOB(key) "app-layer.protocols.iec104." key
#define AT(member) offsetof(struct iec104_config, member)
static const struct knob knobs[] = {
	{ KNOB("log-supervisory"), KNOB_BOOL, AT(log_supervisory), 0, 0, "no", NULL,
		"write an event for acknowledgements (S format) and link tests (TESTFR) too" },
	{ KNOB("cot-length"), KNOB_CHOICE, AT(cot_len), 0, 0, "auto", two_lengths,
		"octets of the cause of transmission; auto: found out for each flow" },
	{ KNOB("ca-length"), KNOB_CHOICE, AT(ca_len), 0, 0, "auto", two_lengths, "octets of the common address" },
	{ KNOB("ioa-length"), KNOB_CHOICE, AT(ioa_len), 0, 0, "auto", three_lengths,
		"octets of the information object address" },
	{ KNOB("k"), KNOB_NUMBER, AT(k), 1, 32767, "12", NULL, "APDUs of I format that may wait for acknowledgement" },
	{ KNOB("w"), KNOB_NUMBER, AT(w), 1, 32767, "8", NULL, "APDUs of I format that one acknowledgement may cover" },
	{ KNOB("command-timeout"), KNOB_NUMBER, AT(command_timeout_s), 1, 3600, "60", NULL,
		"seconds that a command is followed" },
};
static const struct knob_table knob_table = { "iec104", knobs, sizeof(knobs) / sizeof(knobs[0]) };

static_assert(sizeof(struct iec104_state) <= 1024, "a flow that speaks IEC 104 costs one small block");

const struct proto iec104_proto = {
	.app = { .name = "iec104", .record = &iec104_record_table, .events = iec104_events,
		.event_count = IEC104_EVENT_COUNT, .keywords = iec104_keywords, .keyword_count = IEC104_KEYWORD_COUNT,
		.keyword_index = iec104_keyword_index },
	.transports = PROTO_TCP,
	.ports = ports,
	.pdu_len_min = IEC104_APCI_LEN,
	.probe = iec104_probe,
	.starts = { { 0x68, 0x68 } },
	.start_count = 1,
	.sender_is_server = iec104_sender_is_server,
	.frame = iec104_frame,
	.parse = iec104_parse,
	.gap = iec104_gap,
	.end = iec104_end,
	.kind = "type_id",
	.state_len = sizeof(struct iec104_state),
	.counters = counters,
	.counter_count = IEC104_COUNTERS_END,
	.knobs = &knob_table,
	.config_len = sizeof(struct iec104_config),
};
