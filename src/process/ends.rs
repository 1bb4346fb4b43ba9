//! Hearing of the ends of children, by a descriptor.

use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// How both hear that a child has ended, whoever's it was: the signal is blocked, and waits in a descriptor.
pub(super) struct Ends {
    /// `None`: the kernel refused it.
    descriptor: Option<OwnedFd>,
}

impl Ends {
    pub fn begin() -> Ends {
        // SAFETY: a sigset_t is plain words, filled by sigemptyset before they are read.
        let fd = unsafe {
            let mut ended: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&mut ended);
            libc::sigaddset(&mut ended, libc::SIGCHLD);
            libc::signalfd(-1, &ended, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        // SAFETY: a descriptor that the kernel has just made for us.
        Ends { descriptor: (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) }) }
    }

    pub fn number(&self) -> Option<RawFd> {
        self.descriptor.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Takes the signals that came: what they tell is looked for anyway.
    pub fn forget(&self) {
        let Some(descriptor) = self.number() else { return };
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        // SAFETY: room for one; it does not block.
        while unsafe { libc::read(descriptor, info.as_mut_ptr().cast(), info.len()) } > 0 {}
    }
}
