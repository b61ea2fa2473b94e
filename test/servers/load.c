/**
 * Loads a server and says what that cost it, in its own CPU time, so that what else the machine does matters little.
 *
 *   load_servers PKI PORT PID h1|h2 batches SECONDS     8 connections that post bodies of 32 KiB, HTTP/2 four at once each
 *   load_servers PKI PORT PID h1|h2 handshakes SECONDS  8 threads that connect, post 100 bytes, close
 *   load_servers PKI PORT PID h1|h2 idle COUNT          COUNT connections, each of which has posted 100 bytes
 *   load_servers PKI PORT PID h1|h2 slow COUNT          COUNT that stop in the middle of a body: is another one served?
 *   load_servers PKI PORT PID h1|h2 drip SECONDS        one that sends a byte every 250 ms: when is it cut?
 *
 * Writes one line of JSON.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "test/servers/load_peer.h"

enum { THREADS = 8, AT_ONCE = 4, BATCH_LEN = 32768, SMALL_LEN = 100, DRIP_MS = 250, TRIES = 20, PEERS_MAX = 16384 };

struct load {
	struct peer_config config;
	pid_t server;
	int amount; /* seconds or connections, as the mode has it */
	double end_s;
	atomic_ulong done, failed;
	pthread_barrier_t start;
	double cpu_s, start_s;
};

static double
clock_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double
server_cpu_s(const struct load *load)
{
	clockid_t clock;

	return clock_getcpuclockid(load->server, &clock) == 0 ? clock_s(clock) : 0;
}

static double
server_kib(const struct load *load)
{
	char path[64], line[256];
	double kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", load->server);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtod(line + 6, NULL);
	if (file != NULL)
		fclose(file);
	return kib;
}

/* One of the threads starts the clocks. */
static void
start_clocks(struct load *load)
{
	if (pthread_barrier_wait(&load->start) == PTHREAD_BARRIER_SERIAL_THREAD) {
		load->cpu_s = server_cpu_s(load);
		load->start_s = clock_s(CLOCK_MONOTONIC);
		load->end_s = load->start_s + load->amount;
	}
	pthread_barrier_wait(&load->start);
}

static void *
post_batches(void *context)
{
	struct load *load = context;
	struct peer *peer = NULL;

	if (peer_open(&peer, &load->config) != 0 || peer_post(peer, AT_ONCE) != 0) {
		peer_close(peer);
		peer = NULL;
		load->failed++;
	}
	start_clocks(load);
	while (peer != NULL && clock_s(CLOCK_MONOTONIC) < load->end_s) {
		if (peer_post(peer, AT_ONCE) != 0) {
			load->failed++;
			break;
		}
		load->done += AT_ONCE;
	}
	peer_close(peer);
	return NULL;
}

static void *
shake_hands(void *context)
{
	struct load *load = context;

	start_clocks(load);
	while (clock_s(CLOCK_MONOTONIC) < load->end_s) {
		struct peer *peer = NULL;
		bool good = peer_open(&peer, &load->config) == 0 && peer_post(peer, 1) == 0;

		peer_close(peer);
		if (good)
			load->done++;
		else
			load->failed++;
	}
	return NULL;
}

static void
run_threads(struct load *load, void *(*work)(void *), const char *what)
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&load->start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, load) != 0)
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("{\"%s\": %lu, \"failed\": %lu, \"cpu_s\": %.4f, \"seconds\": %.3f, \"rss_kib\": %.0f}\n", what,
		atomic_load(&load->done), atomic_load(&load->failed), server_cpu_s(load) - load->cpu_s,
		clock_s(CLOCK_MONOTONIC) - load->start_s, server_kib(load));
}

static void
hold_idle(struct load *load)
{
	static struct peer *peers[PEERS_MAX];
	double before_kib = server_kib(load);
	int lost = 0, i;

	for (i = 0; i < load->amount && i < PEERS_MAX; i++)
		if (peer_open(&peers[i], &load->config) != 0 || peer_post(peers[i], 1) != 0)
			break;
	printf("{\"connected\": %d, \"kib\": %.0f, ", i, server_kib(load) - before_kib);
	for (int k = 0; k < i; k += 1 + i / TRIES)
		lost += peer_post(peers[k], 1) != 0;
	printf("\"lost\": %d}\n", lost);
}

static void
hold_slow(struct load *load)
{
	static struct peer *peers[PEERS_MAX];
	double start_s = clock_s(CLOCK_MONOTONIC), opened_s, served_s, cut_s = -1;
	struct peer *other = NULL;
	int i;

	for (i = 0; i < load->amount && i < PEERS_MAX; i++)
		if (peer_open(&peers[i], &load->config) != 0 || peer_begin(peers[i], load->config.body_len / 2) != 0)
			break;
	opened_s = clock_s(CLOCK_MONOTONIC) - start_s;
	if (peer_open(&other, &load->config) != 0 || peer_post(other, 1) != 0)
		load->failed++;
	served_s = clock_s(CLOCK_MONOTONIC) - start_s;
	for (int n = 0; n < 100 && cut_s < 0; n++)
		if (peer_wait(peers[0], 200))
			cut_s = clock_s(CLOCK_MONOTONIC) - start_s;
	printf("{\"stalled\": %d, \"opened_s\": %.2f, \"served_s\": %.2f, \"failed\": %lu, \"cut_s\": %.1f}\n", i,
		opened_s, served_s, atomic_load(&load->failed), cut_s);
}

static void
drip(struct load *load)
{
	double start_s = clock_s(CLOCK_MONOTONIC), now_s = start_s, cut_s = -1;
	struct peer *peer = NULL;

	if (peer_open(&peer, &load->config) != 0 || peer_begin(peer, 1000) != 0)
		cut_s = 0;
	while (cut_s < 0 && (now_s = clock_s(CLOCK_MONOTONIC)) < start_s + load->amount)
		if (peer_wait(peer, DRIP_MS) || peer_drip(peer) != 0)
			cut_s = now_s - start_s;
	printf("{\"cut_s\": %.1f}\n", cut_s);
}

int
main(int argc, char **argv)
{
	static uint8_t body[BATCH_LEN];
	struct load load = { .config = { .body = body, .body_len = BATCH_LEN } };

	if (argc != 7) {
		fprintf(stderr, "usage: %s PKI PORT PID h1|h2 batches|handshakes|idle|slow|drip AMOUNT\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	load.config.port = (uint16_t)strtoul(argv[2], NULL, 10);
	load.server = (pid_t)strtol(argv[3], NULL, 10);
	load.config.h2 = strcmp(argv[4], "h2") == 0;
	load.amount = (int)strtol(argv[6], NULL, 10);
	load.config.context = peer_tls(argv[1], load.config.h2);
	if (load.config.context == NULL || RAND_bytes(body, sizeof(body)) != 1)
		return 1;
	if (strcmp(argv[5], "handshakes") == 0 || strcmp(argv[5], "idle") == 0)
		load.config.body_len = SMALL_LEN;
	if (strcmp(argv[5], "batches") == 0)
		run_threads(&load, post_batches, "batches");
	else if (strcmp(argv[5], "handshakes") == 0)
		run_threads(&load, shake_hands, "handshakes");
	else if (strcmp(argv[5], "idle") == 0)
		hold_idle(&load);
	else if (strcmp(argv[5], "slow") == 0)
		hold_slow(&load);
	else
		drip(&load);
	return 0;
}
