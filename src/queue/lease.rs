//! Leasing through a [`Queue`]: to read in place, to change in place, to outlive the handle.

use super::Queue;
use super::by_form::TakeLease;
use super::guard::{Lease, LeaseMut, Leased};
use crate::error::GetError;
use crate::message::{Message, Plain, Way};
use crate::raw::BY_LOCK;
use crate::ring::SLICE_RING;
use crate::wait::Wait;
use crate::wait::blocking_forms;
use std::sync::Arc;

impl<T: ?Sized + Message> Queue<T> {
    blocking_forms! {
        /// Leases one message, to be read in place; waits while the queue is empty.
        ///
        /// If the process dies before the lease ends, the message is delivered again, before newer
        /// ones: the first lease that begins 0.2 s after the death, or later, has it, whatever else
        /// is in the queue. (Each lease reads a coarse clock for that, some 3 ns.)
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let message = queue.lease()?;
        /// assert_eq!(*message, 1);
        /// message.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLease(&self.raw, wait))?;
            Ok(Lease::over(Leased::borrowed(&self.raw, record)))
        }
    }

    blocking_forms! {
        /// Leases one message with a lease that keeps the segment attached by itself, and so may
        /// outlive this handle; otherwise as [`lease`](Self::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let message = queue.lease_owned()?;
        /// drop(queue);
        /// assert_eq!(std::thread::spawn(move || *message).join().unwrap(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLease(&self.raw, wait))?;
            Ok(Lease::over(Leased::<T, _>::shared(Arc::clone(self.raw.shared()), record)))
        }
    }

    blocking_forms! {
        /// Leases one message with the right to change it in place; waits while the queue is empty.
        /// See [`LeaseMut`](crate::LeaseMut) for what becomes of the changes if the process dies.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<[f32; 4]>::new(4)?;
        /// queue.put(&[1.0, 2.0, 3.0, 4.0])?;
        /// let mut samples = queue.lease_mut()?;
        /// samples.iter_mut().for_each(|sample| *sample *= 0.5);
        /// samples.forward(&queue).map_err(shmq::PutError::from)?;
        /// assert_eq!(queue.get()?, [0.5, 1.0, 1.5, 2.0]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLease(&self.raw, wait))?;
            Ok(LeaseMut::new(Lease::over(Leased::borrowed(&self.raw, record))))
        }
    }
}

impl Queue<[u8]> {
    pub(crate) fn lease_for(&self, wait: Wait) -> Result<Lease<'_, [u8]>, GetError> {
        let record = self.raw.lease::<BY_LOCK, SLICE_RING>(self.raw.me_in_both_roles()?, wait)?;
        Ok(Lease::over(Leased::borrowed(&self.raw, record)))
    }

    pub(crate) fn lease_owned_for(&self, wait: Wait) -> Result<Lease<'static, [u8]>, GetError> {
        let record = self.raw.lease::<BY_LOCK, SLICE_RING>(self.raw.me_in_both_roles()?, wait)?;
        Ok(Lease::over(Leased::<[u8], _>::shared(Arc::clone(self.raw.shared()), record)))
    }
}
