/*
 * The sensor's half of enrolment: asks for a certificate with a token, and for the next one with the one it has.
 *
 * Thread: create, destroy: the owner; counters by any. enrol_activate(): any; it and the renewer take turns at a folder.
 */
#ifndef MR_ENROL_CLIENT_H
#define MR_ENROL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/counter.h"
#include "lib/config/config.h"
#include "lib/enrol/identity.h"

enum enrol_key { ENROL_KEY_FILE, ENROL_KEY_TPM };

struct enrol_config {
	const char *dir;   /* the identity's folder */
	bool renew;
	uint64_t renew_at;  /* percent of the lifetime, 1 to 99 */
	unsigned int key;  /* enum enrol_key: where new ones are made */
	uint64_t retry_ms; /* between attempts to renew; 0: a hundredth of the lifetime, 1 s to 1 h */
};

/** Keys of `enrol.`. */
extern const struct knob_table enrol_knobs;

/** The ways out, as the uplink goes: the first that works is taken. And as strict as it with who answers there. */
struct enrol_way {
	const struct way_set *ways; /* borrowed; NULL: direct */
	uint64_t connect_timeout_ms; /* of each step of a way */
	uint64_t timeout_ms;
	const char *crl; /* PEM file, read at each connection; NULL or "": none is looked at */
	enum enrol_key key;
	const char *pin; /* "sha256//BASE64[;...]" of the aggregator's key; NULL or "": any that the CA certified */
	const _Atomic bool *stop; /* once it is true, what is asked is given up within a second or two; NULL: nobody says so */
};

/**
 * Makes a key, has it certified, writes the identity. After a failure it may be called again with the same file.
 *
 * @param again  also where an identity is there already
 * @param error  out: what failed. @return 0, -EEXIST, -EACCES (refused), -EKEYEXPIRED, or -errno
 */
int enrol_activate(const char *dir, const struct activation *activation, const struct enrol_way *way, bool again,
	char error[IDENTITY_ERROR_MAX]);
/** A new key and certificate in place of those of `identity`; the caller holds the folder (lib/base/hold.h). @param url https://HOST:PORT. @return 0 or -errno */
int enrol_renew(const char *dir, const struct enrol_identity *identity, const char *url, const struct enrol_way *way,
	char error[IDENTITY_ERROR_MAX]);

struct enrol_answered {
	const char *url;
	const struct activation *activation; /* kept with what is answered; NULL: it is there already */
	int status;                          /* of HTTP */
	const char *text;
	size_t len;
	bool inspected;                      /* by a way whose proxy opens TLS: what it says of CAs does not count */
};

/** What the two above do with an answer: refuse it, or install it. @return 0 or -errno with error set, printable */
int enrol_take_answer(const struct enrol_answered *answered, const char *dir, EVP_PKEY *key, const char *sensor,
	char error[IDENTITY_ERROR_MAX]);

enum enrol_counter { ENROL_RENEWED, ENROL_RENEW_FAILED, ENROL_EXPIRES_S, ENROL_COUNTER_COUNT };

/** When a certificate is due, seconds since the Unix epoch: at so many percent of its lifetime, 1 to 99. */
uint64_t enrol_due_s(uint64_t not_before_s, uint64_t not_after_s, uint64_t percent);
/** Between two attempts to renew it, whether the first succeeded or not: by a clock far ahead of the aggregator's each new one is due
 *  at once. A hundredth of its lifetime, from 1 s to 1 h. */
uint64_t enrol_pause_ms(uint64_t not_before_s, uint64_t not_after_s);

struct enrol_renewer;

/** Starts a thread that renews in time. @param config, way copied, its ways and texts included. @return 0 or -errno */
int enrol_renewer_create(struct enrol_renewer **out, const struct enrol_config *config, const char *url,
	const struct enrol_way *way);
/** Stops the thread; waits for a request that is under way. NULL is accepted. */
void enrol_renewer_destroy(struct enrol_renewer *renewer);
struct counter_set enrol_renewer_get_counters(struct enrol_renewer *renewer);
extern const struct counter_table enrol_counter_table;

#endif
