# SPDX-License-Identifier: MIT
#
# readonly - a disk that can be read and not written
#
#   sum  SHA-256 of the whole disk, made by the host

wait_for $disk || return
equal "the kernel knows that the disk is read-only" 1 "$(cat /sys/block/vda/ro)"
equal "the whole disk reads as the host made it" "$sum" \
	"$(sha256sum <$disk | cut -d ' ' -f 1)"
refuse "a write is refused" dd if=/dev/zero of=$disk bs=4096 count=1 oflag=direct
refuse "formatting is refused" /sbin/mke2fs -q -F -t ext4 $disk
refuse "discarding is refused" blkdiscard $disk
equal "no sector got as far as the disk" 0 "$(stat_field 7)"
drop_caches
equal "the disk still reads as before" "$sum" \
	"$(sha256sum <$disk | cut -d ' ' -f 1)"
