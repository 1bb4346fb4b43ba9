//! What must hold where nothing moves any more.

use super::{Flaw, LAST_STAGE, Node, State, Waiter, Wake};

impl State {
    pub(super) fn check_messages(&self, queue: usize, was_killed: bool) {
        let tasks = |node: Node| self.tasks.iter().filter(move |task| task.queue == queue && task.node == node).count();
        let is_blocked = queue == 0 && matches!(self.waiter, Waiter::Asleep { .. });
        let able = tasks(Node::Waiting) + usize::from(is_blocked);
        let messages = usize::from(self.queues[queue].messages);
        if able == 0 || messages == 0 {
            return;
        }
        // Each message but those that notified tasks answer for, which are late at the next slice.
        let is_open = messages > tasks(Node::Notified) && (self.stage > 1 || !was_killed);
        assert!(!is_open, "a wake was swallowed: {self:?}");
        // A task that is late costs others of its process one slice more, and no other process.
        let is_stuck = |i: usize| self.count(i, queue, Node::Notified) > 0;
        let is_beside = is_blocked || (0..2).any(|i| self.count(i, queue, Node::Waiting) > 0 && !is_stuck(i));
        let had_slices = self.stage > usize::from(was_killed) as u8;
        assert!(!(is_beside && had_slices), "a late task costs other processes more than a slice: {self:?}");
        assert!(self.stage < LAST_STAGE, "a message lies beside an able waiter for good: {self:?}");
    }

    pub(super) fn check_counts(&self, queue: usize, was_killed: bool) {
        let mut counted = u8::from(queue == 0 && self.waiter == Waiter::Asleep { has_epoch: true });
        for (i, reactor) in self.reactors.iter().enumerate() {
            counted += u8::from(reactor.places[queue].is_some_and(|place| place.has_epoch));
            let is_needed = self.count(i, queue, Node::Waiting) > 0;
            let is_there = reactor.places[queue].is_some();
            assert!(is_there == is_needed || self.flaw == Flaw::StaysRegistered, "it waits for tasks that have gone: {self:?}");
        }
        assert!(was_killed || self.queues[queue].count == counted, "the count has more than those that sleep: {self:?}");
        if self.sleepers(queue).is_empty() {
            // However many of the dead it counts, they cost one needless wake.
            let mut later = (*self, Some(Wake::CheckForWaiters));
            while let (state, Some(wake)) = later {
                later = state.step_wake(queue, wake).remove(0);
            }
            assert_eq!(later.0.queues[queue].count, 0, "the count sticks: {self:?}");
        }
    }
}
