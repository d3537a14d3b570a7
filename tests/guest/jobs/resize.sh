# SPDX-License-Identifier: MIT
#
# resize - the disk grows while a file system on it works, then is cut while
# what goes is written to, and at last grows again without a word
#
#   before, after, cut, alone  its size in sectors

write_and_compare()
{
	dd if=/tmp/data of=$disk bs=1M seek=$((after / 2048 - 4)) count=4 \
		oflag=direct &&
		dd if=$disk of=/tmp/copy bs=1M skip=$((after / 2048 - 4)) \
			count=4 iflag=direct &&
		cmp /tmp/data /tmp/copy
}

write_files()
{
	while [ ! -e /tmp/enough ]; do
		dd if=/tmp/data of=$dir/work bs=256k conv=fsync 2>>/tmp/faults ||
			echo failed >>/tmp/faults
	done
}

# What is behind the new end fails, and is tried again and again.
write_all_over()
{
	while [ ! -e /tmp/enough ]; do
		dd if=/tmp/data of=$disk bs=64k seek=$((cut / 128 + $1 * 64)) \
			oflag=direct 2>/dev/null && touch /tmp/written
	done
}

writes_behind_the_end()
{
	dd if=/tmp/data of=$disk bs=4k count=1 seek=$((cut / 8)) \
		oflag=direct 2>/dev/null
}

wait_for $disk || return
equal "the disk has $before sectors" "$before" "$(cat /sys/block/vda/size)"
check "the disk is formatted" /sbin/mke2fs -q -F -t ext4 $disk || return
check "the file system mounts" mount -t ext4 $disk $dir || return
dd if=/dev/urandom of=$dir/data bs=1M count=4 2>/dev/null
sum=$(sha256sum <$dir/data)
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
write_files &
mark ready
check "the guest sees the new size" size_is "$after" || return
mark grown
equal "blockdev says the same" $((after * 512)) "$(blockdev --getsize64 $disk)"
touch /tmp/enough
wait
check "no write has failed" eval "! grep -q failed /tmp/faults"
rm /tmp/enough
drop_caches
equal "what was written before is whole" "$sum" "$(sha256sum <$dir/data)"
check "the file system unmounts" umount $dir
check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk
check "the new end of the disk can be written and read" write_and_compare
dd if=/tmp/data of=$disk bs=1M oflag=direct 2>/dev/null
for n in 0 1 2 3; do
	write_all_over $n &
done
while [ ! -e /tmp/written ]; do
	usleep 20000
done
mark shrink
check "the guest sees the smaller size" size_is "$cut" || return
refuse "nothing can be written behind the end" writes_behind_the_end
mark shrunk
touch /tmp/enough
wait
check "what is left is whole" eval \
	"dd if=$disk of=/tmp/copy bs=1M count=4 iflag=direct && cmp /tmp/data /tmp/copy"
mark alone
check "the guest sees what changed by itself" size_is "$alone"
