#include "app/sensor/eal.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"

enum { ARGS_MAX = 64, WORDS_LEN = 8192, HUGE_PAGES_MIN = 48 };

/* Arguments as one growing row of words. */
struct args {
	char words[WORDS_LEN];
	size_t used;
	char *argv[ARGS_MAX + 1];
	int argc;
};

static void
add(struct args *args, const char *format, ...)
{
	va_list list;
	int len;

	va_start(list, format);
	len = vsnprintf(args->words + args->used, sizeof(args->words) - args->used, format, list);
	va_end(list);
	if (len < 0 || args->used + (size_t)len + 1 > sizeof(args->words) || args->argc == ARGS_MAX)
		return;
	args->argv[args->argc++] = args->words + args->used;
	args->used += (size_t)len + 1;
}

unsigned long
eal_free_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages;
}

unsigned int
eal_cpus(unsigned int cpus[], unsigned int cpus_max)
{
	cpu_set_t set;
	unsigned int count = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE && count < cpus_max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[count++] = cpu;
	return count;
}

static void
add_lcores(struct args *args, const struct sensor_config *config, const unsigned int cpus[], unsigned int worker_count)
{
	char list[1024];
	size_t len = (size_t)snprintf(list, sizeof(list), "0@%u", (unsigned int)config->exporter_core);

	for (unsigned int i = 0; i < worker_count && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, ",%u@%u", i + 1, cpus[i]);
	add(args, "--lcores=%s", list);
}

static void
add_memory(struct args *args, const struct sensor_config *config, bool huge_pages)
{
	if (!huge_pages) {
		add(args, "--no-huge");
		if (config->file_prefix[0] == '\0')
			add(args, "--no-shconf"); /* several sensors may run: none needs files of its own */
		add(args, "-m");
		add(args, "%llu", (unsigned long long)config->memory_mib);
	} else if (config->file_prefix[0] == '\0') {
		add(args, "--in-memory");
	}
	if (config->file_prefix[0] != '\0')
		add(args, "--file-prefix=%s", config->file_prefix);
}

/* The cards that are named, and no other: a machine's own is none of ours, though a driver of DPDK's could take it. */
static void
add_cards(struct args *args, const struct sensor_config *config)
{
	static const char *const lists[] = { "-a", "-b", "--allow", "--block" };
	size_t i;
	json_t *word;

	json_array_foreach(config->eal_args, i, word)
		for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++)
			if (strncmp(json_string_value(word), lists[k], strlen(lists[k])) == 0)
				return;
	json_array_foreach(config->ports, i, word)
		if (strncmp(json_string_value(word), "pci:", 4) == 0)
			add(args, "--allow=%s", json_string_value(word) + 4);
}

static const char *
hint(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "not enough rights: run as root";
	case ENOMEM:
		return "not enough memory: reserve huge pages, or set dpdk.huge-pages to no";
	case EALREADY:
		return "DPDK was started before in this process";
	default:
		return "see the messages above";
	}
}

int
eal_start(const struct sensor_config *config, const unsigned int cpus[], unsigned int worker_count, bool wants_pci,
	bool *huge_pages, struct config_error *err)
{
	static struct args args;
	size_t i;
	json_t *word;

	*huge_pages = config->huge_pages;
	if (*huge_pages && eal_free_huge_pages() < HUGE_PAGES_MIN) {
		log_warning("sensor", "fewer than %d free huge pages of 2 MiB: going on with ordinary pages, which is slower "
				      "(reserve some with scripts/hugepages)",
			HUGE_PAGES_MIN);
		*huge_pages = false;
	}
	memset(&args, 0, sizeof(args));
	add(&args, "millrace-sensor");
	add_lcores(&args, config, cpus, worker_count);
	add_memory(&args, config, *huge_pages);
	if (wants_pci)
		add_cards(&args, config);
	else
		add(&args, "--no-pci");
	add(&args, "--log-level=lib.eal:%d", config->log_level >= LOG_LEVEL_DEBUG ? RTE_LOG_INFO : RTE_LOG_ERR);
	add(&args, "--log-level=lib.telemetry:%d", RTE_LOG_ERR);
	add(&args, "--log-level=pmd*:%d", RTE_LOG_ERR);
	json_array_foreach(config->eal_args, i, word)
		add(&args, "%s", json_string_value(word));
	if (rte_eal_init(args.argc, args.argv) < 0) {
		snprintf(err->text, sizeof(err->text), "DPDK does not start: %s: %s", rte_strerror(rte_errno), hint(rte_errno));
		return -rte_errno;
	}
	return 0;
}

void
eal_stop(void)
{
	rte_eal_cleanup();
}
