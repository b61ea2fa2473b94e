#include "lib/base/mem.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE_LEN = 2 * 1024 * 1024 };

static size_t
whole_pages(size_t len)
{
	return (len + HUGE_PAGE_LEN - 1) & ~(size_t)(HUGE_PAGE_LEN - 1);
}

/* Ordinary pages: mapped with room to spare, then trimmed to a 2 MiB boundary, so that they can become huge. */
static void *
map_aligned(size_t len)
{
	uint8_t *raw = mmap(NULL, len + HUGE_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *area;
	size_t before;

	if (raw == MAP_FAILED)
		return NULL;
	before = whole_pages((uintptr_t)raw) - (uintptr_t)raw;
	area = raw + before;
	if (before > 0)
		munmap(raw, before);
	if (before < HUGE_PAGE_LEN)
		munmap(area + len, HUGE_PAGE_LEN - before);
	(void)madvise(area, len, MADV_HUGEPAGE);
	return area;
}

void *
mem_area_create(size_t len)
{
	void *area;

	if (len == 0 || len > SIZE_MAX / 2)
		return NULL;
	len = whole_pages(len);
	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (area != MAP_FAILED)
		return area;
	area = map_aligned(len);
	if (area != NULL)
		memset(area, 0, len);
	return area;
}

void
mem_area_destroy(void *area, size_t len)
{
	if (area != NULL)
		munmap(area, whole_pages(len));
}
