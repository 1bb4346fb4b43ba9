//! Why a wait for several things named none.

/// Why [`wait_any`](crate::wait_any()) named nothing.
///
/// ```
/// let work = shmq::Queue::<u64>::new(1)?;
/// assert_eq!(shmq::try_wait_any(&[&work]), Err(shmq::WaitError::WouldBlock));
/// assert_eq!(shmq::try_wait_any(&[]), Err(shmq::WaitError::Empty));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The deadline passed. Never reported early.
    #[error("timed out before any of them was ready")]
    Timeout,
    /// The [`Stop`](crate::Stop) of one of the handles was set before any of them was ready.
    #[error("interrupted before any of them was ready: a stop was set, or its check ended the wait")]
    Interrupted,
    /// [`try_wait_any`](crate::try_wait_any()) found none of them ready.
    #[error("none of them is ready")]
    WouldBlock,
    /// The list is empty: nothing could ever be ready.
    #[error("there is nothing to wait for: the list is empty")]
    Empty,
}

impl WaitError {
    /// Is it [`Timeout`](WaitError::Timeout)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let error = shmq::wait_any_timeout(&[&queue], std::time::Duration::ZERO).unwrap_err();
    /// assert!(error.is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, WaitError::Timeout)
    }

    /// Is it [`Interrupted`](WaitError::Interrupted)?
    ///
    /// ```
    /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
    /// stop.set();
    /// let error = shmq::wait_any(&[&queue.with_stop(&stop)], None).unwrap_err();
    /// assert!(error.is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_interrupted(&self) -> bool {
        matches!(self, WaitError::Interrupted)
    }

    /// Is it [`WouldBlock`](WaitError::WouldBlock)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// assert!(shmq::try_wait_any(&[&queue]).unwrap_err().is_would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_would_block(&self) -> bool {
        matches!(self, WaitError::WouldBlock)
    }

    /// Is it [`Empty`](WaitError::Empty): a list of nothing?
    ///
    /// ```
    /// assert!(shmq::wait_any(&[], None).unwrap_err().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, WaitError::Empty)
    }
}
