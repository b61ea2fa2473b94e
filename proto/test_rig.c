#include "proto/test_rig.h"

#include "proto/pair.h"
#include "proto/test_file.h"

struct rig *rig;

static void
write_json(struct buf *out, struct record_writer *writer)
{
	buf_reset(out);
	record_write_json(writer, out, rig->ctx.record->base, rig->ctx.record->len);
	buf_putc(out, '\0');
	assert_false(out->full);
}

static void
collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	assert_ptr_equal(ctx, &rig->ctx);
	if (flags == PROTO_IDENTITY) {
		rig->identities++;
		write_json(&rig->identity, rig->identity_writer);
		return;
	}
	tell_file(&rig->told, ctx, flags);
	if ((flags & PROTO_FILE) != 0) {
		if (rig->desc->file_seen != NULL)
			rig->desc->file_seen(flags);
		return;
	}
	if (rig->count < RIG_DELIVERED_MAX) {
		rig->flags[rig->count] = flags;
		rig->tx_ids[rig->count] = tx_id;
	}
	rig->count++;
	rig->matched += (flags & PROTO_MATCH) != 0;
	rig->emitted += (flags & (PROTO_EMIT | PROTO_QUIET)) == PROTO_EMIT;
	rig->events |= ctx->events;
	rig->events_last = ctx->events;
	rig->to_server_last = ctx->to_server;
	if (rig->desc->seen != NULL)
		rig->desc->seen(flags);
	ctx->events = 0;
	if ((flags & rig->desc->json_flags) != 0)
		write_json(&rig->json, rig->writer);
}

static void
forget_deliveries(void)
{
	rig->count = rig->matched = rig->emitted = rig->identities = 0;
	rig->events = 0;
	buf_reset(&rig->told);
	buf_reset(&rig->json);
	buf_putc(&rig->json, '\0');
	buf_reset(&rig->identity);
	buf_putc(&rig->identity, '\0');
}

int
rig_create(const struct rig_desc *desc)
{
	static const struct file_config files = { .hashed_max = 4 };

	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_true(desc->proto->counter_count <= RIG_COUNTERS_MAX);
	if (desc->slab_len > 0)
		assert_int_equal(slab_create(&rig->slab, desc->slab_len), 0);
	assert_int_equal(record_writer_create(&rig->writer, desc->table), 0);
	assert_int_equal(record_writer_create(&rig->identity_writer, &identity_table), 0);
	assert_int_equal(buf_create(&rig->told, 64 * 1024), 0);
	assert_int_equal(buf_create(&rig->json, RIG_JSON_LEN_MAX), 0);
	assert_int_equal(buf_create(&rig->identity, RIG_JSON_LEN_MAX), 0);
	record_builder_init(&rig->builder, rig->area, sizeof(rig->area));
	memset(desc->state, 0, desc->proto->state_len);
	forget_deliveries();
	rig->desc = desc;
	rig->ctx = (struct proto_ctx){ .proto = desc->proto, .config = desc->config, .state = desc->state, .slab = rig->slab,
		.levels = { .cyclic = desc->proto->cyclic, .summary_interval_s = 60 }, .volume = &rig->volume,
		.record = &rig->builder, .counters = rig->counters, .ts_ns = UINT64_C(1000000000000), .tcp = true,
		.file_wants = { (uint8_t)desc->file_wants, (uint8_t)desc->file_wants }, .deliver = collect, .owner = rig };
	if (desc->file_wants != 0)
		assert_int_equal(file_tracker_create(&rig->files, &files, rig->slab), 0);
	rig->ctx.files = rig->files;
	return 0;
}

void
rig_end(void)
{
	rig->ctx.ending = true;
	rig->desc->proto->end(&rig->ctx);
	pair_release(&rig->ctx);
	rig->ctx.ending = false;
	proto_volume_free(&rig->ctx);
	if (rig->slab != NULL)
		assert_int_equal(slab_used(rig->slab), 0);
}

void
rig_renew(void)
{
	rig_end();
	memset(rig->desc->state, 0, rig->desc->proto->state_len);
	memset((void *)rig->counters, 0, sizeof(rig->counters));
	forget_deliveries();
}

int
rig_destroy(void **state)
{
	(void)state;
	rig_end();
	file_tracker_destroy(rig->files);
	slab_destroy(rig->slab);
	record_writer_destroy(rig->writer);
	record_writer_destroy(rig->identity_writer);
	buf_destroy(&rig->told);
	buf_destroy(&rig->json);
	buf_destroy(&rig->identity);
	free(rig);
	return 0;
}

/* One PDU, with what it lets be skipped behind it. */
static void
parse_pdu(struct cursor *in, size_t pdu_len, bool to_server)
{
	size_t left;

	rig->ctx.events = 0;
	rig->ctx.skip_len = 0;
	rig->desc->proto->parse(&rig->ctx, cursor_sub(in, pdu_len));
	pair_release(&rig->ctx);
	assert_int_equal(rig->ctx.to_server, to_server);
	rig->events |= rig->ctx.events;
	rig->ctx.events = 0;
	left = cursor_left(in);
	cursor_skip(in, rig->ctx.skip_len < left ? rig->ctx.skip_len : left);
}

size_t
rig_feed(const void *data, size_t len, bool to_server)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	struct cursor in = cursor_of(copy, len);

	assert_non_null(copy);
	memcpy(copy, data, len);
	rig->ctx.to_server = to_server;
	while (cursor_left(&in) > 0) {
		int pdu_len = rig->desc->proto->frame(in, to_server);

		if (pdu_len <= 0 || (size_t)pdu_len > cursor_left(&in))
			break;
		parse_pdu(&in, (size_t)pdu_len, to_server);
	}
	free(copy);
	return len - cursor_left(&in);
}

size_t
unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t len = 0;

	while (*hex != '\0') {
		unsigned int byte;

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(len < cap);
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		out[len++] = (uint8_t)byte;
		hex += 2;
	}
	return len;
}

void
assert_told(const char *wanted)
{
	buf_putc(&rig->told, '\0');
	assert_string_equal(rig->told.data, wanted);
	buf_reset(&rig->told);
}

bool
saw(unsigned int event)
{
	return (rig->events >> event & 1) != 0;
}

void
assert_has(const struct buf *json, const char *wanted)
{
	if (strstr(json->data, wanted) == NULL)
		fail_msg("no %s in %s", wanted, json->data);
}
