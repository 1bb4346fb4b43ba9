//! Handles that are sent to other processes, in messages and in arguments, count on their way.

use crate::roles::{closing, expect_end, expect_open, pair};
use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word};
use shmq::{GetError, ObjectQueue, ObjectSender, Pool, Process, Queue, Receiver, Sender};
use std::sync::atomic::Ordering::SeqCst;
#[cfg(not(shmq_portable_sync))]
use {crate::support::wait_until, shmq::PutError, std::thread};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_sender_on_its_way_keeps_the_queue_open,
        a_sender_that_is_received_twice_ends_no_other_one_on_its_way,
        more_senders_than_slots_on_their_way_keep_the_queue_open,
        a_called_process_has_the_sender_of_its_argument,
        a_sender_that_is_passed_on_and_on_never_seems_gone,
        a_worker_of_a_pool_keeps_nothing_open_but_its_task,
        #[cfg(not(shmq_portable_sync))]
        a_sender_on_its_way_goes_with_the_process_that_sent_it,
    ]
}

fn a_sender_on_its_way_keeps_the_queue_open() {
    let (sender, receiver) = pair(8);
    let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
    letters.put(&sender).unwrap();
    drop(sender);
    expect_open(&receiver);
    let child = fork("the addressee", || {
        let sender = letters.get().unwrap();
        sender.put(&1).unwrap();
    });
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    expect_end(&receiver);
    child.expect_success();

    // A plain one is both, and a receiver is one.
    let queue = closing(8);
    let (sender, receiver) = (queue.sender(), queue.receiver());
    let queues = ObjectQueue::<Queue<u64>>::new(4).unwrap();
    let receivers = ObjectQueue::<Receiver<u64>>::new(4).unwrap();
    queues.put(&queue).unwrap();
    receivers.put(&receiver).unwrap();
    drop((queue, receiver));
    sender.put(&1).unwrap();
    drop(queues.get().unwrap());
    sender.put(&1).unwrap();
    drop(receivers.get().unwrap());
    assert!(sender.is_closed());
}

fn a_sender_that_is_received_twice_ends_no_other_one_on_its_way() {
    let (sender, receiver) = pair(8);
    let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
    letters.put(&sender).unwrap();
    let first = letters.lease().unwrap();
    first.give_back();
    let first = letters.lease().unwrap();
    letters.put(&sender).unwrap();
    drop(sender);
    // The same message, decoded three times.
    first.give_back();
    drop(letters.get().unwrap());
    expect_open(&receiver);
    drop(letters.get().unwrap());
    assert!(receiver.is_closed());
}

fn more_senders_than_slots_on_their_way_keep_the_queue_open() {
    let (sender, receiver) = pair(8);
    let letters = ObjectQueue::<Sender<u64>>::new(100).unwrap();
    (0..100).for_each(|_| letters.put(&sender).unwrap());
    drop(sender);
    (0..100).for_each(|_| drop(letters.get().unwrap()));
    // This process keeps the role until it leaves the queue.
    expect_open(&receiver);
}

fn a_called_process_has_the_sender_of_its_argument() {
    fn count(sender: ObjectSender<String, shmq::MessagePack>) {
        (0..3).for_each(|n| sender.put(&n.to_string()).unwrap());
    }

    let queue = ObjectQueue::<String>::builder().capacity(2).close_when_unused(true).create().unwrap();
    let (sender, receiver) = (queue.sender(), queue.receiver());
    drop(queue);
    let child = Process::call(count, sender).unwrap();
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["0", "1", "2"]);
    assert!(child.join().unwrap().success());
}

/// Two processes pass the only sender to each other, each dropping its own at once, while a third
/// one scans all the time.
fn a_sender_that_is_passed_on_and_on_never_seems_gone() {
    const PASSES: u64 = 4_000;
    let (sender, receiver) = pair(8);
    let there = ObjectQueue::<(u64, Sender<u64>)>::new(1).unwrap();
    let back = ObjectQueue::<(u64, Sender<u64>)>::new(1).unwrap();
    let (ended, scans) = (shared_word(), shared_word());
    let play = |from: &ObjectQueue<(u64, Sender<u64>)>, to: &ObjectQueue<(u64, Sender<u64>)>| {
        // Attached, and not by a sender.
        assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
        while let Ok((n, sender)) = from.get_timeout(PATIENCE) {
            assert!(!sender.is_closed(), "at pass {n}");
            if n == PASSES {
                return to.close();
            }
            to.put(&(n + 1, sender)).unwrap();
        }
    };
    let scanner = fork("a scanner", || {
        while ended.load(SeqCst) == 0 {
            // The only one that this process counts: its drop scans.
            drop(receiver.clone());
            scans.fetch_add(1, SeqCst);
        }
    });
    let players = [fork("a player", || play(&there, &back)), fork("the other player", || play(&back, &there))];
    there.put(&(0, sender)).unwrap();
    players.into_iter().for_each(Child::expect_success);
    ended.store(1, SeqCst);
    scanner.expect_success();
    assert!(scans.load(SeqCst) > PASSES / 4, "{scans:?} scans");
    expect_end(&receiver);
}

#[cfg(not(shmq_portable_sync))]
fn a_sender_on_its_way_goes_with_the_process_that_sent_it() {
    let (sender, receiver) = pair(8);
    let letters = ObjectQueue::<Sender<u64>>::new(4).unwrap();
    let child = fork("it sends its own", || {
        letters.put(&sender).unwrap();
        thread::sleep(PATIENCE);
    });
    wait_until("a letter", || letters.len() == 1, || format!("{letters:?}"));
    drop(sender);
    expect_open(&receiver);
    child.kill();
    expect_end(&receiver);
    assert!(matches!(letters.get().unwrap().put(&1), Err(PutError::Closed)));
}

/// The worker has the inherited sender in its memory, and that of its argument until the task
/// ends.
fn a_worker_of_a_pool_keeps_nothing_open_but_its_task() {
    fn double((numbers, sender): (Vec<u64>, Sender<u64>)) {
        numbers.iter().for_each(|n| sender.put(&(2 * n)).unwrap());
    }

    let (sender, receiver) = pair(64);
    let pool = Pool::new(2).unwrap();
    let tasks: Vec<_> = (0..3).map(|n| (vec![n, n + 1], sender.clone())).collect();
    let results: Vec<_> = tasks.into_iter().map(|task| pool.apply_async(double, task).unwrap()).collect();
    drop(sender);
    let mut all = receiver.iter().collect::<Result<Vec<_>, _>>().unwrap();
    all.sort_unstable();
    assert_eq!(all, [0, 2, 2, 4, 4, 6]);
    results.into_iter().for_each(|result| result.get().unwrap());
    drop(pool);
}
