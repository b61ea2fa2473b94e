/* Records that the aggregator will never take are kept, one JSON object a line, for who wants to know why. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/link/uplink_private.h"

/* Open for the moment only: it lies on the spool's file system, which the spool lets go when it fails. */
static int
open_file(const struct uplink *uplink, uint64_t *len)
{
	int fd = open(uplink->quarantine_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;
	int rc = fd < 0 || fstat(fd, &st) != 0 ? -errno : fd;

	if (rc >= 0)
		*len = (uint64_t)st.st_size;
	else if (fd >= 0)
		close(fd);
	return rc;
}

int
uplink_quarantine_create(const struct uplink *uplink)
{
	uint64_t len;
	int fd = open_file(uplink, &len);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Whether a power cut, or another program, left half of a line: what is put behind it would be a part of it. */
static bool
ends_torn(int fd, uint64_t len)
{
	char last;

	return len > 0 && pread(fd, &last, 1, (off_t)len - 1) == 1 && last != '\n';
}

static bool
append(int fd, uint64_t file_len, const struct buf *entry)
{
	/* It begins with a line end, which only half a line needs. */
	size_t skip = ends_torn(fd, file_len) ? 0 : 1;
	ssize_t done = write(fd, entry->data + skip, entry->len - skip);

	if (done > 0 && (size_t)done < entry->len - skip && ftruncate(fd, (off_t)file_len) != 0)
		log_warning("link", "half a line stays in the quarantine file: %s", strerror(errno));
	return done == (ssize_t)(entry->len - skip);
}

/* Six output bytes are the most that one byte of a record takes as a JSON string. */
static bool
write_entry(struct uplink *uplink, const struct uplink_flight *flight, const char *why, const char *record, size_t len)
{
	struct buf entry = { 0 };

	if (buf_create(&entry, len * 6 + 6 * BATCH_ERROR_MAX + 256) < 0)
		return false;
	buf_puts(&entry, "\n{\"lane\":\"");
	buf_puts(&entry, link_lane_name(flight->head.lane));
	buf_printf(&entry, "\",\"epoch\":\"%016llx\",\"sequence\":", (unsigned long long)flight->head.epoch);
	buf_u64(&entry, flight->head.sequence);
	buf_puts(&entry, ",\"error\":");
	buf_json_string(&entry, why, strlen(why));
	buf_puts(&entry, ",\"record\":");
	buf_json_string(&entry, record, len);
	buf_puts(&entry, "}\n");
	uint64_t file_len = 0;
	int fd = open_file(uplink, &file_len);
	bool fits = fd >= 0 && !entry.full && file_len + entry.len <= uplink->config.quarantine_size;
	bool written = fits && append(fd, file_len, &entry);

	if (fd >= 0)
		close(fd);
	buf_destroy(&entry);
	return written;
}

/* A refused gap record is not reported by another: a server that refuses them all would never see an end of it. */
static bool
is_gap_record(enum link_lane lane, const struct buf *lines)
{
	static const char mark[] = "\"event_type\":\"gap\"";

	return lane == LINK_LANE_STATS && memmem(lines->data, lines->len, mark, sizeof(mark) - 1) != NULL;
}

/* Returns 0 when the record may be passed over: kept or counted as not kept, and reported. */
int
uplink_quarantine(struct uplink *uplink, const struct uplink_flight *flight, const char *why)
{
	enum link_lane lane = flight->head.lane;
	uint64_t sequence = flight->head.sequence;
	struct spool_batch batch;
	const struct spool_want want = { lane, sequence, 1, uplink->config.batch_bytes };
	int got = spool_peek_batch(uplink->spool, &want, &uplink->lines, &batch);
	bool held = got == 1 && batch.first == sequence;

	if (!(held && is_gap_record(lane, &uplink->lines)) &&
		spool_report_gap(uplink->spool, lane, sequence, sequence, SPOOL_GAP_POISON) < 0)
		return -EAGAIN;
	bool kept = held && write_entry(uplink, flight, why, uplink->lines.data, uplink->lines.len - 1);

	log_error("link", "%s record %llu refused for good: %s; %s", link_lane_name(lane), (unsigned long long)sequence, why,
		kept ? "put into the quarantine file" : "it could not be kept");
	uplink_count(uplink, kept ? UPLINK_QUARANTINED : UPLINK_QUARANTINE_LOST, 1);
	return 0;
}
