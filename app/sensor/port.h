/*
 * Monitor ports: from the configuration's words to a started DPDK port. The sensor never
 * transmits: ports are started without a transmit queue where the driver allows it, and
 * nothing ever sends on the one that some drivers ask for.
 */
#ifndef MR_SENSOR_PORT_H
#define MR_SENSOR_PORT_H

#include <rte_mempool.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/sensor/port_watch.h"
#include "app/sensor/sensor_config.h"

enum port_kind { PORT_PCI, PORT_AF_PACKET, PORT_AF_XDP, PORT_PCAP, PORT_RING, PORT_VDEV };

struct port {
	char name[128];       /* as configured, without its kind: EVE in_iface */
	char spec[256];       /* as configured */
	enum port_kind kind;
	uint16_t port_id;
	uint16_t queue_count;
	bool ends;            /* a capture: it is over once the file is */
	struct rte_mempool *pool;
	uint64_t kernel_base; /* af_packet, af_xdp: what the kernel's count of frames was at start */
	uint64_t kernel_last; /* and when it was last asked */
	unsigned int kernel_idx; /* of these, too: the interface that was opened */
	struct port_watch watch;
};

/** What a port counted, cumulative since its start. */
struct port_counts {
	uint64_t received;    /* handed to queues */
	uint64_t bytes;
	uint64_t missed;      /* no descriptor was free: lost in the card */
	uint64_t errors;      /* damaged on the wire */
	uint64_t no_buffer;   /* no mbuf was free */
	uint64_t kernel_lost; /* counted by the kernel's interface and never seen here (af_packet, af_xdp) */
};

/** Reads a port's words. @return 0 or -EINVAL with err set. Nothing is opened. */
int port_parse(struct port *out, const char *spec, struct config_error *err);
/** Refuses a port that is among those before it: each frame would come twice. @return 0 or -EINVAL with err set */
int port_tell_twice(const struct port *port, const struct port others[], unsigned int count, struct config_error *err);
/**
 * Opens and starts the port.
 * @param worker_count  queues wanted; the port may have fewer: see port->queue_count
 * @return 0 or -errno with err set
 */
int port_start(struct port *port, const struct sensor_config *config, unsigned int port_idx, unsigned int worker_count,
	struct config_error *err);
void port_stop(struct port *port);
/** Where the interface of an af_packet or af_xdp port lets longer frames in than the buffers hold.
 *  @param text  out: a sentence that says so, with what to do. @return whether it does */
bool port_tell_cut(const struct port *port, const struct sensor_config *config, char *text, size_t cap);
/** Thread: any. */
void port_get_counts(struct port *port, struct port_counts *out);
/** Frames handed to queues so far. Thread: any. */
uint64_t port_get_received(const struct port *port);
/** The link as it is now. Thread: any. */
enum port_link port_get_link(const struct port *port);

#endif
