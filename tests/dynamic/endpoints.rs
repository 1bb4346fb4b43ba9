//! Endpoints by bytes, beside typed ones.

use super::Tick;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::{DynQueue, GetError, MessageLayout, PutError, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_producer_by_bytes_and_a_typed_consumer,
        a_typed_producer_and_a_consumer_by_bytes,
        endpoints_of_slices,
        values_of_many_sizes_pass_between_endpoints,
        an_endpoint_owns_its_side,
        in_place_by_endpoints,
    ]
}

const COUNT: u32 = 2_000;

fn a_producer_by_bytes_and_a_typed_consumer() {
    let name = unique_name("producer-by-bytes");
    let queue = Queue::<Tick>::create(&name, 64).unwrap();
    let putter = fork("a producer by bytes", || {
        let producer = DynQueue::open(&name).unwrap().producer().unwrap();
        for n in (0..COUNT).step_by(4) {
            producer.put_timeout(&Tick::bytes(n), PATIENCE).unwrap();
            let mut loan = producer.loan_timeout(PATIENCE).unwrap();
            loan.copy_from_slice(&Tick::bytes(n + 1));
            loan.commit().unwrap();
            let two = [Tick::bytes(n + 2), Tick::bytes(n + 3)].concat();
            assert_eq!(producer.put_slice_timeout(&two, PATIENCE).unwrap(), 2);
        }
    });
    let consumer = queue.consumer().unwrap();
    for n in 0..COUNT {
        assert_eq!(consumer.get_timeout(PATIENCE).unwrap(), Tick::numbered(n));
    }
    putter.expect_success();
}

fn a_typed_producer_and_a_consumer_by_bytes() {
    let name = unique_name("consumer-by-bytes");
    let queue = Queue::<Tick>::create(&name, 64).unwrap();
    let getter = fork("a consumer by bytes", || {
        let consumer = DynQueue::open(&name).unwrap().consumer().unwrap();
        let mut buffer = [0; 24];
        for n in 0..COUNT {
            let expected = Tick::bytes(n);
            match n % 4 {
                0 => assert_eq!(consumer.get_timeout(PATIENCE).unwrap(), expected),
                1 => {
                    assert_eq!(consumer.get_into_timeout(&mut buffer, PATIENCE).unwrap(), 24);
                    assert_eq!(buffer[..], expected);
                }
                2 => assert_eq!(*consumer.lease_timeout(PATIENCE).unwrap(), expected),
                _ => {
                    assert_eq!(consumer.get_slice_timeout(&mut buffer, PATIENCE).unwrap(), 1);
                    assert_eq!(buffer[..], expected);
                }
            }
        }
    });
    let producer = queue.producer().unwrap();
    (0..COUNT).for_each(|n| producer.put_timeout(&Tick::numbered(n), PATIENCE).unwrap());
    getter.expect_success();
}

fn endpoints_of_slices() {
    let queue = DynQueue::builder(MessageLayout::slice(4, 4).unwrap()).capacity_bytes(4096).create().unwrap();
    let getter = fork("a consumer", || {
        let consumer = queue.consumer().unwrap();
        for n in 0..COUNT as usize {
            let expected = vec![n as u8; n % 50 * 4];
            if n % 2 == 0 {
                assert_eq!(consumer.get_timeout(PATIENCE).unwrap(), expected);
            } else {
                assert_eq!(*consumer.lease_timeout(PATIENCE).unwrap(), expected);
            }
        }
    });
    let producer = queue.producer().unwrap();
    for n in 0..COUNT as usize {
        let bytes = vec![n as u8; n % 50 * 4];
        if n % 3 == 0 {
            let mut loan = producer.loan_len_timeout(bytes.len(), PATIENCE).unwrap();
            loan.copy_from_slice(&bytes);
            loan.commit().unwrap();
        } else {
            producer.put_timeout(&bytes, PATIENCE).unwrap();
        }
    }
    getter.expect_success();
}

fn values_of_many_sizes_pass_between_endpoints() {
    let unaligned = [1, 5, 7, 8, 24, 63, 64, 65, 1000, 1024, 5000].map(|size| (size, 1));
    // Cells as large as those of other types, and larger ones for the same bytes.
    for (size, align) in unaligned.into_iter().chain([(8, 4), (8, 8), (64, 8), (64, 16), (64, 64), (56, 8)]) {
        let queue = DynQueue::new(MessageLayout::value(size, align).unwrap(), 5).unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let mut buffer = vec![0; size];
        for n in 0..20u8 {
            // From and to any address.
            let shift = usize::from(n % 3);
            let bytes: Vec<u8> = (0..shift + size).map(|at| at as u8 ^ n).collect();
            producer.put(&bytes[shift..]).unwrap();
            let mut room = vec![0x55; shift + size + 3];
            assert_eq!(consumer.get_into(&mut room[shift..]).unwrap(), size);
            assert_eq!(room[shift..shift + size], bytes[shift..]);
            assert_eq!(room[shift + size..], [0x55; 3], "nothing behind it is written");
            assert!(matches!(producer.put(&bytes[..size - 1]), Err(PutError::WrongLength { .. })));
            producer.put(&bytes[..size]).unwrap();
            let too_small = consumer.get_into(&mut room[..size - 1]);
            assert!(matches!(too_small, Err(GetError::TooSmall { needed, .. }) if needed == size));
            assert_eq!(consumer.get().unwrap(), bytes[..size]);
        }
        for round in 0..3 {
            (0..5).for_each(|n| producer.try_put(&vec![n + round; size]).unwrap());
            assert!(matches!(producer.try_put(&vec![0; size]), Err(PutError::Full)));
            (0..5).for_each(|n| assert_eq!(consumer.try_get().unwrap(), vec![n + round; size]));
            assert!(matches!(consumer.try_get_into(&mut buffer), Err(GetError::Empty)));
        }
    }
}

fn an_endpoint_owns_its_side() {
    let queue = DynQueue::new(MessageLayout::of::<u64>(), 4).unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(matches!(queue.put(&[0; 8]), Err(PutError::Held { .. })));
    assert!(matches!(queue.put_slice(&[0; 8]), Err(PutError::Held { .. })));
    assert!(matches!(queue.loan(), Err(PutError::Held { .. })));
    producer.put(&[1; 8]).unwrap();
    assert!(matches!(queue.get(), Err(GetError::Held { .. })));
    assert!(matches!(queue.get_into(&mut [0; 8]), Err(GetError::Held { .. })));
    assert!(matches!(queue.lease(), Err(GetError::Held { .. })));
    assert!(matches!(queue.receiver().get(), Err(GetError::Held { .. })));
    queue.close();
    assert!(matches!(producer.put(&[1; 8]), Err(PutError::Closed)));
    assert_eq!(consumer.iter().count(), 1);
    drop((producer, consumer));
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

fn in_place_by_endpoints() {
    for queue in
        [DynQueue::new(MessageLayout::of::<u64>(), 4).unwrap(), DynQueue::new(MessageLayout::slice(8, 8).unwrap(), 4).unwrap()]
    {
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for n in 0..20 {
            let mut loan = producer.loan_len(8).unwrap();
            loan.fill(n);
            loan.commit().unwrap();
            drop(producer.loan_len(8).unwrap());
            match n % 3 {
                0 => assert_eq!(*consumer.lease().unwrap(), [n; 8]),
                1 => assert_eq!(*consumer.lease_owned().unwrap(), [n; 8]),
                _ => consumer.lease_ack().unwrap().ack().unwrap(),
            }
        }
        assert_eq!(queue.stats().aborted, 20);
    }
}
