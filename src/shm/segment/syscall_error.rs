//! A system call that failed, and the public error that it becomes.

use crate::error::{CreateError, OpenError, Subject};
use std::io;

const NO_DESCRIPTORS: &str =
    "open (each queue or sync object takes two descriptors, and this process may have no more: see RLIMIT_NOFILE, ulimit -n)";

const NO_DESCRIPTORS_ANYWHERE: &str =
    "open (each queue or sync object takes two descriptors, and the system has no more: see sysctl fs.file-max)";

/// A system call that failed.
#[derive(Debug)]
pub(super) struct SyscallError {
    pub call: &'static str,
    pub error: io::Error,
}

impl SyscallError {
    /// Adds what to do when the process or the system is out of descriptors.
    pub fn explained(self) -> SyscallError {
        match self.error.raw_os_error() {
            Some(libc::EMFILE) => SyscallError { call: NO_DESCRIPTORS, ..self },
            Some(libc::ENFILE) => SyscallError { call: NO_DESCRIPTORS_ANYWHERE, ..self },
            _ => self,
        }
    }
}

impl From<SyscallError> for OpenError {
    fn from(refused: SyscallError) -> OpenError {
        let SyscallError { call, error } = refused.explained();
        OpenError::Os { what: Subject::default(), call, source: error }
    }
}

impl From<SyscallError> for CreateError {
    fn from(refused: SyscallError) -> CreateError {
        let SyscallError { call, error } = refused.explained();
        CreateError::Os { what: Subject::default(), call, source: error }
    }
}

/// Corrupted; the caller adds what the error is about where it knows the name.
pub(super) fn corrupted() -> OpenError {
    OpenError::Corrupted { what: Subject::default() }
}
