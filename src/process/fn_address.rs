//! Functions that travel between forked copies of one program, as the offset of their address from
//! that of a fixed function.
//!
//! Invariants:
//! 1. An offset is made by [`offset_of`] or [`Task::offset`] in a copy of this program and used in
//!    another: both have the same code at the same addresses, because one is a fork of the other,
//!    or both are forks of a third.
//! 2. A task is a function pointer: nothing travels with it, so nothing is made in the other
//!    process that was not made there. (A value of a closure's type would be: one that captures
//!    something without a size, a proof that a static was initialised for instance, could be
//!    revived from nothing where the static was not.)

/// What the fork server runs in a child: given the encoded argument, returns what became of it.
pub(crate) type Entry<R> = fn(&[u8]) -> R;

/// Where offsets are counted from.
#[inline(never)]
fn anchor() {}

fn anchor_address() -> usize {
    anchor as fn() as usize
}

/// The offset of an address from the anchor.
pub(crate) fn offset_of_address(address: usize) -> i64 {
    address.wrapping_sub(anchor_address()) as i64
}

/// The address at an offset: that of the same function, in any copy of this program (Invariant 1).
pub(crate) fn address_at(offset: i64) -> usize {
    anchor_address().wrapping_add(offset as usize)
}

/// The offset of a function from the anchor.
pub(crate) fn offset_of<R>(entry: Entry<R>) -> i64 {
    offset_of_address(entry as usize)
}

/// The function at an offset.
///
/// # Safety
/// `offset` is what [`offset_of`] returned for an `Entry<R>` of the same `R`, in a copy of this
/// program (Invariant 1).
pub(crate) unsafe fn entry_at<R>(offset: i64) -> Entry<R> {
    // SAFETY: by the caller's contract and Invariant 1, the address of an `Entry<R>`.
    unsafe { std::mem::transmute::<usize, Entry<R>>(address_at(offset)) }
}

/// A function of the program's, as the offset of its address: anything that coerces to
/// `fn(A) -> R`, so captures nothing.
pub(crate) struct Task;

impl Task {
    /// Its offset from the anchor.
    pub fn offset<A, R>(task: fn(A) -> R) -> i64 {
        offset_of_address(task as usize)
    }

    /// The task at an offset, in any copy of the program.
    ///
    /// # Safety
    /// `offset` is what [`Task::offset`] returned for the same `A` and `R`, in a copy of this
    /// program (Invariant 1).
    pub unsafe fn at<A, R>(offset: i64) -> fn(A) -> R {
        // SAFETY: by the caller's contract and Invariant 1, the address of an `fn(A) -> R`.
        unsafe { std::mem::transmute::<usize, fn(A) -> R>(address_at(offset)) }
    }
}
