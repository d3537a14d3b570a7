/* SPDX-License-Identifier: MIT */
/* ringhost - all of the library's public headers */
#ifndef RINGHOST_RINGHOST_H
#define RINGHOST_RINGHOST_H

#include <ringhost/version.h>
#include <ringhost/log.h>
#include <ringhost/queue.h>
#include <ringhost/device.h>
#include <ringhost/handover.h>
#include <ringhost/object.h>
#include <ringhost/socket.h>
#include <ringhost/poll.h>

#endif
