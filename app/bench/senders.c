/* millrace-bench-senders: what `millrace-bench senders` becomes. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>

#include "app/bench/batches.h"
#include "app/bench/sender_tls.h"

enum {
	HANDSHAKES_MAX = 64,  /* at once */
	BATCH_BYTES = 1024 * 1024,
	LATENCY_SLOTS = 2000, /* of a millisecond; the last holds all beyond */
	HEAD_MAX = 4096,
	TICK_MS = 5,
	PATH_LEN_MAX = 64,
};

struct options {
	const char *file;
	const char *pki;
	const char *address;
	uint16_t port;
	uint32_t senders;
	uint32_t batch_records;
	uint32_t seconds;
	double interval_s; /* between a sensor's batches; 0: as soon as the last is acknowledged */
	int pid;           /* of the aggregator, whose memory and CPU are told; 0: none */
};

enum state { SENDER_NEW, SENDER_SHAKING, SENDER_READY, SENDER_WAITING, SENDER_LOST };

struct sender {
	struct fleet *fleet;
	struct bufferevent *bev;
	uint64_t next;    /* sequence */
	uint64_t due_ns;  /* of the next batch */
	uint64_t sent_ns;
	uint32_t batch;
	enum state state;
};

struct fleet {
	struct options options;
	struct bench_batches batches;
	struct sender_tls *tls;
	struct event_base *base;
	struct event *tick;
	struct sender *senders;
	uint64_t epoch;
	uint64_t begin_ns, connected_ns, end_ns;
	uint64_t cpu_begin_ms, cpu_connected_ms, cpu_end_ms; /* of the aggregator */
	uint64_t memory_begin_kib, memory_connected_kib, memory_end_kib;
	uint32_t begun, shaking, ready, lost;
	uint64_t batches_done, records_done, later, refused;
	uint64_t latencies[LATENCY_SLOTS];
};

static uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the aggregator's process ---- */

static void
look_at(int pid, uint64_t *cpu_ms, uint64_t *memory_kib)
{
	char path[PATH_LEN_MAX], line[1024];
	unsigned long user = 0, kernel = 0;
	long pages = 0;
	FILE *file;

	*cpu_ms = 0;
	*memory_kib = 0;
	if (pid == 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	/* The fields behind the name, which may hold anything: state is the third. */
	if (fgets(line, sizeof(line), file) != NULL && strrchr(line, ')') != NULL &&
	    sscanf(strrchr(line, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
	    &user, &kernel, &pages) == 3) {
		*cpu_ms = (uint64_t)(user + kernel) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
		*memory_kib = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
	}
	fclose(file);
}

/* ---- one sender ---- */

static void
lose(struct sender *sender)
{
	struct fleet *fleet = sender->fleet;

	if (sender->state == SENDER_SHAKING)
		fleet->shaking--;
	else
		fleet->ready--;
	sender->state = SENDER_LOST;
	fleet->lost++;
	bufferevent_free(sender->bev);
	sender->bev = NULL;
}

static void
send_batch(struct sender *sender, uint64_t now_ns)
{
	struct fleet *fleet = sender->fleet;
	const struct bench_batch *batch = &fleet->batches.batches[sender->batch % fleet->batches.count];
	struct batch_head head = { .epoch = fleet->epoch, .lane = LINK_LANE_EVENT, .sequence = sender->next,
		.count = batch->count, .encoding = BATCH_ZSTD };
	char text[HEAD_MAX];
	struct buf out = { .data = text, .cap = sizeof(text) };

	snprintf(head.sensor, sizeof(head.sensor), "bench-%u", (unsigned int)(sender - fleet->senders));
	memcpy(head.digest, batch->digest, sizeof(head.digest));
	buf_puts(&out, "POST " BATCH_PATH " HTTP/1.1\r\nHost: localhost\r\n");
	batch_write_headers(&out, &head, "\r\n");
	buf_printf(&out, "Content-Length: %zu\r\n\r\n", batch->body_len);
	evbuffer_add(bufferevent_get_output(sender->bev), out.data, out.len);
	/* The body is one for all: it is lent. */
	evbuffer_add_reference(bufferevent_get_output(sender->bev), batch->body, batch->body_len, NULL, NULL);
	sender->state = SENDER_WAITING;
	sender->sent_ns = now_ns;
}

static void
take_answer(struct sender *sender, int status)
{
	struct fleet *fleet = sender->fleet;
	uint64_t now_ns = clock_ns();
	uint64_t took_ms = (now_ns - sender->sent_ns) / 1000000;
	const struct bench_batch *batch = &fleet->batches.batches[sender->batch % fleet->batches.count];

	sender->state = SENDER_READY;
	sender->due_ns = now_ns;
	if (status == 200) {
		fleet->batches_done++;
		fleet->records_done += batch->count;
		fleet->latencies[took_ms < LATENCY_SLOTS ? took_ms : LATENCY_SLOTS - 1]++;
		sender->next += batch->count;
		sender->batch++;
		sender->due_ns = sender->sent_ns + (uint64_t)(fleet->options.interval_s * 1e9);
	} else if (status == 429 || status == 503) {
		fleet->later++;
		sender->due_ns = now_ns + 1000000000;
	} else {
		fleet->refused++;
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

	if (what & BEV_EVENT_CONNECTED) {
		fleet->shaking--;
		fleet->ready++;
		sender->state = SENDER_READY;
	} else {
		lose(sender);
	}
}

static void
begin(struct fleet *fleet, struct sender *sender)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(fleet->options.port) };
	char name[BATCH_SENSOR_MAX];
	SSL *ssl;

	snprintf(name, sizeof(name), "bench-%u", (unsigned int)(sender - fleet->senders));
	*sender = (struct sender){ .fleet = fleet, .next = 1, .batch = (uint32_t)(sender - fleet->senders),
		.state = SENDER_SHAKING };
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

	fleet->connected_ns = now_ns;
	look_at(fleet->options.pid, &fleet->cpu_connected_ms, &fleet->memory_connected_kib);
	fprintf(stderr, "%u connected, %u lost, in %.1f s\n", fleet->ready, fleet->lost,
		(double)(now_ns - fleet->begin_ns) / 1e9);
	fleet->batches_done = 0;
	fleet->records_done = 0;
	memset(fleet->latencies, 0, sizeof(fleet->latencies));
	/* Sensors are not in step with each other. */
	for (uint32_t i = 0; i < fleet->options.senders; i++)
		fleet->senders[i].due_ns = now_ns + (uint64_t)(interval_ns * i / fleet->options.senders);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct fleet *fleet = arg;
	const struct options *options = &fleet->options;
	uint64_t now_ns = clock_ns();

	while (fleet->begun < options->senders && fleet->shaking < HANDSHAKES_MAX)
		begin(fleet, &fleet->senders[fleet->begun]);
	if (fleet->connected_ns == 0 && fleet->begun == options->senders && fleet->shaking == 0)
		start_delivery(fleet, now_ns);
	if (fleet->connected_ns == 0) {
		/* As a sensor does, each says something at once: a connection that says nothing is cut. */
		for (uint32_t i = 0; i < fleet->begun; i++)
			if (fleet->senders[i].state == SENDER_READY && fleet->senders[i].next == 1 && fleet->senders[i].due_ns <= now_ns)
				send_batch(&fleet->senders[i], now_ns);
		return;
	}
	if (now_ns > fleet->connected_ns + (uint64_t)options->seconds * 1000000000) {
		event_base_loopbreak(fleet->base);
		return;
	}
	for (uint32_t i = 0; i < options->senders; i++)
		if (fleet->senders[i].state == SENDER_READY && fleet->senders[i].due_ns <= now_ns)
			send_batch(&fleet->senders[i], now_ns);
}

static unsigned int
percentile(const struct fleet *fleet, double part)
{
	uint64_t wanted = (uint64_t)((double)fleet->batches_done * part), seen = 0;
	unsigned int ms = 0;

	while (ms + 1 < LATENCY_SLOTS && seen + fleet->latencies[ms] <= wanted)
		seen += fleet->latencies[ms++];
	return ms;
}

static void
print(const struct fleet *fleet)
{
	double connect_s = (double)(fleet->connected_ns - fleet->begin_ns) / 1e9;
	double deliver_s = (double)(fleet->end_ns - fleet->connected_ns) / 1e9;

	printf("senders            %10u  %u lost\n", fleet->options.senders, fleet->lost);
	printf("handshakes         %10.0f  a second, mutual TLS 1.3\n", fleet->options.senders / connect_s);
	printf("batches            %10" PRIu64 "  %.0f a second, %" PRIu64 " told to come later, %" PRIu64 " refused\n",
		fleet->batches_done, (double)fleet->batches_done / deliver_s, fleet->later, fleet->refused);
	printf("records            %10" PRIu64 "  %.0f a second\n", fleet->records_done, (double)fleet->records_done / deliver_s);
	printf("acknowledged after %10u  ms half of them, %u ms 99 of 100\n", percentile(fleet, 0.5), percentile(fleet, 0.99));
	if (fleet->options.pid == 0)
		return;
	printf("aggregator memory  %10" PRIu64 "  KiB, %" PRIu64 " before and %" PRIu64 " with all connected: %.1f KiB a sender\n",
		fleet->memory_end_kib, fleet->memory_begin_kib, fleet->memory_connected_kib,
		(double)(fleet->memory_connected_kib - fleet->memory_begin_kib) / fleet->options.senders);
	printf("aggregator CPU     %10.2f  ms a handshake, %.0f %% of a core while delivering\n",
		(double)(fleet->cpu_connected_ms - fleet->cpu_begin_ms) / fleet->options.senders,
		(double)(fleet->cpu_end_ms - fleet->cpu_connected_ms) / deliver_s / 10);
}

/* ---- the command line ---- */

static const char usage[] =
	"usage: millrace-bench senders FILE --pki DIR --port PORT [--address IPV4] [--senders N] [--batch N] [--interval S]\n"
	"         [--seconds N] [--pid PID]\n"
	"  FILE           EVE lines, as millrace-sensor writes them; each sensor sends batches of it\n"
	"  --pki DIR      ca.pem and ca.key, as scripts/pki makes them: certificates are issued here\n"
	"  --senders N    sensors, a connection each (default 100)\n"
	"  --batch N      records of a batch (default 200)\n"
	"  --interval S   seconds between a sensor's batches (default 0: when the last is acknowledged)\n"
	"  --seconds N    of delivery, once all are connected (default 10)\n"
	"  --pid PID      the aggregator's, to tell its memory and CPU\n";

static int
parse(struct options *out, int argc, char **argv)
{
	static const struct option longs[] = { { "pki", 1, NULL, 'k' }, { "port", 1, NULL, 'p' }, { "address", 1, NULL, 'a' },
		{ "senders", 1, NULL, 'n' }, { "batch", 1, NULL, 'b' }, { "interval", 1, NULL, 'i' }, { "seconds", 1, NULL, 's' },
		{ "pid", 1, NULL, 'P' }, { "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	int option;

	*out = (struct options){ .address = "127.0.0.1", .senders = 100, .batch_records = 200, .seconds = 10 };
	optind = 1;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case 'k': out->pki = optarg; break;
		case 'p': out->port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 'a': out->address = optarg; break;
		case 'n': out->senders = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'b': out->batch_records = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'i': out->interval_s = strtod(optarg, NULL); break;
		case 's': out->seconds = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'P': out->pid = (int)strtol(optarg, NULL, 10); break;
		default: fputs(usage, option == 'h' ? stdout : stderr); return option == 'h' ? -1 : 2;
		}
	}
	if (optind + 1 != argc || out->pki == NULL || out->port == 0 || out->senders == 0 || out->seconds == 0 ||
	    out->batch_records == 0 || out->batch_records > BATCH_COUNT_MAX || out->interval_s < 0) {
		fputs(usage, stderr);
		return 2;
	}
	out->file = argv[optind];
	return 0;
}

static int
run(struct fleet *fleet)
{
	static const struct timeval tick = { .tv_usec = TICK_MS * 1000 };
	int err = bench_batches_load(&fleet->batches, fleet->options.file, fleet->options.batch_records, BATCH_BYTES);

	if (err == 0)
		err = sender_tls_create(&fleet->tls, fleet->options.pki);
	if (err != 0)
		return err;
	fleet->epoch = (uint64_t)time(NULL) << 20 | (uint64_t)(getpid() & 0xfffff);
	fleet->senders = calloc(fleet->options.senders, sizeof(*fleet->senders));
	fleet->base = event_base_new();
	fleet->tick = fleet->base == NULL ? NULL : event_new(fleet->base, -1, EV_PERSIST, on_tick, fleet);
	if (fleet->senders == NULL || fleet->tick == NULL || event_add(fleet->tick, &tick) != 0)
		return -ENOMEM;
	look_at(fleet->options.pid, &fleet->cpu_begin_ms, &fleet->memory_begin_kib);
	fleet->begin_ns = clock_ns();
	event_base_dispatch(fleet->base);
	fleet->end_ns = clock_ns();
	look_at(fleet->options.pid, &fleet->cpu_end_ms, &fleet->memory_end_kib);
	print(fleet);
	return fleet->lost == 0 && fleet->refused == 0 ? 0 : -EIO;
}

int
main(int argc, char **argv)
{
	static struct fleet fleet;
	int status = parse(&fleet.options, argc, argv);
	int err;

	if (status != 0)
		return status < 0 ? 0 : status;
	err = run(&fleet);
	for (uint32_t i = 0; fleet.senders != NULL && i < fleet.options.senders; i++)
		if (fleet.senders[i].bev != NULL)
			bufferevent_free(fleet.senders[i].bev);
	if (fleet.tick != NULL)
		event_free(fleet.tick);
	if (fleet.base != NULL)
		event_base_free(fleet.base);
	free(fleet.senders);
	sender_tls_destroy(fleet.tls);
	bench_batches_free(&fleet.batches);
	if (err != 0)
		fprintf(stderr, "millrace-bench: %s\n", strerror(-err));
	return err == 0 ? 0 : 1;
}
