//! The usual questions about an error: is it full, empty, late, closed?

use super::{GetError, JoinError, OpenError, PutError};

/// Writes predicates of an error, each true of one variant.
macro_rules! predicates {
    ($error:ident { $($(#[$doc:meta])* $name:ident: $variant:pat,)* }) => {
        impl $error {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> bool {
                    matches!(self, $variant)
                }
            )*
        }
    };
}

predicates! {
    PutError {
        /// Is it [`Full`](PutError::Full), or one of the errors that say why a topic is full?
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// assert!(queue.try_put(&2).unwrap_err().is_full());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_full: PutError::Full | PutError::Gated { timed_out: false, .. } | PutError::BehindLoan { timed_out: false, .. },

        /// Is it [`Timeout`](PutError::Timeout)?
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// assert!(queue.put_timeout(&2, std::time::Duration::ZERO).unwrap_err().is_timeout());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_timeout: PutError::Timeout | PutError::Gated { timed_out: true, .. } | PutError::BehindLoan { timed_out: true, .. },

        /// Is it [`Interrupted`](PutError::Interrupted): was the handle's [`Stop`](crate::Stop)
        /// set?
        ///
        /// ```
        /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
        /// queue.put(&1)?;
        /// stop.set();
        /// assert!(queue.with_stop(&stop).put(&2).unwrap_err().is_interrupted());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_interrupted: PutError::Interrupted,

        /// Is it [`Closed`](PutError::Closed)?
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.close();
        /// assert!(queue.put(&1).unwrap_err().is_closed());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_closed: PutError::Closed,
    }
}

predicates! {
    GetError {
        /// Is it [`Empty`](GetError::Empty)?
        ///
        /// ```
        /// assert!(shmq::Queue::<u64>::new(1)?.try_get().unwrap_err().is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_empty: GetError::Empty,

        /// Is it [`Timeout`](GetError::Timeout)?
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// assert!(queue.get_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_timeout: GetError::Timeout,

        /// Is it [`Interrupted`](GetError::Interrupted): was the handle's [`Stop`](crate::Stop)
        /// set?
        ///
        /// ```
        /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
        /// stop.set();
        /// assert!(queue.with_stop(&stop).get().unwrap_err().is_interrupted());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_interrupted: GetError::Interrupted,

        /// Is it [`Closed`](GetError::Closed): closed and drained?
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.close();
        /// assert!(queue.get().unwrap_err().is_closed());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_closed: GetError::Closed,

        /// Is it [`Lagged`](GetError::Lagged)?
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(1)?;
        /// let live = topic.subscribe_lossy()?;
        /// topic.publish_slice(&[1, 2, 3, 4, 5])?;
        /// assert!(live.next().unwrap_err().is_lagged());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_lagged: GetError::Lagged { .. },
    }
}

predicates! {
    OpenError {
        /// Is it [`NotFound`](OpenError::NotFound)?
        ///
        /// ```
        /// # let name = format!("doc-is-not-found-{}", std::process::id());
        /// assert!(shmq::Queue::<u64>::open(&name).unwrap_err().is_not_found());
        /// ```
        is_not_found: OpenError::NotFound { .. },

        /// Is it [`Timeout`](OpenError::Timeout)?
        ///
        /// ```
        /// # let name = format!("doc-open-is-timeout-{}", std::process::id());
        /// let late = shmq::Queue::<u64>::open_timeout(&name, std::time::Duration::ZERO);
        /// assert!(late.unwrap_err().is_timeout());
        /// ```
        is_timeout: OpenError::Timeout { .. },
    }
}

predicates! {
    JoinError {
        /// Is it [`Timeout`](JoinError::Timeout)?
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// assert!(queue.join_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_timeout: JoinError::Timeout { .. },

        /// Is it [`Interrupted`](JoinError::Interrupted): was the handle's [`Stop`](crate::Stop)
        /// set?
        ///
        /// ```
        /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
        /// queue.put(&1)?;
        /// stop.set();
        /// assert!(queue.with_stop(&stop).join().unwrap_err().is_interrupted());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        is_interrupted: JoinError::Interrupted,
    }
}

impl GetError {
    /// Is it about one message, which was taken out? Then the next get may be `Ok`. Any other error
    /// of a get that waits would be returned again at once: while a `Consumer` lives, or for ever.
    pub(crate) fn is_of_one_message(&self) -> bool {
        matches!(self, GetError::Invalid | GetError::Decode { .. } | GetError::Lagged { .. } | GetError::Evicted)
    }
}
