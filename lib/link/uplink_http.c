/* Requests: what every one has in common is set once, what differs with each batch at its start. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"

/* And no RSA below 2048 bits, no SHA-1, whatever the machine's own setting. */
static const char tls12_ciphers[] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=2";

/* What is beyond the bound is let go: an answer that long is not one of ours. */
static size_t
take_answer(char *data, size_t size, size_t count, void *arg)
{
	struct uplink_flight *flight = arg;
	size_t len = size * count;
	size_t room = sizeof(flight->answer) - flight->answer_len;
	size_t taken = len < room ? len : room;

	memcpy(flight->answer + flight->answer_len, data, taken);
	flight->answer_len += taken;
	return len;
}

static void
set_tls(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, tls12_ciphers);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* the file may change */
}

/* Long enough for every step of the longest way, each of which has its own bound. */
static long
connect_timeout_ms(const struct uplink *uplink)
{
	unsigned int hops = 0;

	for (unsigned int i = 0; i < uplink->target.ways->count; i++)
		if (uplink->target.ways->ways[i].hop_count > hops)
			hops = uplink->target.ways->ways[i].hop_count;
	return (long)(uplink->config.connect_timeout_ms * (3 + 3 * hops));
}

static int
flight_create(struct uplink *uplink, struct uplink_flight *flight)
{
	CURL *easy = curl_easy_init();

	flight->easy = easy;
	if (easy == NULL || buf_create(&flight->body, batch_body_bound(uplink->lines.cap)) < 0)
		return -ENOMEM;
	curl_easy_setopt(easy, CURLOPT_URL, uplink->target.url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "millrace-sensor/" MILLRACE_VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms(uplink));
	/* On a thin line a batch may take long, as long as it moves. */
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)uplink->config.timeout_ms * UPLINK_TIMEOUT_FACTOR);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(uplink->config.timeout_ms + 999) / 1000);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, flight);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, flight->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, flight);
	set_tls(easy);
	uplink_way_set(uplink, flight);
	return 0;
}

int
uplink_http_create(struct uplink *uplink)
{
	uplink->multi = curl_multi_init();
	if (uplink->multi == NULL)
		return -ENOMEM;
	curl_multi_setopt(uplink->multi, CURLMOPT_MAXCONNECTS, (long)uplink->config.window);
	for (unsigned int i = 0; i < uplink->config.window; i++)
		if (flight_create(uplink, &uplink->flights[i]) < 0)
			return -ENOMEM;
	return 0;
}

void
uplink_http_destroy(struct uplink *uplink)
{
	for (unsigned int i = 0; i < UPLINK_WINDOW_MAX; i++) {
		struct uplink_flight *flight = &uplink->flights[i];

		if (flight->easy != NULL && flight->state == FLIGHT_AIR)
			curl_multi_remove_handle(uplink->multi, flight->easy);
		if (flight->easy != NULL)
			curl_easy_cleanup(flight->easy);
		curl_slist_free_all(flight->headers);
		curl_slist_free_all(flight->connect_to);
		buf_destroy(&flight->body);
	}
	if (uplink->multi != NULL)
		curl_multi_cleanup(uplink->multi);
}

static bool
append_header(struct uplink_flight *flight, const char *text)
{
	struct curl_slist *longer = curl_slist_append(flight->headers, text);

	if (longer != NULL)
		flight->headers = longer;
	return longer != NULL;
}

static int
build_headers(struct uplink_flight *flight)
{
	char text[512];
	struct buf header = { .data = text, .cap = sizeof(text) };

	/* Without the empty Expect a large body waits a second for leave to go. */
	if (!append_header(flight, "Expect:"))
		return -ENOMEM;
	for (unsigned int i = 0; batch_header_at(&flight->head, i, &header); i++) {
		buf_putc(&header, '\0');
		if (header.full || !append_header(flight, text))
			return -ENOMEM;
	}
	return 0;
}

int
uplink_http_start(struct uplink *uplink, struct uplink_flight *flight)
{
	flight->answer_len = 0;
	flight->error[0] = '\0';
	if (uplink_way_ready(uplink, flight) < 0)
		return -ENOMEM;
	if (flight->headers == NULL && build_headers(flight) < 0) {
		curl_slist_free_all(flight->headers);
		flight->headers = NULL;
		return -ENOMEM;
	}
	curl_easy_setopt(flight->easy, CURLOPT_HTTPHEADER, flight->headers);
	curl_easy_setopt(flight->easy, CURLOPT_POSTFIELDS, flight->body.data);
	curl_easy_setopt(flight->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)flight->body.len);
	return curl_multi_add_handle(uplink->multi, flight->easy) == CURLM_OK ? 0 : -EIO;
}
