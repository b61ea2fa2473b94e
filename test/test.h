/*
 * For every unit test: cmocka with what it needs included first, and allocation failure.
 *
 * TEST_FAIL_EACH_ALLOC runs an expression once for each allocation it makes, failing the
 * first, then the second, and so on, until it succeeds:
 *
 *   TEST_FAIL_EACH_ALLOC(slab_create(&slab, 1 << 20), == 0, slab_destroy(slab));
 */
#ifndef MR_TEST_TEST_H
#define MR_TEST_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** The nth allocation from now fails (1 is the next); 0: none does. Covers malloc, calloc, realloc and strdup
 *  called on this thread from the project's own objects. */
void test_fail_alloc(unsigned int nth);
/** Whether the failure was reached since test_fail_alloc(). */
int test_alloc_failed(void);

#define TEST_FAIL_EACH_ALLOC(call, success, cleanup)                          \
	do {                                                                  \
		for (unsigned int nth_ = 1;; nth_++) {                        \
			test_fail_alloc(nth_);                                \
			int ok_ = (call)success;                              \
			int failed_ = test_alloc_failed();                    \
			test_fail_alloc(0);                                   \
			if (ok_) {                                            \
				cleanup;                                      \
			}                                                     \
			if (!failed_) {                                       \
				assert_true(ok_);                             \
				break;                                        \
			}                                                     \
			assert_false(ok_);                                    \
			assert_true(nth_ < 10000);                            \
		}                                                             \
	} while (0)

#endif
