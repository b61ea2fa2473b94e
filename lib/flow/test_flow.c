#include "test/test.h"

#include "lib/flow/test_packets.h"
#include "lib/packet/test_frame.h"

enum { FLOWS_MAX = 1024, BURST = 64 };

static _Atomic uint64_t counters[FLOW_COUNTER_COUNT];
static struct flow_table *table;
static struct packet packets[BURST];
static struct flow *flows[BURST];

struct ended {
	unsigned int count;
	unsigned int reasons[FLOW_END_COUNT];
	struct flow last;
};

static int
setup(void **state)
{
	struct flow_config config = config_of(FLOWS_MAX);

	memset(counters, 0, sizeof(counters));
	return flow_table_create(&table, &config, counters);
}

static int
teardown(void **state)
{
	flow_table_destroy(table);
	return 0;
}

static void
on_end(void *arg, struct flow *flow)
{
	struct ended *ended = arg;

	ended->count++;
	ended->reasons[flow->end_reason]++;
	ended->last = *flow;
}

/** Sends packets[0] through the table. */
static struct flow *
pass(void)
{
	flow_lookup_burst(table, packets, 1, packets[0].ts_ns, flows);
	return flows[0] == NULL ? NULL : flow_update(table, flows[0], &packets[0]);
}

static struct flow *
tcp(bool to_server, uint8_t flags, uint64_t ts_ns)
{
	make(&packets[0], IP_PROTO_TCP, to_server ? 1 : 2, to_server ? 1024 : 502, to_server ? 2 : 1,
		to_server ? 502 : 1024, ts_ns);
	packets[0].tcp_flags = flags;
	return pass();
}

/* Nobody answers a frame without IP: it is established at once, and lives as long as established flows do. */
static void
test_ethernet_is_established(void **state)
{
	struct flow *flow;

	make(&packets[0], 0, 1, 0x88b8, 2, 0x88b8, S);
	packets[0].flags &= ~(uint32_t)(PACKET_IP | PACKET_L4);
	packets[0].ip_version = packets[0].key.ip_version = 0;
	packets[0].hash = packet_key_hash(&packets[0].key);
	flow = pass();
	assert_non_null(flow);
	assert_int_equal(flow->state, FLOW_ESTABLISHED);
	packets[0].ts_ns = 250 * S;
	packets[0].flags = PACKET_FLOW;
	assert_ptr_equal(pass(), flow);
	assert_int_equal(flow->packets[FLOW_TO_SERVER], 2);
	assert_int_equal(flow_originator_port(flow), 0);
}

/* Three packets of one key in one burst, each behind the timeout of the one before. */
static void
test_each_packet_of_a_burst_outlives_the_last(void **state)
{
	const struct flow *seen[3];

	for (unsigned int i = 0; i < 3; i++)
		make(&packets[i], IP_PROTO_UDP, 1, 1000, 2, 53, (1 + 1000 * i) * S);
	assert_int_equal(flow_lookup_burst(table, packets, 3, packets[2].ts_ns, flows), 3);
	for (unsigned int i = 0; i < 3; i++) {
		seen[i] = flow_update(table, flows[i], &packets[i]);
		assert_int_equal(seen[i]->packets[FLOW_TO_SERVER], 1);
	}
	assert_ptr_not_equal(seen[0], seen[1]);
	assert_ptr_not_equal(seen[1], seen[2]);
}

static void
test_biflow(void **state)
{
	struct flow *flow;
	struct flow_record record;
	uint64_t id;

	make(&packets[0], IP_PROTO_UDP, 9, 1000, 2, 53, S);
	flow = pass();
	assert_non_null(flow);
	assert_true(flow_to_server(&packets[0]));
	assert_int_equal(flow->state, FLOW_NEW);
	id = flow->flow_id;
	make(&packets[0], IP_PROTO_UDP, 2, 53, 9, 1000, 3 * S + 7);
	packets[0].ttl = 12;
	assert_ptr_equal(pass(), flow);
	assert_false(flow_to_server(&packets[0]));
	assert_true(packet_is(&packets[0], PACKET_ESTABLISHED));
	flow_record_fill(flow, NULL, &record);
	assert_int_equal(record.pkts_toserver, 1);
	assert_int_equal(record.pkts_toclient, 1);
	assert_int_equal(record.bytes_toclient, 100);
	assert_int_equal(record.age, 2);
	assert_int_equal(record.min_ttl_toclient, 12);
	assert_string_equal(record.state, "established");
	assert_int_equal(flow_originator(flow)->words[0], 9);
	assert_int_equal(flow_responder_port(flow), 53);
	flow_swap_direction(flow);
	assert_int_equal(flow_originator(flow)->words[0], 2);
	assert_int_equal(flow_originator_port(flow), 53);
	assert_int_equal(flow->ttl_max[FLOW_TO_SERVER], 12);
	/* the same capture gives the same number */
	teardown(NULL);
	setup(NULL);
	make(&packets[0], IP_PROTO_UDP, 9, 1000, 2, 53, S);
	assert_true(pass()->flow_id == id);
	assert_true(id < UINT64_C(1) << 53);
}

static const struct {
	bool to_server;
	uint8_t flags;
	uint8_t tcp_state, state;
} close_by_client[] = {
	{ true, TCP_SYN, FLOW_TCP_SYN_SENT, FLOW_NEW },
	{ false, TCP_SYN | TCP_ACK, FLOW_TCP_SYN_RECV, FLOW_NEW },
	{ true, TCP_ACK, FLOW_TCP_ESTABLISHED, FLOW_ESTABLISHED },
	{ true, TCP_ACK | TCP_PSH, FLOW_TCP_ESTABLISHED, FLOW_ESTABLISHED },
	{ true, TCP_ACK | TCP_FIN, FLOW_TCP_CLOSE_WAIT, FLOW_ESTABLISHED },
	{ false, TCP_ACK, FLOW_TCP_CLOSE_WAIT, FLOW_ESTABLISHED },
	{ false, TCP_ACK | TCP_FIN, FLOW_TCP_LAST_ACK, FLOW_CLOSED },
	{ true, TCP_ACK, FLOW_TCP_CLOSED, FLOW_CLOSED },
}, close_by_server[] = {
	{ false, TCP_SYN | TCP_ACK, FLOW_TCP_SYN_RECV, FLOW_NEW },
	{ true, TCP_ACK, FLOW_TCP_ESTABLISHED, FLOW_ESTABLISHED },
	{ false, TCP_ACK | TCP_FIN, FLOW_TCP_FIN_WAIT1, FLOW_ESTABLISHED },
	{ true, TCP_ACK, FLOW_TCP_FIN_WAIT2, FLOW_ESTABLISHED },
	{ true, TCP_ACK | TCP_FIN, FLOW_TCP_TIME_WAIT, FLOW_CLOSED },
	{ false, TCP_ACK, FLOW_TCP_CLOSED, FLOW_CLOSED },
};

static void
test_tcp_states(void **state)
{
	struct flow_tcp_record record;
	struct ended ended = { .count = 0 };
	struct flow *flow = NULL;

	for (size_t i = 0; i < TEST_COUNT(close_by_client); i++) {
		flow = tcp(close_by_client[i].to_server, close_by_client[i].flags, S + i);
		assert_int_equal(flow->tcp_state, close_by_client[i].tcp_state);
		assert_int_equal(flow->state, close_by_client[i].state);
		assert_int_equal(flow_to_server(&packets[0]), close_by_client[i].to_server);
	}
	assert_true((flow->flags & FLOW_3WHS) != 0);
	flow_tcp_record_fill(flow, &record);
	assert_int_equal(record.flags_bytes[0], 0x1b);
	assert_int_equal(record.flags_bytes[2], 0x13);
	assert_true(record.psh && !record.rst);
	assert_string_equal(record.state, "closed");
	/* a new connection on the same endpoints */
	assert_ptr_not_equal(tcp(true, TCP_SYN, 2 * S), flow);
	assert_int_equal(flow_expire(table, 2 * S, 100, on_end, &ended), 1);
	assert_int_equal(ended.reasons[FLOW_END_TCP_REUSE], 1);
	assert_int_equal(ended.last.packets[FLOW_TO_SERVER], 5);
	teardown(NULL);
	setup(NULL);
	for (size_t i = 0; i < TEST_COUNT(close_by_server); i++) { /* picked up at the SYN+ACK */
		flow = tcp(close_by_server[i].to_server, close_by_server[i].flags, S + i);
		assert_int_equal(flow->tcp_state, close_by_server[i].tcp_state);
		assert_int_equal(flow->state, close_by_server[i].state);
		assert_int_equal(flow_to_server(&packets[0]), close_by_server[i].to_server);
	}
}

static void
test_midstream_and_rst(void **state)
{
	struct flow *flow = tcp(false, TCP_ACK | TCP_PSH, S);

	assert_true((flow->flags & FLOW_MIDSTREAM) != 0);
	assert_int_equal(flow->state, FLOW_ESTABLISHED);
	packets[0].flags |= PACKET_L4_CHECKSUM_BAD; /* a forged RST */
	make(&packets[0], IP_PROTO_TCP, 1, 1024, 2, 502, S);
	packets[0].tcp_flags = TCP_RST;
	packets[0].flags |= PACKET_L4_CHECKSUM_BAD;
	assert_int_equal(pass()->state, FLOW_ESTABLISHED);
	assert_int_equal(tcp(true, TCP_RST, S)->state, FLOW_CLOSED);
}

/** Whatever the burst looks like, a packet after the timeout belongs to another flow. */
static void
test_timeout_splits_in_a_burst(void **state)
{
	struct ended ended = { .count = 0 };
	struct flow *first, *second;

	make(&packets[0], IP_PROTO_UDP, 1, 10, 2, 20, S);
	make(&packets[1], IP_PROTO_UDP, 1, 10, 2, 20, 31 * S);
	make(&packets[2], IP_PROTO_UDP, 1, 10, 2, 20, 62 * S);
	assert_int_equal(flow_lookup_burst(table, packets, 3, 62 * S, flows), 3);
	first = flow_update(table, flows[0], &packets[0]);
	assert_ptr_equal(flow_update(table, flows[1], &packets[1]), first);
	second = flow_update(table, flows[2], &packets[2]);
	assert_ptr_not_equal(second, first);
	assert_int_equal(second->packets[FLOW_TO_SERVER], 1);
	flow_expire(table, 62 * S, 100, on_end, &ended);
	assert_int_equal(ended.reasons[FLOW_END_TIMEOUT], 1);
	assert_int_equal(ended.last.packets[FLOW_TO_SERVER], 2);
}

static void
test_timeouts(void **state)
{
	static const struct {
		uint8_t proto;
		bool established;
		uint64_t timeout_s;
	} rows[] = {
		{ IP_PROTO_UDP, false, 30 }, { IP_PROTO_UDP, true, 300 }, { IP_PROTO_TCP, false, 60 },
		{ IP_PROTO_TCP, true, 600 }, { IP_PROTO_GRE, false, 30 },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct ended ended = { .count = 0 };
		uint64_t start = (10000 * (i + 1)) * S;

		make(&packets[0], rows[i].proto, 1, 10, 2, 20, start);
		packets[0].tcp_flags = rows[i].established ? TCP_ACK : TCP_SYN;
		pass();
		if (rows[i].established) {
			make(&packets[0], rows[i].proto, 2, 20, 1, 10, start);
			packets[0].tcp_flags = TCP_ACK;
			pass();
		}
		for (uint64_t s = 0; s <= rows[i].timeout_s; s++)
			flow_expire(table, start + s * S, 16, on_end, &ended);
		assert_int_equal(ended.count, 0);
		flow_expire(table, start + (rows[i].timeout_s + 2) * S, 16, on_end, &ended);
		assert_int_equal(ended.reasons[FLOW_END_TIMEOUT], 1);
	}
	assert_int_equal(flow_table_active(table), 0);
}

/* A clock that was wrong by years is set: flows end as if it had been right, a busy one goes on. */
static void
test_clock_set_back(void **state)
{
	const uint64_t ahead = 400000000 * S, right = 1000000 * S;
	struct ended ended = { .count = 0 };
	struct flow_record record;
	struct flow *busy;

	for (uint16_t port = 1; port <= 20; port++) {
		make(&packets[0], IP_PROTO_UDP, 1, port, 2, 2000, ahead);
		pass();
	}
	flow_expire(table, ahead, 64, on_end, &ended);
	for (uint64_t s = 0; s < 4096; s++) {
		make(&packets[0], IP_PROTO_UDP, 1, 1, 2, 2000, right + s * S);
		busy = pass();
		flow_expire(table, right + s * S, 64, on_end, &ended);
	}
	assert_int_equal(ended.count, 19);
	assert_int_equal(ended.reasons[FLOW_END_TIMEOUT], 19);
	assert_int_equal(busy->packets[0] + busy->packets[1], 4097);
	flow_record_fill(busy, NULL, &record);
	assert_int_equal(record.age, 0);
	/* From here on its time is as ever. */
	flow_expire(table, right + (4095 + 29) * S, 64, on_end, &ended);
	assert_int_equal(ended.count, 19);
	flow_expire(table, right + (4095 + 32) * S, 64, on_end, &ended);
	assert_int_equal(ended.count, 20);
}

/* A packet's own time may be wrong by years, as long as the burst's is not. */
static void
test_one_odd_time(void **state)
{
	struct ended ended = { .count = 0 };
	struct flow *flow = NULL, *out[1];

	for (unsigned int i = 0; i < 3; i++) {
		make(&packets[0], IP_PROTO_UDP, 1, 1, 2, 2000, i == 1 ? 1000 * S : 400000000 * S + i);
		assert_int_equal(flow_lookup_burst(table, packets, 1, 400000000 * S, out), 1);
		flow = flow_update(table, out[0], &packets[0]);
		flow_expire(table, 400000000 * S, 64, on_end, &ended);
	}
	assert_int_equal(ended.count, 0);
	assert_int_equal(flow->packets[0] + flow->packets[1], 3);
}

/* A little back is packets of two queues, and nothing ends of it. */
static void
test_disorder_is_no_clock(void **state)
{
	struct ended ended = { .count = 0 };

	make(&packets[0], IP_PROTO_UDP, 1, 1, 2, 2000, 1000 * S);
	pass();
	flow_expire(table, 1000 * S, 64, on_end, &ended);
	for (uint64_t s = 941; s <= 1000; s++)
		flow_expire(table, s * S, 64, on_end, &ended);
	assert_int_equal(ended.count, 0);
	flow_expire(table, 1032 * S, 64, on_end, &ended);
	assert_int_equal(ended.count, 1);
}

static void
test_shutdown(void **state)
{
	struct ended ended = { .count = 0 };

	for (uint16_t i = 0; i < 100; i++) {
		make(&packets[0], IP_PROTO_UDP, 1, i, 2, 20, S);
		assert_non_null(pass());
	}
	assert_int_equal(flow_expire_all(table, on_end, &ended), 100);
	assert_int_equal(ended.reasons[FLOW_END_SHUTDOWN], 100);
	assert_string_equal(flow_end_names[ended.last.end_reason], "shutdown");
	assert_int_equal(flow_table_active(table), 0);
	make(&packets[0], IP_PROTO_UDP, 1, 1, 2, 20, S);
	assert_non_null(pass());
}

/** A SYN flood of many times the capacity: established flows stay, the rest is evicted and counted, and the table is
 *  normal again a minute later. */
static void
test_flood(void **state)
{
	struct ended ended = { .count = 0 };
	uint64_t now = 100 * S;
	unsigned int established = FLOWS_MAX / 4;

	for (uint32_t i = 0; i < established; i++)
		for (unsigned int way = 0; way < 2; way++) {
			make(&packets[0], IP_PROTO_TCP, way == 0 ? 7 : 5000 + i, 502, way == 0 ? 5000 + i : 7, 502, now);
			packets[0].tcp_flags = TCP_ACK;
			assert_non_null(pass());
		}
	for (uint32_t i = 0; i < 50 * FLOWS_MAX; i += BURST) {
		for (uint32_t j = 0; j < BURST; j++) {
			make(&packets[j], IP_PROTO_TCP, 1000000 + i + j, 1024, 7, 502, now);
			packets[j].tcp_flags = TCP_SYN;
		}
		flow_lookup_burst(table, packets, BURST, now, flows);
		for (uint32_t j = 0; j < BURST; j++)
			if (flows[j] != NULL)
				flow_update(table, flows[j], &packets[j]);
		flow_expire(table, now, 16, on_end, &ended);
		now += 100000;
		assert_true(flow_table_active(table) <= FLOWS_MAX + 2 * FLOW_BURST_MAX);
	}
	assert_int_equal(counter_get(&counters[FLOW_COUNTER_TABLE_FULL]), 0);
	assert_int_equal(counter_get(&counters[FLOW_COUNTER_EVICTED_ESTABLISHED]), 0);
	assert_true(counter_get(&counters[FLOW_COUNTER_EVICTED_NEW]) > 48 * FLOWS_MAX);
	assert_int_equal(counter_get(&counters[FLOW_COUNTER_EMERG_MODE_ENTERED]), 1);
	for (unsigned int i = 0; i < 63; i++, now += S) {
		for (uint32_t j = 0; j < established; j += 16) { /* the established keep speaking */
			make(&packets[0], IP_PROTO_TCP, 7, 502, 5000 + j, 502, now);
			packets[0].tcp_flags = TCP_ACK;
			assert_true(pass()->packets[0] > 0);
		}
		flow_expire(table, now, 4096, on_end, &ended);
	}
	assert_int_equal(counter_get(&counters[FLOW_COUNTER_EMERG_MODE_OVER]), 1);
	assert_true(flow_table_active(table) <= established);
}

/** Keys that share both buckets: the last one made evicts, nothing is lost uncounted. */
static void
test_bucket_full(void **state)
{
	struct ended ended = { .count = 0 };
	unsigned int made = 0;

	for (uint16_t i = 0; i < 64; i++) {
		make(&packets[0], IP_PROTO_UDP, 1, i, 2, 20, S + i);
		packets[0].hash = 0x12345678;
		made += pass() != NULL;
	}
	assert_int_equal(made, 64);
	flow_expire(table, S, 16, on_end, &ended);
	assert_int_equal(counter_get(&counters[FLOW_COUNTER_EVICTED_BUCKET]), 64 - 20);
	assert_int_equal(ended.reasons[FLOW_END_FORCED], 44);
	for (uint16_t i = 44; i < 64; i++) {
		make(&packets[0], IP_PROTO_UDP, 1, i, 2, 20, 2 * S);
		packets[0].hash = 0x12345678;
		assert_int_equal(pass()->packets[FLOW_TO_SERVER], 2);
	}
	flow_expire_all(table, on_end, &ended);
	assert_int_equal(ended.count, 64);
}

/** Random traffic against a plain model: one slot for each key. */
static void
test_model(void **state)
{
	static struct {
		uint64_t last_ns;
		uint32_t packets;
		bool used;
	} model[300];
	struct ended ended = { .count = 0 };
	uint64_t now = S;
	unsigned int seed = 7;

	memset(model, 0, sizeof(model));
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int n = (unsigned int)rand_r(&seed) % TEST_COUNT(model);
		struct flow *flow;

		now += (uint64_t)(rand_r(&seed) % 1000) * 1000000;
		make(&packets[0], IP_PROTO_UDP, n, 5, 1000, 6, now);
		flow = pass();
		if (model[n].used && now - model[n].last_ns > 30 * S)
			model[n].packets = 0;
		model[n].used = true;
		model[n].last_ns = now;
		assert_int_equal(flow->packets[FLOW_TO_SERVER], ++model[n].packets);
		if (i % 16 == 0)
			flow_expire(table, now, 8, on_end, &ended);
	}
	assert_true(ended.count > 0);
	assert_int_equal(ended.reasons[FLOW_END_TIMEOUT], ended.count);
}

static void
test_community_id(void **state)
{
	/* the specification's baseline: github.com/corelight/community-id-spec */
	static const struct {
		uint8_t proto;
		uint8_t src[4], dst[4];
		uint16_t sport, dport;
		const char *id;
	} rows[] = {
		{ IP_PROTO_TCP, { 128, 232, 110, 120 }, { 66, 35, 250, 204 }, 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ IP_PROTO_TCP, { 66, 35, 250, 204 }, { 128, 232, 110, 120 }, 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ IP_PROTO_UDP, { 192, 168, 1, 52 }, { 8, 8, 8, 8 }, 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
		{ IP_PROTO_ICMP, { 192, 168, 0, 89 }, { 192, 168, 0, 1 }, 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
		{ IP_PROTO_ICMP, { 192, 168, 0, 1 }, { 192, 168, 0, 89 }, 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
	};
	char id[FLOW_COMMUNITY_ID_LEN + 1];

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct ip_addr src = { .halves = { 0 } }, dst = { .halves = { 0 } };

		memcpy(src.bytes, rows[i].src, 4);
		memcpy(dst.bytes, rows[i].dst, 4);
		flow_community_id(id, 0, 4, rows[i].proto, &src, &dst, rows[i].sport, rows[i].dport);
		assert_string_equal(id, rows[i].id);
	}
}

static void
test_tables(void **state)
{
	assert_null(record_table_check(&flow_record_table));
	assert_null(record_table_check(&flow_tcp_record_table));
}

static void
test_create_fails(void **state)
{
	struct flow_config config = config_of(64);
	struct flow_table *made = NULL;

	TEST_FAIL_EACH_ALLOC(flow_table_create(&made, &config, counters), == 0, flow_table_destroy(made));
	config.flows_max = 0;
	assert_int_equal(flow_table_create(&made, &config, counters), -22);
	flow_table_destroy(NULL);
}

/** A mirrored frame's second copy is passed over: not a third one, not one that was sent again, not a late one. */
static void
test_duplicates(void **state)
{
	static const struct {
		uint64_t after_us;
		uint8_t id, ttl;   /* IPv4 identification and TTL */
		char byte;
		bool duplicate;
	} rows[] = {
		{ 0, 1, 64, 'a', false },  { 10, 1, 63, 'a', true }, { 20, 1, 64, 'a', false }, { 1000, 2, 64, 'a', false },
		{ 1000, 2, 64, 'b', false }, { 1001, 2, 64, 'b', true }, { 5000, 3, 64, 'c', false }, { 7500, 3, 64, 'c', false },
	};
	struct flow_config config = config_of(FLOWS_MAX);

	for (unsigned int on = 0; on < 2; on++) {
		config.skip_duplicates = on == 1;
		config.duplicate_window_us = 2000;
		memset(counters, 0, sizeof(counters));
		assert_int_equal(flow_table_create(&table, &config, counters), 0);
		for (size_t i = 0; i < TEST_COUNT(rows); i++) {
			struct frame frame = { 0 };

			frame_ethernet(&frame, 0x0800);
			frame_ipv4(&frame, 0x0a000001, 0x0a000002, IP_PROTO_UDP, rows[i].id, 0);
			frame.data[frame.l3_at + 8] = rows[i].ttl;
			frame_udp(&frame, 1000, 2000);
			frame_put(&frame, &rows[i].byte, 1);
			frame_finish_ipv4(&frame);
			make(&packets[0], IP_PROTO_UDP, 1, 1000, 2, 2000, S + rows[i].after_us * 1000);
			packets[0].data = frame.data;
			packets[0].len = frame.len;
			packets[0].l3_off = (uint16_t)frame.l3_at;
			assert_int_equal(flow_is_duplicate(table, &packets[0]), on == 1 && rows[i].duplicate);
		}
		flow_lookup_burst(table, packets, 0, S, flows);
		flow_expire(table, S, 1, NULL, NULL);
		assert_int_equal(counter_get(&counters[FLOW_COUNTER_DUPLICATES]), on == 1 ? 2 : 0);
		flow_table_destroy(table);
	}
}

/** The same of a frame without IP, whose tags alone may differ. */
static void
test_duplicate_frames(void **state)
{
	static const struct {
		uint16_t vlan;
		uint8_t mac; /* the receiver's last byte */
		char byte;
		bool duplicate;
	} rows[] = {
		{ 5, 2, 'a', false }, { 6, 2, 'a', true }, { 5, 2, 'a', false }, { 5, 3, 'a', false }, { 5, 3, 'b', false }, { 0, 3, 'b', true },
	};
	struct flow_config config = config_of(FLOWS_MAX);

	config.skip_duplicates = true;
	config.duplicate_window_us = 2000;
	assert_int_equal(flow_table_create(&table, &config, counters), 0);
	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct frame frame = { 0 };

		frame_ethernet(&frame, rows[i].vlan > 0 ? 0x8100 : 0x88b8);
		frame.data[5] = rows[i].mac;
		if (rows[i].vlan > 0)
			frame_be32(&frame, (uint32_t)rows[i].vlan << 16 | 0x88b8);
		frame_put(&frame, &rows[i].byte, 1);
		memset(&packets[0], 0, sizeof(packets[0]));
		packets[0].data = frame.data;
		packets[0].len = frame.len;
		packets[0].ts_ns = S + i * 1000;
		packets[0].flags = PACKET_ETHERNET | PACKET_FLOW;
		packets[0].ether_type = 0x88b8;
		packets[0].payload = &frame.data[frame.len - 1];
		packets[0].payload_len = 1;
		assert_int_equal(flow_is_duplicate(table, &packets[0]), rows[i].duplicate);
	}
	flow_table_destroy(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_biflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ethernet_is_established, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_packet_of_a_burst_outlives_the_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_midstream_and_rst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout_splits_in_a_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeouts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_odd_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disorder_is_no_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bucket_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_duplicate_frames),
		cmocka_unit_test(test_community_id),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
