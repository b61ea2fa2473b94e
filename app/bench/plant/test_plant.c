#include "test/test.h"

#include <errno.h>
#include <unistd.h>

#include "app/bench/generate.h"
#include "app/bench/plant/plant.h"
#include "app/bench/plant/script.h"

enum { CAPTURE_LEN_MAX = 8 << 20 };

static char path[] = "/tmp/test_plant_XXXXXX";
static uint8_t first_bytes[CAPTURE_LEN_MAX], second_bytes[CAPTURE_LEN_MAX];

static size_t
read_capture(uint8_t *bytes)
{
	FILE *file = fopen(path, "rb");
	size_t len;

	assert_non_null(file);
	len = fread(bytes, 1, CAPTURE_LEN_MAX, file);
	(void)fclose(file);
	assert_true(len > 24 && len < CAPTURE_LEN_MAX);
	return len;
}

static int
generate(const char *const args[])
{
	char *argv[16] = { (char *)"generate", (char *)"--quiet", (char *)"--out", path };
	int argc = 4;

	for (; args[argc - 4] != NULL; argc++)
		argv[argc] = (char *)args[argc - 4];
	return generate_main(argc, argv);
}

/* Sums 16-bit words as RFC 1071 says: 0xffff where the checksum among them is right. */
static uint16_t
sum_words(struct cursor in, uint32_t sum)
{
	while (cursor_left(&in) >= 2)
		sum += cursor_be16(&in);
	if (cursor_left(&in) == 1)
		sum += (uint32_t)cursor_u8(&in) << 8;
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void
check_frame(struct cursor in)
{
	struct cursor ip, pseudo, datagram;
	uint16_t total_len;
	uint8_t protocol;

	cursor_skip(&in, 12);
	if (cursor_be16(&in) != 0x0800)
		return;
	ip = in;
	cursor_skip(&in, 2);
	total_len = cursor_be16(&in);
	cursor_skip(&in, 5);
	protocol = cursor_u8(&in);
	cursor_skip(&in, 2);
	pseudo = cursor_sub(&in, 8);
	datagram = cursor_sub(&in, total_len - 20u);
	assert_false(datagram.short_read);
	assert_int_equal(sum_words(cursor_sub(&ip, 20), 0), 0xffff);
	assert_int_equal(sum_words(datagram, protocol + total_len - 20u + sum_words(pseudo, 0)), 0xffff);
}

/* Each frame whole, its checksums right, times not falling. @return frames */
static unsigned int
check_capture(const uint8_t *bytes, size_t len)
{
	struct cursor in = cursor_of(bytes, len);
	uint64_t last = 0;
	unsigned int count = 0;

	cursor_skip(&in, 24);
	while (cursor_left(&in) > 0) {
		uint64_t seconds = cursor_le32(&in);
		uint64_t now = seconds * 1000000 + cursor_le32(&in);
		uint32_t frame_len = cursor_le32(&in);

		assert_int_equal(frame_len, cursor_le32(&in));
		assert_true(now >= last);
		last = now;
		check_frame(cursor_sub(&in, frame_len));
		count++;
	}
	assert_false(in.short_read);
	return count;
}

static void
test_same_seed_same_bytes(void **state)
{
	const char *const args[] = { "--frames", "3000", "--protocols", "modbus,dnp3,it", "--seed", "7", NULL };
	const char *const other[] = { "--frames", "3000", "--protocols", "modbus,dnp3,it", "--seed", "8", NULL };
	size_t len;

	assert_int_equal(generate(args), 0);
	len = read_capture(first_bytes);
	assert_int_equal(check_capture(first_bytes, len), 3000);
	assert_int_equal(generate(args), 0);
	assert_int_equal(read_capture(second_bytes), len);
	assert_memory_equal(first_bytes, second_bytes, len);
	assert_int_equal(generate(other), 0);
	assert_true(read_capture(second_bytes) != len || memcmp(first_bytes, second_bytes, len) != 0);
}

/* No seconds are no bound, and one there must be; without the word it is 60. */
static void
test_no_seconds(void **state)
{
	const char *const endless[] = { "--seconds", "0", NULL };
	const char *const frames[] = { "--seconds", "0", "--frames", "3000", "--plcs", "1", "--protocols", "modbus", NULL };
	const char *const plain[] = { "--plcs", "1", "--protocols", "modbus", NULL };
	unsigned int count;

	assert_int_not_equal(generate(endless), 0);
	assert_int_equal(generate(frames), 0);
	assert_int_equal(check_capture(first_bytes, read_capture(first_bytes)), 3000);
	assert_int_equal(generate(plain), 0);
	count = check_capture(first_bytes, read_capture(first_bytes));
	assert_in_range(count, 100, 9999);
}

static void
test_every_protocol(void **state)
{
	for (unsigned int i = 0; i < plant_protocol_count; i++) {
		const char *const args[] = { "--frames", "1000", "--protocols", plant_protocols[i].name, NULL };

		assert_int_equal(generate(args), 0);
		assert_int_equal(check_capture(first_bytes, read_capture(first_bytes)), 1000);
	}
}

static void
test_every_attack(void **state)
{
	for (unsigned int i = 0; i < plant_attack_count; i++) {
		const char *const args[] = { "--seconds", "20", "--attack", plant_attacks[i].name, NULL };
		size_t len;

		assert_int_equal(generate(args), 0);
		len = read_capture(first_bytes);
		assert_true(check_capture(first_bytes, len) > 100);
		assert_non_null(memmem(first_bytes, len, "\x0a\x0a\x50\x42", 4)); /* the attacker's address */
	}
}

static void
test_every_fault(void **state)
{
	for (unsigned int i = 0; i < PLANT_FAULT_COUNT; i++) {
		const char *const args[] = { "--seconds", "20", "--fault", plant_faults[i].name, NULL };
		size_t len;

		assert_int_equal(generate(args), 0);
		len = read_capture(first_bytes);
		if (i != PLANT_FAULT_BAD_CHECKSUM && i != PLANT_FAULT_FRAGMENT)
			assert_true(check_capture(first_bytes, len) > 100);
	}
}

static void
test_wrong_arguments(void **state)
{
	static const char *const wrong[][3] = {
		{ "--attack", "no-such", NULL },
		{ "--fault", "loss=1001", NULL },
		{ "--fault", "los", NULL },
		{ "--protocols", "profibus", NULL },
		{ "--plcs", "-1", NULL },
		{ "--plcs", "0", NULL },
		{ "--start", "yesterday", NULL },
		{ "--frames", "many", NULL },
		{ "stray", NULL, NULL },
		{ "--scenario", "talk; > function=", NULL },
		{ "--scenario", "> function=1", NULL },
		{ "--scenario", "talk modbus; > nosuch=1", NULL },
		{ "--scenario", "loop 2; talk", NULL },
		{ "--scenario", "end", NULL },
		{ "--scenario", "talk 10.0.0.1 10.0.0.2 10.0.0.3", NULL },
		{ "--scenario", "talk 10.0.0", NULL },
		{ "--scenario", "talk; > raw 0", NULL },
		{ "--scenario", "dance", NULL },
		{ "--scenario", "talk raw; < answer", NULL },
	};

	for (size_t i = 0; i < TEST_COUNT(wrong); i++)
		assert_int_equal(generate(wrong[i]), 2);
}

/* What a scenario's bytes must contain. */
static const struct {
	const char *scenario;
	const char *bytes;
	size_t len;
} scenarios[] = {
	{ "talk modbus; > unit=9 transaction=0x0102 function=5 address=1 value=0xff00; close",
		"\x01\x02\x00\x00\x00\x06\x09\x05\x00\x01\xff\x00", 12 },
	{ "talk modbus; > function=16 address=4 quantity=2 values=1,0x203",
		"\x00\x0b\x01\x10\x00\x04\x00\x02\x04\x00\x01\x02\x03", 13 },
	{ "talk modbus\n> function=8 sub=0 value=0xa537 # echo\n< answer", "\x01\x08\x00\x00\xa5\x37", 6 },
	{ "talk raw udp; > text=hello data=0d0a", "hello\r\n", 7 },
	{ "talk dnp3; > link=0x40 src=1024 dst=1", "\x05\x64\x05\xc0\x01\x00\x00\x04\xe9\x21", 10 },
	{ "talk dnp3; loop 2; > function=read object=60,1,6; end", "\xc1\xc1\x01\x3c\x01\x06", 6 },
	{ "talk dnp3; > pdu c1 01 3c 02 06", "\xc0\xc1\x01\x3c\x02\x06", 6 },
	{ "talk modbus; hold; > function=7; > function=11; flush", "\x00\x02\x01\x07\x00\x02\x00\x00\x00\x02\x01\x0b",
		12 },
	{ "talk 192.0.2.7 198.51.100.9:5020 midstream; > function=7", "\xc0\x00\x02\x07\xc6\x33\x64\x09", 8 },
};

static void
test_scenarios(void **state)
{
	for (size_t i = 0; i < TEST_COUNT(scenarios); i++) {
		const char *const args[] = { "--scenario", scenarios[i].scenario, NULL };
		size_t len;

		assert_int_equal(generate(args), 0);
		len = read_capture(first_bytes);
		(void)check_capture(first_bytes, len);
		if (memmem(first_bytes, len, scenarios[i].bytes, scenarios[i].len) == NULL)
			fail_msg("scenario %zu: bytes not found: %s", i, scenarios[i].scenario);
	}
}

/* A link header whose CRC is known from captures of other implementations. */
static void
test_dnp3_crc(void **state)
{
	static const uint8_t header[] = { 0x05, 0x64, 0x05, 0xc0, 0x01, 0x00, 0x00, 0x04 };

	assert_int_equal(plant_dnp3_crc(header, sizeof(header)), 0x21e9);
}

/* No request, however long or cut, is answered with more than a PDU holds. */
static void
test_plc_answers_anything(void **state)
{
	static struct plant_plc plc;
	struct plant_random random = { .state = 5 };

	plant_plc_init(&plc, 3);
	for (unsigned int i = 0; i < 200000; i++) {
		uint8_t request[64], answer_bytes[PLANT_MODBUS_PDU_LEN_MAX + 8];
		struct buf answer = buf_over(answer_bytes, sizeof(answer_bytes));
		uint32_t len = plant_random_below(&random, sizeof(request) + 1);

		for (uint32_t j = 0; j < len; j++)
			request[j] = (uint8_t)(plant_random_next(&random) & (j % 2 == 0 ? 0xff : 0x1f));
		plc.listen_only = false;
		plant_plc_answer(&plc, cursor_of(request, len), &answer, i * UINT64_C(1000000));
		assert_true(answer.len <= PLANT_MODBUS_PDU_LEN_MAX);
	}
}

static void
test_outstation_answers_anything(void **state)
{
	struct plant_outstation outstation;
	struct plant_random random = { .state = 6 };

	plant_outstation_init(&outstation, 3, 200);
	for (unsigned int i = 0; i < 100000; i++) {
		uint8_t request[48], bytes[PLANT_DNP3_FRAGMENT_LEN_MAX];
		struct buf answer = buf_over(bytes, sizeof(bytes));
		uint32_t len = plant_random_below(&random, sizeof(request) + 1);
		unsigned int fragments = 1;
		bool more;

		for (uint32_t j = 0; j < len; j++)
			request[j] = (uint8_t)(plant_random_next(&random) & (j == 1 ? 0x1f : 0x7f));
		more = plant_outstation_answer(&outstation, cursor_of(request, len), &answer, i * UINT64_C(1000000));
		for (; more; fragments++) {
			assert_false(answer.full);
			buf_reset(&answer);
			more = plant_outstation_more(&outstation, &answer, i * UINT64_C(1000000));
		}
		assert_false(answer.full);
		assert_true(fragments < 20);
	}
}

static void
test_create_fails_cleanly(void **state)
{
	struct plant_config config = { .plcs = 2,
		.hmis = 1,
		.rtus = 2,
		.protocols = 7,
		.capture.path = path,
		.duration_ns = UINT64_C(1000000000),
		.attacks = { &plant_attacks[0] },
		.attack_count = 1 };
	struct plant_net net = { .quiet = true };
	struct plant *plant;
	struct script *script;

	TEST_FAIL_EACH_ALLOC(plant_create(&plant, &config), == 0, plant_destroy(plant));
	TEST_FAIL_EACH_ALLOC(script_create(&script, &net, "talk"), == 0, script_destroy(script));
	config.capture.path = "/nonexistent/x.pcap";
	assert_int_equal(plant_create(&plant, &config), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_seed_same_bytes),
		cmocka_unit_test(test_no_seconds),
		cmocka_unit_test(test_every_protocol),
		cmocka_unit_test(test_every_attack),
		cmocka_unit_test(test_every_fault),
		cmocka_unit_test(test_wrong_arguments),
		cmocka_unit_test(test_scenarios),
		cmocka_unit_test(test_dnp3_crc),
		cmocka_unit_test(test_plc_answers_anything),
		cmocka_unit_test(test_outstation_answers_anything),
		cmocka_unit_test(test_create_fails_cleanly),
	};
	int fd = mkstemp(path);
	int failed;

	if (fd < 0)
		return 1;
	(void)close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return failed;
}
