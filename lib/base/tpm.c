#include "lib/base/tpm.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <stdio.h>

const char tpm_properties[] = "?provider=tpm2";

int
tpm_open(struct tpm *tpm)
{
	*tpm = (struct tpm){ .library = OSSL_LIB_CTX_new() };
	if (tpm->library != NULL)
		tpm->standard = OSSL_PROVIDER_load(tpm->library, "default");
	if (tpm->standard != NULL)
		tpm->provider = OSSL_PROVIDER_load(tpm->library, "tpm2");
	return tpm->provider == NULL ? -ENODEV : 0;
}

void
tpm_close(struct tpm *tpm)
{
	if (tpm->provider != NULL)
		OSSL_PROVIDER_unload(tpm->provider);
	if (tpm->standard != NULL)
		OSSL_PROVIDER_unload(tpm->standard);
	OSSL_LIB_CTX_free(tpm->library);
	*tpm = (struct tpm){ 0 };
}

static EVP_PKEY *
first_key(OSSL_STORE_CTX *store)
{
	EVP_PKEY *key = NULL;

	while (store != NULL && key == NULL && OSSL_STORE_eof(store) == 0) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info == NULL)
			break;
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return key;
}

EVP_PKEY *
tpm_load(const struct tpm *tpm, const char *uri)
{
	return first_key(OSSL_STORE_open_ex(uri, tpm->library, tpm_properties, NULL, NULL, NULL, NULL, NULL));
}

EVP_PKEY *
tpm_read(const struct tpm *tpm, const char *text, size_t len)
{
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *key = bio == NULL ? NULL :
		first_key(OSSL_STORE_attach(bio, "file", tpm->library, tpm_properties, NULL, NULL, NULL, NULL, NULL));

	BIO_free(bio);
	return key;
}

bool
tpm_holds(const struct tpm *tpm, const EVP_PKEY *key)
{
	return EVP_PKEY_get0_provider(key) == tpm->provider;
}

void
tpm_reason(char out[TPM_REASON_MAX])
{
	const char *data = NULL;
	int flags = 0;
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	bool more;

	ERR_peek_last_error_data(&data, &flags);
	more = data != NULL && (flags & ERR_TXT_STRING) != 0 && data[0] != '\0';
	snprintf(out, TPM_REASON_MAX, "%s%s%s", reason == NULL ? "failed" : reason, more ? ": " : "", more ? data : "");
	ERR_clear_error();
}
