//! Errors as C has them: a code, and details per thread.
//!
//! Invariants:
//! 1. `LAST` has no destructor, and an error whose text is plain, or written when it is asked for
//!    (`plain`, `later`), writes nothing else: a signal handler may fail, inside the allocator too.
//!    The details of an older error stay until the next one that has some.
//! 2. Texts are given to C until the next error of the thread: only `keep` frees them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::fmt::Display;

/// What a call returned. The numbers stay what they are; later versions may add some.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum shmq_error {
    /// It was done.
    SHMQ_OK = 0,
    /// There is no room (`try_` forms and `SHMQ_TRY`). Of a topic, `shmq_error_pid()` is the process
    /// of the subscriber, or of the loan, that is in the way.
    SHMQ_ERROR_FULL = 1,
    /// There is no message (`try_` forms and `SHMQ_TRY`).
    SHMQ_ERROR_EMPTY = 2,
    /// A primitive would have to wait (`SHMQ_TRY`).
    SHMQ_ERROR_WOULD_BLOCK = 3,
    /// A lock is held by a process that does not run (stopped or starved). Try again.
    SHMQ_ERROR_BUSY = 4,
    /// The time was up. Nothing was done.
    SHMQ_ERROR_TIMEOUT = 5,
    /// The `shmq_stop` of the options was set. Nothing was done.
    SHMQ_ERROR_INTERRUPTED = 6,
    /// The stream was closed; for getters: and no message is left.
    SHMQ_ERROR_CLOSED = 7,

    /// The message is longer than the ring can ever hold (`shmq_error_maximum()`).
    SHMQ_ERROR_TOO_LARGE = 20,
    /// All messages have another length (`shmq_error_maximum()`).
    SHMQ_ERROR_WRONG_LENGTH = 21,
    /// The bytes are no whole number of elements (of `shmq_error_maximum()` bytes).
    SHMQ_ERROR_NOT_WHOLE = 22,
    /// Messages have no common size: put, or get, them one by one.
    SHMQ_ERROR_NOT_OF_ONE_SIZE = 23,
    /// The buffer is smaller than the message (`shmq_error_maximum()`), which is still there.
    SHMQ_ERROR_TOO_SMALL = 24,
    /// The message cannot be read. It was taken out.
    SHMQ_ERROR_INVALID = 25,

    /// The handle is null, was given up, or is of another kind.
    SHMQ_ERROR_HANDLE = 40,
    /// An argument is null, or impossible.
    SHMQ_ERROR_ARGUMENT = 41,
    /// An options struct has no `size`, or asks for what this library does not know.
    SHMQ_ERROR_OPTIONS = 42,
    /// This process has 65536 handles.
    SHMQ_ERROR_TOO_MANY_HANDLES = 43,
    /// The guard or the endpoint belongs to the parent process: make a new one after fork.
    SHMQ_ERROR_INHERITED = 44,
    /// The side of the queue is held by an endpoint of process `shmq_error_pid()`.
    SHMQ_ERROR_HELD = 45,
    /// The subscriber reads a sample: `shmq_subscriber_pass()` first.
    SHMQ_ERROR_SAMPLE_OPEN = 46,

    /// `shmq_error_lag()` messages were overwritten before this subscriber read them. The next call
    /// goes on with what is left.
    SHMQ_ERROR_LAGGED = 60,
    /// The subscriber was evicted, since it lagged: it goes on as a lossy one.
    SHMQ_ERROR_EVICTED = 61,
    /// A lossy subscriber cannot read in place.
    SHMQ_ERROR_NOT_GATING = 62,
    /// This process has a lossy subscriber of the topic, which excludes loans.
    SHMQ_ERROR_LOSSY_HERE = 63,
    /// This process has an open loan of the topic, which excludes lossy subscribers.
    SHMQ_ERROR_LOANS_HERE = 64,
    /// The topic has as many subscribers as it has room for (`shmq_error_maximum()`).
    SHMQ_ERROR_TOO_MANY_SUBSCRIBERS = 65,

    /// The name, or a text of the options, cannot be used.
    SHMQ_ERROR_BAD_NAME = 80,
    /// There is none of that name.
    SHMQ_ERROR_NOT_FOUND = 81,
    /// The name is in use.
    SHMQ_ERROR_ALREADY_EXISTS = 82,
    /// What exists is something else: `shmq_error_wanted()`, `shmq_error_found()`.
    SHMQ_ERROR_MISMATCH = 83,
    /// It was being replaced the whole time. Try again.
    SHMQ_ERROR_NOT_READY = 84,
    /// Another one has taken the name.
    SHMQ_ERROR_REPLACED = 85,
    /// The system denies it.
    SHMQ_ERROR_PERMISSION = 86,
    /// It belongs to another user: see `SHMQ_ALLOW_OWNER`.
    SHMQ_ERROR_FOREIGN_OWNER = 87,
    /// Shared memory is short: `shmq_error_length()` bytes are needed, `shmq_error_maximum()` free.
    SHMQ_ERROR_NO_SPACE = 88,
    /// An option is out of its range (`shmq_error_length()` was asked, `shmq_error_maximum()` is the
    /// most).
    SHMQ_ERROR_OUT_OF_RANGE = 89,
    /// The directory of shared memory cannot be used.
    SHMQ_ERROR_DIRECTORY = 90,
    /// What has the name is no segment.
    SHMQ_ERROR_NO_SEGMENT = 91,
    /// There is no such layout of messages.
    SHMQ_ERROR_LAYOUT = 92,
    /// As many processes are attached as there is room for (`shmq_error_maximum()`).
    SHMQ_ERROR_TOO_MANY_PARTICIPANTS = 93,

    /// The mutex **is** locked, and its last holder died with it: check the data, then call
    /// `shmq_mutex_mark_repaired()`, and unlock.
    SHMQ_ERROR_OWNER_DIED = 100,
    /// It is not locked through this handle.
    SHMQ_ERROR_NOT_LOCKED = 101,
    /// A bounded semaphore was released more often than it was acquired.
    SHMQ_ERROR_TOO_MANY_RELEASES = 102,
    /// `task_done` was called more often than messages were taken.
    SHMQ_ERROR_TOO_MANY_DONE = 103,

    /// A process was taken for dead while it was still at work. Create it anew.
    SHMQ_ERROR_POISONED = 120,
    /// The segment holds impossible values.
    SHMQ_ERROR_CORRUPTED = 121,
    /// A system call failed: `shmq_error_errno()`.
    SHMQ_ERROR_OS = 122,
    /// A fault of the library, which ended at its border.
    SHMQ_ERROR_PANIC = 123,
    /// An error that this version of the interface has no number for.
    SHMQ_ERROR_OTHER = 124,
}

pub use shmq_error::*;

/// A call has failed, and its details are kept for this thread.
#[derive(Debug)]
#[must_use]
pub struct Failed(pub shmq_error);

/// What an error has besides its code and its text.
#[derive(Clone, Copy)]
pub struct Numbers {
    pub pid: u32,
    pub length: u64,
    pub maximum: u64,
    pub lag: u64,
    pub errno: i32,
}

impl Numbers {
    pub const fn none() -> Numbers {
        Numbers { pid: 0, length: 0, maximum: 0, lag: 0, errno: 0 }
    }
}

/// What has to be kept in memory of its own besides.
#[derive(Default)]
pub struct Details {
    pub text: CString,
    pub wanted: Option<CString>,
    pub found: Option<CString>,
}

/// Where the text of an error is.
#[derive(Clone, Copy)]
enum Text {
    Plain(&'static CStr),
    /// Not written yet.
    Later(fn(&Numbers) -> String),
    /// In `DETAILS`.
    Kept,
}

#[derive(Clone, Copy)]
struct Last {
    code: shmq_error,
    text: Text,
    numbers: Numbers,
}

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(Last { code: SHMQ_OK, text: Text::Plain(c""), numbers: Numbers::none() }) };
    static DETAILS: RefCell<Option<Details>> = const { RefCell::new(None) };
}

/// Text for C, without what C would take for its end.
pub fn c_text(text: impl Display) -> CString {
    let mut bytes = text.to_string().into_bytes();
    bytes.retain(|&byte| byte != 0);
    CString::new(bytes).unwrap_or_default()
}

impl Failed {
    /// An error that has nothing to say but its text. Async-signal-safe (Invariant 1).
    #[cold]
    #[inline(never)]
    pub fn plain(code: shmq_error, text: &'static CStr) -> Failed {
        LAST.set(Last { code, text: Text::Plain(text), numbers: Numbers::none() });
        Failed(code)
    }

    /// An error whose text follows from its numbers, and is written if it is asked for.
    /// Async-signal-safe (Invariant 1).
    #[cold]
    #[inline(never)]
    pub fn later(code: shmq_error, numbers: Numbers, text: fn(&Numbers) -> String) -> Failed {
        LAST.set(Last { code, text: Text::Later(text), numbers });
        Failed(code)
    }

    /// An error with a text of its own.
    #[cold]
    #[inline(never)]
    pub fn detailed(code: shmq_error, text: impl Display, numbers: Numbers) -> Failed {
        Failed::with(code, numbers, Details { text: c_text(text), ..Details::default() })
    }

    /// One that two layouts have as well.
    #[cold]
    pub fn mismatch(code: shmq_error, text: impl Display, wanted: &str, found: &str) -> Failed {
        let details = Details { text: c_text(text), wanted: Some(c_text(wanted)), found: Some(c_text(found)) };
        Failed::with(code, Numbers::none(), details)
    }

    fn with(code: shmq_error, numbers: Numbers, details: Details) -> Failed {
        let text = if keep(details) { Text::Kept } else { Text::Plain(c"") };
        LAST.set(Last { code, text, numbers });
        Failed(code)
    }

    #[cold]
    pub fn handle(kind: &'static CStr) -> Failed {
        Failed::plain(SHMQ_ERROR_HANDLE, kind)
    }

    #[cold]
    pub fn argument(text: &'static CStr) -> Failed {
        Failed::plain(SHMQ_ERROR_ARGUMENT, text)
    }

    #[cold]
    pub fn too_many_handles() -> Failed {
        Failed::plain(SHMQ_ERROR_TOO_MANY_HANDLES, c"this process has 65536 handles, which is all that there are: free some")
    }

    /// A fault of ours, which the standard library's hook has reported on stderr.
    #[cold]
    pub fn panic(payload: Box<dyn Any + Send>) -> Failed {
        let said = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
        let text = format!("a fault of the library: {}", said.unwrap_or("no text"));
        // Its destructor might panic again.
        std::mem::forget(payload);
        Failed::detailed(SHMQ_ERROR_PANIC, text, Numbers::none())
    }
}

/// The last error of this thread.
pub fn last() -> shmq_error {
    LAST.get().code
}

/// Keeps the details of an error for this thread; `false`: its memory for them has gone already. A
/// destructor of a thread-local of C++ may run behind those of ours.
fn keep(details: Details) -> bool {
    DETAILS.try_with(|kept| kept.replace(Some(details))).is_ok()
}

/// Its text.
pub fn last_text() -> *const std::ffi::c_char {
    let last = LAST.get();
    match last.text {
        Text::Plain(text) => return text.as_ptr(),
        Text::Later(write) => {
            let written = Details { text: c_text(write(&last.numbers)), ..Details::default() };
            let text = if keep(written) { Text::Kept } else { Text::Plain(c"") };
            LAST.set(Last { text, ..last });
        }
        Text::Kept => {}
    }
    of_details(|details| details.text.as_ptr()).unwrap_or(c"".as_ptr())
}

/// Its numbers.
pub fn last_numbers() -> Numbers {
    LAST.get().numbers
}

/// Something of its details, if it has any. What it returns of them is valid until the next error
/// (Invariant 2).
pub fn of_details<R>(read: impl FnOnce(&Details) -> R) -> Option<R> {
    match LAST.get().text {
        Text::Kept => DETAILS.try_with(|kept| kept.try_borrow().ok()?.as_ref().map(read)).ok().flatten(),
        Text::Plain(_) | Text::Later(_) => None,
    }
}
