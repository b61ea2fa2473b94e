/* A batch as a client sends it, and an answer as a server gives it. */
#include <strings.h>

#include "lib/link/batch.h"
#include "test/fuzz/fuzz_input.h"

enum { LINES_MAX = 1024 * 1024, HEADERS_MAX = 16 };

struct headers {
	char *names[HEADERS_MAX];
	char *values[HEADERS_MAX];
	unsigned int count;
};

static const char *
get_header(void *arg, const char *name)
{
	const struct headers *headers = arg;

	for (unsigned int i = 0; i < headers->count; i++)
		if (strcasecmp(headers->names[i], name) == 0)
			return headers->values[i];
	return NULL;
}

static char *
take_text(struct cursor *in)
{
	struct cursor text = fuzz_take(in, cursor_u8(in));

	return strndup(text.pos == NULL ? "" : (const char *)text.pos, cursor_left(&text));
}

/* The names that matter are given by number, so that the fuzzer need not guess them. */
static void
take_headers(struct headers *headers, struct cursor *in)
{
	static const char *const names[] = { "Millrace-Version", "Millrace-Sensor", "Millrace-Epoch", "Millrace-Lane",
		"Millrace-Sequence", "Millrace-Count", "Millrace-Skip-To", "Millrace-Begins", "Content-Type", "Content-Encoding", "Content-Digest" };
	unsigned int count = cursor_u8(in) % HEADERS_MAX;

	headers->count = 0;
	while (headers->count < count) {
		uint8_t which = cursor_u8(in);

		headers->names[headers->count] = strdup(names[which % (sizeof(names) / sizeof(names[0]))]);
		headers->values[headers->count++] = take_text(in);
	}
}

/* With a digest that fits, so that the body behind it is reached. */
static void
decode_body(struct batch_head *head, struct cursor body)
{
	static struct batch_decoder *decoder;
	static struct buf lines;
	char error[BATCH_ERROR_MAX];

	if (decoder == NULL)
		FUZZ_MUST(batch_decoder_create(&decoder, LINES_MAX) == 0);
	if (batch_decode(decoder, head, body.pos, cursor_left(&body), &lines, error) == 0)
		FUZZ_MUST(lines.len <= LINES_MAX);
}

static void
round_trip(struct cursor lines)
{
	struct batch_head head = { .sensor = "s", .epoch = 1, .sequence = 1, .count = 1 };
	static struct batch_encoder *encoder;
	struct buf body;

	if (encoder == NULL)
		FUZZ_MUST(batch_encoder_create(&encoder, 1) == 0);
	FUZZ_MUST(buf_create(&body, batch_body_bound(cursor_left(&lines))) == 0);
	if (batch_encode(encoder, &head, lines.pos, cursor_left(&lines), &body) == 0)
		decode_body(&head, cursor_of(body.data, body.len));
	buf_destroy(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_of(data, len);
	struct headers headers;
	struct batch_head head;
	struct batch_answer answer;
	char error[BATCH_ERROR_MAX];
	int status = cursor_be16(&in) % 700;
	char *retry_after = take_text(&in);

	take_headers(&headers, &in);
	if (cursor_left(&in) > 0) {
		batch_answer_parse(&answer, status, retry_after, in.pos, cursor_left(&in));
		FUZZ_MUST(answer.verdict <= BATCH_POISON);
		round_trip(in);
		if (batch_head_parse(&head, get_header, &headers, error) == 0)
			decode_body(&head, in);
	}
	for (unsigned int i = 0; i < headers.count; i++) {
		free(headers.names[i]);
		free(headers.values[i]);
	}
	free(retry_after);
	return 0;
}
