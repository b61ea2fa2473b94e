/* Hot: looking and adding without a lock; cold: a set's life, and its lines. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/cursor.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/rule/rule_dataset.h"

enum {
	PROBES_MAX = 64,
	HEADER_LEN = 4,      /* of a value in struct rule_dataset_values */
	SLOTS_MIN = 64,
	IP_LEN = 16,
	PREFIX_LEN = DATASET_NETWORK_LEN,
	IP_BITS = 128,
};

/* A slot: where the value's bytes are, how many, its weight, and whether it was removed. 0 is free. */
#define SLOT_OFF(slot)    ((uint32_t)((slot) & 0x7fffffff))
#define SLOT_DEAD         (UINT64_C(1) << 31)
#define SLOT_LEN(slot)    ((uint32_t)((slot) >> 32 & 0xffff))
#define SLOT_WEIGHT(slot) ((uint16_t)((slot) >> 48))

struct rule_dataset {
	atomic_uint refs;
	uint8_t type;                 /* enum rule_dataset_type */
	bool contexts;                /* behind a value's bytes stands its context, as long as the slot's weight says */
	_Atomic uint8_t prefix_count;
	uint8_t prefixes[IP_BITS + 1]; /* [prefix_count] lengths of the networks in the set */
	char name[DATASET_NAME_LEN_MAX + 1];
	char *save_path;
	uint32_t mask;
	_Atomic uint64_t *slots;      /* [mask + 1] */
	uint8_t *bytes;
	size_t bytes_len;
	_Atomic size_t used;          /* of bytes; grows only, also for values that lost a race */
};

/** A value to be put into a set. */
struct value {
	const uint8_t *data;
	size_t len;
	const uint8_t *context;
	uint16_t weight, context_len;
};

static const size_t type_len[DATASET_TYPE_COUNT] = { [DATASET_MD5] = 16, [DATASET_SHA256] = 32, [DATASET_IP] = IP_LEN };

/* A value as it is kept: addresses have one length. @return NULL: it cannot be one of the set */
static const uint8_t *
value_of(const struct rule_dataset *set, const uint8_t *data, size_t *len, uint8_t room[IP_LEN])
{
	if (set->type == DATASET_IP && *len == 4) {
		memset(room, 0, IP_LEN - 4);
		room[10] = room[11] = 0xff; /* RFC 4291 2.5.5.2 */
		memcpy(room + 12, data, 4);
		*len = IP_LEN;
		return room;
	}
	if (*len == 0 || *len > DATASET_VALUE_LEN_MAX || (type_len[set->type] != 0 && type_len[set->type] != *len))
		return NULL;
	return data;
}

static bool
slot_is(const struct rule_dataset *set, uint64_t slot, const uint8_t *data, size_t len)
{
	return SLOT_LEN(slot) == len && memcmp(set->bytes + SLOT_OFF(slot), data, len) == 0;
}

void
rule_dataset_network(uint8_t out[PREFIX_LEN], const uint8_t address[IP_LEN], uint8_t bits)
{
	memmove(out, address, IP_LEN);
	for (unsigned int i = 0; i < IP_LEN; i++) {
		unsigned int kept = bits > i * 8 ? bits - i * 8 : 0;

		out[i] &= kept >= 8 ? 0xff : (uint8_t)(0xff00 >> kept);
	}
	out[IP_LEN] = bits;
}

/* The slot of a value, or the free one where it would stand; NULL: neither within the probes. */
static _Atomic uint64_t *
slot_find(const struct rule_dataset *set, const uint8_t *data, size_t len, uint64_t *found)
{
	uint32_t at = crc32c((uint32_t)len, data, len);

	for (unsigned int i = 0; i < PROBES_MAX && i <= set->mask; i++) {
		_Atomic uint64_t *slot = &set->slots[(at + i) & set->mask];

		*found = atomic_load_explicit(slot, memory_order_acquire);
		if (*found == 0 || slot_is(set, *found, data, len))
			return slot;
	}
	return NULL;
}

static bool
find_exact(const struct rule_dataset *set, const uint8_t *data, size_t len, struct rule_dataset_found *out)
{
	uint64_t found = 0;

	if (slot_find(set, data, len, &found) == NULL || found == 0 || (found & SLOT_DEAD) != 0)
		return false;
	if (out == NULL)
		return true;
	*out = (struct rule_dataset_found){ .weight = SLOT_WEIGHT(found) };
	if (set->contexts) {
		out->context_len = SLOT_WEIGHT(found);
		out->context = set->bytes + SLOT_OFF(found) + SLOT_LEN(found);
	}
	return true;
}

/* An address in one of the set's networks. */
static bool
find_network(const struct rule_dataset *set, const uint8_t *address, struct rule_dataset_found *out)
{
	uint8_t count = atomic_load_explicit(&set->prefix_count, memory_order_acquire);
	uint8_t network[PREFIX_LEN];

	for (unsigned int i = 0; i < count; i++) {
		rule_dataset_network(network, address, set->prefixes[i]);
		if (find_exact(set, network, PREFIX_LEN, out))
			return true;
	}
	return false;
}

bool
rule_dataset_has(const struct rule_dataset *set, const uint8_t *data, size_t len, struct rule_dataset_found *found)
{
	uint8_t room[IP_LEN];

	data = value_of(set, data, &len, room);
	return data != NULL && (find_exact(set, data, len, found) || find_network(set, data, found));
}

bool
rule_dataset_has_parent(const struct rule_dataset *set, const uint8_t *data, size_t len, struct rule_dataset_found *found)
{
	struct cursor left = cursor_of(data, len);

	if (rule_dataset_has(set, data, len, found))
		return true;
	for (unsigned int i = 0; i < DATASET_LABELS_MAX; i++) {
		const uint8_t *dot = memchr(left.pos, '.', cursor_left(&left));

		if (dot == NULL)
			return false;
		cursor_skip(&left, (size_t)(dot - left.pos));
		if (rule_dataset_has(set, left.pos, cursor_left(&left), found))
			return true;
		cursor_skip(&left, 1);
		if (rule_dataset_has(set, left.pos, cursor_left(&left), found))
			return true;
	}
	return false;
}

/* Copies a value and what stands behind it into the set's bytes. @return the slot that names it, 0: no room */
static uint64_t
bytes_take(struct rule_dataset *set, const struct value *value)
{
	size_t off = atomic_load_explicit(&set->used, memory_order_relaxed);
	size_t len = value->len + value->context_len;

	do {
		if (len > set->bytes_len - off)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(&set->used, &off, off + len, memory_order_relaxed, memory_order_relaxed));
	memcpy(set->bytes + off, value->data, value->len);
	if (value->context_len > 0)
		memcpy(set->bytes + off + value->len, value->context, value->context_len);
	return (uint64_t)(set->contexts ? value->context_len : value->weight) << 48 | (uint64_t)value->len << 32 | off;
}

static int
set_put(struct rule_dataset *set, const struct value *value)
{
	uint64_t found, made = 0;

	for (;;) {
		_Atomic uint64_t *slot = slot_find(set, value->data, value->len, &found);

		if (slot == NULL)
			return -1;
		if (found != 0 && (found & SLOT_DEAD) == 0)
			return 0;
		if (found == 0 && made == 0)
			made = bytes_take(set, value);
		if (found == 0 && made == 0)
			return -1;
		/* another worker may take the slot: then look again */
		if (atomic_compare_exchange_strong_explicit(slot, &found, found != 0 ? found & ~SLOT_DEAD : made, memory_order_acq_rel,
			    memory_order_acquire))
			return 1;
	}
}

int
rule_dataset_add(struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t weight)
{
	uint8_t room[IP_LEN];
	struct value value = { .data = value_of(set, data, &len, room), .weight = weight };

	value.len = len;
	return value.data == NULL ? -1 : set_put(set, &value);
}

bool
rule_dataset_remove(struct rule_dataset *set, const uint8_t *data, size_t len)
{
	uint8_t room[IP_LEN];
	uint64_t found = 0;

	data = value_of(set, data, &len, room);
	if (data == NULL)
		return false;
	_Atomic uint64_t *slot = slot_find(set, data, len, &found);

	return slot != NULL && found != 0 && (found & SLOT_DEAD) == 0
		&& atomic_compare_exchange_strong_explicit(slot, &found, found | SLOT_DEAD, memory_order_acq_rel, memory_order_acquire);
}

/* ---- a set's life ---- */

static int
set_room(struct rule_dataset *set, const struct rule_dataset_values *values, size_t memcap, bool growing)
{
	uint64_t entries = (uint64_t)values->count + (growing ? DATASET_ROOM : 0), slots = SLOTS_MIN;
	size_t wanted = values->len + (growing ? (size_t)DATASET_ROOM * 64 : 0) + 1;

	memcap = memcap == 0 || memcap > DATASET_BYTES_MAX ? DATASET_BYTES_MAX : memcap;
	if (values->len > memcap)
		return -E2BIG;
	while (slots < entries * 2)
		slots *= 2;
	set->mask = (uint32_t)(slots - 1);
	set->bytes_len = wanted < memcap ? wanted : memcap + 1;
	set->contexts = values->contexts;
	set->slots = calloc(slots, sizeof(set->slots[0]));
	set->bytes = malloc(set->bytes_len);
	atomic_init(&set->used, 1); /* offset 0 with length 0 would be a free slot */
	return set->slots == NULL || set->bytes == NULL ? -ENOMEM : 0;
}

/* Lengths of networks are few: each is asked for an address. */
static void
prefix_add(struct rule_dataset *set, uint8_t bits)
{
	uint8_t count = atomic_load_explicit(&set->prefix_count, memory_order_relaxed);

	for (unsigned int i = 0; i < count; i++)
		if (set->prefixes[i] == bits)
			return;
	set->prefixes[count] = bits;
	atomic_store_explicit(&set->prefix_count, (uint8_t)(count + 1), memory_order_release);
}

void
rule_dataset_fill(struct rule_dataset *set, const struct rule_dataset_values *values)
{
	for (size_t at = 0; at < values->len;) {
		uint16_t head[2];

		memcpy(head, values->bytes + at, sizeof(head));
		struct value value = { .data = values->bytes + at + HEADER_LEN, .len = head[0] };

		if (values->contexts) {
			value.context = value.data + value.len;
			value.context_len = head[1];
		} else {
			value.weight = head[1];
		}
		if (set_put(set, &value) >= 0 && set->type == DATASET_IP && value.len == PREFIX_LEN)
			prefix_add(set, value.data[IP_LEN]);
		at += HEADER_LEN + value.len + value.context_len;
	}
}

int
rule_dataset_create(struct rule_dataset **out, const char *name, enum rule_dataset_type type,
	const struct rule_dataset_values *values, size_t memcap, bool growing)
{
	struct rule_dataset *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return -ENOMEM;
	atomic_init(&set->refs, 1);
	set->type = (uint8_t)type;
	snprintf(set->name, sizeof(set->name), "%s", name);
	int ret = set_room(set, values, memcap, growing);

	if (ret != 0) {
		rule_dataset_destroy(set);
		return ret;
	}
	rule_dataset_fill(set, values);
	*out = set;
	return 0;
}

struct rule_dataset *
rule_dataset_ref(struct rule_dataset *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

static void
set_save(const struct rule_dataset *set)
{
	char path[4096];
	struct buf out;
	FILE *file = NULL;

	snprintf(path, sizeof(path), "%s.new", set->save_path);
	if (buf_create(&out, set->bytes_len * 2 + (set->mask + 1ul) * 8) == 0) {
		rule_dataset_write(set, &out);
		file = fopen(path, "we");
	}
	/* On the disk before it takes the older one's place: a power cut leaves one or the other. */
	bool whole = file != NULL && fwrite(out.data, 1, out.len, file) == out.len && fflush(file) == 0 && fsync(fileno(file)) == 0;

	if (file != NULL)
		whole = fclose(file) == 0 && whole;
	if (!whole || rename(path, set->save_path) != 0) {
		log_warning("rule", "dataset %s: not saved to %s", set->name, set->save_path);
		(void)unlink(path);
	}
	buf_destroy(&out);
}

void
rule_dataset_destroy(struct rule_dataset *set)
{
	if (set == NULL || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	if (set->save_path != NULL && set->bytes != NULL && set->slots != NULL)
		set_save(set);
	free(set->save_path);
	free(set->slots);
	free(set->bytes);
	free(set);
}

int
rule_dataset_save_to(struct rule_dataset *set, const char *path)
{
	char *copy = path == NULL ? NULL : strdup(path);

	if (path != NULL && copy == NULL)
		return -ENOMEM;
	free(set->save_path);
	set->save_path = copy;
	return 0;
}

static void
write_address(struct buf *out, const uint8_t *at, uint32_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = memcmp(at, mapped, sizeof(mapped)) == 0;

	buf_ip(out, v4 ? 4 : 6, v4 ? at + sizeof(mapped) : at);
	if (len == PREFIX_LEN)
		buf_printf(out, "/%u", v4 ? at[IP_LEN] - 8u * (unsigned int)sizeof(mapped) : at[IP_LEN]);
}

void
rule_dataset_write(const struct rule_dataset *set, struct buf *out)
{
	for (uint32_t i = 0; i <= set->mask; i++) {
		uint64_t slot = atomic_load_explicit(&set->slots[i], memory_order_acquire);
		const uint8_t *at = set->bytes + SLOT_OFF(slot);

		if (slot == 0 || (slot & SLOT_DEAD) != 0)
			continue;
		if (set->type == DATASET_STRING)
			buf_base64(out, at, SLOT_LEN(slot));
		else if (set->type == DATASET_IP)
			write_address(out, at, SLOT_LEN(slot));
		else
			buf_hex(out, at, SLOT_LEN(slot));
		buf_putc(out, '\n');
	}
}
