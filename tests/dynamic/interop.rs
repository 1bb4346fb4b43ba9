//! Typed processes and processes that never saw the type use one queue, both ways.

use super::{TICK, Tick};
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words};
use crate::support::{PATIENCE, unique_name};
use shmq::{DynQueue, GetError, MessageLayout, Queue};
use std::sync::atomic::Ordering::Relaxed;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_typed_putter_and_a_getter_by_bytes,
        a_putter_by_bytes_and_a_typed_getter,
        slices_go_both_ways,
        bytes_go_both_ways,
        values_of_many_alignments_lie_where_the_type_wants_them,
        every_message_arrives_once_among_typed_and_untyped_processes,
        bits_that_are_no_value_are_invalid_to_the_typed_side,
        #[cfg(feature = "object")]
        encoded_objects_go_both_ways,
        #[cfg(feature = "object")]
        objects_larger_than_the_ring_go_both_ways,
        #[cfg(feature = "object")]
        handles_are_sent,
    ]
}

const COUNT: u32 = 500;

fn a_typed_putter_and_a_getter_by_bytes() {
    let name = unique_name("typed-putter");
    let queue = Queue::<Tick>::create(&name, 7).unwrap();
    let getter = fork("a getter by bytes", || {
        let bytes = DynQueue::open(&name).unwrap();
        assert_eq!(bytes.layout().structure_text(), Some(TICK));
        let mut buffer = [0; 24];
        for n in 0..COUNT {
            let expected = Tick::bytes(n);
            match n % 4 {
                0 => assert_eq!(bytes.get_timeout(PATIENCE).unwrap(), expected),
                1 => {
                    assert_eq!(bytes.get_into_timeout(&mut buffer, PATIENCE).unwrap(), 24);
                    assert_eq!(buffer[..], expected);
                }
                2 => assert_eq!(*bytes.lease_timeout(PATIENCE).unwrap(), expected),
                _ => {
                    assert_eq!(bytes.get_slice_timeout(&mut buffer, PATIENCE).unwrap(), 1);
                    assert_eq!(buffer[..], expected);
                }
            }
        }
    });
    (0..COUNT).for_each(|n| queue.put_timeout(&Tick::numbered(n), PATIENCE).unwrap());
    getter.expect_success();
    assert_eq!(queue.stats().gets, u64::from(COUNT));
}

fn a_putter_by_bytes_and_a_typed_getter() {
    let name = unique_name("putter-by-bytes");
    let queue = Queue::<Tick>::create(&name, 7).unwrap();
    let putter = fork("a putter by bytes", || {
        let bytes = DynQueue::open(&name).unwrap();
        for n in (0..COUNT).step_by(4) {
            bytes.put_timeout(&Tick::bytes(n), PATIENCE).unwrap();
            let mut loan = bytes.loan_timeout(PATIENCE).unwrap();
            loan.copy_from_slice(&Tick::bytes(n + 1));
            loan.commit().unwrap();
            let two = [Tick::bytes(n + 2), Tick::bytes(n + 3)].concat();
            assert_eq!(bytes.put_slice_timeout(&two, PATIENCE).unwrap(), 2);
        }
    });
    for n in 0..COUNT {
        assert_eq!(queue.get_timeout(PATIENCE).unwrap(), Tick::numbered(n));
    }
    putter.expect_success();
}

fn slices_go_both_ways() {
    let (there, back) = (unique_name("slices-there"), unique_name("slices-back"));
    let queue = Queue::<[Tick]>::builder().name(&there).capacity_bytes(4096).create().unwrap();
    let answers = DynQueue::builder(MessageLayout::of::<[Tick]>()).name(&back).capacity_bytes(4096).create().unwrap();
    let echo = fork("an echo by bytes", || {
        let (from, to) = (DynQueue::open(&there).unwrap(), DynQueue::open(&back).unwrap());
        for n in 0..COUNT as usize {
            let message =
                if n % 2 == 0 { from.get_timeout(PATIENCE).unwrap() } else { from.lease_timeout(PATIENCE).unwrap().to_vec() };
            assert_eq!(message.len(), n % 9 * 24);
            if n % 3 == 0 {
                let mut loan = to.loan_len_timeout(message.len() + 24, PATIENCE).unwrap();
                loan[..message.len()].copy_from_slice(&message);
                loan.commit_len(message.len()).unwrap();
            } else {
                to.put_timeout(&message, PATIENCE).unwrap();
            }
        }
    });
    drop(answers);
    let answers = Queue::<[Tick]>::open(&back).unwrap();
    for n in 0..COUNT {
        let slice: Vec<Tick> = (0..n % 9).map(Tick::numbered).collect();
        queue.put_timeout(&slice, PATIENCE).unwrap();
        assert_eq!(answers.get_timeout(PATIENCE).unwrap(), slice);
    }
    echo.expect_success();
}

fn bytes_go_both_ways() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    let echo = fork("a getter by bytes", || {
        let bytes = DynQueue::open(queue.name()).unwrap();
        for len in [0, 1, 15, 16, 17, 4096, 4097, 20_000] {
            assert_eq!(bytes.get_timeout(PATIENCE).unwrap(), vec![len as u8; len]);
        }
    });
    for len in [0, 1, 15, 16, 17, 4096, 4097, 20_000] {
        queue.put_timeout(&vec![len as u8; len], PATIENCE).unwrap();
    }
    echo.expect_success();
}

/// What a typed process writes and reads in place at an aligned address, the other does as bytes.
fn values_of_many_alignments_lie_where_the_type_wants_them() {
    #[shmq::message]
    #[repr(C, align(64))]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Line([u64; 8]);
    #[shmq::message]
    #[repr(C, align(4096))]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Page([u64; 512]);

    fn check<T: shmq::Plain + Clone + PartialEq + std::fmt::Debug>(value: T, bytes: &[u8]) {
        let by_type = Queue::<T>::new(3).unwrap();
        let by_layout = DynQueue::new(MessageLayout::of::<T>(), 3).unwrap();
        assert_eq!((by_type.capacity_in_bytes(), by_layout.layout().align()), (by_layout.capacity_bytes(), align_of::<T>()));
        let typed = Queue::<T>::open(by_layout.name()).unwrap();
        let untyped = DynQueue::open(by_type.name()).unwrap();
        for _ in 0..7 {
            by_type.put(&value).unwrap();
            let lease = untyped.lease().unwrap();
            assert_eq!((&*lease, lease.as_ptr().addr() % align_of::<T>()), (bytes, 0));
            drop(lease);
            let mut loan = by_layout.loan().unwrap();
            assert_eq!((loan.len(), loan.as_ptr().addr() % align_of::<T>()), (size_of::<T>(), 0));
            loan.copy_from_slice(bytes);
            loan.commit().unwrap();
            assert_eq!(*typed.lease().unwrap(), value);
        }
    }

    trait InBytes {
        fn capacity_in_bytes(&self) -> usize;
    }
    impl<T: shmq::Message> InBytes for Queue<T> {
        fn capacity_in_bytes(&self) -> usize {
            DynQueue::open(self.name()).unwrap().capacity_bytes()
        }
    }

    check(7u8, &[7]);
    check([1u8, 2, 3], &[1, 2, 3]);
    check(0x0102_0304u32, &0x0102_0304u32.to_ne_bytes());
    check([5u64; 3], &[5u64.to_ne_bytes(); 3].concat());
    check(Line([6; 8]), &[6u64.to_ne_bytes(); 8].concat());
    check(Page([7; 512]), &[7u64.to_ne_bytes(); 512].concat());
    check([8u64; 2000], &[8u64.to_ne_bytes(); 2000].concat());
}

fn every_message_arrives_once_among_typed_and_untyped_processes() {
    let name = unique_name("mixed");
    let queue = Queue::<u64>::create(&name, 16).unwrap();
    let received = shared_words(4 * COUNT as usize);
    let note = |n: u64| {
        received[n as usize].fetch_add(1, Relaxed);
    };
    let putters: Vec<Child> = (0..4u64)
        .map(|nth| {
            let numbers = nth * u64::from(COUNT)..(nth + 1) * u64::from(COUNT);
            let name = &name;
            fork("a putter", move || {
                if nth % 2 == 0 {
                    let queue = Queue::<u64>::open(name).unwrap();
                    numbers.for_each(|n| queue.put_timeout(&n, PATIENCE).unwrap());
                } else {
                    let queue = DynQueue::open(name).unwrap();
                    numbers.for_each(|n| queue.put_timeout(&n.to_ne_bytes(), PATIENCE).unwrap());
                }
            })
        })
        .collect();
    let getters: Vec<Child> = (0..4)
        .map(|nth| {
            let (name, note) = (&name, &note);
            fork("a getter", move || {
                if nth % 2 == 0 {
                    Queue::<u64>::open(name).unwrap().iter().for_each(|n| note(n.unwrap()));
                } else {
                    let number = |bytes: Vec<u8>| u64::from_ne_bytes(bytes.try_into().unwrap());
                    DynQueue::open(name).unwrap().iter().for_each(|bytes| note(number(bytes.unwrap())));
                }
            })
        })
        .collect();
    expect_all_succeed(putters);
    queue.close();
    expect_all_succeed(getters);
    assert!(received.iter().all(|count| count.load(Relaxed) == 1));
}

fn bits_that_are_no_value_are_invalid_to_the_typed_side() {
    let queue = Queue::<bool>::new(4).unwrap();
    let bytes = DynQueue::open(queue.name()).unwrap();
    bytes.put_slice(&[2, 1]).unwrap();
    assert!(matches!(queue.get(), Err(GetError::Invalid)));
    assert!(queue.get().unwrap());
    // By bytes they are what they are.
    bytes.put(&[2]).unwrap();
    assert_eq!(bytes.get().unwrap(), [2]);
}

#[cfg(feature = "object")]
fn encoded_objects_go_both_ways() {
    let name = unique_name("objects");
    let objects = shmq::ObjectQueue::<Vec<String>>::create(&name, 8).unwrap();
    let words: Vec<String> = ["one", "two"].map(str::to_owned).into();
    let encoded: Vec<u8> = [&[0x92, 0xa3][..], b"one", &[0xa3], b"two"].concat();
    let peer = fork("a peer without the type", || {
        let bytes = DynQueue::open(&name).unwrap();
        assert_eq!(bytes.get_timeout(PATIENCE).unwrap(), encoded);
        bytes.put_timeout(&encoded, PATIENCE).unwrap();
        // Larger than what objects may take outside the ring.
        let error = bytes.loan_len(1 << 60).unwrap_err();
        assert!(matches!(error, shmq::PutError::TooLarge { .. }), "{error}");
    });
    objects.put(&words).unwrap();
    peer.expect_success();
    assert_eq!(objects.get().unwrap(), words);
}

/// They go into files of their own, whoever puts them.
#[cfg(feature = "object")]
fn objects_larger_than_the_ring_go_both_ways() {
    let builder = shmq::ObjectQueue::<String>::builder().name(unique_name("spilled")).capacity_bytes(1 << 16);
    let objects = builder.max_spilled_bytes(64 << 20).create().unwrap();
    let text = "0123456789abcdef".repeat(1 << 16);
    let encoded = [&[0xdb][..], &(text.len() as u32).to_be_bytes(), text.as_bytes()].concat();
    let peer = fork("a peer without the type", || {
        let bytes = DynQueue::open(objects.name()).unwrap();
        let mut buffer = vec![0; encoded.len()];
        assert_eq!(bytes.get_timeout(PATIENCE).unwrap(), encoded);
        assert_eq!(bytes.get_into_timeout(&mut buffer, PATIENCE).unwrap(), encoded.len());
        assert_eq!(buffer, encoded);
        assert_eq!(*bytes.lease_timeout(PATIENCE).unwrap(), encoded);
        bytes.put_timeout(&encoded, PATIENCE).unwrap();
        let mut loan = bytes.loan_len_timeout(encoded.len(), PATIENCE).unwrap();
        loan.copy_from_slice(&encoded);
        loan.commit().unwrap();
        let producer = bytes.producer().unwrap();
        producer.put_timeout(&encoded, PATIENCE).unwrap();
        let mut loan = producer.loan_len_timeout(encoded.len() + 99, PATIENCE).unwrap();
        loan[..encoded.len()].copy_from_slice(&encoded);
        loan.commit_len(encoded.len()).unwrap();
        drop(bytes.loan_len_timeout(encoded.len(), PATIENCE)); // held by the producer, or aborted
    });
    (0..3).for_each(|_| objects.put(&text).unwrap());
    peer.expect_success();
    (0..4).for_each(|_| assert_eq!(objects.get_timeout(PATIENCE).unwrap(), text));
    assert!(objects.is_empty());
}

/// A handle of either kind arrives as one of the other: both are the name of the segment.
#[cfg(feature = "object")]
fn handles_are_sent() {
    let typed = Queue::<u64>::new(4).unwrap();
    let untyped = DynQueue::open(typed.name()).unwrap();
    let received: DynQueue = serde_json::from_str(&serde_json::to_string(&typed).unwrap()).unwrap();
    received.put(&7u64.to_ne_bytes()).unwrap();
    assert_eq!(typed.get().unwrap(), 7);
    let received: Queue<u64> = serde_json::from_str(&serde_json::to_string(&untyped).unwrap()).unwrap();
    received.put(&8).unwrap();
    assert_eq!(untyped.get().unwrap(), 8u64.to_ne_bytes());
    let sender: shmq::DynSender = serde_json::from_str(&serde_json::to_string(&untyped.sender()).unwrap()).unwrap();
    let receiver: shmq::DynReceiver = serde_json::from_str(&serde_json::to_string(&untyped.receiver()).unwrap()).unwrap();
    sender.put(&[9; 8]).unwrap();
    assert_eq!(receiver.get().unwrap(), [9; 8]);
    assert_eq!(receiver.layout(), untyped.layout());
}
