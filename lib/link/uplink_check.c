#include "lib/link/uplink_check.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/link/uplink_private.h"
#include "lib/link/way_hop.h"

enum {
	DAY_S = 86400,
	SOON_DAYS = 30,
	REQUEST_LEN_MAX = 8192,
	ANSWER_LEN_MAX = 32768,
	TEXT_LEN_MAX = 1023,
	ANSWER_SLOWER = 4, /* an answer may take that many times a step's time: the aggregator may be busy */
};

static const char record[] = "{\"timestamp\":\"1970-01-01T00:00:00.000000+0000\",\"event_type\":\"uplink_test\"}\n";

struct check {
	struct uplink_target target;
	const struct way *way;
	uint64_t step_timeout_ms;
	void (*on_line)(void *arg, const struct uplink_check_line *line);
	void *arg;
};

static void
say(const struct check *check, const char *step, enum way_error error, const char *text, uint64_t took_ms)
{
	const struct uplink_check_line line = { .way = check->way == NULL ? NULL : check->way->name, .step = step,
		.error = error, .text = text, .took_ms = took_ms };

	check->on_line(check->arg, &line);
}

static void
warn(const struct check *check, const char *step, const char *text)
{
	const struct uplink_check_line line = { .way = check->way == NULL ? NULL : check->way->name, .step = step,
		.warning = true, .text = text };

	check->on_line(check->arg, &line);
}

static void
on_step(void *arg, enum way_step step, const char *text, uint64_t took_ms)
{
	static const char *const names[] = { [WAY_STEP_NAME] = "name", [WAY_STEP_TCP] = "tcp",
		[WAY_STEP_PROXY_TLS] = "proxy tls", [WAY_STEP_HOP] = "hop" };

	say(arg, names[step], WAY_DONE, text, took_ms);
}

/* The step that an error is of. */
static const char *
step_of(enum way_error error)
{
	if (error == WAY_NAME_UNKNOWN || error == WAY_NAME_TIMEOUT)
		return "name";
	if (error >= WAY_SOURCE && error <= WAY_TCP_UNREACHABLE)
		return "tcp";
	if (error >= WAY_PROXY_AUTH && error <= WAY_PROXY_TIMEOUT)
		return "hop";
	if (error >= WAY_TLS_EXPIRED && error <= WAY_TLS_CRL)
		return "certificate";
	if (error == WAY_TLS_CLIENT || error == WAY_HTTP_DENIED)
		return "authorisation";
	return error >= WAY_TLS_GARBAGE && error <= WAY_TLS_FAILED ? "tls" : "test batch";
}

static int
fault(const struct check *check, const struct way_failure *fail, bool of_proxy)
{
	say(check, of_proxy && fail->error >= WAY_TLS_GARBAGE && fail->error <= WAY_TLS_FAILED ? "proxy tls" : step_of(fail->error),
		fail->error, fail->text, 0);
	return -1;
}

/* ---- certificates ---- */

static int64_t
days_left(time_t end)
{
	int64_t left_s = (int64_t)end - (int64_t)time(NULL);

	return left_s < 0 ? -1 : left_s / DAY_S;
}

static void
say_days(const struct check *check, const char *step, const char *what, time_t end)
{
	char text[TEXT_LEN_MAX + 1];
	int64_t days = days_left(end);

	if (days < 0)
		snprintf(text, sizeof(text), "%s has expired", what);
	else
		snprintf(text, sizeof(text), "%s: %lld days left", what, (long long)days);
	if (days < 0)
		say(check, step, WAY_TLS_EXPIRED, text, 0);
	else if (days < SOON_DAYS)
		warn(check, step, text);
	else
		say(check, step, WAY_DONE, text, 0);
}

static void
say_peer(const struct check *check, SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	char subject[200], issuer[200], text[TEXT_LEN_MAX + 1];
	struct tm tm;

	X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof(subject));
	X509_NAME_oneline(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	snprintf(text, sizeof(text), "%s from %s", subject, issuer);
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	say_days(check, "certificate", text, ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1 ? timegm(&tm) : 0);
}

/* ---- the test batch ---- */

static bool
write_batch(struct buf *out, const struct check *check)
{
	struct batch_head head = { .epoch = 1, .lane = LINK_LANE_STATS, .sequence = 1, .count = 1, .encoding = BATCH_IDENTITY };

	memcpy(head.sensor, check->target.identity.sensor, sizeof(head.sensor));
	if (batch_sign(&head, record, sizeof(record) - 1) != 0)
		return false;
	buf_printf(out, "POST " BATCH_CHECK_PATH " HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: millrace-sensor/" MILLRACE_VERSION "\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n", check->target.end.host, check->target.end.port, sizeof(record) - 1);
	batch_write_headers(out, &head, "\r\n");
	buf_puts(out, "\r\n");
	buf_puts(out, record);
	return !out->full;
}

/* TLS 1.3 tells only now whether the aggregator took the sensor's certificate. */
static void
fail_read(struct way_failure *fail, int rc)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	char text[128];

	ERR_error_string_n(code, text, sizeof(text));
	if (rc == -ETIMEDOUT)
		way_fail(fail, WAY_STALLED, "no answer to the test batch");
	else if (code != 0 && reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
		way_fail(fail, WAY_TLS_CLIENT, "the aggregator hung up: %s", text);
	else
		way_fail(fail, WAY_CUT, "hung up instead of an answer to the test batch");
}

/* Until the other end closes, as it was asked to. @return length, or -1 with fail set */
static int
read_answer(struct way_stream *stream, uint8_t *data, size_t size, struct way_failure *fail)
{
	size_t len = 0;

	while (len < size) {
		int n = way_stream_read(stream, data + len, size - len);

		if (n <= 0 && len == 0) {
			fail_read(fail, n);
			return -1;
		}
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return (int)len;
}

static void
name_answer(struct way_failure *fail, const struct way_reply *reply, json_t *body)
{
	const char *why = json_string_value(json_object_get(body, "error"));
	enum way_error error = WAY_HTTP_GARBAGE;

	if (reply->status == 429 || reply->status == 503)
		error = WAY_HTTP_LATER;
	else if (reply->status == 403 && body != NULL)
		error = WAY_HTTP_DENIED;
	else if (reply->status / 100 == 4 && why != NULL)
		error = WAY_BATCH_REFUSED;
	way_fail(fail, error, "%u %s%s%s%s", reply->status, reply->reason, why == NULL ? "" : ": ", why == NULL ? "" : why,
		reply->html ? " (a web page)" : "");
}

static int
read_verdict(const struct check *check, const uint8_t *data, size_t len, uint64_t took_ms)
{
	struct way_failure fail = { 0 };
	struct way_reply reply;
	int head_len = way_reply_parse(&reply, cursor_of(data, len));

	if (head_len <= 0) {
		way_fail(&fail, WAY_HTTP_GARBAGE, "the answer to the test batch is no HTTP");
		return fault(check, &fail, false);
	}
	json_t *body = json_loadb((const char *)data + head_len, len - (size_t)head_len, JSON_DISABLE_EOF_CHECK, NULL);
	bool good = reply.status == 200 && json_is_integer(json_object_get(body, "acked"));
	bool old = reply.status == 404 && json_is_string(json_object_get(body, "error"));

	if (good || old)
		say(check, "authorisation", WAY_DONE, check->target.identity.sensor, 0);
	else
		name_answer(&fail, &reply, body);
	if (good)
		say(check, "test batch", WAY_DONE, "checked by the aggregator, not stored", took_ms);
	if (old)
		warn(check, "test batch", "the aggregator is of an older version that has none; records should pass");
	json_decref(body);
	return good || old ? 0 : fault(check, &fail, false);
}

static int
try_batch(const struct check *check, struct way_stream *stream)
{
	char data[REQUEST_LEN_MAX];
	static uint8_t answer[ANSWER_LEN_MAX]; /* `uplink test` has one thread */
	struct buf request = { .data = data, .cap = sizeof(data) };
	struct way_failure fail = { 0 };
	uint64_t start_ms = way_now_ms();

	if (!write_batch(&request, check)) {
		way_fail(&fail, WAY_INTERNAL, "the test batch does not fit");
		return fault(check, &fail, false);
	}
	stream->deadline_ms = start_ms + check->step_timeout_ms * ANSWER_SLOWER;
	(void)way_stream_write(stream, request.data, request.len); /* why it failed is read */
	int len = read_answer(stream, answer, sizeof(answer), &fail);

	if (len < 0)
		return fault(check, &fail, false);
	return read_verdict(check, answer, (size_t)len, way_now_ms() - start_ms);
}

/* ---- a way ---- */

static int
try_end(const struct check *check, struct way_stream *stream)
{
	const struct identity *identity = &check->target.identity;
	bool inspected = check->way->inspect_ca[0] != '\0';
	const struct way_tls tls = {
		.ca = inspected ? check->way->inspect_ca : check->target.paths.at[IDENTITY_CA],
		.cert = identity->text[IDENTITY_CERT], .cert_len = identity->len[IDENTITY_CERT],
		.key = identity->text[IDENTITY_KEY], .key_len = identity->len[IDENTITY_KEY],
		.pin = inspected ? NULL : check->target.pin, .crl = inspected ? NULL : check->target.crl,
	};
	uint64_t start_ms = way_now_ms();
	struct way_failure fail = { 0 };
	char text[TEXT_LEN_MAX + 1];

	stream->deadline_ms = start_ms + check->step_timeout_ms;
	if (way_stream_tls(stream, &tls, check->target.end.host, &fail) != 0)
		return fault(check, &fail, false);
	SSL *ssl = way_stream_ssl(stream);

	snprintf(text, sizeof(text), "%s, %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
	say(check, "tls", WAY_DONE, text, way_now_ms() - start_ms);
	if (inspected)
		warn(check, "tls", "a proxy may open TLS on this way (inspect-ca) and read every record");
	say_peer(check, ssl);
	return try_batch(check, stream);
}

static int
try_way(const struct check *check)
{
	const struct way_walk walk = { .set = check->target.ways, .way = check->way, .to = &check->target.end,
		.step_timeout_ms = check->step_timeout_ms, .cancel_fd = -1, .on_step = on_step, .arg = (void *)check };
	struct way_stream *stream = NULL;
	struct way_failure fail;
	int rc = way_walk(&stream, &walk, &fail);

	rc = rc != 0 ? fault(check, &fail, true) : try_end(check, stream);
	way_stream_destroy(stream);
	return rc;
}

static int
try_ways(struct check *check, const char *only)
{
	int tried = 0, failed = 0;

	for (unsigned int i = 0; i < check->target.ways->count; i++) {
		check->way = &check->target.ways->ways[i];
		if (only != NULL && strcmp(only, check->way->name) != 0)
			continue;
		tried++;
		failed += try_way(check) != 0;
	}
	return tried == 0 ? -ENOENT : failed;
}

/* What no connection would succeed with. */
static int
refuse_ended(const struct uplink_target *target, struct config_error *err)
{
	time_t now = time(NULL);
	bool own = target->identity.not_after <= now;

	if (!own && target->identity.ca_not_after > now)
		return 0;
	snprintf(err->text, sizeof(err->text), "uplink.%s: %.300s has expired: renew it; if it is still valid, this machine's clock is wrong",
		own ? "cert" : "ca", target->paths.at[own ? IDENTITY_CERT : IDENTITY_CA]);
	return -EKEYEXPIRED;
}

int
uplink_check_files(const struct uplink_config *config, struct config_error *err)
{
	struct uplink_target target;
	int rc = uplink_target_read(&target, config, err);

	if (rc == 0) {
		rc = refuse_ended(&target, err);
		uplink_target_free(&target);
	}
	return rc;
}

int
uplink_check(const struct uplink_config *config, const char *way,
	void (*on_line)(void *arg, const struct uplink_check_line *line), void *arg, struct config_error *err)
{
	struct check check = { .step_timeout_ms = config->connect_timeout_ms, .on_line = on_line, .arg = arg };
	char text[TEXT_LEN_MAX + 1];
	sigset_t pipe, before;
	int rc = uplink_target_read(&check.target, config, err);

	if (rc != 0)
		return rc;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	snprintf(text, sizeof(text), "%s for sensor %s", check.target.paths.at[IDENTITY_CERT], check.target.identity.sensor);
	say_days(&check, "own certificate", text, check.target.identity.not_after);
	say_days(&check, "ca", check.target.paths.at[IDENTITY_CA], check.target.identity.ca_not_after);
	rc = try_ways(&check, way);
	if (rc == -ENOENT)
		snprintf(err->text, sizeof(err->text), "uplink.ways: there is no way \"%.100s\"", way);
	/* A signal that came is of a connection that is gone by now. */
	const struct timespec none = { 0 };

	while (sigtimedwait(&pipe, NULL, &none) > 0)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	uplink_target_free(&check.target);
	return rc;
}
