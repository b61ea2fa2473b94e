/*
 * Every protocol of proto_table[]: the first byte picks one (or the environment: FUZZ_PROTO=NAME), the second how the flow
 * begins, the rest is a script of pieces of both directions, with cuts and gaps. Whatever the bytes: consumption is bounded, every record prints as
 * valid JSON, nothing stays in the slab; and where nothing is lost and all bytes are PDUs, the records do not depend on
 * the cuts. (Behind garbage they may: whether a lone header is believed depends on what is known to follow it. So may those of
 * what is recognised anew behind a protocol that is over, as behind STARTTLS.)
 */
#include <jansson.h>

#include "lib/base/hash.h"
#include "test/fuzz/fuzz_input.h"
#include "test/fuzz/proto_session.h"

enum { JSON_MAX = 4 * 1024 * 1024, SCRIPT_UDP = 1, SCRIPT_DETECT = 2, SCRIPT_GAPS = 4 };

/* One engine for each protocol lives as long as the program. */
struct driver {
	struct fuzz_flow *flow;
	struct record_writer *writer;
	struct buf json;
	uint32_t hash;         /* of all records of a run */
	uint64_t record_count;
};

static struct driver drivers[PROTO_MAX];

static void
check_record(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct driver *driver = ctx->owner;
	json_error_t error;
	json_t *root;

	(void)tx_id;
	if (ctx->record->len == 0) {
		driver->hash = crc32c(driver->hash, &ctx->events, sizeof(ctx->events));
		return;
	}
	buf_reset(&driver->json);
	record_write_json(driver->writer, &driver->json, ctx->record->base, ctx->record->len);
	FUZZ_MUST(!driver->json.full);
	/* Integers as real numbers: the library knows none above 2^63, JSON does. */
	root = json_loadb(driver->json.data, driver->json.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
	if (root == NULL)
		fprintf(stderr, "%s\n%.*s\n", error.text, (int)driver->json.len, driver->json.data);
	FUZZ_MUST(root != NULL);
	json_decref(root);
	driver->hash = crc32c(driver->hash, driver->json.data, driver->json.len);
	driver->hash = crc32c(driver->hash, &flags, sizeof(flags));
	driver->record_count++;
}

/* How often what was at hand decided. */
static uint64_t
guess_count(const struct driver *driver)
{
	struct counter_set set;

	FUZZ_MUST(proto_engine_counters(driver->flow->engine, &set, 1) == 1);
	return counter_get(&set.values[PROTO_COUNTER_GARBAGE]) + counter_get(&set.values[PROTO_COUNTER_DETECTED]);
}

static struct driver *
driver_of(unsigned int proto_idx)
{
	struct driver *driver = &drivers[proto_idx];

	if (driver->flow == NULL) {
		driver->flow = fuzz_flow_create(proto_table[proto_idx], check_record, driver);
		FUZZ_MUST(record_writer_create(&driver->writer, proto_table[proto_idx]->app.record) == 0);
		FUZZ_MUST(buf_create(&driver->json, JSON_MAX) == 0);
	}
	return driver;
}

/* A piece: a byte of control (direction, gap, cut), two of length, then its bytes. */
static void
run_script(struct driver *driver, struct cursor in, uint8_t mode, bool cut)
{
	bool tcp = (mode & SCRIPT_UDP) == 0;

	driver->hash = 0;
	driver->record_count = 0;
	fuzz_flow_begin(driver->flow, tcp, (mode & SCRIPT_DETECT) == 0);
	while (cursor_left(&in) > 0) {
		uint8_t control = cursor_u8(&in);
		struct cursor piece = fuzz_take(&in, cursor_be16(&in));
		uint32_t len = (uint32_t)cursor_left(&piece);
		uint32_t missing = (mode & SCRIPT_GAPS) && control & 2 ? control : 0;
		uint32_t first_len = cut && tcp && len > 0 ? (uint32_t)(control >> 2) * 7 % len : 0;

		if (len == 0)
			continue;
		if (first_len > 0)
			fuzz_flow_data(driver->flow, control & 1, cursor_take(&piece, first_len), first_len, missing);
		fuzz_flow_data(driver->flow, control & 1, piece.pos, (uint32_t)cursor_left(&piece), first_len > 0 ? 0 : missing);
	}
	fuzz_flow_end(driver->flow);
}

/* Index of the protocol that is fuzzed alone, or that of the input's first byte. */
static unsigned int
choose_proto(uint8_t first)
{
	static const char *only;
	static unsigned int proto_count, only_idx;

	if (proto_count == 0) {
		only = getenv("FUZZ_PROTO");
		for (; proto_table[proto_count] != NULL; proto_count++)
			if (only != NULL && strcmp(proto_table[proto_count]->app.name, only) == 0)
				only_idx = proto_count + 1;
		FUZZ_MUST(only == NULL || only_idx != 0);
	}
	return only_idx != 0 ? only_idx - 1 : first % proto_count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	struct driver *driver;
	uint64_t record_count, guesses;
	uint32_t hash;
	uint8_t mode;

	driver = driver_of(choose_proto(cursor_u8(&in)));
	mode = cursor_u8(&in);
	/* As detection does: no protocol is found over what does not carry it. */
	if ((driver->flow->proto->transports & PROTO_TCP) == 0)
		mode |= SCRIPT_UDP;
	else if ((driver->flow->proto->transports & ~PROTO_TCP) == 0)
		mode &= (uint8_t)~SCRIPT_UDP;
	guesses = guess_count(driver);
	run_script(driver, in, mode, false);
	if (mode & (SCRIPT_UDP | SCRIPT_DETECT | SCRIPT_GAPS))
		return 0;
	hash = driver->hash;
	record_count = driver->record_count;
	run_script(driver, in, mode, true);
	if (guess_count(driver) != guesses)
		return 0;
	FUZZ_MUST(driver->record_count == record_count);
	FUZZ_MUST(driver->hash == hash);
	return 0;
}
