#include "proto/proto.h"

extern const struct proto modbus_proto;
const struct proto modbus_proto = { .app = { .name = "modbus" } };
