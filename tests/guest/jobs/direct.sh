# SPDX-License-Identifier: MIT
#
# direct - requests of every size straight to the disk, past the page cache
#
#   block_bytes  the smallest request that the guest may make

# copy_direct BYTES: writes all of /tmp/data in requests of that size, reads it
# back in such requests, compares.
copy_direct()
{
	dd if=/dev/zero of=$disk bs=1M count=8 oflag=direct 2>/dev/null &&
		dd if=/tmp/data of=$disk bs="$1" oflag=direct 2>/dev/null &&
		dd if=$disk of=/tmp/copy bs="$1" iflag=direct \
			count=$((4194304 / $1)) 2>/dev/null &&
		cmp /tmp/data /tmp/copy
}

# The same at offsets that are odd multiples of the block.
copy_shifted()
{
	dd if=/tmp/data of=$disk bs="$1" seek=3 count=7 oflag=direct &&
		dd if=$disk of=/tmp/copy bs="$1" skip=3 count=7 iflag=direct &&
		dd if=/tmp/data of=/tmp/part bs="$1" count=7 &&
		cmp /tmp/part /tmp/copy
}

# Reads of the last block and past it: the size is exact.
read_the_end()
{
	blocks=$(($(cat /sys/block/vda/size) * 512 / block_bytes))
	dd if=$disk of=/dev/null bs="$block_bytes" skip=$((blocks - 1)) count=1 \
		iflag=direct 2>/tmp/dd && grep -q '^1+0 records in' /tmp/dd
}

wait_for $disk || return
equal "a block has $block_bytes bytes" "$block_bytes" \
	"$(cat $queue/logical_block_size)"
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
for bytes in $((block_bytes * 2)) 65536 1048576 4194304; do
	check "$bytes bytes a request: what is read is what was written" \
		copy_direct $bytes
done
check "blocks at odd places: what is read is what was written" \
	copy_shifted "$block_bytes"
check "the last block can be read" read_the_end
