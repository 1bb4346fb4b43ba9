//! Processes that put and take until they are killed or the storm ends.

use super::ledger::Ledger;
use super::messages::{BATCH, Get, Numbered, Put, linger};
use crate::support::Rng;
use shmq::{GetError, PutError, Queue};
use std::time::Duration;

/// The state of a process of the storm.
pub struct Worker {
    pub ledger: Ledger,
    /// Where in the ledger it notes the message that it is finishing.
    pub place: usize,
    pub rng: Rng,
}

/// How long a process waits that found the side held by another.
const NAP: Duration = Duration::from_micros(200);

/// Rounds between two changes of behaviour.
const SPELL: u64 = 300;

/// Most messages of a large batch.
const LARGE_BATCH: u64 = 200;

/// Most leases that a process holds at once.
const HELD: usize = 3;

impl Worker {
    fn is_stopped(&self) -> bool {
        self.ledger.is_stopped()
    }

    fn nap(&mut self) {
        std::thread::sleep(self.rng.duration_below(NAP));
    }

    /// Calls that some processes make now and then, without need.
    fn read_state<T: Numbered + ?Sized>(&mut self, queue: &Queue<T>) {
        match self.rng.below(1000) {
            0 => drop(queue.recover()),
            1 => drop(queue.join_timeout(Duration::from_millis(1))),
            2 => assert!(queue.len() <= queue.capacity()),
            _ => {}
        }
    }

    /// Was nothing put? Naps if another process holds the side.
    fn expect_refusal(&mut self, error: PutError) {
        match error {
            PutError::Timeout => {}
            PutError::Held { .. } | PutError::Busy => self.nap(),
            error => panic!("{error:?}"),
        }
    }

    /// Was nothing taken? Naps if another process holds the side.
    fn expect_nothing(&mut self, error: GetError) {
        match error {
            GetError::Timeout => {}
            GetError::Empty | GetError::Held { .. } | GetError::Busy => self.nap(),
            error => panic!("{error:?}"),
        }
    }

    fn settle(&mut self, number: u64, result: Result<(), PutError>) {
        match result {
            Ok(()) => self.ledger.put(number),
            Err(error) => {
                self.ledger.refused(number);
                self.expect_refusal(error);
            }
        }
    }

    fn put_batch<T: Numbered + ?Sized>(&mut self, to: &Put<'_, T>, count: usize) {
        let Some(numbers) = self.ledger.draw(count) else { return };
        let result = T::put_batch(to, &numbers, &mut self.rng);
        let moved = *result.as_ref().unwrap_or(&0);
        numbers[..moved].iter().for_each(|&number| self.ledger.put(number));
        numbers[moved..].iter().for_each(|&number| self.ledger.refused(number));
        if let Err(error) = result {
            self.expect_refusal(error);
        }
    }

    /// Puts some messages, in a random way.
    fn put_some<T: Numbered + ?Sized>(&mut self, to: &Put<'_, T>) {
        let kind = self.rng.below(10);
        if kind > 7 {
            let count = 1 + self.rng.below(BATCH) as usize;
            return self.put_batch(to, count);
        }
        let Some(number) = self.ledger.draw(1).map(|numbers| numbers[0]) else { return };
        match kind {
            0..=5 => {
                let result = to.put(number, &mut self.rng);
                self.settle(number, result);
            }
            6 => {
                let result = T::put_in_place(to, number, &mut self.rng, true);
                self.settle(number, result);
            }
            _ => {
                self.ledger.refused(number);
                if let Err(error) = T::put_in_place(to, number, &mut self.rng, false) {
                    self.expect_refusal(error);
                }
            }
        }
    }

    /// Takes messages on lease and ends the leases, in any order.
    fn lease_some<T: Numbered + ?Sized>(&mut self, from: &Get<'_, T>, rounds: u64) {
        let mut held = Vec::new();
        for _ in 0..rounds {
            if self.is_stopped() {
                break;
            }
            if held.is_empty() || (held.len() < HELD && self.rng.chance(30)) {
                let leased = if held.is_empty() && self.rng.chance(90) { from.lease() } else { from.try_lease() };
                match leased {
                    Ok(lease) => {
                        let number = lease.number();
                        self.ledger.leased(number, lease.deliveries());
                        linger(&mut self.rng);
                        held.push((number, lease));
                    }
                    Err(error) => self.expect_nothing(error),
                }
                continue;
            }
            let (number, lease) = held.swap_remove(self.rng.below(held.len() as u64) as usize);
            // It is unchanged since it was leased.
            assert_eq!(lease.number(), number);
            match self.rng.below(10) {
                0 => {
                    self.ledger.giving_back();
                    lease.give_back();
                }
                1 | 2 => self.ledger.finish(self.place, number, || drop(lease)),
                _ => self.ledger.finish(self.place, number, || lease.release()),
            }
        }
        for (number, lease) in held {
            self.ledger.finish(self.place, number, || lease.release());
        }
    }

    fn copy_some<T: Numbered + ?Sized>(&mut self, from: &Get<'_, T>) {
        if self.rng.chance(50) {
            let got = from.get().map(|number| vec![number]);
            return self.note_copies(got);
        }
        let room = 1 + self.rng.below(BATCH) as usize;
        self.note_copies(T::get_batch(from, room));
    }

    fn note_copies(&mut self, copied: Result<Vec<u64>, GetError>) {
        match copied {
            Ok(numbers) => numbers.into_iter().for_each(|number| self.ledger.copied(number)),
            Err(error) => self.expect_nothing(error),
        }
    }

    /// Finishes the rest. No other process may be alive.
    pub fn drain<T: Numbered + ?Sized>(&mut self, queue: &Queue<T>) {
        loop {
            match queue.try_lease() {
                Ok(lease) => {
                    let number = lease.number();
                    self.ledger.leased(number, lease.deliveries());
                    self.ledger.finish(self.place, number, || lease.release());
                }
                Err(GetError::Empty) => break,
                Err(error) => panic!("{error:?}, {queue:?}"),
            }
        }
    }
}

pub fn put_by_lock<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        worker.put_some(&Put::Shared(queue));
        worker.read_state(queue);
    }
}

pub fn put_by_endpoint<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        match queue.producer() {
            Ok(producer) => {
                for _ in 0..worker.rng.below(SPELL) {
                    if worker.is_stopped() {
                        return;
                    }
                    worker.put_some(&Put::Owned(&producer));
                    worker.read_state(queue);
                }
            }
            Err(error) => worker.expect_refusal(error),
        }
    }
}

pub fn lease_by_lock<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        worker.lease_some(&Get::Shared(queue), SPELL);
        worker.read_state(queue);
    }
}

pub fn lease_by_endpoint<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        match queue.consumer() {
            Ok(consumer) => {
                let rounds = worker.rng.below(SPELL);
                worker.lease_some(&Get::Owned(&consumer), rounds);
            }
            Err(error) => worker.expect_nothing(error),
        }
        worker.read_state(queue);
    }
}

pub fn copy_by_lock<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        worker.copy_some(&Get::Shared(queue));
        worker.read_state(queue);
    }
}

pub fn copy_by_endpoint<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        match queue.consumer() {
            Ok(consumer) => {
                for _ in 0..worker.rng.below(SPELL) {
                    if worker.is_stopped() {
                        return;
                    }
                    worker.copy_some(&Get::Owned(&consumer));
                }
            }
            Err(error) => worker.expect_nothing(error),
        }
        worker.read_state(queue);
        worker.nap();
    }
}

/// Nothing but large batches: a process most likely dies in the middle of one.
pub fn put_in_batches<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        let count = 1 + worker.rng.below(LARGE_BATCH) as usize;
        worker.put_batch(&Put::Shared(queue), count);
        worker.read_state(queue);
    }
}

pub fn copy_in_batches<T: Numbered + ?Sized>(queue: &Queue<T>, worker: &mut Worker) {
    while !worker.is_stopped() {
        let room = 1 + worker.rng.below(LARGE_BATCH) as usize;
        worker.note_copies(T::get_batch(&Get::Shared(queue), room));
        worker.read_state(queue);
    }
}
