/* Requests and responses of master and outstation over one conversation. */
#include "app/bench/plant/dnp3.h"
#include "app/bench/plant/talk.h"

static uint64_t
send_fragment(struct plant_talk *talk, struct plant_dnp3_end *end, const struct buf *fragment, uint64_t now_ns)
{
	uint8_t bytes[PLANT_DNP3_WIRE_LEN_MAX];
	struct buf wire = buf_over(bytes, sizeof(bytes));

	end->spoil_crc = plant_fault_strikes(talk->net, PLANT_FAULT_BAD_CRC) ? DNP3_SPOIL_DATA : DNP3_SPOIL_NONE;
	plant_dnp3_send(&wire, end, fragment);
	return plant_talk_send(talk, end->master ? PLANT_CLIENT : PLANT_SERVER, bytes, wire.len, now_ns);
}

uint64_t
plant_dnp3_confirm(struct plant_talk *talk, struct plant_dnp3_end ends[], uint8_t control, uint64_t now_ns)
{
	uint8_t bytes[2];
	struct buf confirm = buf_over(bytes, sizeof(bytes));

	put_u8(&confirm, DNP3_FIR | DNP3_FIN | (control & (DNP3_UNS | 0x0f)));
	put_u8(&confirm, DNP3_CONFIRM);
	return send_fragment(talk, &ends[PLANT_CLIENT], &confirm, now_ns);
}

uint64_t
plant_dnp3_reply(struct plant_talk *talk, struct plant_dnp3_end ends[], struct plant_outstation *outstation,
	struct cursor request, uint64_t now_ns)
{
	bool more = true;

	if (plant_fault_strikes(talk->net, PLANT_FAULT_NO_ANSWER))
		return now_ns;
	for (bool first = true; more; first = false) {
		uint8_t bytes[PLANT_DNP3_FRAGMENT_LEN_MAX];
		struct buf fragment = buf_over(bytes, sizeof(bytes));

		if (first) {
			bool broken = outstation->broken;

			outstation->broken = broken || plant_fault_strikes(talk->net, PLANT_FAULT_EXCEPTIONS);
			more = plant_outstation_answer(outstation, request, &fragment, now_ns);
			outstation->broken = broken;
		} else {
			more = plant_outstation_more(outstation, &fragment, now_ns);
		}
		if (fragment.len == 0)
			return now_ns;
		now_ns = send_fragment(talk, &ends[PLANT_SERVER], &fragment, now_ns);
		if ((bytes[0] & DNP3_CON) != 0)
			now_ns = plant_dnp3_confirm(talk, ends, bytes[0], now_ns);
	}
	return now_ns;
}
