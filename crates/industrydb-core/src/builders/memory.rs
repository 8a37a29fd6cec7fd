//! How the large vectors of a column get their memory.

/// Rows that a column has room for from the start.
const FIRST_ROWS: usize = 64;

/// From this size on, vectors grow fourfold and ask for huge pages. What is reserved and not touched
/// costs no memory, and the rarer a huge page must be moved, the fewer are split: on a frame of a
/// gigabyte this saves some 300,000 page faults, half of the system time of a read.
const LARGE_BYTES: usize = 1 << 20;

/// Makes room for at least one more value.
#[cold]
#[inline(never)]
pub(super) fn grow<T>(values: &mut Vec<T>) {
    let factor = if values.capacity() * size_of::<T>() < LARGE_BYTES {
        2
    } else {
        4
    };
    values.reserve_exact((values.capacity() * (factor - 1)).max(FIRST_ROWS));
    advise_huge_pages(values);
}

/// Replaces an empty vector by one that has room for `capacity` values.
pub(super) fn reserve<T>(values: &mut Vec<T>, capacity: usize) {
    values.reserve_exact(capacity);
    advise_huge_pages(values);
}

/// Gives back what was reserved and not used.
pub(super) fn trim<T>(values: &mut Vec<T>) {
    values.shrink_to_fit();
}

/// Asks the kernel to back a large vector by huge pages.
///
/// The advice is for all pages that the vector touches, the allocator's header on the first one too:
/// advice for a part of a mapping would split it, and keep `realloc` from moving it as one.
#[cfg(target_os = "linux")]
fn advise_huge_pages<T>(values: &mut Vec<T>) {
    const PAGE: usize = 4096;
    let bytes = values.capacity() * size_of::<T>();
    if bytes <= LARGE_BYTES {
        return;
    }
    let start = values.as_mut_ptr() as usize;
    let first = start & !(PAGE - 1);
    let length = (start + bytes).next_multiple_of(PAGE) - first;
    // SAFETY: the pages are mapped, for the vector is; the advice changes no contents.
    unsafe {
        libc::madvise(first as *mut libc::c_void, length, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages<T>(_values: &mut Vec<T>) {}
