/* Tokens and certificates of the registry. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "lib/base/log.h"
#include "lib/enrol/registry_private.h"

enum { ID_LEN = 16, SECRET_LEN = 64 };

static_assert(ID_LEN + 1 + SECRET_LEN == REGISTRY_TOKEN_LEN, "a token's two parts");

/* An invitation as the file has it. */
struct invitation {
	char id[ID_LEN + 1];
	char sensor[BATCH_SENSOR_MAX + 1];
	char serial[ISSUER_SERIAL_LEN + 1]; /* "": not used yet */
	char site[REGISTRY_TEXT_MAX + 1];
	char zone[REGISTRY_TEXT_MAX + 1];
	uint64_t expires_s;
	bool withdrawn;
	uint8_t secret[CSR_KEY_DIGEST_LEN];
};

const char *
registry_verdict_text(enum registry_verdict verdict)
{
	static const char *const texts[] = {
		[REGISTRY_ISSUED] = "issued",
		[REGISTRY_NO_SUCH_TOKEN] = "the token is not of an invitation",
		[REGISTRY_USED] = "the invitation was used before, by another key",
		[REGISTRY_EXPIRED] = "the invitation has expired",
		[REGISTRY_WITHDRAWN] = "the invitation was withdrawn",
		[REGISTRY_REVOKED] = "the certificate is revoked",
		[REGISTRY_TOO_MANY] = "the sensor has too many valid certificates: come back when one has ended",
		[REGISTRY_FAILED] = "the aggregator could not issue a certificate",
	};

	return texts[verdict];
}

static void
copy_column(char *out, size_t size, sqlite3_stmt *statement, int at)
{
	const char *text = (const char *)sqlite3_column_text(statement, at);

	snprintf(out, size, "%s", text == NULL ? "" : text);
}

/* @return 0, -ENOENT or -errno */
static int
load_invitation(struct registry *registry, struct invitation *out)
{
	sqlite3_stmt *statement = registry_statement(registry, SQL_TOKEN);
	int err = registry_bind(statement, "t", out->id);
	int rc = err == 0 ? sqlite3_step(statement) : SQLITE_DONE;

	if (rc == SQLITE_ROW) {
		if (sqlite3_column_bytes(statement, 0) == CSR_KEY_DIGEST_LEN)
			memcpy(out->secret, sqlite3_column_blob(statement, 0), CSR_KEY_DIGEST_LEN);
		copy_column(out->sensor, sizeof(out->sensor), statement, 1);
		out->expires_s = (uint64_t)sqlite3_column_int64(statement, 2);
		out->withdrawn = sqlite3_column_type(statement, 3) != SQLITE_NULL;
		copy_column(out->serial, sizeof(out->serial), statement, 4);
		copy_column(out->site, sizeof(out->site), statement, 5);
		copy_column(out->zone, sizeof(out->zone), statement, 6);
	} else if (err == 0) {
		err = rc == SQLITE_DONE ? -ENOENT : registry_failed(registry, "token");
	}
	sqlite3_reset(statement);
	return err;
}

/* Digests are compared in constant time, also when there is no such invitation: time tells nothing of either part. */
static enum registry_verdict
read_token(struct registry *registry, const char *token, uint64_t now_s, struct invitation *out)
{
	uint8_t digest[CSR_KEY_DIGEST_LEN];
	int err;

	*out = (struct invitation){ 0 };
	if (strlen(token) != REGISTRY_TOKEN_LEN || token[ID_LEN] != '.')
		return REGISTRY_NO_SUCH_TOKEN;
	memcpy(out->id, token, ID_LEN);
	err = load_invitation(registry, out);
	if (err != 0 && err != -ENOENT)
		return REGISTRY_FAILED;
	if (EVP_Digest(token + ID_LEN + 1, SECRET_LEN, digest, NULL, EVP_sha256(), NULL) != 1)
		return REGISTRY_FAILED;
	if (CRYPTO_memcmp(digest, out->secret, sizeof(digest)) != 0 || err != 0)
		return REGISTRY_NO_SUCH_TOKEN;
	if (out->withdrawn)
		return REGISTRY_WITHDRAWN;
	return out->expires_s <= now_s ? REGISTRY_EXPIRED : REGISTRY_ISSUED;
}

enum registry_verdict
registry_check_token(struct registry *registry, const char *token, uint64_t now_s)
{
	struct invitation invitation;

	return read_token(registry, token, now_s, &invitation);
}

/* The certificate of a serial, when it is the key's, valid and not revoked. */
static enum registry_verdict
load_certificate(struct registry *registry, const char *serial, const struct csr *csr, struct issued *out)
{
	sqlite3_stmt *statement = registry_statement(registry, SQL_CERT_GET);
	enum registry_verdict verdict = REGISTRY_FAILED;

	*out = (struct issued){ 0 };
	if (registry_bind(statement, "t", serial) == 0 && sqlite3_step(statement) == SQLITE_ROW) {
		if (sqlite3_column_bytes(statement, 1) != CSR_KEY_DIGEST_LEN ||
		    memcmp(sqlite3_column_blob(statement, 1), csr->key_digest, CSR_KEY_DIGEST_LEN) != 0) {
			verdict = REGISTRY_USED;
		} else if (sqlite3_column_type(statement, 4) != SQLITE_NULL) {
			verdict = REGISTRY_REVOKED;
		} else {
			snprintf(out->serial, sizeof(out->serial), "%s", serial);
			out->not_before_s = (uint64_t)sqlite3_column_int64(statement, 2);
			out->not_after_s = (uint64_t)sqlite3_column_int64(statement, 3);
			out->pem = strdup((const char *)sqlite3_column_text(statement, 5));
			verdict = out->pem == NULL ? REGISTRY_FAILED : REGISTRY_ISSUED;
		}
	}
	sqlite3_reset(statement);
	return verdict;
}

/* Makes and keeps a certificate, within the caller's transaction. */
static int
issue(struct registry *registry, struct issuer *issuer, const struct csr *csr, const struct registry_deed *deed,
	uint64_t now_s, struct issued *out)
{
	sqlite3_stmt *statement = registry_statement(registry, SQL_CERT_ADD);
	struct registry_deed said = *deed;
	int err = issuer_issue(issuer, csr->key, deed->sensor, now_s, out);

	if (err != 0) {
		log_error("enrol", "%s: %s", deed->sensor, err == -EKEYEXPIRED ? "the issuing CA has expired" : strerror(-err));
		return err;
	}
	err = registry_bind(statement, "ttdnnt", out->serial, deed->sensor, csr->key_digest, out->not_before_s,
		out->not_after_s, out->pem);
	if (err == 0)
		err = registry_run(registry, statement, "certificate");
	said.detail = out->serial;
	return err == 0 ? registry_note(registry, &said, now_s) : err;
}

/* A sensor that enrols anew is another box, or the same after a loss: what it had before is no longer good. */
static int
supersede(struct registry *registry, const struct invitation *invitation, uint64_t now_s)
{
	sqlite3_stmt *put = registry_statement(registry, SQL_SENSOR_PUT);
	sqlite3_stmt *revoke = registry_statement(registry, SQL_CERT_REVOKE);
	int err = registry_bind(put, "ttt", invitation->sensor, invitation->site, invitation->zone);

	if (err == 0)
		err = registry_run(registry, put, "sensor");
	if (err == 0)
		err = registry_bind(revoke, "tn", invitation->sensor, now_s);
	return err == 0 ? registry_run(registry, revoke, "revoke") : err;
}

static int
use_invitation(struct registry *registry, struct issuer *issuer, const struct invitation *invitation,
	const struct csr *csr, const struct registry_deed *deed, uint64_t now_s, struct issued *issued)
{
	sqlite3_stmt *use = registry_statement(registry, SQL_USE);
	int err = supersede(registry, invitation, now_s);

	if (err == 0)
		err = issue(registry, issuer, csr, deed, now_s, issued);
	if (err == 0)
		err = registry_bind(use, "tt", invitation->id, issued->serial);
	return err == 0 ? registry_run(registry, use, "token") : err;
}

enum registry_verdict
registry_enrol(struct registry *registry, struct issuer *issuer, const char *token, const struct csr *csr,
	const char *from, uint64_t now_s, char sensor[BATCH_SENSOR_MAX + 1], struct issued *issued)
{
	struct invitation invitation;
	enum registry_verdict verdict;
	int err = registry_begin(registry);

	*issued = (struct issued){ 0 };
	if (err != 0)
		return REGISTRY_FAILED;
	verdict = read_token(registry, token, now_s, &invitation);
	if (verdict == REGISTRY_ISSUED && invitation.serial[0] != '\0') {
		verdict = load_certificate(registry, invitation.serial, csr, issued);
	} else if (verdict == REGISTRY_ISSUED) {
		const struct registry_deed deed = { from, "enrol", invitation.sensor, "" };

		err = use_invitation(registry, issuer, &invitation, csr, &deed, now_s, issued);
	}
	err = registry_end(registry, err);
	if (err != 0 || verdict != REGISTRY_ISSUED)
		issued_free(issued);
	memcpy(sensor, invitation.sensor, sizeof(invitation.sensor));
	return err != 0 ? REGISTRY_FAILED : verdict;
}

/* The serial of the valid certificate that this key already has. @return 0, -ENOENT or -errno */
static int
find_by_key(struct registry *registry, const char *sensor, const struct csr *csr, uint64_t now_s,
	char serial[ISSUER_SERIAL_LEN + 1])
{
	sqlite3_stmt *statement = registry_statement(registry, SQL_CERT_BY_KEY);
	int err = registry_bind(statement, "tdn", sensor, csr->key_digest, now_s);
	int rc = err == 0 ? sqlite3_step(statement) : SQLITE_DONE;

	if (rc == SQLITE_ROW)
		copy_column(serial, ISSUER_SERIAL_LEN + 1, statement, 0);
	else if (err == 0)
		err = rc == SQLITE_DONE ? -ENOENT : registry_failed(registry, "certificate");
	sqlite3_reset(statement);
	return err;
}

static enum registry_verdict
renew(struct registry *registry, struct issuer *issuer, const char *sensor, const struct csr *csr, uint64_t now_s,
	struct issued *issued)
{
	const struct registry_deed deed = { sensor, "renew", sensor, "" };
	char serial[ISSUER_SERIAL_LEN + 1];
	uint64_t valid = 0;
	int err = find_by_key(registry, sensor, csr, now_s, serial);

	if (err == 0)
		return load_certificate(registry, serial, csr, issued);
	if (err == -ENOENT)
		err = registry_bind(registry_statement(registry, SQL_CERT_COUNT), "tn", sensor, now_s);
	if (err == 0)
		err = registry_number(registry, registry->statements[SQL_CERT_COUNT], &valid);
	if (err == 0 && valid >= REGISTRY_CERTIFICATES_MAX)
		return REGISTRY_TOO_MANY;
	if (err == 0)
		err = issue(registry, issuer, csr, &deed, now_s, issued);
	return err == 0 ? REGISTRY_ISSUED : REGISTRY_FAILED;
}

enum registry_verdict
registry_renew(struct registry *registry, struct issuer *issuer, const char *sensor, const char *serial,
	const struct csr *csr, uint64_t now_s, struct issued *issued)
{
	enum registry_verdict verdict = REGISTRY_REVOKED;
	int err = registry_begin(registry);

	*issued = (struct issued){ 0 };
	if (err != 0)
		return REGISTRY_FAILED;
	/* Within the transaction: a revocation before it is seen, one after it takes the new certificate along. */
	if (registry_admits(registry, sensor, serial, true))
		verdict = renew(registry, issuer, sensor, csr, now_s, issued);
	err = registry_end(registry, verdict == REGISTRY_FAILED ? -EIO : 0);
	if (err != 0 || verdict != REGISTRY_ISSUED)
		issued_free(issued);
	return err != 0 ? REGISTRY_FAILED : verdict;
}
