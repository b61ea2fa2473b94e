#include "app/sensor/rights.h"

#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Asked of the kernel itself: glibc has no name for it, and a container may have no /proc. */
static uint64_t
effective(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data) != 0)
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

void
rights_missing(bool xdp, char out[RIGHTS_TEXT])
{
	static const struct {
		unsigned int bit;
		bool xdp_alone;
		const char *name;
	} wanted[] = {
		{ CAP_NET_RAW, false, "CAP_NET_RAW" },
		{ CAP_NET_ADMIN, false, "CAP_NET_ADMIN" }, /* interfaces are set to take all frames */
		{ CAP_IPC_LOCK, false, "CAP_IPC_LOCK" },   /* the rings are locked in memory, which ulimit -l may allow as well */
		{ CAP_SYS_ADMIN, true, "CAP_SYS_ADMIN" },  /* libxdp looks for programs by their numbers */
	};
	uint64_t has = effective();
	struct rlimit locked;

	if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur == RLIM_INFINITY)
		has |= UINT64_C(1) << CAP_IPC_LOCK;
	out[0] = '\0';
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if ((has >> wanted[i].bit & 1) == 0 && (xdp || !wanted[i].xdp_alone))
			snprintf(out + strlen(out), RIGHTS_TEXT - strlen(out), " %s", wanted[i].name);
}
