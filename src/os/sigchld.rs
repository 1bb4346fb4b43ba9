//! SIGCHLD by a descriptor: how a process that polls notices the end of a child.

use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Readable when a child has ended, also one that this process was given as its subreaper. The
/// signal is blocked in this process, and waits in the descriptor.
pub(crate) struct ChildSignal {
    /// `None`: the kernel refused it.
    descriptor: Option<OwnedFd>,
}

impl ChildSignal {
    /// Opens it.
    pub fn open() -> ChildSignal {
        // SAFETY: a sigset_t is plain words, filled by sigemptyset before they are read.
        let fd = unsafe {
            let mut set: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGCHLD);
            libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        // SAFETY: `signalfd` has just made the descriptor, so nothing else owns it.
        ChildSignal { descriptor: (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) }) }
    }

    pub fn number(&self) -> Option<RawFd> {
        self.descriptor.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Takes the signals that came. What they say is not used: the caller asks for all ended
    /// children.
    pub fn drain(&self) {
        let Some(descriptor) = self.number() else { return };
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: room for one; the descriptor does not block.
        while unsafe { libc::read(descriptor, info.as_mut_ptr().cast(), info.len()) } > 0 {}
    }
}
