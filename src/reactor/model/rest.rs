//! What must hold where nothing moves any more.

use super::{CLOSE, Flaw, Kind, LAST_STAGE, Node, State, Waiter, Wake};

impl State {
    pub(super) fn check_messages(&self, queue: usize, was_killed: bool) {
        let messages = self.queues[queue].messages;
        let is_blocked = queue == 0 && matches!(self.waiter, Waiter::Asleep { .. });
        let waiting = (0..2).filter(|&i| self.tasks[i].queue == queue && self.tasks[i].node.waits()).map(|i| self.tasks[i]);
        // The process of each that wants no more than there is, the blocked caller's as the third.
        let able = |there: u8| {
            waiting
                .clone()
                .filter(move |task| task.want <= there)
                .map(|task| task.process)
                .chain((is_blocked && there > 0).then_some(2))
        };
        // What notified tasks answer for, whose wakers did not panic. A kill may cost all a slice.
        let answers = self.tasks.iter().filter(|task| task.queue == queue && task.node.answers() && task.kind != Kind::Panics);
        let open = if messages < CLOSE { messages.saturating_sub(answers.map(|task| task.want).sum()) } else { CLOSE };
        let is_open = able(open).next().is_some() && (!was_killed || self.stage > 2);
        assert!(!is_open, "a wake was swallowed: {self:?}");
        // A task that does not poll is late when the second slice ends. It costs others of its
        // process as long again, and no other process.
        let is_beside = able(messages).any(|process| process == 2 || self.count(process, queue, Node::answers) == 0);
        let is_late = self.stage > if was_killed { 3 } else { 1 };
        assert!(!(is_beside && is_late), "a late task costs other processes more than a slice: {self:?}");
        let is_for_good = able(messages).next().is_some() && self.stage == LAST_STAGE;
        assert!(!is_for_good, "a message lies beside an able waiter for good: {self:?}");
    }

    pub(super) fn check_counts(&self, queue: usize, was_killed: bool) {
        let mut counted = u8::from(queue == 0 && self.waiter == Waiter::Asleep { has_epoch: true });
        for (i, reactor) in self.reactors.iter().enumerate() {
            counted += u8::from(reactor.places[queue].is_some_and(|place| place.has_epoch));
            let is_needed = self.count(i, queue, Node::waits) > 0;
            let is_there = reactor.places[queue].is_some();
            assert!(is_there || !is_needed, "tasks wait, and it is not registered: {self:?}");
            // It may stay for tasks that were notified: until the next wake, or the next slice.
            let may_be_there = is_needed || self.stage < LAST_STAGE || self.flaw == Flaw::StaysRegistered;
            assert!(may_be_there || !is_there, "it waits for tasks that have gone: {self:?}");
        }
        assert!(was_killed || self.queues[queue].count == counted, "the count has more than those that sleep: {self:?}");
        if self.sleepers(queue).is_empty() {
            // However many of the dead it counts, they cost one needless wake.
            let mut later = (*self, Some(Wake::CheckForWaiters));
            while let (state, Some(wake)) = later {
                later = state.step_wake(queue, wake, false).remove(0);
            }
            assert_eq!(later.0.queues[queue].count, 0, "the count sticks: {self:?}");
        }
    }
}
