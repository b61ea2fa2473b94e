/* DNP3: the tables, a sample of every layout read back and cut at every length, random objects. */
#include "proto/dnp3/test_dnp3.h"

void
test_tables(void **unused)
{
	const char *wrong = record_table_check(&dnp3_record_table);

	if (wrong != NULL)
		print_error("%s\n", wrong);
	assert_null(wrong);
	for (uint16_t i = 1; i < dnp3_layout_count; i++) {
		const struct dnp3_layout *a = &dnp3_layouts[i - 1];
		const struct dnp3_layout *b = &dnp3_layouts[i];

		assert_true((a->group << 8 | a->variation) < (b->group << 8 | b->variation) || a->group == 0);
		assert_ptr_equal(dnp3_layout_find(b->group, b->variation), b);
	}
	/* Elements of a row lie inside its shape's struct. */
	for (uint16_t i = 0; i < dnp3_layout_count; i++)
		for (unsigned int k = 0; k < dnp3_layouts[i].element_count; k++)
			assert_true(dnp3_layouts[i].elements[k].offset < dnp3_point_shapes[dnp3_layouts[i].shape]->size);
	assert_ptr_equal(dnp3_layout_find(0, 252), &dnp3_layouts[0]);
	assert_non_null(dnp3_layout_find(110, 77));
	assert_null(dnp3_layout_find(30, 9));
	assert_null(dnp3_layout_find(255, 255));
}

/* Octets of an element with values that depend on where it is. */
static uint32_t
sample_element(struct bytes *out, const struct dnp3_element *element, const struct dnp3_layout *layout,
	unsigned int nth)
{
	static const uint8_t sizes[] = { 1, 2, 4, 2, 2, 4, 4, 8, 1, 6, 1, 1, 1, 1, 1, 2, 4, 8, 4, 4 };
	static const uint8_t attribute[] = { 2, 2, 0x34, 0x12 };
	static const uint8_t descriptor[] = { 5, 4, 1, 9, 'h', 'i' };
	uint32_t from = out->len;
	uint32_t len = element->reg != 0 && element->kind == DNP3_KIND_BYTES ? element->reg + 2u : 5;

	switch (element->kind) {
	case DNP3_KIND_ATTRIBUTE:
		put(out, attribute, sizeof(attribute));
		break;
	case DNP3_KIND_DESCRIPTORS:
	case DNP3_KIND_VALUES:
		put(out, descriptor, sizeof(descriptor));
		break;
	case DNP3_KIND_F32:
		put(out, &(float){ 1.5f + (float)nth }, 4);
		break;
	case DNP3_KIND_F64:
		put(out, &(double){ -2.25 - nth }, 8);
		break;
	case DNP3_KIND_U16:
		put_le(out, element->reg != 0 ? element->reg + 2u : 0x8001u + nth, 2);
		break;
	case DNP3_KIND_BCD16:
	case DNP3_KIND_BCD32:
	case DNP3_KIND_BCD64:
		put_le(out, 0x9876543210123456u, sizes[element->kind]);
		break;
	default:
		if (element->kind < sizeof(sizes))
			len = sizes[element->kind];
		else if (element->kind == DNP3_KIND_OCTETS)
			len = layout->variation == 0 ? 3 : layout->variation;
		for (uint32_t i = 0; i < len; i++)
			put(out, &(uint8_t){ (uint8_t)(0xb1 + 7 * nth + 3 * i) }, 1);
	}
	return out->len - from;
}

static uint64_t
little(const uint8_t *data, uint32_t len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | data[len];
	return value;
}

/* What the struct must hold for the octets, each kind worked out in a way of its own. */
static void
check_element(const struct dnp3_element *element, const uint8_t *wire, uint32_t len, const uint8_t *got)
{
	const struct record_ref *ref = (const void *)got;
	uint64_t value = little(wire, len < 8 ? len : 8);
	double decimal = 0;

	switch (element->kind) {
	case DNP3_KIND_U8_U64:
	case DNP3_KIND_TIME48:
		assert_true(*(const uint64_t *)got == value);
		break;
	case DNP3_KIND_U16_U32:
		assert_int_equal(*(const uint32_t *)got, value);
		break;
	case DNP3_KIND_I16_I32:
		assert_int_equal(*(const int32_t *)got, (int16_t)value);
		break;
	case DNP3_KIND_FLAGS:
	case DNP3_KIND_EVENT:
		for (unsigned int i = 0; i < 8; i++)
			assert_int_equal(got[i], wire[0] >> i & 1);
		break;
	case DNP3_KIND_DOUBLE:
		for (unsigned int i = 0; i < 6; i++)
			assert_int_equal(got[i], wire[0] >> i & 1);
		assert_int_equal(got[6], wire[0] >> 6);
		break;
	case DNP3_KIND_SPLIT7:
		assert_int_equal(got[0], wire[0] & 0x7f);
		assert_int_equal(got[1], wire[0] >> 7);
		break;
	case DNP3_KIND_CONTROL:
		assert_int_equal(got[0] | got[1] << 4 | got[2] << 5 | got[3] << 6, wire[0]);
		break;
	case DNP3_KIND_BCD16:
	case DNP3_KIND_BCD32:
	case DNP3_KIND_BCD64:
		for (uint32_t i = len; i-- > 0;)
			decimal = decimal * 100 + (wire[i] >> 4) * 10 + (wire[i] & 15);
		assert_true((double)*(const uint64_t *)got == decimal);
		break;
	case DNP3_KIND_BYTES4:
	case DNP3_KIND_BYTES:
	case DNP3_KIND_REST:
	case DNP3_KIND_OCTETS:
		assert_int_equal(ref->count, len);
		assert_memory_equal(at(ref->off), wire, len);
		break;
	case DNP3_KIND_ATTRIBUTE:
		assert_true(((const struct dnp3_point_attribute *)(got - element->offset))->number.u64 == 0x1234);
		break;
	case DNP3_KIND_DESCRIPTORS:
	case DNP3_KIND_VALUES:
		assert_int_equal(((const struct record_list *)got)->count, 1);
		assert_int_equal(((const struct dnp3_element_record *)at(((const struct record_list *)got)->first))->length, 5);
		break;
	default: /* as on the wire */
		assert_memory_equal(got, wire, len);
	}
}

/* An unsolicited response with one object of the layout, sized, indexed or counted. */
static void
sample_message(struct bytes *app, const struct dnp3_layout *layout, struct bytes *body, uint32_t lens[], bool sized)
{
	uint8_t variation = layout->any_variation && layout->group != 0 ? 3 : layout->variation;
	struct dnp3_layout shown = *layout;

	shown.variation = variation;
	body->len = 0;
	for (unsigned int i = 0; i < layout->element_count; i++)
		lens[i] = sample_element(body, &layout->elements[i], &shown, i);
	app->len = 0;
	put(app, (uint8_t[]){ 0xf0, 130, 0, 0, layout->group, layout->group == 0 ? 213 : variation }, 6);
	if (sized) {
		put(app, (uint8_t[]){ 0x5b, 1 }, 2);
		put_le(app, body->len, 2);
	} else {
		put(app, (uint8_t[]){ 0x28, 1, 0, 0x34, 0x12 }, 5);
	}
	put(app, body->data, body->len);
}

static void
check_layout(const struct dnp3_layout *layout, bool sized)
{
	static struct bytes app, body;
	uint32_t lens[DNP3_ELEMENT_MAX];
	const struct dnp3_point *found;
	uint32_t from = 0;
	uint64_t present = sized;

	sample_message(&app, layout, &body, lens, sized);
	harness_begin();
	feed_app(app.data, app.len, false);
	assert_int_equal(h.emitted, 1);
	assert_int_equal(h.events, 0);
	assert_true(last()->complete);
	found = point(object(0), 0);
	assert_int_equal(found->head.shape, layout->shape);
	assert_int_equal(found->index, sized ? 0 : 0x1234);
	for (unsigned int i = 0; i < layout->element_count; i++) {
		check_element(&layout->elements[i], body.data + from, lens[i],
			(const uint8_t *)found + layout->elements[i].offset);
		from += lens[i];
		present |= layout->elements[i].present;
	}
	assert_true((found->head.present & present) == present);
	assert_true(json_has("\"points\":[{\"prefix\":"));
	/* Cut anywhere, the message is not complete, and no byte beyond its end is looked at. */
	for (uint32_t len = 1; len < app.len; len++) {
		harness_begin();
		feed_app(app.data, len, false);
		assert_int_equal(h.deliveries, 1);
		assert_true(len == 4 || h.events != 0);
		assert_true(len == 4 || !last()->complete);
		if (h.last_len > 0)
			json_has("{");
	}
}

/* Layouts that say their own length can be read without a size before them. */
static bool
self_delimiting(const struct dnp3_layout *layout)
{
	for (unsigned int i = 0; i < layout->element_count; i++) {
		uint8_t kind = layout->elements[i].kind;

		if (kind == DNP3_KIND_REST || kind == DNP3_KIND_DESCRIPTORS || kind == DNP3_KIND_VALUES)
			return false;
	}
	return true;
}

void
test_every_layout(void **unused)
{
	for (uint16_t i = 0; i < dnp3_layout_count; i++) {
		assert_true(dnp3_layouts[i].element_count <= DNP3_ELEMENT_MAX);
		check_layout(&dnp3_layouts[i], true);
		if (self_delimiting(&dnp3_layouts[i]))
			check_layout(&dnp3_layouts[i], false);
	}
}

/* Random bytes behind a good link header: nothing but events. */
void
test_random(void **unused)
{
	uint64_t seed = 88172645463325252u;
	uint8_t data[250];

	harness_begin();
	for (unsigned int round = 0; round < 20000; round++) {
		struct bytes out;
		uint32_t len;

		out.len = 0;
		for (unsigned int i = 0; i < sizeof(data); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			data[i] = (uint8_t)seed;
		}
		len = 1 + (uint32_t)(seed >> 32) % 249;
		if (round % 4 != 0) { /* a whole message, of a layout's group, with a usual qualifier */
			const struct dnp3_layout *layout = &dnp3_layouts[seed % dnp3_layout_count];

			data[0] |= 0xc0;
			data[2] = round % 4 == 1 ? 130 : 2;
			data[round % 4 == 1 ? 5 : 3] = layout->group;
			data[round % 4 == 1 ? 6 : 4] = layout->variation;
			data[round % 4 == 1 ? 7 : 5] = (const uint8_t[]){ 0, 0x28, 0x5b, 7, 0x17, 1, 8, 6 }[seed >> 16 & 7];
		}
		put_frame(&out, (seed & 1) != 0 ? 0xc4 : 0x44, data, len);
		feed(out.data, out.len, (seed & 1) != 0);
	}
	assert_true(counter_get(&h.counters[DNP3_LINK_FRAMES]) == 20000);
	dnp3_proto.end(&h.ctx);
	assert_int_equal(slab_used(slab), 0);
}
