# SPDX-License-Identifier: MIT
#
# cache - the guest sees the write cache as it is, and may switch it
#
#   start  what the guest finds first: "back" or "through"

cache_type()
{
	cat /sys/block/vda/cache_type
}

# A write that the file system wants durable; tells how many flushes it cost.
synced_write()
{
	before=$(stat_field 16)
	dd if=/dev/zero of=$disk bs=4096 count=1 conv=fsync 2>/tmp/out || return
	flushes=$(($(stat_field 16) - before))
}

wait_for $disk || return
equal "the cache is write $start at first" "write $start" "$(cache_type)"
check "the cache is set to write through" \
	sh -c "echo 'write through' >/sys/block/vda/cache_type"
equal "the cache is write through" "write through" "$(cache_type)"
check "a synced write succeeds" synced_write
equal "it needs no flush" 0 "$flushes"
check "the cache is set to write back" \
	sh -c "echo 'write back' >/sys/block/vda/cache_type"
equal "the cache is write back" "write back" "$(cache_type)"
check "a synced write succeeds again" synced_write
check "it is followed by a flush" [ "$flushes" -ge 1 ]
