/* GOOSE and Sampled Values, encoded. */
#include "app/bench/plant/publish.h"

#include <string.h>

#include "app/bench/plant/wire.h"

enum { ETHER_TYPE_GOOSE = 0x88b8, ETHER_TYPE_SV = 0x88ba, FRAME_LEN_MIN = 60, CONTENT_MAX = 1400 };

/* Identifier, length in its shortest form (ITU-T X.690 8.1.3), content. */
static void
put_element(struct buf *out, uint8_t tag, const void *content, size_t len)
{
	put_u8(out, tag);
	if (len >= 0x100) {
		put_u8(out, 0x82);
		put_u8(out, (uint8_t)(len >> 8));
	} else if (len >= 0x80) {
		put_u8(out, 0x81);
	}
	put_u8(out, (uint8_t)len);
	buf_put(out, content, len);
}

static void
put_text(struct buf *out, uint8_t tag, const char *text)
{
	put_element(out, tag, text, strlen(text));
}

/* A number that is never negative, in as many bytes as it takes. */
static void
put_number(struct buf *out, uint8_t tag, uint32_t value)
{
	const uint8_t bytes[] = { 0, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };
	size_t skip = 0;

	while (skip < 4 && bytes[skip] == 0 && bytes[skip + 1] < 0x80)
		skip++;
	put_element(out, tag, bytes + skip, sizeof(bytes) - skip);
}

static void
put_fixed(struct buf *out, uint8_t tag, uint32_t value, size_t len)
{
	const uint8_t bytes[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value };

	put_element(out, tag, bytes + sizeof(bytes) - len, len);
}

static void
put_security(struct buf *out, uint8_t tag, uint8_t len)
{
	uint8_t bytes[255];

	memset(bytes, 0x5e, sizeof(bytes));
	if (len > 0)
		put_element(out, tag, bytes, len);
}

static size_t
put_frame(struct buf *out, const struct plant_publication *publication, uint16_t ether_type, uint8_t tag,
	const struct buf *content)
{
	uint8_t bytes[CONTENT_MAX + 8];
	struct buf apdu = buf_over(bytes, sizeof(bytes));
	size_t start = out->len;

	put_element(&apdu, tag, content->data, content->len);
	buf_put(out, publication->dst, 6);
	buf_put(out, publication->src, 6);
	if (publication->vlan != 0) {
		put_be16(out, 0x8100);
		put_be16(out, (uint16_t)(publication->priority << 13 | publication->vlan));
	}
	put_be16(out, ether_type);
	put_be16(out, publication->appid);
	put_be16(out, publication->length != 0 ? publication->length : (uint16_t)(apdu.len + 8));
	put_be16(out, publication->reserved1);
	put_be16(out, 0);
	buf_put(out, apdu.data, apdu.len);
	while (out->len - start < FRAME_LEN_MIN && !out->full)
		put_u8(out, 0);
	return out->full || apdu.full || content->full ? 0 : out->len - start;
}

static void
publication_init(struct plant_publication *publication, uint8_t group, uint16_t appid)
{
	*publication = (struct plant_publication){ .src = { 2, 0, 10, 10, 1, 1 }, .dst = { 1, 0x0c, 0xcd, group, 0, 1 },
		.vlan = 10, .priority = 4, .appid = appid };
}

void
plant_goose_init(struct plant_goose *goose)
{
	*goose = (struct plant_goose){ .ref = "BAY1LD0/LLN0$GO$gcbTrip", .dataset = "BAY1LD0/LLN0$dsTrip", .goid = "BAY1_Trip",
		.ttl_ms = 2000, .st = 1, .rev = 1, .t_s = 1767225600, .t_quality = 10 };
	publication_init(&goose->publication, 1, 1);
}

void
plant_sv_init(struct plant_sv *sv)
{
	*sv = (struct plant_sv){ .id = "BAY1MU01", .rev = 1, .synch = 2, .asdus = 1, .channels = PLANT_SV_CHANNELS };
	publication_init(&sv->publication, 4, 0x4000);
	for (unsigned int i = 0; i < PLANT_SV_CHANNELS; i++)
		sv->values[i] = (int32_t)(1000 * (i + 1));
}

bool
plant_goose_add(struct plant_goose *goose, uint8_t tag, const void *content, size_t len)
{
	struct buf out = buf_over(goose->data, sizeof(goose->data));

	out.len = goose->data_len;
	put_element(&out, tag, content, len);
	goose->data_len = out.len;
	goose->data_count++;
	return !out.full;
}

size_t
plant_goose_frame(struct buf *out, const struct plant_goose *goose)
{
	static const uint8_t usual[] = { 0x83, 1, 0, 0x84, 3, 3, 0, 0 };
	const uint8_t t[] = { (uint8_t)(goose->t_s >> 24), (uint8_t)(goose->t_s >> 16), (uint8_t)(goose->t_s >> 8),
		(uint8_t)goose->t_s, (uint8_t)(goose->t_fraction >> 16), (uint8_t)(goose->t_fraction >> 8),
		(uint8_t)goose->t_fraction, goose->t_quality };
	bool given = goose->data_len > 0;
	uint32_t count = given ? goose->data_count : 2;
	uint8_t bytes[CONTENT_MAX];
	struct buf content = buf_over(bytes, sizeof(bytes));

	put_text(&content, 0x80, goose->ref);
	put_number(&content, 0x81, goose->ttl_ms);
	put_text(&content, 0x82, goose->dataset);
	put_text(&content, 0x83, goose->goid);
	put_element(&content, 0x84, t, sizeof(t));
	put_number(&content, 0x85, goose->st);
	put_number(&content, 0x86, goose->sq);
	put_fixed(&content, 0x87, goose->simulation, 1);
	put_number(&content, 0x88, goose->rev);
	put_fixed(&content, 0x89, goose->nds_com, 1);
	put_number(&content, 0x8a, goose->entries != 0 ? goose->entries : count);
	put_element(&content, 0xab, given ? goose->data : usual, given ? goose->data_len : sizeof(usual));
	put_security(&content, 0x8c, goose->security_len);
	return put_frame(out, &goose->publication, ETHER_TYPE_GOOSE, 0x61, &content);
}

static void
put_asdu(struct buf *out, const struct plant_sv *sv, uint32_t count)
{
	uint8_t bytes[256], sample_bytes[8 * PLANT_SV_CHANNELS];
	struct buf asdu = buf_over(bytes, sizeof(bytes)), sample = buf_over(sample_bytes, sizeof(sample_bytes));

	for (uint32_t i = 0; i < sv->channels && i < PLANT_SV_CHANNELS; i++) {
		put_be32(&sample, (uint32_t)sv->values[i]);
		put_be32(&sample, sv->quality);
	}
	put_text(&asdu, 0x80, sv->id);
	put_fixed(&asdu, 0x82, count, 2);
	put_fixed(&asdu, 0x83, sv->rev, 4);
	put_fixed(&asdu, 0x85, sv->synch, 1);
	if (sv->rate != 0)
		put_fixed(&asdu, 0x86, sv->rate, 2);
	put_element(&asdu, 0x87, sample.data, sample.len);
	put_element(out, 0x30, asdu.data, asdu.len);
}

size_t
plant_sv_frame(struct buf *out, const struct plant_sv *sv)
{
	uint8_t bytes[CONTENT_MAX], asdu_bytes[CONTENT_MAX];
	struct buf content = buf_over(bytes, sizeof(bytes)), asdus = buf_over(asdu_bytes, sizeof(asdu_bytes));

	for (uint32_t i = 0; i < sv->asdus; i++)
		put_asdu(&asdus, sv, sv->count + i);
	put_number(&content, 0x80, sv->number != 0 ? sv->number : sv->asdus);
	put_security(&content, 0x81, sv->security_len);
	put_element(&content, 0xa2, asdus.data, asdus.len);
	content.full = content.full || asdus.full;
	return put_frame(out, &sv->publication, ETHER_TYPE_SV, 0x60, &content);
}
