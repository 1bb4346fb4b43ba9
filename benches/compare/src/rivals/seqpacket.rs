//! A Unix socket that keeps message boundaries. One connection joins one sender and one receiver.

use super::{bytes::ByteChannel, until};
use crate::first_message::First;
use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// Asked for, in bytes; the kernel grants unprivileged processes less.
const BUFFER_BYTES: libc::c_int = 4 << 20;

pub struct SeqPacket;

fn socket() -> OwnedFd {
    // SAFETY: no pointers; the descriptor is new and ours.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) };
    assert_ne!(fd, -1, "socket: {}", io::Error::last_os_error());
    // SAFETY: the descriptor was just made, and no other code has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// As large a buffer as the kernel grants.
fn widen(socket: &OwnedFd, forced: libc::c_int, asked: libc::c_int) {
    let set = |option| {
        let (bytes, size) = (BUFFER_BYTES, size_of::<libc::c_int>() as libc::socklen_t);
        // SAFETY: the pointer is to a local of that size.
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const bytes).cast(), size) == 0 }
    };
    let _granted = set(forced) || set(asked);
}

/// An abstract address: nothing in the file system.
fn address(name: &str) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: plain bytes, for which zero is valid.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as _;
    let name = format!("\0shmq-compare-{name}");
    assert!(name.len() < address.sun_path.len());
    address.sun_path.iter_mut().zip(name.bytes()).for_each(|(at, byte)| *at = byte as _);
    (address, (mem::offset_of!(libc::sockaddr_un, sun_path) + name.len()) as _)
}

/// A connected pair in one process, and a message through it.
pub struct FirstPair;

impl First for FirstPair {
    type Made = [OwnedFd; 2];

    fn make(_: &str) -> [OwnedFd; 2] {
        let mut fds = [0; 2];
        // SAFETY: the pointer is to two integers.
        let failed = unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) };
        assert_eq!(failed, 0, "socketpair: {}", io::Error::last_os_error());
        // SAFETY: new and ours.
        let [to, from] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let mut message = [0; 64];
        SeqPacket::send(&to, &[7; 64]);
        SeqPacket::receive(&from, &mut message);
        assert_eq!(message, [7; 64]);
        [to, from]
    }
}

impl ByteChannel for SeqPacket {
    type Host = ();
    type Sender = OwnedFd;
    type Receiver = OwnedFd;

    fn create(_: &str, _: usize, _: usize) {}

    fn sender(name: &str) -> OwnedFd {
        let ((address, length), socket) = (address(name), socket());
        widen(&socket, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF);
        until("the receiver's coming", || {
            // SAFETY: the address is a local of at least that length.
            (unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) } == 0).then_some(())
        });
        socket
    }

    fn receiver(name: &str) -> OwnedFd {
        let ((address, length), listener) = (address(name), socket());
        // SAFETY: the address is a local of at least that length; listen and accept4 get no
        // pointers.
        let fd = unsafe {
            let failed = libc::bind(listener.as_raw_fd(), (&raw const address).cast(), length);
            assert_eq!(failed, 0, "bind: {}", io::Error::last_os_error());
            assert_eq!(libc::listen(listener.as_raw_fd(), 1), 0, "listen: {}", io::Error::last_os_error());
            libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC)
        };
        assert_ne!(fd, -1, "accept: {}", io::Error::last_os_error());
        // SAFETY: new and ours.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }

    fn send(to: &OwnedFd, message: &[u8]) {
        // SAFETY: the bytes outlive the call.
        let sent = unsafe { libc::send(to.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
        assert_eq!(sent, message.len() as isize, "send: {}", io::Error::last_os_error());
    }

    fn receive(from: &OwnedFd, message: &mut [u8]) {
        // SAFETY: the buffer outlives the call and has the given length.
        let got = unsafe { libc::recv(from.as_raw_fd(), message.as_mut_ptr().cast(), message.len(), 0) };
        assert_eq!(got, message.len() as isize, "recv: {}", io::Error::last_os_error());
    }
}
