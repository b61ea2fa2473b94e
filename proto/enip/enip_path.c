/* Paths: the segments of a padded EPATH (CIP appendix C-1), and what they lead to. */
#include "proto/enip/enip.h"


/* The three high bits of a segment. */
enum segment_kind { SEGMENT_PORT, SEGMENT_LOGICAL, SEGMENT_NETWORK, SEGMENT_SYMBOLIC, SEGMENT_DATA };

enum {
	LOGICAL_CLASS = 0x20,
	LOGICAL_INSTANCE = 0x24,
	LOGICAL_MEMBER = 0x28,
	LOGICAL_POINT = 0x2c,
	LOGICAL_ATTRIBUTE = 0x30,
	LOGICAL_SPECIAL = 0x34, /* the electronic key */
	LOGICAL_SERVICE = 0x38,
	LOGICAL_EXTENDED = 0x3c,
	NETWORK_SAFETY = 0x50,
	NETWORK_LONG = 0x10, /* data counted in words follow, else one octet */
	DATA_SYMBOL = 0x91,
	PORT_LONG_LINK = 0x10,
	PORT_EXTENDED = 0x0f,
	KEY_FORMAT_SERIAL = 5,
	KEY_LEN = 8,
	KEY_SERIAL_LEN = 12, /* and the serial number behind it */
};

struct walk {
	struct enip_pdu *pdu;
	struct record_list *list;
	struct enip_target *target;
};

static struct enip_segment *
append(struct walk *walk, uint8_t type)
{
	struct enip_segment *segment = record_append(walk->pdu->ctx->record, walk->list, enip_segment_tables, 0);

	if (segment != NULL)
		segment->type = type;
	return segment;
}

static void
append_value(struct walk *walk, uint8_t type, uint32_t value)
{
	struct enip_segment *segment = append(walk, type);

	if (segment == NULL)
		return;
	segment->value = value;
	record_present(&segment->head, ENIP_SEGMENT_VALUE);
}

static void
append_bytes(struct walk *walk, uint8_t type, enum enip_segment_bit bit, const uint8_t *data, size_t len)
{
	struct enip_segment *segment = append(walk, type);

	if (segment == NULL || data == NULL)
		return;
	record_put_bytes(walk->pdu->ctx->record, &segment->text, data, (uint32_t)len);
	record_present(&segment->head, bit);
}

static void
tag_put(struct enip_target *target, const void *text, size_t len)
{
	if (len > sizeof(target->tag) - target->tag_len)
		len = sizeof(target->tag) - target->tag_len;
	memcpy(target->tag + target->tag_len, text, len);
	target->tag_len += (unsigned int)len;
}

/* "[3]"; behind another index ",3" would be as right, but three brackets are what readers of logs search for. */
static void
tag_put_index(struct enip_target *target, uint32_t index)
{
	char text[12], *at = text + sizeof(text);

	*--at = ']';
	do {
		*--at = (char)('0' + index % 10);
		index /= 10;
	} while (index > 0 && at > text + 1);
	*--at = '[';
	tag_put(target, at, (size_t)(text + sizeof(text) - at));
}

static void
read_port(struct walk *walk, uint8_t head, struct cursor *in)
{
	uint8_t link_len = head & PORT_LONG_LINK ? cursor_u8(in) : 1;
	uint16_t port = head & 0x0f;
	struct enip_segment *segment;
	const uint8_t *link;

	if (port == PORT_EXTENDED)
		port = cursor_le16(in);
	link = cursor_take(in, link_len);
	if (link_len % 2 == 1 && head & PORT_LONG_LINK)
		cursor_skip(in, 1);
	segment = in->short_read ? NULL : append(walk, 0);
	if (segment == NULL)
		return;
	segment->value = port;
	record_put_bytes(walk->pdu->ctx->record, &segment->text, link, link_len);
	record_present(&segment->head, ENIP_SEGMENT_VALUE);
	record_present(&segment->head, ENIP_SEGMENT_LINK);
}

static uint32_t
read_logical_value(uint8_t format, struct cursor *in)
{
	if (format == 0)
		return cursor_u8(in);
	cursor_skip(in, 1); /* the pad of a padded path */
	return format == 1 ? cursor_le16(in) : cursor_le32(in);
}

/* What is counted stands where others have their pad; a value of one octet has its own behind it. */
static void
read_extended_logical(struct walk *walk, uint8_t format, struct cursor *in)
{
	uint8_t extended_type = cursor_u8(in);
	uint32_t value = format == 0 ? cursor_u8(in) : format == 1 ? cursor_le16(in) : cursor_le32(in);
	struct enip_segment *segment;

	if (format == 0)
		cursor_skip(in, 1);
	segment = in->short_read ? NULL : append(walk, LOGICAL_EXTENDED);
	if (segment == NULL)
		return;
	segment->extended_type = extended_type;
	segment->value = value;
	record_present(&segment->head, ENIP_SEGMENT_EXTENDED);
	record_present(&segment->head, ENIP_SEGMENT_VALUE);
}

static void
read_logical(struct walk *walk, uint8_t head, struct cursor *in)
{
	struct enip_target *target = walk->target;
	uint8_t type = head & 0xfc;
	uint32_t value;

	if (type == LOGICAL_SPECIAL) {
		size_t key_len = cursor_u8(in) == KEY_FORMAT_SERIAL ? KEY_SERIAL_LEN : KEY_LEN;

		append_bytes(walk, type, ENIP_SEGMENT_DATA, cursor_take(in, key_len), key_len);
		return;
	}
	if (type == LOGICAL_EXTENDED) {
		read_extended_logical(walk, head & 3, in);
		return;
	}
	value = read_logical_value(head & 3, in);
	if (in->short_read)
		return;
	append_value(walk, type, value);
	if (type == LOGICAL_CLASS) {
		target->has_class = true;
		target->class_id = value;
	} else if (type == LOGICAL_INSTANCE) {
		target->has_instance = true;
		target->instance_id = value;
	} else if (type == LOGICAL_ATTRIBUTE) {
		target->has_attribute = true;
		target->attribute_id = value;
	} else if (type == LOGICAL_MEMBER && target->tag_len > 0) {
		tag_put_index(target, value);
	}
}

static void
read_network(struct walk *walk, uint8_t head, struct cursor *in)
{
	size_t len = head & NETWORK_LONG ? (size_t)cursor_u8(in) * 2 : 1;
	const uint8_t *data = cursor_take(in, len);

	if (data == NULL)
		return;
	append_bytes(walk, head, ENIP_SEGMENT_DATA, data, len);
	if (head == NETWORK_SAFETY)
		walk->target->safety = true;
}

static void
put_symbol(struct walk *walk, uint8_t head, const uint8_t *name, size_t len)
{
	if (name == NULL)
		return;
	append_bytes(walk, head, ENIP_SEGMENT_SYMBOL, name, len);
	if (walk->target->tag_len > 0)
		tag_put(walk->target, ".", 1);
	tag_put(walk->target, name, len);
}

/* Without a length: an octet says which characters of two or three octets follow, or a number in place of a name. */
static void
read_extended_string(struct walk *walk, struct cursor *in)
{
	enum { DOUBLE = 1, TRIPLE = 2, NUMERIC = 6, USINT = 6, UINT = 7, UDINT = 8 };
	uint8_t form = cursor_u8(in);
	uint8_t count = form & 0x1f;
	size_t len = 0;

	switch (form >> 5) {
	case DOUBLE:
	case TRIPLE:
		len = (size_t)count * (form >> 5 == DOUBLE ? 2 : 3);
		append_bytes(walk, 0x60, ENIP_SEGMENT_DATA, cursor_take(in, len), len);
		break;
	case NUMERIC:
		len = count == USINT ? 1 : count == UINT ? 2 : count == UDINT ? 4 : 0;
		if (len > 0 && cursor_left(in) >= len)
			append_value(walk, 0x60, len == 1 ? cursor_u8(in) : len == 2 ? cursor_le16(in) : cursor_le32(in));
		else
			in->short_read = true;
		break;
	default:
		in->short_read = true; /* reserved: nothing says where it ends */
	}
	if (len % 2 == 1)
		cursor_skip(in, 1);
}

static void
read_symbolic(struct walk *walk, uint8_t head, struct cursor *in)
{
	size_t len = head & 0x1f;
	const uint8_t *name;

	if (len == 0) {
		read_extended_string(walk, in);
		return;
	}
	name = cursor_take(in, len);
	if (len % 2 == 0)
		cursor_skip(in, 1); /* the segment's own octet makes it odd */
	put_symbol(walk, 0x60, name, len);
}

static void
read_data(struct walk *walk, uint8_t head, struct cursor *in)
{
	size_t len = cursor_u8(in);
	const uint8_t *data;

	if (head != DATA_SYMBOL) {
		data = cursor_take(in, len * 2);
		append_bytes(walk, head, ENIP_SEGMENT_DATA, data, len * 2);
		return;
	}
	data = cursor_take(in, len);
	/* The last segment of some clients lacks its pad. */
	if (len % 2 == 1 && cursor_left(in) > 0)
		cursor_skip(in, 1);
	put_symbol(walk, head, data, len);
}

static void
read_segment(struct walk *walk, uint8_t head, struct cursor *in)
{
	static void (*const readers[])(struct walk *, uint8_t, struct cursor *) = { [SEGMENT_PORT] = read_port,
		[SEGMENT_LOGICAL] = read_logical, [SEGMENT_NETWORK] = read_network, [SEGMENT_SYMBOLIC] = read_symbolic,
		[SEGMENT_DATA] = read_data };

	readers[head >> 5](walk, head, in);
}

/* Formats 3 are reserved, and others than the first of a key (CIP C-1.4.2). */
static bool
segment_known(uint8_t head)
{
	if (head >> 5 > SEGMENT_DATA)
		return false;
	if (head >> 5 != SEGMENT_LOGICAL)
		return true;
	return (head & 3) != 3 && ((head & 0xfc) != LOGICAL_SPECIAL || (head & 3) == 0);
}

bool
enip_path_read(struct enip_pdu *pdu, struct cursor in, struct record_list *list, struct enip_target *target)
{
	struct walk walk = { .pdu = pdu, .list = list, .target = target };

	target->has_class = target->has_instance = target->has_attribute = target->safety = false;
	target->class_id = target->instance_id = target->attribute_id = 0;
	target->tag_len = 0;
	for (unsigned int i = 0; i < ENIP_SEGMENTS_MAX && cursor_left(&in) > 0; i++) {
		uint8_t head = cursor_u8(&in);

		if (!segment_known(head))
			return false;
		read_segment(&walk, head, &in);
	}
	return !in.short_read && cursor_left(&in) == 0;
}

void
enip_path_read_request(struct enip_pdu *pdu, struct enip_node *node, struct cursor path)
{
	struct enip_cip *cip = node->cip;
	struct enip_target target;

	if (!enip_path_read(pdu, path, &cip->path, &target))
		proto_event(pdu->ctx, ENIP_EVENT_INVALID_PATH);
	if (cip->path.count > 0)
		enip_node_has(node, ENIP_HAS_PATH);
	cip->class_id = target.class_id;
	cip->instance_id = target.instance_id;
	cip->attribute_id = target.attribute_id;
	if (target.has_class)
		enip_node_has(node, ENIP_HAS_CLASS);
	if (target.has_instance)
		enip_node_has(node, ENIP_HAS_INSTANCE);
	if (target.has_attribute)
		enip_node_has(node, ENIP_HAS_ATTRIBUTE);
	if (target.tag_len == 0)
		return;
	record_put_bytes(pdu->ctx->record, &cip->tag, target.tag, target.tag_len);
	enip_node_has(node, ENIP_HAS_TAG);
}
