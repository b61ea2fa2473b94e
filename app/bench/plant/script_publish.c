/* The statements goose, sv and ether: one frame each, without IP. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/bench/plant/script.h"

enum { FRAME_STEP_NS = 20000, VALUE_LEN_MAX = 512 };

/** Where a key's number goes. */
struct key {
	const char *name;
	uint16_t offset;
	uint8_t len; /* 1, 2 or 4 bytes */
};

#define PUBLICATION_KEYS(type)                                                        \
	{ "vlan", offsetof(type, publication.vlan), 2 },                              \
	{ "priority", offsetof(type, publication.priority), 1 },                      \
	{ "appid", offsetof(type, publication.appid), 2 },                            \
	{ "reserved1", offsetof(type, publication.reserved1), 2 },                    \
	{ "length", offsetof(type, publication.length), 2 },                          \
	{ NULL, 0, 0 }

static const struct key goose_keys[] = {
	{ "st", offsetof(struct plant_goose, st), 4 },
	{ "sq", offsetof(struct plant_goose, sq), 4 },
	{ "ttl", offsetof(struct plant_goose, ttl_ms), 4 },
	{ "rev", offsetof(struct plant_goose, rev), 4 },
	{ "sim", offsetof(struct plant_goose, simulation), 1 },
	{ "nds", offsetof(struct plant_goose, nds_com), 1 },
	{ "t", offsetof(struct plant_goose, t_s), 4 },
	{ "tq", offsetof(struct plant_goose, t_quality), 1 },
	{ "entries", offsetof(struct plant_goose, entries), 4 },
	{ "security", offsetof(struct plant_goose, security_len), 1 },
	PUBLICATION_KEYS(struct plant_goose),
};

static const struct key sv_keys[] = {
	{ "count", offsetof(struct plant_sv, count), 4 },
	{ "rev", offsetof(struct plant_sv, rev), 4 },
	{ "synch", offsetof(struct plant_sv, synch), 4 },
	{ "rate", offsetof(struct plant_sv, rate), 4 },
	{ "quality", offsetof(struct plant_sv, quality), 4 },
	{ "number", offsetof(struct plant_sv, number), 4 },
	{ "asdus", offsetof(struct plant_sv, asdus), 4 },
	{ "channels", offsetof(struct plant_sv, channels), 4 },
	{ "value", offsetof(struct plant_sv, values[0]), 4 },
	{ "security", offsetof(struct plant_sv, security_len), 1 },
	PUBLICATION_KEYS(struct plant_sv),
};

/* @return whether there is such a key */
static bool
set_number(const struct key keys[], void *target, const char *name, uint32_t value)
{
	uint8_t *at = target;

	for (; keys->name != NULL; keys++) {
		if (strcmp(keys->name, name) != 0)
			continue;
		memcpy(at + keys->offset, &value, keys->len); /* the low bytes come first on the machines this runs on */
		return true;
	}
	return false;
}

/* The last two bytes of a MAC; dst may be told to be one host's, as 0x20001. */
static bool
set_mac(struct plant_publication *publication, const char *name, uint32_t value)
{
	uint8_t *mac = strcmp(name, "src") == 0 ? publication->src : strcmp(name, "dst") == 0 ? publication->dst : NULL;

	if (mac == NULL)
		return false;
	mac[4] = (uint8_t)(value >> 8);
	mac[5] = (uint8_t)value;
	if (value > 0xffff)
		mac[0] = (uint8_t)(value >> 16);
	return true;
}

static int
send_frame(struct script *script, size_t len, uint64_t *now_ns)
{
	if (len == 0)
		return script_fail(script, "the frame would be too long");
	plant_capture_give(script->net->capture, *now_ns, len);
	*now_ns += FRAME_STEP_NS;
	return 0;
}

static size_t
unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t len = 0;

	for (; hex[0] != '\0' && hex[1] != '\0' && len < cap; hex += 2) {
		const char digits[] = { hex[0], hex[1], '\0' };

		out[len++] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return len;
}

/* Values of the data set. @return whether name is one of them */
static bool
add_value(struct plant_goose *goose, const char *name, const char *text, uint32_t number)
{
	static const struct {
		const char *name;
		uint8_t tag;
	} types[] = { { "bool", 0x83 }, { "int", 0x85 }, { "uint", 0x86 }, { "bits", 0x84 }, { "octets", 0x89 },
		{ "text", 0x8a } };
	const uint8_t be[] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };
	uint8_t bytes[VALUE_LEN_MAX];
	size_t i = 0;

	while (i < sizeof(types) / sizeof(types[0]) && strcmp(types[i].name, name) != 0)
		i++;
	if (i == sizeof(types) / sizeof(types[0]))
		return false;
	if (i == 0)
		return plant_goose_add(goose, types[i].tag, be + 3, 1);
	if (i < 3)
		return plant_goose_add(goose, types[i].tag, be, sizeof(be));
	if (i < 5)
		return plant_goose_add(goose, types[i].tag, bytes, unhex(text, bytes, sizeof(bytes)));
	return plant_goose_add(goose, types[i].tag, text, strlen(text));
}

static bool
set_text(char *out, const char *text)
{
	size_t len = strnlen(text, PLANT_REF_MAX - 1);

	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

/* Encoded bytes as they are: one value, or what should be one. */
static bool
set_data(struct plant_goose *goose, const char *text)
{
	goose->data_len = unhex(text, goose->data, sizeof(goose->data));
	goose->data_count = 1;
	return true;
}

static bool
goose_word(struct plant_goose *goose, const char *name, const char *text, uint32_t number)
{
	if (strcmp(name, "ref") == 0)
		return set_text(goose->ref, text);
	if (strcmp(name, "dataset") == 0)
		return set_text(goose->dataset, text);
	if (strcmp(name, "goid") == 0)
		return set_text(goose->goid, text);
	if (strcmp(name, "data") == 0)
		return set_data(goose, text);
	return set_mac(&goose->publication, name, number) || set_number(goose_keys, goose, name, number) ||
		add_value(goose, name, text, number);
}

static bool
sv_word(struct plant_sv *sv, const char *name, const char *text, uint32_t number)
{
	if (strcmp(name, "id") == 0)
		return set_text(sv->id, text);
	return set_mac(&sv->publication, name, number) || set_number(sv_keys, sv, name, number);
}

/* Splits KEY=VALUE. The number is 0 where the value is none; a script's counter is one. */
static int
split(struct script *script, char *word, char **text, uint32_t *number)
{
	char *equals = strchr(word, '=');

	if (equals == NULL)
		return script_fail(script, "\"%s\" is not KEY=VALUE", word);
	*equals = '\0';
	*text = equals + 1;
	if (script_number(script, *text, number) != 0)
		script->err[0] = '\0';
	return 0;
}

int
script_goose(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	struct plant_goose *goose = &script->goose;
	struct buf out = buf_over(plant_capture_get(script->net->capture), PLANT_FRAME_LEN_MAX);
	bool fresh = true;

	if (goose->ref[0] == '\0')
		plant_goose_init(goose);
	for (unsigned int i = 1; i < count; i++) {
		size_t data_len = goose->data_len;
		uint32_t number = 0;
		char *text = NULL;

		if (split(script, words[i], &text, &number) != 0)
			return -EINVAL;
		if (fresh && (strcmp(words[i], "bool") == 0 || strcmp(words[i], "int") == 0 || strcmp(words[i], "uint") == 0 ||
			strcmp(words[i], "bits") == 0 || strcmp(words[i], "octets") == 0 || strcmp(words[i], "text") == 0)) {
			goose->data_len = goose->data_count = 0;
			fresh = false;
		}
		if (!goose_word(goose, words[i], text, number))
			return script_fail(script, "goose: \"%s\" is not known, or there is no room for it", words[i]);
		fresh = fresh && goose->data_len == data_len;
	}
	return send_frame(script, plant_goose_frame(&out, goose), now_ns);
}

int
script_sv(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	struct plant_sv *sv = &script->sv;
	struct buf out = buf_over(plant_capture_get(script->net->capture), PLANT_FRAME_LEN_MAX);

	if (sv->id[0] == '\0')
		plant_sv_init(sv);
	for (unsigned int i = 1; i < count; i++) {
		uint32_t number = 0;
		char *text = NULL;

		if (split(script, words[i], &text, &number) != 0)
			return -EINVAL;
		if (!sv_word(sv, words[i], text, number))
			return script_fail(script, "sv: \"%s\" is not known", words[i]);
	}
	return send_frame(script, plant_sv_frame(&out, sv), now_ns);
}

int
script_ether(struct script *script, char *words[], unsigned int count, uint64_t *now_ns)
{
	static const uint8_t macs[] = { 1, 0x0c, 0xcd, 1, 0, 1, 2, 0, 10, 10, 1, 1 };
	struct buf out = buf_over(plant_capture_get(script->net->capture), PLANT_FRAME_LEN_MAX);
	uint8_t bytes[PLANT_FRAME_LEN_MAX];
	uint32_t type;

	if (count != 3 || script_number(script, words[1], &type) != 0)
		return script_fail(script, "ether wants a type and hex");
	buf_put(&out, macs, sizeof(macs));
	put_be16(&out, (uint16_t)type);
	buf_put(&out, bytes, unhex(words[2], bytes, sizeof(bytes)));
	return send_frame(script, out.full ? 0 : out.len, now_ns);
}
