//! Lengths are compared with the layout before anything happens, and errors name both.

use crate::support::harness::Case;
use shmq::{DynQueue, DynTopic, Form, GetError, LayoutError, MessageLayout, PutError};

pub fn cases() -> Vec<Case> {
    crate::cases![
        impossible_layouts_are_refused,
        values_of_another_length_are_refused_by_every_verb,
        parts_of_elements_are_refused_by_every_verb,
        a_buffer_that_is_too_small_leaves_the_message,
        batches_are_of_values_only,
        values_without_bytes_are_counted,
        large_values_pass_by_every_verb,
        a_loan_is_committed_as_a_length_of_the_layout_or_not_at_all,
    ]
}

fn value(size: usize) -> DynQueue {
    DynQueue::new(MessageLayout::value(size, 1).unwrap(), 4).unwrap()
}

fn slices(element: usize) -> DynQueue {
    DynQueue::builder(MessageLayout::slice(element, 1).unwrap()).capacity_bytes(4096).create().unwrap()
}

fn impossible_layouts_are_refused() {
    assert_eq!(MessageLayout::value(8, 0).unwrap_err(), LayoutError::Align { align: 0 });
    assert_eq!(MessageLayout::value(24, 3).unwrap_err(), LayoutError::Align { align: 3 });
    assert_eq!(MessageLayout::value(8192, 8192).unwrap_err(), LayoutError::Align { align: 8192 });
    assert_eq!(MessageLayout::value(12, 8).unwrap_err(), LayoutError::NotAligned { size: 12, align: 8 });
    assert!(matches!(MessageLayout::value(usize::MAX, 1), Err(LayoutError::TooLarge { .. })));
    assert_eq!(MessageLayout::slice(0, 1).unwrap_err(), LayoutError::NoBytes);
    assert_eq!(MessageLayout::value(0, 8).unwrap().form(), Form::Value);
    let long = MessageLayout::encoded().schema("a".repeat(65)).unwrap_err();
    assert_eq!(long, LayoutError::LongSchema { len: 65, max: 64 });
    let value = MessageLayout::value(8, 8).unwrap();
    assert_eq!(value.clone().structure("{a@0: u64, b@8: u8}").unwrap_err(), LayoutError::Structure { described: 9, size: 8 });
    let endless = value.clone().structure("[u64; 99999999999999999999]").unwrap_err();
    assert_eq!(endless, LayoutError::Structure { described: usize::MAX, size: 8 });
    assert_eq!(MessageLayout::encoded().structure("u8").unwrap_err(), LayoutError::StructureOfEncoded);
    // A struct of another language may have bytes that belong to no field.
    assert_eq!(value.structure("{a@0: u32, b@4: u8}").unwrap().fields().len(), 2);
    // Memory for it is a matter of the capacity.
    assert!(DynQueue::new(MessageLayout::value(1 << 30, 1).unwrap(), usize::MAX).is_err());
}

fn values_of_another_length_are_refused_by_every_verb() {
    let queue = value(8);
    let topic = DynTopic::new(MessageLayout::value(8, 1).unwrap(), 4).unwrap();
    for len in [0, 1, 7, 9, 16, 5000] {
        let bytes = vec![1; len];
        let of = |error: PutError| {
            assert!(matches!(error, PutError::WrongLength { len: named, expected: 8 } if named == len), "{error:?}");
            assert!(error.to_string().contains(&format!("{len} bytes")) && error.to_string().contains('8'), "{error}");
        };
        of(queue.put(&bytes).unwrap_err());
        of(queue.try_put(&bytes).unwrap_err());
        of(queue.loan_len(len).unwrap_err());
        of(queue.sender().put(&bytes).unwrap_err());
        of(topic.publish(&bytes).unwrap_err());
        of(topic.loan_len(len).unwrap_err());
        {
            let producer = queue.producer().unwrap();
            of(producer.put(&bytes).unwrap_err());
            of(producer.loan_len(len).unwrap_err());
        }
        let publisher = topic.publisher().unwrap();
        of(publisher.publish(&bytes).unwrap_err());
        of(publisher.loan_len(len).unwrap_err());
        if len % 8 != 0 {
            assert!(matches!(queue.put_slice(&bytes), Err(PutError::NotWhole { element: 8, .. })));
            assert!(matches!(publisher.publish_slice(&bytes), Err(PutError::NotWhole { element: 8, .. })));
        }
    }
    assert!(queue.is_empty());
    assert_eq!((queue.stats().puts, topic.stats().published), (0, 0));
    assert_eq!((queue.put_slice(&[]).unwrap(), queue.max_len()), (0, 8));
}

fn parts_of_elements_are_refused_by_every_verb() {
    let queue = slices(12);
    let topic = DynTopic::builder(MessageLayout::slice(12, 4).unwrap()).capacity_bytes(4096).create().unwrap();
    for len in [1, 11, 13, 4097] {
        let bytes = vec![1; len];
        let of = |error: PutError| {
            assert!(matches!(error, PutError::NotWhole { len: named, element: 12 } if named == len), "{error:?}");
        };
        of(queue.put(&bytes).unwrap_err());
        of(queue.loan_len(len).unwrap_err());
        of(queue.producer().unwrap().put(&bytes).unwrap_err());
        of(topic.publish(&bytes).unwrap_err());
        of(topic.publisher().unwrap().loan_len(len).unwrap_err());
    }
    for len in [0, 12, 1200] {
        queue.put(&vec![2; len]).unwrap();
        assert_eq!(queue.get().unwrap(), vec![2; len]);
    }
    let too_long = (queue.max_len() / 12 + 1) * 12;
    assert!(matches!(queue.put(&vec![0; too_long]), Err(PutError::TooLarge { .. })));
    assert!(matches!(queue.loan_len(too_long), Err(PutError::TooLarge { .. })));
    assert!(matches!(topic.loan_len(too_long), Err(PutError::TooLarge { .. })));
}

fn a_buffer_that_is_too_small_leaves_the_message() {
    for queue in [value(24), slices(24)] {
        queue.put(&[3; 24]).unwrap();
        for given in [0, 1, 23] {
            let error = queue.get_into(&mut vec![0; given]).unwrap_err();
            assert!(matches!(error, GetError::TooSmall { needed: 24, given: named } if named == given), "{error:?}");
            let error = queue.consumer().unwrap().get_into(&mut vec![0; given]).unwrap_err();
            assert!(matches!(error, GetError::TooSmall { needed: 24, .. }), "{error:?}");
            let error = queue.receiver().try_get_into(&mut vec![0; given]).unwrap_err();
            assert!(matches!(error, GetError::TooSmall { needed: 24, .. }), "{error:?}");
        }
        let mut large = [9; 30];
        assert_eq!(queue.get_into(&mut large).unwrap(), 24);
        assert_eq!((&large[..24], &large[24..]), (&[3; 24][..], &[9; 6][..]));
        assert!(matches!(queue.try_get_into(&mut large), Err(GetError::Empty)));
    }
    let topic = DynTopic::new(MessageLayout::value(24, 8).unwrap(), 4).unwrap();
    let every = topic.subscribe().unwrap();
    topic.publish(&[3; 24]).unwrap();
    assert!(matches!(every.next_into(&mut [0; 23]), Err(GetError::TooSmall { needed: 24, given: 23 })));
    assert!(matches!(every.next_slice(&mut [0; 23]), Err(GetError::TooSmall { needed: 24, given: 23 })));
    assert_eq!(every.next_into(&mut [0; 25]).unwrap(), 24);
}

fn batches_are_of_values_only() {
    let queue = slices(2);
    assert!(matches!(queue.put_slice(&[0; 4]), Err(PutError::NotOfOneSize)));
    assert!(matches!(queue.loan(), Err(PutError::NotOfOneSize)));
    assert!(matches!(queue.get_slice(&mut [0; 4]), Err(GetError::NotOfOneSize)));
    assert!(matches!(queue.producer().unwrap().loan(), Err(PutError::NotOfOneSize)));
    assert!(matches!(queue.consumer().unwrap().get_slice(&mut [0; 4]), Err(GetError::NotOfOneSize)));
}

fn values_without_bytes_are_counted() {
    let queue = DynQueue::new(MessageLayout::value(0, 1).unwrap(), 4).unwrap();
    queue.put(&[]).unwrap();
    queue.loan().unwrap().commit().unwrap();
    queue.producer().unwrap().put(&[]).unwrap();
    assert!(matches!(queue.put_slice(&[1]), Err(PutError::WrongLength { len: 1, expected: 0 })));
    assert_eq!((queue.len(), queue.put_slice(&[]).unwrap()), (3, 0));
    assert_eq!(queue.get_slice(&mut [0; 4]).unwrap(), 1);
    assert!(queue.get().unwrap().is_empty());
    assert_eq!(queue.consumer().unwrap().get_into(&mut []).unwrap(), 0);
    assert!(queue.is_empty());
}

/// More than what is copied under a lock.
fn large_values_pass_by_every_verb() {
    for size in [4096, 4097, 100_000] {
        let queue = DynQueue::new(MessageLayout::value(size, 1).unwrap(), 4).unwrap();
        let bytes = |n: u8| vec![n; size];
        queue.put(&bytes(1)).unwrap();
        assert_eq!(queue.put_slice(&[bytes(2), bytes(3)].concat()).unwrap(), 2);
        let mut loan = queue.loan().unwrap();
        loan.fill(4);
        loan.commit().unwrap();
        assert!(matches!(queue.try_put(&bytes(5)), Err(PutError::Full)));
        assert_eq!(queue.get().unwrap(), bytes(1));
        let mut two = vec![0; 2 * size + 1];
        assert_eq!(queue.get_slice(&mut two).unwrap(), 2);
        assert_eq!(two[..2 * size], [bytes(2), bytes(3)].concat());
        assert_eq!(*queue.lease().unwrap(), bytes(4));

        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        producer.put(&bytes(6)).unwrap();
        assert_eq!(producer.put_slice(&[bytes(7), bytes(8)].concat()).unwrap(), 2);
        assert_eq!(consumer.get().unwrap(), bytes(6));
        assert_eq!(consumer.get_slice(&mut two).unwrap(), 2);
        assert_eq!(two[..2 * size], [bytes(7), bytes(8)].concat());

        let topic = DynTopic::new(MessageLayout::value(size, 1).unwrap(), 4).unwrap();
        let (mut every, lossy) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
        topic.publish_slice(&[bytes(1), bytes(2)].concat()).unwrap();
        topic.publish(&bytes(3)).unwrap();
        assert_eq!(every.next_slice(&mut two).unwrap(), 2);
        assert_eq!(two[..2 * size], [bytes(1), bytes(2)].concat());
        assert_eq!(*every.read().unwrap(), bytes(3));
        assert_eq!((lossy.next().unwrap(), lossy.latest().unwrap()), (bytes(1), bytes(3)));
    }
}

fn a_loan_is_committed_as_a_length_of_the_layout_or_not_at_all() {
    let queue = value(8);
    assert!(matches!(queue.loan().unwrap().commit_len(7), Err(PutError::WrongLength { len: 7, expected: 8 })));
    queue.loan().unwrap().commit_len(8).unwrap();
    assert_eq!((queue.len(), queue.stats().aborted), (1, 1));
    let queue = slices(4);
    assert!(matches!(queue.loan_len(8).unwrap().commit_len(7), Err(PutError::NotWhole { len: 7, element: 4 })));
    assert!(matches!(queue.loan_len(8).unwrap().commit_len(12), Err(PutError::TooLarge { len: 12, max: 8 })));
    queue.loan_len(8).unwrap().commit_len(0).unwrap();
    assert_eq!((queue.get().unwrap(), queue.stats().aborted), (vec![], 2));
}
