/* For the tests of GOOSE and Sampled Values: a rig for one flow of Ethernet frames, and BER written by hand. */
#ifndef MR_PROTO_GOOSE_TEST_PUBLICATION_H
#define MR_PROTO_GOOSE_TEST_PUBLICATION_H

#include "test/test.h"

#include "lib/base/buf.h"
#include "proto/goose/publication.h"

enum { RIG_JSON_MAX = 256 * 1024, RIG_STATE_MAX = 4096, RIG_PDU_MAX = 4096 };

/** One worker's and one flow's share, and what was delivered. */
struct rig {
	struct proto_ctx ctx;
	struct proto_link link;
	struct record_builder builder;
	struct slab *slab;
	struct record_writer *writer;
	struct record_writer *identity_writer;
	struct proto_volume *volume;
	struct buf json;       /* of the last record that was not an identity */
	struct buf identity;
	unsigned int count;    /* records written, identities not */
	unsigned int matched;
	unsigned int identities;
	uint64_t events;       /* since rig_parse() began */
	_Atomic uint64_t counters[16];
	_Alignas(8) uint8_t state[RIG_STATE_MAX];
	_Alignas(8) uint8_t area[RECORD_LEN_MAX];
};

static struct rig *rig;
static const uint8_t rig_src[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t rig_dst[6] = { 1, 0x0c, 0xcd, 1, 0, 1 };

static void
rig_collect(struct proto_ctx *ctx, unsigned int flags, uint32_t tx_id)
{
	struct record_writer *writer = flags == PROTO_IDENTITY ? rig->identity_writer : rig->writer;
	struct buf *out = flags == PROTO_IDENTITY ? &rig->identity : &rig->json;

	assert_int_equal(tx_id, 0);
	if (flags == PROTO_IDENTITY) {
		rig->identities++;
	} else {
		rig->events |= ctx->events;
		ctx->events = 0;
		rig->count += (flags & (PROTO_EMIT | PROTO_QUIET)) == PROTO_EMIT;
		rig->matched += (flags & PROTO_MATCH) != 0;
	}
	buf_reset(out);
	record_write_json(writer, out, ctx->record->base, ctx->record->len);
	buf_putc(out, '\0');
	assert_false(out->full);
}

static void
rig_begin(const struct proto *proto, const void *config)
{
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_true(proto->state_len <= RIG_STATE_MAX && proto->counter_count <= TEST_COUNT(rig->counters));
	assert_int_equal(slab_create(&rig->slab, 1 << 20), 0);
	assert_int_equal(record_writer_create(&rig->writer, proto->app.record), 0);
	assert_int_equal(record_writer_create(&rig->identity_writer, &identity_table), 0);
	assert_int_equal(buf_create(&rig->json, RIG_JSON_MAX), 0);
	assert_int_equal(buf_create(&rig->identity, RIG_JSON_MAX), 0);
	record_builder_init(&rig->builder, rig->area, sizeof(rig->area));
	rig->link = (struct proto_link){ .src_mac = rig_src, .dst_mac = rig_dst, .ether_type = proto->ether_types[0],
		.vlan_tci = 0x8005, .tagged = true };
	rig->ctx = (struct proto_ctx){ .proto = proto, .config = config, .state = rig->state, .slab = rig->slab,
		.record = &rig->builder, .counters = rig->counters, .ts_ns = UINT64_C(1700000000000000000), .to_server = true,
		.levels = { .cyclic = proto->cyclic, .summary_interval_s = 60 }, .volume = &rig->volume,
		.link = &rig->link, .deliver = rig_collect, .owner = rig };
}

static void
rig_end(void)
{
	rig->ctx.link = NULL;
	rig->ctx.ending = true;
	rig->ctx.proto->end(&rig->ctx);
	proto_volume_free(&rig->ctx);
	assert_int_equal(slab_used(rig->slab), 0);
	slab_destroy(rig->slab);
	record_writer_destroy(rig->writer);
	record_writer_destroy(rig->identity_writer);
	buf_destroy(&rig->json);
	buf_destroy(&rig->identity);
	free(rig);
}

/** Parses a message in a block of its own length. @return the events it raised */
static uint64_t
rig_parse(const uint8_t *pdu, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	assert_non_null(copy);
	memcpy(copy, pdu, len);
	rig->events = 0;
	rig->ctx.events = 0;
	rig->ctx.pdu = copy;
	rig->ctx.pdu_len = (uint32_t)len;
	rig->ctx.proto->parse(&rig->ctx, cursor_of(copy, len));
	rig->events |= rig->ctx.events;
	rig->ctx.events = 0;
	free(copy);
	return rig->events;
}

static void
rig_wait_ms(uint64_t ms)
{
	rig->ctx.ts_ns += ms * 1000000;
}

static inline void
assert_json(const char *part)
{
	if (strstr(rig->json.data, part) == NULL)
		fail_msg("no %s in %s", part, rig->json.data);
}

/* ---- BER: elements are written from the last to the first, so that lengths are known ---- */

struct pdu {
	uint8_t bytes[RIG_PDU_MAX];
	size_t at; /* the first byte written */
};

static inline struct pdu
pdu_begin(void)
{
	return (struct pdu){ .at = RIG_PDU_MAX };
}

static inline void
pdu_put(struct pdu *pdu, const void *data, size_t len)
{
	assert_true(len <= pdu->at);
	pdu->at -= len;
	memcpy(pdu->bytes + pdu->at, data, len);
}

static inline void
pdu_be(struct pdu *pdu, uint64_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++, value >>= 8) {
		uint8_t byte = (uint8_t)value;

		pdu_put(pdu, &byte, 1);
	}
}

/** Identifier and length in front of all that was written since `end` bytes were there. */
static inline void
pdu_tag(struct pdu *pdu, uint8_t tag, size_t end)
{
	size_t len = end - pdu->at;

	pdu_be(pdu, len, len < 0x80 ? 1 : 2);
	if (len >= 0x80)
		pdu_be(pdu, 0x82, 1);
	pdu_be(pdu, tag, 1);
}

static inline void
pdu_text(struct pdu *pdu, uint8_t tag, const char *text)
{
	size_t end = pdu->at;

	pdu_put(pdu, text, strlen(text));
	pdu_tag(pdu, tag, end);
}

static inline void
pdu_number(struct pdu *pdu, uint8_t tag, uint64_t value, unsigned int len)
{
	size_t end = pdu->at;

	pdu_be(pdu, value, len);
	pdu_tag(pdu, tag, end);
}

/** The header in front of everything; extra is added to the length. */
static inline void
pdu_header(struct pdu *pdu, uint16_t appid, uint16_t reserved1, int extra)
{
	pdu_be(pdu, 0, 2);
	pdu_be(pdu, reserved1, 2);
	pdu_be(pdu, (uint64_t)((long)(RIG_PDU_MAX - pdu->at) + 4 + extra), 2);
	pdu_be(pdu, appid, 2);
}

static inline const uint8_t *
pdu_data(const struct pdu *pdu)
{
	return pdu->bytes + pdu->at;
}

static inline size_t
pdu_len(const struct pdu *pdu)
{
	return RIG_PDU_MAX - pdu->at;
}

#endif
