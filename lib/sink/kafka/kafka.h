/*
 * Events to Kafka's topics. A record leaves the sink's spool when every in-sync replica has it (acks=all), as the broker's
 * delivery report says. What one producer sends again after a lost answer the broker stores once (idempotence); what is sent
 * again after a restart of the sensor, or by a new producer, may be there twice, and is known by its header: at least once.
 *
 * Each message's value is the EVE line, to the byte. Headers: "millrace-id", EPOCH/LANE/NUMBER, which never names two
 * records of one sensor, and "millrace-sensor".
 *
 * Threads: outlet.h.
 */
#ifndef MR_SINK_KAFKA_KAFKA_H
#define MR_SINK_KAFKA_KAFKA_H

#include "lib/sink/sink.h"

extern const struct sink_ops kafka_sink_ops;

#endif
