/*
 * Who may be a sensor: invitations, certificates issued and revoked, and an audit trail: in a file of one aggregator, or in
 * PostgreSQL for several. What a call reports as done is on the disk: it survives kill -9 and a power cut.
 *
 * An invitation names the sensor and can be used by one key only. Its token is IDENTITY.SECRET; what is kept is the
 * secret's SHA-256. The same key may ask again with it while it lasts, for the case that the answer was lost, and
 * gets the same certificate.
 *
 * Thread: a handle belongs to one thread; several may be open on the same. Times are seconds since the Unix epoch.
 */
#ifndef MR_ENROL_REGISTRY_H
#define MR_ENROL_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/enrol/csr.h"
#include "lib/enrol/issuer.h"
#include "lib/enrol/proof.h"
#include "lib/link/batch.h"

enum {
	REGISTRY_TOKEN_LEN = 81,           /* 16 hexadecimal digits, a dot, 64 more */
	REGISTRY_TEXT_MAX = 64,            /* bytes of a site's or a zone's name */
	REGISTRY_INVITATIONS_MAX = 100000, /* open ones */
	REGISTRY_CERTIFICATES_MAX = 8,     /* of one sensor that are valid at once: renewals beyond it wait */
	REGISTRY_AUDIT_MAX = 100000,       /* rows kept */
	REGISTRY_KEEP_S = 90 * 86400,      /* what has ended is kept this long */
};

struct registry;

enum registry_kind {
	REGISTRY_SQLITE,   /* where: a file's path; it is made (0600) when it is not there */
	REGISTRY_POSTGRES, /* where: as libpq reads it; its tables are made when they are not there */
};

/** In PostgreSQL, told the name of each sensor whose certificates changed: pg_listen.h. */
#define REGISTRY_CHANNEL "millrace_enrol"

/** @param where copied. @return 0 or -errno, logged. */
int registry_open(struct registry **out, enum registry_kind kind, const char *where);
/** NULL is accepted. */
void registry_close(struct registry *registry);

/** Whose doing it is, for the audit trail: a token's name, an address. Any text; control bytes are replaced. */
struct registry_invitation {
	const char *sensor;
	const char *site;   /* "" when not said */
	const char *zone;
	uint64_t expires_s;
	const char *actor;
};

/** @return whether a site's or zone's name is UTF-8 without control characters, at most REGISTRY_TEXT_MAX bytes. */
bool registry_text_valid(const char *text);

/** @param token out: to be shown once. @return 0, -EDQUOT (too many are open) or -errno of the file. */
int registry_invite(struct registry *registry, const struct registry_invitation *invitation, uint64_t now_s,
	char token[REGISTRY_TOKEN_LEN + 1]);

/** What came of a request for a certificate. */
enum registry_verdict {
	REGISTRY_ISSUED,
	REGISTRY_NO_SUCH_TOKEN, /* also: malformed */
	REGISTRY_USED,          /* by another key */
	REGISTRY_EXPIRED,
	REGISTRY_WITHDRAWN,
	REGISTRY_REVOKED,       /* the certificate that asks for its renewal, or that was to be given again */
	REGISTRY_NOT_PROVEN,    /* the request is not signed by the key of the valid certificate that it names */
	REGISTRY_TOO_MANY,      /* certificates are valid already: come back later */
	REGISTRY_FAILED,        /* the registry or the issuer: logged */
};

/** Text for people. */
const char *registry_verdict_text(enum registry_verdict verdict);

/** Whether a token is good for something now. Costs little: ask before a request is looked at.
 *  @return REGISTRY_ISSUED when it is (or may be, for the key that used it) */
enum registry_verdict registry_check_token(struct registry *registry, const char *token, uint64_t now_s);

/**
 * Uses an invitation up: the certificate is issued, older ones of that sensor are revoked.
 *
 * @param from   the peer's address, for the audit trail
 * @param sensor out: who it is now. @param issued out: the caller's, with REGISTRY_ISSUED only
 */
enum registry_verdict registry_enrol(struct registry *registry, struct issuer *issuer, const char *token,
	const struct csr *csr, const char *from, uint64_t now_s, char sensor[BATCH_SENSOR_MAX + 1], struct issued *issued);

/** Whether a request comes from who holds the key of the valid certificate that the proof names.
 *  @return REGISTRY_ISSUED (it does), REGISTRY_NOT_PROVEN, REGISTRY_REVOKED or REGISTRY_FAILED */
enum registry_verdict registry_check_proof(struct registry *registry, const char *sensor, const struct proof *proof,
	const char *csr, uint64_t now_s);

/** A new certificate for the holder of the valid one with that serial; asked again with the same key, the same one. */
enum registry_verdict registry_renew(struct registry *registry, struct issuer *issuer, const char *sensor,
	const char *serial, const struct csr *csr, uint64_t now_s, struct issued *issued);

/** Revokes all of a sensor's certificates, those unknown here included, and withdraws its invitations.
 *  @param certificates out: how many. @return 0, -ENOENT (nothing is known of it and `force` is not set) or -errno */
int registry_revoke(struct registry *registry, const char *sensor, const char *actor, bool force, uint64_t now_s,
	uint64_t *certificates);

/** Whether a certificate lets in. @param enrolled_only refuse those that this registry did not issue.
 *  A registry that cannot be read lets nobody in. */
bool registry_admits(struct registry *registry, const char *sensor, const char *serial, bool enrolled_only);

/** [{sensor, state, site, zone, expires}], by name; state: invited, enrolled, expired, revoked.
 *  expires is RFC 3339, of the invitation or of the certificate. @return 0 or -errno */
int registry_list(struct registry *registry, uint64_t now_s, json_t **out);
/** What was taken over. */
struct registry_taken {
	uint64_t sensors, invitations, certificates, audit;
};

/**
 * Takes over what a file has that was a registry of its own (of the kind REGISTRY_SQLITE), the audit trail behind what is
 * there. Where both know of something, a revocation, a withdrawal and a use of either hold. All of it or nothing; the file is
 * renamed to FILE.imported then, so that nobody goes on with it.
 *
 * @return 0, -ENOENT (no such file), -EBUSY (it is open elsewhere) or -errno, logged
 */
int registry_import(struct registry *registry, const char *path, uint64_t now_s, struct registry_taken *out);

/** [{at, actor, action, sensor, detail}], newest first. @return 0 or -errno */
int registry_audit(struct registry *registry, unsigned int limit, json_t **out);

#endif
