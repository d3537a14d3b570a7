# SPDX-License-Identifier: MIT
#
# filesystem - format, mount, write, drop caches, read back, verify, fsck
#
#   queues       hardware queues that the guest must find
#   depth        requests that a queue must hold (optional)
#   block_bytes  the logical block size that the guest must find (optional)
#   feature      a feature bit that the driver must have accepted (optional)
#   no_feature   one that it must not have accepted (optional)
#   mebibytes    data to write

write_files()
{
	for n in $(seq 4); do
		taskset "$((1 << (n - 1)))" dd if=/dev/urandom \
			of="$dir/file$n" bs=1M count=$((mebibytes / 4)) \
			2>/dev/null &
	done
	wait
	(cd $dir && sha256sum file?) >/tmp/sums
	[ "$(wc -l </tmp/sums)" = 4 ]
}

verify_files()
{
	(cd $dir && sha256sum -c /tmp/sums)
}

# The four files are read at once, a CPU each: every queue has work.
read_files_at_once()
{
	drop_caches
	for n in $(seq 4); do
		taskset "$((1 << (n - 1)))" cat "$dir/file$n" >/dev/null &
	done
	wait
}

wait_for $disk || return
equal "the disk has $queues queues" "$queues" "$(nr_queues)"
[ -z "$depth" ] ||
	equal "a queue holds $depth requests" "$depth" \
		"$(cat $queue/nr_requests)"
[ -z "$block_bytes" ] ||
	equal "a block has $block_bytes bytes" "$block_bytes" \
		"$(cat $queue/logical_block_size)"
[ -z "$feature" ] ||
	equal "feature bit $feature was accepted" 1 \
		"$(cut -c$((feature + 1)) $queue/../device/features)"
[ -z "$no_feature" ] ||
	equal "feature bit $no_feature was not accepted" 0 \
		"$(cut -c$((no_feature + 1)) $queue/../device/features)"

check "mke2fs formats the disk" /sbin/mke2fs -q -F -t ext4 $disk || return
check "the file system mounts" mount -t ext4 $disk $dir || return
check "$mebibytes MiB are written from four CPUs" write_files
drop_caches
check "what is read back is what was written" verify_files
read_files_at_once
equal "all $queues queues were used" "$queues" "$(nr_queues_used)"
check "a file is removed" rm $dir/file4
check "the file system unmounts" umount $dir || return
check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk
check "the file system mounts again" mount -t ext4 -o ro $disk $dir || return
check "three files are still whole" sh -c \
	"cd $dir && grep -v file4 /tmp/sums | sha256sum -c"
umount $dir
