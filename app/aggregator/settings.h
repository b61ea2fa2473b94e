/* The aggregator's configuration, one struct filled from one table of knobs. */
#ifndef MR_AGGREGATOR_SETTINGS_H
#define MR_AGGREGATOR_SETTINGS_H

#include "lib/config/config.h"
#include "lib/link/server.h"

struct settings {
	const char *listen;
	const char *tls_cert;
	const char *tls_key;
	const char *tls_ca;
	const char *api_listen;
	const char *api_cert;
	const char *api_key;
	const char *api_token_file;
	unsigned int store_kind;
	const char *store_path;
	uint64_t records_max;
	uint64_t bytes_max;
	uint64_t age_max_s;
	uint64_t body_max;
	uint64_t lines_max;
	uint64_t connections_max;
	uint64_t request_timeout_s;
	uint64_t query_timeout_ms;
	uint64_t group_records;
	uint64_t reorder_ms;
	unsigned int log_level;
};

extern const struct knob_table settings_knobs;

/** The two listeners. */
void settings_ingest_server(const struct settings *settings, struct link_server_config *out);
void settings_api_server(const struct settings *settings, struct link_server_config *out);

/** Applies, fails on unknown keys and on keys that must be given and are not. @return 0 or -EINVAL, err set. */
int settings_read(struct settings *out, struct config *config, struct config_error *err);

#endif
