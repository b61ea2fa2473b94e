#include "test/test.h"

#include <string.h>

#include "app/sensor/port_watch.h"

enum { SILENCE_S = 60 };

struct step {
	enum port_link link;
	uint64_t received, at_s;
	bool bad;
	const char *said; /* a part of it; "" for nothing */
};

static void
run_steps(struct port_watch *watch, const struct step *steps, size_t count)
{
	port_watch_begin(watch, 1000);
	for (size_t i = 0; i < count; i++) {
		char text[256];
		bool bad = port_watch_step(watch, steps[i].link, steps[i].received, (1 + steps[i].at_s) * 1000, SILENCE_S,
			text, sizeof(text));

		if (bad != steps[i].bad || strstr(text, steps[i].said) == NULL || (steps[i].said[0] == '\0' && text[0] != '\0'))
			fail_msg("step %zu: %s \"%s\"", i, bad ? "bad" : "good", text);
	}
}

static void
link_is_told_once(void **state)
{
	static const struct step steps[] = {
		{ PORT_LINK_UP, 5, 1, false, "" },
		{ PORT_LINK_DOWN, 5, 2, true, "the link is down" },
		{ PORT_LINK_DOWN, 5, 200, false, "" },
		{ PORT_LINK_UP, 5, 202, false, "up again, after 200 s" },
		{ PORT_LINK_GONE, 9, 203, true, "no such interface" },
		{ PORT_LINK_GONE, 9, 204, false, "" },
		{ PORT_LINK_REPLACED, 9, 205, true, "another interface" },
	};
	struct port_watch watch;

	run_steps(&watch, steps, TEST_COUNT(steps));
	assert_int_equal(watch.links_lost, 2);
	assert_int_equal(watch.silences, 0);
}

/* A link that is down at the start is told, too. */
static void
down_from_the_start(void **state)
{
	static const struct step steps[] = { { PORT_LINK_DOWN, 0, 0, true, "the link is down" }, { PORT_LINK_UP, 0, 3, false, "after 3 s" } };
	struct port_watch watch;

	run_steps(&watch, steps, TEST_COUNT(steps));
	assert_string_equal(port_link_name((enum port_link)watch.link), "up");
}

static void
silence_is_told_once(void **state)
{
	static const struct step steps[] = {
		{ PORT_LINK_UP, 5, 10, false, "" },
		{ PORT_LINK_UP, 5, 69, false, "" },
		{ PORT_LINK_UP, 5, 70, true, "no frame came for 60 s" },
		{ PORT_LINK_UP, 5, 71, false, "" },
		{ PORT_LINK_UP, 6, 80, false, "frames come again, after 70 s" },
		{ PORT_LINK_UP, 6, 139, false, "" },
		{ PORT_LINK_UP, 6, 140, true, "no frame came" },
	};
	struct port_watch watch;

	run_steps(&watch, steps, TEST_COUNT(steps));
	assert_int_equal(watch.silences, 2);
}

/* A port without a link is silent all the same; one whose link is down is told for that alone. */
static void
silence_goes_by_the_link(void **state)
{
	static const struct step none[] = { { PORT_LINK_NONE, 0, 60, true, "no frame came" } };
	static const struct step down[] = { { PORT_LINK_DOWN, 0, 1, true, "down" }, { PORT_LINK_DOWN, 0, 90, false, "" },
		{ PORT_LINK_UP, 0, 91, false, "up again" }, { PORT_LINK_UP, 0, 92, true, "no frame came for 92 s" } };
	struct port_watch watch;

	run_steps(&watch, none, TEST_COUNT(none));
	run_steps(&watch, down, TEST_COUNT(down));
	port_watch_begin(&watch, 0);
	char text[8];

	assert_false(port_watch_step(&watch, PORT_LINK_UP, 0, UINT64_MAX / 2, 0, text, sizeof(text)));
	assert_null(port_link_name(PORT_LINK_NONE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_is_told_once),
		cmocka_unit_test(down_from_the_start),
		cmocka_unit_test(silence_is_told_once),
		cmocka_unit_test(silence_goes_by_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
