#include "lib/enrol/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/base/buf.h"
#include "lib/base/folder.h"
#include "lib/enrol/csr.h"
#include "lib/enrol/identity_private.h"
#include "lib/link/key.h"

#define PENDING "pending.key"
#define IDENTITY "identity.pem"
#define SENSOR "sensor.json"

static int
fail(char error[IDENTITY_ERROR_MAX], int err, const char *file, const char *why)
{
	snprintf(error, IDENTITY_ERROR_MAX, "%.150s: %.90s", file, why);
	ERR_clear_error();
	return err;
}

static int
path_of(char out[IDENTITY_PATH_MAX], const char *dir, const char *name, char error[IDENTITY_ERROR_MAX])
{
	int len = snprintf(out, IDENTITY_PATH_MAX, "%s/%s", dir, name);

	return len < IDENTITY_PATH_MAX - 8 ? 0 : fail(error, -ENAMETOOLONG, dir, strerror(ENAMETOOLONG));
}

int
enrol_identity_make_dir(const char *dir, char error[IDENTITY_ERROR_MAX])
{
	int err = folder_make(dir, 0700);

	return err == 0 ? 0 : fail(error, err, dir, strerror(-err));
}

static int
sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd) != 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

static int
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);

		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		data += done;
		len -= (size_t)done;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

int
identity_put_file(const char *dir, const char *name, mode_t mode, const struct buf *text, char error[IDENTITY_ERROR_MAX])
{
	char path[IDENTITY_PATH_MAX];
	char temporary[IDENTITY_PATH_MAX + 8];
	int err = path_of(path, dir, name, error);
	int fd;

	if (err != 0)
		return err;
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	(void)unlink(temporary);
	fd = folder_make_file(temporary, path, mode);
	err = fd < 0 ? fd : write_all(fd, text->data, text->len);
	if (fd >= 0 && close(fd) != 0 && err == 0)
		err = -errno;
	if (err == 0 && rename(temporary, path) != 0)
		err = -errno;
	if (err == 0)
		err = sync_dir(dir);
	return err == 0 ? 0 : fail(error, err, path, strerror(-err));
}

/* ---- keys ---- */

int
enrol_identity_read(struct buf *text, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : buf_create(text, IDENTITY_FILE_MAX + 1);
	ssize_t len = 0;

	while (err == 0 && text->len < IDENTITY_FILE_MAX && (len = read(fd, text->data + text->len, IDENTITY_FILE_MAX - text->len)) > 0)
		text->len += (size_t)len;
	if (fd >= 0)
		close(fd);
	if (err == 0)
		text->data[text->len] = '\0';
	return err;
}

int
enrol_identity_read_pair(const struct enrol_identity *identity, EVP_PKEY **key, X509 **cert, char error[IDENTITY_ERROR_MAX])
{
	struct buf text = { 0 };
	const char *why = "cannot be read";
	bool there = enrol_identity_read(&text, identity->pem) == 0;
	BIO *bio = there ? BIO_new_mem_buf(text.data, (int)text.len) : NULL;

	*cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	*key = *cert == NULL ? NULL : link_key_read(text.data, text.len, &why);
	BIO_free(bio);
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_destroy(&text);
	if (*key != NULL)
		return 0;
	X509_free(*cert);
	*cert = NULL;
	return fail(error, -EINVAL, identity->pem, why);
}

static EVP_PKEY *
read_key(const char *path)
{
	struct buf text = { 0 };
	const char *why;
	EVP_PKEY *key = enrol_identity_read(&text, path) == 0 ? link_key_read(text.data, text.len, &why) : NULL;

	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_destroy(&text);
	ERR_clear_error();
	return key;
}

static int
put_key(EVP_PKEY *key, struct buf *out)
{
	return link_key_is_of_tpm(key) ? link_key_put_tpm(key, out) : csr_put_key(key, out);
}

int
enrol_identity_pending_key(EVP_PKEY **key, const char *dir, bool tpm, char error[IDENTITY_ERROR_MAX])
{
	char path[IDENTITY_PATH_MAX];
	char text[CSR_KEY_PEM_MAX];
	struct buf pem = { .data = text, .cap = sizeof(text) };
	const char *why = "cannot make a key";
	int err = path_of(path, dir, PENDING, error);

	if (err != 0)
		return err;
	*key = read_key(path);
	if (*key != NULL && link_key_is_of_tpm(*key) == tpm)
		return 0;
	EVP_PKEY_free(*key);
	*key = tpm ? link_key_make_tpm(&why) : csr_make_key();
	if (*key == NULL || put_key(*key, &pem) != 0)
		err = fail(error, tpm ? -ENODEV : -ENOMEM, path, why);
	else
		err = identity_put_file(dir, PENDING, 0600, &pem, error);
	explicit_bzero(text, sizeof(text));
	if (err != 0) {
		EVP_PKEY_free(*key);
		*key = NULL;
	}
	return err;
}

/* ---- certificates ---- */

static uint64_t
seconds_of(const ASN1_TIME *time)
{
	struct tm parts = { 0 };
	time_t seconds = ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;

	return seconds < 0 ? 0 : (uint64_t)seconds;
}

static const char *
judge_certificate(X509 *cert, EVP_PKEY *key, const char *sensor)
{
	char name[BATCH_SENSOR_MAX + 1] = "";

	if (cert == NULL)
		return "the answer holds no certificate";
	if (X509_check_private_key(cert, key) != 1)
		return "the certificate is not of the key that asked";
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name)) <= 0 ||
	    strcmp(name, sensor) != 0)
		return "the certificate is another sensor's";
	return NULL;
}

int
enrol_identity_install(const char *dir, EVP_PKEY *key, const char *certificate, const char *sensor,
	char error[IDENTITY_ERROR_MAX])
{
	BIO *bio = BIO_new_mem_buf(certificate, -1);
	X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	const char *why = judge_certificate(cert, key, sensor);
	char path[IDENTITY_PATH_MAX];
	struct buf text = { 0 };
	int err;

	X509_free(cert);
	BIO_free(bio);
	if (why != NULL)
		return fail(error, -EBADMSG, dir, why);
	err = buf_create(&text, IDENTITY_FILE_MAX);
	if (err != 0)
		return fail(error, err, dir, "no memory");
	if (put_key(key, &text) == 0)
		buf_puts(&text, certificate);
	err = text.full ? fail(error, -EMSGSIZE, dir, "the certificate is too long") :
		identity_put_file(dir, IDENTITY, 0600, &text, error);
	explicit_bzero(text.data, text.len);
	buf_destroy(&text);
	if (err == 0 && path_of(path, dir, PENDING, error) == 0)
		(void)unlink(path);
	return err;
}

static int
read_certificate(struct enrol_identity *out, char error[IDENTITY_ERROR_MAX])
{
	FILE *file = fopen(out->pem, "re");
	X509 *cert;
	int len;

	if (file == NULL)
		return fail(error, -errno, out->pem, strerror(errno));
	cert = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	len = cert == NULL ? -1 : X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out->sensor,
		sizeof(out->sensor));
	if (len > 0) {
		out->not_before_s = seconds_of(X509_get0_notBefore(cert));
		out->not_after_s = seconds_of(X509_get0_notAfter(cert));
	}
	X509_free(cert);
	return len > 0 && batch_sensor_valid(out->sensor) ? 0 : fail(error, -EINVAL, out->pem, "holds no certificate of a sensor");
}

/* ---- sensor.json ---- */

int
enrol_identity_put_activation(const char *dir, const struct activation *activation, char error[IDENTITY_ERROR_MAX])
{
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s}", "aggregator", activation->aggregator, "enrol",
		activation->enrol, "sensor", activation->sensor, "site", activation->site, "zone", activation->zone);
	char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
	const struct buf ca = { .data = (char *)activation->ca, .len = strlen(activation->ca) };
	int err = text == NULL ? fail(error, -ENOMEM, dir, "no memory") : identity_put_file(dir, IDENTITY_CA_NAME, 0644, &ca, error);

	if (err == 0) {
		const struct buf own = { .data = text, .len = strlen(text) };

		err = identity_put_file(dir, SENSOR, 0644, &own, error);
	}
	free(text);
	json_decref(root);
	return err;
}

int
enrol_identity_load(struct enrol_identity *out, const char *dir, char error[IDENTITY_ERROR_MAX])
{
	char path[IDENTITY_PATH_MAX];
	json_error_t why;
	const char *url = NULL;
	json_t *root;
	int err = path_of(out->pem, dir, IDENTITY, error);

	if (err == 0)
		err = path_of(out->ca, dir, IDENTITY_CA_NAME, error);
	if (err == 0)
		err = path_of(path, dir, SENSOR, error);
	if (err == 0 && access(out->pem, F_OK) != 0)
		err = fail(error, -errno, out->pem, strerror(errno));
	if (err == 0)
		err = read_certificate(out, error);
	if (err != 0)
		return err;
	root = json_load_file(path, 0, &why);
	if (root == NULL || json_unpack(root, "{s:s}", "aggregator", &url) != 0 || strlen(url) > ACTIVATION_URL_MAX)
		err = fail(error, -EINVAL, path, root == NULL ? why.text : "names no aggregator");
	else
		memcpy(out->aggregator, url, strlen(url) + 1);
	json_decref(root);
	return err;
}
