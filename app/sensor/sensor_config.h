/* What the user says of the sensor itself: ports, workers, memory, outputs of events. */
#ifndef MR_SENSOR_CONFIG_H
#define MR_SENSOR_CONFIG_H

#include "lib/config/config.h"
#include "lib/flow/flow.h"
#include "lib/packet/packet.h"
#include "lib/rule/rule.h"
#include "lib/stream/stream.h"
#include "proto/session.h"

enum {
	WORKER_MAX = 64,
	PORT_MAX = 16,
	KNOB_TABLE_MAX = 160,
};

struct sensor_config {
	json_t *ports;              /* "af_packet:eth1", ... */
	uint64_t worker_count;      /* 0: chosen by the sensor */
	json_t *cores;              /* CPU of each worker; NULL: chosen by the sensor */
	uint64_t exporter_core;
	bool huge_pages;
	uint64_t memory_mib;        /* of DPDK, without huge pages */
	const char *file_prefix;
	json_t *eal_args;           /* more words for the EAL, as they are */
	uint64_t mbuf_count;        /* of each port's pool */
	uint64_t mbuf_data_len;     /* bytes of a frame in one mbuf */
	uint64_t rx_descriptors;
	uint64_t ring_size;         /* bytes of the ring from a worker to the exporter */
	uint64_t flow_memory;       /* bytes of a worker for protocol state and held events */
	bool promiscuous;
	uint64_t burst;             /* frames taken at once */
	bool idle_sleep;            /* sleep 50 us after empty polls instead of polling on */
	uint64_t stats_interval_s, ports_silence_s;
	uint64_t hold_ms;           /* how long an alert waits for its transaction's response */
	bool log_flow, log_netflow, log_arp, log_files, log_stats, stats_null_values;
	bool anomaly_decode, anomaly_stream, anomaly_applayer;
	bool alert_payload, alert_packet, alert_tagged;
	bool ethernet, community_id;
	uint64_t community_id_seed;
	const char *control_socket;
	const char *capture_dir;
	uint64_t capture_size, capture_keep_free; /* bytes */
	unsigned int log_level;
	bool acked_frame_numbers;   /* `read`: pcap_cnt is the frame that acknowledged the bytes */
};

extern const struct knob_table sensor_knobs;

/** Everything read from one file, module by module. Strings and lists live as long as it does. */
struct settings {
	struct config *config;
	struct sensor_config sensor;
	struct packet_config packet;
	struct flow_config flow;
	struct stream_config stream;
	struct rule_config rule;
	struct file_config file;
	struct proto_settings *protos;
	const struct rule_app *apps[PROTO_MAX];
	uint8_t app_transports[PROTO_MAX]; /* of apps[], enum rule_transport */
	unsigned int app_count;
	const struct knob_table *tables[KNOB_TABLE_MAX];
	unsigned int table_count;
};

/**
 * @param path  NULL: defaults
 * @param set   assignments of --set; each overrides the file
 * @return 0 or -errno with err set, naming file, line and reason
 */
int settings_load(struct settings *out, const char *path, const char *const set[], unsigned int set_count,
	struct config_error *err);
void settings_destroy(struct settings *settings);
/** What rules may speak of under these settings, which must outlive the rules. */
struct rule_world settings_rule_world(const struct settings *settings);

#endif
