//! Types of serde's data model, and what each codec makes of them.

use crate::support::unique_name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shmq::{Codec, CreateError, GetError, MessagePack, ObjectQueue, OpenError, Postcard, PutError, Queue};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::time::Duration;

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
