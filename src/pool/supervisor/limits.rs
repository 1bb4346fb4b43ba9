//! Ending workers whose task takes too long, or was killed by the program: by the words of the
//! board. The invariants are those of the board and of the parent module.

use super::workers::Workers;
use crate::os::{now_ns, poll, socket};
use crate::pool::board::{NO_LIMIT, Verdict};
use std::os::fd::{AsRawFd, OwnedFd};

/// How soon the board is checked again at least, if a limit is shorter than that.
const LEAST_NS: u64 = 1_000_000;

impl Workers<'_> {
    /// Kills the workers whose chunk was ended, and those whose task has taken too long. Returns in
    /// how many ms the next check is due, if one is: when the first task is overdue that runs now,
    /// or could be that begins just now.
    pub fn end_overdue(&mut self) -> Option<i32> {
        let board = &self.settings.board;
        let now_ns = now_ns();
        let mut next_ns = now_ns.saturating_add(board.shortest_limit());
        for worker in &mut self.running {
            match board.judge(worker.seat, worker.child.pid as u32, now_ns) {
                Verdict::GoOn { until_ns } => next_ns = next_ns.min(until_ns),
                Verdict::Kill => {
                    worker.is_condemned = true;
                    if !worker.child.kill() {
                        // It has become another user's. The kernel kills it when its socket is
                        // closed, with the rights that it has now.
                        worker.words = None;
                    }
                }
            }
        }
        if next_ns == NO_LIMIT {
            return None;
        }
        let wait_ns = next_ns.saturating_sub(now_ns).max(LEAST_NS);
        Some(i32::try_from(wait_ns.div_ceil(1_000_000)).unwrap_or(i32::MAX))
    }
}

/// Takes the program's pokes, which only end a wait. Does not wait.
pub(super) fn take_pokes(socket: &OwnedFd) {
    let mut byte = [0; 1];
    // At its end it is readable, and stays so: nothing is taken then.
    while poll(&[socket.as_raw_fd()], 0) == [true] && socket::receive(socket, &mut byte).is_ok() {}
}
