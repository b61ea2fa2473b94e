/*
 * Which frames are wanted, in the words of pcap-filter(7): those of tcpdump. Of Ethernet frames alone.
 *
 * Thread: capture_filter_takes() any, at once.
 */
#ifndef MR_CAPTURE_CAPTURE_FILTER_H
#define MR_CAPTURE_CAPTURE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/config/config.h"

enum { CAPTURE_FILTER_LEN_MAX = 1023 }; /* of its text: it is compiled in less than a second then */

struct capture_filter;

/** @param text  "": every frame. Names of hosts are looked up by the machine's resolver. @return 0 or -errno with err set */
int capture_filter_create(struct capture_filter **out, const char *text, struct config_error *err);
void capture_filter_destroy(struct capture_filter *filter);
/** @param wire_len  what the frame had before it was cut */
bool capture_filter_takes(const struct capture_filter *filter, const uint8_t *data, uint32_t len, uint32_t wire_len);

#endif
