/* ASDUs and their values, IEC 61850-9-2 table 15, 9-2LE 7.2. */
#include "proto/sv/sv.h"

enum { TAG_NUMBER = 0x80, TAG_SECURITY = 0x81, TAG_SECURITY_CONSTRUCTED = 0xa1, TAG_SEQUENCE = 0xa2, TAG_ASDU = 0x30 };

void
sv_read_apdu(struct sv_apdu *apdu, struct cursor in)
{
	struct ber ber;

	*apdu = (struct sv_apdu){ 0 };
	for (unsigned int i = 0; i < SV_ELEMENTS_MAX && ber_next(&in, &ber); i++) {
		if (ber.tag == TAG_NUMBER) {
			apdu->has_number = ber_u32(ber.content, &apdu->asdu_number);
		} else if (ber.tag == TAG_SEQUENCE) {
			apdu->asdus = ber.content;
			apdu->has_asdus = true;
		} else if (ber.tag == TAG_SECURITY || ber.tag == TAG_SECURITY_CONSTRUCTED) {
			apdu->security_len = (uint32_t)cursor_left(&ber.content);
		}
	}
	apdu->broken = in.short_read;
}

enum element_kind { ELEMENT_BYTES = 1, ELEMENT_U32, ELEMENT_TIME };

/* By tag number. */
static const struct {
	uint8_t kind; /* enum element_kind */
	uint16_t offset;
} elements[] = {
	[SV_ASDU_ID] = { ELEMENT_BYTES, offsetof(struct sv_asdu, sv_id) },
	[SV_ASDU_DAT_SET] = { ELEMENT_BYTES, offsetof(struct sv_asdu, dat_set) },
	[SV_ASDU_SMP_CNT] = { ELEMENT_U32, offsetof(struct sv_asdu, smp_cnt) },
	[SV_ASDU_CONF_REV] = { ELEMENT_U32, offsetof(struct sv_asdu, conf_rev) },
	[SV_ASDU_REFR_TM] = { ELEMENT_TIME, 0 },
	[SV_ASDU_SMP_SYNCH] = { ELEMENT_U32, offsetof(struct sv_asdu, smp_synch) },
	[SV_ASDU_SMP_RATE] = { ELEMENT_U32, offsetof(struct sv_asdu, smp_rate) },
	[SV_ASDU_SAMPLE] = { ELEMENT_BYTES, offsetof(struct sv_asdu, sample) },
	[SV_ASDU_SMP_MOD] = { ELEMENT_U32, offsetof(struct sv_asdu, smp_mod) },
	[SV_ASDU_GM_IDENTITY] = { ELEMENT_BYTES, offsetof(struct sv_asdu, gm_identity) },
};

static bool
read_element(struct sv_asdu *asdu, unsigned int number, struct cursor content)
{
	uint8_t *at = (uint8_t *)asdu + elements[number].offset;

	if (elements[number].kind == ELEMENT_U32)
		return ber_u32(content, (uint32_t *)(void *)at);
	if (elements[number].kind == ELEMENT_TIME)
		return publication_time(content, &asdu->refr_tm_ns, &asdu->refr_tm_quality);
	*(struct cursor *)(void *)at = content;
	return true;
}

/* A sample is taken for values with qualities when no bit is set that a quality does not have. */
static void
read_qualities(struct sv_asdu *asdu)
{
	size_t len = cursor_left(&asdu->sample);

	if (len == 0 || len % SV_CHANNEL_LEN != 0 || len / SV_CHANNEL_LEN > SV_CHANNELS_MAX)
		return;
	asdu->quality = sv_quality_of(asdu->sample.pos, len);
	asdu->pairs = (asdu->quality & ~(uint32_t)SV_QUALITY_MASK) == 0;
}

bool
sv_next_asdu(struct cursor *asdus, struct sv_asdu *out)
{
	struct ber ber, element;

	if (cursor_left(asdus) == 0)
		return false;
	memset(out, 0, sizeof(*out));
	out->broken = !ber_next(asdus, &ber);
	if (out->broken)
		return true;
	out->invalid = ber.tag != TAG_ASDU;
	for (unsigned int i = 0; i < SV_ELEMENTS_MAX && ber_next(&ber.content, &element); i++) {
		unsigned int number = element.tag & 0x1f;

		if ((element.tag & ~0x1fu) != 0x80 || number >= sizeof(elements) / sizeof(elements[0])) {
			out->invalid = true;
			continue;
		}
		if (number == SV_ASDU_SMP_CNT) {
			out->smp_cnt_at = element.content.pos;
			out->smp_cnt_len = (uint8_t)(cursor_left(&element.content) <= UINT8_MAX ? cursor_left(&element.content) : 0);
		}
		if (read_element(out, number, element.content)) {
			out->present |= UINT64_C(1) << number;
		} else {
			out->present &= ~(UINT64_C(1) << number); /* it may have come before */
			out->unreadable |= UINT64_C(1) << number;
			out->invalid = true;
		}
	}
	out->broken = ber.content.short_read;
	if (cursor_left(&out->sv_id) > PUBLICATION_TEXT_MAX) {
		out->sv_id = cursor_sub(&out->sv_id, PUBLICATION_TEXT_MAX);
		out->invalid = true;
	}
	read_qualities(out);
	return true;
}

/* 9-2LE 7.2: currents in mA, voltages in 10 mV. They are divided: 0.001 is no number that a double has. */
static const struct {
	const char *name;
	const char *unit;
	double parts;
} le_channels[SV_LE_CHANNELS] = {
	{ "Ia", "A", 1000 }, { "Ib", "A", 1000 }, { "Ic", "A", 1000 }, { "In", "A", 1000 },
	{ "Ua", "V", 100 },  { "Ub", "V", 100 },  { "Uc", "V", 100 },  { "Un", "V", 100 },
};

static void
put_channels(struct proto_ctx *ctx, struct sv_asdu_record *record, struct cursor sample)
{
	bool le = cursor_left(&sample) == SV_LE_CHANNELS * SV_CHANNEL_LEN;

	record_present(&record->head, SV_ASDU_CHANNELS);
	for (uint16_t i = 0; i < SV_CHANNELS_MAX && cursor_left(&sample) >= SV_CHANNEL_LEN; i++) {
		int32_t value = (int32_t)cursor_be32(&sample);
		uint32_t quality = cursor_be32(&sample);
		struct sv_channel *channel = record_append(ctx->record, &record->channels, sv_channel_tables, 0);

		if (channel == NULL)
			return;
		channel->index = i;
		channel->value = value;
		channel->validity = quality & SV_VALIDITY_MASK;
		channel->quality = (uint16_t)(quality & SV_QUALITY_MASK & ~(uint32_t)SV_VALIDITY_MASK);
		if (channel->quality != 0)
			record_present(&channel->head, SV_CHANNEL_QUALITY);
		if (!le)
			continue;
		channel->name = le_channels[i].name;
		channel->unit = le_channels[i].unit;
		channel->scaled = value / le_channels[i].parts;
		record_present(&channel->head, SV_CHANNEL_NAMED);
	}
}

static void
put_bytes(struct proto_ctx *ctx, struct record_ref *ref, const struct cursor *bytes)
{
	record_put_bytes(ctx->record, ref, bytes->pos, (uint32_t)cursor_left(bytes));
}

void
sv_put_asdu(struct proto_ctx *ctx, struct sv_record *record, const struct sv_asdu *asdu)
{
	struct sv_asdu_record *out = record_append(ctx->record, &record->asdus, sv_asdu_tables, 0);

	if (out == NULL)
		return;
	record_present(&record->head, SV_HAS_ASDUS);
	out->head.present = asdu->present;
	put_bytes(ctx, &out->sv_id, &asdu->sv_id);
	put_bytes(ctx, &out->dat_set, &asdu->dat_set);
	put_bytes(ctx, &out->gm_identity, &asdu->gm_identity);
	out->smp_cnt = asdu->smp_cnt;
	out->conf_rev = asdu->conf_rev;
	out->refr_tm_ns = asdu->refr_tm_ns;
	out->refr_tm_flags = asdu->refr_tm_quality >> 5;
	out->refr_tm_accuracy = asdu->refr_tm_quality & TIME_ACCURACY;
	out->smp_synch = asdu->smp_synch;
	out->smp_rate = asdu->smp_rate;
	out->smp_mod = asdu->smp_mod;
	if (asdu->pairs) {
		put_channels(ctx, out, asdu->sample);
	} else if (cursor_left(&asdu->sample) > 0) {
		put_bytes(ctx, &out->sample, &asdu->sample);
		record_present(&out->head, SV_ASDU_OPAQUE);
	}
}
