/*
 * What the service manager that started the program wants to hear, by the protocol of sd_notify(3): a datagram to the socket
 * that $NOTIFY_SOCKET names. Without a manager nothing is done.
 *
 * Thread: any.
 */
#ifndef MR_BASE_SERVICE_H
#define MR_BASE_SERVICE_H

#include <stdint.h>

/** @param state  "READY=1", "STOPPING=1", "WATCHDOG=1". @return 0, also where nobody asked, or -errno */
int service_tell(const char *state);
/** How often WATCHDOG=1 is due, milliseconds: half of the time after which the manager takes the program for hung
 *  ($WATCHDOG_USEC, for this process by $WATCHDOG_PID). 0: never */
uint64_t service_watchdog_ms(void);

#endif
