/* The country of an address, from a MaxMind database that is mapped into memory. */
#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/rule/rule_reputation.h"

struct rule_geoip {
	MMDB_s db;
};

int
rule_geoip_create(struct rule_geoip **out, const struct rule_config *config, struct config_error *err)
{
	const char *path = config->geoip_database;

	*out = NULL;
	if (path == NULL || path[0] == '\0')
		return 0;
	struct rule_geoip *geoip = calloc(1, sizeof(*geoip));

	if (geoip == NULL)
		return -ENOMEM;
	int status = MMDB_open(path, MMDB_MODE_MMAP, &geoip->db);

	if (status != MMDB_SUCCESS) {
		snprintf(err->text, sizeof(err->text), "geoip-database: %.400s: %s", path, MMDB_strerror(status));
		free(geoip);
		return status == MMDB_OUT_OF_MEMORY_ERROR ? -ENOMEM : -EINVAL;
	}
	*out = geoip;
	return 0;
}

void
rule_geoip_destroy(struct rule_geoip *geoip)
{
	if (geoip == NULL)
		return;
	MMDB_close(&geoip->db);
	free(geoip);
}

uint16_t
rule_geoip_country(const struct rule_geoip *geoip, uint8_t ip_version, const struct ip_addr *addr)
{
	static const char *const path[] = { "country", "iso_code", NULL };
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} name;
	MMDB_entry_data_s data;
	int status;

	memset(&name, 0, sizeof(name));
	if (ip_version == 4) {
		name.v4.sin_family = AF_INET;
		memcpy(&name.v4.sin_addr, addr->bytes, sizeof(name.v4.sin_addr));
	} else if (ip_version == 6 && geoip->db.metadata.ip_version == 6) {
		name.v6.sin6_family = AF_INET6;
		memcpy(&name.v6.sin6_addr, addr->bytes, sizeof(name.v6.sin6_addr));
	} else {
		return 0;
	}
	MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&geoip->db, &name.any, &status);

	if (status != MMDB_SUCCESS || !found.found_entry || MMDB_aget_value(&found.entry, &data, path) != MMDB_SUCCESS
		|| !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2)
		return 0;
	return (uint16_t)((uint8_t)data.utf8_string[0] << 8 | (uint8_t)data.utf8_string[1]);
}
