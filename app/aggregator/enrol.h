/*
 * Enrolment: the door where a box without a certificate comes with its token, the renewal of certificates at the door for
 * records, and who is let in there. The door has no client certificates, so it is a listener of its own, with bounds of its
 * own: what strangers do at it cannot take the sensors' connections.
 *
 * Thread: the one that runs the base, but for what says otherwise.
 */
#ifndef MR_AGGREGATOR_ENROL_H
#define MR_AGGREGATOR_ENROL_H

#include "app/aggregator/settings.h"
#include "lib/base/counter.h"

struct event_base;
struct link_request;
struct enrol;

enum enrol_counter {
	ENROL_ISSUED, ENROL_RENEWALS, ENROL_REFUSED, ENROL_HELD_OFF, ENROL_BAD_REQUESTS,
	ENROL_SERVER, /* and on, enum link_server_counter */
	ENROL_COUNTERS = ENROL_SERVER + LINK_SERVER_COUNTERS,
};

extern const struct counter_desc enrol_counters[ENROL_COUNTERS];

/** @param settings borrowed, settings_enrols() of it; without enrol_listen there is no door, and revocations hold all the same.
 *  @return 0 or -errno, logged. */
int enrol_create(struct enrol **out, struct event_base *base, const struct settings *settings);
void enrol_destroy(struct enrol *enrol);
/** Reads the files. @return 0 or -errno, logged */
int enrol_check(const struct settings *settings);
/** What sensors check the aggregator with, PEM, as the file has it now. @return the caller's, or NULL, logged */
char *enrol_read_ca(const struct settings *settings);
/** Of the door; 0: there is none. */
uint16_t enrol_port(const struct enrol *enrol);
struct counter_set enrol_counter_set(struct enrol *enrol);

/** For link_server_config.admit. @param enrol struct enrol */
bool enrol_admit(void *enrol, const char *name, const char *serial);
/** Whose clients are asked about again after a revocation; NULL: nobody's. Borrowed. */
void enrol_watch(struct enrol *enrol, struct link_server *server);
/** Answers a sensor's request to renew. */
void enrol_renewal(struct enrol *enrol, struct link_request *request, const char *sensor);

/** The sensor's certificates changed: whoever may not come in any more is cut off. Any thread. */
void enrol_notify(struct enrol *enrol, const char *sensor);

#endif
