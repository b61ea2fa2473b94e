/* DNP3: frames, segments, every layout of the table, what is malformed, the keywords, the JSON. */
#include "test/test.h"

#include "proto/dnp3/dnp3.h"
#include "proto/dnp3/dnp3_shapes.h"

#include <errno.h>

enum { MASTER = 1, OUTSTATION = 10, BLOB_MAX = 256, FRAME_MAX = 292 };

/* What was delivered, and all that a flow needs. */
struct harness {
	struct proto_ctx ctx;
	struct record_builder builder;
	struct dnp3_config config;
	struct dnp3_state state;
	_Atomic uint64_t counters[DNP3_COUNTERS_END];
	uint64_t area[RECORD_LEN_MAX / 8];
	uint64_t last[RECORD_LEN_MAX / 8]; /* the last record */
	uint32_t last_len;
	uint64_t events;      /* all bits seen */
	unsigned int deliveries;
	unsigned int emitted;
	unsigned int links;   /* records without a message */
};

static struct harness h;
static struct slab *slab;

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	const struct dnp3_record *record = (const void *)ctx->record->base;

	h.deliveries++;
	h.emitted += (flags & PROTO_EMIT) != 0;
	h.links += !record_is_present(record, DNP3_HAS_APPLICATION);
	h.events |= ctx->events;
	ctx->events = 0;
	h.last_len = ctx->record->len;
	memcpy(h.last, ctx->record->base, ctx->record->len);
}

static void
harness_begin(void)
{
	if (h.ctx.slab != NULL)
		dnp3_proto.end(&h.ctx);
	memset(&h, 0, offsetof(struct harness, area));
	h.events = h.deliveries = h.emitted = h.links = 0;
	h.config = (struct dnp3_config){ .max_points = 16384, .max_objects = 2048, .max_reassembly = 8192 };
	record_builder_init(&h.builder, h.area, sizeof(h.area));
	h.ctx = (struct proto_ctx){ .proto = &dnp3_proto, .config = &h.config, .state = &h.state, .slab = slab,
		.record = &h.builder, .counters = h.counters, .tcp = true, .deliver = collect };
}

static const struct dnp3_record *
last(void)
{
	return (const void *)h.last;
}

static const void *
at(uint32_t offset)
{
	assert_true(offset > 0 && offset < h.last_len);
	return (const uint8_t *)h.last + offset;
}

static const struct dnp3_object *
object(unsigned int nth)
{
	const struct dnp3_object *found = at(last()->objects.first);

	while (nth-- > 0)
		found = at(found->head.next);
	return found;
}

static const void *
point(const struct dnp3_object *of, unsigned int nth)
{
	const struct dnp3_point *found = at(of->points.first);

	while (nth-- > 0)
		found = at(found->head.next);
	return found;
}

/* ---- making traffic ---- */

struct bytes {
	uint8_t data[32 * 1024];
	uint32_t len;
};

static void
put(struct bytes *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	memcpy(b->data + b->len, data, len);
	b->len += (uint32_t)len;
}

static void
put_le(struct bytes *b, uint64_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++, value >>= 8)
		put(b, &(uint8_t){ (uint8_t)value }, 1);
}

static void
put_crc(struct bytes *b, uint32_t from)
{
	put_le(b, dnp3_crc(b->data + from, b->len - from), 2);
}

static void
put_frame(struct bytes *out, uint8_t control, const uint8_t *data, uint32_t len)
{
	uint32_t from = out->len;
	bool to_outstation = (control & 0x80) != 0;

	put(out, (uint8_t[]){ 5, 0x64, (uint8_t)(5 + len), control }, 4);
	put_le(out, to_outstation ? OUTSTATION : MASTER, 2);
	put_le(out, to_outstation ? MASTER : OUTSTATION, 2);
	put_crc(out, from);
	for (uint32_t done = 0; done < len; done += 16) {
		from = out->len;
		put(out, data + done, len - done < 16 ? len - done : 16);
		put_crc(out, from);
	}
}

/* The frames of an application fragment, in segments of segment_len bytes. */
static void
put_fragment(struct bytes *out, uint8_t control, const uint8_t *app, uint32_t len, uint32_t segment_len)
{
	uint8_t segment[250];
	uint8_t sequence = 0;

	for (uint32_t done = 0; done < len || done == 0; done += segment_len) {
		uint32_t n = len - done < segment_len ? len - done : segment_len;

		segment[0] = (uint8_t)(sequence++ & 0x3f) | (done == 0 ? 0x40 : 0) | (done + n == len ? 0x80 : 0);
		memcpy(segment + 1, app + done, n);
		put_frame(out, control, segment, n + 1);
	}
}

/* Frames and parses as a stream's owner does; bytes that begin no frame are passed over. @return bytes passed over. */
static uint32_t
feed(const uint8_t *data, uint32_t len, bool to_server)
{
	struct cursor in = cursor_of(data, len);
	uint32_t skipped = 0;

	h.ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int frame_len = dnp3_proto.frame(in, to_server);

		if (frame_len == 0 || (frame_len > 0 && (size_t)frame_len > cursor_left(&in)))
			break;
		if (frame_len < 0) {
			cursor_skip(&in, 1);
			skipped++;
			continue;
		}
		dnp3_proto.parse(&h.ctx, cursor_sub(&in, (size_t)frame_len));
	}
	return skipped;
}

static void
feed_app(const uint8_t *app, uint32_t len, bool to_server)
{
	static struct bytes out;

	out.len = 0;
	put_fragment(&out, to_server ? 0xc4 : 0x44, app, len, 249);
	feed(out.data, out.len, to_server);
}

#define EVENT(name) (UINT64_C(1) << DNP3_EVENT_##name)

/* ---- JSON ---- */

static bool
json_has(const char *text)
{
	static struct record_writer *writer;
	static struct buf out;

	if (writer == NULL) {
		assert_int_equal(record_writer_create(&writer, &dnp3_record_table), 0);
		assert_int_equal(buf_create(&out, 1 << 20), 0);
	}
	buf_reset(&out);
	record_write_json(writer, &out, h.last, h.last_len);
	buf_putc(&out, '\0');
	assert_false(out.full);
	if (strstr(out.data, text) != NULL)
		return true;
	print_error("%s\nlacks %s\n", out.data, text);
	return false;
}

/* ---- tests ---- */

static void
test_crc(void **unused)
{
	/* Known good headers, and a check of the eight-byte steps against one byte at a time. */
	static const uint8_t header[] = { 0x05, 0x64, 0x12, 0xc4, 0x04, 0x00, 0x03, 0x00 };
	uint8_t data[64];

	assert_int_equal(dnp3_crc(header, 8), 0x7c1e);
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (unsigned int len = 0; len <= sizeof(data); len++) {
		uint16_t crc = 0;

		for (unsigned int i = 0; i < len; i++) {
			crc ^= data[i];
			for (unsigned int bit = 0; bit < 8; bit++)
				crc = (uint16_t)(crc >> 1 ^ ((crc & 1) != 0 ? 0xa6bc : 0));
		}
		assert_int_equal(dnp3_crc(data, len), (uint16_t)~crc);
	}
}

static void
test_tables(void **unused)
{
	const char *wrong = record_table_check(&dnp3_record_table);

	if (wrong != NULL)
		print_error("%s\n", wrong);
	assert_null(wrong);
	for (uint16_t i = 1; i < dnp3_layout_count; i++) {
		const struct dnp3_layout *a = &dnp3_layouts[i - 1];
		const struct dnp3_layout *b = &dnp3_layouts[i];

		assert_true((a->group << 8 | a->variation) < (b->group << 8 | b->variation) || a->group == 0);
		assert_ptr_equal(dnp3_layout_find(b->group, b->variation), b);
	}
	/* Elements of a row lie inside its shape's struct. */
	for (uint16_t i = 0; i < dnp3_layout_count; i++)
		for (unsigned int k = 0; k < dnp3_layouts[i].element_count; k++)
			assert_true(dnp3_layouts[i].elements[k].offset < dnp3_point_shapes[dnp3_layouts[i].shape]->size);
	assert_ptr_equal(dnp3_layout_find(0, 252), &dnp3_layouts[0]);
	assert_non_null(dnp3_layout_find(110, 77));
	assert_null(dnp3_layout_find(30, 9));
	assert_null(dnp3_layout_find(255, 255));
}

static void
test_frame(void **unused)
{
	struct bytes out = { .len = 0 };
	uint8_t data[40] = { 0xc0 };

	put_frame(&out, 0xc4, data, sizeof(data));
	assert_int_equal(out.len, 10 + 40 + 3 * 2);
	for (uint32_t len = 0; len <= out.len; len++) {
		int expected = len < 10 ? 0 : (int)out.len;

		assert_int_equal(dnp3_proto.frame(cursor_of(out.data, len), true), expected);
		assert_int_equal(dnp3_proto.probe(cursor_of(out.data, len), true, false),
			len < 10 ? PROTO_PROBE_MORE : PROTO_PROBE_YES);
	}
	assert_int_equal(dnp3_proto.sender_is_server(cursor_of(out.data, out.len)), 0);
	for (uint32_t i = 0; i < 10; i++) {
		struct bytes bad = out;

		bad.data[i] ^= 0x10;
		assert_int_equal(dnp3_proto.probe(cursor_of(bad.data, bad.len), true, true), PROTO_PROBE_NO);
	}
	assert_int_equal(dnp3_proto.frame(cursor_of("\x05\x65", 2), true), -EBADMSG);
	assert_int_equal(dnp3_proto.frame(cursor_of("\x06", 1), true), -EBADMSG);
}

static void
test_link(void **unused)
{
	struct bytes out = { .len = 0 };

	harness_begin();
	put_frame(&out, 0xc9, NULL, 0); /* request link status */
	put_frame(&out, 0xcc, NULL, 0); /* reserved function 12 */
	assert_int_equal(feed(out.data, out.len, true), 0);
	out.len = 0;
	put_frame(&out, 0x0b, NULL, 0); /* link status */
	put_frame(&out, 0x0b, (uint8_t[]){ 1, 2 }, 2);
	put_frame(&out, 0x44, NULL, 0);
	assert_int_equal(feed(out.data, out.len, false), 0);
	assert_int_equal(h.links, 5);
	assert_int_equal(h.emitted, 0);
	assert_int_equal(h.events, EVENT(INVALID_LINK_FUNCTION) | EVENT(UNEXPECTED_USER_DATA) | EVENT(LEN_TOO_SMALL));
	assert_int_equal(counter_get(&h.counters[DNP3_LINK_FRAMES]), 5);
}

static void
test_read_request(void **unused)
{
	static const uint8_t app[] = { 0xc2, 1, 60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6, 1, 0, 0, 2, 9, 30, 0, 0x17, 2, 5, 7 };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.emitted, 1);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"type\":\"request\",\"control\":{\"dir\":true,\"pri\":true,\"fcb\":false,\"fcv\":false,"
			     "\"function_code\":4,\"function_name\":\"unconfirmed_user_data\"},\"src\":1,\"dst\":10,"
			     "\"application\":{\"control\":{\"fir\":true,\"fin\":true,\"con\":false,\"uns\":false,"
			     "\"sequence\":2},\"function_code\":1,\"function_name\":\"read\",\"objects\":[{\"group\":60,"
			     "\"variation\":2,\"qualifier\":6,\"prefix_code\":0,\"range_code\":6,\"start\":0,\"stop\":0,"
			     "\"count\":0,\"name\":\"class_objects\"}"));
	assert_true(json_has("\"complete\":true}}"));
	assert_int_equal(object(4)->count, 8);
	assert_int_equal(object(4)->points.count, 0);
	assert_int_equal(object(5)->points.count, 2);
	assert_int_equal(((const struct dnp3_point *)point(object(5), 1))->index, 7);
	assert_memory_equal(at(last()->data.off), app, sizeof(app));
}

static void
test_response(void **unused)
{
	static const uint8_t request[] = { 0xc3, 1, 60, 1, 6 };
	static const uint8_t app[] = { 0xe3, 129, 0x80, 0x02, 30, 1, 0, 1, 2, 0x02, 0x9c, 0xff, 0xff, 0xff, 0x01, 5, 0, 0, 0,
		1, 1, 0, 3, 8, 0x35, 2, 2, 0x28, 1, 0, 7, 0, 0x81, 1, 2, 3, 4, 5, 6 };

	harness_begin();
	feed_app(request, sizeof(request), true);
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.emitted, 2);
	assert_int_equal(h.events, 0);
	assert_true(json_has("\"request_function_code\":1,\"request_function_name\":\"read\""));
	assert_true(json_has("\"points\":[{\"prefix\":0,\"index\":1,\"online\":0,\"restart\":1,\"comm_lost\":0,"
			     "\"remote_forced\":0,\"local_forced\":0,\"over_range\":0,\"reference_err\":0,"
			     "\"reserved0\":0,\"value\":-100},{"));
	assert_true(json_has("{\"prefix\":0,\"index\":3,\"state\":1},{\"prefix\":0,\"index\":4,\"state\":0},"));
	assert_true(json_has("{\"prefix\":0,\"index\":8,\"state\":1}]"));
	assert_true(json_has("{\"prefix\":7,\"index\":7,\"online\":1,\"restart\":0,\"comm_lost\":0,\"remote_forced\":0,"
			     "\"local_forced\":0,\"chatter_filter\":0,\"reserved\":0,\"state\":1,"
			     "\"timestamp\":6618611909121}"));
	assert_true(json_has("\"iin\":{\"indicators\":[\"device_restart\",\"object_unknown\"],\"raw\":32770}"));
	assert_int_equal(h.state.open_count, 0);
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, EVENT(UNEXPECTED_RESPONSE));
}

static void
test_confirm(void **unused)
{
	static const uint8_t app[] = { 0xd0, 0 };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.deliveries, 1);
	assert_int_equal(h.emitted, 0);
	h.config.log_confirms = true;
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.emitted, 1);
	assert_string_equal(last()->type, "confirm");
}

static void
test_crob(void **unused)
{
	static const uint8_t app[] = { 0xc4, 5, 12, 1, 0x28, 1, 0, 9, 0, 0x41, 1, 0xf4, 1, 0, 0, 0, 0, 0, 0, 0 };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"prefix\":9,\"index\":9,\"op_type\":1,\"qu\":0,\"cr\":0,\"tcc\":1,\"count\":1,\"ontime\":500,"
			     "\"offtime\":0,\"status_code\":0,\"reserved\":0,\"op_type_name\":\"pulse_on\","
			     "\"tcc_name\":\"close\",\"status_name\":\"success\"}"));
}

static void
test_file(void **unused)
{
	static const uint8_t app[] = { 0xc6, 25, 70, 3, 0x5b, 1, 29, 0, 26, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0, 0, 0, 0, 0,
		0, 0, 0, 2, 0, 0, 4, 6, 0, 'a', '/', 'b' };

	harness_begin();
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.events, 0);
	assert_true(json_has("{\"prefix\":29,\"index\":0,\"size\":29,\"filename_offset\":26,\"filename_size\":3,\"created\":0,"
			     "\"authentication_key\":0,\"file_size\":0,\"permissions\":511,\"permission_names\":["));
	assert_true(json_has("\"operational_mode\":2,\"operational_mode_name\":\"write\",\"maximum_block_size\":1024,"
			     "\"request_id\":6,\"filename\":\"a/b\"}"));
}

static void
test_attribute(void **unused)
{
	static const uint8_t app[] = { 0xc5, 129, 0, 0, 0, 252, 0, 0, 0, 1, 4, 'A', 'c', 'm', 'e', 0, 213, 0, 0, 0, 2, 4, 1, 0,
		0, 0, 0, 217, 0, 0, 0, 3, 2, 0xfe, 0xff, 0, 203, 0, 0, 0, 4, 4, 0, 0, 0x80, 0x3f, 0, 255, 0, 0, 0, 254, 4,
		252, 0, 247, 1, 0, 200, 0, 0, 0, 5, 2, 0xab, 0xcd };

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, 0);
	assert_true(last()->complete);
	assert_true(json_has("\"data_type\":1,\"data_type_name\":\"visible_string\",\"length\":4,\"value\":\"Acme\"}"));
	assert_true(json_has("\"variation_name\":\"manufacturer_name\""));
	assert_true(json_has("\"data_type_name\":\"unsigned\",\"length\":4,\"value\":1}"));
	assert_true(json_has("\"data_type_name\":\"signed\",\"length\":2,\"value\":-2}"));
	assert_true(json_has("\"data_type_name\":\"float\",\"length\":4,\"value\":1"));
	assert_true(json_has("\"variations\":[252,247],\"writable\":[false,true]}"));
	assert_true(json_has("\"value\":\"abcd\"}"));
}

static void
test_dataset(void **unused)
{
	static const uint8_t app[] = { 0xc6, 129, 0, 0, 85, 1, 0x5b, 1, 20, 0, 4, 1, 0, 0, 0, 5, 2, 0, 0, 0x1a, 0x6a, 8, 5, 4, 8,
		'P', 'h', 's', ' ', 'A', 88, 1, 0x5b, 1, 5, 0, 1, 7, 2, 0xab, 0xcd };

	harness_begin();
	feed_app(app, sizeof(app), false);
	assert_int_equal(h.events, 0);
	assert_true(json_has("\"elements\":[{\"length\":4,\"descriptor_code\":1,\"descriptor_name\":\"id\",\"data_type\":0,"
			     "\"data_type_name\":\"none\",\"max_length\":0,\"value\":\"00\"},{\"length\":5"));
	assert_true(json_has("\"value\":\"1a6a\"}"));
	assert_true(json_has("\"descriptor_name\":\"data_element\",\"data_type\":4,\"data_type_name\":\"float\","
			     "\"max_length\":8,\"value\":\"Phs A\"}]"));
	assert_true(json_has("\"elements\":[{\"length\":1,\"value\":\"07\"},{\"length\":2,\"value\":\"abcd\"}]"));
}

/* ---- every layout ---- */

/* Octets of an element with values that depend on where it is. */
static uint32_t
sample_element(struct bytes *out, const struct dnp3_element *element, const struct dnp3_layout *layout, unsigned int nth)
{
	static const uint8_t sizes[] = { 1, 2, 4, 2, 2, 4, 4, 8, 1, 6, 2, 1, 1, 1, 1, 2, 4, 8, 4, 4 };
	static const uint8_t attribute[] = { 2, 2, 0x34, 0x12 };
	static const uint8_t descriptor[] = { 5, 4, 1, 9, 'h', 'i' };
	uint32_t from = out->len;
	uint32_t len = element->reg != 0 && element->kind == DNP3_KIND_BYTES ? element->reg + 2u : 5;

	switch (element->kind) {
	case DNP3_KIND_ATTRIBUTE:
		put(out, attribute, sizeof(attribute));
		break;
	case DNP3_KIND_DESCRIPTORS:
	case DNP3_KIND_VALUES:
		put(out, descriptor, sizeof(descriptor));
		break;
	case DNP3_KIND_F32:
		put(out, &(float){ 1.5f + (float)nth }, 4);
		break;
	case DNP3_KIND_F64:
		put(out, &(double){ -2.25 - nth }, 8);
		break;
	case DNP3_KIND_U16:
		put_le(out, element->reg != 0 ? element->reg + 2u : 0x8001u + nth, 2);
		break;
	case DNP3_KIND_BCD16:
	case DNP3_KIND_BCD32:
	case DNP3_KIND_BCD64:
		put_le(out, 0x9876543210123456u, sizes[element->kind]);
		break;
	default:
		if (element->kind < sizeof(sizes))
			len = sizes[element->kind];
		else if (element->kind == DNP3_KIND_OCTETS)
			len = layout->variation == 0 ? 3 : layout->variation;
		for (uint32_t i = 0; i < len; i++)
			put(out, &(uint8_t){ (uint8_t)(0xb1 + 7 * nth + 3 * i) }, 1);
	}
	return out->len - from;
}

static uint64_t
little(const uint8_t *data, uint32_t len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | data[len];
	return value;
}

/* What the struct must hold for the octets, each kind worked out in a way of its own. */
static void
check_element(const struct dnp3_element *element, const uint8_t *wire, uint32_t len, const uint8_t *got)
{
	const struct record_ref *ref = (const void *)got;
	uint64_t value = little(wire, len < 8 ? len : 8);
	double decimal = 0;

	switch (element->kind) {
	case DNP3_KIND_U8_U64:
	case DNP3_KIND_TIME48:
	case DNP3_KIND_U16_TIME:
		assert_true(*(const uint64_t *)got == value);
		break;
	case DNP3_KIND_U16_U32:
		assert_int_equal(*(const uint32_t *)got, value);
		break;
	case DNP3_KIND_I16_I32:
		assert_int_equal(*(const int32_t *)got, (int16_t)value);
		break;
	case DNP3_KIND_FLAGS:
		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(got[i], wire[0] >> i & 1);
		break;
	case DNP3_KIND_DOUBLE:
		for (unsigned int i = 0; i < 6; i++)
			assert_int_equal(got[i], wire[0] >> i & 1);
		assert_int_equal(got[6], wire[0] >> 6);
		break;
	case DNP3_KIND_SPLIT7:
		assert_int_equal(got[0], wire[0] & 0x7f);
		assert_int_equal(got[1], wire[0] >> 7);
		break;
	case DNP3_KIND_CONTROL:
		assert_int_equal(got[0] | got[1] << 4 | got[2] << 5 | got[3] << 6, wire[0]);
		break;
	case DNP3_KIND_BCD16:
	case DNP3_KIND_BCD32:
	case DNP3_KIND_BCD64:
		for (uint32_t i = len; i-- > 0;)
			decimal = decimal * 100 + (wire[i] >> 4) * 10 + (wire[i] & 15);
		assert_true((double)*(const uint64_t *)got == decimal);
		break;
	case DNP3_KIND_BYTES4:
	case DNP3_KIND_BYTES:
	case DNP3_KIND_REST:
	case DNP3_KIND_OCTETS:
		assert_int_equal(ref->count, len);
		assert_memory_equal(at(ref->off), wire, len);
		break;
	case DNP3_KIND_ATTRIBUTE:
		assert_true(((const struct dnp3_point_attribute *)(got - element->offset))->number.u64 == 0x1234);
		break;
	case DNP3_KIND_DESCRIPTORS:
	case DNP3_KIND_VALUES:
		assert_int_equal(((const struct record_list *)got)->count, 1);
		assert_int_equal(((const struct dnp3_element_record *)at(((const struct record_list *)got)->first))->length, 5);
		break;
	default: /* as on the wire */
		assert_memory_equal(got, wire, len);
	}
}

/* An unsolicited response with one object of the layout, sized, indexed or counted. */
static void
sample_message(struct bytes *app, const struct dnp3_layout *layout, struct bytes *body, uint32_t lens[], bool sized)
{
	uint8_t variation = layout->any_variation && layout->group != 0 ? 3 : layout->variation;
	struct dnp3_layout shown = *layout;

	shown.variation = variation;
	body->len = 0;
	for (unsigned int i = 0; i < layout->element_count; i++)
		lens[i] = sample_element(body, &layout->elements[i], &shown, i);
	app->len = 0;
	put(app, (uint8_t[]){ 0xf0, 130, 0, 0, layout->group, layout->group == 0 ? 213 : variation }, 6);
	if (sized) {
		put(app, (uint8_t[]){ 0x5b, 1 }, 2);
		put_le(app, body->len, 2);
	} else {
		put(app, (uint8_t[]){ 0x28, 1, 0, 0x34, 0x12 }, 5);
	}
	put(app, body->data, body->len);
}

static void
check_layout(const struct dnp3_layout *layout, bool sized)
{
	static struct bytes app, body;
	uint32_t lens[DNP3_ELEMENT_MAX];
	const struct dnp3_point *found;
	uint32_t from = 0;
	uint64_t present = sized;

	sample_message(&app, layout, &body, lens, sized);
	harness_begin();
	feed_app(app.data, app.len, false);
	assert_int_equal(h.emitted, 1);
	assert_int_equal(h.events, 0);
	assert_true(last()->complete);
	found = point(object(0), 0);
	assert_int_equal(found->head.shape, layout->shape);
	assert_int_equal(found->index, sized ? 0 : 0x1234);
	for (unsigned int i = 0; i < layout->element_count; i++) {
		check_element(&layout->elements[i], body.data + from, lens[i],
			(const uint8_t *)found + layout->elements[i].offset);
		from += lens[i];
		present |= layout->elements[i].present;
	}
	assert_true((found->head.present & present) == present);
	assert_true(json_has("\"points\":[{\"prefix\":"));
	/* Cut anywhere, the message is not complete, and no byte beyond its end is looked at. */
	for (uint32_t len = 1; len < app.len; len++) {
		harness_begin();
		feed_app(app.data, len, false);
		assert_int_equal(h.deliveries, 1);
		assert_true(len == 4 || h.events != 0);
		assert_true(len == 4 || !last()->complete);
		if (h.last_len > 0)
			json_has("{");
	}
}

/* Layouts that say their own length can be read without a size before them. */
static bool
self_delimiting(const struct dnp3_layout *layout)
{
	for (unsigned int i = 0; i < layout->element_count; i++) {
		uint8_t kind = layout->elements[i].kind;

		if (kind == DNP3_KIND_REST || kind == DNP3_KIND_DESCRIPTORS || kind == DNP3_KIND_VALUES)
			return false;
	}
	return true;
}

static void
test_every_layout(void **unused)
{
	for (uint16_t i = 0; i < dnp3_layout_count; i++) {
		assert_true(dnp3_layouts[i].element_count <= DNP3_ELEMENT_MAX);
		check_layout(&dnp3_layouts[i], true);
		if (self_delimiting(&dnp3_layouts[i]))
			check_layout(&dnp3_layouts[i], false);
	}
}

/* ---- transport ---- */

static void
test_segments(void **unused)
{
	static struct bytes app, out;

	app.len = 0;
	put(&app, (uint8_t[]){ 0xc0, 129, 0, 0, 30, 1, 1, 0, 0, 199, 0 }, 11);
	for (unsigned int i = 0; i < 200; i++)
		put(&app, (uint8_t[]){ 1, (uint8_t)i, 0, 0, 0 }, 5);
	for (uint32_t segment_len = 1; segment_len <= 249; segment_len += 31) {
		harness_begin();
		out.len = 0;
		put_fragment(&out, 0x44, app.data, app.len, segment_len);
		for (uint32_t done = 0; done < out.len; done++)
			assert_true(dnp3_proto.frame(cursor_of(out.data, done), false) >= 0);
		feed(out.data, out.len, false);
		assert_int_equal(h.emitted, 1);
		assert_int_equal(h.events, 0);
		assert_int_equal(object(0)->points.count, 200);
		assert_int_equal(((const struct dnp3_point_analog *)point(object(0), 199))->at.small.i32, 199);
		assert_int_equal(h.state.slot_count, 0);
	}
	assert_int_equal(slab_used(slab), 0);
}

static void
segment(uint8_t control, uint8_t header, const char *text)
{
	struct bytes out = { .len = 0 };
	uint8_t data[64];
	size_t len = strlen(text);

	data[0] = header;
	memcpy(data + 1, text, len);
	put_frame(&out, control, data, (uint32_t)len + 1);
	feed(out.data, out.len, (control & 0x80) != 0);
}

static void
test_segment_order(void **unused)
{
	harness_begin();
	segment(0x44, 0x05, "tail of what was before"); /* midstream: no anomaly */
	assert_int_equal(h.events, 0);
	segment(0x44, 0x46, "\xc0\x81"); /* FIR 6, FIN 8 later: 7 is missing */
	segment(0x44, 0x88, "\x01\x02");
	assert_int_equal(h.events, EVENT(TRANSPORT_SEQUENCE));
	h.events = 0;
	segment(0x44, 0x49, "\xc0\x82"); /* a repeated segment is passed over */
	segment(0x44, 0x49, "\xc0\x82");
	assert_int_equal(h.events, EVENT(REASSEMBLY_DROPPED));
	h.events = 0;
	segment(0x44, 0x0a, "\x01");
	segment(0x44, 0x0a, "\x01");
	segment(0x44, 0x8b, "\x02");
	assert_int_equal(h.events, 0);
	assert_int_equal(h.emitted, 1);
	assert_int_equal(last()->iin, 0x0102);
	segment(0x44, 0x8c, "\x02"); /* continues nothing */
	assert_int_equal(h.events, EVENT(TRANSPORT_SEQUENCE));
	segment(0x44, 0x4d, "\xc0\x82"); /* a gap in this direction drops it, one in the other does not */
	h.ctx.to_server = true;
	dnp3_proto.gap(&h.ctx, 10);
	assert_int_equal(h.state.slot_count, 1);
	h.ctx.to_server = false;
	dnp3_proto.gap(&h.ctx, 10);
	assert_int_equal(h.state.slot_count, 0);
	assert_int_equal(slab_used(slab), 0);
}

static void
test_too_long(void **unused)
{
	static const uint8_t nothing[249];
	struct bytes out = { .len = 0 };

	harness_begin();
	h.config.max_reassembly = 1000;
	for (unsigned int i = 0; i < 10; i++) {
		uint8_t data[250];

		data[0] = (uint8_t)(i == 0 ? 0x40 : i);
		memcpy(data + 1, nothing, sizeof(nothing));
		put_frame(&out, 0x44, data, sizeof(data));
	}
	feed(out.data, out.len, false);
	assert_int_equal(h.events, EVENT(TOO_LONG_REASSEMBLY));
	assert_int_equal(h.deliveries, 1);
	assert_int_equal(slab_used(slab), 0);
}

static void
test_many_reassemblies(void **unused)
{
	harness_begin();
	for (uint16_t source = 0; source < 3 * DNP3_SLOT_MAX; source++) {
		struct bytes out = { .len = 0 };

		put(&out, (uint8_t[]){ 5, 0x64, 7, 0x44, 1, 0, (uint8_t)source, 0 }, 8);
		put_crc(&out, 0);
		put(&out, (uint8_t[]){ 0x40, 0xc0 }, 2);
		put_crc(&out, 10);
		feed(out.data, out.len, false);
	}
	assert_int_equal(h.state.slot_count, DNP3_SLOT_MAX);
	assert_int_equal(h.events, EVENT(FLOODED));
	dnp3_proto.end(&h.ctx);
	assert_int_equal(slab_used(slab), 0);
	/* Without memory segments are shed, whole messages are not. */
	h.ctx.slab = NULL;
	assert_int_equal(slab_create(&h.ctx.slab, 1), 0);
	while (slab_alloc(h.ctx.slab, DNP3_REASSEMBLY_FIRST) != NULL)
		;
	segment(0x44, 0x40, "\xc0\x82");
	segment(0x44, 0xc0, "\xc0\x82\x01\x01");
	assert_int_equal(h.emitted, 1);
	assert_true(counter_get(&h.counters[DNP3_REASSEMBLY_SHED]) > 0);
	slab_destroy(h.ctx.slab);
	h.ctx.slab = slab;
}

/* ---- what is wrong ---- */

static void
test_bad_crc(void **unused)
{
	static const uint8_t app[] = { 0xc2, 1, 60, 2, 6, 60, 3, 6, 60, 4, 6, 60, 1, 6, 1, 0, 6, 2, 0, 6 };
	struct bytes out = { .len = 0 };

	put_fragment(&out, 0xc4, app, sizeof(app), 249);
	for (uint32_t i = 0; i < out.len; i++) {
		struct bytes bad = out;

		harness_begin();
		bad.data[i] ^= 0x04;
		put(&bad, out.data, out.len);
		feed(bad.data, bad.len, true);
		/* The frame after a damaged one is always read. */
		assert_int_equal(h.emitted, 1);
		if (i >= 10)
			assert_int_equal(h.events, EVENT(BAD_TRANSPORT_CRC));
		else if (i >= 3)
			assert_int_equal(h.events, EVENT(BAD_LINK_CRC));
	}
}

static void
test_resynchronisation(void **unused)
{
	static const uint8_t app[] = { 0xc2, 1, 60, 2, 6 };
	struct bytes out = { .len = 0 };

	harness_begin();
	put(&out, "garbage \x05\x64\x05 and more", 21);
	put_fragment(&out, 0xc4, app, sizeof(app), 249);
	put(&out, "\x05\x64\xff\xff", 4);
	put_fragment(&out, 0xc4, app, sizeof(app), 249);
	put_fragment(&out, 0xc4, app, sizeof(app), 249);
	assert_int_equal(feed(out.data, out.len, true), 25);
	assert_int_equal(h.emitted, 3);
}

static void
test_malformed(void **unused)
{
	static const struct {
		const char *app;
		uint8_t len;
		uint64_t events;
	} rows[] = {
		{ "\xc0", 1, EVENT(LEN_TOO_SMALL) },
		{ "\xc0\x81\x00", 3, EVENT(LEN_TOO_SMALL) },
		{ "\xc0\x50", 2, EVENT(INVALID_FUNCTION_CODE) },
		{ "\xc0\x82\x00\x00\x1e", 5, EVENT(TRUNCATED_OBJECT) },
		{ "\xc0\x82\x00\x00\x1e\x01\x00\x05\x04", 9, EVENT(INVALID_RANGE) },
		{ "\xc0\x82\x00\x00\x1e\x01\x02\x00\x00\x00\x00\xff\xff\xff\xff", 15, EVENT(INVALID_RANGE) },
		{ "\xc0\x82\x00\x00\x1e\x01\x0f\x05\x04", 9, EVENT(INVALID_QUALIFIER) },
		{ "\xc0\x82\x00\x00\x1e\x01\x77\x01", 8, EVENT(INVALID_QUALIFIER) },
		{ "\xc0\x82\x00\x00\x1e\x01\x80\x01\x01", 9, EVENT(INVALID_QUALIFIER) },
		{ "\xc0\x82\x00\x00\x1e\x0e\x07\x01\x01", 9, EVENT(UNKNOWN_OBJECT) },
		{ "\xc0\x82\x00\x00\x1e\x0e\x5b\x01\x01\x00\x55", 11, EVENT(UNKNOWN_OBJECT) },
		{ "\xc0\x82\x00\x00\x1e\x01\x09\xff\xff\xff\xff\x01", 12, EVENT(TRUNCATED_OBJECT) },
		{ "\xc0\x82\x00\x00\x01\x01\x09\xff\xff\xff\xff\x01", 12, EVENT(TOO_MANY_POINTS) },
		{ "\xc0\x82\x00\x00\x6e\x00\x09\xff\xff\xff\xff", 11, EVENT(TOO_MANY_POINTS) },
		{ "\xc0\x82\x00\x00\x46\x05\x07\x01\x00\x00\x00\x00\x00\x00\x00\x00", 16, EVENT(TRUNCATED_OBJECT) },
		{ "\xc0\x82\x00\x00\x46\x05\x5b\x01\x04\x00\x00\x00\x00\x00", 14, EVENT(INVALID_OBJECT_LENGTH) },
		{ "\xc0\x82\x00\x00\x0a\x02\x4b\x01\x02\x00\x00", 11, EVENT(INVALID_OBJECT_LENGTH) },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		harness_begin();
		feed_app((const uint8_t *)rows[i].app, rows[i].len, false);
		if (h.events != rows[i].events)
			print_error("row %zu: events %#lx\n", i, (unsigned long)h.events);
		assert_int_equal(h.events, rows[i].events);
		assert_int_equal(h.deliveries, 1);
	}
}

static void
test_limits(void **unused)
{
	static struct bytes app, out;

	/* 1,200 bits of 32-byte records and more do not fit: counted, never lost silently. */
	harness_begin();
	app.len = 0;
	put(&app, (uint8_t[]){ 0xc0, 129, 0, 0, 1, 1, 1, 0, 0, 0xff, 0x1f }, 11);
	app.len += 1024;
	put(&app, (uint8_t[]){ 30, 1, 0, 0, 0, 1, 7, 0, 0, 0, 12, 1, 0, 0, 1 }, 10);
	out.len = 0;
	put_fragment(&out, 0x44, app.data, app.len, 249);
	feed(out.data, out.len, false);
	assert_int_equal(h.events, 0);
	assert_int_equal(object(0)->count, 8192);
	assert_true(object(0)->points_truncated > 0);
	assert_int_equal(object(0)->points.count + object(0)->points_truncated, 8192);
	assert_int_equal(last()->points_truncated, object(0)->points_truncated + object(1)->points_truncated);
	assert_true(last()->complete);
	assert_true(json_has("\"points_truncated\":"));
	/* Headers without points, more than max-objects. */
	harness_begin();
	h.config.max_objects = 100;
	app.len = 0;
	put(&app, (uint8_t[]){ 0xc0, 1 }, 2);
	for (unsigned int i = 0; i < 101; i++)
		put(&app, (uint8_t[]){ 60, 1, 6 }, 3);
	feed_app(app.data, 2 + 100 * 3, true);
	assert_int_equal(h.emitted, 0 + 1);
	out.len = 0;
	put_fragment(&out, 0xc4, app.data, app.len, 249);
	feed(out.data, out.len, true);
	assert_int_equal(h.events & EVENT(TOO_MANY_OBJECTS), EVENT(TOO_MANY_OBJECTS));
	/* All that max-objects allows, in a record that cannot hold their headers: the ids are still complete. */
	harness_begin();
	app.len = 2;
	for (unsigned int i = 0; i < 2047; i++)
		put(&app, (uint8_t[]){ 60, 1, 6 }, 3);
	put(&app, (uint8_t[]){ 60, 4, 6 }, 3);
	out.len = 0;
	put_fragment(&out, 0xc4, app.data, app.len, 249);
	feed(out.data, out.len, true);
	assert_int_equal(h.events, 0);
	assert_true(last()->objects_truncated > 0);
	assert_int_equal(last()->objects.count + last()->objects_truncated, 2048);
	assert_int_equal(last()->object_ids.count, 2048);
}

static void
test_flood(void **unused)
{
	harness_begin();
	for (unsigned int i = 0; i < 3; i++)
		for (uint8_t sequence = 0; sequence < 16; sequence++) {
			struct bytes out = { .len = 0 };

			put(&out, (uint8_t[]){ 5, 0x64, 11, 0xc4, (uint8_t)(10 + i), 0, 1, 0 }, 8);
			put_crc(&out, 0);
			put(&out, (uint8_t[]){ 0xc0, 0xc0 | sequence, 1, 60, 1, 6 }, 6);
			put_crc(&out, 10);
			feed(out.data, out.len, true);
			assert_int_equal(h.events, i < 2 ? 0 : EVENT(FLOODED));
		}
	assert_int_equal(h.state.open_count, DNP3_OPEN_MAX);
	assert_int_equal(counter_get(&h.counters[DNP3_REQUESTS_SHED]), 16);
}

/* ---- keywords ---- */

static bool
keyword(const char *name, const char *value)
{
	struct rule_app_test compiled;
	char err[128];

	for (unsigned int i = 0; i < DNP3_KEYWORD_COUNT; i++)
		if (strcmp(dnp3_keywords[i].name, name) == 0) {
			if (dnp3_keywords[i].setup(value, &compiled, err, sizeof(err)) != 0) {
				print_error("%s:%s: %s\n", name, value, err);
				fail();
			}
			return dnp3_keywords[i].test(&compiled, h.last);
		}
	fail();
	return false;
}

static void
test_keywords(void **unused)
{
	static const uint8_t app[] = { 0xc3, 129, 0x80, 0x00, 30, 1, 0, 1, 1, 0x02, 0x9c, 0xff, 0xff, 0xff };
	static const struct {
		const char *name, *value;
		bool holds;
	} rows[] = {
		{ "dnp3_func", "129", true }, { "dnp3.func", "response", true }, { "dnp3_func", "read", false },
		{ "dnp3_func", "!read", true }, { "dnp3_func", ">128", true }, { "dnp3_func", "<=129", true },
		{ "dnp3_func", "<129", false }, { "dnp3_func", "128-130", true }, { "dnp3_func", "!129", false },
		{ "dnp3_ind", "device_restart", true }, { "dnp3.ind", "0x8000", true }, { "dnp3.ind", "!0", true },
		{ "dnp3.ind", "device_restart,!need_time", true }, { "dnp3.ind", "need_time", false },
		{ "dnp3_ind", "device_restart,need_time", true }, { "dnp3_ind", "+device_restart,need_time", false },
		{ "dnp3_ind", "-need_time,local_control", true }, { "dnp3_ind", "-device_restart", false },
		{ "dnp3_ind", "=device_restart", true }, { "dnp3_ind", "*device_restart,need_time", true },
		{ "dnp3_ind", "&0x8000=0x8000", true }, { "dnp3_ind", "&0x8000!=0x8000", false },
		{ "dnp3_obj", "30,1", true }, { "dnp3.obj", "30, 01", true }, { "dnp3_obj", "30,2", false },
		{ "dnp3_obj", "30", true }, { "dnp3_obj", "22,1", false },
	};
	static const char *const refused[][2] = {
		{ "dnp3_func", "no_such" }, { "dnp3_func", "256" }, { "dnp3_func", "" }, { "dnp3_ind", "sideways" },
		{ "dnp3_ind", "0x10000" }, { "dnp3_ind", "" }, { "dnp3_obj", "" }, { "dnp3_obj", "1,256" },
		{ "dnp3_obj", "1,2,3" }, { "dnp3_obj", "a,b" },
	};

	harness_begin();
	feed_app(app, sizeof(app), false);
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		if (keyword(rows[i].name, rows[i].value) != rows[i].holds)
			print_error("%s:%s\n", rows[i].name, rows[i].value);
		assert_int_equal(keyword(rows[i].name, rows[i].value), rows[i].holds);
	}
	for (size_t i = 0; i < TEST_COUNT(refused); i++)
		for (unsigned int k = 0; k < DNP3_KEYWORD_COUNT; k++) {
			struct rule_app_test compiled;
			char err[128] = "";

			if (strcmp(dnp3_keywords[k].name, refused[i][0]) != 0)
				continue;
			assert_int_equal(dnp3_keywords[k].setup(refused[i][1], &compiled, err, sizeof(err)), -EINVAL);
			assert_true(err[0] != '\0');
		}
	/* A frame without a message has neither function code nor indications. */
	harness_begin();
	segment(0x44, 0x40, "");
	feed((const uint8_t *)"\x05\x64\x05\xc9\x01\x00\x0a\x00", 8, true);
	memset(h.last, 0, sizeof(struct dnp3_record));
	assert_false(keyword("dnp3_func", "confirm"));
	assert_false(keyword("dnp3_ind", "!1"));
}

/* Random bytes behind a good link header: nothing but events. */
static void
test_random(void **unused)
{
	uint64_t seed = 88172645463325252u;
	uint8_t data[250];

	harness_begin();
	for (unsigned int round = 0; round < 20000; round++) {
		struct bytes out;
		uint32_t len;

		out.len = 0;
		for (unsigned int i = 0; i < sizeof(data); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			data[i] = (uint8_t)seed;
		}
		len = 1 + (uint32_t)(seed >> 32) % 249;
		if (round % 4 != 0) { /* a whole message, of a layout's group, with a usual qualifier */
			const struct dnp3_layout *layout = &dnp3_layouts[seed % dnp3_layout_count];

			data[0] |= 0xc0;
			data[2] = round % 4 == 1 ? 130 : 2;
			data[round % 4 == 1 ? 5 : 3] = layout->group;
			data[round % 4 == 1 ? 6 : 4] = layout->variation;
			data[round % 4 == 1 ? 7 : 5] = (const uint8_t[]){ 0, 0x28, 0x5b, 7, 0x17, 1, 8, 6 }[seed >> 16 & 7];
		}
		put_frame(&out, (seed & 1) != 0 ? 0xc4 : 0x44, data, len);
		feed(out.data, out.len, (seed & 1) != 0);
	}
	assert_true(counter_get(&h.counters[DNP3_LINK_FRAMES]) == 20000);
	dnp3_proto.end(&h.ctx);
	assert_int_equal(slab_used(slab), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc), cmocka_unit_test(test_tables), cmocka_unit_test(test_frame),
		cmocka_unit_test(test_link), cmocka_unit_test(test_read_request), cmocka_unit_test(test_response),
		cmocka_unit_test(test_confirm), cmocka_unit_test(test_crob), cmocka_unit_test(test_file),
		cmocka_unit_test(test_attribute), cmocka_unit_test(test_dataset), cmocka_unit_test(test_every_layout),
		cmocka_unit_test(test_segments), cmocka_unit_test(test_segment_order), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_many_reassemblies), cmocka_unit_test(test_bad_crc),
		cmocka_unit_test(test_resynchronisation), cmocka_unit_test(test_malformed), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_flood), cmocka_unit_test(test_keywords), cmocka_unit_test(test_random),
	};

	if (slab_create(&slab, 1 << 20) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
