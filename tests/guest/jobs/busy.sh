# SPDX-License-Identifier: MIT
#
# busy - writes on every queue until the host pulls the plug

write_for_ever()
{
	while true; do
		dd if=/tmp/data of=$dir/file"$1" bs=256k conv=fsync 2>/dev/null
	done
}

wait_for $disk || return
check "the disk is formatted" /sbin/mke2fs -q -F -t ext4 $disk || return
check "the file system mounts" mount -t ext4 $disk $dir || return
dd if=/dev/urandom of=$dir/keep bs=1M count=4 2>/dev/null
(cd $dir && sha256sum keep >sums)
sync
dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
for n in $(seq 4); do
	write_for_ever "$n" &
done
before=$(stat_field 5)
while [ $(($(stat_field 5) - before)) -lt 64 ]; do
	usleep 20000
done
mark busy
sleep 300
