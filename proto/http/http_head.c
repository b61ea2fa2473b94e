/* The head of a message: its fields, in one pass, and the forms in which rules see them. */
#include "proto/http/http.h"

enum { REPETITION_MAX = 64, LENGTH_DIGITS_MAX = 18 };

enum what {
	WHAT_PLAIN,
	WHAT_HOST,
	WHAT_COOKIE,
	WHAT_LENGTH,
	WHAT_TRANSFER,
	WHAT_CONTENT,
	WHAT_UPGRADE,
};

enum { NO_SLICE = HTTP_SLICES_MAX };

/* By length, as first_known[] says. What a field is in requests and in responses. */
static const struct known {
	const char *name;
	uint8_t len;
	uint8_t what;
	uint8_t slice[2]; /* by is_request */
} known_fields[] = {
	{ "host", 4, WHAT_HOST, { NO_SLICE, HTTP_HOST_RAW } },
	{ "cookie", 6, WHAT_COOKIE, { NO_SLICE, HTTP_COOKIE } },
	{ "accept", 6, WHAT_PLAIN, { NO_SLICE, HTTP_ACCEPT } },
	{ "server", 6, WHAT_PLAIN, { HTTP_SERVER, NO_SLICE } },
	{ "referer", 7, WHAT_PLAIN, { NO_SLICE, HTTP_REFERER } },
	{ "upgrade", 7, WHAT_UPGRADE, { NO_SLICE, NO_SLICE } },
	{ "location", 8, WHAT_PLAIN, { HTTP_LOCATION, NO_SLICE } },
	{ "connection", 10, WHAT_PLAIN, { HTTP_CONNECTION, HTTP_CONNECTION } },
	{ "set-cookie", 10, WHAT_COOKIE, { HTTP_COOKIE, NO_SLICE } },
	{ "user-agent", 10, WHAT_PLAIN, { NO_SLICE, HTTP_USER_AGENT } },
	{ "content-type", 12, WHAT_PLAIN, { HTTP_CONTENT_TYPE, HTTP_CONTENT_TYPE } },
	{ "content-range", 13, WHAT_PLAIN, { HTTP_CONTENT_RANGE, NO_SLICE } },
	{ "content-length", 14, WHAT_LENGTH, { HTTP_CONTENT_LEN, HTTP_CONTENT_LEN } },
	{ "accept-encoding", 15, WHAT_PLAIN, { NO_SLICE, HTTP_ACCEPT_ENC } },
	{ "accept-language", 15, WHAT_PLAIN, { NO_SLICE, HTTP_ACCEPT_LANG } },
	{ "x-forwarded-for", 15, WHAT_PLAIN, { NO_SLICE, HTTP_XFF } },
	{ "content-encoding", 16, WHAT_CONTENT, { HTTP_CONTENT_ENCODING, NO_SLICE } },
	{ "transfer-encoding", 17, WHAT_TRANSFER, { NO_SLICE, NO_SLICE } },
};

enum { NAME_LEN_MAX = 17, KNOWN_COUNT = sizeof(known_fields) / sizeof(known_fields[0]), FIRST = 0xff };

/* By length of the name: the first row of known_fields that is no shorter. */
static const uint8_t first_known[NAME_LEN_MAX + 1] = { 0, 0, 0, 0, 0, 1, 1, 4, 6, 7, 7, 10, 10, 11, 12, 13, 16, 17 };

struct line_field {
	uint16_t name, name_len;
	uint16_t value, value_len;
	uint8_t known;         /* row of known_fields, or one behind the last */
	uint8_t hash;
	uint8_t repeats;       /* the earlier field of the same name, FIRST: none */
	bool is_repeated;      /* a later one has its name */
	bool is_folded;
	bool has_colon;
	bool is_plain;         /* written as "Name: value\r\n" */
};

struct reading {
	struct proto_ctx *ctx;
	struct http_head *head;
	struct buf *derived;
	const uint8_t *text;
	uint32_t len;
	uint32_t fields_off;   /* of the first line behind the start line */
	uint32_t fields_end;   /* of the empty line */
	bool is_odd;           /* a response with a CR alone or a NUL somewhere */
	unsigned int field_count;
	unsigned int repetitions;
	uint64_t hashes[4];    /* bit: a field has it */
	struct line_field fields[HTTP_FIELDS_MAX];
};

/* Upper-case letters of eight bytes as lower-case ones: those whose seven bits are from 'A' to 'Z', and whose eighth is not set. */
static inline uint64_t
lower_all(uint64_t bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t low = bytes & 0x7f * ones, from_a = low + (0x80 - 'A') * ones, behind_z = low + (0x7f - 'Z') * ones;

	return bytes | ((from_a ^ behind_z) & ~bytes & 0x80 * ones) >> 2;
}

static inline uint64_t
eight_at(const uint8_t *text)
{
	uint64_t bytes;

	memcpy(&bytes, text, sizeof(bytes));
	return bytes;
}

/* Eight at a time; the last ones again with some before them. */
static bool
same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8)
		if (lower_all(eight_at(a + i)) != lower_all(eight_at(b + i)))
			return false;
	if (len >= 8)
		return i == len || lower_all(eight_at(a + len - 8)) == lower_all(eight_at(b + len - 8));
	for (; i < len; i++)
		if (http_lower(a[i]) != http_lower(b[i]))
			return false;
	return true;
}

static uint8_t
known_of(const uint8_t *name, uint32_t len)
{
	if (len > NAME_LEN_MAX)
		return KNOWN_COUNT;
	for (uint8_t i = first_known[len]; i < KNOWN_COUNT && known_fields[i].len == len; i++)
		if ((uint8_t)known_fields[i].name[0] == http_lower(name[0]) &&
			same_name(name, (const uint8_t *)known_fields[i].name, len))
			return i;
	return KNOWN_COUNT;
}

/* Browsers pass over a NUL in a name. */
static uint8_t
known_without_nul(const uint8_t *name, uint32_t len)
{
	uint8_t text[NAME_LEN_MAX + 1];
	uint32_t used = 0;

	for (uint32_t i = 0; i < len && used <= NAME_LEN_MAX; i++)
		if (name[i] != '\0')
			text[used++] = name[i];
	return used == 0 ? KNOWN_COUNT : known_of(text, used);
}

static const struct known *
known_row(const struct line_field *field)
{
	return field->known < KNOWN_COUNT ? &known_fields[field->known] : NULL;
}

/* ---- lines ---- */

static void
find_earlier(struct reading *r, struct line_field *field)
{
	uint64_t *word = &r->hashes[field->hash >> 6], bit = UINT64_C(1) << (field->hash & 63);

	if ((*word & bit) == 0) {
		*word |= bit;
		return;
	}
	for (unsigned int i = 0; i < r->field_count; i++) {
		struct line_field *other = &r->fields[i];

		if (other == field || other->hash != field->hash || other->name_len != field->name_len || other->repeats != FIRST ||
			!same_name(r->text + other->name, r->text + field->name, field->name_len))
			continue;
		field->repeats = (uint8_t)i;
		other->is_repeated = true;
		r->repetitions++;
		return;
	}
}

static void
set_name(struct reading *r, struct line_field *field, uint32_t from, uint32_t to)
{
	field->name = (uint16_t)from;
	field->name_len = (uint16_t)(to - from);
	field->known = UINT8_MAX;
	if (to == from)
		return;
	field->known = r->is_odd ? known_without_nul(r->text + from, to - from) : known_of(r->text + from, to - from);
	field->hash = (uint8_t)(http_lower(r->text[from]) * 31 + http_lower(r->text[to - 1]));
	find_earlier(r, field);
}

/* A field of one line, without the line's end. */
static void
read_field(struct reading *r, uint32_t from, uint32_t to, bool crlf)
{
	const uint8_t *colon = memchr(r->text + from, ':', to - from);
	struct line_field *field = &r->fields[r->field_count];
	uint32_t name_end, value;

	if (r->field_count == HTTP_FIELDS_MAX) {
		http_event(r->ctx, HTTP_EVENT_REQUEST_TOO_MANY_HEADERS, r->head->is_request);
		return;
	}
	if (colon == NULL)
		http_event(r->ctx, HTTP_EVENT_REQUEST_FIELD_MISSING_COLON, r->head->is_request);
	name_end = colon == NULL ? from : (uint32_t)(colon - r->text);
	value = colon == NULL ? from : name_end + 1;
	*field = (struct line_field){ .repeats = FIRST, .has_colon = colon != NULL,
		.is_plain = crlf && colon != NULL && to - value >= 2 && r->text[value] == ' ' };
	if (colon != NULL && (name_end == from || r->text[name_end - 1] <= ' ')) {
		http_event(r->ctx, HTTP_EVENT_REQUEST_HEADER_INVALID, r->head->is_request);
		field->is_plain = false;
	}
	while (name_end > from && r->text[name_end - 1] <= ' ')
		name_end--;
	field->is_plain = field->is_plain && !http_is_space(r->text[value + 1]) && !http_is_space(r->text[to - 1]);
	if (field->is_plain && r->text[to - 1] != '\r')
		value++;
	else
		http_trim(r->text, &value, &to);
	field->value = (uint16_t)value;
	field->value_len = (uint16_t)(to - value);
	set_name(r, field, from, name_end);
	r->field_count++;
}

/* The name stands on the line before: "Name", then " : value". */
static bool
continue_name(struct reading *r, struct line_field *last, uint32_t *from, uint32_t to)
{
	if (last->has_colon || r->text[*from] != ':' || last->value_len == 0)
		return false;
	last->has_colon = true;
	set_name(r, last, last->value, last->value + last->value_len);
	last->value = (uint16_t)++*from;
	last->value_len = 0;
	http_trim(r->text, from, &to);
	return true;
}

/* A line that continues the one before it (RFC 9112 5.2, obsolete). */
static void
continue_field(struct reading *r, uint32_t from, uint32_t to)
{
	struct line_field *last = &r->fields[r->field_count - 1];
	uint32_t value;

	http_trim(r->text, &from, &to);
	last->is_plain = false;
	if (from < to && continue_name(r, last, &from, to))
		http_event(r->ctx, HTTP_EVENT_INVALID_REQUEST_FOLDING, r->head->is_request);
	value = last->value_len == 0 ? from : last->value;
	if (from >= to || to < value)
		return;
	last->value = (uint16_t)value;
	last->value_len = (uint16_t)(to - value);
	last->is_folded = true;
}

/* A response's line that begins with a blank and yet is a field of its own, as browsers see it. */
static bool
is_field(const struct reading *r, uint32_t *from, uint32_t to)
{
	uint32_t at = *from, start;

	while (at < to && http_is_space(r->text[at]))
		at++;
	for (start = at; at < to && r->text[at] > ' ' && r->text[at] < 0x7f && strchr("()<>@,;:\\\"/[]?={}", r->text[at]) == NULL;)
		at++;
	if (r->head->is_request || at == start)
		return false;
	while (at < to && http_is_space(r->text[at]))
		at++;
	if (at == to || r->text[at] != ':')
		return false;
	*from = start;
	return true;
}

static void
read_line(struct reading *r, uint32_t from, uint32_t to, bool crlf)
{
	bool is_folded = http_is_space(r->text[from]) || (r->is_odd && r->text[from] == '\0');
	uint32_t start = from;

	if (!is_folded) {
		read_field(r, from, to, crlf);
	} else if (!is_field(r, &start, to) && r->field_count > 0) {
		from += r->text[from] == '\0';
		continue_field(r, from, to);
	} else {
		http_event(r->ctx, HTTP_EVENT_INVALID_REQUEST_FOLDING, r->head->is_request);
		read_field(r, start, to, crlf);
		if (r->field_count > 0)
			r->fields[r->field_count - 1].is_plain = false;
	}
}

struct line {
	uint32_t to, next; /* of its end, of the line behind it */
	bool crlf;
};

/* In a response CR alone ends a line, too. */
static struct line
line_at(const struct reading *r, uint32_t at)
{
	const uint8_t *end = memchr(r->text + at, '\n', r->len - at);
	uint32_t to = end == NULL ? r->len : (uint32_t)(end - r->text);
	const uint8_t *cr = r->is_odd ? memchr(r->text + at, '\r', to - at) : NULL;

	if (cr != NULL && cr + 1 != end)
		return (struct line){ .to = (uint32_t)(cr - r->text), .next = (uint32_t)(cr - r->text) + 1 };
	if (end == NULL)
		return (struct line){ .to = to, .next = to };
	if (to > at && r->text[to - 1] == '\r')
		return (struct line){ .to = to - 1, .next = to + 1, .crlf = true };
	return (struct line){ .to = to, .next = to + 1 };
}

static void
read_fields(struct reading *r)
{
	uint32_t at = r->fields_off, end = r->len - http_head_end_len(cursor_of(r->text, r->len));

	while (at < end) {
		struct line line = line_at(r, at);

		if (line.to > at)
			read_line(r, at, line.to, line.crlf);
		at = line.next;
	}
	r->fields_end = end;
}

/* ---- the forms that rules see ---- */

static void
put_unfolded(struct buf *out, const uint8_t *text, uint32_t len, bool is_folded)
{
	if (!is_folded) {
		buf_put(out, text, len);
		return;
	}
	for (uint32_t i = 0; i < len; i++)
		if (text[i] != '\r' && text[i] != '\n')
			buf_putc(out, (char)text[i]);
}

/* The values of all fields of the name, as one (RFC 9110 5.3). */
static void
put_joined(struct reading *r, unsigned int first)
{
	const struct line_field *field = &r->fields[first];

	put_unfolded(r->derived, r->text + field->value, field->value_len, field->is_folded);
	for (unsigned int i = first + 1; field->is_repeated && i < r->field_count; i++) {
		const struct line_field *other = &r->fields[i];

		if (other->repeats != first)
			continue;
		buf_put(r->derived, ", ", 2);
		put_unfolded(r->derived, r->text + other->value, other->value_len, other->is_folded);
	}
}

static void
put_value(struct reading *r, unsigned int idx, enum http_slice slice)
{
	const struct line_field *field = &r->fields[idx];
	size_t from = r->derived->len;

	if (!field->is_repeated && !field->is_folded) {
		http_put_slice(r->head, slice, field->value, field->value_len);
		return;
	}
	put_joined(r, idx);
	http_put_slice(r->head, slice, r->len + (uint32_t)from, (uint32_t)(r->derived->len - from));
}

static bool
is_cookie(const struct line_field *field)
{
	const struct known *known = known_row(field);

	return known != NULL && known->what == WHAT_COOKIE;
}

static void
put_lines(struct reading *r, bool cookies)
{
	for (unsigned int i = 0; i < r->field_count; i++) {
		const struct line_field *field = &r->fields[i];

		if (field->repeats != FIRST || is_cookie(field) != cookies)
			continue;
		buf_put(r->derived, r->text + field->name, field->name_len);
		buf_put(r->derived, ": ", 2);
		put_joined(r, i);
		buf_put(r->derived, "\r\n", 2);
	}
}

/* As it stands, where nothing is to be changed. */
static void
put_header_block(struct reading *r)
{
	size_t from = r->derived->len;
	bool as_it_is = !r->head->is_cut && !r->is_odd;

	for (unsigned int i = 0; i < r->field_count && as_it_is; i++)
		as_it_is = r->fields[i].is_plain && r->fields[i].repeats == FIRST && !is_cookie(&r->fields[i]);
	if (as_it_is && r->field_count < HTTP_FIELDS_MAX) {
		http_put_slice(r->head, HTTP_HEADER, r->fields_off, r->fields_end - r->fields_off);
		http_put_slice(r->head, HTTP_HEADER_LINES, r->fields_off, r->fields_end - r->fields_off);
		return;
	}
	put_lines(r, false);
	http_put_slice(r->head, HTTP_HEADER, r->len + (uint32_t)from, (uint32_t)(r->derived->len - from));
	put_lines(r, true);
	http_put_slice(r->head, HTTP_HEADER_LINES, r->len + (uint32_t)from, (uint32_t)(r->derived->len - from));
}

static void
put_header_names(struct reading *r)
{
	size_t from = r->derived->len;

	buf_put(r->derived, "\r\n", 2);
	for (unsigned int i = 0; i < r->field_count; i++) {
		const struct line_field *field = &r->fields[i];

		if (field->repeats != FIRST || field->name_len == 0)
			continue;
		buf_put(r->derived, r->text + field->name, field->name_len);
		buf_put(r->derived, "\r\n", 2);
	}
	buf_put(r->derived, "\r\n", 2);
	http_put_slice(r->head, HTTP_HEADER_NAMES, r->len + (uint32_t)from, (uint32_t)(r->derived->len - from));
}

/* ---- what the fields say ---- */

static uint32_t
element_end(const uint8_t *text, uint32_t at, uint32_t to)
{
	while (at < to && text[at] != ',')
		at++;
	return at;
}

static bool
read_number(const uint8_t *text, uint32_t from, uint32_t to, uint64_t *value)
{
	http_trim(text, &from, &to);
	*value = 0;
	if (from == to || to - from > LENGTH_DIGITS_MAX)
		return false;
	for (; from < to; from++) {
		if (text[from] < '0' || text[from] > '9')
			return false;
		*value = *value * 10 + (uint64_t)(text[from] - '0');
	}
	return true;
}

/* RFC 9110 8.6: a list is what became of fields that were repeated on the way. The first one counts, as of lines. */
static void
read_length(struct reading *r, const struct line_field *field)
{
	uint32_t at = field->value, to = field->value + field->value_len, end = element_end(r->text, at, to);
	uint64_t value = 0, other;
	bool bad = !read_number(r->text, at, end, &value), repeats = field->repeats != FIRST || end < to;

	while (end < to && !bad) {
		at = end + 1;
		end = element_end(r->text, at, to);
		bad = !read_number(r->text, at, end, &other);
	}
	if (repeats)
		http_event(r->ctx, HTTP_EVENT_DUPLICATE_REQUEST_CONTENT_LENGTH, r->head->is_request);
	if (bad) {
		http_event(r->ctx, HTTP_EVENT_INVALID_REQUEST_CONTENT_LENGTH, r->head->is_request);
		return;
	}
	if (r->head->has_length)
		return;
	r->head->has_length = true;
	r->head->content_length = value;
}

/* What says how the body is coded: all fields of the name as one, in lower case, without NUL and line ends. */
static void
read_codings(struct reading *r, unsigned int idx, bool is_transfer)
{
	char text[HTTP_CODINGS_LEN_MAX];
	struct buf out = { .data = text, .cap = sizeof(text) };
	const struct line_field *field = &r->fields[idx];

	for (unsigned int i = idx; i < (field->is_repeated ? r->field_count : idx + 1); i++) {
		const struct line_field *other = &r->fields[i];

		if (i != idx && other->repeats != idx)
			continue;
		if (i != idx)
			buf_put(&out, ", ", 2);
		for (uint32_t at = other->value; at < other->value + other->value_len; at++)
			if (r->text[at] != '\0' && !http_is_leading(r->text[at]))
				buf_putc(&out, (char)http_lower(r->text[at]));
	}
	if (is_transfer)
		http_transfer_read(r->ctx, r->head, text, out.len);
	else
		http_content_read(r->ctx, r->head, text, out.len);
}

static void
read_known(struct reading *r, unsigned int idx)
{
	const struct line_field *field = &r->fields[idx];
	const struct known *known = known_row(field);
	uint8_t slice;

	if (known == NULL)
		return;
	if (known->what == WHAT_LENGTH)
		read_length(r, field);
	else if (known->what == WHAT_TRANSFER || known->what == WHAT_CONTENT)
		field->repeats == FIRST ? read_codings(r, idx, known->what == WHAT_TRANSFER) : (void)0;
	else if (known->what == WHAT_UPGRADE)
		r->head->is_upgrade = true;
	slice = known->slice[r->head->is_request];
	if (slice != NO_SLICE && field->repeats == FIRST)
		put_value(r, idx, slice);
}

static void
judge(struct reading *r)
{
	struct http_head *head = r->head;

	if (r->repetitions >= REPETITION_MAX)
		http_event(r->ctx, HTTP_EVENT_REQUEST_HEADER_REPETITION, head->is_request);
	if (head->is_cut)
		http_event(r->ctx, r->ctx->remains ? HTTP_EVENT_REQUEST_INCOMPLETE : HTTP_EVENT_REQUEST_FIELD_TOO_LONG, head->is_request);
	if (head->chunked && head->has_length)
		http_event(r->ctx, HTTP_EVENT_REQUEST_AMBIGUOUS_LENGTH, head->is_request);
	if (head->chunked && (head->major < 1 || (head->major == 1 && head->minor == 0)))
		proto_event(r->ctx, HTTP_EVENT_CHUNKED_OLD_PROTOCOL);
}

void
http_head_read(struct proto_ctx *ctx, struct cursor in, struct http_head *head, struct buf *derived)
{
	struct reading r; /* its fields are filled as they are found */

	r.ctx = ctx;
	r.head = head;
	r.derived = derived;
	r.len = (uint32_t)cursor_left(&in);
	r.text = cursor_take(&in, r.len);
	r.field_count = 0;
	r.repetitions = 0;
	r.is_odd = !head->is_request && http_has_odd(r.text, r.len);
	memset(r.hashes, 0, sizeof(r.hashes));
	r.fields_off = r.fields_end = http_start_read(ctx, head, r.text, r.len, r.is_odd);
	if (r.fields_off < r.len) {
		read_fields(&r);
		http_put_slice(head, HTTP_HEADER_RAW, r.fields_off, r.len - r.fields_off);
		put_header_block(&r);
		if (!proto_is_unread(ctx, ctx->to_server))
			put_header_names(&r);
		for (unsigned int i = 0; i < r.field_count; i++)
			read_known(&r, i);
	}
	if (head->is_request) {
		struct http_target target = { .text = r.text, .len = r.len, .derived = derived };

		http_target_read(ctx, head, &target);
	}
	judge(&r);
}
