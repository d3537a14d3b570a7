# SPDX-License-Identifier: MIT
#
# resize - the disk grows while a file system on it is mounted
#
#   before, after  its size in sectors

size_is()
{
	for _ in $(seq 500); do
		[ "$(cat /sys/block/vda/size)" = "$1" ] && return 0
		usleep 20000
	done
	echo "it has $(cat /sys/block/vda/size) sectors"
	return 1
}

write_and_compare()
{
	dd if=/tmp/data of=$disk bs=1M seek=$((after / 2048 - 4)) count=4 \
		oflag=direct &&
		dd if=$disk of=/tmp/copy bs=1M skip=$((after / 2048 - 4)) \
			count=4 iflag=direct &&
		cmp /tmp/data /tmp/copy
}

wait_for $disk || return
equal "the disk has $before sectors" "$before" "$(cat /sys/block/vda/size)"
check "the disk is formatted" /sbin/mke2fs -q -F -t ext4 $disk || return
check "the file system mounts" mount -t ext4 $disk $dir || return
dd if=/dev/urandom of=$dir/data bs=1M count=4 2>/dev/null
sum=$(sha256sum <$dir/data)
mark ready
check "the guest sees the new size" size_is "$after" || return
drop_caches
equal "what was written before is whole" "$sum" "$(sha256sum <$dir/data)"
check "the file system unmounts" umount $dir
check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
check "the new end of the disk can be written and read" write_and_compare
