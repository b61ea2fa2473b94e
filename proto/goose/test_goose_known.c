/* GOOSE: a state is told alike, whether the data before it are known or not. */
#include "proto/goose/test_goose.h"

static int
setup(void **state)
{
	rig_begin(&goose_proto, NULL);
	return 0;
}

static int
teardown(void **state)
{
	rig_end();
	return 0;
}

/* allData is missing: there are no bytes, in this state or the next. */
static void
states_without_data(void **state)
{
	struct message m = usual;

	m.left_out = 1 << 11;
	m.entries = 0;
	for (; m.st < 9; m.st++) {
		(void)say(m);
		m.sq = 0;
	}
	assert_json("\"reason\":\"state_change\"");
}

/* allData of the last record, and what its reading named. */
struct told {
	uint64_t events;
	char values[4096];
};

static struct told
tell(struct message m)
{
	struct told told = { .events = say(m) & (EVENT(INVALID_APDU) | EVENT(INVALID_VALUE) | EVENT(ENTRY_COUNT)) };
	const char *from = strstr(rig->json.data, "\"allData\":["), *to;

	assert_non_null(from);
	to = strstr(from, ",\"changed\"");
	to = to != NULL ? to : strstr(from, ",\"previous\"");
	to = to != NULL ? to : from + strlen(from) - 1;
	assert_true((size_t)(to - from) < sizeof(told.values));
	memcpy(told.values, from, (size_t)(to - from));
	return told;
}

/* Each byte of the data in turn is another one, in a state of its own: it is told as a publication tells it that said
 * nothing before. */
static void
states_are_told_alike(void **state)
{
	uint8_t data[] = {
		0x85, 2, 0xff, 0x7f, 0x86, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x83, 1, 0, 0x87, 5, 8, 0x3f, 0xc0, 0, 0,
		0x84, 2, 6, 0x40, 0x84, 3, 3, 0xe0, 0x10, 0x89, 2, 0xca, 0xfe, 0x8a, 2, 'o', 'k', 0x89, 0,
		0x91, 8, 0x65, 0x53, 0xf1, 0x00, 0x40, 0, 0, 0x2a, 0x8c, 6, 0, 0, 0, 1, 0, 1, 0x84, 3, 3, 0, 0,
	};
	struct message m = usual, fresh = usual;
	struct goose_state *flow = (void *)rig->state;

	(void)state;
	m.data = fresh.data = data;
	m.data_len = fresh.data_len = sizeof(data);
	m.entries = fresh.entries = 12;
	(void)say(m);
	for (size_t i = 0; i < 4 * sizeof(data); i++) {
		char ref[] = "IED2LD0/LLN0$GO$gcb00000";
		struct told known, anew;

		data[i / 4] ^= i % 2 != 0 ? 0 : i % 4 == 0 ? 0x01 : 0x84; /* there, stays, and so on */
		data[(i / 4 + 20) % sizeof(data)] ^= i % 4 == 3 ? 0x03 : 0;
		if (i % 16 == 7) {
			struct message old = m;

			old.st -= 2; /* told, but the state stays what it was */
			data[13] ^= 1;
			assert_true((say(old) & EVENT(ST_NUM_OLD)) != 0);
			data[13] ^= 1;
		}
		snprintf(ref, sizeof(ref), "IED2LD0/LLN0$GO$gcb%05zu", i);
		fresh.ref = ref;
		flow->broken = 0;
		anew = tell(fresh);
		rig_wait_ms(1); /* whoever was silent longest goes */
		m.st++;
		m.sq = 0;
		known = tell(m);
		assert_json("\"reason\":\"state_change\"");
		assert_string_equal(known.values, anew.values);
		assert_true((known.events & ~anew.events) == 0); /* what stands is not named again */
		assert_true(anew.events != 0 || flow->last->known_is_current);
		data[i / 4] ^= i % 4 == 3 ? 0x85 : 0;
		data[(i / 4 + 20) % sizeof(data)] ^= i % 4 == 3 ? 0x03 : 0;
	}
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(states_are_told_alike),
		WITH_RIG(states_without_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
