# SPDX-License-Identifier: MIT
#
# migrate - writes and verifies all the time, while the guest is moved
#
#   queues  hardware queues that the guest must find
#   trips   how often the host moves it, or tries to
#
# The disk's first 64 MiB are a file system; behind it each of four workers has
# 8 MiB for itself, past the page cache, on a CPU and so a queue of its own; and
# then come 4 MiB that never change.

fs_mebibytes=64

# Writes new data, reads it back and compares, until /tmp/stop is there.
work_direct()
{
	at=$((fs_mebibytes * 16 + $1 * 128))
	round=0
	while [ ! -e /tmp/stop ]; do
		dd if=/dev/urandom of=/tmp/data$1 bs=64k count=16 2>/dev/null
		dd if=/tmp/data$1 of=$disk bs=64k seek=$at oflag=direct \
			conv=notrunc 2>>/tmp/errors &&
			dd if=$disk of=/tmp/copy$1 bs=64k skip=$at count=16 \
				iflag=direct 2>>/tmp/errors &&
			cmp /tmp/data$1 /tmp/copy$1 || echo "worker $1" >>/tmp/bad
		round=$((round + 1))
		echo $round >/tmp/round$1
		usleep 20000
	done
}

# The same with files, of which the last eight stay.
work_files()
{
	round=0
	while [ ! -e /tmp/stop ]; do
		name=$dir/file$((round % 8))
		dd if=/dev/urandom of=$name bs=64k count=8 conv=fsync \
			2>>/tmp/errors || echo "file $name" >>/tmp/bad
		sha256sum $name >/tmp/sum$((round % 8))
		round=$((round + 1))
		echo $round >/tmp/round4
	done
}

read_constant()
{
	dd if=$disk bs=1M skip=$((fs_mebibytes + 32)) count=4 2>>/tmp/errors
}

# What the disk has put into the page cache is looked at a while later, when
# the guest may be elsewhere.
work_cached()
{
	round=0
	while [ ! -e /tmp/stop ]; do
		echo 1 >/proc/sys/vm/drop_caches
		read_constant >/dev/null
		usleep 500000
		[ "$(read_constant | sha256sum)" = "$constant" ] ||
			echo constant >>/tmp/bad
		round=$((round + 1))
		echo $round >/tmp/round5
	done
}

# Every worker has come so many rounds further than when it was called.
all_work_on()
{
	for n in 0 1 2 3 4 5; do
		start=$(cat /tmp/round$n 2>/dev/null)
		eval "start$n=${start:-0}"
	done
	for _ in $(seq 4500); do
		slow=
		for n in 0 1 2 3 4 5; do
			now=$(cat /tmp/round$n 2>/dev/null)
			eval "start=\$start$n"
			[ "${now:-0}" -ge $((start + $1)) ] || slow=$n
		done
		[ -n "$slow" ] || return 0
		usleep 20000
	done
	echo "worker $slow stands still"
	return 1
}

# What each worker wrote last is on the disk.
data_is_there()
{
	for n in 0 1 2 3; do
		dd if=$disk of=/tmp/copy$n bs=64k count=16 iflag=direct \
			skip=$((fs_mebibytes * 16 + n * 128)) 2>/dev/null &&
			cmp /tmp/data$n /tmp/copy$n || return 1
	done
	cat /tmp/sum? | sha256sum -c
}

wait_for $disk || return
equal "the disk has $queues queues" "$queues" "$(nr_queues)"
check "the disk is formatted" /sbin/mke2fs -q -F -t ext4 $disk \
	${fs_mebibytes}M || return
check "the file system mounts" mount -t ext4 $disk $dir || return
for n in 0 1 2 3; do
	work_direct $n &
	taskset -p $((1 << n)) $! >/dev/null
done
work_files &
dd if=/dev/urandom of=$disk bs=1M seek=$((fs_mebibytes + 32)) count=4 \
	conv=notrunc,fsync 2>/dev/null
constant=$(read_constant | sha256sum)
work_cached &
check "all workers work" all_work_on 2
for trip in $(seq "$trips"); do
	mark loaded
	check "all workers work on after trip $trip" all_work_on 2
	check "all that was read is what was written" [ ! -e /tmp/bad ]
done
mark loaded
touch /tmp/stop
wait
check "nothing failed on the way" [ ! -e /tmp/bad ] || cat /tmp/bad /tmp/errors
drop_caches
check "all is on the disk" data_is_there
check "the file system unmounts" umount $dir
check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk
