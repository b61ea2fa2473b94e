/* `check`: everything that can be known before frames come, each line good, a warning or a fault with its mending. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/sensor/command.h"
#include "app/sensor/cores.h"
#include "app/sensor/eal.h"
#include "app/sensor/port.h"
#include "app/sensor/rights.h"
#include "app/sensor/sensor.h"
#include "lib/base/folder.h"
#include "lib/link/uplink_check.h"
#include "lib/sink/uplink/uplink_sink.h"

enum { SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

struct report {
	unsigned int warnings, faults;
};

static void
say(const char *mark, const char *format, va_list args)
{
	printf("%-5s ", mark);
	vprintf(format, args);
	putchar('\n');
}

static void
good(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("ok", format, args);
	va_end(args);
}

static void
warn(struct report *report, const char *format, ...)
{
	va_list args;

	report->warnings++;
	va_start(args, format);
	say("warn", format, args);
	va_end(args);
}

static void
fault(struct report *report, const char *format, ...)
{
	va_list args;

	report->faults++;
	va_start(args, format);
	say("FAULT", format, args);
	va_end(args);
}

static void
check_machine(struct report *report, const struct settings *settings)
{
	unsigned int cpus[256];
	unsigned int cpu_count = eal_cpus(cpus, 256);
	unsigned long pages = eal_free_huge_pages();

	if (__builtin_cpu_supports("avx2"))
		good("the CPU has AVX2");
	else
		fault(report, "the CPU has no AVX2: this build does not run here");
	if (geteuid() == 0)
		good("running as root");
	else
		good("not root: huge pages need a writable hugetlbfs");
	if (cpu_count < 2)
		warn(report, "one CPU: worker and exporter share it, frames will be lost under load");
	else
		good("%u CPUs", cpu_count);
	if (!settings->sensor.huge_pages)
		warn(report, "dpdk.huge-pages is no: slower");
	else if (pages < 48)
		warn(report, "%lu free huge pages of 2 MiB: reserve at least 256 with scripts/hugepages", pages);
	else
		good("%lu free huge pages of 2 MiB", pages);
}

static void
check_cores(struct report *report, const struct settings *settings)
{
	struct cores_machine machine;
	struct config_error err;
	struct cores cores;
	int shared;

	cores_look(&machine);
	if (cores_choose(&cores, &settings->sensor, config_get(settings->config, "exporter.core") != NULL, false, &machine, &err) != 0) {
		fault(report, "%s", err.text);
		return;
	}
	shared = cores_shared(&cores);
	if (shared >= 0 && machine.usable_count > 1)
		warn(report, "%u workers and the exporter on %u CPUs: CPU %d has two of them (workers.count, workers.cores, exporter.core)",
			cores.worker_count, machine.usable_count, shared);
}

/* A card that the kernel's driver has is not DPDK's. Mellanox's cards stay with theirs. */
static void
check_card(struct report *report, const struct port *port)
{
	static const char *const drivers[] = { "vfio-pci", "igb_uio", "uio_pci_generic", "mlx4_core", "mlx5_core" };
	char path[512], target[256];
	const char *driver;
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", port->name);
	if (access(path, F_OK) != 0) {
		fault(report, "port %s: there is no such card (lspci -D shows those there are)", port->spec);
		return;
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", port->name);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';
	driver = strrchr(target, '/') == NULL ? "none" : strrchr(target, '/') + 1;
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(driver, drivers[i]) == 0) {
			good("port %s: driver %s", port->spec, driver);
			return;
		}
	warn(report, "port %s: its driver is %s (dpdk-devbind.py --bind=vfio-pci %s)", port->spec, driver, port->name);
}

/* A warning: the service has rights that who checks may lack. @return whether all are there */
static bool
check_rights(struct report *report, const struct port *port)
{
	char missing[RIGHTS_TEXT];

	if (port->kind != PORT_AF_PACKET && port->kind != PORT_AF_XDP)
		return true;
	rights_missing(port->kind == PORT_AF_XDP, missing);
	if (missing[0] != '\0')
		warn(report, "port %s: it does not open without%s, which this process has not%s", port->spec, missing,
			geteuid() == 0 ? ", though it is root (a container?)" : "");
	return missing[0] == '\0';
}

static void
check_ports(struct report *report, const struct settings *settings)
{
	struct port seen[PORT_MAX];
	unsigned int count = 0;
	size_t i;
	json_t *spec;

	json_array_foreach(settings->sensor.ports, i, spec)
	{
		struct config_error err;
		struct port port;
		char text[512];

		if (port_parse(&port, json_string_value(spec), &err) != 0 || port_tell_twice(&port, seen, count, &err) != 0) {
			fault(report, "%s", err.text);
			continue;
		}
		if (count < PORT_MAX)
			seen[count++] = port;
		bool may = check_rights(report, &port);

		if (port.kind == PORT_PCI)
			check_card(report, &port);
		else if ((port.kind == PORT_AF_PACKET || port.kind == PORT_AF_XDP) && if_nametoindex(port.name) == 0)
			fault(report, "port %s: there is no interface \"%s\" (ip link shows those there are)", port.spec, port.name);
		else if (port.kind == PORT_PCAP && access(port.name, R_OK) != 0)
			fault(report, "port %s: %s", port.spec, strerror(errno));
		else if (port_get_link(&port) == PORT_LINK_DOWN)
			warn(report, "port %s: the link is down (ip link set %s up; is the cable in?)", port.spec, port.name);
		else if (port_tell_cut(&port, &settings->sensor, text, sizeof(text)))
			warn(report, "%s", text);
		else if (may)
			good("port %s", port.spec);
	}
	if (json_array_size(settings->sensor.ports) == 0)
		fault(report, "ports: none is configured (for example ports: [af_packet:eth1])");
}

static void
check_rules(struct report *report, const struct settings *settings)
{
	const struct rule_world world = settings_rule_world(settings);
	const struct rule_error *errors;
	struct config_error err;
	struct ruleset *ruleset;
	char sid[RULE_SID_TEXT_LEN];
	unsigned int count;

	if (ruleset_create(&ruleset, &settings->rule, &world, NULL, &err) != 0) {
		fault(report, "rules: %s", err.text);
		return;
	}
	errors = ruleset_errors(ruleset, &count);
	for (unsigned int i = 0; i < count; i++)
		fault(report, "%s:%u:%u: %s%s%s%s", errors[i].file, errors[i].line, errors[i].column, errors[i].keyword,
			errors[i].keyword[0] != '\0' ? ": " : "", errors[i].reason, rule_error_sid(&errors[i], sid));
	if (ruleset_stats_get(ruleset)->thresholds_failed > 0)
		fault(report, "threshold-file: %u lines are not applied; the reasons stand above", ruleset_stats_get(ruleset)->thresholds_failed);
	if (ruleset_stats_get(ruleset)->thresholds_idle > 0)
		warn(report, "threshold-file: %u lines are about rules that are not loaded; they stand above", ruleset_stats_get(ruleset)->thresholds_idle);
	if (ruleset_stats_get(ruleset)->rules_loaded == 0)
		warn(report, "no rules are loaded (rule-files)");
	else
		good("%u rules compile", ruleset_stats_get(ruleset)->rules_loaded);
	ruleset_destroy(ruleset);
}

static void
check_sinks(struct report *report, const struct settings *settings)
{
	const char *texts[SINK_MAX];
	unsigned int count = sink_get_warnings(settings->config, texts, SINK_MAX);

	for (unsigned int i = 0; i < count; i++)
		warn(report, "%s", texts[i]);
}

/* Whether records go there, and what is read for it when it is time. */
struct output {
	const char *sink; /* that says itself what is wrong; NULL: check_uplink() does */
	struct knob enabled;
	const char *target;
	const char *files[4];
};

static const struct output outputs[] = {
	{ NULL, { "uplink.enabled", KNOB_BOOL, 0, 0, 0, "no", NULL, "" }, "uplink.url",
		{ "uplink.crl", "uplink.proxy-ca", "uplink.proxy-password-file" } },
	{ "syslog", { "outputs.syslog.enabled", KNOB_BOOL, 0, 0, 0, "no", NULL, "" }, "outputs.syslog.url",
		{ "outputs.syslog.ca", "outputs.syslog.cert", "outputs.syslog.key" } },
	{ "ipfix", { "outputs.ipfix.enabled", KNOB_BOOL, 0, 0, 0, "no", NULL, "" }, "outputs.ipfix.url",
		{ "outputs.ipfix.ca", "outputs.ipfix.cert", "outputs.ipfix.key" } },
	{ "kafka", { "outputs.kafka.enabled", KNOB_BOOL, 0, 0, 0, "no", NULL, "" }, "outputs.kafka.brokers",
		{ "outputs.kafka.ca", "outputs.kafka.cert", "outputs.kafka.key-file", "outputs.kafka.sasl-password-file" } },
};

static void
check_file(struct report *report, const char *key, const char *path)
{
	struct stat st;
	int error = stat(path, &st) != 0 || access(path, R_OK) != 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;

	if (error != 0)
		fault(report, "%s: %s: %s", key, path, strerror(error));
}

/* A receiver that nothing is sent to, and files that would be missed only when a connection needs them. */
static void
check_outputs(struct report *report, const struct settings *settings)
{
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		const struct output *output = &outputs[i];
		const struct knob_table table = { .knobs = &output->enabled, .count = 1 };
		const char *target = json_string_value(config_get(settings->config, output->target));
		unsigned int faults = report->faults;
		struct config_error err;
		bool enabled;

		if (config_apply(settings->config, &table, &enabled, &err) != 0)
			continue;
		if (!enabled && target != NULL && target[0] != '\0')
			warn(report, "%s is given, but %s is no: nothing is sent there", output->target, output->enabled.name);
		for (size_t k = 0; enabled && k < sizeof(output->files) / sizeof(output->files[0]) && output->files[k] != NULL; k++) {
			const char *path = json_string_value(config_get(settings->config, output->files[k]));

			if (path != NULL && path[0] != '\0')
				check_file(report, output->files[k], path);
		}
		if (report->faults == faults && output->sink != NULL && sink_check(output->sink, settings->config, &err) != 0)
			fault(report, "%s", err.text);
	}
}

static int
can_make_folder(const char *path)
{
	char inside[PATH_MAX];

	snprintf(inside, sizeof(inside), "%s/file", path);
	return folder_can_make(inside);
}

/* What `run` makes: its folder is made where it is missing, below one that must take it. */
static void
check_place(struct report *report, const struct settings *settings, const char *key, int (*can)(const char *path))
{
	const char *path = json_string_value(config_get(settings->config, key));
	int rc = path == NULL || path[0] == '\0' ? 0 : can(path);

	if (rc != 0)
		fault(report, "%s: %s: %s", key, path, strerror(-rc));
}

static void
check_places(struct report *report, const struct settings *settings)
{
	check_place(report, settings, "outputs.eve.path", folder_can_open);
	check_place(report, settings, "detect.sgh-mpm-caching-path", can_make_folder);
	check_place(report, settings, "capture.dir", can_make_folder);
	if (strlen(settings->sensor.control_socket) > SOCKET_PATH_MAX)
		fault(report, "control.socket: the path is longer than %d bytes", SOCKET_PATH_MAX);
	else
		check_place(report, settings, "control.socket", folder_can_make);
}

static void
warn_ignored(void *report, const char *text)
{
	warn(report, "%s", text);
}

static int
check_spool_key(const struct settings *settings, struct config_error *err)
{
	struct spool_config spool;
	const char *reason;
	int rc = config_apply(settings->config, &spool_knobs, &spool, err);

	if (rc != 0)
		return rc;
	rc = spool_key_check(&spool, &reason);
	if (rc != 0)
		snprintf(err->text, sizeof(err->text), "spool.key-file: %.300s: %s", spool.key_file, reason);
	return rc;
}

/* What `run` would end at; whether the way is open says `uplink test`. */
static void
check_uplink(struct report *report, const struct settings *settings)
{
	struct uplink_sink_settings uplink = { 0 };
	struct config_error err = { "" };
	struct uplink_config given;

	if (config_apply(settings->config, &uplink_knobs, &given, &err) != 0 || !given.enabled)
		return;
	int rc = uplink_sink_settings_read(&uplink, settings->config, &err);

	if (rc == 0)
		rc = uplink_check_files(&uplink.uplink, &err);
	if (rc == 0)
		rc = check_spool_key(settings, &err);
	if (rc != 0)
		fault(report, "%s", err.text);
	else
		good("uplink to %s (millrace-sensor uplink test tries it)", uplink.uplink.url);
	uplink_sink_settings_free(&uplink);
}

int
command_check(int argc, char **argv)
{
	static struct command_args args;
	struct report report = { 0 };
	struct settings settings;
	int rc = command_parse(&args, argc, argv, "usage: millrace-sensor check -c FILE [-S RULES] [--set KEY=VALUE]...");

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (args.rules != NULL)
		command_set(&args, "rule-files", args.rules);
	if (command_load(&settings, &args) != 0)
		return 1;
	good("configuration %s", args.config_path != NULL ? args.config_path : "(defaults)");
	config_tell_ignored(settings.config, settings.tables, settings.table_count, warn_ignored, &report);
	check_machine(&report, &settings);
	check_cores(&report, &settings);
	check_ports(&report, &settings);
	check_rules(&report, &settings);
	check_sinks(&report, &settings);
	check_uplink(&report, &settings);
	check_outputs(&report, &settings);
	check_places(&report, &settings);
	printf("%u fault%s, %u warning%s\n", report.faults, report.faults == 1 ? "" : "s", report.warnings, report.warnings == 1 ? "" : "s");
	settings_destroy(&settings);
	return report.faults == 0 ? 0 : 1;
}

int
command_dump(int argc, char **argv)
{
	static struct command_args args;
	struct settings settings;
	int rc = command_parse(&args, argc, argv, "usage: millrace-sensor dump [-c FILE] [--set KEY=VALUE]...");

	if (rc != 0)
		return rc < 0 ? 0 : rc;
	if (command_load(&settings, &args) != 0)
		return 1;
	config_dump(settings.config, settings.tables, settings.table_count, stdout);
	settings_destroy(&settings);
	return 0;
}
