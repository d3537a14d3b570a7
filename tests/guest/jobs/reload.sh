# SPDX-License-Identifier: MIT
#
# reload - the driver goes away and comes back: the device is reset each time

reload_driver()
{
	rmmod virtio_blk && modprobe virtio_blk && wait_for $disk &&
		dd if=$disk of=/tmp/copy bs=1M count=4 iflag=direct &&
		cmp /tmp/data /tmp/copy
}

reload_ten_times()
{
	for _ in $(seq 10); do
		reload_driver || return
	done
}

wait_for $disk || return
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
check "4 MiB are written" dd if=/tmp/data of=$disk bs=1M oflag=direct
check "ten times the driver is loaded anew and reads the same" reload_ten_times
