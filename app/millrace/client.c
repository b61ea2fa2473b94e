#include "app/millrace/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <curl/curl.h>

#include "app/millrace/text.h"
#include "lib/base/json_read.h"

enum {
	ANSWER_MAX = 64 * 1024 * 1024,
	URL_MAX = 8192,
	TOKEN_MAX = 1024,
	CONNECT_TIMEOUT_S = 10,
	TIMEOUT_S = 120,
	CONTROL_TIMEOUT_S = 30,
	CONTROL_ANSWER_MAX = 16 * 1024 * 1024,
};

struct answer {
	char *data;
	size_t len;
	size_t max;
};

static bool
answer_add(struct answer *answer, const char *data, size_t len)
{
	char *grown;

	if (len > answer->max - answer->len)
		return false;
	grown = realloc(answer->data, answer->len + len + 1);
	if (grown == NULL)
		return false;
	answer->data = grown;
	memcpy(grown + answer->len, data, len);
	answer->len += len;
	return true;
}

static size_t
on_data(char *data, size_t size, size_t count, void *arg)
{
	return answer_add(arg, data, size * count) ? size * count : 0;
}

static json_t *
parse(const struct answer *answer)
{
	return json_read(answer->data == NULL ? "" : answer->data, answer->len);
}

static int
read_token(const char *path, char token[TOKEN_MAX])
{
	FILE *file;

	token[0] = '\0';
	if (path == NULL) {
		fprintf(stderr, "millrace: a token is needed: --token-file, or MILLRACE_TOKEN_FILE\n");
		return STATUS_USAGE;
	}
	file = fopen(path, "re");
	if (file == NULL || fgets(token, TOKEN_MAX, file) == NULL) {
		fprintf(stderr, "millrace: %s: %s\n", path, file == NULL ? strerror(errno) : "empty");
		if (file != NULL)
			fclose(file);
		return STATUS_USAGE;
	}
	fclose(file);
	token[strcspn(token, "\r\n \t")] = '\0';
	return STATUS_DONE;
}

static bool
put_parameter(CURL *curl, char *url, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(curl, value, 0);
	size_t len = strlen(url);
	int added;

	if (escaped == NULL)
		return false;
	added = snprintf(url + len, URL_MAX - len, "%c%s=%s", strchr(url, '?') == NULL ? '?' : '&', name, escaped);
	curl_free(escaped);
	return added > 0 && (size_t)added < URL_MAX - len;
}

static bool
make_url(CURL *curl, const struct options *options, const char *path, const char *cursor, char url[URL_MAX])
{
	size_t base_len = strlen(options->aggregator);

	while (base_len > 0 && options->aggregator[base_len - 1] == '/')
		base_len--;
	if ((size_t)snprintf(url, URL_MAX, "%.*s%s", (int)base_len, options->aggregator, path) >= URL_MAX)
		return false;
	for (uint32_t i = 0; i < options->filter_count; i++) {
		bool is_cursor = strcmp(options->filters[i].name, "cursor") == 0;

		if (cursor != NULL && is_cursor)
			continue;
		if (!put_parameter(curl, url, options->filters[i].name, options->filters[i].value))
			return false;
	}
	return cursor == NULL || put_parameter(curl, url, "cursor", cursor);
}

static void
set_up(CURL *curl, const struct options *options, const char *url, const char *token)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (options->ca != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca);
	curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
	curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
}

/* What libcurl says of these does not tell what to do. */
static const char *
hint(CURLcode code)
{
	if (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING || code == CURLE_HTTP2)
		return " (is this the port of api.listen? That for records hangs up on who has no sensor's certificate)";
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return " (--ca, or MILLRACE_CA, names the CA)";
	return "";
}

static int
perform(CURL *curl, const struct options *options)
{
	char reason[CURL_ERROR_SIZE] = "";
	CURLcode code;

	if (strncmp(options->aggregator, "https://", 8) != 0) {
		fprintf(stderr, "millrace: %s: not a URL that begins with https://\n", options->aggregator);
		return STATUS_USAGE;
	}
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		return STATUS_DONE;
	fprintf(stderr, "millrace: %s: %s%s\n", options->aggregator, reason[0] != '\0' ? reason : curl_easy_strerror(code), hint(code));
	return STATUS_UNREACHABLE;
}

/* Status and reason of a refusal, in the aggregator's words. */
static int
refused(long status, json_t *root)
{
	const char *reason = json_string_value(json_object_get(json_object_get(root, "error"), "reason"));

	fprintf(stderr, "millrace: the aggregator answered %ld: ", status);
	text_print(stderr, reason == NULL ? "no reason given" : reason, reason == NULL ? 15 : strlen(reason));
	fprintf(stderr, "\n");
	json_decref(root);
	return STATUS_FAILED;
}

/* @param body NULL: GET */
static int
ask(const struct options *options, const char *path, const char *cursor, const char *body, json_t **out)
{
	struct answer answer = { .max = ANSWER_MAX };
	char token[TOKEN_MAX];
	char url[URL_MAX];
	json_t *root;
	long http = 0;
	CURL *curl;
	int status = read_token(options->token_file, token);

	if (status != STATUS_DONE)
		return status;
	curl = curl_easy_init();
	if (curl == NULL || !make_url(curl, options, path, cursor, url)) {
		fprintf(stderr, "millrace: the request is too long\n");
		curl_easy_cleanup(curl);
		return STATUS_USAGE;
	}
	if (body != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	set_up(curl, options, url, token);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	status = perform(curl, options);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
	curl_easy_cleanup(curl);
	root = status == STATUS_DONE ? parse(&answer) : NULL;
	free(answer.data);
	if (status != STATUS_DONE)
		return status;
	if (http != 200 && http != 201)
		return refused(http, root);
	if (root == NULL) {
		fprintf(stderr, "millrace: the answer is no JSON\n");
		return STATUS_FAILED;
	}
	*out = root;
	return STATUS_DONE;
}

int
client_get(const struct options *options, const char *path, const char *cursor, json_t **out)
{
	return ask(options, path, cursor, NULL, out);
}

int
client_post(const struct options *options, const char *path, const json_t *body, json_t **out)
{
	char *text = json_dumps(body, JSON_COMPACT);
	int status = STATUS_FAILED;

	if (text == NULL)
		fprintf(stderr, "millrace: no memory, or a name that is not UTF-8\n");
	else
		status = ask(options, path, NULL, text, out);
	free(text);
	return status;
}

/* ---- streams ---- */

/* What a refusal says is kept; the rest is handed on. */
struct stream {
	CURL *curl;
	struct answer refusal;
	client_bytes_fn bytes;
	void *arg;
};

static size_t
on_stream(char *data, size_t size, size_t count, void *arg)
{
	struct stream *stream = arg;
	long http = 0;

	curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &http);
	if (http != 200)
		return on_data(data, size, count, &stream->refusal);
	return stream->bytes(stream->arg, data, size * count) ? size * count : 0;
}

int
client_stream(const struct options *options, const char *path, const char *after, client_bytes_fn bytes, void *arg)
{
	struct stream stream = { .curl = curl_easy_init(), .refusal = { .max = CONTROL_ANSWER_MAX }, .bytes = bytes, .arg = arg };
	char token[TOKEN_MAX];
	char url[URL_MAX];
	long http = 0;
	int status = read_token(options->token_file, token);

	if (status == STATUS_DONE && (stream.curl == NULL || !make_url(stream.curl, options, path, NULL, url) ||
	    (after != NULL && !put_parameter(stream.curl, url, "after", after))))
		status = STATUS_USAGE;
	if (status == STATUS_DONE) {
		set_up(stream.curl, options, url, token);
		/* It may be silent for long, but not longer than the aggregator's beats are apart. */
		curl_easy_setopt(stream.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(stream.curl, CURLOPT_LOW_SPEED_TIME, (long)TIMEOUT_S);
		curl_easy_setopt(stream.curl, CURLOPT_WRITEFUNCTION, on_stream);
		curl_easy_setopt(stream.curl, CURLOPT_WRITEDATA, &stream);
		status = perform(stream.curl, options);
		curl_easy_getinfo(stream.curl, CURLINFO_RESPONSE_CODE, &http);
	}
	if (status == STATUS_DONE && http != 200)
		status = refused(http, parse(&stream.refusal));
	curl_easy_cleanup(stream.curl);
	free(stream.refusal.data);
	return status;
}

/* ---- the control socket ---- */

static int
control_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval timeout = { .tv_sec = CONTROL_TIMEOUT_S };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

static int
control_exchange(int fd, const char *request, struct answer *answer)
{
	size_t len = strlen(request);
	char chunk[65536];

	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(fd, request + sent, len - sent, MSG_NOSIGNAL);

		if (n <= 0)
			return -errno;
		sent += (size_t)n;
	}
	for (;;) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		if (!answer_add(answer, chunk, (size_t)n))
			return -EMSGSIZE;
		if (chunk[n - 1] == '\n')
			return 0;
	}
}

int
client_control(const struct options *options, json_t *request, json_t **out)
{
	struct answer answer = { .max = CONTROL_ANSWER_MAX };
	char *line = json_dumps(request, JSON_COMPACT);
	size_t len = line == NULL ? 0 : strlen(line);
	char *whole = line == NULL ? NULL : realloc(line, len + 2);
	int fd = control_connect(options->socket);
	int err = fd < 0 ? fd : whole == NULL ? -ENOMEM : 0;

	if (err == 0) {
		memcpy(whole + len, "\n", 2);
		err = control_exchange(fd, whole, &answer);
	}
	free(whole);
	if (fd >= 0)
		close(fd);
	*out = err == 0 ? parse(&answer) : NULL;
	free(answer.data);
	if (err != 0) {
		fprintf(stderr, "millrace: %s: %s%s\n", options->socket, strerror(-err), err == -ENOENT || err == -ECONNREFUSED
			? " (does the sensor run? --socket is its control.socket)" : "");
		return STATUS_UNREACHABLE;
	}
	if (*out == NULL) {
		fprintf(stderr, "millrace: the answer is no JSON\n");
		return STATUS_FAILED;
	}
	return json_is_false(json_object_get(*out, "ok")) ? STATUS_FAILED : STATUS_DONE;
}
