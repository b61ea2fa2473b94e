#include "lib/spool/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/hex.h"
#include "lib/spool/segment.h"

enum { NONCE_LEN = 12, FILE_LEN_MAX = 2 * SEAL_KEY_LEN + 2 };

struct seal {
	struct seal_key key;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *write;
	EVP_CIPHER_CTX *read;
};

/* RFC 5869 */
static bool
derive_from(const struct seal_secret *secret, const void *salt, size_t salt_len, const void *info, size_t info_len,
	uint8_t out[SEAL_KEY_LEN])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret->bytes, secret->len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	bool done = ctx != NULL && EVP_KDF_derive(ctx, out, SEAL_KEY_LEN, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return done;
}

static bool
derive(const uint8_t key[SEAL_KEY_LEN], const void *salt, size_t salt_len, const void *info, size_t info_len,
	uint8_t out[SEAL_KEY_LEN])
{
	struct seal_secret secret = { .len = SEAL_KEY_LEN };
	bool done;

	memcpy(secret.bytes, key, SEAL_KEY_LEN);
	done = derive_from(&secret, salt, salt_len, info, info_len, out);
	OPENSSL_cleanse(&secret, sizeof(secret));
	return done;
}

static int
name_key(struct seal_key *key)
{
	static const char salt[] = "millrace spool", info[] = "key id";
	uint8_t id[SEAL_KEY_LEN];

	if (!derive(key->bytes, salt, sizeof(salt) - 1, info, sizeof(info) - 1, id))
		return -EIO;
	memcpy(&key->id, id, sizeof(key->id));
	return 0;
}

static int
parse(struct seal_key *key, const char *text, size_t len)
{
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len != (size_t)2 * SEAL_KEY_LEN)
		return -EINVAL;
	for (unsigned int i = 0; i < SEAL_KEY_LEN; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		key->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return name_key(key);
}

int
seal_key_load_tpm(struct seal_key *key, const char *uri, const char *path)
{
	static const char salt[] = "millrace spool", info[] = "tpm2";
	struct seal_secret secret;
	int rc = seal_tpm_agree(&secret, uri, path);

	if (rc == 0 && !derive_from(&secret, salt, sizeof(salt) - 1, info, sizeof(info) - 1, key->bytes))
		rc = -EIO;
	OPENSSL_cleanse(&secret, sizeof(secret));
	return rc == 0 ? name_key(key) : rc;
}

int
seal_key_load(struct seal_key *key, const char *path)
{
	char text[FILE_LEN_MAX + 1];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t len = fstat(fd, &st) == 0 ? read(fd, text, sizeof(text)) : -1;
	int rc = len < 0 ? -errno : (st.st_mode & S_IROTH) != 0 ? -EPERM : parse(key, text, (size_t)len);

	close(fd);
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

int
seal_create(struct seal **out, const struct seal_key *key)
{
	struct seal *seal = calloc(1, sizeof(*seal));

	if (seal == NULL)
		return -ENOMEM;
	seal->key = *key;
	seal->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	seal->write = EVP_CIPHER_CTX_new();
	seal->read = EVP_CIPHER_CTX_new();
	if (seal->cipher == NULL || seal->write == NULL || seal->read == NULL) {
		int rc = seal->cipher == NULL ? -EIO : -ENOMEM;

		seal_destroy(seal);
		return rc;
	}
	*out = seal;
	return 0;
}

void
seal_destroy(struct seal *seal)
{
	if (seal == NULL)
		return;
	EVP_CIPHER_CTX_free(seal->write);
	EVP_CIPHER_CTX_free(seal->read);
	EVP_CIPHER_free(seal->cipher);
	OPENSSL_cleanse(seal, sizeof(*seal));
	free(seal);
}

bool
seal_begin(struct seal *seal, const struct segment_header *header)
{
	const uint64_t salt[2] = { header->salt, header->salt_more };
	const uint64_t info[2] = { header->lane, header->first };
	uint8_t key[SEAL_KEY_LEN];
	bool done = derive(seal->key.bytes, salt, sizeof(salt), info, sizeof(info), key) &&
		EVP_EncryptInit_ex2(seal->write, seal->cipher, key, NULL, NULL) == 1 &&
		EVP_DecryptInit_ex2(seal->read, seal->cipher, key, NULL, NULL) == 1;

	OPENSSL_cleanse(key, sizeof(key));
	return done;
}

static void
make_nonce(uint8_t nonce[NONCE_LEN], uint64_t seq)
{
	memset(nonce, 0, NONCE_LEN);
	memcpy(nonce + NONCE_LEN - sizeof(seq), &seq, sizeof(seq));
}

bool
seal_write(struct seal *seal, uint64_t seq, void *to, const void *line, uint32_t len)
{
	uint8_t nonce[NONCE_LEN];
	uint8_t *at = to;
	int done;

	make_nonce(nonce, seq);
	return EVP_EncryptInit_ex2(seal->write, NULL, NULL, nonce, NULL) == 1 &&
		EVP_EncryptUpdate(seal->write, at, &done, line, (int)len) == 1 && done == (int)len &&
		EVP_EncryptFinal_ex(seal->write, at + len, &done) == 1 &&
		EVP_CIPHER_CTX_ctrl(seal->write, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_LEN, at + len) == 1;
}

bool
seal_read(struct seal *seal, uint64_t seq, void *line, const void *from, uint32_t len)
{
	uint8_t nonce[NONCE_LEN];
	uint8_t tag[SEAL_TAG_LEN];
	uint8_t rest[SEAL_TAG_LEN];
	int done;

	make_nonce(nonce, seq);
	memcpy(tag, (const uint8_t *)from + len, sizeof(tag));
	return EVP_DecryptInit_ex2(seal->read, NULL, NULL, nonce, NULL) == 1 &&
		EVP_DecryptUpdate(seal->read, line, &done, from, (int)len) == 1 && done == (int)len &&
		EVP_CIPHER_CTX_ctrl(seal->read, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_LEN, tag) == 1 &&
		EVP_DecryptFinal_ex(seal->read, rest, &done) == 1;
}
