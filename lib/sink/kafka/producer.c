#include "lib/sink/kafka/producer.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/log.h"

enum {
	FILES_MAX = 4,
	LOOK_S = 5,
	RENEW_S = 1,             /* at most one in so long */
	PASSWORD_MAX = 256,
	WHY_MAX = 200,
	SYSLOG_WARNING = 4,
	QUEUE_KBYTES = 16 * 1024, /* room for a batch of every lane */
};

struct watched {
	char *path;
	struct timespec changed;
};

struct producer {
	rd_kafka_conf_t *conf; /* of the next one; the password is set then */
	rd_kafka_t *rk;
	const struct producer_events *events;
	void *arg;
	struct watched files[FILES_MAX];
	unsigned int file_count;
	char *password_file;   /* NULL: none */
	time_t look_s;         /* CLOCK_MONOTONIC: when to look at the files */
	time_t renew_s;        /* not before */
	int wake_fd;           /* -1: nobody waits */
};

/* What holds for every producer. None of it may be among the options: the promise of kafka.h depends on it. */
static const struct {
	const char *name, *value; /* NULL: set from the configuration */
} fixed[] = {
	{ "enable.idempotence", "true" },
	{ "acks", "all" },
	{ "message.timeout.ms", "0" },
	{ "enable.gapless.guarantee", "false" },
	{ "enable.ssl.certificate.verification", "true" },
	{ "ssl.endpoint.identification.algorithm", "https" },
	{ "ssl.cipher.suites", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384" },
	{ "partitioner", "murmur2_random" }, /* as Kafka's own clients: one flow, one partition, whoever writes */
	{ "log.queue", "true" },
	{ "log.connection.close", "false" },
	{ "client.software.name", "millrace-sensor" },
	{ "bootstrap.servers", NULL }, { "metadata.broker.list", NULL }, { "security.protocol", NULL }, { "request.required.acks", NULL },
	{ "delivery.timeout.ms", NULL }, { "retries", NULL }, { "message.send.max.retries", NULL },
	{ "queue.buffering.max.messages", NULL }, { "queue.buffering.max.kbytes", NULL }, { "compression.codec", NULL },
	{ "compression.type", NULL }, { "socket.timeout.ms", NULL }, { "request.timeout.ms", NULL }, { "reconnect.backoff.max.ms", NULL },
	{ "ssl.ca.location", NULL }, { "ssl.certificate.location", NULL }, { "ssl.key.location", NULL },
	{ "sasl.mechanism", NULL }, { "sasl.mechanisms", NULL }, { "sasl.username", NULL }, { "sasl.password", NULL },
	{ "transactional.id", NULL }, { "plugin.library.paths", NULL },
};

static const char *const protocols[] = { [PRODUCER_PLAINTEXT] = "plaintext", [PRODUCER_SSL] = "ssl",
	[PRODUCER_SASL_PLAINTEXT] = "sasl_plaintext", [PRODUCER_SASL_SSL] = "sasl_ssl" };

bool
producer_is_built(void)
{
	return true;
}

static time_t
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int
refuse(struct config_error *err, int rc, const char *key, const char *name, const char *why)
{
	snprintf(err->text, sizeof(err->text), "%.40s.%.40s: %.300s", key, name, why);
	return rc;
}

/* ---- what librdkafka says, on our thread ---- */

static void
on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct producer *producer = opaque;
	const struct producer_report report = {
		.token = message->_private,
		.len = message->len,
		.fate = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ? PRODUCER_STORED :
			message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? PRODUCER_TOO_LONG : PRODUCER_REFUSED,
		.why = rd_kafka_err2str(message->err),
	};

	producer->events->report(producer->arg, &report);
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct producer *producer = opaque;
	char why[WHY_MAX];

	if (code == RD_KAFKA_RESP_ERR__FATAL)
		return;
	/* How often and after how long changes each time; the log says a thing once. */
	snprintf(why, sizeof(why), "%.*s", (int)(strstr(reason, " (after ") == NULL ? strlen(reason) :
		(size_t)(strstr(reason, " (after ") - reason)), reason);
	producer->events->trouble(producer->arg, why);
}

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	if (level <= SYSLOG_WARNING)
		log_info("sink", "kafka: %s: %s", facility, text);
	else
		log_debug("sink", "kafka: %s: %s", facility, text);
}

/* ---- settings ---- */

static int
set(struct producer *producer, const struct producer_config *config, const char *name, const char *value,
	struct config_error *err)
{
	char why[WHY_MAX];

	if (rd_kafka_conf_set(producer->conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		return refuse(err, -EINVAL, config->key, name, why);
	return 0;
}

static int
set_number(struct producer *producer, const struct producer_config *config, const char *name, uint64_t value,
	struct config_error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return set(producer, config, name, text, err);
}

static int
set_option(struct producer *producer, const struct producer_config *config, const char *option, struct config_error *err)
{
	const char *equals = option == NULL ? NULL : strchr(option, '=');
	char name[128];

	if (equals == NULL || (size_t)(equals - option) >= sizeof(name))
		return refuse(err, -EINVAL, config->key, "options", "each is NAME=VALUE");
	snprintf(name, sizeof(name), "%.*s", (int)(equals - option), option);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (strcmp(fixed[i].name, name) == 0)
			return refuse(err, -EINVAL, config->key, "options", "one is not to be changed, or has a key of its own");
	return set(producer, config, name, equals + 1, err);
}

/* What is not given stays librdkafka's. A path is remembered, to be looked at. */
static int
set_file(struct producer *producer, const struct producer_config *config, const char *name, const char *path,
	struct config_error *err)
{
	struct watched *file = &producer->files[producer->file_count];
	struct stat st;

	if (path[0] == '\0')
		return 0;
	if (stat(path, &st) != 0)
		return refuse(err, -EINVAL, config->key, path, strerror(errno));
	file->path = strdup(path);
	if (file->path == NULL)
		return refuse(err, -ENOMEM, config->key, path, "no memory");
	file->changed = st.st_mtim;
	producer->file_count++;
	return name == NULL ? 0 : set(producer, config, name, path, err);
}

static int
set_security(struct producer *producer, const struct producer_config *config, struct config_error *err)
{
	bool tls = config->security == PRODUCER_SSL || config->security == PRODUCER_SASL_SSL;
	bool sasl = config->security >= PRODUCER_SASL_PLAINTEXT;
	int rc = set(producer, config, "security.protocol", protocols[config->security], err);

	if (rc == 0 && tls && config->ca[0] == '\0')
		return refuse(err, -EINVAL, config->key, "ca", "must name the CA certificates of the brokers");
	if (rc == 0 && (config->cert[0] == '\0') != (config->cert_key[0] == '\0'))
		return refuse(err, -EINVAL, config->key, "cert", "a certificate and its key are given together");
	if (rc == 0 && tls) {
		rc = set_file(producer, config, "ssl.ca.location", config->ca, err);
		rc = rc != 0 ? rc : set_file(producer, config, "ssl.certificate.location", config->cert, err);
		rc = rc != 0 ? rc : set_file(producer, config, "ssl.key.location", config->cert_key, err);
	}
	if (rc != 0 || !sasl)
		return rc;
	if (config->sasl_user[0] == '\0' || config->sasl_password_file[0] == '\0')
		return refuse(err, -EINVAL, config->key, "sasl-user", "SASL needs sasl-user and sasl-password-file");
	rc = set(producer, config, "sasl.mechanism", config->sasl_mechanism, err);
	rc = rc != 0 ? rc : set(producer, config, "sasl.username", config->sasl_user, err);
	rc = rc != 0 ? rc : set_file(producer, config, NULL, config->sasl_password_file, err);
	if (rc == 0)
		producer->password_file = producer->files[producer->file_count - 1].path;
	return rc;
}

static int
set_all(struct producer *producer, const struct producer_config *config, struct config_error *err)
{
	json_t *option;
	size_t i;
	int rc = 0;

	if (config->brokers[0] == '\0')
		return refuse(err, -EINVAL, config->key, "brokers", "must be HOST:PORT,...");
	for (i = 0; rc == 0 && i < sizeof(fixed) / sizeof(fixed[0]) && fixed[i].value != NULL; i++)
		rc = set(producer, config, fixed[i].name, fixed[i].value, err);
	rc = rc != 0 ? rc : set(producer, config, "bootstrap.servers", config->brokers, err);
	rc = rc != 0 ? rc : set(producer, config, "client.id", "millrace", err);
	rc = rc != 0 ? rc : set(producer, config, "client.software.version", MILLRACE_VERSION, err);
	rc = rc != 0 ? rc : set(producer, config, "compression.codec", config->compression, err);
	rc = rc != 0 ? rc : set_number(producer, config, "queue.buffering.max.messages", config->messages_max, err);
	rc = rc != 0 ? rc : set_number(producer, config, "queue.buffering.max.kbytes", QUEUE_KBYTES, err);
	rc = rc != 0 ? rc : set_number(producer, config, "socket.timeout.ms", config->timeout_ms, err);
	rc = rc != 0 ? rc : set_number(producer, config, "request.timeout.ms", config->timeout_ms, err);
	rc = rc != 0 ? rc : set_number(producer, config, "reconnect.backoff.max.ms", config->backoff_max_ms, err);
	rc = rc != 0 ? rc : set_security(producer, config, err);
	json_array_foreach((json_t *)config->options, i, option)
		rc = rc != 0 ? rc : set_option(producer, config, json_string_value(option), err);
	rd_kafka_conf_set_opaque(producer->conf, producer);
	rd_kafka_conf_set_dr_msg_cb(producer->conf, on_report);
	rd_kafka_conf_set_error_cb(producer->conf, on_error);
	rd_kafka_conf_set_log_cb(producer->conf, on_log);
	return rc;
}

/* ---- life ---- */

/* @return whether the password, if there is one, is set */
static bool
set_password(const struct producer *producer, rd_kafka_conf_t *conf, char why[WHY_MAX])
{
	FILE *file = producer->password_file == NULL ? NULL : fopen(producer->password_file, "re");
	char line[PASSWORD_MAX] = "";
	bool set_well;

	if (producer->password_file == NULL)
		return true;
	if (file != NULL && fgets(line, sizeof(line), file) != NULL)
		line[strcspn(line, "\r\n")] = '\0';
	set_well = line[0] != '\0' && rd_kafka_conf_set(conf, "sasl.password", line, why, WHY_MAX) == RD_KAFKA_CONF_OK;
	if (line[0] == '\0')
		snprintf(why, WHY_MAX, "sasl-password-file: holds no password");
	explicit_bzero(line, sizeof(line));
	if (file != NULL)
		fclose(file);
	return set_well;
}

static rd_kafka_t *
begin(const struct producer *producer, char why[WHY_MAX])
{
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(producer->conf);
	rd_kafka_t *rk = !set_password(producer, conf, why) ? NULL : rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, WHY_MAX);

	if (rk == NULL)
		rd_kafka_conf_destroy(conf);
	else
		rd_kafka_set_log_queue(rk, NULL);
	return rk;
}

static void
end(rd_kafka_t *rk)
{
	if (rk == NULL)
		return;
	rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

int
producer_create(struct producer **out, const struct producer_config *config, const struct producer_events *events, void *arg,
	struct config_error *err)
{
	struct producer *producer = calloc(1, sizeof(*producer));
	char why[WHY_MAX] = "";
	int rc;

	if (producer == NULL)
		return refuse(err, -ENOMEM, config->key, "brokers", "no memory");
	producer->events = events;
	producer->arg = arg;
	producer->wake_fd = -1;
	producer->look_s = now_s() + LOOK_S;
	producer->conf = rd_kafka_conf_new();
	rc = set_all(producer, config, err);
	if (rc == 0 && !config->is_check) {
		producer->rk = begin(producer, why);
		if (producer->rk == NULL)
			rc = refuse(err, -EINVAL, config->key, "brokers", why);
	}
	if (rc != 0) {
		producer_destroy(producer);
		return rc;
	}
	*out = producer;
	return 0;
}

void
producer_destroy(struct producer *producer)
{
	if (producer == NULL)
		return;
	end(producer->rk);
	rd_kafka_conf_destroy(producer->conf);
	for (unsigned int i = 0; i < producer->file_count; i++)
		free(producer->files[i].path);
	free(producer);
}

void
producer_wake(struct producer *producer, int fd)
{
	static const uint64_t one = 1;
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer->rk);

	producer->wake_fd = fd;
	rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
	rd_kafka_queue_destroy(queue);
}

/* The next one first: files that are half written leave the present one in its place. */
static void
renew(struct producer *producer, const char *reason)
{
	char why[WHY_MAX] = "";
	rd_kafka_t *next = begin(producer, why);

	if (next == NULL) {
		log_warning("sink", "kafka: %s, but no new producer can be made: %s", reason, why);
		return;
	}
	end(producer->rk);
	producer->rk = next;
	if (producer->wake_fd >= 0)
		producer_wake(producer, producer->wake_fd);
	log_notice("sink", "kafka: a new producer, since %s", reason);
	producer->events->renewed(producer->arg);
}

static bool
files_changed(struct producer *producer)
{
	bool changed = false;
	struct stat st;

	for (unsigned int i = 0; i < producer->file_count; i++) {
		struct watched *file = &producer->files[i];

		if (stat(file->path, &st) != 0 ||
		    (st.st_mtim.tv_sec == file->changed.tv_sec && st.st_mtim.tv_nsec == file->changed.tv_nsec))
			continue;
		file->changed = st.st_mtim;
		changed = true;
	}
	return changed;
}

void
producer_poll(struct producer *producer)
{
	char reason[WHY_MAX];
	time_t now;

	while (rd_kafka_poll(producer->rk, 0) > 0)
		;
	now = now_s();
	if (now >= producer->renew_s && rd_kafka_fatal_error(producer->rk, reason, sizeof(reason)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		renew(producer, reason);
		producer->renew_s = now_s() + RENEW_S;
	}
	if (now < producer->look_s)
		return;
	if (files_changed(producer))
		renew(producer, "a file has changed");
	producer->look_s = now + LOOK_S;
}

/* ---- sending ---- */

int
producer_send(struct producer *producer, const struct producer_message *message)
{
	rd_kafka_resp_err_t err = rd_kafka_producev(producer->rk, RD_KAFKA_V_TOPIC(message->topic),
		RD_KAFKA_V_KEY(message->key, message->key_len), RD_KAFKA_V_VALUE((void *)message->value, message->len),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(message->token),
		RD_KAFKA_V_HEADER("millrace-id", message->id, strlen(message->id)),
		RD_KAFKA_V_HEADER("millrace-sensor", message->sensor, strlen(message->sensor)), RD_KAFKA_V_END);

	switch (err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR: return 0;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE: return -EMSGSIZE;
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
	case RD_KAFKA_RESP_ERR__FATAL: return -EAGAIN;
	default: return -EINVAL;
	}
}
