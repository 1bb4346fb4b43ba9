//! POSIX message queues.

use super::bytes::ByteChannel;
use crate::forked::Host;
use std::{ffi::CString, io, ptr};

pub struct PosixMq;

/// An open queue.
pub struct Descriptor {
    queue: libc::mqd_t,
    name: CString,
}

fn path(name: &str) -> CString {
    CString::new(format!("/shmq-compare-{name}")).expect("a name without NUL")
}

/// Creates a queue of as many messages as the kernel allows, up to `capacity`.
pub fn create(name: &str, capacity: usize, message_bytes: usize) -> io::Result<Descriptor> {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the pointer is to a local. Only root may; others keep their limit.
    unsafe { libc::setrlimit(libc::RLIMIT_MSGQUEUE, &limit) };
    let (name, mut messages) = (path(name), capacity);
    loop {
        // SAFETY: plain numbers, for which zero is valid.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = messages as _;
        attributes.mq_msgsize = message_bytes as _;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: a NUL-terminated name and a local, both outliving the call.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600 as libc::mode_t, &mut attributes as *mut libc::mq_attr) };
        if queue != -1 {
            return Ok(Descriptor { queue, name });
        }
        let problem = io::Error::last_os_error();
        if messages <= 2 || problem.raw_os_error() == Some(libc::EEXIST) {
            return Err(problem);
        }
        messages /= 2;
    }
}

fn open(name: &str) -> Descriptor {
    let name = path(name);
    // SAFETY: a NUL-terminated name that outlives the call.
    let queue = unsafe { libc::mq_open(name.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    assert_ne!(queue, -1, "mq_open: {}", io::Error::last_os_error());
    Descriptor { queue, name }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: ours, closed once.
        unsafe { libc::mq_close(self.queue) };
    }
}

impl Host for Descriptor {
    fn unlink(&self) {
        // SAFETY: a NUL-terminated name that outlives the call.
        unsafe { libc::mq_unlink(self.name.as_ptr()) };
    }

    fn state(&self) -> String {
        format!("POSIX message queue {:?}", self.name)
    }
}

impl ByteChannel for PosixMq {
    type Host = Descriptor;
    type Sender = Descriptor;
    type Receiver = Descriptor;

    fn create(name: &str, capacity: usize, message_bytes: usize) -> Descriptor {
        create(name, capacity, message_bytes).expect("mq_open")
    }

    fn sender(name: &str) -> Descriptor {
        open(name)
    }

    fn receiver(name: &str) -> Descriptor {
        open(name)
    }

    fn send(to: &Descriptor, message: &[u8]) {
        // SAFETY: the bytes outlive the call.
        let failed = unsafe { libc::mq_send(to.queue, message.as_ptr().cast(), message.len(), 0) };
        assert_eq!(failed, 0, "mq_send: {}", io::Error::last_os_error());
    }

    fn receive(from: &Descriptor, message: &mut [u8]) {
        // SAFETY: the buffer outlives the call and has the given length.
        let got = unsafe { libc::mq_receive(from.queue, message.as_mut_ptr().cast(), message.len(), ptr::null_mut()) };
        assert_eq!(got, message.len() as isize, "mq_receive: {}", io::Error::last_os_error());
    }
}
