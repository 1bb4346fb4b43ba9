//! The thread that leases messages: waits of the crate block a thread, and the loop must not.

use crate::failure::Failure;
use shmq::{AckLease, DynConsumer, GetError, Stop};
use std::io;
use std::thread::{self, JoinHandle};
use tokio::sync::mpsc;

/// A message of the queue, which comes back unless it is acknowledged.
pub(super) type Lease = AckLease<'static, [u8]>;

/// Leases that are sent together.
const BATCH: usize = 64;
/// Batches that wait for the loop.
const BATCHES: usize = 2;

/// What the thread found.
pub(super) enum Leased {
    Messages(Vec<Lease>),
    /// The queue was closed, and has no more messages.
    Closed,
    Failed(GetError),
}

/// The thread, which ends when this is dropped.
pub(super) struct Leases {
    leased: Option<mpsc::Receiver<Leased>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Leases {
    pub(super) fn of(consumer: DynConsumer) -> Result<Leases, Failure> {
        let (sender, leased) = mpsc::channel(BATCHES);
        let stop = Stop::new();
        let consumer = consumer.with_stop(&stop);
        let os = |source: io::Error| Failure::Os { what: "start a thread".into(), source };
        let thread = thread::Builder::new().name("leases".into()).spawn(move || lease(&consumer, &sender)).map_err(os)?;
        Ok(Leases { leased: Some(leased), stop, thread: Some(thread) })
    }

    /// The next ones. `None`: the thread has ended.
    pub(super) async fn next(&mut self) -> Option<Leased> {
        self.leased.as_mut()?.recv().await
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.stop.set();
        // What waits in the channel is given back with it, and the thread's send fails.
        self.leased = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lease(consumer: &DynConsumer, sender: &mpsc::Sender<Leased>) {
    loop {
        let first = match consumer.lease_ack_owned() {
            Ok(lease) => lease,
            Err(GetError::Interrupted) => return,
            Err(GetError::Closed) => {
                let _ = sender.blocking_send(Leased::Closed);
                return;
            }
            Err(error) => {
                let _ = sender.blocking_send(Leased::Failed(error));
                return;
            }
        };
        let mut messages = vec![first];
        // An error comes again to the call that waits.
        while let Some(lease) = (messages.len() < BATCH).then(|| consumer.try_lease_ack_owned().ok()).flatten() {
            messages.push(lease);
        }
        if sender.blocking_send(Leased::Messages(messages)).is_err() {
            return;
        }
    }
}
