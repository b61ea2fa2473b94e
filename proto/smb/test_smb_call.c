/* Calls of DCE/RPC whose fragments, or pieces of them, come in several messages; SMB's of both generations. */
#include "proto/smb/smb.h"
#include "proto/test_rig.h"

extern const struct proto smb_proto;

enum { MESSAGE_MAX = 16 * 1024, SEEN_MAX = 16 };

static struct smb_state flow;
static struct smb_config config = { .body_limit = 64 };
static char stubs[SEEN_MAX][64]; /* fronts of those that the rules saw */
static uint32_t stub_lens[SEEN_MAX];
static unsigned int stub_count;
static struct smb_record last;

static void
keep_stub(unsigned int flags)
{
	const struct smb_record *record = (const void *)rig->builder.base;

	if ((flags & PROTO_MATCH) == 0 || !record_is_present(record, SMB_HAS_RPC_STUB) || stub_count == SEEN_MAX)
		return;
	last = *record;
	stub_lens[stub_count] = record->stub.count;
	snprintf(stubs[stub_count++], sizeof(stubs[0]), "%.*s", (int)record->stub.count, (const char *)rig->builder.base + record->stub.off);
}

static const struct rig_desc desc = { .proto = &smb_proto, .table = &smb_table, .state = &flow, .config = &config, .slab_len = 4 << 20,
	.json_flags = PROTO_EMIT, .seen = keep_stub };

static void
renew(void)
{
	rig_renew();
	stub_count = 0;
	memset(stubs, 0, sizeof(stubs));
}

static int
setup(void **state)
{
	int error = rig_create(&desc);

	(void)state;
	stub_count = 0;
	memset(stubs, 0, sizeof(stubs));
	return error;
}

struct message {
	uint8_t bytes[MESSAGE_MAX];
	size_t len;
};
static struct message message, rpc;

static void
put(struct message *out, uint64_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		out->bytes[out->len++] = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
}

static void
put_bytes(struct message *out, const void *data, size_t len)
{
	if (len > 0)
		memcpy(out->bytes + out->len, data, len);
	out->len += len;
}

static void
begin2(uint8_t command, bool response, uint64_t id)
{
	message.len = 4;
	put(&message, 0x424d53fe, 4);
	put(&message, 64, 4);
	put(&message, 0, 4);
	put(&message, command, 4);
	put(&message, response, 4);
	put(&message, 0, 4);
	put(&message, id, 8);
	put(&message, 0, 4);
	put(&message, 7, 4);
	put(&message, 9, 8);
	put(&message, 0, 16);
}

static void
begin1(uint8_t command, bool response, uint16_t id)
{
	message.len = 4;
	put(&message, 0x424d53ff, 4);
	put(&message, command, 1);
	put(&message, 0, 4);
	put(&message, response ? 0x80 : 0, 1);
	put(&message, 0x4000, 2);
	put(&message, 0, 18);
	put(&message, id, 2);
}

/* The bytes end where their block ends, so that the sanitizer sees every read beyond them. */
static void
send(bool to_server)
{
	size_t len = message.len - 4, front = message.len < SMB_PDU_LEN_MAX ? message.len : SMB_PDU_LEN_MAX;
	uint8_t *copy = malloc(front);

	assert_non_null(copy);
	memcpy(copy, message.bytes, front);
	copy[0] = copy[1] = 0;
	copy[2] = (uint8_t)(len >> 8);
	copy[3] = (uint8_t)len;
	rig->ctx.to_server = to_server;
	rig->ctx.events = 0;
	rig->ctx.skip_len = 0;
	rig->ctx.raw = false;
	smb_proto.parse(&rig->ctx, cursor_of(copy, front));
	rig->events |= rig->ctx.events;
	assert_int_equal(rig->ctx.to_server, to_server);
	free(copy);
}

enum { FIRST = 1, LAST = 2, REQUEST = 0, RESPONSE = 2 };

/* One more PDU with this stub; verifier: of 16 octets, behind 3 of padding. */
static void
fragment(uint8_t type, uint8_t flags, uint32_t call_id, const char *stub, bool verifier)
{
	size_t len = strlen(stub);

	put(&rpc, 5, 2);
	put(&rpc, type, 1);
	put(&rpc, flags, 1);
	put(&rpc, 0x10, 4);
	put(&rpc, 24 + len + (verifier ? 3 + 8 + 16 : 0), 2);
	put(&rpc, verifier ? 16 : 0, 2);
	put(&rpc, call_id, 4);
	put(&rpc, 0, 4);
	put(&rpc, 0, 2);
	put(&rpc, 12, 2);
	put_bytes(&rpc, stub, len);
	if (!verifier)
		return;
	put(&rpc, 0, 3);
	put(&rpc, 0x0003050a, 4);
	put(&rpc, 0, 20);
}

/* What is in rpc from at on, at most len bytes of it. */
static size_t
piece(size_t at, size_t len)
{
	return rpc.len - at < len ? rpc.len - at : len;
}

static void
write2(uint64_t file, size_t at, size_t len)
{
	len = piece(at, len);
	begin2(9, false, 1);
	put(&message, 49, 2);
	put(&message, 112, 2);
	put(&message, len, 4);
	put(&message, 0, 8);
	put(&message, file, 16);
	put(&message, 0, 16);
	put_bytes(&message, rpc.bytes + at, len);
	send(true);
}

static void
read2(uint64_t file, size_t at, size_t len)
{
	static uint64_t id = 100;

	len = piece(at, len);
	begin2(8, false, ++id);
	put(&message, 49, 2);
	put(&message, 0, 14);
	put(&message, file, 16);
	put(&message, 0, 17);
	send(true);
	begin2(8, true, id);
	put(&message, 17, 2);
	put(&message, 80, 2);
	put(&message, len, 4);
	put(&message, 0, 8);
	put_bytes(&message, rpc.bytes + at, len);
	send(false);
}

static void
transceive(bool response, uint64_t file, size_t at, size_t len)
{
	len = piece(at, len);
	begin2(11, response, 77);
	put(&message, response ? 49 : 57, 4);
	put(&message, 0x11c017, 4);
	put(&message, file, 16);
	put(&message, response ? 112 : 120, 4);
	put(&message, response ? 0 : len, 4);
	put(&message, response ? 112 : 0, 4);
	put(&message, response ? len : 0, 4);
	put(&message, 0, response ? 8 : 16);
	put_bytes(&message, rpc.bytes + at, len);
	send(!response);
}

static void
close2(uint64_t file)
{
	begin2(6, false, 50);
	put(&message, 24, 8);
	put(&message, file, 16);
	send(true);
	begin2(6, true, 50);
	put(&message, 60, 60);
	send(false);
}

/* One message a fragment, of two pipes and of two calls of one at once. */
static void
test_writes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		const char *words[] = { "one ", "two ", "three" };
		uint8_t flags = (uint8_t)((i == 0 ? FIRST : 0) | (i == 2 ? LAST : 0));

		rpc.len = 0;
		fragment(REQUEST, flags, 3, words[i], i < 2);
		write2(5, 0, SIZE_MAX);
		rpc.len = 0;
		fragment(REQUEST, flags, 3, "other ", false);
		write2(6, 0, SIZE_MAX);
		rpc.len = 0;
		fragment(REQUEST, flags, 4, "call ", false);
		write2(5, 0, SIZE_MAX);
		assert_int_equal(stub_count, i == 2 ? 3 : 0);
	}
	assert_string_equal(stubs[0], "one two three");
	assert_string_equal(stubs[1], "other other other ");
	assert_string_equal(stubs[2], "call call call ");
	assert_int_equal(last.opnum, 12);
	assert_null(flow.calls);
	assert_int_equal(rig->events, 0);
	assert_int_equal(rig->counters[SMB_COUNT_CALLS_UNFINISHED], 0);
	smb_proto.end(&rig->ctx);
	assert_has(&rig->json, "\"req\":{\"frag_cnt\":1,\"stub_data_size\":5}");
}

/* All of them in one message; and a call alone, whose stub ends where its PDU does. */
static void
test_one_message(void **state)
{
	(void)state;
	rpc.len = 0;
	fragment(REQUEST, FIRST, 3, "one ", true);
	fragment(REQUEST, LAST, 3, "two", false);
	write2(5, 0, SIZE_MAX);
	assert_string_equal(stubs[0], "one two");
	rpc.len = 0;
	fragment(REQUEST, FIRST | LAST, 4, "alone", false);
	fragment(REQUEST, FIRST | LAST, 5, "behind", false);
	write2(5, 0, SIZE_MAX);
	assert_string_equal(stubs[1], "alone");
	assert_int_equal(stub_count, 2);
	assert_null(flow.calls);
}

/* A pipe gives of its answer what its reader has room for; the rest is read. Rules see it once, on its way to the client. */
static void
test_response_in_pieces(void **state)
{
	(void)state;
	for (size_t cut = 24; cut < 24 + 13; cut++) {
		renew();
		rpc.len = 0;
		fragment(REQUEST, FIRST | LAST, 3, "question", false);
		transceive(false, 5, 0, SIZE_MAX);
		assert_string_equal(stubs[0], "question");
		rpc.len = 0;
		fragment(RESPONSE, FIRST, 3, "the answer is", false);
		fragment(RESPONSE, LAST, 3, " long", false);
		transceive(true, 5, 0, cut);
		assert_int_equal(stub_count, 1);
		read2(5, cut, 37 - cut);
		assert_int_equal(stub_count, 1);
		read2(5, 37, SIZE_MAX);
		assert_int_equal(stub_count, 2);
		assert_string_equal(stubs[1], "the answer is long");
		assert_null(flow.calls);
		assert_int_equal(rig->events, 0);
		assert_has(&rig->json, "\"response\":\"RESPONSE\",\"res\":{\"frag_cnt\":1,\"stub_data_size\":5},\"call_id\":3");
	}
	/* What is left of a PDU, and the next one. */
	renew();
	read2(5, 0, 30);
	read2(5, 30, SIZE_MAX);
	assert_string_equal(stubs[0], "the answer is long");
	assert_has(&rig->json, "\"res\":{\"frag_cnt\":1,\"stub_data_size\":12}");
}

/* MS-CIFS 2.2.4.42, 2.2.4.43, 2.2.5.6: written and read, and by a transaction with what follows it. */
static void
test_version_1(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		rpc.len = 0;
		fragment(REQUEST, i == 0 ? FIRST : LAST, 3, i == 0 ? "one " : "two", false);
		begin1(SMB1_WRITE, false, (uint16_t)(10 + i));
		put(&message, 12, 1);
		put(&message, 0xff, 4);
		put(&message, 0x4001, 2);
		put(&message, 0, 4);
		put(&message, 0, 8);
		put(&message, 0, 2);
		put(&message, rpc.len, 2);
		put(&message, 59, 2);
		put(&message, rpc.len, 2);
		put_bytes(&message, rpc.bytes, rpc.len);
		send(true);
	}
	assert_int_equal(stub_count, 1);
	assert_string_equal(stubs[0], "one two");
	rpc.len = 0;
	fragment(REQUEST, FIRST | LAST, 4, "transaction", false);
	begin1(SMB1_TRANS, false, 20);
	put(&message, 16, 1);
	put(&message, 0, 2);
	put(&message, rpc.len, 2);
	put(&message, 0, 18);
	put(&message, 28, 2);
	put(&message, 32 + 35, 2);
	put(&message, 2, 2);
	put(&message, 0x26, 2);
	put(&message, 0x4002, 2);
	put(&message, 28, 2);
	put_bytes(&message, rpc.bytes, 28);
	send(true);
	assert_int_equal(stub_count, 1);
	begin1(SMB1_TRANS_SECONDARY, false, 20);
	put(&message, 8, 1);
	put(&message, 0, 2);
	put(&message, rpc.len, 2);
	put(&message, 0, 6);
	put(&message, rpc.len - 28, 2);
	put(&message, 32 + 19, 2);
	put(&message, 28, 2);
	put(&message, rpc.len - 28, 2);
	put_bytes(&message, rpc.bytes + 28, rpc.len - 28);
	send(true);
	assert_int_equal(stub_count, 2);
	assert_string_equal(stubs[1], "transaction");
	assert_int_equal(rig->events, 0);
}

/* What ends before its last fragment: lost bytes, the pipe's end, a first fragment anew, the flow's end. Rules see what there was. */
static void
test_unfinished(void **state)
{
	(void)state;
	for (unsigned int way = 0; way < 5; way++) {
		renew();
		rpc.len = 0;
		fragment(REQUEST, FIRST, 3, "front", false);
		write2(5, 0, SIZE_MAX);
		assert_int_equal(stub_count, 0);
		rig->ctx.to_server = false;
		smb_proto.gap(&rig->ctx, 100);
		assert_int_equal(stub_count, 0);
		rig->ctx.to_server = true;
		if (way == 0)
			smb_proto.gap(&rig->ctx, 100);
		else if (way == 1)
			close2(5);
		else if (way == 2)
			write2(5, 0, SIZE_MAX);
		else if (way == 3)
			smb_proto.end(&rig->ctx);
		for (uint64_t i = 0; way == 4 && i < SMB_CALLS_MAX; i++)
			write2(100 + i, 0, SIZE_MAX);
		assert_int_equal(stub_count, 1);
		assert_string_equal(stubs[0], "front");
		assert_int_equal(last.opnum, 12);
		assert_int_equal(rig->counters[SMB_COUNT_CALLS_UNFINISHED], 1);
		smb_proto.end(&rig->ctx);
		assert_null(flow.calls);
	}
}

/* More than rules see: they see it once, when there is so much. And what is behind a message's front is not there. */
static void
test_long(void **state)
{
	static char text[1001];

	(void)state;
	memset(text, 'x', 1000);
	for (unsigned int i = 0; i < 8; i++) {
		rpc.len = 0;
		fragment(REQUEST, (uint8_t)((i == 0 ? FIRST : 0) | (i == 7 ? LAST : 0)), 3, text, false);
		write2(5, 0, SIZE_MAX);
		assert_int_equal(stub_count, i >= 4);
	}
	assert_int_equal(stub_lens[0], SMB_STUB_LEN_MAX);
	assert_int_equal(rig->counters[SMB_COUNT_STUBS_CUT], 1);
	assert_int_equal(rig->counters[SMB_COUNT_CALLS_UNFINISHED], 0);
	assert_null(flow.calls);
	renew();
	rpc.len = 0;
	for (unsigned int i = 0; i < 9; i++)
		fragment(REQUEST, (uint8_t)((i == 0 ? FIRST : 0) | (i == 8 ? LAST : 0)), 3, text, false);
	write2(5, 0, SIZE_MAX);
	assert_int_equal(stub_count, 1);
	assert_null(flow.calls);
	assert_int_equal(rig->counters[SMB_COUNT_STUBS_CUT], 1);
}

/* Without memory a message's stub is what the message has. Nothing is given back that was not taken. */
static void
test_no_memory(void **state)
{
	size_t used;

	(void)state;
	rpc.len = 0;
	fragment(REQUEST, FIRST, 3, "front", false);
	rig->ctx.slab = NULL;
	write2(5, 0, SIZE_MAX);
	assert_string_equal(stubs[0], "front");
	assert_int_equal(rig->counters[SMB_COUNT_CALLS_SHED], 1);
	rig->ctx.slab = rig->slab;
	used = slab_used(rig->slab);
	for (unsigned int i = 0; i < 100; i++)
		write2(i + 1, 0, SIZE_MAX);
	smb_proto.end(&rig->ctx);
	assert_int_equal(slab_used(rig->slab), used);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, rig_destroy)
	const struct CMUnitTest tests[] = { CASE(test_writes), CASE(test_one_message), CASE(test_response_in_pieces), CASE(test_version_1),
		CASE(test_unfinished), CASE(test_long), CASE(test_no_memory) };

	return cmocka_run_group_tests_name("smb calls", tests, NULL, NULL);
}
