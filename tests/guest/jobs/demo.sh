# SPDX-License-Identifier: MIT
#
# demo - what `make demo` shows: a file system on the disk, checked and timed

nr_files=8
file_mebibytes=32
total=$((nr_files * file_mebibytes))

# per_second MILLISECONDS: MiB/s for all the data.
per_second()
{
	echo $((total * 1000 / ($1 + 1)))
}

# all_at_once COMMAND...: one process a file, each told its number as $n.
all_at_once()
{
	for n in $(seq $nr_files); do
		"$@" &
	done
	wait
}

write_one()
{
	dd if=/tmp/data of=$dir/file$n bs=1M conv=fsync 2>/dev/null
}

read_one()
{
	cat $dir/file$n >/dev/null
}

timed()
{
	begin=$(now)
	"$@"
	took=$(($(now) - begin))
}

demo()
{
	wait_for $disk || return
	size=$(($(cat /sys/block/vda/size) / 2048))
	say "Linux $(uname -r) is up; it sees $disk: $size MiB," \
		"$(nr_queues) queues, $(nproc) CPUs"

	timed check "the disk is formatted (ext4)" \
		/sbin/mke2fs -q -F -t ext4 $disk || return
	check "the file system is mounted" mount -t ext4 $disk $dir || return
	say "formatted with ext4 in $took ms and mounted"

	dd if=/dev/urandom of=/tmp/data bs=1M count=$file_mebibytes 2>/dev/null
	sum=$(sha256sum </tmp/data)
	timed all_at_once write_one
	fact write_mibps "$(per_second $took)"
	say "wrote $nr_files files of random data, $total MiB, to the disk" \
		"in $took ms: $(per_second $took) MiB/s"

	drop_caches
	timed all_at_once read_one
	fact read_mibps "$(per_second $took)"
	say "dropped all caches, read $total MiB back in $took ms:" \
		"$(per_second $took) MiB/s"

	drop_caches
	right=0
	for n in $(seq $nr_files); do
		[ "$(sha256sum <$dir/file$n)" = "$sum" ] && right=$((right + 1))
	done
	equal "every file has the checksum it was written with" \
		$nr_files $right
	say "dropped them again; $right of $nr_files files have the SHA-256" \
		"they were written with"
	fact verified_mib $((right * file_mebibytes))

	check "the file system is unmounted" umount $dir
	check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk &&
		say "unmounted; e2fsck finds nothing to mend"
	fact reads "$(stat_field 1)"
	fact writes "$(stat_field 5)"
	fact flushes "$(stat_field 16)"
	fact queues "$(nr_queues)"
	fact queues_used "$(nr_queues_used)"
}

demo
