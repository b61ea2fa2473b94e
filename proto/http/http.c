/* HTTP/1: finding heads, recognising the protocol, and the way of a message to its transaction. */
#include "proto/http/http.h"

#include <errno.h>

#include "proto/line.h"

enum { STATUS_SWITCHING = 101 };

/* Browsers pass over a few blanks before a status line. Where it is not here yet, it may follow. */
static unsigned int
blanks_len(const struct cursor *in)
{
	static const char begin[] = "http/";
	size_t left = cursor_left(in), at = 0;

	while (at < HTTP_BLANKS_MAX && at < left && (http_is_space(in->pos[at]) || http_is_leading(in->pos[at])))
		at++;
	for (size_t i = 0; i < sizeof(begin) - 1 && at + i < left; i++)
		if (http_lower(in->pos[at + i]) != begin[i])
			return 0;
	return (unsigned int)at;
}

/* Empty lines before a start line are not wrong. */
static void
skip_empty(struct cursor *in)
{
	for (unsigned int i = 0; i < HTTP_LEADING_MAX && cursor_left(in) > 0 && http_is_leading(*in->pos); i++)
		cursor_skip(in, 1);
}

static void
skip_leading(struct cursor *in)
{
	skip_empty(in);
	if (cursor_left(in) > 0 && http_is_space(*in->pos))
		cursor_skip(in, blanks_len(in));
}

/* A request of one line ends with it. @return 0: fields follow, and only the protocol is missing */
static int
simple_len(struct cursor in)
{
	size_t left = cursor_left(&in);
	const uint8_t *text = cursor_take(&in, left), *line_end = memchr(text, '\n', left);
	size_t len = line_end == NULL ? left : (size_t)(line_end - text) + 1;
	struct cursor rest = cursor_of(text + len, left - len);

	return len < left && !http_is_leading(text[len]) && http_line_fit(&rest, false) == HTTP_FIT_NO ? 0 : (int)len;
}

/* Nothing ends a line in what is new: the answer is what it was. */
static bool
is_still_open(struct cursor in, uint32_t seen_len)
{
	size_t left = cursor_left(&in);

	if (seen_len == 0 || left >= HTTP_LINE_LEN_MAX)
		return false;
	cursor_skip(&in, seen_len);
	return seen_len > HTTP_METHOD_LEN_MAX + 2 * HTTP_LEADING_MAX && cursor_left(&in) > 0 &&
		memchr(in.pos, '\n', cursor_left(&in)) == NULL;
}

/* The start line is longer than those of which the end is looked for, and was accepted all the same. */
static bool
is_long_line(uint32_t seen_len)
{
	return seen_len > HTTP_LINE_LEN_MAX + HTTP_METHOD_LEN_MAX + 2 * HTTP_LEADING_MAX;
}

static int
frame_of(struct cursor in, uint32_t seen_len)
{
	struct cursor line = in;
	size_t left = cursor_left(&in), leading;
	enum http_fit fit;
	uint32_t len;

	if (is_still_open(in, seen_len))
		return 0;
	skip_leading(&line);
	leading = left - cursor_left(&line);
	fit = is_long_line(seen_len) ? HTTP_FIT_REQUEST : http_line_fit(&line, false);
	if (fit == HTTP_FIT_NO)
		return -EBADMSG;
	if (fit == HTTP_FIT_MORE)
		return 0;
	if (fit == HTTP_FIT_SIMPLE && simple_len(line) > 0)
		return (int)leading + simple_len(line);
	len = http_head_len(line, seen_len > leading ? seen_len - (uint32_t)leading : 0);
	if (len > 0)
		return (int)(leading + len);
	return left >= HTTP_HEAD_LEN_MAX ? HTTP_HEAD_LEN_MAX : 0;
}

static int
http_frame_on(struct cursor in, bool to_server, uint32_t seen_len)
{
	(void)to_server;
	return frame_of(in, seen_len);
}

static int
http_frame(struct cursor in, bool to_server)
{
	(void)to_server;
	return frame_of(in, 0);
}

/* A request of HTTP/0.9 is a line that anything may begin with, so only a usual port's, and no other method had it (RFC 1945 4.1). */
static bool
is_simple_get(const struct cursor *in)
{
	return line_begins(in, "GET /") && http_line_fit(in, false) == HTTP_FIT_SIMPLE;
}

static enum proto_probe
http_probe(struct cursor in, bool to_server, bool on_port)
{
	enum http_fit fit;

	(void)to_server;
	skip_empty(&in);
	fit = http_line_fit(&in, true);
	if (fit == HTTP_FIT_NO)
		return on_port && is_simple_get(&in) ? PROTO_PROBE_YES : PROTO_PROBE_NO;
	return fit == HTTP_FIT_MORE ? PROTO_PROBE_MORE : PROTO_PROBE_YES;
}

/* Where the protocol is not known yet, a head of which the first line is not there only where it usually is. */
static bool
http_remains(struct cursor in, bool to_server, bool on_port)
{
	enum http_fit fit;

	(void)to_server;
	skip_empty(&in);
	fit = http_line_fit(&in, false);
	if (fit == HTTP_FIT_MORE && on_port)
		fit = http_line_fit_remains(&in);
	return fit == HTTP_FIT_REQUEST || fit == HTTP_FIT_RESPONSE || (fit == HTTP_FIT_SIMPLE && on_port);
}

static int
http_sender_is_server(struct cursor in)
{
	enum http_fit fit;

	skip_empty(&in);
	fit = http_line_fit(&in, true);
	if (fit == HTTP_FIT_NO || fit == HTTP_FIT_MORE)
		return -1;
	return fit == HTTP_FIT_RESPONSE;
}

/* ---- requests that wait ---- */

static void
wait_for_response(struct proto_ctx *ctx, struct http_half *half)
{
	struct http_state *state = ctx->state;
	const struct http_config *config = ctx->config;

	if (state->open_count >= config->open_max) {
		counter_add(&ctx->counters[HTTP_COUNT_REQUESTS_SHED], 1);
		if (!state->flooded)
			half->events |= UINT64_C(1) << HTTP_EVENT_TOO_MANY_REQUESTS;
		state->flooded = true;
		state->shed_behind++;
		return;
	}
	half->shed_before = state->shed_behind;
	half->waits = true;
	state->shed_behind = 0;
	if (state->newest != NULL)
		state->newest->next = half;
	else
		state->oldest = half;
	state->newest = half;
	state->open_count++;
}

/* A request of which no more is read. */
static void
let_go(struct proto_ctx *ctx, struct http_half *half)
{
	struct http_state *state = ctx->state;

	for (unsigned int i = 0; i < 2; i++)
		if (state->bodies[i].half == half)
			state->bodies[i].half = NULL;
	http_half_match(ctx, half);
	http_file_finish(ctx, half);
}

static struct http_half *
take_oldest(struct proto_ctx *ctx)
{
	struct http_state *state = ctx->state;
	struct http_half *half = state->oldest;

	state->oldest = half->next;
	if (state->oldest == NULL)
		state->newest = NULL;
	state->open_count--;
	half->next = NULL;
	let_go(ctx, half);
	return half;
}

/* The request that a response answers; NULL: it was not seen, or could not wait. */
static struct http_half *
take_request(struct proto_ctx *ctx)
{
	struct http_state *state = ctx->state;
	uint32_t *shed = state->oldest != NULL ? &state->oldest->shed_before : &state->shed_behind;

	if (*shed > 0) {
		--*shed;
		return NULL;
	}
	if (state->oldest != NULL)
		return take_oldest(ctx);
	counter_add(&ctx->counters[HTTP_COUNT_ORPHANS], 1);
	proto_event(ctx, HTTP_EVENT_UNMATCHED_RESPONSE);
	return NULL;
}

static void
give_up_all(struct proto_ctx *ctx)
{
	struct http_state *state = ctx->state;

	while (state->oldest != NULL)
		http_half_emit(ctx, take_oldest(ctx), NULL);
	state->shed_behind = 0;
}

/* ---- messages ---- */

void
http_finish(struct proto_ctx *ctx, struct http_half *half)
{
	http_half_match(ctx, half);
	http_file_finish(ctx, half);
	if (!half->head.is_request)
		http_half_emit(ctx, half->request, half);
	else if (!half->waits)
		http_half_emit(ctx, half, NULL);
}

static void
check_direction(struct proto_ctx *ctx, bool is_request)
{
	struct http_state *state = ctx->state;

	if (is_request == ctx->to_server || state->wrong_direction)
		return;
	state->wrong_direction = true;
	proto_event(ctx, HTTP_EVENT_WRONG_DIRECTION);
}

static void
parse_request(struct proto_ctx *ctx, const struct http_head *head, struct cursor in, const struct buf *derived)
{
	struct http_state *state = ctx->state;
	struct http_half *half = http_half_create(ctx, head, in, derived);

	counter_add(&ctx->counters[HTTP_COUNT_REQUESTS], 1);
	if (half != NULL) {
		half->id = ++state->last_id;
		wait_for_response(ctx, half);
	} else {
		state->shed_behind++;
	}
	http_body_begin(ctx, half, head, NULL);
}

/* Behind the answer to CONNECT and to an upgrade both directions speak something else. */
static bool
is_tunnel(const struct http_head *head, const struct http_head *request)
{
	return (head->status == STATUS_SWITCHING && http_head_is_bodiless(head)) || (request != NULL && request->is_connect && head->status / 100 == 2);
}

static void
parse_response(struct proto_ctx *ctx, const struct http_head *head, struct cursor in, const struct buf *derived)
{
	struct http_state *state = ctx->state;
	struct http_half *half, *request;
	bool tunnel;

	counter_add(&ctx->counters[HTTP_COUNT_RESPONSES], 1);
	half = http_half_create(ctx, head, in, derived); /* before the scratch is used again */
	request = take_request(ctx);
	tunnel = is_tunnel(head, request == NULL ? NULL : &request->head);
	if (half != NULL) {
		half->events |= ctx->events;
		ctx->events = 0;
		half->request = request;
		half->id = request != NULL ? request->id : ++state->last_id;
		http_body_begin(ctx, half, head, request == NULL ? NULL : &request->head);
	} else {
		http_body_begin(ctx, NULL, head, request == NULL ? NULL : &request->head);
		http_half_emit(ctx, request, NULL);
	}
	if (!tunnel)
		return;
	counter_add(&ctx->counters[HTTP_COUNT_TUNNELS], 1);
	ctx->over = true;
}

/* The flow ended in one, or in the blanks before it. */
static bool
begins_status_line(struct cursor in)
{
	skip_leading(&in);
	return cursor_left(&in) == 0 || line_begins(&in, "HTTP/");
}

/*
 * The first answer in a flow that begins with no status line is its body alone, as of HTTP/0.9; browsers show it. Behind a
 * response with a head what is no other one is not to be told from damage.
 */
static bool
http_stray(struct proto_ctx *ctx, struct cursor in)
{
	struct buf derived = { .data = (char *)ctx->record->base, .cap = HTTP_DERIVED_LEN_MAX };
	const struct http_head head = { 0 };
	struct http_state *state = ctx->state;
	struct http_half *half;

	if (begins_status_line(in))
		return false;
	if (state->bodies[ctx->to_server].state == HTTP_BODY_PAUSED) {
		http_body_begin_headless(ctx, state->bodies[ctx->to_server].half);
		return true;
	}
	if (state->answered || state->oldest == NULL || state->oldest->to_server == ctx->to_server || state->oldest->shed_before > 0)
		return false;
	half = http_half_create(ctx, &head, cursor_of("", 0), &derived);
	if (half == NULL)
		return false;
	counter_add(&ctx->counters[HTTP_COUNT_RESPONSES], 1);
	half->events = UINT64_C(1) << HTTP_EVENT_NO_HEAD;
	half->request = take_request(ctx);
	half->id = half->request->id;
	http_body_begin_headless(ctx, half);
	return true;
}

/* There is a head, behind lines that are none of it: the request waits for it again. */
static void
drop_headless(struct proto_ctx *ctx)
{
	struct http_state *state = ctx->state;
	struct http_body *body = &state->bodies[ctx->to_server];
	struct http_half *half = body->half;

	if (body->state != HTTP_BODY_PAUSED)
		return;
	*body = (struct http_body){ 0 };
	ctx->events |= half->events;
	half->request->next = state->oldest;
	state->newest = state->oldest == NULL ? half->request : state->newest;
	state->oldest = half->request;
	state->open_count++;
	http_half_destroy(ctx, half);
}

/* A head without its end: whether a line begins where it is cut. */
static bool
ends_with_line(struct cursor in)
{
	size_t left = cursor_left(&in);
	const uint8_t *text = cursor_take(&in, left);

	return left > 1 && (text[left - 1] == '\n' || (text[left - 1] == '\r' && text[left - 2] == '\n'));
}

/* Of a line that fits one of the two: no method has a slash. */
static bool
is_response(struct cursor line)
{
	const uint8_t *begin = cursor_take(&line, 5);

	return begin != NULL && begin[4] == '/' && (begin[0] | 0x20) == 'h';
}

static void
http_parse(struct proto_ctx *ctx, struct cursor in)
{
	struct buf derived = { .data = (char *)ctx->record->base, .cap = HTTP_DERIVED_LEN_MAX };
	struct http_state *state = ctx->state;
	struct http_head head = { 0 };
	struct cursor line = in;

	skip_leading(&line);
	head.is_request = !is_response(line);
	head.is_cut = http_head_end_len(line) == 0 && (http_line_fit(&line, false) != HTTP_FIT_SIMPLE || simple_len(line) == 0);
	head.is_cut_at_line = head.is_cut && ends_with_line(in);
	head.is_loose_end = !head.is_cut && http_head_is_loose(line);
	drop_headless(ctx);
	http_head_read(ctx, in, &head, &derived);
	check_direction(ctx, head.is_request);
	state->answered = state->answered || !head.is_request;
	if (head.is_request) {
		parse_request(ctx, &head, in, &derived);
	} else if (head.status != STATUS_SWITCHING && head.status / 100 == 1 && http_head_is_bodiless(&head)) {
		counter_add(&ctx->counters[HTTP_COUNT_INTERIM], 1);
		http_body_begin(ctx, NULL, &head, NULL);
	} else {
		parse_response(ctx, &head, in, &derived);
	}
}

/* Where heads of responses may be lost, none of the requests that wait can be told to be answered by the next. */
static void
http_gap(struct proto_ctx *ctx, uint32_t missing)
{
	struct http_state *state = ctx->state;

	if (http_body_gap(ctx, missing))
		return;
	ctx->raw = false;
	if (state->oldest != NULL && state->oldest->to_server != ctx->to_server)
		give_up_all(ctx);
}

static void
http_end(struct proto_ctx *ctx)
{
	bool raw = ctx->raw;

	http_body_end(ctx, true);
	http_body_end(ctx, false);
	give_up_all(ctx);
	ctx->raw = raw;
}

static const uint16_t http_ports[] = { 80, 8080, 8000, 8008, 8081, 8088, 3128, 5985, 0 };

extern const struct proto http_proto;
const struct proto http_proto = {
	.app = {
		.name = "http",
		.record = &http_table,
		.events = http_events,
		.event_count = HTTP_EVENT_COUNT,
		.buffers = http_buffers,
		.buffer_count = HTTP_BUFFER_COUNT,
		.buffer_direction = http_buffer_direction,
		.buffer_of = http_buffer_of,
	},
	.transports = PROTO_TCP,
	.ports = http_ports,
	.pdu_len_min = 16,
	.probe = http_probe,
	.starts = { { '\n', '\n' }, { '\r', '\r' }, { '!', '~' } },
	.start_count = 3,
	.sender_is_server = http_sender_is_server,
	.frame = http_frame,
	.frame_on = http_frame_on,
	.pass = http_line_pass,
	.remains = http_remains,
	.parse = http_parse,
	.raw = http_body_raw,
	.stray = http_stray,
	.gap = http_gap,
	.end = http_end,
	.counts_transactions = true,
	.state_len = sizeof(struct http_state),
	.counters = http_counters,
	.counter_count = HTTP_COUNTER_COUNT,
	.knobs = &http_knobs,
	.config_len = sizeof(struct http_config),
};
