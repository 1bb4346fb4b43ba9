//! Messages that are larger than a short copy, than the stack, than what is held under a lock.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork};
use crate::support::{BY_ITSELF, PATIENCE, matches_pattern, pattern};
use shmq::{GetError, Topic};
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        lengths_around_a_page_by_lock_and_by_endpoint,
        large_messages_of_several_processes_by_lock_arrive_whole,
        large_values_in_batches,
        a_megabyte_goes_to_several_processes_in_place,
        messages_of_megabytes_need_no_stack,
        latest_of_large_messages,
    ]
}

fn lengths_around_a_page_by_lock_and_by_endpoint() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 19).create().unwrap();
    let (mut every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let mut buffer = vec![0; topic.max_len()];
    for owned in [false, true] {
        let publisher = owned.then(|| topic.publisher().unwrap());
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 4000, 4095, 4096, 4097, 5000, 65_535, 65_536, 65_537, topic.max_len()] {
            let message = pattern(length as u64, length);
            match &publisher {
                Some(publisher) => publisher.try_publish(&message).unwrap(),
                None => topic.try_publish(&message).unwrap(),
            }
            assert_eq!(*every.try_read().unwrap(), *message);
            let count = live.try_next_into(&mut buffer).unwrap();
            assert!(count == length && matches_pattern(length as u64, &buffer[..count]), "{length}");
        }
    }
}

fn large_messages_of_several_processes_by_lock_arrive_whole() {
    const EACH: u64 = 150;
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    let every = topic.subscribe().unwrap();
    let publishers: Vec<Child> = (0..3u64)
        .map(|publisher| {
            let topic = &topic;
            fork("a publisher of large messages", move || {
                for n in 0..EACH {
                    let tag = publisher << 32 | n;
                    let length = 8 + (n as usize * 977 + publisher as usize * 31) % 20_000;
                    let mut message = pattern(tag, length);
                    message[..8].copy_from_slice(&tag.to_le_bytes());
                    topic.publish_timeout(&message, PATIENCE).unwrap();
                }
            })
        })
        .collect();
    let mut next = [0; 3];
    for _ in 0..3 * EACH {
        let mut message = every.next_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}: {}", crate::describe(&topic)));
        let tag = u64::from_le_bytes(message[..8].try_into().unwrap());
        message[..8].copy_from_slice(&pattern(tag, 8));
        assert!(matches_pattern(tag, &message), "message {tag:#x}");
        let place = &mut next[(tag >> 32) as usize];
        assert_eq!(tag & 0xffff_ffff, *place, "in the order of its publisher");
        *place += 1;
    }
    expect_all_succeed(publishers);
    assert!(every.try_next().unwrap_err().is_empty());
}

fn large_values_in_batches() {
    type Page = [u64; 1000];
    let topic = Topic::<Page>::new(3).unwrap();
    let every = topic.subscribe().unwrap();
    let batch: Vec<Page> = (0..20).map(|n| [n; 1000]).collect();
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(topic.publish_slice_timeout(&batch, PATIENCE).unwrap(), 20));
        let mut received = 0;
        let mut pages = vec![[0; 1000]; 2];
        while received < 20 {
            let count = every.next_slice_timeout(&mut pages, PATIENCE).unwrap();
            for page in &pages[..count] {
                assert!(*page == [received; 1000], "page {received}");
                received += 1;
            }
        }
    });
}

fn a_megabyte_goes_to_several_processes_in_place() {
    type Frame = [u64; 1 << 17];
    let topic = Topic::<Frame>::new(3).unwrap();
    let readers: Vec<Child> = (0..3)
        .map(|_| {
            let topic = &topic;
            fork("a reader of frames", move || {
                let mut every = topic.subscribe().unwrap();
                for n in 0..12u64 {
                    let frame = every.read_timeout(PATIENCE).unwrap();
                    assert!(frame.iter().all(|&word| word == n), "frame {n}: {}", frame[0]);
                }
                assert!(every.read_timeout(PATIENCE).map(drop).unwrap_err().is_closed());
            })
        })
        .collect();
    topic.wait_subscribers(3, PATIENCE).unwrap();
    let publisher = topic.publisher().unwrap();
    for n in 0..12 {
        let mut frame = publisher.loan_timeout(PATIENCE).unwrap();
        frame.fill(n);
        frame.commit().unwrap();
    }
    topic.close();
    expect_all_succeed(readers);
}

const BYTES: usize = 3_000_000;
type Big = [u8; BYTES];

/// The stack of a thread. A message is more than ten times as large.
const STACK_BYTES: usize = 256 << 10;

fn big(last: u8) -> Box<Big> {
    let mut big: Box<Big> = vec![0; BYTES].into_boxed_slice().try_into().unwrap();
    big[BYTES - 1] = last;
    big
}

fn messages_of_megabytes_need_no_stack() {
    let work = || {
        let topic = Topic::<Big>::new(4).unwrap();
        let (mut every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
        assert!(every.try_next_boxed().unwrap_err().is_empty());
        assert!(every.next_boxed_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
        topic.publish(&big(1)).unwrap();
        let publisher = topic.publisher().unwrap();
        (2..=4).for_each(|last| publisher.publish(&big(last)).unwrap());
        assert_eq!(every.next_boxed().unwrap()[BYTES - 1], 1);
        assert_eq!(every.try_next_boxed().unwrap()[BYTES - 1], 2);
        assert_eq!(every.read().unwrap()[BYTES - 1], 3);
        assert_eq!(every.next_boxed_deadline(Instant::now() + BY_ITSELF).unwrap()[BYTES - 1], 4);
        let mut expected = 1;
        while let Ok(message) = live.try_next_boxed() {
            assert_eq!(message[BYTES - 1], expected);
            expected += 1;
        }
        assert_eq!(expected, 5);
        topic.close();
        assert!(matches!(every.next_boxed(), Err(GetError::Closed)));
    };
    thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join().unwrap();
}

fn latest_of_large_messages() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 18).create().unwrap();
    let live = topic.subscribe_lossy().unwrap();
    for n in 0..100u64 {
        for more in 0..n % 4 {
            topic.publish(&pattern(more, 50_000)).unwrap();
        }
        let length = 30_000 + n as usize * 531;
        topic.publish(&pattern(n, length)).unwrap();
        let got = live.latest().unwrap();
        assert!(got.len() == length && matches_pattern(n, &got), "{n}");
    }
    assert_eq!(live.received() + live.missed(), topic.stats().published);
}
