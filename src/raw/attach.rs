//! Becoming a participant: at create, at open, and at the first call after a fork.

use super::topic::{TopicPart, topic_ring};
use super::{Failure, Mapped, RawQueue};
use crate::atomic::AtomicU64;
use crate::attachment::{self, Attached, Attachment, Newcomer};
use crate::backoff::AdaptiveSpin;
use crate::error::{CreateError, InUse, OpenError};
use crate::os::Deadline;
use crate::ring::{Ring, State};
use crate::shm::participant::{self, Id};
use crate::shm::segment::{AttachError, Expect, Segment, Spec, View};
use crate::wait::{Stop, WaitStrategy};
use std::any::Any;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Full { max } => Failure::TooManyParticipants { max },
            AttachError::Replaced => Failure::Os {
                call: "attach after fork",
                source: io::Error::new(io::ErrorKind::NotFound, "every user left and the queue was replaced meanwhile"),
            },
            AttachError::Os { call, source: error } => Failure::Os { call, source: error },
        }
    }
}

fn ring_of(segment: &Segment) -> Ring<Mapped> {
    let geometry = segment.geometry();
    let memory = Mapped::new(NonNull::from(segment.head()), segment.cells(), &geometry);
    Ring { memory, geometry }
}

fn initialise(segment: &Segment) {
    let ring = ring_of(segment);
    match segment.topic() {
        Some(area) => topic_ring(&ring, &area).initialise(),
        None => ring.initialise(),
    }
}

/// Messages in a segment that no process is attached to, those on lease to dead processes included.
/// `None`: it holds garbage.
pub(crate) fn messages_left(view: &View) -> Option<u64> {
    if !view.info().kind.is_queue() {
        return Some(0);
    }
    let geometry = view.geometry();
    let ring = Ring { memory: Mapped::new(NonNull::from(view.head()), view.cells(), &geometry), geometry };
    let mut count = 0;
    // Not up to tail: a putter that died between a record and its tail has put it all the same. The
    // word behind the last record is FREE.
    let walked = ring.walk(u64::MAX, |_, _, header| {
        count += matches!(header.state(), Some(State::Ready | State::Leased | State::Returned)) as u64;
        true
    });
    walked.ok().map(|()| count)
}

impl RawQueue {
    /// Creates a queue; without a name, an anonymous one.
    pub(crate) fn create(name: Option<&str>, spec: &Spec, strategy: WaitStrategy) -> Result<Arc<RawQueue>, CreateError> {
        Ok(RawQueue::over(Newcomer::create(name, spec, initialise)?, strategy))
    }

    /// Attaches to a queue. With `until`, waits for one to be created.
    pub(crate) fn open(
        name: &str,
        expect: &Expect,
        strategy: WaitStrategy,
        until: Option<Deadline>,
    ) -> Result<Arc<RawQueue>, OpenError> {
        Ok(RawQueue::over(Newcomer::open(name, expect, until)?, strategy))
    }

    /// The same, for a caller that tries again.
    pub(super) fn open_soon(name: &str, expect: &Expect, strategy: WaitStrategy) -> Result<Arc<RawQueue>, OpenError> {
        Ok(RawQueue::over(Newcomer::open_soon(name, expect)?, strategy))
    }

    /// Attaches to a queue, or creates it.
    pub(crate) fn open_or_create(
        name: &str,
        spec: &Spec,
        expect: &Expect,
        strategy: WaitStrategy,
    ) -> Result<Arc<RawQueue>, CreateError> {
        Ok(RawQueue::over(Newcomer::open_or_create(name, spec, expect, initialise)?, strategy))
    }

    /// Attaches to the queue that a handle was sent of, which waits as that one did.
    pub(crate) fn reopen(address: &str, expect: &Expect, strategy: WaitStrategy) -> Result<Arc<RawQueue>, OpenError> {
        let raw = attachment::reopen(address, expect.clone(), |newcomer| RawQueue::over(newcomer, strategy))?;
        // This process may have it open already, with a strategy of its own.
        Ok(if raw.strategy == strategy { raw } else { raw.view(None, strategy) })
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.strategy
    }

    fn over(newcomer: Newcomer, strategy: WaitStrategy) -> Arc<RawQueue> {
        newcomer.share(|attachment| RawQueue {
            ring: ring_of(&attachment.segment),
            strategy,
            max_deliveries: attachment.segment.max_deliveries(),
            letters: Arc::default(),
            probe_times: Default::default(),
            caught_up_at: AtomicU64::new(0),
            tail_seen: AtomicU64::new(0),
            adaptive_spin: AdaptiveSpin::new(),
            leases_are_private: AtomicBool::new(false),
            roles: Arc::default(),
            is_anchored: AtomicBool::new(false),
            stop: None,
            topic: TopicPart::of(&attachment.segment),
            #[cfg(feature = "tracing")]
            unreported: Default::default(),
            attachment,
        })
    }

    /// The same queue with a stop, in place of the one that it may have.
    pub(crate) fn with_stop(self: &Arc<Self>, stop: &Stop) -> Arc<RawQueue> {
        self.view(Some(stop.clone()), self.strategy)
    }

    fn view(self: &Arc<Self>, stop: Option<Stop>, strategy: WaitStrategy) -> Arc<RawQueue> {
        let view = Arc::new(RawQueue {
            ring: self.ring,
            strategy,
            max_deliveries: self.max_deliveries,
            letters: Arc::clone(&self.letters),
            probe_times: Default::default(),
            caught_up_at: AtomicU64::new(0),
            tail_seen: AtomicU64::new(0),
            adaptive_spin: AdaptiveSpin::new(),
            leases_are_private: AtomicBool::new(self.leases_are_private.load(Relaxed)),
            roles: Arc::clone(&self.roles),
            is_anchored: AtomicBool::new(self.is_anchored.load(Relaxed)),
            stop,
            topic: self.topic.clone(),
            #[cfg(feature = "tracing")]
            unreported: Default::default(),
            attachment: Attachment::view_of(self),
        });
        // So that a handle that is detached can say how many others there are.
        attachment::remember(&view);
        view
    }

    pub(super) fn has_dead(&self, me: Id) -> bool {
        !participant::dead(self.segment(), me).is_empty()
    }
}

impl Attached for RawQueue {
    fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    fn succeed(&self, me: Id, left_behind: bool) {
        // A newcomer repairs first what the dead left, in its own entry or in one that it passed
        // over.
        if left_behind || me.begins_anew() || self.has_dead(me) {
            // Closes nothing: a newcomer has not counted its handles yet.
            self.recover_until(Deadline::NEVER);
        }
    }

    fn open_guard(&self) -> Option<&'static str> {
        // Its origin says it.
        if self.attachment.is_view() { None } else { self.open_loan_or_lease() }
    }

    fn count_guards(&self, in_use: &mut InUse) {
        self.count_loans_and_leases(in_use);
    }

    fn end_roles(&self) {
        self.end_all_roles();
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
