//! What a message may be, how a handle travels, and what is counted.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_words, wait_for_count};
use crate::support::{PATIENCE, unique_name};
use shmq::{GetError, PutError, SubscribeError, Topic};
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        messages_of_every_size_are_copied_whole,
        wide_types_are_aligned_in_place,
        slices_of_odd_elements,
        a_handle_travels_to_another_process,
        a_child_beyond_the_participants_is_refused,
        counters_count_each_thing_once,
        a_history_of_any_length,
        handles_are_shown,
    ]
}

fn messages_of_every_size_are_copied_whole() {
    fn size<const N: usize>() {
        let topic = Topic::<[u8; N]>::new(3).unwrap();
        let (mut every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
        for round in 0..12u8 {
            let message: [u8; N] = std::array::from_fn(|at| (at as u8).wrapping_mul(7) ^ round);
            match round % 3 {
                0 => topic.publish(&message).unwrap(),
                1 => assert_eq!(topic.publish_slice(&[message]).unwrap(), 1),
                _ => topic.publisher().unwrap().publish(&message).unwrap(),
            }
            if round % 2 == 0 {
                assert_eq!(every.next().unwrap(), message);
                assert_eq!(*live.next_boxed().unwrap(), message);
            } else {
                assert_eq!(*every.read().unwrap(), message);
                let mut some = [[0; N]; 2];
                assert_eq!((live.next_slice(&mut some).unwrap(), some[0]), (1, message));
            }
        }
    }
    size::<1>();
    size::<2>();
    size::<3>();
    size::<7>();
    size::<8>();
    size::<9>();
    size::<12>();
    size::<31>();
    size::<47>();
    size::<48>();
    size::<49>();
    size::<63>();
    size::<64>();
    size::<65>();
    size::<127>();
    size::<1000>();
    size::<4095>();
    size::<4097>();
}

fn wide_types_are_aligned_in_place() {
    let topic = Topic::<u128>::new(3).unwrap();
    let mut every = topic.subscribe().unwrap();
    for n in 0..10u128 {
        let mut loan = topic.loan().unwrap();
        assert_eq!((&raw const *loan).addr() % align_of::<u128>(), 0);
        *loan = n << 100 | n;
        loan.commit().unwrap();
        let sample = every.read().unwrap();
        assert_eq!(((&raw const *sample).addr() % align_of::<u128>(), *sample), (0, n << 100 | n));
    }
    let topic = Topic::<[u128]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let mut every = topic.subscribe().unwrap();
    for n in 0..100usize {
        let message: Vec<u128> = (0..n % 20).map(|at| (at as u128) << 90 | n as u128).collect();
        if n % 2 == 0 {
            topic.try_publish(&message).unwrap();
        } else {
            let mut loan = topic.try_loan_len(message.len()).unwrap();
            assert_eq!(loan.as_ptr().addr() % align_of::<u128>(), 0);
            loan.copy_from_slice(&message);
            loan.commit().unwrap();
        }
        let sample = every.try_read().unwrap();
        assert_eq!((sample.as_ptr().addr() % align_of::<u128>(), &*sample), (0, &*message));
    }
}

fn slices_of_odd_elements() {
    let topic = Topic::<[[u8; 3]]>::builder().capacity_bytes(4096).create().unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    for n in 0..200usize {
        let message: Vec<[u8; 3]> = (0..n % 50).map(|at| [at as u8, n as u8, 7]).collect();
        topic.try_publish(&message).unwrap();
        assert_eq!(every.try_next().unwrap(), message);
        let mut buffer = [[0; 3]; 64];
        let count = live.try_next_into(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], message);
    }
    assert!(matches!(topic.try_publish(&vec![[0; 3]; topic.max_len() + 1]), Err(PutError::TooLarge { .. })));
    topic.try_publish(&vec![[0; 3]; topic.max_len()]).unwrap();
}

fn a_handle_travels_to_another_process() {
    let post = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let letters = shared_words(1);
    let child = fork("a receiver of handles", || {
        let every = post.subscribe().unwrap();
        letters[0].store(1, Release);
        for letter in &every {
            let (named, slices): (Topic<u64>, Topic<[u8]>) = serde_json::from_slice(&letter.unwrap()).unwrap();
            let numbers = named.subscribe().unwrap();
            slices.publish_timeout(b"ready", PATIENCE).unwrap();
            assert_eq!(numbers.next_timeout(PATIENCE).unwrap(), 7);
            slices.publish_timeout(b"done", PATIENCE).unwrap();
        }
    });
    wait_for_count("the receiver", &letters[0], 1);
    for named in [false, true] {
        let numbers = if named { Topic::create(unique_name("sent"), 4).unwrap() } else { Topic::<u64>::new(4).unwrap() };
        let slices = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
        let answers = slices.subscribe().unwrap();
        post.publish_timeout(serde_json::to_string(&(&numbers, &slices)).unwrap().as_bytes(), PATIENCE).unwrap();
        assert_eq!(answers.next_timeout(PATIENCE).unwrap(), b"ready");
        numbers.publish(&7).unwrap();
        assert_eq!(answers.next_timeout(PATIENCE).unwrap(), b"done");
    }
    post.close();
    child.expect_success();
    // What was sent is of one type only.
    let topic = Topic::<u64>::new(4).unwrap();
    let letter = serde_json::to_string(&topic).unwrap();
    assert!(serde_json::from_str::<Topic<u32>>(&letter).is_err());
    assert!(serde_json::from_str::<shmq::Queue<u64>>(&letter).is_err());
    assert_eq!(serde_json::from_str::<Topic<u64>>(&letter).unwrap().capacity(), 4);
}

fn a_child_beyond_the_participants_is_refused() {
    let topic = Topic::<u64>::builder().capacity(4).max_participants(1).create().unwrap();
    let every = topic.subscribe().unwrap();
    fork("a child for which there is no room", || {
        let refused = topic.subscribe().unwrap_err();
        assert!(matches!(refused, SubscribeError::TooManyParticipants { max: 1 }), "{refused:?}");
        assert!(matches!(topic.subscribe_lossy(), Err(SubscribeError::TooManyParticipants { max: 1 })));
        assert!(matches!(topic.try_publish(&1), Err(PutError::TooManyParticipants { max: 1 })));
        assert!(matches!(topic.publisher(), Err(PutError::TooManyParticipants { max: 1 })));
        assert!(matches!(every.try_next(), Err(GetError::Inherited)));
        // Nobody looks dead to it.
        assert!(topic.subscribers().iter().all(|one| one.is_alive));
    })
    .expect_success();
    topic.publish(&1).unwrap();
    assert_eq!(every.next().unwrap(), 1);
}

fn counters_count_each_thing_once() {
    let topic = Topic::<u64>::new(2).unwrap();
    let every = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    for _ in 0..3 {
        assert!(topic.try_publish(&3).unwrap_err().is_full());
    }
    assert!(topic.publish_timeout(&3, Duration::from_millis(30)).unwrap_err().is_timeout());
    assert_eq!((every.next().unwrap(), every.next().unwrap()), (1, 2));
    assert!(every.try_next().unwrap_err().is_empty());
    assert!(every.next_timeout(Duration::from_millis(30)).unwrap_err().is_timeout());
    drop(topic.loan().unwrap());
    topic.loan().unwrap().commit().unwrap();
    assert!(topic.evict(every.id()).unwrap());
    let stats = topic.stats();
    assert_eq!((stats.published, stats.aborted, stats.evictions, stats.recoveries), (4, 1, 1, 0), "{stats:?}");
    assert_eq!((stats.refused_publishes, stats.publish_timeouts, stats.read_timeouts), (3, 1, 1), "{stats:?}");
    // Others see the same.
    fork("another process", || assert_eq!(topic.stats().published, 4)).expect_success();
}

fn a_history_of_any_length() {
    for history in [1, 8, 1 << 40, usize::MAX] {
        let topic = Topic::<u64>::builder().capacity(8).history(history).create().unwrap();
        for n in 0..100 {
            topic.try_publish(&n).unwrap();
            let every = topic.subscribe().unwrap();
            let kept = history.min(7) as u64;
            assert!(every.lag() >= kept.min(n + 1) && every.lag() <= history as u64, "{history}: {} of {n}", every.lag());
            assert_eq!(every.try_next().unwrap() + every.lag(), n);
        }
        let slices = Topic::<[u8]>::builder().capacity_bytes(4096).history(history).create().unwrap();
        for n in 0..100u8 {
            slices.try_publish(&[n; 100]).unwrap();
            let every = slices.subscribe().unwrap();
            assert!(every.lag() >= history.min(8).min(n as usize + 1) as u64, "{history}: {} of {n}", every.lag());
            assert_eq!(u64::from(every.try_next().unwrap()[0]) + every.lag(), u64::from(n));
        }
    }
}

fn handles_are_shown() {
    let topic = Topic::<u64>::create(unique_name("shown"), 4).unwrap();
    let mut every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    publisher.publish(&1).unwrap();
    for text in [format!("{topic:?}"), format!("{publisher:?}"), format!("{every:?}"), format!("{:?}", publisher.loan().unwrap())]
    {
        assert!(text.contains(topic.name()) || text.contains("TopicLoan"), "{text}");
    }
    let id = every.id().to_string();
    let sample = every.read().unwrap();
    assert!(format!("{sample:?}").contains("Sample"));
    drop(sample);
    // The loan that was dropped has a place as well.
    publisher.publish_slice(&[1, 2, 3]).unwrap();
    let full = publisher.try_publish(&5).unwrap_err().to_string();
    let pid = std::process::id();
    assert!(full.contains(&format!("subscriber {id} of process {pid} lags 4 messages behind")), "{full}");
    let late = publisher.publish_timeout(&5, Duration::ZERO).unwrap_err().to_string();
    assert!(late.starts_with("timed out"), "{late}");
}
