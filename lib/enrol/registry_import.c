/* A registry of one aggregator into that of several: row by row, each as it is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/enrol/registry_private.h"

enum { PATH_LEN_MAX = 4096 };

struct taking {
	struct registry *to;
	struct registry_taken *taken;
};

static const char *
text_of(const struct registry_cell *cell)
{
	return cell->data == NULL ? "" : cell->data;
}

static int
take_sensor(void *arg, const struct registry_cell *cells)
{
	const struct taking *taking = arg;
	int err = registry_run(taking->to, SQL_TAKE_SENSOR, "tttnn", text_of(&cells[0]), text_of(&cells[1]), text_of(&cells[2]),
		registry_cell_number(&cells[3]), registry_cell_number(&cells[4]));

	taking->taken->sensors++;
	return err < 0 ? err : registry_announce(taking->to, text_of(&cells[0]));
}

static int
take_invitation(void *arg, const struct registry_cell *cells)
{
	const struct taking *taking = arg;
	int err = registry_run(taking->to, SQL_TAKE_INVITATION, "tdtttnnnt", text_of(&cells[0]), (const void *)text_of(&cells[1]),
		cells[1].len, text_of(&cells[2]), text_of(&cells[3]), text_of(&cells[4]), registry_cell_number(&cells[5]),
		registry_cell_number(&cells[6]), registry_cell_number(&cells[7]), text_of(&cells[8]));

	taking->taken->invitations++;
	return err < 0 ? err : 0;
}

static int
take_certificate(void *arg, const struct registry_cell *cells)
{
	const struct taking *taking = arg;
	int err = registry_run(taking->to, SQL_TAKE_CERTIFICATE, "ttdnnnt", text_of(&cells[0]), text_of(&cells[1]),
		(const void *)text_of(&cells[2]), cells[2].len, registry_cell_number(&cells[3]), registry_cell_number(&cells[4]),
		registry_cell_number(&cells[5]), text_of(&cells[6]));

	taking->taken->certificates++;
	return err < 0 ? err : 0;
}

static int
take_audit(void *arg, const struct registry_cell *cells)
{
	const struct taking *taking = arg;
	int err = registry_run(taking->to, SQL_AUDIT_ADD, "ntttt", registry_cell_number(&cells[0]), text_of(&cells[1]),
		text_of(&cells[2]), text_of(&cells[3]), text_of(&cells[4]));

	taking->taken->audit++;
	return err < 0 ? err : 0;
}

static int
take_all(struct registry *from, struct registry *to, struct registry_taken *taken)
{
	struct taking taking = { .to = to, .taken = taken };
	const struct registry_question questions[] = {
		{ .which = SQL_ALL_SENSORS, .row = take_sensor, .arg = &taking, .types = "" },
		{ .which = SQL_ALL_INVITATIONS, .row = take_invitation, .arg = &taking, .types = "" },
		{ .which = SQL_ALL_CERTIFICATES, .row = take_certificate, .arg = &taking, .types = "" },
		{ .which = SQL_ALL_AUDIT, .row = take_audit, .arg = &taking, .types = "" },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && err >= 0; i++)
		err = registry_ask(from, &questions[i]);
	return err < 0 ? err : 0;
}

static int
import(struct registry *from, struct registry *to, const char *path, uint64_t now_s, struct registry_taken *out)
{
	char detail[128];
	struct registry_deed deed = { "operator", "import", "", detail };
	int err = registry_file_hold(from->books);

	if (err == -EBUSY)
		log_error("enrol", "import: %s: an aggregator uses it", path);
	if (err != 0)
		return err;
	err = registry_begin(to);
	if (err != 0)
		return err;
	err = take_all(from, to, out);
	snprintf(detail, sizeof(detail), "%llu sensors, %llu invitations, %llu certificates of %s", (unsigned long long)out->sensors,
		(unsigned long long)out->invitations, (unsigned long long)out->certificates, path);
	if (err == 0)
		err = registry_note(to, &deed, now_s);
	return registry_end(to, err);
}

int
registry_import(struct registry *registry, const char *path, uint64_t now_s, struct registry_taken *out)
{
	char done[PATH_LEN_MAX];
	struct registry *from = NULL;
	int err = 0;

	*out = (struct registry_taken){ 0 };
	if ((size_t)snprintf(done, sizeof(done), "%s.imported", path) >= sizeof(done))
		err = -ENAMETOOLONG;
	else if (access(path, R_OK | W_OK) != 0)
		err = -errno;
	else if (access(done, F_OK) == 0)
		err = -EEXIST;
	if (err != 0) {
		log_error("enrol", "import: %s: %s", err == -EEXIST ? done : path, strerror(-err));
		return err;
	}
	err = registry_open(&from, REGISTRY_SQLITE, path);
	if (err == 0)
		err = import(from, registry, path, now_s, out);
	registry_close(from);
	if (err == 0 && rename(path, done) != 0)
		log_error("enrol", "import: done, but %s could not be renamed: %s", path, strerror(errno));
	return err;
}
