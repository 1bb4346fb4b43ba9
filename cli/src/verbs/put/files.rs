//! `shmq put --file`: one message for each file.

use super::input::CHUNK_BYTES;
use super::target::{Target, signal_or_sigint};
use crate::failure::Failure;
use crate::signals;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Target<'_> {
    pub fn put_file(&self, path: &Path) -> Result<(), Failure> {
        let Some(mut file) = open_file(path)? else { return Err(Failure::of_signal(signal_or_sigint())) };
        let about = file.metadata()?;
        // A file of `/proc` has the length 0 and content.
        if about.is_file() && about.len() > 0 {
            let bytes = usize::try_from(about.len()).unwrap_or(usize::MAX);
            let Some(mut loan) = self.loan(bytes)? else { return Err(Failure::of_signal(signal_or_sigint())) };
            file.read_exact(&mut loan)?;
            return Ok(loan.commit()?);
        }
        let mut content = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return self.put_piece(&content, 0),
                Ok(count) => content.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if signals::received().is_some() {
                let text = format!("ended by signal {} before its end: {} bytes are not put", signal_or_sigint(), content.len());
                return Err(Failure { text: Some(text), ..Failure::of_signal(signal_or_sigint()) });
            }
            // It is too large already, wherever it ends.
            if content.len() > self.queue.max_len() {
                return self.put_piece(&content, 0);
            }
        }
    }
}

/// An error if the file does not exist or cannot be read.
pub fn check(path: &Path) -> io::Result<()> {
    let about = fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    // Opening a FIFO would wait for its writer.
    if about.is_file() { File::open(path).map(drop) } else { Ok(()) }
}

/// Opens a file for reading; a FIFO waits for its writer. `None`: a signal came.
fn open_file(path: &Path) -> io::Result<Option<File>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    while signals::received().is_none() {
        // SAFETY: a path that ends in a NUL byte and lives until the call returns.
        match unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            // SAFETY: the call returned a new descriptor, which this File alone owns.
            number => return Ok(Some(unsafe { File::from_raw_fd(number) })),
        }
    }
    Ok(None)
}
