# SPDX-License-Identifier: MIT
#
# discard - what the guest frees, the host frees
#
# The host looks at the image at each mark.

wait_for $disk || return
check "the disk takes discards" \
	[ "$(cat $queue/discard_max_bytes)" -gt 0 ] || return
check "the disk takes write-zeroes" \
	[ "$(cat $queue/write_zeroes_max_bytes)" -gt 0 ]
check "the disk is formatted" /sbin/mke2fs -q -F -t ext4 $disk || return
check "the file system mounts" mount -t ext4 $disk $dir || return
dd if=/dev/urandom of=$dir/keep bs=1M count=4 2>/dev/null
dd if=/dev/urandom of=$dir/drop bs=1M count=64 2>/dev/null
sum=$(sha256sum <$dir/keep)
sync
mark written
rm $dir/drop
sync
check "fstrim trims" fstrim -v $dir
check "the trim reached the disk as discards" \
	[ "$(stat_field 12)" -gt 0 ]
mark trimmed
drop_caches
equal "the file beside it is whole" "$sum" "$(sha256sum <$dir/keep)"
check "the file system unmounts" umount $dir
check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk

dd if=/dev/urandom of=$disk bs=1M count=16 oflag=direct 2>/dev/null
check "write-zeroes succeeds" /sbin/blkdiscard -z -o 1048576 -l 8388608 $disk
check "what was zeroed reads as zeroes" sh -c "dd if=$disk bs=1M skip=1 \
	count=8 iflag=direct 2>/dev/null | cmp -n 8388608 - /dev/zero"
check "what lies behind it does not" sh -c "! dd if=$disk bs=1M skip=9 \
	count=1 iflag=direct 2>/dev/null | cmp -s -n 1048576 - /dev/zero"
check "discarding the whole disk succeeds" /sbin/blkdiscard $disk
mark discarded
