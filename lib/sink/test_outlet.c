#include "test/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/sink/ipfix/ipfix.h"
#include "lib/sink/ipfix/message.h"
#include "lib/sink/outlet.h"
#include "lib/sink/syslog/format.h"
#include "lib/sink/syslog/syslog.h"
#include "test/folder.h"

static char dir[TEST_FOLDER_LEN];

static int
setup(void **state)
{
	return test_folder_make(dir, "/tmp", "test_outlet");
}

static int
teardown(void **state)
{
	return test_folder_remove(dir);
}

/* ---- formats ---- */

static const char sniffed[] =
	"{\"timestamp\":\"2026-01-02T03:04:05.678901+0000\",\"event_type\":\"alert\",\"src_ip\":\"2001:db8::1\",\"dest_ip\":\"10.0.0.2\","
	"\"alert\":{\"signature_id\":7,\"signature\":\"a|b\\\\c=d\\u0000\\n\\u007f\\u00e9\",\"category\":\"e=f\\tg\",\"severity\":2},"
	"\"modbus\":{\"x\":1}}";

static const struct {
	enum format format;
	const char *line;
	const char *expected;
} rows[] = {
	{ FORMAT_CEF, sniffed,
		"CEF:0|Millrace|millrace-sensor|" MILLRACE_VERSION "|7|a\\|b\\\\c=d   \xc3\xa9|7|rt=1767323045678"
		" c6a2Label=Source IPv6 Address c6a2=2001:db8::1 dst=10.0.0.2 cat=e\\=f g dvchost=s" },
	{ FORMAT_LEEF, sniffed,
		"LEEF:2.0|Millrace|millrace-sensor|" MILLRACE_VERSION "|7|x09|sev=7\tdevTime=1767323045678\tsrc=2001:db8::1"
		"\tdst=10.0.0.2\tcat=e=f g\tdevName=s\tname=a|b\\c=d   \xc3\xa9" },
	{ FORMAT_CEF, "{\"event_type\":\"modbus\",\"modbus\":{\"a\":\"=\"}}",
		"CEF:0|Millrace|millrace-sensor|" MILLRACE_VERSION "|modbus|modbus|1|dvchost=s msg={\"a\":\"\\=\"}" },
	{ FORMAT_LEEF, "{\"event_type\":\"modbus\",\"src_port\":502,\"modbus\":{\"a\":1}}",
		"LEEF:2.0|Millrace|millrace-sensor|" MILLRACE_VERSION "|modbus|x09|sev=1\tsrcPort=502\tdevName=s\tmsg={\"a\":1}" },
	{ FORMAT_CEF, "{\"event_type\":\"flow\",\"flow\":{\"start\":\"not a time\",\"bytes_toserver\":18446744073709551615}}",
		"CEF:0|Millrace|millrace-sensor|" MILLRACE_VERSION "|flow|flow|1|in=1.8446744073709552e19 dvchost=s" },
	/* A number that the wire made as great as it can be changes no other. */
	{ FORMAT_CEF, "{\"event_type\":\"alert\",\"alert\":{\"signature_id\":7,\"signature\":\"s\",\"severity\":1},\"smb\":{\"size\":18446744073709551615}}",
		"CEF:0|Millrace|millrace-sensor|" MILLRACE_VERSION "|7|s|10|dvchost=s" },
	{ FORMAT_EVE, "{\"event_type\":\"x\"}", "{\"event_type\":\"x\"}" },
};

static void
formats_say_the_same(void **state)
{
	char text[4096];

	for (unsigned int i = 0; i < TEST_COUNT(rows); i++) {
		struct buf out = { .data = text, .cap = sizeof(text) - 1 };
		struct format_event event;

		assert_int_equal(format_read(&event, rows[i].line, strlen(rows[i].line)), 0);
		format_put(&out, rows[i].format, &event, "s");
		text[out.len] = '\0';
		assert_string_equal(text, rows[i].expected);
		/* Whatever the room, nothing is written beyond it, and a message that is cut says so. */
		for (size_t cap = 0; cap < strlen(rows[i].expected); cap++) {
			out = (struct buf){ .data = text, .cap = cap };
			format_put(&out, rows[i].format, &event, "s");
			assert_true(out.full);
		}
		format_free(&event);
	}
}

static void
what_is_no_event_is_refused(void **state)
{
	struct format_event event;

	for (size_t cut = 0; cut + 1 < sizeof(sniffed) - 1; cut++)
		assert_int_equal(format_read(&event, sniffed, cut), -EINVAL);
	assert_int_equal(format_read(&event, "[]", 2), -EINVAL);
	assert_int_equal(format_read(&event, "{\"event_type\":1}", 16), -EINVAL);
	assert_int_equal(format_read(&event, "{\"event_type\":\"a b\\n\"}", 22), 0);
	assert_string_equal(event.type, "a_b_");
	format_free(&event);
}

/* ---- the outlet ---- */

static int
take(void *arg, struct outlet *outlet, const char *line, size_t len)
{
	if (len > 1 && line[1] == 'n')
		return -ENOENT;
	if (len > 1 && line[1] == 'l')
		return -EMSGSIZE;
	outlet_put(outlet, line, len);
	return 0;
}

static const struct outlet_encoder encoder = { .take = take };
static const struct counter_desc descs[OUTLET_COUNTER_COUNT] = OUTLET_COUNTERS("sink.test");

static struct outlet_config
config_for(const char *url)
{
	return (struct outlet_config){
		.name = "test", .counters = descs, .spool = dir, .spool_size = 16 << 20, .lanes = 1u << LINK_LANE_ALERT,
		.backoff_max_ms = 100, .drain_ms = 50,
		.wire = { .key = "outputs.test", .url = url, .ca = "", .cert = "", .cert_key = "", .timeout_ms = 200,
			.default_ports = { 1, 1, 1 } },
	};
}

static uint64_t
counter_of(struct outlet *outlet, enum outlet_counter which)
{
	return counter_get(&outlet_get_counters(outlet).values[which]);
}

static void
records_go_out(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int receiver = socket(AF_INET, SOCK_DGRAM, 0);
	struct config_error err;
	struct outlet *outlet;
	char url[64], got[64];

	assert_int_equal(bind(receiver, (struct sockaddr *)&at, sizeof(at)), 0);
	getsockname(receiver, (struct sockaddr *)&at, &len);
	snprintf(url, sizeof(url), "udp://127.0.0.1:%u", ntohs(at.sin_port));
	const struct outlet_config config = config_for(url);

	assert_int_equal(outlet_create(&outlet, &config, &encoder, NULL, &err), 0);
	outlet_write(outlet, LINK_LANE_FLOW, "{unwanted", 9);
	outlet_write(outlet, LINK_LANE_ALERT, "{nothing", 8);
	outlet_write(outlet, LINK_LANE_ALERT, "{long", 5);
	outlet_write(outlet, LINK_LANE_ALERT, "{one", 4);
	outlet_write(outlet, LINK_LANE_ALERT, "{two", 4);
	assert_int_equal(outlet_drain(outlet, 5000), 0);
	assert_int_equal(recv(receiver, got, sizeof(got), 0), 4);
	assert_memory_equal(got, "{one", 4);
	assert_int_equal(recv(receiver, got, sizeof(got), 0), 4);
	assert_memory_equal(got, "{two", 4);
	assert_int_equal(counter_of(outlet, OUTLET_TAKEN), 4);
	assert_int_equal(counter_of(outlet, OUTLET_SENT), 2);
	assert_int_equal(counter_of(outlet, OUTLET_BYTES), 8);
	assert_int_equal(counter_of(outlet, OUTLET_PASSED), 1);
	assert_int_equal(counter_of(outlet, OUTLET_TOO_LONG), 1);
	outlet_destroy(outlet);
	close(receiver);
}

/* Nobody listens at port 1: what waits is there again at the next start. */
static void
records_wait(void **state)
{
	const struct outlet_config config = config_for("tcp://127.0.0.1:1");
	struct config_error err;
	struct outlet *outlet;
	json_t *status;

	for (unsigned int start = 1; start <= 2; start++) {
		assert_int_equal(outlet_create(&outlet, &config, &encoder, NULL, &err), 0);
		outlet_write(outlet, LINK_LANE_ALERT, "{one", 4);
		assert_int_equal(outlet_drain(outlet, 0), -ETIMEDOUT);
		status = outlet_status(outlet);
		assert_int_equal(json_integer_value(json_object_get(status, "waiting")), start);
		json_decref(status);
		outlet_destroy(outlet);
	}
}

static void
settings_are_judged(void **state)
{
	static const char *const wrong[] = { "", "http://a:1", "udp://", "tcp://a:0", "tcp://a:65536", "tls://a", "udp://a b" };
	const struct outlet_config good = config_for("udp://127.0.0.1:9");
	struct config_error err;
	struct outlet *outlet = NULL;
	uint32_t lanes;
	json_t *names = json_pack("[s, s]", "alert", "flow");

	for (unsigned int i = 0; i < TEST_COUNT(wrong); i++) {
		const struct outlet_config config = config_for(wrong[i]);

		assert_int_equal(outlet_create(&outlet, &config, &encoder, NULL, &err), -EINVAL);
		assert_non_null(strstr(err.text, "outputs.test."));
	}
	assert_int_equal(outlet_read_lanes(&lanes, names, 0, "k", &err), 0);
	assert_int_equal(lanes, 1u << LINK_LANE_ALERT | 1u << LINK_LANE_FLOW);
	json_array_append_new(names, json_string("alarms"));
	assert_int_equal(outlet_read_lanes(&lanes, names, 0, "k", &err), -EINVAL);
	json_decref(names);
	assert_int_equal(outlet_read_lanes(&lanes, NULL, 5, "k", &err), 0);
	assert_int_equal(lanes, 5);
	log_set_level(LOG_LEVEL_ERROR - 1);
	TEST_FAIL_EACH_ALLOC(outlet_create(&outlet, &good, &encoder, NULL, &err), == 0, outlet_destroy(outlet));
	log_set_level(LOG_LEVEL_ERROR);
	outlet_destroy(NULL);
}

static void
syslog_is_made_and_unmade(void **state)
{
	static const char *const sets[] = { "outputs.syslog.enabled=yes", "outputs.syslog.url=udp://127.0.0.1:9" };
	static const struct {
		const char *assignment, *why;
	} wrong[] = {
		{ "outputs.syslog.hostname=a b", "hostname" }, { "outputs.syslog.lanes=[all]", "lanes" },
		{ "outputs.syslog.url=tls://a", "ca" },
	};
	struct config_error err;
	struct config *config = NULL;
	const struct sink_env env = { 0 };
	void *self = NULL;
	char spool[96];

	snprintf(spool, sizeof(spool), "outputs.syslog.spool=%s/spool", dir);
	assert_int_equal(config_load(&config, NULL, &err), 0);
	assert_int_equal(syslog_sink_ops.create(&self, config, &env, &err), 0);
	assert_null(self);
	for (unsigned int i = 0; i < TEST_COUNT(sets); i++)
		assert_int_equal(config_set(config, sets[i], &err), 0);
	assert_int_equal(config_set(config, spool, &err), 0);
	log_set_level(LOG_LEVEL_ERROR - 1);
	TEST_FAIL_EACH_ALLOC(syslog_sink_ops.create(&self, config, &env, &err), == 0, syslog_sink_ops.destroy(self));
	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned int i = 0; i < TEST_COUNT(wrong); i++) {
		assert_int_equal(config_set(config, wrong[i].assignment, &err), 0);
		assert_int_equal(syslog_sink_ops.create(&self, config, &env, &err), -EINVAL);
		assert_non_null(strstr(err.text, wrong[i].why));
		assert_int_equal(config_set(config, i == 0 ? "outputs.syslog.hostname=a" : "outputs.syslog.lanes=[alert]", &err), 0);
	}
	config_destroy(config);
}

/* What create() would refuse is said without a connection, and nothing is left behind. */
static void
settings_are_checked_alone(void **state)
{
	static const struct {
		const char *sink, *sets[3], *why; /* NULL: it is good */
	} cases[] = {
		{ "syslog", { "outputs.syslog.url=nonsense" }, NULL }, /* not enabled */
		{ "syslog", { "outputs.syslog.enabled=yes" }, "outputs.syslog.url: must be" },
		{ "syslog", { "outputs.syslog.enabled=yes", "outputs.syslog.url=siem:514" }, "outputs.syslog.url: must be" },
		{ "syslog", { "outputs.syslog.enabled=yes", "outputs.syslog.url=udp://siem.invalid:514" }, NULL },
		{ "syslog", { "outputs.syslog.enabled=yes", "outputs.syslog.url=udp://a:1", "outputs.syslog.lanes=[alerts]" }, "outputs.syslog.lanes" },
		{ "ipfix", { "outputs.ipfix.enabled=yes", "outputs.ipfix.url=udp://a:1" }, NULL },
		{ "ipfix", { "outputs.ipfix.enabled=yes", "outputs.ipfix.url=udp" }, "outputs.ipfix.url: must be" },
		{ "kafka", { "outputs.kafka.enabled=yes" }, "outputs.kafka" },
		{ "kafka", { "outputs.kafka.enabled=yes", "outputs.kafka.brokers=a:1", "outputs.kafka.topic=a b" }, "outputs.kafka" },
		{ "file", { "outputs.eve.enabled=yes" }, NULL },
	};
	struct config_error err;

	for (unsigned int i = 0; i < TEST_COUNT(cases); i++) {
		struct config *config = NULL;

		assert_int_equal(config_load(&config, NULL, &err), 0);
		for (unsigned int k = 0; k < 3 && cases[i].sets[k] != NULL; k++)
			assert_int_equal(config_set(config, cases[i].sets[k], &err), 0);
		err.text[0] = '\0';
		if ((sink_check(cases[i].sink, config, &err) == 0) != (cases[i].why == NULL))
			fail_msg("case %u: %s", i, err.text);
		if (cases[i].why != NULL && strstr(err.text, cases[i].why) == NULL)
			fail_msg("case %u: %s, not %s", i, err.text, cases[i].why);
		config_destroy(config);
	}
}

/* ---- IPFIX ---- */

static const struct {
	const char *line;
	int id; /* enum ipfix_template; -1: has no form */
} ipfix_rows[] = {
	{ "{\"event_type\":\"flow\",\"src_ip\":\"10.0.0.1\"}", IPFIX_FLOW4 },
	{ "{\"event_type\":\"flow\",\"src_ip\":\"::1\",\"flow\":{\"start\":\"soon\",\"bytes_toserver\":-1},\"vlan\":[4095,7]}", IPFIX_FLOW6 },
	{ "{\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.1\",\"modbus\":{\"request\":{\"function_raw\":6}}}", IPFIX_CALL4 },
	{ "{\"event_type\":\"modbus\",\"src_ip\":\"::1\",\"modbus\":{\"request\":{\"function_raw\":6}}}", IPFIX_CALL6 },
	{ "{\"event_type\":\"modbus\",\"src_ip\":\"10.0.0.1\",\"modbus\":{\"request\":{\"function_raw\":-6}}}", -1 },
	{ "{\"event_type\":\"anomaly\",\"src_ip\":\"10.0.0.1\"}", -1 },
	{ "{\"event_type\":\"alert\",\"src_ip\":\"10.0.0.1\",\"modbus\":{\"request\":{\"function_raw\":6}}}", -1 },
	{ "{\"event_type\":\"flow\"}", -1 },
	{ "{}", -1 },
	{ "[]", -1 },
};

static void
ipfix_records_have_their_template(void **state)
{
	char room[1400], text[IPFIX_RECORD_MAX];
	struct ipfix_message message = { .out = { .data = room, .cap = sizeof(room) }, .enterprise = 7 };
	struct buf record = { .data = text, .cap = sizeof(text) };
	enum ipfix_template id;

	ipfix_begin(&message);
	assert_int_equal(ipfix_end(&message, 1), 0);
	for (unsigned int i = 0; i < TEST_COUNT(ipfix_rows); i++) {
		json_t *event = json_loads(ipfix_rows[i].line, 0, NULL);

		assert_non_null(event);
		assert_int_equal(ipfix_encode(&message, event, &id, &record), ipfix_rows[i].id < 0 ? -ENOENT : 0);
		if (ipfix_rows[i].id >= 0) {
			assert_int_equal(id, ipfix_rows[i].id);
			assert_true(ipfix_put(&message, id, &record));
		}
		json_decref(event);
	}
	assert_int_equal(message.records, 4);
	assert_true(ipfix_end(&message, 1) > IPFIX_HEADER_LEN);
	assert_int_equal(message.sequence, 4);
}

/* Nothing is ever written beyond the room, nor half. */
static void
ipfix_messages_are_bounded(void **state)
{
	char room[IPFIX_HEADER_LEN + IPFIX_TEMPLATES_LEN + 64], text[IPFIX_RECORD_MAX];
	json_t *event = json_loads(ipfix_rows[0].line, 0, NULL);
	struct buf record = { .data = text, .cap = sizeof(text) };
	enum ipfix_template id;

	for (size_t cap = IPFIX_HEADER_LEN; cap <= sizeof(room); cap++) {
		struct ipfix_message message = { .out = { .data = room, .cap = cap } };
		size_t before;

		ipfix_begin(&message);
		assert_int_equal(ipfix_put_types(&message), cap >= IPFIX_HEADER_LEN + IPFIX_TYPES_LEN);
		ipfix_begin(&message);
		assert_int_equal(ipfix_put_templates(&message), cap >= IPFIX_HEADER_LEN + IPFIX_TEMPLATES_LEN);
		assert_int_equal(ipfix_encode(&message, event, &id, &record), 0);
		do
			before = message.out.len;
		while (ipfix_put(&message, id, &record));
		assert_int_equal(message.out.len, before);
		assert_false(message.out.full);
		assert_true(ipfix_end(&message, 1) <= cap);
	}
	/* A record's own room. */
	for (size_t cap = 0; cap < record.len; cap++) {
		struct ipfix_message message = { 0 };
		struct buf small = { .data = text, .cap = cap };

		assert_int_equal(ipfix_encode(&message, event, &id, &small), -ENOENT);
	}
	json_decref(event);
}

static void
ipfix_is_made_and_unmade(void **state)
{
	static const char *const sets[] = { "outputs.ipfix.enabled=yes", "outputs.ipfix.url=udp://127.0.0.1:9" };
	struct config_error err;
	struct config *config = NULL;
	const struct sink_env env = { 0 };
	void *self = NULL;
	char spool[96];

	snprintf(spool, sizeof(spool), "outputs.ipfix.spool=%s/spool", dir);
	assert_int_equal(config_load(&config, NULL, &err), 0);
	assert_int_equal(ipfix_sink_ops.create(&self, config, &env, &err), 0);
	assert_null(self);
	for (unsigned int i = 0; i < TEST_COUNT(sets); i++)
		assert_int_equal(config_set(config, sets[i], &err), 0);
	assert_int_equal(config_set(config, spool, &err), 0);
	log_set_level(LOG_LEVEL_ERROR - 1);
	TEST_FAIL_EACH_ALLOC(ipfix_sink_ops.create(&self, config, &env, &err), == 0, ipfix_sink_ops.destroy(self));
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(config_set(config, "outputs.ipfix.lanes=[flows]", &err), 0);
	assert_int_equal(ipfix_sink_ops.create(&self, config, &env, &err), -EINVAL);
	config_destroy(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_say_the_same),
		cmocka_unit_test(what_is_no_event_is_refused),
		cmocka_unit_test_setup_teardown(records_go_out, setup, teardown),
		cmocka_unit_test_setup_teardown(records_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(settings_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(syslog_is_made_and_unmade, setup, teardown),
		cmocka_unit_test(settings_are_checked_alone),
		cmocka_unit_test(ipfix_records_have_their_template),
		cmocka_unit_test(ipfix_messages_are_bounded),
		cmocka_unit_test_setup_teardown(ipfix_is_made_and_unmade, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
