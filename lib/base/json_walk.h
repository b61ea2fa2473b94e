/*
 * A walk through a tree of JSON objects by the names of its values: nested names joined by dots.
 *
 * Thread: any; the tree must not change meanwhile.
 */
#ifndef MR_BASE_JSON_WALK_H
#define MR_BASE_JSON_WALK_H

#include <stdbool.h>

#include <jansson.h>

enum {
	JSON_WALK_DEPTH_MAX = 16, /* objects within objects; what lies deeper is not entered */
	JSON_WALK_PATH_MAX = 512, /* bytes of a name with its terminator; a longer one is cut */
};

enum json_walk_step {
	JSON_WALK_ENTER, /* an object's values come next; with anything else, or at the greatest depth, as PASS */
	JSON_WALK_PASS,
	JSON_WALK_STOP,
};

/** @param path lent for the call  @param key the path's last part  @param value lent from the tree */
typedef enum json_walk_step (*json_walk_fn)(void *arg, const char *path, const char *key, json_t *value);

/**
 * Calls fn for each value of the object, in the object's order, an object before what is in it.
 * @param object  what is no object has no values  @param prefix before all names, "" for none
 * @return whether it went to the end: fn did not say stop
 */
bool json_walk(const json_t *object, const char *prefix, json_walk_fn fn, void *arg);

#endif
