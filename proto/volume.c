#include "proto/volume.h"

#include <assert.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/record/summary.h"
#include "proto/proto.h"

enum { NS_PER_S = 1000000000 };

static const char other_kind[] = "other";

struct volume_last {
	struct {
		uint64_t point; /* 0: free */
		uint64_t value;
	} places[VOLUME_LAST_MAX];
};

static_assert(sizeof(struct volume_last) == VOLUME_LAST_LEN, "the header says it");
static_assert(sizeof(struct proto_volume) <= VOLUME_LEN, "the header says it");

static struct proto_volume *
volume_of(struct proto_ctx *ctx)
{
	struct proto_volume *volume = ctx->volume == NULL ? NULL : *ctx->volume;

	if (volume != NULL || ctx->volume == NULL || ctx->slab == NULL)
		return volume;
	volume = slab_alloc(ctx->slab, sizeof(*volume));
	if (volume == NULL)
		return NULL;
	*volume = (struct proto_volume){ 0 };
	*ctx->volume = volume;
	return volume;
}

static enum proto_log
level_of(const struct proto_ctx *ctx, unsigned int flags)
{
	return (flags & PROTO_CYCLIC) != 0 ? ctx->levels.cyclic : ctx->levels.usual;
}

/* ---- values ---- */

bool
proto_compares(const struct proto_ctx *ctx, unsigned int flags)
{
	return level_of(ctx, flags) == PROTO_LOG_CHANGES;
}

static struct volume_last *
last_of(struct proto_ctx *ctx)
{
	struct proto_volume *volume = volume_of(ctx);

	if (volume == NULL || volume->last != NULL)
		return volume == NULL ? NULL : volume->last;
	volume->last = slab_alloc(ctx->slab, sizeof(*volume->last));
	if (volume->last != NULL)
		memset(volume->last, 0, sizeof(*volume->last));
	return volume->last;
}

void
proto_value(struct proto_ctx *ctx, uint64_t point, uint64_t value)
{
	struct volume_last *last = last_of(ctx);
	uint64_t at = point * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (VOLUME_LAST_MAX - 1);

	if (last == NULL) {
		ctx->values = PROTO_VALUES_CHANGED;
		return;
	}
	if (last->places[at].point != point || last->places[at].value != value)
		ctx->values = PROTO_VALUES_CHANGED;
	else if (ctx->values == PROTO_VALUES_NONE)
		ctx->values = PROTO_VALUES_SAME;
	last->places[at].point = point;
	last->places[at].value = value;
}

/* ---- records ---- */

static void
count(struct proto_ctx *ctx, enum proto_volume_counter which)
{
	if (ctx->volume_counters != NULL)
		counter_add(&ctx->volume_counters[which], 1);
}

const struct field *
proto_volume_kind(const struct record_table *table, const char *path)
{
	for (unsigned int i = 0; path != NULL && i < table->field_count; i++) {
		const struct field *field = &table->fields[i];

		if (strcmp(field->path, path) == 0 && field->names != NULL && (field->type == FIELD_U8 || field->type == FIELD_U16))
			return field;
	}
	return NULL;
}

static const char *
kind_of(const struct field *field, const uint8_t *record)
{
	const struct record_head *head = (const void *)record;
	const char *name;
	uint16_t wide;

	if (field->bit != FIELD_ALWAYS && !record_is_present(head, field->bit))
		return other_kind;
	memcpy(&wide, record + field->offset, sizeof(wide));
	name = field_name_of(field->names, field->type == FIELD_U8 ? record[field->offset] : wide);
	return name != NULL ? name : other_kind;
}

/* Kinds have static names: the same name is the same pointer. */
static void
count_kind(struct proto_volume *volume, const char *name)
{
	unsigned int i = 0;

	while (i < volume->kind_count && volume->kinds[i].name != name)
		i++;
	if (i == VOLUME_KINDS_MAX)
		i = VOLUME_KINDS_MAX - 1;
	if (i == volume->kind_count)
		volume->kinds[volume->kind_count++] = (struct volume_kind){ .name = i == VOLUME_KINDS_MAX - 1 ? other_kind : name };
	volume->kinds[i].count++;
}

static void
leave_out(struct proto_ctx *ctx, enum proto_volume_counter which)
{
	struct proto_volume *volume = volume_of(ctx);

	count(ctx, which);
	if (volume == NULL)
		return;
	if (volume->unchanged + volume->summarised == 0)
		volume->first_ns = ctx->ts_ns;
	volume->last_ns = ctx->ts_ns;
	if (which == PROTO_VOLUME_UNCHANGED)
		volume->unchanged++;
	else
		volume->summarised++;
	if (ctx->levels.kind != NULL && ctx->record->len > 0)
		count_kind(volume, kind_of(ctx->levels.kind, ctx->record->base));
}

unsigned int
proto_volume_judge(struct proto_ctx *ctx, unsigned int flags)
{
	enum proto_values values = ctx->values;

	ctx->values = PROTO_VALUES_NONE;
	switch (level_of(ctx, flags)) {
	case PROTO_LOG_ALL:
		return 0;
	case PROTO_LOG_CHANGES:
		if (values != PROTO_VALUES_SAME || ctx->events != 0)
			return 0;
		leave_out(ctx, PROTO_VOLUME_UNCHANGED);
		return PROTO_QUIET;
	case PROTO_LOG_SUMMARY:
		if ((flags & PROTO_SUMMARY) != 0)
			return 0;
		leave_out(ctx, PROTO_VOLUME_SUMMARISED);
		return PROTO_QUIET;
	case PROTO_LOG_ALERTS:
		count(ctx, PROTO_VOLUME_UNWANTED);
		return PROTO_QUIET;
	}
	return 0;
}

/* ---- summaries ---- */

static bool
is_due(const struct proto_ctx *ctx, const struct proto_volume *volume)
{
	uint64_t interval_ns = (uint64_t)ctx->levels.summary_interval_s * NS_PER_S;

	if (volume->unchanged + volume->summarised == 0)
		return false;
	return ctx->ending || (interval_ns > 0 && clock_has_passed(ctx->ts_ns, volume->first_ns, interval_ns));
}

static void
put_kinds(struct proto_ctx *ctx, struct summary_record *record, const struct proto_volume *volume)
{
	for (unsigned int i = 0; i < volume->kind_count; i++) {
		struct summary_kind *kind = record_append(ctx->record, &record->kinds, summary_kind_tables, 0);

		if (kind == NULL)
			return;
		kind->name = volume->kinds[i].name;
		kind->count = volume->kinds[i].count;
		record_present(&record->head, SUMMARY_HAS_KINDS);
	}
}

void
proto_volume_settle(struct proto_ctx *ctx)
{
	struct proto_volume *volume = ctx->volume == NULL ? NULL : *ctx->volume;
	struct summary_record *record;

	if (volume == NULL || !is_due(ctx, volume))
		return;
	record = record_begin(ctx->record, &summary_table);
	record->first_ns = volume->first_ns;
	record->last_ns = volume->last_ns;
	record->unchanged = volume->unchanged;
	record->summarised = volume->summarised;
	put_kinds(ctx, record, volume);
	ctx->deliver(ctx, PROTO_SUMMARY, 0);
	*volume = (struct proto_volume){ .last = volume->last };
}

void
proto_volume_free(struct proto_ctx *ctx)
{
	struct proto_volume *volume = ctx->volume == NULL ? NULL : *ctx->volume;

	if (volume == NULL)
		return;
	slab_free(ctx->slab, volume->last, sizeof(*volume->last));
	slab_free(ctx->slab, volume, sizeof(*volume));
	*ctx->volume = NULL;
}
