//! The byte map of a primitive of `shmq::sync`: the words at the beginning of its one cell.

use super::{CondvarWords, MAX_PARTICIPANTS};
use crate::atomic::{AtomicU32, AtomicU64};

/// A primitive's data start here in its cell, or at the next multiple of their alignment.
pub const PRIMITIVE_DATA_OFFSET: u64 = 0x100;
/// Bytes of a table with a word for each participant: `generation:32 | count:32`.
pub const HOLDERS_BYTES: u64 = (MAX_PARTICIPANTS as u64 + 1) * 8;

/// Words of a mutex or an array, beside its lock.
#[repr(C)]
#[derive(Debug, Default)]
pub struct MutexWords {
    /// 1 from the death of a holder until a process declares the data consistent.
    pub needs_repair: AtomicU32,
}

/// Words of a value, of which the data hold two copies.
#[repr(C)]
#[derive(Debug, Default)]
pub struct ValueWords {
    /// Its lowest bit selects the current copy. Raised by each change, after the other copy was
    /// written.
    pub changes: AtomicU64,
}

/// Words of an event.
#[repr(C)]
#[derive(Debug, Default)]
pub struct EventWords {
    /// Raised by each change: odd while the event is set.
    pub changes: AtomicU64,
}

/// Words of a semaphore. Its data are a table: permits that each participant holds as guards. The
/// number of available permits is `total` less the sum of the table, and is not stored.
#[repr(C)]
#[derive(Debug, Default)]
pub struct SemaphoreWords {
    /// Permits that are free or held as guards: changed by `acquire` and `release`.
    pub total: AtomicU64,
    /// Raised before and after each taking of a permit.
    pub takes: AtomicU64,
    /// No word of the table from this index on was ever used.
    pub holders_end: AtomicU64,
}

/// Words of a barrier. Its data are a table: arrivals of each participant in this phase.
#[repr(C)]
#[derive(Debug, Default)]
pub struct BarrierWords {
    /// `phase << 2 | state`: number and state of the current phase.
    pub phase: AtomicU64,
    /// Bit `n % 64`: phase n, which is over, ended broken.
    pub broken_phases: AtomicU64,
    /// Arrivals in this phase.
    pub arrived: AtomicU32,
    pub reserved: AtomicU32,
}

/// Words of a condition variable. Its data are [`CONDVAR_PLACES`] places.
#[repr(C)]
#[derive(Debug, Default)]
pub struct PlacesWords {
    /// Waits that have begun: the next one's number.
    pub orders: AtomicU64,
    /// No place from this index on was ever used.
    pub places_end: AtomicU64,
}

/// One thread that waits at a condition variable.
#[repr(C)]
#[derive(Debug, Default)]
pub struct CondvarPlace {
    /// `waiter:31 | tag:30 | state:3` (`sync/condvar/places.rs`).
    pub state: AtomicU64,
    /// Number of the wait.
    pub order: AtomicU64,
    /// With a notice: only waits before this number could have had it.
    pub bound: AtomicU64,
    /// Where it sleeps.
    pub condvar: CondvarWords,
}

/// Threads that may wait at one condition variable.
pub const CONDVAR_PLACES: u32 = 1024;
/// Bytes of their places.
pub const PLACES_BYTES: u64 = CONDVAR_PLACES as u64 * size_of::<CondvarPlace>() as u64;

/// Words of a lock and of a reentrant lock, which do not use the lock of the put side.
#[repr(C)]
#[derive(Debug, Default)]
pub struct LockWords {
    /// `holder:32 | number:32`: id of the participant that holds it, 0 if it is free. The number is
    /// that of the acquisition, or of the thread in its process if the lock is reentrant.
    pub hold: AtomicU64,
    /// A reentrant lock: `period:32 | levels:32`, how many times its holder has to release it
    /// (`sync/reentrant/levels.rs`).
    pub levels: AtomicU64,
    /// The holder's thread as the system calls it, for messages.
    pub tid: AtomicU32,
    /// 1 from the death of a holder until a process declares what the lock guards consistent.
    pub needs_repair: AtomicU32,
}

#[cfg(all(not(loom), any(target_arch = "x86_64", target_arch = "aarch64")))]
const _: () = {
    use super::PAGE_BYTES;
    assert!(size_of::<MutexWords>() as u64 <= PRIMITIVE_DATA_OFFSET && size_of::<ValueWords>() as u64 <= PRIMITIVE_DATA_OFFSET);
    assert!(
        size_of::<EventWords>() as u64 <= PRIMITIVE_DATA_OFFSET && size_of::<SemaphoreWords>() as u64 <= PRIMITIVE_DATA_OFFSET
    );
    assert!(size_of::<BarrierWords>() as u64 <= PRIMITIVE_DATA_OFFSET && size_of::<LockWords>() as u64 <= PRIMITIVE_DATA_OFFSET);
    assert!(size_of::<PlacesWords>() as u64 <= PRIMITIVE_DATA_OFFSET && size_of::<CondvarPlace>() == 40);
    assert!(PRIMITIVE_DATA_OFFSET % 64 == 0 && PAGE_BYTES % PRIMITIVE_DATA_OFFSET == 0 && HOLDERS_BYTES == 8192);
};
