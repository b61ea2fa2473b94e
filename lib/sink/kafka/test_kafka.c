/*
 * The sink against librdkafka's mock cluster: brokers in this process, with faults. KAFKA_ROUNDS=N in the environment makes
 * more of them.
 */
#include "test/test.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/sink/kafka/kafka.h"
#include "test/folder.h"

enum { BROKERS = 3, PARTITIONS = 4, READ_MS = 60000, QUIET_MS = 300, PRODUCE = 0, RECORDS_MAX = 60000, ROUNDS = 4, ROUNDS_MAX = 500 };

static char dir[TEST_FOLDER_LEN];
static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *cluster;

static int
setup(void **state)
{
	char why[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	assert_int_equal(test_folder_make(dir, "/tmp", "test_kafka"), 0);
	rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
	host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(host);
	cluster = rd_kafka_mock_cluster_new(host, BROKERS);
	assert_non_null(cluster);
	return 0;
}

static int
teardown(void **state)
{
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(host);
	return test_folder_remove(dir);
}

/* ---- the sink ---- */

static void
set(struct config *config, const char *key, const char *value)
{
	struct config_error err;
	char text[1024];

	snprintf(text, sizeof(text), "outputs.kafka.%s=%s", key, value);
	assert_int_equal(config_set(config, text, &err), 0);
}

static struct config *
settings(void)
{
	struct config_error err;
	struct config *config = NULL;
	char brokers[512];

	assert_int_equal(config_load(&config, NULL, &err), 0);
	set(config, "enabled", "yes");
	snprintf(brokers, sizeof(brokers), "\"%s\"", rd_kafka_mock_cluster_bootstraps(cluster));
	set(config, "brokers", brokers);
	set(config, "spool", dir);
	set(config, "sensor", "site-7");
	set(config, "backoff-max-ms", "200");
	set(config, "timeout-ms", "1000");
	return config;
}

static void *
start(struct config *config)
{
	const struct sink_env env = { 0 };
	struct config_error err = { "" };
	void *self = NULL;

	if (kafka_sink_ops.create(&self, config, &env, &err) != 0)
		fail_msg("%s", err.text);
	assert_non_null(self);
	return self;
}

static void
put(void *self, enum link_lane lane, unsigned int number, const char *more)
{
	char line[8192];
	int len = snprintf(line, sizeof(line), "{\"event_type\":\"%s\",\"flow_id\":%u,\"n\":%u%s}",
		lane == LINK_LANE_FLOW ? "flow" : "alert", number % 5, number, more);

	kafka_sink_ops.write(self, lane, line, (size_t)len);
}

static uint64_t
counter_of(void *self, const char *name)
{
	struct counter_set sets[SINK_COUNTER_SETS_MAX];
	unsigned int count = kafka_sink_ops.counters(self, sets);

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int k = 0; k < sets[i].count; k++)
			if (strcmp(sets[i].descs[k].name, name) == 0)
				return counter_get(&sets[i].values[k]);
	fail_msg("no counter %s", name);
	return 0;
}

/* ---- a reader of what the brokers hold ---- */

struct got {
	unsigned int count;
	unsigned int times[RECORDS_MAX];  /* how often each number came */
	unsigned int disorders;           /* a number behind a higher one of its flow, at its first coming */
	bool strange;                     /* a key or a header is wrong */
};

static void
judge(struct got *got, const rd_kafka_message_t *message, uint64_t highest[5])
{
	json_t *record = json_loadb(message->payload, message->len, 0, NULL);
	json_int_t n = json_integer_value(json_object_get(record, "n"));
	json_int_t flow = json_integer_value(json_object_get(record, "flow_id"));
	rd_kafka_headers_t *headers = NULL;
	const void *value = NULL;
	size_t size = 0;
	char key[16];
	int key_len = snprintf(key, sizeof(key), "%u", (unsigned int)flow);

	assert_non_null(record);
	assert_in_range(n, 1, RECORDS_MAX - 1);
	got->strange |= message->key_len != (size_t)key_len || memcmp(message->key, key, message->key_len) != 0;
	got->strange |= rd_kafka_message_headers(message, &headers) != 0 ||
		rd_kafka_header_get_last(headers, "millrace-sensor", &value, &size) != 0 || size != 6 || memcmp(value, "site-7", 6) != 0;
	got->strange |= rd_kafka_header_get_last(headers, "millrace-id", &value, &size) != 0 ||
		strtoul(strrchr(value, '/') + 1, NULL, 10) != (unsigned long)n;
	if (got->times[n]++ == 0) {
		got->count++;
		got->disorders += (uint64_t)n < highest[flow];
	}
	if ((uint64_t)n > highest[flow])
		highest[flow] = (uint64_t)n;
	json_decref(record);
}

/* Reads a topic until so many numbers were seen, and a moment longer. */
static struct got *
read_topic(const char *topic, unsigned int wanted)
{
	static struct got got;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
	uint64_t highest[5] = { 0 };
	char why[256];

	memset(&got, 0, sizeof(got));
	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), NULL, 0);
	rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
	rd_kafka_conf_set(conf, "fetch.wait.max.ms", "50", NULL, 0);
	rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));

	assert_non_null(reader);
	for (int i = 0; i < PARTITIONS; i++)
		rd_kafka_topic_partition_list_add(all, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(reader, all);
	rd_kafka_topic_partition_list_destroy(all);
	for (;;) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, got.count < wanted ? READ_MS : QUIET_MS);

		if (message == NULL)
			break;
		if (message->err == 0)
			judge(&got, message, highest);
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(reader);
	rd_kafka_destroy(reader);
	return &got;
}

static unsigned int
repeats(const struct got *got)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < RECORDS_MAX; i++)
		count += got->times[i] > 1 ? got->times[i] - 1 : 0;
	return count;
}

/* ---- tests ---- */

static void
every_record_arrives(void **state)
{
	struct config *config = settings();
	struct got *got;
	char more[4096];
	void *self;

	memset(more, 'x', sizeof(more));
	memcpy(more, ",\"x\":\"", 6);
	memcpy(more + sizeof(more) - 2, "\"", 2);
	set(config, "topic", "m.{lane}.{type}");
	set(config, "options", "[\"message.max.bytes=2000\", \"linger.ms=20\"]");
	self = start(config);
	for (unsigned int i = 1; i <= 5000; i++) {
		put(self, LINK_LANE_FLOW, i, "");
		if (i % 10 == 0)
			put(self, LINK_LANE_ALERT, i / 10, "");
	}
	assert_int_equal(kafka_sink_ops.drain(self, 60000), 0);
	got = read_topic("m.flow.flow", 5000);
	assert_true(got->count == 5000 && repeats(got) == 0 && got->disorders == 0 && !got->strange);
	assert_int_equal(counter_of(self, "sink.kafka.sent"), 5500);
	assert_int_equal(counter_of(self, "sink.kafka.repeated"), 0);
	/* One that is too long for the producer is dropped alone; and of a request that is too long for a broker none is lost. */
	rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	for (unsigned int i = 501; i <= 520; i++)
		put(self, LINK_LANE_ALERT, i, i == 503 ? more : "");
	assert_int_equal(kafka_sink_ops.drain(self, 60000), 0);
	got = read_topic("m.alert.alert", 519);
	assert_true(got->count == 519 && got->times[503] == 0 && repeats(got) == 0 && !got->strange);
	assert_int_equal(counter_of(self, "sink.kafka.too_long"), 1);
	assert_true(counter_of(self, "sink.kafka.repeated") > 0);
	kafka_sink_ops.destroy(self);
	config_destroy(config);
}

/* Whatever brokers say or do: none is skipped, and what comes twice was counted. */
static void
faults_lose_nothing(void **state)
{
	static const rd_kafka_resp_err_t errors[] = {
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
		RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_INVALID_RECORD,
		RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
	};
	struct config *config = settings();
	const struct timespec pause = { .tv_nsec = 20000000 };
	unsigned int rounds = getenv("KAFKA_ROUNDS") == NULL ? ROUNDS : (unsigned int)atoi(getenv("KAFKA_ROUNDS"));
	unsigned int n = 0;
	struct got *got;
	void *self = start(config);

	for (unsigned int round = 0; round < rounds && round < ROUNDS_MAX; round++) {
		rd_kafka_mock_push_request_errors(cluster, PRODUCE, 2, errors[2 * round % TEST_COUNT(errors)],
			errors[(2 * round + 1) % TEST_COUNT(errors)]);
		if (round % 2 == 1)
			rd_kafka_mock_broker_set_down(cluster, (int)(1 + round % BROKERS));
		for (unsigned int i = 0; i < 100; i++)
			put(self, LINK_LANE_EVENT, ++n, "");
		kafka_sink_ops.flush(self, 0);
		nanosleep(&pause, NULL);
		rd_kafka_mock_broker_set_up(cluster, -1);
	}
	assert_int_equal(kafka_sink_ops.drain(self, 60000 + 2000 * rounds), 0);
	got = read_topic("millrace", n);
	assert_int_equal(got->count, n);
	assert_false(got->strange);
	assert_true(repeats(got) <= counter_of(self, "sink.kafka.repeated"));
	print_message("%u records, %u twice, %lu sent again, %lu renewed\n", n, repeats(got), counter_of(self, "sink.kafka.repeated"), counter_of(self, "sink.kafka.renewed"));
	assert_true(counter_of(self, "sink.kafka.failures") > 0);
	kafka_sink_ops.destroy(self);
	config_destroy(config);
}

/* No broker, and the sensor stops: what waits is there at the next start. */
static void
records_wait(void **state)
{
	struct config *config = settings();
	struct timespec began, ended;
	struct got *got;
	json_t *status;
	void *self;

	rd_kafka_mock_broker_set_down(cluster, -1);
	self = start(config);
	for (unsigned int i = 1; i <= 300; i++)
		put(self, LINK_LANE_EVENT, i, "");
	assert_int_equal(kafka_sink_ops.drain(self, 500), -ETIMEDOUT);
	status = kafka_sink_ops.status(self);
	assert_int_equal(json_integer_value(json_object_get(status, "waiting")), 300);
	assert_false(json_is_true(json_object_get(status, "connected")));
	assert_string_not_equal(json_string_value(json_object_get(status, "last_error")), "");
	json_decref(status);
	clock_gettime(CLOCK_MONOTONIC, &began);
	kafka_sink_ops.destroy(self);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_true(ended.tv_sec - began.tv_sec < 30);
	rd_kafka_mock_broker_set_up(cluster, -1);
	self = start(config);
	put(self, LINK_LANE_EVENT, 301, "");
	assert_int_equal(kafka_sink_ops.drain(self, 60000), 0);
	got = read_topic("millrace", 301);
	assert_true(got->count == 301 && repeats(got) == 0);
	kafka_sink_ops.destroy(self);
	config_destroy(config);
}

static void
settings_are_judged(void **state)
{
	static const struct {
		const char *key, *value, *back, *why;
	} wrong[] = {
		{ "brokers", "", "a:9092", "brokers" },
		{ "topic", "a/b", "t", "topic" },
		{ "topic", "\"{x}\"", "t", "topic" },
		{ "topic", "\"\"", "t", "topic" },
		{ "lanes", "[all]", "[alert]", "lanes" },
		{ "options", "[acks=1]", "[linger.ms=1]", "options" },
		{ "options", "[\"enable.ssl.certificate.verification=false\"]", "[linger.ms=1]", "options" },
		{ "options", "[no.such=1]", "[linger.ms=1]", "no.such" },
		{ "options", "[x]", "[linger.ms=1]", "options" },
		{ "security", "tls", "plaintext", "ca" },
		{ "security", "sasl-plaintext", "plaintext", "sasl-user" },
	};
	const struct sink_env env = { 0 };
	struct config_error err;
	struct config *config = settings();
	void *self = NULL;

	for (unsigned int i = 0; i < TEST_COUNT(wrong); i++) {
		set(config, wrong[i].key, wrong[i].value);
		assert_int_equal(kafka_sink_ops.create(&self, config, &env, &err), -EINVAL);
		assert_non_null(strstr(err.text, wrong[i].why));
		assert_null(self);
		set(config, wrong[i].key, wrong[i].back);
	}
	set(config, "security", "sasl-tls");
	set(config, "ca", "/nonexistent");
	assert_int_equal(kafka_sink_ops.create(&self, config, &env, &err), -EINVAL);
	assert_non_null(strstr(err.text, "/nonexistent"));
	set(config, "security", "plaintext");
	log_set_level(LOG_LEVEL_ERROR - 1);
	TEST_FAIL_EACH_ALLOC(kafka_sink_ops.create(&self, config, &env, &err), == 0, kafka_sink_ops.destroy(self));
	log_set_level(LOG_LEVEL_ERROR);
	set(config, "enabled", "no");
	assert_int_equal(kafka_sink_ops.create(&self, config, &env, &err), 0);
	assert_null(self);
	config_destroy(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_record_arrives, setup, teardown),
		cmocka_unit_test_setup_teardown(faults_lose_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(records_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(settings_are_judged, setup, teardown),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
