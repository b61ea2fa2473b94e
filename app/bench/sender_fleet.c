#include "app/bench/sender_fleet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>

#include "app/bench/batches.h"
#include "app/bench/sender_h2.h"
#include "app/bench/sender_tls.h"

enum {
	HANDSHAKES_MAX = 64,  /* at once */
	HEAD_MAX = 4096,
	TICK_MS = 5,
};

enum state { SENDER_SHAKING, SENDER_READY, SENDER_WAITING, SENDER_LOST };

struct sender {
	struct fleet *fleet;
	struct bufferevent *bev;
	struct sender_h2 *h2; /* NULL: HTTP/1.1 */
	uint64_t next;    /* sequence */
	uint64_t due_ns;  /* of the next batch */
	uint64_t sent_ns;
	uint32_t batch;
	enum state state;
};

struct fleet {
	struct fleet_options options;
	struct fleet_shared *shared;
	struct fleet_tally *tally;
	const struct bench_batches *batches;
	struct sender_tls *tls;
	struct event_base *base;
	struct event *tick;
	struct sender *senders;
	uint64_t go_ns;
	uint32_t begun, shaking;
};

uint64_t
fleet_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
name_of(const struct sender *sender, char name[BATCH_SENSOR_MAX + 1])
{
	const struct fleet *fleet = sender->fleet;

	snprintf(name, BATCH_SENSOR_MAX + 1, "bench-%u", fleet->options.first + (unsigned int)(sender - fleet->senders));
}

static void
lose(struct sender *sender)
{
	struct fleet *fleet = sender->fleet;

	if (sender->state == SENDER_SHAKING)
		fleet->shaking--;
	else
		fleet->tally->ready--;
	sender->state = SENDER_LOST;
	fleet->tally->lost++;
	sender_h2_destroy(sender->h2);
	sender->h2 = NULL;
	bufferevent_free(sender->bev);
	sender->bev = NULL;
}

static void
send_batch(struct sender *sender, uint64_t now_ns)
{
	struct fleet *fleet = sender->fleet;
	const struct bench_batch *batch = &fleet->batches->batches[sender->batch % fleet->batches->count];
	struct batch_head head = { .epoch = fleet->shared->epoch, .lane = LINK_LANE_EVENT, .sequence = sender->next,
		.count = batch->count, .encoding = BATCH_ZSTD };
	char text[HEAD_MAX];
	struct buf out = { .data = text, .cap = sizeof(text) };
	const char *path = fleet->options.check ? BATCH_CHECK_PATH : BATCH_PATH;

	name_of(sender, head.sensor);
	memcpy(head.digest, batch->digest, sizeof(head.digest));
	sender->state = SENDER_WAITING;
	sender->sent_ns = now_ns;
	if (sender->h2 != NULL) {
		batch_write_headers(&out, &head, "\r\n");
		buf_printf(&out, "%c", '\0');
		if (sender_h2_post(sender->h2, path, out.data, batch->body, batch->body_len) != 0)
			lose(sender);
		return;
	}
	buf_printf(&out, "POST %s HTTP/1.1\r\nHost: localhost\r\n", path);
	batch_write_headers(&out, &head, "\r\n");
	buf_printf(&out, "Content-Length: %zu\r\n\r\n", batch->body_len);
	evbuffer_add(bufferevent_get_output(sender->bev), out.data, out.len);
	/* The body is one for all: it is lent. */
	evbuffer_add_reference(bufferevent_get_output(sender->bev), batch->body, batch->body_len, NULL, NULL);
}

static void
take_answer(void *arg, int status)
{
	struct sender *sender = arg;
	struct fleet *fleet = sender->fleet;
	uint64_t now_ns = fleet_clock_ns();
	uint64_t took_ms = (now_ns - sender->sent_ns) / 1000000;
	const struct bench_batch *batch = &fleet->batches->batches[sender->batch % fleet->batches->count];

	sender->state = SENDER_READY;
	sender->due_ns = now_ns;
	if (status == 200) {
		fleet->tally->batches++;
		fleet->tally->records += batch->count;
		fleet->tally->latencies[took_ms < FLEET_LATENCY_SLOTS ? took_ms : FLEET_LATENCY_SLOTS - 1]++;
		sender->next += batch->count;
		sender->batch++;
		sender->due_ns = sender->sent_ns + (uint64_t)(fleet->options.interval_s * 1e9);
	} else if (status == 429 || status == 503) {
		fleet->tally->later++;
		sender->due_ns = now_ns + 1000000000;
	} else {
		fleet->tally->refused++;
		sender->due_ns = now_ns + 1000000000;
	}
}

/* An answer of the aggregator: a head, and a body of Content-Length. */
static void
on_read(struct bufferevent *bev, void *arg)
{
	struct sender *sender = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char head[HEAD_MAX];
	const char *length;
	size_t body_len;
	int status;

	if (sender->h2 != NULL) {
		if (sender_h2_read(sender->h2) != 0)
			lose(sender);
		return;
	}
	if (end.pos < 0)
		return;
	if ((size_t)end.pos + 4 >= sizeof(head)) {
		lose(sender);
		return;
	}
	evbuffer_copyout(in, head, (size_t)end.pos + 4);
	head[end.pos + 4] = '\0';
	length = strcasestr(head, "\r\nContent-Length:");
	body_len = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
	if (evbuffer_get_length(in) < (size_t)end.pos + 4 + body_len)
		return;
	evbuffer_drain(in, (size_t)end.pos + 4 + body_len);
	if (sscanf(head, "HTTP/1.1 %d", &status) != 1 || sender->state != SENDER_WAITING)
		lose(sender);
	else
		take_answer(sender, status);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct sender *sender = arg;
	struct fleet *fleet = sender->fleet;

	int on = 1;

	if (what & BEV_EVENT_CONNECTED) {
		/* As libcurl has it. */
		(void)setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		fleet->shaking--;
		fleet->tally->ready++;
		sender->state = SENDER_READY;
		sender->h2 = fleet->options.http2 ? sender_h2_create(bev, take_answer, sender) : NULL;
		if (fleet->options.http2 && sender->h2 == NULL)
			lose(sender);
	} else {
		lose(sender);
	}
}

static void
begin(struct fleet *fleet, struct sender *sender)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(fleet->options.port) };
	char name[BATCH_SENSOR_MAX + 1];
	SSL *ssl;

	*sender = (struct sender){ .fleet = fleet, .next = 1, .batch = (uint32_t)(sender - fleet->senders),
		.state = SENDER_SHAKING };
	name_of(sender, name);
	fleet->begun++;
	fleet->shaking++;
	inet_pton(AF_INET, fleet->options.address, &to.sin_addr);
	ssl = sender_tls_connect(fleet->tls, name);
	sender->bev = ssl == NULL ? NULL : bufferevent_openssl_socket_new(fleet->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
		BEV_OPT_CLOSE_ON_FREE);
	if (sender->bev == NULL) {
		fprintf(stderr, "millrace-bench: no memory for sender %s\n", name);
		exit(1);
	}
	bufferevent_setcb(sender->bev, on_read, NULL, on_event, sender);
	bufferevent_enable(sender->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(sender->bev, (struct sockaddr *)&to, sizeof(to)) != 0 && sender->state == SENDER_SHAKING)
		lose(sender);
}

/* ---- the course: connect all, then deliver for a time ---- */

static void
start_delivery(struct fleet *fleet, uint64_t now_ns)
{
	double interval_ns = fleet->options.interval_s * 1e9;
	struct fleet_tally *tally = fleet->tally;

	fleet->go_ns = now_ns;
	tally->batches = tally->records = 0;
	memset(tally->latencies, 0, sizeof(tally->latencies));
	/* Sensors are not in step with each other. */
	for (uint32_t i = 0; i < fleet->options.senders; i++)
		fleet->senders[i].due_ns = now_ns + (uint64_t)(interval_ns * i / fleet->options.senders);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct fleet *fleet = arg;
	const struct fleet_options *options = &fleet->options;
	uint64_t now_ns = fleet_clock_ns();

	while (fleet->begun < options->senders && fleet->shaking < HANDSHAKES_MAX)
		begin(fleet, &fleet->senders[fleet->begun]);
	if (fleet->begun == options->senders && fleet->shaking == 0)
		atomic_store(&fleet->tally->connected, 1);
	if (fleet->go_ns == 0 && atomic_load(&fleet->shared->go) != 0)
		start_delivery(fleet, now_ns);
	if (fleet->go_ns != 0 && now_ns > fleet->go_ns + (uint64_t)options->seconds * 1000000000) {
		event_base_loopbreak(fleet->base);
		return;
	}
	/* Until all are connected as well: a connection that says nothing at once, or nothing for long, is cut. */
	for (uint32_t i = 0; i < fleet->begun; i++)
		if (fleet->senders[i].state == SENDER_READY && fleet->senders[i].due_ns <= now_ns)
			send_batch(&fleet->senders[i], now_ns);
}

static int
start(struct fleet *fleet)
{
	static const struct timeval tick = { .tv_usec = TICK_MS * 1000 };
	int err = sender_tls_create(&fleet->tls, fleet->options.pki, fleet->options.http2);

	if (err != 0)
		return err;
	fleet->senders = calloc(fleet->options.senders, sizeof(*fleet->senders));
	fleet->base = event_base_new();
	fleet->tick = fleet->base == NULL ? NULL : event_new(fleet->base, -1, EV_PERSIST, on_tick, fleet);
	return fleet->senders == NULL || fleet->tick == NULL || event_add(fleet->tick, &tick) != 0 ? -ENOMEM : 0;
}

int
fleet_run(const struct fleet_options *options, const struct bench_batches *batches, struct fleet_shared *shared,
	struct fleet_tally *tally)
{
	struct fleet fleet = { .options = *options, .batches = batches, .shared = shared, .tally = tally };
	int err = start(&fleet);

	if (err == 0)
		event_base_dispatch(fleet.base);
	for (uint32_t i = 0; i < fleet.begun; i++) {
		sender_h2_destroy(fleet.senders[i].h2);
		if (fleet.senders[i].bev != NULL)
			bufferevent_free(fleet.senders[i].bev);
	}
	if (fleet.tick != NULL)
		event_free(fleet.tick);
	if (fleet.base != NULL)
		event_base_free(fleet.base);
	free(fleet.senders);
	sender_tls_destroy(fleet.tls);
	return err;
}
