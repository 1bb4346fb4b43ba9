//! A named pipe, as large as the kernel allows. Writes of up to 4 KiB are atomic, so that many may
//! share it.

use super::{bytes::ByteChannel, meeting_point};
use crate::forked::Host;
use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::ffi::OsStrExt, unix::fs::OpenOptionsExt},
    path::PathBuf,
};

/// What an unprivileged process may ask for.
const PIPE_BYTES: libc::c_int = 1 << 20;

pub struct Pipe;

pub struct Fifo(PathBuf);

impl Host for Fifo {
    fn unlink(&self) {
        fs::remove_file(&self.0).expect("remove the pipe's name");
    }

    fn state(&self) -> String {
        format!("pipe {}", self.0.display())
    }
}

/// For reading and writing: that never waits for the other side to come.
fn open(name: &str) -> File {
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(meeting_point(name)).expect("open the pipe");
    // SAFETY: no pointers. Where the kernel refuses, the pipe stays smaller.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
    file
}

impl ByteChannel for Pipe {
    type Host = Fifo;
    type Sender = File;
    type Receiver = File;

    fn create(name: &str, _: usize, _: usize) -> Fifo {
        let path = meeting_point(name);
        let bytes = CString::new(path.as_os_str().as_bytes()).expect("a path without NUL");
        // SAFETY: a NUL-terminated path that outlives the call.
        let failed = unsafe { libc::mkfifo(bytes.as_ptr(), 0o600) };
        assert_eq!(failed, 0, "mkfifo {}: {}", path.display(), io::Error::last_os_error());
        Fifo(path)
    }

    fn sender(name: &str) -> File {
        open(name)
    }

    fn receiver(name: &str) -> File {
        open(name)
    }

    fn send(mut to: &File, message: &[u8]) {
        to.write_all(message).expect("write to the pipe");
    }

    fn receive(mut from: &File, message: &mut [u8]) {
        from.read_exact(message).expect("read from the pipe");
    }
}
