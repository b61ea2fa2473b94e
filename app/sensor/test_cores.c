#include "test/test.h"

#include "app/sensor/cores.h"

/* For eal_cpus(), which cores_look() asks. */
unsigned int eal_cpus(unsigned int cpus[], unsigned int cpus_max);

unsigned int
eal_cpus(unsigned int cpus[], unsigned int cpus_max)
{
	(void)cpus_max;
	cpus[0] = 0;
	return 1;
}

static void
test_choice(void **state)
{
	static const struct {
		const char *cores; /* workers.cores */
		unsigned int count, exporter;
		bool exporter_given, reading;
		const char *usable;
		const char *want;  /* exporter, then the workers; or the message */
		int shared;
	} cases[] = {
		{ "[]", 0, 0, false, false, "[0,1,2,3]", "0 1 2 3", -1 },
		{ "[]", 0, 0, false, true, "[0,1,2,3]", "0 1", -1 },
		{ "[]", 0, 0, false, false, "[0]", "0 0", 0 },
		{ "[]", 0, 0, false, false, "[4,5,6]", "4 5 6", -1 }, /* a part of a machine */
		{ "[]", 0, 0, true, false, "[4,5,6]", "0 5 6", -1 },
		{ "[]", 3, 0, false, false, "[0,1]", "0 1 0 1", 0 },
		{ "[\"2\",\"3\"]", 0, 1, true, false, "[0,1,2,3]", "1 2 3", -1 }, /* as many as are named */
		{ "[\"2\",\"3\"]", 1, 0, false, false, "[0,1,2,3]", "0 2", -1 },
		{ "[\"2\",\"3\"]", 0, 0, false, true, "[0,1,2,3]", "0 2", -1 },
		{ "[\"2\",\"2\"]", 0, 0, false, false, "[0,1,2,3]", "0 2 2", 2 },
		{ "[\"2\",\"3\"]", 3, 0, false, false, "[0,1,2,3]", "workers.cores: 2 CPUs for 3 workers (workers.count)", 0 },
		{ "[\"77\"]", 0, 0, false, false, "[0,1]", "workers.cores: there is no CPU 77 here: they go from 0 to 7 (lscpu -e)", 0 },
		{ "[\"two\"]", 0, 0, false, false, "[0,1]", "workers.cores: there is no CPU two here: they go from 0 to 7 (lscpu -e)", 0 },
		{ "[\"-1\"]", 0, 0, false, false, "[0,1]", "workers.cores: there is no CPU -1 here: they go from 0 to 7 (lscpu -e)", 0 },
		{ "[]", 0, 8, true, false, "[0,1]", "exporter.core: there is no CPU 8 here: they go from 0 to 7 (lscpu -e)", 0 },
	};

	for (size_t i = 0; i < TEST_COUNT(cases); i++) {
		struct sensor_config config = { .cores = json_loads(cases[i].cores, 0, NULL), .worker_count = cases[i].count,
			.exporter_core = cases[i].exporter };
		json_t *usable = json_loads(cases[i].usable, 0, NULL);
		struct cores_machine machine = { .usable_count = (unsigned int)json_array_size(usable), .count = 8 };
		struct config_error err = { "" };
		struct cores cores = { 0 };
		char text[512];
		int len;

		for (unsigned int k = 0; k < machine.usable_count; k++)
			machine.usable[k] = (unsigned int)json_integer_value(json_array_get(usable, k));
		if (cores_choose(&cores, &config, cases[i].exporter_given, cases[i].reading, &machine, &err) == 0) {
			len = snprintf(text, sizeof(text), "%u", cores.exporter);
			for (unsigned int k = 0; k < cores.worker_count; k++)
				len += snprintf(text + len, sizeof(text) - (size_t)len, " %u", cores.workers[k]);
			assert_int_equal(cores_shared(&cores), cases[i].shared);
		} else {
			snprintf(text, sizeof(text), "%s", err.text);
		}
		assert_string_equal(text, cases[i].want);
		json_decref(usable);
		json_decref(config.cores);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
