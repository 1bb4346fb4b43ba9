//! Loans and samples that have their topic by themselves, and leaving a topic for certain.

#[cfg(not(shmq_portable_sync))]
use crate::support::BY_ITSELF;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, segment_exists};
use shmq::inspect::Inspector;
use shmq::{DetachError, GetError, OwnedSample, PutError, SubscribeError, Topic, TopicLoan};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_owned_loan_outlives_its_handles_and_keeps_its_place,
        a_process_with_a_loan_of_a_topic_does_not_fork,
        an_owned_loan_excludes_lossy_subscribers_until_it_ends,
        an_owned_sample_gates_and_gives_its_subscriber_back,
        a_subscriber_without_a_message_comes_back_with_the_error,
        an_owned_sample_goes_to_another_thread_and_is_the_last_user,
        an_evicted_owned_sample_stays_in_place,
        inherited_owned_guards_are_inert,
        #[cfg(not(shmq_portable_sync))]
        an_owned_sample_of_a_killed_process_frees_its_place,
        what_is_in_the_way_of_a_topic_is_named,
        a_forgotten_sample_is_not_in_the_way_of_its_subscriber,
    ]
}

fn attached(name: &str) -> usize {
    let seen = Inspector::open(name).expect("a segment of ours").snapshot();
    seen.participants.iter().filter(|participant| participant.pid == std::process::id()).count()
}

fn refused<H>(result: Result<(), DetachError<H>>) -> (H, String) {
    let error = result.expect_err("something is in the way");
    let in_use = error.in_use().to_string();
    (error.into_handle(), in_use)
}

fn an_owned_loan_outlives_its_handles_and_keeps_its_place() {
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    let own = Topic::<u64>::open(topic.name()).unwrap();
    let publisher = own.publisher().unwrap();
    drop(own);
    publisher.publish(&0).unwrap();
    let mut loan: TopicLoan<'static, u64> = publisher.loan_owned().unwrap();
    let aborted = publisher.try_loan_owned().unwrap();
    drop(publisher);
    topic.publish(&3).unwrap();
    assert_eq!(every.next().unwrap(), 0);
    assert!(matches!(every.try_next(), Err(GetError::Empty)), "behind the loan");
    std::thread::spawn(move || {
        drop(aborted);
        *loan = 1;
        loan.commit().unwrap();
    })
    .join()
    .unwrap();
    assert_eq!((every.next().unwrap(), every.next().unwrap()), (1, 3));
    assert_eq!((every.missed(), attached(topic.name())), (1, 1));

    let bytes = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let every = bytes.subscribe().unwrap();
    for mut loan in [bytes.loan_len_owned(9).unwrap(), bytes.publisher().unwrap().loan_len_owned(9).unwrap()] {
        loan[..5].copy_from_slice(b"hello");
        loan.commit_len(5).unwrap();
        assert_eq!(every.next().unwrap(), b"hello");
    }
    assert!(matches!(bytes.try_loan_len_owned(1 << 20), Err(PutError::TooLarge { .. })));
}

/// The count is that of the attachment, so it ends with the loan, not with a handle.
/// Wherever in the ring the record is.
fn a_process_with_a_loan_of_a_topic_does_not_fork() {
    let topic = Topic::<u64>::new(4).unwrap();
    for number in 0..20 {
        topic.publish(&number).unwrap();
        let loan = topic.loan_owned().unwrap();
        let refused = shmq::Process::spawn(|| ()).unwrap_err();
        assert!(refused.to_string().contains("a loan"), "{refused}");
        drop(loan);
    }
    std::mem::forget(topic.loan().unwrap());
    assert!(shmq::Process::spawn(|| ()).is_err(), "a forgotten one too");
    let (topic, in_use) = refused(topic.detach());
    assert_eq!(in_use, "1 loan");
    drop(topic);
    assert!(shmq::Process::spawn(|| ()).unwrap().join().unwrap().success());
}

fn an_owned_loan_excludes_lossy_subscribers_until_it_ends() {
    let topic = Topic::<u64>::new(8).unwrap();
    let loan = topic.loan_owned().unwrap();
    let second = topic.clone();
    drop(topic);
    assert!(matches!(second.subscribe_lossy(), Err(SubscribeError::LoansHere)));
    std::thread::spawn(move || drop(loan)).join().unwrap();
    let lossy = second.subscribe_lossy().unwrap();
    assert!(matches!(second.loan_owned(), Err(PutError::LossyHere)));
    drop(lossy);
    second.loan_owned().unwrap().commit().unwrap();
    second.detach().unwrap();
}

fn an_owned_sample_gates_and_gives_its_subscriber_back() {
    let topic = Topic::<u64>::new(2).unwrap();
    let mut subscriber = topic.subscribe().unwrap();
    for round in 0..100 {
        topic.publish_slice(&[round, round + 1]).unwrap();
        let sample: OwnedSample<u64> = subscriber.into_sample().unwrap();
        assert_eq!(*sample, round);
        assert!(topic.try_publish(&9).is_err(), "it holds its place");
        subscriber = sample.into_subscriber();
        topic.try_publish(&(round + 2)).unwrap();
        assert_eq!((subscriber.next().unwrap(), subscriber.next().unwrap()), (round + 1, round + 2));
    }
    topic.publish(&7).unwrap();
    drop(subscriber.into_sample_timeout(PATIENCE).unwrap());
    assert!(topic.subscribers().is_empty(), "its drop ended the subscriber");
}

fn a_subscriber_without_a_message_comes_back_with_the_error() {
    let topic = Topic::<[u16]>::builder().capacity_bytes(4096).create().unwrap();
    let subscriber = topic.subscribe().unwrap();
    let id = subscriber.id();
    let error = subscriber.try_into_sample().unwrap_err();
    assert!(error.error().is_empty());
    let error = error.into_subscriber().into_sample_timeout(std::time::Duration::from_millis(10)).unwrap_err();
    assert!(matches!(error.error(), GetError::Timeout));
    let error = error.into_subscriber().into_sample_deadline(std::time::Instant::now()).unwrap_err();
    let subscriber = error.into_subscriber();
    assert_eq!(subscriber.id(), id);
    topic.publish(&[1, 2, 3]).unwrap();
    let sample = subscriber.into_sample().unwrap();
    assert_eq!(*sample, [1, 2, 3]);
    topic.close();
    let error = sample.into_subscriber().into_sample().unwrap_err();
    assert!(error.error().is_closed());
    let lossy = topic.subscribe_lossy().unwrap();
    assert!(!lossy.into_sample().unwrap_err().into_subscriber().is_gating());
}

fn an_owned_sample_goes_to_another_thread_and_is_the_last_user() {
    let topic = Topic::<u64>::new(4).unwrap();
    let name = topic.name().to_owned();
    let subscriber = topic.subscribe().unwrap();
    topic.publish_slice(&[5, 6]).unwrap();
    let sample = subscriber.into_sample().unwrap();
    drop(topic);
    assert_eq!(attached(&name), 1);
    let sum = std::thread::spawn(move || {
        let first = *sample;
        first + sample.into_subscriber().next().unwrap()
    });
    assert_eq!(sum.join().unwrap(), 11);
    assert!(!segment_exists(&name));
}

fn an_evicted_owned_sample_stays_in_place() {
    let topic = Topic::<u64>::new(2).unwrap();
    let subscriber = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    let sample = subscriber.into_sample().unwrap();
    let id = topic.subscribers()[0].id;
    assert!(topic.evict(id).unwrap());
    assert!(topic.try_publish(&3).is_err(), "not before the sample ends");
    assert_eq!(*sample, 1);
    let subscriber = sample.into_subscriber();
    topic.publish_slice(&[3, 4]).unwrap();
    assert!(matches!(subscriber.next(), Err(GetError::Evicted)));
    assert!(!subscriber.is_gating());
}

fn inherited_owned_guards_are_inert() {
    let topic = Topic::<u64>::new(3).unwrap();
    let subscriber = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    let sample = RefCell::new(Some(subscriber.into_sample().unwrap()));
    let loan = RefCell::new(Some(topic.loan_owned().unwrap()));
    for ending in 0..3 {
        fork("a child with its parent's guards", || {
            let (sample, mut loan) = (sample.take().unwrap(), loan.take().unwrap());
            assert!(catch_unwind(AssertUnwindSafe(|| *sample)).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| *loan = 9)).is_err());
            match ending {
                0 => drop((sample, loan)),
                1 => {
                    assert!(matches!(sample.into_subscriber().next(), Err(GetError::Inherited)));
                    assert!(matches!(loan.commit(), Err(PutError::Inherited)));
                }
                _ => {
                    let (clone, in_use) = refused(topic.clone().detach());
                    drop(clone);
                    assert_eq!(in_use, "2 other handles, 1 owned guard", "the topic, and the sample's subscriber");
                }
            }
        })
        .expect_success();
    }
    let (sample, mut loan) = (sample.take().unwrap(), loan.take().unwrap());
    assert_eq!(*sample, 1);
    *loan = 3;
    loan.commit().unwrap();
    let subscriber = sample.into_subscriber();
    assert_eq!((subscriber.next().unwrap(), subscriber.next().unwrap()), (2, 3));
}

#[cfg(not(shmq_portable_sync))]
fn an_owned_sample_of_a_killed_process_frees_its_place() {
    use crate::support::process::{shared_word, wait_for_count};
    use std::sync::atomic::Ordering::Release;
    let topic = Topic::<u64>::new(2).unwrap();
    let holds = shared_word();
    let holder = fork("a holder of a sample", || {
        let subscriber = Topic::<u64>::open(topic.name()).unwrap().subscribe().unwrap();
        holds.store(1, Release);
        let sample = subscriber.into_sample().unwrap();
        assert_eq!(*sample, 1);
        holds.store(2, Release);
        std::thread::sleep(PATIENCE);
        drop(sample);
    });
    wait_for_count("a subscriber", holds, 1);
    topic.publish_slice(&[1, 2]).unwrap();
    wait_for_count("its sample", holds, 2);
    assert!(topic.try_publish(&3).is_err());
    holder.kill();
    topic.publish_timeout(&3, BY_ITSELF).unwrap();
}

fn what_is_in_the_way_of_a_topic_is_named() {
    let peer = Topic::<u64>::new(4).unwrap();
    let own = Topic::<u64>::open(peer.name()).unwrap();
    let (subscriber, publisher) = (own.subscribe().unwrap(), own.publisher().unwrap());
    let (own, in_use) = refused(own.detach());
    assert_eq!(in_use, "2 other handles");
    publisher.publish_slice(&[1, 2]).unwrap();
    let loan = publisher.loan_owned().unwrap();
    let sample = subscriber.into_sample().unwrap();
    drop(own);
    assert!(shmq::Process::spawn(|| ()).unwrap_err().to_string().contains("a sample"));
    let (publisher, in_use) = refused(publisher.detach());
    assert_eq!(in_use, "1 other handle, 1 owned guard, 1 loan, 1 sample");
    assert_eq!(*sample, 1);
    loan.commit().unwrap();
    let subscriber = sample.into_subscriber();
    let (publisher, in_use) = refused(publisher.detach());
    assert_eq!(in_use, "1 other handle");
    assert_eq!((subscriber.next().unwrap(), attached(peer.name())), (2, 2));
    drop(publisher);
    subscriber.detach().unwrap();
    assert_eq!(attached(peer.name()), 1);
    assert!(peer.subscribers().is_empty(), "gone when it returned");
    peer.publish_slice(&[1, 2, 3, 4]).unwrap();
    let gated = peer.subscribe().unwrap();
    let (peer, in_use) = refused(peer.detach());
    assert_eq!(in_use, "1 other handle");
    drop((gated, peer));
}

fn a_forgotten_sample_is_not_in_the_way_of_its_subscriber() {
    let peer = Topic::<u64>::new(4).unwrap();
    let own = Topic::<u64>::open(peer.name()).unwrap();
    let (mut first, mut second) = (own.subscribe().unwrap(), own.subscribe().unwrap());
    drop(own);
    peer.publish_slice(&[1, 2]).unwrap();
    std::mem::forget(first.read().unwrap());
    std::mem::forget(second.read().unwrap());
    let (first, in_use) = refused(first.detach());
    assert_eq!(in_use, "1 other handle, 1 sample", "that of the other one");
    drop(second);
    first.detach().unwrap();
    assert_eq!(attached(peer.name()), 1);
    peer.publish_slice(&[3, 4, 5, 6]).unwrap();
}
