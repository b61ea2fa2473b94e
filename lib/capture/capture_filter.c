#include "lib/capture/capture_filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_LEN_MAX = 262144 };

struct capture_filter {
	struct bpf_program program;
};

int
capture_filter_create(struct capture_filter **out, const char *text, struct config_error *err)
{
	struct capture_filter *filter = calloc(1, sizeof(*filter));
	pcap_t *pcap = filter == NULL ? NULL : pcap_open_dead(DLT_EN10MB, FRAME_LEN_MAX);
	int rc = pcap == NULL ? -ENOMEM : strlen(text) > CAPTURE_FILTER_LEN_MAX ? -ENAMETOOLONG : 0;

	if (rc == -ENOMEM) {
		snprintf(err->text, sizeof(err->text), "filter: no memory");
	} else if (rc != 0) {
		snprintf(err->text, sizeof(err->text), "filter: it is longer than %d bytes", CAPTURE_FILTER_LEN_MAX);
	} else if (pcap_compile(pcap, &filter->program, text, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		snprintf(err->text, sizeof(err->text), "filter: %.300s", pcap_geterr(pcap));
		rc = -EINVAL;
	}
	if (pcap != NULL)
		pcap_close(pcap);
	if (rc == 0)
		*out = filter;
	else
		capture_filter_destroy(filter);
	return rc;
}

void
capture_filter_destroy(struct capture_filter *filter)
{
	if (filter == NULL)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}

bool
capture_filter_takes(const struct capture_filter *filter, const uint8_t *data, uint32_t len, uint32_t wire_len)
{
	const struct pcap_pkthdr head = { .caplen = len, .len = wire_len };

	return pcap_offline_filter(&filter->program, &head, data) != 0;
}
