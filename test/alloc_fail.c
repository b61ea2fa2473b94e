/* Linked with --wrap: see test.h. */
#include <stdlib.h>
#include <string.h>

void test_fail_alloc(unsigned int nth);
int test_alloc_failed(void);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

/* Of the thread that asked: what others allocate meanwhile is theirs. */
static _Thread_local unsigned int countdown;
static _Thread_local int reached;

void
test_fail_alloc(unsigned int nth)
{
	countdown = nth;
	reached = 0;
}

int
test_alloc_failed(void)
{
	return reached;
}

static int
fail_now(void)
{
	if (countdown == 0 || --countdown > 0)
		return 0;
	reached = 1;
	return 1;
}

void *
__wrap_malloc(size_t size)
{
	return fail_now() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fail_now() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fail_now() ? NULL : __real_realloc(old, size);
}

char *
__wrap_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = fail_now() ? NULL : __real_malloc(len);

	return copy == NULL ? NULL : memcpy(copy, text, len);
}
