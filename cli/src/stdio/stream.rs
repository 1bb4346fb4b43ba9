//! Standard input and output without buffers between them and the segment.

use super::at_start;
use crate::poll;
use crate::signals;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

/// Larger pipes mean fewer switches between the processes at their ends.
const PIPE_BYTES: libc::c_int = 1 << 20;
const OUTPUT: &str = "standard output";
/// How long a message that is half written may take to be finished after a signal.
const FINISH: Duration = Duration::from_millis(500);

/// One of the standard streams: not closed at the end, since it is not ours.
pub struct Stream(ManuallyDrop<File>);

impl Stream {
    /// An error if there is none.
    pub fn input() -> io::Result<Stream> {
        at_start::input()?;
        Ok(Stream::of(libc::STDIN_FILENO))
    }

    /// An error if there is none.
    pub fn output() -> io::Result<Stream> {
        at_start::output()?;
        Ok(Stream::of(libc::STDOUT_FILENO))
    }

    fn of(number: RawFd) -> Stream {
        // SAFETY: F_SETPIPE_SZ takes a number; what is not a pipe refuses it. The descriptor is never closed by us.
        unsafe {
            libc::fcntl(number, libc::F_SETPIPE_SZ, PIPE_BYTES);
            Stream(ManuallyDrop::new(File::from_raw_fd(number)))
        }
    }

    /// Waits until there is something to read, or the end of the input. `false`: not within `timeout`, or a signal came.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if signals::received().is_some() {
                return Ok(false);
            }
            let left =
                end.map_or(-1, |end| end.saturating_duration_since(Instant::now()).as_millis().min(1 << 30) as libc::c_int);
            let mut entry = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd, which lives until the call returns.
            match unsafe { libc::poll(&mut entry, 1, left) } {
                0 => return Ok(false),
                1 => return Ok(true),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Bytes that can be read now, where the kernel says so.
    pub fn readable_bytes(&self) -> Option<usize> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: FIONREAD writes an int; what does not know it refuses.
        let known = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::FIONREAD, &mut bytes) } == 0;
        known.then(|| usize::try_from(bytes).unwrap_or(0))
    }

    /// Reads what there is; 0 is the end. An error of the kind `Interrupted`: a signal came.
    pub fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }

    /// As [`read`](Stream::read), but an error of the kind `WouldBlock` where another reader of the same
    /// pipe or socket took what there was, as far as the kernel can be asked so (pipes since Linux 6.4).
    pub fn read_without_wait(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let file = self.0.metadata()?.file_type();
        // Others say that they would wait for a disk, too.
        if !file.is_fifo() && !file.is_socket() {
            return self.read(bytes);
        }
        let part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // The low and the high half of -1, which is where the stream stands.
        let position: [libc::c_long; 2] = [-1, -1];
        // SAFETY: one iovec over bytes that are borrowed until the call returns.
        let count = unsafe {
            libc::syscall(
                libc::SYS_preadv2,
                self.0.as_raw_fd(),
                &raw const part,
                1 as libc::c_long,
                position[0],
                position[1],
                libc::RWF_NOWAIT,
            )
        };
        if let Ok(count) = usize::try_from(count) {
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ESPIPE) => self.read(bytes),
            _ => Err(error),
        }
    }

    /// Writes all parts. `Ok` is how many bytes were written: fewer than all if a signal came before the first, or if the reader
    /// did not take the rest within [`FINISH`] after it; an error, and how many, if the reader went away. What is written of empty
    /// parts is nothing: there the error is found without a write.
    pub fn write_all(&self, parts: &[&[u8]]) -> (usize, io::Result<()>) {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total == 0 && poll::is_hung_up(self.0.as_raw_fd()) {
            return (0, Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut written = 0;
        let mut signalled: Option<Instant> = None;
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        while written < total {
            if signals::received().is_some() {
                let since = *signalled.get_or_insert_with(Instant::now);
                if written == 0 || since.elapsed() >= FINISH || signals::came_twice() {
                    return (written, Ok(()));
                }
            }
            match (&*self.0).write_vectored(rest) {
                Ok(0) => return (written, Err(named(OUTPUT, &io::ErrorKind::WriteZero.into()))),
                Ok(count) => {
                    written += count;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(),
                Err(error) => return (written, Err(named(OUTPUT, &error))),
            }
        }
        (written, Ok(()))
    }

    /// For an output that somebody else made non-blocking.
    fn wait_for_room(&self) {
        let mut entry = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one pollfd, which lives until the call returns.
        unsafe { libc::poll(&mut entry, 1, 100) };
    }
}

/// The error with the stream's name before it; its kind stays.
fn named(stream: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{stream}: {error}"))
}
