/* SPDX-License-Identifier: MIT */
/*
 * apply_wait - the start of a daemon waits for its disks, but not for ever
 *
 * A server of images that does not answer is to hold up neither the disks of
 * others nor the control socket, by which something can be done about it.
 */
#include <errno.h>

#include "common/base.h"
#include "common/log.h"
#include "server/apply.h"

#define TAG	      "config"
#define PATIENCE_MSEC 10000

void apply_wait(struct apply *apply)
{
	if (daemon_await(apply->daemon, &apply->ended, PATIENCE_MSEC) == -ETIME)
		rh_log(RH_LOG_WARNING, TAG,
		       "some storage does not answer: its disks are added "
		       "when it does, all others are served");
}
