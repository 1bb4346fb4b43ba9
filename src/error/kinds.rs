//! Questions that a caller asks of an error before anything else: is it full, empty, late, closed?

use super::{GetError, JoinError, PutError};

impl PutError {
    /// Is it [`Full`](PutError::Full)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// assert!(queue.try_put(&2).unwrap_err().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full)
    }

    /// Is it [`Timeout`](PutError::Timeout)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// assert!(queue.put_timeout(&2, std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, PutError::Timeout)
    }

    /// Is it [`Closed`](PutError::Closed)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.close();
    /// assert!(queue.put(&1).unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, PutError::Closed)
    }
}

impl GetError {
    /// Is it [`Empty`](GetError::Empty)?
    ///
    /// ```
    /// assert!(shmq::Queue::<u64>::new(1)?.try_get().unwrap_err().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, GetError::Empty)
    }

    /// Is it [`Timeout`](GetError::Timeout)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// assert!(queue.get_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, GetError::Timeout)
    }

    /// Is it [`Closed`](GetError::Closed): closed and drained?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.close();
    /// assert!(queue.get().unwrap_err().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, GetError::Closed)
    }

    /// Is it about one message, which was taken out? Then the next get may be `Ok`. Every other error of
    /// a get that waits would be given again at once: for as long as a `Consumer` lives, or for ever.
    pub(crate) fn is_of_one_message(&self) -> bool {
        matches!(self, GetError::Invalid | GetError::Decode { .. })
    }
}

impl JoinError {
    /// Is it [`Timeout`](JoinError::Timeout)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// assert!(queue.join_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, JoinError::Timeout { .. })
    }
}
