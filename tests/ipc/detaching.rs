//! Leaving for certain: `detach` succeeds for the last user of a process only, names what is in the
//! way, and has left when it returns. And the last owned guard as the last participant.

use crate::support::harness::Case;
use crate::support::process::{Exit, fork, fork_with_code, shared_word, wait_for_count};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{PATIENCE, segment_exists, unique_name};
use shmq::inspect::Inspector;
use shmq::{DetachError, GetError, InUse, Queue, Stop};
use std::cell::RefCell;
use std::sync::atomic::Ordering::Release;
use std::sync::{Arc, Barrier, OnceLock};

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_last_handle_leaves_and_takes_the_name_along,
        another_attachment_of_the_process_is_not_touched,
        what_is_in_the_way_is_counted_by_kind,
        a_thread_that_waits_is_named,
        forgotten_guards_are_in_the_way_for_ever,
        a_refused_handle_is_as_it_was,
        a_sender_that_is_detached_ends_the_stream,
        an_inherited_handle_leaves_the_parent_alone,
        an_inherited_owned_guard_is_in_the_way_of_the_child_only,
        of_threads_that_detach_at_once_the_last_one_leaves,
        #[cfg(feature = "object")]
        a_handle_that_arrives_meanwhile_is_in_the_way_or_attaches_anew,
        the_last_owned_guard_leaves,
        owned_guards_that_live_at_the_end_of_a_program_are_those_of_the_dead,
        a_fork_beside_an_owned_guard_is_refused,
    ]
}

/// How often this process is a participant.
fn attached(name: &str) -> usize {
    let seen = Inspector::open(name).expect("a segment of ours").snapshot();
    seen.participants.iter().filter(|participant| participant.pid == std::process::id()).count()
}

fn refused<H>(result: Result<(), DetachError<H>>) -> (H, InUse) {
    let error = result.expect_err("something is in the way");
    let in_use = error.in_use().clone();
    (error.into_handle(), in_use)
}

fn handles(other_handles: usize) -> impl Fn(&InUse) -> bool {
    move |in_use| {
        let text = in_use.to_string();
        assert_eq!(text, format!("{other_handles} other handle{}", if other_handles == 1 { "" } else { "s" }));
        in_use.other_handles == other_handles
    }
}

fn the_last_handle_leaves_and_takes_the_name_along() {
    let name = unique_name("detached");
    let other = unique_name("kept-by-a-peer");
    let peer = Queue::<u64>::create(&other, 4).unwrap();
    fork("a process that detaches", || {
        let queue = Queue::<u64>::create(&name, 4).unwrap();
        assert_eq!(attached(&name), 1);
        queue.detach().unwrap();
        assert!(!segment_exists(&name));

        let queue = Queue::<u64>::open(&other).unwrap();
        queue.put(&7).unwrap();
        assert_eq!(attached(&other), 1);
        queue.detach().unwrap();
        assert_eq!(attached(&other), 0);
    })
    .expect_success();
    assert_eq!(peer.try_get().unwrap(), 7);
    assert_eq!(peer.recover().dead_participants, 0, "it left in good order");

    let persisted = Queue::<u64>::create(&name, 4).unwrap();
    persisted.persist();
    persisted.put(&1).unwrap();
    persisted.detach().unwrap();
    assert_eq!(attached(&name), 0);
    let again = Queue::<u64>::open(&name).unwrap();
    assert_eq!(again.get().unwrap(), 1);
    Queue::<u64>::unlink(&name).unwrap();
}

fn another_attachment_of_the_process_is_not_touched() {
    let name = unique_name("opened-twice");
    let (first, second) = (Queue::<u64>::create(&name, 4).unwrap(), Queue::<u64>::open(&name).unwrap());
    assert_eq!(attached(&name), 2);
    let lease = {
        second.put(&1).unwrap();
        second.lease_owned().unwrap()
    };
    first.detach().unwrap();
    assert_eq!(attached(&name), 1);
    assert_eq!(*lease, 1);
    drop(lease);
    second.detach().unwrap();
    assert!(!segment_exists(&name));
}

fn what_is_in_the_way_is_counted_by_kind() {
    let queue = Queue::<u64>::create(unique_name("in-the-way"), 16).unwrap();
    let name = queue.name().to_owned();
    let clones = [queue.clone(), queue.clone()];
    let (queue, in_use) = refused(queue.detach());
    assert!(handles(2)(&in_use));
    drop(clones);

    // Two handles of one stop, and one of another: each counts.
    let (stop, other) = (Stop::new(), Stop::new());
    let views = [queue.with_stop(&stop), queue.with_stop(&other)];
    let more = [views[0].clone(), views[0].clone()];
    let (queue, in_use) = refused(queue.detach());
    assert!(handles(4)(&in_use));
    let [first, second] = views;
    drop(second);
    let (first, in_use) = refused(first.detach());
    assert!(handles(3)(&in_use));
    drop(more);
    let (first, in_use) = refused(first.detach());
    assert!(handles(1)(&in_use));
    drop(first);

    let endpoints = (queue.producer().unwrap(), queue.consumer().unwrap(), queue.sender(), queue.receiver());
    let (queue, in_use) = refused(queue.detach());
    assert!(handles(4)(&in_use));
    drop(queue);
    let (producer, consumer, sender, receiver) = endpoints;
    let (producer, in_use) = refused(producer.detach());
    assert!(handles(3)(&in_use));
    producer.put(&1).unwrap();
    producer.put(&2).unwrap();
    let lease = consumer.lease_owned().unwrap();
    let ack = receiver.with_stop(&stop).lease_ack_owned();
    assert!(matches!(ack, Err(GetError::Held { .. })));
    drop((sender, receiver));
    let (consumer, in_use) = refused(consumer.detach());
    assert_eq!((in_use.other_handles, in_use.owned_guards, in_use.leases, in_use.loans), (1, 1, 1, 0));
    assert_eq!(in_use.to_string(), "1 other handle, 1 owned guard, 1 lease");
    let loans = [producer.loan_owned().unwrap(), producer.loan_owned().unwrap()];
    drop(producer);
    let (consumer, in_use) = refused(consumer.detach());
    assert_eq!(in_use.to_string(), "3 owned guards, 2 loans, 1 lease");
    drop(loans);
    let view = lease.into_view().unwrap();
    let (consumer, in_use) = refused(consumer.detach());
    assert_eq!(in_use.to_string(), "1 owned guard, 1 message with a view");
    drop(view);
    assert_eq!(attached(&name), 1);
    let peer = Queue::<u64>::open(&name).unwrap();
    consumer.detach().unwrap();
    assert_eq!(attached(&name), 1);
    assert_eq!(peer.try_get().unwrap(), 2, "the side is free");
}

fn a_thread_that_waits_is_named() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let waiter = start_and_wait_until_asleep("a getter", {
        let queue = queue.clone();
        move || queue.get_timeout(PATIENCE)
    });
    let (queue, in_use) = refused(queue.detach());
    assert_eq!((in_use.other_handles, in_use.sleeping_threads), (1, 1));
    assert_eq!(in_use.to_string(), "1 other handle, 1 thread that waits in a call");
    queue.put(&1).unwrap();
    assert_eq!(waiter.join().unwrap(), 1);
    let name = queue.name().to_owned();
    queue.detach().unwrap();
    assert!(!segment_exists(&name));
}

fn forgotten_guards_are_in_the_way_for_ever() {
    for kind in 0..4 {
        let peer: Queue<u64> = Queue::new(4).unwrap();
        let queue = Queue::<u64>::open(peer.name()).unwrap();
        peer.put(&1).unwrap();
        let expected = match kind {
            0 => {
                std::mem::forget(queue.lease().unwrap());
                "1 lease"
            }
            1 => {
                std::mem::forget(queue.loan().unwrap());
                "1 loan"
            }
            2 => {
                std::mem::forget(queue.with_stop(&Stop::new()).lease_ack().unwrap());
                "1 lease"
            }
            _ => {
                std::mem::forget(queue.lease_owned().unwrap());
                "1 owned guard, 1 lease"
            }
        };
        let (queue, in_use) = refused(queue.detach());
        assert_eq!(in_use.to_string(), expected);
        let (queue, in_use) = refused(queue.detach());
        assert_eq!(in_use.to_string(), expected);
        // Dropping it leaves all the same, unless an owned guard keeps it.
        drop(queue);
        assert_eq!(attached(peer.name()), if kind == 3 { 2 } else { 1 });
        let report = peer.recover();
        assert_eq!(
            (report.redelivered, report.aborted),
            match kind {
                0 | 2 => (1, 0),
                1 => (0, 1),
                _ => (0, 0),
            }
        );
        if kind != 3 {
            assert_eq!(peer.try_get().unwrap(), 1);
        }
    }
}

fn a_refused_handle_is_as_it_was() {
    let queue = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let sender = queue.sender();
    let (queue, _) = refused(queue.detach());
    let receiver = queue.receiver();
    drop(queue);
    let (mut sender, mut receiver) = (sender, receiver);
    for round in 0..100 {
        (sender, _) = refused(sender.detach());
        (receiver, _) = refused(receiver.detach());
        sender.put(&round).unwrap();
        assert_eq!(receiver.get().unwrap(), round);
    }
    assert!(!sender.is_closed(), "a refusal ends no role");
    drop(receiver);
    assert!(sender.is_closed());
    sender.detach().unwrap();
}

fn a_sender_that_is_detached_ends_the_stream() {
    let queue = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let (sender, receiver, name) = (queue.sender(), queue.receiver(), queue.name().to_owned());
    drop(queue);
    let go = shared_word();
    let child = fork("a process with the last sender", || {
        let own = Queue::<u64>::open(&name).unwrap();
        let last = own.sender();
        drop(own);
        last.put(&1).unwrap();
        go.store(1, Release);
        wait_for_count("the parent's sender to be gone", go, 2);
        last.detach().unwrap();
        assert_eq!(attached(&name), 0);
    });
    wait_for_count("the child's sender", go, 1);
    drop(sender);
    go.store(2, Release);
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    assert!(matches!(receiver.get_timeout(PATIENCE), Err(GetError::Closed)));
    child.expect_success();

    // In one process, with a peer.
    let peer = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let own = Queue::<u64>::open(peer.name()).unwrap();
    let (sender, receiver) = (own.sender(), peer.receiver());
    drop((own, peer));
    assert!(!sender.is_closed());
    sender.put(&5).unwrap();
    sender.detach().unwrap();
    assert_eq!(receiver.get().unwrap(), 5);
    assert!(matches!(receiver.try_get(), Err(GetError::Closed)), "closed when it returned");
}

fn an_inherited_handle_leaves_the_parent_alone() {
    for uses in [false, true] {
        let name = unique_name("inherited");
        let queue = RefCell::new(Some(Queue::<u64>::create(&name, 4).unwrap()));
        let parent = std::process::id();
        queue.borrow().as_ref().unwrap().put(&1).unwrap();
        fork("a child that detaches", || {
            let inherited = queue.take().unwrap();
            if uses {
                inherited.put(&2).unwrap();
                assert_eq!(attached(&name), 1);
            }
            inherited.detach().unwrap();
            assert_eq!(attached(&name), 0);
            let seen = Inspector::open(&name).unwrap().snapshot();
            assert!(seen.participants.iter().any(|participant| participant.pid == parent && participant.alive));
        })
        .expect_success();
        let queue = queue.take().unwrap();
        assert_eq!(queue.recover().dead_participants, 0);
        assert_eq!(queue.get().unwrap(), 1);
        assert_eq!(queue.try_get().ok(), uses.then_some(2));
        queue.detach().unwrap();
        assert!(!segment_exists(&name));
    }
}

fn an_inherited_owned_guard_is_in_the_way_of_the_child_only() {
    let queue = RefCell::new(Some(Queue::<u64>::new(4).unwrap()));
    queue.borrow().as_ref().unwrap().put(&1).unwrap();
    let lease = RefCell::new(Some(queue.borrow().as_ref().unwrap().lease_owned().unwrap()));
    let loan = RefCell::new(Some(queue.borrow().as_ref().unwrap().loan_owned().unwrap()));
    fork("a child with its parent's guards", || {
        let (queue, lease, mut loan) = (queue.take().unwrap(), lease.take().unwrap(), loan.take().unwrap());
        let panics = |act: &mut dyn FnMut()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err();
        assert!(panics(&mut || assert_eq!(*lease, 1)));
        assert!(panics(&mut || *loan = 9));
        let (queue, in_use) = refused(queue.detach());
        assert_eq!(in_use.to_string(), "2 owned guards", "the messages are the parent's");
        drop(lease);
        assert!(matches!(loan.commit(), Err(shmq::PutError::Inherited)));
        queue.detach().unwrap();
    })
    .expect_success();
    let (queue, mut loan) = (queue.take().unwrap(), loan.take().unwrap());
    assert_eq!(**lease.borrow().as_ref().unwrap(), 1, "on lease still");
    *loan = 2;
    loan.commit().unwrap();
    lease.take().unwrap().give_back();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1, 2));
    queue.detach().unwrap();
}

/// Each thread detaches once, and drops a handle that is refused. At most one succeeds, and the
/// process is no participant any more when that one returns; in the end it is none in any case.
fn of_threads_that_detach_at_once_the_last_one_leaves() {
    const THREADS: usize = 3;
    let peer: Queue<u64> = Queue::new(4).unwrap();
    let mut left = 0;
    for round in 0..300 {
        let own = Queue::<u64>::open(peer.name()).unwrap();
        let start = Arc::new(Barrier::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (start, peer) = (Arc::clone(&start), peer.name().to_owned());
                // A view among them.
                let handle = if number == 1 { own.with_stop(&Stop::new()) } else { own.clone() };
                std::thread::spawn(move || {
                    start.wait();
                    match handle.detach() {
                        Ok(()) => {
                            assert_eq!(attached(&peer), 1, "round {round}: it has left");
                            1
                        }
                        Err(refused) => {
                            assert!(refused.in_use().other_handles > 0 && refused.in_use().loans == 0);
                            0
                        }
                    }
                })
            })
            .collect();
        drop(own);
        let successes: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(successes <= 1, "round {round}");
        assert_eq!(attached(peer.name()), 1, "round {round}");
        left += successes;
    }
    eprintln!("{left} of 300 by a detach");
}

/// A serialised handle finds what the process has attached. Beside a detach it finds it, and is in
/// the way, or does not, and attaches anew: never what is about to be left.
#[cfg(feature = "object")]
fn a_handle_that_arrives_meanwhile_is_in_the_way_or_attaches_anew() {
    const ROUNDS: u64 = 1000;
    let letters = shmq::ObjectQueue::<Queue<u64>>::new(4).unwrap();
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let (name, go) = (queue.name().to_owned(), shared_word());
    let peer = fork("a process that keeps the queue, and sends handles of it", || {
        queue.stats();
        assert!(queue.is_empty() && queue.try_get().is_err());
        go.store(1, Release);
        (0..ROUNDS).for_each(|_| letters.put_timeout(&queue, PATIENCE).unwrap());
        wait_for_count("the end", go, 2);
    });
    wait_for_count("the peer to attach", go, 1);
    queue.detach().unwrap();
    let mut in_the_way = 0;
    for round in 0..ROUNDS {
        let own = Queue::<u64>::open(&name).unwrap();
        let start = Arc::new(Barrier::new(2));
        let arriving = std::thread::spawn({
            let (start, letters) = (Arc::clone(&start), letters.clone());
            move || {
                start.wait();
                let arrived = letters.get_timeout(PATIENCE).unwrap();
                arrived.put(&round).unwrap();
                arrived
            }
        });
        start.wait();
        (0..round % 64).for_each(|_| std::hint::spin_loop());
        in_the_way += u64::from(own.detach().is_err());
        let arrived = arriving.join().unwrap();
        assert_eq!(attached(&name), 1, "round {round}");
        assert_eq!(arrived.get().unwrap(), round);
        arrived.detach().unwrap();
        assert_eq!(attached(&name), 0, "round {round}");
    }
    eprintln!("in the way in {in_the_way} of {ROUNDS}");
    go.store(2, Release);
    peer.expect_success();
}

fn the_last_owned_guard_leaves() {
    for kind in 0..3 {
        let name = unique_name("last-guard");
        let queue = Queue::<u64>::create(&name, 4).unwrap();
        queue.put(&1).unwrap();
        let peer = (kind == 2).then(|| Queue::<u64>::open(&name).unwrap());
        let (lease, mut loan) = (queue.lease_owned().unwrap(), queue.loan_owned().unwrap());
        drop(queue);
        assert_eq!(attached(&name), 1 + usize::from(peer.is_some()));
        *loan = 2;
        std::thread::spawn(move || match kind {
            0 => {
                drop(lease);
                drop(loan);
            }
            _ => {
                loan.commit().unwrap();
                lease.give_back();
            }
        })
        .join()
        .unwrap();
        match peer {
            None => assert!(!segment_exists(&name), "its messages went with it"),
            Some(peer) => {
                assert_eq!(attached(&name), 1);
                assert_eq!((peer.get().unwrap(), peer.get().unwrap()), (1, 2));
            }
        }
    }
}

static LEASE: OnceLock<shmq::Lease<'static, u64>> = OnceLock::new();
static LOAN: OnceLock<std::sync::Mutex<shmq::Loan<'static, u64>>> = OnceLock::new();

fn owned_guards_that_live_at_the_end_of_a_program_are_those_of_the_dead() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    queue.put(&1).unwrap();
    let name = queue.name().to_owned();
    let mut child = fork_with_code("a program that ends with guards in statics", || {
        let own = Queue::<u64>::open(&name).unwrap();
        LEASE.set(own.lease_owned().unwrap()).unwrap();
        assert!(LOAN.set(std::sync::Mutex::new(own.loan_owned().unwrap())).is_ok());
        drop(own);
        std::process::exit(0) // with the handlers of `exit`
    });
    assert_eq!(child.wait(), Exit::Code(0));
    queue.put(&2).unwrap();
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 1, "its lease came back");
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2, "its loan was aborted");
    assert_eq!(queue.recover().aborted, 0, "already");

    // As the last participant it takes the name along.
    let name = unique_name("static-guard");
    let mut child = fork_with_code("a program that ends with a guard as the last participant", || {
        let own = Queue::<u64>::create(&name, 4).unwrap();
        assert!(LOAN.set(std::sync::Mutex::new(own.loan_owned().unwrap())).is_ok());
        drop(own);
        std::process::exit(0)
    });
    assert_eq!(child.wait(), Exit::Code(0));
    assert!(!segment_exists(&name));
}

fn a_fork_beside_an_owned_guard_is_refused() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let loan = queue.loan_owned().unwrap();
    drop(queue);
    let refused = shmq::Process::spawn(|| ()).unwrap_err();
    assert!(refused.to_string().contains("a loan"), "{refused}");
    drop(loan);
    assert!(shmq::Process::spawn(|| ()).unwrap().join().unwrap().success());
}
