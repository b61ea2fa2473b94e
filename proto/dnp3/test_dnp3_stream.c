/* DNP3: CRC, link frames, transport segments, damage and resynchronisation. */
#include "proto/dnp3/test_dnp3.h"

#include <errno.h>

void
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

void
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
		/* Without start octets it is no frame. A damaged header with sound user data is one, as soon as all is there. */
		assert_int_equal(dnp3_proto.probe(cursor_of(bad.data, bad.len), true, true),
			i < 2 ? PROTO_PROBE_NO : i == 2 ? PROTO_PROBE_MORE : PROTO_PROBE_YES);
		put(&bad, out.data, out.len);
		assert_int_equal(dnp3_proto.probe(cursor_of(bad.data, bad.len), true, true), PROTO_PROBE_YES);
		assert_int_equal(dnp3_proto.probe(cursor_of(bad.data, bad.len), true, false),
			i < 3 ? PROTO_PROBE_NO : PROTO_PROBE_YES);
	}
	assert_int_equal(dnp3_proto.frame(cursor_of("\x05\x65", 2), true), -EBADMSG);
	assert_int_equal(dnp3_proto.frame(cursor_of("\x06", 1), true), -EBADMSG);
}

void
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

void
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

void
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

void
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

void
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

void
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
			assert_int_equal(h.events, EVENT(BAD_LINK_CRC) | EVENT(POLICY_DIVERGENCE));
		else
			assert_int_equal(h.events, EVENT(BAD_START_BYTES) | EVENT(POLICY_DIVERGENCE));
	}
}

void
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
	assert_int_equal(h.events, EVENT(BAD_START_BYTES) | EVENT(POLICY_DIVERGENCE));
	h.events = 0;
	feed_app(app, sizeof(app), true);
	assert_int_equal(h.events, 0);
}
