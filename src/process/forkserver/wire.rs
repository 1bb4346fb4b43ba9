//! What travels on the socket of a call: the program's request, and the fork server's answer.

use crate::os::{Pid, RequestedSignals, socket};
use crate::process::SpawnOptions;
use crate::process::fn_address::{Entry, entry_at, offset_of};
use std::io;
use std::os::fd::{OwnedFd, RawFd};

/// Bytes of a request before what follows it, and of an answer.
const REQUEST_BYTES: usize = 64;
pub(super) const ANSWER_BYTES: usize = 12;

const DIES_WITH_PARENT: u64 = 1;
const IS_HELPER: u64 = 2;
const KEEP_HANDLERS: u64 = 4;
const DROPS_DESCRIPTORS: u64 = 8;
/// Beside the number of a descriptor: it is closed when a program is executed.
const CLOSE_ON_EXEC: u32 = 1 << 31;

/// A request. Its first two parts are followed by the numbers of descriptors and by the argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Where the function is that the child runs.
    offset: i64,
    pub argument_bytes: usize,
    flags: u64,
    pub signals: RequestedSignals,
    /// Descriptors that the child has at the numbers that the program has them at.
    pub placed: usize,
}

impl Request {
    pub fn new(entry: Entry<i32>, argument: &[u8], signals: RequestedSignals, options: &SpawnOptions) -> Request {
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        Request {
            offset: offset_of(entry),
            argument_bytes: argument.len(),
            flags: flag(options.dies_with_parent, DIES_WITH_PARENT)
                | flag(options.is_helper, IS_HELPER)
                | flag(options.keep_handlers, KEEP_HANDLERS)
                | flag(options.keep_fds.is_some(), DROPS_DESCRIPTORS),
            signals,
            placed: options.keep_fds.as_ref().map_or(0, Vec::len),
        }
    }

    pub fn to_bytes(self) -> [u8; REQUEST_BYTES] {
        let RequestedSignals { blocked, ignored, kept } = self.signals;
        let words = [self.offset as u64, self.argument_bytes as u64, self.flags, blocked, ignored, kept, self.placed as u64, 0];
        let mut bytes = [0; REQUEST_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    pub fn from_bytes(bytes: &[u8; REQUEST_BYTES]) -> Request {
        let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[8 * at + byte]));
        Request {
            offset: word(0) as i64,
            argument_bytes: word(1) as usize,
            flags: word(2),
            signals: RequestedSignals { blocked: word(3), ignored: word(4), kept: word(5) },
            placed: word(6) as usize,
        }
    }

    pub fn dies_with_parent(&self) -> bool {
        self.flags & DIES_WITH_PARENT != 0
    }

    pub fn is_helper(&self) -> bool {
        self.flags & IS_HELPER != 0
    }

    pub fn keep_handlers(&self) -> bool {
        self.flags & KEEP_HANDLERS != 0
    }

    /// `/dev/null` is put over what the child inherits and does not keep.
    pub fn drops_descriptors(&self) -> bool {
        self.flags & DROPS_DESCRIPTORS != 0
    }

    /// # Safety
    /// It came from a copy of this program (fn_address, Invariant 1).
    pub unsafe fn entry(&self) -> Entry<i32> {
        // SAFETY: `new` made the offset of an `Entry<i32>`, in a copy of this program by the
        // caller's contract.
        unsafe { entry_at::<i32>(self.offset) }
    }
}

/// The number of a descriptor in the program, and whether it is closed on exec there.
pub(super) type FdNumber = (RawFd, bool);

/// A [`FdNumber`] as it travels.
pub(super) fn fd_number_to_word(number: RawFd, close_on_exec: bool) -> [u8; 4] {
    (number as u32 | if close_on_exec { CLOSE_ON_EXEC } else { 0 }).to_ne_bytes()
}

fn fd_number_from_word(word: [u8; 4]) -> FdNumber {
    let word = u32::from_ne_bytes(word);
    ((word & !CLOSE_ON_EXEC) as RawFd, word & CLOSE_ON_EXEC != 0)
}

/// Reads a request and what follows it: the numbers of descriptors, and the argument.
pub(super) fn read_request(call: &OwnedFd) -> io::Result<(Request, Vec<FdNumber>, Vec<u8>)> {
    let mut request = [0; REQUEST_BYTES];
    socket::receive(call, &mut request)?;
    let request = Request::from_bytes(&request);
    let mut numbers = vec![0; 4 * request.placed];
    let mut argument = vec![0; request.argument_bytes];
    for part in [&mut numbers, &mut argument] {
        if !part.is_empty() {
            socket::receive(call, part)?;
        }
    }
    let numbers = numbers.chunks_exact(4).map(|word| fd_number_from_word([word[0], word[1], word[2], word[3]])).collect();
    Ok((request, numbers, argument))
}

/// What the fork server answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Forked {
        pid: Pid,
        /// A pidfd comes with it. If it does not arrive, no number was free in the program.
        has_pidfd: bool,
        /// The pid is one of another PID namespace than the program's.
        is_elsewhere: bool,
    },
    Refused {
        /// The call that failed.
        call: Refused,
        errno: i32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Fork,
    /// No number was free for the descriptors of one more child.
    Descriptors,
}

const HAS_PIDFD: u32 = 1;
const IS_ELSEWHERE: u32 = 2;
const DESCRIPTORS: u32 = 4;

impl Answer {
    pub fn to_bytes(self) -> [u8; ANSWER_BYTES] {
        let (pid, errno, flags) = match self {
            Answer::Forked { pid, has_pidfd, is_elsewhere } => {
                (pid, 0, if has_pidfd { HAS_PIDFD } else { 0 } | if is_elsewhere { IS_ELSEWHERE } else { 0 })
            }
            Answer::Refused { call: Refused::Fork, errno } => (0, errno, 0),
            Answer::Refused { call: Refused::Descriptors, errno } => (0, errno, DESCRIPTORS),
        };
        let mut bytes = [0; ANSWER_BYTES];
        bytes[..4].copy_from_slice(&pid.to_ne_bytes());
        bytes[4..8].copy_from_slice(&errno.to_ne_bytes());
        bytes[8..].copy_from_slice(&flags.to_ne_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8; ANSWER_BYTES]) -> Answer {
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * at + byte]));
        let (pid, errno, flags) = (word(0) as Pid, word(1) as i32, word(2));
        match pid {
            0 if flags & DESCRIPTORS != 0 => Answer::Refused { call: Refused::Descriptors, errno },
            0 => Answer::Refused { call: Refused::Fork, errno },
            pid => Answer::Forked { pid, has_pidfd: flags & HAS_PIDFD != 0, is_elsewhere: flags & IS_ELSEWHERE != 0 },
        }
    }
}
