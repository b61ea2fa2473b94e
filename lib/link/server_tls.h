/* TLS of the server half. */
#ifndef MR_LINK_SERVER_TLS_H
#define MR_LINK_SERVER_TLS_H

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "lib/link/server.h"

/** Which files were read. */
struct server_tls_files {
	struct {
		ino_t inode;
		off_t size;
		struct timespec changed;
	} at[3]; /* certificate, key, CA */
};

/** Looks at them. @return whether one is another than before */
bool server_tls_changed(struct server_tls_files *files, const struct link_server_config *config);
/** When its certificate ends. */
time_t server_tls_end(const SSL_CTX *context);
/** @return 0 or -errno, logged with the file at fault. */
int server_tls_create(SSL_CTX **out, const struct link_server_config *config);
/** The subject CN, when it is a valid sensor name. */
bool server_tls_name(const X509 *certificate, char name[BATCH_SENSOR_MAX + 1]);
/** The serial in hexadecimal. @return false when it is too long */
bool server_tls_serial(const X509 *certificate, char serial[LINK_SERIAL_MAX + 1]);
/** The peer's certificate when it was verified, else NULL; lent. */
const X509 *server_tls_certificate(const SSL *ssl);

#endif
