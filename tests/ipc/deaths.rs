//! Processes are killed by SIGKILL while they wait, or hold a loan, a lease or a side: the others
//! go on, and no message is lost that was not taken.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_word, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng};
use shmq::{GetError, PutError, Queue};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_getter_killed_asleep_blocks_no_other_process,
        a_putter_killed_asleep_blocks_no_other_process,
        waiters_killed_asleep_again_and_again_do_not_stop_the_others,
        a_dead_holders_message_comes_back_to_a_waiting_consumer,
        a_dead_holders_messages_come_back_in_order_before_newer_ones,
        a_dead_holders_slice_comes_back_whole,
        a_dead_holders_message_comes_back_to_a_consumer_endpoint,
        a_dead_holder_of_a_full_queue_lets_putters_go_on,
        a_dead_loan_is_skipped,
        a_dead_loan_in_a_full_queue_makes_room,
        a_dead_loan_of_a_closed_queue_lets_getters_go,
        a_dead_producer_frees_its_side,
        a_dead_consumer_frees_its_side,
        a_repaired_get_side_is_counted,
        producers_killed_at_random_lose_nothing_that_they_put,
        a_message_that_kills_its_holders_is_given_up,
        a_message_is_given_up_without_a_call_of_recover,
        recover_reports_what_a_dead_consumer_held,
        join_does_not_hang_on_a_dead_holder,
        recover_reports_what_it_found,
        a_live_holder_is_never_robbed,
    ]
}

/// A message of a dead process is back by then: after about a second, plus the time until the
/// processes that scan for it have run.
const BACK_SOON: Duration = BY_ITSELF;

/// A child that did something and then waits to be killed.
pub fn victim(what: &'static str, act: impl FnOnce(&dyn Fn())) -> Child {
    let ready = shared_word();
    let child = fork(what, || {
        act(&|| {
            ready.store(1, Release);
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
        panic!("{what} was to be killed");
    });
    wait_for_count(what, ready, 1);
    child
}

fn a_getter_killed_asleep_blocks_no_other_process() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..10 {
        let mut survivor = fork("a getter that lives", || {
            assert_eq!((queue.get_timeout(PATIENCE).unwrap(), queue.get_timeout(PATIENCE).unwrap()), (round, round + 1));
        });
        let mut killed = fork("a getter to be killed", || drop(queue.get()));
        // The two go to sleep in either order.
        if round % 2 == 0 {
            survivor.wait_until_asleep();
        }
        killed.wait_until_asleep();
        killed.kill();
        queue.put(&round).unwrap();
        queue.put(&(round + 1)).unwrap();
        survivor.expect_success_within(BACK_SOON);
        assert!(queue.is_empty());
    }
}

fn a_putter_killed_asleep_blocks_no_other_process() {
    let queue: Queue<u64> = Queue::new(1).unwrap();
    for round in 0..10 {
        queue.put(&100).unwrap();
        let mut survivor = fork("a putter that lives", || queue.put_timeout(&round, PATIENCE).unwrap());
        let mut killed = fork("a putter to be killed", || drop(queue.put(&999)));
        survivor.wait_until_asleep();
        killed.wait_until_asleep();
        killed.kill();
        assert_eq!(queue.get().unwrap(), 100);
        survivor.expect_success_within(BACK_SOON);
        assert_eq!(queue.get().unwrap(), round);
    }
}

fn waiters_killed_asleep_again_and_again_do_not_stop_the_others() {
    // pthread_cond_t fails here in two ways: signals that go to the dead, and broadcasts that wait
    // for them.
    let queue: Queue<u64> = Queue::new(2).unwrap();
    for round in 0..8 {
        let mut waiters: Vec<Child> = (0..4).map(|_| fork("a waiter to be killed", || drop(queue.get()))).collect();
        waiters.iter_mut().for_each(Child::wait_until_asleep);
        waiters.into_iter().for_each(Child::kill);
        let echo = fork("a getter that lives", || {
            for i in 0..50 {
                assert_eq!(queue.get_timeout(PATIENCE).unwrap(), i);
            }
        });
        let started = Instant::now();
        (0..50).for_each(|i| queue.put_timeout(&i, PATIENCE).unwrap());
        echo.expect_success();
        assert!(started.elapsed() < BACK_SOON, "round {round} took {:?}", started.elapsed());
    }
}

fn a_dead_holders_message_comes_back_to_a_waiting_consumer() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..8 {
        queue.put(&round).unwrap();
        let holder = victim("a holder of a lease", |wait| {
            let lease = queue.lease().unwrap();
            assert_eq!(*lease, round);
            wait();
        });
        let mut consumer = fork("a consumer", || {
            let lease = queue.lease_timeout(PATIENCE).unwrap();
            assert_eq!((*lease, lease.deliveries()), (round, 2));
        });
        consumer.wait_until_asleep();
        holder.kill();
        let started = Instant::now();
        consumer.expect_success_within(BACK_SOON);
        eprintln!("back after {:?}", started.elapsed());
        assert!(queue.is_empty() && !queue.is_full());
    }
    assert_eq!(queue.stats().redelivered, 8);
}

fn a_dead_holders_messages_come_back_in_order_before_newer_ones() {
    let queue: Queue<u64> = Queue::new(8).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4, 5, 6]).unwrap(), 6);
    let holder = victim("a holder of three leases", |wait| {
        let (_first, second, _third, _fourth) = (queue.lease(), queue.lease().unwrap(), queue.lease(), queue.lease_owned());
        second.release();
        wait();
    });
    holder.kill();
    assert_eq!(queue.recover().redelivered, 3);
    assert_eq!(queue.len(), 5);
    let mut got = Vec::new();
    while let Ok(lease) = queue.try_lease() {
        got.push((*lease, lease.deliveries()));
    }
    assert_eq!(got, [(1, 2), (3, 2), (4, 2), (5, 1), (6, 1)]);
    assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 8);
}

fn a_dead_holders_slice_comes_back_whole() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(30_000).create().unwrap();
    for length in [0, 1, 100, 5_000, queue.max_len()] {
        let message = crate::support::pattern(length as u64, length);
        queue.put(&message).unwrap();
        let holder = victim("a holder of a lease", |wait| {
            let _lease = queue.lease().unwrap();
            wait();
        });
        holder.kill();
        assert!(queue.get_timeout(BACK_SOON).unwrap() == message);
    }
}

fn a_dead_holders_message_comes_back_to_a_consumer_endpoint() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    queue.put(&1).unwrap();
    let holder = victim("a holder of a lease", |wait| {
        let _lease = queue.lease().unwrap();
        wait();
    });
    let consumer = queue.consumer().unwrap();
    assert!(matches!(consumer.try_get(), Err(GetError::Empty)));
    holder.kill();
    let lease = consumer.lease_timeout(BACK_SOON).unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
}

fn a_dead_holder_of_a_full_queue_lets_putters_go_on() {
    // No process waits for a message: the putter itself must find out that the record in its way
    // belongs to a dead process.
    let queue: Queue<u64> = Queue::new(1).unwrap();
    queue.put(&1).unwrap();
    let holder = victim("a holder of a lease", |wait| {
        let _lease = queue.lease().unwrap();
        wait();
    });
    let mut putter = fork("a putter", || queue.put_timeout(&2, PATIENCE).unwrap());
    putter.wait_until_asleep();
    holder.kill();
    let lease = queue.lease_timeout(BACK_SOON).unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    lease.release();
    putter.expect_success_within(BACK_SOON);
    assert_eq!(queue.get().unwrap(), 2);
}

fn a_dead_loan_is_skipped() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..5 {
        queue.put(&1).unwrap();
        let holder = victim("a holder of a loan", |wait| {
            let mut loan = queue.loan().unwrap();
            *loan = 666;
            wait();
        });
        queue.put(&2).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
        let mut getter = fork("a getter behind the loan", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2));
        getter.wait_until_asleep();
        holder.kill();
        getter.expect_success_within(BACK_SOON);
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        assert_eq!((queue.stats().aborted, queue.len()), (round + 1, 0));
        assert_eq!(queue.try_put_slice(&[5; 9]).unwrap(), 4);
        assert_eq!(queue.get_slice(&mut [0; 9]).unwrap(), 4);
    }
}

fn a_dead_loan_in_a_full_queue_makes_room() {
    let queue: Queue<u64> = Queue::new(1).unwrap();
    for _ in 0..5 {
        let holder = victim("a holder of a loan", |wait| {
            let _loan = queue.loan().unwrap();
            wait();
        });
        assert!(matches!(queue.try_put(&1), Err(PutError::Full)));
        let mut putter = fork("a putter", || queue.put_timeout(&2, PATIENCE).unwrap());
        putter.wait_until_asleep();
        holder.kill();
        putter.expect_success_within(BACK_SOON);
        assert_eq!(queue.try_get().unwrap(), 2);
    }
}

fn a_dead_loan_of_a_closed_queue_lets_getters_go() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let holder = victim("a holder of a loan", |wait| {
        let _loan = queue.loan().unwrap();
        wait();
    });
    queue.close();
    assert!(matches!(queue.get_timeout(Duration::from_millis(150)), Err(GetError::Timeout)));
    let getters: Vec<Child> =
        (0..2).map(|_| fork("a getter", || assert!(matches!(queue.get_timeout(PATIENCE), Err(GetError::Closed))))).collect();
    holder.kill();
    getters.into_iter().for_each(|getter| getter.expect_success_within(BACK_SOON));
}

fn a_dead_producer_frees_its_side() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..5 {
        let owner = victim("the owner of a producer", |wait| {
            let producer = queue.producer().unwrap();
            producer.put(&1).unwrap();
            let _loan = producer.loan().unwrap();
            producer.put(&2).unwrap();
            wait();
        });
        assert!(matches!(queue.put(&9), Err(PutError::Held { pid }) if pid == owner.pid()));
        owner.kill();
        match round % 3 {
            0 => queue.try_put(&3).unwrap(),
            1 => queue.producer().unwrap().try_put(&3).unwrap(),
            _ => fork("another putter", || queue.try_put(&3).unwrap()).expect_success(),
        }
        for expected in 1..=3 {
            assert_eq!(queue.get_timeout(BACK_SOON).unwrap(), expected);
        }
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    }
}

fn a_dead_consumer_frees_its_side() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..5 {
        assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
        let owner = victim("the owner of a consumer", |wait| {
            let consumer = queue.consumer().unwrap();
            assert_eq!(consumer.get().unwrap(), 1);
            let _lease = consumer.lease().unwrap();
            wait();
        });
        assert!(matches!(queue.get(), Err(GetError::Held { pid }) if pid == owner.pid()));
        owner.kill();
        let first = match round % 3 {
            0 => queue.try_get().unwrap(),
            1 => queue.consumer().unwrap().try_get().unwrap(),
            _ => queue.get_timeout(BACK_SOON).unwrap(),
        };
        assert_eq!((first, queue.try_get().unwrap()), (2, 3));
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        assert_eq!(queue.len(), 0);
    }
}

fn a_repaired_get_side_is_counted() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    queue.put(&1).unwrap();
    victim("the owner of a consumer", |wait| {
        let _consumer = queue.consumer().unwrap();
        wait();
    })
    .kill();
    assert_eq!(queue.stats().recoveries, 0);
    assert_eq!(queue.try_get().unwrap(), 1);
    assert_eq!(queue.stats().recoveries, 1, "as a put side's repair is");
}

fn producers_killed_at_random_lose_nothing_that_they_put() {
    let mut rng = Rng::new("killed producers");
    let queue: Queue<u64> = Queue::new(16).unwrap();
    let accepted = shared_word();
    let mut last = None;
    for round in 0..60 {
        let first = accepted.load(Acquire) + 1;
        let producer = fork("a producer to be killed", || {
            let producer = queue.producer().unwrap();
            for message in first.. {
                producer.put(&message).unwrap();
                accepted.store(message, Release);
            }
        });
        let until = first + rng.below(200);
        while accepted.load(Acquire) < until {
            let message = queue.get_timeout(PATIENCE).unwrap();
            // The killed process may have committed one message and not counted it.
            assert!(last.is_none_or(|last| message == last + 1 || message == last), "{message} after {last:?}");
            last = Some(message);
        }
        producer.kill();
        let counted = accepted.load(Acquire);
        if round % 2 == 0 {
            assert!(matches!(queue.try_put(&u64::MAX), Ok(()) | Err(PutError::Full)), "the side is free");
        }
        while let Ok(message) = queue.try_get() {
            if message != u64::MAX {
                assert!(last.is_none_or(|last| message == last + 1 || message == last), "{message} after {last:?}");
                last = Some(message);
            }
        }
        let last = last.unwrap();
        assert!(last == counted || last == counted + 1, "{last} was the last to come, {counted} the last to be put");
    }
}

fn a_message_that_kills_its_holders_is_given_up() {
    let queue = Queue::<u64>::builder().capacity(4).max_deliveries(2).create().unwrap();
    assert_eq!(queue.put_slice(&[13, 1]).unwrap(), 2);
    for delivery in 1..=2 {
        let holder = victim("a holder that the message kills", |wait| {
            let lease = queue.lease_timeout(PATIENCE).unwrap();
            assert_eq!((*lease, lease.deliveries()), (13, delivery));
            wait();
        });
        holder.kill();
        let report = queue.recover();
        assert_eq!((report.redelivered, report.given_up), if delivery < 2 { (1, 0) } else { (0, 1) });
    }
    assert_eq!(queue.recover().given_up, 0, "given up once");
    assert_eq!(queue.get_timeout(BACK_SOON).unwrap(), 1);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!(queue.stats().given_up, 1);
}

fn a_message_is_given_up_without_a_call_of_recover() {
    // All of them sleep: a getter waits for the message behind, a putter for its room, and a joiner
    // for its end.
    let queue = Queue::<u64>::builder().capacity(1).max_deliveries(1).create().unwrap();
    queue.put(&13).unwrap();
    let holder = victim("a holder that the message kills", |wait| {
        let _lease = queue.lease().unwrap();
        wait();
    });
    let mut putter = fork("a putter", || queue.put_timeout(&14, PATIENCE).unwrap());
    let mut getter = fork("a getter", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 14));
    putter.wait_until_asleep();
    getter.wait_until_asleep();
    holder.kill();
    putter.expect_success_within(BACK_SOON);
    getter.expect_success_within(BACK_SOON);
    assert_eq!(queue.stats().given_up, 1);
    queue.task_done().unwrap();
    queue.join_timeout(PATIENCE).unwrap();
}

fn recover_reports_what_a_dead_consumer_held() {
    // The side is taken over and repaired on the way to its lock.
    let queue = Queue::<u64>::builder().capacity(8).max_deliveries(2).create().unwrap();
    queue.put(&1).unwrap();
    for expected in [(1, 0), (0, 1)] {
        victim("the owner of a consumer", |wait| {
            let consumer = queue.consumer().unwrap();
            let _lease = consumer.lease().unwrap();
            wait();
        })
        .kill();
        let report = queue.recover();
        assert_eq!((report.redelivered, report.given_up, report.dead_participants), (expected.0, expected.1, 1));
    }
}

fn join_does_not_hang_on_a_dead_holder() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    queue.put(&1).unwrap();
    let holder = victim("a holder of a lease", |wait| {
        let _lease = queue.lease().unwrap();
        wait();
    });
    let mut joiner = fork("one who joins", || queue.join_timeout(PATIENCE).unwrap());
    let mut killed = fork("one who joins and is killed", || drop(queue.join()));
    joiner.wait_until_asleep();
    killed.wait_until_asleep();
    killed.kill();
    holder.kill();
    let lease = queue.lease_timeout(BACK_SOON).unwrap();
    assert!(!joiner.has_ended());
    lease.release();
    joiner.expect_success_within(BACK_SOON);
}

fn recover_reports_what_it_found() {
    let queue: Queue<u64> = Queue::new(8).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    assert_eq!((queue.recover().dead_participants, queue.recover().redelivered), (0, 0));
    let holders: Vec<Child> = (0..2)
        .map(|_| {
            victim("a holder of a lease and a loan", |wait| {
                let (_lease, _loan) = (queue.lease().unwrap(), queue.loan().unwrap());
                wait();
            })
        })
        .collect();
    assert_eq!(queue.recover().dead_participants, 0, "they live");
    holders.into_iter().for_each(Child::kill);
    let report = queue.recover();
    assert_eq!((report.dead_participants, report.redelivered, report.aborted, report.sides_repaired), (2, 2, 2, 2));
    let again = queue.recover();
    assert_eq!((again.dead_participants, again.redelivered, again.aborted), (0, 0, 0));
    let mut all = [0; 8];
    let mut got = queue.get_slice(&mut all).unwrap();
    while got < 3 {
        got += queue.get_slice(&mut all[got..]).unwrap();
    }
    assert_eq!(all[..got], [1, 2, 3]);
}

fn a_live_holder_is_never_robbed() {
    // Many processes die, entries change hands, and one process keeps its lease.
    let queue: Queue<u64> = Queue::builder().capacity(64).max_participants(4).create().unwrap();
    let (done, stop) = (&shared_words(1)[0], shared_word());
    queue.put(&77).unwrap();
    let ready = shared_word();
    let holder = fork("one who holds on", || {
        let lease = queue.lease().unwrap();
        let mut loan = queue.loan().unwrap();
        ready.store(1, Release);
        wait_for_count("the end of the deaths", stop, 1);
        assert_eq!((*lease, lease.deliveries()), (77, 1));
        lease.release();
        *loan = 78;
        loan.commit().unwrap();
        done.store(1, Release);
    });
    wait_for_count("the holder", ready, 1);
    deaths_around(&queue, done);
    stop.store(1, Release);
    expect_all_succeed(vec![holder]);
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 78);
    assert_eq!(queue.stats().redelivered, 0);
}

fn deaths_around(queue: &Queue<u64>, done: &AtomicU64) {
    for _ in 0..40 {
        victim("one of many dead", |wait| {
            // A loan behind the holder's lease, which keeps its room until that ends. It is aborted
            // with its owner.
            let _loan = queue.loan_timeout(PATIENCE).unwrap();
            wait();
        })
        .kill();
        queue.recover();
        assert_eq!(done.load(Relaxed), 0);
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    }
}
