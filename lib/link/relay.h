/*
 * Lets libcurl use ways: for each connection that curl opens it gets a UNIX socket that is connected at once; a thread walks the
 * way and then carries bytes between the socket's other end and the network. So curl never waits in a call, TLS to the aggregator is end to
 * end between curl and it, and the bandwidth is measured and bounded in one place.
 *
 * Threads: create to destroy, and all but relay_set_rate(): one thread, curl's. Each connection's walk has its own.
 */
#ifndef MR_LINK_RELAY_H
#define MR_LINK_RELAY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "lib/link/way.h"

enum { RELAY_CONNECTIONS_MAX = 40 };

struct relay;

/** @param set, to  lent until relay_destroy() */
int relay_create(struct relay **out, const struct way_set *set, const struct way_end *to, uint64_t step_timeout_ms);
/** Ends all connections. NULL is accepted. */
void relay_destroy(struct relay *relay);

/**
 * Starts a walk.
 *
 * @param address  out: an abstract UNIX address, to which the socket is to be connected at once
 * @return curl's end of the connection, not connected yet, or -1
 */
int relay_open(struct relay *relay, const struct way *way, struct sockaddr_un *address, socklen_t *address_len);
/** Closes curl's end. @return whether the connection failed by itself, and then fail says how */
bool relay_close(struct relay *relay, int fd, struct way_failure *fail);

/** Bytes a second that may be sent; 0: no bound. Any thread.
 *  @param way  all its connections together; NULL: those of all ways without own_rates together */
void relay_set_rate(struct relay *relay, const struct way *way, uint64_t bytes_s);
/** Bytes carried so far. Any thread. */
uint64_t relay_sent(const struct relay *relay);
uint64_t relay_received(const struct relay *relay);

#endif
