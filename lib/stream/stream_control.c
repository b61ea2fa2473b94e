/* The cold side: creation, configuration, what others ask of a stream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/stream/stream.h"
#include "lib/stream/stream_state.h"

const char *const stream_policy_names[STREAM_POLICY_COUNT + 1] = {
	"first", "last", "bsd", "linux", "windows", "solaris", NULL,
};

_Static_assert((int)STREAM_POLICY_FIRST == (int)PIECE_FIRST && (int)STREAM_POLICY_SOLARIS == (int)PIECE_SOLARIS,
	"a stream policy is a piece policy");

#define AT(field) offsetof(struct stream_config, field)

static const struct knob knobs[] = {
	{ "stream.memcap", KNOB_SIZE, AT(memcap_bytes), 1 << 20, UINT64_C(1) << 38, "64 MiB", NULL,
		"memory for the state of connections, for each worker; 256 bytes each" },
	{ "stream.reassembly.memcap", KNOB_SIZE, AT(reassembly_memcap_bytes), 1 << 20, UINT64_C(1) << 38, "64 MiB",
		NULL, "memory for segments and unfinished PDUs, for each worker" },
	{ "stream.reassembly.depth", KNOB_SIZE, AT(depth_bytes), 0, UINT64_C(1) << 50, "0", NULL,
		"bytes followed in each direction; 0: all, for sessions that live for months" },
	{ "stream.reassembly.segments-max", KNOB_NUMBER, AT(segments_max), 8, STREAM_SEGMENTS_MAX, "256", NULL,
		"early segments kept in each direction" },
	{ "stream.midstream", KNOB_BOOL, AT(midstream), 0, 0, "no", NULL,
		"flow:established holds for connections whose start was not seen; their protocols are read anyway" },
	{ "stream.async-oneside", KNOB_ACCEPTED, 0, 0, 0, NULL, NULL,
		"connections seen in one direction are always followed" },
	{ "stream.inline", KNOB_BOOL, AT(inline_mode), 0, 0, "no", NULL,
		"accepted: data is always inspected as it comes; `read` then numbers events by the frame that brought the bytes" },
	{ "stream.checksum-validation", KNOB_BOOL, AT(checksum_validation), 0, 0, "yes", NULL,
		"segments with a wrong checksum are not reassembled" },
	{ "stream.reassembly.check-overlap-chunks", KNOB_BOOL, AT(check_overlap), 0, 0, "yes", NULL,
		"segments sent again are compared with what was delivered; the last 8,192 of a worker are remembered" },
	{ "stream.overlap-policy", KNOB_CHOICE, AT(policy), 0, 0, "bsd", stream_policy_names,
		"who wins where early segments overlap, for hosts that host-os-policy does not name" },
	{ .name = "stream.memcap-policy", .type = KNOB_ACCEPTED,
		.help = "connections beyond the memory are not reassembled, and counted" },
	{ .name = "stream.midstream-policy", .type = KNOB_ACCEPTED, .help = "nothing is dropped or bypassed" },
	{ .name = "stream.drop-invalid", .type = KNOB_ACCEPTED, .help = "nothing is dropped" },
	{ .name = "stream.bypass", .type = KNOB_ACCEPTED, .help = "every flow is followed to its end" },
	{ .name = "stream.prealloc-sessions", .type = KNOB_ACCEPTED, .help = "memory is taken as connections come" },
	{ .name = "stream.max-syn-queued", .type = KNOB_ACCEPTED, .help = "one SYN of a connection is kept" },
	{ .name = "stream.max-synack-queued", .type = KNOB_ACCEPTED, .help = "one SYN/ACK of a connection is kept" },
	{ .name = "stream.liberal-timestamps", .type = KNOB_ACCEPTED,
		.help = "segments with old timestamps are passed over" },
	{ .name = "stream.reassembly.memcap-policy", .type = KNOB_ACCEPTED,
		.help = "segments beyond the memory are passed over, and counted" },
	{ .name = "stream.reassembly.toserver-chunk-size", .type = KNOB_ACCEPTED,
		.help = "data is inspected as it comes" },
	{ .name = "stream.reassembly.toclient-chunk-size", .type = KNOB_ACCEPTED,
		.help = "data is inspected as it comes" },
	{ .name = "stream.reassembly.randomize-chunk-size", .type = KNOB_ACCEPTED,
		.help = "data is inspected as it comes" },
	{ .name = "stream.reassembly.randomize-chunk-range", .type = KNOB_ACCEPTED,
		.help = "data is inspected as it comes" },
	{ .name = "stream.reassembly.raw", .type = KNOB_ACCEPTED,
		.help = "rules on bytes see streams where one asks for it" },
	{ .name = "stream.reassembly.segment-prealloc", .type = KNOB_ACCEPTED,
		.help = "memory is taken as segments come" },
	{ .name = "stream.reassembly.max-regions", .type = KNOB_ACCEPTED,
		.help = "stream.reassembly.segments-max bounds them" },
	{ .name = "stream.reassembly.urgent.*", .type = KNOB_ACCEPTED,
		.help = "urgent data is read as part of the stream" },
};

const struct knob_table stream_knobs = { "stream", knobs, sizeof(knobs) / sizeof(knobs[0]) };

const struct counter_desc stream_counters[STREAM_COUNTER_COUNT] = {
	[STREAM_COUNTER_SESSIONS] = { "tcp.sessions", "connections followed" },
	[STREAM_COUNTER_ACTIVE_SESSIONS] = { "tcp.active_sessions", "connections with state now" },
	[STREAM_COUNTER_SSN_MEMCAP_DROP] = { "tcp.ssn_memcap_drop", "segments without state: no memory" },
	[STREAM_COUNTER_SEGMENT_MEMCAP_DROP] = { "tcp.segment_memcap_drop", "early segments dropped: no memory" },
	[STREAM_COUNTER_SEGMENT_LIMIT_DROP] = { "tcp.segment_limit_drop", "early segments dropped: too many" },
	[STREAM_COUNTER_PENDING_DROP] = { "tcp.pending_drop_bytes", "bytes of unfinished PDUs dropped" },
	[STREAM_COUNTER_INVALID_CHECKSUM] = { "tcp.invalid_checksum", "segments with a wrong checksum" },
	[STREAM_COUNTER_MIDSTREAM_PICKUPS] = { "tcp.midstream_pickups", "connections whose start was not seen" },
	[STREAM_COUNTER_SYN] = { "tcp.syn", "SYN segments" },
	[STREAM_COUNTER_SYNACK] = { "tcp.synack", "SYN+ACK segments" },
	[STREAM_COUNTER_RST] = { "tcp.rst", "RST segments" },
	[STREAM_COUNTER_URG] = { "tcp.urg", "segments with urgent data" },
	[STREAM_COUNTER_STREAM_DEPTH_REACHED] = { "tcp.stream_depth_reached", "directions cut at the depth" },
	[STREAM_COUNTER_REASSEMBLY_GAP] = { "tcp.reassembly_gap", "holes skipped" },
	[STREAM_COUNTER_GAP_BYTES] = { "tcp.reassembly_gap_bytes", "bytes in them" },
	[STREAM_COUNTER_OVERLAP] = { "tcp.overlap", "early segments that overlap others" },
	[STREAM_COUNTER_OVERLAP_DIFF_DATA] = { "tcp.overlap_diff_data", "overlaps with different content" },
	[STREAM_COUNTER_RETRANSMISSIONS] = { "tcp.retransmissions", "segments seen before" },
	[STREAM_COUNTER_OUT_OF_ORDER] = { "tcp.out_of_order", "early segments" },
	[STREAM_COUNTER_EARLY_ANSWERS] = { "tcp.early_answers",
		"times that a direction had to wait for what it acknowledges: the two directions are captured apart" },
	[STREAM_COUNTER_OUT_OF_WINDOW] = { "tcp.out_of_window", "segments beyond the peer's window" },
	[STREAM_COUNTER_KEEPALIVES] = { "tcp.keepalives", "keep-alive probes" },
	[STREAM_COUNTER_COPIED_BYTES] = { "tcp.copied_bytes", "bytes kept for unfinished PDUs" },
	[STREAM_COUNTER_DELIVERED_BYTES] = { "tcp.delivered_bytes", "bytes handed to protocols" },
	[STREAM_COUNTER_MEMUSE] = { "tcp.reassembly_memuse", "bytes held for segments now" },
};

int
stream_engine_create(struct stream_engine **out, const struct stream_config *config, _Atomic uint64_t *counters)
{
	struct stream_engine *engine = calloc(1, sizeof(*engine));
	int error;

	if (engine == NULL)
		return -ENOMEM;
	engine->config = *config;
	engine->config.host_os_policy = NULL;
	engine->counters = counters;
	error = host_policy_parse(&engine->hosts, config->host_os_policy, (enum piece_policy)config->policy);
	if (error == 0 && config->check_overlap) {
		engine->prints = calloc(STREAM_PRINTS, sizeof(*engine->prints));
		error = engine->prints == NULL ? -ENOMEM : 0;
	}
	if (error == 0)
		error = slab_create(&engine->states, config->memcap_bytes);
	if (error == 0)
		error = slab_create(&engine->segments, config->reassembly_memcap_bytes);
	if (error < 0) {
		stream_engine_destroy(engine);
		return error;
	}
	*out = engine;
	return 0;
}

void
stream_engine_destroy(struct stream_engine *engine)
{
	if (engine == NULL)
		return;
	if (engine->segments != NULL)
		slab_destroy(engine->segments);
	if (engine->states != NULL)
		slab_destroy(engine->states);
	free(engine->prints);
	free(engine);
}

uint32_t
stream_next_seq(const struct flow *flow, bool to_server)
{
	const struct stream_dir *dir = stream_dir_of(flow, to_server);

	return dir == NULL ? 0 : dir->next_seq;
}

bool
stream_is_acked(const struct flow *flow, bool to_server, uint32_t seq_end)
{
	const struct stream_dir *dir = stream_dir_of(flow, to_server);

	return dir != NULL && (dir->flags & STREAM_DIR_ACKED) != 0 && seq_diff(dir->last_ack, seq_end) >= 0;
}

uint64_t
stream_size(const struct flow *flow, bool to_server)
{
	const struct stream_dir *dir = stream_dir_of(flow, to_server);

	return dir == NULL ? 0 : dir->next_pos;
}

uint64_t
stream_distance(const struct flow *flow, bool to_server)
{
	const struct stream_dir *dir = stream_dir_of(flow, to_server);

	return dir == NULL || (dir->flags & STREAM_DIR_OPEN) == 0 ? 0 : dir->next_pos + 1;
}

uint64_t
stream_bytes_used(const struct stream_engine *engine)
{
	return slab_used(engine->segments);
}
