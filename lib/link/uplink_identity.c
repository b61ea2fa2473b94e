#include "lib/link/uplink_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/link/key.h"

static int
read_file(struct identity *identity, enum identity_file which, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* of a pipe, open(2) would wait for its other end */
	struct stat stat;
	size_t len = 0;

	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &stat) != 0 ? -errno : S_ISDIR(stat.st_mode) ? -EISDIR : !S_ISREG(stat.st_mode) ? -ESPIPE
		: stat.st_size > IDENTITY_FILE_LEN_MAX ? -EFBIG : 0;
	char *text = rc == 0 ? malloc((size_t)stat.st_size + 1) : NULL;

	if (rc == 0 && text == NULL)
		rc = -ENOMEM;
	while (rc == 0 && len < (size_t)stat.st_size) {
		ssize_t n = read(fd, text + len, (size_t)stat.st_size - len);

		if (n <= 0)
			rc = n == 0 ? -EAGAIN : -errno;
		else
			len += (size_t)n;
	}
	close(fd);
	if (rc != 0) {
		free(text);
		return rc;
	}
	text[len] = '\0';
	identity->text[which] = text;
	identity->len[which] = len;
	identity->modified[which] = stat.st_mtim;
	identity->inode[which] = stat.st_ino;
	return 0;
}

/* A key of a TPM that has a name and no file. */
static int
read_handle(struct identity *identity, const char *name)
{
	identity->text[IDENTITY_KEY] = strdup(name);
	identity->len[IDENTITY_KEY] = strlen(name);
	return identity->text[IDENTITY_KEY] == NULL ? -ENOMEM : 0;
}

static time_t
end_of(X509 *cert)
{
	struct tm tm;

	return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1 ? timegm(&tm) : 0;
}

static BIO *
text_bio(const struct identity *identity, enum identity_file which)
{
	return BIO_new_mem_buf(identity->text[which], (int)identity->len[which]);
}

/* The one that ends first counts. @return how many there are */
static unsigned int
read_ca(struct identity *identity)
{
	BIO *bio = text_bio(identity, IDENTITY_CA);
	unsigned int count = 0;
	X509 *cert;

	while (bio != NULL && (cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		time_t end = end_of(cert);

		if (count++ == 0 || end < identity->ca_not_after)
			identity->ca_not_after = end;
		X509_free(cert);
	}
	BIO_free(bio);
	return count;
}

static const char *
check_pair(struct identity *identity, enum identity_file *bad)
{
	BIO *cert_bio = text_bio(identity, IDENTITY_CERT);
	X509 *cert = cert_bio == NULL ? NULL : PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
	const char *why_no_key = NULL;
	EVP_PKEY *key = link_key_read(identity->text[IDENTITY_KEY], identity->len[IDENTITY_KEY], &why_no_key);
	const char *why = NULL;
	int name_len = cert == NULL ? -1 : X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
		identity->sensor, sizeof(identity->sensor));

	*bad = IDENTITY_CERT;
	if (cert == NULL)
		why = "is no PEM certificate";
	else if (name_len <= 0 || !batch_sensor_valid(identity->sensor))
		why = "has no subject CN that could name a sensor";
	else {
		identity->not_after = end_of(cert);
		*bad = IDENTITY_KEY;
		if (key == NULL)
			why = why_no_key;
		else if (X509_check_private_key(cert, key) != 1)
			why = "is not the key of uplink.cert";
	}
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(cert_bio);
	return why;
}

int
identity_load(struct identity *out, const struct identity_paths *paths, enum identity_file *bad, const char **why)
{
	struct identity identity = { 0 };
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < IDENTITY_FILES; i++) {
		*bad = i;
		rc = i == IDENTITY_KEY && link_key_is_handle(paths->at[i]) ? read_handle(&identity, paths->at[i]) :
			read_file(&identity, i, paths->at[i]);
		*why = rc == -ESPIPE ? "is no plain file, as one must be that is read again" : strerror(-rc);
	}
	if (rc == 0) {
		*why = check_pair(&identity, bad);
		rc = *why == NULL ? 0 : -EINVAL;
	}
	if (rc == 0 && read_ca(&identity) == 0) {
		*bad = IDENTITY_CA;
		*why = "holds no PEM certificate";
		rc = -EINVAL;
	}
	ERR_clear_error();
	if (rc != 0) {
		identity_free(&identity);
		return rc;
	}
	*out = identity;
	return 0;
}

void
identity_free(struct identity *identity)
{
	for (unsigned int i = 0; i < IDENTITY_FILES; i++) {
		if (identity->text[i] != NULL)
			OPENSSL_cleanse(identity->text[i], identity->len[i]);
		free(identity->text[i]);
		identity->text[i] = NULL;
	}
}

bool
identity_changed(const struct identity *identity, const struct identity_paths *paths)
{
	for (unsigned int i = 0; i < IDENTITY_FILES; i++) {
		struct stat now;

		/* A file that is gone for a moment is about to be replaced. */
		if (stat(paths->at[i], &now) != 0)
			continue;
		if (now.st_ino != identity->inode[i] || now.st_mtim.tv_sec != identity->modified[i].tv_sec ||
			now.st_mtim.tv_nsec != identity->modified[i].tv_nsec || (size_t)now.st_size != identity->len[i])
			return true;
	}
	return false;
}
