//! What a topic of objects says about itself, and what ends it.

use super::ObjectTopic;
use crate::error::{OpenError, PutError, SubscriberId, WaitSubscribersError};
use crate::raw::{RecoveryReport, SubscriberInfo, TopicStats};
use crate::shm::segment::UnappliedOption;
use crate::topic::Topic;
use std::time::{Duration, Instant};

impl<T, C> ObjectTopic<T, C> {
    /// Size of the ring in bytes. A message takes the bytes of its encoded value rounded up to 16,
    /// and 16 more.
    ///
    /// ```
    /// assert_eq!(shmq::ObjectTopic::<String>::new()?.capacity_bytes(), 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity_bytes()
    }

    /// Bytes of the largest encoded value: half of the ring.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::builder().capacity_bytes(4096).create()?;
    /// let too_long = "a".repeat(topic.max_len());
    /// assert!(matches!(topic.publish(&too_long), Err(shmq::PutError::TooLarge { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_len(&self) -> usize {
        self.bytes.max_len()
    }

    /// The name by which other processes open it. An anonymous topic has one too.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let same = shmq::ObjectTopic::<String>::open(topic.name())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Does its name still lead to it?
    ///
    /// ```
    /// assert!(shmq::ObjectTopic::<String>::new()?.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.bytes.has_name()
    }

    /// Removes a name. As [`Topic::unlink`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # let name = format!("doc-object-topic-unlink-{}", std::process::id());
    /// let topic = shmq::ObjectTopic::<String>::create(&name)?;
    /// shmq::ObjectTopic::<String>::unlink(&name)?;
    /// assert!(!topic.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Topic::<[u8]>::unlink(name)
    }

    /// Keeps the segment, with the messages in it, when its last participant leaves. As
    /// [`Topic::persist`].
    ///
    /// ```
    /// # let name = format!("doc-object-topic-persist-{}", std::process::id());
    /// use shmq::{ObjectTopic, Start};
    ///
    /// let topic = ObjectTopic::<String>::create(&name)?;
    /// topic.persist();
    /// topic.publish("later")?;
    /// drop(topic);
    /// assert_eq!(ObjectTopic::<String>::open(&name)?.subscribe_from(Start::Oldest)?.next()?, "later");
    /// ObjectTopic::<String>::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.bytes.persist();
    }

    /// Options of the builder that the existing segment does not have. As
    /// [`Topic::unapplied_options`].
    ///
    /// ```
    /// assert!(shmq::ObjectTopic::<String>::new()?.unapplied_options().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.bytes.unapplied_options()
    }

    /// All subscribers, of all processes.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let one = topic.subscribe()?;
    /// assert_eq!(topic.subscribers()[0].id, one.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.bytes.subscribers()
    }

    /// Evicts a gating subscriber: publishers wait for it no more. As [`Topic::evict`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let slow = topic.subscribe()?;
    /// topic.publish("one")?;
    /// assert!(topic.evict(slow.id())?);
    /// assert!(matches!(slow.next(), Err(shmq::GetError::Evicted)));
    /// assert_eq!(slow.next()?, "one"); // it is a lossy one now
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evict(&self, id: SubscriberId) -> Result<bool, PutError> {
        self.bytes.evict(id)
    }

    /// Waits until there are `n` live gating subscribers. As [`Topic::wait_subscribers`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let _one = topic.subscribe()?;
    /// topic.wait_subscribers(1, std::time::Duration::from_secs(10))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribers(&self, n: usize, timeout: Duration) -> Result<(), WaitSubscribersError> {
        self.bytes.wait_subscribers(n, timeout)
    }

    /// Like [`wait_subscribers`](Self::wait_subscribers), until `deadline`.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// assert!(topic.wait_subscribers_deadline(1, std::time::Instant::now()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_subscribers_deadline(&self, n: usize, deadline: Instant) -> Result<(), WaitSubscribersError> {
        self.bytes.wait_subscribers_deadline(n, deadline)
    }

    /// Closes the topic for good: subscribers read what there is, and then see `Closed`. As
    /// [`Topic::close`].
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// topic.close();
    /// assert!(topic.publish("more").unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Was it closed, by any process?
    ///
    /// ```
    /// assert!(!shmq::ObjectTopic::<String>::new()?.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Recovers from all deaths now. As [`Topic::recover`].
    ///
    /// ```
    /// assert_eq!(shmq::ObjectTopic::<String>::new()?.recover().subscribers, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }

    /// Counters since its creation, of all processes.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// topic.publish("one")?;
    /// assert_eq!(topic.stats().published, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> TopicStats {
        self.bytes.stats()
    }
}
