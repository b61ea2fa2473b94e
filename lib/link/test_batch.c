#include "test/test.h"

#include <errno.h>
#include <strings.h>

#include <zstd.h>

#include "lib/link/batch.h"

static const char body_text[] = "{\"event_type\":\"flow\"}\n{\"event_type\":\"flow\"}\n";

/* The headers a client wrote, as the server's lookup finds them. */
struct wire {
	char lines[16][256];
	unsigned int count;
};

static const char *
wire_get(void *arg, const char *name)
{
	struct wire *wire = arg;

	for (unsigned int i = 0; i < wire->count; i++) {
		size_t len = strlen(name);

		if (strncasecmp(wire->lines[i], name, len) == 0 && wire->lines[i][len] == ':')
			return wire->lines[i] + len + 2;
	}
	return NULL;
}

static void
wire_fill(struct wire *wire, const struct batch_head *head)
{
	char text[256];
	struct buf line = { .data = text, .cap = sizeof(text) };

	wire->count = 0;
	while (batch_header_at(head, wire->count, &line)) {
		memcpy(wire->lines[wire->count], line.data, line.len);
		wire->lines[wire->count++][line.len] = '\0';
	}
}

static struct batch_head
encode(struct buf *body)
{
	struct batch_head head = { .sensor = "plant-1", .epoch = 0x0123456789abcdef, .lane = LINK_LANE_FLOW,
		.sequence = 41, .count = 2, .skip_to = 41, .begins = 40 };
	struct batch_encoder *encoder;

	assert_int_equal(batch_encoder_create(&encoder, 3), 0);
	assert_int_equal(buf_create(body, batch_body_bound(sizeof(body_text))), 0);
	assert_int_equal(batch_encode(encoder, &head, body_text, strlen(body_text), body), 0);
	batch_encoder_destroy(encoder);
	return head;
}

static void
what_is_written_is_read(void **state)
{
	struct buf body;
	struct batch_head head = encode(&body);
	struct batch_head read;
	struct batch_decoder *decoder;
	struct wire wire;
	char error[BATCH_ERROR_MAX];
	struct buf lines = { 0 };

	wire_fill(&wire, &head);
	assert_int_equal(wire.count, 11);
	assert_int_equal(batch_head_parse(&read, wire_get, &wire, error), 0);
	assert_string_equal(read.sensor, head.sensor);
	assert_true(read.epoch == head.epoch && read.lane == head.lane && read.sequence == head.sequence);
	assert_true(read.count == head.count && read.skip_to == head.skip_to && read.begins == head.begins && read.encoding == BATCH_ZSTD);
	assert_int_equal(batch_decoder_create(&decoder, 1024), 0);
	assert_int_equal(batch_decode(decoder, &read, body.data, body.len, &lines, error), 0);
	assert_int_equal(lines.len, strlen(body_text));
	assert_memory_equal(lines.data, body_text, lines.len);
	/* Cut anywhere, the digest tells. */
	for (size_t cut = 0; cut < body.len; cut++)
		assert_int_equal(batch_decode(decoder, &read, body.data, cut, &lines, error), -EBADMSG);
	batch_decoder_destroy(decoder);
	buf_destroy(&lines);
	buf_destroy(&body);
}

static const struct {
	const char *name, *value; /* NULL: taken away */
} bad_headers[] = {
	{ "Millrace-Version", "" }, { "Millrace-Version", "0" }, { "Millrace-Version", "1.1" }, { "Millrace-Version", NULL },
	{ "Millrace-Sensor", "" }, { "Millrace-Sensor", "a b" }, { "Millrace-Sensor", "../x" },
	{ "Millrace-Epoch", "123" }, { "Millrace-Epoch", "0x23456789abcdef" },
	{ "Millrace-Lane", "alerts" }, { "Millrace-Lane", "" },
	{ "Millrace-Sequence", "0" }, { "Millrace-Sequence", "-1" }, { "Millrace-Sequence", "99999999999999999999" },
	{ "Millrace-Count", "0" }, { "Millrace-Count", "65537" },
	{ "Millrace-Skip-To", "42" }, { "Millrace-Skip-To", "0" }, { "Millrace-Begins", "42" }, { "Millrace-Begins", "0" },
	{ "Content-Type", "text/plain" }, { "Content-Encoding", "gzip" },
	{ "Content-Digest", "sha-256=:AAAA:" }, { "Content-Digest", "md5=:AAAA:" }, { "Content-Digest", NULL },
};

static void
bad_headers_are_named(void **state)
{
	struct buf body;
	struct batch_head head = encode(&body);

	for (size_t i = 0; i < TEST_COUNT(bad_headers); i++) {
		struct batch_head read;
		struct wire wire;
		char error[BATCH_ERROR_MAX];

		wire_fill(&wire, &head);
		for (unsigned int j = 0; j < wire.count; j++) {
			size_t len = strlen(bad_headers[i].name);

			if (strncmp(wire.lines[j], bad_headers[i].name, len) == 0)
				snprintf(wire.lines[j], sizeof(wire.lines[j]), "%s%s%s",
					bad_headers[i].value == NULL ? "Gone" : bad_headers[i].name,
					": ", bad_headers[i].value == NULL ? "" : bad_headers[i].value);
		}
		assert_int_equal(batch_head_parse(&read, wire_get, &wire, error), -EINVAL);
		assert_non_null(strstr(error, bad_headers[i].name));
	}
	buf_destroy(&body);
}

/* Of another version nothing else is judged: it is no poison, whatever the rest looks like. */
static void
other_versions_are_told_apart(void **state)
{
	static const char *const versions[] = { "2", "4294967295" };

	for (size_t i = 0; i < TEST_COUNT(versions); i++) {
		struct wire wire = { .count = 1 };
		struct batch_head read;
		char error[BATCH_ERROR_MAX];

		snprintf(wire.lines[0], sizeof(wire.lines[0]), "Millrace-Version: %s", versions[i]);
		assert_int_equal(batch_head_parse(&read, wire_get, &wire, error), -EPROTONOSUPPORT);
		assert_non_null(strstr(error, versions[i]));
	}
}

static int
pack_and_unfold(const void *data, size_t len, size_t lines_max)
{
	struct batch_encoder *encoder;
	struct batch_decoder *decoder;
	struct batch_head head = { .count = 1 };
	char error[BATCH_ERROR_MAX];
	struct buf lines = { 0 };
	struct buf packed;
	int err;

	assert_int_equal(batch_encoder_create(&encoder, 1), 0);
	assert_int_equal(buf_create(&packed, batch_body_bound(len)), 0);
	assert_int_equal(batch_encode(encoder, &head, data, len, &packed), 0);
	assert_int_equal(batch_decoder_create(&decoder, lines_max), 0);
	err = batch_decode(decoder, &head, packed.data, packed.len, &lines, error);
	assert_in_range(lines.cap, 0, lines_max);
	batch_decoder_destroy(decoder);
	buf_destroy(&lines);
	batch_encoder_destroy(encoder);
	buf_destroy(&packed);
	return err;
}

static void
a_bomb_stops_at_the_bound(void **state)
{
	size_t len = 16 * 1024 * 1024;
	char *zeros = calloc(1, len);

	assert_int_equal(pack_and_unfold(zeros, len, 64 * 1024), -EMSGSIZE);
	assert_int_equal(pack_and_unfold(zeros, 64 * 1024 + 1, 64 * 1024), -EMSGSIZE);
	assert_int_equal(pack_and_unfold(zeros, 64 * 1024, 64 * 1024), 0);
	free(zeros);
}

/* Two frames, and one that does not say how much it holds: other programs may send them. */
static void
bodies_of_other_makers_are_read(void **state)
{
	static char text[300000], packed[400000];
	struct batch_head head = { .encoding = BATCH_ZSTD };
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	struct batch_decoder *decoder;
	char error[BATCH_ERROR_MAX];
	struct buf lines = { 0 };
	size_t first, second;
	uint32_t seed = 9;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + ((seed = seed * 1664525 + 1013904223) >> 28));
	assert_int_equal(ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0), 0);
	first = ZSTD_compress2(zstd, packed, sizeof(packed), text, 200000);
	second = ZSTD_compress2(zstd, packed + first, sizeof(packed) - first, text + 200000, 100000);
	batch_sign(&head, packed, first + second);
	assert_int_equal(batch_decoder_create(&decoder, sizeof(text)), 0);
	assert_int_equal(batch_decode(decoder, &head, packed, first + second, &lines, error), 0);
	assert_int_equal(lines.len, sizeof(text));
	assert_memory_equal(lines.data, text, sizeof(text));
	batch_decoder_destroy(decoder);
	assert_int_equal(batch_decoder_create(&decoder, sizeof(text) - 1), 0);
	assert_int_equal(batch_decode(decoder, &head, packed, first + second, &lines, error), -EMSGSIZE);
	batch_sign(&head, packed, first - 1);
	assert_int_equal(batch_decode(decoder, &head, packed, first - 1, &lines, error), -EBADMSG);
	batch_decoder_destroy(decoder);
	ZSTD_freeCCtx(zstd);
	buf_destroy(&lines);
}

/* Seeded mutations of a good body, past the digest: an error or lines within the bound, nothing else. */
static void
a_mutated_body_is_an_error_or_lines(void **state)
{
	struct buf body;
	struct batch_head head = encode(&body);
	struct batch_decoder *decoder;
	struct buf lines = { 0 };
	uint32_t seed = 7;

	assert_int_equal(batch_decoder_create(&decoder, 256), 0);
	for (unsigned int round = 0; round < 5000; round++) {
		char error[BATCH_ERROR_MAX];
		int err;

		seed = seed * 1664525 + 1013904223;
		body.data[(seed >> 8) % body.len] ^= (char)(1u << (seed >> 29));
		batch_sign(&head, body.data, body.len);
		err = batch_decode(decoder, &head, body.data, body.len, &lines, error);
		assert_true(err == 0 || err == -EBADMSG || err == -EMSGSIZE);
		assert_in_range(lines.len, 0, 256);
		assert_in_range(lines.cap, 0, 256);
	}
	batch_decoder_destroy(decoder);
	buf_destroy(&lines);
	buf_destroy(&body);
}

static const struct {
	int status;
	const char *retry_after, *body;
	struct batch_answer want;
} answers[] = {
	{ 200, NULL, "{\"acked\":17,\"more\":1}", { .verdict = BATCH_ACKED, .sequence = 17 } },
	{ 200, NULL, "{\"acked\":-1}", { .verdict = BATCH_LATER } },
	{ 200, NULL, "<html>", { .verdict = BATCH_LATER } },
	{ 204, NULL, "", { .verdict = BATCH_LATER } },
	{ 302, NULL, "", { .verdict = BATCH_LATER } },
	{ 409, NULL, "{\"expected\":9}", { .verdict = BATCH_HOLE, .sequence = 9 } },
	{ 409, NULL, "{\"expected\":9,\"why\":\"compare\"}", { .verdict = BATCH_COMPARE, .sequence = 9 } },
	{ 409, NULL, "{\"expected\":9,\"why\":\"foreign\"}", { .verdict = BATCH_FOREIGN, .sequence = 9 } },
	{ 409, NULL, "{\"expected\":9,\"why\":\"later invention\"}", { .verdict = BATCH_HOLE, .sequence = 9 } },
	{ 409, NULL, "{\"expected\":9,\"why\":7}", { .verdict = BATCH_HOLE, .sequence = 9 } },
	{ 409, NULL, "{\"why\":\"foreign\"}", { .verdict = BATCH_LATER } },
	{ 409, NULL, "{}", { .verdict = BATCH_LATER } },
	{ 413, NULL, "{\"max_bytes\":1000}", { .verdict = BATCH_TOO_LARGE, .max_bytes = 1000 } },
	{ 413, NULL, "", { .verdict = BATCH_TOO_LARGE } },
	{ 429, "7", "{}", { .verdict = BATCH_LATER, .retry_after_ms = 7000 } },
	{ 503, "999999", "", { .verdict = BATCH_LATER, .retry_after_ms = 3600000 } },
	{ 503, "soon", "", { .verdict = BATCH_LATER, .retry_after_ms = 1000 } },
	{ 403, NULL, "{\"error\":\"who are you\"}", { .verdict = BATCH_LATER } },
	{ 400, NULL, "{\"error\":\"bad\\u001bzstd\"}", { .verdict = BATCH_POISON, .error = "bad?zstd" } },
	{ 422, NULL, "", { .verdict = BATCH_POISON, .error = "status 422" } },
};

static void
answers_are_told_apart(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(answers); i++) {
		struct batch_answer answer;

		batch_answer_parse(&answer, answers[i].status, answers[i].retry_after, answers[i].body,
			strlen(answers[i].body));
		assert_int_equal(answer.verdict, answers[i].want.verdict);
		assert_int_equal(answer.sequence, answers[i].want.sequence);
		assert_int_equal(answer.max_bytes, answers[i].want.max_bytes);
		if (answers[i].want.retry_after_ms != 0)
			assert_int_equal(answer.retry_after_ms, answers[i].want.retry_after_ms);
		if (answers[i].want.verdict == BATCH_POISON)
			assert_string_equal(answer.error, answers[i].want.error);
	}
}

static void
creation_survives_no_memory(void **state)
{
	struct batch_encoder *encoder = NULL;
	struct batch_decoder *decoder = NULL;

	TEST_FAIL_EACH_ALLOC(batch_encoder_create(&encoder, 3), == 0, batch_encoder_destroy(encoder));
	TEST_FAIL_EACH_ALLOC(batch_decoder_create(&decoder, 4096), == 0, batch_decoder_destroy(decoder));
	assert_int_equal(batch_encoder_create(&encoder, 99), -EINVAL);
	assert_int_equal(batch_decoder_create(&decoder, 0), -EINVAL);
	batch_encoder_destroy(NULL);
	batch_decoder_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(bad_headers_are_named),
		cmocka_unit_test(other_versions_are_told_apart),
		cmocka_unit_test(a_bomb_stops_at_the_bound),
		cmocka_unit_test(bodies_of_other_makers_are_read),
		cmocka_unit_test(a_mutated_body_is_an_error_or_lines),
		cmocka_unit_test(answers_are_told_apart),
		cmocka_unit_test(creation_survives_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
