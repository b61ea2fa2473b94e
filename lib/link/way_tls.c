/* TLS on a way: to an HTTPS proxy, and to the aggregator when a way is tested. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/link/key.h"
#include "lib/link/way_stream.h"

enum { SECURITY_LEVEL = 2 }; /* whatever the machine's own setting: no RSA below 2048 bits, no SHA-1 */

static const char tls12_ciphers[] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

enum way_error
way_verify_error(long verify)
{
	switch (verify) {
	case X509_V_OK:
		return WAY_DONE;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return WAY_TLS_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return WAY_TLS_NOT_YET;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return WAY_TLS_NAME;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return WAY_TLS_WEAK;
	case X509_V_ERR_CERT_REVOKED:
		return WAY_TLS_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
		return WAY_TLS_CRL;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_INVALID_CA:
		return WAY_TLS_UNKNOWN_CA;
	default:
		return WAY_TLS_FAILED;
	}
}

static bool
is_address(const char *host)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* As libcurl's CURLOPT_CRLFILE: every certificate of the chain is looked up. */
static bool
use_crl(SSL_CTX *ctx, const char *crl)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	return X509_STORE_load_file(store, crl) == 1 && X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1;
}

/* The dot at the end of a name is DNS's (RFC 6066 3): no certificate has it. */
static bool
set_name(SSL *ssl, const char *host)
{
	char name[NI_MAXHOST];
	size_t len = strlen(host);

	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len + 1);
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

static SSL *
make_ssl(const struct way_tls *tls, const char *host, struct way_failure *fail)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = NULL;

	if (ctx != NULL)
		SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
		SSL_CTX_set_cipher_list(ctx, tls12_ciphers) != 1)
		way_fail(fail, WAY_INTERNAL, "%s: no TLS", host);
	else if (SSL_CTX_load_verify_file(ctx, tls->ca) != 1)
		way_fail(fail, WAY_TLS_UNKNOWN_CA, "%s holds no CA certificates", tls->ca);
	else if (tls->crl != NULL && tls->crl[0] != '\0' && !use_crl(ctx, tls->crl))
		way_fail(fail, WAY_TLS_CRL, "%s holds no revocation list", tls->crl);
	else if (tls->cert != NULL && !link_key_use(ctx, tls->cert, tls->cert_len, tls->key, tls->key_len))
		way_fail(fail, WAY_TLS_CLIENT, "the own certificate and key do not fit each other");
	else
		ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (ssl == NULL)
		return NULL;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_connect_state(ssl);
	if (is_address(host))
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	else if (!set_name(ssl, host)) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

static enum way_error
handshake_error(long verify, unsigned long code)
{
	int reason = ERR_GET_REASON(code);

	if (verify != X509_V_OK)
		return way_verify_error(verify);
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_UNEXPECTED_MESSAGE:
		return WAY_TLS_GARBAGE;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
		return WAY_TLS_VERSION;
	case SSL_R_DH_KEY_TOO_SMALL:
	case SSL_R_EE_KEY_TOO_SMALL:
		return WAY_TLS_WEAK;
	default:
		/* The reasons of alerts the other end sent. */
		return reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256 ? WAY_TLS_CLIENT : WAY_TLS_FAILED;
	}
}

static void
fail_handshake(struct way_failure *fail, SSL *ssl, const char *host, int rc)
{
	unsigned long code = ERR_peek_last_error();
	long verify = SSL_get_verify_result(ssl);
	char reason[128];

	if (rc == -ETIMEDOUT) {
		way_fail(fail, WAY_TLS_TIMEOUT, "%s: no answer in the handshake", host);
	} else if (rc == -ECANCELED) {
		way_fail(fail, WAY_CANCELLED, "%s: given up", host);
	} else if (verify == X509_V_OK && code == 0) {
		way_fail(fail, WAY_TLS_CLOSED, "%s: hung up in the handshake", host);
	} else if (verify == X509_V_OK && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		way_fail(fail, WAY_TLS_CLOSED, "%s: hung up in the handshake", host);
	} else {
		ERR_error_string_n(code, reason, sizeof(reason));
		way_fail(fail, handshake_error(verify, code), "%s: %s", host,
			verify != X509_V_OK ? X509_verify_cert_error_string(verify) : reason);
	}
}

/* As libcurl's CURLOPT_PINNEDPUBLICKEY: the SHA-256 of the public key, one of several. */
static bool
pin_matches(SSL *ssl, const char *pins)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	uint8_t *der = NULL;
	int len = cert == NULL ? -1 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char text[64];
	struct buf found = { .data = text, .cap = sizeof(text) };

	if (len <= 0)
		return false;
	SHA256(der, (size_t)len, digest);
	OPENSSL_free(der);
	buf_puts(&found, "sha256//");
	buf_base64(&found, digest, sizeof(digest));
	while (*pins != '\0') {
		size_t pin_len = strcspn(pins, ";");

		if (pin_len == found.len && memcmp(pins, found.data, found.len) == 0)
			return true;
		pins += pin_len + (pins[pin_len] == ';');
	}
	return false;
}

static int
handshake(struct way_stream *stream, SSL *ssl)
{
	for (;;) {
		ERR_clear_error();
		int rc = SSL_do_handshake(ssl);

		if (rc == 1)
			return 0;
		int want = SSL_get_error(ssl, rc);

		if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE)
			return -EPIPE;
		rc = way_stream_wait(stream, want == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN);
		if (rc != 0)
			return rc;
	}
}

int
way_stream_tls(struct way_stream *stream, const struct way_tls *tls, const char *host, struct way_failure *fail)
{
	SSL *ssl = make_ssl(tls, host, fail);
	BIO *bio = ssl == NULL ? NULL : BIO_new(BIO_f_ssl());

	if (bio == NULL) {
		if (ssl != NULL)
			way_fail(fail, WAY_INTERNAL, "no memory");
		SSL_free(ssl);
		return -1;
	}
	/* From here the new BIO owns the TLS, and that what is below. */
	SSL_set_bio(ssl, stream->top, stream->top);
	BIO_set_ssl(bio, ssl, BIO_CLOSE);
	stream->top = bio;
	int rc = handshake(stream, ssl);

	if (rc != 0) {
		fail_handshake(fail, ssl, host, rc);
		ERR_clear_error();
		return -1;
	}
	if (tls->pin != NULL && tls->pin[0] != '\0' && !pin_matches(ssl, tls->pin)) {
		way_fail(fail, WAY_TLS_PIN, "%s: the server's public key is not the pinned one", host);
		return -1;
	}
	return 0;
}

SSL *
way_stream_ssl(const struct way_stream *stream)
{
	SSL *ssl = NULL;

	if (BIO_method_type(stream->top) == BIO_TYPE_SSL)
		BIO_get_ssl(stream->top, &ssl);
	return ssl;
}
