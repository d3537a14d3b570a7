# SPDX-License-Identifier: MIT
#
# kills - writes and verifies on every queue while the host kills the server

. /jobs/writers.sh

has_feature()
{
	[ "$(cut -c $((feature + 1)) /sys/block/vda/device/features)" = 1 ]
}

wait_for $disk || return
equal "the disk has the queues" "$queues" "$(nr_queues)"
[ -z "$feature" ] || check "feature $feature was negotiated" has_feature
start_writers
mark ready
stop_writers
