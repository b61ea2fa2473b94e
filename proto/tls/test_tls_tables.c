/* TLS: what its tables say holds together. */
#include "proto/tls/tls.h"
#include "test/test.h"

extern const struct proto tls_proto;

static void
test_tables(void **state)
{
	struct record_path resolved;

	(void)state;
	assert_null(record_table_check(&tls_table));
	for (unsigned int i = 0; i < TLS_EVENT_COUNT; i++)
		assert_non_null(tls_events[i].name);
	for (unsigned int i = 0; i < TLS_COUNTER_COUNT; i++)
		assert_non_null(tls_counters[i].name);
	for (unsigned int i = 0; i < TLS_BUFFER_COUNT; i++)
		assert_int_equal(record_path_resolve(&tls_table, tls_buffers[i].path, &resolved), 0);
	for (unsigned int i = 0; i < TLS_BUFFER_COUNT; i++) {
		const char *name = tls_buffers[i].name;
		bool server = strncmp(name, "ja3s", 4) == 0;
		bool client = !server && (strncmp(name, "ja", 2) == 0 || strstr(name, "sni") != NULL);

		assert_int_equal(tls_buffer_direction(&tls_buffers[i]), server ? RULE_TO_CLIENT : client ? RULE_TO_SERVER : RULE_EITHER);
	}
	assert_true(tls_proto.state_len <= SLAB_BLOCK_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tables) };

	return cmocka_run_group_tests_name("tls_tables", tests, NULL, NULL);
}
