//! An arrival: from its lock to the end of its phase.

use super::phase::State;
use super::{Barrier, BarrierWaitResult};
use crate::attachment::Attached;
use crate::shm::participant::{self, Id};
use crate::sync::SyncError;
use crate::wait::{OnUnwind, SLICE_NS, Step, Wait};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

impl Barrier {
    pub(super) fn wait_by(
        &self,
        wait: Wait,
        action: Option<impl FnOnce() -> ControlFlow<()>>,
    ) -> Result<BarrierWaitResult, SyncError> {
        let me = self.primitive.me()?;
        // One that gives up before it could arrive is missed like any other.
        let miss = || {
            if self.is_me(me) {
                self.phases().break_open_or_next();
                self.primitive.notify(u32::MAX);
            }
        };
        let unwinding = OnUnwind::new(miss);
        let entered = self.enter(me, wait);
        unwinding.forget();
        if let Err(error) = entered {
            if error.is_timeout() || error.is_interrupted() {
                miss();
            }
            return Err(error);
        }
        let (phase, result) = self.arrive_and_exit(me, action)?;
        if result.is_leader {
            return Ok(result);
        }
        let unwinding = OnUnwind::new(|| drop(self.give_up(me, phase, SyncError::Interrupted)));
        let end = self.wait_for_end(me, phase, wait);
        unwinding.forget();
        end.map(|()| result)
    }

    /// Whether the process of that call is this one, and no child that a check forked.
    fn is_me(&self, me: Id) -> bool {
        self.primitive.attachment().known_me() == Some(me)
    }

    fn wait_for_end(&self, me: Id, phase: u64, wait: Wait) -> Result<(), SyncError> {
        let mut waiter = self.primitive.waiter(wait);
        loop {
            if let Some(end) = self.end_of(phase) {
                return end;
            }
            match waiter.next(&mut || self.end_of(phase).is_some()) {
                Step::CheckAgain => {}
                Step::Probe => self.probe_for_the_dead(me, phase, wait),
                Step::GiveUp => return self.give_up(me, phase, SyncError::Timeout),
                Step::Interrupted => return self.give_up(me, phase, SyncError::Interrupted),
            }
        }
    }

    /// Needs the lock, and gives it back. The phase of the arrival, and what it is in it.
    pub(super) fn arrive_and_exit(
        &self,
        me: Id,
        action: Option<impl FnOnce() -> ControlFlow<()>>,
    ) -> Result<(u64, BarrierWaitResult), SyncError> {
        // An action that panics.
        let unwinding = OnUnwind::new(|| {
            self.phases().break_open();
            let _ = self.primitive.exit(me);
            self.primitive.notify(u32::MAX);
        });
        let arrived = self.arrive(me, action);
        unwinding.forget();
        self.primitive.exit(me)?;
        if !matches!(arrived, Ok((_, BarrierWaitResult { is_leader: false, .. }))) {
            self.primitive.notify(u32::MAX);
        }
        arrived
    }

    /// Needs the lock. The phase of the arrival, and what it is in it.
    fn arrive(&self, me: Id, action: Option<impl FnOnce() -> ControlFlow<()>>) -> Result<(u64, BarrierWaitResult), SyncError> {
        let (words, arrivals) = (self.words(), self.arrivals());
        let (phase, state) = self.phases().now();
        if state != State::Open {
            return Err(SyncError::Broken);
        }
        if arrivals.succeeds_a_holder(me) {
            self.phases().break_open();
            return Err(SyncError::Broken);
        }
        arrivals.add_one(me);
        let index = words.arrived.load(Relaxed);
        let arrived = index.saturating_add(1);
        words.arrived.store(arrived, Relaxed);
        if u64::from(arrived) < self.primitive.count() {
            return Ok((phase, BarrierWaitResult { index, is_leader: false }));
        }
        // Invariant 4; and an action takes time, in which another may die.
        let may_pass = !arrivals.has_dead(me) && action.is_none_or(|action| action().is_continue() && !arrivals.has_dead(me));
        if !may_pass {
            self.phases().break_open();
            return Err(SyncError::Broken);
        }
        // Another may have given up since.
        if !self.phases().end(phase, State::Ended) {
            return Err(SyncError::Broken);
        }
        self.open_next_phase(State::of_next);
        Ok((phase, BarrierWaitResult { index, is_leader: true }))
    }

    /// Without the lock: a process that is stopped in it may be the reason.
    fn give_up(&self, me: Id, phase: u64, why: SyncError) -> Result<(), SyncError> {
        if !self.is_me(me) {
            // The parent waits on.
            return Err(why);
        }
        if self.phases().end(phase, State::Broken) {
            self.primitive.notify(u32::MAX);
            return Err(why);
        }
        // Ended at the last moment.
        self.end_of(phase).unwrap_or(Err(why))
    }

    fn probe_for_the_dead(&self, me: Id, phase: u64, wait: Wait) {
        // For a slice at most: others may break the phase beside a process that is stopped in the
        // lock.
        if self.enter(me, Wait::Briefly(wait.deadline().within(SLICE_NS))).is_err() {
            // Too late, or poisoned: the caller's next check says so.
            return;
        }
        let died = || {
            self.arrivals().has_dead(me)
                || self.primitive.had_a_death()
                || !participant::dead(self.primitive.segment(), me).is_empty()
        };
        let breaks = self.end_of(phase).is_none() && died() && self.phases().end(phase, State::Broken);
        let _ = self.primitive.exit(me);
        if breaks {
            self.primitive.notify(u32::MAX);
        }
    }
}
