# SPDX-License-Identifier: MIT
#
# writers - several at once that write and compare, until they are stopped
#
# Each has an area of its own, and compares what it has written with what it
# reads back, past all caches. For jobs to read; does nothing by itself.

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

no_io_error()
{
	! dmesg | grep -i "i/o error"
}

start_writers()
{
	dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
	for n in 1 2 3 4; do
		run_writer $n &
	done
}

# What they have found out, and how far each came.
stop_writers()
{
	touch /tmp/stop
	wait
	check "each writer reads what it wrote" [ ! -e /tmp/failed ]
	check "no request has failed" no_io_error
	for n in 1 2 3 4; do
		fact rounds$n "$(wc -c </tmp/rounds$n)"
	done
}
