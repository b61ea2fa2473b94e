/* Questions to the embedded store, chosen at random, find what a search of all its records finds. */
#include "test/test.h"

#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/hash.h"
#include "lib/store/store.h"

enum {
	RECORDS_MAX = 12000,
	LINE_MAX = 400,
	FLOWS = 50,
	HOSTS = 6,          /* most records are of these, */
	MEETING = 64,       /* some of those that meet in one slot of lib/store/sqlite/sqlite_spans.c, */
	SLOTS = 32768,
	BIG_BATCH = 5000,   /* and one batch is of a different one each: more than a run takes */
	QUESTIONS = 40,
	TS_STEP_MS = 50,    /* so that many are of one time */
};

static const char *const types[] = { "modbus", "dnp3", "flow", "alert" };
static const char *const sensors[] = { "north", "south", "east" };

/* A record as it was sent; its id is its place and one. */
struct sent {
	int64_t ts_ns;
	uint32_t src, dest; /* 0: none */
	uint16_t port;
	int8_t type;        /* -1: none */
	int8_t sensor;
	int8_t function, response; /* -1: none */
	uint32_t flow;      /* 0: none */
};

static struct sent sent[RECORDS_MAX];
static uint32_t sent_count;
static uint32_t first_kept; /* place of the oldest that retention left */
static uint32_t meeting[MEETING];
static char path[64];

static uint64_t
pick(uint64_t below)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

/* Addresses of one slot, as sources. */
static void
make_meeting(void)
{
	uint32_t count = 0;

	for (uint32_t i = 1; count < MEETING; i++) {
		uint32_t address = htonl(0x0b000000 + i);

		if (crc32c(1, &address, sizeof(address)) % SLOTS == 77)
			meeting[count++] = 0x0b000000 + i;
	}
}

static uint32_t
pick_address(void)
{
	uint64_t kind = pick(20);

	return kind == 0 ? 0 : kind < 5 ? meeting[pick(MEETING)] : 0x0a000001 + (uint32_t)pick(HOSTS);
}

static void
make_record(struct sent *out, int8_t sensor, bool different)
{
	*out = (struct sent){
		.ts_ns = (int64_t)(1767323040000 + (sent_count + pick(3000)) / TS_STEP_MS * TS_STEP_MS) * 1000000,
		.src = different ? 0x0c000000 + sent_count : pick_address(),
		.dest = pick_address(),
		.port = (uint16_t)(500 + pick(4)),
		.type = (int8_t)pick(40) == 0 ? -1 : pick(4) != 0 ? 0 : (int8_t)pick(TEST_COUNT(types)),
		.sensor = sensor,
		.function = (int8_t)pick(4) - 1,
		.response = (int8_t)pick(3) - 1,
		.flow = pick(8) == 0 ? 0 : different ? FLOWS + sent_count : 1 + (uint32_t)pick(FLOWS),
	};
}

static size_t
put_address(char *to, const char *name, uint32_t address)
{
	return address == 0 ? 0 : (size_t)sprintf(to, ",\"%s\":\"%u.%u.%u.%u\"", name, address >> 24, address >> 16 & 255,
		address >> 8 & 255, address & 255);
}

/* The columns are given, so that a line need not say them all. */
static size_t
write_line(const struct sent *record, char *to, struct store_line *line)
{
	time_t at = (time_t)(record->ts_ns / 1000000000);
	size_t len = strftime(to, LINE_MAX, "{\"timestamp\":\"%Y-%m-%dT%H:%M:%S", gmtime(&at));

	len += (size_t)sprintf(to + len, ".%06u+0000\"", (unsigned int)(record->ts_ns / 1000 % 1000000));
	if (record->type >= 0)
		len += (size_t)sprintf(to + len, ",\"event_type\":\"%s\"", types[record->type]);
	len += put_address(to + len, "src_ip", record->src);
	len += put_address(to + len, "dest_ip", record->dest);
	if (record->flow != 0)
		len += (size_t)sprintf(to + len, ",\"flow_id\":%u", record->flow);
	len += (size_t)sprintf(to + len, ",\"dest_port\":%u}", record->port);
	assert_null(store_line_read(line, to, len));
	assert_true(line->ts_ns.value == record->ts_ns);
	line->function = (struct line_number){ .value = record->function, .present = record->function >= 0 };
	line->response_function = (struct line_number){ .value = record->response, .present = record->response >= 0 };
	to[len++] = '\n';
	return len;
}

static void
send_batch(struct store *store, uint32_t count, uint64_t *next, bool different)
{
	int8_t sensor = (int8_t)pick(TEST_COUNT(sensors));
	struct batch_head head = { .epoch = 7, .lane = LINK_LANE_EVENT, .sequence = next[sensor], .count = count };
	struct store_line *lines = calloc(count, sizeof(*lines));
	char *text = malloc((size_t)count * LINE_MAX);
	struct store_body body = { .data = text, .lines = text };
	struct store_appended done;

	assert_in_range(sent_count + count, 1, RECORDS_MAX);
	snprintf(head.sensor, sizeof(head.sensor), "%s", sensors[sensor]);
	for (uint32_t i = 0; i < count; i++) {
		make_record(&sent[sent_count], sensor, different);
		body.lines_len += write_line(&sent[sent_count++], text + body.lines_len, &lines[i]);
	}
	body.len = body.lines_len;
	assert_int_equal(store_append(store, &head, &body, lines, &done), 0);
	next[sensor] = done.next;
	free(text);
	free(lines);
}

static void
fill(struct store *store)
{
	uint64_t next[TEST_COUNT(sensors)] = { 1, 1, 1 };

	sent_count = first_kept = 0;
	for (unsigned int i = 0; i < 60; i++)
		send_batch(store, 1 + (uint32_t)pick(i % 3 == 0 ? 200 : 8), next, false);
	send_batch(store, BIG_BATCH, next, true);
	for (unsigned int i = 0; i < 40; i++)
		send_batch(store, 1 + (uint32_t)pick(120), next, false);
	assert_int_equal(store_commit(store), 0);
}

/* ---- the same by searching all ---- */

static uint32_t
host_order(const struct line_ip *ip)
{
	uint32_t address;

	memcpy(&address, ip->bytes, sizeof(address));
	return ntohl(address);
}

static bool
is_within(uint32_t address, const struct store_filter *filter, enum store_filter_key key)
{
	const struct line_ip *first = &filter->value[key].ip, *last = &filter->value[key].last_ip;

	return address != 0 && address >= host_order(first) && address <= host_order(last->len == 0 ? first : last);
}

static bool
has(const struct store_filter *filter, enum store_filter_key key)
{
	return (filter->present >> key & 1) != 0;
}

static bool
matches(const struct sent *record, const struct store_filter *filter)
{
	if (has(filter, STORE_SENSOR) && strcmp(filter->value[STORE_SENSOR].text, sensors[record->sensor]) != 0)
		return false;
	if (has(filter, STORE_SINCE) && record->ts_ns < filter->value[STORE_SINCE].number)
		return false;
	if (has(filter, STORE_UNTIL) && record->ts_ns >= filter->value[STORE_UNTIL].number)
		return false;
	if (has(filter, STORE_SRC_IP) && !is_within(record->src, filter, STORE_SRC_IP))
		return false;
	if (has(filter, STORE_DEST_IP) && !is_within(record->dest, filter, STORE_DEST_IP))
		return false;
	if (has(filter, STORE_IP) && !is_within(record->src, filter, STORE_IP) && !is_within(record->dest, filter, STORE_IP))
		return false;
	if (has(filter, STORE_FLOW_ID) && record->flow != filter->value[STORE_FLOW_ID].number)
		return false;
	if (has(filter, STORE_PORT) && record->port != filter->value[STORE_PORT].number)
		return false;
	return !has(filter, STORE_EVENT_TYPE) || (record->type >= 0 &&
		strcmp(filter->value[STORE_EVENT_TYPE].text, types[record->type]) == 0);
}

static int
by_time_down(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	if (sent[*x].ts_ns != sent[*y].ts_ns)
		return sent[*x].ts_ns < sent[*y].ts_ns ? 1 : -1;
	return *x < *y ? 1 : -1;
}

static int
by_id_down(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? 1 : -1;
}

static uint32_t
search_all(const struct store_filter *filter, enum store_order order, uint32_t *out)
{
	uint32_t by_time = 1u << STORE_EVENT_TYPE | 1u << STORE_IP | 1u << STORE_SRC_IP | 1u << STORE_DEST_IP | 1u << STORE_SINCE |
		1u << STORE_UNTIL | 1u << STORE_FLOW_ID;
	uint32_t count = 0;

	for (uint32_t i = first_kept; i < sent_count; i++)
		if (matches(&sent[i], filter))
			out[count++] = i;
	if (order == STORE_NEWEST)
		qsort(out, count, sizeof(*out), (filter->present & by_time) != 0 ? by_time_down : by_id_down);
	return count;
}

/* ---- questions ---- */

static void
ask_for(struct store_filter *filter, const char *name, const char *format, unsigned long long value)
{
	char text[64];

	snprintf(text, sizeof(text), format, value);
	assert_int_equal(store_filter_set(filter, name, text), 0);
}

static const char *const networks[] = { "/0", "/8", "/24", "/26", "/30", "/31", "/32" };

static void
ask_for_address(struct store_filter *filter, const char *name)
{
	uint32_t address;
	char text[32];

	do {
		address = pick(10) == 0 ? 0x0c000000 + (uint32_t)pick(sent_count) : pick_address();
	} while (address == 0);
	snprintf(text, sizeof(text), "%u.%u.%u.%u%s", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255,
		pick(3) != 0 ? "" : networks[pick(TEST_COUNT(networks))]);
	assert_int_equal(store_filter_set(filter, name, text), 0);
}

static void
ask_for_time(struct store_filter *filter)
{
	if (pick(3) == 0)
		ask_for(filter, "since", "%llu", 1767323040 + pick(16));
	if (pick(3) == 0)
		ask_for(filter, "until", "%llu", 1767323040 + pick(16));
	if (pick(4) == 0)
		assert_int_equal(store_filter_set(filter, "sensor", sensors[pick(TEST_COUNT(sensors))]), 0);
}

static void
make_question(struct store_filter *filter)
{
	*filter = (struct store_filter){ 0 };
	ask_for_time(filter);
	if (pick(3) == 0)
		ask_for_address(filter, "ip");
	if (pick(3) == 0)
		ask_for_address(filter, "src_ip");
	if (pick(4) == 0)
		ask_for_address(filter, "dest_ip");
	if (pick(4) == 0)
		ask_for(filter, "flow_id", "%llu", pick(4) == 0 ? FLOWS + pick(sent_count) : 1 + pick(FLOWS));
	if (pick(4) == 0)
		ask_for(filter, "port", "%llu", 500 + pick(5));
	if (pick(4) == 0)
		assert_int_equal(store_filter_set(filter, "event_type", types[pick(TEST_COUNT(types))]), 0);
}

struct answer {
	uint32_t places[RECORDS_MAX];
	uint32_t count;
	int64_t last_ts;
};

static void
note(void *arg, const struct store_found *found)
{
	struct answer *answer = arg;

	assert_in_range(answer->count, 0, RECORDS_MAX - 1);
	answer->places[answer->count++] = (uint32_t)found->id - 1;
	answer->last_ts = found->ts_ns;
}

static void
questions_find_what_is_there(struct store *store)
{
	static uint32_t expected[RECORDS_MAX];
	static struct answer answer;

	for (unsigned int i = 0; i < QUESTIONS; i++) {
		struct store_page page = { .limit = 20 + (uint32_t)pick(900), .order = pick(5) == 0 ? STORE_ARRIVAL : STORE_NEWEST };
		struct store_filter filter;
		uint32_t count;

		make_question(&filter);
		count = search_all(&filter, page.order, expected);
		answer.count = 0;
		do {
			assert_true(store_query(store, &filter, &page, note, &answer) >= 0);
			page.continues = true;
			page.after_id = answer.count == 0 ? 0 : answer.places[answer.count - 1] + 1;
			page.after_ts_ns = answer.last_ts;
		} while (page.more);
		assert_int_equal(answer.count, count);
		assert_memory_equal(answer.places, expected, count * sizeof(*expected));
	}
}

/* ---- counts ---- */

static int64_t
count_all(const struct store_filter *filter, const char *type, json_int_t function, bool with_function)
{
	int64_t count = 0;

	for (uint32_t i = first_kept; i < sent_count; i++) {
		const struct sent *record = &sent[i];
		const char *name = record->type < 0 ? "" : types[record->type];
		int code = record->function >= 0 ? record->function : record->response;

		if (strcmp(name, type) == 0 && matches(record, filter))
			count += !with_function ? 1 : code != function ? 0 : (record->function >= 0) + 1000 * (record->response >= 0);
	}
	return count;
}

static void
reports_count_what_is_there(struct store *store)
{
	for (unsigned int i = 0; i < QUESTIONS / 2; i++) {
		struct store_filter filter = { 0 };
		int64_t total = 0;
		json_t *rows, *row;
		size_t at;

		ask_for_time(&filter);
		assert_int_equal(store_report(store, STORE_REPORT_EVENTS, &filter, &rows), 0);
		json_array_foreach(rows, at, row) {
			const char *type = json_string_value(json_object_get(row, "event_type"));

			total += json_integer_value(json_object_get(row, "records"));
			assert_int_equal(json_integer_value(json_object_get(row, "records")), count_all(&filter, type, 0, false));
		}
		json_decref(rows);
		for (uint32_t place = first_kept; place < sent_count; place++)
			total -= matches(&sent[place], &filter);
		assert_int_equal(total, 0);
		assert_int_equal(store_report(store, STORE_REPORT_PROTOCOLS, &filter, &rows), 0);
		json_array_foreach(rows, at, row)
			assert_int_equal(json_integer_value(json_object_get(row, "requests")) +
				1000 * json_integer_value(json_object_get(row, "responses")),
				count_all(&filter, json_string_value(json_object_get(row, "protocol")),
				json_integer_value(json_object_get(row, "function")), true));
		json_decref(rows);
	}
}

static void
answers_are_those_of_a_search(void **state)
{
	static const struct {
		uint64_t partition_records_max;
		uint64_t records_max; /* lower than what is sent: the oldest go, from the midst of a run */
	} rounds[] = { { 0, 0 }, { 900, 0 }, { 0, 4321 } };

	(void)state;
	make_meeting();
	snprintf(path, sizeof(path), "/tmp/millrace-test-questions-%d.db", (int)getpid());
	for (size_t i = 0; i < TEST_COUNT(rounds); i++) {
		const struct store_config config = { .path = path, .partition_records_max = rounds[i].partition_records_max,
			.records_max = rounds[i].records_max };
		struct store *store, *reader;
		uint64_t deleted = 0;

		unlink(path);
		assert_int_equal(store_open(&store, STORE_KIND_SQLITE, &config, true), 0);
		fill(store);
		while (store_expire(store, 0, &deleted) > 0)
			first_kept += (uint32_t)deleted;
		if (rounds[i].records_max != 0)
			assert_int_equal(sent_count - first_kept, rounds[i].records_max);
		assert_int_equal(store_open(&reader, STORE_KIND_SQLITE, &config, false), 0);
		questions_find_what_is_there(reader);
		reports_count_what_is_there(reader);
		store_close(reader);
		store_close(store);
		unlink(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_those_of_a_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
