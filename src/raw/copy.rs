//! Copies of typed values into and out of records: the last step between bytes and types.

use super::{Ends, LeasedRecord, RawQueue, SMALL_COPY_BYTES, Wait};
use crate::attachment::Attached;
use crate::error::GetError;
use crate::message::copy::{copy_out, read_message, vec_from_bytes};
use crate::message::{Message, Plain};
use crate::raw::BY_LOCK;
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::letter::Reason;
use crate::shm::participant::Id;
use std::cell::Cell;
use std::mem::MaybeUninit;

impl RawQueue {
    /// Gets one sized value. Its bits are checked on the private copy, so a peer cannot change them
    /// afterwards.
    #[inline(always)]
    pub(crate) fn get_value<T>(&self, wait: Wait) -> Result<T, GetError>
    where
        T: Message,
    {
        let mut slow = SlowGet::new();
        // A copy: as in `get`.
        let ring = self.ring;
        let small = size_of::<T>() <= SMALL_COPY_BYTES;
        let entered = if small { self.enter_ready_or_spin(&ring, wait) } else { None };
        let from = match &entered {
            Some((_, record)) => ring.memory.payload(record.cell).cast(),
            None if slow.run(|| self.get_value_slowly::<BY_LOCK, T>(self.me_in_both_roles()?, wait)) => slow.value(),
            // SAFETY: `run` failed.
            None => return unsafe { slow.failure() },
        };
        // SAFETY: the ring found the record's length equal to `size_of::<T>()` (segment and record
        // header), and the record is ours while the side is; or the slow path wrote a value.
        let copy = unsafe { read_message(from) };
        if let Some((me, record)) = entered {
            // SAFETY: all bytes of `copy` were written.
            if unsafe { check_written(&copy) }.is_err() && self.has_dead_letters() {
                let _ = self.exit_get_of::<BY_LOCK>(&ring, me);
                return self.get_invalid::<BY_LOCK, T>(self.me()?, wait);
            }
            self.take_and_exit(&ring, record, me);
        }
        // SAFETY: all bytes of `copy` were written.
        unsafe { slow.checked(copy) }
    }

    /// The same where there is more to do, or by an endpoint that cannot use the spsc path.
    pub(crate) fn get_value_slowly<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<T, GetError>
    where
        T: Message,
    {
        if self.has_dead_letters() {
            return self.get_on_lease::<OWNED, T>(me, wait);
        }
        let mut copy = MaybeUninit::<T>::uninit();
        let to = copy.as_mut_ptr().cast::<u8>();
        // SAFETY: the ring found the record's length equal to `size_of::<T>()` (segment header and
        // record header), which is what `to` has room for.
        let read = |from, _| unsafe { copy_out(from, to, size_of::<T>()) };
        self.get::<OWNED, SIZED_RING, ()>(me, OWNED || size_of::<T>() <= SMALL_COPY_BYTES, wait, |_| Ok(()), read)?;
        // SAFETY: all bytes of `copy` were written above.
        unsafe { check_written(&copy)? };
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// The message that was left at head since its bits are no value, or what has come there since.
    #[cold]
    #[inline(never)]
    pub(super) fn get_invalid<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<T, GetError>
    where
        T: Message,
    {
        self.get_on_lease::<OWNED, T>(me, wait)
    }

    /// Gets one sized value where there is a queue for dead letters: a message whose bits are no
    /// value is leased, and given up.
    fn get_on_lease<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<T, GetError>
    where
        T: Message,
    {
        let mut copy = MaybeUninit::<T>::uninit();
        self.copy_on_lease::<OWNED, T>(me, wait, &mut copy, false)?;
        // SAFETY: the bytes were found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// Copies a message to `copy`. `Ok`: its bits are a value. Otherwise it is given up, or is
    /// `left` for the next call, which reports it.
    pub(super) fn copy_on_lease<const OWNED: bool, T>(
        &self,
        me: Id,
        wait: Wait,
        copy: &mut MaybeUninit<T>,
        left: bool,
    ) -> Result<(), GetError>
    where
        T: Message,
    {
        let mut read = |from| {
            // SAFETY: the ring found the record's length equal to `size_of::<T>()` (segment header
            // and record header), which is what `copy` has room for.
            unsafe { copy_out(from, copy.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
            // SAFETY: all bytes of `copy` were written above.
            unsafe { check_written(copy) }
        };
        let record = if OWNED || size_of::<T>() <= SMALL_COPY_BYTES {
            // Judged while it is at head, so that a value is taken at once, as ever.
            let got =
                self.with_record::<OWNED, _>(me, wait, &mut |record| match read(self.ring.memory.payload(record.cell)) {
                    Ok(()) => Ok(self.take_copied(record)),
                    Err(_) => Err((!left).then(|| self.lease_any(record, me))),
                })?;
            match got {
                Ok(came_back) => {
                    self.notify_not_full(if came_back { u32::MAX } else { 1 });
                    return Ok(());
                }
                Err(Some(record)) => record,
                Err(None) => {
                    // The wake for this message may have come to us: another process may want it.
                    self.notify_not_empty(1);
                    return Err(GetError::Invalid);
                }
            }
        } else {
            let record = self.lease_slow::<OWNED>(me, wait)?;
            if read(record.payload).is_ok() {
                return self.finish_copy::<OWNED>(record, wait);
            }
            if left {
                self.give_back(record)?;
                return Err(GetError::Invalid);
            }
            record
        };
        Err(self.refuse_invalid::<OWNED>(record, wait))
    }

    /// Ends the lease of a message whose bits are no value: it is taken, or given up where there is a
    /// queue for dead letters. Returns the error of it.
    #[cold]
    pub(super) fn refuse_invalid<const OWNED: bool>(&self, record: LeasedRecord, wait: Wait) -> GetError {
        if !self.has_dead_letters() {
            return self.finish_copy::<OWNED>(record, wait).err().unwrap_or(GetError::Invalid);
        }
        let deliveries = record.deliveries();
        self.give_up_to_letters(record, deliveries, Reason::Invalid, Ends::Copied);
        GetError::Invalid
    }

    /// Gets one sized value into a box. A large one is nowhere on the stack on its way.
    pub(crate) fn get_boxed<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<Box<T>, GetError>
    where
        T: Message,
    {
        if size_of::<T>() <= SMALL_COPY_BYTES {
            self.get_boxed_small::<OWNED, T>(me, wait)
        } else {
            self.get_boxed_large::<OWNED, T>(me, wait)
        }
    }

    /// Apart, so that its frame is not there where it is not called, whatever the compiler
    /// optimises.
    #[inline(never)]
    fn get_boxed_small<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<Box<T>, GetError>
    where
        T: Message,
    {
        self.get_value_slowly::<OWNED, T>(me, wait).map(Box::new)
    }

    #[inline(never)]
    fn get_boxed_large<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<Box<T>, GetError>
    where
        T: Message,
    {
        if self.has_dead_letters() {
            let mut copy = Box::<T>::new_uninit();
            self.copy_on_lease::<OWNED, T>(me, wait, &mut copy, false)?;
            // SAFETY: the bytes were found to be a value of T.
            return Ok(unsafe { copy.assume_init() });
        }
        let copy = self.get::<OWNED, SIZED_RING, Box<MaybeUninit<T>>>(
            me,
            OWNED,
            wait,
            |_| Ok(()),
            |from, _| {
                // A large copy is made without a lock (Invariant 1), so that there is time to
                // allocate; and only when there is a message.
                let mut copy = Box::<T>::new_uninit();
                // SAFETY: as in `get_value`; the box has room for a T.
                unsafe { copy_out(from, copy.as_mut_ptr().cast(), size_of::<T>()) };
                copy
            },
        )?;
        // SAFETY: all bytes of `copy` were written above.
        unsafe { check_written(&*copy)? };
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }

    /// Gets one slice as a vector. Nothing is allocated while the get side is entered by lock.
    #[inline]
    pub(crate) fn get_vec<const OWNED: bool, X>(&self, me: Id, wait: Wait) -> Result<Vec<X>, GetError>
    where
        X: Plain,
    {
        let mut small = MaybeUninit::uninit();
        let large = Cell::new(Vec::new());
        let length = self.get_staged::<OWNED, X>(me, wait, &mut small, &large)?;
        // SAFETY: `get_staged` copied `length` bytes to `small`.
        Ok(if length <= SMALL_COPY_BYTES { unsafe { vec_from_bytes(small.as_ptr().cast(), length) } } else { large.into_inner() })
    }

    /// Gets one slice of bytes, and shows a private copy of it to `act` after the get side was
    /// left.
    #[cfg(feature = "object")]
    #[inline]
    pub(crate) fn get_bytes<const OWNED: bool, R>(
        &self,
        me: Id,
        wait: Wait,
        act: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, GetError> {
        let mut small = MaybeUninit::uninit();
        let large = Cell::new(Vec::new());
        let length = self.get_staged::<OWNED, u8>(me, wait, &mut small, &large)?;
        if length > SMALL_COPY_BYTES {
            return Ok(act(&large.into_inner()));
        }
        // SAFETY: `get_staged` copied `length` bytes to `small`, which lives until `act` returns.
        Ok(act(unsafe { std::slice::from_raw_parts(small.as_ptr().cast(), length) }))
    }

    /// Gets one slice: its length in bytes. Up to SMALL_COPY_BYTES, that many bytes of `small` are
    /// written; a longer one is in `large`.
    #[inline]
    fn get_staged<const OWNED: bool, X>(
        &self,
        me: Id,
        wait: Wait,
        small: &mut MaybeUninit<[u8; SMALL_COPY_BYTES]>,
        large: &Cell<Vec<X>>,
    ) -> Result<usize, GetError>
    where
        X: Plain,
    {
        let staged = small.as_mut_ptr().cast::<u8>();
        self.get::<OWNED, SLICE_RING, usize>(me, false, wait, whole_elements::<X>, |from, length| {
            if length <= SMALL_COPY_BYTES {
                // SAFETY: `staged` has room for SMALL_COPY_BYTES; the record holds `length` bytes
                // (Invariant 2).
                unsafe { copy_out(from, staged, length) };
            } else {
                // SAFETY: the record holds `length` bytes.
                large.set(unsafe { vec_from_bytes(from, length) });
            }
            length
        })
    }

    /// Gets one slice into the caller's buffer: its number of elements.
    #[inline]
    pub(crate) fn get_into<const OWNED: bool, X>(&self, me: Id, buffer: &mut [X], wait: Wait) -> Result<usize, GetError>
    where
        X: Plain,
    {
        let given = buffer.len();
        let fits = |length: usize| {
            whole_elements::<X>(length)?;
            let needed = length / size_of::<X>();
            if needed > given { Err(GetError::TooSmall { needed, given }) } else { Ok(()) }
        };
        let to = buffer.as_mut_ptr().cast::<u8>();
        self.get::<OWNED, SLICE_RING, usize>(me, false, wait, fits, |from, length| {
            // SAFETY: `fits` found room for `length` bytes, and any bits are an X (Plain).
            unsafe { copy_out(from, to, length) };
            length / size_of::<X>()
        })
    }
}

/// Where the slow way of a get leaves what it comes to. The fast way then takes it from here as it
/// would from a record: with one read and one way to each result, a message stays in registers. In
/// memory, what the caller computes from it may have to wait for the store buffer, and that for
/// cache lines of the putter's (measured, the sum of 64 B, between two cores: 55 -> 24 M/s by
/// endpoints).
#[repr(C, align(8))] // `value` is read as a payload is, which is aligned so
pub(super) struct SlowGet<T> {
    value: MaybeUninit<T>,
    error: MaybeUninit<Result<T, GetError>>,
}

impl<T> SlowGet<T>
where
    T: Message,
{
    #[inline(always)]
    pub fn new() -> SlowGet<T> {
        SlowGet { value: MaybeUninit::uninit(), error: MaybeUninit::uninit() }
    }

    /// Gets the slow way. `true`: [`value`](SlowGet::value) leads to a value; `false`: see
    /// [`failure`](SlowGet::failure).
    #[cold]
    #[inline(never)]
    pub fn run(&mut self, get: impl FnOnce() -> Result<T, GetError>) -> bool {
        match get() {
            Ok(value) => {
                self.value.write(value);
                true
            }
            Err(error) => {
                self.error.write(Err(error));
                false
            }
        }
    }

    #[inline(always)]
    pub fn value(&mut self) -> *mut T {
        self.value.as_mut_ptr()
    }

    /// # Safety
    /// `run` returned `false`, or `fail` was called, and this is called once after it.
    #[inline(always)]
    pub unsafe fn failure(&mut self) -> Result<T, GetError> {
        // SAFETY: as the caller says.
        unsafe { self.error.assume_init_read() }
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self) {
        self.error.write(Err(GetError::Invalid));
    }

    /// The value in `copy`, if its bits are one.
    ///
    /// # Safety
    /// All bytes of `copy` were written.
    #[inline(always)]
    pub unsafe fn checked(&mut self, copy: MaybeUninit<T>) -> Result<T, GetError> {
        // SAFETY: as the caller says.
        if unsafe { check_written(&copy) }.is_err() {
            self.fail();
            // SAFETY: `fail` has just written the error.
            return unsafe { self.failure() };
        }
        // SAFETY: the bytes were just found to be a value of T.
        Ok(unsafe { copy.assume_init() })
    }
}

/// Are the bits of a copy a value?
///
/// # Safety
/// All bytes of `copy` were written.
#[inline(always)]
pub(super) unsafe fn check_written<T>(copy: &MaybeUninit<T>) -> Result<(), GetError>
where
    T: Message,
{
    // SAFETY: as the caller says; the copy is this process's own.
    if !T::LAYOUT.is_checked || unsafe { T::is_value(copy.as_ptr().cast()) } { Ok(()) } else { Err(GetError::Invalid) }
}

/// A record's length must be whole elements: another length is garbage.
#[inline(always)]
pub(super) fn whole_elements<X>(length: usize) -> Result<(), GetError> {
    if length % size_of::<X>() == 0 { Ok(()) } else { Err(GetError::Corrupted) }
}
