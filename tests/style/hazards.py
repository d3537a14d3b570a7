# SPDX-License-Identifier: MIT
"""hazards - one room for each: found with one grep, reviewed with one eye

Each line of the table is a pattern that may stand in the named files only.
Guest memory and atomics need three lines, since C11's atomic_*() on members
of our own are welcome everywhere: they work on _Atomic objects, which the
ring layouts are not, so that reaching guest memory takes a compiler builtin,
a cast in the first argument, or the name of a ring layout.
"""
import re

import csource
import style

PRODUCT = ("common", "include", "lib", "server")
LIBRARY = ("common", "include", "lib")

# name, pattern, files that may, folders that are searched, promise
HAZARDS = (
    ("recvmsg", r"\b(?:recv|send)(?:m?msg|from|to)?\s*\(",
     ("lib/socket.c",), PRODUCT,
     "only lib/socket.c receives and sends on a socket"),
    ("mmap", r"\b(?:mmap(?:64)?|mremap|shmat|remap_file_pages)\s*\(",
     ("lib/memory.c", "lib/guard.c"), PRODUCT,
     "only lib/memory.c and lib/guard.c map memory"),
    ("userfaultfd", r"\bUFFD\w+|\buffd\w*|\bSYS_userfaultfd\b"
     r"|\blinux/userfaultfd\.h",
     ("lib/postcopy.c", "server/sandbox_filter.c"), PRODUCT,
     "only lib/postcopy.c knows userfaultfd, and the filter that lets it"),
    ("guest-atomics", r"\b__(?:atomic|sync)_\w+|\batomic_\w+\s*\(\s*\(",
     ("lib/split.c", "lib/packed.c", "lib/dirty.c", "lib/inflight_region.h"),
     PRODUCT,
     "only lib/split.c, lib/packed.c, lib/dirty.c and lib/inflight_* use "
     "atomics on memory that is not _Atomic of ours"),
    ("guest-rings", r"\bvirtq_(?:avail|used)\w*|(?:->|\.)(?:avail|used)\s*->",
     ("lib/wire.h", "lib/split.h", "lib/split.c"), LIBRARY,
     "only lib/split.c reaches the available and used rings"),
    ("guest-packed-rings",
     r"\bRING_EVENT_FLAGS_\w+|(?:->|\.)(?:driver|device)_event\s*->"
     r"|\bpacked(?:->|\.)desc\s*(?:\[|->)",
     ("lib/wire.h", "lib/packed.h", "lib/packed.c"), LIBRARY,
     "only lib/packed.c reaches a packed ring and its event structures"),
    ("volatile", r"\bvolatile\b(?!\s+sig_atomic_t)",
     ("lib/split.c", "lib/packed.c", "lib/chain.c", "server/blk_"),
     PRODUCT, "volatile stands only where guest memory is copied"),
    ("io_uring", r"\bio_uring_\w+|\bliburing\.h|\blinux/io_uring\.h",
     ("server/uring.c", "server/uring_", "server/sandbox_filter.c"), PRODUCT,
     "only server/uring.c and server/uring_* know io_uring, and the filter "
     "that lets them"),
    ("aio", r"\bSYS_io_\w+|\blinux/aio_abi\.h",
     ("common/peerfd.c", "server/prompt.c"), PRODUCT,
     "only common/peerfd.c and server/prompt.c know Linux's older AIO"),
    ("threads", r"\b(?:pthread_create|thrd_create|clone3?)\s*\(",
     ("server/worker.c", "server/threadpool.c", "server/jobs.c"), PRODUCT,
     "only server/worker.c, server/threadpool.c and server/jobs.c create "
     "threads"),
    ("library-threads", r"\b(?:pthread_|mtx_|thrd_|sem_)\w+|\bpthread\.h",
     (), LIBRARY,
     "the library has no thread and no lock"),
    ("virtio-blk", r"\bVIRTIO_BLK_\w+|\blinux/virtio_blk\.h",
     ("server/virtio_blk.c", "server/virtio_blk_", "server/blk_"),
     PRODUCT, "only server/virtio_blk and server/blk_* know virtio-blk"),
)


def check(report, tree, hazard):
    name, pattern, may, folders, _ = hazard
    for path in tree.c_files(folders):
        if any(path == m or m.endswith("_") and path.startswith(m)
               for m in may):
            continue
        code = csource.without_comments(tree.text(path))
        for match in re.finditer(pattern, code):
            line = code.count("\n", 0, match.start()) + 1
            where = " and ".join(m + "*" * m.endswith("_") for m in may) \
                or "no file here"
            report.add(name, path, f"{path}:{line}: {match.group().strip()} "
                       f"belongs to {where}")


def main():
    tree, report = style.start({h[0]: h[4] for h in HAZARDS})
    for hazard in HAZARDS:
        check(report, tree, hazard)
    report.finish()


if __name__ == "__main__":
    main()
