//! What the third process finds, by whichever verbs it checks.

use super::kinds::Kind;
use super::ledger::{Books, VALUES, check};
use super::verbs::{Verb, Worker};
use shmq::inspect::Inspector;
use shmq::{GetError, JoinError, PutError};
use std::time::Duration;

/// How the survivor checks what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It recovers, then leases.
    Recover,
    /// It takes copies, without ever entering the put side.
    Get,
    /// It closes the queue, and gets until it gets `Closed`.
    Close,
    /// By endpoints, which it takes over from the dead.
    Endpoints,
}

pub const RECOVERIES: [Recovery; 4] = [Recovery::Recover, Recovery::Get, Recovery::Close, Recovery::Endpoints];

/// Deadline of what must come without help: a call that takes longer hangs.
const LONG: Duration = Duration::from_secs(20);
/// Values of the messages that fill the queue anew.
const ANEW: u64 = 3 * VALUES;

/// Works while another process is stopped. Any result is accepted, except an error that means that
/// the queue is no longer usable.
pub fn work_beside<K: Kind>(worker: &mut Worker<'_, K>, recovery: Recovery) {
    match recovery {
        Recovery::Recover => {
            worker.run(Verb::Recover);
            worker.run(Verb::LeaseReleased);
            worker.run(Verb::Put);
        }
        Recovery::Get => {
            worker.run(Verb::Put);
            worker.run(Verb::GetAll);
            worker.run(Verb::Join);
        }
        Recovery::Close => {
            worker.run(Verb::CloseAndGet);
            worker.run(Verb::Join);
        }
        Recovery::Endpoints => {
            worker.run(Verb::Producer);
            worker.run(Verb::Consumer);
        }
    }
}

/// No other process is alive: takes the rest, checks everything that was recorded, and uses the
/// queue anew.
pub fn survive<K: Kind>(worker: &mut Worker<'_, K>, recovery: Recovery, in_turn: bool) {
    worker.alone = true;
    let (queue, ledger) = (worker.queue, worker.ledger);
    let books = Books::of(&ledger.entries());
    let joined = match queue.join_timeout(Duration::ZERO) {
        Ok(()) => true,
        Err(JoinError::Timeout { .. }) => false,
        Err(error) => panic!("join: {error:?}"),
    };
    let mut left = Vec::new();
    match recovery {
        Recovery::Recover => {
            let report = queue.recover();
            assert_eq!(report.sides_repaired, 2, "{report:?}, and no process is in the way");
            let (len, is_empty) = (queue.len(), queue.is_empty());
            loop {
                match queue.try_lease() {
                    Ok(lease) => {
                        let value = K::decode(&lease);
                        assert!(u64::from(lease.deliveries()) > books.leases_of(value), "{value}: {}", lease.deliveries());
                        left.push(value);
                        lease.release();
                    }
                    Err(GetError::Empty | GetError::Closed) => break,
                    Err(error) => panic!("lease: {error:?}"),
                }
            }
            assert_eq!((len, is_empty), (left.len(), left.is_empty()), "len and is_empty, of {left:?}");
            check_order(&left);
        }
        Recovery::Get => {
            let seen = Inspector::open(queue.name()).expect("it is there").snapshot();
            loop {
                match queue.try_get() {
                    Ok(message) => left.push(K::decode_owned(&message)),
                    Err(GetError::Empty | GetError::Closed) => break,
                    Err(error) => panic!("get: {error:?}"),
                }
            }
            // Everything on lease comes back, since no live process holds a lease.
            let (expected, is_damaged) = (seen.messages + seen.on_lease, seen.damaged);
            assert_eq!((expected, is_damaged), (left.len() as u64, false), "what inspect saw, of {left:?}");
        }
        Recovery::Close => {
            queue.close();
            loop {
                match queue.get_timeout(LONG) {
                    Ok(message) => left.push(K::decode_owned(&message)),
                    Err(GetError::Closed) => break,
                    Err(error) => panic!("get of a closed queue: {error:?}"),
                }
            }
        }
        Recovery::Endpoints => {
            let consumer = queue.consumer().expect("a dead Consumer makes place");
            loop {
                match consumer.try_get() {
                    Ok(message) => left.push(K::decode_owned(&message)),
                    Err(GetError::Empty | GetError::Closed) => break,
                    Err(error) => panic!("get: {error:?}"),
                }
            }
        }
    }
    assert!(!joined || left.is_empty(), "join was Ok, and {left:?} were left");
    check(&ledger.entries(), &left, in_turn);
    assert_eq!((queue.len(), queue.is_empty()), (0, true), "after the last message");
    use_anew::<K>(worker, recovery);
    finish::<K>(worker);
}

/// Messages of one process come in the order in which it put them.
fn check_order(left: &[u64]) {
    for producer in 0..3 {
        let of_one: Vec<u64> = left.iter().copied().filter(|value| value / VALUES == producer).collect();
        assert!(of_one.is_sorted(), "{left:?}");
    }
}

/// The queue takes as many messages as ever, and returns them in order.
fn use_anew<K: Kind>(worker: &Worker<'_, K>, recovery: Recovery) {
    let queue = worker.queue;
    let producer = (recovery == Recovery::Endpoints).then(|| queue.producer().expect("a dead Producer makes place"));
    let mut put = 0;
    let refused = loop {
        assert!(put < K::TOO_MANY, "takes more than its capacity");
        let message = K::encode(ANEW + 3 * put as u64);
        let outcome = match &producer {
            Some(producer) => producer.try_put(&message),
            None => queue.try_put(&message),
        };
        match outcome {
            Ok(()) => put += 1,
            Err(error) => break error,
        }
    };
    if queue.is_closed() {
        assert!(put == 0 && matches!(refused, PutError::Closed), "{put} were put, then {refused:?}");
        return;
    }
    assert!(matches!(refused, PutError::Full), "{put} were put, then {refused:?}");
    assert_eq!((put, queue.len(), queue.is_full() || !K::IS_FULL_THEN), (K::FITS, K::FITS, true), "put, len, is_full");
    for number in 0..put as u64 {
        let message = queue.try_get().unwrap_or_else(|error| panic!("message {number} of {put}: {error:?}"));
        assert_eq!(K::decode_owned(&message), ANEW + 3 * number);
    }
    match queue.try_get() {
        Err(GetError::Empty) => {}
        other => panic!("after the last message: {:?}", other.map(|message| K::decode_owned(&message))),
    }
    assert!(queue.is_empty() && !queue.is_full());
}

/// When all copies are done, so is everything.
fn finish<K: Kind>(worker: &Worker<'_, K>) {
    let mut done = 0;
    loop {
        match worker.queue.task_done() {
            Ok(()) => done += 1,
            Err(JoinError::TooManyDone) => break,
            Err(error) => panic!("task_done: {error:?}"),
        }
        assert!(done < 100, "task_done without end");
    }
    worker.queue.join_timeout(LONG).expect("all is finished");
}
