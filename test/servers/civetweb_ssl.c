/**
 * Made as libssl.so and found by civetweb before the real one, to which it is linked: Debian 12's civetweb looks by name for a
 * function that OpenSSL 3 has under another one, and jumps to 0 on the first connection.
 */
#include <openssl/ssl.h>

#undef SSL_get_peer_certificate
X509 *SSL_get_peer_certificate(const SSL *ssl);

X509 *
SSL_get_peer_certificate(const SSL *ssl)
{
	return SSL_get1_peer_certificate(ssl);
}
