# SPDX-License-Identifier: MIT
#
# day - writes and verifies while the host limits, resizes and moves the disk,
# and puts another daemon in the place of the one that serves it
#
#   queues  its queues
#   before  its size in sectors
#   after   that which the host gives it, or the same
#   limit   KiB a second that one of two guests is held to

. /jobs/writers.sh

kib_moved()
{
	echo $((($(stat_field 3) + $(stat_field 7)) / 2))
}

# go_ahead KIB: until so much is read and written a second, in vain for a
# minute at most; the host may be busy.
go_ahead()
{
	for _ in $(seq 20); do
		begun=$(now)
		moved=$(kib_moved)
		sleep 3
		moved=$(($(kib_moved) - moved))
		rate=$((moved * 1000 / ($(now) - begun)))
		[ $rate -lt "$1" ] || break
	done
}

# The host knows how long that took: its clock is right also when the processors
# of this guest stand still for seconds.
count_from_here()
{
	counted=$(kib_moved)
}

counted_until() # NAME
{
	fact "$1" $(($(kib_moved) - counted))
}

write_at_the_end()
{
	dd if=/tmp/data of=$disk bs=4k count=4 seek=$((after / 8 - 4)) \
		oflag=direct &&
		dd if=$disk of=/tmp/end bs=4k count=4 iflag=direct \
			skip=$((after / 8 - 4)) &&
		cmp -n 16384 /tmp/data /tmp/end
}

wait_for $disk || return
equal "the disk has the queues" "$queues" "$(nr_queues)"
equal "the disk has its size" "$before" "$(cat /sys/block/vda/size)"
start_writers
go_ahead $((limit * 3 / 2))
fact free $rate
mark working
count_from_here
check "the guest sees the size that the host has given it" size_is "$after"
check "the end of the disk can be written and read" write_at_the_end
go_ahead $((limit / 2))
counted_until limited
mark limited
count_from_here
go_ahead $((limit / 2))
counted_until upgraded
mark upgraded
stop_writers
