/*
 * A connection with a deadline for each thing done on it, and perhaps with TLS on TLS: a socket, and OpenSSL's BIOs stacked on it.
 * Inside lib/link.
 *
 * Thread: one at a time. SIGPIPE must be blocked in it.
 */
#ifndef MR_LINK_WAY_STREAM_H
#define MR_LINK_WAY_STREAM_H

#include <openssl/ssl.h>

#include "lib/link/way.h"

struct way_stream {
	int fd;
	BIO *top;             /* what is read and written */
	int cancel_fd;
	uint64_t deadline_ms; /* of the step that is under way */
	char sent_by[46];     /* the address connected to */
};

uint64_t way_now_ms(void);
void way_fail(struct way_failure *fail, enum way_error error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** @param fd connected or connecting, not blocking; taken, also on failure. @return NULL: no memory */
struct way_stream *way_stream_create(int fd, int cancel_fd);
void way_stream_destroy(struct way_stream *stream);

/** Waits for events of poll(). @return 0, -ETIMEDOUT or -ECANCELED */
int way_stream_wait(const struct way_stream *stream, short events);
/** Writes all. @return 0, -ETIMEDOUT, -ECANCELED or -EPIPE */
int way_stream_write(struct way_stream *stream, const void *data, size_t len);
/** @return 1..len, 0 at the end, -ETIMEDOUT, -ECANCELED or -EPIPE (reset) */
int way_stream_read(struct way_stream *stream, void *data, size_t len);

struct way_tls {
	const char *ca;       /* PEM file */
	const char *cert;     /* texts of the client's certificate and key (key.h), ended by \0; NULL: none */
	size_t cert_len;
	const char *key;
	size_t key_len;
	const char *crl;      /* PEM file of revocation lists, one of each CA; NULL or "": not looked at */
	const char *pin;      /* "sha256//BASE64[;...]"; NULL or "": none */
};

/** A handshake on top of the stream with the server of that name or address. @return 0 or -1 with fail set */
int way_stream_tls(struct way_stream *stream, const struct way_tls *tls, const char *host, struct way_failure *fail);
/** The connection's TLS, lent; NULL without. */
SSL *way_stream_ssl(const struct way_stream *stream);

/** The name of what OpenSSL's verification said. */
enum way_error way_verify_error(long verify);

#endif
