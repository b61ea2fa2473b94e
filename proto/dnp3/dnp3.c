#include "proto/proto.h"

extern const struct proto dnp3_proto;
const struct proto dnp3_proto = { .app = { .name = "dnp3" } };
