#include "app/sensor/port.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <pthread.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>

#include "app/sensor/rights.h"
#include "lib/base/log.h"

/* An af_packet port's ring, each queue's: places of equal size, so many in a block. */
enum {
	USUAL_DATA_LEN = 2048,
	BUFFER_MAX = 65000,     /* of dpdk.mbuf-data-len */
	RING_LEN = 128 << 20,
	RING_STEP = 2048,       /* a place is a multiple of it, so that blocks are whole pages */
	RING_PLACE_MAX = 31 * RING_STEP, /* a buffer's length, with its headroom, is a number of 16 bits */
	RING_BLOCK = 512,
	RING_HEAD = 66,         /* of a place, in front of the frame: TPACKET2_HDRLEN, and the alignment of IP */
	XDP_DATA_MAX = 4096 - 64 - 128 - RTE_PKTMBUF_HEADROOM, /* a buffer with its heads is one page */
	FRAME_HEAD_LEN = 14 + 4 /* beside an interface's MTU: Ethernet and a tag */
};

/* A Toeplitz key of one repeated pair of bytes hashes both directions of a flow alike (Woo and Park, 2012). */
static uint8_t symmetric_key[52];

static const struct {
	const char *prefix;
	enum port_kind kind;
	const char *vdev; /* format of the driver's words; "" for none */
} kinds[] = {
	{ "pci:", PORT_PCI, "" },
	{ "af_packet:", PORT_AF_PACKET, "net_af_packet%u,iface=%s,qpairs=%u" },
	{ "af_xdp:", PORT_AF_XDP, "net_af_xdp%u,iface=%s" },
	{ "pcap:", PORT_PCAP, "net_pcap%u,rx_pcap=%s" },
	{ "ring:", PORT_RING, "net_ring%u,%s" },
};

static bool
is_pci_address(const char *text)
{
	static const char pattern[] = "xxxx:xx:xx.x";
	size_t i = 0;

	for (; pattern[i] != '\0' && text[i] != '\0'; i++)
		if (pattern[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != pattern[i])
			return false;
	return pattern[i] == '\0' && text[i] == '\0';
}

int
port_tell_twice(const struct port *port, const struct port others[], unsigned int count, struct config_error *err)
{
	for (unsigned int i = 0; i < count; i++)
		if (others[i].kind != PORT_PCAP && others[i].kind == port->kind && strcmp(others[i].spec, port->spec) == 0) {
			snprintf(err->text, sizeof(err->text), "ports: %s is given twice: each of its frames would be seen twice", port->spec);
			return -EINVAL;
		}
	return 0;
}

int
port_parse(struct port *out, const char *spec, struct config_error *err)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->spec, sizeof(out->spec), "%s", spec);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (strncmp(spec, kinds[i].prefix, len) != 0)
			continue;
		snprintf(out->name, sizeof(out->name), "%s", spec + len);
		out->kind = kinds[i].kind;
		if (out->kind == PORT_PCI && out->name[0] != '\0' && !is_pci_address(out->name)) {
			snprintf(err->text, sizeof(err->text), "ports: %s: a PCI address is written whole, as 0000:3b:00.0 (lspci -D)", spec);
			return -EINVAL;
		}
		if (out->name[0] != '\0')
			return 0;
	}
	if (strncmp(spec, "net_", 4) == 0 || strncmp(spec, "eth_", 4) == 0) {
		snprintf(out->name, sizeof(out->name), "%.*s", (int)strcspn(spec, ","), spec);
		out->kind = PORT_VDEV;
		return 0;
	}
	snprintf(err->text, sizeof(err->text),
		"ports: \"%s\" is none of pci:ADDRESS, af_packet:IFACE, af_xdp:IFACE, pcap:FILE, ring:NAME or a DPDK vdev (net_…)",
		spec);
	return -EINVAL;
}

/* What the kernel says of a port's interface; 0 where it says nothing. */
static uint64_t
kernel_says(const char *name, const char *what)
{
	char path[256];
	FILE *file;
	uint64_t number = 0;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, what);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%" SCNu64, &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* Frames that the kernel counted since the start. Some drivers count anew when the interface is brought up, and an interface
 * that is taken away says nothing any more: what was counted before stays. */
static uint64_t
kernel_frames(struct port *port)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	uint64_t now, frames;

	pthread_mutex_lock(&lock);
	now = kernel_says(port->name, "statistics/rx_packets");
	if (now < port->kernel_last)
		port->kernel_base -= port->kernel_last;
	port->kernel_last = now;
	frames = now - port->kernel_base;
	pthread_mutex_unlock(&lock);
	return frames;
}

static bool
by_kernel(const struct port *port)
{
	return port->kind == PORT_AF_PACKET || port->kind == PORT_AF_XDP;
}

/* What the driver says is seldom why: a right that is missing is the likeliest. */
static void
tell_refusal(const struct port *port, const char *what, int rc, struct config_error *err)
{
	char missing[RIGHTS_TEXT] = "";

	if (by_kernel(port))
		rights_missing(port->kind == PORT_AF_XDP, missing);
	snprintf(err->text, sizeof(err->text), "ports: %s: %s: %s%s%s", port->spec, what, strerror(-rc),
		missing[0] != '\0' ? "; it needs" : "", missing);
}

static uint32_t
ring_place(const struct sensor_config *config)
{
	uint32_t place = ((uint32_t)config->mbuf_data_len + RING_STEP - 1) / RING_STEP * RING_STEP;

	return RTE_MIN(place, (uint32_t)RING_PLACE_MAX);
}

static uint32_t
ring_places(const struct sensor_config *config)
{
	return RING_LEN / ring_place(config) / RING_BLOCK * RING_BLOCK;
}

/* The driver wants buffers that hold a whole place. */
static uint32_t
buffer_len(const struct port *port, const struct sensor_config *config)
{
	return port->kind == PORT_AF_PACKET ? ring_place(config) : (uint32_t)config->mbuf_data_len;
}

bool
port_tell_cut(const struct port *port, const struct sensor_config *config, char *text, size_t cap)
{
	uint32_t longest = by_kernel(port) ? (uint32_t)kernel_says(port->name, "mtu") + FRAME_HEAD_LEN : 0;
	uint32_t head = port->kind == PORT_AF_PACKET ? RING_HEAD : 0;
	int len;

	if (longest + head <= buffer_len(port, config))
		return false;
	len = snprintf(text, cap, "port %s: its interface takes frames of %u bytes, and those above %u are %s here ", port->spec, longest,
		buffer_len(port, config) - head, head != 0 ? "cut" : "lost");
	if (port->kind == PORT_AF_XDP && longest > XDP_DATA_MAX)
		snprintf(text + len, cap - (size_t)len, "(an af_packet: port takes them whole)");
	else
		snprintf(text + len, cap - (size_t)len, "(dpdk.mbuf-data-len: %u takes %s whole)", RTE_MIN(longest + head, (uint32_t)BUFFER_MAX),
			longest + head <= BUFFER_MAX ? "them" : "most");
	return true;
}

/* Makes the device known to DPDK. */
static int
probe(struct port *port, const struct sensor_config *config, unsigned int port_idx, unsigned int worker_count,
	struct config_error *err)
{
	char words[512], name[64];
	size_t len;
	int rc;

	if (by_kernel(port) && if_nametoindex(port->name) == 0) {
		snprintf(err->text, sizeof(err->text), "ports: %s: there is no interface \"%s\"", port->spec, port->name);
		return -ENODEV;
	}
	if (port->kind == PORT_AF_XDP && config->mbuf_data_len > XDP_DATA_MAX) {
		snprintf(err->text, sizeof(err->text), "ports: %s: af_xdp takes frames of %d bytes at most (dpdk.mbuf-data-len)", port->spec,
			XDP_DATA_MAX);
		return -EINVAL;
	}
	if (port->kind == PORT_PCI) {
		rc = rte_eth_dev_get_port_by_name(port->name, &port->port_id);
		if (rc != 0)
			snprintf(err->text, sizeof(err->text),
				"ports: %s: DPDK sees no such device; bind it to vfio-pci (dpdk-devbind.py --status)", port->spec);
		return rc;
	}
	if (port->kind == PORT_VDEV) {
		snprintf(words, sizeof(words), "%s", port->spec);
	} else {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(words, sizeof(words), kinds[port->kind].vdev, port_idx, port->name, worker_count);
#pragma GCC diagnostic pop
	}
	len = strlen(words);
	if (port->kind == PORT_AF_PACKET)
		snprintf(words + len, sizeof(words) - len, ",blocksz=%u,framesz=%u,framecnt=%u", RING_BLOCK * ring_place(config),
			ring_place(config), ring_places(config));
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(words, ","), words);
	rc = rte_dev_probe(words);
	if (rc == 0)
		rc = rte_eth_dev_get_port_by_name(name, &port->port_id);
	if (rc != 0)
		tell_refusal(port, "the driver does not open it", rc, err);
	return rc;
}

static struct rte_eth_conf
port_conf(const struct rte_eth_dev_info *info, uint16_t queue_count)
{
	struct rte_eth_conf conf = { 0 };

	conf.rxmode.offloads = info->rx_offload_capa &
		(RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_TIMESTAMP);
	if (queue_count > 1) {
		memset(symmetric_key, 0, sizeof(symmetric_key));
		for (size_t i = 0; i < sizeof(symmetric_key); i += 2) {
			symmetric_key[i] = 0x6d;
			symmetric_key[i + 1] = 0x5a;
		}
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_key = symmetric_key;
		conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size != 0 ? info->hash_key_size : 40;
		/* Addresses only: fragments have no ports, and must meet the flow they belong to. */
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RTE_ETH_RSS_IP;
	}
	return conf;
}

static int
start_queues(struct port *port, const struct sensor_config *config, struct config_error *err)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t rx_count = (uint16_t)config->rx_descriptors, tx_count = 64;
	int rc = rte_eth_dev_info_get(port->port_id, &info);

	if (rc == 0) {
		conf = port_conf(&info, port->queue_count);
		/* What is longer a card drops. Buffers of the usual length leave it what it was. */
		if (port->kind == PORT_PCI && config->mbuf_data_len > USUAL_DATA_LEN)
			conf.rxmode.mtu = RTE_MIN((uint32_t)config->mbuf_data_len - FRAME_HEAD_LEN, (uint32_t)info.max_mtu);
		rc = rte_eth_dev_configure(port->port_id, port->queue_count, port->queue_count, &conf);
	}
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &rx_count, &tx_count);
	for (uint16_t queue = 0; rc == 0 && queue < port->queue_count; queue++) {
		rc = rte_eth_rx_queue_setup(port->port_id, queue, rx_count, rte_socket_id(), NULL, port->pool);
		if (rc == 0) /* several drivers do not start without; nothing is ever sent */
			rc = rte_eth_tx_queue_setup(port->port_id, queue, tx_count, rte_socket_id(), NULL);
	}
	if (rc == 0)
		rc = rte_eth_dev_start(port->port_id);
	if (rc != 0)
		tell_refusal(port, "it does not start", rc, err);
	return rc;
}

/*
 * Until it is bound to its interface, and it is bound last, an af_packet socket is given the frames of all interfaces:
 * another network's, of this machine's own loopback even. What its rings hold before the workers run is no traffic of the port.
 */
static void
discard_before_start(const struct port *port, const struct sensor_config *config)
{
	struct rte_mbuf *burst[64];
	unsigned int count = 0;

	for (uint16_t queue = 0; queue < port->queue_count; queue++) {
		uint16_t got = 1;

		for (unsigned int most = count + ring_places(config); got > 0 && count < most; count += got) {
			got = rte_eth_rx_burst(port->port_id, queue, burst, sizeof(burst) / sizeof(burst[0]));
			rte_pktmbuf_free_bulk(burst, got);
		}
	}
	rte_eth_stats_reset(port->port_id);
	if (count > 0)
		log_notice("sensor", "%s: %u frames from before the start are put aside, they may be another interface's", port->spec, count);
}

static uint16_t
queues_possible(const struct port *port, unsigned int worker_count)
{
	struct rte_eth_dev_info info;

	if (port->kind == PORT_AF_PACKET)
		return (uint16_t)worker_count; /* the kernel's fanout hash is symmetric */
	if (port->kind != PORT_PCI || rte_eth_dev_info_get(port->port_id, &info) != 0)
		return 1;
	if ((info.flow_type_rss_offloads & RTE_ETH_RSS_IP) == 0)
		return 1;
	return info.max_rx_queues < worker_count ? 1 : (uint16_t)worker_count;
}

int
port_start(struct port *port, const struct sensor_config *config, unsigned int port_idx, unsigned int worker_count,
	struct config_error *err)
{
	char name[32];
	char text[512];
	int rc = probe(port, config, port_idx, worker_count, err);

	if (rc != 0)
		return rc;
	port->queue_count = queues_possible(port, worker_count);
	port->ends = port->kind == PORT_PCAP;
	snprintf(name, sizeof(name), "millrace_port_%u", port_idx);
	port->pool = rte_pktmbuf_pool_create(name, (unsigned int)config->mbuf_count, 256, 0,
		(uint16_t)(buffer_len(port, config) + RTE_PKTMBUF_HEADROOM), (int)rte_socket_id());
	if (port->pool == NULL) {
		snprintf(err->text, sizeof(err->text), "dpdk.mbufs: no memory for %" PRIu64 " buffers of %u bytes: fewer, or more "
			"dpdk.memory-mib", config->mbuf_count, buffer_len(port, config));
		return -ENOMEM;
	}
	rc = start_queues(port, config, err);
	if (rc != 0)
		return rc;
	if (config->promiscuous && rte_eth_promiscuous_enable(port->port_id) != 0)
		log_notice("sensor", "%s: the driver has no promiscuous mode", port->spec);
	if (port->kind == PORT_AF_PACKET)
		discard_before_start(port, config);
	if (port_tell_cut(port, config, text, sizeof(text)))
		log_warning("sensor", "%s", text);
	if (by_kernel(port))
		port->kernel_base = port->kernel_last = kernel_says(port->name, "statistics/rx_packets");
	port->kernel_idx = by_kernel(port) ? if_nametoindex(port->name) : 0;
	return 0;
}

enum port_link
port_get_link(const struct port *port)
{
	struct rte_eth_link link = { 0 };
	unsigned int idx;

	if (by_kernel(port)) {
		idx = if_nametoindex(port->name);
		if (idx == 0)
			return PORT_LINK_GONE;
		if (idx != port->kernel_idx && port->kernel_idx != 0)
			return PORT_LINK_REPLACED;
		return kernel_says(port->name, "carrier") != 0 ? PORT_LINK_UP : PORT_LINK_DOWN; /* no answer while it is not brought up */
	}
	if (port->kind != PORT_PCI || rte_eth_link_get_nowait(port->port_id, &link) != 0)
		return PORT_LINK_NONE;
	return link.link_status == RTE_ETH_LINK_UP ? PORT_LINK_UP : PORT_LINK_DOWN;
}

void
port_stop(struct port *port)
{
	rte_eth_dev_stop(port->port_id);
	rte_eth_dev_close(port->port_id);
	rte_mempool_free(port->pool);
}

/* af_packet and af_xdp rings lose frames without a count of their own: the interface's counter shows how many. */
void
port_get_counts(struct port *port, struct port_counts *out)
{
	struct rte_eth_stats stats = { 0 };
	uint64_t kernel;

	memset(out, 0, sizeof(*out));
	kernel = by_kernel(port) ? kernel_frames(port) : 0; /* read first: it runs ahead of ours */
	if (rte_eth_stats_get(port->port_id, &stats) != 0)
		return;
	out->received = stats.ipackets;
	out->bytes = stats.ibytes;
	out->missed = stats.imissed;
	out->errors = stats.ierrors;
	out->no_buffer = stats.rx_nombuf;
	if (kernel > stats.ipackets + stats.imissed)
		out->kernel_lost = kernel - stats.ipackets - stats.imissed;
}

uint64_t
port_get_received(const struct port *port)
{
	struct rte_eth_stats stats = { 0 };

	return rte_eth_stats_get(port->port_id, &stats) == 0 ? stats.ipackets : 0;
}
