//! Seeing the subscribers of a topic, evicting them, and waiting for them.

use super::seen::{SubscriberInfo, SubscriberKind, TopicStats, pid_of, subscriber_at};
use super::subscriber::is_of;
use crate::attachment::Attached;
use crate::error::{PutError, SubscriberId, WaitSubscribersError};
use crate::raw::RawQueue;
use crate::raw::stats::Verb;
use crate::ring::topic::{LineWord, NOT_YET};
use crate::shm::participant::Id;
use crate::wait::{Step, Wait};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

impl RawQueue {
    pub(crate) fn topic_stats(&self) -> TopicStats {
        TopicStats::read(&self.as_topic(), self.rare())
    }

    pub(crate) fn is_topic(&self) -> bool {
        self.topic.is_some()
    }

    /// Position of the first record that was ever put.
    pub(crate) fn first_position(&self) -> u64 {
        self.topic().map_or(0, |topic| topic.first())
    }

    /// Messages that a new subscriber begins back.
    pub(crate) fn history(&self) -> u64 {
        self.as_topic().limits.history
    }

    /// All subscribers, in the order of their lines.
    pub(crate) fn subscribers(&self) -> Vec<SubscriberInfo> {
        // In a child that never attached, and cannot, all look dead but none is.
        let me = self.me().ok();
        let is_dead = |participant| match me {
            Some(me) => Id::from_bits(participant).is_none_or(|id| !self.is_alive(id, me)),
            None => false,
        };
        let process = |participant| (pid_of(self.segment().entries(), participant), !is_dead(participant));
        let topic = self.as_topic();
        let lines = topic.lines.iter().enumerate();
        lines.filter_map(|(index, line)| subscriber_at(&topic, index, line, process)).collect()
    }

    /// Evicts a gating subscriber. `false`: there is no such one.
    pub(crate) fn evict(&self, id: SubscriberId) -> Result<bool, PutError> {
        self.me()?;
        let topic = self.as_topic();
        let Some(line) = topic.lines.get(id.line as usize) else { return Ok(false) };
        let word = LineWord::from_bits(line.state.load(Acquire));
        let evicted = is_of(id, word) && topic.evict(id.line as usize, word);
        if evicted {
            self.notify_not_full(u32::MAX);
            // It may sleep, and has to learn of it.
            self.notify_not_empty(u32::MAX);
        }
        Ok(evicted)
    }

    /// Live gating subscribers that know where they begin. One that is joining gates already, but
    /// it may still begin behind what is published now.
    fn gating_subscribers(&self) -> usize {
        let lines = self.as_topic().lines;
        let knows =
            |seen: &SubscriberInfo| lines.get(seen.id.line as usize).is_some_and(|line| line.start.load(Acquire) != NOT_YET);
        let counts = |seen: &&SubscriberInfo| seen.kind == SubscriberKind::Gating && seen.is_alive && knows(seen);
        self.subscribers().iter().filter(counts).count()
    }

    /// Waits until there are `count` live gating subscribers.
    pub(crate) fn wait_subscribers(&self, count: usize, wait: Wait) -> Result<(), WaitSubscribersError> {
        self.me()?;
        let mut waiter = self.waiter(wait, Verb::Join);
        loop {
            let found = self.gating_subscribers();
            if self.is_poisoned() {
                return Err(WaitSubscribersError::Poisoned);
            }
            if found >= count {
                return Ok(());
            }
            if self.is_closed() {
                return Err(WaitSubscribersError::Closed);
            }
            let mut ready = || self.is_closed() || self.gating_subscribers() >= count;
            match waiter.next(&mut ready) {
                Step::Interrupted => return Err(WaitSubscribersError::Interrupted),
                Step::GiveUp => return Err(WaitSubscribersError::Timeout { found, wanted: count }),
                Step::CheckAgain | Step::Probe => {}
            }
        }
    }

    /// Pid of the process in that entry.
    pub(super) fn pid_of_entry(&self, entry: u32) -> u32 {
        self.segment().entries().get(entry as usize).map_or(0, |slot| slot.pid.load(Relaxed))
    }
}
