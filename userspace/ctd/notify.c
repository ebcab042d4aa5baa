// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "notify.h"

#include <systemd/sd-daemon.h>

void notify_ready(unsigned int interfaces)
{
	sd_notifyf(0, "READY=1\nSTATUS=%u interfaces", interfaces);
}

void notify_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}
