/*
 * News from PostgreSQL: what other programs say by NOTIFY, heard on a connection and a thread of its own. Once a second the
 * server is asked whether it is there, so that one that fell silent is known for it.
 */
#ifndef MR_POSTGRES_PG_LISTEN_H
#define MR_POSTGRES_PG_LISTEN_H

#include <stdbool.h>

struct pg_listener;

enum { PG_LISTEN_CURRENT_MS = 2000 };

/** @param news a notification's text; NULL: some may have been missed. Called on the listener's thread. */
typedef void (*pg_heard_fn)(void *arg, const char *news);

/**
 * Returns when it listens: what is committed from then on is heard, or told as missed.
 *
 * @param url, topic, channel borrowed; channel: letters and underscores
 * @return 0 or -errno, logged
 */
int pg_listener_create(struct pg_listener **out, const char *url, const char *topic, const char *channel,
	pg_heard_fn heard, void *arg);
/** NULL is accepted. Nothing is heard any more when it returns. */
void pg_listener_destroy(struct pg_listener *listener);
/** Whether the server answered within PG_LISTEN_CURRENT_MS, so that everything older was heard. Any thread. */
bool pg_listener_is_current(const struct pg_listener *listener);

#endif
