/* TLS of the server half. */
#ifndef MR_LINK_SERVER_TLS_H
#define MR_LINK_SERVER_TLS_H

#include <openssl/ssl.h>

#include "lib/link/server.h"

/** @return 0 or -errno, logged with the file at fault. */
int server_tls_create(SSL_CTX **out, const struct link_server_config *config);
/** The subject CN, when it is a valid sensor name. */
bool server_tls_name(const X509 *certificate, char name[BATCH_SENSOR_MAX + 1]);
/** The serial in hexadecimal. @return false when it is too long */
bool server_tls_serial(const X509 *certificate, char serial[LINK_SERIAL_MAX + 1]);
/** The peer's certificate when it was verified, else NULL; lent. */
const X509 *server_tls_certificate(const SSL *ssl);

#endif
