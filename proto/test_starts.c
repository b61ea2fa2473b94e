/* Off its port a protocol is asked only about first bytes that its row names: at all others its probes must say no there. */
#include "proto/proto.h"
#include "test/test.h"

enum { INPUT_MAX = 300, ROUNDS = 40 };

static bool
is_start(const struct proto *proto, unsigned int byte)
{
	for (unsigned int i = 0; i < proto->start_count; i++)
		if (byte >= proto->starts[i].low && byte <= proto->starts[i].high)
			return true;
	return false;
}

/* Zeros, ones, one byte again and again, anything, or anything that can be read. */
static void
fill(uint8_t *input, unsigned int round, uint64_t *seed)
{
	for (unsigned int i = 0; i < INPUT_MAX; i++) {
		*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		input[i] = round == 0 ? 0 : round == 1 ? 0xff : round == 2 ? input[0] : (uint8_t)(*seed >> 56);
		if (round % 2 == 1 && round > 2)
			input[i] = (uint8_t)(' ' + input[i] % 95);
	}
}

static void
assert_no(const struct proto *proto, const uint8_t *input, uint32_t len)
{
	for (unsigned int to_server = 0; to_server < 2; to_server++) {
		struct cursor in = cursor_of(input, len);

		if (proto->probe(in, to_server != 0, false) != PROTO_PROBE_NO)
			fail_msg("%s: its probe may take what begins with 0x%02x", proto->app.name, input[0]);
		if (proto->probe_datagram != NULL && proto->probe_datagram(in, to_server != 0, false) != PROTO_PROBE_NO)
			fail_msg("%s: its probe of datagrams may take what begins with 0x%02x", proto->app.name, input[0]);
	}
}

static void
test_others_are_refused(void **state)
{
	static const uint32_t lens[] = { 1, 2, 3, 4, 5, 7, 8, 10, 12, 16, 24, 40, 64, INPUT_MAX };
	uint64_t seed = 1;
	unsigned int asked = 0;

	(void)state;
	for (unsigned int p = 0; proto_table[p] != NULL; p++)
		for (unsigned int byte = 0; byte < 256 && proto_table[p]->start_count > 0; byte++)
			for (unsigned int round = 0; !is_start(proto_table[p], byte) && round < ROUNDS; round++) {
				uint8_t input[INPUT_MAX] = { (uint8_t)byte };

				fill(input, round, &seed);
				input[0] = (uint8_t)byte;
				for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++, asked++)
					assert_no(proto_table[p], input, lens[i]);
			}
	assert_true(asked > 0);
}

static void
test_rows_are_whole(void **state)
{
	(void)state;
	for (unsigned int p = 0; proto_table[p] != NULL; p++) {
		assert_true(proto_table[p]->start_count <= PROTO_STARTS_MAX);
		for (unsigned int i = 0; i < proto_table[p]->start_count; i++)
			assert_true(proto_table[p]->starts[i].low <= proto_table[p]->starts[i].high);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_are_refused),
		cmocka_unit_test(test_rows_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
