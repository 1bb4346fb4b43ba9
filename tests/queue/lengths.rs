//! Messages of every length at every offset of a small ring, for elements of every alignment.

use super::slices;
use shmq::{GetError, Plain, PutError, Queue};
use std::fmt::Debug;

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
struct Aligned16([u32; 4]);

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
struct Aligned64([u8; 64]);

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Odd([u8; 7]);

/// Every length from 0 to `max_len()`, from every offset, by every way in and out.
fn every_length_at_every_offset<X>(capacity_bytes: usize, element: impl Fn(usize) -> X)
where
    X: Copy + Debug + PartialEq + Plain,
{
    let queue = slices::<X>(capacity_bytes);
    let longest = queue.max_len();
    assert!(longest >= 1);
    // An empty message takes one cell, so that many of them visit every offset.
    let cells = queue.capacity_bytes() / 16.max(align_of::<X>());
    let mut buffer = vec![element(0); longest];
    let mut tag = 0;
    for _ in 0..=cells {
        for length in 0..=longest {
            tag += 1;
            let message: Vec<X> = (0..length).map(|place| element(place * 31 + tag)).collect();
            match tag % 3 {
                0 => queue.try_put(&message).unwrap(),
                _ => {
                    let mut loan = queue.try_loan_len(length).unwrap();
                    assert_eq!((loan.as_ptr() as usize % align_of::<X>(), loan.len()), (0, length));
                    loan.copy_from_slice(&message);
                    loan.commit().unwrap();
                }
            }
            assert_eq!((queue.len(), queue.is_empty()), (1, false));
            match tag % 4 {
                0 => assert_eq!(queue.try_get().unwrap(), message),
                1 => {
                    let lease = queue.try_lease().unwrap();
                    assert_eq!(lease.as_ptr() as usize % align_of::<X>(), 0);
                    assert_eq!(lease[..], message);
                }
                2 => {
                    assert_eq!(queue.try_get_into(&mut buffer).unwrap(), length);
                    assert_eq!(buffer[..length], message);
                }
                _ => {
                    if length > 0 {
                        let result = queue.try_get_into(&mut buffer[..length - 1]);
                        assert!(
                            matches!(result, Err(GetError::TooSmall { needed, given }) if (needed, given) == (length, length - 1))
                        );
                    }
                    assert_eq!(queue.try_get().unwrap(), message);
                }
            }
            assert!(queue.is_empty());
        }
        queue.try_put(&[]).unwrap();
        assert_eq!(queue.try_get().unwrap(), []);
    }
}

#[test]
fn bytes() {
    every_length_at_every_offset::<u8>(256, |place| place as u8);
    every_length_at_every_offset::<u8>(100, |place| place as u8);
    every_length_at_every_offset::<u8>(1, |place| place as u8);
}

#[test]
fn words() {
    every_length_at_every_offset::<u16>(144, |place| place as u16);
    every_length_at_every_offset::<u32>(300, |place| place as u32);
    every_length_at_every_offset::<u64>(400, |place| place as u64);
    every_length_at_every_offset::<f32>(272, |place| place as f32);
    every_length_at_every_offset::<u128>(512, |place| place as u128);
}

#[test]
fn aligned_and_odd_elements() {
    every_length_at_every_offset::<Aligned16>(512, |place| Aligned16([place as u32; 4]));
    every_length_at_every_offset::<Aligned64>(2048, |place| Aligned64([place as u8; 64]));
    every_length_at_every_offset::<Odd>(512, |place| Odd([place as u8; 7]));
}

#[test]
fn messages_beyond_the_small_copy() {
    let queue = slices::<u8>(40_000);
    let longest = queue.max_len();
    for length in [4095, 4096, 4097, 8192, 10_001, longest - 1, longest] {
        let message = crate::support::pattern(length as u64, length);
        for _ in 0..5 {
            queue.try_put(&message).unwrap();
            assert!(queue.try_get().unwrap() == message);
            queue.try_put(&message).unwrap();
            assert!(
                matches!(queue.try_get_into(&mut [0; 4094]), Err(GetError::TooSmall { needed, given: 4094 }) if needed == length)
            );
            let mut buffer = vec![0; longest];
            assert_eq!(queue.try_get_into(&mut buffer).unwrap(), length);
            assert!(buffer[..length] == message);
        }
    }
}

/// As many as fit, of mixed lengths, lap after lap: what is got is what was put.
#[test]
fn a_ring_full_of_mixed_lengths_keeps_them_apart() {
    let queue = slices::<u8>(512);
    let mut rng = crate::support::Rng::new("mixed lengths");
    let mut inside = std::collections::VecDeque::new();
    let mut tag = 0u64;
    for _ in 0..20_000 {
        if rng.chance(60) {
            let length = rng.below(queue.max_len() as u64 / 3 + 1) as usize;
            match queue.try_put(&crate::support::pattern(tag, length)) {
                Ok(()) => inside.push_back((tag, length)),
                Err(PutError::Full) => assert!(!inside.is_empty(), "an empty ring is full for {length} bytes"),
                Err(error) => panic!("{error}"),
            }
            tag += 1;
        } else if let Some((tag, length)) = inside.pop_front() {
            let message = queue.try_get().unwrap();
            assert_eq!(message.len(), length);
            assert!(crate::support::matches_pattern(tag, &message));
        } else {
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
        }
        assert_eq!(queue.len(), inside.len());
    }
}

#[test]
fn a_too_small_buffer_loses_nothing() {
    let queue: Queue<[u32]> = slices(512);
    queue.put(&[1, 2, 3]).unwrap();
    queue.put(&[4]).unwrap();
    for given in 0..3 {
        let mut buffer = vec![0; given];
        for _ in 0..2 {
            assert!(matches!(queue.get_into(&mut buffer), Err(GetError::TooSmall { needed: 3, given: named }) if named == given));
        }
        assert!(matches!(queue.try_get_into(&mut buffer), Err(GetError::TooSmall { .. })));
        assert!(matches!(queue.get_into_timeout(&mut buffer, super::A_WHILE), Err(GetError::TooSmall { .. })));
        assert!(buffer.iter().all(|&word| word == 0), "nothing was written");
    }
    assert_eq!((queue.len(), queue.stats().gets), (2, 0));
    // The same for a message that was given back.
    queue.lease().unwrap().give_back();
    assert!(matches!(queue.get_into(&mut [0; 2]), Err(GetError::TooSmall { needed: 3, given: 2 })));
    let mut buffer = [0; 3];
    assert_eq!((queue.get_into(&mut buffer).unwrap(), buffer), (3, [1, 2, 3]));
    assert_eq!((queue.get_into(&mut buffer).unwrap(), buffer[0]), (1, 4));
    let consumer = queue.consumer().unwrap();
    queue.put(&[5, 6]).unwrap();
    assert!(matches!(consumer.get_into(&mut [0]), Err(GetError::TooSmall { needed: 2, given: 1 })));
    assert_eq!(consumer.get().unwrap(), [5, 6]);
}
