/*
 * Large areas obtained once at start: huge pages where the system has some left, else
 * ordinary pages with transparent huge pages asked for. Zeroed; touched before return, so
 * that no worker takes a page fault later.
 */
#ifndef MR_BASE_MEM_H
#define MR_BASE_MEM_H

#include <stddef.h>

/** @return the area, 2 MiB aligned, or NULL. Free with the same len. */
void *mem_area_create(size_t len);
void mem_area_destroy(void *area, size_t len);

#endif
