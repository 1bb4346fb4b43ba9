//! What the server and its standby both have, whichever of the two a process is.

use super::children::Children;
use super::reserve::Reserve;
use crate::os::{ChildSignal, Event, Parent, parent_is_elsewhere, poll_events};
use crate::process::supervision::next_ended;
use std::os::fd::{OwnedFd, RawFd};

/// How often both check what they have no descriptor to poll for, or try something again.
pub(super) const SLICE_MS: i32 = 10;
/// Bytes of the server's records for the standby.
pub(super) const RECORD_BYTES: usize = 4;
/// In place of a pid: the server is ready.
pub(super) const READY: i32 = 0;

pub(super) struct Role {
    pub requests: OwnedFd,
    pub program: Parent,
    /// The program is in another PID namespace: pids of ours are not its.
    pub is_elsewhere: bool,
    pub child_signal: ChildSignal,
    pub children: Children,
    /// Servers in a row that died before they were ready.
    pub unready: u32,
    pub reserve: Reserve,
}

impl Role {
    pub fn new(requests: OwnedFd, program: Parent) -> Role {
        Role {
            requests,
            program,
            is_elsewhere: parent_is_elsewhere(),
            child_signal: ChildSignal::open(),
            children: Children::default(),
            unready: 0,
            reserve: Reserve::new(),
        }
    }

    /// Whether the program has ended.
    pub fn is_over(&self) -> bool {
        self.program.is_gone()
    }

    /// Sleeps until one of these can be read, a child or the program has ended, or a line is
    /// closed; or, if `again`, for a slice.
    pub fn wait(&self, fds: &[RawFd], again: bool) {
        let program = self.program.pidfd();
        let own = program.into_iter().chain(self.child_signal.number());
        let mut polled: Vec<_> = fds.iter().copied().chain(own).map(|fd| (fd, Event::Readable)).collect();
        polled.extend(self.children.lines().map(|line| (line, Event::Closed)));
        let blind = again || program.is_none() || self.child_signal.number().is_none();
        // What woke it is of no account: the caller checks everything.
        let _ = poll_events(&polled, if blind { SLICE_MS } else { -1 });
        self.child_signal.drain();
    }

    /// Reports and reaps the children of this process that have ended.
    pub fn report_ends(&mut self) {
        while let Some((pid, status)) = next_ended() {
            self.children.report_end(pid, status);
        }
    }
}
