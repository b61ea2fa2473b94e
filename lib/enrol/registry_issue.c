/* Tokens and certificates of the registry. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

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
		[REGISTRY_NOT_PROVEN] = "the request is not signed by the key of a valid certificate of this sensor",
		[REGISTRY_TOO_MANY] = "the sensor has too many valid certificates: come back when one has ended",
		[REGISTRY_FAILED] = "the aggregator could not issue a certificate",
	};

	return texts[verdict];
}

static void
copy_cell(char *out, size_t size, const struct registry_cell *cell)
{
	snprintf(out, size, "%s", cell->data == NULL ? "" : cell->data);
}

static int
take_invitation(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	struct invitation *out = arg;

	if (cells[0].len == CSR_KEY_DIGEST_LEN)
		memcpy(out->secret, cells[0].data, CSR_KEY_DIGEST_LEN);
	copy_cell(out->sensor, sizeof(out->sensor), &cells[1]);
	out->expires_s = registry_cell_number(&cells[2]);
	out->withdrawn = cells[3].data != NULL;
	copy_cell(out->serial, sizeof(out->serial), &cells[4]);
	copy_cell(out->site, sizeof(out->site), &cells[5]);
	copy_cell(out->zone, sizeof(out->zone), &cells[6]);
	return 0;
}

/* @return 0, -ENOENT or -errno */
static int
load_invitation(struct registry *registry, struct invitation *out)
{
	const struct registry_question question = { .which = SQL_TOKEN, .row = take_invitation, .arg = out, .types = "t" };
	int found = registry_ask(registry, &question, out->id);

	return found < 0 ? found : found == 0 ? -ENOENT : 0;
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

/* A certificate that is asked for again, and what came of it. */
struct repeat {
	const char *serial;
	const struct csr *csr;
	struct issued *out;
	enum registry_verdict verdict;
};

static int
take_certificate(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	struct repeat *repeat = arg;
	struct issued *out = repeat->out;

	if (cells[1].len != CSR_KEY_DIGEST_LEN || memcmp(cells[1].data, repeat->csr->key_digest, CSR_KEY_DIGEST_LEN) != 0) {
		repeat->verdict = REGISTRY_USED;
	} else if (cells[4].data != NULL) {
		repeat->verdict = REGISTRY_REVOKED;
	} else {
		snprintf(out->serial, sizeof(out->serial), "%s", repeat->serial);
		out->not_before_s = registry_cell_number(&cells[2]);
		out->not_after_s = registry_cell_number(&cells[3]);
		out->pem = strdup(cells[5].data);
		repeat->verdict = out->pem == NULL ? REGISTRY_FAILED : REGISTRY_ISSUED;
	}
	return 0;
}

/* The certificate of a serial, when it is the key's, valid and not revoked. */
static enum registry_verdict
load_certificate(struct registry *registry, const char *serial, const struct csr *csr, struct issued *out)
{
	struct repeat repeat = { serial, csr, out, REGISTRY_FAILED };
	const struct registry_question question = { .which = SQL_CERT_GET, .row = take_certificate, .arg = &repeat, .types = "t" };

	*out = (struct issued){ 0 };
	return registry_ask(registry, &question, serial) == 1 ? repeat.verdict : REGISTRY_FAILED;
}

/* Makes and keeps a certificate, within the caller's transaction. */
static int
issue(struct registry *registry, struct issuer *issuer, const struct csr *csr, const struct registry_deed *deed,
	uint64_t now_s, struct issued *out)
{
	struct registry_deed said = *deed;
	int err = issuer_issue(issuer, csr->key, deed->sensor, now_s, out);

	if (err != 0) {
		log_error("enrol", "%s: %s", deed->sensor, err == -EKEYEXPIRED ? "the issuing CA has expired" : strerror(-err));
		return err;
	}
	err = registry_run(registry, SQL_CERT_ADD, "ttdnnt", out->serial, deed->sensor, csr->key_digest,
		sizeof(csr->key_digest), out->not_before_s, out->not_after_s, out->pem);
	said.detail = out->serial;
	return err < 0 ? err : registry_note(registry, &said, now_s);
}

/* A sensor that enrols anew is another box, or the same after a loss: what it had before is no longer good. */
static int
supersede(struct registry *registry, const struct invitation *invitation, uint64_t now_s)
{
	int err = registry_run(registry, SQL_SENSOR_PUT, "ttt", invitation->sensor, invitation->site, invitation->zone);

	if (err >= 0)
		err = registry_run(registry, SQL_CERT_REVOKE, "tn", invitation->sensor, now_s);
	return err < 0 ? err : registry_announce(registry, invitation->sensor);
}

static int
use_invitation(struct registry *registry, struct issuer *issuer, const struct invitation *invitation,
	const struct csr *csr, const struct registry_deed *deed, uint64_t now_s, struct issued *issued)
{
	int err = supersede(registry, invitation, now_s);

	if (err == 0)
		err = issue(registry, issuer, csr, deed, now_s, issued);
	if (err == 0)
		err = registry_run(registry, SQL_USE, "tt", invitation->id, issued->serial);
	return err < 0 ? err : 0;
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

/* A proof, and whom the certificate that it names is of. */
struct proving {
	const char *sensor;
	const struct proof *proof;
	const char *csr;
	uint64_t now_s;
	enum registry_verdict verdict;
};

static int
take_proven(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	struct proving *proving = arg;
	bool valid = registry_cell_number(&cells[2]) <= proving->now_s && proving->now_s < registry_cell_number(&cells[3]);
	BIO *bio = BIO_new_mem_buf(cells[5].data, (int)cells[5].len);
	X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);

	if (cert == NULL)
		proving->verdict = REGISTRY_FAILED;
	else if (!valid || strcmp(cells[0].data, proving->sensor) != 0 || !proof_holds(proving->proof, X509_get0_pubkey(cert), proving->csr))
		proving->verdict = REGISTRY_NOT_PROVEN;
	else
		proving->verdict = cells[4].data != NULL ? REGISTRY_REVOKED : REGISTRY_ISSUED;
	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return 0;
}

enum registry_verdict
registry_check_proof(struct registry *registry, const char *sensor, const struct proof *proof, const char *csr, uint64_t now_s)
{
	struct proving proving = { sensor, proof, csr, now_s, REGISTRY_NOT_PROVEN };
	const struct registry_question question = { .which = SQL_CERT_GET, .row = take_proven, .arg = &proving, .types = "t" };

	return registry_ask(registry, &question, proof->serial) < 0 ? REGISTRY_FAILED : proving.verdict;
}

static int
take_serial(void *arg, const struct registry_cell cells[REGISTRY_CELLS_MAX])
{
	copy_cell(arg, ISSUER_SERIAL_LEN + 1, &cells[0]);
	return 0;
}

static enum registry_verdict
renew(struct registry *registry, struct issuer *issuer, const char *sensor, const struct csr *csr, uint64_t now_s,
	struct issued *issued)
{
	const struct registry_deed deed = { sensor, "renew", sensor, "" };
	char serial[ISSUER_SERIAL_LEN + 1];
	uint64_t valid = 0;
	const struct registry_question by_key = { .which = SQL_CERT_BY_KEY, .row = take_serial, .arg = serial, .types = "tdn" };
	const struct registry_question count = { .which = SQL_CERT_COUNT, .row = registry_take_number, .arg = &valid, .types = "tn" };
	/* The valid certificate that this key already has. */
	int err = registry_ask(registry, &by_key, sensor, csr->key_digest, sizeof(csr->key_digest), now_s);

	if (err > 0)
		return load_certificate(registry, serial, csr, issued);
	if (err == 0)
		err = registry_ask(registry, &count, sensor, now_s);
	err = err < 0 ? err : 0;
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
