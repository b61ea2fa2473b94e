/*
 * Looks once a second whether workers, spreader and exporter go round (stall.h). A stall is told in the log and counted, and while
 * there is one the service manager does not hear that all is well, so that it starts the sensor anew. The exporter is given two
 * minutes for that: it may wait for a disk, which a new start does not mend, and workers go on seeing meanwhile.
 *
 * Thread: its own, as a reload of the rules may keep the main one for long.
 */
#ifndef MR_SENSOR_WATCHDOG_H
#define MR_SENSOR_WATCHDOG_H

struct sensor;
struct watchdog;

/** Tells the manager that the sensor is ready. @param sensor  runs, and goes on doing so until watchdog_destroy(). @return 0 or -errno */
int watchdog_create(struct watchdog **out, struct sensor *sensor);
void watchdog_destroy(struct watchdog *watchdog);

#endif
