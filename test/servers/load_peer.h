/** A sender: a blocking connection with mutual TLS that posts bodies by HTTP/1.1 or HTTP/2. One thread at a time. */
#ifndef MR_SERVERS_LOAD_PEER_H
#define MR_SERVERS_LOAD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct peer;

/** Whom to connect to, and what is posted; may be shared by threads. */
struct peer_config {
	SSL_CTX *context;
	uint16_t port;
	bool h2;
	const uint8_t *body;
	size_t body_len;
};

/** A client's context with the certificate PKI/bench.pem; NULL if it cannot be made. */
SSL_CTX *peer_tls(const char *pki, bool h2);

/** Connects and shakes hands; 0 or -errno. A peer may be closed when it is NULL. */
int peer_open(struct peer **out, const struct peer_config *config);
void peer_close(struct peer *peer);

/**
 * Posts so many bodies, by HTTP/2 all at once, and waits for their answers.
 *
 * @return 0; -EIO if the connection was cut or an answer is not the one to this body
 */
int peer_post(struct peer *peer, int count);

/** Sends the head and a body's first bytes (at most len); then one byte for each peer_drip(). -EIO if the connection is cut. */
int peer_begin(struct peer *peer, size_t len);
int peer_drip(struct peer *peer);

/** Whether the server hung up, answered or said anything within so many milliseconds. */
bool peer_wait(struct peer *peer, int timeout_ms);

#endif
