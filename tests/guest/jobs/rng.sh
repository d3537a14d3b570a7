# SPDX-License-Identifier: MIT
#
# rng - the guest's hardware random number generator is a vhost-user device

modprobe virtio_rng
wait_for /dev/hwrng || return
equal "the generator in use is virtio" virtio_rng.0 \
	"$(cat /sys/class/misc/hw_random/rng_current)"
check "64 KiB are read from it" \
	dd if=/dev/hwrng of=/tmp/random bs=4096 count=16 iflag=fullblock
check "it is 64 KiB" [ "$(wc -c </tmp/random)" = 65536 ]
# Random bytes do not compress; a buffer the device never filled would.
check "what was read looks random" \
	[ "$(gzip -c /tmp/random | wc -c)" -gt 65000 ]
dd if=/dev/hwrng of=/tmp/more bs=4096 count=16 iflag=fullblock 2>/dev/null
refuse "a second read gives other bytes" cmp -s /tmp/random /tmp/more
