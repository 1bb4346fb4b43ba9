//! What an `ObjectQueue` promises: every serde type, errors at the call that caused them, no
//! half-encoded message.
#![cfg(feature = "object")]

#[path = "support/mod.rs"]
mod support;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use shmq::letters::Reason;
use shmq::{
    Codec, CreateError, DeadLetters, GetError, JoinError, MessagePack, ObjectQueue, OpenError, Postcard, PutError, Queue,
};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use support::threads::{start_and_wait_until_asleep, watch_for_hangs};
use support::unique_name;

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Unit;

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Newtype(u32);

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
enum Shape {
    Unit,
    Newtype(String),
    Tuple(u8, i64),
    Struct { width: f64, name: Option<String> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Named { x: u32, y: Vec<u8> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(tag = "kind")]
enum Internally {
    A { a: u32 },
    B { b: String },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
#[serde(tag = "t", content = "c")]
enum Adjacently {
    A(u32),
    B { b: String },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Inner {
    x: u32,
    y: String,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    second: Vec<String>,
    #[serde(rename = "the third")]
    third: u16,
}

/// A value that refuses to be encoded.
#[derive(Deserialize, Debug)]
struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for this"))
    }
}

fn round_trip<C: Codec, T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let queue = ObjectQueue::<T, C>::new(4).unwrap();
    queue.put(&value).unwrap_or_else(|error| panic!("{} put {value:?}: {error}", C::NAME));
    assert_eq!(queue.get().unwrap_or_else(|error| panic!("{} get {value:?}: {error}", C::NAME)), value);
    assert!(queue.is_empty());
}

fn plain_types<C: Codec>() {
    round_trip::<C, _>(());
    round_trip::<C, _>((true, 'ß', 1u8, -2i16, 3u32, i64::MIN, u64::MAX));
    round_trip::<C, _>((i128::MIN, u128::MAX));
    round_trip::<C, _>((1.5f32, f64::MIN_POSITIVE, f64::INFINITY));
    round_trip::<C, _>((String::from("héllo"), String::new(), Some(1u8), None::<u8>));
    round_trip::<C, _>(vec![vec![1u8, 2], vec![], vec![255]]);
    round_trip::<C, _>([Unit, Unit]);
    round_trip::<C, _>(Newtype(7));
    for shape in
        [Shape::Unit, Shape::Newtype("x".into()), Shape::Tuple(1, -1), Shape::Struct { width: 0.5, name: Some("n".into()) }]
    {
        round_trip::<C, _>(shape);
    }
    round_trip::<C, _>(HashMap::from([("a".to_string(), vec![Some(1.0), None]), (String::new(), vec![])]));
    round_trip::<C, _>(BTreeMap::from([(3u64, Ok::<u8, String>(1)), (4, Err("no".into()))]));
    round_trip::<C, _>((Duration::new(3, 7), "127.0.0.1".parse::<IpAddr>().unwrap(), std::path::PathBuf::from("/tmp/x")));
}

#[test]
fn plain_types_travel_with_both_codecs() {
    plain_types::<MessagePack>();
    plain_types::<Postcard>();
}

#[test]
fn message_pack_carries_untagged_flattened_tagged_and_skipped() {
    for value in [Untagged::Number(-5), Untagged::Text("t".into()), Untagged::Named { x: 1, y: vec![1, 2] }] {
        round_trip::<MessagePack, _>(value);
    }
    round_trip::<MessagePack, _>(vec![Internally::A { a: 1 }, Internally::B { b: "b".into() }]);
    round_trip::<MessagePack, _>(vec![Adjacently::A(1), Adjacently::B { b: "b".into() }]);
    let inner = Inner { x: 1, y: "y".into() };
    round_trip::<MessagePack, _>(Flattened { id: 9, inner, rest: BTreeMap::from([("more".into(), 3)]) });
    round_trip::<MessagePack, _>(Skipping { first: None, second: vec![], third: 3 });
    round_trip::<MessagePack, _>(Skipping { first: Some(1), second: vec!["s".into()], third: 3 });
    round_trip::<MessagePack, _>(serde_json::json!({"a": [1, -2, 2.5, null, true, "x"], "b": {}}));
}

#[test]
fn programs_may_differ_in_fields_with_message_pack() {
    #[derive(Serialize, Deserialize)]
    struct Old {
        b: u8,
        a: u8,
        gone: String,
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct New {
        a: u8,
        b: u8,
        #[serde(default)]
        added: Option<String>,
    }
    let name = unique_name("fields");
    let old = ObjectQueue::<Old>::builder().name(&name).schema("it").capacity(2).create().unwrap();
    let new = ObjectQueue::<New>::builder().name(&name).schema("it").open().unwrap();
    old.put(&Old { b: 2, a: 1, gone: "x".into() }).unwrap();
    assert_eq!(new.get().unwrap(), New { a: 1, b: 2, added: None });
}

#[test]
fn what_postcard_cannot_carry_is_an_error_as_documented() {
    let flattened = ObjectQueue::<Flattened, Postcard>::new(2).unwrap();
    let value = Flattened { id: 9, inner: Inner { x: 1, y: "y".into() }, rest: BTreeMap::new() };
    assert!(matches!(flattened.put(&value), Err(PutError::Encode { .. })));
    assert!(flattened.is_empty());

    let untagged = ObjectQueue::<Untagged, Postcard>::new(2).unwrap();
    untagged.put(&Untagged::Number(1)).unwrap();
    assert!(matches!(untagged.get(), Err(GetError::Decode { .. })));

    let tagged = ObjectQueue::<Internally, Postcard>::new(2).unwrap();
    tagged.put(&Internally::A { a: 1 }).unwrap();
    assert!(matches!(tagged.get(), Err(GetError::Decode { .. })));

    let any = ObjectQueue::<serde_json::Value, Postcard>::new(2).unwrap();
    any.put(&serde_json::json!(1)).unwrap();
    assert!(matches!(any.get(), Err(GetError::Decode { .. })));

    let skipping = ObjectQueue::<Skipping, Postcard>::new(2).unwrap();
    skipping.put(&Skipping { first: None, second: vec![], third: 3 }).unwrap();
    assert!(matches!(skipping.get(), Err(GetError::Decode { .. })));
}

#[test]
fn an_unencodable_object_is_an_error_to_its_putter_and_nothing_is_enqueued() {
    let queue = ObjectQueue::<Vec<Option<Refusing>>>::new(4).unwrap();
    let error = queue.put(&vec![Some(Refusing)]).unwrap_err();
    assert!(error.to_string().contains("no words for this"), "{error}");
    // After more bytes than one loan has, too.
    let mut long: Vec<Option<Refusing>> = (0..5000).map(|_| None).collect();
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
        let length = if self.times.get() == 1 { 4000 } else { self.second.expect("set by the test")() };
        serializer.serialize_bytes(&vec![7; length])
    }
}

#[test]
fn an_object_that_changes_between_the_passes_leaves_nothing_half_written() {
    let queue = ObjectQueue::<Fickle>::new(4).unwrap();
    let fickle = |second: fn() -> usize| Fickle { second: Some(second), times: Cell::new(0) };
    assert!(matches!(queue.put(&fickle(|| 5000)), Err(PutError::Encode { .. })));
    let panicked = catch_unwind(AssertUnwindSafe(|| queue.put(&fickle(|| panic!("in the second pass")))));
    assert!(panicked.is_err());
    assert_eq!(queue.len(), 0);
    assert_eq!(queue.stats().aborted, 2);
    queue.put(&fickle(|| 3000)).unwrap();
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
    let queue = ObjectQueue::<Vec<u8>>::builder().capacity_bytes(4096).create().unwrap();
    let max = queue.max_len();
    match queue.put(&vec![1; 10_000]) {
        Err(PutError::TooLarge { len, max: limit }) => assert_eq!((len > 10_000, limit), (true, max)),
        other => panic!("{other:?}"),
    }
    assert!(queue.is_empty());
}

/// Bytes of a peer that follows no rule, in a queue of objects of the same name.
fn misdecoding<T: Serialize + DeserializeOwned, U: Serialize + DeserializeOwned>(
    capacity: usize,
) -> (ObjectQueue<T>, ObjectQueue<U>) {
    let name = unique_name("misdecoding");
    let ours = ObjectQueue::<T>::builder().name(&name).schema("same").capacity(capacity).create().unwrap();
    let theirs = ObjectQueue::<U>::builder().name(&name).schema("same").open().unwrap();
    (ours, theirs)
}

#[test]
fn a_message_that_does_not_decode_is_an_error_and_does_not_block_those_behind_it() {
    let (numbers, texts) = misdecoding::<u32, String>(4);
    texts.put("not a number").unwrap();
    numbers.put(&1).unwrap();
    texts.put("nor this").unwrap();
    numbers.put(&2).unwrap();
    let error = numbers.get().unwrap_err();
    assert!(matches!(error, GetError::Decode { .. }), "{error:?}");
    assert!(error.to_string().contains("taken out"), "{error}");
    assert_eq!(numbers.get().unwrap(), 1);
    // By lease: it is consumed, and not delivered for ever.
    assert!(matches!(numbers.lease(), Err(GetError::Decode { .. })));
    let last = numbers.lease().unwrap();
    assert_eq!((*last, last.deliveries()), (2, 1));
    last.release();
    assert!(matches!(numbers.try_get(), Err(GetError::Empty)));
}

#[test]
fn bytes_left_over_behind_a_value_are_an_error() {
    let name = unique_name("left-over");
    // Two integers where one is expected: postcard stores no types that would reveal it.
    let pairs = ObjectQueue::<(u8, u8), Postcard>::builder().name(&name).schema("same").capacity(4).create().unwrap();
    let singles = ObjectQueue::<u8, Postcard>::builder().name(&name).schema("same").open().unwrap();
    pairs.put(&(1, 2)).unwrap();
    singles.put(&3).unwrap();
    let error = singles.get().unwrap_err();
    assert!(error.to_string().contains("1 bytes are left over"), "{error}");
    assert_eq!(singles.get().unwrap(), 3);
}

#[test]
fn another_codec_or_type_or_kind_of_queue_is_a_mismatch_that_names_both() {
    let name = unique_name("mismatch");
    let _queue = ObjectQueue::<Inner>::create(&name, 4).unwrap();
    for (what, result) in [
        ("Inner as Postcard", ObjectQueue::<Inner, Postcard>::open(&name).map(drop)),
        ("Newtype as MessagePack", ObjectQueue::<Newtype>::open(&name).map(drop)),
        ("slices of type u8", Queue::<[u8]>::open(&name).map(drop)),
    ] {
        match result {
            Err(OpenError::Mismatch { ours, theirs, .. }) => {
                assert!(ours.contains(what), "{ours}");
                assert_eq!(theirs, "encoded objects of type Inner as MessagePack");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(matches!(ObjectQueue::<Inner>::create(&name, 4), Err(CreateError::AlreadyExists { in_use: true, .. })));
    assert!(matches!(ObjectQueue::<Inner>::open(unique_name("missing")), Err(OpenError::NotFound { .. })));
    assert!(matches!(ObjectQueue::<Inner>::new(0), Err(CreateError::OutOfRange { .. })));
}

#[test]
fn put_waits_fails_or_times_out_when_full_and_get_when_empty() {
    let queue = ObjectQueue::<String>::new(3).unwrap();
    assert_eq!(queue.capacity(), 3);
    for n in 0..3 {
        assert!(!queue.is_full());
        queue.put(&n.to_string()).unwrap();
    }
    assert!(queue.is_full() && queue.len() == 3);
    let word = "x".to_string();
    assert!(matches!(queue.try_put(&word), Err(PutError::Full)));
    assert!(matches!(queue.put_timeout(&word, Duration::ZERO), Err(PutError::Timeout)));
    let start = Instant::now();
    assert!(matches!(queue.put_timeout(&word, Duration::from_millis(20)), Err(PutError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    // A large object, which is encoded in place, gives the same results.
    let long = "x".repeat(5000);
    assert!(matches!(queue.try_put(&long), Err(PutError::Full)));
    assert!(matches!(queue.put_deadline(&long, Instant::now() + Duration::from_millis(5)), Err(PutError::Timeout)));
    for n in 0..3 {
        assert_eq!(queue.get_deadline(Instant::now() + Duration::from_secs(60)).unwrap(), n.to_string());
    }
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    let start = Instant::now();
    assert!(matches!(queue.get_timeout(Duration::from_millis(20)), Err(GetError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(matches!(queue.try_lease(), Err(GetError::Empty)));
}

#[test]
fn a_blocked_put_goes_on_when_there_is_room_and_a_blocked_get_when_there_is_an_object() {
    watch_for_hangs();
    let queue = ObjectQueue::<String>::new(1).unwrap();
    queue.put("first").unwrap();
    let putter = {
        let queue = queue.clone();
        start_and_wait_until_asleep("a putter", move || queue.put("second"))
    };
    assert_eq!(queue.get().unwrap(), "first");
    putter.join().unwrap();
    assert_eq!(queue.get().unwrap(), "second");
    let getter = {
        let queue = queue.clone();
        start_and_wait_until_asleep("a getter", move || queue.get())
    };
    queue.put("third").unwrap();
    assert_eq!(getter.join().unwrap(), "third");
}

#[test]
fn close_wakes_putters_drains_getters_and_ends_iteration() {
    watch_for_hangs();
    let queue = ObjectQueue::<u32>::new(2).unwrap();
    queue.put(&1).unwrap();
    queue.put(&2).unwrap();
    let putter = {
        let queue = queue.clone();
        start_and_wait_until_asleep("a putter", move || queue.put(&3))
    };
    queue.close();
    queue.close();
    assert!(matches!(putter.join(), Err(PutError::Closed)));
    assert!(queue.is_closed());
    assert_eq!((&queue).into_iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2]);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn task_done_and_join_count_objects() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.join().unwrap();
    queue.put("a").unwrap();
    queue.put("b").unwrap();
    assert!(matches!(queue.join_timeout(Duration::from_millis(5)), Err(JoinError::Timeout { left: 2 })));
    queue.get().unwrap();
    queue.task_done().unwrap();
    queue.lease().unwrap().release();
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
}

#[test]
fn a_leased_object_comes_back_when_it_is_given_back() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put("first").unwrap();
    queue.put("second").unwrap();
    queue.lease().unwrap().give_back();
    let again = queue.lease().unwrap();
    assert_eq!((again.as_str(), again.deliveries()), ("first", 2));
    assert_eq!(again.take(), "first");
    assert_eq!(queue.get().unwrap(), "second");
}

#[test]
fn what_does_not_decode_is_handed_over_with_the_error_and_as_a_dead_letter() {
    let letters = DeadLetters::create(unique_name("letters"), 1 << 16).unwrap();
    let name = unique_name("undecodable");
    let numbers =
        ObjectQueue::<u32>::builder().name(&name).schema("same").capacity(8).dead_letters(letters.name()).create().unwrap();
    let texts = ObjectQueue::<String>::builder().name(&name).schema("same").open().unwrap();
    let mut sent = Vec::new();
    MessagePack::encode("not a number", &mut sent).unwrap();
    for by in ["get", "lease", "batch", "consumer"] {
        texts.put("not a number").unwrap();
        numbers.put(&1).unwrap();
        let error = match by {
            "get" => numbers.get().map(drop),
            "lease" => numbers.lease().map(drop),
            "batch" => numbers.get_batch(5).map(drop),
            _ => numbers.consumer().unwrap().get().map(drop),
        };
        let Err(GetError::Decode { source: why, bytes }) = error else { panic!("{by}: {error:?}") };
        assert_eq!(bytes, sent, "{by}");
        assert_eq!(numbers.get_batch(5).unwrap(), [1], "{by}");
        let letter = letters.try_get().unwrap();
        assert_eq!(letter.reason, Reason::NotDecoded { why: why.to_string() }, "{by}");
        assert_eq!((letter.bytes == sent, letter.deliveries, letter.queue.as_str()), (true, 1, numbers.name()), "{by}");
        assert_eq!(letter.decode::<String, MessagePack>().unwrap(), "not a number");
        assert!(letter.decode::<u32, MessagePack>().is_err());
        numbers.task_done().unwrap();
        // By copy a task_done is due for it, on lease it is finished.
        assert_eq!(numbers.task_done().is_ok(), by != "lease", "{by}");
        numbers.join_timeout(Duration::from_secs(60)).unwrap();
    }
    // An invalid message in the middle of a batch is left for the next call.
    numbers.put(&2).unwrap();
    texts.put("nor this").unwrap();
    assert_eq!(numbers.get_batch(5).unwrap(), [2]);
    assert!(matches!(numbers.get_batch(5), Err(GetError::Decode { .. })));
    assert_eq!(numbers.stats().dead_letters, 5);
    DeadLetters::unlink(letters.name()).unwrap();
}

#[test]
fn a_batch_counts_no_delivery_of_what_it_leaves() {
    let name = unique_name("left-by-a-batch");
    let numbers = ObjectQueue::<u32>::builder().name(&name).schema("same").capacity(8).max_deliveries(1).create().unwrap();
    let texts = ObjectQueue::<String>::builder().name(&name).schema("same").open().unwrap();
    numbers.put(&2).unwrap();
    texts.put("no number").unwrap();
    assert_eq!(numbers.get_batch(5).unwrap(), [2]);
    // The next call returns the error: it was not lost.
    assert!(matches!(numbers.get_batch(5), Err(GetError::Decode { .. })));
    assert_eq!(numbers.stats().given_up, 0);
}

/// A type whose error quotes the message at length.
#[derive(Debug, serde::Serialize)]
struct Wordy(String);

impl<'de> serde::Deserialize<'de> for Wordy {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Wordy, D::Error> {
        let text = String::deserialize(from)?;
        Err(serde::de::Error::custom(text.repeat(100)))
    }
}

#[test]
fn a_reason_of_many_words_is_cut_to_what_the_letter_has_room_for() {
    let letters = DeadLetters::create(unique_name("wordy-letters"), 8192).unwrap();
    let queue = ObjectQueue::<Wordy>::builder().capacity(8).dead_letters(letters.name()).create().unwrap();
    for length in [300, 3800] {
        queue.put(&Wordy("x".repeat(length))).unwrap();
        assert!(matches!(queue.get(), Err(GetError::Decode { .. })));
        let letter = letters.try_get().unwrap();
        let Reason::NotDecoded { why } = &letter.reason else { panic!("{letter:?}") };
        assert!(!why.is_empty() && why.len() <= 1024, "{}", why.len());
        assert!(letter.bytes.len() >= length);
    }
    DeadLetters::unlink(letters.name()).unwrap();
}

#[test]
fn without_dead_letters_the_bytes_are_in_the_error_alone() {
    let (numbers, texts) = misdecoding::<u32, String>(4);
    texts.put("text").unwrap();
    let Err(GetError::Decode { bytes, .. }) = numbers.get() else { panic!("it is none") };
    assert_eq!(bytes, b"\xa4text");
    assert!(numbers.is_empty());
}

#[test]
fn object_endpoints_batches_and_owned_leases_are_as_those_of_a_queue() {
    let queue = ObjectQueue::<String, Postcard>::builder().capacity_bytes(1 << 20).capacity(4).create().unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert!(matches!(queue.put("x"), Err(PutError::Held { .. })));
    assert!(matches!(queue.get(), Err(GetError::Held { .. })));
    let all: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(String::from).to_vec();
    assert_eq!(producer.try_put_slice(&all).unwrap(), 4);
    assert!(matches!(producer.try_put_slice(&all[4..]), Err(PutError::Full)));
    assert_eq!(producer.put_slice(&[]).unwrap(), 0);
    assert_eq!(consumer.get_batch(0).unwrap(), [""; 0]);
    assert_eq!((consumer.get().unwrap().as_str(), &consumer.lease().unwrap()[..]), ("a", "b"));
    // Larger than what is put by copy.
    let large = "x".repeat(10_000);
    producer.put(large.as_str()).unwrap();
    assert_eq!(consumer.get_batch(10).unwrap(), ["c".to_string(), "d".to_string(), large]);
    assert!(matches!(consumer.try_get_batch(1), Err(GetError::Empty)));
    let start = Instant::now();
    assert!(matches!(consumer.get_batch_timeout(1, Duration::from_millis(20)), Err(GetError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(20));
    drop((producer, consumer));
    queue.put("owned").unwrap();
    queue.put(&String::from("next")).unwrap();
    let lease = queue.lease_owned().unwrap();
    drop(queue);
    assert_eq!(std::thread::spawn(move || lease.take()).join().unwrap(), "owned");
}

#[test]
fn the_type_of_an_argument_of_put_is_inferred() {
    let queue = ObjectQueue::<Vec<u32>>::new(8).unwrap();
    queue.put(&(0..3).collect()).unwrap();
    queue.put(&Default::default()).unwrap();
    queue.put(&mut vec![7]).unwrap();
    assert_eq!(queue.get_batch(8).unwrap(), [vec![0, 1, 2], vec![], vec![7]]);
    let options = ObjectQueue::<Option<u8>>::new(8).unwrap();
    options.put(&None).unwrap();
    options.put(&Some(1)).unwrap();
    assert_eq!(options.get_batch(8).unwrap(), [None, Some(1)]);
}

#[test]
fn a_leased_object_is_forwarded_to_a_queue_of_any_codec() {
    let from = ObjectQueue::<String>::new(4).unwrap();
    let to = ObjectQueue::<String, Postcard>::new(1).unwrap();
    from.put("one").unwrap();
    from.put("two").unwrap();
    from.lease().unwrap().forward(&to).unwrap();
    let refused = from.lease().unwrap().try_forward(&to).unwrap_err();
    assert!(matches!(refused.error(), PutError::Full));
    drop(refused);
    let lease = from.lease().unwrap();
    assert_eq!((lease.as_str(), lease.deliveries(), to.get().unwrap().as_str()), ("two", 2, "one"));
    lease.forward(&to.producer().unwrap()).unwrap();
    assert_eq!((to.get().unwrap().as_str(), from.is_empty()), ("two", true));
    from.join_timeout(Duration::from_secs(60)).unwrap();
}

#[test]
fn handles_of_every_queue_travel_through_queues() {
    let plain = Queue::<u64>::new(4).unwrap();
    let objects = ObjectQueue::<String, Postcard>::new(4).unwrap();
    type Handles = (Queue<u64>, ObjectQueue<String, Postcard>);
    let (packed, carded) = (ObjectQueue::<Handles>::new(2).unwrap(), ObjectQueue::<Handles, Postcard>::new(2).unwrap());
    packed.put(&(plain.clone(), objects.clone())).unwrap();
    carded.put(&packed.get().unwrap()).unwrap();
    let (plain_too, objects_too) = carded.get().unwrap();
    plain_too.put(&7).unwrap();
    objects_too.put("seven").unwrap();
    assert_eq!((plain.get().unwrap(), objects.get().unwrap()), (7, "seven".to_string()));
}

#[test]
fn a_handle_of_a_queue_that_is_gone_or_replaced_is_a_decode_error() {
    let name = unique_name("sent");
    let carrier = ObjectQueue::<ObjectQueue<u32>>::new(4).unwrap();
    let sent = ObjectQueue::<u32>::create(&name, 4).unwrap();
    carrier.put(&sent).unwrap();
    carrier.put(&sent).unwrap();
    drop(sent);
    let error = carrier.get().unwrap_err();
    assert!(error.to_string().contains("no queue \""), "{error}");
    let _other = ObjectQueue::<u32>::create(&name, 4).unwrap();
    let error = carrier.get().unwrap_err();
    assert!(error.to_string().contains("another queue has taken this name"), "{error}");
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

#[test]
fn a_consumer_of_objects_iterates_as_its_queue_does() {
    let queue = ObjectQueue::<String>::new(4).unwrap();
    queue.put_slice(&["a".to_string(), "b".to_string()]).unwrap();
    queue.close();
    let consumer = queue.consumer().unwrap();
    assert_eq!((&consumer).into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["a", "b"]);
    assert!(consumer.iter().next().is_none(), "closed and drained");
    // The consumer holds the get side: the error is the last item.
    let mut messages = queue.iter();
    assert!(matches!(messages.next(), Some(Err(GetError::Held { .. }))) && messages.next().is_none());
}
