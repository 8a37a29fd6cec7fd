//! How the large vectors of a column get their memory.

/// Rows that a column has room for from the start.
const FIRST_ROWS: usize = 64;

/// From this size on, huge pages save more page faults than they cost in rounding.
const HUGE_BYTES: usize = 8 << 20;

/// Makes room for at least one more value, by doubling.
#[cold]
#[inline(never)]
pub(super) fn grow<T>(values: &mut Vec<T>) {
    values.reserve_exact(values.capacity().max(FIRST_ROWS));
    advise_huge_pages(values);
}

/// Gives back what was reserved and not used.
pub(super) fn trim<T>(values: &mut Vec<T>) {
    values.shrink_to_fit();
}

/// Asks the kernel to back a large vector by huge pages: hundreds of thousands of page faults fewer
/// on a frame of a gigabyte.
#[cfg(target_os = "linux")]
fn advise_huge_pages<T>(values: &mut Vec<T>) {
    const PAGE: usize = 4096;
    let bytes = values.capacity() * size_of::<T>();
    if bytes < HUGE_BYTES {
        return;
    }
    let start = (values.as_mut_ptr() as usize).next_multiple_of(PAGE);
    let length = (bytes - PAGE) & !(PAGE - 1);
    // SAFETY: the range lies within the vector's own allocation (its start is rounded up by less
    // than the page that its length gives up), and the advice changes no contents.
    unsafe {
        libc::madvise(start as *mut libc::c_void, length, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages<T>(_values: &mut Vec<T>) {}
