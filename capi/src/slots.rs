//! Handles: what C holds instead of a pointer to anything of ours.
//!
//! ```text
//!   handle   =  generation (44 bits) | index of a slot (16) | kind (4)
//!   slot     free (word: the last handle, of kind 0) --insert--> in use (word = its handle)
//!                 ^-------------------------------------take---------'
//! ```
//!
//! Invariants:
//! 1. A slot is never unmapped or used for anything else, so any word that C passes may be looked
//!    up: a wrong one differs from the word of its slot.
//! 2. `body` holds a value of the kind in `word` while that kind is not 0. `insert` writes the body
//!    before it stores the word (Release); `borrow` reads it after it loaded the word (Acquire).
//! 3. One call of `take` wins the slot by an exchange of its word. It moves the value out before
//!    the slot is on the free list again, and the next value has a higher generation: a handle that
//!    was given up stays refused, until 2^44 later ones of its slot.
//! 4. A handle is not taken while another call uses it: that is the caller's part, as of `fclose`.

use crate::failure::Failed;
use std::cell::UnsafeCell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Handles at the same time.
pub(crate) const MOST_HANDLES: usize = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 16;
const KIND_BITS: u32 = 4;
const KIND_MASK: u64 = (1 << KIND_BITS) - 1;
const GENERATION: u64 = 1 << (INDEX_BITS + KIND_BITS);
const BODY_BYTES: usize = 112;

const _: () = assert!(size_of::<usize>() == 8, "a handle needs 64 bits");

/// Two cache lines, so that endpoints of two threads share none.
#[repr(C, align(128))]
struct Slot {
    word: AtomicU64,
    /// The next slot on the free list, and 1; 0: none.
    next: AtomicU32,
    body: UnsafeCell<[u64; BODY_BYTES / 8]>,
}
// SAFETY: `body` is written by the one call that has the slot off the free list (Invariant 3), and
// read while `word` says what it is (Invariant 2). What is in it is used by one thread at a time,
// or is `Sync`, as the header says of each kind.
unsafe impl Sync for Slot {}

impl Slot {
    const fn new() -> Slot {
        Slot { word: AtomicU64::new(0), next: AtomicU32::new(0), body: UnsafeCell::new([0; BODY_BYTES / 8]) }
    }
}

/// Zeros, so no file and no memory before they are used.
static SLOTS: [Slot; MOST_HANDLES] = [const { Slot::new() }; MOST_HANDLES];
/// The free list: how often it has changed (32 bits, against ABA), and its first slot, and 1.
static FREE: AtomicU64 = AtomicU64::new(0);
/// Slots that have been used at all.
static USED: AtomicU32 = AtomicU32::new(0);

/// What a handle may lead to: it may be freed by another thread than the one that made it.
///
/// # Safety
/// `KIND` is from 1 to 15, and of this type alone.
pub unsafe trait Handled: Sized + Send {
    /// What C sees.
    type Opaque;
    const KIND: u64;
    /// "a queue"
    const NAME: &'static std::ffi::CStr;
}

/// Declares the opaque type of a kind of handle.
macro_rules! handled {
    ($(#[$doc:meta])* $opaque:ident, $ty:ty, $kind:literal, $name:literal) => {
        // SAFETY: the numbers of kinds are given out once, in the order of `lib.rs`.
        unsafe impl $crate::slots::Handled for $ty {
            type Opaque = $opaque;
            const KIND: u64 = $kind;
            const NAME: &'static std::ffi::CStr = $name;
        }
    };
}
pub(crate) use handled;

#[inline(always)]
fn slot_of(handle: u64) -> &'static Slot {
    &SLOTS[(handle >> KIND_BITS) as usize % MOST_HANDLES]
}

/// Puts a value into a slot.
pub fn insert<T: Handled>(value: T) -> Result<*mut T::Opaque, Failed> {
    const {
        assert!(size_of::<T>() <= BODY_BYTES && align_of::<T>() <= 8, "it fits a slot");
        assert!(T::KIND > 0 && T::KIND <= KIND_MASK);
    }
    let Some(index) = pop() else { return Err(Failed::too_many_handles()) };
    let slot = &SLOTS[index];
    // SAFETY: the slot came off the free list to this call alone, and the value fits (above).
    unsafe { slot.body.get().cast::<T>().write(value) };
    let generation = (slot.word.load(Relaxed) & !(GENERATION - 1)).wrapping_add(GENERATION);
    let handle = generation | (index as u64) << KIND_BITS | T::KIND;
    slot.word.store(handle, Release);
    Ok(handle as usize as *mut T::Opaque)
}

/// The value of a handle.
///
/// # Safety
/// No other call takes the handle meanwhile, and the value is used from one thread at a time unless
/// it is `Sync` (Invariant 4).
#[inline(always)]
pub unsafe fn borrow<'a, T: Handled>(handle: *mut T::Opaque) -> Result<&'a T, Failed> {
    let handle = handle as usize as u64;
    let slot = slot_of(handle);
    if handle & KIND_MASK == T::KIND && slot.word.load(Acquire) == handle {
        // SAFETY: Invariant 2, and the caller's promise.
        return Ok(unsafe { &*slot.body.get().cast::<T>() });
    }
    Err(Failed::handle(T::NAME))
}

/// The value of a handle, for a change of it.
///
/// # Safety
/// As of [`borrow`], and the handle is used by one thread at a time.
pub unsafe fn borrow_mut<'a, T: Handled>(handle: *mut T::Opaque) -> Result<&'a mut T, Failed> {
    let handle = handle as usize as u64;
    let slot = slot_of(handle);
    if handle & KIND_MASK == T::KIND && slot.word.load(Acquire) == handle {
        // SAFETY: Invariant 2, and the caller's promise: there is no other reference.
        return Ok(unsafe { &mut *slot.body.get().cast::<T>() });
    }
    Err(Failed::handle(T::NAME))
}

/// Takes the value of a handle, which leads nowhere from then on.
///
/// # Safety
/// As of [`borrow`].
pub unsafe fn take<T: Handled>(handle: *mut T::Opaque) -> Result<T, Failed> {
    let handle = handle as usize as u64;
    let slot = slot_of(handle);
    let is_ours =
        handle & KIND_MASK == T::KIND && slot.word.compare_exchange(handle, handle & !KIND_MASK, AcqRel, Relaxed).is_ok();
    if !is_ours {
        return Err(Failed::handle(T::NAME));
    }
    // SAFETY: Invariants 2 and 3: the exchange was this call's.
    let value = unsafe { slot.body.get().cast::<T>().read() };
    push((handle >> KIND_BITS) as usize % MOST_HANDLES);
    Ok(value)
}

fn pop() -> Option<usize> {
    let mut free = FREE.load(Acquire);
    while free as u32 != 0 {
        let index = free as u32 as usize - 1;
        let next = changed(free) | u64::from(SLOTS[index].next.load(Relaxed));
        match FREE.compare_exchange_weak(free, next, AcqRel, Acquire) {
            Ok(_) => return Some(index),
            Err(now) => free = now,
        }
    }
    USED.fetch_update(Relaxed, Relaxed, |used| (used < MOST_HANDLES as u32).then_some(used + 1)).ok().map(|used| used as usize)
}

fn push(index: usize) {
    let mut free = FREE.load(Relaxed);
    loop {
        SLOTS[index].next.store(free as u32, Relaxed);
        match FREE.compare_exchange_weak(free, changed(free) | (index as u64 + 1), AcqRel, Relaxed) {
            Ok(_) => return,
            Err(now) => free = now,
        }
    }
}

/// The number of changes, one higher, and no slot.
fn changed(free: u64) -> u64 {
    ((free >> 32).wrapping_add(1)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;
    use std::sync::Arc;

    struct Opaque;
    struct Number(Arc<u64>);
    struct Other(#[allow(dead_code)] u64);
    // SAFETY: kinds that no other type has.
    unsafe impl Handled for Number {
        type Opaque = Opaque;
        const KIND: u64 = 14;
        const NAME: &'static CStr = c"a number";
    }
    // SAFETY: as above.
    unsafe impl Handled for Other {
        type Opaque = Opaque;
        const KIND: u64 = 15;
        const NAME: &'static CStr = c"another";
    }

    #[test]
    fn a_handle_leads_to_its_value_until_it_is_taken() {
        let handle = insert(Number(Arc::new(7))).unwrap();
        // SAFETY: one thread has it.
        unsafe {
            assert_eq!(*borrow::<Number>(handle).unwrap().0, 7);
            assert!(borrow::<Other>(handle).is_err(), "of another kind");
            let taken = take::<Number>(handle).unwrap();
            assert_eq!(Arc::strong_count(&taken.0), 1, "moved, not copied");
            assert!(borrow::<Number>(handle).is_err() && take::<Number>(handle).is_err(), "given up");
            let next = insert(Other(1)).unwrap();
            assert!(borrow::<Number>(handle).is_err(), "its slot has another value");
            take::<Other>(next).unwrap();
        }
    }

    #[test]
    fn any_word_may_be_asked_for() {
        let words = [0, 1, u64::MAX, 0x7fff_ffff_f000, KIND_MASK, GENERATION | 14];
        for word in words.into_iter().chain((0..64).map(|bit| 1 << bit)) {
            // SAFETY: no such handle was made.
            assert!(unsafe { borrow::<Number>(word as usize as *mut Opaque) }.is_err(), "{word:#x}");
        }
    }

    #[test]
    fn threads_have_handles_of_their_own() {
        let churn = || {
            for round in 0..10_000u64 {
                let handles = [round, round + 1].map(|n| insert(Number(Arc::new(n))).unwrap());
                for (handle, expected) in handles.into_iter().zip(round..) {
                    // SAFETY: this thread's handles.
                    assert_eq!(*unsafe { take::<Number>(handle) }.unwrap().0, expected);
                }
            }
        };
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(churn));
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
}
