//! The stage: one round at a time has the processors. It leaves when its survivors hang, so that
//! waits for the bound overlap.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// A file whose lock is the stage; the kernel frees it if its holder dies.
pub struct Stage(OwnedFd);

/// On the stage, until it is dropped.
pub struct OnStage(File);

impl Drop for OnStage {
    /// Processes that were forked meanwhile have the file open too: closing it would not do.
    fn drop(&mut self) {
        let _the_kernel_does_it_at_the_latest_at_our_end = self.0.unlock();
    }
}

impl Stage {
    pub fn new() -> io::Result<Stage> {
        // SAFETY: a NUL-terminated name.
        let fd = unsafe { libc::memfd_create(c"stage".as_ptr(), libc::MFD_CLOEXEC) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: new and ours.
        Ok(Stage(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits for the stage. The lock belongs to an open file of this process's own.
    pub fn enter(&self) -> io::Result<OnStage> {
        let lock = File::options().read(true).write(true).open(format!("/proc/self/fd/{}", self.0.as_raw_fd()))?;
        lock.lock()?;
        Ok(OnStage(lock))
    }
}
