#include "app/millrace/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "app/millrace/client.h"
#include "app/millrace/control.h"
#include "app/millrace/text.h"
#include "app/millrace/view.h"

enum { CELL_LEN = 32 };

static void
add_number(struct text_table *table, const json_t *row, const char *key)
{
	char cell[CELL_LEN];
	int len = snprintf(cell, sizeof(cell), "%lld", (long long)json_integer_value(json_object_get(row, key)));

	text_table_add(table, cell, (size_t)len);
}

static void
print_top(const json_t *answer)
{
	static const char *const headings[] = { ">SID", ">CHECKS", ">MATCHES", ">ALERTS", ">CYCLES/CHECK", ">CYCLES", "MESSAGE" };
	static const char *const keys[] = { "sid", "checks", "matches", "alerts", "cycles_a_check", "cycles" };
	struct text_table *table = text_table_create(headings, sizeof(headings) / sizeof(headings[0]));
	const json_t *top = json_object_get(answer, "top");
	const json_t *row;
	size_t at;

	if (table == NULL)
		return;
	json_array_foreach(top, at, row) {
		const char *msg = json_string_value(json_object_get(row, "msg"));

		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			add_number(table, row, keys[i]);
		text_table_add(table, msg == NULL ? "" : msg, msg == NULL ? 0 : strlen(msg));
	}
	text_table_print(table, stdout);
	printf("%lld of %lld rules were looked at since they are in force\n",
		(long long)json_integer_value(json_object_get(answer, "checked")),
		(long long)json_integer_value(json_object_get(answer, "rules")));
}

int
rules_top(const struct options *options)
{
	json_t *request = json_pack("{s:s}", "verb", "rules.top");
	json_t *answer = NULL;

	control_put_numbers(request, options);
	int status = client_control(options, request, &answer);

	json_decref(request);
	if (status == STATUS_DONE && options->json)
		view_print_json(answer);
	else if (status == STATUS_DONE)
		print_top(answer);
	else if (answer != NULL)
		view_print_json(answer);
	json_decref(answer);
	return status;
}
