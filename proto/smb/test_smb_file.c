/* Files in SMB: written and read, whole and in pieces, longer than a message's front, lost, overlapping, without memory. */
#include "proto/smb/smb.h"
#include "proto/test_file.h"
#include "proto/test_rig.h"

extern const struct proto smb_proto;

enum { MESSAGE_MAX = 64 * 1024, FRONT_MAX = SMB_PDU_LEN_MAX };

static struct smb_state flow;
static struct smb_config config = { .body_limit = 16 };
static char data_seen[64];
static size_t piece_len; /* raw bytes come in pieces of it */

static void
keep_data(unsigned int flags)
{
	const struct smb_record *record = (const void *)rig->builder.base;

	if ((flags & (PROTO_MATCH | PROTO_FILE)) == PROTO_MATCH && record_is_present(record, SMB_HAS_DATA))
		snprintf(data_seen, sizeof(data_seen), "%.*s", (int)record->data.count, (const char *)rig->builder.base + record->data.off);
}

static const struct rig_desc desc = { .proto = &smb_proto, .table = &smb_table, .state = &flow, .config = &config, .slab_len = 4 << 20,
	.file_wants = FILE_WANT_EVENT | FILE_WANT_RULES, .seen = keep_data };

static int
setup(void **state)
{
	(void)state;
	data_seen[0] = '\0';
	piece_len = 100;
	return rig_create(&desc);
}

struct message {
	uint8_t bytes[MESSAGE_MAX];
	size_t len;
};

static void
put(struct message *message, uint64_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		message->bytes[message->len++] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}

static void
put_text(struct message *message, const char *text)
{
	size_t len = strlen(text);

	memcpy(message->bytes + message->len, text, len);
	message->len += len;
}

static void
begin2(struct message *message, uint8_t command, bool response)
{
	static uint64_t ids[32];

	message->len = 4;
	put(message, 0x424d53fe, 4);
	put(message, 64, 4);
	put(message, 0, 4);
	put(message, command, 4);
	put(message, response, 4);
	put(message, 0, 4);
	put(message, response ? ids[command] : ++ids[command], 8);
	put(message, 0, 4);
	put(message, 7, 4);
	put(message, 9, 8);
	put(message, 0, 16);
}

static void
send(struct message *message, bool to_server)
{
	size_t len = message->len, front = len < FRONT_MAX ? len : FRONT_MAX, at = front;
	uint8_t *copy;

	message->bytes[0] = 0;
	message->bytes[1] = (uint8_t)((len - 4) >> 16);
	message->bytes[2] = (uint8_t)((len - 4) >> 8);
	message->bytes[3] = (uint8_t)(len - 4);
	copy = malloc(front);
	assert_non_null(copy);
	memcpy(copy, message->bytes, front);
	rig->ctx.to_server = to_server;
	rig->ctx.events = 0;
	rig->ctx.skip_len = 0;
	rig->ctx.raw = false;
	smb_proto.parse(&rig->ctx, cursor_of(copy, front));
	rig->events |= rig->ctx.events;
	free(copy);
	while (rig->ctx.raw && at < len) {
		size_t piece = len - at < piece_len ? len - at : piece_len;

		at += smb_proto.raw(&rig->ctx, cursor_of(message->bytes + at, piece));
	}
	assert_false(rig->ctx.raw);
	assert_int_equal(at + rig->ctx.skip_len, len);
}

static struct message message;

static void
open_file(uint64_t file, const char *name, uint64_t size)
{
	begin2(&message, 5, false);
	put(&message, 57, 2);
	put(&message, 0, 42);
	put(&message, 120, 2);
	put(&message, strlen(name) * 2, 2);
	put(&message, 0, 8);
	for (; *name != '\0'; name++)
		put(&message, (uint8_t)*name, 2);
	send(&message, true);
	begin2(&message, 5, true);
	put(&message, 89, 2);
	put(&message, 0, 46);
	put(&message, size, 8);
	put(&message, 0, 8);
	put(&message, file, 8);
	put(&message, file, 8);
	put(&message, 0, 8);
	send(&message, false);
}

static void
write_file(uint64_t file, uint64_t offset, const char *text, size_t filler)
{
	begin2(&message, 9, false);
	put(&message, 49, 2);
	put(&message, 112, 2);
	put(&message, strlen(text) + filler, 4);
	put(&message, offset, 8);
	put(&message, file, 8);
	put(&message, file, 8);
	put(&message, 0, 16);
	put_text(&message, text);
	put(&message, 0, (unsigned int)filler);
	send(&message, true);
}

static void
read_file(uint64_t file, uint64_t offset, const char *text)
{
	begin2(&message, 8, false);
	put(&message, 49, 2);
	put(&message, 0, 2);
	put(&message, strlen(text), 4);
	put(&message, offset, 8);
	put(&message, file, 8);
	put(&message, file, 8);
	put(&message, 0, 17);
	send(&message, true);
	begin2(&message, 8, true);
	put(&message, 17, 2);
	put(&message, 80, 2);
	put(&message, strlen(text), 4);
	put(&message, 0, 8);
	put_text(&message, text);
	send(&message, false);
}

static void
end_file(uint64_t file)
{
	begin2(&message, 6, false);
	put(&message, 24, 2);
	put(&message, 0, 6);
	put(&message, file, 8);
	put(&message, file, 8);
	send(&message, true);
	begin2(&message, 6, true);
	put(&message, 60, 2);
	put(&message, 0, 58);
	send(&message, false);
}

#define TOLD(what, name, gaps, state, size, id) \
	what " {\"filename\":\"" name "\",\"gaps\":" gaps ",\"state\":\"" state "\",\"stored\":false,\"size\":" size ",\"tx_id\":" id "}\n"

static void
test_written(void **state)
{
	(void)state;
	open_file(1, "a.exe", 0);
	write_file(1, 0, "MZ program", 0);
	write_file(1, 10, " and more", 0);
	assert_string_equal(data_seen, "MZ program and m");
	write_file(1, 19, "!", 0);
	end_file(1);
	assert_told(TOLD("match", "a.exe", "false", "UNKNOWN", "19", "1") TOLD("end", "a.exe", "false", "CLOSED", "20", "1")
		TOLD("event", "a.exe", "false", "CLOSED", "20", "1"));
	assert_int_equal(rig->events, 0);
}

/* What was there when it was opened is the whole of it, though it stays open. */
static void
test_read(void **state)
{
	(void)state;
	open_file(1, "b", 9);
	read_file(1, 0, "first");
	assert_told("");
	read_file(1, 5, "last");
	assert_string_equal(data_seen, "firstlast");
	assert_told(TOLD("match", "b", "false", "CLOSED", "9", "1") TOLD("event", "b", "false", "CLOSED", "9", "1"));
	read_file(1, 0, "fi");
	end_file(1);
	assert_told(TOLD("match", "b", "false", "TRUNCATED", "2", "3") TOLD("event", "b", "false", "TRUNCATED", "2", "3"));
}

/* Pieces in the middle are no file; holes are gaps; what was there before is told and passed over. */
static void
test_pieces(void **state)
{
	(void)state;
	open_file(1, "c", 100);
	read_file(1, 50, "xx");
	end_file(1);
	assert_told("");
	open_file(2, "d", 0);
	write_file(2, 0, "12345", 0);
	write_file(2, 3, "4567", 0);
	assert_int_equal(rig->events, UINT64_C(1) << SMB_EVENT_FILE_OVERLAP);
	write_file(2, 10, "b", 0);
	assert_string_equal(data_seen, "1234567");
	end_file(2);
	assert_told(TOLD("match", "d", "false", "UNKNOWN", "7", "4") TOLD("end", "d", "true", "TRUNCATED", "11", "4")
		TOLD("event", "d", "true", "TRUNCATED", "11", "4"));
}

/* Longer than what is framed: the rest comes raw, whatever pieces it comes in, and may be lost. */
static void
test_long(void **state)
{
	(void)state;
	for (piece_len = 1; piece_len < 40000; piece_len *= 7) {
		rig_renew();
		open_file(1, "e", 0);
		write_file(1, 0, "begin", 30000);
		write_file(1, 30005, "end", 0);
		end_file(1);
		assert_told(TOLD("match", "e", "false", "UNKNOWN", "8076", "1") TOLD("end", "e", "false", "CLOSED", "30008", "1")
			TOLD("event", "e", "false", "CLOSED", "30008", "1"));
	}
	rig_renew();
	open_file(1, "f", 0);
	write_file(1, 0, "0123456789abcdefgh", 0);
	begin2(&message, 9, false);
	put(&message, 49, 2);
	put(&message, 112, 2);
	put(&message, 30000, 4);
	put(&message, 18, 8);
	put(&message, 1, 8);
	put(&message, 1, 8);
	put(&message, 0, 16 + 30000 - 10);
	message.bytes[2] = 30112 >> 8;
	message.bytes[3] = 30112 & 255;
	message.bytes[0] = message.bytes[1] = 0;
	rig->ctx.to_server = true;
	rig->ctx.skip_len = 0;
	smb_proto.parse(&rig->ctx, cursor_of(message.bytes, FRONT_MAX));
	assert_true(rig->ctx.raw);
	smb_proto.gap(&rig->ctx, 1000);
	assert_true(rig->ctx.raw);
	smb_proto.gap(&rig->ctx, 30000);
	assert_false(rig->ctx.raw);
	end_file(1);
	assert_told(TOLD("match", "f", "false", "UNKNOWN", "18", "1") TOLD("end", "f", "true", "TRUNCATED", "30018", "1")
		TOLD("event", "f", "true", "TRUNCATED", "30018", "1"));
}

/* More than are followed: the oldest ends as it is. At the flow's end all do. */
static void
test_many(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= SMB_FILES_MAX + 1; i++) {
		open_file(i, "g", 0);
		write_file(i, 0, "1", 0);
	}
	assert_told(TOLD("match", "g", "false", "TRUNCATED", "1", "1") TOLD("event", "g", "false", "TRUNCATED", "1", "1"));
	assert_int_equal(rig->counters[SMB_COUNT_FILES_FORGOTTEN], 1);
	open_file(7, "h", 0); /* opened again: the first one must have ended */
	assert_told(TOLD("match", "g", "false", "CLOSED", "1", "13") TOLD("event", "g", "false", "CLOSED", "1", "13"));
	rig_end();
	assert_int_equal(flow.open_count, 0);
}

/* What is written to a pipe is no file, nor what is sent behind a share that is one. */
static void
test_pipe(void **state)
{
	(void)state;
	open_file(1, "srvsvc", 0);
	begin2(&message, 9, false);
	put(&message, 49, 2);
	put(&message, 112, 2);
	put(&message, 28, 4);
	put(&message, 0, 8);
	put(&message, 1, 8);
	put(&message, 1, 8);
	put(&message, 0, 16);
	put(&message, 0x03000005, 4);
	put(&message, 0x10, 4);
	put(&message, 28, 4);
	put(&message, 0, 16);
	send(&message, true);
	end_file(1);
	assert_told("");
}

/* MS-CIFS: locking, writing and closing in one message. */
static void
test_chained(void **state)
{
	static const uint8_t header[] = { 0xff, 'S', 'M', 'B', 0x24, 0, 0, 0, 0, 0x18, 1, 0xc8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		3, 0, 1, 0, 5, 0, 6, 0 };

	(void)state;
	message.len = 4;
	memcpy(message.bytes + 4, header, sizeof(header));
	message.len += sizeof(header);
	put(&message, 8, 1); /* locking: the next is a write at 51 */
	put(&message, 0x2f, 2);
	put(&message, 51, 2);
	put(&message, 0, 14);
	put(&message, 12, 1);
	put(&message, 0xff, 2);
	put(&message, 0, 2);
	put(&message, 0x4002, 2);
	put(&message, 0, 14);
	put(&message, 5, 2);
	put(&message, 78, 2);
	put(&message, 5, 2);
	put_text(&message, "hello");
	send(&message, true);
	rig_end();
	assert_string_equal(data_seen, "hello");
	assert_int_equal(rig->events, 0);
}

/* Cut at every length, and with no memory at all: nothing is read beyond the end, nothing stays. */
static void
test_hostile(void **state)
{
	struct slab *slab = rig->slab;
	size_t whole;

	(void)state;
	open_file(1, "i", 4);
	write_file(1, 0, "data", 0);
	whole = message.len;
	for (size_t len = 68; len < whole; len++) {
		message.len = len;
		send(&message, true);
	}
	rig_renew();
	rig->ctx.slab = NULL;
	open_file(1, "j", 4);
	write_file(1, 0, "data", 0);
	end_file(1);
	assert_told("");
	rig->ctx.slab = slab;
}

/* A hole as large as offsets go costs what a small one does: this ends at once. */
static void
test_far(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		open_file(1, "far", 0);
		write_file(1, 0, "1", 0);
		write_file(1, UINT64_MAX - 8, "2", 0);
		end_file(1);
	}
	assert_non_null(strstr(rig->told.data, "\"state\":\"TRUNCATED\",\"stored\":false,\"size\":18446744073709551608"));
	rig->told.len = 0;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = {
		CASE(test_written), CASE(test_read), CASE(test_pieces), CASE(test_long), CASE(test_many), CASE(test_pipe),
		CASE(test_chained), CASE(test_hostile), CASE(test_far),
	};

	return cmocka_run_group_tests_name("smb_file", tests, NULL, NULL);
}
