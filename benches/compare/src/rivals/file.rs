//! Files in shared memory of rivals that take a path, removed with their host.

use crate::forked::Host;
use std::{fs, path::PathBuf};

/// The file of a channel; its name is taken away when all are attached, or with the host.
pub struct SharedFile(pub PathBuf);

/// Where the channel of that name is.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/shmq-compare-{name}"))
}

impl SharedFile {
    pub fn remove(&self) {
        // Gone, or never made.
        let _ = fs::remove_file(&self.0);
    }
}

impl Host for SharedFile {
    fn unlink(&self) {
        self.remove();
    }

    fn state(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        self.remove();
    }
}
