/*
 * Writes and reads one spool until it is killed, and says what it does on standard output, for the ledger of spool_faults.py:
 *
 *   spool_worker KEY=VALUE... -- MODE    KEY: those of spool.; MODE: run (deliver too), hold (only write), drain,
 *   late (drain, from SIGUSR1 on)
 *
 * While the file exists that SPOOL_EIO names, no segment can be read. A message is a struct message. A record is told of before anything of it can be on the disk.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/spool/spool.h"
#include "lib/spool/test_eio.h"

enum { MESSAGES_MAX = 4096, APPENDS_MAX = 60, BATCH_MAX = 50, CYCLE_US = 300, LINE_MAX = 600 };

struct message {
	char what; /* W written, X shed, F flushed, S perhaps synced, D delivered, G gap, A acknowledged, L longest cycle in ms, E the end */
	uint8_t lane;
	uint8_t pad[6];
	uint64_t first; /* sequence, first of a gap, or the time in ms */
	uint64_t value; /* hash of the line, or last of a gap */
};

static struct message messages[MESSAGES_MAX];
static unsigned int message_count;
static volatile sig_atomic_t stop, go;
static uint64_t longest_ms;

static bool
segment_fails(int fd, off_t at, size_t len)
{
	const char *when = getenv("SPOOL_EIO");

	return when != NULL && access(when, F_OK) == 0 && eio_is(fd, ".seg");
}

static void
on_term(int number)
{
	stop = 1;
}

static void
on_usr1(int number)
{
	go = 1;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
send_messages(void)
{
	const char *at = (const char *)messages;
	size_t left = message_count * sizeof(messages[0]);

	while (left > 0) {
		ssize_t done = write(STDOUT_FILENO, at, left);

		if (done <= 0)
			exit(1);
		at += done;
		left -= (size_t)done;
	}
	message_count = 0;
}

static void
tell(char what, enum link_lane lane, uint64_t first, uint64_t value)
{
	messages[message_count++] = (struct message){ .what = what, .lane = (uint8_t)lane, .first = first, .value = value };
	if (message_count == MESSAGES_MAX)
		send_messages();
}

/* FNV-1a: not the spool's own checksum. */
static uint64_t
hash_line(const char *line, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)line[i]) * 0x100000001b3ull;
	return hash;
}

static void
append_some(struct spool *spool)
{
	static uint64_t number;
	unsigned int count = 1 + (unsigned int)(random() % APPENDS_MAX);
	char line[LINE_MAX];

	for (unsigned int i = 0; i < count; i++) {
		enum link_lane lane = (enum link_lane)(random() % (LINK_LANE_COUNT - 1));
		int len = snprintf(line, sizeof(line), "{\"run\":%d,\"number\":%" PRIu64 ",\"random\":%ld,\"pad\":\"%0*d\"}", getpid(),
			++number, random(), (int)(random() % 400) + 1, 0);
		uint64_t seq = spool_append(spool, lane, line, (size_t)len);

		tell(seq == 0 ? 'X' : 'W', lane, seq, hash_line(line, (size_t)len));
	}
	send_messages();
}

static void
tell_gap(const char *line)
{
	char name[LINK_LANE_NAME_LEN_MAX + 1];
	const char *at = strstr(line, "\"gap\":{");
	uint64_t first, last;

	if (at == NULL ||
		sscanf(at, "\"gap\":{\"lane\":\"%8[a-z]\",\"first\":%" SCNu64 ",\"last\":%" SCNu64, name, &first, &last) != 3)
		return;
	tell('G', (enum link_lane)link_lane_parse(name, strlen(name)), first, last);
}

/* As an uplink whose answers are sometimes lost. Returns whether anything was there. */
static bool
deliver(struct spool *spool, struct buf *lines, enum link_lane lane, bool answer)
{
	uint64_t acked = spool_get_acked(spool, lane);
	struct spool_batch batch;
	int got = spool_peek_batch(spool, &(struct spool_want){ lane, acked + 1, BATCH_MAX, 65536 }, lines, &batch);
	const char *line = lines->data;

	if (got < 0)
		return false;
	if (batch.first > acked + 1)
		spool_skip(spool, lane, batch.first - 1);
	for (uint32_t i = 0; i < batch.count; i++) {
		const char *end = memchr(line, '\n', lines->len - (size_t)(line - lines->data));

		tell('D', lane, batch.first + i, hash_line(line, (size_t)(end - line)));
		if (lane == LINK_LANE_STATS)
			tell_gap(line);
		line = end + 1;
	}
	send_messages();
	if (batch.count > 0 && answer) {
		spool_ack(spool, lane, batch.first + batch.count - 1);
		tell('A', lane, batch.first + batch.count - 1, 0);
	}
	return batch.count > 0;
}

static void
cycle(struct spool *spool, struct buf *lines, bool deliver_too)
{
	uint64_t start_ms = now_ms();

	append_some(spool);
	spool_flush(spool);
	tell('F', 0, now_ms(), 0);
	if (now_ms() - start_ms > longest_ms) {
		longest_ms = now_ms() - start_ms;
		tell('L', 0, 0, longest_ms);
	}
	for (int lane = 0; deliver_too && lane < LINK_LANE_COUNT; lane++)
		deliver(spool, lines, (enum link_lane)lane, random() % 4 != 0);
	uint64_t sync_ms = now_ms();

	spool_sync(spool, sync_ms);
	tell('S', 0, sync_ms, 0);
	send_messages();
	usleep(CYCLE_US);
}

static void
drain(struct spool *spool, struct buf *lines)
{
	while (!stop && !spool_is_drained(spool)) {
		spool_flush(spool);
		for (int lane = 0; lane < LINK_LANE_COUNT; lane++)
			deliver(spool, lines, (enum link_lane)lane, true);
	}
	spool_flush(spool);
}

/* The settings lend their texts. */
static int
configure(struct config **out, struct spool_config *spool_config, char **keys)
{
	struct config_error err = { "" };
	struct config *config = NULL;
	int rc = config_load(&config, NULL, &err);

	*out = config;
	for (; rc == 0 && *keys != NULL && strcmp(*keys, "--") != 0; keys++)
		rc = config_set(config, *keys, &err);
	if (rc == 0)
		rc = config_apply(config, &spool_knobs, spool_config, &err);
	if (rc < 0)
		fprintf(stderr, "%s\n", err.text);
	return rc;
}

int
main(int argc, char **argv)
{
	struct config *settings;
	struct spool_config config;
	struct spool *spool = NULL;
	struct buf lines;
	const char *mode = argv[argc - 1];

	eio_fails = segment_fails;
	signal(SIGTERM, on_term);
	signal(SIGUSR1, on_usr1);
	srandom((unsigned int)getpid() ^ (unsigned int)now_ms());
	if (configure(&settings, &config, argv + 1) < 0 || buf_create(&lines, SPOOL_RECORD_LEN_MAX + 1) < 0 ||
		spool_create(&spool, &config) < 0)
		return 1;
	tell('E', 0, spool_get_epoch(spool), 0);
	send_messages();
	for (go = go || strcmp(mode, "late") != 0; !go && !stop;)
		usleep(CYCLE_US);
	if (strcmp(mode, "drain") == 0 || strcmp(mode, "late") == 0)
		drain(spool, &lines);
	else
		while (!stop)
			cycle(spool, &lines, strcmp(mode, "run") == 0);
	struct counter_set counters = spool_get_counters(spool);

	for (unsigned int i = 0; i < counters.count; i++)
		fprintf(stderr, "%s %" PRIu64 "\n", counters.descs[i].name, counter_get(&counters.values[i]));
	spool_destroy(spool);
	send_messages();
	buf_destroy(&lines);
	config_destroy(settings);
	return 0;
}
