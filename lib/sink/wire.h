/*
 * A connection of a sink that sends by itself: datagrams, TCP or TLS to one receiver. TLS is 1.3, or 1.2 with ECDHE and
 * AES-256-GCM; the receiver's name and CA are checked.
 *
 * Thread: one at a time; wire_cancel() by any.
 */
#ifndef MR_SINK_WIRE_H
#define MR_SINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config/config.h"
#include "lib/link/way.h"

enum wire_transport { WIRE_UDP, WIRE_TCP, WIRE_TLS, WIRE_TRANSPORT_COUNT };

struct wire_config {
	const char *key;      /* of the configuration, for messages: "outputs.syslog" */
	const char *url;      /* udp://, tcp:// or tls://HOST:PORT */
	const char *ca;       /* PEM files, of TLS */
	const char *cert;     /* "": the receiver does not ask for one */
	const char *cert_key;
	uint64_t timeout_ms;  /* of each step */
	uint16_t default_ports[WIRE_TRANSPORT_COUNT];
};

struct wire;

/** Reads the address, does not connect. @param config copied, strings included. @return 0, -EINVAL or -ENOMEM with err set */
int wire_create(struct wire **out, const struct wire_config *config, struct config_error *err);
/** NULL is accepted. */
void wire_destroy(struct wire *wire);
enum wire_transport wire_transport(const struct wire *wire);

/** @param fail out: why not. @return 0 or -1 */
int wire_connect(struct wire *wire, struct way_failure *fail);
/** Whether the receiver has not hung up. What it says is read and forgotten. */
bool wire_is_open(struct wire *wire);
/** Sends all: of UDP one datagram. @return 0 or -errno: the connection is to be closed */
int wire_send(struct wire *wire, const void *data, size_t len);
void wire_close(struct wire *wire);
/** Ends what connect and send wait for, now and from now on. Any thread. */
void wire_cancel(struct wire *wire);

#endif
