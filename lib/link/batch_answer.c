/* What an aggregator's answer to a batch means. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "lib/link/batch_private.h"

enum {
	ANSWER_LEN_MAX = 4096,
	RETRY_MIN_MS = 100,
	RETRY_DEFAULT_MS = 1000,
};

/* Statuses that come from something on the way (a proxy, a balancer) or say that the sensor, not the batch, is
 * refused: the same batch may pass later. */
static const int later_statuses[] = { 401, 403, 404, 405, 407, 408, 421, 425, 429 };

static bool
is_later(int status)
{
	for (size_t i = 0; i < sizeof(later_statuses) / sizeof(later_statuses[0]); i++)
		if (later_statuses[i] == status)
			return true;
	return status < 400 || status >= 500;
}

static bool
answer_number(json_t *root, const char *key, uint64_t *out)
{
	json_t *value = json_object_get(root, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

static void
answer_error(struct batch_answer *out, json_t *root, int status)
{
	const char *text = json_string_value(json_object_get(root, "error"));
	size_t len = 0;

	if (text == NULL) {
		snprintf(out->error, sizeof(out->error), "status %d", status);
		return;
	}
	for (; *text != '\0' && len < sizeof(out->error) - 1; text++)
		out->error[len++] = isascii(*text) && isprint(*text) ? *text : '?';
	out->error[len] = '\0';
}

static uint64_t
retry_ms(const char *retry_after)
{
	uint64_t seconds;

	if (retry_after == NULL || !batch_number_read(retry_after, UINT32_MAX, &seconds))
		return RETRY_DEFAULT_MS;
	if (seconds > BATCH_RETRY_MAX_S)
		seconds = BATCH_RETRY_MAX_S;
	return seconds == 0 ? RETRY_MIN_MS : seconds * 1000;
}

/* A reason that is not known here asks for no more than a hole does. */
static enum batch_verdict
hole_verdict(json_t *root)
{
	const char *why = json_string_value(json_object_get(root, "why"));

	if (why != NULL && strcmp(why, BATCH_WHY_COMPARE) == 0)
		return BATCH_COMPARE;
	return why != NULL && strcmp(why, BATCH_WHY_FOREIGN) == 0 ? BATCH_FOREIGN : BATCH_HOLE;
}

void
batch_answer_parse(struct batch_answer *out, int status, const char *retry_after, const void *body, size_t len)
{
	json_t *root = len > ANSWER_LEN_MAX ? NULL : json_loadb(body, len, 0, NULL);

	*out = (struct batch_answer){ .verdict = BATCH_LATER, .retry_after_ms = retry_ms(retry_after) };
	if (status == 200 && answer_number(root, "acked", &out->sequence))
		out->verdict = BATCH_ACKED;
	else if (status == 409 && answer_number(root, "expected", &out->sequence) && out->sequence > 0)
		out->verdict = hole_verdict(root);
	else if (status == 413) {
		out->verdict = BATCH_TOO_LARGE;
		(void)answer_number(root, "max_bytes", &out->max_bytes);
	} else if (!is_later(status) && status != 409)
		out->verdict = BATCH_POISON;
	if (out->verdict == BATCH_POISON || out->verdict == BATCH_LATER)
		answer_error(out, root, status);
	json_decref(root);
}
