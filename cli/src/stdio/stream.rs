//! Standard input and output, without a buffer between them and the segment.

use super::at_start;
use crate::poll;
use crate::signals;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

/// Larger pipes mean fewer context switches between the processes at their ends.
const PIPE_BYTES: libc::c_int = 1 << 20;
const OUTPUT: &str = "standard output";
/// After a signal, how long the rest of a message that is half written may take.
const FINISH: Duration = Duration::from_millis(500);

/// One of the standard streams, which is not closed when it is dropped.
pub struct Stream(ManuallyDrop<File>);

impl Stream {
    /// An error if this process was started without it.
    pub fn input() -> io::Result<Stream> {
        at_start::input()?;
        Ok(Stream::of(libc::STDIN_FILENO))
    }

    /// An error if this process was started without it.
    pub fn output() -> io::Result<Stream> {
        at_start::output()?;
        Ok(Stream::of(libc::STDOUT_FILENO))
    }

    fn of(number: RawFd) -> Stream {
        // SAFETY: F_SETPIPE_SZ takes a number, and fails for what is not a pipe. The File does not
        // own the descriptor: ManuallyDrop never closes it.
        unsafe {
            libc::fcntl(number, libc::F_SETPIPE_SZ, PIPE_BYTES);
            Stream(ManuallyDrop::new(File::from_raw_fd(number)))
        }
    }

    /// Waits for input or its end. `false`: neither came within `timeout`, or a signal came.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if signals::received().is_some() {
                return Ok(false);
            }
            let left =
                end.map_or(-1, |end| end.saturating_duration_since(Instant::now()).as_millis().min(1 << 30) as libc::c_int);
            match poll::poll(self.0.as_raw_fd(), libc::POLLIN, left) {
                Ok(ready) => return Ok(ready != 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes can be read now, if the kernel knows it for this kind of file.
    pub fn readable_bytes(&self) -> Option<usize> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: FIONREAD writes an int; a file that does not support it fails the call.
        let known = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::FIONREAD, &mut bytes) } == 0;
        known.then(|| usize::try_from(bytes).unwrap_or(0))
    }

    /// Reads what is there; 0 is the end of the input. An error of the kind `Interrupted`: a signal
    /// came.
    pub fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }

    /// As [`read`](Stream::read), but an error of the kind `WouldBlock` if another reader of the
    /// same pipe or socket took what was there, if the kernel supports that (for pipes since Linux
    /// 6.4).
    pub fn read_without_wait(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let file = self.0.metadata()?.file_type();
        // Regular files would also report WouldBlock when they wait for a disk.
        if !file.is_fifo() && !file.is_socket() {
            return self.read(bytes);
        }
        let part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // The low and the high half of -1: at the present position of the stream.
        let position: [libc::c_long; 2] = [-1, -1];
        // SAFETY: one iovec over `bytes`, which is mutably borrowed until the call returns.
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

    /// Writes all parts, and returns how many bytes were written. They are fewer than all if a
    /// signal came before the first byte, or if the reader did not take the rest within [`FINISH`]
    /// after the signal; or with an error, such as `BrokenPipe` if the reader went away. Empty
    /// parts need no write: for them the end of the reader is checked with `poll`.
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

    /// For an output that another process made non-blocking.
    fn wait_for_room(&self) {
        // An error is met again by the write.
        let _ = poll::poll(self.0.as_raw_fd(), libc::POLLOUT, 100);
    }
}

/// The error with the stream's name in front; the kind stays.
fn named(stream: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{stream}: {error}"))
}
