/* In the place of producer.c where librdkafka is not there. */
#include <errno.h>

#include "lib/sink/kafka/producer.h"

bool
producer_is_built(void)
{
	return false;
}

int
producer_create(struct producer **out, const struct producer_config *config, const struct producer_events *events, void *arg,
	struct config_error *err)
{
	*out = NULL;
	snprintf(err->text, sizeof(err->text), "%s: this program was built without librdkafka", config->key);
	return -ENOTSUP;
}

void
producer_destroy(struct producer *producer)
{
}

int
producer_send(struct producer *producer, const struct producer_message *message)
{
	return -EINVAL;
}

void
producer_poll(struct producer *producer)
{
}

void
producer_wake(struct producer *producer, int fd)
{
}
