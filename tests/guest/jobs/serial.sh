# SPDX-License-Identifier: MIT
#
# serial - the guest reads the serial number of the disk
#
#   serial  what it must be

wait_for $disk || return
equal "the disk has serial number $serial" "$serial" \
	"$(cat /sys/block/vda/serial)"
