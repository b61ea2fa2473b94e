/* The keys of `uplink.`, and what must be right before the thread starts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"

#define ROW(key, type_, field, ...) { "uplink." key, type_, offsetof(struct uplink_config, field), __VA_ARGS__ }

static const struct knob uplink_rows[] = {
	ROW("enabled", KNOB_BOOL, enabled, 0, 0, "no", NULL, "send records to an aggregator"),
	ROW("url", KNOB_TEXT, url, 0, 0, "", NULL, "https://HOST:PORT of the aggregator"),
	ROW("sensor", KNOB_TEXT, sensor, 0, 0, "", NULL,
		"the sensor's name; must equal the certificate's subject CN, which is the default"),
	ROW("cert", KNOB_TEXT, cert, 0, 0, "", NULL, "client certificate, PEM, with its chain"),
	ROW("key", KNOB_TEXT, key, 0, 0, "", NULL, "private key of the client certificate: PEM, in a TPM2 a file of a TSS2 PRIVATE KEY or handle:0x81000001"),
	ROW("ca", KNOB_TEXT, ca, 0, 0, "", NULL, "CA certificates that the aggregator's must come from, PEM"),
	ROW("crl", KNOB_TEXT, crl, 0, 0, "", NULL,
		"revocation lists, PEM, one of each CA that the aggregator's certificate comes from; read at each connection; not looked "
		"at where inspect-ca is used"),
	ROW("proxy", KNOB_TEXT, proxy, 0, 0, "", NULL,
		"http://, https://, socks5h:// or socks5://HOST:PORT, the only way; names are resolved here with socks5 only"),
	ROW("pre-proxy", KNOB_TEXT, pre_proxy, 0, 0, "", NULL, "a proxy of any kind to pass before that one"),
	ROW("proxy-user", KNOB_TEXT, proxy_user, 0, 0, "", NULL, "user name for the proxy"),
	ROW("proxy-password-file", KNOB_TEXT, proxy_password_file, 0, 0, "", NULL,
		"file whose first line is the password for the proxy"),
	ROW("proxy-ca", KNOB_TEXT, proxy_ca, 0, 0, "", NULL, "CA certificates of an https:// proxy; default: uplink.ca"),
	ROW("ways", KNOB_TREE, ways, 0, 0, NULL, NULL,
		"ways out in order of preference: \"direct\", hops' urls, or mappings of name, hops, resolve, source, interface, "
		"inspect-ca, metered, bandwidth; instead of proxy and pre-proxy"),
	ROW("hosts", KNOB_LIST, hosts, 0, 0, NULL, NULL, "addresses of names, each \"NAME ADDRESS\"; they go before DNS"),
	ROW("source", KNOB_TEXT, source, 0, 0, "", NULL, "address that connections come from; a way may say another"),
	ROW("interface", KNOB_TEXT, interface, 0, 0, "", NULL, "interface that connections leave by; a way may say another"),
	ROW("metered", KNOB_BOOL, metered, 0, 0, "no", NULL, "send alerts only; the rest waits in the spool"),
	ROW("bandwidth", KNOB_LIST, bandwidth, 0, 0, NULL, NULL,
		"bounds on what is sent, each \"[HH:MM-HH:MM] RATE\" with RATE as 64kbit or 8KiB a second; the first that holds at "
		"the local time of day counts; of all ways together that say no bandwidth of their own"),
	ROW("failover-after", KNOB_NUMBER, failover_after, 1, 100, "2", NULL, "failures in a row before the next way is taken"),
	ROW("failback-s", KNOB_NUMBER, failback_s, 1, 86400, "300", NULL,
		"how often a preferred way is tried out while another is in use"),
	ROW("pin", KNOB_TEXT, pin, 0, 0, "", NULL,
		"sha256//BASE64 of the aggregator's public key; several with ; between them; not looked at where inspect-ca is used"),
	ROW("window", KNOB_NUMBER, window, 1, UPLINK_WINDOW_MAX, "4", NULL, "batches on their way at once"),
	ROW("batch-records", KNOB_NUMBER, batch_records, 1, BATCH_COUNT_MAX, "4000", NULL, "most records of a batch"),
	ROW("batch-bytes", KNOB_SIZE, batch_bytes, 4096, 4 << 20, "1 MiB", NULL, "most bytes of a batch before compression"),
	ROW("zstd-level", KNOB_NUMBER, zstd_level, 1, 19, "3", NULL, "compression level"),
	ROW("connect-timeout-ms", KNOB_NUMBER, connect_timeout_ms, 100, 600000, "5000", NULL,
		"give each step of a way up after this long"),
	ROW("timeout-ms", KNOB_NUMBER, timeout_ms, 1000, 3600000, "30000", NULL,
		"give a request up when nothing has moved for this long, and in any case after 20 times as long"),
	ROW("backoff-max-ms", KNOB_NUMBER, backoff_max_ms, UPLINK_BACKOFF_MIN_MS, 3600000, "4000", NULL,
		"longest pause between attempts"),
	ROW("drain-ms", KNOB_NUMBER, drain_ms, 0, 86400000, "10000", NULL,
		"how long a stop waits for acknowledgements; what is left stays in the spool"),
	ROW("quarantine", KNOB_TEXT, quarantine, 0, 0, "", NULL,
		"file of records the aggregator refuses for good; default: quarantine.ndjson in spool.path"),
	ROW("quarantine-size", KNOB_SIZE, quarantine_size, 0, 1ull << 40, "16 MiB", NULL, "bound of that file"),
};

const struct knob_table uplink_knobs = { "link", uplink_rows, sizeof(uplink_rows) / sizeof(uplink_rows[0]) };

int
uplink_config_fail(struct config_error *err, int rc, const char *key, const char *value, const char *why)
{
	snprintf(err->text, sizeof(err->text), "uplink.%s: %.300s: %s", key, value, why);
	log_error("link", "%s", err->text);
	return rc;
}

static int
check_numbers(const struct uplink_config *config, struct config_error *err)
{
	if (config->window < 1 || config->window > UPLINK_WINDOW_MAX || config->batch_records < 1 ||
		config->batch_records > BATCH_COUNT_MAX || config->backoff_max_ms < UPLINK_BACKOFF_MIN_MS)
		return uplink_config_fail(err, -EINVAL, "window", "", "a number is out of its range");
	return 0;
}

static int
check_pin(const char *pins, struct config_error *err)
{
	static const char begin[] = "sha256//";

	for (const char *pin = pins; pin != NULL && *pin != '\0'; pin += strcspn(pin, ";"), pin += *pin == ';')
		if (strncmp(pin, begin, sizeof(begin) - 1) != 0 || strcspn(pin, ";") != sizeof(begin) - 1 + 44)
			return uplink_config_fail(err, -EINVAL, "pin", pins, "a pin is sha256// and 44 characters of base64");
	return 0;
}

static int
check_crl(const char *crl, struct config_error *err)
{
	if (crl == NULL || crl[0] == '\0')
		return 0;
	if (strlen(crl) > WAY_PATH_LEN_MAX)
		return uplink_config_fail(err, -EINVAL, "crl", crl, "is too long");
	int rc = access(crl, R_OK) == 0 ? 0 : -errno;

	return rc == 0 ? 0 : uplink_config_fail(err, rc, "crl", crl, strerror(-rc));
}

static int
read_identity(struct uplink_target *target, const struct uplink_config *config, struct config_error *err)
{
	static const char *const keys[IDENTITY_FILES] = { "cert", "key", "ca" };
	const char *const paths[IDENTITY_FILES] = { config->cert, config->key, config->ca };
	enum identity_file bad;
	const char *why;

	for (unsigned int i = 0; i < IDENTITY_FILES; i++) {
		if (paths[i] == NULL || paths[i][0] == '\0')
			return uplink_config_fail(err, -EINVAL, keys[i], "", "must name a file");
		if (strlen(paths[i]) > WAY_PATH_LEN_MAX)
			return uplink_config_fail(err, -EINVAL, keys[i], paths[i], "is too long");
		memcpy(target->paths.at[i], paths[i], strlen(paths[i]) + 1);
	}
	int rc = identity_load(&target->identity, &target->paths, &bad, &why);

	if (rc < 0)
		return uplink_config_fail(err, rc, keys[bad], paths[bad], why);
	if (config->sensor != NULL && config->sensor[0] != '\0' && strcmp(config->sensor, target->identity.sensor) != 0)
		return uplink_config_fail(err, -EINVAL, "sensor", config->sensor, "is not the certificate's subject CN");
	return 0;
}

int
uplink_ways_read(struct way_set **out, const struct uplink_config *config, struct config_error *err)
{
	const struct way_config ways = {
		.ways = config->ways, .hosts = config->hosts, .proxy = config->proxy, .pre_proxy = config->pre_proxy,
		.proxy_user = config->proxy_user, .proxy_password_file = config->proxy_password_file,
		.proxy_ca = config->proxy_ca, .source = config->source, .interface = config->interface, .ca = config->ca,
		.metered = config->metered, .bandwidth = config->bandwidth,
	};
	int rc = way_set_create(out, &ways, err);

	if (rc != 0)
		log_error("link", "%s", err->text);
	return rc;
}

int
uplink_target_read(struct uplink_target *target, const struct uplink_config *config, struct config_error *err)
{
	memset(target, 0, sizeof(*target));
	if (way_end_parse(&target->end, config->url, "https", 443) != 0)
		return uplink_config_fail(err, -EINVAL, "url", config->url, "must be https://HOST:PORT");
	int rc = check_numbers(config, err);

	rc = rc != 0 ? rc : check_pin(config->pin, err);
	rc = rc != 0 ? rc : check_crl(config->crl, err);
	rc = rc != 0 ? rc : read_identity(target, config, err);
	rc = rc != 0 ? rc : uplink_ways_read(&target->ways, config, err);
	if (rc != 0) {
		uplink_target_free(target);
		return rc;
	}
	bool v6 = strchr(target->end.host, ':') != NULL;

	snprintf(target->crl, sizeof(target->crl), "%s", config->crl == NULL ? "" : config->crl);
	snprintf(target->pin, sizeof(target->pin), "%s", config->pin == NULL ? "" : config->pin);
	snprintf(target->url, sizeof(target->url), "https://%s%s%s:%u" BATCH_PATH, v6 ? "[" : "", target->end.host,
		v6 ? "]" : "", target->end.port);
	return 0;
}

void
uplink_target_free(struct uplink_target *target)
{
	way_set_destroy(target->ways);
	target->ways = NULL;
	identity_free(&target->identity);
}
