//! Killed while a sender is made, handed over and dropped. Afterwards the queue is open as long as
//! another process has a sender, and ends when none has.

use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::PATIENCE;
use crate::support::harness::Case;
use shmq::{GetError, Queue, Receiver, Sender};
use std::cell::RefCell;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_cloning_and_dropping_a_sender,
        killed_in_detaching_a_sender,
        #[cfg(feature = "object")]
        killed_in_dropping_the_last_sender,
    ]
}

fn pair() -> (Sender<u64>, Receiver<u64>, String) {
    let queue = Queue::<u64>::builder().capacity(4).max_participants(6).close_when_unused(true).create().unwrap();
    (queue.sender(), queue.receiver(), queue.name().to_owned())
}

/// Attaches the child, by a use of the receiver.
fn attach(receiver: &Receiver<u64>) {
    assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
}

/// What was put, once no process has a sender any more.
fn expect_end(receiver: &Receiver<u64>, killed: Killed) -> Vec<u64> {
    let mut got = Vec::new();
    loop {
        match receiver.get_timeout(PATIENCE) {
            Ok(number) => got.push(number),
            Err(GetError::Closed) => return got,
            Err(error) => panic!("{error:?}, {killed:?}, {receiver:?}"),
        }
    }
}

fn killed_in_cloning_and_dropping_a_sender() {
    let operation = Operation {
        what: "sender, clone and drop",
        world: &|| {
            let (sender, receiver, name) = pair();
            (RefCell::new(Some(sender)), receiver, name)
        },
        body: &|(sender, receiver, _): &(RefCell<Option<Sender<u64>>>, Receiver<u64>, String), begin| {
            attach(receiver);
            begin();
            let sender = sender.borrow().as_ref().expect("it is there").clone();
            sender.try_put(&1).unwrap();
            drop(sender);
        },
        wake: None,
        recovery: Some(&|(_, receiver, _), begin| {
            begin();
            // Its drop is that of this child's only receiver, and scans.
            drop(receiver.clone());
        }),
        check: &|(sender, receiver, name), killed, turn| {
            let sender = sender.take().expect("it is there");
            if turn % 2 == 0 {
                // A scan, beside a sender that lives.
                drop(Queue::<u64>::open(name).unwrap());
            }
            assert!(!sender.is_closed(), "{killed:?}");
            sender.put_timeout(&2, PATIENCE).unwrap();
            drop(sender);
            let got = expect_end(receiver, killed);
            assert!(got == [1, 2] || got == [2] && !killed.done, "{got:?}, {killed:?}");
            Finding { stage: Some(got.len() - 1), repaired: false }
        },
    };
    operation.sweep();
}

/// Beside the parent's sender, which ends the stream later.
fn killed_in_detaching_a_sender() {
    let operation = Operation {
        what: "sender, detach",
        world: &|| {
            let (sender, receiver, name) = pair();
            (RefCell::new(Some(sender)), receiver, name)
        },
        body: &|(_, receiver, name): &(RefCell<Option<Sender<u64>>>, Receiver<u64>, String), begin| {
            attach(receiver);
            let own = Queue::<u64>::open(name).unwrap();
            let sender = own.sender();
            drop(own);
            sender.try_put(&1).unwrap();
            begin();
            sender.detach().unwrap();
        },
        wake: None,
        recovery: None,
        check: &|(sender, receiver, _), killed, _| {
            let sender = sender.take().expect("it is there");
            assert!(!sender.is_closed(), "{killed:?}");
            sender.put_timeout(&2, PATIENCE).unwrap();
            drop(sender);
            assert_eq!(expect_end(receiver, killed), [1, 2], "{killed:?}");
            Finding { stage: None, repaired: false }
        },
    };
    operation.sweep();
}

#[cfg(feature = "object")]
fn killed_in_dropping_the_last_sender() {
    use shmq::ObjectQueue;

    let operation = Operation {
        what: "sender, received and dropped",
        world: &|| {
            let (sender, receiver, _) = pair();
            let letters = ObjectQueue::<Sender<u64>>::builder().capacity(2).max_participants(6).create().unwrap();
            letters.put(&sender).unwrap();
            // It is on its way.
            (letters, receiver)
        },
        body: &|(letters, receiver): &(ObjectQueue<Sender<u64>>, Receiver<u64>), begin| {
            attach(receiver);
            assert_eq!(letters.recover().dead_participants, 0);
            begin();
            let sender = letters.try_lease().unwrap().take();
            sender.try_put(&1).unwrap();
            drop(sender);
        },
        wake: None,
        recovery: None,
        check: &|(letters, receiver), killed, _| {
            letters.recover();
            // What did not arrive, or arrived at the dead: it is delivered again.
            let again = letters.try_get().ok();
            assert!(!(killed.done && again.is_some()), "{killed:?}");
            drop(again);
            let got = expect_end(receiver, killed);
            assert!(got == [1] || got.is_empty() && !killed.done, "{got:?}, {killed:?}");
            Finding { stage: Some(got.len()), repaired: false }
        },
    };
    operation.sweep_every(3);
}
