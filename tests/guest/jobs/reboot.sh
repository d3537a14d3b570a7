# SPDX-License-Identifier: MIT
#
# reboot - the guest resets the machine and finds its data afterwards

check_again()
{
	mount -t ext4 $disk $dir && (cd $dir && sha256sum -c sums) &&
		umount $dir && /sbin/e2fsck -f -n $disk
}

first_boot()
{
	check "the disk is formatted" /sbin/mke2fs -q -F -L rebooted -t ext4 \
		$disk || return
	check "the file system mounts" mount -t ext4 $disk $dir || return
	dd if=/dev/urandom of=$dir/data bs=1M count=16 2>/dev/null
	(cd $dir && sha256sum data >sums)
	check "the file system unmounts before the reset" umount $dir || return
	reboot -f
	sleep 300
}

wait_for $disk || return
# The label lies 120 bytes into the superblock, which begins at byte 1024.
label=$(dd if=$disk bs=1 skip=1144 count=8 2>/dev/null)
if [ "$label" = rebooted ]; then
	check "after the reset the data is whole" check_again
else
	first_boot
fi
