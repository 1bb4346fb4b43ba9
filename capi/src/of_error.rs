//! The crate's errors, one after the other, as codes and details.

use crate::failure::{Failed, Numbers, shmq_error::*};
use shmq_rs::future::ReadinessError;
use shmq_rs::sync::{LockError, SyncError};
use shmq_rs::{CreateError, GetError, JoinError, LayoutError, OpenError, PutError, SubscribeError, WaitSubscribersError};
use std::ffi::CStr;
use std::io;

const NO_LAYOUT: &CStr =
    c"what is created needs to know its messages: set message_size, or structure, or the form, in the options";

fn none() -> Numbers {
    Numbers::none()
}

fn of_pid(pid: u32) -> Numbers {
    Numbers { pid, ..none() }
}

/// What was given, and what would have been possible.
fn of_lengths(length: usize, maximum: usize) -> Numbers {
    Numbers { length: length as u64, maximum: maximum as u64, ..none() }
}

fn of_maximum(maximum: u64) -> Numbers {
    Numbers { maximum, ..none() }
}

fn of_os(error: &io::Error) -> Numbers {
    Numbers { errno: error.raw_os_error().unwrap_or(0), ..none() }
}

impl From<PutError> for Failed {
    #[cold]
    #[inline(never)]
    fn from(error: PutError) -> Failed {
        let (code, details) = match &error {
            // Those that a loop of `try_put` meets, or a signal handler: without a text to be made.
            PutError::Full => return Failed::plain(SHMQ_ERROR_FULL, c"the queue is full"),
            PutError::Busy => return busy(),
            PutError::Timeout => return Failed::plain(SHMQ_ERROR_TIMEOUT, c"timed out before there was room"),
            PutError::Interrupted => return interrupted(),
            PutError::Closed => return Failed::plain(SHMQ_ERROR_CLOSED, c"closed: no more messages are taken"),
            PutError::Inherited => return inherited(),
            PutError::TooLarge { len, max } => {
                return Failed::later(SHMQ_ERROR_TOO_LARGE, of_lengths(*len, *max), |numbers| {
                    PutError::TooLarge { len: numbers.length as usize, max: numbers.maximum as usize }.to_string()
                });
            }
            PutError::WrongLength { len, expected } => {
                return Failed::later(SHMQ_ERROR_WRONG_LENGTH, of_lengths(*len, *expected), |numbers| {
                    PutError::WrongLength { len: numbers.length as usize, expected: numbers.maximum as usize }.to_string()
                });
            }
            PutError::NotWhole { len, element } => {
                return Failed::later(SHMQ_ERROR_NOT_WHOLE, of_lengths(*len, *element), |numbers| {
                    PutError::NotWhole { len: numbers.length as usize, element: numbers.maximum as usize }.to_string()
                });
            }
            PutError::Held { pid } => {
                return Failed::later(SHMQ_ERROR_HELD, of_pid(*pid), |numbers| PutError::Held { pid: numbers.pid }.to_string());
            }
            PutError::Poisoned => return Failed::later(SHMQ_ERROR_POISONED, none(), |_| PutError::Poisoned.to_string()),
            PutError::Corrupted => return Failed::later(SHMQ_ERROR_CORRUPTED, none(), |_| PutError::Corrupted.to_string()),
            PutError::NotOfOneSize => (SHMQ_ERROR_NOT_OF_ONE_SIZE, none()),
            PutError::NoSpace { needed_bytes, free_bytes } => {
                (SHMQ_ERROR_NO_SPACE, Numbers { length: *needed_bytes, maximum: *free_bytes, ..none() })
            }
            PutError::Encode { .. } => (SHMQ_ERROR_INVALID, none()),
            PutError::Gated { pid, lag, timed_out, .. } => {
                (if *timed_out { SHMQ_ERROR_TIMEOUT } else { SHMQ_ERROR_FULL }, Numbers { lag: *lag, ..of_pid(*pid) })
            }
            PutError::BehindLoan { pid, timed_out } => {
                (if *timed_out { SHMQ_ERROR_TIMEOUT } else { SHMQ_ERROR_FULL }, of_pid(*pid))
            }
            PutError::LossyHere => (SHMQ_ERROR_LOSSY_HERE, none()),
            PutError::TooManyParticipants { max } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            PutError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl From<GetError> for Failed {
    #[cold]
    #[inline(never)]
    fn from(error: GetError) -> Failed {
        let (code, details) = match &error {
            GetError::Empty => return Failed::plain(SHMQ_ERROR_EMPTY, c"there is no message"),
            GetError::Busy => return busy(),
            GetError::Timeout => return Failed::plain(SHMQ_ERROR_TIMEOUT, c"timed out before a message came"),
            GetError::Interrupted => return interrupted(),
            GetError::Closed => return Failed::plain(SHMQ_ERROR_CLOSED, c"closed, and no message is left"),
            GetError::Inherited => return inherited(),
            GetError::TooSmall { needed, given } => (SHMQ_ERROR_TOO_SMALL, of_lengths(*given, *needed)),
            GetError::NotOfOneSize => (SHMQ_ERROR_NOT_OF_ONE_SIZE, none()),
            GetError::Invalid | GetError::Decode { .. } => (SHMQ_ERROR_INVALID, none()),
            GetError::Held { pid } => (SHMQ_ERROR_HELD, of_pid(*pid)),
            GetError::Lagged { missed } => (SHMQ_ERROR_LAGGED, Numbers { lag: *missed, ..none() }),
            GetError::Evicted => (SHMQ_ERROR_EVICTED, none()),
            GetError::NotGating => (SHMQ_ERROR_NOT_GATING, none()),
            GetError::Poisoned => (SHMQ_ERROR_POISONED, none()),
            GetError::Corrupted => (SHMQ_ERROR_CORRUPTED, none()),
            GetError::TooManyParticipants { max } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            GetError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

fn busy() -> Failed {
    Failed::plain(SHMQ_ERROR_BUSY, c"locked by a process that does not run (stopped or starved); try again")
}

fn interrupted() -> Failed {
    Failed::plain(SHMQ_ERROR_INTERRUPTED, c"interrupted: the stop was set")
}

/// It belongs to the parent process.
pub fn inherited() -> Failed {
    Failed::plain(SHMQ_ERROR_INHERITED, c"this guard or endpoint belongs to the parent process; make a new one after fork")
}

impl From<JoinError> for Failed {
    #[cold]
    fn from(error: JoinError) -> Failed {
        let (code, details) = match &error {
            JoinError::Busy => return busy(),
            JoinError::Interrupted => return interrupted(),
            JoinError::Inherited => return inherited(),
            JoinError::Timeout { left } => (SHMQ_ERROR_TIMEOUT, Numbers { lag: *left, ..none() }),
            JoinError::Held { pid } => (SHMQ_ERROR_HELD, of_pid(*pid)),
            JoinError::TooManyDone => (SHMQ_ERROR_TOO_MANY_DONE, none()),
            JoinError::Poisoned => (SHMQ_ERROR_POISONED, none()),
            JoinError::Corrupted => (SHMQ_ERROR_CORRUPTED, none()),
            JoinError::TooManyParticipants { max } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            JoinError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl From<SubscribeError> for Failed {
    #[cold]
    fn from(error: SubscribeError) -> Failed {
        let (code, details) = match &error {
            SubscribeError::TooManySubscribers { max } => (SHMQ_ERROR_TOO_MANY_SUBSCRIBERS, of_maximum(u64::from(*max))),
            SubscribeError::LoansHere => (SHMQ_ERROR_LOANS_HERE, none()),
            SubscribeError::Poisoned => (SHMQ_ERROR_POISONED, none()),
            SubscribeError::Corrupted => (SHMQ_ERROR_CORRUPTED, none()),
            SubscribeError::TooManyParticipants { max } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            SubscribeError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl From<WaitSubscribersError> for Failed {
    #[cold]
    fn from(error: WaitSubscribersError) -> Failed {
        let (code, details) = match &error {
            WaitSubscribersError::Interrupted => return interrupted(),
            WaitSubscribersError::Timeout { found, wanted } => (SHMQ_ERROR_TIMEOUT, of_lengths(*found, *wanted)),
            WaitSubscribersError::Closed => (SHMQ_ERROR_CLOSED, none()),
            WaitSubscribersError::Poisoned => (SHMQ_ERROR_POISONED, none()),
            WaitSubscribersError::Corrupted => (SHMQ_ERROR_CORRUPTED, none()),
            WaitSubscribersError::TooManyParticipants { max } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            WaitSubscribersError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl From<CreateError> for Failed {
    #[cold]
    fn from(error: CreateError) -> Failed {
        let (code, details) = match &error {
            CreateError::BadName { .. } => (SHMQ_ERROR_BAD_NAME, none()),
            // The crate's text speaks of its builder.
            CreateError::NoLayout => return Failed::plain(SHMQ_ERROR_LAYOUT, NO_LAYOUT),
            CreateError::BadMessage { bytes, .. } => (SHMQ_ERROR_LAYOUT, Numbers { length: *bytes as u64, ..none() }),
            CreateError::OutOfRange { asked, max, .. } => (SHMQ_ERROR_OUT_OF_RANGE, of_lengths(*asked, *max)),
            CreateError::TooManyParties { parties, max_participants } => {
                (SHMQ_ERROR_OUT_OF_RANGE, of_lengths(*parties, *max_participants as usize))
            }
            CreateError::AlreadyExists { .. } => (SHMQ_ERROR_ALREADY_EXISTS, none()),
            CreateError::NoSpace { needed_bytes, free_bytes, .. } => {
                (SHMQ_ERROR_NO_SPACE, Numbers { length: *needed_bytes, maximum: *free_bytes, ..none() })
            }
            CreateError::Mismatch { ours, theirs, .. } => return Failed::mismatch(SHMQ_ERROR_MISMATCH, &error, ours, theirs),
            CreateError::Corrupted { .. } => (SHMQ_ERROR_CORRUPTED, none()),
            CreateError::PermissionDenied { .. } => (SHMQ_ERROR_PERMISSION, none()),
            CreateError::Directory { .. } => (SHMQ_ERROR_DIRECTORY, none()),
            CreateError::NoSegment { .. } => (SHMQ_ERROR_NO_SEGMENT, none()),
            CreateError::ForeignOwner { .. } => (SHMQ_ERROR_FOREIGN_OWNER, none()),
            CreateError::TooManyParticipants { max, .. } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            CreateError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl From<OpenError> for Failed {
    #[cold]
    fn from(error: OpenError) -> Failed {
        let (code, details) = match &error {
            OpenError::BadName { .. } => (SHMQ_ERROR_BAD_NAME, none()),
            OpenError::NotFound { .. } => (SHMQ_ERROR_NOT_FOUND, none()),
            OpenError::NotReady { .. } => (SHMQ_ERROR_NOT_READY, none()),
            OpenError::Timeout { .. } => (SHMQ_ERROR_TIMEOUT, none()),
            OpenError::Mismatch { ours, theirs, .. } => return Failed::mismatch(SHMQ_ERROR_MISMATCH, &error, ours, theirs),
            OpenError::Replaced { .. } => (SHMQ_ERROR_REPLACED, none()),
            OpenError::Corrupted { .. } => (SHMQ_ERROR_CORRUPTED, none()),
            OpenError::PermissionDenied { .. } => (SHMQ_ERROR_PERMISSION, none()),
            OpenError::Directory { .. } => (SHMQ_ERROR_DIRECTORY, none()),
            OpenError::NoSegment { .. } => (SHMQ_ERROR_NO_SEGMENT, none()),
            OpenError::ForeignOwner { .. } => (SHMQ_ERROR_FOREIGN_OWNER, none()),
            OpenError::TooManyParticipants { max, .. } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            OpenError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl From<LayoutError> for Failed {
    #[cold]
    fn from(error: LayoutError) -> Failed {
        let details = match error {
            LayoutError::TooLarge { size, max } => of_lengths(size, max),
            LayoutError::LongSchema { len, max } => of_lengths(len, max),
            LayoutError::Structure { described, size } => of_lengths(described, size),
            _ => none(),
        };
        Failed::detailed(SHMQ_ERROR_LAYOUT, error, details)
    }
}

impl From<ReadinessError> for Failed {
    #[cold]
    fn from(error: ReadinessError) -> Failed {
        let details = match &error {
            ReadinessError::Inherited => return inherited(),
            ReadinessError::Os { source, .. } => of_os(source),
            _ => none(),
        };
        Failed::detailed(SHMQ_ERROR_OS, error, details)
    }
}

impl From<SyncError> for Failed {
    #[cold]
    #[inline(never)]
    fn from(error: SyncError) -> Failed {
        let (code, details) = match &error {
            SyncError::WouldBlock => return Failed::plain(SHMQ_ERROR_WOULD_BLOCK, c"it would have to wait"),
            SyncError::Busy => return busy(),
            SyncError::Timeout => return Failed::plain(SHMQ_ERROR_TIMEOUT, c"timed out"),
            SyncError::Interrupted => return interrupted(),
            SyncError::Inherited => return inherited(),
            SyncError::OwnerDied => return Failed::later(SHMQ_ERROR_OWNER_DIED, none(), |_| SyncError::OwnerDied.to_string()),
            SyncError::NotLocked => (SHMQ_ERROR_NOT_LOCKED, none()),
            SyncError::NotOwner { pid, .. } => (SHMQ_ERROR_NOT_LOCKED, of_pid(*pid)),
            SyncError::TooManyReleases { bound } => {
                return Failed::later(SHMQ_ERROR_TOO_MANY_RELEASES, of_maximum(*bound), |numbers| {
                    SyncError::TooManyReleases { bound: numbers.maximum }.to_string()
                });
            }
            SyncError::Poisoned => return Failed::later(SHMQ_ERROR_POISONED, none(), |_| SyncError::Poisoned.to_string()),
            SyncError::TooManyParticipants { max } => (SHMQ_ERROR_TOO_MANY_PARTICIPANTS, of_maximum(u64::from(*max))),
            SyncError::Os { source, .. } => (SHMQ_ERROR_OS, of_os(source)),
            _ => (SHMQ_ERROR_OTHER, none()),
        };
        Failed::detailed(code, error, details)
    }
}

impl<G> From<LockError<G>> for Failed {
    fn from(error: LockError<G>) -> Failed {
        SyncError::from(error).into()
    }
}
