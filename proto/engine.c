#include "proto/engine.h"

#include <errno.h>
#include <stdlib.h>

const struct counter_desc proto_counters[PROTO_COUNTER_COUNT] = {
	[PROTO_COUNTER_DETECTED] = { "app_layer.flows_detected", "flows whose protocol was recognised" },
	[PROTO_COUNTER_UNKNOWN] = { "app_layer.flows_unknown", "flows given up: no protocol recognised their first data" },
	[PROTO_COUNTER_UNDETECTED_BYTES] = { "app_layer.undetected_bytes",
		"bytes at the beginning of recognised flows, passed over before the protocol was recognised" },
	[PROTO_COUNTER_STATE_SHED] = { "app_layer.state_memcap_drop", "recognised flows not parsed: no memory for their state" },
	[PROTO_COUNTER_PDUS] = { "app_layer.pdus", "PDUs parsed" },
	[PROTO_COUNTER_GARBAGE] = { "app_layer.garbage", "times that bytes of a recognised flow were no PDU" },
	[PROTO_COUNTER_GARBAGE_BYTES] = { "app_layer.garbage_bytes", "bytes skipped to find the next PDU" },
	[PROTO_COUNTER_GAPS] = { "app_layer.gaps", "times that lost bytes broke a recognised flow's PDUs" },
	[PROTO_COUNTER_RECORDS_TRUNCATED] = { "app_layer.records_truncated", "records that lack what did not fit" },
	[PROTO_COUNTER_VOLUME] = { "app_layer.records_unchanged", "records not written: values as before, by log: changes" },
	[PROTO_COUNTER_SUMMARISED] = { "app_layer.records_summarised", "records not written but in summaries, by log: summary" },
	[PROTO_COUNTER_UNWANTED] = { "app_layer.records_unwanted", "records not written, by log: alerts" },
};

/* Protocols that know what another one's flows know, and those whose flows others announce. */
static void
find_shares(struct proto_engine *engine)
{
	const struct proto_settings *settings = engine->settings;

	for (unsigned int i = 0; i < settings->count; i++) {
		const struct proto *proto = settings->each[i].proto;

		for (unsigned int of = 0; proto->shares != NULL && of < settings->count; of++)
			if (settings->each[of].proto == proto->shares)
				engine->shared[i] = engine->shared[of];
		if (proto->expects != NULL && settings->each[i].enabled)
			engine->expecting[engine->expecting_count++] = (uint8_t)i;
	}
}

int
proto_engine_create(struct proto_engine **out, const struct proto_settings *settings, struct slab *slab,
	proto_deliver_fn deliver, proto_garbage_fn garbage, void *owner)
{
	struct proto_engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL)
		return -ENOMEM;
	engine->settings = settings;
	engine->slab = slab;
	engine->garbage = garbage;
	engine->area = malloc(RECORD_LEN_MAX);
	if (engine->area == NULL)
		goto no_memory;
	for (unsigned int i = 0; i < settings->count; i++) {
		const struct proto *proto = settings->each[i].proto;

		engine->proto_counters[i] = calloc(proto->counter_count + 1u, sizeof(_Atomic uint64_t));
		if (engine->proto_counters[i] == NULL)
			goto no_memory;
		engine->shared[i] = proto->shared_len == 0 ? NULL : calloc(1, proto->shared_len);
		if (engine->shared[i] == NULL && proto->shared_len > 0)
			goto no_memory;
	}
	find_shares(engine);
	record_builder_init(&engine->record, engine->area, RECORD_LEN_MAX);
	engine->ctx = (struct proto_ctx){ .slab = slab, .record = &engine->record, .deliver = deliver, .owner = owner,
		.volume_counters = &engine->counters[PROTO_COUNTER_VOLUME] };
	*out = engine;
	return 0;
no_memory:
	proto_engine_destroy(engine);
	return -ENOMEM;
}

void
proto_engine_destroy(struct proto_engine *engine)
{
	if (engine == NULL)
		return;
	for (unsigned int i = 0; i < PROTO_MAX; i++) {
		free(engine->proto_counters[i]);
		if (i < engine->settings->count && engine->settings->each[i].proto->shares == NULL)
			free(engine->shared[i]);
	}
	free(engine->area);
	free(engine);
}

unsigned int
proto_engine_counters(struct proto_engine *engine, struct counter_set sets[], unsigned int sets_max)
{
	unsigned int count = 0;

	if (sets_max > 0)
		sets[count++] = (struct counter_set){ proto_counters, engine->counters, PROTO_COUNTER_COUNT };
	for (unsigned int i = 0; i < engine->settings->count && count < sets_max; i++) {
		const struct proto *proto = engine->settings->each[i].proto;

		if (proto->counter_count > 0)
			sets[count++] = (struct counter_set){ proto->counters, engine->proto_counters[i], proto->counter_count };
	}
	return count;
}

void
proto_engine_set_unread(struct proto_engine *engine, unsigned int proto_idx, bool to_server, bool unread)
{
	engine->unread[proto_idx][to_server] = unread;
}

void
proto_engine_give_files(struct proto_engine *engine, struct file_tracker *files)
{
	engine->ctx.files = files;
}

/* Of a protocol whose records are not written, files are not either. */
void
proto_engine_set_files(struct proto_engine *engine, unsigned int proto_idx, bool to_server, unsigned int wants)
{
	if (engine->settings->each[proto_idx].levels.usual >= PROTO_LOG_SUMMARY)
		wants &= ~(unsigned int)FILE_WANT_EVENT;
	engine->file_wants[proto_idx][to_server] = (uint8_t)wants;
}

void
proto_engine_measure(struct proto_engine *engine, struct proto_meter *meters)
{
	engine->meters = meters;
}
