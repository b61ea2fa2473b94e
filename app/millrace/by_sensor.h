/* Verbs that are commands of millrace-sensor: it has the configuration and the code. */
#ifndef MR_MILLRACE_BY_SENSOR_H
#define MR_MILLRACE_BY_SENSOR_H

/** Becomes millrace-sensor, installed beside this program or built beside it. @return only when that failed, said why */
int by_sensor(int argc, char **argv);

#endif
