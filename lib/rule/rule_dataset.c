/* Hot: looking and adding without a lock; cold: a set's life, and its lines. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/rule/rule_dataset.h"

enum {
	PROBES_MAX = 64,
	HEADER_LEN = 4,      /* of a value in struct rule_dataset_values */
	SLOTS_MIN = 64,
	IP_LEN = 16,
};

/* A slot: where the value's bytes are, how many, its weight, and whether it was removed. 0 is free. */
#define SLOT_OFF(slot)    ((uint32_t)((slot) & 0x7fffffff))
#define SLOT_DEAD         (UINT64_C(1) << 31)
#define SLOT_LEN(slot)    ((uint32_t)((slot) >> 32 & 0xffff))
#define SLOT_WEIGHT(slot) ((uint16_t)((slot) >> 48))

struct rule_dataset {
	atomic_uint refs;
	uint8_t type;                 /* enum rule_dataset_type */
	char name[DATASET_NAME_LEN_MAX + 1];
	char *save_path;
	uint32_t mask;
	_Atomic uint64_t *slots;      /* [mask + 1] */
	uint8_t *bytes;
	size_t bytes_len;
	_Atomic size_t used;          /* of bytes; grows only, also for values that lost a race */
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

bool
rule_dataset_has(const struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t *weight)
{
	uint8_t room[IP_LEN];
	uint64_t found = 0;

	data = value_of(set, data, &len, room);
	if (data == NULL || slot_find(set, data, len, &found) == NULL || found == 0 || (found & SLOT_DEAD) != 0)
		return false;
	if (weight != NULL)
		*weight = SLOT_WEIGHT(found);
	return true;
}

/* Copies a value into the set's bytes. @return the slot that names it, 0: no room */
static uint64_t
bytes_take(struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t weight)
{
	size_t off = atomic_load_explicit(&set->used, memory_order_relaxed);

	do {
		if (len > set->bytes_len - off)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(&set->used, &off, off + len, memory_order_relaxed, memory_order_relaxed));
	memcpy(set->bytes + off, data, len);
	return (uint64_t)weight << 48 | (uint64_t)len << 32 | off;
}

int
rule_dataset_add(struct rule_dataset *set, const uint8_t *data, size_t len, uint16_t weight)
{
	uint8_t room[IP_LEN];
	uint64_t found, made = 0;

	data = value_of(set, data, &len, room);
	while (data != NULL) {
		_Atomic uint64_t *slot = slot_find(set, data, len, &found);

		if (slot == NULL)
			return -1;
		if (found != 0 && (found & SLOT_DEAD) == 0)
			return 0;
		if (found == 0 && made == 0)
			made = bytes_take(set, data, len, weight);
		if (found == 0 && made == 0)
			return -1;
		/* another worker may take the slot: then look again */
		if (atomic_compare_exchange_strong_explicit(slot, &found, found != 0 ? found & ~SLOT_DEAD : made, memory_order_acq_rel,
			    memory_order_acquire))
			return 1;
	}
	return -1;
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
	set->slots = calloc(slots, sizeof(set->slots[0]));
	set->bytes = malloc(set->bytes_len);
	atomic_init(&set->used, 1); /* offset 0 with length 0 would be a free slot */
	return set->slots == NULL || set->bytes == NULL ? -ENOMEM : 0;
}

static void
set_fill(struct rule_dataset *set, const struct rule_dataset_values *values)
{
	for (size_t at = 0; at < values->len;) {
		uint16_t head[2];

		memcpy(head, values->bytes + at, sizeof(head));
		(void)rule_dataset_add(set, values->bytes + at + HEADER_LEN, head[0], head[1]);
		at += HEADER_LEN + head[0];
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
	set_fill(set, values);
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
	bool whole = file != NULL && fwrite(out.data, 1, out.len, file) == out.len;

	if (file != NULL)
		whole = fclose(file) == 0 && whole;
	if (!whole || rename(path, set->save_path) != 0)
		log_warning("rule", "dataset %s: not saved to %s", set->name, set->save_path);
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

const char *
rule_dataset_name(const struct rule_dataset *set)
{
	return set->name;
}

enum rule_dataset_type
rule_dataset_type_of(const struct rule_dataset *set)
{
	return (enum rule_dataset_type)set->type;
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

void
rule_dataset_write(const struct rule_dataset *set, struct buf *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	for (uint32_t i = 0; i <= set->mask; i++) {
		uint64_t slot = atomic_load_explicit(&set->slots[i], memory_order_acquire);
		const uint8_t *at = set->bytes + SLOT_OFF(slot);

		if (slot == 0 || (slot & SLOT_DEAD) != 0)
			continue;
		if (set->type == DATASET_STRING)
			buf_base64(out, at, SLOT_LEN(slot));
		else if (set->type == DATASET_IP && memcmp(at, mapped, sizeof(mapped)) == 0)
			buf_ip(out, 4, at + 12);
		else if (set->type == DATASET_IP)
			buf_ip(out, 6, at);
		else
			buf_hex(out, at, SLOT_LEN(slot));
		buf_putc(out, '\n');
	}
}
