//! What C asks about the last error of its thread.

use crate::failure::{last, last_numbers, last_text, of_details, shmq_error};
use std::ffi::{CString, c_char, c_int};
use std::ptr;

/// The last error of this thread as a text to show; "" if there was none. It is valid until the
/// next error of the thread.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_message() -> *const c_char {
    last_text()
}

/// The code of the last error of this thread. A call that succeeds leaves it as it is.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_last() -> shmq_error {
    last()
}

/// Of the last error: the process that is in the way (`SHMQ_ERROR_HELD`; full topics); 0: none.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_pid() -> u32 {
    last_numbers().pid
}

/// Of the last error: the length, or the number, that was given, or is needed; 0: none.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_length() -> u64 {
    last_numbers().length
}

/// Of the last error: the length, or the number, that would have been possible; of
/// `SHMQ_ERROR_TOO_SMALL` the length of the message; 0: none.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_maximum() -> u64 {
    last_numbers().maximum
}

/// Of the last error: messages that were missed (`SHMQ_ERROR_LAGGED`), by which the subscriber in
/// the way lags (full topics), or that are unfinished (a join that timed out); 0: none.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_lag() -> u64 {
    last_numbers().lag
}

/// Of the last error: the `errno` of the system call that failed; 0: none.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_errno() -> c_int {
    last_numbers().errno
}

/// Of the last error, a `SHMQ_ERROR_MISMATCH`: what this program wanted, in words; otherwise null.
/// It is valid until the next error of the thread.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_wanted() -> *const c_char {
    of_details(|details| pointer(&details.wanted)).unwrap_or(ptr::null())
}

/// Of the last error, a `SHMQ_ERROR_MISMATCH`: what exists, in words; otherwise null. It is valid
/// until the next error of the thread.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_found() -> *const c_char {
    of_details(|details| pointer(&details.found)).unwrap_or(ptr::null())
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// The name of an error: "SHMQ_ERROR_FULL". "SHMQ_ERROR_UNKNOWN" of a number that is none.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_error_name(error: i32) -> *const c_char {
    let name = NAMES.iter().find(|(code, _)| *code as i32 == error).map_or(c"SHMQ_ERROR_UNKNOWN", |&(_, name)| name);
    name.as_ptr()
}

/// The version of the library: "0.1.0".
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

macro_rules! names {
    ($($name:ident)*) => {
        const NAMES: &[(shmq_error, &std::ffi::CStr)] = &[$((
            shmq_error::$name,
            // SAFETY: there is no 0 in it but the last.
            unsafe { std::ffi::CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) },
        )),*];
        /// Each has a name: a new one without is not compiled.
        const _: fn(shmq_error) = |error| match error {
            $(shmq_error::$name)|* => (),
        };
    };
}
names! {
    SHMQ_OK SHMQ_ERROR_FULL SHMQ_ERROR_EMPTY SHMQ_ERROR_WOULD_BLOCK SHMQ_ERROR_BUSY SHMQ_ERROR_TIMEOUT
    SHMQ_ERROR_INTERRUPTED SHMQ_ERROR_CLOSED SHMQ_ERROR_TOO_LARGE SHMQ_ERROR_WRONG_LENGTH SHMQ_ERROR_NOT_WHOLE
    SHMQ_ERROR_NOT_OF_ONE_SIZE SHMQ_ERROR_TOO_SMALL SHMQ_ERROR_INVALID SHMQ_ERROR_HANDLE SHMQ_ERROR_ARGUMENT
    SHMQ_ERROR_OPTIONS SHMQ_ERROR_TOO_MANY_HANDLES SHMQ_ERROR_INHERITED SHMQ_ERROR_HELD SHMQ_ERROR_SAMPLE_OPEN
    SHMQ_ERROR_LAGGED SHMQ_ERROR_EVICTED SHMQ_ERROR_NOT_GATING SHMQ_ERROR_LOSSY_HERE SHMQ_ERROR_LOANS_HERE
    SHMQ_ERROR_TOO_MANY_SUBSCRIBERS SHMQ_ERROR_BAD_NAME SHMQ_ERROR_NOT_FOUND SHMQ_ERROR_ALREADY_EXISTS
    SHMQ_ERROR_MISMATCH SHMQ_ERROR_NOT_READY SHMQ_ERROR_REPLACED SHMQ_ERROR_PERMISSION SHMQ_ERROR_FOREIGN_OWNER
    SHMQ_ERROR_NO_SPACE SHMQ_ERROR_OUT_OF_RANGE SHMQ_ERROR_DIRECTORY SHMQ_ERROR_NO_SEGMENT SHMQ_ERROR_LAYOUT
    SHMQ_ERROR_TOO_MANY_PARTICIPANTS SHMQ_ERROR_OWNER_DIED SHMQ_ERROR_NOT_LOCKED SHMQ_ERROR_TOO_MANY_RELEASES
    SHMQ_ERROR_TOO_MANY_DONE SHMQ_ERROR_POISONED SHMQ_ERROR_CORRUPTED SHMQ_ERROR_OS SHMQ_ERROR_PANIC
    SHMQ_ERROR_OTHER
}
