#include "app/sensor/port_watch.h"

#include <inttypes.h>
#include <stdio.h>

enum { MS_PER_S = 1000 };

static const struct {
	const char *name, *news;
} links[] = {
	[PORT_LINK_UP] = { "up", "the link is up again" },
	[PORT_LINK_DOWN] = { "down", "the link is down, nothing is seen there" },
	[PORT_LINK_GONE] = { "gone", "there is no such interface any more, nothing is seen there" },
	[PORT_LINK_REPLACED] = { "replaced", "there is another interface of its name" },
};

const char *
port_link_name(enum port_link link)
{
	return links[link].name;
}

void
port_watch_begin(struct port_watch *watch, uint64_t now_ms)
{
	/* One by one: some who ask may be there already. */
	watch->link = PORT_LINK_UP;
	watch->links_lost = 0;
	watch->silences = 0;
	watch->received = 0;
	watch->heard_ms = now_ms;
	watch->changed_ms = now_ms;
	watch->silent = false;
}

static bool
link_step(struct port_watch *watch, enum port_link link, uint64_t now_ms, char *text, size_t size)
{
	enum port_link before = (enum port_link)watch->link;

	if (link == PORT_LINK_NONE)
		watch->link = link;
	if (link == before || link == PORT_LINK_NONE)
		return false;
	if (link == PORT_LINK_UP)
		snprintf(text, size, "%s, after %" PRIu64 " s", links[link].news, (now_ms - watch->changed_ms) / MS_PER_S);
	else
		snprintf(text, size, "%s", links[link].news);
	watch->links_lost += before == PORT_LINK_UP;
	watch->link = link;
	watch->changed_ms = now_ms;
	return link != PORT_LINK_UP;
}

bool
port_watch_step(struct port_watch *watch, enum port_link link, uint64_t received, uint64_t now_ms, uint64_t silence_s,
	char *text, size_t size)
{
	uint64_t silent_s = (now_ms - watch->heard_ms) / MS_PER_S;
	bool heard = received != watch->received, blind = link != PORT_LINK_UP && link != PORT_LINK_NONE, bad;

	text[0] = '\0';
	bad = link_step(watch, link, now_ms, text, size);
	watch->received = received;
	if (heard) {
		if (watch->silent && text[0] == '\0')
			snprintf(text, size, "frames come again, after %" PRIu64 " s of silence", silent_s);
		watch->silent = false;
		watch->heard_ms = now_ms;
	} else if (!watch->silent && silence_s > 0 && silent_s >= silence_s && !blind && text[0] == '\0') {
		snprintf(text, size, "no frame came for %" PRIu64 " s: does the switch still mirror to it?", silent_s);
		watch->silent = true;
		watch->silences++;
		bad = true;
	}
	return bad;
}
