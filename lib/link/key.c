/* Engines are deprecated, and so is an EC key with a method of its own; a provider of ours would be the other way. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "lib/link/key.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/tpm.h"

enum { SHA256_LEN = 32, SHA384_LEN = 48, HELD_KEYS = 2 };

/* A key as it was named, and loaded. */
struct held {
	char *text; /* NULL: this place is free */
	EVP_PKEY *key;
};

/*
 * Read-only once it is open, but for the TPM behind it, which is asked under the lock, and the keys held: a TPM without a resource
 * manager has room for three, and making one takes two. So the key in use and the one that follows it are loaded once.
 */
static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	struct tpm tpm;
	bool open;
	EC_KEY_METHOD *method;
	int inner; /* place of the TPM's own key in an EC_KEY */
	struct held held[HELD_KEYS]; /* the one used last is first */
} shared = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP };

static const char pem_begin[] = "-----BEGIN TSS2 PRIVATE KEY-----";
static const char pem_end[] = "-----END TSS2 PRIVATE KEY-----";
static const char no_tpm[] = "is in a TPM, and there is none, or no OpenSSL provider tpm2 (package tpm2-openssl)";

static int
sign_by(EVP_PKEY *key, const unsigned char *digest, int digest_len, unsigned char *out, unsigned int *out_len)
{
	const EVP_MD *md = digest_len == SHA256_LEN ? EVP_sha256() : digest_len == SHA384_LEN ? EVP_sha384() : NULL;
	EVP_PKEY_CTX *ctx = md == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(shared.tpm.library, key, tpm_properties);
	size_t len = *out_len;
	bool good = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
		EVP_PKEY_sign(ctx, out, &len, digest, (size_t)digest_len) == 1;

	EVP_PKEY_CTX_free(ctx);
	*out_len = (unsigned int)len;
	return good;
}

static int
sign(int type, const unsigned char *digest, int digest_len, unsigned char *out, unsigned int *out_len, const BIGNUM *kinv,
	const BIGNUM *r, EC_KEY *key)
{
	EVP_PKEY *inner = EC_KEY_get_ex_data(key, shared.inner);
	char reason[TPM_REASON_MAX];

	*out_len = (unsigned int)ECDSA_size(key);
	pthread_mutex_lock(&shared.lock);
	int good = inner != NULL && sign_by(inner, digest, digest_len, out, out_len);

	pthread_mutex_unlock(&shared.lock);
	if (!good) {
		tpm_reason(reason);
		log_warning("link", "the TPM does not sign: %s", reason);
	}
	return good;
}

static void
free_inner(void *parent, void *inner, CRYPTO_EX_DATA *data, int place, long number, void *arg)
{
	pthread_mutex_lock(&shared.lock);
	EVP_PKEY_free(inner);
	pthread_mutex_unlock(&shared.lock);
}

static void
let_go(struct held *held)
{
	free(held->text);
	EVP_PKEY_free(held->key);
	*held = (struct held){ .text = NULL };
}

/* Without a resource manager a key stays in the TPM when the process goes. */
static void
let_all_go(void)
{
	for (unsigned int i = 0; i < HELD_KEYS; i++)
		let_go(&shared.held[i]);
}

static void
open_shared(void)
{
	char reason[TPM_REASON_MAX];

	if (tpm_open(&shared.tpm) != 0) {
		tpm_reason(reason);
		log_error("link", "OpenSSL's provider tpm2, or the TPM: %s", reason);
		tpm_close(&shared.tpm);
		return;
	}
	shared.inner = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_EC_KEY, 0, NULL, NULL, NULL, free_inner);
	shared.method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	if (shared.inner < 0 || shared.method == NULL)
		return;
	EC_KEY_METHOD_set_sign(shared.method, sign, NULL, NULL);
	shared.open = atexit(let_all_go) == 0;
}

static bool
is_open(void)
{
	pthread_once(&shared.once, open_shared);
	return shared.open;
}

/* The public half as a key of OpenSSL's own, which asks the inner key for signatures. @param inner taken */
static EVP_PKEY *
wrap(EVP_PKEY *inner)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(inner, &der);
	const unsigned char *at = der;
	EVP_PKEY *half = len > 0 ? d2i_PUBKEY(NULL, &at, len) : NULL;
	EC_KEY *ec = half == NULL ? NULL : EVP_PKEY_get1_EC_KEY(half);
	EVP_PKEY *key = ec == NULL ? NULL : EVP_PKEY_new();

	OPENSSL_free(der);
	EVP_PKEY_free(half);
	if (key == NULL || EC_KEY_set_method(ec, shared.method) != 1 || EC_KEY_set_ex_data(ec, shared.inner, inner) != 1) {
		EVP_PKEY_free(inner);
		EC_KEY_free(ec);
		EVP_PKEY_free(key);
		return NULL;
	}
	if (EVP_PKEY_assign_EC_KEY(key, ec) != 1) {
		EC_KEY_free(ec);
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

/* @param text taken */
static void
hold(char *text, EVP_PKEY *key)
{
	if (text == NULL || key == NULL || EVP_PKEY_up_ref(key) != 1) {
		free(text);
		return;
	}
	let_go(&shared.held[HELD_KEYS - 1]);
	memmove(&shared.held[1], &shared.held[0], (HELD_KEYS - 1) * sizeof(shared.held[0]));
	shared.held[0] = (struct held){ text, key };
}

static EVP_PKEY *
find_held(const char *text)
{
	for (unsigned int i = 0; i < HELD_KEYS; i++) {
		struct held found = shared.held[i];

		if (found.text == NULL || strcmp(found.text, text) != 0 || EVP_PKEY_up_ref(found.key) != 1)
			continue;
		memmove(&shared.held[1], &shared.held[0], i * sizeof(found));
		shared.held[0] = found;
		return found.key;
	}
	return NULL;
}

static EVP_PKEY *
load(const char *text)
{
	EVP_PKEY *inner = link_key_is_handle(text) ? tpm_load(&shared.tpm, text) : tpm_read(&shared.tpm, text, strlen(text));

	if (inner != NULL && tpm_holds(&shared.tpm, inner) && EVP_PKEY_is_a(inner, "EC") == 1)
		return wrap(inner);
	EVP_PKEY_free(inner);
	return NULL;
}

/* The handle, or the key's lines alone. @return NULL: no memory, or it does not end */
static char *
text_of_tpm(const char *text)
{
	const char *begin = link_key_is_handle(text) ? text : strstr(text, pem_begin);
	const char *end = begin == text && link_key_is_handle(text) ? text + strlen(text) : strstr(begin, pem_end);

	if (end != NULL && *end != '\0')
		end += strlen(pem_end);
	return end == NULL ? NULL : strndup(begin, (size_t)(end - begin));
}

static EVP_PKEY *
read_tpm(const char *text, const char **why)
{
	char *own;
	EVP_PKEY *key = NULL;

	*why = no_tpm;
	if (!is_open())
		return NULL;
	*why = "is no key of this machine's TPM";
	own = text_of_tpm(text);
	if (own == NULL)
		return NULL;
	pthread_mutex_lock(&shared.lock);
	key = find_held(own);
	if (key == NULL) {
		key = load(own);
		hold(own, key);
		own = NULL;
	}
	pthread_mutex_unlock(&shared.lock);
	free(own);
	return key;
}

bool
link_key_is_handle(const char *name)
{
	return strncmp(name, "handle:", strlen("handle:")) == 0;
}

bool
link_key_needs_tpm(const char *text)
{
	return link_key_is_handle(text) || strstr(text, pem_begin) != NULL;
}

EVP_PKEY *
link_key_read(const char *text, size_t len, const char **why)
{
	BIO *bio;
	EVP_PKEY *key;

	if (link_key_needs_tpm(text))
		return read_tpm(text, why);
	bio = BIO_new_mem_buf(text, (int)len);
	key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
	BIO_free(bio);
	*why = "is no PEM key without a passphrase";
	return key;
}

EVP_PKEY *
link_key_make_tpm(const char **why)
{
	char reason[TPM_REASON_MAX];
	EVP_PKEY *inner;

	*why = no_tpm;
	if (!is_open())
		return NULL;
	pthread_mutex_lock(&shared.lock);
	let_go(&shared.held[1]);
	inner = EVP_PKEY_Q_keygen(shared.tpm.library, tpm_properties, "EC", "P-256");
	pthread_mutex_unlock(&shared.lock);
	if (inner != NULL && tpm_holds(&shared.tpm, inner))
		return wrap(inner);
	EVP_PKEY_free(inner);
	tpm_reason(reason);
	log_error("link", "the TPM makes no key: %s", reason);
	*why = "cannot be made in the TPM";
	return NULL;
}

static EVP_PKEY *
inner_of(const EVP_PKEY *key)
{
	const EC_KEY *ec = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? EVP_PKEY_get0_EC_KEY(key) : NULL;

	return ec == NULL || !shared.open || EC_KEY_get_method(ec) != shared.method ? NULL : EC_KEY_get_ex_data(ec, shared.inner);
}

bool
link_key_is_of_tpm(const EVP_PKEY *key)
{
	return inner_of(key) != NULL;
}

int
link_key_put_tpm(EVP_PKEY *key, struct buf *out)
{
	EVP_PKEY *inner = inner_of(key);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	int err = -ENOMEM;

	if (inner == NULL || bio == NULL) {
		BIO_free(bio);
		return inner == NULL ? -EINVAL : -ENOMEM;
	}
	pthread_mutex_lock(&shared.lock);
	if (PEM_write_bio_PrivateKey(bio, inner, NULL, NULL, 0, NULL, NULL) == 1) {
		size_t len = (size_t)BIO_get_mem_data(bio, &data);

		buf_put(out, data, len);
		err = out->full ? -ENOMEM : 0;
		/* As it will be asked for: without the end of its last line. */
		hold(strndup(data, len > 0 ? len - 1 : 0), key);
	}
	pthread_mutex_unlock(&shared.lock);
	BIO_free(bio);
	return err;
}

bool
link_key_use(SSL_CTX *ctx, const char *cert, size_t cert_len, const char *key, size_t key_len)
{
	const char *why;
	BIO *bio = BIO_new_mem_buf(cert, (int)cert_len);
	X509 *leaf = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	EVP_PKEY *own = link_key_read(key, key_len, &why);
	bool good = leaf != NULL && own != NULL && SSL_CTX_use_certificate(ctx, leaf) == 1 && SSL_CTX_use_PrivateKey(ctx, own) == 1;
	X509 *next;

	/* The rest of the file is the chain. */
	while (good && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(ctx, next) != 1) {
			X509_free(next);
			good = false;
		}
	X509_free(leaf);
	EVP_PKEY_free(own);
	BIO_free(bio);
	return good;
}
