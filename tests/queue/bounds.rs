//! The queue holds exactly the capacity asked for, at every offset, counting what is lent and
//! leased.

use super::{drain, queue, slices};
use crate::support::unique_name;
use shmq::{CreateError, PutError, Queue};

const CAPACITIES: [usize; 5] = [1, 2, 3, 7, 1000];

#[test]
fn a_queue_holds_exactly_its_capacity() {
    for capacity in CAPACITIES {
        let queue: Queue<u64> = queue(capacity);
        assert_eq!(queue.capacity(), capacity);
        // Several laps, starting at every kind of offset.
        for lap in 0..4u64 {
            for i in 0..capacity {
                assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (i, i == 0, false), "capacity {capacity}");
                queue.try_put(&(lap * 10_000 + i as u64)).unwrap();
            }
            assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (capacity, false, true));
            assert!(matches!(queue.try_put(&0), Err(PutError::Full)));
            assert!(matches!(queue.try_loan(), Err(PutError::Full)));
            // One in, one out, at the bound.
            for i in 0..capacity.min(5) as u64 {
                assert_eq!(queue.try_get().unwrap(), lap * 10_000 + i);
                assert!(!queue.is_full());
                queue.try_put(&(lap * 10_000 + capacity as u64 + i)).unwrap();
                assert!(queue.is_full());
            }
            let rest = drain(&queue);
            assert_eq!(rest.len(), capacity);
            assert!(rest.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{rest:?}");
            // The next lap starts at another offset.
            queue.try_put(&1).unwrap();
            queue.try_get().unwrap();
        }
    }
}

#[test]
fn an_endpoint_fills_exactly_the_capacity() {
    for capacity in CAPACITIES {
        let queue: Queue<u16> = queue(capacity);
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        for _ in 0..3 {
            (0..capacity).for_each(|i| producer.try_put(&(i as u16)).unwrap());
            assert!(matches!(producer.try_put(&0), Err(PutError::Full)));
            assert!(queue.is_full() && queue.len() == capacity);
            (0..capacity).for_each(|i| assert_eq!(consumer.try_get().unwrap(), i as u16));
            assert!(queue.is_empty());
        }
    }
}

#[test]
fn a_batch_fills_exactly_the_capacity() {
    for capacity in CAPACITIES {
        let queue: Queue<u32> = queue(capacity);
        let many: Vec<u32> = (0..capacity as u32 + 3).collect();
        for _ in 0..3 {
            assert_eq!(queue.try_put_slice(&many).unwrap(), capacity);
            assert!(queue.is_full());
            let mut buffer = vec![0; capacity + 3];
            assert_eq!(queue.try_get_slice(&mut buffer).unwrap(), capacity);
            assert_eq!(buffer[..capacity], many[..capacity]);
        }
    }
}

#[test]
fn a_slice_queue_bounded_in_messages_holds_exactly_so_many() {
    for capacity in CAPACITIES {
        let queue = Queue::<[u8]>::builder().capacity(capacity).capacity_bytes(1 << 20).create().unwrap();
        assert_eq!(queue.capacity(), capacity);
        for lap in 0..3 {
            for i in 0..capacity {
                assert_eq!((queue.len(), queue.is_full()), (i, false), "capacity {capacity}");
                queue.try_put(&vec![lap as u8; i % 40]).unwrap();
            }
            assert_eq!((queue.len(), queue.is_full()), (capacity, true));
            assert!(matches!(queue.try_put(&[]), Err(PutError::Full)));
            for i in 0..capacity {
                assert_eq!(queue.try_get().unwrap().len(), i % 40);
            }
        }
    }
}

#[test]
fn a_slice_queue_bounded_in_bytes_says_so() {
    for bytes in [1, 100, 256, 1000, 4096, 1 << 20] {
        let queue = slices::<u8>(bytes);
        assert_eq!(queue.capacity(), usize::MAX);
        assert!(queue.capacity_bytes() >= bytes, "{} for {bytes}", queue.capacity_bytes());
        assert!(queue.max_len() >= 1 && queue.max_len() <= queue.capacity_bytes());
        let longest = vec![7; queue.max_len()];
        queue.try_put(&longest).unwrap();
        assert_eq!(queue.try_get().unwrap(), longest);
    }
}

#[test]
fn leased_messages_occupy_capacity_until_released() {
    let queue: Queue<u32> = queue(3);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let lease = queue.lease().unwrap();
    assert_eq!((queue.len(), queue.is_full()), (2, true));
    assert!(matches!(queue.try_put(&4), Err(PutError::Full)));
    lease.release();
    assert_eq!((queue.len(), queue.is_full()), (2, false));
    queue.try_put(&4).unwrap();
    assert!(queue.is_full());
}

#[test]
fn open_loans_occupy_capacity_and_dropped_ones_do_not() {
    let queue: Queue<u32> = queue(2);
    let first = queue.loan().unwrap();
    let second = queue.loan().unwrap();
    assert_eq!((queue.len(), queue.is_full()), (0, true));
    assert!(matches!(queue.try_put(&1), Err(PutError::Full)));
    drop(first);
    drop(second);
    assert_eq!((queue.len(), queue.is_empty()), (0, true));
    // No consumer gets, and yet all the room is back.
    for _ in 0..5 {
        queue.try_put(&1).unwrap();
        queue.try_put(&2).unwrap();
        assert!(queue.is_full());
        assert!(matches!(queue.try_put(&3), Err(PutError::Full)));
        assert_eq!(drain(&queue), [1, 2]);
        drop(queue.loan().unwrap());
    }
}

#[test]
fn a_queue_of_one_survives_any_number_of_dropped_loans() {
    let queue: Queue<u64> = queue(1);
    for i in 0..100 {
        drop(queue.try_loan().unwrap());
        assert!(!queue.is_full(), "after {i}");
    }
    queue.try_put(&5).unwrap();
    assert_eq!(queue.try_get().unwrap(), 5);
    let slices = Queue::<[u8]>::builder().capacity(1).capacity_bytes(256).create().unwrap();
    for length in 0..slices.max_len() {
        drop(slices.try_loan_len(length).unwrap());
    }
    slices.try_put(b"x").unwrap();
    assert_eq!(slices.try_get().unwrap(), b"x");
}

#[test]
fn room_comes_back_in_order_of_the_messages() {
    let queue: Queue<u32> = queue(3);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let (a, b, c) = (queue.lease().unwrap(), queue.lease().unwrap(), queue.lease().unwrap());
    c.release();
    b.release();
    assert!(queue.is_full(), "the oldest is still leased");
    assert!(matches!(queue.try_put(&4), Err(PutError::Full)));
    a.release();
    assert_eq!(queue.try_put_slice(&[4, 5, 6, 7]).unwrap(), 3);
}

#[test]
fn impossible_capacities_are_refused_and_named() {
    fn asked<T>(result: Result<T, CreateError>) -> (usize, usize) {
        match result {
            Err(CreateError::OutOfRange { asked, max, .. }) => (asked, max),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("made"),
        }
    }
    let name = unique_name("impossible");
    assert_eq!(asked(Queue::<u64>::create(&name, 0)).0, 0);
    assert_eq!(asked(Queue::<u64>::open_or_create(&name, 0)).0, 0);
    assert_eq!(asked(Queue::<u64>::new(0)).0, 0);
    assert_eq!(asked(Queue::<u64>::builder().name(&name).create()).0, 0);
    for huge in [usize::MAX, usize::MAX / 2, usize::MAX / 8, usize::MAX / 16 + 1, 1 << 60] {
        let (asked, max) = asked(Queue::<u64>::create(&name, huge));
        assert!(asked == huge && max > 0 && max < huge, "asked {asked}, max {max}");
    }
    assert_eq!(asked(Queue::<[u64; 1 << 20]>::create(&name, 1 << 50)).0, 1 << 50);
    assert_eq!(asked(Queue::<[u8]>::builder().name(&name).capacity_bytes(0).create()).0, 0);
    assert_eq!(asked(Queue::<[u8]>::builder().name(&name).capacity(0).capacity_bytes(4096).create()).0, 0);
    for huge in [usize::MAX, usize::MAX - 15, 1 << 62] {
        assert_eq!(asked(Queue::<[u8]>::builder().name(&name).capacity_bytes(huge).create()).0, huge);
    }
    assert!(!crate::support::segment_exists(&name), "nothing was changed");
}

#[test]
fn a_message_that_can_never_fit_is_refused_at_once() {
    let queue = slices::<u32>(512);
    let (fits, max) = (queue.max_len(), queue.max_len() * 4);
    queue.put(&vec![1; fits]).unwrap();
    let too_large = |result: Result<(), PutError>, len: usize| match result {
        Err(PutError::TooLarge { len: named, max: largest }) => assert!(named == len && largest >= max && largest < len),
        other => panic!("{other:?}"),
    };
    // Refused as too large although the queue is full, by every verb that puts.
    too_large(queue.try_put(&vec![1; fits + 1]), max + 4);
    too_large(queue.put(&vec![1; fits + 1]), max + 4);
    too_large(queue.put_timeout(&vec![1; 2 * fits], super::A_WHILE), 2 * max);
    too_large(queue.loan_len(fits + 1).map(drop), max + 4);
    too_large(queue.try_loan_len(10 * fits).map(drop), 10 * max);
    assert!(matches!(queue.loan_len(usize::MAX).map(drop), Err(PutError::TooLarge { .. })));
    assert!(matches!(queue.try_loan_len(usize::MAX / 4 + 1).map(drop), Err(PutError::TooLarge { .. })));
    let producer = queue.producer().unwrap();
    too_large(producer.put(&vec![1; fits + 1]), max + 4);
    too_large(producer.loan_len(fits + 1).map(drop), max + 4);
    assert_eq!(queue.get().unwrap(), vec![1; fits]);
    assert!(queue.is_empty());
}

#[test]
fn a_zero_sized_message_travels() {
    let queue: Queue<()> = queue(3);
    (0..3).for_each(|_| queue.try_put(&()).unwrap());
    assert!(matches!(queue.try_put(&()), Err(PutError::Full)));
    assert_eq!((queue.len(), drain(&queue).len()), (3, 3));
    let _: () = *{
        queue.put(&()).unwrap();
        queue.lease().unwrap()
    };
    queue.loan().unwrap().commit().unwrap();
    assert_eq!(queue.len(), 1);
}

#[test]
fn large_messages_travel_whole() {
    // Larger than what is copied under a lock, and than a page.
    type Frame = [u8; 70_001];
    let queue: Queue<Frame> = queue(2);
    let frame = |with: u64| -> Box<Frame> { crate::support::pattern(with, size_of::<Frame>()).try_into().unwrap() };
    for lap in 0..5 {
        queue.try_put(&frame(lap)).unwrap();
        queue.try_put(&frame(lap + 100)).unwrap();
        assert!(matches!(queue.try_put(&frame(0)), Err(PutError::Full)));
        assert!(queue.try_get().unwrap() == *frame(lap));
        assert!(*queue.try_lease().unwrap() == *frame(lap + 100));
    }
    let frames = vec![*frame(1), *frame(2), *frame(3)];
    assert_eq!(queue.try_put_slice(&frames).unwrap(), 2);
    let mut buffer = vec![*frame(9); 3];
    assert_eq!(queue.get_slice(&mut buffer).unwrap(), 2);
    assert!(buffer[..2] == frames[..2]);
    assert_eq!((queue.len(), queue.stats().puts), (0, 12));
}

#[test]
fn numbers_out_of_their_range_are_refused_and_never_adjusted() {
    let builder = || Queue::<u64>::builder().capacity(4);
    for (result, text) in [
        (builder().max_deliveries(256).create(), "max_deliveries 256 cannot be used: it must be from 0 to 255"),
        (builder().max_participants(0).create(), "max_participants 0 cannot be used: it must be from 1 to 1023"),
        (builder().max_participants(1024).create(), "max_participants 1024 cannot be used: it must be from 1 to 1023"),
        (builder().mode(0o1600).create(), "mode 0o1600 cannot be used: it must be from 0o0 to 0o777"),
    ] {
        let error = result.expect_err(text);
        assert!(matches!(error, CreateError::OutOfRange { .. }));
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(builder().max_deliveries(255).create().unwrap().max_deliveries(), 255);
}
