# SPDX-License-Identifier: MIT
#
# kills - writes and verifies on every queue while the host kills the server
#
# Each writer has an area of its own, and compares what it has written with
# what it reads back, past all caches.

area_kib=4096

# writer N: until there is /tmp/stop; each good round leaves a letter behind.
writer()
{
	part=/tmp/part$1
	round=0
	while [ ! -e /tmp/stop ]; do
		dd if=/tmp/data of=$part bs=64k count=8 \
			skip=$(((round * 5 + $1) % 24)) 2>/dev/null
		at=$(($1 * area_kib / 64 + round % 7 * 8))
		dd if=$part of=$disk bs=64k seek=$at oflag=direct \
			conv=notrunc 2>/dev/null || return 1
		dd if=$disk of=$part.back bs=64k skip=$at count=8 \
			iflag=direct 2>/dev/null || return 1
		cmp -s $part $part.back || return 1
		round=$((round + 1))
		printf x >>/tmp/rounds$1
	done
}

run_writer()
{
	writer "$1" || echo "$1" >>/tmp/failed
}

has_feature()
{
	[ "$(cut -c $((feature + 1)) /sys/block/vda/device/features)" = 1 ]
}

no_io_error()
{
	! dmesg | grep -i "i/o error"
}

wait_for $disk || return
equal "the disk has the queues" "$queues" "$(nr_queues)"
[ -z "$feature" ] || check "feature $feature was negotiated" has_feature
dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
for n in 1 2 3 4; do
	run_writer $n &
done
mark ready
touch /tmp/stop
wait
check "each writer reads what it wrote" [ ! -e /tmp/failed ]
check "no request has failed" no_io_error
for n in 1 2 3 4; do
	fact rounds$n "$(wc -c </tmp/rounds$n)"
done
