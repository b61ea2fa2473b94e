/*
 * Who is let in at the door for records. It is asked before each request, so where the registry is PostgreSQL's, who was let in
 * is remembered, for as long as this program hears of every revocation: at once as a rule, and when the server falls silent
 * nothing is remembered after PG_LISTEN_CURRENT_MS.
 *
 * Thread: the door's, but for admit_note().
 */
#ifndef MR_AGGREGATOR_ADMIT_H
#define MR_AGGREGATOR_ADMIT_H

#include "app/aggregator/settings.h"
#include "lib/enrol/registry.h"

struct admit;

/** @param heard called on any thread when there is news: admit_take_news() is to follow, on the door's. @return 0 or -errno,
 *  logged. registry and settings are borrowed. */
int admit_create(struct admit **out, struct registry *registry, const struct settings *settings, void (*heard)(void *arg),
	void *arg);
/** NULL is accepted. */
void admit_destroy(struct admit *admit);

bool admit_lets_in(struct admit *admit, const char *name, const char *serial);
/** A sensor's certificates changed; NULL: anybody's may have. Any thread. */
void admit_note(struct admit *admit, const char *sensor);
/** Forgets those that news was about. */
void admit_take_news(struct admit *admit);

#endif
