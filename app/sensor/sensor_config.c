#include "app/sensor/sensor_config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/packet/decode_event.h"
#include "lib/sink/sink.h"
#include "lib/stream/stream_event.h"

static const char *const log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };

#define AT(member) offsetof(struct sensor_config, member)

static const struct knob knobs[] = {
	{ "ports", KNOB_LIST, AT(ports), 0, 0, NULL, NULL,
		"monitor ports: pci:0000:3b:00.0, af_packet:eth1, af_xdp:eth1, pcap:FILE, ring:NAME, or any DPDK vdev string" },
	{ "ports-silence", KNOB_NUMBER, AT(ports_silence_s), 0, 86400, "60", NULL,
		"seconds without a frame after which the log tells of a port; 0: never" },
	{ "workers.count", KNOB_NUMBER, AT(worker_count), 0, WORKER_MAX, "0", NULL,
		"worker cores; 0: as many as workers.cores names, else all CPUs but one, in `run`, one in `read`" },
	{ "workers.cores", KNOB_LIST, AT(cores), 0, 0, NULL, NULL, "CPU number of each worker, as many as there are to be; chosen by the sensor when absent" },
	{ "exporter.core", KNOB_NUMBER, AT(exporter_core), 0, 1023, "0", NULL, "CPU of the exporter; when absent the first that the sensor may use" },
	{ "dpdk.huge-pages", KNOB_BOOL, AT(huge_pages), 0, 0, "yes", NULL, "no: ordinary pages, slower, needs no preparation" },
	{ "dpdk.memory-mib", KNOB_NUMBER, AT(memory_mib), 64, 1 << 20, "512", NULL, "DPDK's memory when huge pages are off, MiB" },
	{ "dpdk.file-prefix", KNOB_TEXT, AT(file_prefix), 0, 0, "", NULL,
		"name of DPDK's run-time folder, for dpdk-telemetry and dpdk-pdump; empty: memory stays private" },
	{ "dpdk.eal-args", KNOB_LIST, AT(eal_args), 0, 0, NULL, NULL, "more arguments for DPDK's EAL, one a list item" },
	{ "dpdk.mbufs", KNOB_NUMBER, AT(mbuf_count), 1024, 1 << 24, "16384", NULL, "packet buffers of each port" },
	{ "dpdk.mbuf-data-len", KNOB_NUMBER, AT(mbuf_data_len), 256, 65000, "2048", NULL, "bytes of a frame that one buffer holds: af_packet: cuts longer ones, af_xdp: loses them, pci: takes them as its card allows" },
	{ "dpdk.rx-descriptors", KNOB_NUMBER, AT(rx_descriptors), 64, 32768, "4096", NULL, "receive descriptors of a queue" },
	{ "dpdk.promiscuous", KNOB_BOOL, AT(promiscuous), 0, 0, "yes", NULL, "receive frames for any MAC address" },
	{ "workers.burst", KNOB_NUMBER, AT(burst), 1, 64, "32", NULL,
		"frames a worker takes at once; what 32 of them touch stays in a core's first cache" },
	{ "workers.idle-sleep", KNOB_BOOL, AT(idle_sleep), 0, 0, "yes", NULL,
		"sleep 50 microseconds after empty polls; no: poll without pause" },
	{ "workers.ring-size", KNOB_SIZE, AT(ring_size), 1 << 20, UINT64_C(1) << 32, "32mb", NULL,
		"ring from each worker to the exporter, a power of two" },
	{ "workers.memory", KNOB_SIZE, AT(flow_memory), 1 << 20, UINT64_C(1) << 36, "64mb", NULL,
		"each worker's memory for protocol state and held events" },
	{ "stats.interval", KNOB_NUMBER, AT(stats_interval_s), 1, 3600, "8", NULL, "seconds between stats events" },
	{ "stats.enabled", KNOB_BOOL, AT(log_stats), 0, 0, "yes", NULL, "write stats events" },
	{ "stats.null-values", KNOB_BOOL, AT(stats_null_values), 0, 0, "yes", NULL, "stats events show counters that are 0" },
	{ "alert.hold-ms", KNOB_NUMBER, AT(hold_ms), 0, 60000, "2000", NULL,
		"how long an alert on a request waits for the response it will show, milliseconds of capture time" },
	{ "alert.payload", KNOB_BOOL, AT(alert_payload), 0, 0, "yes", NULL, "alerts carry the payload" },
	{ "alert.tagged-packets", KNOB_BOOL, AT(alert_tagged), 0, 0, "yes", NULL, "packets that a rule's tag takes are logged" },
	{ "alert.packet", KNOB_BOOL, AT(alert_packet), 0, 0, "yes", NULL, "alerts carry the frame" },
	{ "events.flow", KNOB_BOOL, AT(log_flow), 0, 0, "yes", NULL, "write flow events" },
	{ "events.netflow", KNOB_BOOL, AT(log_netflow), 0, 0, "no", NULL,
		"write a netflow event for each direction of a flow, from its sender to its receiver, when a flow event would be written" },
	{ "events.arp", KNOB_BOOL, AT(log_arp), 0, 0, "yes", NULL, "write arp events" },
	{ "events.files", KNOB_BOOL, AT(log_files), 0, 0, "yes", NULL,
		"write fileinfo events: of each file that a protocol carried, bodies of HTTP among them" },
	{ "anomaly.decode", KNOB_BOOL, AT(anomaly_decode), 0, 0, "yes", NULL, "anomalies of decoding" },
	{ "anomaly.stream", KNOB_BOOL, AT(anomaly_stream), 0, 0, "yes", NULL,
		"anomalies of TCP reassembly that sound connections do not show" },
	{ "anomaly.applayer", KNOB_BOOL, AT(anomaly_applayer), 0, 0, "yes", NULL, "anomalies of protocols" },
	{ "eve.ethernet", KNOB_BOOL, AT(ethernet), 0, 0, "yes", NULL, "events carry MAC addresses" },
	{ "eve.community-id", KNOB_BOOL, AT(community_id), 0, 0, "yes", NULL, "events carry the Community ID" },
	{ "eve.community-id-seed", KNOB_NUMBER, AT(community_id_seed), 0, 65535, "0", NULL, "seed of the Community ID" },
	{ "control.socket", KNOB_TEXT, AT(control_socket), 0, 0, "", NULL, "path of the control socket; empty: none in `read`" },
	{ "capture.dir", KNOB_TEXT, AT(capture_dir), 0, 0, "/var/lib/millrace/captures", NULL,
		"folder for the files of the control socket's capture.start" },
	{ "capture.size", KNOB_SIZE, AT(capture_size), 1 << 16, UINT64_C(1) << 44, "1 GiB", NULL, "bytes that one of them may have" },
	{ "capture.keep-free", KNOB_SIZE, AT(capture_keep_free), 0, UINT64_C(1) << 50, "1 GiB", NULL,
		"bytes of their file system that they leave free: one that would take of them ends" },
	{ "log.level", KNOB_CHOICE, AT(log_level), 0, 0, "notice", log_levels, "what is logged" },
};

const struct knob_table sensor_knobs = { "sensor", knobs, sizeof(knobs) / sizeof(knobs[0]) };

static void
add_tables(struct settings *s)
{
	const struct knob_table *const own[] = { &sensor_knobs, &packet_knobs, &flow_knobs, &stream_knobs, &rule_knob_table,
		&file_knobs };

	for (unsigned int i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		s->tables[s->table_count++] = own[i];
	s->table_count += sink_get_knobs(s->tables + s->table_count, KNOB_TABLE_MAX - s->table_count);
	s->table_count += proto_settings_knobs(s->protos, s->tables + s->table_count, KNOB_TABLE_MAX - s->table_count);
}

static int
apply(struct settings *s, struct config_error *err)
{
	const struct {
		const struct knob_table *table;
		void *target;
	} modules[] = {
		{ &sensor_knobs, &s->sensor }, { &packet_knobs, &s->packet }, { &flow_knobs, &s->flow },
		{ &stream_knobs, &s->stream }, { &rule_knob_table, &s->rule }, { &file_knobs, &s->file },
	};

	for (unsigned int i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		int rc = config_apply(s->config, modules[i].table, modules[i].target, err);

		if (rc != 0)
			return rc;
	}
	s->stream.host_os_policy = s->packet.host_os_policy;
	int rc = proto_settings_create(&s->protos, proto_table, s->config, err);

	if (rc == 0)
		s->packet.flow_ether_type_count = (uint8_t)proto_settings_ether_types(s->protos, s->packet.flow_ether_types,
			PACKET_FLOW_ETHER_TYPES_MAX);
	return rc;
}

int
settings_load(struct settings *out, const char *path, const char *const set[], unsigned int set_count,
	struct config_error *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = config_load(&out->config, path, err);
	for (unsigned int i = 0; rc == 0 && i < set_count; i++)
		rc = config_set(out->config, set[i], err);
	if (rc == 0)
		rc = apply(out, err);
	if (rc == 0) {
		add_tables(out);
		rc = config_check_unknown(out->config, out->tables, out->table_count, err);
	}
	if (rc == 0)
		rc = config_check_values(out->config, out->tables, out->table_count, err);
	if (rc != 0) {
		settings_destroy(out);
		return rc;
	}
	for (unsigned int i = 0; i < proto_settings_count(out->protos); i++) {
		out->app_transports[out->app_count] = proto_settings_proto(out->protos, i)->transports;
		out->apps[out->app_count++] = &proto_settings_proto(out->protos, i)->app;
	}
	log_set_level((enum log_level)out->sensor.log_level);
	return 0;
}

static_assert((int)RULE_OVER_TCP == PROTO_TCP && (int)RULE_OVER_UDP == PROTO_UDP && (int)RULE_OVER_ETHERNET == PROTO_ETHERNET, "the same bits");

struct rule_world
settings_rule_world(const struct settings *settings)
{
	return (struct rule_world){ .apps = settings->apps, .app_count = settings->app_count, .decode_event_find = decode_event_find,
		.stream_event_find = stream_event_find, .flow_rates = settings->flow.rate_bytes > 0,
		.app_transports = settings->app_transports };
}

void
settings_destroy(struct settings *settings)
{
	proto_settings_destroy(settings->protos);
	config_destroy(settings->config);
	memset(settings, 0, sizeof(*settings));
}
