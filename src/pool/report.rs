//! What a supervisor reports to the program: a packet each, some with a descriptor of the process
//! that it is about.
//!
//! ```text
//!   supervisor ──began, standby, started, ended, short, ready, gave up──> program (roster)
//! ```

use crate::os::poll;
use crate::os::socket::{receive, send_now};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Bytes of a report.
const BYTES: usize = 16;

/// The system refuses what a worker needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub call: Call,
    pub errno: i32,
}

/// What a worker needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Fork,
    Pipe,
}

impl Refusal {
    pub fn of(call: Call, error: &io::Error) -> Refusal {
        Refusal { call, errno: error.raw_os_error().unwrap_or(0) }
    }

    pub fn call(self) -> &'static str {
        match self.call {
            Call::Fork => "fork of a pool's worker",
            Call::Pipe => "socket to a pool's worker",
        }
    }

    pub fn error(self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It reported that it was about to.
    Announced,
    Died,
    /// The pool killed it: its task took too long, or was killed.
    Killed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// A supervisor begins: workers that others started are gone, or about to be.
    Began { pid: u32 },
    /// The supervisor has forked its standby.
    Standby { pid: u32 },
    /// A worker was forked.
    Started { pid: u32 },
    /// A worker has ended.
    Ended { pid: u32, status: ExitStatus, how: End },
    /// So many workers cannot be started at present; 0: there are as many as there should be.
    Short { missing: u32, why: Refusal },
    /// All workers were started, or refused, for the first time.
    Ready,
    /// No worker could be started for too long: the supervisor ends.
    GaveUp { why: Refusal },
}

impl Report {
    fn words(self) -> [u32; 4] {
        let refusal = |why: Refusal| (u32::from(why.call == Call::Pipe), why.errno as u32);
        match self {
            Report::Began { pid } => [1, pid, 0, 0],
            Report::Standby { pid } => [2, pid, 0, 0],
            Report::Started { pid } => [3, pid, 0, 0],
            Report::Ended { pid, status, how } => [4, pid, status.into_raw() as u32, how as u32],
            Report::Short { missing, why } => [5, missing, refusal(why).0, refusal(why).1],
            Report::Ready => [6, 0, 0, 0],
            Report::GaveUp { why } => [7, 0, refusal(why).0, refusal(why).1],
        }
    }

    fn of(words: [u32; 4]) -> Option<Report> {
        let [what, first, second, third] = words;
        let why = Refusal { call: if second == 1 { Call::Pipe } else { Call::Fork }, errno: third as i32 };
        Some(match what {
            1 => Report::Began { pid: first },
            2 => Report::Standby { pid: first },
            3 => Report::Started { pid: first },
            4 => {
                let how = [End::Announced, End::Died, End::Killed].into_iter().find(|how| *how as u32 == third)?;
                Report::Ended { pid: first, status: ExitStatus::from_raw(second as i32), how }
            }
            5 => Report::Short { missing: first, why },
            6 => Report::Ready,
            7 => Report::GaveUp { why },
            _ => return None,
        })
    }

    /// Sends it if there is room for it. Does not wait.
    pub fn send(self, socket: &OwnedFd, about: Option<RawFd>) -> io::Result<()> {
        let mut bytes = [0; BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(self.words()) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        send_now(socket, &bytes, about.as_slice())
    }
}

/// What was received.
pub(super) enum Received {
    Report(Report, Option<OwnedFd>),
    /// Nothing, for now.
    Nothing,
    /// There is no supervisor any more.
    End,
}

/// Receives a report. Does not wait. The caller is the only one to receive: reports that two
/// threads took would be applied in any order.
pub(super) fn try_receive(socket: &OwnedFd) -> Received {
    loop {
        if poll(&[socket.as_raw_fd()], 0) != [true] {
            return Received::Nothing;
        }
        let mut bytes = [0; BYTES];
        let Ok(mut about) = receive(socket, &mut bytes) else { return Received::End };
        let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * at + byte]));
        if let Some(report) = Report::of([word(0), word(1), word(2), word(3)]) {
            return Received::Report(report, about.pop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::socket::packet_pair;

    #[test]
    fn reports_come_back_as_sent_and_in_order() {
        let (program, supervisor) = packet_pair().unwrap();
        let why = Refusal { call: Call::Pipe, errno: 24 };
        let all = [
            Report::Began { pid: 1 },
            Report::Standby { pid: u32::MAX },
            Report::Started { pid: 3 },
            Report::Ended { pid: 3, status: ExitStatus::from_raw(crate::os::KILL), how: End::Died },
            Report::Ended { pid: 4, status: ExitStatus::from_raw(crate::os::KILL), how: End::Killed },
            Report::Short { missing: 4, why },
            Report::Ready,
            Report::GaveUp { why: Refusal { call: Call::Fork, errno: 11 } },
        ];
        for report in all {
            report.send(&supervisor, None).unwrap();
        }
        Report::Ready.send(&supervisor, Some(supervisor.as_raw_fd())).unwrap();
        for report in all {
            assert!(matches!(try_receive(&program), Received::Report(received, None) if received == report));
        }
        assert!(matches!(try_receive(&program), Received::Report(Report::Ready, Some(_))));
        assert!(matches!(try_receive(&program), Received::Nothing));
        drop(supervisor);
        assert!(matches!(try_receive(&program), Received::End));
    }
}
