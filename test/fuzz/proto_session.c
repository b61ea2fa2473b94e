#include "test/fuzz/proto_session.h"

#include "test/fuzz/fuzz_input.h"

struct fuzz_flow *
fuzz_flow_create(const struct proto *proto, proto_deliver_fn deliver, void *owner)
{
	static const struct file_config files = { .hashed_max = 4 };
	struct fuzz_flow *flow = calloc(1, sizeof(*flow));
	struct config_error err;

	FUZZ_MUST(flow != NULL);
	flow->proto = flow->table[0] = proto;
	FUZZ_MUST(config_load(&flow->config, NULL, &err) == 0);
	FUZZ_MUST(slab_create(&flow->slab, FUZZ_SLAB_LEN) == 0);
	FUZZ_MUST(proto_settings_create(&flow->settings, flow->table, flow->config, &err) == 0);
	FUZZ_MUST(proto_engine_create(&flow->engine, flow->settings, flow->slab, deliver, NULL, owner) == 0);
	FUZZ_MUST(file_tracker_create(&flow->files, &files, flow->slab) == 0);
	proto_engine_give_files(flow->engine, flow->files);
	for (int to_server = 0; to_server < 2; to_server++) {
		proto_engine_set_files(flow->engine, 0, to_server != 0, UINT8_MAX); /* events, rules and every sum */
		flow->pending[to_server] = malloc(FUZZ_PENDING_MAX);
		FUZZ_MUST(flow->pending[to_server] != NULL);
	}
	return flow;
}

void
fuzz_flow_destroy(struct fuzz_flow *flow)
{
	proto_engine_destroy(flow->engine);
	file_tracker_destroy(flow->files);
	proto_settings_destroy(flow->settings);
	slab_destroy(flow->slab);
	config_destroy(flow->config);
	free(flow->pending[0]);
	free(flow->pending[1]);
	free(flow);
}

void
fuzz_flow_begin(struct fuzz_flow *flow, bool tcp, bool found)
{
	flow->session = (struct proto_session){ 0 };
	flow->pending_len[0] = flow->pending_len[1] = 0;
	flow->tcp = tcp;
	if (!found)
		return;
	flow->session.proto = flow->proto;
	flow->session.found = PROTO_FOUND;
	if (flow->proto->state_len == 0)
		return;
	flow->session.state = slab_alloc(flow->slab, flow->proto->state_len);
	FUZZ_MUST(flow->session.state != NULL);
	memset(flow->session.state, 0, flow->proto->state_len);
}

/* The engine reads from a block of its own length, so that the address sanitizer sees a read past the end. */
static uint32_t
offer(struct fuzz_flow *flow, bool to_server, const uint8_t *data, uint32_t len, uint32_t missing, bool ended)
{
	static const uint8_t src_mac[6] = { 2, 0, 0, 0, 0, 1 }, dst_mac[6] = { 1, 0x0c, 0xcd, 1, 0, 1 };
	const struct proto_link link = { .src_mac = src_mac, .dst_mac = dst_mac,
		.ether_type = flow->proto->ether_types == NULL ? 0 : flow->proto->ether_types[0] };
	uint8_t *copy = flow->in_place ? NULL : fuzz_copy(cursor_of(data, len));
	struct proto_input input = {
		.data = flow->in_place ? data : copy,
		.len = len,
		.missing = missing,
		.ts_ns = UINT64_C(1700000000000000000),
		.sport = to_server || flow->proto->ports == NULL ? 40000 : flow->proto->ports[0],
		.dport = to_server && flow->proto->ports != NULL ? flow->proto->ports[0] : 40000,
		.to_server = to_server,
		.tcp = flow->tcp,
		.ended = ended,
		.link = flow->proto->ether_types == NULL || flow->tcp ? NULL : &link,
	};
	uint32_t consumed = proto_session_data(flow->engine, &flow->session, &input);

	FUZZ_MUST(consumed <= len);
	flow->consumed_bytes += consumed;
	free(copy);
	return consumed;
}

void
fuzz_flow_data(struct fuzz_flow *flow, bool to_server, const uint8_t *data, uint32_t len, uint32_t missing)
{
	uint8_t *pending = flow->pending[to_server];
	uint32_t *pending_len = &flow->pending_len[to_server];
	uint32_t consumed;

	flow->offered_bytes += len;
	if (!flow->tcp) {
		if (len > 0)
			(void)offer(flow, to_server, data, len, 0, false);
		return;
	}
	/* As reassembly does: what waits before a gap goes, and no more is kept than fits. */
	if (missing > 0 || len > FUZZ_PENDING_MAX - *pending_len) {
		missing += *pending_len;
		*pending_len = 0;
	}
	if (len > 0)
		memcpy(pending + *pending_len, data, len);
	*pending_len += len;
	if (*pending_len == 0)
		return;
	consumed = offer(flow, to_server, pending, *pending_len, missing, false);
	*pending_len -= consumed;
	if (consumed > 0)
		memmove(pending, pending + consumed, *pending_len);
}

void
fuzz_flow_end(struct fuzz_flow *flow)
{
	for (int to_server = 0; to_server < 2; to_server++)
		if (flow->tcp && flow->pending_len[to_server] > 0)
			(void)offer(flow, to_server != 0, flow->pending[to_server], flow->pending_len[to_server], 0, true);
	proto_session_end(flow->engine, &flow->session, UINT64_C(1700000100000000000));
	FUZZ_MUST(slab_used(flow->slab) == 0);
}
