#include "app/bench/sender_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { PATH_LEN_MAX = 1024, LIFETIME_S = 86400 };

struct sender_tls {
	SSL_CTX *context;
	X509 *ca;
	EVP_PKEY *ca_key;
	EVP_PKEY *key;
	long serial;
};

static int
read_ca(struct sender_tls *tls, const char *pki)
{
	char path[PATH_LEN_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/ca.pem", pki);
	if (SSL_CTX_load_verify_file(tls->context, path) != 1)
		return -EINVAL;
	file = fopen(path, "re");
	tls->ca = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
	if (file != NULL)
		fclose(file);
	snprintf(path, sizeof(path), "%s/ca.key", pki);
	file = fopen(path, "re");
	tls->ca_key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);
	if (file != NULL)
		fclose(file);
	return tls->ca == NULL || tls->ca_key == NULL ? -EINVAL : 0;
}

int
sender_tls_create(struct sender_tls **out, const char *pki, bool http2)
{
	struct sender_tls *tls = calloc(1, sizeof(*tls));
	int err;

	if (tls == NULL)
		return -ENOMEM;
	tls->serial = 1L << 32;
	tls->context = SSL_CTX_new(TLS_client_method());
	tls->key = EVP_EC_gen("P-256");
	err = tls->context == NULL || tls->key == NULL ? -ENOMEM : read_ca(tls, pki);
	if (err != 0) {
		fprintf(stderr, "millrace-bench: %s: no ca.pem and ca.key that can be read\n", pki);
		ERR_clear_error();
		sender_tls_destroy(tls);
		return err;
	}
	if (http2)
		(void)SSL_CTX_set_alpn_protos(tls->context, (const unsigned char *)"\x02h2", 3);
	SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
	*out = tls;
	return 0;
}

void
sender_tls_destroy(struct sender_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	X509_free(tls->ca);
	EVP_PKEY_free(tls->ca_key);
	EVP_PKEY_free(tls->key);
	free(tls);
}

static X509 *
issue(struct sender_tls *tls, const char *name)
{
	X509 *certificate = X509_new();
	bool done = certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
		ASN1_INTEGER_set(X509_get_serialNumber(certificate), tls->serial++) == 1 &&
		X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(certificate), LIFETIME_S) != NULL &&
		X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)name,
			-1, -1, 0) == 1 &&
		X509_set_issuer_name(certificate, X509_get_subject_name(tls->ca)) == 1 &&
		X509_set_pubkey(certificate, tls->key) == 1 && X509_sign(certificate, tls->ca_key, EVP_sha384()) > 0;

	if (!done) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

SSL *
sender_tls_connect(struct sender_tls *tls, const char *name)
{
	X509 *certificate = issue(tls, name);
	SSL *ssl = certificate == NULL ? NULL : SSL_new(tls->context);

	if (ssl != NULL && (SSL_use_certificate(ssl, certificate) != 1 || SSL_use_PrivateKey(ssl, tls->key) != 1 ||
	    SSL_set1_host(ssl, "localhost") != 1)) {
		SSL_free(ssl);
		ssl = NULL;
	}
	X509_free(certificate);
	return ssl;
}
