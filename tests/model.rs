//! Random sequences of operations against a plain model: whatever is done to a queue, it behaves
//! like a list of messages.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use shmq::{GetError, Lease, Loan, PutError, Queue, View};
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Operation {
    Put,
    PutSlice(usize),
    Get,
    GetSlice(usize),
    Loan,
    /// Ends the loan of that number, modulo how many are open.
    Commit(usize),
    Abort(usize),
    Lease,
    Release(usize),
    GiveBack(usize),
    IntoView(usize),
    DropView(usize),
    Close,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        8 => Just(Operation::Put),
        3 => (0usize..6).prop_map(Operation::PutSlice),
        8 => Just(Operation::Get),
        3 => (0usize..6).prop_map(Operation::GetSlice),
        4 => Just(Operation::Loan),
        5 => (0usize..8).prop_map(Operation::Commit),
        2 => (0usize..8).prop_map(Operation::Abort),
        5 => Just(Operation::Lease),
        5 => (0usize..8).prop_map(Operation::Release),
        3 => (0usize..8).prop_map(Operation::GiveBack),
        3 => (0usize..8).prop_map(Operation::IntoView),
        3 => (0usize..8).prop_map(Operation::DropView),
    ];
    (vec(operation, 0..120), 0usize..400).prop_map(|(mut operations, close_at)| {
        // Few sequences close the queue, each at a random place.
        if close_at < operations.len() {
            operations.insert(close_at, Operation::Close);
        }
        operations
    })
}

/// The state of a record of the model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Claimed,
    Ready,
    Leased,
    Returned,
    Viewed,
    Done,
}

#[derive(Clone, Debug)]
struct Record<M> {
    number: u64,
    message: M,
    state: State,
    deliveries: u32,
    /// It was taken, or skipped on the way to a record that was.
    passed: bool,
}

/// A queue as a list: records in the order of their puts. Records at the front that were passed and
/// are finished are removed. Where room is needed, so are aborted ones at both ends.
#[derive(Clone, Debug)]
struct Model<M> {
    records: VecDeque<Record<M>>,
    capacity: usize,
    next: u64,
    closed: bool,
}

impl<M: Clone> Model<M> {
    fn new(capacity: usize) -> Model<M> {
        Model { records: VecDeque::new(), capacity, next: 0, closed: false }
    }

    fn settle(&mut self) {
        while self.records.front().is_some_and(|record| record.state == State::Done && record.passed) {
            self.records.pop_front();
        }
    }

    /// Skips finished records at the front.
    fn pass(&mut self) {
        let skipped = |record: &&mut Record<M>| record.passed || record.state == State::Done;
        self.records.iter_mut().take_while(skipped).for_each(|record| record.passed = true);
        self.settle();
    }

    /// Takes back aborted records at the end, and steps over those at the front. Nothing happens to
    /// aborted records between others.
    fn make_room(&mut self) {
        let count = self.records.len();
        while self.records.back().is_some_and(|record| record.state == State::Done && !record.passed) {
            self.records.pop_back();
        }
        let is_aborted = |record: &Record<M>| record.state == State::Done && !record.passed;
        if self.records.len() < count || self.records.front().is_some_and(is_aborted) {
            self.pass();
        }
    }

    fn is_full(&self) -> bool {
        let mut after = self.clone();
        after.make_room();
        after.records.len() == self.capacity
    }

    fn len(&self) -> usize {
        self.records.iter().filter(|record| matches!(record.state, State::Ready | State::Returned)).count()
    }

    fn put(&mut self, message: M, state: State) -> Result<u64, &'static str> {
        if self.closed {
            return Err("Closed");
        }
        if self.records.len() == self.capacity {
            self.make_room();
        }
        if self.records.len() == self.capacity {
            return Err("Full");
        }
        self.next += 1;
        self.records.push_back(Record { number: self.next, message, state, deliveries: 0, passed: false });
        Ok(self.next)
    }

    fn has_returned(&self) -> bool {
        self.records.iter().any(|record| record.state == State::Returned)
    }

    /// The next message to be taken: returned ones first, then the first ready one, unless a loan
    /// before it is open.
    fn take(&mut self, to: State) -> Result<Record<M>, &'static str> {
        let returned = self.records.iter().position(|record| record.state == State::Returned);
        let ready = || {
            let first = self.records.iter().position(|record| matches!(record.state, State::Ready | State::Claimed))?;
            (self.records[first].state == State::Ready).then_some(first)
        };
        let Some(place) = returned.or_else(ready) else {
            self.pass();
            let claimed = self.records.iter().any(|record| record.state == State::Claimed);
            return Err(if self.closed && !claimed { "Closed" } else { "Empty" });
        };
        self.records.iter_mut().take(place + 1).for_each(|record| record.passed |= returned.is_none());
        self.records[place].state = to;
        self.records[place].deliveries += 1;
        let record = self.records[place].clone();
        self.settle();
        Ok(record)
    }

    fn set(&mut self, number: u64, state: State) {
        let record = self.records.iter_mut().find(|record| record.number == number).expect("open guards hold their records");
        record.state = state;
        self.settle();
    }

    fn message(&mut self, number: u64) -> &mut M {
        &mut self.records.iter_mut().find(|record| record.number == number).expect("open guards hold their records").message
    }
}

fn put_error(error: PutError) -> &'static str {
    match error {
        PutError::Full => "Full",
        PutError::Closed => "Closed",
        other => panic!("{other:?}"),
    }
}

fn get_error(error: GetError) -> &'static str {
    match error {
        GetError::Empty => "Empty",
        GetError::Closed => "Closed",
        other => panic!("{other:?}"),
    }
}

/// One of the open guards.
fn pick<G>(guards: &mut Vec<G>, which: usize) -> Option<G> {
    (!guards.is_empty()).then(|| guards.swap_remove(which % guards.len()))
}

fn run_sized(capacity: usize, operations: Vec<Operation>) {
    let queue: Queue<u32> = Queue::new(capacity).unwrap();
    let mut model = Model::new(capacity);
    let mut loans: Vec<(u64, Loan<'_, u32>)> = Vec::new();
    let mut leases: Vec<(u64, Lease<'_, u32>)> = Vec::new();
    let mut views: Vec<(u64, View<'_, u32>)> = Vec::new();
    let mut value = 0;
    for operation in operations {
        value += 1;
        match operation {
            Operation::Put => {
                assert_eq!(queue.try_put(&value).map_err(put_error), model.put(value, State::Ready).map(drop));
            }
            Operation::PutSlice(count) => {
                let values: Vec<u32> = (0..count as u32).map(|i| value * 1000 + i).collect();
                let mut expected = Ok(0);
                for &value in &values {
                    match model.put(value, State::Ready) {
                        Ok(_) => expected = expected.map(|moved| moved + 1),
                        Err(error) => {
                            expected = if expected == Ok(0) { Err(error) } else { expected };
                            break;
                        }
                    }
                }
                assert_eq!(queue.try_put_slice(&values).map_err(put_error), expected);
            }
            Operation::Get => {
                assert_eq!(queue.try_get().map_err(get_error), model.take(State::Done).map(|record| record.message));
            }
            Operation::GetSlice(count) => {
                let mut buffer = vec![0; count];
                let got = queue.try_get_slice(&mut buffer).map_err(get_error);
                match got {
                    Ok(0) => assert_eq!(count, 0),
                    // At least one message, each the next one in order.
                    Ok(moved) => {
                        let mut came_back = false;
                        for &message in &buffer[..moved] {
                            came_back = model.has_returned();
                            assert_eq!(model.take(State::Done).map(|record| record.message), Ok(message));
                        }
                        // Behind a message that came back it searches for another, and steps over
                        // aborted records as a get does that finds none.
                        if came_back && moved < count {
                            model.pass();
                        }
                    }
                    Err(error) => assert_eq!(Err(error), model.take(State::Done).map(drop)),
                }
            }
            Operation::Loan => match (queue.try_loan(), model.put(value, State::Claimed)) {
                (Ok(mut loan), Ok(number)) => {
                    *loan = value;
                    loans.push((number, loan));
                }
                (Err(error), Err(expected)) => assert_eq!(put_error(error), expected),
                (result, expected) => panic!("{result:?}, not {expected:?}"),
            },
            Operation::Commit(which) => {
                if let Some((number, loan)) = pick(&mut loans, which) {
                    loan.commit().unwrap();
                    model.set(number, State::Ready);
                }
            }
            Operation::Abort(which) => {
                if let Some((number, loan)) = pick(&mut loans, which) {
                    drop(loan);
                    model.set(number, State::Done);
                }
            }
            Operation::Lease => match (queue.try_lease(), model.take(State::Leased)) {
                (Ok(lease), Ok(record)) => {
                    assert_eq!((*lease, lease.deliveries()), (record.message, record.deliveries));
                    leases.push((record.number, lease));
                }
                (Err(error), Err(expected)) => assert_eq!(get_error(error), expected),
                (result, expected) => panic!("{result:?}, not {expected:?}"),
            },
            Operation::Release(which) => {
                if let Some((number, lease)) = pick(&mut leases, which) {
                    lease.release();
                    model.set(number, State::Done);
                }
            }
            Operation::GiveBack(which) => {
                if let Some((number, lease)) = pick(&mut leases, which) {
                    lease.give_back();
                    model.set(number, State::Returned);
                }
            }
            Operation::IntoView(which) => {
                if let Some((number, lease)) = pick(&mut leases, which) {
                    views.push((number, lease.into_view().unwrap()));
                    model.set(number, State::Viewed);
                }
            }
            Operation::DropView(which) => {
                if let Some((number, view)) = pick(&mut views, which) {
                    drop(view);
                    model.set(number, State::Done);
                }
            }
            Operation::Close => {
                queue.close();
                model.closed = true;
            }
        }
        let state = format!("{queue:?} {model:?}");
        assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.len() == 0), "{state}");
        assert_eq!((queue.capacity(), queue.is_closed()), (capacity, model.closed));
        assert_eq!(queue.is_full(), model.is_full(), "{state}");
        leases.iter().for_each(|(number, lease)| assert_eq!(**lease, *model.message(*number)));
        views.iter().for_each(|(number, view)| assert_eq!(**view, *model.message(*number)));
    }
}

/// A ring that is bounded in messages and never short of bytes, so that the model need not know
/// about cells.
fn run_slices(capacity: usize, operations: Vec<Operation>, lengths: Vec<usize>) {
    const LONGEST: usize = 60;
    let capacity_bytes = (capacity + 2) * (LONGEST + 32) * 2;
    let queue = Queue::<[u8]>::builder().capacity(capacity).capacity_bytes(capacity_bytes).create().unwrap();
    let mut model: Model<Vec<u8>> = Model::new(capacity);
    let mut loans: Vec<(u64, Loan<'_, [u8]>)> = Vec::new();
    let mut leases: Vec<(u64, Lease<'_, [u8]>)> = Vec::new();
    let mut views: Vec<(u64, View<'_, [u8]>)> = Vec::new();
    let mut lengths = lengths.into_iter().cycle();
    let mut tag = 0;
    let mut buffer = [0; LONGEST];
    for operation in operations {
        tag += 1;
        let message = support::pattern(tag, lengths.next().unwrap() % LONGEST);
        match operation {
            Operation::Put | Operation::PutSlice(_) => {
                assert_eq!(queue.try_put(&message).map_err(put_error), model.put(message, State::Ready).map(drop));
            }
            Operation::Get => {
                assert_eq!(queue.try_get().map_err(get_error), model.take(State::Done).map(|record| record.message));
            }
            Operation::GetSlice(count) => {
                // A buffer that is sometimes too small: then nothing is taken.
                let room = if count < 3 { count * 8 } else { LONGEST };
                match queue.try_get_into(&mut buffer[..room]) {
                    Err(GetError::TooSmall { needed, given }) => {
                        assert!(needed > given && given == room);
                        let Ok(next) = queue.try_lease() else { panic!("the message is still there") };
                        assert_eq!(next.len(), needed);
                        next.give_back();
                        let taken = model.take(State::Leased).unwrap();
                        model.set(taken.number, State::Returned);
                    }
                    result => {
                        let expected = model.take(State::Done).map(|record| record.message);
                        assert_eq!(result.map(|length| buffer[..length].to_vec()).map_err(get_error), expected);
                    }
                }
            }
            Operation::Loan => match (queue.try_loan_len(message.len()), model.put(message.clone(), State::Claimed)) {
                (Ok(mut loan), Ok(number)) => {
                    loan.copy_from_slice(&message);
                    loans.push((number, loan));
                }
                (Err(error), Err(expected)) => assert_eq!(put_error(error), expected),
                (result, expected) => panic!("{result:?}, not {expected:?}"),
            },
            Operation::Commit(which) => {
                if let Some((number, loan)) = pick(&mut loans, which) {
                    let kept = loan.len() * (which % 4) / 3;
                    if kept < loan.len() {
                        loan.commit_len(kept).unwrap()
                    } else {
                        loan.commit().unwrap()
                    }
                    model.message(number).truncate(kept);
                    model.set(number, State::Ready);
                }
            }
            Operation::Abort(which) => {
                if let Some((number, loan)) = pick(&mut loans, which) {
                    drop(loan);
                    model.set(number, State::Done);
                }
            }
            Operation::Lease => match (queue.try_lease(), model.take(State::Leased)) {
                (Ok(lease), Ok(record)) => {
                    assert_eq!((&lease[..], lease.deliveries()), (&record.message[..], record.deliveries));
                    leases.push((record.number, lease));
                }
                (Err(error), Err(expected)) => assert_eq!(get_error(error), expected),
                (result, expected) => panic!("{result:?}, not {expected:?}"),
            },
            Operation::Release(which) => {
                if let Some((number, lease)) = pick(&mut leases, which) {
                    lease.release();
                    model.set(number, State::Done);
                }
            }
            Operation::GiveBack(which) => {
                if let Some((number, lease)) = pick(&mut leases, which) {
                    lease.give_back();
                    model.set(number, State::Returned);
                }
            }
            Operation::IntoView(which) => {
                if let Some((number, lease)) = pick(&mut leases, which) {
                    views.push((number, lease.into_view().unwrap()));
                    model.set(number, State::Viewed);
                }
            }
            Operation::DropView(which) => {
                if let Some((number, view)) = pick(&mut views, which) {
                    drop(view);
                    model.set(number, State::Done);
                }
            }
            Operation::Close => {
                queue.close();
                model.closed = true;
            }
        }
        let state = format!("{queue:?} {model:?}");
        assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.len() == 0), "{state}");
        assert_eq!((queue.capacity(), queue.is_full(), queue.is_closed()), (capacity, model.is_full(), model.closed), "{state}");
        for (number, lease) in &leases {
            assert_eq!(lease[..], model.message(*number)[..], "{state}");
        }
        for (number, view) in &views {
            assert_eq!(view[..], model.message(*number)[..], "{state}");
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_sized_queue_is_a_list(capacity in 1usize..9, operations in operations()) {
        run_sized(capacity, operations);
    }

    #[test]
    fn a_slice_queue_is_a_list(capacity in 1usize..9, operations in operations(), lengths in vec(0usize..60, 1..20)) {
        run_slices(capacity, operations, lengths);
    }
}
