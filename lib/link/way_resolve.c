/*
 * getaddrinfo() cannot be told to stop, so it runs on a thread of its own: who waits for it may go, and the last
 * of the two to leave frees what they share. How many may hang is bounded.
 */
#include "lib/link/way_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/link/way_stream.h"

enum { HANGING_MAX = 8 };

static _Atomic unsigned int hanging;

struct lookup {
	_Atomic unsigned int users;
	char host[WAY_HOST_LEN_MAX + 1];
	char port[8];
	int done_fd;        /* readable once done */
	_Atomic bool done;  /* what follows is there */
	int rc;
	struct way_addresses found;
};

const char *
way_host_or_name(const struct way_set *set, const char *name)
{
	for (unsigned int i = 0; i < set->host_count; i++)
		if (strcasecmp(set->hosts[i].name, name) == 0)
			return set->hosts[i].address;
	return name;
}

void
way_address_text(const struct sockaddr_storage *address, char text[46])
{
	const void *bytes = address->ss_family == AF_INET6 ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr :
		(const void *)&((const struct sockaddr_in *)address)->sin_addr;

	if (inet_ntop(address->ss_family, bytes, text, 46) == NULL)
		text[0] = '\0';
}

socklen_t
way_address_len(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static void
keep_addresses(struct way_addresses *out, const struct addrinfo *list)
{
	out->count = 0;
	for (; list != NULL && out->count < WAY_ADDRESSES_MAX; list = list->ai_next)
		if ((list->ai_family == AF_INET || list->ai_family == AF_INET6) && list->ai_addrlen <= sizeof(out->at[0]))
			memcpy(&out->at[out->count++], list->ai_addr, list->ai_addrlen);
}

static int
look_up(const char *host, const char *port, int flags, struct way_addresses *out)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(host, port, &hints, &list);

	if (rc != 0)
		return rc;
	keep_addresses(out, list);
	freeaddrinfo(list);
	return out->count > 0 ? 0 : EAI_NONAME;
}

static bool
is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool
has_others(const struct way_addresses *found)
{
	for (unsigned int i = 0; i < found->count; i++)
		if (!is_loopback(&found->at[i]))
			return true;
	return false;
}

static void
lookup_leave(struct lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->users, 1) > 1)
		return;
	close(lookup->done_fd);
	free(lookup);
}

static void *
lookup_run(void *arg)
{
	struct lookup *lookup = arg;
	const uint64_t one = 1;

	lookup->rc = look_up(lookup->host, lookup->port, AI_ADDRCONFIG, &lookup->found);
	/* The flag leaves out what the machine has no address for, but for loopback ones: of "localhost" 127.0.0.1 where all others
	 * are of IPv6, as link-local ones of a mirror port are. */
	if (lookup->rc != 0 || !has_others(&lookup->found))
		lookup->rc = look_up(lookup->host, lookup->port, 0, &lookup->found);
	/* RFC 6761 6.3, where there is no hosts file to say so. */
	if (lookup->rc != 0 && strcasecmp(lookup->host, "localhost") == 0)
		lookup->rc = look_up(NULL, lookup->port, 0, &lookup->found);
	atomic_store(&lookup->done, true);
	(void)!write(lookup->done_fd, &one, sizeof(one));
	atomic_fetch_sub(&hanging, 1);
	lookup_leave(lookup);
	return NULL;
}

static bool
start_detached(struct lookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t thread;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	bool started = pthread_create(&thread, &attributes, lookup_run, lookup) == 0;

	pthread_attr_destroy(&attributes);
	return started;
}

static struct lookup *
lookup_start(const char *host, const char *port)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	atomic_init(&lookup->users, 2);
	snprintf(lookup->host, sizeof(lookup->host), "%s", host);
	snprintf(lookup->port, sizeof(lookup->port), "%s", port);
	lookup->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_fetch_add(&hanging, 1);
	if (lookup->done_fd >= 0 && start_detached(lookup))
		return lookup;
	atomic_fetch_sub(&hanging, 1);
	if (lookup->done_fd >= 0)
		close(lookup->done_fd);
	free(lookup);
	return NULL;
}

static int
ask_system(const struct way_walk *walk, const struct way_end *end, const char *port, struct way_addresses *out,
	struct way_failure *fail)
{
	struct lookup *lookup = atomic_load(&hanging) >= HANGING_MAX ? NULL : lookup_start(end->host, port);

	if (lookup == NULL) {
		way_fail(fail, WAY_NAME_TIMEOUT, "%s: earlier lookups have no answer yet", end->host);
		return -1;
	}
	const struct way_stream waiter = { .fd = lookup->done_fd, .cancel_fd = walk->cancel_fd,
		.deadline_ms = way_now_ms() + walk->step_timeout_ms };
	int waited = way_stream_wait(&waiter, POLLIN);
	int rc = waited == 0 && atomic_load(&lookup->done) ? lookup->rc : EAI_AGAIN;

	if (waited == -ECANCELED)
		way_fail(fail, WAY_CANCELLED, "%s: given up", end->host);
	else if (waited != 0)
		way_fail(fail, WAY_NAME_TIMEOUT, "%s: no answer from the resolver", end->host);
	else if (rc != 0)
		way_fail(fail, rc == EAI_AGAIN ? WAY_NAME_TIMEOUT : WAY_NAME_UNKNOWN, "%s: %s", end->host, gai_strerror(rc));
	else
		*out = lookup->found;
	lookup_leave(lookup);
	return waited == 0 && rc == 0 ? 0 : -1;
}

int
way_resolve(const struct way_walk *walk, const struct way_end *end, struct way_addresses *out, struct way_failure *fail)
{
	const char *host = way_host_or_name(walk->set, end->host);
	char port[8];

	snprintf(port, sizeof(port), "%u", end->port);
	if (look_up(host, port, AI_NUMERICHOST, out) == 0)
		return 0;
	return ask_system(walk, end, port, out, fail);
}
