/* The draft of a rule, and what becomes of it when its last option was read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_parser.h"
#include "lib/rule/rule_tests.h"

static bool
buffer_same(const struct rule_buffer *a, const struct rule_buffer *b)
{
	return a->kind == b->kind && a->app == b->app && (a->kind != BUFFER_FIELD || (a->path_count == b->path_count
		&& memcmp(a->paths, b->paths, a->path_count * sizeof(a->paths[0])) == 0));
}

static int
buffer_add(struct rule_parser *parser, const struct rule_buffer *buffer)
{
	if (parser->buffer_count == RULE_BUFFERS_MAX)
		return rule_refuse(parser, "more than %d buffers", RULE_BUFFERS_MAX);
	struct rule_draft_buffer *draft = &parser->buffers[parser->buffer_count];

	draft->buffer = *buffer;
	draft->buffer.node_count = 0;
	draft->buffer.absent = ABSENT_NO;
	draft->transform_count = 0;
	draft->transform_text[0] = '\0';
	draft->name = parser->keyword;
	draft->is_asked = false;
	parser->buffer = (int)parser->buffer_count++;
	return 0;
}

int
rule_use_buffer(struct rule_parser *parser, const struct rule_buffer *buffer)
{
	parser->last_content = NULL;
	for (unsigned int i = 0; i < parser->buffer_count; i++)
		if (parser->buffers[i].transform_count == 0 && buffer_same(&parser->buffers[i].buffer, buffer)) {
			parser->buffer = (int)i;
			return 0;
		}
	return buffer_add(parser, buffer);
}

struct rule_node *
rule_add_node(struct rule_parser *parser, enum rule_node_kind kind)
{
	static const struct rule_buffer payload = { .kind = BUFFER_PAYLOAD, .app = RULE_APP_NONE };

	if (parser->buffer < 0 && rule_use_buffer(parser, &payload) != 0)
		return NULL;
	struct rule_draft_buffer *draft = &parser->buffers[parser->buffer];

	if (draft->buffer.node_count == RULE_NODES_MAX) {
		rule_refuse(parser, "more than %d tests of one buffer", RULE_NODES_MAX);
		return NULL;
	}
	struct rule_node *node = &draft->nodes[draft->buffer.node_count++];

	*node = (struct rule_node){ .kind = (uint8_t)kind };
	parser->last_node = node;
	if (kind == NODE_CONTENT)
		parser->last_content = node; /* its modifiers may come behind other tests */
	if (kind == NODE_CONTENT || kind == NODE_PCRE)
		parser->moved = -1;
	return node;
}

/* Behind tests of a buffer a transform begins the same buffer anew: they keep looking at what was there before it. */
static int
buffer_fork(struct rule_parser *parser)
{
	const struct rule_draft_buffer *before = &parser->buffers[parser->buffer];

	if (buffer_add(parser, &before->buffer) != 0)
		return -EINVAL;
	struct rule_draft_buffer *draft = &parser->buffers[parser->buffer];

	draft->name = before->name;
	memcpy(draft->transforms, before->transforms, sizeof(draft->transforms));
	draft->transform_count = before->transform_count;
	memcpy(draft->transform_text, before->transform_text, sizeof(draft->transform_text));
	parser->last_content = NULL;
	return 0;
}

struct rule_transform *
rule_add_transform(struct rule_parser *parser, enum rule_transform_kind kind, const char *text)
{
	if (parser->buffer < 0 || parser->buffers[parser->buffer].buffer.kind == BUFFER_PAYLOAD) {
		rule_refuse(parser, "there is no sticky buffer before it that it could change");
		return NULL;
	}
	if (parser->buffers[parser->buffer].buffer.node_count > 0 && buffer_fork(parser) != 0)
		return NULL;
	struct rule_draft_buffer *draft = &parser->buffers[parser->buffer];
	size_t used = strlen(draft->transform_text), room = sizeof(draft->transform_text) - used;

	if (draft->transform_count == RULE_TRANSFORMS_MAX
		|| (size_t)snprintf(draft->transform_text + used, room, "%s%s%s%s", used > 0 ? "; " : "", parser->keyword,
			  *text != '\0' ? ":" : "", text) >= room) {
		rule_refuse(parser, "more than %d transforms of one buffer, or longer than %d characters", RULE_TRANSFORMS_MAX,
			RULE_TRANSFORM_TEXT_MAX);
		return NULL;
	}
	struct rule_transform *transform = &draft->transforms[draft->transform_count++];

	*transform = (struct rule_transform){ .kind = (uint8_t)kind };
	draft->at = parser->at;
	draft->keyword = parser->keyword;
	return transform;
}

int
rule_move_node(struct rule_parser *parser, struct rule_node *node, const char *name)
{
	int from = parser->buffer;
	struct rule_draft_buffer *source = &parser->buffers[from];
	struct rule_node moved = *node;
	bool content = parser->last_content == node;
	int ret = rule_use_named(parser, name);

	if (ret != 0 || parser->buffer == from) {
		parser->last_content = content ? node : NULL;
		return ret; /* the sticky buffer already */
	}
	if (source->buffer.kind != BUFFER_PAYLOAD)
		return rule_refuse(parser, "another sticky buffer stands before it");
	source->buffer.node_count--;
	memmove(node, node + 1, (size_t)(&source->nodes[source->buffer.node_count] - node) * sizeof(*node));
	int to = parser->buffer;

	node = rule_add_node(parser, (enum rule_node_kind)moved.kind);
	parser->buffer = from;
	if (node == NULL)
		return -EINVAL;
	*node = moved;
	parser->moved = to;
	return 0;
}

/* What stands relative to a content that went to another buffer by its name follows it there. */
int
rule_follow_moved(struct rule_parser *parser)
{
	struct rule_node *node = parser->last_node;
	int from = parser->buffer, to = parser->moved;

	parser->last_node = NULL;
	if (node == NULL || from < 0 || to < 0 || from == to || (node->flags & NODE_RELATIVE) == 0 || node->kind <= NODE_PCRE)
		return 0;
	struct rule_buffer *source = &parser->buffers[from].buffer;
	struct rule_node moved = *node;

	if (source->kind != BUFFER_PAYLOAD || node != &parser->buffers[from].nodes[source->node_count - 1])
		return 0;
	source->node_count--;
	parser->buffer = to;
	node = rule_add_node(parser, (enum rule_node_kind)moved.kind);
	parser->buffer = from;
	if (node == NULL)
		return -EINVAL;
	*node = moved;
	return 0;
}

struct rule_test *
rule_add_test(struct rule_parser *parser, rule_test_fn fn)
{
	if (parser->test_count == RULE_TESTS_MAX) {
		rule_refuse(parser, "more than %d conditions", RULE_TESTS_MAX);
		return NULL;
	}
	struct rule_test *test = &parser->tests[parser->test_count++];

	*test = (struct rule_test){ .fn = fn, .app = RULE_APP_NONE };
	return test;
}

int
rule_add_number_test(struct rule_parser *parser, char *value, const struct field_names *names, rule_test_fn fn, int64_t max)
{
	struct rule_test *test = rule_add_test(parser, fn);

	if (test == NULL)
		return -EINVAL;
	if (value[0] == '!' && value[1] == '[') {
		test->negated = true;
		value++;
	}
	int ret = rule_numbers_parse(parser, value, names, false, &test->numbers);

	return ret != 0 ? ret : rule_numbers_check(parser, &test->numbers, 0, max);
}

/* ---- finishing ---- */

/* The list as the set keeps it: equal ones once. */
static int
finish_transforms(struct rule_parser *parser, struct rule_draft_buffer *draft)
{
	struct ruleset *set = parser->set;
	const struct rule_transforms *have = set->transforms;

	draft->buffer.transforms = NULL;
	if (draft->transform_count == 0)
		return 0;
	set->needs_scratch = true;
	while (have != NULL && strcmp(have->text, draft->transform_text) != 0)
		have = have->next;
	draft->buffer.transforms = have;
	if (have != NULL)
		return 0;
	struct rule_transforms *made = rule_arena_alloc(&set->arena, sizeof(*made));

	if (made == NULL)
		return rule_no_memory(parser);
	made->count = (uint16_t)draft->transform_count;
	made->items = rule_arena_copy(&set->arena, draft->transforms, draft->transform_count * sizeof(draft->transforms[0]));
	made->text = rule_arena_text(&set->arena, draft->transform_text, strlen(draft->transform_text));
	if (made->items == NULL || made->text == NULL)
		return rule_no_memory(parser);
	made->next = set->transforms;
	set->transforms = draft->buffer.transforms = made;
	return 0;
}

static int
finish_copy(struct rule_parser *parser, struct rule *rule)
{
	struct rule_arena *arena = &parser->set->arena;
	struct rule_buffer *buffers = rule_arena_alloc(arena, (parser->buffer_count + 1) * sizeof(*buffers));

	rule->tests = rule_arena_copy(arena, parser->tests, parser->test_count * sizeof(parser->tests[0]));
	rule->states = rule_arena_copy(arena, parser->states, parser->state_count * sizeof(parser->states[0]));
	if (buffers == NULL || rule->tests == NULL || rule->states == NULL)
		return rule_no_memory(parser);
	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		struct rule_draft_buffer *draft = &parser->buffers[i];

		if (finish_transforms(parser, draft) != 0)
			return -ENOMEM;
		rule_link_backs(draft);
		buffers[i] = draft->buffer;
		buffers[i].nodes = rule_arena_copy(arena, draft->nodes, draft->buffer.node_count * sizeof(draft->nodes[0]));
		if (buffers[i].nodes == NULL)
			return rule_no_memory(parser);
	}
	rule->buffers = buffers;
	rule->buffer_count = (uint16_t)parser->buffer_count;
	rule->test_count = (uint16_t)parser->test_count;
	rule->state_count = (uint16_t)parser->state_count;
	rule->var_count = (uint8_t)parser->var_count;
	rule->never = parser->never[0] == '\0' ? NULL : rule_arena_text(arena, parser->never, strlen(parser->never));
	return 0;
}

/* Contents that were moved elsewhere leave an empty payload behind. A field that may be no text is asked for alone, too. */
static void
finish_drop_empty(struct rule_parser *parser)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_buffer *buffer = &parser->buffers[i].buffer;

		if (buffer->node_count == 0 && (buffer->kind == BUFFER_PAYLOAD ||
			(parser->buffers[i].is_asked && parser->buffers[i].transform_count == 0 && buffer->absent == ABSENT_NO)))
			continue;
		if (kept != i)
			parser->buffers[kept] = parser->buffers[i];
		kept++;
	}
	parser->buffer_count = kept;
}

/* A sticky buffer that nothing looks at, and what belongs to different protocols. */
static int
finish_check_buffers(struct rule_parser *parser)
{
	struct rule *draft = &parser->draft;

	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_buffer *buffer = &parser->buffers[i].buffer;

		if (parser->buffers[i].is_asked && buffer->absent != ABSENT_NO)
			return rule_refuse(parser, "absent is of texts alone: %.40s may be something else", parser->buffers[i].name);
		if (buffer->node_count == 0 && buffer->absent != ABSENT_ONLY)
			return rule_refuse(parser, "a sticky buffer has nothing that looks into it: %.40s", parser->buffers[i].name);
		if (buffer->kind == BUFFER_PAYLOAD)
			draft->flags |= RULE_NEEDS_PAYLOAD;
		if (buffer->kind == BUFFER_FILE_NAME)
			draft->flags |= RULE_FILE;
		if (buffer->kind != BUFFER_FIELD)
			continue;
		if (draft->app != RULE_APP_NONE && draft->app != buffer->app)
			return rule_refuse(parser, "fields of two protocols in one rule can never both be there");
		draft->app = buffer->app;
		draft->phase = PHASE_MESSAGE;
	}
	if ((draft->flags & RULE_FILE) != 0)
		draft->phase = PHASE_MESSAGE;
	for (unsigned int i = 0; i < parser->test_count; i++) {
		uint8_t app = parser->tests[i].app;

		if (app == RULE_APP_NONE)
			continue;
		if (draft->app != RULE_APP_NONE && draft->app != app)
			return rule_refuse(parser, "fields of two protocols in one rule can never both be there");
		draft->app = app;
		draft->phase = PHASE_MESSAGE;
	}
	return 0;
}

/* A place that counts from the start of the bytes has a meaning only where a unit starts. */
static void
finish_anchors(struct rule_parser *parser)
{
	for (unsigned int i = 0; i < parser->buffer_count; i++) {
		const struct rule_draft_buffer *draft = &parser->buffers[i];
		bool positive = false;

		for (unsigned int n = 0; draft->buffer.kind == BUFFER_PAYLOAD && n < draft->buffer.node_count; n++) {
			const struct rule_node *node = &draft->nodes[n];
			bool placed = node->kind > NODE_PCRE ? (node->flags & NODE_RELATIVE) == 0
							      : (node->flags & (NODE_OFFSET | NODE_DEPTH)) != 0;

			positive = positive || (node->kind <= NODE_PCRE && (node->flags & NODE_NEGATED) == 0);
			if (placed && (node->flags & NODE_RELATIVE) == 0)
				parser->draft.flags |= RULE_ANCHORED;
		}
		if (draft->buffer.kind == BUFFER_PAYLOAD && !positive)
			parser->draft.flags |= RULE_ANCHORED;
	}
}

/* A rule over whole transactions is asked with the response, whose record has the request, too. */
static int
finish_transaction(struct rule_parser *parser)
{
	struct rule *draft = &parser->draft;
	const unsigned int both = 1 << RULE_TO_SERVER | 1 << RULE_TO_CLIENT;

	if ((draft->flow & (RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT)) != 0)
		return rule_refuse(parser, "a rule with => is of both directions: flow cannot name one");
	if (draft->app == RULE_APP_NONE || parser->set->world.apps[draft->app]->buffer_of == NULL)
		return rule_refuse(parser, "a rule with => needs buffers of a protocol whose requests and responses are seen together");
	if ((parser->directions & both) != both)
		return rule_refuse(parser, "a rule with => looks into requests and responses; -> is for one of them");
	draft->flow |= RULE_FLOW_TO_CLIENT;
	return 0;
}

/* Buffers of one direction's messages give it to a rule that names none. */
static void
finish_direction(struct rule_parser *parser)
{
	const uint16_t both = RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT;

	if ((parser->draft.flow & both) != 0)
		return;
	if ((parser->directions & 1 << RULE_TO_CLIENT) != 0)
		parser->draft.flow |= RULE_FLOW_TO_CLIENT;
	else if ((parser->directions & 1 << RULE_TO_SERVER) != 0 && (parser->draft.flags & RULE_FILE) == 0) /* what is asked for is sent back */
		parser->draft.flow |= RULE_FLOW_TO_SERVER;
}

/* A rule of one IP protocol need not be asked of packets of another. Headers that could not be read are CLASS_IP. What has no
 * ports has none that "!80" could be. */
static void
finish_classes(struct rule_parser *parser)
{
	const uint8_t with_ports = 1 << CLASS_TCP | 1 << CLASS_UDP | 1 << CLASS_SCTP;
	struct rule *draft = &parser->draft;

	if ((!draft->src_ports->any || !draft->dst_ports->any) && (draft->classes & with_ports) != 0)
		draft->classes &= with_ports;
	for (unsigned int i = 0; i < parser->test_count; i++) {
		const struct rule_test *test = &parser->tests[i];
		const struct rule_number *wanted = test->fn == rule_test_ip_proto ? test->numbers.items : NULL;

		if (wanted == NULL || test->negated || test->numbers.count != 1 || wanted->op != NUMBER_EQUAL || wanted->negated
			|| wanted->a < 0 || wanted->a > UINT8_MAX)
			continue;
		unsigned int classes = draft->classes & (1u << CLASS_IP | 1u << rule_class_of_ip_proto[wanted->a]);

		if (classes != 0)
			draft->classes = (uint8_t)classes;
	}
}

/* Nothing but the flow's protocol is asked, on packets. */
static bool
asks_protocol_only(const struct rule_parser *parser)
{
	const struct rule *draft = &parser->draft;

	if (parser->test_count == 0 || parser->buffer_count > 0 || draft->phase != PHASE_PACKET || draft->app != RULE_APP_NONE
		|| (draft->flags & RULE_EVENTS) != 0)
		return false;
	for (unsigned int i = 0; i < parser->test_count; i++)
		if (parser->tests[i].fn != rule_test_app_protocol || parser->tests[i].protocols.unknown)
			return false;
	return true;
}

/* What kind of traffic decides the rule, and how often it may fire. */
static void
finish_phase(struct rule_parser *parser)
{
	struct rule *draft = &parser->draft;
	bool stream = (draft->classes & 1 << CLASS_TCP) != 0 && (draft->proto & RULE_PROTO_PKT_ONLY) == 0
		&& (draft->flags & RULE_ON_PACKET) == 0 && (draft->flow & RULE_FLOW_NO_STREAM) == 0;
	bool ports = !draft->src_ports->any || !draft->dst_ports->any;
	bool bare = parser->buffer_count == 0 && parser->test_count == 0 && (draft->flags & RULE_EVENTS) == 0
		&& draft->flow == 0;

	if (draft->app_events != 0)
		draft->phase = PHASE_MESSAGE;
	if (draft->phase != PHASE_MESSAGE && (draft->flags & RULE_NEEDS_PAYLOAD) != 0)
		draft->phase = stream ? PHASE_STREAM : PHASE_PACKET;
	if (draft->app != RULE_APP_NONE && draft->phase == PHASE_PACKET && (draft->flags & RULE_NEEDS_PAYLOAD) == 0
		&& (draft->flags & RULE_EVENTS) == 0) {
		draft->phase = PHASE_MESSAGE;
		draft->flags |= RULE_ONCE_APP;
	}
	for (unsigned int i = 0; i < parser->state_count; i++)
		bare = bare && parser->states[i].op < STATE_ISSET;
	if (bare && !ports && draft->app == RULE_APP_NONE
		&& (draft->proto & (RULE_PROTO_PKTHDR | RULE_PROTO_ETHER | RULE_PROTO_ARP | RULE_PROTO_PKT_ONLY)) == 0)
		draft->flags |= RULE_ONCE;
	bool protocol_only = asks_protocol_only(parser);

	if (protocol_only && draft->meta.action != RULE_PASS)
		draft->flags |= RULE_PROTOCOL_ONLY;
	if (draft->meta.action == RULE_PASS
		&& (draft->phase != PHASE_PACKET || (draft->flags & RULE_ONCE) != 0 || protocol_only))
		draft->flags |= RULE_PASS_FLOW;
}

/* A bit of a transaction is asked with each message of it. */
static int
finish_tx_bits(struct rule_parser *parser)
{
	bool any = false;

	for (unsigned int i = 0; i < parser->state_count; i++)
		any = any || parser->states[i].kind == STATE_TX;
	if (any && parser->draft.phase != PHASE_MESSAGE)
		return rule_refuse(parser, "a transaction has bits where its protocol is named, and no plain content is looked for");
	if (any)
		parser->draft.flags &= ~RULE_ONCE_APP;
	return 0;
}

static int
finish_meta(struct rule_parser *parser)
{
	struct rule *draft = &parser->draft;
	struct rule_arena *arena = &parser->set->arena;
	struct rule_meta *meta = &draft->meta;

	if (meta->sid == 0)
		return rule_refuse(parser, "sid is missing");
	meta->severity = draft->priority;
	meta->msg = meta->msg == NULL ? "" : meta->msg;
	meta->category = meta->category == NULL ? "" : meta->category;
	meta->classtype = meta->classtype == NULL ? "" : meta->classtype;
	meta->line = parser->line;
	meta->text = rule_arena_text(arena, parser->text, strlen(parser->text));
	meta->file = rule_arena_text(arena, parser->file, strlen(parser->file));
	if (parser->metadata.full || parser->references.full)
		return rule_refuse(parser, "metadata or references are too long");
	if (parser->metadata.len > 0) {
		buf_puts(&parser->metadata, "]}");
		meta->metadata_json = rule_arena_text(arena, parser->metadata.data, parser->metadata.len);
	}
	if (parser->references.len > 0) {
		buf_putc(&parser->references, ']');
		meta->references_json = rule_arena_text(arena, parser->references.data, parser->references.len);
	}
	return meta->text == NULL || meta->file == NULL ? rule_no_memory(parser) : 0;
}

static int
note_replaced(struct rule_parser *parser, const struct rule_meta *older)
{
	char text[512];

	snprintf(text, sizeof(text), "it takes the place of rev %u of the sid, which is at %s:%u", older->rev, older->file, older->line);
	parser->draft.replaces = rule_arena_text(&parser->set->arena, text, strlen(text));
	return parser->draft.replaces == NULL ? rule_no_memory(parser) : 0;
}

/* The same gid and sid again: the higher revision stays. */
static int
finish_duplicate(struct rule_parser *parser, struct rule **kept)
{
	struct ruleset *set = parser->set;
	const struct rule_meta *meta = &parser->draft.meta;
	struct rule **slot = rule_by_sid(set, meta->gid, meta->sid);

	*kept = NULL;
	if (slot == NULL)
		return rule_no_memory(parser);
	if (*slot == NULL || *slot == parser->first)
		return 0;
	if ((*slot)->meta.rev >= meta->rev)
		return rule_refuse(parser, "sid %u is already used by %s:%u", meta->sid, (*slot)->meta.file, (*slot)->meta.line);
	*kept = *slot;
	return note_replaced(parser, &(*slot)->meta);
}

/* A rule of one direction is none of the bodies of the other one. */
static int
finish_body(struct rule_parser *parser)
{
	const uint16_t both = RULE_FLOW_TO_SERVER | RULE_FLOW_TO_CLIENT;
	uint16_t flow = parser->draft.flow & both;

	if ((parser->body_direction == RULE_TO_SERVER && flow == RULE_FLOW_TO_CLIENT)
		|| (parser->body_direction == RULE_TO_CLIENT && flow == RULE_FLOW_TO_SERVER))
		return rule_refuse(parser, "no message that carries files goes that way");
	return 0;
}

/* The next rule of the text at hand. */
static void
finish_link(struct rule_parser *parser, struct rule *rule)
{
	if (rule->meta.first) {
		parser->first = rule;
		return;
	}
	rule->more = parser->first->more;
	parser->first->more = rule;
}

int
rule_finish(struct rule_parser *parser)
{
	struct ruleset *set = parser->set;
	struct rule *older = NULL;
	int ret = finish_meta(parser);

	parser->keyword = "";
	parser->at = parser->text;
	if (ret == 0)
		ret = finish_duplicate(parser, &older);
	if (ret == 0)
		ret = finish_body(parser);
	finish_drop_empty(parser);
	if (ret == 0)
		ret = finish_check_buffers(parser);
	if (ret == 0)
		ret = rule_check_possible(parser);
	if (ret == 0 && (parser->draft.flags & RULE_TRANSACTION) != 0)
		ret = finish_transaction(parser);
	if (ret != 0)
		return ret;
	finish_anchors(parser);
	finish_classes(parser);
	finish_direction(parser);
	finish_phase(parser);
	if ((parser->draft.flow & RULE_FLOW_ONLY_STREAM) != 0 && parser->draft.phase == PHASE_PACKET)
		rule_never(parser, "flow:only_stream, and it asks for nothing in a stream of TCP");
	rule_note_fields_only(parser);
	ret = finish_tx_bits(parser);
	if (ret != 0)
		return ret;
	parser->draft.meta.first = parser->first == NULL;
	if (older != NULL) {
		uint32_t order = older->order;

		for (struct rule *of_older = older->more; of_older != NULL; of_older = of_older->more)
			of_older->gone = true;
		ret = finish_copy(parser, &parser->draft);
		*older = parser->draft;
		older->order = order;
		finish_link(parser, older);
		return ret;
	}
	struct rule *rule = rule_arena_alloc(&set->arena, sizeof(*rule));

	if (rule == NULL)
		return rule_no_memory(parser);
	*rule = parser->draft;
	rule->order = set->rule_count;
	ret = finish_copy(parser, rule);
	if (ret == 0 && rule_set_add(set, rule) != 0)
		ret = rule_no_memory(parser);
	if (ret == 0)
		finish_link(parser, rule);
	return ret;
}
