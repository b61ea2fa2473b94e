#include "test/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/capture/capture_filter.h"

/* Ethernet, IPv4, UDP from 10.0.0.1:1000 to 10.0.0.2:2000; ARP. */
static const uint8_t datagram[60] = { [12] = 8, [14] = 0x45, [17] = 28, [22] = 64, 17, [26] = 10, 0, 0, 1, 10, 0, 0, 2, 3, 0xe8, 7, 0xd0, 0, 8 };
static const uint8_t arp[60] = { [12] = 8, 6 };

static void
test_what_is_taken(void **state)
{
	static const struct {
		const char *text;
		bool datagram, arp;
	} rows[] = {
		{ "", true, true }, { "udp port 2000", true, false }, { "host 10.0.0.1 and not tcp", true, false }, { "arp", false, true },
		{ "udp port 2001", false, false }, { "less 59", false, false }, { "greater 60", true, true },
	};

	for (size_t i = 0; i < TEST_COUNT(rows); i++) {
		struct config_error err;
		struct capture_filter *filter;

		assert_int_equal(capture_filter_create(&filter, rows[i].text, &err), 0);
		assert_int_equal(capture_filter_takes(filter, datagram, sizeof(datagram), sizeof(datagram)), rows[i].datagram);
		assert_int_equal(capture_filter_takes(filter, arp, sizeof(arp), sizeof(arp)), rows[i].arp);
		for (uint32_t len = 0; len < sizeof(datagram); len++) {
			uint8_t *cut = malloc(len + 1); /* the address sanitizer watches its end */

			assert_non_null(cut);
			memcpy(cut, datagram, len);
			(void)capture_filter_takes(filter, cut + (len == 0), len, sizeof(datagram));
			free(cut);
		}
		capture_filter_destroy(filter);
	}
}

static void
test_what_is_refused(void **state)
{
	static const char *const texts[] = { "udp port", "((((", "nothing of the kind", "ip[", "port 99999999999" };
	char text[CAPTURE_FILTER_LEN_MAX + 2];
	struct capture_filter *filter;
	struct config_error err;

	for (size_t i = 0; i < TEST_COUNT(texts); i++) {
		assert_int_equal(capture_filter_create(&filter, texts[i], &err), -EINVAL);
		assert_memory_equal(err.text, "filter: ", 8);
	}
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(capture_filter_create(&filter, text, &err), -ENAMETOOLONG);
	text[sizeof(text) - 2] = '\0';
	assert_int_equal(capture_filter_create(&filter, text, &err), 0);
	capture_filter_destroy(filter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_taken),
		cmocka_unit_test(test_what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
