//! What a forked child inherits: a handle that works, and guards and endpoints that do nothing.

use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{GetError, PutError, Topic};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_handle_works_on_both_sides_of_a_fork,
        an_inherited_subscriber_is_inert,
        an_inherited_publisher_is_inert,
        an_inherited_sample_is_inert,
        an_inherited_loan_is_inert,
        an_inherited_lossy_subscriber_does_not_exclude_loans,
        a_child_of_a_child_subscribes,
        a_child_that_uses_nothing_changes_nothing,
    ]
}

fn panics(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

fn a_handle_works_on_both_sides_of_a_fork() {
    let (there, back) = (Topic::<u64>::new(3).unwrap(), Topic::<u64>::new(3).unwrap());
    let answers = back.subscribe().unwrap();
    let child = fork("an echo", || {
        for message in &there.subscribe().unwrap() {
            back.publish_timeout(&(message.unwrap() + 1), PATIENCE).unwrap();
        }
        back.close();
    });
    there.wait_subscribers(1, PATIENCE).unwrap();
    for n in 0..1000 {
        there.publish_timeout(&n, PATIENCE).unwrap();
        assert_eq!(answers.next_timeout(PATIENCE).unwrap(), n + 1);
    }
    there.close();
    assert!(answers.next_timeout(PATIENCE).unwrap_err().is_closed());
    child.expect_success();
}

fn an_inherited_subscriber_is_inert() {
    let topic = Topic::<u64>::new(4).unwrap();
    let every = RefCell::new(Some(topic.subscribe().unwrap()));
    topic.publish(&1).unwrap();
    fork("a child with its parent's subscriber", || {
        let mut inherited = every.take().unwrap();
        assert!(matches!(inherited.next(), Err(GetError::Inherited)));
        assert!(matches!(inherited.try_next(), Err(GetError::Inherited)));
        assert!(matches!(inherited.next_timeout(PATIENCE), Err(GetError::Inherited)));
        assert!(matches!(inherited.next_slice(&mut [0]), Err(GetError::Inherited)));
        assert!(matches!(inherited.next_boxed(), Err(GetError::Inherited)));
        assert!(matches!(inherited.latest(), Err(GetError::Inherited)));
        assert!(matches!(inherited.read().map(drop), Err(GetError::Inherited)));
        let mut items = inherited.iter();
        assert!(matches!(items.next(), Some(Err(GetError::Inherited))) && items.next().is_none());
        // It subscribes itself, and finds its parent's subscriber there.
        let own = topic.subscribe().unwrap();
        assert_ne!(own.id(), inherited.id());
        assert_eq!(topic.subscribers().len(), 2);
        drop(inherited);
        assert_eq!(topic.subscribers().len(), 2, "its parent's is still there");
        topic.publish(&2).unwrap();
        assert_eq!(own.next().unwrap(), 2);
    })
    .expect_success();
    let every = every.take().unwrap();
    assert_eq!((every.next().unwrap(), every.next().unwrap()), (1, 2));
    assert_eq!((every.received(), topic.subscribers().len()), (2, 1));
}

fn an_inherited_publisher_is_inert() {
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    let parent = std::process::id();
    let publisher = RefCell::new(Some(topic.publisher().unwrap()));
    publisher.borrow().as_ref().unwrap().publish(&1).unwrap();
    fork("a child with its parent's publisher", || {
        let inherited = publisher.take().unwrap();
        assert!(matches!(inherited.publish(&2), Err(PutError::Inherited)));
        assert!(matches!(inherited.try_publish(&2), Err(PutError::Inherited)));
        assert!(matches!(inherited.publish_timeout(&2, PATIENCE), Err(PutError::Inherited)));
        assert!(matches!(inherited.publish_slice(&[2]), Err(PutError::Inherited)));
        assert!(matches!(inherited.loan().map(drop), Err(PutError::Inherited)));
        assert!(matches!(topic.publish(&2), Err(PutError::Held { pid }) if pid == parent));
        drop(inherited);
        assert!(matches!(topic.publisher().map(drop), Err(PutError::Held { pid }) if pid == parent));
    })
    .expect_success();
    let publisher = publisher.take().unwrap();
    publisher.publish(&3).unwrap();
    drop(publisher);
    topic.publish(&4).unwrap();
    let mut all = [0; 4];
    assert_eq!((every.next_slice(&mut all).unwrap(), all), (3, [1, 3, 4, 0]));
}

fn an_inherited_sample_is_inert() {
    let topic = Topic::<[u64; 8]>::new(2).unwrap();
    for ending in 0..3 {
        let mut every = topic.subscribe().unwrap();
        topic.publish(&[7; 8]).unwrap();
        topic.publish(&[8; 8]).unwrap();
        let sample = RefCell::new(Some(every.read().unwrap()));
        fork("a child with its parent's sample", || {
            let inherited = sample.take().unwrap();
            match ending {
                0 => drop(inherited),
                1 => assert!(panics(|| assert_eq!(inherited[0], 7))),
                _ => assert!(panics(|| {
                    let _dropped_by_a_panic = inherited;
                    panic!("of the test's own");
                })),
            }
            assert!(topic.subscribers()[0].has_sample && topic.subscribers()[0].lag == 2);
            assert!(topic.try_publish(&[9; 8]).unwrap_err().is_full(), "its parent reads still");
        })
        .expect_success();
        let taken = sample.take().unwrap();
        assert_eq!(*taken, [7; 8]);
        drop((taken, sample));
        topic.try_publish(&[9; 8]).unwrap();
        assert_eq!((every.next().unwrap(), every.next().unwrap()), ([8; 8], [9; 8]));
    }
}

fn an_inherited_loan_is_inert() {
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    for ending in 0..4 {
        let mut loan = topic.loan().unwrap();
        *loan = 7;
        let loan = RefCell::new(Some(loan));
        fork("a child with its parent's loan", || {
            let mut inherited = loan.take().unwrap();
            match ending {
                0 => drop(inherited),
                1 => assert!(matches!(inherited.commit(), Err(PutError::Inherited))),
                2 => assert!(panics(|| assert_eq!(*inherited, 7))),
                _ => assert!(panics(|| *inherited = 8)),
            }
            // The handle itself works, behind the loan; and it may read as a lossy one.
            let live = topic.subscribe_lossy().unwrap();
            topic.publish(&100).unwrap();
            assert_eq!(live.try_next().unwrap(), 100, "it began behind the loan");
        })
        .expect_success();
        assert!(every.try_next().unwrap_err().is_empty(), "ending {ending}");
        let loan = loan.take().unwrap();
        assert_eq!(*loan, 7);
        loan.commit().unwrap();
        assert_eq!((every.next().unwrap(), every.next().unwrap()), (7, 100));
        assert_eq!(topic.stats().aborted, 0);
        topic.recover();
    }
}

fn an_inherited_lossy_subscriber_does_not_exclude_loans() {
    let topic = Topic::<u64>::new(8).unwrap();
    let live = RefCell::new(Some(topic.subscribe_lossy().unwrap()));
    fork("a child with its parent's lossy subscriber", || {
        let mut loan = topic.loan().unwrap();
        *loan = 1;
        loan.commit().unwrap();
        drop(live.take());
        let loan = topic.loan().unwrap();
        assert!(topic.subscribe_lossy().is_err());
        loan.commit().unwrap();
    })
    .expect_success();
    assert!(matches!(topic.loan().map(drop), Err(PutError::LossyHere)), "the parent's is there still");
    let live = live.take().unwrap();
    assert_eq!(live.next().unwrap(), 1);
    drop(live);
    topic.loan().unwrap().commit().unwrap();
}

fn a_child_of_a_child_subscribes() {
    let topic = Topic::<u64>::new(4).unwrap();
    let child = fork("a child", || {
        let every = topic.subscribe().unwrap();
        let grandchild = fork("a grandchild", || {
            assert!(matches!(every.try_next(), Err(GetError::Inherited)));
            let own = topic.subscribe().unwrap();
            assert_eq!((own.next_timeout(PATIENCE).unwrap(), own.next_timeout(PATIENCE).unwrap()), (1, 2));
        });
        assert_eq!((every.next_timeout(PATIENCE).unwrap(), every.next_timeout(PATIENCE).unwrap()), (1, 2));
        grandchild.expect_success();
    });
    topic.wait_subscribers(2, PATIENCE).unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    child.expect_success();
    #[cfg(not(shmq_portable_sync))]
    {
        // They ended without dropping what they had.
        topic.publish_slice_timeout(&[0; 100], BY_ITSELF).unwrap();
    }
    let _ = BY_ITSELF;
}

fn a_child_that_uses_nothing_changes_nothing() {
    let topic = Topic::<u64>::new(8).unwrap();
    let mut every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    publisher.publish_slice(&[1, 2]).unwrap();
    let sample = every.read().unwrap();
    for _ in 0..20 {
        fork("a child that only exits", || {}).expect_success();
    }
    let report = topic.recover();
    assert_eq!((report.dead_participants, report.subscribers), (0, 0));
    assert_eq!(*sample, 1);
    drop(sample);
    publisher.publish(&3).unwrap();
    assert_eq!((every.next().unwrap(), every.next().unwrap()), (2, 3));
}
