/* Names: labels and compression pointers (RFC 1035 4.1.4). */
#include "proto/dns/dns.h"

static void
add_label(struct dns_name *name, const uint8_t *label, uint8_t len)
{
	uint16_t dot = name->len > 0 ? 1 : 0;
	uint16_t room = (uint16_t)(DNS_NAME_LEN_MAX - name->len);

	name->labels++;
	if (len + dot > room) {
		name->faults |= 1 << DNS_EVENT_NAME_TOO_LONG;
		if (room <= dot)
			return;
		len = (uint8_t)(room - dot);
	}
	if (dot)
		name->text[name->len++] = '.';
	memcpy(name->text + name->len, label, len);
	name->len = (uint16_t)(name->len + len);
}

bool
dns_name_read(struct cursor whole, struct cursor *in, struct dns_name *out)
{
	struct cursor away = { 0 }, *at = in;
	unsigned int jumps = 0;

	out->len = out->labels = out->faults = 0; /* its text is what is written of it */
	for (;;) {
		uint8_t len = cursor_u8(at);
		const uint8_t *label;

		if (at->short_read)
			return false;
		if (len == 0)
			return true;
		if ((len & 0xc0) == 0xc0) {
			size_t target = (size_t)(len & 0x3f) << 8 | cursor_u8(at);

			if (at->short_read)
				return false;
			if (++jumps > DNS_JUMPS_MAX) {
				out->faults |= 1 << DNS_EVENT_INFINITE_LOOP;
				return true;
			}
			away = whole;
			at = &away;
			cursor_skip(at, target);
			continue;
		}
		if ((len & 0xc0) != 0) /* RFC 6891 5: no other kinds */
			return false;
		label = cursor_take(at, len);
		if (label == NULL)
			return false;
		if (out->labels == DNS_LABELS_MAX) {
			out->faults |= 1 << DNS_EVENT_TOO_MANY_LABELS;
			/* In place the rest is passed over, so that what is behind it can be read. */
			if (at != in)
				return true;
			continue;
		}
		add_label(out, label, len);
	}
}
