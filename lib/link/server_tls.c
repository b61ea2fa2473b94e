#include "lib/link/server_tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "lib/base/log.h"

static const char ciphers_12[] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
static const char ciphers_13[] = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
/* No finite fields: the short ones are weak, and the long ones let a stranger have 6 ms of a core for each hello. */
static const char groups[] = "X25519:P-256:P-384";

static int
failed(const struct link_server_config *config, const char *what, const char *file)
{
	unsigned long first = ERR_peek_error(); /* a file that cannot be read; the last says "system lib" of it */
	char reason[160];

	if (ERR_SYSTEM_ERROR(first))
		snprintf(reason, sizeof(reason), "%s", strerror(ERR_GET_REASON(first)));
	else if (ERR_GET_LIB(first) == ERR_LIB_PEM)
		snprintf(reason, sizeof(reason), "is no PEM of that kind: %s", ERR_reason_error_string(first));
	else
		ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
	log_error("link", "%s: %s: %s: %s", config->topic, what, file, reason);
	ERR_clear_error();
	return -EINVAL;
}

static const char *
cert_name(const struct link_server_config *config)
{
	return config->cert_name == NULL ? "tls.cert" : config->cert_name;
}

static const char *
key_name(const struct link_server_config *config)
{
	return config->key_name == NULL ? "tls.key" : config->key_name;
}

/* They are read again when they change, by the thread that serves: of a pipe it would wait for the other end. */
static int
check_plain(const struct link_server_config *config)
{
	const char *const files[][2] = { { cert_name(config), config->cert }, { key_name(config), config->key },
		{ "tls.ca", config->client_ca } };
	struct stat status;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (files[i][1] == NULL || stat(files[i][1], &status) != 0 || S_ISREG(status.st_mode))
			continue;
		log_error("link", "%s: %s: %s: is no plain file", config->topic, files[i][0], files[i][1]);
		return -EINVAL;
	}
	return 0;
}

static int
ask_clients(SSL_CTX *context, const struct link_server_config *config)
{
	STACK_OF(X509_NAME) *names;

	if (SSL_CTX_load_verify_file(context, config->client_ca) != 1)
		return failed(config, "tls.ca", config->client_ca);
	names = SSL_load_client_CA_file(config->client_ca);
	if (names == NULL)
		return failed(config, "tls.ca", config->client_ca);
	SSL_CTX_set_client_CA_list(context, names);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

int
server_tls_create(SSL_CTX **out, const struct link_server_config *config)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int err = 0;

	if (context == NULL)
		return -ENOMEM;
	/* No resumption: a certificate is checked on every connection. */
	SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
		SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(context, ciphers_12) != 1 || SSL_CTX_set_ciphersuites(context, ciphers_13) != 1 ||
	    SSL_CTX_set1_groups_list(context, groups) != 1)
		err = failed(config, "tls", "ciphers");
	if (err == 0)
		err = check_plain(config);
	if (err == 0 && SSL_CTX_use_certificate_chain_file(context, config->cert) != 1)
		err = failed(config, cert_name(config), config->cert);
	if (err == 0 && SSL_CTX_use_PrivateKey_file(context, config->key, SSL_FILETYPE_PEM) != 1)
		err = failed(config, key_name(config), config->key);
	if (err == 0 && SSL_CTX_check_private_key(context) != 1)
		err = failed(config, key_name(config), config->key);
	if (err == 0 && config->client_ca != NULL)
		err = ask_clients(context, config);
	if (err != 0) {
		SSL_CTX_free(context);
		return err;
	}
	*out = context;
	return 0;
}

bool
server_tls_changed(struct server_tls_files *files, const struct link_server_config *config)
{
	const char *const paths[] = { config->cert, config->key, config->client_ca };
	struct server_tls_files before = *files;
	struct stat status;

	/* One that is missing, as between two steps of its replacement, is another, too. */
	memset(files, 0, sizeof(*files));
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i] == NULL || stat(paths[i], &status) != 0)
			continue;
		files->at[i].inode = status.st_ino;
		files->at[i].size = status.st_size;
		files->at[i].changed = status.st_mtim;
	}
	return memcmp(&before, files, sizeof(before)) != 0;
}

time_t
server_tls_end(const SSL_CTX *context)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(context)), &tm) == 1 ? timegm(&tm) : 0;
}

bool
server_tls_name(const X509 *certificate, char name[BATCH_SENSOR_MAX + 1])
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *text;
	int len;

	/* Two common names would let a reader choose. */
	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return false;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	len = ASN1_STRING_length(text);
	if (len < 1 || len > BATCH_SENSOR_MAX)
		return false;
	memcpy(name, ASN1_STRING_get0_data(text), (size_t)len);
	name[len] = '\0';
	return strlen(name) == (size_t)len && batch_sensor_valid(name);
}

bool
server_tls_serial(const X509 *certificate, char serial[LINK_SERIAL_MAX + 1])
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(certificate);
	const unsigned char *bytes = ASN1_STRING_get0_data(number);
	int len = ASN1_STRING_length(number);

	if (len < 1 || 2 * len > LINK_SERIAL_MAX)
		return false;
	for (int i = 0; i < len; i++)
		snprintf(serial + 2 * i, 3, "%02X", bytes[i]);
	return true;
}

const X509 *
server_tls_certificate(const SSL *ssl)
{
	return SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl) : NULL;
}
