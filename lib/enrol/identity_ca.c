/* What the aggregator is checked with, brought up to date: an operator changes the CA without going to the boxes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/base/log.h"
#include "lib/enrol/identity_private.h"

enum { CA_CERTIFICATES_MAX = 16 };

static int
fail(char error[IDENTITY_ERROR_MAX], int err, const char *why)
{
	snprintf(error, IDENTITY_ERROR_MAX, "the CA that came with the certificate: %s", why);
	ERR_clear_error();
	return err;
}

/* @param bad out: something in it is no CA's certificate, or there are too many. @return the certificates; NULL: no memory */
static STACK_OF(X509) *
read_bundle(const char *text, size_t len, bool *bad)
{
	STACK_OF(X509) *found = sk_X509_new_null();
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	X509 *cert;

	*bad = false;
	while (found != NULL && bio != NULL && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		*bad |= X509_check_ca(cert) == 0 || sk_X509_num(found) == CA_CERTIFICATES_MAX;
		if (*bad || sk_X509_push(found, cert) == 0) {
			X509_free(cert);
			break;
		}
	}
	*bad |= found != NULL && sk_X509_num(found) == 0;
	BIO_free(bio);
	ERR_clear_error();
	return found;
}

static bool
share_one(const STACK_OF(X509) *a, const STACK_OF(X509) *b)
{
	for (int i = 0; i < sk_X509_num(a); i++)
		for (int k = 0; k < sk_X509_num(b); k++)
			if (X509_cmp(sk_X509_value(a, i), sk_X509_value(b, k)) == 0)
				return true;
	return false;
}

/* Whole, or what fits of it. @return bytes; 0: none */
static size_t
read_present(const char *dir, char text[IDENTITY_FILE_MAX])
{
	char path[IDENTITY_PATH_MAX];
	FILE *file;
	size_t len;

	if (snprintf(path, sizeof(path), "%s/" IDENTITY_CA_NAME, dir) >= (int)sizeof(path))
		return 0;
	file = fopen(path, "re");
	len = file == NULL ? 0 : fread(text, 1, IDENTITY_FILE_MAX, file);
	if (file != NULL)
		fclose(file);
	return len;
}

/* One that shares nothing with the present one is a mistake, at best: the sensor could be shut out by it for good. */
static int
judge(const char *next, const char *present, size_t present_len, char error[IDENTITY_ERROR_MAX])
{
	bool bad, bad_present;
	STACK_OF(X509) *wanted = read_bundle(next, strlen(next), &bad);
	STACK_OF(X509) *had = read_bundle(present, present_len, &bad_present);
	int err = 0;

	if (wanted == NULL || had == NULL)
		err = fail(error, -ENOMEM, "no memory");
	else if (bad)
		err = fail(error, -EBADMSG, "is not one to sixteen certificates of CAs");
	else if (!share_one(wanted, had))
		err = fail(error, -EBADMSG, "shares no certificate with the present one; it is not taken");
	sk_X509_pop_free(wanted, X509_free);
	sk_X509_pop_free(had, X509_free);
	return err;
}

int
enrol_identity_put_ca(const char *dir, const char *text, char error[IDENTITY_ERROR_MAX])
{
	char *present = malloc(IDENTITY_FILE_MAX);
	size_t len = strlen(text);
	size_t present_len;
	int err;

	if (present == NULL)
		return fail(error, -ENOMEM, "no memory");
	present_len = read_present(dir, present);
	if (len == present_len && memcmp(present, text, len) == 0) {
		free(present);
		return 0;
	}
	err = len >= IDENTITY_FILE_MAX ? fail(error, -EMSGSIZE, "is too long") : judge(text, present, present_len, error);
	free(present);
	if (err == 0) {
		const struct buf whole = { .data = (char *)text, .len = len };

		err = identity_put_file(dir, IDENTITY_CA_NAME, 0644, &whole, error);
	}
	if (err == 0)
		log_notice("enrol", "%s/" IDENTITY_CA_NAME " is new: the aggregator has changed what it is checked with", dir);
	return err;
}
