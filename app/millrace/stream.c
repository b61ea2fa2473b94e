#include "app/millrace/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/millrace/client.h"
#include "app/millrace/text.h"
#include "app/millrace/view.h"
#include "lib/base/json_read.h"

enum {
	LINE_MAX_LEN = 2 * 1024 * 1024, /* of a server-sent event; the aggregator takes lines of 1 MiB */
	ID_MAX_LEN = 24,
	RETRY_S = 1,
};

static bool
write_out(void *arg, const char *data, size_t len)
{
	return fwrite(data, 1, len, stdout) == len;
}

int
stream_export(const struct options *options)
{
	return client_stream(options, "/v1/export", NULL, write_out, NULL);
}

/* ---- server-sent events: lines "id: N" and "data: JSON" ---- */

struct follow {
	const struct options *options;
	struct buf line;
	char id[ID_MAX_LEN];
	bool heard; /* of this connection */
};

static void
show(const struct follow *follow, const char *data, size_t len)
{
	json_t *row;

	if (follow->options->json) {
		fwrite(data, 1, len, stdout);
		putchar('\n');
		return;
	}
	row = json_read(data, len);
	if (row != NULL)
		view_print_line("alerts", row);
	json_decref(row);
}

static void
take_line(struct follow *follow)
{
	const char *line = follow->line.data;
	size_t len = follow->line.len;

	if (len > 4 && len - 4 < ID_MAX_LEN && strncmp(line, "id: ", 4) == 0)
		snprintf(follow->id, sizeof(follow->id), "%.*s", (int)len - 4, line + 4);
	else if (len > 7 && strncmp(line, ": from ", 7) == 0 && len - 7 < ID_MAX_LEN && follow->id[0] == '\0')
		snprintf(follow->id, sizeof(follow->id), "%.*s", (int)len - 7, line + 7);
	else if (len > 6 && strncmp(line, "data: ", 6) == 0 && !follow->line.full)
		show(follow, line + 6, len - 6);
}

static bool
on_bytes(void *arg, const char *data, size_t len)
{
	struct follow *follow = arg;

	follow->heard = true;
	for (size_t i = 0; i < len; i++) {
		if (data[i] != '\n') {
			buf_putc(&follow->line, data[i]);
			continue;
		}
		take_line(follow);
		buf_reset(&follow->line);
	}
	return fflush(stdout) == 0 && !ferror(stdout);
}

int
stream_follow(const struct options *options)
{
	struct follow follow = { .options = options };
	int status;

	if (buf_create(&follow.line, LINE_MAX_LEN) != 0)
		return STATUS_FAILED;
	do {
		follow.heard = false;
		buf_reset(&follow.line);
		status = client_stream(options, "/v1/alerts/live", follow.id[0] == '\0' ? NULL : follow.id, on_bytes, &follow);
		/* Once it was there, a connection that breaks is made anew, for as long as it takes. */
		if (status != STATUS_FAILED && follow.id[0] != '\0')
			sleep(RETRY_S);
	} while ((status == STATUS_UNREACHABLE || status == STATUS_DONE) && follow.id[0] != '\0' && !ferror(stdout));
	buf_destroy(&follow.line);
	return status;
}
