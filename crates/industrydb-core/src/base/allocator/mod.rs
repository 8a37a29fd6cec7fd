//! Global allocator that takes large blocks directly from the kernel.
//!
//! A frame of one gigabyte consists of about a hundred large vectors that grow while they are
//! filled. A vector with its own memory mapping grows by moving page tables instead of bytes, and
//! its memory returns to the system when the frame is dropped. The C library's allocator grows
//! vectors in this way only until a process has freed its first large vector.
//!
//! A large vector has huge pages where the machine has them at once ([`room`]).

#[cfg(target_os = "linux")]
mod pages;

use std::alloc::{GlobalAlloc, Layout, System};

/// Allocator for a whole program: maps large blocks itself on Linux, and leaves all other blocks to
/// the system's allocator.
///
/// # Examples
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: industrydb_core::allocator::Allocator = industrydb_core::allocator::Allocator;
///
/// assert_eq!(vec![0_u8; 3 << 20].len(), 3 << 20);
/// ```
pub struct Allocator;

/// Returns free memory to the system, which takes a millisecond or more.
///
/// Blocks without a mapping of their own belong to the heap of the thread that asked for them.
/// Those that the threads of a read have filled are freed by another thread later, and the C
/// library would keep their memory for threads to come.
pub fn return_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the function only looks at free blocks, under the locks of their heaps.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(target_os = "linux")]
pub(crate) use pages::room;

/// Returns how many values a vector may hold before it asks again: its capacity.
#[cfg(not(target_os = "linux"))]
pub(crate) fn room<T>(values: &mut Vec<T>, _more: usize) -> usize {
    values.capacity()
}

#[cfg(target_os = "linux")]
mod large {
    use std::alloc::Layout;
    use std::ptr;

    /// Largest alignment of a block with its own mapping: pages have 4 to 64 KiB.
    const PAGE: usize = 4 << 10;
    /// Smallest size, in bytes, of a block with its own mapping.
    const BYTES: usize = 2 << 20;
    /// Alignment of these blocks where the address space has room for it: that of huge pages. A
    /// mapping that moves then takes its huge pages along.
    pub(super) const ALIGNMENT: usize = 2 << 20;

    /// Returns whether a block has its own mapping.
    pub(super) fn is_large(layout: Layout) -> bool {
        layout.size() >= BYTES && layout.align() <= PAGE
    }

    /// Maps a block of zeros; returns null on failure.
    pub(super) fn map(size: usize) -> *mut u8 {
        let start = map_anywhere(size);
        if start.is_null() || start.addr().is_multiple_of(ALIGNMENT) {
            return start;
        }
        // A mapping with room for the alignment, without what is before and behind the block.
        // SAFETY: the parts that are unmapped belong to the mappings that were made here.
        unsafe {
            unmap(start, size);
            let Some(larger) = size.checked_add(ALIGNMENT) else {
                return ptr::null_mut();
            };
            let around = map_anywhere(larger);
            if around.is_null() {
                return around;
            }
            let before = around.align_offset(ALIGNMENT);
            let block = around.add(before);
            if before > 0 {
                unmap(around, before);
            }
            let end = size.next_multiple_of(page_size());
            if before + end < larger {
                unmap(block.add(end), larger - before - end);
            }
            block
        }
    }

    fn page_size() -> usize {
        // SAFETY: the call only looks the number up.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(ALIGNMENT)
    }

    fn map_anywhere(size: usize) -> *mut u8 {
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            ptr::null_mut()
        } else {
            start.cast()
        }
    }

    /// # Safety
    ///
    /// The block must have come from [`map`] or [`remap`] with this size.
    pub(super) unsafe fn unmap(start: *mut u8, size: usize) {
        // SAFETY: by this function's own contract. The kernel rounds the size up to whole pages, as
        // `mmap` did.
        unsafe {
            libc::munmap(start.cast(), size);
        }
    }

    /// Resizes a block, which may move it. Returns null on failure and leaves the block as it was.
    ///
    /// # Safety
    ///
    /// As for [`unmap`].
    pub(super) unsafe fn remap(start: *mut u8, size: usize, new_size: usize) -> *mut u8 {
        // SAFETY: by this function's own contract; the block moves to a mapping that nobody knows
        // yet, and takes its place. If that fails, the mapping may be gone, and its addresses
        // another thread's, so that it is left alone.
        let resized = unsafe {
            let mut resized = libc::mremap(start.cast(), size, new_size, 0);
            if resized == libc::MAP_FAILED {
                let target = map(new_size);
                resized = if target.is_null() {
                    // An address space that is limited may have room for the larger block alone.
                    libc::mremap(start.cast(), size, new_size, libc::MREMAP_MAYMOVE)
                } else {
                    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
                    libc::mremap(start.cast(), size, new_size, how, target)
                };
            }
            resized
        };
        if resized == libc::MAP_FAILED {
            ptr::null_mut()
        } else {
            resized.cast()
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod large {
    use std::alloc::Layout;

    pub(super) fn is_large(_: Layout) -> bool {
        false
    }

    pub(super) fn map(_: usize) -> *mut u8 {
        std::ptr::null_mut()
    }

    pub(super) unsafe fn unmap(_: *mut u8, _: usize) {}

    pub(super) unsafe fn remap(_: *mut u8, _: usize, _: usize) -> *mut u8 {
        std::ptr::null_mut()
    }
}

// SAFETY: a block's layout, which the caller passes back, tells which of two allocators owns the
// block. Both keep the contract of `GlobalAlloc`: a mapping is aligned to a page and zeroed.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if large::is_large(layout) {
            return large::map(layout.size());
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if large::is_large(layout) {
            return large::map(layout.size());
        }
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller passes the layout that the block was made with, which tells its
        // allocator.
        unsafe {
            if large::is_large(layout) {
                large::unmap(block, layout.size());
            } else {
                System.dealloc(block, layout);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`; the new layout is valid by the contract of `realloc`. A block
        // that changes its allocator is copied up to the smaller of both sizes before it is freed.
        unsafe {
            let new_layout = Layout::from_size_align_unchecked(new_size, layout.align());
            match (large::is_large(layout), large::is_large(new_layout)) {
                (false, false) => System.realloc(block, layout, new_size),
                (true, true) => large::remap(block, layout.size(), new_size),
                _ => {
                    let moved = self.alloc(new_layout);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(block, layout.size().min(new_size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    /// A block keeps its bytes when it grows and shrinks across the limit between the two
    /// allocators.
    #[test]
    fn a_block_keeps_its_bytes_whatever_its_size() {
        const MIB: usize = 1 << 20;
        const MARK: [u8; 1024] = [0xa5; 1024];
        let layout = |size| Layout::from_size_align(size, 16).expect("a valid layout");
        let mut size = MARK.len();
        // SAFETY: every call gets the current layout of the block, and only bytes inside it are
        // touched.
        unsafe {
            let mut block = Allocator.alloc(layout(size));
            block.copy_from_nonoverlapping(MARK.as_ptr(), MARK.len());
            for new_size in [
                MIB,
                2 * MIB,
                8 * MIB + 5,
                64 * MIB,
                3 * MIB,
                MIB,
                MARK.len(),
            ] {
                block = Allocator.realloc(block, layout(size), new_size);
                assert!(!block.is_null());
                assert_eq!(block.cast::<[u8; 1024]>().read(), MARK, "{new_size}");
                block.add(new_size - 1).write(MARK[0]);
                size = new_size;
            }
            Allocator.dealloc(block, layout(size));
        }
    }

    #[test]
    fn zeroed_blocks_are_zero() {
        for size in [100, 5 << 20] {
            let layout = Layout::from_size_align(size, 8).expect("a valid layout");
            // SAFETY: the block has this layout.
            unsafe {
                let block = Allocator.alloc_zeroed(layout);
                assert!((0..size).all(|at| block.add(at).read() == 0));
                Allocator.dealloc(block, layout);
            }
        }
    }
}
