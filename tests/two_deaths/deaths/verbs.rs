//! The verbs of a process, which dies or stops in one of them.

use super::kinds::Kind;
use super::ledger::{Ledger, Step, VALUES};
use shmq::{Consumer, GetError, JoinError, Lease, Message, Producer, PutError, Queue};
use std::time::Duration;

/// The timeout of a call that waits.
const SHORT: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Put,
    PutAll,
    PutWaiting,
    LoanCommitted,
    LoanDropped,
    LoanKept,
    Producer,
    ProducerAll,
    ProducerKept,
    ProducerLoan,
    Get,
    GetAll,
    GetWaiting,
    GetDone,
    LeaseReleased,
    LeaseGivenBack,
    LeaseKept,
    LeaseViewed,
    ViewKept,
    TwoLeases,
    Consumer,
    ConsumerAll,
    ConsumerKept,
    ConsumerLease,
    ConsumerLeaseKept,
    Recover,
    Close,
    CloseAndGet,
    Join,
}

pub const VERBS: [Verb; 29] = {
    use Verb::*;
    [
        Put,
        PutAll,
        PutWaiting,
        LoanCommitted,
        LoanDropped,
        LoanKept,
        Producer,
        ProducerAll,
        ProducerKept,
        ProducerLoan,
        Get,
        GetAll,
        GetWaiting,
        GetDone,
        LeaseReleased,
        LeaseGivenBack,
        LeaseKept,
        LeaseViewed,
        ViewKept,
        TwoLeases,
        Consumer,
        ConsumerAll,
        ConsumerKept,
        ConsumerLease,
        ConsumerLeaseKept,
        Recover,
        Close,
        CloseAndGet,
        Join,
    ]
};

/// A process at work, which writes everything that it does into the ledger.
pub struct Worker<'a, K: Kind> {
    pub queue: &'a Queue<K::T>,
    pub ledger: Ledger,
    pub role: u64,
    /// No other process is alive inside a call: nothing may be contended.
    pub alone: bool,
    pub next_value: u64,
}

impl<'a, K: Kind> Worker<'a, K> {
    pub fn new(queue: &'a Queue<K::T>, ledger: Ledger, role: u64, alone: bool) -> Worker<'a, K> {
        Worker { queue, ledger, role, alone, next_value: role * VALUES }
    }

    fn write(&self, step: Step, value: u64) {
        self.ledger.write(self.role, step, value);
    }

    pub fn run(&mut self, verb: Verb) {
        let queue = self.queue;
        match verb {
            Verb::Put => self.put(|value| queue.try_put(&K::encode(value))),
            Verb::PutWaiting => self.put(|value| queue.put_timeout(&K::encode(value), SHORT)),
            Verb::PutAll => self.put_all(|values| K::put_all(queue, values)),
            Verb::LoanCommitted => self.put(|value| K::commit(K::try_loan(queue, value)?, value)),
            Verb::LoanDropped => self.lend(K::try_loan(queue, 0).map(drop)),
            Verb::LoanKept => self.lend(K::try_loan(queue, 0).map(std::mem::forget)),
            Verb::Producer | Verb::ProducerAll | Verb::ProducerKept | Verb::ProducerLoan => match queue.producer() {
                Ok(producer) => self.produce(producer, verb),
                Err(error) => self.expect_put_error(&error),
            },
            Verb::Get => self.get(1, || one::<K>(queue.try_get())),
            Verb::GetWaiting => self.get(1, || one::<K>(queue.get_timeout(SHORT))),
            Verb::GetAll => self.get(2, || K::get_all(queue)),
            Verb::GetDone => {
                if self.got(1, || one::<K>(queue.try_get())) != 0 {
                    queue.task_done().expect("a message that was taken can be done");
                }
            }
            Verb::LeaseReleased | Verb::LeaseGivenBack | Verb::LeaseKept | Verb::LeaseViewed | Verb::ViewKept => {
                let lease = self.lease(|| queue.try_lease());
                self.end_lease(lease, verb);
            }
            Verb::TwoLeases => {
                let leases = [self.lease(|| queue.try_lease()), self.lease(|| queue.try_lease())];
                for lease in leases.into_iter().rev() {
                    self.end_lease(lease, Verb::LeaseReleased);
                }
            }
            Verb::Consumer | Verb::ConsumerAll | Verb::ConsumerKept | Verb::ConsumerLease | Verb::ConsumerLeaseKept => {
                match queue.consumer() {
                    Ok(consumer) => self.consume(consumer, verb),
                    Err(error) => self.expect_get_error(&error),
                }
            }
            Verb::Recover => {
                let report = queue.recover();
                assert!(!self.alone || report.sides_repaired == 2, "{report:?}, and no process is in the way");
            }
            Verb::Close => queue.close(),
            Verb::CloseAndGet => {
                queue.close();
                while self.got(1, || one::<K>(queue.try_get())) != 0 {}
            }
            Verb::Join => self.join(SHORT),
        }
    }

    fn produce(&mut self, producer: Producer<K::T>, verb: Verb) {
        match verb {
            Verb::ProducerAll => self.put_all(|values| K::put_all_by(&producer, values)),
            Verb::ProducerLoan => {
                self.put(|value| K::commit(K::try_loan_of(&producer, value)?, value));
                self.lend(K::try_loan_of(&producer, 0).map(drop));
            }
            _ => (0..2).for_each(|_| self.put(|value| producer.try_put(&K::encode(value)))),
        }
        if verb == Verb::ProducerKept {
            std::mem::forget(producer);
        }
    }

    fn consume(&mut self, consumer: Consumer<K::T>, verb: Verb) {
        match verb {
            Verb::ConsumerAll => self.get(2, || K::get_all_by(&consumer)),
            Verb::ConsumerLease | Verb::ConsumerLeaseKept => {
                let [first, second] = match verb {
                    Verb::ConsumerLease => [Verb::LeaseReleased, Verb::LeaseGivenBack],
                    _ => [Verb::LeaseKept, Verb::LeaseReleased],
                };
                for end in [first, second] {
                    let lease = self.lease(|| consumer.try_lease());
                    self.end_lease(lease, end);
                }
            }
            _ => (0..2).for_each(|_| self.get(1, || one::<K>(consumer.try_get()))),
        }
        if matches!(verb, Verb::ConsumerKept | Verb::ConsumerLeaseKept) {
            std::mem::forget(consumer);
        }
    }

    pub fn put(&mut self, put: impl FnOnce(u64) -> Result<(), PutError>) {
        self.put_all_of(1, |values| put(values[0]).map(|()| 1));
    }

    fn put_all(&mut self, put: impl FnOnce(&[u64]) -> Result<usize, PutError>) {
        self.put_all_of(2, put);
    }

    fn put_all_of(&mut self, count: u64, put: impl FnOnce(&[u64]) -> Result<usize, PutError>) {
        let values: Vec<u64> = (self.next_value..self.next_value + count).collect();
        self.next_value += count;
        values.iter().for_each(|&value| self.write(Step::Puts, value));
        let moved = put(&values).unwrap_or_else(|error| {
            self.expect_put_error(&error);
            0
        });
        for (number, &value) in values.iter().enumerate() {
            self.write(if number < moved { Step::Put } else { Step::NotPut }, value);
        }
    }

    /// A loan that is not committed leaves nothing to write.
    fn lend(&self, lent: Result<(), PutError>) {
        if let Err(error) = lent {
            self.expect_put_error(&error);
        }
    }

    pub fn get(&mut self, most: u64, get: impl FnOnce() -> Result<Vec<u64>, GetError>) {
        self.got(most, get);
    }

    /// Records how many messages it got.
    pub fn got(&mut self, most: u64, get: impl FnOnce() -> Result<Vec<u64>, GetError>) -> usize {
        self.write(Step::Copies, most);
        let got = get();
        let values = got.as_ref().map_or(&[][..], |values| values);
        values.iter().for_each(|&value| self.write(Step::Copied, value));
        self.write(Step::CopyEnded, 0);
        let count = values.len();
        if let Err(error) = got {
            self.expect_get_error(&error);
        }
        count
    }

    pub fn lease<'l>(&self, lease: impl FnOnce() -> Result<Lease<'l, K::T>, GetError>) -> Option<Lease<'l, K::T>> {
        self.write(Step::Leases, 0);
        match lease() {
            Ok(lease) => {
                self.write(Step::Leased, K::decode(&lease));
                Some(lease)
            }
            Err(error) => {
                self.write(Step::NotLeased, 0);
                self.expect_get_error(&error);
                None
            }
        }
    }

    pub fn end_lease(&self, lease: Option<Lease<'_, K::T>>, how: Verb) {
        let Some(lease) = lease else { return };
        let value = K::decode(&lease);
        match how {
            Verb::LeaseReleased => {
                self.write(Step::Releases, value);
                lease.release();
                self.write(Step::Released, value);
            }
            Verb::LeaseGivenBack => {
                lease.give_back();
                self.write(Step::GaveBack, value);
            }
            Verb::LeaseViewed | Verb::ViewKept => {
                self.write(Step::Releases, value);
                let view = lease.into_view().expect("a lease of this process");
                self.write(Step::Released, value);
                assert_eq!(K::decode(&view), value, "what a view shows");
                if how == Verb::ViewKept {
                    std::mem::forget(view);
                }
            }
            _ => std::mem::forget(lease),
        }
    }

    pub fn join(&self, timeout: Duration) {
        self.write(Step::Joins, 0);
        match self.queue.join_timeout(timeout) {
            Ok(()) => self.write(Step::Joined, 0),
            Err(JoinError::Timeout { .. }) => {}
            Err(error) => panic!("join: {error:?}"),
        }
    }

    fn expect_put_error(&self, error: &PutError) {
        match error {
            PutError::Full | PutError::Closed | PutError::Timeout => {}
            PutError::Busy | PutError::Held { .. } if !self.alone => {}
            error => panic!("put: {error:?}"),
        }
    }

    fn expect_get_error(&self, error: &GetError) {
        match error {
            GetError::Closed => self.write(Step::SawClosed, 0),
            GetError::Empty | GetError::Timeout => {}
            GetError::Busy | GetError::Held { .. } if !self.alone => {}
            error => panic!("get: {error:?}"),
        }
    }
}

fn one<K: Kind>(got: Result<<K::T as Message>::Owned, GetError>) -> Result<Vec<u64>, GetError> {
    got.map(|message| vec![K::decode_owned(&message)])
}
