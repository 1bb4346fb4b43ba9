//! A topic as tasks wait for it: what there is for one subscriber, and room for publishers, seen
//! without a lock and from the reactor's thread.
//!
//! Each subscriber has a room of its own, since what is there for one is not there for another:
//! tasks in one room would stand in each other's line (reactor, Invariant 3). The address of its
//! line stands for it. The rooms of a topic sleep on the same words, each as a waiter of its own,
//! and a wake is for all of them (topic, Invariant 3).

use super::RawSubscriber;
use crate::lock::KeptCondvar;
use crate::os::Deadline;
use crate::raw::RawQueue;
use crate::reactor::{Aspect, Available, Awaited};
use crate::ring::State;
use crate::ring::topic::{LineWord, Standing};
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

/// What the reactor sees of a subscriber: its line. Its handle belongs to another thread.
struct AwaitedSubscriber {
    raw: Arc<RawQueue>,
    line: usize,
}

impl RawSubscriber {
    /// What stands for it in the reactor.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self.line()).addr()
    }

    /// For the reactor.
    pub(crate) fn shared(&self) -> Arc<dyn Awaited> {
        Arc::new(AwaitedSubscriber { raw: Arc::clone(&self.raw), line: self.line })
    }
}

impl Awaited for AwaitedSubscriber {
    fn condvar(&self, _: Aspect) -> Option<KeptCondvar> {
        KeptCondvar::new(self.raw.not_empty(), self.raw.segment())
    }

    fn heavy_barrier(&self) -> bool {
        self.raw.barrier().heavy()
    }

    /// As [`RawSubscriber::is_ready_to_read`], but it passes nothing: aborted loans are for the
    /// task.
    fn available(&self, _: Aspect) -> Available {
        let (raw, topic) = (&*self.raw, self.raw.as_topic());
        // In range: its subscriber was found there.
        let line = &topic.lines[self.line];
        let standing = LineWord::from_bits(line.state.load(Acquire)).standing();
        let position = line.cursor.load(Acquire);
        let header = raw.geometry().cell(position).map(|cell| raw.ring.load_header(cell));
        // One, for the one task of this room.
        let one = Available { units: 1, ..Available::NOTHING };
        // Evicted, or garbage: the task learns it.
        let (Some(Standing::Gating | Standing::Lossy), Some(header)) = (standing, header) else { return one };
        let is_lapped = standing == Some(Standing::Lossy) && !topic.is_intact(position);
        let is_at_end = || header.state() == Some(State::Free) && raw.is_closed() && !raw.put_side_is_at_work();
        if !header.is_pending() || is_lapped || raw.is_poisoned() || is_at_end() { one } else { Available::NOTHING }
    }

    fn probe(&self, _: Aspect) {
        if let Some(me) = self.raw.known_me() {
            let position = self.raw.as_topic().lines[self.line].cursor.load(Acquire);
            self.raw.probe_for_reader(position, me, Deadline::PASSED);
        }
    }

    fn pass_on(&self, _: Aspect) {
        // All waiters are woken.
    }
}

impl RawQueue {
    /// Cells that a publisher may fill, as far as the gate goes. May be too high, never too low.
    pub(in crate::raw) fn room_before_the_gate(&self) -> u64 {
        let (geometry, topic) = (self.geometry(), self.as_topic());
        // One that was evicted and does not read in place is left out by the next scan.
        let (lowest, laggard) = topic.lowest_gating(true);
        if laggard.is_none() {
            return geometry.cells;
        }
        lowest.saturating_add(topic.capacity()).saturating_sub(geometry.linear(topic.tail())).min(geometry.cells)
    }
}
