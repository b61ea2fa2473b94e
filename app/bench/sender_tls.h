/* Identities for many sensors: one key, a certificate each, issued here by the CA that the aggregator trusts. */
#ifndef MR_BENCH_SENDER_TLS_H
#define MR_BENCH_SENDER_TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

struct sender_tls;

/** @param pki folder with ca.pem and ca.key, as scripts/pki makes it. @param http2 it is offered, and nothing else.
 *  @return 0 or -errno, said on stderr. */
int sender_tls_create(struct sender_tls **out, const char *pki, bool http2);
void sender_tls_destroy(struct sender_tls *tls);
/** A connection's TLS, as the sensor of that name. @return NULL: no memory. The caller's. */
SSL *sender_tls_connect(struct sender_tls *tls, const char *name);

#endif
