#include "app/aggregator/admit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/postgres/pg_listen.h"

enum {
	SLOTS = 65536,   /* a power of two, above the connections of one door */
	NAMES_MAX = 64,  /* of whom news has come and was not taken up; more: it is about everybody */
	FNV_PRIME = 16777619,
};

/* Someone who was let in; name "": free. */
struct slot {
	char name[BATCH_SENSOR_MAX + 1];
	char serial[LINK_SERIAL_MAX + 1];
};

struct admit {
	struct registry *registry;
	const struct settings *settings;
	void (*heard)(void *arg);
	void *arg;
	struct slot *slots;             /* [SLOTS]; NULL: nothing is remembered, the registry is near */
	struct pg_listener *listener;
	pthread_mutex_t lock;           /* of the three below */
	char names[NAMES_MAX][BATCH_SENSOR_MAX + 1];
	unsigned int name_count;
	bool all;
	_Atomic bool news;
};

static uint32_t
hash(const char *text, uint32_t from)
{
	for (; *text != '\0'; text++)
		from = (from ^ (uint8_t)*text) * FNV_PRIME;
	return from;
}

static struct slot *
slot_of(struct admit *admit, const char *name, const char *serial)
{
	return &admit->slots[hash(serial, hash(name, 2166136261)) % SLOTS];
}

void
admit_note(struct admit *admit, const char *sensor)
{
	pthread_mutex_lock(&admit->lock);
	if (sensor == NULL || admit->name_count == NAMES_MAX)
		admit->all = true;
	else
		snprintf(admit->names[admit->name_count++], sizeof(admit->names[0]), "%s", sensor);
	atomic_store(&admit->news, true);
	pthread_mutex_unlock(&admit->lock);
	admit->heard(admit->arg);
}

static void
on_news(void *arg, const char *sensor)
{
	admit_note(arg, sensor);
}

static void
forget(struct admit *admit, const char *name)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (strcmp(admit->slots[i].name, name) == 0)
			admit->slots[i].name[0] = '\0';
}

void
admit_take_news(struct admit *admit)
{
	pthread_mutex_lock(&admit->lock);
	if (admit->slots != NULL && admit->all)
		memset(admit->slots, 0, SLOTS * sizeof(*admit->slots));
	for (unsigned int i = 0; admit->slots != NULL && !admit->all && i < admit->name_count; i++)
		forget(admit, admit->names[i]);
	admit->name_count = 0;
	admit->all = false;
	atomic_store(&admit->news, false);
	pthread_mutex_unlock(&admit->lock);
}

bool
admit_lets_in(struct admit *admit, const char *name, const char *serial)
{
	struct slot *slot;
	bool may;

	if (admit->slots == NULL)
		return registry_admits(admit->registry, name, serial, admit->settings->enrol_only);
	if (atomic_load(&admit->news))
		admit_take_news(admit);
	slot = slot_of(admit, name, serial);
	if (strcmp(slot->name, name) == 0 && strcmp(slot->serial, serial) == 0 && pg_listener_is_current(admit->listener))
		return true;
	may = registry_admits(admit->registry, name, serial, admit->settings->enrol_only);
	/* What the registry said was true when it was asked; what changed since is news that is still to be taken. */
	if (may) {
		snprintf(slot->name, sizeof(slot->name), "%s", name);
		snprintf(slot->serial, sizeof(slot->serial), "%s", serial);
	}
	return may;
}

int
admit_create(struct admit **out, struct registry *registry, const struct settings *settings, void (*heard)(void *arg),
	void *arg)
{
	struct admit *admit = calloc(1, sizeof(*admit));
	int err = 0;

	if (admit == NULL)
		return -ENOMEM;
	admit->registry = registry;
	admit->settings = settings;
	admit->heard = heard;
	admit->arg = arg;
	pthread_mutex_init(&admit->lock, NULL);
	if (settings->store_kind == STORE_KIND_CLICKHOUSE) {
		admit->slots = calloc(SLOTS, sizeof(*admit->slots));
		err = admit->slots == NULL ? -ENOMEM : pg_listener_create(&admit->listener, settings->cluster.postgres, "enrol",
			REGISTRY_CHANNEL, on_news, admit);
	}
	if (err != 0) {
		admit_destroy(admit);
		return err;
	}
	*out = admit;
	return 0;
}

void
admit_destroy(struct admit *admit)
{
	if (admit == NULL)
		return;
	pg_listener_destroy(admit->listener);
	pthread_mutex_destroy(&admit->lock);
	free(admit->slots);
	free(admit);
}
