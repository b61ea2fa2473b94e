#include "app/bench/plant/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct plant_fault_row plant_faults[PLANT_FAULT_COUNT] = {
	[PLANT_FAULT_LOSS] = { "loss", 10, "frames missing from the capture; the plant itself got them" },
	[PLANT_FAULT_DUPLICATE] = { "duplicate", 20, "frames captured twice, as from two mirror ports" },
	[PLANT_FAULT_REORDER] = { "reorder", 20, "segments in the wrong order" },
	[PLANT_FAULT_RETRANSMIT] = { "retransmit", 20, "segments sent again although they had arrived" },
	[PLANT_FAULT_OVERLAP] = { "overlap", 20, "segments that repeat the end of the one before" },
	[PLANT_FAULT_SPLIT] = { "split", 200, "one PDU in several segments" },
	[PLANT_FAULT_COALESCE] = { "coalesce", 200, "several PDUs in one segment" },
	[PLANT_FAULT_PIPELINE] = { "pipeline", 200, "several requests before the first response" },
	[PLANT_FAULT_GARBAGE] = { "garbage", 5, "bytes in the stream that are no PDU" },
	[PLANT_FAULT_MIDSTREAM] = { "midstream", 1000, "connections older than the capture: no handshake" },
	[PLANT_FAULT_EXCEPTIONS] = { "exceptions", 300, "servers that refuse requests" },
	[PLANT_FAULT_NO_ANSWER] = { "no-answer", 50, "requests that are never answered" },
	[PLANT_FAULT_BAD_CRC] = { "bad-crc", 10, "DNP3 link frames with a wrong CRC" },
	[PLANT_FAULT_BAD_CHECKSUM] = { "bad-checksum", 10, "TCP segments with a wrong checksum, then sent again" },
	[PLANT_FAULT_FRAGMENT] = { "fragment", 50, "datagrams in two IP fragments" },
	[PLANT_FAULT_RESET] = { "reset", 1000, "connections that end with RST" },
};

static int
fault_find(const char *name, size_t len)
{
	for (int i = 0; i < PLANT_FAULT_COUNT; i++)
		if (strlen(plant_faults[i].name) == len && memcmp(plant_faults[i].name, name, len) == 0)
			return i;
	return -ENOENT;
}

int
plant_fault_parse(const char *list, uint16_t permille[], char *err, size_t err_len)
{
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		size_t name_len = strcspn(list, ",=");
		int fault = fault_find(list, name_len);
		unsigned long often;
		char *end;

		if (fault < 0) {
			(void)snprintf(err, err_len, "unknown fault \"%.*s\"", (int)name_len, list);
			return -EINVAL;
		}
		often = plant_faults[fault].permille;
		if (name_len < len) {
			often = strtoul(list + name_len + 1, &end, 10);
			if (end != list + len || often > 1000) {
				(void)snprintf(err, err_len, "\"%.*s\": permille is 0 to 1000", (int)len, list);
				return -EINVAL;
			}
		}
		permille[fault] = (uint16_t)often;
		list += len + (list[len] == ',');
	}
	return 0;
}
