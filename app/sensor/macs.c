/* Which MAC addresses the ends of a flow were seen with: several where routers share a load, or someone interposed. */
#include <string.h>

#include "app/sensor/worker.h"

enum {
	LOOK_ALWAYS = 8, /* packets of a direction */
	LOOK_MASK = 15,  /* then each sixteenth: a change lasts longer than that */
};

static void
list_add(struct mac_list *list, const uint8_t *mac)
{
	for (uint8_t i = 0; i < list->count; i++)
		if (memcmp(list->macs[i], mac, 6) == 0)
			return;
	if (list->count < EVENT_MACS_MAX)
		memcpy(list->macs[list->count++], mac, 6);
}

/* The lists begin with the addresses of the flow's first packet. */
static struct mac_lists *
lists_make(struct worker *worker, struct flow *flow)
{
	struct flow_session *session = worker_session(worker, flow);

	if (session == NULL)
		return NULL;
	session->macs = slab_alloc(worker->slab, sizeof(*session->macs));
	if (session->macs == NULL)
		return NULL;
	memset(session->macs, 0, sizeof(*session->macs));
	list_add(&session->macs->src, flow->src_mac);
	list_add(&session->macs->dst, flow->dst_mac);
	return session->macs;
}

void
macs_note(struct worker *worker, struct flow *flow, const struct packet *packet)
{
	bool to_server = flow_to_server(packet);
	const struct flow_session *session = flow->session;
	const uint8_t *mac = packet_src_mac(packet), *src, *dst;
	uint32_t seen = flow->packets[to_server];
	struct mac_lists *lists;

	if ((seen > LOOK_ALWAYS && (seen & LOOK_MASK) != 0) || mac == NULL || (flow->flags & FLOW_HAS_MACS) == 0 ||
	    packet->ip_version == 0)
		return;
	src = to_server ? mac : packet_dst_mac(packet);
	dst = to_server ? packet_dst_mac(packet) : mac;
	if (memcmp(src, flow->src_mac, 6) == 0 && memcmp(dst, flow->dst_mac, 6) == 0)
		return;
	/* which end is the server may still change for a flow whose start was not seen */
	if (session == NULL && (flow->flags & FLOW_MIDSTREAM) != 0)
		return;
	lists = session != NULL && session->macs != NULL ? session->macs : lists_make(worker, flow);
	if (lists == NULL)
		return;
	list_add(&lists->src, src);
	list_add(&lists->dst, dst);
}

void
macs_end(struct worker *worker, struct flow_session *session)
{
	if (session->macs != NULL)
		slab_free(worker->slab, session->macs, sizeof(*session->macs));
	session->macs = NULL;
}
