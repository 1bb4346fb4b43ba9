//! Looking at a child from outside, without taking its status: for those who wait for several things at once.

use super::{Process, State};
use std::os::fd::BorrowedFd;

impl Process {
    /// Would [`join`](Process::join) return at once? It does so too in a forked copy of this program, with an error.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.state {
            State::Running(child) => self.check_owner().is_err() || child.has_ended(),
            State::Reaped(_) => true,
        }
    }

    /// What can be polled for its end, where the kernel has such a thing and it is still to come.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Running(child) => child.pidfd(),
            State::Reaped(_) => None,
        }
    }
}
