/* DPDK's environment, hidden behind the configuration. */
#ifndef MR_SENSOR_EAL_H
#define MR_SENSOR_EAL_H

#include <stdbool.h>

#include "app/sensor/sensor_config.h"

/**
 * Starts DPDK with one lcore for each worker beside the main one.
 *
 * @param cpus          [worker_count] CPU of each worker
 * @param wants_pci     scan the PCI bus for the cards that are configured
 * @param huge_pages    out: whether huge pages are used; without any left the sensor goes on without, and says so
 * @return 0 or -errno with err set
 */
int eal_start(const struct sensor_config *config, const unsigned int cpus[], unsigned int worker_count, bool wants_pci,
	bool *huge_pages, struct config_error *err);
void eal_stop(void);
/** Free 2 MiB pages of the system. */
unsigned long eal_free_huge_pages(void);
/** Online CPUs that this process may use. @return how many were written */
unsigned int eal_cpus(unsigned int cpus[], unsigned int cpus_max);

#endif
