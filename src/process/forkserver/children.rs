//! Children whose exit statuses are reported to the program, as the server and its standby know
//! them.

use crate::os::{Event, Pid, poll_events, reap, socket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A child, and its line to the program (Invariant 4 of the parent module).
struct Served {
    pid: Pid,
    line: OwnedFd,
}

#[derive(Default)]
pub(super) struct Children {
    served: Vec<Served>,
}

impl Children {
    /// Adds a child. An older one of that pid has ended.
    pub fn add(&mut self, pid: Pid, line: OwnedFd) {
        self.served.retain(|child| child.pid != pid);
        self.served.push(Served { pid, line });
    }

    /// Forgets all: they are another process's.
    pub fn clear(&mut self) {
        self.served.clear();
    }

    /// Forgets children that are not children of this process.
    pub fn retain(&mut self, is_own: impl Fn(Pid) -> bool) {
        self.served.retain(|child| is_own(child.pid));
    }

    /// The numbers of their lines, to be closed in a child or polled for their end.
    pub fn lines(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.served.iter().map(|child| child.line.as_raw_fd())
    }

    /// Forgets children whose end the other process has reported, or that the program does not ask
    /// about any more: both close the line.
    pub fn forget_closed(&mut self) {
        let polled: Vec<_> = self.lines().map(|line| (line, Event::Closed)).collect();
        if let Ok(closed) = poll_events(&polled, 0) {
            let mut closed = closed.into_iter();
            self.served.retain(|_| !closed.next().unwrap_or(false));
        }
    }

    /// Reports to the program how a child of this process ended, and reaps it.
    pub fn report_end(&mut self, pid: Pid, status: ExitStatus) {
        if let Some(index) = self.served.iter().position(|child| child.pid == pid) {
            let line = self.served.swap_remove(index).line;
            // If this fails, the program does not wait for it.
            let _ = socket::send_now(&line, &status.into_raw().to_ne_bytes(), &[]);
            // The other process has the same line, and sees this.
            socket::close_both_ways(&line);
        }
        reap(pid);
    }
}
