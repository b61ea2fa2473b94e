#include <openssl/crypto.h>

#include "lib/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/base/folder.h"
#include "lib/base/log.h"
#include "lib/spool/spool_private.h"

static const char *const fsync_names[] = { "never", "interval", "batch", NULL };

static const struct knob spool_rows[] = {
	{ "spool.path", KNOB_TEXT, offsetof(struct spool_config, path), 0, 0, "/var/lib/millrace/spool", NULL,
		"folder of the queue of records on their way to the aggregator" },
	{ "spool.size", KNOB_SIZE, offsetof(struct spool_config, size), 16ull << 20, 64ull << 40, "1 GiB", NULL,
		"bound of the queue; when it is reached the least urgent records go, and are reported" },
	{ "spool.segment-size", KNOB_SIZE, offsetof(struct spool_config, segment_size), 1ull << 20, 1ull << 30, "16 MiB",
		NULL, "bytes of one file of the queue; at most a sixteenth of spool.size is used" },
	{ "spool.fsync", KNOB_CHOICE, offsetof(struct spool_config, fsync), 0, 0, "interval", fsync_names,
		"when records are forced to the disk: never, at an interval, with each batch written" },
	{ "spool.fsync-interval-ms", KNOB_NUMBER, offsetof(struct spool_config, fsync_interval_ms), 10, 600000, "1000",
		NULL, "time between forced writes when spool.fsync is interval" },
	{ "spool.read-patience-ms", KNOB_NUMBER, offsetof(struct spool_config, read_patience_ms), 1000, 604800000, "30000", NULL,
		"how long a place that cannot be read is tried again before what is behind it goes on, and a gap is reported for it" },
	{ "spool.queue-size", KNOB_SIZE, offsetof(struct spool_config, queue_size), 4ull << 20, 1ull << 30, "16 MiB", NULL,
		"memory for records that wait for a slow disk; what does not fit is dropped, counted and reported" },
	{ "spool.keep-room", KNOB_BOOL, offsetof(struct spool_config, keep_room), 0, 0, "yes", NULL,
		"seven segments' room on the disk is taken ahead, so that a disk which others fill does not stop deliveries" },
	{ "spool.key-file", KNOB_TEXT, offsetof(struct spool_config, key_file), 0, 0, "", NULL,
		"file of 64 hexadecimal digits: records are encrypted on the disk (AES-256-GCM); empty: they are not" },
	{ "spool.key-tpm", KNOB_TEXT, offsetof(struct spool_config, key_tpm), 0, 0, "", NULL,
		"EC key of a TPM2, handle:0x81000001 or a file of a TSS2 PRIVATE KEY: spool.key-file is then a public key, PEM, and what "
		"the two agree on is the key" },
#define LANE_ROW(name, lane) \
	{ "spool.percent." name, KNOB_NUMBER, offsetof(struct spool_config, lane_percent[lane]), 1, 100, "100", NULL, \
		"part of spool.size that the lane `" name "` may take" }
	LANE_ROW("alert", LINK_LANE_ALERT),
	LANE_ROW("asset", LINK_LANE_ASSET),
	LANE_ROW("event", LINK_LANE_EVENT),
	LANE_ROW("flow", LINK_LANE_FLOW),
	LANE_ROW("stats", LINK_LANE_STATS),
#undef LANE_ROW
};

const struct knob_table spool_knobs = { "spool", spool_rows, sizeof(spool_rows) / sizeof(spool_rows[0]) };

static const struct counter_desc counter_descs[SPOOL_COUNTER_COUNT] = {
	[SPOOL_APPENDED] = { "spool.appended", "records taken" },
	[SPOOL_APPENDED_BYTES] = { "spool.appended_bytes", "bytes of records taken" },
	[SPOOL_TOO_LONG] = { "spool.too_long", "records refused because they are empty or too long" },
	[SPOOL_DISK_FULL] = { "spool.disk_full", "records dropped because the disk did not take them" },
	[SPOOL_SHED] = { "spool.shed", "records dropped because the disk did not keep up" },
	[SPOOL_WRITE_ERRORS] = { "spool.write_errors", "failed writes of segments or state" },
	[SPOOL_EVICTED_RECORDS] = { "spool.evicted_records", "records removed to bound the size" },
	[SPOOL_EVICTED_SEGMENTS] = { "spool.evicted_segments", "segments removed to bound the size" },
	[SPOOL_TORN_BYTES] = { "spool.torn_bytes", "bytes cut from torn tails at start" },
	[SPOOL_GAPS] = { "spool.gaps", "ranges of lost records to report" },
	[SPOOL_STORED_BYTES] = { "spool.stored_bytes", "bytes of all segments now" },
	[SPOOL_DAMAGED_SEGMENTS] = { "spool.damaged_segments", "damaged segments put aside in the folder damaged" },
	[SPOOL_UNREAD_SEGMENTS] = { "spool.unread_segments", "last segments that a start could not read, and left for later" },
	[SPOOL_ACKED] = { "spool.acked", "records acknowledged or given up" },
	[SPOOL_CORRUPT_RECORDS] = { "spool.corrupt_records", "records that failed their checksum" },
	[SPOOL_READ_ERRORS] = { "spool.read_errors", "failed reads of segments" },
	[SPOOL_STATE_ERRORS] = { "spool.state_errors", "failed saves of the replay position" },
	[SPOOL_SYNC_ERRORS] = { "spool.sync_errors", "failed forced writes" },
};

const struct counter_table spool_counter_table = { counter_descs, SPOOL_COUNTER_COUNT };

static void
read_boot_id(char boot_id[SPOOL_BOOT_ID_LEN])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(boot_id, 0, SPOOL_BOOT_ID_LEN);
	if (fd < 0)
		return;
	if (read(fd, boot_id, SPOOL_BOOT_ID_LEN - 1) < 0)
		memset(boot_id, 0, SPOOL_BOOT_ID_LEN);
	close(fd);
}

int
spool_folder_open(struct spool *spool, int lock_flags)
{
	spool->dir_fd = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->dir_fd < 0)
		return -errno;
	spool->lock_fd = openat(spool->dir_fd, "lock", lock_flags | O_CLOEXEC, 0600);
	if (spool->lock_fd < 0)
		return -errno;
	if (flock(spool->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

void
spool_gaps_restore(struct spool *spool)
{
	struct spool_writer_state *state = &spool->writer_state;
	uint64_t kept = 0;

	for (uint64_t i = 0; i < state->gap_count && i < SPOOL_GAPS_MAX; i++) {
		struct spool_gap gap = state->gaps[i];

		if (gap.lane >= LINK_LANE_COUNT || gap.reason >= SPOOL_GAP_REASON_COUNT)
			continue;
		if (gap.record_seq > spool->lanes[LINK_LANE_STATS].accepted)
			gap.record_seq = 0;
		state->gaps[kept++] = gap;
	}
	state->gap_count = kept;
	spool_gap_count_due(spool);
}

/* The reader's position was not saved at last, perhaps, but the writer has noted what it removed for it. */
static void
take_released(struct spool *spool)
{
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		if (spool->writer_state.released[i].acked > spool->reader_state.lanes[i].acked)
			spool->reader_state.lanes[i] = spool->writer_state.released[i];
}

static int
open_state(struct spool *spool, bool *machine_same)
{
	struct spool_writer_state *writer = &spool->writer_state;
	char boot_id[SPOOL_BOOT_ID_LEN];
	int have_writer = slot_open(&spool->writer_slot, spool->dir_fd, "writer.state", writer, sizeof(*writer));
	int have_reader = have_writer < 0 ? have_writer :
		slot_open(&spool->reader_slot, spool->dir_fd, "reader.state", &spool->reader_state,
			sizeof(spool->reader_state));

	if (have_reader < 0)
		return have_reader;
	read_boot_id(boot_id);
	uint64_t mount_id = spool_mount_id(spool->dir_fd);

	*machine_same = boot_id[0] != '\0' && memcmp(boot_id, writer->boot_id, sizeof(boot_id)) == 0 &&
		(writer->mount_id == 0 || mount_id == writer->mount_id);
	memcpy(writer->boot_id, boot_id, sizeof(boot_id));
	writer->mount_id = mount_id;
	if (have_writer == 1 && have_reader == 1 && spool->reader_state.epoch != 0) {
		take_released(spool);
		return 0;
	}
	/* The spool starts anew: under a new epoch no number was used, so the tails found are exact. */
	memset(&spool->reader_state, 0, sizeof(spool->reader_state));
	memset(writer->lanes, 0, sizeof(writer->lanes));
	memset(writer->closed_next, 0, sizeof(writer->closed_next));
	memset(writer->released, 0, sizeof(writer->released));
	*machine_same = true;
	return 0;
}

static int
save_state(struct spool *spool)
{
	int rc = 0;

	memset(spool->writer_state.closed_next, 0, sizeof(spool->writer_state.closed_next));
	if (spool->reader_state.epoch == 0)
		rc = spool_renew_epoch(spool);
	else
		atomic_init(&spool->epoch, spool->reader_state.epoch);
	/* Twice, so that both slots have their blocks while the disk still has some. */
	for (unsigned int i = 0; rc == 0 && i < 2; i++) {
		rc = slot_save(&spool->writer_slot, &spool->writer_state, sizeof(spool->writer_state), i == 1);
		if (rc == 0)
			rc = slot_save(&spool->reader_slot, &spool->reader_state, sizeof(spool->reader_state), i == 1);
	}
	return rc;
}

static int
spool_open(struct spool *spool)
{
	bool machine_same;
	int rc = folder_make(spool->path, 0700);

	if (rc == 0)
		rc = spool_folder_open(spool, O_RDWR | O_CREAT);
	if (rc == 0)
		rc = spool_damage_open(spool);
	if (rc == 0)
		rc = open_state(spool, &machine_same);
	if (rc == 0)
		rc = spool_check_key(spool);
	for (unsigned int i = 0; rc == 0 && i < LINK_LANE_COUNT; i++)
		rc = spool_lane_open(spool, &spool->lanes[i], machine_same);
	if (rc < 0)
		return rc;
	spool_gaps_restore(spool);
	rc = save_state(spool);
	if (rc == 0)
		spool_room_open(spool);
	spool->saved_epoch = spool->reader_state.epoch;
	spool->ready = rc == 0;
	return rc;
}

static int
check_config(struct spool_config *config)
{
	uint64_t fitting = config->size / SPOOL_SEGMENTS_PER_SIZE_MIN;

	if (config->path == NULL || config->path[0] == '\0' || fitting < SPOOL_SEGMENT_SIZE_MIN ||
		config->segment_size < SPOOL_SEGMENT_SIZE_MIN || config->fsync > SPOOL_FSYNC_BATCH)
		return -EINVAL;
	if (config->segment_size > fitting)
		config->segment_size = fitting;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		if (config->lane_percent[i] == 0 || config->lane_percent[i] > 100)
			config->lane_percent[i] = 100;
	return 0;
}

const char *
spool_strerror(int rc)
{
	return rc == -EBUSY ? "another process uses it" :
		rc == -ENODEV ? "its key is in a TPM, which does not give it" :
		rc == -ENOKEY ? "its records are encrypted, and there is no spool.key-file" :
		rc == -EKEYREJECTED ? "its records are encrypted with another key than that of spool.key-file" : strerror(-rc);
}

static const char *
key_strerror(int rc)
{
	return rc == -EINVAL ? "not 64 hexadecimal digits (openssl rand -hex 32)" :
		rc == -EPERM ? "everybody can read it (chmod 600)" : strerror(-rc);
}

int
spool_key_check(const struct spool_config *config, const char **reason)
{
	struct seal_key key;
	bool by_tpm = config->key_tpm != NULL && config->key_tpm[0] != '\0';

	if (config->key_file == NULL || config->key_file[0] == '\0')
		return 0;
	int rc = !by_tpm ? seal_key_load(&key, config->key_file) : access(config->key_file, R_OK) == 0 ? 0 : -errno;

	OPENSSL_cleanse(&key, sizeof(key));
	*reason = rc < 0 ? key_strerror(rc) : NULL;
	return rc;
}

static int
load_key(struct spool *spool)
{
	const char *file = spool->config.key_file;

	spool->sealed = file != NULL && file[0] != '\0';
	if (!spool->sealed)
		return 0;
	if (spool->config.key_tpm != NULL && spool->config.key_tpm[0] != '\0')
		return seal_key_load_tpm(&spool->key, spool->config.key_tpm, file);
	int rc = seal_key_load(&spool->key, file);

	if (rc < 0)
		log_error("spool", "spool.key-file %s: %s", file, key_strerror(rc));
	return rc;
}

int
spool_create(struct spool **out, const struct spool_config *config)
{
	struct spool *spool = aligned_alloc(64, sizeof(*spool));

	if (spool == NULL)
		return -ENOMEM;
	memset(spool, 0, sizeof(*spool));
	spool->config = *config;
	spool->read_patience_ms = config->read_patience_ms == 0 ? SPOOL_READ_PATIENCE_MS : config->read_patience_ms;
	spool->let_go_ms = SPOOL_LET_GO_MS;
	pthread_mutex_init(&spool->folder_lock, NULL);
	spool->dir_fd = spool->lock_fd = spool->damaged_dir_fd = spool->writer_slot.fd = spool->reader_slot.fd = -1;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		spool->lanes[i].id = (enum link_lane)i;
		spool->lanes[i].dir_fd = spool->lanes[i].fd = spool->lanes[i].reader.fd = -1;
	}
	int rc = check_config(&spool->config);

	if (rc == 0) {
		spool->path = strdup(config->path);
		rc = spool->path == NULL ? -ENOMEM : 0;
	}
	spool->config.path = spool->path;
	if (rc == 0)
		rc = load_key(spool);
	spool->config.key_file = spool->config.key_tpm = NULL;
	uint64_t room = spool->config.segment_size - SEGMENT_HEADER_LEN - SEGMENT_ENTRY_LEN - SEAL_TAG_LEN;

	spool->record_len_max = room < SPOOL_RECORD_LEN_MAX ? (uint32_t)room : SPOOL_RECORD_LEN_MAX;
	if (rc == 0)
		rc = spool_open(spool);
	if (rc < 0) {
		log_error("spool", "spool.path %s: %s", config->path == NULL ? "" : config->path,
			spool_strerror(rc));
		spool_destroy(spool);
		return rc;
	}
	*out = spool;
	return 0;
}

/* After this no number is in doubt, so the reservation ends where the records do. */
static void
spool_close(struct spool *spool)
{
	spool_flush(spool);
	if (spool->away)
		return;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		struct spool_lane *lane = &spool->lanes[i];

		if (lane->fd >= 0 && (fdatasync(lane->fd) != 0 || fsync(lane->dir_fd) != 0))
			spool_count(spool, SPOOL_SYNC_ERRORS, 1);
		else if (lane->buffer_len == 0 && lane->dropped_first == 0)
			spool->writer_state.lanes[i].reserved = spool->writer_state.closed_next[i] = lane->next;
	}
	spool_save_writer_state(spool, true);
	slot_save(&spool->reader_slot, &spool->reader_state, sizeof(spool->reader_state), true);
}

static void
close_file(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
spool_folder_close(struct spool *spool)
{
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		segment_reader_close(&spool->lanes[i].reader);
		close_file(&spool->lanes[i].fd);
		close_file(&spool->lanes[i].dir_fd);
	}
	slot_close(&spool->writer_slot);
	slot_close(&spool->reader_slot);
	close_file(&spool->damaged_dir_fd);
	close_file(&spool->lock_fd);
	close_file(&spool->dir_fd);
}

void
spool_destroy(struct spool *spool)
{
	if (spool == NULL)
		return;
	if (spool->ready)
		spool_close(spool);
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		struct spool_lane *lane = &spool->lanes[i];

		segment_reader_destroy(&lane->reader);
		seal_destroy(lane->seal);
		free(lane->buffer);
		free(lane->segments);
	}
	spool_folder_close(spool);
	pthread_mutex_destroy(&spool->folder_lock);
	free(spool->path);
	explicit_bzero(&spool->key, sizeof(spool->key));
	free(spool);
}

int
spool_renew_epoch(struct spool *spool)
{
	uint64_t epoch = 0;

	while (epoch == 0)
		if (getrandom(&epoch, sizeof(epoch), 0) != sizeof(epoch))
			return -EIO;
	spool->reader_state.epoch = epoch;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++) {
		spool->reader_state.begins[i] = spool->reader_state.lanes[i].acked + 1;
		if (spool->reader_state.lanes[i].acked == 0)
			continue;
		spool->reader_state.lanes[i].skipped = true;
		atomic_store_explicit(&spool->lanes[i].skipped, true, memory_order_relaxed);
	}
	atomic_store_explicit(&spool->epoch, epoch, memory_order_release);
	log_notice("spool", "%s: epoch %016" PRIx64 " begins", spool->path, epoch);
	pthread_mutex_lock(&spool->folder_lock);
	int rc = spool->away ? -EIO : slot_save(&spool->reader_slot, &spool->reader_state, sizeof(spool->reader_state), true);

	if (rc == 0)
		spool->saved_epoch = epoch;
	pthread_mutex_unlock(&spool->folder_lock);
	return rc;
}

int
spool_set_owner(struct spool *spool, const char *owner)
{
	struct spool_reader_state *state = &spool->reader_state;
	bool other = state->owner[0] != '\0' && strcmp(state->owner, owner) != 0;

	if (strcmp(state->owner, owner) == 0)
		return 0;
	if (other)
		log_notice("spool", "%s: was of %s, is of %s from now on", spool->path, state->owner, owner);
	snprintf(state->owner, sizeof(state->owner), "%s", owner);
	if (other)
		return spool_renew_epoch(spool);
	pthread_mutex_lock(&spool->folder_lock);
	int rc = spool->away ? -EIO : slot_save(&spool->reader_slot, state, sizeof(*state), true);

	pthread_mutex_unlock(&spool->folder_lock);
	return rc;
}

uint64_t
spool_get_begin(const struct spool *spool, enum link_lane lane)
{
	return spool->reader_state.begins[lane];
}

uint64_t
spool_get_epoch(const struct spool *spool)
{
	return atomic_load_explicit(&spool->epoch, memory_order_acquire);
}

const char *
spool_get_path(const struct spool *spool)
{
	return spool->path;
}

uint64_t
spool_get_appended(const struct spool *spool, enum link_lane lane)
{
	return counter_get(&spool->lanes[lane].appended);
}

uint64_t
spool_get_readable(const struct spool *spool, enum link_lane lane)
{
	return atomic_load_explicit(&spool->lanes[lane].readable, memory_order_acquire);
}

uint64_t
spool_get_acked(const struct spool *spool, enum link_lane lane)
{
	return atomic_load_explicit(&spool->lanes[lane].acked, memory_order_acquire);
}

uint64_t
spool_get_bytes(const struct spool *spool, enum link_lane lane)
{
	return counter_get(&spool->lanes[lane].bytes);
}

bool
spool_is_drained(const struct spool *spool)
{
	/* Requests before gaps due: a request in flight is in one of them at any time. */
	if (atomic_load_explicit(&spool->request_tail, memory_order_acquire) !=
		atomic_load_explicit(&spool->request_head, memory_order_acquire))
		return false;
	if (atomic_load_explicit(&spool->gaps_due, memory_order_acquire) != 0)
		return false;
	for (unsigned int i = 0; i < LINK_LANE_COUNT; i++)
		if (spool_get_acked(spool, i) < spool_get_appended(spool, i))
			return false;
	return true;
}

struct counter_set
spool_get_counters(struct spool *spool)
{
	return (struct counter_set){ counter_descs, spool->counters, SPOOL_COUNTER_COUNT };
}
