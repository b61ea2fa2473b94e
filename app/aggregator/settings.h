/* The aggregator's configuration, one struct filled from one table of knobs. */
#ifndef MR_AGGREGATOR_SETTINGS_H
#define MR_AGGREGATOR_SETTINGS_H

#include "app/aggregator/api_token.h"
#include "lib/config/config.h"
#include "lib/enrol/registry.h"
#include "lib/link/server.h"
#include "lib/store/store.h"

struct settings {
	const char *listen;
	const char *tls_cert;
	const char *tls_key;
	const char *tls_ca;
	const char *api_listen;
	const char *api_cert;
	const char *api_key;
	const char *api_token_file;
	const char *api_tokens;
	const char *api_audit_path;
	uint64_t api_audit_size;
	unsigned int store_kind;
	const char *store_path;
	struct store_cluster cluster;
	uint64_t records_max;
	uint64_t bytes_max;
	uint64_t age_max_s;
	uint64_t body_max;
	uint64_t lines_max;
	uint64_t connections_max;
	uint64_t connections_per_sensor;
	uint64_t streams_max;
	bool http2;
	uint64_t records_per_sensor;
	uint64_t idle_timeout_s;
	uint64_t request_timeout_s;
	uint64_t query_timeout_ms;
	uint64_t query_threads;
	uint64_t group_records;
	uint64_t queue_bytes;
	uint64_t reorder_ms;
	unsigned int log_level;
	const char *enrol_state;          /* of the store sqlite; "": no enrolment, no revocation */
	const char *enrol_listen;         /* "": no door */
	const char *enrol_url;
	const char *enrol_aggregator_url;
	const char *enrol_ca_cert;
	const char *enrol_ca_key;
	const char *enrol_server_ca;
	uint64_t silent_after_s;
	uint64_t enrol_lifetime_s;
	uint64_t enrol_invitation_s;
	uint64_t enrol_failures_max;
	bool enrol_only;
};

enum { ENROL_INVITATION_MAX_S = 30 * 86400 };

extern const struct knob_table settings_knobs;

/** The two listeners. */
void settings_ingest_server(const struct settings *settings, struct link_server_config *out);
void settings_api_server(const struct settings *settings, struct link_server_config *out);

/** Whether there is a registry of sensors: revocations hold. */
bool settings_enrols(const struct settings *settings);
/** That registry: a file, or PostgreSQL beside ClickHouse. @return 0 or -errno, logged */
int settings_open_registry(const struct settings *settings, struct registry **out);

/** Where further tokens of the API are; NULL: nowhere. @param where out: for its open() */
const struct api_token_keep *settings_tokens(const struct settings *settings, const char **where);

/** Logs which of the files that are written while it runs cannot be made. @return how many */
unsigned int settings_check_places(const struct settings *settings);

/** Logs what of it an operator should think about: passwords that others on the network could read, keys that do nothing.
 *  @return how many */
unsigned int settings_warn(const struct settings *settings);

/** What opens the store. */
void settings_store(const struct settings *settings, struct store_config *out);

/** Applies, fails on unknown keys and on keys that must be given and are not. @return 0 or -EINVAL, err set. */
int settings_read(struct settings *out, struct config *config, struct config_error *err);

#endif
