/*
 * Whether a port can see anything: its link, and how long ago its last frame came. A mirror that was switched off looks like
 * a plant in which nothing happens; it must not.
 *
 * Thread: port_watch_step() on one thread; what stats read may be read by any.
 */
#ifndef MR_SENSOR_PORT_WATCH_H
#define MR_SENSOR_PORT_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum port_link {
	PORT_LINK_NONE,     /* the port has no link to speak of: a file, a ring */
	PORT_LINK_UP,
	PORT_LINK_DOWN,
	PORT_LINK_GONE,     /* the interface is there no more */
	PORT_LINK_REPLACED, /* another interface has its name, of which the port sees nothing */
};

struct port_watch {
	_Atomic uint32_t link;       /* enum port_link, as last seen */
	_Atomic uint64_t links_lost; /* times that the link was up no more */
	_Atomic uint64_t silences;   /* times that the port was told to be silent */
	uint64_t received;           /* frames, as last seen */
	uint64_t heard_ms;           /* when the last frame was known to have come, or the watch began */
	uint64_t changed_ms;         /* of the link */
	bool silent;                 /* told, and no frame since */
};

/** The state of a port that was heard just now. @param now_ms clock_ms(), as in port_watch_step() */
void port_watch_begin(struct port_watch *watch, uint64_t now_ms);

/**
 * Takes notice of a port's state. Called about once a second.
 *
 * @param received   frames that came so far
 * @param silence_s  seconds without a frame that are too many; 0: none are
 * @param text       out: what the log is to say of a change; "" for nothing
 * @return whether that is bad news
 */
bool port_watch_step(struct port_watch *watch, enum port_link link, uint64_t received, uint64_t now_ms, uint64_t silence_s,
	char *text, size_t size);

/** "up", "down", "gone", "replaced"; NULL for PORT_LINK_NONE. */
const char *port_link_name(enum port_link link);

#endif
