/*
 * A producer of Kafka's, by librdkafka: idempotent, acks=all, without a bound on time, so that no message is given up but by a
 * broker's word. Its queue is bounded by what its owner gives it.
 *
 * Its files (CA, certificate, key, password) are looked at now and then: where one has changed a producer that has read it
 * takes the place of the one before. So it is after a fatal error, too. What was on its way is then told as refused.
 *
 * Thread: one at a time.
 */
#ifndef MR_SINK_KAFKA_PRODUCER_H
#define MR_SINK_KAFKA_PRODUCER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/config.h"

enum producer_security { PRODUCER_PLAINTEXT, PRODUCER_SSL, PRODUCER_SASL_PLAINTEXT, PRODUCER_SASL_SSL };

struct producer_config {
	const char *key;          /* of the configuration, for messages: "outputs.kafka" */
	const char *brokers;      /* HOST:PORT,... */
	unsigned int security;    /* enum producer_security */
	const char *ca, *cert, *cert_key; /* PEM files; "": none */
	const char *sasl_mechanism, *sasl_user, *sasl_password_file;
	const char *compression;
	uint64_t timeout_ms;      /* of a request without an answer */
	uint64_t backoff_max_ms;
	uint64_t messages_max;    /* in its queue */
	bool is_check;            /* only whether the settings are taken */
	const json_t *options;    /* "NAME=VALUE" of librdkafka's own, strings; NULL: none */
};

struct producer_message {
	const char *topic;
	const char *key;          /* NULL: none */
	size_t key_len;
	const char *value;
	size_t len;
	const char *id, *sensor;  /* headers */
	void *token;              /* comes back with the report */
};

enum producer_fate { PRODUCER_STORED, PRODUCER_TOO_LONG, PRODUCER_REFUSED };

/** What became of a message. */
struct producer_report {
	void *token;
	size_t len;               /* of its value */
	enum producer_fate fate;
	const char *why;          /* of PRODUCER_REFUSED; lent */
};

/** Called by producer_poll() only. */
struct producer_events {
	void (*report)(void *arg, const struct producer_report *report);
	/** A broker, or all, cannot be reached. */
	void (*trouble)(void *arg, const char *why);
	/** Another producer takes the place: nothing is told any more of what is on its way. */
	void (*renewed)(void *arg);
};

struct producer;

/** Whether this program was built with librdkafka; without it producer_create() fails with -ENOTSUP. */
bool producer_is_built(void);
/** Checks the settings, connects later. @param config read during the call only. @return 0, -EINVAL or -ENOMEM with err set */
int producer_create(struct producer **out, const struct producer_config *config, const struct producer_events *events, void *arg,
	struct config_error *err);
/** At once: what is on its way is forgotten. NULL is accepted. */
void producer_destroy(struct producer *producer);
/** Copies the message into the queue. @return 0: it will be reported; -EMSGSIZE: too long; -EAGAIN: not now; -EINVAL */
int producer_send(struct producer *producer, const struct producer_message *message);
/** Tells what has happened since. */
void producer_poll(struct producer *producer);
/** Writes 8 bytes to an eventfd whenever there is something to be told. */
void producer_wake(struct producer *producer, int fd);

#endif
