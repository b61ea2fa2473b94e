/* Flows that go on are told of in parts, of which the sum is the flow. */
#include "test/test.h"

#include "lib/flow/test_packets.h"

enum { FLOWS_MAX = 64, ACTIVE_S = 1800, PARTS_MAX = 32, CLIENT = 9, SERVER = 2 };

static const uint64_t BEGIN = 1700000000 * UINT64_C(1000000000);

static _Atomic uint64_t counters[FLOW_COUNTER_COUNT];
static struct flow_table *table;
static struct flow_record records[PARTS_MAX];
static unsigned int record_count;

static void
note_record(void *arg, struct flow *flow)
{
	(void)arg;
	assert_true(record_count < PARTS_MAX);
	flow_record_fill(flow, flow_part(table, flow), &records[record_count++]);
}

static void
make_table(uint64_t active_s)
{
	struct flow_config config = config_of(FLOWS_MAX);

	config.active_timeout_s = active_s;
	memset(counters, 0, sizeof(counters));
	record_count = 0;
	assert_int_equal(flow_table_create(&table, &config, counters), 0);
	assert_int_equal(flow_tell_parts(table, note_record, NULL), 0);
}

static void
end_table(void)
{
	flow_expire_all(table, note_record, NULL);
	flow_table_destroy(table);
}

static struct flow *
send_at(bool to_server, uint64_t ts_ns, uint64_t now_ns)
{
	struct packet packet;
	struct flow *flow;

	make(&packet, IP_PROTO_UDP, to_server ? CLIENT : SERVER, to_server ? 1000 : 2000, to_server ? SERVER : CLIENT,
		to_server ? 2000 : 1000, ts_ns);
	flow_lookup_burst(table, &packet, 1, now_ns, &flow);
	return flow_update(table, flow, &packet);
}

/** A request a second and an answer to every other one, for so long. */
static struct flow *
converse(uint64_t from_s, uint64_t seconds)
{
	struct flow *flow = NULL;

	for (uint64_t s = from_s; s < from_s + seconds; s++) {
		flow = send_at(true, BEGIN + s * S, BEGIN + s * S);
		if (s % 2 == 0)
			flow = send_at(false, BEGIN + s * S + S / 2, BEGIN + s * S + S / 2);
	}
	return flow;
}

static void
check_parts(uint64_t packets, uint64_t answers)
{
	uint64_t sum[2] = { 0 }, bytes[2] = { 0 };

	for (unsigned int i = 0; i < record_count; i++) {
		const struct flow_record *record = &records[i];
		bool last = i + 1 == record_count;

		sum[0] += record->pkts_toserver;
		sum[1] += record->pkts_toclient;
		bytes[0] += record->bytes_toserver;
		bytes[1] += record->bytes_toclient;
		assert_string_equal(record->reason, last ? "shutdown" : "active_timeout");
		assert_int_equal(record->end_reason, last ? 4 : 2);
		assert_int_equal(record->part, i == 0 ? 0 : i + 1);
		assert_int_equal(record->began, i == 0 ? 0 : BEGIN);
		assert_true(record->end >= record->start);
		if (i > 0)
			assert_true(record->start > records[i - 1].end && record->start - records[i - 1].end <= S);
		if (!last)
			assert_in_range(record->age, ACTIVE_S - 1, ACTIVE_S + ACTIVE_S / 8);
	}
	assert_int_equal(sum[0], packets);
	assert_int_equal(sum[1], answers);
	assert_int_equal(bytes[0], packets * 100);
	assert_int_equal(bytes[1], answers * 100);
}

static void
test_the_sum_is_the_flow(void **state)
{
	const struct flow *flow;

	(void)state;
	make_table(ACTIVE_S);
	flow = converse(0, 20000);
	assert_int_equal(flow->packets[FLOW_TO_SERVER], 20000); /* rules count the whole flow */
	end_table();
	assert_in_range(record_count, 20000 / (ACTIVE_S + ACTIVE_S / 8) + 1, 20000 / ACTIVE_S + 1);
	assert_int_equal(atomic_load(&counters[FLOW_COUNTER_PARTS]), record_count - 1);
	assert_int_equal(atomic_load(&counters[FLOW_COUNTER_TOTAL]), 1);
	check_parts(20000, 10000);
}

static bool
has(const struct flow_record *record, const char *path)
{
	for (unsigned int i = 0; i < flow_record_table.field_count; i++)
		if (strcmp(flow_record_table.fields[i].path, path) == 0)
			return record_is_present(record, flow_record_table.fields[i].bit);
	fail();
	return false;
}

/* What is of the whole flow is said, also where the other side has been silent since. */
static void
test_one_side_falls_silent(void **state)
{
	(void)state;
	make_table(ACTIVE_S);
	converse(0, 10);
	for (uint64_t s = 10; s < 4500; s++)
		send_at(true, BEGIN + s * S, BEGIN + s * S);
	end_table();
	assert_int_equal(record_count, 3);
	for (unsigned int i = 0; i < record_count; i++) {
		assert_int_equal(records[i].pkts_toclient, i == 0 ? 5 : 0);
		assert_true(has(&records[i], "min_ttl_toserver"));
		assert_true(has(&records[i], "max_ttl_toclient"));
	}
}

static void
test_what_is_short_has_no_parts(void **state)
{
	(void)state;
	make_table(ACTIVE_S);
	converse(0, ACTIVE_S);
	end_table();
	assert_int_equal(record_count, 1);
	assert_int_equal(records[0].part, 0);
	make_table(0);
	converse(0, 20000);
	end_table();
	assert_int_equal(record_count, 1);
	assert_int_equal(records[0].pkts_toserver, 20000);
}

static void
check_whole(const struct flow *flow)
{
	struct flow_part whole = flow_whole(table, flow);
	struct flow_record record;

	flow_record_fill(flow, &whole, &record);
	assert_int_equal(record.pkts_toserver, FLOW_PACKETS_MAX + UINT64_C(990));
	assert_int_equal(record.bytes_toserver, (FLOW_PACKETS_MAX + UINT64_C(990)) * 100);
	assert_int_equal(record.start, BEGIN);
	assert_int_equal(record.part, 0);
}

/* The flow's own count goes back or stands; nothing is missing in the parts, and it stays the same flow. */
static void
test_more_packets_than_are_counted(void **state)
{
	struct flow *flow;

	(void)state;
	make_table(ACTIVE_S);
	flow = converse(0, 1);
	flow->packets[FLOW_TO_SERVER] = FLOW_PACKETS_MAX - 10;
	flow->bytes[FLOW_TO_SERVER] = (FLOW_PACKETS_MAX - UINT64_C(10)) * 100;
	converse(1, 1000);
	assert_int_equal(record_count, 1);
	assert_int_equal(records[0].pkts_toserver, FLOW_PACKETS_MAX);
	assert_int_equal(flow_packets(table, flow, FLOW_TO_SERVER), FLOW_PACKETS_MAX + UINT64_C(990));
	assert_int_equal(flow_packets(table, flow, FLOW_TO_CLIENT), 501);
	check_whole(flow);
	flow_swap_direction(flow);
	assert_int_equal(flow_packets(table, flow, FLOW_TO_CLIENT), FLOW_PACKETS_MAX + UINT64_C(990));
	flow_swap_direction(flow);
	end_table();
	assert_int_equal(record_count, 2);
	assert_int_equal(records[1].pkts_toserver, 990);
	assert_int_equal(records[1].bytes_toserver, 99000);
	assert_int_equal(records[1].pkts_toclient + records[0].pkts_toclient, 501);
	make_table(0);
	flow = converse(0, 1);
	flow->packets[FLOW_TO_SERVER] = flow->packets[FLOW_TO_CLIENT] = FLOW_PACKETS_MAX - 1;
	converse(1, 10);
	end_table();
	assert_int_equal(record_count, 1);
	assert_int_equal(records[0].pkts_toserver, FLOW_PACKETS_MAX);
	assert_int_equal(records[0].pkts_toclient, FLOW_PACKETS_MAX);
	assert_int_equal(records[0].start, BEGIN);
}

/* Who asks is known late. */
static void
test_swapped_between_parts(void **state)
{
	struct flow *flow;

	(void)state;
	make_table(ACTIVE_S);
	flow = converse(0, 2100);
	assert_int_equal(record_count, 1);
	flow_swap_direction(flow);
	end_table();
	assert_int_equal(record_count, 2);
	assert_int_equal(records[1].pkts_toclient, 2100 - records[0].pkts_toserver);
	assert_int_equal(records[1].pkts_toserver, 1050 - records[0].pkts_toclient);
	assert_int_equal(records[1].bytes_toclient, records[1].pkts_toclient * 100);
}

/* One packet's own time is wrong: nothing is told because of it. A clock that is set back begins a part. */
static void
test_times_that_jump(void **state)
{
	const uint64_t now = BEGIN + 100 * S;

	(void)state;
	make_table(ACTIVE_S);
	converse(0, 100);
	send_at(true, BEGIN - 1000000 * S, now);
	assert_int_equal(record_count, 0);
	send_at(true, BEGIN - 500000 * S, BEGIN - 500000 * S);
	assert_int_equal(record_count, 1);
	assert_int_equal(records[0].pkts_toserver, 101);
	end_table();
	assert_int_equal(record_count, 2);
	assert_int_equal(records[1].pkts_toserver, 1);
	assert_int_equal(records[1].start, BEGIN - 500000 * S);
}

enum { PORTS = 8, FRAMES = 200000, SEEN_MAX = 4096 };

static struct seen_flow {
	uint64_t id, sent[2], told[2]; /* by the port that sends: [1] of the client's */
	uint32_t parts;
} seen_flows[SEEN_MAX];
static unsigned int seen_count;

static struct seen_flow *
seen_flow(uint64_t id)
{
	for (unsigned int i = seen_count; i-- > 0;)
		if (seen_flows[i].id == id)
			return &seen_flows[i];
	assert_true(seen_count < SEEN_MAX);
	seen_flows[seen_count].id = id;
	return &seen_flows[seen_count++];
}

static void
add_record(void *arg, struct flow *flow)
{
	struct seen_flow *seen = seen_flow(flow->flow_id);
	bool from_client = flow_originator_port(flow) != 2000;
	struct flow_record record;

	(void)arg;
	flow_record_fill(flow, flow_part(table, flow), &record);
	seen->told[from_client] += record.pkts_toserver;
	seen->told[!from_client] += record.pkts_toclient;
	assert_int_equal(record.bytes_toserver, record.pkts_toserver * 100);
	assert_int_equal(record.part, seen->parts == 0 ? 0 : seen->parts + 1);
	seen->parts++;
}

/* Whatever the times and whoever turns out to ask: each packet is told of once. */
static void
test_each_packet_is_told_once(void **state)
{
	static const int64_t steps_s[] = { 0, 0, 1, 5, 30, 90, 200, 1000, -3, -3000 };
	struct flow_config config = config_of(FLOWS_MAX);
	uint64_t now = BEGIN, random = 1;
	unsigned int most = 0;

	(void)state;
	config.active_timeout_s = 100;
	assert_int_equal(flow_table_create(&table, &config, counters), 0);
	assert_int_equal(flow_tell_parts(table, add_record, NULL), 0);
	for (unsigned int i = 0; i < FRAMES; i++) {
		struct packet packet;
		struct flow *flow;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		uint32_t r = (uint32_t)(random >> 33);
		bool to_server = (r & 1) != 0;
		uint16_t port = (uint16_t)(1 + (r >> 1) % PORTS);
		uint64_t odd = (r >> 4) % 500 == 0 ? (r & 8 ? 400000 : -UINT64_C(400000)) * S : 0;

		now += (uint64_t)steps_s[(r >> 12) % 400 == 0 ? (r >> 21) % TEST_COUNT(steps_s) : (r >> 21) % 4] * S / 4;
		make(&packet, IP_PROTO_UDP, to_server ? CLIENT : SERVER, to_server ? port : 2000, to_server ? SERVER : CLIENT,
			to_server ? 2000 : port, now + odd);
		flow_lookup_burst(table, &packet, 1, now, &flow);
		flow = flow_update(table, flow, &packet);
		seen_flow(flow->flow_id)->sent[to_server]++;
		if ((r >> 5) % 1000 == 0)
			flow_swap_direction(flow);
		flow_expire(table, now, 64, add_record, NULL);
	}
	flow_expire_all(table, add_record, NULL);
	for (unsigned int i = 0; i < seen_count; i++) {
		assert_int_equal(seen_flows[i].sent[0], seen_flows[i].told[0]);
		assert_int_equal(seen_flows[i].sent[1], seen_flows[i].told[1]);
		most = seen_flows[i].parts > most ? seen_flows[i].parts : most;
	}
	assert_true(seen_count > 10 && most > 5);
	flow_table_destroy(table);
}

/* Flows that began together are told one after another. */
static void
test_spread(void **state)
{
	struct packet packet;
	struct flow *flow;
	unsigned int at_once = 0;

	(void)state;
	make_table(ACTIVE_S);
	for (uint64_t s = 0; s < 2100; s++) {
		unsigned int before = record_count;

		for (uint16_t port = 1; port <= PARTS_MAX; port++) {
			make(&packet, IP_PROTO_UDP, CLIENT, port, SERVER, 2000, BEGIN + s * S);
			flow_lookup_burst(table, &packet, 1, packet.ts_ns, &flow);
			flow_update(table, flow, &packet);
		}
		if (record_count - before > at_once)
			at_once = record_count - before;
	}
	assert_int_equal(record_count, PARTS_MAX);
	assert_in_range(at_once, 1, PARTS_MAX / 4);
	flow_table_destroy(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_sum_is_the_flow),
		cmocka_unit_test(test_one_side_falls_silent),
		cmocka_unit_test(test_what_is_short_has_no_parts),
		cmocka_unit_test(test_more_packets_than_are_counted),
		cmocka_unit_test(test_swapped_between_parts),
		cmocka_unit_test(test_times_that_jump),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_each_packet_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
