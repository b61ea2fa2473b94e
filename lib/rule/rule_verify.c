/*
 * Hot: whether a rule's payload tests hold. The tests of one buffer are a chain; where a later test is
 * relative to a match, the match is tried again further on when it fails. The chain is walked with a
 * stack of its own, and the work on one rule is bounded by steps_max: a payload made to be costly ends
 * the walk, counted, without an alert.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cursor.h"
#include "lib/rule/rule_asn1.h"
#include "lib/rule/rule_find.h"
#include "lib/rule/rule_transform.h"

struct verify {
	struct rule_view *view;
	const uint8_t *data;
	uint32_t len;
	uint32_t pos;     /* end of the match before */
	uint32_t reach;   /* the farthest byte any match took part in */
};

/** A test that matched, and where it may be tried again. */
struct verify_frame {
	uint32_t pos, reach; /* as they were before it */
	uint32_t again;      /* first place not tried yet */
};

enum { STEP_BYTES = 256 }; /* bytes searched that count as one step */

static int64_t
value_of(const struct verify *verify, const struct rule_value *value)
{
	return value->var < 0 ? value->number : verify->view->vars[value->var];
}

/* Of what counts bytes: a variable may be any number of 64 bits, and is added to places. */
static int64_t
bytes_of(const struct verify *verify, const struct rule_value *value)
{
	static const int64_t most = INT64_C(1) << 40;
	int64_t bytes = value_of(verify, value);

	return bytes > most ? most : bytes < -most ? -most : bytes;
}

static void
reach_to(struct verify *verify, int64_t end)
{
	if (end > verify->reach)
		verify->reach = (uint32_t)end;
}

static bool
steps_spend(struct verify *verify, uint32_t bytes)
{
	verify->view->steps += 1 + bytes / STEP_BYTES;
	return verify->view->steps <= verify->view->steps_max;
}

/* ---- content ---- */

static inline uint8_t
lower(uint8_t c)
{
	return (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* The window a content may lie in. @return false: it can lie nowhere */
static bool
content_window(const struct verify *verify, const struct rule_node *node, int64_t *low, int64_t *high)
{
	int64_t from = bytes_of(verify, &node->content.offset);
	int64_t depth = bytes_of(verify, &node->content.depth);

	*low = (node->flags & NODE_RELATIVE) != 0 ? (int64_t)verify->pos + from : from;
	*high = verify->len;
	if ((node->flags & NODE_DEPTH) != 0 && *low + depth < *high)
		*high = *low + depth;
	if (*low < 0)
		*low = 0;
	if ((node->flags & NODE_ENDSWITH) != 0) {
		if (*high < verify->len)
			return false;
		if (*high - node->content.len > *low)
			*low = *high - node->content.len;
	}
	return *high - *low >= node->content.len;
}

static bool
content_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	int64_t low, high;
	const uint8_t *found = NULL;
	bool negated = (node->flags & NODE_NEGATED) != 0;

	if (!content_window(verify, node, &low, &high))
		return negated;
	if (frame->again > low)
		low = frame->again;
	if (high - low >= node->content.len) {
		const uint8_t *start = verify->data + low;
		size_t len = (size_t)(high - low);

		found = rule_find(start, len, node->content.bytes, node->content.len, (node->flags & NODE_NOCASE) != 0);
		if (!steps_spend(verify, (uint32_t)(found == NULL ? len : (size_t)(found - start))))
			return false;
	}
	if (negated || found == NULL)
		return negated && found == NULL;
	frame->again = (uint32_t)(found - verify->data) + 1;
	verify->pos = frame->again - 1 + node->content.len;
	reach_to(verify, verify->pos);
	return true;
}

/* ---- pcre ---- */

static bool
pcre_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	struct rule_matcher *matcher = verify->view->matcher;
	bool negated = (node->flags & NODE_NEGATED) != 0;
	uint32_t base = (node->flags & NODE_RELATIVE) != 0 ? verify->pos : 0;
	uint32_t from = frame->again > base ? frame->again : base;

	if (from > verify->len || (frame->again > 0 && (node->pcre.options & PCRE2_ANCHORED) != 0))
		return negated && frame->again == 0;
	if (!steps_spend(verify, verify->len - from))
		return false;
	int ret = pcre2_match(node->pcre.code, verify->data + base, verify->len - base, from - base, 0, matcher->pcre_data,
		matcher->pcre_context);

	if (ret < 0 && ret != PCRE2_ERROR_NOMATCH)
		rule_count(verify->view, RULE_COUNTER_PCRE_LIMIT);
	if (negated || ret < 0)
		return negated && ret == PCRE2_ERROR_NOMATCH;
	const PCRE2_SIZE *match = pcre2_get_ovector_pointer(matcher->pcre_data);

	for (unsigned int i = 0; i < node->pcre.capture_count; i++) {
		const struct rule_capture *capture = &node->pcre.captures[i];
		const PCRE2_SIZE *group = &match[2 * capture->group];

		if (capture->group < ret && group[0] != PCRE2_UNSET && group[1] >= group[0])
			rule_capture(verify->view, capture, verify->data + base + group[0], group[1] - group[0]);
	}
	frame->again = base + (uint32_t)match[0] + 1;
	verify->pos = base + (uint32_t)match[1];
	reach_to(verify, verify->pos);
	return true;
}

/* ---- numbers in the bytes ---- */

/* As strtoull() takes it: blanks, a sign, 0x before hexadecimal digits. @param used out: bytes up to the end of its digits */
static bool
string_number(const uint8_t *data, size_t count, uint8_t base, uint64_t *out, int64_t *used)
{
	char text[RULE_BYTE_STRING_MAX + 1];
	char *end;

	memcpy(text, data, count);
	text[count] = '\0';
	errno = 0;
	*out = strtoull(text, &end, base);
	*used = end - text;
	return end != text && errno == 0;
}

static uint64_t
binary_number(const uint8_t *data, size_t count, bool little)
{
	uint64_t value = 0;

	for (size_t i = 0; i < count; i++)
		value = value << 8 | data[little ? count - 1 - i : i];
	return value;
}

/* The number a byte_ keyword names, mask applied. @param end out: the place behind it, or behind the last of its digits */
static bool
byte_read(struct verify *verify, const struct rule_node *node, uint64_t *out, int64_t *end)
{
	int64_t start = bytes_of(verify, &node->byte.offset) + ((node->flags & NODE_RELATIVE) != 0 ? verify->pos : 0);
	int64_t count = bytes_of(verify, &node->byte.count), used = count;
	bool is_string = (node->flags & NODE_STRING) != 0;
	uint64_t value = 0;

	if (start < 0 || count < 0 || start > verify->len || count > verify->len - start || !steps_spend(verify, 0))
		return false;
	if (count > (is_string ? RULE_BYTE_STRING_MAX : RULE_BYTE_MAX))
		return false;
	if (!is_string)
		value = binary_number(verify->data + start, (size_t)count, (node->flags & NODE_LITTLE) != 0);
	else if (count > 0 && !string_number(verify->data + start, (size_t)count, node->byte.base, &value, &used))
		return false;
	*end = start + used;
	*out = node->byte.mask != 0 ? (value & node->byte.mask) >> node->byte.mask_shift : value;
	reach_to(verify, start + count);
	return true;
}

static bool
byte_test_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	uint64_t value;
	int64_t end;
	bool holds = false;

	(void)frame;
	if (!byte_read(verify, node, &value, &end))
		return false;
	uint64_t other = (uint64_t)value_of(verify, &node->byte.value);

	switch (node->op) {
	case BYTE_LESS:
		holds = value < other;
		break;
	case BYTE_GREATER:
		holds = value > other;
		break;
	case BYTE_EQUAL:
		holds = value == other;
		break;
	case BYTE_LESS_EQUAL:
		holds = value <= other;
		break;
	case BYTE_GREATER_EQUAL:
		holds = value >= other;
		break;
	case BYTE_AND:
		holds = (value & other) != 0;
		break;
	default:
		holds = (value ^ other) != 0;
	}
	return holds != ((node->flags & NODE_NEGATED) != 0);
}

static bool
byte_jump_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	uint64_t value;
	int64_t end;

	(void)frame;
	if (!byte_read(verify, node, &value, &end))
		return false;
	value *= (uint64_t)node->byte.multiplier;
	if ((node->flags & NODE_ALIGN) != 0)
		value = (value + node->byte.align - 1) / node->byte.align * node->byte.align;
	value += (uint64_t)value_of(verify, &node->byte.post_offset);
	if ((node->flags & NODE_FROM_END) != 0)
		value += verify->len;
	else if ((node->flags & NODE_FROM_BEGINNING) == 0)
		value += (uint64_t)end;
	int64_t place = (int64_t)value; /* may lie before the beginning */

	if (place > verify->len)
		return false;
	verify->pos = place < 0 ? 0 : (uint32_t)place;
	/* that the place exists is what was learned; at the end, how many bytes there are */
	reach_to(verify, verify->pos < verify->len ? (int64_t)verify->pos + 1 : verify->len);
	return true;
}

static bool
byte_extract_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	uint64_t value;
	int64_t end;

	(void)frame;
	if (!byte_read(verify, node, &value, &end))
		return false;
	value *= (uint64_t)node->byte.multiplier;
	if ((node->flags & NODE_ALIGN) != 0)
		value = (value + node->byte.align - 1) / node->byte.align * node->byte.align;
	verify->view->vars[node->byte.result] = (int64_t)value;
	verify->pos = (uint32_t)end;
	return true;
}

static bool
byte_math_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	uint64_t value;
	int64_t end;

	(void)frame;
	if (!byte_read(verify, node, &value, &end))
		return false;
	uint64_t other = (uint64_t)value_of(verify, &node->byte.value);

	switch (node->op) {
	case MATH_ADD:
		value += other;
		break;
	case MATH_SUB:
		value -= other;
		break;
	case MATH_MUL:
		value *= other;
		break;
	case MATH_DIV:
		if (other == 0)
			return false;
		value /= other;
		break;
	case MATH_LEFT:
		value = other < 64 ? value << other : 0;
		break;
	default:
		value = other < 64 ? value >> other : 0;
	}
	verify->view->vars[node->byte.result] = (int64_t)value;
	verify->pos = (uint32_t)end;
	return true;
}

static bool
isdataat_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	int64_t count = bytes_of(verify, &node->byte.offset);
	bool relative = (node->flags & NODE_RELATIVE) != 0;
	int64_t end = relative ? (int64_t)verify->pos + count : count + 1;
	bool holds = end <= verify->len;

	(void)frame;
	if (holds)
		reach_to(verify, end);
	return holds != ((node->flags & NODE_NEGATED) != 0);
}

static bool
bsize_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	(void)frame;
	return rule_numbers_match(&node->size, verify->len);
}

static bool
base64_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	uint64_t start = node->base64.offset + ((node->flags & NODE_RELATIVE) != 0 ? verify->pos : 0);
	struct rule_view *view = verify->view;

	(void)frame;
	if (start >= verify->len)
		return false;
	uint32_t left = verify->len - (uint32_t)start;
	uint32_t len = node->base64.bytes > 0 && node->base64.bytes < left ? node->base64.bytes : left;

	if (!steps_spend(verify, len))
		return false;
	view->decoded_len = rule_base64_decode(verify->data + start, len, (enum rule_base64_mode)node->base64.mode,
		view->matcher->scratch_bytes->decoded);
	view->decoded = view->decoded_len > 0;
	rule_scratch_forget(view->matcher->scratch_bytes);
	reach_to(verify, (int64_t)start + len);
	return view->decoded;
}

/* Shannon's entropy in bits a byte, 0 to 8. */
static bool
entropy_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	int64_t from = bytes_of(verify, &node->entropy.offset), count = bytes_of(verify, &node->entropy.bytes);
	uint32_t seen[256] = { 0 };
	double entropy = 0;

	(void)frame;
	if (from < 0 || count < 0 || from > verify->len || (count > 0 && from + count > verify->len))
		return false;
	uint32_t len = count > 0 ? (uint32_t)count : verify->len - (uint32_t)from;

	if (len == 0 || !steps_spend(verify, len))
		return false;
	for (uint32_t i = 0; i < len; i++)
		seen[verify->data[from + i]]++;
	for (unsigned int i = 0; i < 256; i++)
		if (seen[i] > 0)
			entropy -= (double)seen[i] / len * log2((double)seen[i] / len);
	reach_to(verify, from + len);
	rule_var_put_number(verify->view, node->entropy.var, entropy);
	return rule_numbers_match_double(&node->entropy.value, entropy);
}

static bool
dataset_has(struct verify *verify, const struct rule_node *node, struct rule_dataset_found *found)
{
	const struct rule_dataset *set = node->dataset.decl->set;

	if (node->dataset.parents)
		return steps_spend(verify, DATASET_LABELS_MAX) && rule_dataset_has_parent(set, verify->data, verify->len, found);
	return rule_dataset_has(set, verify->data, verify->len, found);
}

/* Setting and unsetting match when they changed something, as elsewhere. */
static bool
dataset_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	struct rule_dataset *set = node->dataset.decl->set;
	struct rule_dataset_found found = { 0 };
	int added;

	(void)frame;
	if (!steps_spend(verify, verify->len))
		return false;
	switch ((enum rule_dataset_op)node->op) {
	case DATASET_ISSET:
		if (!dataset_has(verify, node, &found))
			return false;
		if (node->dataset.told && found.context_len > 0)
			rule_capture_json(verify->view, node->dataset.context_id, found.context, found.context_len);
		return true;
	case DATASET_ISNOTSET:
		return !dataset_has(verify, node, NULL);
	case DATASET_UNSET:
		return rule_dataset_remove(set, verify->data, verify->len);
	case DATASET_WEIGHT:
		return dataset_has(verify, node, &found) && rule_numbers_match(&node->dataset.weights, found.weight);
	default:
		added = rule_dataset_add(set, verify->data, verify->len, 0);
		if (added < 0)
			rule_count(verify->view, RULE_COUNTER_DATASET_FULL);
		return added == 1;
	}
}

static bool
asn1_match(struct verify *verify, const struct rule_node *node, struct verify_frame *frame)
{
	int64_t start = node->asn1.offset + ((node->flags & NODE_RELATIVE) != 0 ? (int64_t)verify->pos : 0);
	uint32_t end;

	(void)frame;
	if (start < 0 || start >= verify->len || !steps_spend(verify, verify->len - (uint32_t)start))
		return false;
	struct cursor cursor = cursor_of(verify->data, verify->len);

	cursor_skip(&cursor, (size_t)start);
	if (!rule_asn1_match(&node->asn1, cursor.pos, (uint32_t)cursor_left(&cursor), &end))
		return false;
	reach_to(verify, start + end);
	return true;
}

static bool (*const node_matches[NODE_KIND_COUNT])(struct verify *verify, const struct rule_node *node,
	struct verify_frame *frame) = {
	[NODE_CONTENT] = content_match,           [NODE_PCRE] = pcre_match,           [NODE_ISDATAAT] = isdataat_match,
	[NODE_BYTE_TEST] = byte_test_match,       [NODE_BYTE_JUMP] = byte_jump_match, [NODE_BYTE_EXTRACT] = byte_extract_match,
	[NODE_BYTE_MATH] = byte_math_match,       [NODE_BSIZE] = bsize_match,
	[NODE_BASE64] = base64_match,             [NODE_ENTROPY] = entropy_match,
	[NODE_DATASET] = dataset_match,           [NODE_ASN1] = asn1_match,
};

/* ---- the chain ---- */

static bool
chain_match(struct verify *verify, const struct rule_buffer *buffer, uint32_t fresh)
{
	struct verify_frame frames[RULE_NODES_MAX];
	unsigned int at = 0;

	frames[0] = (struct verify_frame){ 0 };
	while (verify->view->steps <= verify->view->steps_max) {
		bool done = at == buffer->node_count;

		if (done && verify->reach >= fresh)
			return true;
		if (!done && node_matches[buffer->nodes[at].kind](verify, &buffer->nodes[at], &frames[at])) {
			at++;
			if (at < buffer->node_count)
				frames[at] = (struct verify_frame){ .pos = verify->pos, .reach = verify->reach };
			continue;
		}
		int back = done ? buffer->back : buffer->nodes[at].back;

		if (back < 0)
			return false;
		at = (unsigned int)back;
		verify->pos = frames[at].pos;
		verify->reach = frames[at].reach;
	}
	rule_count(verify->view, RULE_COUNTER_STEP_LIMIT);
	return false;
}

static bool
buffer_match(struct rule_view *view, const struct rule_buffer *buffer, const uint8_t *data, uint32_t len, uint32_t fresh)
{
	struct verify verify = { .view = view, .data = data, .len = len };

	return chain_match(&verify, buffer, fresh);
}

/* ---- which bytes ---- */

struct instances {
	const struct rule_buffer *buffer;
	unsigned int count;
};

static bool
instance_match(struct rule_view *view, const uint8_t *data, uint32_t len, void *arg)
{
	struct instances *instances = arg;

	instances->count++;
	return instances->buffer->absent != ABSENT_ONLY && buffer_match(view, instances->buffer, data, len, 0);
}

/* The payload from `from` on, of which what an earlier call showed must not be all that matches. */
static bool
payload_match(struct rule_view *view, const struct rule_buffer *buffer, uint32_t from)
{
	struct cursor cursor = cursor_of(view->payload, view->payload_len);
	uint32_t seen = view->seen_len - from;

	cursor_skip(&cursor, from);
	return buffer_match(view, buffer, cursor.pos, (uint32_t)cursor_left(&cursor), seen > 0 ? seen + 1 : 0);
}

/* Whether a buffer that did not occur is absent: of a message that does not decide it, that is not known. */
static bool
is_absent(const struct rule_view *view, const struct rule_buffer *buffer)
{
	for (unsigned int i = 0; view->message != NULL && i < buffer->path_count; i++) {
		const struct record_path *path = &buffer->paths[i];
		uint8_t bit = path->list_count > 0 ? path->lists[0]->bit : path->leaf->bit;

		if (bit < 64 && (view->message->undecided >> bit & 1) != 0)
			return false;
	}
	return buffer->absent != ABSENT_NO;
}

static bool
one_buffer_match(struct rule_view *view, const struct rule *rule, const struct rule_buffer *buffer)
{
	bool from_unit = (rule->flags & RULE_ANCHORED) != 0 && view->unit_off > 0;

	if (buffer->kind != BUFFER_PAYLOAD) {
		struct instances instances = { .buffer = buffer };

		return rule_buffer_each(view, buffer, instance_match, &instances) || (instances.count == 0 && is_absent(view, buffer));
	}
	if (view->payload == NULL)
		return false;
	return ((!from_unit || view->from_start) && payload_match(view, buffer, 0))
		|| (from_unit && payload_match(view, buffer, view->unit_off));
}

bool
rule_verify_buffers(struct rule_view *view, const struct rule *rule)
{
	view->steps = 0;
	view->decoded = false;
	view->captured_count = 0;
	if (rule->buffer_count > 0)
		rule_count(view, RULE_COUNTER_VERIFICATIONS);
	for (unsigned int i = 0; i < rule->buffer_count; i++)
		if (!one_buffer_match(view, rule, &rule->buffers[i]))
			return false;
	return true;
}
