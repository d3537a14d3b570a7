# SPDX-License-Identifier: MIT
#
# verbs - what every job may use; init has read it before the job

disk=/dev/vda
queue=/sys/block/vda/queue
dir=/mnt

pass()
{
	echo "RESULT pass $*"
}

fail()
{
	echo "RESULT fail $*"
}

skip()
{
	echo "RESULT skip $*"
}

fact()
{
	echo "FACT $1 $2"
}

say()
{
	echo "SAY $*"
}

# Lets the host act and goes on when it has.
mark()
{
	echo "MARK $1"
	read -r _ </dev/console
}

# check SENTENCE COMMAND...: passes if the command does.
check()
{
	sentence=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		pass "$sentence"
	else
		fail "$sentence"
		tail -n 20 /tmp/out
		return 1
	fi
}

# refuse SENTENCE COMMAND...: passes if the command fails.
refuse()
{
	sentence=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		fail "$sentence"
	else
		pass "$sentence"
	fi
}

# equal SENTENCE EXPECTED FOUND
equal()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1 (expected '$2', found '$3')"
	fi
}

# Devices appear when the driver has answered, not when modprobe returns.
wait_for()
{
	for _ in $(seq 3000); do
		[ -e "$1" ] && return 0
		usleep 20000
	done
	fail "$1 appears within a minute"
	return 1
}

# size_is SECTORS: waits until the disk has this size.
size_is()
{
	for _ in $(seq 3000); do
		[ "$(cat /sys/block/vda/size)" = "$1" ] && return 0
		usleep 20000
	done
	echo "it has $(cat /sys/block/vda/size) sectors"
	return 1
}

drop_caches()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# How many hardware queues the disk has.
nr_queues()
{
	set -- /sys/block/vda/mq/*
	echo $#
}

# How many of them have interrupted this guest: each one that was used has.
nr_queues_used()
{
	awk '/virtio[0-9]+-req\./ {
		sum = 0
		for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++)
			sum += $i
		if (sum > 0)
			used++
	}
	END { print used + 0 }' /proc/interrupts
}

# stat_field N: the Nth number of the disk's statistics (1 reads, 5 writes,
# 3 and 7 sectors read and written, 12 discards, 16 flushes).
stat_field()
{
	awk -v n="$1" '{ print $n }' /sys/block/vda/stat
}

# now: milliseconds since boot.
now()
{
	awk '{ printf "%d", $1 * 1000 }' /proc/uptime
}
