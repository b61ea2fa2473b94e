/* What every store's handle begins with. */
#ifndef MR_STORE_STORE_PRIVATE_H
#define MR_STORE_STORE_PRIVATE_H

#include "lib/store/store.h"

struct store {
	const struct store_ops *ops;
};

#endif
