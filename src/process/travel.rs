//! Functions that travel between forked copies of one program, as a distance from a fixed one.
//!
//! Invariants:
//! 1. A distance is made by [`distance`] or [`Task::distance`] in a copy of this program and used
//!    in another: both have the same code at the same addresses, because one is a fork of the
//!    other, or both are forks of a third.
//! 2. A task is a function pointer: nothing travels with it, so nothing is made in the other
//!    process that was not made there. (A value of a closure's type would be: one that captures
//!    something without a size, a proof that a static was initialised for instance, could be
//!    revived from nothing where the static was not.)

/// What a spawner runs in a child: given the encoded argument, what becomes of it.
pub(crate) type Entry<R> = fn(&[u8]) -> R;

/// Where distances are counted from.
#[inline(never)]
fn anchor() {}

fn anchor_address() -> usize {
    anchor as fn() as usize
}

/// How far the function at an address is from the anchor.
pub(crate) fn distance_of(address: usize) -> i64 {
    address.wrapping_sub(anchor_address()) as i64
}

/// The address at a distance: that of the same function, in any copy of this program (Invariant 1).
pub(crate) fn address_at(distance: i64) -> usize {
    anchor_address().wrapping_add(distance as usize)
}

/// How far a function is from the anchor.
pub(crate) fn distance<R>(entry: Entry<R>) -> i64 {
    distance_of(entry as usize)
}

/// The function at a distance.
///
/// # Safety
/// `distance` is what [`distance`] gave for an `Entry<R>` of the same `R`, in a copy of this program (Invariant 1).
pub(crate) unsafe fn entry_at<R>(distance: i64) -> Entry<R> {
    // SAFETY: Invariant 1: the address of an `Entry<R>`.
    unsafe { std::mem::transmute::<usize, Entry<R>>(address_at(distance)) }
}

/// A function of the program's, as the distance of its address: whatever coerces to `fn(A) -> R`,
/// so captures nothing.
pub(crate) struct Task;

impl Task {
    /// How far it is from the anchor.
    pub fn distance<A, R>(task: fn(A) -> R) -> i64 {
        distance_of(task as usize)
    }

    /// The task at a distance, in whatever copy of the program.
    ///
    /// # Safety
    /// `distance` is what [`Task::distance`] gave for the same `A` and `R`, in a copy of this
    /// program (Invariant 1).
    pub unsafe fn at<A, R>(distance: i64) -> fn(A) -> R {
        // SAFETY: Invariant 1: the address of an `fn(A) -> R`.
        unsafe { std::mem::transmute::<usize, fn(A) -> R>(address_at(distance)) }
    }
}
