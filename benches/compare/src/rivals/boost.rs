//! boost::interprocess::message_queue, through a small shim in C++ that is built where the headers
//! are.
#![allow(unexpected_cfgs)]

use super::bytes::ByteChannel;
use crate::forked::Host;
use std::{
    ffi::{CStr, CString, c_char, c_void},
    ptr::NonNull,
};

/// Were the headers there when the bench was built?
pub const BUILT: bool = cfg!(has_boost);

#[cfg(has_boost)]
mod shim {
    use super::{c_char, c_void};
    unsafe extern "C" {
        /// Null: see `boost_mq_problem`. Creates if `capacity` is not 0, else opens.
        pub fn boost_mq_open(name: *const c_char, capacity: usize, message_bytes: usize) -> *mut c_void;
        pub fn boost_mq_close(queue: *mut c_void);
        pub fn boost_mq_remove(name: *const c_char);
        pub fn boost_mq_send(queue: *mut c_void, message: *const c_void, bytes: usize) -> i32;
        /// How many bytes came, or -1.
        pub fn boost_mq_receive(queue: *mut c_void, message: *mut c_void, bytes: usize) -> i64;
        pub fn boost_mq_problem() -> *const c_char;
    }
}

/// Never called: rows of an absent rival are not made.
#[cfg(not(has_boost))]
mod shim {
    use super::{c_char, c_void};
    pub unsafe fn boost_mq_open(_: *const c_char, _: usize, _: usize) -> *mut c_void {
        std::ptr::null_mut()
    }
    pub unsafe fn boost_mq_close(_: *mut c_void) {}
    pub unsafe fn boost_mq_remove(_: *const c_char) {}
    pub unsafe fn boost_mq_send(_: *mut c_void, _: *const c_void, _: usize) -> i32 {
        -1
    }
    pub unsafe fn boost_mq_receive(_: *mut c_void, _: *mut c_void, _: usize) -> i64 {
        -1
    }
    pub unsafe fn boost_mq_problem() -> *const c_char {
        c"built without boost".as_ptr()
    }
}

pub struct BoostMq;

pub struct BoostQueue {
    queue: NonNull<c_void>,
    name: CString,
}

fn problem() -> String {
    // SAFETY: a NUL-terminated string of the shim's, valid until the next call into it.
    unsafe { CStr::from_ptr(shim::boost_mq_problem()) }.to_string_lossy().into_owned()
}

fn open(name: &str, capacity: usize, message_bytes: usize) -> BoostQueue {
    let name = CString::new(format!("shmq-compare-{name}")).expect("a name without NUL");
    // SAFETY: a NUL-terminated name that outlives the call.
    let queue = unsafe { shim::boost_mq_open(name.as_ptr(), capacity, message_bytes) };
    BoostQueue { queue: NonNull::new(queue).unwrap_or_else(|| panic!("boost message_queue: {}", problem())), name }
}

impl Drop for BoostQueue {
    fn drop(&mut self) {
        // SAFETY: ours, closed once.
        unsafe { shim::boost_mq_close(self.queue.as_ptr()) };
    }
}

impl Host for BoostQueue {
    fn unlink(&self) {
        // SAFETY: a NUL-terminated name that outlives the call.
        unsafe { shim::boost_mq_remove(self.name.as_ptr()) };
    }

    fn state(&self) -> String {
        format!("boost message queue {:?}", self.name)
    }
}

impl ByteChannel for BoostMq {
    type Host = BoostQueue;
    type Sender = BoostQueue;
    type Receiver = BoostQueue;

    fn create(name: &str, capacity: usize, message_bytes: usize) -> BoostQueue {
        open(name, capacity, message_bytes)
    }

    fn sender(name: &str) -> BoostQueue {
        open(name, 0, 0)
    }

    fn receiver(name: &str) -> BoostQueue {
        open(name, 0, 0)
    }

    fn send(to: &BoostQueue, message: &[u8]) {
        // SAFETY: an open queue; the bytes outlive the call.
        let failed = unsafe { shim::boost_mq_send(to.queue.as_ptr(), message.as_ptr().cast(), message.len()) };
        assert_eq!(failed, 0, "boost send: {}", problem());
    }

    fn receive(from: &BoostQueue, message: &mut [u8]) {
        // SAFETY: an open queue; the buffer outlives the call and has the given length.
        let got = unsafe { shim::boost_mq_receive(from.queue.as_ptr(), message.as_mut_ptr().cast(), message.len()) };
        assert_eq!(got, message.len() as i64, "boost receive: {}", problem());
    }
}
