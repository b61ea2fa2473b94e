/*
 * What protocols call their functions (services, commands, types of message), and where their events say it: the one
 * place for it. Stores, reports and the command line walk the table.
 *
 * Thread: any.
 */
#ifndef MR_STORE_FUNCTION_H
#define MR_STORE_FUNCTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	STORE_FUNCTIONS_MAX = 40,
	STORE_FUNCTION_CODE_MAX = 0xffff,
};

/** One place of an event. Where an event has several of one side, the last row counts. */
struct store_function {
	const char *code;  /* dotted path, the protocol's object first; a number there is the code */
	const char *name;  /* dotted path of its name; NULL: the last word of code */
	uint16_t mask;     /* of the number, 0: all bits: some protocols mark errors in their codes */
	uint16_t base;     /* added: several kinds of code in one protocol do not share a number */
	uint16_t fixed;    /* not 0: whatever is at the path, its being there says this code */
	bool response;     /* in a response; otherwise in a request, or in a message that stands alone */
	/* Codes that are responses all the same, where messages stand alone. last 0: no more */
	struct {
		uint8_t first, last;
	} responses[3];
};

extern const struct store_function store_functions[];
extern const unsigned int store_function_count;

/** @param number what stands at the row's path. @return the code, -1: none @param response out: which side it is of */
int32_t store_function_code(const struct store_function *function, int64_t number, bool *response);
/** @return the name of what a record (an EVE event) asks or answers, lent from it or static; NULL: none */
const char *store_function_name(const json_t *record);

#endif
