/* Messages of several commands that are longer than what is framed of them. */
#include "proto/smb/smb.h"
#include "proto/test_file.h"
#include "proto/test_rig.h"

extern const struct proto smb_proto;

enum { MESSAGE_MAX = 128 * 1024, CREATE = 5, CLOSE = 6, WRITE = 9 };

static struct smb_state flow;
static struct smb_config config = { .body_limit = 16 };
static uint8_t bytes[MESSAGE_MAX];
static size_t len, begun;
static size_t piece_len; /* raw bytes come in pieces of it */
static char seen[4096];  /* command and name of each record that rules saw */
static unsigned int last_tree;

static void
keep(unsigned int flags)
{
	const struct smb_record *record = (const void *)rig->builder.base;
	size_t at = strlen(seen);

	if ((flags & (PROTO_MATCH | PROTO_FILE)) != PROTO_MATCH || !record_is_present(record, SMB_HAS_COMMAND))
		return;
	last_tree = record->tree_id;
	snprintf(seen + at, sizeof(seen) - at, "%u%.*s ", record->command - SMB2_BASE,
		record_is_present(record, SMB_HAS_FILENAME) ? (int)record->filename.count : 0, (const char *)rig->builder.base + record->filename.off);
}

static const struct rig_desc desc = { .proto = &smb_proto, .table = &smb_table, .state = &flow, .config = &config, .slab_len = 4 << 20,
	.file_wants = FILE_WANT_EVENT | FILE_WANT_RULES, .seen = keep };

static void
renew(void)
{
	rig_renew();
	seen[0] = '\0';
}

static int
setup(void **state)
{
	(void)state;
	seen[0] = '\0';
	piece_len = 100;
	return rig_create(&desc);
}

static void
put(uint64_t value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes[len++] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}

/* A header, as the next one of the message; the first one begins it. */
static void
command(uint8_t number, bool first)
{
	static uint64_t id;

	if (first) {
		len = 4;
	} else {
		put(0, (8 - (len - 4) % 8) % 8);
		memcpy(bytes + begun + 20, &(uint32_t){ (uint32_t)(len - begun) }, 4);
	}
	begun = len;
	put(0x424d53fe, 4);
	put(64, 8);
	put(number, 4);
	put(first ? 0 : 4, 4); /* related */
	put(0, 4);
	put(++id, 8);
	put(0, 4);
	put(first ? 7 : UINT32_MAX, 4);
	put(first ? 9 : UINT64_MAX, 8);
	put(0, 16);
}

static void
put_write(uint64_t file, uint32_t data_len, bool first)
{
	command(WRITE, first);
	put(49, 2);
	put(112, 2);
	put(data_len, 4);
	put(0, 8);
	put(file, 8);
	put(file, 8);
	put(0, 16);
	memset(bytes + len, 'x', data_len);
	len += data_len;
}

static void
put_create(const char *name, size_t filler, bool first)
{
	command(CREATE, first);
	put(57, 2);
	put(0, 42);
	put(120 + filler, 2);
	put(strlen(name) * 2, 2);
	put(0, 8 + filler);
	for (; *name != '\0'; name++)
		put((uint8_t)*name, 2);
}

static void
put_close(void)
{
	command(CLOSE, false);
	put(24, 8);
	put(UINT64_MAX, 8);
	put(UINT64_MAX, 8);
}

/* The bytes end where their block ends, so that the sanitizer sees every read beyond them. lost: so many from the place on. */
static void
send(size_t lost_at, size_t lost)
{
	size_t front = len < SMB_PDU_LEN_MAX ? len : SMB_PDU_LEN_MAX, at = front, piece;
	uint8_t *copy = malloc(front);

	bytes[0] = 0;
	bytes[1] = (uint8_t)((len - 4) >> 16);
	bytes[2] = (uint8_t)((len - 4) >> 8);
	bytes[3] = (uint8_t)(len - 4);
	assert_non_null(copy);
	memcpy(copy, bytes, front);
	rig->ctx.to_server = true;
	rig->ctx.events = 0;
	rig->ctx.skip_len = 0;
	rig->ctx.raw = false;
	smb_proto.parse(&rig->ctx, cursor_of(copy, front));
	free(copy);
	for (; rig->ctx.raw && at < len; at += piece) {
		if (lost > 0 && at >= lost_at) {
			lost = lost < len - at ? lost : len - at;
			smb_proto.gap(&rig->ctx, (uint32_t)lost);
			at += lost;
			lost = 0;
		}
		piece = len - at < piece_len ? len - at : piece_len;
		copy = malloc(piece);
		assert_non_null(copy);
		memcpy(copy, bytes + at, piece);
		if (rig->ctx.raw)
			assert_int_equal(smb_proto.raw(&rig->ctx, cursor_of(copy, piece)), piece);
		free(copy);
	}
	rig->events |= rig->ctx.events;
	assert_false(rig->ctx.raw);
	assert_int_equal(at + rig->ctx.skip_len, len);
	assert_null(flow.rests[1].front);
}

/* Behind a file's bytes, and behind what is nobody's; whatever pieces it comes in. */
static void
test_behind_data(void **state)
{
	(void)state;
	for (piece_len = 1; piece_len < 40000; piece_len *= 7) {
		renew();
		put_write(1, 20001, true);
		put_close();
		put_write(2, 17, false);
		put_create("plan.cfg", 30000, false);
		put_create("b", 0, false);
		send(0, 0);
		assert_string_equal(seen, "9 6 9 5 5b ");
		assert_int_equal(last_tree, 7);
		smb_proto.end(&rig->ctx);
		assert_has(&rig->told, "\"size\":20001,");
		assert_has(&rig->told, "\"size\":17,");
		assert_int_equal(rig->events, 0);
	}
}

/* A command at any place about the end of the front is read whole. */
static void
test_across_the_front(void **state)
{
	(void)state;
	for (uint32_t fill = 7700; fill < 8300; fill += 8) {
		size_t used;

		renew();
		used = slab_used(rig->slab);
		put_create("a", fill, true);
		put_create("recipe.txt", 0, false);
		put_create("c", 8000, false);
		put_close();
		send(0, 0);
		if (strcmp(seen, fill + 128 + 4 > SMB_PDU_LEN_MAX ? "5 5recipe.txt 5c 6 " : "5a 5recipe.txt 5c 6 ") != 0)
			fail_msg("%u: %s", fill, seen);
		assert_int_equal(rig->events, 0);
		smb_proto.end(&rig->ctx);
		assert_int_equal(slab_used(rig->slab), used);
	}
}

/* Lost bytes end what is read of the message; what follows it is found. Places that contradict one another, too many commands, no memory. */
static void
test_hostile(void **state)
{
	(void)state;
	for (size_t lost_at = 8200; lost_at < 50000; lost_at += 999) {
		renew();
		put_write(1, 20001, true);
		put_close();
		put_create("a", 0, false);
		put_write(2, 20001, false);
		put_close();
		put(0, 10000);
		send(lost_at, 5000);
		renew();
		send(lost_at, len > lost_at ? len - lost_at : 0);
	}
	renew();
	put_write(1, 20001, true);
	put_create("a", 0, false);
	bytes[4 + 21] = 1; /* begins within the data */
	send(0, 0);
	assert_string_equal(seen, "9 ");
	assert_int_equal(rig->events, UINT64_C(1) << SMB_EVENT_MALFORMED_DATA);
	renew();
	put_write(1, 9000, true);
	for (unsigned int i = 0; i < SMB_COMPOUND_MAX; i++)
		put_create("a", 300, false);
	send(0, 0);
	assert_int_equal(rig->events, UINT64_C(1) << SMB_EVENT_TOO_MANY_COMMANDS);
	assert_int_equal(rig->matched, SMB_COMPOUND_MAX + 1); /* and what was written */
	renew();
	rig->ctx.slab = NULL;
	put_create("a", 9000, true);
	put_create("b", 0, false);
	put_create("c", 0, false);
	send(0, 0);
	assert_string_equal(seen, "5 ");
	assert_int_equal(rig->counters[SMB_COUNT_MESSAGES_SHED], 1);
	rig->ctx.slab = rig->slab;
}

/* The flow ends while a command is gathered. */
static void
test_end(void **state)
{
	size_t used = slab_used(rig->slab);

	(void)state;
	put_create("a", 8000, true);
	put_create("b", 300, false);
	put_create("c", 0, false);
	rig->ctx.to_server = true;
	bytes[0] = 0;
	bytes[2] = (uint8_t)((len - 4) >> 8);
	bytes[3] = (uint8_t)(len - 4);
	smb_proto.parse(&rig->ctx, cursor_of(bytes, SMB_PDU_LEN_MAX));
	assert_true(rig->ctx.raw);
	smb_proto.end(&rig->ctx);
	assert_int_equal(slab_used(rig->slab), used);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_behind_data), CASE(test_across_the_front), CASE(test_hostile), CASE(test_end) };

	return cmocka_run_group_tests_name("smb compounds", tests, NULL, NULL);
}
