#include "test/test.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>

#include "lib/event/event.h"
#include "lib/flow/flow.h"

enum { RING_LEN = 4 * EVENT_LEN_MAX, EVENTS = 200000 };

static void *
produce(void *arg)
{
	struct event_ring *ring = arg;
	uint32_t seed = 7;

	for (uint64_t i = 0; i < EVENTS;) {
		struct event_builder b;
		struct event *room;
		uint32_t len, *words;

		seed = seed * 1664525 + 1013904223;
		len = (seed >> 12) % 3000;
		room = event_ring_reserve(ring, event_len_of(1, len + 4));
		if (room == NULL)
			continue;
		event_begin(&b, room, event_len_of(1, len + 4), EVENT_APP);
		b.event->flow_id = i;
		words = event_add(&b, EVENT_SECTION_APP, len + 4);
		assert_non_null(words);
		words[0] = len;
		event_ring_commit(ring, b.event);
		event_ring_publish(ring);
		i++;
	}
	return NULL;
}

static void
ring_keeps_order_and_content(void **state)
{
	struct event_ring *ring;
	pthread_t thread;

	assert_int_equal(event_ring_create(&ring, RING_LEN), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
	for (uint64_t i = 0; i < EVENTS;) {
		const struct event *event = event_ring_peek(ring);
		const struct event_section *section;
		uint32_t len;

		if (event == NULL)
			continue;
		assert_int_equal(event->flow_id, i);
		section = event_section_next(event, NULL);
		memcpy(&len, event_section_data(section), 4);
		assert_int_equal(section->len, len + 4);
		assert_null(event_section_next(event, section));
		event_ring_release(ring, event);
		i++;
	}
	pthread_join(thread, NULL);
	assert_null(event_ring_peek(ring));
	assert_int_equal(event_ring_head(ring), event_ring_tail(ring));
	event_ring_destroy(ring);
}

static void
full_ring_drops_and_counts(void **state)
{
	struct event_ring *ring;
	struct event_builder b;
	struct event *room;
	uint64_t pushed = 0;

	assert_int_equal(event_ring_create(&ring, RING_LEN), 0);
	while (event_ring_has_room(ring, EVENT_LEN_MAX)) {
		room = event_ring_reserve(ring, EVENT_LEN_MAX);
		assert_non_null(room);
		event_begin(&b, room, EVENT_LEN_MAX, EVENT_ARP);
		assert_non_null(event_add(&b, EVENT_SECTION_PAYLOAD, RECORD_LEN_MAX));
		assert_null(event_add(&b, EVENT_SECTION_PAYLOAD, EVENT_LEN_MAX));
		event_ring_commit(ring, b.event);
		event_ring_publish(ring);
		pushed++;
	}
	assert_true(pushed >= 2);
	assert_int_equal(counter_get(&event_ring_counters_get(ring).values[EVENT_RING_DROPPED]), 0); /* asking counts nothing */
	assert_null(event_ring_reserve(ring, EVENT_LEN_MAX));
	assert_int_equal(counter_get(&event_ring_counters_get(ring).values[EVENT_RING_PUSHED]), pushed);
	assert_int_equal(counter_get(&event_ring_counters_get(ring).values[EVENT_RING_DROPPED]), 1);
	event_ring_destroy(ring);
	assert_int_equal(event_ring_create(&ring, RING_LEN + 8), -EINVAL);
	TEST_FAIL_EACH_ALLOC(event_ring_create(&ring, RING_LEN), == 0, event_ring_destroy(ring));
}

static void
lines_are_eve(void **state)
{
	static const char *const ports[] = { "eth1" };
	struct event_json_config config = { .port_names = ports, .port_count = 1, .ethernet = true, .community_id = true };
	static const struct rule_meta meta = { .sid = 7, .gid = 1, .rev = 2, .severity = 3, .msg = "say \"x\"", .category = "c",
		.metadata_json = "{\"k\":[\"v\"]}", .target = "dest_ip" };
	static uint8_t room[4096] __attribute__((aligned(8)));
	struct event_builder b;
	struct event_json *json;
	struct alert_record *alert;
	struct buf out;
	json_t *line;

	assert_null(record_table_check(&anomaly_table));
	assert_null(record_table_check(&arp_table));
	assert_int_equal(event_json_create(&json, &config), 0);
	assert_int_equal(buf_create(&out, 1 << 16), 0);
	event_begin(&b, room, sizeof(room), EVENT_ALERT);
	b.event->flags = EVENT_HAS_FLOW | EVENT_HAS_PORTS | EVENT_HAS_MACS | EVENT_HAS_DIRECTION | EVENT_TO_SERVER;
	b.event->ip_version = 4;
	b.event->ip_proto = IP_PROTO_TCP;
	b.event->sport = 1024;
	b.event->dport = 502;
	b.event->flow_id = 5;
	b.event->frame_number = 3;
	b.event->vlan[0] = 12;
	b.event->vlan_count = 1;
	b.event->link_type = PACKET_LINK_ETHERNET;
	alert = event_add(&b, EVENT_SECTION_ALERT, sizeof(*alert));
	memset(alert, 0, sizeof(*alert));
	alert->meta = &meta;
	memcpy(event_add(&b, EVENT_SECTION_PAYLOAD, 4), "a\"\\\x01", 4);
	memcpy(event_add(&b, EVENT_SECTION_PACKET, 2), "zz", 2);
	memcpy(event_add(&b, EVENT_SECTION_METADATA, 29), "\"metadata\":{\"flowbits\":[\"a\"]}", 29);
	memcpy(event_add(&b, EVENT_SECTION_CONTEXT, 9), "{\"u\":\"x\"}", 9);
	event_json_write(json, &out, b.event);
	assert_false(out.full);
	line = json_loadb(out.data, out.len, 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "event_type")), "alert");
	assert_string_equal(json_string_value(json_object_get(line, "src_ip")), "0.0.0.0");
	assert_string_equal(json_string_value(json_object_get(line, "in_iface")), "eth1");
	assert_string_equal(json_string_value(json_object_get(line, "payload_printable")), "a\"\\.");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "alert"), "signature_id")), 7);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(line, "alert"), "target"), "port")), 502);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(line, "alert"), "source"), "port")), 1024);
	assert_int_equal(json_array_size(json_object_get(json_object_get(line, "metadata"), "flowbits")), 1);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json_object_get(line, "alert"), "context"), "u")), "x");
	assert_string_equal(json_string_value(json_object_get(json_object_get(line, "packet_info"), "linktype_name")), "EN10MB");
	json_decref(line);
	buf_destroy(&out);
	event_json_destroy(json);
	TEST_FAIL_EACH_ALLOC(event_json_create(&json, &config), == 0, event_json_destroy(json));
}

/** RFC 3488: RGMP has its own name; an alert against the flow names its originator first. */
static void
igmp_and_flow_ends_are_eve(void **state)
{
	static const struct event_json_config config = { .community_id = false };
	static uint8_t room[4096] __attribute__((aligned(8)));
	static const struct rule_meta meta = { .sid = 1, .msg = "m", .category = "" };
	const struct alert_record alert = { .meta = &meta, .has_flow = true };
	struct event_builder b;
	struct event_json *json;
	struct buf out;
	json_t *line, *part;

	(void)state;
	assert_int_equal(event_json_create(&json, &config), 0);
	assert_int_equal(buf_create(&out, 1 << 16), 0);
	for (unsigned int i = 0; i < 2; i++) {
		event_begin(&b, room, sizeof(room), EVENT_ALERT);
		b.event->flags = EVENT_HAS_IGMP | EVENT_HAS_FLOW | EVENT_HAS_DIRECTION;
		b.event->ip_version = 4;
		b.event->ip_proto = IP_PROTO_IGMP;
		b.event->src.bytes[3] = 9;
		memcpy(b.event->dst.bytes, (const uint8_t[]){ 224, 0, 0, 25 }, 4);
		b.event->icmp_type = i == 0 ? 0xff : 0x16;
		b.event->icmp_code = i == 0 ? IGMP_VERSION_NONE : 2;
		memcpy(event_add(&b, EVENT_SECTION_ALERT, sizeof(alert)), &alert, sizeof(alert));
		buf_reset(&out);
		event_json_write(json, &out, b.event);
		line = json_loadb(out.data, out.len, 0, NULL);
		assert_non_null(line);
		part = json_object_get(line, i == 0 ? "rgmp" : "igmp");
		assert_int_equal(json_integer_value(json_object_get(part, "type")), i == 0 ? 0xff : 0x16);
		assert_int_equal(json_integer_value(json_object_get(part, "version")), i == 0 ? 0 : 2);
		part = json_object_get(line, "flow");
		assert_string_equal(json_string_value(json_object_get(part, "src_ip")), "224.0.0.25");
		assert_string_equal(json_string_value(json_object_get(part, "dest_ip")), "0.0.0.9");
		json_decref(line);
	}
	buf_destroy(&out);
	event_json_destroy(json);
}

/** What hangs from packets in tunnels and from flows with several MAC addresses. */
static void
tunnels_and_macs_are_eve(void **state)
{
	static const struct event_json_config config = { .ethernet = true };
	static uint8_t room[4096] __attribute__((aligned(8)));
	const struct tunnel_record tunnel = { .src = { .bytes = { 10, 0, 0, 1 } }, .dst = { .bytes = { 10, 0, 0, 2 } },
		.sport = 7, .dport = 4789, .ip_version = 4, .ip_proto = IP_PROTO_UDP, .depth = 1, .has_ports = true };
	const struct sctp_record sctp = { .vtag = 7, .chunk_count = 9, .has = 1 << SCTP_HAS_DATA, .type_count = 2, .types = { 0, 77 } };
	const struct mac_lists macs = { .src = { 1, { { 2 } } }, .dst = { 2, { { 4 }, { 6 } } } };
	struct event_builder b;
	struct event_json *json;
	struct buf out;
	json_t *line, *part;

	assert_int_equal(event_json_create(&json, &config), 0);
	assert_int_equal(buf_create(&out, 1 << 16), 0);
	event_begin(&b, room, sizeof(room), EVENT_FLOW);
	b.event->flags = EVENT_HAS_MACS | EVENT_HAS_ICMP | EVENT_HAS_ICMP_RESPONSE | EVENT_HAS_SPI;
	b.event->ip_version = 4;
	b.event->esp_spi = 123;
	memcpy(event_add(&b, EVENT_SECTION_TUNNEL, sizeof(tunnel)), &tunnel, sizeof(tunnel));
	memcpy(event_add(&b, EVENT_SECTION_SCTP, sizeof(sctp)), &sctp, sizeof(sctp));
	memcpy(event_add(&b, EVENT_SECTION_MACS, sizeof(macs)), &macs, sizeof(macs));
	assert_false(event_alert_is_stream(b.event));
	event_json_write(json, &out, b.event);
	line = json_loadb(out.data, out.len, 0, NULL);
	assert_non_null(line);
	part = json_object_get(line, "tunnel");
	assert_string_equal(json_string_value(json_object_get(part, "dest_ip")), "10.0.0.2");
	assert_int_equal(json_integer_value(json_object_get(part, "dest_port")), 4789);
	assert_string_equal(json_string_value(json_object_get(part, "pkt_src")), "wire/pcap");
	part = json_object_get(line, "ether");
	assert_int_equal(json_array_size(json_object_get(part, "src_macs")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(part, "dest_macs"), 1)), "06:00:00:00:00:00");
	assert_int_equal(json_integer_value(json_object_get(line, "spi")), 123);
	part = json_object_get(line, "sctp");
	assert_int_equal(json_integer_value(json_object_get(part, "chunk_cnt")), 9);
	assert_int_equal(json_integer_value(json_object_get(part, "vtag")), 7);
	assert_string_equal(json_string_value(json_array_get(json_object_get(part, "chunk_types"), 0)), "data");
	assert_string_equal(json_string_value(json_array_get(json_object_get(part, "chunk_types"), 1)), "unknown");
	assert_true(json_is_true(json_object_get(part, "has_data")));
	assert_true(json_is_false(json_object_get(part, "has_abort")));
	assert_int_equal(json_integer_value(json_object_get(line, "response_icmp_type")), 0);
	json_decref(line);
	buf_destroy(&out);
	event_json_destroy(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_keeps_order_and_content),
		cmocka_unit_test(full_ring_drops_and_counts),
		cmocka_unit_test(lines_are_eve),
		cmocka_unit_test(tunnels_and_macs_are_eve),
		cmocka_unit_test(igmp_and_flow_ends_are_eve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
