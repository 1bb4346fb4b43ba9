//! Forks in progress: children that have been forked and whose fork handler has not finished.
//!
//! Such a child shares our open file descriptions, and with them the locks that keep names; what
//! *we* unlock is unlocked for the child as well. So a parent that detaches meanwhile unlocks
//! nothing: it closes its descriptors, or exits, and the child, which takes locks of its own before
//! it closes the copies, keeps every name without a gap.
//!
//! ```text
//!   before the fork: a pipe    parent: closes the write end, keeps the read end
//!                              child:  closes both when its handler is done; exit and exec do too
//!   detaching: the fork is pending until the pipe hangs up
//! ```
//!
//! Not a counter in shared memory: a child killed in between would stay pending for ever. A fork
//! costs one pipe, however many queues there are. Opening one description per queue before the
//! fork, for the child to use, would work too, but the parent would pay for it: 600 us for 100
//! queues.
//!
//! A child that is about to execute a program keeps names too, until the exec closes its
//! descriptors. `Command::spawn` returns after the exec, so a thread that detaches waits a moment
//! only for what *other* threads have just forked ([`PendingForks::is_recent_elsewhere`]).
//!
//! Invariants:
//! 1. Used under the mutex of the list of descriptors, or in the child that it is held for.
//! 2. Before a number is polled or closed, the file behind it is compared (`file_id`, Invariant 1).
//! 3. What runs in the child makes system calls only: a cleared `Vec` keeps its memory.

use super::file_id::{FileId, STANDARD_NUMBERS, close_if, file_behind};
use crate::os;
use std::os::fd::RawFd;

/// How long after a fork its child may be expected to execute a program.
const EXEC_NS: u64 = 50_000_000;

/// The forks that have not been seen to finish.
pub(super) struct PendingForks {
    /// Read ends.
    readers: Vec<End>,
    /// Write end of the fork that this thread is making.
    writer: Option<End>,
    /// How many forks this process has made, and its ancestors before it.
    count: u64,
    /// The last fork, and the last one of any other thread than that one's.
    last: LastFork,
    last_of_another: LastFork,
}

#[derive(Clone, Copy)]
struct LastFork {
    /// 0: there was none.
    thread: usize,
    at_ns: u64,
}

impl LastFork {
    const NONE: LastFork = LastFork { thread: 0, at_ns: 0 };
}

fn this_thread() -> usize {
    // SAFETY: pthread_self has no preconditions, and its value is only compared.
    unsafe { libc::pthread_self() as usize }
}

/// An end of a pipe.
#[derive(Clone, Copy)]
struct End {
    number: RawFd,
    pipe: FileId,
}

impl End {
    /// `None` if the process is out of descriptors.
    fn of(number: RawFd) -> Option<End> {
        let number = if number < STANDARD_NUMBERS { os::raise(number, STANDARD_NUMBERS).ok()? } else { number };
        file_behind(number).map(|pipe| End { number, pipe })
    }

    fn close(self) {
        close_if(self.number, self.pipe);
    }

    fn has_hung_up(self) -> bool {
        if file_behind(self.number) != Some(self.pipe) {
            return true; // the program closed it
        }
        let mut end = libc::pollfd { fd: self.number, events: 0, revents: 0 };
        // SAFETY: one pollfd that the call may write, and a timeout of 0.
        unsafe { libc::poll(&mut end, 1, 0) == 1 && end.revents & libc::POLLHUP != 0 }
    }
}

impl PendingForks {
    pub const fn new() -> PendingForks {
        PendingForks { readers: Vec::new(), writer: None, count: 0, last: LastFork::NONE, last_of_another: LastFork::NONE }
    }

    /// Before a fork. Without a pipe (no descriptors left), a parent that exits at once may remove
    /// the names.
    pub fn begin(&mut self) {
        self.any(); // closes the pipes of finished forks
        let mut ends = [-1; 2];
        // SAFETY: `ends` has room for the two numbers.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } == -1 {
            return;
        }
        let [read, write] = ends.map(End::of);
        match (read, write) {
            (Some(read), Some(write)) => {
                self.readers.push(read);
                self.writer = Some(write);
            }
            (one, other) => [one, other].into_iter().flatten().for_each(End::close),
        }
    }

    /// In the parent, even if the fork failed: then the pipe hangs up at once.
    pub fn finish_in_parent(&mut self) {
        self.writer.take().into_iter().for_each(End::close);
        let now = LastFork { thread: this_thread(), at_ns: os::now_ns() };
        if self.last.thread != now.thread {
            self.last_of_another = self.last;
        }
        self.last = now;
        self.count += 1;
    }

    /// In the child, as the last step. Its parent's other children are not its concern.
    pub fn finish_in_child(&mut self) {
        (self.last, self.last_of_another) = (LastFork::NONE, LastFork::NONE);
        self.readers.iter().for_each(|end| end.close());
        self.readers.clear();
        self.writer.take().into_iter().for_each(End::close);
    }

    /// How many forks were made so far. A descriptor that was opened since then has no copies in
    /// forked children.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Has another thread forked a moment ago? Then its child may be about to execute a program.
    pub fn is_recent_elsewhere(&self) -> bool {
        let fork = if self.last.thread == this_thread() { self.last_of_another } else { self.last };
        fork.thread != 0 && os::now_ns().saturating_sub(fork.at_ns) < EXEC_NS
    }

    /// Is a fork pending?
    pub fn any(&mut self) -> bool {
        self.readers.retain(|end| {
            let over = end.has_hung_up();
            if over {
                end.close();
            }
            !over
        });
        !self.readers.is_empty()
    }
}
