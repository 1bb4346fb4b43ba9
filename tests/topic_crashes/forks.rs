//! What a forked child inherits is inert: it reads nothing, publishes nothing, and frees nothing.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{BY_ITSELF, unique_name};
use shmq::{GetError, PutError, Start, Topic};
use std::cell::RefCell;

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_inherited_subscriber_is_inert,
        an_inherited_lossy_subscriber_is_inert,
        an_inherited_sample_is_inert,
        an_inherited_publisher_is_inert,
        an_inherited_loan_is_inert,
        a_child_uses_the_topic_as_a_process_of_its_own,
        an_inherited_lossy_subscriber_excludes_no_loan_of_the_child,
        a_raw_fork_keeps_a_dead_parents_gate_shut_until_it_ends,
    ]
}

const CAPACITY: u64 = 4;

fn topic() -> Topic<u64> {
    Topic::builder().name(unique_name("forked")).capacity(CAPACITY as usize).create().unwrap()
}

fn an_inherited_subscriber_is_inert() {
    let topic = topic();
    let mut every = Some(topic.subscribe().unwrap());
    (0..CAPACITY).for_each(|number| topic.publish(&number).unwrap());
    fork("a child", || {
        let mut inherited = every.take().expect("inherited");
        assert!(matches!(inherited.try_next(), Err(GetError::Inherited)));
        assert!(matches!(inherited.latest(), Err(GetError::Inherited)));
        assert!(matches!(inherited.try_read().map(drop), Err(GetError::Inherited)));
        drop(inherited);
        assert_eq!(topic.subscribers().len(), 1);
        assert!(topic.try_publish(&9).is_err(), "the parent gates still");
    })
    .expect_success();
    let every = every.expect("of the parent");
    assert!(matches!(topic.try_publish(&9), Err(PutError::Gated { subscriber, lag: CAPACITY, .. }) if subscriber == every.id()));
    (0..CAPACITY).for_each(|number| assert_eq!(every.try_next().unwrap(), number));
    topic.publish(&9).unwrap();
    assert_eq!(every.try_next().unwrap(), 9);
}

fn an_inherited_lossy_subscriber_is_inert() {
    let topic = topic();
    let mut live = Some(topic.subscribe_lossy().unwrap());
    topic.publish(&1).unwrap();
    fork("a child", || {
        let inherited = live.take().expect("inherited");
        assert!(matches!(inherited.try_next(), Err(GetError::Inherited)));
        drop(inherited);
    })
    .expect_success();
    let live = live.expect("of the parent");
    assert_eq!(topic.subscribers().len(), 1);
    assert_eq!((live.try_next().unwrap(), live.received()), (1, 1));
}

fn an_inherited_sample_is_inert() {
    let topic = topic();
    let mut every = topic.subscribe().unwrap();
    (0..CAPACITY).for_each(|number| topic.publish(&number).unwrap());
    let sample = RefCell::new(Some(every.try_read().unwrap()));
    fork("a child", || drop(sample.take())).expect_success();
    assert!(topic.subscribers()[0].has_sample, "pinned still: {:?}", topic.subscribers());
    assert!(topic.try_publish(&9).unwrap_err().is_full());
    assert_eq!(**sample.borrow().as_ref().expect("of the parent"), 0);
    drop(sample);
    topic.try_publish(&9).unwrap();
    assert_eq!(every.try_next().unwrap(), 1);
}

fn an_inherited_publisher_is_inert() {
    let topic = topic();
    let every = topic.subscribe().unwrap();
    let mut publisher = Some(topic.publisher().unwrap());
    fork("a child", || {
        let inherited = publisher.take().expect("inherited");
        assert!(matches!(inherited.try_publish(&1), Err(PutError::Inherited)));
        assert!(matches!(inherited.try_loan().map(drop), Err(PutError::Inherited)));
        drop(inherited);
        assert!(matches!(topic.try_publish(&1), Err(PutError::Held { .. })), "the parent has it still");
    })
    .expect_success();
    let publisher = publisher.take().expect("of the parent");
    publisher.publish(&2).unwrap();
    assert_eq!(every.try_next().unwrap(), 2);
    assert!(matches!(every.try_next(), Err(GetError::Empty)));
}

fn an_inherited_loan_is_inert() {
    let topic = topic();
    let every = topic.subscribe().unwrap();
    for commits in [true, false] {
        let loan = RefCell::new(Some(topic.loan().unwrap()));
        fork("a child", || {
            let inherited = loan.take().expect("inherited");
            if commits {
                assert!(matches!(inherited.commit(), Err(PutError::Inherited)));
            }
        })
        .expect_success();
        assert!(matches!(every.try_next(), Err(GetError::Empty)), "neither committed nor aborted");
        let mut loan = loan.take().expect("of the parent");
        *loan = 5;
        loan.commit().unwrap();
        assert_eq!((every.try_next().unwrap(), every.missed()), (5, 0));
    }
}

fn a_child_uses_the_topic_as_a_process_of_its_own() {
    let topic = topic();
    let every = topic.subscribe().unwrap();
    topic.publish(&1).unwrap();
    fork("a child", || {
        topic.publish(&2).unwrap();
        let own = topic.subscribe_from(Start::Oldest).unwrap();
        assert_eq!([own.try_next().unwrap(), own.try_next().unwrap()], [1, 2]);
        let of_pid = |pid: u32| topic.subscribers().iter().filter(|one| one.pid == pid).count();
        assert_eq!((of_pid(std::process::id()), topic.subscribers().len()), (1, 2));
    })
    .expect_success();
    assert_eq!([every.try_next().unwrap(), every.try_next().unwrap()], [1, 2]);
    assert_eq!(topic.subscribers().len(), 1);
}

/// A loan and a lossy subscriber exclude each other in one process, and the child is another.
fn an_inherited_lossy_subscriber_excludes_no_loan_of_the_child() {
    let topic = topic();
    let live = topic.subscribe_lossy().unwrap();
    assert!(matches!(topic.try_loan().map(drop), Err(PutError::LossyHere)));
    fork("a child", || {
        let mut loan = topic.try_loan().unwrap();
        *loan = 3;
        loan.commit().unwrap();
    })
    .expect_success();
    assert_eq!(live.try_next().unwrap(), 3);
    // And the other way round: a child subscribes while its parent has a loan.
    drop(live);
    let loan = topic.try_loan().unwrap();
    assert!(topic.subscribe_lossy().is_err());
    fork("another child", || drop(topic.subscribe_lossy().unwrap())).expect_success();
    drop(loan);
    drop(topic.subscribe_lossy().unwrap());
}

/// As with queues: a child that never calls the crate has its parent's descriptors, and with them
/// its sign of life.
fn a_raw_fork_keeps_a_dead_parents_gate_shut_until_it_ends() {
    use crate::support::process::{Child, exit_now, fork_orphan, shared_words, wait_for_count};
    use std::sync::atomic::Ordering::SeqCst;
    let topic = topic();
    let words = shared_words(2);
    let parent = fork_orphan("a subscriber with a child", || {
        let every = topic.subscribe().unwrap();
        // SAFETY: this process has one thread; the child calls nothing of the crate.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // Its parent's death does not end it.
            let end = std::time::Instant::now() + BY_ITSELF;
            while words[1].load(SeqCst) == 0 && std::time::Instant::now() < end {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            exit_now(0);
        }
        words[0].store(pid as u64, SeqCst);
        std::thread::sleep(crate::support::PATIENCE);
        drop(every);
        0
    });
    wait_for_count("its child", &words[0], 1);
    let child = Child::adopted("its child", words[0].load(SeqCst) as u32);
    parent.kill();
    let published = (0..4 * CAPACITY).take_while(|_| topic.try_publish(&1).is_ok()).count();
    eprintln!("{published} published beside the child: {:?}", topic.subscribers());
    let held = topic.publish_timeout(&1, std::time::Duration::from_millis(300));
    eprintln!("beside the child: {held:?}");
    words[1].store(1, SeqCst);
    child.expect_success();
    topic.publish_timeout(&1, BY_ITSELF).unwrap();
}
