//! What can be set of a topic only.

use crate::queue::{Broadcasting, QueueBuilder};

/// Options of topics.
impl<Q: Broadcasting> QueueBuilder<Q> {
    /// A new subscriber begins up to so many messages back
    /// ([`Topic::subscribe`](crate::Topic::subscribe)); 0 if not set: with what is published from
    /// then on.
    ///
    /// Best effort: as many messages as that stay for it while no gating subscriber lags further,
    /// but an eighth of the capacity fewer than the capacity at most, and half of the ring in a
    /// topic of slices.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::builder().capacity(100).history(2).create()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!(topic.subscribe()?.next()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn history(self, messages: usize) -> Self {
        self.with(|settings| settings.history = Some(messages))
    }

    /// The number of subscribers that it has room for, 1 to 1000, 64 bytes each; 62 if not set.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::builder().capacity(8).max_subscribers(1).create()?;
    /// let _first = topic.subscribe()?;
    /// assert!(topic.subscribe().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_subscribers(self, n: usize) -> Self {
        self.with(|settings| settings.max_subscribers = Some(n))
    }

    /// Evict a gating subscriber that lags `messages` or more when a publisher finds no room, or
    /// looks how much there is: it becomes a lossy one ([`Topic::evict`](crate::Topic::evict)). 0,
    /// the default: none is evicted, and publishers wait for all.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::builder().capacity(8).max_lag_before_evict(8).create()?;
    /// let slow = topic.subscribe()?;
    /// topic.publish_slice(&[0; 100])?; // does not wait for it
    /// assert!(matches!(slow.next(), Err(shmq::GetError::Evicted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_lag_before_evict(self, messages: usize) -> Self {
        self.with(|settings| settings.max_lag = Some(messages))
    }
}
