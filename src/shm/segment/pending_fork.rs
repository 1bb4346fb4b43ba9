//! Is a child of this process being born: forked, and its fork handler not done?
//!
//! Such a child has copies of our descriptions, and with them our share in the names; what *we*
//! unlock is unlocked for it as well. So a parent that leaves meanwhile keeps its hands off: it
//! closes its descriptions, or ends, and the child, which takes a share of its own before it closes
//! the copies, keeps every name without a gap.
//!
//! ```text
//!   before the fork: a pipe      parent: closes the end to write, keeps the end to read
//!                                child:  closes both when its handler is done, or is ended, or executes another program
//!   leaving: a birth goes on as long as the pipe has not hung up
//! ```
//!
//! Not a counter in shared memory, since a child that is killed in between would be born for ever.
//! A fork costs one pipe, however many queues there are. Descriptions opened before the fork, one a
//! queue, for the child to find, would do as well; but it is the parent that would wait for them:
//! 600 us for 100 queues.
//!
//! Invariants:
//! 1. Used under the mutex of the list of descriptors, or in the child that it is held for.
//! 2. Before a number is asked or closed, the file behind it is compared, as in `descriptors.rs`.
//! 3. What runs in the child makes system calls only: a `Vec` that is cleared keeps its memory.

use super::file_id::{FileId, STANDARD_NUMBERS, close_if, file_behind};
use crate::os;
use std::os::fd::RawFd;

/// The births that have not been seen to end.
pub(super) struct PendingForks {
    /// Ends to read.
    readers: Vec<End>,
    /// End to write of the fork that goes on at this moment.
    writer: Option<End>,
}

/// An end of a pipe.
#[derive(Clone, Copy)]
struct End {
    number: RawFd,
    pipe: FileId,
}

impl End {
    /// `None` if there are no numbers left.
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
        // SAFETY: one pollfd, which the call may write; it does not wait.
        unsafe { libc::poll(&mut end, 1, 0) == 1 && end.revents & libc::POLLHUP != 0 }
    }
}

impl PendingForks {
    pub const fn new() -> PendingForks {
        PendingForks { readers: Vec::new(), writer: None }
    }

    /// Before a fork. Without a pipe, for want of numbers, a parent that ends at once may take the
    /// names along.
    pub fn begin(&mut self) {
        self.any(); // closes what has ended
        let mut ends = [-1; 2];
        // SAFETY: the call fills two numbers.
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

    /// In the parent, also where the fork failed: then the pipe hangs up at once.
    pub fn finish_in_parent(&mut self) {
        self.writer.take().into_iter().for_each(End::close);
    }

    /// In the child, as the last thing. Its parent's other children are none of its own.
    pub fn finish_in_child(&mut self) {
        self.readers.iter().for_each(|end| end.close());
        self.readers.clear();
        self.writer.take().into_iter().for_each(End::close);
    }

    /// Is one going on?
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
