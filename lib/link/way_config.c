/* uplink.ways as it was written, to a way_set. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/link/way.h"

struct reader {
	struct way_set *set;
	const struct way_config *config;
	struct config_error *err;
	const char *where; /* key or name of the way, for messages */
};

static int
refuse(const struct reader *reader, const char *value, const char *why)
{
	snprintf(reader->err->text, sizeof(reader->err->text), "%s: \"%.200s\": %s", reader->where, value, why);
	return -EINVAL;
}

static int
copy_text(const struct reader *reader, char *to, size_t size, const char *from)
{
	if (from == NULL)
		from = "";
	if (strlen(from) >= size)
		return refuse(reader, from, "is too long");
	memcpy(to, from, strlen(from) + 1);
	return 0;
}

/* Names and addresses as they may stand in a request line: nothing that could end it. */
static bool
host_valid(const char *host, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";

	if (len == 0 || len > WAY_HOST_LEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (memchr(letters, host[i], sizeof(letters) - 1) == NULL)
			return false;
	return true;
}

int
way_end_parse(struct way_end *out, const char *url, const char *scheme, uint16_t default_port)
{
	size_t scheme_len = strlen(scheme);
	const char *host = url + scheme_len + 3;
	const char *after;
	unsigned long port = default_port;

	if (strncasecmp(url, scheme, scheme_len) != 0 || strncmp(url + scheme_len, "://", 3) != 0)
		return -EINVAL;
	if (host[0] == '[') {
		after = strchr(++host, ']');
		if (after == NULL || memchr(host, ':', (size_t)(after - host)) == NULL)
			return -EINVAL;
	} else {
		after = host + strcspn(host, ":/");
	}
	if (!host_valid(host, (size_t)(after - host)))
		return -EINVAL;
	memcpy(out->host, host, (size_t)(after - host));
	out->host[after - host] = '\0';
	after += *after == ']';
	if (*after == ':') {
		char *end;

		if (after[1] < '0' || after[1] > '9')
			return -EINVAL;
		port = strtoul(after + 1, &end, 10);
		after = end;
	}
	if (port == 0 || port > 65535 || (*after != '\0' && strcmp(after, "/") != 0))
		return -EINVAL;
	out->port = (uint16_t)port;
	return 0;
}

static const struct {
	const char *scheme;
	enum way_hop_kind kind;
	bool names_local;
} schemes[] = {
	{ "http", WAY_HOP_HTTP, false },
	{ "https", WAY_HOP_HTTPS, false },
	{ "socks5h", WAY_HOP_SOCKS5, false },
	{ "socks5", WAY_HOP_SOCKS5, true },
};

static int
read_hop_url(const struct reader *reader, struct way_hop *hop, const char *url)
{
	if (strchr(url, '@') != NULL)
		return refuse(reader, url, "user and password belong into user and password-file");
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (way_end_parse(&hop->at, url, schemes[i].scheme, 0) != 0)
			continue;
		hop->kind = schemes[i].kind;
		hop->names_local = schemes[i].names_local;
		return copy_text(reader, hop->ca, sizeof(hop->ca), reader->config->ca);
	}
	return refuse(reader, url, "a hop is http://, https://, socks5h:// or socks5://HOST:PORT");
}

static int
next_hop(const struct reader *reader, struct way *way, const char *url, struct way_hop **hop)
{
	if (way->hop_count == WAY_HOPS_MAX)
		return refuse(reader, url, "too many hops");
	*hop = &way->hops[way->hop_count++];
	return read_hop_url(reader, *hop, url);
}

static int
read_auth(const struct reader *reader, struct way_hop *hop, const char *text)
{
	static const char *const names[] = { [WAY_AUTH_ANY] = "any", [WAY_AUTH_BASIC] = "basic", [WAY_AUTH_DIGEST] = "digest" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			hop->auth = i;
			return 0;
		}
	return refuse(reader, text, "auth is any, basic or digest");
}

/* Files are looked at when the configuration is read, so that a wrong path is not found out at the first 407. */
static int
read_path(const struct reader *reader, char *to, size_t size, const char *path)
{
	if (path[0] != '\0' && access(path, R_OK) != 0)
		return refuse(reader, path, strerror(errno));
	return copy_text(reader, to, size, path);
}

static bool
parse_bool(const char *text, bool *out)
{
	bool yes = strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0;

	*out = yes;
	return yes || strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0 || strcasecmp(text, "off") == 0;
}

static int
read_hop_key(const struct reader *reader, struct way_hop *hop, const char *key, const char *text)
{
	if (strcmp(key, "url") == 0)
		return 0;
	if (strcmp(key, "user") == 0)
		return copy_text(reader, hop->user, sizeof(hop->user), text);
	if (strcmp(key, "password-file") == 0)
		return read_path(reader, hop->password_file, sizeof(hop->password_file), text);
	if (strcmp(key, "auth") == 0)
		return read_auth(reader, hop, text);
	if (strcmp(key, "ca") == 0)
		return read_path(reader, hop->ca, sizeof(hop->ca), text);
	return refuse(reader, key, "a hop has url, user, password-file, auth, ca");
}

static int
read_hop(const struct reader *reader, struct way *way, json_t *spec)
{
	const char *url = json_string_value(json_is_object(spec) ? json_object_get(spec, "url") : spec);
	struct way_hop *hop;
	const char *key;
	json_t *value;

	if (url == NULL)
		return refuse(reader, "", "a hop needs its url");
	int rc = next_hop(reader, way, url, &hop);

	json_object_foreach(spec, key, value) {
		if (rc == 0 && !json_is_string(value))
			return refuse(reader, key, "a single value is expected");
		rc = rc != 0 ? rc : read_hop_key(reader, hop, key, json_string_value(value));
	}
	return rc;
}

static int
read_hops(const struct reader *reader, struct way *way, json_t *spec)
{
	size_t i;
	json_t *hop;
	int rc = json_is_array(spec) ? 0 : read_hop(reader, way, spec);

	json_array_foreach(spec, i, hop)
		rc = rc != 0 ? rc : read_hop(reader, way, hop);
	return rc;
}

static int
read_source(const struct reader *reader, struct way *way, const char *text)
{
	uint8_t bytes[16];

	if (text[0] != '\0' && inet_pton(AF_INET, text, bytes) != 1 && inet_pton(AF_INET6, text, bytes) != 1)
		return refuse(reader, text, "source is an address of this machine; an interface is named by interface");
	return copy_text(reader, way->source, sizeof(way->source), text);
}

static int
read_resolve(const struct reader *reader, const char *text, bool *local)
{
	*local = strcmp(text, "local") == 0;
	return *local || strcmp(text, "proxy") == 0 ? 0 : refuse(reader, text, "resolve is local or proxy");
}

/* One bound, or a list of them. An empty list: none, whatever uplink.bandwidth says. */
static int
read_rates(const struct reader *reader, struct rate_table *rates, const json_t *list)
{
	const char *bad = "";

	if (rate_table_read(rates, list, &bad) != 0)
		return refuse(reader, bad, "a bound is [HH:MM-HH:MM] RATE, as 07:00-19:00 64kbit");
	return 0;
}

static int
read_own_rates(const struct reader *reader, struct way *way, json_t *value)
{
	json_t *list = json_is_array(value) ? json_incref(value) : json_pack("[O]", value);
	int rc = list == NULL ? refuse(reader, "bandwidth", "no memory") : read_rates(reader, &way->rates, list);

	way->own_rates = true;
	json_decref(list);
	return rc;
}

static int
read_way_key(const struct reader *reader, struct way *way, const char *key, json_t *value)
{
	const char *text = json_string_value(value);

	if (strcmp(key, "hops") == 0)
		return read_hops(reader, way, value);
	if (strcmp(key, "bandwidth") == 0)
		return read_own_rates(reader, way, value);
	if (strcmp(key, "name") == 0 || strcmp(key, "resolve") == 0)
		return text != NULL ? 0 : refuse(reader, key, "a single value is expected");
	if (text == NULL)
		return refuse(reader, key, "each key of a way but hops and bandwidth has one value");
	if (strcmp(key, "source") == 0)
		return read_source(reader, way, text);
	if (strcmp(key, "interface") == 0)
		return copy_text(reader, way->interface, sizeof(way->interface), text);
	if (strcmp(key, "inspect-ca") == 0)
		return read_path(reader, way->inspect_ca, sizeof(way->inspect_ca), text);
	if (strcmp(key, "metered") == 0)
		return parse_bool(text, &way->metered) ? 0 : refuse(reader, text, "metered is yes or no");
	return refuse(reader, key, "a way has name, hops, resolve, source, interface, inspect-ca, metered, bandwidth");
}

static int
read_way_object(const struct reader *reader, struct way *way, json_t *spec)
{
	const char *resolve = json_string_value(json_object_get(spec, "resolve"));
	const char *key;
	json_t *value;
	bool local = false;
	int rc = copy_text(reader, way->name, sizeof(way->name), json_string_value(json_object_get(spec, "name")));

	json_object_foreach(spec, key, value)
		rc = rc != 0 ? rc : read_way_key(reader, way, key, value);
	if (rc != 0 || resolve == NULL)
		return rc;
	rc = read_resolve(reader, resolve, &local);
	for (unsigned int i = 0; i < way->hop_count; i++)
		way->hops[i].names_local = local;
	return rc;
}

/* "direct", or the hops' urls with spaces between them. */
static int
read_way_text(const struct reader *reader, struct way *way, const char *text)
{
	char url[WAY_HOST_LEN_MAX + 32];
	struct way_hop *hop;
	int rc = copy_text(reader, way->name, sizeof(way->name), strlen(text) <= WAY_NAME_LEN_MAX ? text : "");

	if (strcmp(text, "direct") == 0)
		return rc;
	for (text += strspn(text, " "); rc == 0 && *text != '\0'; text += strspn(text, " ")) {
		size_t len = strcspn(text, " ");

		if (len >= sizeof(url))
			return refuse(reader, text, "is too long");
		memcpy(url, text, len);
		url[len] = '\0';
		text += len;
		rc = next_hop(reader, way, url, &hop);
	}
	return rc == 0 && way->hop_count == 0 ? refuse(reader, "", "a way is \"direct\" or names its hops") : rc;
}

static int
add_way(struct reader *reader, json_t *spec)
{
	struct way *way = &reader->set->ways[reader->set->count];
	char where[64];
	int rc;

	if (reader->set->count == WAY_MAX)
		return refuse(reader, "", "too many ways");
	snprintf(where, sizeof(where), "uplink.ways: way %u", reader->set->count + 1);
	struct reader inner = *reader;

	inner.where = where;
	way->metered = reader->config->metered;
	rc = read_source(&inner, way, reader->config->source == NULL ? "" : reader->config->source);
	if (rc == 0)
		rc = copy_text(&inner, way->interface, sizeof(way->interface), reader->config->interface);
	if (rc == 0 && json_is_string(spec))
		rc = read_way_text(&inner, way, json_string_value(spec));
	else if (rc == 0 && json_is_object(spec))
		rc = read_way_object(&inner, way, spec);
	else if (rc == 0)
		rc = refuse(&inner, "", "a way is \"direct\", its hops' urls, or a mapping");
	if (rc == 0 && way->name[0] == '\0')
		snprintf(way->name, sizeof(way->name), "way %u", reader->set->count + 1);
	reader->set->count++;
	return rc;
}

/* The one way of uplink.proxy and uplink.pre-proxy. */
static int
add_proxy_way(struct reader *reader)
{
	const struct way_config *config = reader->config;
	const char *urls[] = { config->pre_proxy, config->proxy };
	json_t *direct = json_string("direct");
	struct way *way = &reader->set->ways[0];
	int rc = direct == NULL ? -ENOMEM : add_way(reader, direct);

	json_decref(direct);
	for (unsigned int i = 0; rc == 0 && i < 2; i++) {
		struct way_hop *hop;
		const char *ca = config->proxy_ca;

		if (urls[i] == NULL || urls[i][0] == '\0')
			continue;
		reader->where = i == 0 ? "uplink.pre-proxy" : "uplink.proxy";
		rc = next_hop(reader, way, urls[i], &hop);
		if (rc == 0)
			rc = copy_text(reader, way->name, sizeof(way->name), "proxy");
		if (rc == 0 && ca != NULL && ca[0] != '\0')
			rc = read_path(reader, hop->ca, sizeof(hop->ca), ca);
		if (rc != 0 || i == 0)
			continue;
		rc = copy_text(reader, hop->user, sizeof(hop->user), config->proxy_user);
		if (rc == 0)
			rc = read_path(reader, hop->password_file, sizeof(hop->password_file),
				config->proxy_password_file == NULL ? "" : config->proxy_password_file);
	}
	return rc;
}

static int
add_ways(struct reader *reader)
{
	json_t *ways = (json_t *)reader->config->ways;
	bool proxied = (reader->config->proxy != NULL && reader->config->proxy[0] != '\0') ||
		(reader->config->pre_proxy != NULL && reader->config->pre_proxy[0] != '\0');
	size_t i;
	json_t *spec;
	int rc = 0;

	if (ways == NULL)
		return add_proxy_way(reader);
	if (proxied)
		return refuse(reader, "", "stands beside uplink.proxy: say the proxies in the ways");
	if (!json_is_array(ways))
		return add_way(reader, ways);
	json_array_foreach(ways, i, spec)
		rc = rc != 0 ? rc : add_way(reader, spec);
	return rc == 0 && reader->set->count == 0 ? refuse(reader, "", "the list is empty") : rc;
}

static int
add_host(const struct reader *reader, const char *text)
{
	struct way_host *host = &reader->set->hosts[reader->set->host_count];
	size_t name_len = strcspn(text, " \t");
	const char *address = text + name_len + strspn(text + name_len, " \t");
	uint8_t bytes[16];

	if (reader->set->host_count == WAY_HOSTS_MAX)
		return refuse(reader, text, "too many entries");
	if (!host_valid(text, name_len) || strlen(address) >= sizeof(host->address) ||
		(inet_pton(AF_INET, address, bytes) != 1 && inet_pton(AF_INET6, address, bytes) != 1))
		return refuse(reader, text, "an entry is NAME ADDRESS");
	memcpy(host->name, text, name_len);
	memcpy(host->address, address, strlen(address));
	reader->set->host_count++;
	return 0;
}

int
way_set_create(struct way_set **out, const struct way_config *config, struct config_error *err)
{
	struct way_set *set = calloc(1, sizeof(*set));
	struct reader reader = { .set = set, .config = config, .err = err, .where = "uplink.ways" };
	size_t i;
	json_t *host;

	if (set == NULL) {
		snprintf(err->text, sizeof(err->text), "uplink.ways: no memory");
		return -ENOMEM;
	}
	int rc = add_ways(&reader);

	reader.where = "uplink.hosts";
	json_array_foreach((json_t *)config->hosts, i, host)
		rc = rc != 0 ? rc : add_host(&reader, json_is_string(host) ? json_string_value(host) : "");
	reader.where = "uplink.bandwidth";
	rc = rc != 0 ? rc : read_rates(&reader, &set->rates, config->bandwidth);
	if (rc != 0) {
		way_set_destroy(set);
		return rc;
	}
	*out = set;
	return 0;
}

void
way_set_destroy(struct way_set *set)
{
	free(set);
}
