/*
 * Elements: the one interpreter of the layouts that iec104_types.c lists. Descriptor and
 * qualifier octets are a table of masks; the other kinds have a reader each.
 */
#include "proto/iec104/iec104.h"
#include "proto/iec104/iec104_shapes.h"

#include <assert.h>

static_assert((int)IEC104_VALUE_TIMESTAMP == (int)IEC104_COMMAND_TIMESTAMP &&
	      (int)IEC104_VALUE_TIMESTAMP == (int)IEC104_SYSTEM_TIMESTAMP &&
	      (int)IEC104_VALUE_TIMESTAMP == (int)IEC104_FILE_TIMESTAMP,
	"one reader of times serves every shape");
static_assert(sizeof(struct iec104_object) == 48 && offsetof(struct iec104_object, timestamp) == 32,
	"objects come in hundreds and are small");

enum {
	TIME_INVALID = 1, /* bits of iec104_object.time_flags */
	TIME_SUBSTITUTED = 2,
	TIME_SUMMER = 4,
	TEST_PATTERN = 0x55aa,
	YEAR_MAX = 99,
	NS_PER_MS = 1000000,
	MS_PER_MINUTE = 60000,
};

/*
 * An octet of fields, 60870-5-101 7.2.6. A qualifier from `most` + 1 up to below `private` is reserved, and so is one
 * below `least`.
 */
struct octet {
	uint8_t value;         /* mask of what goes to the object's value */
	uint8_t quality;       /* mask */
	uint8_t reserved;      /* mask: 0 by the standard */
	uint8_t qualifier;     /* mask */
	uint8_t qualifier_shift;
	uint8_t flag;          /* mask */
	uint8_t flag_shift;
	uint8_t least, most;   /* qualifiers that mean something */
	uint8_t private;       /* qualifiers from here on are the maker's; 0: none are */
	uint8_t states[4];     /* enum iec104_point_state of each value */
};

#define SINGLE .states = { IEC104_STATE_OFF, IEC104_STATE_ON }
#define POINTS(zero, three) \
	.states = { IEC104_STATE_##zero, IEC104_STATE_OFF, IEC104_STATE_ON, IEC104_STATE_##three }
#define STEPS \
	.states = { IEC104_STATE_NOT_PERMITTED, IEC104_STATE_LOWER, IEC104_STATE_HIGHER, IEC104_STATE_NOT_PERMITTED }

static const struct octet octets[IEC104_KIND_OCTETS] = {
	[IEC104_KIND_SIQ] = { .value = 0x01, .quality = 0xf0, .reserved = 0x0e, SINGLE },
	[IEC104_KIND_DIQ] = { .value = 0x03, .quality = 0xf0, .reserved = 0x0c, POINTS(INTERMEDIATE, INDETERMINATE) },
	[IEC104_KIND_QDS] = { .quality = 0xf1, .reserved = 0x0e },
	[IEC104_KIND_QDP] = { .quality = 0xf8, .reserved = 0x07 },
	[IEC104_KIND_SEP] = { .value = 0x03, .quality = 0xf8, .reserved = 0x04,
		POINTS(INDETERMINATE, INDETERMINATE) },
	[IEC104_KIND_SPE] = { .value = 0x3f, .reserved = 0xc0 },
	[IEC104_KIND_OCI] = { .value = 0x0f, .reserved = 0xf0 },
	[IEC104_KIND_SCO] = { .value = 0x01, .reserved = 0x02, .qualifier = 0x7c, .qualifier_shift = 2, .flag = 0x80,
		.flag_shift = 7, .most = 3, .private = 16, SINGLE },
	[IEC104_KIND_DCO] = { .value = 0x03, .qualifier = 0x7c, .qualifier_shift = 2, .flag = 0x80, .flag_shift = 7,
		.most = 3, .private = 16, POINTS(NOT_PERMITTED, NOT_PERMITTED) },
	[IEC104_KIND_RCO] = { .value = 0x03, .qualifier = 0x7c, .qualifier_shift = 2, .flag = 0x80, .flag_shift = 7,
		.most = 3, .private = 16, STEPS },
	[IEC104_KIND_QOS] = { .qualifier = 0x7f, .flag = 0x80, .flag_shift = 7, .private = 64 },
	[IEC104_KIND_COI] = { .qualifier = 0x7f, .flag = 0x80, .flag_shift = 7, .most = 2, .private = 32 },
	[IEC104_KIND_QOI] = { .qualifier = 0xff, .least = 20, .most = 36, .private = 64 },
	[IEC104_KIND_QCC] = { .qualifier = 0x3f, .flag = 0xc0, .flag_shift = 6, .least = 1, .most = 5, .private = 32 },
	[IEC104_KIND_QRP] = { .qualifier = 0xff, .least = 1, .most = 2, .private = 128 },
	[IEC104_KIND_QPM] = { .qualifier = 0x3f, .flag = 0xc0, .flag_shift = 6, .least = 1, .most = 4, .private = 32 },
	[IEC104_KIND_QPA] = { .qualifier = 0xff, .least = 1, .most = 3, .private = 128 },
	[IEC104_KIND_FRQ] = { .qualifier = 0x7f, .flag = 0x80, .flag_shift = 7, .private = 64 },
	[IEC104_KIND_SRQ] = { .qualifier = 0x7f, .flag = 0x80, .flag_shift = 7, .private = 64 },
	[IEC104_KIND_SCQ] = { .qualifier = 0x0f, .flag = 0xf0, .flag_shift = 4, .most = 7, .private = 11 },
	[IEC104_KIND_LSQ] = { .qualifier = 0xff, .least = 1, .most = 4, .private = 128 },
	[IEC104_KIND_AFQ] = { .qualifier = 0x0f, .flag = 0xf0, .flag_shift = 4, .least = 1, .most = 4, .private = 11 },
	[IEC104_KIND_SOF] = { .quality = 0xe0, .qualifier = 0x1f, .private = 16 },
};

static void
read_octet(struct iec104_walk *walk, const struct octet *octet)
{
	struct iec104_object *object = walk->object;
	uint8_t raw = cursor_u8(&walk->in);

	object->octet = raw;
	object->quality |= raw & octet->quality;
	if (octet->value != 0) {
		object->value.u8 = raw & octet->value;
		object->state = octet->states[object->value.u8 & 3];
		if (object->state == IEC104_STATE_NOT_PERMITTED)
			proto_event(walk->ctx, IEC104_EVENT_INVALID_VALUE);
	}
	if ((raw & octet->reserved) != 0)
		proto_event(walk->ctx, IEC104_EVENT_RESERVED_BITS);
	if (octet->qualifier == 0)
		return;
	object->qualifier = (uint8_t)((raw & octet->qualifier) >> octet->qualifier_shift);
	object->flag = (uint8_t)((raw & octet->flag) >> octet->flag_shift);
	if (object->qualifier < octet->least ||
		(object->qualifier > octet->most && (octet->private == 0 || object->qualifier < octet->private)))
		proto_event(walk->ctx, IEC104_EVENT_RESERVED_QUALIFIER);
}

/* Value with transient state: seven bits, signed. */
static void
read_vti(struct iec104_walk *walk)
{
	uint8_t raw = cursor_u8(&walk->in);

	walk->object->value.i8 = (int8_t)((raw & 0x3f) - (raw & 0x40));
	walk->object->flag = raw >> 7;
}

static void
read_u32(struct iec104_walk *walk)
{
	walk->object->value.u32 = cursor_le32(&walk->in);
}

static void
read_normalised(struct iec104_walk *walk)
{
	walk->object->raw = (int16_t)cursor_le16(&walk->in);
	walk->object->value.f32 = (float)walk->object->raw / 32768.0f;
}

static void
read_scaled(struct iec104_walk *walk)
{
	walk->object->value.i32 = (int16_t)cursor_le16(&walk->in);
}

static void
read_float(struct iec104_walk *walk)
{
	enum { EXPONENT = 0x7f800000 };

	read_u32(walk);
	if ((walk->object->value.u32 & EXPONENT) == EXPONENT)
		proto_event(walk->ctx, IEC104_EVENT_INVALID_FLOAT);
}

/* Binary counter reading: its octet is the sequence number, carry, adjusted and invalid. */
static void
read_counter(struct iec104_walk *walk)
{
	struct iec104_object *object = walk->object;

	read_u32(walk);
	object->octet = cursor_u8(&walk->in);
	object->qualifier = object->octet & 0x1f;
	object->quality = object->octet & 0xe0;
}

static void
read_status(struct iec104_walk *walk)
{
	walk->object->value.status.state = cursor_le16(&walk->in);
	walk->object->value.status.change = cursor_le16(&walk->in);
}

static void
read_test_pattern(struct iec104_walk *walk)
{
	walk->object->value.status.state = cursor_le16(&walk->in);
	if (walk->object->value.status.state != TEST_PATTERN)
		proto_event(walk->ctx, IEC104_EVENT_INVALID_TEST_PATTERN);
}

static void
read_test_counter(struct iec104_walk *walk)
{
	walk->object->value.status.state = cursor_le16(&walk->in);
}

static void
read_association(struct iec104_walk *walk)
{
	walk->object->raw = (int16_t)cursor_le16(&walk->in);
}

static void
read_cp16(struct iec104_walk *walk)
{
	walk->object->interval_ms = cursor_le16(&walk->in);
	if (walk->object->interval_ms >= MS_PER_MINUTE)
		proto_event(walk->ctx, IEC104_EVENT_INVALID_TIME);
}

/* The minute's octet, which the short and the long time share: 6 bits, substituted, invalid. */
static uint8_t
read_minute(struct iec104_walk *walk, uint8_t *flags)
{
	uint8_t raw = cursor_u8(&walk->in);

	*flags = (uint8_t)((raw & 0x80) != 0 ? TIME_INVALID : 0) | ((raw & 0x40) != 0 ? TIME_SUBSTITUTED : 0);
	return raw & 0x3f;
}

static void
read_cp24(struct iec104_walk *walk)
{
	uint32_t ms = cursor_le16(&walk->in);
	uint32_t minute = read_minute(walk, &walk->object->time_flags);

	walk->object->minute_ms = minute * MS_PER_MINUTE + ms;
	if ((ms >= MS_PER_MINUTE || minute >= 60) && (walk->object->time_flags & TIME_INVALID) == 0)
		proto_event(walk->ctx, IEC104_EVENT_INVALID_TIME);
}

/* Days since 1970-01-01, of a year from 1970 to 2069. A leap year every fourth is right for all of them. */
static uint32_t
days_of(uint32_t year, uint32_t month, uint32_t day)
{
	static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	uint32_t days = (year - 1970) * 365 + (year - 1969) / 4 + before[month - 1] + day - 1;

	return days + (month > 2 && year % 4 == 0 ? 1 : 0);
}

/* CP56Time2a, 60870-5-4 6.8 and 60870-5-101 7.2.6.18. @return whether it is a time */
static bool
read_long_time(struct iec104_walk *walk, uint64_t *ns, uint8_t *flags)
{
	static const uint8_t month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint32_t ms = cursor_le16(&walk->in);
	uint32_t minute = read_minute(walk, flags);
	uint8_t hour_raw = cursor_u8(&walk->in);
	uint8_t day = cursor_u8(&walk->in) & 0x1f; /* the day of the week is in the high bits */
	uint8_t month_raw = cursor_u8(&walk->in);
	uint8_t year_raw = cursor_u8(&walk->in);
	uint32_t hour = hour_raw & 0x1f, month = month_raw & 0x0f, year = year_raw & 0x7f;
	bool is_time;

	if ((hour_raw & 0x80) != 0)
		*flags |= TIME_SUMMER;
	if ((hour_raw & 0x60) != 0 || (month_raw & 0xf0) != 0 || (year_raw & 0x80) != 0)
		proto_event(walk->ctx, IEC104_EVENT_RESERVED_BITS);
	is_time = ms < MS_PER_MINUTE && minute < 60 && hour < 24 && month >= 1 && month <= 12 && day >= 1 &&
		day <= month_days[month - 1];
	if ((!is_time || year > YEAR_MAX) && (*flags & TIME_INVALID) == 0)
		proto_event(walk->ctx, IEC104_EVENT_INVALID_TIME);
	if (!is_time)
		return false;
	/* From 100 on it is no year by the standard, but some stations count from 1900. */
	year += year < 70 ? 2000 : 1900;
	*ns = ((((uint64_t)days_of(year, month, day) * 24 + hour) * 60 + minute) * MS_PER_MINUTE + ms) * NS_PER_MS;
	return true;
}

static void
read_cp56(struct iec104_walk *walk)
{
	if (!read_long_time(walk, &walk->object->timestamp, &walk->object->time_flags))
		walk->present &= ~(UINT64_C(1) << IEC104_VALUE_TIMESTAMP);
}

/* ---- file transfer; the object is a struct iec104_object_file ---- */

static struct iec104_object_file *
file_of(struct iec104_walk *walk)
{
	return (struct iec104_object_file *)walk->object;
}

static void
read_cp56_stop(struct iec104_walk *walk)
{
	uint8_t flags;

	if (!read_long_time(walk, &file_of(walk)->stop_timestamp, &flags))
		walk->present &= ~(UINT64_C(1) << IEC104_FILE_STOP);
}

static void
read_file_name(struct iec104_walk *walk)
{
	file_of(walk)->nof = cursor_le16(&walk->in);
}

static void
read_section_name(struct iec104_walk *walk)
{
	file_of(walk)->nos = cursor_u8(&walk->in);
}

static void
read_file_length(struct iec104_walk *walk)
{
	file_of(walk)->length = cursor_le24(&walk->in);
}

static void
read_checksum(struct iec104_walk *walk)
{
	file_of(walk)->chs = cursor_u8(&walk->in);
}

/* The length of a segment and its octets; fewer than it says are kept, and the length is told. */
static void
read_segment(struct iec104_walk *walk)
{
	struct iec104_object_file *file = file_of(walk);
	size_t len;

	file->length = cursor_u8(&walk->in);
	len = cursor_left(&walk->in);
	if (len < file->length)
		proto_event(walk->ctx, IEC104_EVENT_INVALID_LENGTH);
	else
		len = file->length;
	if (len > 0)
		record_put_bytes(walk->ctx->record, &file->data, cursor_take(&walk->in, len), (uint32_t)len);
}

/* Size on the wire and reader of the kinds that are no octets of fields. */
static const struct {
	uint8_t size;
	void (*read)(struct iec104_walk *);
} readers[IEC104_KIND_COUNT] = {
	[IEC104_KIND_VTI] = { 1, read_vti },
	[IEC104_KIND_BSI] = { 4, read_u32 },
	[IEC104_KIND_NVA] = { 2, read_normalised },
	[IEC104_KIND_SVA] = { 2, read_scaled },
	[IEC104_KIND_R32] = { 4, read_float },
	[IEC104_KIND_BCR] = { 5, read_counter },
	[IEC104_KIND_SCD] = { 4, read_status },
	[IEC104_KIND_FBP] = { 2, read_test_pattern },
	[IEC104_KIND_TSC] = { 2, read_test_counter },
	[IEC104_KIND_AID] = { 2, read_association },
	[IEC104_KIND_CP16] = { 2, read_cp16 },
	[IEC104_KIND_CP24] = { 3, read_cp24 },
	[IEC104_KIND_CP56] = { 7, read_cp56 },
	[IEC104_KIND_CP56_STOP] = { 7, read_cp56_stop },
	[IEC104_KIND_NOF] = { 2, read_file_name },
	[IEC104_KIND_NOS] = { 1, read_section_name },
	[IEC104_KIND_LOF] = { 3, read_file_length },
	[IEC104_KIND_CHS] = { 1, read_checksum },
	[IEC104_KIND_SEGMENT] = { 1, read_segment },
};

uint8_t
iec104_kind_size(uint8_t kind)
{
	return kind < IEC104_KIND_OCTETS ? 1 : readers[kind].size;
}

void
iec104_walk_elements(struct iec104_walk *walk, const struct iec104_type *type)
{
	for (unsigned int i = 0; i < type->element_count; i++) {
		const struct iec104_element *element = &type->elements[i];

		walk->present |= element->present;
		if (element->kind < IEC104_KIND_OCTETS)
			read_octet(walk, &octets[element->kind]);
		else
			readers[element->kind].read(walk);
	}
}
