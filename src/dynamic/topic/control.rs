//! What such a topic says about itself, and what ends it: seeing subscribers, evicting, closing,
//! recovering.

use super::DynTopic;
use crate::error::{PutError, SubscriberId, WaitSubscribersError};
use crate::raw::{RecoveryReport, SubscriberInfo, TopicStats};
use crate::shm::segment::UnappliedOption;
use std::time::{Duration, Instant};

impl DynTopic {
    /// Bound in messages; `usize::MAX` where it is bounded in bytes.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert_eq!(topic.capacity(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes of the largest message.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert_eq!(topic.max_len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> usize {
        self.bytes.max_len()
    }

    /// The name by which other processes open it. An anonymous topic has one too.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert!(shmq::DynTopic::open(topic.name()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Does its name still lead to it?
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert!(topic.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.bytes.has_name()
    }

    /// Keeps the segment when its last participant leaves. As
    /// [`Topic::persist`](crate::Topic::persist).
    ///
    /// ```
    /// # let name = format!("doc-dyntopic-{}-{}", std::process::id(), line!());
    /// let topic = shmq::DynTopic::create(&name, shmq::MessageLayout::of::<u64>(), 8)?;
    /// topic.persist();
    /// drop(topic);
    /// shmq::DynTopic::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.bytes.persist();
    }

    /// Options that the opener asked for and that an existing topic does not have.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let same = shmq::DynTopic::builder(None).name(topic.name()).history(3).open()?;
    /// assert_eq!(same.unapplied_options()[0].option, "history");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.bytes.unapplied_options()
    }

    /// All subscribers, of all processes. As [`Topic::subscribers`](crate::Topic::subscribers).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// assert_eq!(topic.subscribers().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.bytes.subscribers()
    }

    /// Makes a subscriber one that no publisher waits for. As
    /// [`Topic::evict`](crate::Topic::evict).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// assert!(topic.evict(every.id())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict(&self, id: SubscriberId) -> Result<bool, PutError> {
        self.bytes.evict(id)
    }

    /// Waits until there are `n` gating subscribers. As
    /// [`Topic::wait_subscribers`](crate::Topic::wait_subscribers).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.wait_subscribers(1, std::time::Duration::from_secs(1))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribers(&self, n: usize, timeout: Duration) -> Result<(), WaitSubscribersError> {
        self.bytes.wait_subscribers(n, timeout)
    }

    /// The same, until `deadline`.
    ///
    /// # Errors
    /// As [`wait_subscribers`](Self::wait_subscribers).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// topic.wait_subscribers_deadline(0, std::time::Instant::now())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribers_deadline(&self, n: usize, deadline: Instant) -> Result<(), WaitSubscribersError> {
        self.bytes.wait_subscribers_deadline(n, deadline)
    }

    /// Ends the stream for all subscribers, which read what is left first. As
    /// [`Topic::close`](crate::Topic::close).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.close();
    /// assert!(every.next().unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Was it closed, by any process?
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert!(!topic.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Recovers now what dead processes left. As [`Topic::recover`](crate::Topic::recover).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert_eq!(topic.recover().subscribers, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }

    /// Counters of the topic since it was created. As [`Topic::stats`](crate::Topic::stats).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(topic.stats().published, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> TopicStats {
        self.bytes.stats()
    }
}
