//! Queues of bytes, and the standard streams without buffers between them and the segment.

use crate::arguments::Whose;
use crate::failure::Failure;
use crate::signals;
use crate::standard;
use shmq::inspect::{Inspector, State};
use shmq::{OpenError, Queue};
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

/// Opens the queue as it is. One whose users are all dead is left for the next.
pub fn open(name: &str, whose: &Whose) -> Result<Queue<[u8]>, Failure> {
    let is_stale = is_stale(name);
    let settings = whose.apply_to(Queue::<[u8]>::builder().name(name));
    let queue = settings.open().map_err(|error| Failure::open_bytes(name, &error))?;
    // Its users may die while this command is at work.
    queue.be_guest();
    if is_stale {
        queue.leave_name();
    }
    queue.interrupt_by(&signals::INTERRUPT);
    Ok(queue)
}

/// Opens the queue as it is, or creates it so that it stays. A queue of another type is left alone,
/// dead or not: its messages are not ours to throw away. A dead one of this user's that is closed
/// and drained is created anew, as a program's own start would.
pub fn open_or_create(name: &str, capacity_bytes: usize, whose: &Whose) -> Result<Queue<[u8]>, Failure> {
    let is_stale = is_stale(name);
    let is_spent = is_stale && is_own_and_spent(name);
    let settings = || whose.apply_to(Queue::<[u8]>::builder().name(name).capacity_bytes(capacity_bytes));
    let there = match settings().open() {
        // Its name goes with us, its last user.
        Ok(_) if is_spent => None,
        Ok(queue) => Some(queue),
        Err(OpenError::NotFound { .. }) => None,
        Err(error) => return Err(Failure::create(name, &error.into())),
    };
    let queue = match there {
        Some(queue) => {
            if is_stale {
                queue.leave_name();
            }
            queue
        }
        None => settings().persist(true).open_or_create().map_err(|error| Failure::create(name, &error))?,
    };
    queue.be_guest();
    queue.interrupt_by(&signals::INTERRUPT);
    Ok(queue)
}

/// Did all users of the queue die, but for such as this command? Then whoever attaches would be its
/// last user, and take the name and all messages along when it leaves, unless it says that it
/// leaves the name.
pub fn is_stale(name: &str) -> bool {
    let Ok(inspector) = Inspector::open(name) else { return false };
    let seen = inspector.look_briefly();
    let mut alive = seen.participants.iter().filter(|participant| participant.alive).peekable();
    match seen.state {
        State::Stale => true,
        // Without one that lives, a forked child keeps it.
        State::InUse | State::Closed if alive.peek().is_none() => false,
        _ => !seen.persisted && alive.all(|participant| participant.leaves_name),
    }
}

/// Is it this user's, closed and drained?
fn is_own_and_spent(name: &str) -> bool {
    let Ok(inspector) = Inspector::open(name) else { return false };
    // SAFETY: geteuid has no preconditions and cannot fail.
    let is_own = inspector.about().owner_uid == unsafe { libc::geteuid() };
    let seen = inspector.look();
    is_own && seen.closed && !seen.damaged && seen.messages + seen.on_lease == 0
}

/// One of the standard streams: not closed at the end, since it is not ours.
pub struct Stream(ManuallyDrop<File>);

impl Stream {
    /// An error if there is none.
    pub fn input() -> io::Result<Stream> {
        standard::input()?;
        Ok(Stream::of(libc::STDIN_FILENO))
    }

    /// An error if there is none.
    pub fn output() -> io::Result<Stream> {
        standard::output()?;
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
            if signals::noted().is_some() {
                return Ok(false);
            }
            let left =
                end.map_or(-1, |end| end.saturating_duration_since(Instant::now()).as_millis().min(1 << 30) as libc::c_int);
            let mut look = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd, which lives until the call returns.
            match unsafe { libc::poll(&mut look, 1, left) } {
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
        if total == 0 && standard::is_hung_up(self.0.as_raw_fd()) {
            return (0, Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut written = 0;
        let mut signalled: Option<Instant> = None;
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = &mut slices[..];
        while written < total {
            if signals::noted().is_some() {
                let since = *signalled.get_or_insert_with(Instant::now);
                if written == 0 || since.elapsed() >= FINISH || signals::are_insisted_on() {
                    return (written, Ok(()));
                }
            }
            match (&*self.0).write_vectored(rest) {
                Ok(0) => return (written, Err(standard::named(OUTPUT, &io::ErrorKind::WriteZero.into()))),
                Ok(count) => {
                    written += count;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(),
                Err(error) => return (written, Err(standard::named(OUTPUT, &error))),
            }
        }
        (written, Ok(()))
    }

    /// For an output that somebody else made non-blocking.
    fn wait_for_room(&self) {
        let mut look = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one pollfd, which lives until the call returns.
        unsafe { libc::poll(&mut look, 1, 100) };
    }
}
