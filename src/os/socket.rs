//! Bytes and descriptors through Unix sockets, between a program and its own processes.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Descriptors in one message, at most.
pub(crate) const MAX_FDS: usize = 250;

/// Room for the control message that carries [`MAX_FDS`] descriptors, aligned for its header.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);
const CONTROL_BYTES: usize = 1024;

/// Two ends that carry whole messages. Each is notified when the other is closed.
pub(crate) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `socketpair` has just made both descriptors, so nothing else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Sends all of `bytes`, with descriptors that arrive with the first of them.
pub(crate) fn send(socket: &impl AsRawFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    let sent = send_first(socket, bytes, fds, 0)?;
    let mut rest = &bytes[sent..];
    while !rest.is_empty() {
        // SAFETY: `rest` is readable for its length.
        let sent = retry(|| unsafe { libc::send(socket.as_raw_fd(), rest.as_ptr().cast(), rest.len(), libc::MSG_NOSIGNAL) })?;
        rest = &rest[sent..];
    }
    Ok(())
}

/// Sends a few bytes if there is room for them. Does not wait.
pub(crate) fn send_now(socket: &impl AsRawFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    send_first(socket, bytes, fds, libc::MSG_DONTWAIT).map(drop)
}

/// Sends as much as there is room for, and returns how much that was.
fn send_first(socket: &impl AsRawFd, bytes: &[u8], fds: &[RawFd], flags: libc::c_int) -> io::Result<usize> {
    assert!(fds.len() <= MAX_FDS && !bytes.is_empty());
    let mut control = Control([0; CONTROL_BYTES]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: a msghdr is pointers and numbers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        let payload = size_of_val(fds) as libc::c_uint;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN are arithmetic; MAX_FDS descriptors need 1016 bytes of
        // the 1024.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(payload) } as _;
        // SAFETY: the control buffer is aligned and has room for one header and its payload.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(payload) as _;
            ptr::copy_nonoverlapping(fds.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), size_of_val(fds));
        }
    }
    retry(|| {
        // SAFETY: the message's parts live until the call is over.
        unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL | flags) }
    })
}

/// Receives `bytes.len()` bytes and the descriptors that came with the first of them.
///
/// # Errors
/// `UnexpectedEof` if the other end is closed.
pub(crate) fn receive(socket: &impl AsRawFd, bytes: &mut [u8]) -> io::Result<Vec<OwnedFd>> {
    let mut control = Control([0; CONTROL_BYTES]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: a msghdr is pointers and numbers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    let mut got = retry(|| {
        // SAFETY: the message's parts live until the call is over.
        unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) }
    })?;
    let mut fds = Vec::new();
    // SAFETY: the kernel filled the control buffer with whole headers.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&message) };
    while !header.is_null() {
        // SAFETY: a header inside the control buffer, and behind it as many descriptors as its
        // length says, which the kernel has just made for this process.
        unsafe {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let count = ((*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                fds.extend((0..count).map(|place| OwnedFd::from_raw_fd(data.add(place).read_unaligned())));
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    while got < bytes.len() {
        let rest = &mut bytes[got..];
        let more = match got {
            0 => 0,
            // SAFETY: `rest` may be written for its length.
            _ => retry(|| unsafe { libc::recv(socket.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), 0) })?,
        };
        if more == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        got += more;
    }
    Ok(fds)
}

/// Closes the sending half of a socket, for every process that has this end.
pub(crate) fn close_sending(socket: &impl AsRawFd) {
    // SAFETY: shutdown takes numbers.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) };
}

/// Closes both halves of a socket, for every process that has either end.
pub(crate) fn close_both_ways(socket: &impl AsRawFd) {
    // SAFETY: shutdown takes numbers.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Whether the other end has closed its sending half and nothing is left to read. Does not wait.
pub(crate) fn is_at_end(socket: &impl AsRawFd) -> bool {
    let mut byte = [0u8; 1];
    // SAFETY: room for a byte.
    unsafe { libc::recv(socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT | libc::MSG_PEEK) == 0 }
}

fn retry(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
