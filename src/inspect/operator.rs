//! Operating on a queue of any message type.

use crate::error::{GetError, OpenError, PutError, Subject, SubscriberId};
use crate::raw::{RawQueue, RecoveryReport, SubscriberInfo};
use crate::shm::segment::{self, Directory, Expect, Owners, Removal, Segment, View};
use crate::wait::{Wait, WaitStrategy};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a drain waits for a process in the middle of an operation: a running one finishes
/// meanwhile, a stopped one does not.
const OTHERS_AT_WORK: Duration = Duration::from_secs(1);

/// An attached queue or topic of whatever type: it can be closed, drained, recovered and persisted,
/// but its messages cannot be read.
///
/// Opening one attaches this process, which repairs what a dead participant left behind; dropping
/// it detaches. A segment that no other process is attached to, and that is not persisted, is
/// removed with the operator; a forked child that keeps the name, and has not called yet, counts as
/// attached.
///
/// ```
/// # let name = format!("doc-operator-{}", std::process::id());
/// let queue = shmq::Queue::<u64>::create(&name, 10)?;
/// queue.put_slice(&[1, 2, 3])?;
/// let operator = shmq::inspect::Operator::open(&name)?;
/// assert_eq!(operator.drain(2)?, 2);
/// operator.close();
/// assert_eq!(queue.iter().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Operator {
    raw: Arc<RawQueue>,
}

impl Operator {
    /// Attaches to the queue, or the topic, of that name.
    ///
    /// # Errors
    /// [`OpenError`]; a mismatch only if it is neither. [`ForeignOwner`](OpenError::ForeignOwner)
    /// if it is neither this user's nor root's.
    pub fn open(name: impl AsRef<str>) -> Result<Operator, OpenError> {
        Operator::open_of(name, &Owners::default())
    }

    /// Attaches to the queue of that name, if it is of one of these owners.
    ///
    /// # Errors
    /// As [`open`](Operator::open).
    pub fn open_of(name: impl AsRef<str>, owners: &Owners) -> Result<Operator, OpenError> {
        let view = View::open(name.as_ref())?;
        let (info, geometry) = (view.info(), view.geometry());
        if !info.kind.has_ring() {
            let theirs = format!("a primitive of shmq::sync ({})", info.kind.in_words());
            let what = Subject::of(Some(info.kind.subject()), name.as_ref());
            return Err(OpenError::Mismatch { what, ours: "a queue or a topic".to_owned(), theirs });
        }
        let expect = Expect {
            schema: info.schema.clone(),
            owners: owners.clone(),
            ..Expect::new(info.kind, geometry.message_bytes, geometry.message_align, info.type_name.clone())
        };
        Ok(Operator { raw: RawQueue::open(name.as_ref(), &expect, WaitStrategy::Block, None)? })
    }

    /// As [`Queue::close`](crate::Queue::close): no process can put any more.
    pub fn close(&self) {
        self.raw.close();
    }

    /// As [`Queue::recover`](crate::Queue::recover): frees what dead processes hold, now.
    pub fn recover(&self) -> RecoveryReport {
        self.raw.recover()
    }

    /// As [`Queue::persist`](crate::Queue::persist): the segment outlives its last user.
    pub fn persist(&self) {
        self.raw.segment().persist();
    }

    /// For the command: as [`Queue::be_guest`](crate::Queue::be_guest).
    #[doc(hidden)]
    pub fn be_guest(&self, leaves_name: bool) {
        self.raw.be_guest(leaves_name);
    }

    /// The subscribers of a topic, as [`Topic::subscribers`](crate::Topic::subscribers); none of a
    /// queue.
    ///
    /// ```
    /// # let name = format!("doc-operator-subscribers-{}", std::process::id());
    /// let topic = shmq::Topic::<u64>::create(&name, 10)?;
    /// let subscriber = topic.subscribe()?;
    /// let operator = shmq::inspect::Operator::open(&name)?;
    /// assert_eq!(operator.subscribers()[0].id, subscriber.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        if self.raw.is_topic() { self.raw.subscribers() } else { Vec::new() }
    }

    /// Evicts a gating subscriber of a topic, as [`Topic::evict`](crate::Topic::evict). `false`:
    /// there is no gating subscriber of that id.
    ///
    /// # Errors
    /// If a forked child cannot attach.
    ///
    /// ```
    /// # let name = format!("doc-operator-evict-{}", std::process::id());
    /// let topic = shmq::Topic::<u64>::create(&name, 10)?;
    /// let subscriber = topic.subscribe()?;
    /// let operator = shmq::inspect::Operator::open(&name)?;
    /// assert!(operator.evict(subscriber.id())?);
    /// assert!(matches!(subscriber.next(), Err(shmq::GetError::Evicted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict(&self, subscriber: SubscriberId) -> Result<bool, PutError> {
        if self.raw.is_topic() { self.raw.evict(subscriber) } else { Ok(false) }
    }

    /// Takes up to `max` messages and discards them, without waiting for any; returns how many. It
    /// waits only for processes in the middle of a get, for a second at most. A topic has nothing
    /// to take, since each of its subscribers reads for itself: 0.
    ///
    /// # Errors
    /// [`GetError`] if none could be taken for another reason than an empty or closed queue.
    pub fn drain(&self, max: u64) -> Result<u64, GetError> {
        let mut drained = 0;
        if self.raw.is_topic() {
            return Ok(0);
        }
        let mut progress = Instant::now();
        while drained < max {
            match self.raw.lease_whatever(Wait::Never) {
                Ok(record) => {
                    self.raw.release(record)?;
                    progress = Instant::now();
                }
                Err(GetError::Empty | GetError::Closed) => break,
                Err(GetError::Busy) if progress.elapsed() < OTHERS_AT_WORK => {
                    thread::yield_now();
                    continue;
                }
                Err(error) if drained == 0 => return Err(error),
                Err(_) => break,
            }
            drained += 1;
        }
        Ok(drained)
    }
}

/// Removes the segment of that name if no process is attached to it and it is not persisted. A
/// forked child that keeps the name, and has not called yet, counts as attached.
///
/// With `even_persisted`, a persisted one is removed too. No process can attach between the check
/// and the removal.
///
/// # Errors
/// [`OpenError::NotFound`]; [`OpenError::ForeignOwner`] and [`OpenError::PermissionDenied`] for
/// another user's.
pub fn remove_stale(name: impl AsRef<str>, even_persisted: bool) -> Result<Removal, OpenError> {
    remove_stale_of(name, even_persisted, &Owners::default())
}

/// As [`remove_stale`], if the segment is of one of these owners.
///
/// # Errors
/// As [`remove_stale`].
pub fn remove_stale_of(name: impl AsRef<str>, even_persisted: bool, owners: &Owners) -> Result<Removal, OpenError> {
    segment::remove_stale(name.as_ref(), even_persisted, owners)
}

/// Removes a name, as [`Queue::unlink`](crate::Queue::unlink), if it leads to a segment of one of
/// these owners.
///
/// # Errors
/// [`OpenError::NotFound`]; [`OpenError::ForeignOwner`] and [`OpenError::PermissionDenied`] for
/// another user's.
///
/// ```
/// # let name = format!("doc-unlink-of-{}", std::process::id());
/// use shmq::inspect::{self, Owners};
///
/// let _queue = shmq::Queue::<u32>::create(&name, 10)?;
/// inspect::unlink_of(&name, &Owners::default().allow_any_owner())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unlink_of(name: impl AsRef<str>, owners: &Owners) -> Result<(), OpenError> {
    Segment::unlink_of(name.as_ref(), &Directory::default(), owners)
}
