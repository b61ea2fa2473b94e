/* The worker's cold part: what it is made of, and its counters' names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/worker.h"

const struct counter_desc worker_counters[WORKER_COUNTER_COUNT] = {
	[WORKER_RECEIVED] = { "worker.received", "frames taken from the source" },
	[WORKER_BYTES] = { "worker.bytes", "bytes of those frames on the wire" },
	[WORKER_PROCESSED] = { "worker.processed", "frames whose whole path was gone" },
	[WORKER_CUT] = { "worker.frames_cut", "frames in several buffers, read only up to the first's end" },
	[WORKER_BURSTS] = { "worker.bursts", "polls that brought frames" },
	[WORKER_EMPTY_POLLS] = { "worker.empty_polls", "polls that brought none" },
	[WORKER_EVENTS_SHED] = { "worker.events_shed", "events too large for the ring" },
	[WORKER_SESSION_SHED] = { "worker.session_memcap_drop", "times that a flow was not parsed: no memory" },
	[WORKER_HELD_SHED] = { "worker.held_shed", "events given out without waiting for their response or frame number" },
	[WORKER_RELOADS] = { "worker.rule_reloads", "rule sets taken over" },
	[WORKER_UNRECORDED] = { "worker.frames_unrecorded", "frames missing in the file of capture.start: the ring to it was full; they were analysed" },
};

const char *const worker_stage_names[STAGE_COUNT] = {
	[STAGE_RX] = "rx", [STAGE_DECODE] = "decode", [STAGE_FLOW] = "flow_lookup", [STAGE_ANALYSE] = "analyse",
	[STAGE_EXPIRE] = "expire", [STAGE_FREE] = "free",
};

static int
create_parts(struct worker *worker, struct ruleset *ruleset)
{
	const struct settings *s = worker->settings;
	int rc = slab_create(&worker->slab, s->sensor.flow_memory);

	if (rc == 0)
		rc = packet_decoder_create(&worker->decoder, &s->packet, worker->packet_counters);
	if (rc == 0)
		rc = flow_table_create(&worker->flows, &s->flow, worker->flow_counters);
	if (rc == 0)
		rc = s->sensor.log_flow || s->sensor.log_netflow ? flow_tell_parts(worker->flows, emit_flow_part, worker) : 0;
	if (rc == 0)
		rc = stream_engine_create(&worker->streams, &s->stream, worker->stream_counters);
	if (rc == 0)
		rc = hold_create(&worker->hold);
	if (rc == 0)
		rc = event_ring_create(&worker->ring, s->sensor.ring_size);
	if (rc == 0)
		rc = file_tracker_create(&worker->files, &s->file, worker->slab);
	if (rc == 0)
		rc = proto_engine_create(&worker->protos, s->protos, worker->slab, worker_deliver_message, worker_report_garbage,
			worker);
	if (rc == 0)
		proto_engine_give_files(worker->protos, worker->files);
	worker->matcher_epoch = 1;
	if (rc == 0 && ruleset != NULL)
		rc = rule_matcher_create(&worker->matcher, ruleset, &s->rule, worker->slab);
	if (worker->matcher != NULL)
		rule_matcher_count_flows(worker->matcher, worker->flows);
	if (rc == 0)
		worker_tell_readers(worker);
	worker->gather = rc == 0 ? malloc(WORKER_GATHER_LEN) : NULL;
	return rc == 0 && worker->gather == NULL ? -ENOMEM : rc;
}

int
worker_create(struct worker **out, unsigned int worker_idx, const struct settings *settings, struct source *source,
	struct ruleset *ruleset)
{
	struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64);
	int rc;

	if (worker == NULL) {
		source_destroy(source);
		return -ENOMEM;
	}
	memset(worker, 0, sizeof(*worker));
	worker->worker_idx = worker_idx;
	worker->settings = settings;
	worker->source = source;
	worker->depth = WORKER_ALL;
	worker->burst = &worker->frames[0];
	worker->burst_max = (uint16_t)settings->sensor.burst;
	worker->census = calloc(1, sizeof(*worker->census));
	rc = worker->census == NULL ? -ENOMEM : create_parts(worker, ruleset);
	if (rc != 0) {
		worker_destroy(worker);
		return rc;
	}
	*out = worker;
	return 0;
}

void
worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	rule_matcher_destroy(worker->matcher);
	rule_matcher_destroy(atomic_load(&worker->matcher_next));
	rule_matcher_destroy(atomic_load(&worker->matcher_old));
	proto_engine_destroy(worker->protos);
	file_tracker_destroy(worker->files);
	stream_engine_destroy(worker->streams);
	flow_table_destroy(worker->flows);
	packet_decoder_destroy(worker->decoder);
	hold_destroy(worker->hold);
	event_ring_destroy(worker->ring);
	slab_destroy(worker->slab);
	source_destroy(worker->source);
	free(worker->census);
	free(worker->gather);
	free(worker);
}

unsigned int
worker_get_counters(struct worker *worker, struct counter_set sets[], unsigned int sets_max)
{
	const struct counter_set own[] = {
		{ worker_counters, worker->counters, WORKER_COUNTER_COUNT },
		{ packet_counters, worker->packet_counters, PACKET_COUNTER_COUNT },
		{ decode_event_counters, worker->decode_event_counters, DECODE_EVENT_COUNT },
		{ flow_counters, worker->flow_counters, FLOW_COUNTER_COUNT },
		{ stream_counters, worker->stream_counters, STREAM_COUNTER_COUNT },
		event_ring_counters_get(worker->ring),
		file_tracker_counters(worker->files),
	};
	unsigned int count = 0;

	for (; count < sizeof(own) / sizeof(own[0]) && count < sets_max; count++)
		sets[count] = own[count];
	if (worker->matcher != NULL && count < sets_max)
		sets[count++] = rule_matcher_counters(worker->matcher);
	return count + proto_engine_counters(worker->protos, sets + count, sets_max - count);
}
