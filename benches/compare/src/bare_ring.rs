//! What the layout allows: a bare ring of records in shared memory, for one producer and one
//! consumer that trust each other and never die.
//!
//! ```text
//!   | header | payload | header | payload | ...
//!   header: FREE -> READY -> DONE, as in shmq; no padding to cache lines
//! ```
//!
//! It makes the same stores into the records as `Producer` and `Consumer`, the same pause of a
//! consumer that has caught up, and the same prefetches. It has no cursors that others can read, no
//! owners, closing, sleeping, counters, checks of the segment, or recovery.
//!
//! Invariants:
//! 1. `at` is the offset of a record in the ring; only one putter and one getter are attached.
//! 2. The word at the putter's `at` is FREE, and it may write `room` records from there on.

use crate::{
    flows::{Transport, sum},
    forked::Host,
};
use shared_memory::{Shmem, ShmemConf};
use std::{
    cell::Cell,
    hint::spin_loop,
    ops::Range,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

const FREE: u64 = 0;
const READY: u64 = 1;
const DONE: u64 = 2;
/// Offset of the records; their size in bytes stands before it.
const RECORDS: usize = 4096;
const AHEAD: usize = 64;

pub struct BareRing<const W: usize>;

pub struct End {
    segment: Shmem,
    bytes: usize,
    at: Cell<usize>,
    /// Putter: where the oldest record lies that was not seen DONE.
    oldest: Cell<usize>,
    /// Putter: how many records fit. Getter: how many were got since it caught up.
    room: Cell<usize>,
}

impl Host for Shmem {
    fn unlink(&self) {
        // The mapping's owner does it when it is dropped.
    }

    fn state(&self) -> String {
        "bare ring".into()
    }
}

impl<const W: usize> BareRing<W> {
    const RECORD: usize = 8 + W * 8;
    const LONGEST_PAUSE: usize = if Self::RECORD * 3 < 80 { 80 } else { 200 };

    fn open(name: &str) -> End {
        let segment = ShmemConf::new().os_id(name).open().expect("open the bare ring");
        // SAFETY: the creator wrote it there; a mapping is page-aligned.
        let bytes = unsafe { segment.as_ptr().cast::<usize>().read() };
        End { bytes, at: Cell::new(0), oldest: Cell::new(0), room: Cell::new(bytes / Self::RECORD - 1), segment }
    }
}

impl End {
    fn record(&self, at: usize) -> *mut u8 {
        self.segment.as_ptr().wrapping_add(RECORDS + at)
    }

    fn header(&self, at: usize) -> &AtomicU64 {
        // SAFETY: Invariant 1; records are multiples of 8 bytes from a page's beginning on.
        unsafe { &*self.record(at).cast() }
    }

    fn after(&self, at: usize, record: usize) -> usize {
        if at + record == self.bytes { 0 } else { at + record }
    }

    #[cold]
    fn make_room(&self, record: usize) {
        let mut at = self.oldest.get();
        let used = self.bytes / record - 1 - self.room.get();
        let stretch = used.min(AHEAD).min((self.bytes - at) / record);
        #[cfg(target_arch = "x86_64")]
        for ahead in (0..stretch * record).step_by(64) {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            // SAFETY: a prefetch is a hint and cannot fault.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(self.record(at + ahead).cast()) };
        }
        for _ in 0..stretch {
            if self.header(at).load(Acquire) != DONE {
                break;
            }
            at = self.after(at, record);
            self.room.set(self.room.get() + 1);
        }
        self.oldest.set(at);
        if self.room.get() == 0 {
            spin_loop();
        }
    }
}

impl<const W: usize> Transport for BareRing<W> {
    const WORDS: usize = W;
    type Host = Shmem;
    type Sender = End;
    type Receiver = End;

    fn create(name: &str, capacity: usize) -> Shmem {
        let bytes = (capacity + 1) * Self::RECORD;
        let segment = ShmemConf::new().os_id(name).size(RECORDS + bytes).create().expect("create the bare ring");
        // SAFETY: the mapping is new and larger than that.
        unsafe { segment.as_ptr().cast::<usize>().write(bytes) };
        segment
    }

    fn sender(name: &str) -> End {
        Self::open(name)
    }

    fn receiver(name: &str) -> End {
        let end = Self::open(name);
        end.room.set(0);
        end
    }

    fn send(end: &End, stamps: Range<u64>) {
        for stamp in stamps {
            while end.room.get() == 0 {
                end.make_room(Self::RECORD);
            }
            let (at, next) = (end.at.get(), end.after(end.at.get(), Self::RECORD));
            end.header(next).store(FREE, Relaxed);
            // SAFETY: Invariant 2.
            unsafe { end.record(at).add(8).cast::<[u64; W]>().write([stamp; W]) };
            end.header(at).store(READY, Release);
            end.at.set(next);
            end.room.set(end.room.get() - 1);
        }
    }

    fn receive(end: &End, count: u64) -> u64 {
        let mut total = 0_u64;
        for _ in 0..count {
            let header = end.header(end.at.get());
            if header.load(Acquire) != READY {
                let run = end.room.replace(0);
                if run > 1 {
                    (0..run.min(Self::LONGEST_PAUSE)).for_each(|_| spin_loop());
                }
                while header.load(Acquire) != READY {
                    spin_loop();
                }
            }
            // SAFETY: the putter wrote it before READY, and leaves it alone until DONE.
            let message = unsafe { end.record(end.at.get()).add(8).cast::<[u64; W]>().read() };
            header.store(DONE, Release);
            end.at.set(end.after(end.at.get(), Self::RECORD));
            end.room.set(end.room.get() + 1);
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}
