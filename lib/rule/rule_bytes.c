/* Hot: the bytes a buffer stands for. */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/cursor.h"
#include "lib/rule/rule_sctp.h"
#include "lib/rule/rule_transform.h"

enum { IP_TEXT_LEN_MAX = 48 };

struct each {
	struct rule_view *view;
	const struct rule_buffer *buffer;
	rule_bytes_fn fn;
	void *arg;
};

static bool
each_bytes(const struct each *each, const uint8_t *data, uint32_t len)
{
	if (each->buffer->transforms != NULL) {
		each->view->steps += len / 256;
		rule_transform(each->view->matcher, each->buffer->transforms, &data, &len);
		each->view->steps += len / 256; /* what was unpacked may be longer */
	}
	return each->fn(each->view, data, len, each->arg);
}

/* A line feed ends a line, with the carriage return before it. Behind the last one there is none. */
static bool
each_line(const struct each *each, const uint8_t *data, uint32_t len)
{
	struct cursor cursor = cursor_of(data, len);

	while (cursor_left(&cursor) > 0) {
		const uint8_t *line = cursor.pos, *end = memchr(line, '\n', cursor_left(&cursor));
		uint32_t line_len = (uint32_t)(end == NULL ? cursor_left(&cursor) : (size_t)(end - line));

		cursor_skip(&cursor, line_len + (end != NULL));
		if (end != NULL && line_len > 0 && line[line_len - 1] == '\r')
			line_len--;
		if (each_bytes(each, line, line_len))
			return true;
	}
	return false;
}

bool
rule_field_bytes(const struct field *field, const uint8_t *base, const void *record, const uint8_t **data, uint32_t *len)
{
	const char *text;

	if (field->type != FIELD_TEXT)
		return field_get_bytes(field, base, record, data, len);
	memcpy(&text, (const uint8_t *)record + field->offset, sizeof(text));
	if (text == NULL || !record_is_present(record, field->bit))
		return false;
	*data = (const uint8_t *)text;
	*len = (uint32_t)strlen(text);
	return true;
}

/* Those elements that are text or bytes. */
static bool
each_scalar(const struct each *each, const struct field *field, const uint8_t *base, const void *record)
{
	struct record_ref ref;

	memcpy(&ref, (const uint8_t *)record + field->offset, sizeof(ref));
	for (uint32_t i = 0; record_is_present(record, field->bit) && i < ref.count; i++) {
		struct record_scalar scalar;

		memcpy(&scalar, base + ref.off + i * sizeof(scalar), sizeof(scalar));
		if ((scalar.kind == SCALAR_STRING || scalar.kind == SCALAR_HEX) &&
			each_bytes(each, base + scalar.bytes.off, scalar.bytes.count))
			return true;
	}
	return false;
}

/* An address is what events write. */
static bool
each_ip(const struct each *each, const struct field *field, const void *record)
{
	char text[IP_TEXT_LEN_MAX];
	struct buf out = { .data = text, .cap = sizeof(text) };
	struct record_ip ip;

	memcpy(&ip, (const uint8_t *)record + field->offset, sizeof(ip));
	if (!record_is_present(record, field->bit) || ip.version == 0)
		return false;
	buf_ip(&out, ip.version, ip.bytes);
	return each_bytes(each, (const uint8_t *)text, (uint32_t)out.len);
}

static bool
each_field(const struct field *field, const uint8_t *base, const void *record, void *arg)
{
	const struct each *each = arg;
	const uint8_t *data;
	uint32_t len;

	if (field->type == FIELD_SCALARS)
		return each_scalar(each, field, base, record);
	if (field->type == FIELD_IP)
		return each_ip(each, field, record);
	if (!rule_field_bytes(field, base, record, &data, &len))
		return false;
	return (field->flags & FIELD_LINES) != 0 ? each_line(each, data, len) : each_bytes(each, data, len);
}

static bool
field_each(const struct each *each)
{
	const struct rule_message *message = each->view->message;

	if (message == NULL || message->record == NULL)
		return false;
	for (unsigned int i = 0; i < each->buffer->path_count; i++)
		if (record_path_any(&each->buffer->paths[i], message->record, each_field, (void *)each))
			return true;
	return false;
}

/* A header of the packet: offset and length by kind; false: the packet has none. */
static bool
header_bytes(const struct packet *packet, uint8_t kind, uint32_t *off, uint32_t *len)
{
	bool l4 = (packet->flags & PACKET_L4) != 0;
	bool ip = (packet->flags & PACKET_IP) != 0;
	uint8_t proto = packet->ip_proto;
	const struct {
		bool present;
		uint32_t off, len;
	} rows[] = {
		[BUFFER_ETHER_HDR] = { (packet->flags & PACKET_ETHERNET) != 0, packet->l2_off, 14 },
		[BUFFER_IPV4_HDR] = { ip && packet->ip_version == 4, packet->l3_off, packet->l3_len },
		[BUFFER_IPV6_HDR] = { ip && packet->ip_version == 6, packet->l3_off, packet->l3_len },
		[BUFFER_TCP_HDR] = { l4 && proto == IP_PROTO_TCP, packet->l4_off, packet->l4_len },
		[BUFFER_UDP_HDR] = { l4 && proto == IP_PROTO_UDP, packet->l4_off, packet->l4_len },
		[BUFFER_ICMPV4_HDR] = { l4 && proto == IP_PROTO_ICMP, packet->l4_off, packet->l4_len + packet->payload_len },
		[BUFFER_ICMPV6_HDR] = { l4 && proto == IP_PROTO_ICMPV6, packet->l4_off, packet->l4_len + packet->payload_len },
		[BUFFER_IGMP_HDR] = { l4 && proto == IP_PROTO_IGMP, packet->l4_off, packet->l4_len },
		[BUFFER_SCTP_HDR] = { l4 && proto == IP_PROTO_SCTP, packet->l4_off, packet->len },
	};

	if (kind >= sizeof(rows) / sizeof(rows[0]) || !rows[kind].present || rows[kind].off > packet->len)
		return false;
	*off = rows[kind].off;
	*len = rows[kind].len <= packet->len - *off ? rows[kind].len : packet->len - *off;
	return true;
}

static bool
address_each(const struct each *each, const struct ip_addr *addr)
{
	uint8_t version = each->view->ip_version;

	return version != 0 && each_bytes(each, addr->bytes, version == 4 ? 4 : 16);
}

/* RFC 9260 3.3.1: the user's bytes of each DATA chunk. */
static bool
sctp_data_each(const struct each *each)
{
	struct rule_sctp_chunks chunks = rule_sctp_chunks_of(each->view->packet);
	struct rule_sctp_chunk chunk;

	while (rule_sctp_chunk_next(&chunks, &chunk)) {
		cursor_skip(&chunk.value, SCTP_DATA_HEADER_LEN);
		if (chunk.type == SCTP_DATA && !chunk.value.short_read
			&& each_bytes(each, chunk.value.pos, (uint32_t)cursor_left(&chunk.value)))
			return true;
	}
	return false;
}

/* A file without a name has no such buffer. */
static bool
file_name_each(const struct each *each)
{
	const struct rule_message *message = each->view->message;
	const struct file *file = message == NULL ? NULL : message->file;

	return file != NULL && file->name_len > 0 && each_bytes(each, file->name, file->name_len);
}

bool
rule_buffer_each(struct rule_view *view, const struct rule_buffer *buffer, rule_bytes_fn fn, void *arg)
{
	const struct each each = { view, buffer, fn, arg };
	uint32_t off, len;

	switch (buffer->kind) {
	case BUFFER_PAYLOAD:
		return view->payload != NULL && each_bytes(&each, view->payload, view->payload_len);
	case BUFFER_FIELD:
		return field_each(&each);
	case BUFFER_IP_SRC:
		return address_each(&each, &view->src);
	case BUFFER_IP_DST:
		return address_each(&each, &view->dst);
	case BUFFER_FILE_NAME:
		return file_name_each(&each);
	case BUFFER_SCTP_DATA:
		return sctp_data_each(&each);
	case BUFFER_BASE64:
		return view->decoded && each_bytes(&each, view->matcher->scratch_bytes->decoded, view->decoded_len);
	default:
		break;
	}
	if (view->packet == NULL || !header_bytes(view->packet, buffer->kind, &off, &len))
		return false;
	struct cursor cursor = cursor_of(view->packet->data, view->packet->len);

	cursor_skip(&cursor, off);
	return each_bytes(&each, cursor_take(&cursor, len), len);
}

bool
rule_buffer_required(const struct rule_buffer *buffer)
{
	return buffer->node_count > 0 && buffer->absent == ABSENT_NO;
}

bool
rule_buffer_same(const struct rule_buffer *a, const struct rule_buffer *b)
{
	return a->kind == b->kind && a->transforms == b->transforms && a->path_count == b->path_count
		&& (a->path_count == 0 || memcmp(a->paths, b->paths, a->path_count * sizeof(a->paths[0])) == 0);
}
