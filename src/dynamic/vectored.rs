//! Messages of several pieces of memory, which are put as one: a head that was made here, and a
//! payload that lies elsewhere, say. No buffer joins them first.

use super::topic::{DynPublisher, DynTopic};
use super::{DynProducer, DynQueue, DynSender};
use crate::attachment::Attached;
use crate::error::PutError;
use crate::raw::{ToAll, ToOne};
use crate::wait::blocking_forms;
use std::io::IoSlice;

impl DynQueue {
    blocking_forms! {
        /// Puts one message by copy, whose bytes are those of `pieces`, one behind the other; waits
        /// until there is room. Otherwise as [`put`](Self::put): getters see a message like any
        /// other, and if this process dies in the call it was put whole, or not at all.
        ///
        /// # Errors
        /// As [`put`](Self::put), for the length of all pieces together.
        ///
        /// ```
        /// use std::io::IoSlice;
        ///
        /// let queue = shmq::DynQueue::builder(shmq::MessageLayout::encoded()).capacity_bytes(1 << 16).create()?;
        /// let pixels = vec![7; 10_000];
        /// queue.put_vectored(&[IoSlice::new(b"frame 1\n"), IoSlice::new(&pixels)])?;
        /// let frame = queue.get()?;
        /// assert_eq!((&frame[..8], &frame[8..]), (&b"frame 1\n"[..], &pixels[..]));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_vectored, try_put_vectored, put_vectored_timeout, put_vectored_deadline, none: "Full",
        |self, wait, pieces: &[IoSlice<'_>]| -> Result<(), PutError> {
            let raw = self.raw();
            raw.put_pieces::<ToOne>(raw.me_in_both_roles()?, pieces, wait)
        }
    }
}

impl DynProducer {
    blocking_forms! {
        /// As [`DynQueue::put_vectored`](crate::DynQueue::put_vectored).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// use std::io::IoSlice;
        ///
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::encoded(), 4)?;
        /// queue.producer()?.put_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")])?;
        /// assert_eq!(queue.get()?, b"onetwo");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_vectored, try_put_vectored, put_vectored_timeout, put_vectored_deadline, none: "Full",
        |self, wait, pieces: &[IoSlice<'_>]| -> Result<(), PutError> {
            let (raw, owner) = self.bytes().parts();
            raw.put_pieces_owned::<ToOne>(owner, pieces, wait)
        }
    }
}

impl DynSender {
    blocking_forms! {
        /// As [`DynQueue::put_vectored`](crate::DynQueue::put_vectored).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// use std::io::IoSlice;
        ///
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::encoded(), 4)?;
        /// queue.sender().put_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")])?;
        /// assert_eq!(queue.get()?, b"onetwo");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_vectored, try_put_vectored, put_vectored_timeout, put_vectored_deadline, none: "Full",
        |self, wait, pieces: &[IoSlice<'_>]| -> Result<(), PutError> {
            let (raw, me) = self.bytes().used()?;
            raw.put_pieces::<ToOne>(me, pieces, wait)
        }
    }
}

fn length(pieces: &[IoSlice<'_>]) -> usize {
    pieces.iter().fold(0, |length, piece| length.saturating_add(piece.len()))
}

impl DynTopic {
    blocking_forms! {
        /// Publishes one message by copy, whose bytes are those of `pieces`, one behind the other;
        /// waits until there is room. Otherwise as [`publish`](Self::publish): unlike a
        /// [`loan`](Self::loan), also beside lossy subscribers of this process.
        ///
        /// # Errors
        /// As [`publish`](Self::publish), for the length of all pieces together.
        ///
        /// ```
        /// use std::io::IoSlice;
        ///
        /// let topic = shmq::DynTopic::builder(shmq::MessageLayout::encoded()).capacity_bytes(1 << 16).create()?;
        /// let (every, live) = (topic.subscribe()?, topic.subscribe_lossy()?);
        /// let weights = vec![7; 10_000];
        /// topic.publish_vectored(&[IoSlice::new(b"step 1\n"), IoSlice::new(&weights)])?;
        /// assert_eq!(every.next()?, live.next()?);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_vectored, try_publish_vectored, publish_vectored_timeout, publish_vectored_deadline, none: "Full",
        |self, wait, pieces: &[IoSlice<'_>]| -> Result<(), PutError> {
            let raw = self.bytes().raw();
            raw.put_pieces::<ToAll>(raw.me()?, pieces, wait).map_err(|error| raw.explain(error, length(pieces)))
        }
    }
}

impl DynPublisher {
    blocking_forms! {
        /// As [`DynTopic::publish_vectored`](crate::DynTopic::publish_vectored).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// use std::io::IoSlice;
        ///
        /// let topic = shmq::DynTopic::builder(shmq::MessageLayout::encoded()).capacity_bytes(4096).create()?;
        /// let every = topic.subscribe()?;
        /// topic.publisher()?.publish_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")])?;
        /// assert_eq!(every.next()?, b"onetwo");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_vectored, try_publish_vectored, publish_vectored_timeout, publish_vectored_deadline, none: "Full",
        |self, wait, pieces: &[IoSlice<'_>]| -> Result<(), PutError> {
            let (raw, owner) = self.bytes().parts();
            raw.put_pieces_owned::<ToAll>(owner, pieces, wait).map_err(|error| raw.explain(error, length(pieces)))
        }
    }
}
