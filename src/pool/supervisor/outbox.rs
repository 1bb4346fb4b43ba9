//! Reports that were not sent to the program yet, as its socket may be full.

use super::SLICE_MS;
use crate::os::{open_pidfd, own_pid};
use crate::pool::report::Report;
use crate::pool::settings::LAST_REPORTS;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

pub(super) struct Outbox<'s> {
    socket: &'s OwnedFd,
    /// Oldest first, with a descriptor of the process that the report is about.
    reports: VecDeque<(Report, Option<OwnedFd>)>,
}

impl<'s> Outbox<'s> {
    /// That of a supervisor that begins, which is its first report.
    pub fn begin(socket: &'s OwnedFd) -> Self {
        let began = (Report::Began { pid: own_pid() as u32 }, open_pidfd(own_pid()));
        Outbox { socket, reports: VecDeque::from([began]) }
    }

    pub fn push(&mut self, report: Report) {
        self.reports.push_back((report, None));
    }

    /// A report that goes with a descriptor of its process.
    pub fn push_about(&mut self, report: Report, about: Option<&OwnedFd>) {
        self.reports.push_back((report, about.and_then(|about| about.try_clone().ok())));
    }

    pub fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// In a child: they are its parent's.
    pub fn clear(&mut self) {
        self.reports.clear();
    }

    /// Sends as many as there is room for. `true`: try again later.
    pub fn send(&mut self) -> bool {
        while let Some((report, about)) = self.reports.front() {
            if let Err(error) = report.send(self.socket, about.as_ref().map(AsRawFd::as_raw_fd)) {
                return error.kind() == io::ErrorKind::WouldBlock;
            }
            self.reports.pop_front();
        }
        false
    }

    /// Sends all, as far as the program takes them in time and is not over.
    pub fn send_last(&mut self, is_over: impl Fn() -> bool) {
        let begun = Instant::now();
        while self.send() && !is_over() && begun.elapsed() < LAST_REPORTS {
            std::thread::sleep(Duration::from_millis(SLICE_MS as u64));
        }
    }
}
