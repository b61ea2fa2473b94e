/*
 * Of a publisher's messages only time, stNum, sqNum and data change; what stands around them is the same, byte for byte. So
 * the last message is kept as it was read, and of one that has its bytes only those four are read.
 */
#include "proto/goose/goose.h"

enum {
	HEADER_LEN = 2, /* of a number: identifier and length in their short forms, no others are kept */
	TIME_LEN = 8,
	NUMBER_LEN_MAX = 4,
	TAG_REF = 0x80, TAG_DAT_SET = 0x82, TAG_GO_ID, TAG_TIME, TAG_ST_NUM, TAG_SQ_NUM, TAG_DATA = 0xab,
};

/* ---- whether it is ---- */

static bool
has_bytes_of(const struct goose_form *form, const uint8_t *message)
{
	const uint8_t *kept = form->bytes;

	return memcmp(message, kept, form->t_off) == 0 &&
		memcmp(message + form->t_off + TIME_LEN, kept + form->t_off + TIME_LEN, HEADER_LEN) == 0 &&
		memcmp(message + form->sq_off - HEADER_LEN, kept + form->sq_off - HEADER_LEN, HEADER_LEN) == 0 &&
		memcmp(message + form->rest_off, kept + form->rest_off, form->data_off - form->rest_off) == 0;
}

static struct cursor
part_of(struct cursor pdu, uint32_t off, uint32_t len)
{
	cursor_skip(&pdu, off);
	return cursor_sub(&pdu, len);
}

/* The message is the one at hand now. */
static void
read_changes(struct goose_form *form, struct cursor pdu)
{
	struct goose_apdu *apdu = &form->apdu;
	uint32_t st_off = form->t_off + TIME_LEN + HEADER_LEN;

	(void)publication_time(part_of(pdu, form->t_off, TIME_LEN), &apdu->t_ns, &apdu->t_quality);
	(void)ber_u32(part_of(pdu, st_off, form->sq_off - HEADER_LEN - st_off), &apdu->st_num);
	(void)ber_u32(part_of(pdu, form->sq_off, form->rest_off - form->sq_off), &apdu->sq_num);
	for (unsigned int i = 0; i < sizeof(form->text_off) / sizeof(form->text_off[0]); i++)
		apdu->texts[i] = part_of(pdu, form->text_off[i], form->text_len[i]);
	apdu->all_data = part_of(pdu, form->data_off, form->data_len);
}

static bool
take(struct goose_form *form, struct cursor pdu)
{
	struct cursor in = pdu;
	const uint8_t *message;

	if (form->data_off == 0)
		return false;
	message = cursor_take(&in, (size_t)form->data_off + form->data_len);
	if (message == NULL || !has_bytes_of(form, message))
		return false;
	read_changes(form, pdu);
	return true;
}

struct goose_stream *
goose_form_find(struct goose_state *state, struct cursor pdu)
{
	if (state->last != NULL && take(&state->last->form, pdu))
		return state->last;
	for (uint8_t i = 0; i < state->stream_count; i++)
		if (state->streams[i] != state->last && take(&state->streams[i]->form, pdu))
			return state->last = state->streams[i];
	return NULL;
}

/* ---- keeping ---- */

static bool
is_number_behind(const struct ber *ber, const struct ber *before, uint32_t tag)
{
	size_t len = cursor_left(&ber->content);

	return ber->tag == tag && before->tag == tag - 1 && len > 0 && len <= NUMBER_LEN_MAX &&
		ber->content.pos == before->content.pos + before->content.left + HEADER_LEN;
}

/* One element, of those in their order. @return false: a message with it is not kept */
static bool
note_place(struct goose_form *form, const struct ber *ber, const struct ber *before, const uint8_t *message)
{
	uint16_t off = (uint16_t)(ber->content.pos - message), len = (uint16_t)cursor_left(&ber->content);

	switch (ber->tag) {
	case TAG_REF:
	case TAG_DAT_SET:
	case TAG_GO_ID:
		form->text_off[ber->tag - TAG_REF] = off;
		form->text_len[ber->tag - TAG_REF] = (uint8_t)len;
		return true;
	case TAG_TIME:
		form->t_off = off;
		return len == TIME_LEN;
	case TAG_ST_NUM:
		return is_number_behind(ber, before, TAG_ST_NUM);
	case TAG_SQ_NUM:
		form->sq_off = off;
		form->rest_off = (uint16_t)(off + len);
		return is_number_behind(ber, before, TAG_SQ_NUM);
	case TAG_DATA:
		form->data_off = off;
		form->data_len = len;
		return form->t_off > 0 && form->sq_off > 0;
	default:
		return ber->tag < TAG_DATA;
	}
}

/* Each element once and in order, the data last. */
static bool
find_places(struct goose_form *form, struct cursor apdu, const uint8_t *message)
{
	struct ber before = { 0 }, ber;

	for (; ber_next(&apdu, &ber); before = ber)
		if (ber.tag <= before.tag || !note_place(form, &ber, &before, message))
			return false;
	return before.tag == TAG_DATA && cursor_left(&apdu) == 0;
}

/* What is secured, or said in a wrong way, is read anew each time. */
static bool
may_keep(const struct publication *publication, const struct goose_apdu *apdu, const struct cursor *pdu)
{
	return !publication->routed && !publication->wrong_length && publication->length <= cursor_left(pdu) && !apdu->broken &&
		!apdu->invalid && !apdu->secured && cursor_left(&publication->apdu) == 0;
}

void
goose_form_drop(struct goose_stream *stream)
{
	stream->form.data_off = 0;
}

void
goose_form_keep(struct goose_stream *stream, const struct publication *publication, const struct goose_apdu *apdu,
	struct cursor pdu)
{
	struct goose_form *form = &stream->form;
	struct cursor in = pdu;
	struct ber ber;

	goose_form_drop(stream);
	if (!may_keep(publication, apdu, &pdu))
		return;
	memset(form, 0, offsetof(struct goose_form, bytes));
	form->publication = *publication;
	form->apdu = *apdu;
	cursor_skip(&in, PUBLICATION_HEADER_LEN);
	if (!ber_next(&in, &ber) || !find_places(form, ber.content, pdu.pos) || form->data_off > sizeof(form->bytes))
		goose_form_drop(stream);
	else
		memcpy(form->bytes, pdu.pos, form->data_off);
}
