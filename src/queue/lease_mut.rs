//! Leasing with the right to write.

use super::forms::verbs;
use super::{Consumer, Queue};
use crate::error::GetError;
use crate::message::{Message, Plain, Travel};
use crate::queue::guard::{Lease, LeaseMut};

impl<T: ?Sized + Message> Queue<T> {
    verbs! {
        /// Leases one message with the right to change it in place; waits while the queue is empty. See [`LeaseMut`](crate::LeaseMut) for
        /// what becomes of the changes if the process dies.
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
            let record = T::lease(&self.raw, wait)?;
            let message = T::pointer(record.payload, record.length);
            Ok(LeaseMut::new(Lease::borrowed(&self.raw, record, message)))
        }
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    verbs! {
        /// As [`Queue::lease_mut`](crate::Queue::lease_mut).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, T>, GetError> [where T: Plain] {
            let record = T::lease_held(&self.raw, &self.tenure, wait)?;
            let message = T::pointer(record.payload, record.length);
            Ok(LeaseMut::new(Lease::borrowed(&self.raw, record, message)))
        }
    }
}
