#include "app/aggregator/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/folder.h"
#include "lib/base/log.h"
#include "lib/postgres/pg.h"
#include "lib/store/store.h"

enum { QUESTION_BODY_MAX = 4096 }; /* a question has no body */

static const char *const levels[] = { "error", "warning", "notice", "info", "debug", NULL };

#define AT(member) offsetof(struct settings, member)

static const struct knob knobs[] = {
	{ "listen", KNOB_TEXT, AT(listen), 0, 0, "0.0.0.0:8443", NULL,
		"ADDRESS:PORT where sensors deliver; port 0: any free one" },
	{ "http2", KNOB_BOOL, AT(http2), 0, 0, "yes", NULL,
		"no: HTTP/1.1 alone is offered; yes: HTTP/2 as well, at every listener" },
	{ "tls.cert", KNOB_TEXT, AT(tls_cert), 0, 0, NULL, NULL, "the aggregator's certificate chain, PEM" },
	{ "tls.key", KNOB_TEXT, AT(tls_key), 0, 0, NULL, NULL, "its private key, PEM" },
	{ "tls.ca", KNOB_TEXT, AT(tls_ca), 0, 0, NULL, NULL, "the CA whose certificates sensors must show, PEM" },
	{ "api.listen", KNOB_TEXT, AT(api_listen), 0, 0, "127.0.0.1:8444", NULL, "ADDRESS:PORT of the query API" },
	{ "api.cert", KNOB_TEXT, AT(api_cert), 0, 0, NULL, NULL, "its certificate chain, when not tls.cert" },
	{ "api.key", KNOB_TEXT, AT(api_key), 0, 0, NULL, NULL, "its private key, when not tls.key" },
	{ "api.token-file", KNOB_TEXT, AT(api_token_file), 0, 0, NULL, NULL,
		"file whose first line is the operator's bearer token, 16 characters or more; it may everything" },
	{ "api.tokens", KNOB_TEXT, AT(api_tokens), 0, 0, "", NULL,
		"file of further tokens, a line each: SHA-256 in hexadecimal, scopes joined by commas, name; read again when it changes. With the store clickhouse they are in PostgreSQL" },
	{ "api.audit.path", KNOB_TEXT, AT(api_audit_path), 0, 0, "", NULL,
		"file that has a line for each request; older ones are PATH.1 to PATH.4; not given: none is written" },
	{ "api.audit.size", KNOB_SIZE, AT(api_audit_size), 4096, 1ull << 40, "64mb", NULL, "bytes of one of its files" },
	{ "store.kind", KNOB_CHOICE, AT(store_kind), 0, 0, "sqlite", store_kinds, "which store keeps the records" },
	{ "store.path", KNOB_TEXT, AT(store_path), 0, 0, NULL, NULL, "the database file of the store sqlite" },
	{ "store.clickhouse.shards", KNOB_LIST, AT(cluster.shards), 0, 0, NULL, NULL,
		"ClickHouse's HTTP interfaces: a text a shard, with the URLs of its replicas, separated by spaces" },
	{ "store.clickhouse.database", KNOB_TEXT, AT(cluster.database), 0, 0, "millrace", NULL, "where its tables are made" },
	{ "store.clickhouse.user", KNOB_TEXT, AT(cluster.user), 0, 0, "default", NULL, "who asks it" },
	{ "store.clickhouse.password-file", KNOB_TEXT, AT(cluster.password_file), 0, 0, NULL, NULL,
		"file whose first line is that user's password" },
	{ "store.clickhouse.ca", KNOB_TEXT, AT(cluster.ca), 0, 0, NULL, NULL, "the CA of replicas with https://, PEM" },
	{ "store.clickhouse.quorum", KNOB_NUMBER, AT(cluster.quorum), 0, 8, "0", NULL,
		"replicas that must have a record before it is acknowledged; 0: more than half of a shard's" },
	{ "store.clickhouse.insert-timeout", KNOB_NUMBER, AT(cluster.insert_timeout_ms), 100, 100000, "20000", NULL,
		"milliseconds a block is tried at the replicas of a shard, before its batches are answered 503" },
	{ "store.postgres.url", KNOB_TEXT, AT(cluster.postgres), 0, 0, NULL, NULL,
		"PostgreSQL beside ClickHouse, as libpq reads it: postgresql://USER@HOST,HOST/NAME?target_session_attrs=read-write" },
	{ "store.records-max", KNOB_NUMBER, AT(records_max), 0, INT64_MAX, "0", NULL,
		"records kept, the oldest are deleted and counted; 0: no bound" },
	{ "store.bytes-max", KNOB_SIZE, AT(bytes_max), 0, INT64_MAX, "0", NULL,
		"bytes of the database in use, beyond it the oldest records are deleted; 0: no bound" },
	{ "store.age-max", KNOB_NUMBER, AT(age_max_s), 0, 1000000000, "0", NULL,
		"seconds since arrival that a record is kept; 0: no bound" },
	{ "limits.body", KNOB_SIZE, AT(body_max), 1024, BATCH_BODY_MAX, "8mb", NULL, "bytes of a batch as sent" },
	{ "limits.lines", KNOB_SIZE, AT(lines_max), 1024, BATCH_LINES_MAX, "32mb", NULL, "bytes of a batch unpacked" },
	{ "limits.connections", KNOB_NUMBER, AT(connections_max), 1, 65536, "512", NULL,
		"connections of a listener; more wait in the kernel" },
	{ "limits.sensor-connections", KNOB_NUMBER, AT(connections_per_sensor), 1, 1024, "8", NULL,
		"connections of a sensor; beyond it its oldest is cut" },
	{ "limits.streams", KNOB_NUMBER, AT(streams_max), 1, 1024, "32", NULL,
		"requests of an HTTP/2 connection at once; more are refused" },
	{ "limits.sensor-records", KNOB_NUMBER, AT(records_per_sensor), 0, 100000000, "50000", NULL,
		"records a second of a sensor, four seconds' worth at once; beyond it batches are answered 429; 0: no bound" },
	{ "limits.idle-timeout", KNOB_NUMBER, AT(idle_timeout_s), 1, 86400, "300", NULL,
		"seconds that a connection may be silent after an answer" },
	{ "limits.request-timeout", KNOB_NUMBER, AT(request_timeout_s), 1, 3600, "60", NULL,
		"seconds a peer may take to say a request" },
	{ "limits.query-timeout", KNOB_NUMBER, AT(query_timeout_ms), 10, 3600000, "30000", NULL,
		"milliseconds a query may run" },
	{ "limits.query-threads", KNOB_NUMBER, AT(query_threads), 1, 32, "4", NULL,
		"questions that are answered at once; more wait for their turn" },
	{ "limits.group-records", KNOB_NUMBER, AT(group_records), 1, 10000000, "20000", NULL,
		"records after which a group of batches is committed, if the wire does not pause before" },
	{ "limits.queue", KNOB_SIZE, AT(queue_bytes), 1024, 1ull << 40, "64mb", NULL,
		"bytes of unpacked batches that wait for the store; as many wait packed, then they are answered 429" },
	{ "limits.reorder", KNOB_NUMBER, AT(reorder_ms), 0, 60000, "500", NULL,
		"milliseconds a batch waits for those before it, when several are in flight" },
	{ "sensors.silent-after", KNOB_NUMBER, AT(silent_after_s), 0, 31536000, "300", NULL,
		"seconds after which a sensor of which nothing came is told to be silent; more than its stats.interval; 0: never" },
	{ "enrol.state", KNOB_TEXT, AT(enrol_state), 0, 0, NULL, NULL,
		"file of invitations, issued and revoked certificates; empty: none of them; with the store clickhouse they are in PostgreSQL" },
	{ "enrol.listen", KNOB_TEXT, AT(enrol_listen), 0, 0, NULL, NULL,
		"ADDRESS:PORT where boxes come with an invitation; empty: no new sensors" },
	{ "enrol.url", KNOB_TEXT, AT(enrol_url), 0, 0, NULL, NULL, "https://HOST:PORT by which boxes reach enrol.listen" },
	{ "enrol.aggregator-url", KNOB_TEXT, AT(enrol_aggregator_url), 0, 0, NULL, NULL,
		"https://HOST:PORT by which sensors reach listen" },
	{ "enrol.ca-cert", KNOB_TEXT, AT(enrol_ca_cert), 0, 0, NULL, NULL,
		"certificate of the CA that issues, PEM; sensors' certificates of it must pass with tls.ca" },
	{ "enrol.ca-key", KNOB_TEXT, AT(enrol_ca_key), 0, 0, NULL, NULL, "its private key, PEM, readable by nobody else" },
	{ "enrol.server-ca", KNOB_TEXT, AT(enrol_server_ca), 0, 0, NULL, NULL,
		"the CA that sensors check this aggregator with, PEM, when not tls.ca" },
	{ "enrol.lifetime", KNOB_NUMBER, AT(enrol_lifetime_s), 3, 315360000, "7776000", NULL,
		"seconds that an issued certificate is valid; sensors renew it at two thirds, or their enrol.renew-at" },
	{ "enrol.invitation-lifetime", KNOB_NUMBER, AT(enrol_invitation_s), 1, ENROL_INVITATION_MAX_S, "86400", NULL,
		"seconds that an invitation is good for, when it does not say so itself" },
	{ "enrol.failures-max", KNOB_NUMBER, AT(enrol_failures_max), 1, 1000000, "5", NULL,
		"wrong tokens and requests of an address within a minute, beyond which it has to wait" },
	{ "enrol.only", KNOB_BOOL, AT(enrol_only), 0, 0, "no", NULL,
		"yes: certificates of tls.ca that were not issued here are refused" },
	{ "log.level", KNOB_CHOICE, AT(log_level), 0, 0, "notice", levels, "what is logged on stderr" },
};

const struct knob_table settings_knobs = {
	.owner = "aggregator",
	.knobs = knobs,
	.count = sizeof(knobs) / sizeof(knobs[0]),
};

static int
require(const char *key, const char *value, struct config_error *err)
{
	if (value[0] != '\0')
		return 0;
	snprintf(err->text, sizeof(err->text), "%s: must be given", key);
	return -EINVAL;
}

/* What several aggregators share is in PostgreSQL. Files that were in use are not passed over in silence. */
static int
refuse_file(const char *key, const char *value, const char *instead, struct config_error *err)
{
	if (value[0] == '\0')
		return 0;
	snprintf(err->text, sizeof(err->text), "%s: with the store clickhouse this is kept in PostgreSQL, not in a file: %s", key, instead);
	return -EINVAL;
}

static int
check_store(const struct settings *out, struct config_error *err)
{
	if (out->store_kind == STORE_KIND_SQLITE)
		return require("store.path", out->store_path, err);
	if (json_array_size(out->cluster.shards) == 0)
		return require("store.clickhouse.shards", "", err);
	if (refuse_file("enrol.state", out->enrol_state, "millrace-aggregator import takes it over", err) != 0 ||
	    refuse_file("api.tokens", out->api_tokens, "millrace-aggregator token makes new ones", err) != 0)
		return -EINVAL;
	return require("store.postgres.url", out->cluster.postgres, err);
}

static int
check_enrol(const struct settings *out, struct config_error *err)
{
	if (out->enrol_listen[0] == '\0' && !out->enrol_only)
		return 0;
	if (!settings_enrols(out))
		return require("enrol.state", "", err);
	if (out->enrol_listen[0] == '\0')
		return 0;
	if (require("enrol.url", out->enrol_url, err) != 0 ||
	    require("enrol.aggregator-url", out->enrol_aggregator_url, err) != 0 ||
	    require("enrol.ca-cert", out->enrol_ca_cert, err) != 0 || require("enrol.ca-key", out->enrol_ca_key, err) != 0)
		return -EINVAL;
	if (strncmp(out->enrol_url, "https://", 8) == 0 && strncmp(out->enrol_aggregator_url, "https://", 8) == 0)
		return 0;
	snprintf(err->text, sizeof(err->text), "enrol.url, enrol.aggregator-url: must begin with https://");
	return -EINVAL;
}

int
settings_read(struct settings *out, struct config *config, struct config_error *err)
{
	const struct knob_table *const tables[] = { &settings_knobs };

	if (config_apply(config, &settings_knobs, out, err) != 0 || config_check_unknown(config, tables, 1, err) != 0)
		return -EINVAL;
	if (require("tls.cert", out->tls_cert, err) != 0 || require("tls.key", out->tls_key, err) != 0 ||
	    require("tls.ca", out->tls_ca, err) != 0 || check_store(out, err) != 0 ||
	    require("api.token-file", out->api_token_file, err) != 0)
		return -EINVAL;
	if (out->api_cert[0] == '\0')
		out->api_cert = out->tls_cert;
	if (out->api_key[0] == '\0')
		out->api_key = out->tls_key;
	if (out->enrol_server_ca[0] == '\0')
		out->enrol_server_ca = out->tls_ca;
	return check_enrol(out, err);
}

bool
settings_enrols(const struct settings *settings)
{
	return settings->store_kind == STORE_KIND_CLICKHOUSE || settings->enrol_state[0] != '\0';
}

int
settings_open_registry(const struct settings *settings, struct registry **out)
{
	return settings->store_kind == STORE_KIND_CLICKHOUSE
		? registry_open(out, REGISTRY_POSTGRES, settings->cluster.postgres)
		: registry_open(out, REGISTRY_SQLITE, settings->enrol_state);
}

const struct api_token_keep *
settings_tokens(const struct settings *settings, const char **where)
{
	if (settings->store_kind == STORE_KIND_CLICKHOUSE) {
		*where = settings->cluster.postgres;
		return &api_token_postgres;
	}
	*where = settings->api_tokens;
	return settings->api_tokens[0] == '\0' ? NULL : &api_token_file;
}

void
settings_ingest_server(const struct settings *settings, struct link_server_config *out)
{
	*out = (struct link_server_config){
		.topic = "ingest",
		.listen = settings->listen,
		.cert = settings->tls_cert,
		.key = settings->tls_key,
		.client_ca = settings->tls_ca,
		.body_max = settings->body_max,
		.connections_max = settings->connections_max,
		.name_connections_max = settings->connections_per_sensor,
		.http2 = settings->http2,
		.streams_max = settings->streams_max,
		.idle_timeout_s = settings->idle_timeout_s,
		.request_timeout_s = settings->request_timeout_s,
	};
}

void
settings_api_server(const struct settings *settings, struct link_server_config *out)
{
	*out = (struct link_server_config){
		.topic = "api",
		.listen = settings->api_listen,
		.cert = settings->api_cert,
		.key = settings->api_key,
		.cert_name = settings->api_cert == settings->tls_cert ? NULL : "api.cert",
		.key_name = settings->api_key == settings->tls_key ? NULL : "api.key",
		.body_max = QUESTION_BODY_MAX,
		.connections_max = settings->connections_max,
		.http2 = settings->http2,
		.streams_max = settings->streams_max,
		.request_timeout_s = settings->request_timeout_s,
	};
}

static bool
is_plain_http(const char *urls)
{
	static const char *const local[] = { "http://127.", "http://localhost", "http://[::1]" };
	bool plain = false;

	for (const char *at = strstr(urls, "http://"); at != NULL; at = strstr(at + 1, "http://")) {
		bool near = false;

		for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
			near = near || strncmp(at, local[i], strlen(local[i])) == 0;
		plain = plain || !near;
	}
	return plain;
}

unsigned int
settings_check_places(const struct settings *settings)
{
	const struct {
		const char *key, *path;
		int (*can)(const char *path);
	} places[] = {
		{ "store.path", settings->store_kind == STORE_KIND_SQLITE ? settings->store_path : "", folder_can_make },
		{ "enrol.state", settings->enrol_state, folder_can_make },
		{ "api.audit.path", settings->api_audit_path, folder_can_open },
	};
	unsigned int count = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int err = places[i].path == NULL || places[i].path[0] == '\0' ? 0 : places[i].can(places[i].path);

		if (err == 0)
			continue;
		log_error("settings", "%s: %s: %s", places[i].key, places[i].path, strerror(-err));
		count++;
	}
	return count;
}

/* What is of enrolment and does nothing where boxes have no door. */
static unsigned int
warn_enrol(const struct settings *settings)
{
	const struct {
		const char *key, *value;
	} keys[] = {
		{ "enrol.url", settings->enrol_url },
		{ "enrol.aggregator-url", settings->enrol_aggregator_url },
		{ "enrol.ca-cert", settings->enrol_ca_cert },
		{ "enrol.ca-key", settings->enrol_ca_key },
	};
	unsigned int count = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && settings->enrol_listen[0] == '\0'; i++) {
		if (keys[i].value[0] == '\0')
			continue;
		log_warning("settings", "%s is given, but enrol.listen is not: no box is let in and no certificate is renewed", keys[i].key);
		count++;
	}
	return count;
}

unsigned int
settings_warn(const struct settings *settings)
{
	const char *password = settings->cluster.password_file;
	const char *weakness;
	unsigned int count = warn_enrol(settings);
	json_t *urls;
	size_t i;

	if (settings->store_kind != STORE_KIND_CLICKHOUSE)
		return count;
	json_array_foreach(settings->cluster.shards, i, urls) {
		if (password == NULL || password[0] == '\0' || !is_plain_http(json_string_value(urls)))
			continue;
		log_warning("settings", "store.clickhouse.shards: the password goes over the network in the clear, as the records do: \"%s\""
			" should be https://", json_string_value(urls));
		count++;
	}
	weakness = pg_weakness(settings->cluster.postgres);
	if (weakness != NULL)
		log_warning("settings", "store.postgres.url: the connection %s", weakness);
	return count + (weakness != NULL);
}

void
settings_store(const struct settings *settings, struct store_config *out)
{
	*out = (struct store_config){
		.path = settings->store_path,
		.cluster = settings->cluster,
		.records_max = settings->records_max,
		.bytes_max = settings->bytes_max,
		.age_max_s = settings->age_max_s,
		.query_max_ms = settings->query_timeout_ms,
	};
}
