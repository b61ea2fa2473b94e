/* TLS of the server half. */
#ifndef MR_LINK_SERVER_TLS_H
#define MR_LINK_SERVER_TLS_H

#include <openssl/ssl.h>

#include "lib/link/server.h"

/** @return 0 or -errno, logged with the file at fault. */
int server_tls_create(SSL_CTX **out, const struct link_server_config *config);
/** The verified peer's subject CN, when it is a valid sensor name. */
bool server_tls_peer(const SSL *ssl, char name[BATCH_SENSOR_MAX + 1]);

#endif
