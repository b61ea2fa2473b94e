#include "app/sensor/rights.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static uint64_t
effective(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	uint64_t has = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "CapEff: %" SCNx64, &has) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return has;
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
