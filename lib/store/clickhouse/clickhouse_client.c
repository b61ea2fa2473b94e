/* ClickHouse's HTTP interface: one statement a request, whole answers. */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/store/clickhouse/clickhouse_private.h"

enum {
	CONNECT_TIMEOUT_MS = 3000,
	FIRST_BYTES = 4096,
	REASON_MAX = 300,
	PASSWORD_MAX = 256,
};

void
clickhouse_bytes_put(struct clickhouse_bytes *bytes, const void *data, size_t len)
{
	size_t cap = bytes->cap == 0 ? FIRST_BYTES : bytes->cap;
	char *grown;

	if (bytes->failed || len > CLICKHOUSE_ANSWER_MAX - bytes->len) {
		bytes->failed = true;
		return;
	}
	while (cap < bytes->len + len)
		cap *= 2;
	if (cap != bytes->cap) {
		grown = realloc(bytes->data, cap);
		if (grown == NULL) {
			bytes->failed = true;
			return;
		}
		bytes->data = grown;
		bytes->cap = cap;
	}
	if (len > 0)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

void
clickhouse_bytes_printf(struct clickhouse_bytes *bytes, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (len < 0 || (size_t)len >= sizeof(text))
		bytes->failed = true;
	else
		clickhouse_bytes_put(bytes, text, (size_t)len);
}

void
clickhouse_bytes_free(struct clickhouse_bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct clickhouse_bytes){ 0 };
}

uint64_t
clickhouse_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- a request ---- */

static size_t
take_answer(char *data, size_t size, size_t count, void *arg)
{
	struct clickhouse_bytes *answer = arg;

	clickhouse_bytes_put(answer, data, size * count);
	return answer->failed ? 0 : size * count;
}

/* Called while a request waits, several times a second. */
static int
is_cancelled(void *arg, curl_off_t to_come, curl_off_t come, curl_off_t to_go, curl_off_t gone)
{
	const struct clickhouse_store *store = arg;

	return store->cancel != NULL && *store->cancel;
}

/* Everything about who is asked and what; the statement is in the address when a body goes with it. */
static bool
put_url(const struct clickhouse_store *store, struct clickhouse_node *node, const struct clickhouse_call *call,
	struct clickhouse_bytes *url)
{
	/* wait_end_of_query: an error after half an answer would come as a part of it. */
	clickhouse_bytes_printf(url, "%s/?wait_end_of_query=1", node->url);
	if (!call->no_database)
		clickhouse_bytes_printf(url, "&database=%s", store->database);
	/* Newer servers may gather inserts by themselves, and answer before they are written. */
	if (call->body != NULL && node->major >= 22)
		clickhouse_bytes_printf(url, "&async_insert=0");
	if (call->settings != NULL)
		clickhouse_bytes_printf(url, "%s", call->settings);
	if (call->body != NULL) {
		char *escaped = curl_easy_escape(node->easy, call->sql, 0);

		clickhouse_bytes_printf(url, "&query=%s", escaped == NULL ? "" : escaped);
		url->failed = url->failed || escaped == NULL;
		curl_free(escaped);
	}
	clickhouse_bytes_put(url, "", 1);
	return !url->failed;
}

static void
set_options(struct clickhouse_store *store, CURL *easy, const struct clickhouse_call *call,
	struct clickhouse_bytes *answer)
{
	const void *body = call->body == NULL ? call->sql : call->body;
	size_t len = call->body == NULL ? strlen(call->sql) : call->body_len;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, (struct curl_slist *)store->headers);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, is_cancelled);
	curl_easy_setopt(easy, CURLOPT_XFERINFODATA, store);
	if (store->ca != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, store->ca);
}

static int
judge(const struct clickhouse_node *node, CURLcode code, long status, const struct clickhouse_bytes *answer)
{
	/* The server's words for what it does not do in time. */
	static const char too_slow[] = "Code: 159";
	int len = answer->len > REASON_MAX ? REASON_MAX : (int)answer->len;

	if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_ABORTED_BY_CALLBACK)
		return -ETIMEDOUT;
	if (answer->failed)
		return -ENOMEM;
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
		log_warning("store", "clickhouse %s: %s", node->replica, curl_easy_strerror(code));
		return -ENOTCONN;
	}
	if (code == CURLE_OK && status == 200)
		return 0;
	if (code == CURLE_OK && answer->len > sizeof(too_slow) && memcmp(answer->data, too_slow, sizeof(too_slow) - 1) == 0)
		return -ETIMEDOUT;
	log_warning("store", "clickhouse %s: %s %ld %.*s", node->replica, code == CURLE_OK ? "status" : curl_easy_strerror(code),
		status, answer->len == 0 ? 0 : (int)strcspn(answer->data, "\n") < len ? (int)strcspn(answer->data, "\n") : len,
		answer->len == 0 ? "" : answer->data);
	return -EREMOTEIO;
}

int
clickhouse_ask(struct clickhouse_store *store, struct clickhouse_node *node, const struct clickhouse_call *call,
	struct clickhouse_bytes *answer)
{
	struct clickhouse_bytes url = { 0 };
	CURLcode code;
	long status = 0;
	int err;

	answer->len = 0;
	/* The connection stays; the options go. */
	curl_easy_reset(node->easy);
	if (!put_url(store, node, call, &url)) {
		clickhouse_bytes_free(&url);
		return -ENOMEM;
	}
	set_options(store, node->easy, call, answer);
	curl_easy_setopt(node->easy, CURLOPT_URL, url.data);
	code = curl_easy_perform(node->easy);
	curl_easy_getinfo(node->easy, CURLINFO_RESPONSE_CODE, &status);
	clickhouse_bytes_put(answer, "", 1);
	err = judge(node, code, status, answer);
	answer->len -= answer->len > 0;
	clickhouse_bytes_free(&url);
	return err;
}

/* ---- the nodes ---- */

static int
add_node(struct clickhouse_shard *shard, const char *url, size_t len)
{
	struct clickhouse_node *node = &shard->nodes[shard->node_count];
	const char *host;

	while (len > 0 && url[len - 1] == '/')
		len--;
	if (shard->node_count == CLICKHOUSE_REPLICAS_MAX) {
		log_error("store", "store.clickhouse.shards: more than %d replicas", CLICKHOUSE_REPLICAS_MAX);
		return -EINVAL;
	}
	shard->node_count++;
	node->url = strndup(url, len);
	node->easy = curl_easy_init();
	if (node->url == NULL || node->easy == NULL)
		return -ENOMEM;
	host = strstr(node->url, "://");
	if (host == NULL || (strncmp(node->url, "http://", 7) != 0 && strncmp(node->url, "https://", 8) != 0) ||
	    strpbrk(node->url, "'\\?#") != NULL) {
		log_error("store", "store.clickhouse.shards: %s: http://HOST:PORT or https://HOST:PORT is wanted", node->url);
		return -EINVAL;
	}
	node->replica = host + 3;
	return 0;
}

static int
add_shard(struct clickhouse_store *store, const char *text, uint64_t quorum)
{
	struct clickhouse_shard *shard = &store->shards[store->shard_count];
	int err = 0;

	if (store->shard_count == CLICKHOUSE_SHARDS_MAX) {
		log_error("store", "store.clickhouse.shards: more than %d", CLICKHOUSE_SHARDS_MAX);
		return -EINVAL;
	}
	store->shard_count++;
	while (err == 0 && *(text += strspn(text, " ")) != '\0') {
		size_t len = strcspn(text, " ");

		err = add_node(shard, text, len);
		text += len;
	}
	shard->quorum = quorum == 0 ? shard->node_count / 2 + 1 : (unsigned int)quorum;
	if (err == 0 && (shard->node_count == 0 || shard->quorum > shard->node_count)) {
		log_error("store", "store.clickhouse: a shard has %u replicas, the quorum is %u", shard->node_count, shard->quorum);
		err = -EINVAL;
	}
	return err;
}

static int
add_header(struct clickhouse_store *store, const char *name, const char *value)
{
	char text[PASSWORD_MAX + 32];
	struct curl_slist *longer;

	snprintf(text, sizeof(text), "%s: %s", name, value);
	longer = curl_slist_append(store->headers, text);
	explicit_bzero(text, sizeof(text));
	if (longer == NULL)
		return -ENOMEM;
	store->headers = longer;
	return 0;
}

static int
add_headers(struct clickhouse_store *store, const struct store_cluster *cluster)
{
	char password[PASSWORD_MAX + 1] = "";
	FILE *file;
	int err;

	if (cluster->password_file != NULL && cluster->password_file[0] != '\0') {
		file = fopen(cluster->password_file, "re");
		if (file == NULL || fgets(password, sizeof(password), file) == NULL) {
			log_error("store", "store.clickhouse.password-file: %s: %s", cluster->password_file, strerror(errno));
			if (file != NULL)
				fclose(file);
			return -EINVAL;
		}
		fclose(file);
		password[strcspn(password, "\r\n")] = '\0';
	}
	/* Curl would wait a second for "100 Continue" before a large body. */
	err = add_header(store, "Expect", "");
	if (err == 0)
		err = add_header(store, "X-ClickHouse-User", cluster->user);
	if (err == 0 && password[0] != '\0')
		err = add_header(store, "X-ClickHouse-Key", password);
	explicit_bzero(password, sizeof(password));
	return err;
}

int
clickhouse_nodes_create(struct clickhouse_store *store, const struct store_cluster *cluster)
{
	int err = add_headers(store, cluster);
	json_t *row;
	size_t i;

	json_array_foreach(cluster->shards, i, row) {
		if (err == 0)
			err = add_shard(store, json_string_value(row), cluster->quorum);
	}
	if (err == 0 && store->shard_count == 0) {
		log_error("store", "store.clickhouse.shards: must be given");
		err = -EINVAL;
	}
	return err;
}

void
clickhouse_nodes_destroy(struct clickhouse_store *store)
{
	for (unsigned int i = 0; i < store->shard_count; i++) {
		for (unsigned int n = 0; n < store->shards[i].node_count; n++) {
			struct clickhouse_node *node = &store->shards[i].nodes[n];

			if (node->easy != NULL)
				curl_easy_cleanup(node->easy);
			free(node->url);
			free(node->seen);
		}
		clickhouse_bytes_free(&store->shards[i].rows);
	}
	curl_slist_free_all(store->headers);
}
