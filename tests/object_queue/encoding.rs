//! Objects that are refused, large, or change while they are encoded inside `put`.

use crate::misdecoding;
use serde::{Deserialize, Serialize, Serializer};
use shmq::{ObjectQueue, Postcard, PutError};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A value that refuses to be encoded.
#[derive(Deserialize, Debug)]
struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for this"))
    }
}

#[test]
fn an_unencodable_object_is_an_error_to_its_putter_and_not_enqueued() {
    let queue = ObjectQueue::<Vec<Option<Refusing>>>::new(4).unwrap();
    let error = queue.put(&vec![Some(Refusing)]).unwrap_err();
    assert!(error.to_string().contains("no words for this"), "{error}");
    // After more bytes than one loan has, too.
    let mut long: Vec<Option<Refusing>> = (0..100_000).map(|_| None).collect();
    long.push(Some(Refusing));
    assert!(matches!(queue.put(&long), Err(PutError::Encode { .. })));
    assert_eq!((queue.len(), queue.stats().puts), (0, 0));
    queue.put(&vec![None]).unwrap();
    assert_eq!(queue.get().unwrap().len(), 1);
}

/// A value that is longer, refuses or panics when it is encoded for the second time.
#[derive(Deserialize)]
struct Fickle {
    #[serde(skip)]
    second: Option<fn() -> usize>,
    #[serde(skip)]
    times: Cell<u32>,
}

impl Serialize for Fickle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.times.set(self.times.get() + 1);
        let length = if self.times.get() == 1 { 100_000 } else { self.second.expect("set by the test")() };
        serializer.serialize_bytes(&vec![7; length])
    }
}

#[test]
fn an_object_that_changes_between_the_passes_leaves_nothing_half_written() {
    let queue = ObjectQueue::<Fickle>::new(4).unwrap();
    let fickle = |second: fn() -> usize| Fickle { second: Some(second), times: Cell::new(0) };
    assert!(matches!(queue.put(&fickle(|| 101_000)), Err(PutError::Encode { .. })));
    let panicked = catch_unwind(AssertUnwindSafe(|| queue.put(&fickle(|| panic!("in the second pass")))));
    assert!(panicked.is_err());
    assert_eq!(queue.len(), 0);
    assert_eq!(queue.stats().aborted, 2);
    queue.put(&fickle(|| 99_000)).unwrap();
    assert_eq!(queue.len(), 1);
}

#[test]
fn an_object_changed_after_put_arrives_as_it_was() {
    let queue = ObjectQueue::<Vec<u32>>::new(4).unwrap();
    let mut value = vec![1, 2, 3];
    queue.put(&value).unwrap();
    value[0] = 99;
    assert_eq!(queue.get().unwrap(), [1, 2, 3]);
}

#[test]
fn large_objects_are_encoded_in_place_and_arrive_whole() {
    let queue = ObjectQueue::<Vec<String>>::builder().capacity_bytes(8 << 20).create().unwrap();
    for count in [100, 120, 1000, 100_000] {
        let value: Vec<String> = (0..count).map(|n| format!("number {n}")).collect();
        queue.put(&value).unwrap();
        assert!(queue.get().unwrap() == value, "{count} strings");
    }
    let postcard = ObjectQueue::<Vec<String>, Postcard>::builder().capacity_bytes(8 << 20).create().unwrap();
    let value: Vec<String> = (0..10_000).map(|n| format!("number {n}")).collect();
    postcard.put(&value).unwrap();
    assert!(postcard.get().unwrap() == value);
}

#[test]
fn an_object_that_never_fits_is_too_large() {
    let queue = ObjectQueue::<Vec<u8>>::builder().capacity_bytes(4096).max_spilled_bytes(0).create().unwrap();
    let max = queue.max_len();
    match queue.put(&vec![1; 10_000]) {
        Err(PutError::TooLarge { len, max: limit }) => assert_eq!((len > 10_000, limit), (true, max)),
        other => panic!("{other:?}"),
    }
    assert!(queue.is_empty());
}

#[test]
fn an_object_queue_may_be_used_while_it_encodes() {
    /// Puts into the same queue while it is being put.
    #[derive(Deserialize)]
    struct Nosy(#[serde(skip)] Option<ObjectQueue<u32>>);
    impl Serialize for Nosy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.as_ref().expect("set by the test").put(&5).expect("room for one more");
            serializer.serialize_u32(6)
        }
    }
    let (numbers, nosy) = misdecoding::<u32, Nosy>(4);
    nosy.put(&Nosy(Some(numbers.clone()))).unwrap();
    assert_eq!((numbers.get().unwrap(), numbers.get().unwrap()), (5, 6));
}
