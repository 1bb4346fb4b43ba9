//! Functions that travel between forked copies of one program, as a distance from a fixed one.
//!
//! Invariants:
//! 1. A distance is made by [`Entry::distance`] in a copy of this program and used in another: both have the same code at the same
//!    addresses, because one is a fork of the other, or both are forks of a third.
//! 2. A task type has no size: a value of it is made from nothing where there was one before, which is what `Copy` allows.

use std::ptr::NonNull;

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

/// Function items and closures that capture nothing: what can be called in another copy of the program.
pub(crate) struct Task<F>(std::marker::PhantomData<F>);

impl<F: Copy> Task<F> {
    /// Fails to compile for what has a size: a capturing closure, a function pointer.
    const HAS_NO_SIZE: () = assert!(
        size_of::<F>() == 0,
        "a task is a fn item or a closure that captures nothing: what it needs travels in its argument"
    );

    /// Checks, at compile time, that a value of `F` can be made from nothing.
    pub fn of(_: F) -> Task<F> {
        const { Self::HAS_NO_SIZE };
        Task(std::marker::PhantomData)
    }

    /// The task, in whatever copy of the program.
    ///
    /// # Safety
    /// [`Task::of`] was called with a value of `F`, in this program or one that it is a copy of.
    pub unsafe fn revive() -> F {
        const { Self::HAS_NO_SIZE };
        // SAFETY: no bytes are read (Invariant 2), a dangling pointer is aligned, and there is a value of `F` to be a copy of.
        unsafe { NonNull::<F>::dangling().as_ptr().read() }
    }
}
