/*
 * The control socket: one JSON request a line, one JSON answer a line. Requests are {"verb":"…"} with arguments beside
 * it; answers {"ok":true,…} or {"ok":false,"error":"…"}. One thread serves a bounded number of clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/sensor/sensor.h"
#include "lib/base/clock.h"
#include "lib/base/folder.h"
#include "lib/base/log.h"
#include "lib/base/losses.h"

enum { CLIENTS_MAX = 16, REQUEST_LEN_MAX = 64 * 1024, PATIENCE_MS = 2000, POLL_MS = 200, TOP_DEFAULT = 20, TOP_MAX = 1000 };

struct client {
	int fd;
	size_t len;
	char *request; /* [REQUEST_LEN_MAX] */
};

struct control {
	struct sensor *sensor;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int listener;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	struct client clients[CLIENTS_MAX];
	unsigned int client_count;
};

static json_t *
failure(const char *text)
{
	return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

/* What was lost since the start, without what is 0. */
static json_t *
losses_of(const json_t *stats)
{
	json_t *losses = json_object();
	const char *name;
	json_t *value;
	void *next;

	losses_add_stats(losses, stats);
	json_object_foreach_safe(losses, next, name, value)
		if (json_integer_value(value) == 0)
			json_object_del(losses, name);
	return losses;
}

static json_t *
links_of(const json_t *stats)
{
	json_t *links = json_object();
	size_t i;
	json_t *port;

	json_array_foreach(json_object_get(stats, "ports"), i, port)
		if (json_object_get(port, "link") != NULL)
			json_object_set(links, json_string_value(json_object_get(port, "port")), json_object_get(port, "link"));
	return links;
}

static json_t *
verb_status(struct sensor *sensor, const json_t *request)
{
	json_t *stats = stats_collect(sensor);
	json_t *answer = json_pack("{s:b,s:s,s:O,s:O,s:b,s:i,s:i}", "ok", 1, "version", MILLRACE_VERSION, "uptime",
		json_object_get(stats, "uptime"), "capture", json_object_get(stats, "capture"), "huge_pages", sensor->huge_pages,
		"workers", (int)sensor->worker_count, "ports", (int)sensor->port_count);

	if (json_object_get(stats, "rules") != NULL)
		json_object_set(answer, "rules", json_object_get(stats, "rules"));
	json_object_set_new(answer, "links", links_of(stats));
	json_object_set_new(answer, "losses", losses_of(stats));
	json_object_set_new(answer, "sinks", sink_set_status(sensor->sinks));
	json_decref(stats);
	return answer;
}

static json_t *
verb_counters(struct sensor *sensor, const json_t *request)
{
	return json_pack("{s:b,s:o}", "ok", 1, "counters", stats_collect(sensor));
}

static json_t *
verb_ports(struct sensor *sensor, const json_t *request)
{
	json_t *stats = stats_collect(sensor);
	json_t *answer = json_pack("{s:b,s:O}", "ok", 1, "ports", json_object_get(stats, "ports"));

	json_decref(stats);
	return answer;
}

static json_t *
verb_uplink(struct sensor *sensor, const json_t *request)
{
	return json_pack("{s:b,s:o}", "ok", 1, "sinks", sink_set_status(sensor->sinks));
}

static json_t *
verb_rules_reload(struct sensor *sensor, const json_t *request)
{
	struct ruleset_stats stats;
	struct config_error err;

	if (sensor_reload_rules(sensor, &err) != 0)
		return failure(err.text);
	/* A signal may have them read again already. */
	pthread_mutex_lock(&sensor->reload_lock);
	stats = *ruleset_stats_get(sensor->ruleset);
	pthread_mutex_unlock(&sensor->reload_lock);
	return json_pack("{s:b,s:i,s:i,s:i}", "ok", 1, "loaded", (int)stats.rules_loaded, "failed", (int)stats.rules_failed,
		"compile_ms", (int)stats.compile_ms);
}

/** A rule's use by all workers, for sorting. */
struct rule_row {
	uint32_t rule_idx;
	struct rule_usage usage;
	double cycles; /* of all checks, from the measured ones */
};

static int
rule_row_compare(const void *left, const void *right)
{
	const struct rule_row *a = left, *b = right;

	if (a->cycles != b->cycles)
		return a->cycles < b->cycles ? 1 : -1;
	return (a->usage.checks < b->usage.checks) - (a->usage.checks > b->usage.checks);
}

/* The rules in force by what they cost. A worker that has not taken the newest set yet is not counted. */
static struct rule_row *
rule_rows(struct sensor *sensor, unsigned int *count)
{
	unsigned int total = ruleset_count(sensor->ruleset);
	struct rule_row *rows = calloc(total + 1ul, sizeof(*rows));

	*count = 0;
	for (unsigned int i = 0; rows != NULL && i < total; i++) {
		struct rule_row *row = &rows[*count];

		*row = (struct rule_row){ .rule_idx = i };
		for (unsigned int w = 0; w < sensor->worker_count; w++) {
			const struct rule_matcher *matcher = sensor->workers[w]->matcher;

			if (matcher != NULL && rule_matcher_ruleset(matcher) == sensor->ruleset)
				rule_matcher_usage(matcher, i, &row->usage);
		}
		if (row->usage.measured > 0)
			row->cycles = (double)row->usage.ticks / (double)row->usage.measured * (double)row->usage.checks;
		*count += row->usage.checks > 0;
	}
	if (rows != NULL)
		qsort(rows, *count, sizeof(rows[0]), rule_row_compare);
	return rows;
}

static json_t *
try_rules_top(struct sensor *sensor, const json_t *request, struct config_error *err)
{
	const json_t *asked = json_object_get(request, "limit");
	json_int_t limit = asked == NULL ? TOP_DEFAULT : json_integer_value(asked);

	if (limit < 1 || limit > TOP_MAX) {
		snprintf(err->text, sizeof(err->text), "limit is not a number of 1 to %d", TOP_MAX);
		return NULL;
	}
	json_t *list = json_array();
	unsigned int count = 0, total = 0;

	pthread_mutex_lock(&sensor->reload_lock);
	struct rule_row *rows = sensor->ruleset == NULL ? NULL : rule_rows(sensor, &count);

	total = sensor->ruleset == NULL ? 0 : ruleset_stats_get(sensor->ruleset)->rules_loaded;
	for (unsigned int i = 0; i < count && i < limit; i++) {
		const struct rule_meta *meta = ruleset_meta(sensor->ruleset, rows[i].rule_idx);
		const struct rule_usage *usage = &rows[i].usage;

		json_array_append_new(list, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "sid", (json_int_t)meta->sid, "checks",
			(json_int_t)usage->checks, "matches", (json_int_t)usage->matches, "alerts", (json_int_t)usage->alerts,
			"cycles_a_check", (json_int_t)(usage->measured == 0 ? 0 : usage->ticks / usage->measured),
			"cycles", (json_int_t)rows[i].cycles, "msg", meta->msg));
	}
	pthread_mutex_unlock(&sensor->reload_lock);
	free(rows);
	return json_pack("{s:b,s:i,s:i,s:o}", "ok", 1, "rules", (int)total, "checked", (int)count, "top", list);
}


static json_t *
verb_log_level(struct sensor *sensor, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "level"));
	int level = name == NULL ? (int)log_get_level() : log_level_parse(name);

	if (level < 0)
		return failure("level is none of error, warning, notice, info, debug");
	log_set_level((enum log_level)level);
	return json_pack("{s:b,s:s}", "ok", 1, "level", log_level_name((enum log_level)level));
}

/* Those that may refuse say why. */
static const struct {
	const char *name, *takes; /* keys of a request beside the verb; "": none */
	json_t *(*answer)(struct sensor *sensor, const json_t *request);
	json_t *(*try)(struct sensor *sensor, const json_t *request, struct config_error *err);
} verbs[] = {
	{ "status", "", verb_status, NULL },
	{ "counters", "", verb_counters, NULL },
	{ "ports", "", verb_ports, NULL },
	{ "flows", "limit, ip", NULL, control_flows },
	{ "uplink", "", verb_uplink, NULL },
	{ "rules.reload", "", verb_rules_reload, NULL },
	{ "rules.top", "limit", NULL, try_rules_top },
	{ "capture.start", "filter, name, frames, seconds, bytes", NULL, control_capture_start },
	{ "capture.stop", "", NULL, control_capture_stop },
	{ "capture.status", "", NULL, control_capture_status },
	{ "log.level", "level", verb_log_level, NULL },
};

static bool
is_word_of(const char *words, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = words; *at != '\0'; at += strcspn(at, " "), at += *at == ' ')
		if (strncmp(at, key, len) == 0 && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

/* Of a misspelt key nothing would be known: a limit that is none, a level that stays. */
static bool
knows_keys(const char *takes, const json_t *request, struct config_error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)request, key, value) {
		if (strcmp(key, "verb") == 0 || is_word_of(takes, key))
			continue;
		snprintf(err->text, sizeof(err->text), takes[0] != '\0' ? "%.100s is none of %s" : "%.100s: this verb takes no arguments", key, takes);
		return false;
	}
	return true;
}

static json_t *
run_verb(unsigned int i, struct sensor *sensor, const json_t *request)
{
	struct config_error err = { "" };
	json_t *answer;

	if (!knows_keys(verbs[i].takes, request, &err))
		return failure(err.text);
	if (verbs[i].answer != NULL)
		return verbs[i].answer(sensor, request);
	answer = verbs[i].try(sensor, request, &err);
	return answer != NULL ? answer : failure(err.text);
}

static json_t *
answer_to(struct sensor *sensor, const char *line, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	const char *verb = json_string_value(json_object_get(request, "verb"));
	json_t *answer = NULL;

	if (request == NULL)
		return failure(error.text);
	for (unsigned int i = 0; verb != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			answer = run_verb(i, sensor, request);
	json_decref(request);
	if (answer != NULL)
		return answer;
	return failure("verb is none of status, counters, ports, flows, uplink, rules.reload, rules.top, capture.start, capture.stop, "
		"capture.status, log.level");
}

/* Until the client has room for more. @param patience_ms  taken from: what is left of it @return false: it is used up */
static bool
wait_for_room(int fd, uint64_t *patience_ms)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	uint64_t since_ms = clock_ms(), took_ms;

	if (*patience_ms == 0)
		return false;
	(void)poll(&wait, 1, (int)*patience_ms);
	took_ms = clock_ms() - since_ms;
	*patience_ms -= took_ms < *patience_ms ? took_ms : *patience_ms;
	return wait.revents != 0 || *patience_ms > 0;
}

/* @param patience_ms  how long the client may be waited for; what it took is taken off, so that one who reads in drops holds
 *                     the others up no longer than one who reads nothing */
static bool
send_answer(int fd, json_t *answer, uint64_t *patience_ms)
{
	char *text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);
	size_t len = text == NULL ? 0 : strlen(text);
	size_t sent = 0;

	json_decref(answer);
	if (text == NULL)
		return false;
	text[len++] = '\n'; /* in the place of the terminator */
	while (sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR) || !wait_for_room(fd, patience_ms))
			break;
	}
	free(text);
	return sent == len;
}

/* @return whether the client stays */
static bool
serve_client(struct control *control, struct client *client)
{
	ssize_t n = recv(client->fd, client->request + client->len, REQUEST_LEN_MAX - client->len, MSG_DONTWAIT);
	uint64_t patience_ms = PATIENCE_MS; /* for all that it asked at once */
	char *newline;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return false;
	client->len += n > 0 ? (size_t)n : 0;
	while ((newline = memchr(client->request, '\n', client->len)) != NULL) {
		size_t line_len = (size_t)(newline - client->request);

		if (atomic_load(&control->stop) ||
		    !send_answer(client->fd, answer_to(control->sensor, client->request, line_len), &patience_ms))
			return false;
		client->len -= line_len + 1;
		memmove(client->request, newline + 1, client->len);
	}
	if (client->len < REQUEST_LEN_MAX)
		return true;
	send_answer(client->fd, failure("the request is longer than 65536 bytes"), &patience_ms);
	return false;
}

static void
drop_client(struct control *control, unsigned int i)
{
	close(control->clients[i].fd);
	free(control->clients[i].request);
	control->clients[i] = control->clients[--control->client_count];
}

static void
accept_client(struct control *control)
{
	uint64_t patience_ms = 0; /* a few bytes have room in any socket */
	int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
	char *request;

	if (fd < 0) {
		usleep(POLL_MS * 1000); /* no descriptor is left, perhaps: whoever knocks still does */
		return;
	}
	request = control->client_count < CLIENTS_MAX ? malloc(REQUEST_LEN_MAX) : NULL;
	if (request == NULL) {
		send_answer(fd, failure("too many clients"), &patience_ms);
		close(fd);
		return;
	}
	control->clients[control->client_count++] = (struct client){ .fd = fd, .request = request };
}

static void *
control_run(void *arg)
{
	struct control *control = arg;
	struct pollfd fds[CLIENTS_MAX + 1];

	while (!atomic_load(&control->stop)) {
		unsigned int count = control->client_count;

		control_capture_watch(control->sensor);
		fds[0] = (struct pollfd){ .fd = control->listener, .events = POLLIN };
		for (unsigned int i = 0; i < count; i++)
			fds[i + 1] = (struct pollfd){ .fd = control->clients[i].fd, .events = POLLIN };
		if (poll(fds, count + 1, POLL_MS) <= 0)
			continue;
		for (unsigned int i = count; i-- > 0;) /* from behind: a dropped client's place is taken by the last */
			if (fds[i + 1].revents != 0 && !serve_client(control, &control->clients[i]))
				drop_client(control, i);
		if (fds[0].revents != 0)
			accept_client(control);
	}
	return NULL;
}

/* What a sensor that was killed left there goes; what answers, or is something else, stays. */
static int
clear_path(const struct sockaddr_un *address, struct config_error *err)
{
	struct stat st;
	int fd;

	if (lstat(address->sun_path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err->text, sizeof(err->text), "control.socket: %.100s is there, and is no socket", address->sun_path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* EAGAIN: it is there, but busy. */
	bool answers = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	if (answers) {
		snprintf(err->text, sizeof(err->text), "control.socket: another sensor runs with %.100s", address->sun_path);
		return -EADDRINUSE;
	}
	unlink(address->sun_path);
	return 0;
}

static int
listen_at(struct control *control, const char *path, struct config_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int taken;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(err->text, sizeof(err->text), "control.socket: the path is longer than %zu bytes",
			sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	memcpy(control->path, address.sun_path, sizeof(control->path));
	taken = folder_make_above(path);
	if (taken != 0) {
		snprintf(err->text, sizeof(err->text), "control.socket: %s: %s", path, strerror(-taken));
		return taken;
	}
	taken = clear_path(&address, err);
	if (taken != 0)
		return taken;
	control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->listener >= 0) {
		mode_t before = umask(0117);
		int rc = bind(control->listener, (const struct sockaddr *)&address, sizeof(address));

		umask(before);
		if (rc == 0 && listen(control->listener, CLIENTS_MAX) == 0)
			return 0;
	}
	snprintf(err->text, sizeof(err->text), "control.socket: %s: %s", path, strerror(errno));
	return -errno;
}

int
control_create(struct control **out, struct sensor *sensor, struct config_error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int rc;

	if (control == NULL) {
		snprintf(err->text, sizeof(err->text), "out of memory");
		return -ENOMEM;
	}
	control->sensor = sensor;
	rc = listen_at(control, sensor->settings.sensor.control_socket, err);
	if (rc == 0) {
		rc = -pthread_create(&control->thread, NULL, control_run, control);
		control->started = rc == 0;
	}
	if (rc != 0) {
		control_destroy(control);
		return rc;
	}
	*out = control;
	return 0;
}

void
control_destroy(struct control *control)
{
	if (control == NULL)
		return;
	atomic_store(&control->stop, true);
	if (control->started)
		pthread_join(control->thread, NULL);
	while (control->client_count > 0)
		drop_client(control, 0);
	if (control->listener > 0)
		close(control->listener);
	if (control->started)
		unlink(control->path);
	free(control);
}
