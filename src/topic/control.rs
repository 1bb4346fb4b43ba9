//! What a topic says about itself, and what ends it: seeing subscribers, evicting, closing,
//! recovering.

use super::Topic;
use crate::error::{PutError, SubscriberId, WaitSubscribersError};
use crate::message::{Message, Plain};
use crate::os::Deadline;
use crate::raw::{RecoveryReport, SubscriberInfo, TopicStats};
use crate::shm::segment::UnappliedOption;
use crate::wait::Wait;
use std::time::{Duration, Instant};

impl<T: ?Sized + Message> Topic<T> {
    /// The bound in messages: exactly so many can be published ahead of a gating subscriber.
    /// `usize::MAX` for slices, which are bounded in bytes.
    ///
    /// ```
    /// assert_eq!(shmq::Topic::<u64>::new(100)?.capacity(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        usize::try_from(self.raw.geometry().capacity).unwrap_or(usize::MAX)
    }

    /// The name by which other processes open it.
    ///
    /// ```
    /// # let name = format!("doc-topic-name-{}", std::process::id());
    /// assert_eq!(shmq::Topic::<u64>::create(&name, 4)?.name(), name);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.raw.segment().name()
    }

    /// Does its name still lead to it?
    ///
    /// ```
    /// assert!(shmq::Topic::<u64>::new(4)?.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.raw.segment().has_name()
    }

    /// Keeps the segment when its last participant leaves. Subscribers do not survive their
    /// process; a new one may begin with what is left ([`Start::Oldest`](crate::Start::Oldest)).
    ///
    /// ```
    /// # let name = format!("doc-topic-persist-{}", std::process::id());
    /// use shmq::{Start, Topic};
    ///
    /// let topic = Topic::<u64>::create(&name, 8)?;
    /// topic.persist();
    /// topic.publish(&7)?;
    /// drop(topic);
    /// assert_eq!(Topic::<u64>::open(&name)?.subscribe_from(Start::Oldest)?.next()?, 7);
    /// Topic::<u64>::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.raw.segment().persist();
    }

    /// Options of the builder that the existing segment does not have.
    ///
    /// ```
    /// # let name = format!("doc-topic-unapplied-{}", std::process::id());
    /// let topic = shmq::Topic::<u64>::create(&name, 8)?;
    /// let second = shmq::Topic::<u64>::open_or_create(&name, 9)?;
    /// assert_eq!(second.unapplied_options()[0].option, "capacity");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.raw.segment().unapplied()
    }

    /// All subscribers, of all processes.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let _one = topic.subscribe()?;
    /// for subscriber in topic.subscribers() {
    ///     println!("{} of process {} lags {}", subscriber.id, subscriber.pid, subscriber.lag);
    /// }
    /// # assert_eq!(topic.subscribers().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.raw.subscribers()
    }

    /// Evicts a gating subscriber: publishers wait for it no more, and it goes on as a lossy one
    /// once it has learned of it ([`GetError::Evicted`](crate::GetError::Evicted)). While it reads
    /// in place, it takes effect when that [`Sample`](crate::Sample) is dropped. `false`: there is
    /// no gating subscriber of that id (any more).
    ///
    /// # Errors
    /// If a forked child cannot attach.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(1)?;
    /// let slow = topic.subscribe()?;
    /// topic.publish(&1)?;
    /// if let Err(shmq::PutError::Gated { subscriber, .. }) = topic.try_publish(&2) {
    ///     topic.evict(subscriber)?;
    /// }
    /// topic.publish(&2)?;
    /// assert!(matches!(slow.next(), Err(shmq::GetError::Evicted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict(&self, id: SubscriberId) -> Result<bool, PutError> {
        self.raw.evict(id)
    }

    /// Waits until there are `n` live gating subscribers, so that nothing is lost at start-up.
    ///
    /// # Errors
    /// [`WaitSubscribersError::Timeout`] says how many there were.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let _one = topic.subscribe()?;
    /// topic.wait_subscribers(1, std::time::Duration::from_secs(10))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribers(&self, n: usize, timeout: Duration) -> Result<(), WaitSubscribersError> {
        self.raw.wait_subscribers(n, Wait::Until(Deadline::after(timeout)))
    }

    /// Like [`wait_subscribers`](Self::wait_subscribers), until `deadline`.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// assert!(topic.wait_subscribers_deadline(1, std::time::Instant::now()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribers_deadline(&self, n: usize, deadline: Instant) -> Result<(), WaitSubscribersError> {
        self.raw.wait_subscribers(n, Wait::Until(Deadline::at(deadline)))
    }

    /// Closes the topic for good: nothing is published any more. Subscribers read what there is,
    /// and then see `Closed`.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&1)?;
    /// topic.close();
    /// assert!(topic.publish(&2).unwrap_err().is_closed());
    /// assert_eq!(subscriber.next()?, 1);
    /// assert!(subscriber.next().unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.raw.close();
    }

    /// Was it closed?
    ///
    /// ```
    /// assert!(!shmq::Topic::<u64>::new(8)?.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Recovers from all deaths now: the put side, the loans and the subscribers of dead processes.
    /// Calls that wait do the same by themselves, once in 0.1 s.
    ///
    /// ```
    /// let report = shmq::Topic::<u64>::new(4)?.recover();
    /// assert_eq!((report.dead_participants, report.subscribers, report.aborted), (0, 0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.raw.recover()
    }

    /// Counters since its creation.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// topic.publish_slice(&[1, 2])?;
    /// assert_eq!(topic.stats().published, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> TopicStats {
        self.raw.topic_stats()
    }
}

impl<X: Plain> Topic<[X]> {
    /// Elements of the largest message: half of the ring.
    ///
    /// ```
    /// let topic = shmq::Topic::<[u16]>::builder().capacity_bytes(4096).create()?;
    /// let too_long = vec![0; topic.max_len() + 1];
    /// assert!(matches!(topic.publish(&too_long), Err(shmq::PutError::TooLarge { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> usize {
        self.raw.geometry().max_message_bytes() as usize / size_of::<X>()
    }

    /// Bytes of the ring.
    ///
    /// ```
    /// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// assert_eq!(topic.capacity_bytes(), 4096);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(&self) -> usize {
        self.raw.geometry().ring_bytes() as usize
    }
}
