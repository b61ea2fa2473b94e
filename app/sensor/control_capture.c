/* The control socket's verbs `capture.start`, `capture.stop` and `capture.status`: frames kept in a file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/sensor/sensor.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/config/config.h"

enum { ANSWER_MS = 10000, CLOSE_MS = 2000, POLL_US = 500, NAME_LEN = 64, TIME_LEN = 40 };

static const uint64_t SECOND_NS = 1000000000, YEAR_S = 366 * 86400;

/* ---- what is told ---- */

static void
put_time(json_t *out, const char *key, uint64_t ns)
{
	time_t seconds = (time_t)(ns / SECOND_NS);
	char text[TIME_LEN];
	struct tm utc;

	if (ns == 0 || gmtime_r(&seconds, &utc) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		return;
	json_object_set_new(out, key, json_string(text));
}

static json_t *
tell(const struct recording_state *state)
{
	json_t *out = json_pack("{s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:I}", "ok", 1, "state", recording_end_names[state->end], "file", state->path,
		"filter", state->filter, "frames", (json_int_t)state->frames, "bytes", (json_int_t)state->bytes, "dropped",
		(json_int_t)state->dropped, "skipped", (json_int_t)state->skipped);

	put_time(out, "began", state->began_ns);
	put_time(out, "ended", state->ended_ns);
	if (state->fault[0] != '\0')
		json_object_set_new(out, "fault", json_string(state->fault));
	return out;
}

static json_t *
tell_recording(struct recording *recording)
{
	struct recording_state *state = calloc(1, sizeof(*state));
	json_t *out;

	if (state == NULL)
		return NULL;
	recording_get_state(recording, state);
	out = tell(state);
	free(state);
	return out;
}

/* ---- workers ---- */

static void
hand(struct sensor *sensor, struct recording *recording)
{
	for (unsigned int i = 0; i < sensor->worker_count; i++)
		atomic_store_explicit(&sensor->workers[i]->recording_next, recording, memory_order_release);
}

/* Whether none is at another one any more. */
static bool
have_taken(const struct sensor *sensor, const struct recording *recording)
{
	for (unsigned int i = 0; i < sensor->worker_count; i++) {
		const struct worker *worker = sensor->workers[i];

		if (!atomic_load(&worker->done) && atomic_load_explicit(&worker->recording, memory_order_acquire) != recording)
			return false;
	}
	return true;
}

/* @return false: one of them does not come by */
static bool
hand_and_wait(struct sensor *sensor, struct recording *recording)
{
	uint64_t until_ms = clock_ms() + ANSWER_MS;

	hand(sensor, recording);
	while (!have_taken(sensor, recording)) {
		if (clock_ms() > until_ms)
			return false;
		usleep(POLL_US);
	}
	return true;
}

/* Keeps what is to be told of it. @return false: the disk does not take the end of the file within wait_ms, try again */
static bool
put_away(struct sensor *sensor, unsigned int wait_ms)
{
	struct recording_state *state;

	if (!recording_finish(sensor->recording, wait_ms))
		return false;
	state = sensor->recorded != NULL ? sensor->recorded : calloc(1, sizeof(*state));
	if (state != NULL) {
		recording_get_state(sensor->recording, state);
		log_notice("capture", "%s: ended (%s), %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64 " dropped%s%s", state->path,
			recording_end_names[state->end], state->frames, state->bytes, state->dropped, state->fault[0] != '\0' ? ": " : "",
			state->fault);
	}
	recording_destroy(sensor->recording);
	sensor->recording = NULL;
	sensor->recorded = state;
	return true;
}

/* ---- the verbs ---- */

/* @return whether it is absent, or a number of 1 to most */
static bool
read_limit(const json_t *request, const char *key, uint64_t most, uint64_t *out, struct config_error *err)
{
	const json_t *value = json_object_get(request, key);
	json_int_t number = json_integer_value(value);

	if (value == NULL)
		return true;
	if (json_is_integer(value) && number >= 1 && (uint64_t)number <= most) {
		*out = (uint64_t)number;
		return true;
	}
	snprintf(err->text, sizeof(err->text), "%s is not a number of 1 to %" PRIu64, key, most);
	return false;
}

static bool
read_text(const json_t *request, const char *key, const char **out, struct config_error *err)
{
	const json_t *value = json_object_get(request, key);

	if (value == NULL)
		return true;
	*out = json_string_value(value);
	if (*out == NULL)
		snprintf(err->text, sizeof(err->text), "%s is not a text", key);
	return *out != NULL;
}

/* @param name  room for the one that it gets when none is asked for */
static bool
read_order(const struct sensor *sensor, const json_t *request, char name[NAME_LEN], struct recording_order *out, struct config_error *err)
{
	const struct sensor_config *config = &sensor->settings.sensor;
	struct timespec now = { 0 };
	char second[NAME_LEN];
	struct tm utc;

	/* Two may begin within one second. */
	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &utc) == NULL || strftime(second, sizeof(second), "%Y%m%dT%H%M%S", &utc) == 0)
		second[0] = '\0';
	snprintf(name, NAME_LEN, "capture-%.20s.%03ldZ.pcap", second, now.tv_nsec / 1000000);
	*out = (struct recording_order){ .dir = config->capture_dir, .name = name, .filter = "", .bytes_max = config->capture_size,
		.keep_free = config->capture_keep_free };
	return read_text(request, "filter", &out->filter, err) && read_text(request, "name", &out->name, err) &&
		read_limit(request, "frames", INT64_MAX, &out->frames_max, err) &&
		read_limit(request, "seconds", YEAR_S, &out->seconds_max, err) &&
		read_limit(request, "bytes", config->capture_size, &out->bytes_max, err);
}

json_t *
control_capture_start(struct sensor *sensor, const json_t *request, struct config_error *err)
{
	struct recording_order order;
	char name[NAME_LEN];

	if (sensor->recording != NULL && recording_is_over(sensor->recording) && hand_and_wait(sensor, NULL))
		(void)put_away(sensor, CLOSE_MS);
	if (sensor->recording != NULL) {
		snprintf(err->text, sizeof(err->text), "a capture is under way: capture.status tells which");
		return NULL;
	}
	if (!read_order(sensor, request, name, &order, err) ||
	    recording_start(&sensor->recording, &order, sensor->worker_count, err) != 0)
		return NULL;
	log_notice("capture", "%s/%s: begun%s%s", order.dir, order.name, order.filter[0] == '\0' ? "" : ", of ", order.filter);
	if (!hand_and_wait(sensor, sensor->recording))
		log_warning("capture", "a worker does not come by: its frames are missing until it does");
	return tell_recording(sensor->recording);
}

json_t *
control_capture_stop(struct sensor *sensor, const json_t *request, struct config_error *err)
{
	if (sensor->recording == NULL) {
		snprintf(err->text, sizeof(err->text), "no capture is under way");
		return NULL;
	}
	if (!hand_and_wait(sensor, NULL)) {
		snprintf(err->text, sizeof(err->text), "a worker does not answer: the capture goes on with it, ask again");
		return NULL;
	}
	if (!put_away(sensor, CLOSE_MS)) {
		log_warning("capture", "the disk hangs: the file is still being closed");
		return tell_recording(sensor->recording);
	}
	return sensor->recorded == NULL ? json_pack("{s:b}", "ok", 1) : tell(sensor->recorded);
}

json_t *
control_capture_status(struct sensor *sensor, const json_t *request, struct config_error *err)
{
	control_capture_watch(sensor);
	if (sensor->recording != NULL)
		return tell_recording(sensor->recording);
	return sensor->recorded != NULL ? tell(sensor->recorded) : json_pack("{s:b,s:s}", "ok", 1, "state", "none");
}

void
control_capture_watch(struct sensor *sensor)
{
	if (sensor->recording == NULL || !recording_is_over(sensor->recording))
		return;
	hand(sensor, NULL);
	if (have_taken(sensor, NULL))
		(void)put_away(sensor, 0);
}

void
control_capture_end(struct sensor *sensor)
{
	/* Its thread and what it has to write are left to a disk that hangs. */
	if (sensor->recording != NULL && hand_and_wait(sensor, NULL) && !put_away(sensor, CLOSE_MS))
		log_warning("capture", "the disk hangs: the file is not whole, its name ends in .part");
	free(sensor->recorded);
	sensor->recorded = NULL;
}
