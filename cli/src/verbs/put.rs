//! `shmq put`: standard input, or files, into a queue of bytes.
//!
//! Nothing that was read is lost. A block is read into a loan, that is, into the room that it will be taken from: it is known to fit
//! before a byte of it is read, and a signal ends it early and commits it. A block is waited for without a loan, which would hold up
//! what others put behind it; and one whose input pauses is committed as it is. Of several that share an
//! input, one that comes too late with its loan gives that back.

use crate::arguments::Put;
use crate::attach;
use crate::failure::{self, Failure};
use crate::signals;
use crate::stdio::Stream;
use crate::text;
use shmq::{Loan, PutError, Queue};
use std::cell::Cell;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// An input that says nothing for so long has its block committed as it is.
const PAUSE: Duration = Duration::from_millis(200);
/// After a signal, what was read is put as long as there comes room within this, for all of it together.
const GRACE: Duration = Duration::from_millis(500);
/// How much is read at a time to be cut into lines.
const CHUNK_BYTES: usize = 256 << 10;

pub fn run(arguments: &Put) -> Result<u8, Failure> {
    // Before a queue is made for nothing, or some of the files are put.
    for path in &arguments.file {
        check(path).map_err(|error| Failure::from(error).about(&path.display().to_string()))?;
    }
    let input = if arguments.file.is_empty() { Some(Stream::input()?) } else { None };
    let queue = attach::open_or_create_bytes(&arguments.name, arguments.capacity_bytes, &arguments.allowed)?;
    signals::install();
    let target = Target { queue: &queue, timeout: arguments.timeout, grace_ends: Cell::new(None) };
    let Some(input) = input else {
        for path in &arguments.file {
            target.put_file(path).map_err(|failure| failure.about(&path.display().to_string()))?;
        }
        return Ok(0);
    };
    match (arguments.lines, arguments.null) {
        (true, _) => target.put_cut(&input, b'\n')?,
        (_, true) => target.put_cut(&input, 0)?,
        _ => target.put_blocks(&input, arguments.block)?,
    }
    match signals::received() {
        Some(signal) => Err(Failure::of_signal(signal)),
        None => Ok(0),
    }
}

struct Target<'q> {
    queue: &'q Queue<[u8]>,
    timeout: Option<Duration>,
    /// When a signal came, [`GRACE`] later.
    grace_ends: Cell<Option<Instant>>,
}

impl Target<'_> {
    /// A call that may wait. `None`: a signal came, and there was no room within [`GRACE`] after it, or at all without `within_grace`.
    fn unless_signalled<R>(
        &self,
        within_grace: bool,
        mut call: impl FnMut(Duration) -> Result<R, PutError>,
    ) -> Result<Option<R>, Failure> {
        let started = Instant::now();
        if signals::received().is_none() {
            match call(self.timeout.unwrap_or(Duration::MAX)) {
                Err(PutError::Timeout) if signals::received().is_some() => {}
                result => return Ok(Some(result?)),
            }
        }
        if !within_grace || signals::came_twice() {
            return Ok(None);
        }
        signals::allow_waits_again();
        let end = self.grace_ends.get().unwrap_or_else(|| Instant::now() + GRACE);
        self.grace_ends.set(Some(end));
        let grace = end.saturating_duration_since(Instant::now());
        let left = self.timeout.map_or(grace, |timeout| timeout.saturating_sub(started.elapsed()).min(grace));
        match call(left) {
            Err(PutError::Timeout) => Ok(None),
            result => Ok(Some(result?)),
        }
    }

    fn loan(&self, bytes: usize) -> Result<Option<Loan<'_, [u8]>>, Failure> {
        if signals::received().is_some() {
            return Ok(None);
        }
        self.unless_signalled(false, |timeout| self.queue.loan_len_timeout(bytes, timeout))
    }

    fn put_blocks(&self, input: &Stream, block: usize) -> Result<(), Failure> {
        let block = block.min(self.queue.max_len());
        loop {
            let mut first = [0; 1];
            let mut length = 0;
            if input.readable_bytes().unwrap_or(0) == 0 {
                if !input.wait(None)? {
                    return Ok(());
                }
                // Mostly the end of the input, for which no room need be lent.
                if input.readable_bytes() == Some(0) {
                    match uninterrupted(|| input.read_without_wait(&mut first)) {
                        Ok(0) => return Ok(()),
                        Ok(count) => length = count,
                        // Another reader was faster.
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                        Err(error) => return Err(of_input(&error)),
                    }
                }
            }
            let lent = self.loan(block).map_err(|failure| failure.with_bytes_not_put(length))?;
            let Some(mut loan) = lent else {
                return if length == 0 { Ok(()) } else { Err(not_put(length)) };
            };
            loan[..length].copy_from_slice(&first[..length]);
            let mut over = false;
            let mut fault = None;
            while length < loan.len() && !over {
                match input.read_without_wait(&mut loan[length..]) {
                    Ok(0) => over = true,
                    Ok(count) => {
                        length += count;
                        if length == loan.len() {
                            break;
                        }
                        match input.wait(Some(PAUSE)) {
                            Ok(true) => {}
                            Ok(false) => break,
                            Err(error) => {
                                fault = Some(error);
                                break;
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        if signals::received().is_some() {
                            break;
                        }
                    }
                    // Another reader was faster: it is waited for without a loan.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                }
            }
            // What was read is put, whatever came after it.
            if length > 0 {
                loan.commit_len(length)?;
            }
            if let Some(error) = fault {
                return Err(of_input(&error));
            }
            if over || signals::received().is_some() {
                return Ok(());
            }
        }
    }

    /// One message for each piece that ends with `end`, and for a last one that does not.
    fn put_cut(&self, input: &Stream, end: u8) -> Result<(), Failure> {
        let mut pending = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let ready = input.wait(None).map_err(|error| Failure::from(error).with_bytes_not_put(pending.len()))?;
            let read =
                |chunk: &mut [u8]| read_uninterrupted(input, chunk).map_err(|failure| failure.with_bytes_not_put(pending.len()));
            let count = if ready { read(&mut chunk)? } else { 0 };
            let mut rest = &chunk[..count];
            while let Some(at) = rest.iter().position(|&byte| byte == end) {
                let (piece, after) = (&rest[..at], &rest[at + 1..]);
                if pending.is_empty() {
                    self.put_piece(piece, after.len() + 1)?;
                } else {
                    pending.extend_from_slice(piece);
                    self.put_piece(&pending, after.len() + 1)?;
                    pending.clear();
                }
                rest = after;
            }
            pending.extend_from_slice(rest);
            // No end of it would make it fit.
            if count == 0 || pending.len() > self.queue.max_len() {
                if !pending.is_empty() {
                    self.put_piece(&pending, 0)?;
                }
                return Ok(());
            }
        }
    }

    /// `behind`: how many bytes more were read.
    fn put_piece(&self, piece: &[u8], behind: usize) -> Result<(), Failure> {
        match self.unless_signalled(true, |timeout| self.queue.put_timeout(piece, timeout)) {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(not_put(piece.len() + behind)),
            Err(failure) => Err(failure.with_bytes_not_put(piece.len() + behind)),
        }
    }

    fn put_file(&self, path: &Path) -> Result<(), Failure> {
        let Some(mut file) = open_file(path)? else { return Err(Failure::of_signal(signal_or_sigint())) };
        let about = file.metadata()?;
        // A file of `/proc` says that it is empty, and is not.
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
            // No end of it would make it fit.
            if content.len() > self.queue.max_len() {
                return self.put_piece(&content, 0);
            }
        }
    }
}

/// An error if there is no such file, or if it is none that can be read.
fn check(path: &Path) -> io::Result<()> {
    let about = fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    // A FIFO would wait for its writer.
    if about.is_file() { File::open(path).map(drop) } else { Ok(()) }
}

/// Opens it for reading, which waits where it is a FIFO that nobody writes to. `None`: a signal came.
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
            // SAFETY: the call returned a descriptor that is ours to close.
            number => return Ok(Some(unsafe { File::from_raw_fd(number) })),
        }
    }
    Ok(None)
}

fn signal_or_sigint() -> i32 {
    signals::received().unwrap_or(libc::SIGINT)
}

impl Failure {
    fn about(self, what: &str) -> Failure {
        Failure { text: self.text.map(|text| format!("{}: {text}", text::escaped(what))), ..self }
    }

    /// The same, and how much it costs.
    fn with_bytes_not_put(self, bytes: usize) -> Failure {
        let told = |text| match bytes {
            0 => text,
            1 => format!("{text} (1 byte that was read is not put)"),
            bytes => format!("{text} ({bytes} bytes that were read are not put)"),
        };
        Failure { text: self.text.map(told), ..self }
    }
}

/// A signal came, and the queue stayed full.
fn not_put(bytes: usize) -> Failure {
    let signal = signal_or_sigint();
    let text = format!("ended by signal {signal} with the queue full: {bytes} bytes that were read are not put");
    Failure { text: Some(text), ..Failure::of_signal(signal) }
}

fn of_input(error: &io::Error) -> Failure {
    Failure::new(failure::OTHER, format!("standard input: {error}"))
}

/// Reads, once; again after a signal that means nothing. 0: the end, or a signal that asks to end.
fn uninterrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if signals::received().is_some() {
                    return Ok(0);
                }
            }
            result => return result,
        }
    }
}

fn read_uninterrupted(input: &Stream, bytes: &mut [u8]) -> Result<usize, Failure> {
    uninterrupted(|| input.read(bytes)).map_err(|error| of_input(&error))
}
