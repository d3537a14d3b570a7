# SPDX-License-Identifier: MIT
#
# recover - mounts what job busy left behind

wait_for $disk || return
check "the journal replays and the file system mounts" \
	mount -t ext4 $disk $dir || return
check "what was synced before is whole" \
	sh -c "cd $dir && sha256sum -c sums"
check "the file system unmounts" umount $dir
check "e2fsck finds nothing to mend" /sbin/e2fsck -f -n $disk
