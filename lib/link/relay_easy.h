/* Ways for libcurl's handles. Thread: the handle's. */
#ifndef MR_LINK_RELAY_EASY_H
#define MR_LINK_RELAY_EASY_H

#include <curl/curl.h>

#include "lib/link/relay.h"

/** What an OPENSOCKETFUNCTION does: a socket, and in the structure the address to connect it to. */
curl_socket_t relay_curl_open(struct relay *relay, const struct way *way, struct curl_sockaddr *address);

/** One request of one handle by one way. */
struct relay_easy {
	struct relay *relay;
	const struct way *way;
	struct curl_slist *connect_to;
	struct way_failure failure; /* WAY_DONE: the way did not fail */
};

/**
 * Makes the handle's next request go the way.
 *
 * @param set, way, to  lent until relay_easy_detach()
 * @param step_timeout_ms of each step; the handle's own bounds hold besides
 * @return 0 or -ENOMEM; to be detached either way
 */
int relay_easy_attach(struct relay_easy *self, CURL *easy, const struct way_set *set, const struct way *way,
	const struct way_end *to, uint64_t step_timeout_ms);
void relay_easy_detach(struct relay_easy *self, CURL *easy);

#endif
