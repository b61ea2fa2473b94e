/* The outstation's application layer: IEEE 1815-2012 clauses 4 and 5, objects of annex A. */
#include <string.h>

#include "app/bench/plant/dnp3.h"
#include "app/bench/plant/wire.h"

enum {
	IIN_CLASS_EVENTS = 0x0e00,
	IIN_NEED_TIME = 0x1000,
	IIN_DEVICE_RESTART = 0x8000,
	IIN_NO_FUNC_CODE = 0x0001,
	IIN_PARAMETER_ERROR = 0x0004,
	FLAG_ONLINE = 0x01,
	FLAG_STATE = 0x80,
	QUALIFIER_RANGE8 = 0x00,
	QUALIFIER_RANGE16 = 0x01,
	QUALIFIER_ALL = 0x06,
	QUALIFIER_COUNT8 = 0x07,
	QUALIFIER_COUNT16 = 0x08,
	QUALIFIER_INDEX8 = 0x17,
	QUALIFIER_FREE = 0x5b,
	POINT_LEN_MAX = 12,
	HEADER_LEN_MAX = 8,
	GROUP_FILE = 70,
	GROUP_CLASS = 60,
	GROUP_IIN = 80,
	GROUP_TIME = 50,
	GROUP_DELAY = 52,
	GROUP_ATTRIBUTE = 0,
	FILE_BLOCK_LEN = 512,
	FILE_LEN = 1500,
	RESTART_DELAY_S = 12,
	REQUEST_HEADERS_MAX = 16,
};

static uint32_t
point_value(const struct plant_outstation *o, uint8_t group, uint16_t index, uint64_t now_ns)
{
	uint64_t shape = plant_random_mix(o->seed + ((uint64_t)group << 16 | index));
	uint64_t now_ms = now_ns / 1000000;
	uint64_t period_ms = 30000 + shape % 120000;
	uint64_t phase_ms = (now_ms + (shape >> 16)) % period_ms;
	uint64_t rise_ms = phase_ms * 2 < period_ms ? phase_ms : period_ms - phase_ms;

	return (uint32_t)(1000 + (shape >> 40) % 20000 + (200 + (shape >> 24) % 2000) * rise_ms / period_ms);
}

static void
put_flag_state(const struct plant_outstation *o, uint8_t group, uint16_t index, struct buf *out, uint64_t now_ns)
{
	put_u8(out, FLAG_ONLINE | ((point_value(o, group, index, now_ns) >> 6 & 1) != 0 ? FLAG_STATE : 0));
}

static void
put_flag_value32(const struct plant_outstation *o, uint8_t group, uint16_t index, struct buf *out, uint64_t now_ns)
{
	put_u8(out, FLAG_ONLINE);
	put_le32(out, point_value(o, group, index, now_ns));
}

static void
put_flag_counter(const struct plant_outstation *o, uint8_t group, uint16_t index, struct buf *out, uint64_t now_ns)
{
	put_u8(out, FLAG_ONLINE);
	put_le32(out, (uint32_t)(now_ns / UINT64_C(1000000000) * (index + 1u)));
}

static void
put_flag_value16(const struct plant_outstation *o, uint8_t group, uint16_t index, struct buf *out, uint64_t now_ns)
{
	put_u8(out, FLAG_ONLINE);
	put_le16(out, (uint16_t)point_value(o, group, index, now_ns));
}

static void
put_flag_float(const struct plant_outstation *o, uint8_t group, uint16_t index, struct buf *out, uint64_t now_ns)
{
	float value = (float)point_value(o, group, index, now_ns) / 16.0f;
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	put_u8(out, FLAG_ONLINE);
	put_le32(out, bits);
}

typedef void put_point_fn(
	const struct plant_outstation *o, uint8_t group, uint16_t index, struct buf *out, uint64_t now_ns);

/* Kinds of static points in the order that class 0 reports them. */
static const struct point_kind {
	uint8_t group, variation;
	uint8_t share; /* of the outstation's size, in eighths */
	put_point_fn *put;
} kinds[PLANT_DNP3_KIND_COUNT] = {
	{ 1, 2, 8, put_flag_state },
	{ 3, 2, 1, put_flag_state },
	{ 10, 2, 4, put_flag_state },
	{ 20, 1, 2, put_flag_counter },
	{ 21, 1, 2, put_flag_counter },
	{ 30, 2, 4, put_flag_value16 },
	{ 30, 5, 8, put_flag_float },
	{ 40, 1, 1, put_flag_value32 },
};

/* Kinds of events; all with an 8-bit index in front and the time behind. */
static const struct event_kind {
	uint8_t group, variation;
	uint8_t static_kind; /* whose points change */
	put_point_fn *put;
} events[] = {
	{ 2, 2, 0, put_flag_state },
	{ 4, 2, 1, put_flag_state },
	{ 11, 2, 2, put_flag_state },
	{ 22, 5, 3, put_flag_counter },
	{ 32, 3, 5, put_flag_value32 },
	{ 32, 7, 6, put_flag_float },
};

void
plant_outstation_init(struct plant_outstation *o, uint64_t seed, uint16_t size)
{
	*o = (struct plant_outstation){ .seed = seed, .iin = IIN_DEVICE_RESTART | IIN_NEED_TIME };
	for (unsigned int i = 0; i < PLANT_DNP3_KIND_COUNT; i++)
		o->points[i] = (uint16_t)(size * kinds[i].share / 8 + 1);
}

static void
put_control(struct plant_outstation *o, struct buf *out, uint8_t control)
{
	put_u8(out, (o->first ? DNP3_FIR : 0) | control | o->seq);
	put_u8(out, DNP3_RESPONSE);
	put_be16(out, o->iin);
	o->first = false;
}

/* As many points as fit; where they do not all fit, the next fragment goes on. */
bool
plant_outstation_more(struct plant_outstation *o, struct buf *out, uint64_t now_ns)
{
	size_t control_at = out->len;

	put_control(o, out, 0);
	while (o->kind < o->kind_end) {
		const struct point_kind *kind = &kinds[o->kind];
		size_t room = PLANT_DNP3_FRAGMENT_LEN_MAX - (out->len - control_at);
		uint16_t stop;

		if (room < HEADER_LEN_MAX + POINT_LEN_MAX)
			break;
		stop = (uint16_t)(o->index + (room - HEADER_LEN_MAX) / POINT_LEN_MAX);
		if (stop > o->points[o->kind])
			stop = o->points[o->kind];
		plant_dnp3_header(out, kind->group, kind->variation, QUALIFIER_RANGE16);
		put_le16(out, o->index);
		put_le16(out, (uint16_t)(stop - 1));
		for (; o->index < stop; o->index++)
			kind->put(o, kind->group, o->index, out, now_ns);
		if (o->index < o->points[o->kind])
			break;
		o->kind++;
		o->index = 0;
	}
	o->more = o->kind < o->kind_end;
	if (!out->full) /* the last fragment is final, those before it ask to be confirmed */
		out->data[control_at] = (char)(out->data[control_at] | (o->more ? DNP3_CON : DNP3_FIN));
	o->seq = (o->seq + 1) & 0x0f;
	return o->more;
}

static void
put_events(struct plant_outstation *o, struct buf *out, unsigned int count, uint64_t now_ns)
{
	for (unsigned int i = 0; i < count; i++) {
		uint16_t number = o->event_index++;
		const struct event_kind *event = &events[number % (sizeof(events) / sizeof(events[0]))];
		uint16_t point = number % o->points[event->static_kind];

		plant_dnp3_header(out, event->group, event->variation, QUALIFIER_INDEX8);
		put_u8(out, 1);
		put_u8(out, (uint8_t)point);
		event->put(o, event->group, point, out, now_ns);
		put_le48(out, now_ns / 1000000 - 15 * (uint64_t)(number % 7));
	}
}

void
plant_outstation_unsolicited(struct plant_outstation *o, uint8_t seq, struct buf *out, uint64_t now_ns)
{
	put_u8(out, DNP3_FIR | DNP3_FIN | DNP3_CON | DNP3_UNS | (seq & 0x0f));
	put_u8(out, DNP3_UNSOLICITED_RESPONSE);
	put_be16(out, o->iin);
	put_events(o, out, 1 + o->event_index % 3, now_ns);
}

static void
skip_range(struct cursor *in, uint8_t qualifier)
{
	static const uint8_t range_len[16] = { [0] = 2, [1] = 4, [2] = 8, [7] = 1, [8] = 2, [9] = 4, [11] = 1 };

	cursor_skip(in, range_len[qualifier & 0x0f]);
}

static void
put_attribute(struct buf *out, uint8_t variation, const char *text)
{
	plant_dnp3_header(out, GROUP_ATTRIBUTE, variation, QUALIFIER_RANGE8);
	put_be16(out, 0); /* attribute set 0: start, stop */
	put_u8(out, 1); /* visible string */
	put_u8(out, (uint8_t)strlen(text));
	buf_puts(out, text);
}

static void
put_file_block(struct plant_outstation *o, struct cursor *in, struct buf *out)
{
	uint32_t handle, block;
	uint32_t at, len;

	cursor_skip(in, 3); /* count, size */
	handle = cursor_le32(in);
	block = cursor_le32(in);
	at = block * FILE_BLOCK_LEN;
	len = at >= o->file_len ? 0 : o->file_len - at;
	len = len > FILE_BLOCK_LEN ? FILE_BLOCK_LEN : len;
	plant_dnp3_header(out, GROUP_FILE, 5, QUALIFIER_FREE);
	put_u8(out, 1);
	put_le16(out, (uint16_t)(8 + len));
	put_le32(out, handle);
	put_le32(out, block | (at + len >= o->file_len ? 0x80000000u : 0)); /* the last block */
	for (uint32_t i = 0; i < len; i++)
		put_u8(out, (uint8_t)plant_random_mix(o->seed + at + i));
}

/* A read of one group: its kinds of static points. */
static void
read_group(struct plant_outstation *o, uint8_t group)
{
	for (uint8_t i = 0; i < PLANT_DNP3_KIND_COUNT; i++) {
		if (kinds[i].group != group)
			continue;
		if (o->kind_end == 0)
			o->kind = i;
		o->kind_end = i + 1;
	}
}

static bool
answer_read(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	size_t control_at = out->len;

	o->kind = o->kind_end = 0;
	o->index = 0;
	put_control(o, out, DNP3_FIN);
	for (unsigned int i = 0; i < REQUEST_HEADERS_MAX && cursor_left(in) >= 3; i++) {
		uint8_t group = cursor_u8(in);
		uint8_t variation = cursor_u8(in);
		uint8_t qualifier = cursor_u8(in);

		if (group == GROUP_FILE) {
			put_file_block(o, in, out);
			return false;
		}
		skip_range(in, qualifier);
		if (group == GROUP_ATTRIBUTE) {
			put_attribute(out, 252, "Halden Automation");
			put_attribute(out, 250, "RTU 4400");
		} else if (group != GROUP_CLASS) {
			read_group(o, group);
		} else if (variation == 1) {
			o->kind = 0;
			o->kind_end = PLANT_DNP3_KIND_COUNT;
		} else {
			put_events(o, out, o->event_index % 3, now_ns);
			o->event_index++;
		}
	}
	if (o->kind < o->kind_end) {
		out->len = control_at; /* events wait for the next poll, static data comes in fragments */
		o->first = true;
		return plant_outstation_more(o, out, now_ns);
	}
	if (out->len > control_at + 4 && !out->full)
		out->data[control_at] = (char)(out->data[control_at] | DNP3_CON); /* events want confirming */
	return false;
}

static void
put_file_status(struct plant_outstation *o, struct buf *out, uint8_t variation)
{
	plant_dnp3_header(out, GROUP_FILE, variation, QUALIFIER_FREE);
	put_u8(out, 1);
	put_le16(out, variation == 4 ? 13 : 9);
	put_le32(out, o->file_handle);
	put_le32(out, variation == 4 ? o->file_len : 0);
	if (variation == 4) {
		put_le16(out, FILE_BLOCK_LEN);
		put_le16(out, 0);
	}
	put_u8(out, 0); /* success */
}

static bool
answer_write(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	uint8_t group = cursor_u8(in);

	if (group == GROUP_IIN)
		o->iin &= (uint16_t)~IIN_DEVICE_RESTART;
	else if (group == GROUP_TIME)
		o->iin &= (uint16_t)~IIN_NEED_TIME;
	put_control(o, out, DNP3_FIN);
	if (group == GROUP_FILE)
		put_file_status(o, out, 6);
	return false;
}

static bool
answer_echo(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	size_t len = cursor_left(in);

	put_control(o, out, DNP3_FIN);
	buf_put(out, cursor_take(in, len), len);
	return false;
}

static bool
answer_nothing(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	return false;
}

static bool
answer_null(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	put_control(o, out, DNP3_FIN);
	return false;
}

static bool
answer_restart(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	put_control(o, out, DNP3_FIN);
	plant_dnp3_header(out, GROUP_DELAY, 1, QUALIFIER_COUNT8); /* coarse: seconds */
	put_u8(out, 1);
	put_le16(out, RESTART_DELAY_S);
	o->iin |= IIN_DEVICE_RESTART | IIN_NEED_TIME; /* seen from the next response on */
	o->unsolicited = false;
	return false;
}

static bool
answer_delay(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	put_control(o, out, DNP3_FIN);
	plant_dnp3_header(out, GROUP_DELAY, 2, QUALIFIER_COUNT8); /* fine: milliseconds */
	put_u8(out, 1);
	put_le16(out, 3);
	return false;
}

static bool
answer_enable(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	o->unsolicited = true;
	put_control(o, out, DNP3_FIN);
	return false;
}

static bool
answer_disable(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	o->unsolicited = false;
	put_control(o, out, DNP3_FIN);
	return false;
}

static bool
answer_file(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns)
{
	o->file_handle = (uint32_t)plant_random_mix(o->seed + now_ns);
	o->file_len = FILE_LEN;
	put_control(o, out, DNP3_FIN);
	put_file_status(o, out, 4);
	return false;
}

static const struct dnp3_service {
	uint8_t first, last; /* function codes */
	bool (*answer)(struct plant_outstation *o, struct cursor *in, struct buf *out, uint64_t now_ns);
} services[] = {
	{ DNP3_CONFIRM, DNP3_CONFIRM, answer_nothing }, { DNP3_READ, DNP3_READ, answer_read },
	{ DNP3_WRITE, DNP3_WRITE, answer_write }, { DNP3_SELECT, DNP3_DIRECT_OPERATE, answer_echo },
	{ DNP3_DIRECT_OPERATE_NR, DNP3_DIRECT_OPERATE_NR, answer_nothing }, { DNP3_FREEZE, DNP3_FREEZE, answer_null },
	{ 8, 8, answer_nothing }, /* immediate freeze, no response */
	{ 9, 9, answer_null }, { 10, 10, answer_nothing }, /* freeze and clear, no response */
	{ 11, 11, answer_null }, { 12, 12, answer_nothing }, /* freeze at time, no response */
	{ DNP3_COLD_RESTART, DNP3_WARM_RESTART, answer_restart },
	{ 15, 19, answer_null }, /* initialise, start, stop, save */
	{ DNP3_ENABLE_UNSOLICITED, DNP3_ENABLE_UNSOLICITED, answer_enable },
	{ DNP3_DISABLE_UNSOLICITED, DNP3_DISABLE_UNSOLICITED, answer_disable },
	{ DNP3_ASSIGN_CLASS, DNP3_ASSIGN_CLASS, answer_null }, { DNP3_DELAY_MEASURE, DNP3_DELAY_MEASURE, answer_delay },
	{ DNP3_RECORD_TIME, DNP3_RECORD_TIME, answer_null }, { DNP3_OPEN_FILE, DNP3_ABORT_FILE, answer_file },
	{ 31, 31, answer_null }, /* activate configuration */
};

bool
plant_outstation_answer(struct plant_outstation *o, struct cursor request, struct buf *out, uint64_t now_ns)
{
	uint8_t control = cursor_u8(&request);
	uint8_t function = cursor_u8(&request);
	uint16_t iin = o->iin;

	o->more = false;
	if (request.short_read)
		return false;
	o->seq = control & 0x0f;
	o->first = true;
	if (o->broken && function != DNP3_CONFIRM) {
		o->iin |= IIN_PARAMETER_ERROR;
		(void)answer_null(o, &request, out, now_ns);
		o->iin = iin;
		return false;
	}
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (function >= services[i].first && function <= services[i].last)
			return services[i].answer(o, &request, out, now_ns);
	o->iin |= IIN_NO_FUNC_CODE;
	(void)answer_null(o, &request, out, now_ns);
	o->iin = iin;
	return false;
}
