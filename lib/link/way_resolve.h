/* Names to addresses, with a bound on the time. Inside lib/link. Thread: any. */
#ifndef MR_LINK_WAY_RESOLVE_H
#define MR_LINK_WAY_RESOLVE_H

#include <sys/socket.h>

#include "lib/link/way.h"

struct way_addresses {
	struct sockaddr_storage at[WAY_ADDRESSES_MAX];
	unsigned int count;
};

/**
 * Static entries first, then numeric addresses, then the system's resolver.
 *
 * @return 0, or -1 with fail set
 */
int way_resolve(const struct way_walk *walk, const struct way_end *end, struct way_addresses *out,
	struct way_failure *fail);
/** The address of the name's static entry, or the name itself. */
const char *way_host_or_name(const struct way_set *set, const char *name);
/** "192.0.2.1", "2001:db8::1". */
void way_address_text(const struct sockaddr_storage *address, char text[46]);
socklen_t way_address_len(const struct sockaddr_storage *address);

#endif
