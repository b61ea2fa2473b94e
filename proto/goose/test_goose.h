/* What the tests of GOOSE's messages share: one of a publication, as it is sent. */
#ifndef MR_PROTO_GOOSE_TEST_GOOSE_H
#define MR_PROTO_GOOSE_TEST_GOOSE_H

#include "proto/goose/test_publication.h"

#include "proto/goose/goose.h"

#define EVENT(name) (UINT64_C(1) << GOOSE_EVENT_##name)

extern const struct proto goose_proto;

/** A message; the data set is a boolean and a quality unless data says otherwise. */
struct message {
	const char *ref;
	uint32_t st, sq, ttl, rev, entries;
	uint64_t t;
	uint16_t appid, reserved1;
	uint8_t security_len;
	uint8_t t_len, st_len; /* 0: as they should be */
	bool simulation, nds_com, value;
	const uint8_t *data;
	size_t data_len;
	uint16_t left_out; /* bit: tag number */
};

__attribute__((unused)) static const struct message usual = { .ref = "IED1LD0/LLN0$GO$gcb1", .st = 5, .sq = 7, .ttl = 2000, .rev = 1, .entries = 2,
	.t = UINT64_C(0x6553f10080000000), .appid = 1 };

static inline struct pdu
encode(const struct message *m)
{
	static const uint8_t quality[] = { 0x84, 0x03, 0x03, 0x00, 0x00 };
	const uint8_t truth[] = { 0x83, 0x01, m->value };
	struct pdu pdu = pdu_begin();
	size_t end;

	if (m->security_len > 0)
		pdu_number(&pdu, 0x8c, 0, m->security_len);
	end = pdu.at;
	if (m->data != NULL) {
		pdu_put(&pdu, m->data, m->data_len);
	} else {
		pdu_put(&pdu, quality, sizeof(quality));
		pdu_put(&pdu, truth, sizeof(truth));
	}
	if (!(m->left_out & 1 << 11))
		pdu_tag(&pdu, 0xab, end);
	else
		pdu.at = end;
	pdu_number(&pdu, 0x8a, m->entries, 2);
	pdu_number(&pdu, 0x89, m->nds_com, 1);
	pdu_number(&pdu, 0x88, m->rev, 4);
	pdu_number(&pdu, 0x87, m->simulation, 1);
	pdu_number(&pdu, 0x86, m->sq, 5);
	if (!(m->left_out & 1 << 5))
		pdu_number(&pdu, 0x85, m->st_len == 0 ? m->st : UINT64_MAX, m->st_len == 0 ? 5 : m->st_len);
	pdu_number(&pdu, 0x84, m->t, m->t_len == 0 ? 8 : m->t_len);
	pdu_text(&pdu, 0x83, "goid");
	if (!(m->left_out & 1 << 2))
		pdu_text(&pdu, 0x82, "IED1LD0/LLN0$ds1");
	pdu_number(&pdu, 0x81, m->ttl, 4);
	pdu_text(&pdu, 0x80, m->ref);
	pdu_tag(&pdu, 0x61, RIG_PDU_MAX);
	pdu_header(&pdu, m->appid, m->reserved1, 0);
	return pdu;
}

/** Hands it to the parser. @return the events that were told */
static inline uint64_t
say(struct message m)
{
	struct pdu pdu = encode(&m);

	return rig_parse(pdu_data(&pdu), pdu_len(&pdu));
}

#endif
