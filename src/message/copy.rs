//! Private copies of bytes that other processes may write at any moment: every read by copy of a
//! segment's payload goes through here.
//!
//! ```text
//!   shared bytes --read once--> copy --sealed--> its bits checked --> handed out
//! ```
//!
//! Invariants:
//! 1. The shared bytes are read once, and all later uses of a copy read the copy. The compiler does
//!    not guarantee that by itself: it knows of no writer but this thread, so it turns "copy, check
//!    the copy, move the copy to the caller" into "check the shared bytes, copy the shared bytes to
//!    the caller", and a peer changes the bits in between (seen in the machine code of
//!    `get_slice`). Two measures prevent that, and neither costs an instruction by itself: a
//!    volatile load is made exactly once, so that small messages stay in registers; a larger copy
//!    is *sealed* by an empty `asm!` block that might have written to it, so that the content of
//!    the copy cannot be derived from anything else.
//! 2. No reference to shared bytes is made: they are read through raw pointers. A read that races
//!    with a peer's write yields some mixture of bytes, which the check of the private copy judges.
//! 3. Payload of a topic may be overwritten by this very process while it is read. There, a copy
//!    goes in and out word by word, with relaxed atomics of one width: what is torn is discarded by
//!    its reader, and is never a data race. A record's cells have room for whole words.

use crate::message::{Message, Plain, Travel, assert_plain};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Messages up to this size are read word by word, into registers.
const WORDWISE_BYTES: usize = 64;

/// Alignment of every payload in a segment, whatever its type.
const PAYLOAD_ALIGN: usize = 8;

/// Copies a message into its record, word by word if it is small and made of whole words: it was
/// often built a moment ago, field by field, and a wider load waits until all of its narrower
/// stores have left the store buffer (measured: 21 % of a put of 64 bytes).
///
/// # Safety
/// `to` leads to room for the message, at a multiple of `PAYLOAD_ALIGN`, in a record that is not
/// published yet and belongs to the caller.
#[inline(always)]
pub(crate) unsafe fn copy_message<T>(message: &T, to: *mut u8)
where
    T: ?Sized + Message,
{
    let (from, length) = (ptr::from_ref(message).cast::<u8>(), size_of_val(message));
    if T::IS_SIZED && length <= WORDWISE_BYTES && length % 8 == 0 && align_of_val(message) >= 8 {
        for word in 0..length / 8 {
            // SAFETY: within the message, whose size and alignment are those of whole words;
            // volatile keeps the loads narrow.
            unsafe { to.cast::<u64>().add(word).write(from.cast::<u64>().add(word).read_volatile()) };
        }
    } else if !T::IS_SIZED && length == WORDWISE_BYTES && from.addr() % 8 == 0 {
        // A slice as long as a cache line, word by word for the same reason.
        for word in 0..WORDWISE_BYTES / 8 {
            // SAFETY: within the message, and its words are aligned.
            unsafe { to.cast::<u64>().add(word).write(from.cast::<u64>().add(word).read_volatile()) };
        }
    } else {
        // SAFETY: the caller passes room for the message at `to`, in a record that only this call
        // writes, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, to, length) }
    }
}

/// The bytes of a `T`, which may be an invalid bit pattern.
///
/// # Safety
/// `size_of::<T>()` initialised bytes start at `from`, a multiple of `PAYLOAD_ALIGN`.
#[inline(always)]
pub(crate) unsafe fn read_message<T>(from: *const T) -> MaybeUninit<T> {
    let mut copy = MaybeUninit::<T>::uninit();
    let (from, to) = (from.cast::<u8>(), copy.as_mut_ptr().cast::<u8>());
    debug_assert!(from.addr() % PAYLOAD_ALIGN == 0);
    if size_of::<T>() <= WORDWISE_BYTES {
        // SAFETY: the caller passes `size_of::<T>()` initialised bytes at an aligned `from`; `copy`
        // has room for a T.
        unsafe { read_words(from, to, size_of::<T>()) };
    } else {
        // SAFETY: the caller passes `size_of::<T>()` initialised bytes at `from`; `copy` is a local
        // with room for a T, so the two do not overlap.
        unsafe { copy_out(from, to, size_of::<T>()) };
    }
    copy
}

/// Copies `length` bytes out of a segment, to memory of this process.
///
/// # Safety
/// `length` bytes can be read at `from`, and written at `to`; they do not overlap.
#[inline(always)]
pub(crate) unsafe fn copy_out(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: the caller guarantees `length` readable bytes at `from`, writable ones at `to`, and
    // no overlap.
    unsafe { ptr::copy_nonoverlapping(from, to, length) };
    seal(to);
}

/// The same of a payload whose length is not known at compile time: as long as a cache line,
/// without a call.
///
/// # Safety
/// As [`copy_out`].
#[inline(always)]
pub(crate) unsafe fn copy_payload(from: *const u8, to: *mut u8, length: usize) {
    if length == WORDWISE_BYTES {
        // SAFETY: as the caller says.
        unsafe { copy_out(from, to, WORDWISE_BYTES) };
    } else {
        // SAFETY: as the caller says.
        unsafe { copy_out(from, to, length) };
    }
}

/// Copies them into a vector.
///
/// # Safety
/// `length` bytes can be read at `from`; `length` is a multiple of `size_of::<X>()`.
pub(crate) unsafe fn vec_from_bytes<X: Plain>(from: *const u8, length: usize) -> Vec<X> {
    const { assert_plain::<X>() };
    let count = length / size_of::<X>();
    let mut vec = Vec::<X>::with_capacity(count);
    // SAFETY: the vector has room for `count` elements, `length` bytes; any bits are an X (Plain).
    unsafe {
        copy_out(from, vec.as_mut_ptr().cast::<u8>(), length);
        vec.set_len(count);
    }
    vec
}

/// Reads a length that is known at compile time: whole words, then the rest.
///
/// # Safety
/// As [`copy_out`], and `from` is a multiple of `PAYLOAD_ALIGN`.
#[inline(always)]
unsafe fn read_words(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: within `length` bytes, each at a multiple of its size: the widest come first.
    unsafe {
        for word in 0..length / 8 {
            to.cast::<u64>().add(word).write_unaligned(from.cast::<u64>().add(word).read_volatile());
        }
        let mut at = length / 8 * 8;
        if length & 4 != 0 {
            to.add(at).cast::<u32>().write_unaligned(from.add(at).cast::<u32>().read_volatile());
            at += 4;
        }
        if length & 2 != 0 {
            to.add(at).cast::<u16>().write_unaligned(from.add(at).cast::<u16>().read_volatile());
            at += 2;
        }
        if length & 1 != 0 {
            to.add(at).write(from.add(at).read_volatile());
        }
    }
}

/// Copies a message into its record of a topic (Invariant 3).
///
/// # Safety
/// As [`copy_message`], with room for whole words.
#[inline(always)]
pub(crate) unsafe fn store_message<T>(message: &T, to: *mut u8)
where
    T: ?Sized + Message,
{
    // SAFETY: the message's own bytes, of which all are initialised (Message); the caller passes
    // room for them at an aligned `to`.
    unsafe { store_words(ptr::from_ref(message).cast(), size_of_val(message), to) }
}

/// Copies `length` bytes into a record of a topic, with a last word that is padded (Invariant 3).
///
/// # Safety
/// `length` bytes can be read at `from`; at `to`, a multiple of `PAYLOAD_ALIGN`, is room for them
/// in whole words, which no plain access touches meanwhile.
#[inline(always)]
pub(crate) unsafe fn store_words(from: *const u8, length: usize, to: *mut u8) {
    let to = to.cast::<u64>();
    // SAFETY: within what the caller passes, word by word.
    unsafe {
        for word in 0..length / 8 {
            // Volatile keeps the load narrow: see `copy_message`.
            let value = match from.addr() % 8 {
                0 => from.cast::<u64>().add(word).read_volatile(),
                _ => from.cast::<u64>().add(word).read_unaligned(),
            };
            AtomicU64::from_ptr(to.add(word)).store(value, Relaxed);
        }
        if length % 8 != 0 {
            let mut last = [0; 8];
            ptr::copy_nonoverlapping(from.add(length / 8 * 8), last.as_mut_ptr(), length % 8);
            AtomicU64::from_ptr(to.add(length / 8)).store(u64::from_ne_bytes(last), Relaxed);
        }
    }
}

/// Copies pieces, one behind the other, into a record.
///
/// # Safety
/// As [`copy_message`], for a message that is as long as the pieces together.
pub(crate) unsafe fn copy_pieces(pieces: &[IoSlice<'_>], to: *mut u8) {
    let mut end = 0;
    for piece in pieces {
        // SAFETY: the caller passes room for all of them, in a record that only this call writes.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), to.add(end), piece.len()) };
        end += piece.len();
    }
}

/// The same into a record of a topic, with a last word that is padded (Invariant 3). A word that two
/// pieces share is stored once.
///
/// # Safety
/// As [`store_words`], for as many bytes as the pieces have together.
pub(crate) unsafe fn store_pieces(pieces: &[IoSlice<'_>], to: *mut u8) {
    let (mut words, mut shared, mut in_shared) = (0, [0u8; 8], 0);
    for piece in pieces {
        let mut rest = &piece[..];
        if in_shared > 0 {
            let (first, behind) = rest.split_at(rest.len().min(8 - in_shared));
            shared[in_shared..][..first.len()].copy_from_slice(first);
            (in_shared, rest) = (in_shared + first.len(), behind);
            if in_shared < 8 {
                continue;
            }
            // SAFETY: within what the caller passes: all pieces up to here fill `words + 1` words.
            unsafe { store_words(shared.as_ptr(), 8, to.add(8 * words)) };
            words += 1;
        }
        let (whole, behind) = rest.split_at(rest.len() / 8 * 8);
        // SAFETY: as above.
        unsafe { store_words(whole.as_ptr(), whole.len(), to.add(8 * words)) };
        words += whole.len() / 8;
        shared[..behind.len()].copy_from_slice(behind);
        in_shared = behind.len();
    }
    // SAFETY: as above; the last word is padded.
    unsafe { store_words(shared.as_ptr(), in_shared, to.add(8 * words)) };
}

/// Copies `length` bytes out of a record of a topic, which may be torn (Invariant 3).
///
/// # Safety
/// `length` bytes in whole words can be read at `from`, a multiple of `PAYLOAD_ALIGN`, and written
/// at `to`; no plain write of this process touches the former meanwhile.
#[inline(always)]
pub(crate) unsafe fn load_words(from: *const u8, to: *mut u8, length: usize) {
    let from = from.cast::<u64>().cast_mut();
    // SAFETY: within what the caller passes, word by word.
    unsafe {
        for word in 0..length / 8 {
            let value = AtomicU64::from_ptr(from.add(word)).load(Relaxed);
            to.cast::<u64>().add(word).write_unaligned(value);
        }
        if length % 8 != 0 {
            let last = AtomicU64::from_ptr(from.add(length / 8)).load(Relaxed).to_ne_bytes();
            ptr::copy_nonoverlapping(last.as_ptr(), to.add(length / 8 * 8), length % 8);
        }
    }
}

/// The bytes of a `T` in a record of a topic, which may be torn.
///
/// # Safety
/// As [`load_words`], for `size_of::<T>()` bytes.
#[inline(always)]
pub(crate) unsafe fn load_message<T>(from: *const u8) -> MaybeUninit<T> {
    let mut copy = MaybeUninit::<T>::uninit();
    // SAFETY: the caller passes that many bytes; `copy` has room for a T.
    unsafe { load_words(from, copy.as_mut_ptr().cast(), size_of::<T>()) };
    copy
}

/// From here on the compiler must assume that anything may have been written to the memory at
/// `copy` (Invariant 1).
#[inline(always)]
fn seal(copy: *mut u8) {
    #[cfg(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    ))]
    // SAFETY: the block has no instruction. It is declared to read and write memory (no `nomem`),
    // and does neither.
    unsafe {
        std::arch::asm!("/* {0} */", in(reg) copy, options(nostack, preserves_flags))
    };
    // The same effect, promised as best effort only.
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "riscv64",
        target_arch = "loongarch64"
    )))]
    std::hint::black_box(copy);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_messages_of_any_length() {
        for length in 0..70usize {
            let message: Vec<u8> = (0..length as u8).map(|at| at + 1).collect();
            let mut record = vec![u64::MAX; length.div_ceil(8)];
            let mut copy = vec![0u8; length];
            // SAFETY: whole words, aligned; the copy has as many bytes.
            unsafe {
                store_words(message.as_ptr(), length, record.as_mut_ptr().cast());
                load_words(record.as_ptr().cast(), copy.as_mut_ptr(), length);
            }
            assert_eq!(copy, message);
        }
    }

    #[test]
    fn pieces_of_any_length_make_one_message() {
        let message: Vec<u8> = (1..=60).collect();
        for first in 0..=20 {
            for second in first..=40 {
                let (one, rest) = message.split_at(first);
                let (two, three) = rest.split_at(second - first);
                let pieces = [one, &[], two, three].map(IoSlice::new);
                for write in [copy_pieces, store_pieces] {
                    let mut record = [u64::MAX; 8];
                    // SAFETY: whole words, aligned, for 60 bytes.
                    unsafe { write(&pieces, record.as_mut_ptr().cast()) };
                    let bytes: Vec<u8> = record.iter().flat_map(|word| word.to_ne_bytes()).collect();
                    assert_eq!(bytes[..60], message, "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn messages_of_all_small_sizes_are_read_whole() {
        fn check<const N: usize>() {
            #[repr(C, align(8))]
            struct Payload<const N: usize>([u8; N]);
            let payload = Payload::<N>(std::array::from_fn(|at| at as u8 + 1));
            // SAFETY: N bytes, at a multiple of 8.
            let copy = unsafe { read_message::<[u8; N]>(&payload.0).assume_init() };
            assert_eq!(copy, payload.0);
        }
        check::<0>();
        check::<1>();
        check::<2>();
        check::<3>();
        check::<5>();
        check::<7>();
        check::<8>();
        check::<15>();
        check::<22>();
        check::<63>();
        check::<64>();
        check::<65>();
        check::<200>();
    }
}
