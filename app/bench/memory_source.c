#include "app/bench/memory_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/sensor/frame_meta.h"
#include "lib/base/mem.h"
#include "lib/capture/capture.h"
#include "lib/packet/checksum.h"

enum { FRAMES_FIRST = 1 << 16, AREA_FIRST = 64 << 20, FRAME_ALIGN = 64, PREFETCH_FRAMES = 8 };

struct memory_frame {
	uint64_t off;
	uint64_t ts_ns;
	uint32_t wire_len;
	uint16_t len;
	uint16_t link_type;
	uint16_t l3_off;       /* of an IPv4 header; 0: none */
	uint16_t l4_sum_off;   /* of the TCP or UDP checksum; 0: none */
};

/* Room for one more frame; the area is copied into one twice as large when it is full. */
static int
grow(struct memory_capture *capture, size_t used, uint32_t need, uint32_t *frames_cap)
{
	if (capture->frame_count == *frames_cap) {
		uint32_t cap = *frames_cap == 0 ? FRAMES_FIRST : *frames_cap * 2;
		struct memory_frame *frames = realloc(capture->frames, cap * sizeof(*frames));

		if (frames == NULL)
			return -ENOMEM;
		capture->frames = frames;
		*frames_cap = cap;
	}
	if (capture->area == NULL || used + need > capture->area_len) {
		size_t len = capture->area == NULL ? AREA_FIRST : capture->area_len * 2;
		uint8_t *area = mem_area_create(len);

		if (area == NULL)
			return -ENOMEM;
		if (capture->area != NULL)
			memcpy(area, capture->area, used);
		mem_area_destroy(capture->area, capture->area_len);
		capture->area = area;
		capture->area_len = len;
	}
	return 0;
}

/* Where the addresses to rewrite are. Frames too short or not IPv4 stay as they are. */
static void
locate(struct memory_frame *frame, const uint8_t *data)
{
	uint32_t at = 14;
	uint16_t type;

	if (frame->link_type != 1 || frame->len < 34)
		return;
	type = (uint16_t)(data[12] << 8 | data[13]);
	while ((type == 0x8100 || type == 0x88a8) && at + 4 <= frame->len) {
		type = (uint16_t)(data[at + 2] << 8 | data[at + 3]);
		at += 4;
	}
	if (type != 0x0800 || at + 20u > frame->len || data[at] >> 4 != 4)
		return;
	frame->l3_off = (uint16_t)at;
	if ((data[at + 6] & 0x3f) != 0 || data[at + 7] != 0)
		return; /* a fragment: its checksum is another's */
	if (data[at + 9] == 6 && at + 40u <= frame->len)
		frame->l4_sum_off = (uint16_t)(at + (data[at] & 15) * 4 + 16);
	else if (data[at + 9] == 17 && at + 28u <= frame->len)
		frame->l4_sum_off = (uint16_t)(at + (data[at] & 15) * 4 + 6);
	if (frame->l4_sum_off + 2u > frame->len)
		frame->l4_sum_off = 0;
}

int
memory_capture_load(struct memory_capture *out, const char *path, const struct capture_filter *filter, uint32_t frames_max,
	struct config_error *err)
{
	struct capture_frame frame;
	struct capture *capture;
	uint32_t frames_cap = 0;
	size_t used = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = capture_open(&capture, path, err);
	if (rc != 0)
		return rc;
	while ((frames_max == 0 || out->frame_count < frames_max) && (rc = capture_next(capture, &frame)) > 0) {
		uint32_t len = frame.len < UINT16_MAX ? frame.len : UINT16_MAX;
		struct memory_frame *to;

		if (filter != NULL && !capture_filter_takes(filter, frame.data, frame.len, frame.wire_len))
			continue;
		rc = grow(out, used, len + FRAME_ALIGN, &frames_cap);
		if (rc != 0)
			break;
		to = &out->frames[out->frame_count++];
		*to = (struct memory_frame){ .off = used, .ts_ns = frame.ts_ns, .wire_len = frame.wire_len, .len = (uint16_t)len,
			.link_type = frame.link_type };
		memcpy(out->area + used, frame.data, len);
		locate(to, out->area + used);
		used += (len + FRAME_ALIGN - 1) & ~(size_t)(FRAME_ALIGN - 1);
		out->bytes += frame.wire_len;
	}
	if (rc == -ENOMEM)
		snprintf(err->text, sizeof(err->text), "%s: no memory for its frames", path);
	else if (rc < 0)
		snprintf(err->text, sizeof(err->text), "%s", capture_error(capture));
	else if (out->frame_count == 0)
		snprintf(err->text, sizeof(err->text), "%s: no frames", path);
	capture_close(capture);
	if (out->frame_count == 0 || rc < 0) {
		memory_capture_unload(out);
		return rc < 0 ? rc : -ENODATA;
	}
	out->duration_ns = out->frames[out->frame_count - 1].ts_ns - out->frames[0].ts_ns;
	out->duration_ns += out->duration_ns / out->frame_count + 1000;
	return 0;
}

static void
put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void
make_datagram(uint8_t *data, uint32_t flow)
{
	static const uint8_t head[24] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, MEMORY_MADE_LEN - 14, 0, 1, 0, 0, 64,
		17 };
	uint8_t *ip = data + 14, *udp = data + 34;
	uint16_t len = MEMORY_MADE_LEN - 34, sum;

	memset(data, 0x55, MEMORY_MADE_LEN);
	memcpy(data, head, sizeof(head));
	put16(ip + 10, 0);
	put16(ip + 12, (uint16_t)(10 << 8 | flow >> 16));
	put16(ip + 14, (uint16_t)flow);
	put16(ip + 16, 172 << 8 | 16);
	put16(ip + 18, (uint16_t)(flow * 7));
	put16(udp, (uint16_t)(20000 + flow % 30011));
	put16(udp + 2, 34567); /* nobody's */
	put16(udp + 4, len);
	put16(udp + 6, 0);
	sum = (uint16_t)~checksum_fold(checksum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	sum = (uint16_t)~checksum_fold(checksum_add(checksum_add(0, ip + 12, 8), udp, len) + (17 << 8) + __builtin_bswap16(len));
	memcpy(udp + 6, &sum, 2);
}

int
memory_capture_make(struct memory_capture *out, uint32_t frame_count, uint32_t flow_count, uint64_t duration_ns)
{
	const uint32_t room = (MEMORY_MADE_LEN + FRAME_ALIGN - 1) & ~(uint32_t)(FRAME_ALIGN - 1);

	memset(out, 0, sizeof(*out));
	out->area_len = (size_t)frame_count * room;
	out->area = mem_area_create(out->area_len);
	out->frames = calloc(frame_count, sizeof(*out->frames));
	if (out->area == NULL || out->frames == NULL) {
		memory_capture_unload(out);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < frame_count; i++) {
		struct memory_frame *frame = &out->frames[i];

		/* times an odd number: each flow once before the first comes again, neighbours far apart */
		*frame = (struct memory_frame){ .off = (uint64_t)i * room, .ts_ns = UINT64_C(1000000000000) + duration_ns / frame_count * i,
			.wire_len = MEMORY_MADE_LEN, .len = MEMORY_MADE_LEN, .link_type = 1 };
		make_datagram(out->area + frame->off, i * 0x9e3779b1u & (flow_count - 1));
		locate(frame, out->area + frame->off);
	}
	out->frame_count = frame_count;
	out->bytes = (uint64_t)frame_count * MEMORY_MADE_LEN;
	out->duration_ns = duration_ns;
	return 0;
}

void
memory_capture_unload(struct memory_capture *capture)
{
	mem_area_destroy(capture->area, capture->area_len);
	free(capture->frames);
	memset(capture, 0, sizeof(*capture));
}

/* RFC 1624: the checksum after one 16-bit word changed. */
static void
patch_sum(uint8_t *sum, uint16_t before, uint16_t after)
{
	uint32_t value = (uint16_t) ~(sum[0] << 8 | sum[1]);

	value += (uint16_t)~before + (uint32_t)after;
	value = (value & 0xffff) + (value >> 16);
	value = (value & 0xffff) + (value >> 16);
	value = (uint16_t)~value;
	sum[0] = (uint8_t)(value >> 8);
	sum[1] = (uint8_t)value;
}

static void
rewrite_address(uint8_t *data, const struct memory_frame *frame, uint32_t at, uint8_t change)
{
	uint16_t before = (uint16_t)(data[at] << 8 | data[at + 1]);
	uint16_t after;

	data[at + 1] ^= change;
	after = (uint16_t)(data[at] << 8 | data[at + 1]);
	patch_sum(data + frame->l3_off + 10, before, after);
	if (frame->l4_sum_off != 0 && (data[frame->l4_sum_off] | data[frame->l4_sum_off + 1]) != 0)
		patch_sum(data + frame->l4_sum_off, before, after);
}

void
memory_capture_rewrite(struct memory_capture *capture, uint32_t loop)
{
	uint8_t change = (uint8_t)(capture->loop ^ loop);

	for (uint32_t i = 0; i < capture->frame_count && change != 0; i++) {
		const struct memory_frame *frame = &capture->frames[i];
		uint8_t *data = capture->area + frame->off;

		if (frame->l3_off == 0)
			continue;
		rewrite_address(data, frame, frame->l3_off + 12u, change);
		rewrite_address(data, frame, frame->l3_off + 16u, change);
	}
	capture->loop = loop;
}

struct memory_source {
	struct source base;
	const struct memory_capture *capture;
	struct rte_mempool *pool;
	uint32_t next;
	uint64_t shift_ns;
};

static uint16_t
memory_rx_burst(struct source *source, struct rte_mbuf *mbufs[], uint16_t count)
{
	struct memory_source *memory = (struct memory_source *)source;
	const struct memory_capture *capture = memory->capture;
	uint32_t left = capture->frame_count - memory->next;

	count = left < count ? (uint16_t)left : count;
	if (count == 0 || rte_pktmbuf_alloc_bulk(memory->pool, mbufs, count) != 0)
		return 0;
	for (uint16_t i = 0; i < count; i++) {
		const struct memory_frame *frame = &capture->frames[memory->next + i];
		struct rte_mbuf *mbuf = mbufs[i];
		struct frame_meta *meta = frame_meta_of(mbuf);

		mbuf->buf_addr = capture->area + frame->off;
		mbuf->data_off = 0;
		mbuf->data_len = frame->len;
		mbuf->pkt_len = frame->len;
		mbuf->ol_flags = frame_time_flag;
		*frame_time_of(mbuf) = frame->ts_ns + memory->shift_ns;
		meta->frame_number = 0;
		meta->wire_len = frame->wire_len;
		meta->link_type = frame->link_type;
	}
	memory->next += count;
	return count;
}

static void
memory_destroy(struct source *source)
{
	free(source);
}

static const struct source_ops memory_ops = { .name = "memory", .rx_burst = memory_rx_burst, .destroy = memory_destroy };

int
memory_source_create(struct source **out, const struct memory_capture *capture, struct rte_mempool *pool)
{
	struct memory_source *memory = calloc(1, sizeof(*memory));

	if (memory == NULL)
		return -ENOMEM;
	memory->base.ops = &memory_ops;
	memory->capture = capture;
	memory->pool = pool;
	*out = &memory->base;
	return 0;
}

void
memory_source_rewind(struct source *source, uint32_t loop)
{
	struct memory_source *memory = (struct memory_source *)source;

	memory->next = 0;
	memory->shift_ns = memory->capture->duration_ns * loop;
}
