/* Cyclic data and the connection it belongs to: opened in a TCP flow, sent in UDP flows of the same two ends. */
#include "test/test.h"

#include "lib/base/buf.h"
#include "proto/enip/enip.h"
#include "proto/enip/test_enip_hex.h"
#include "proto/session.h"

extern const struct proto enip_proto;

enum { JSON_LEN_MAX = 64 * 1024, SETS_MAX = 8 };

static const struct proto *const table[] = { &enip_proto, NULL };
static const uint8_t scanner[16] = { 10, 0, 0, 1 }, adapter[16] = { 10, 0, 0, 2 }, other[16] = { 10, 0, 0, 3 };

/* One worker. */
struct worker {
	struct config *config;
	struct proto_settings *settings;
	struct slab *slab;
	struct proto_engine *engine;
	struct record_writer *writer;
	struct buf json; /* of the last record */
};

static struct worker worker;

static void
keep(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	(void)tx_id;
	ctx->events = 0;
	if ((flags & PROTO_IDENTITY) != 0 || ctx->record->len == 0)
		return;
	buf_reset(&worker.json);
	record_write_json(worker.writer, &worker.json, ctx->record->base, ctx->record->len);
	buf_putc(&worker.json, '\0');
}

static int
worker_create(void **state)
{
	struct config_error err;

	(void)state;
	assert_int_equal(config_load(&worker.config, NULL, &err), 0);
	assert_int_equal(proto_settings_create(&worker.settings, table, worker.config, &err), 0);
	assert_int_equal(slab_create(&worker.slab, 1 << 20), 0);
	assert_int_equal(record_writer_create(&worker.writer, &enip_table), 0);
	assert_int_equal(buf_create(&worker.json, JSON_LEN_MAX), 0);
	TEST_FAIL_EACH_ALLOC(proto_engine_create(&worker.engine, worker.settings, worker.slab, keep, NULL, NULL), == 0,
		proto_engine_destroy(worker.engine));
	assert_int_equal(proto_engine_create(&worker.engine, worker.settings, worker.slab, keep, NULL, NULL), 0);
	return 0;
}

static int
worker_destroy(void **state)
{
	(void)state;
	assert_int_equal(slab_used(worker.slab), 0);
	proto_engine_destroy(worker.engine);
	slab_destroy(worker.slab);
	proto_settings_destroy(worker.settings);
	config_destroy(worker.config);
	record_writer_destroy(worker.writer);
	buf_destroy(&worker.json);
	return 0;
}

static uint64_t
counted(const char *name)
{
	struct counter_set sets[SETS_MAX];
	unsigned int count = proto_engine_counters(worker.engine, sets, SETS_MAX);

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < sets[i].count; j++)
			if (strcmp(sets[i].descs[j].name, name) == 0)
				return sets[i].values[j];
	fail_msg("no counter %s", name);
	return 0;
}

/* A flow between the scanner, its originator, and the server. */
struct side {
	struct proto_session session;
	const uint8_t *server;
	bool tcp;
};

static void
feed_bytes(struct side *side, const uint8_t *data, size_t len, bool to_server)
{
	struct proto_input input = { .data = data, .len = (uint32_t)len, .sport = side->tcp ? 50000 : 2222,
		.dport = side->tcp ? 44818 : 2222, .client_addr = scanner, .server_addr = side->server, .to_server = to_server,
		.tcp = side->tcp };

	assert_int_equal(proto_session_data(worker.engine, &side->session, &input), len);
}

static void
feed(struct side *side, const char *hex, bool to_server)
{
	uint8_t data[PDU_MAX];

	feed_bytes(side, data, unhex(hex, data, sizeof(data)), to_server);
}

static void
feed_cip(struct side *side, const char *cip, bool to_server)
{
	uint8_t data[PDU_MAX];

	feed_bytes(side, data, wrap(cip, 0, 0, data), to_server);
}

/* A class 1 connection from assembly 2 to 3: its serial number, and the ids of both ways. */
static void
open_connection(struct side *tcp, const char *serial, const char *o_t, const char *t_o)
{
	char cip[256];

	snprintf(cip, sizeof(cip), "5402 20062401 0a 0e 00000000 %s %s 4d00 78563412 03 000000 10270000 0848 10270000 0848 01 04 "
		"20042401 2c02 2c03", t_o, serial);
	feed_cip(tcp, cip, true);
	snprintf(cip, sizeof(cip), "d400 0000 %s %s %s 4d00 78563412 10270000 10270000 00 00", o_t, t_o, serial);
	feed_cip(tcp, cip, false);
}

static void
close_connection(struct side *tcp, const char *serial)
{
	char cip[128];

	snprintf(cip, sizeof(cip), "4e02 20062401 0a 0e %s 4d00 78563412 04 00 20042401 2c02 2c03", serial);
	feed_cip(tcp, cip, true);
	snprintf(cip, sizeof(cip), "ce00 0000 %s 4d00 78563412 00 00", serial);
	feed_cip(tcp, cip, false);
}

static void
end(struct side *side)
{
	proto_session_end(worker.engine, &side->session, 0);
}

static void
assert_tied(const char *wanted)
{
	if (wanted == NULL ? strstr(worker.json.data, "\"connection\":") != NULL : strstr(worker.json.data, wanted) == NULL)
		fail_msg("%s in %s", wanted == NULL ? "a connection" : wanted, worker.json.data);
}

#define DATA(id, number, data) "0200 0280 0800 " id " 0" number "000000 b100 0600 0" number "00 " data

static void
test_both_ways(void **state)
{
	struct side tcp = { .server = adapter, .tcp = true }, udp = { .server = adapter };

	(void)state;
	open_connection(&tcp, "0100", "aabbccdd", "01020304");
	feed(&udp, DATA("aabbccdd", "1", "11223344"), true);
	assert_tied("\"connection\":{\"serial_number\":1,\"originator_vendor_id\":77,\"originator_serial_number\":305419896,"
		"\"transport_class\":1,\"class_name\":\"Assembly\",\"class_id\":4,\"instance_id\":1,\"direction\":\"o_t\","
		"\"o_t_point\":2,\"t_o_point\":3}");
	feed(&udp, DATA("01020304", "1", "11223344"), false);
	assert_tied("\"direction\":\"t_o\"");
	feed(&udp, DATA("01020304", "1", "11223344"), true); /* the number of the other way */
	assert_tied(NULL);
	close_connection(&tcp, "0100");
	end(&udp); /* what was known of it before */
	assert_int_equal(counted("enip.io_untied"), 1);
	feed(&udp, DATA("aabbccdd", "2", "11223344"), true);
	assert_tied(NULL);
	end(&udp);
	end(&tcp);
	assert_int_equal(counted("enip.io_untied"), 2);
}

/* Data before the forward open; the same numbers between other ends; numbers used again. */
static void
test_order(void **state)
{
	struct side tcp = { .server = adapter, .tcp = true }, udp = { .server = adapter }, elsewhere = { .server = other };

	(void)state;
	feed(&udp, DATA("aabbccdd", "1", "11223344"), true);
	assert_tied(NULL);
	open_connection(&tcp, "0200", "aabbccdd", "01020304");
	feed(&elsewhere, DATA("aabbccdd", "1", "11223344"), true);
	assert_tied(NULL);
	end(&elsewhere);
	assert_tied(NULL);
	end(&udp);
	assert_tied("\"serial_number\":2");
	open_connection(&tcp, "0300", "aabbccdd", "01020304");
	close_connection(&tcp, "0200"); /* late: the numbers are another's by now */
	feed(&udp, DATA("aabbccdd", "1", "11223344"), true);
	assert_tied("\"serial_number\":3");
	end(&udp);
	close_connection(&tcp, "0300");
	end(&tcp);
	assert_int_equal(counted("enip.io_untied"), 1);
}

/* More connections than a worker remembers: the newest are known, the others counted. */
static void
test_bound(void **state)
{
	enum { OPENED = ENIP_SHARED_SETS * ENIP_SHARED_WAYS };
	struct side tcp = { .server = adapter, .tcp = true }, udp = { .server = adapter };
	char id[16], back[16];

	(void)state;
	for (unsigned int i = 0; i < OPENED; i++) {
		snprintf(id, sizeof(id), "%04x00aa", i);
		snprintf(back, sizeof(back), "%04x00bb", i);
		open_connection(&tcp, "0500", id, back);
	}
	assert_true(counted("enip.connections_evicted") >= OPENED);
	feed(&udp, DATA("0fff00aa", "1", "11223344"), true);
	assert_tied("\"serial_number\":5");
	end(&udp);
	end(&tcp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, worker_create, worker_destroy),
		cmocka_unit_test_setup_teardown(test_order, worker_create, worker_destroy),
		cmocka_unit_test_setup_teardown(test_bound, worker_create, worker_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
