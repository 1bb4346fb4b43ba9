//! What the codecs make of values: bytes stay bytes, `Some(())` differs from `None`, excessive
//! depth is refused on both sides, and the formats can be read by other programs.
#![cfg(feature = "object")]

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shmq::{Codec, GetError, MessagePack, ObjectQueue, Postcard, PutError};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Debug};
use std::mem::ManuallyDrop;

fn encoded<C: Codec>(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    C::encode(value, &mut bytes).unwrap_or_else(|error| panic!("{}: {error}", C::NAME));
    bytes
}

fn decoded<C: Codec, T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, String> {
    let value = C::decode(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.is_empty() { Ok(value) } else { Err(format!("{} bytes are left over", bytes.len())) }
}

/// Encodes and decodes a value. Returns the number of bytes that it took.
fn travels<C: Codec, T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> usize {
    let bytes = encoded::<C>(value);
    let back = decoded::<C, T>(&bytes).unwrap_or_else(|error| panic!("{} {bytes:x?}: {error}", C::NAME));
    assert!(back == *value, "{}: {value:?} came back as {back:?}", C::NAME);
    bytes.len()
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Tree {
    Leaf,
    Node(Box<Tree>),
    Pair(u8, Box<Tree>),
    Named { inner: Box<Tree> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct List {
    value: u32,
    next: Option<Box<List>>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Onion(Option<Box<Onion>>);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Nest(Vec<Nest>);

/// Every value that can be put can be got, at each depth; from some depth on, put refuses.
fn is_refused_at_put<C: Codec, T: Serialize + DeserializeOwned + PartialEq + Debug>(grow: impl Fn(Option<T>) -> T) {
    let queue = ObjectQueue::<T, C>::new(2).unwrap();
    let mut value = grow(None);
    let mut refused = 0;
    // Depths far from the limit behave like those near it, so only some of them are tried.
    for depth in 1..1100 {
        if depth % 40 == 0 || (80..90).contains(&depth) || (120..140).contains(&depth) || (250..260).contains(&depth) {
            match queue.put(&value) {
                Ok(()) => {
                    let got = queue.get().unwrap_or_else(|error| panic!("{} put {depth} deep and lost it: {error}", C::NAME));
                    assert!(got == value && refused == 0, "{} {depth} deep", C::NAME);
                }
                Err(PutError::Encode { source: error }) => {
                    assert!(error.to_string().contains("depth limit") && depth > 100, "{error}");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        value = grow(Some(value));
    }
    assert!(refused > 0 && queue.is_empty());
}

fn each_kind_is_refused_at_put<C: Codec>() {
    is_refused_at_put::<C, Tree>(|inner| inner.map_or(Tree::Leaf, |inner| Tree::Node(Box::new(inner))));
    is_refused_at_put::<C, Tree>(|inner| inner.map_or(Tree::Leaf, |inner| Tree::Pair(1, Box::new(inner))));
    is_refused_at_put::<C, Tree>(|inner| inner.map_or(Tree::Leaf, |inner| Tree::Named { inner: Box::new(inner) }));
    is_refused_at_put::<C, List>(|next| List { value: 7, next: next.map(Box::new) });
    is_refused_at_put::<C, Onion>(|inner| Onion(inner.map(Box::new)));
    is_refused_at_put::<C, Nest>(|inner| Nest(inner.into_iter().collect()));
}

#[test]
fn put_refuses_what_is_nested_too_deep_for_get() {
    each_kind_is_refused_at_put::<MessagePack>();
    each_kind_is_refused_at_put::<Postcard>();
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Pair(Tree),
}

#[test]
fn a_type_that_asks_for_nothing_is_read_as_deep_as_it_is_written() {
    let queue = ObjectQueue::<Untagged>::new(2).unwrap();
    let mut tree = Tree::Leaf;
    for _ in 0..600 {
        tree = Tree::Pair(1, Box::new(tree));
        let value = Untagged::Pair(tree);
        if queue.put(&value).is_ok() {
            assert!(queue.get().unwrap() == value);
        }
        let Untagged::Pair(inner) = value else { unreachable!() };
        tree = inner;
    }
}

/// Runs on the stack of a thread: 2 MiB, including the frames of a debug build.
#[test]
fn neither_a_value_nor_bytes_that_are_nested_endlessly_overflow_the_stack() {
    const DEPTH: usize = 200_000;
    let tree = (0..DEPTH).fold(Tree::Leaf, |tree, _| Tree::Node(Box::new(tree)));
    // Dropping it takes stack as well.
    let tree = ManuallyDrop::new(tree);
    for refused in [Postcard::encode(&*tree, &mut Vec::new()), MessagePack::encode(&*tree, &mut Vec::new())] {
        assert!(refused.unwrap_err().to_string().contains("depth limit"));
    }
    assert!(decoded::<Postcard, Tree>(&[1; DEPTH]).unwrap_err().contains("depth limit"));
    assert!(decoded::<Postcard, Onion>(&[1; DEPTH]).unwrap_err().contains("depth limit"));
    let node = b"\x81\xa4Node".repeat(DEPTH);
    assert!(decoded::<MessagePack, Tree>(&node).unwrap_err().contains("depth limit"));
    assert!(decoded::<MessagePack, Nest>(&[0x91; DEPTH]).unwrap_err().contains("depth limit"));
    assert!(decoded::<MessagePack, serde_json::Value>(&[0x91; DEPTH]).unwrap_err().contains("depth limit"));
    // Skipped, as an unknown field.
    #[derive(Deserialize, Debug)]
    struct Empty {}
    let unknown = [b"\x81\xa1x".to_vec(), vec![0x91; DEPTH]].concat();
    assert!(decoded::<MessagePack, Empty>(&unknown).unwrap_err().contains("depth limit"));
    // Many `Some` around one nil take four bytes.
    assert!(decoded::<MessagePack, Onion>(&[0xd5, 2, 0xff, 0xff]).unwrap_err().contains("depth limit"));
}

fn somes<C: Codec>() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Unit;
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Newtype(Option<u8>);
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Fields {
        a: Option<()>,
        b: Option<Option<u8>>,
        c: Vec<Option<Unit>>,
        d: BTreeMap<String, Option<()>>,
    }
    for value in [None, Some(())] {
        travels::<C, _>(&value);
        travels::<C, Result<Option<()>, String>>(&Ok(value));
    }
    for value in [None, Some(None), Some(Some(None)), Some(Some(Some(())))] {
        travels::<C, Option<Option<Option<()>>>>(&value);
    }
    for value in [None, Some(Newtype(None)), Some(Newtype(Some(1)))] {
        travels::<C, _>(&value);
    }
    travels::<C, _>(&[None, Some(Unit)]);
    travels::<C, _>(&Some(vec![()]));
    travels::<C, _>(&Some(Some(vec![Some(())])));
    let d = BTreeMap::from([("some".into(), Some(())), ("none".into(), None)]);
    travels::<C, _>(&Fields { a: Some(()), b: Some(None), c: vec![Some(Unit), None], d });
}

#[test]
fn some_of_nothing_is_not_none() {
    somes::<MessagePack>();
    somes::<Postcard>();
    let queue = ObjectQueue::<Option<()>>::new(1).unwrap();
    queue.put(&Some(())).unwrap();
    assert_eq!(queue.get().unwrap(), Some(()));
}

/// Asks for bytes, and accepts nothing else.
#[derive(Debug, PartialEq)]
struct Strict(Vec<u8>);

impl Serialize for Strict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Strict;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("bytes and nothing else")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Strict, E> {
                Ok(Strict(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(tag = "kind")]
enum Tagged {
    Sequence { bytes: Vec<u8> },
    Strict { bytes: Strict },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Byte(u8);

fn sequences_of_bytes<C: Codec>(length: usize) {
    let bytes: Vec<u8> = (0..length).map(|n| 255 - (n % 256) as u8).collect();
    let room = length + 24;
    assert!(travels::<C, _>(&bytes) <= room);
    assert!(travels::<C, _>(&bytes.clone().into_boxed_slice()) <= room);
    assert!(travels::<C, _>(&VecDeque::from(bytes.clone())) <= room);
    assert!(travels::<C, _>(&bytes.iter().copied().map(Byte).collect::<Vec<_>>()) <= room);
    assert!(travels::<C, _>(&(1u8, Some(bytes.clone()), "x".to_string())) <= room);
    assert!(travels::<C, Result<Vec<u8>, ()>>(&Ok(bytes.clone())) <= room);
    assert!(travels::<C, _>(&vec![vec![bytes.clone()], vec![]]) <= room);
    assert!(travels::<C, _>(&BTreeMap::from([("a".to_string(), bytes.clone())])) <= room);
    assert!(travels::<C, _>(&Strict(bytes)) <= room);
}

#[test]
fn bytes_travel_as_bytes_whatever_their_type() {
    for length in [0, 1, 40, 255, 256, 65_535, 65_536, 200_000] {
        sequences_of_bytes::<MessagePack>(length);
        sequences_of_bytes::<Postcard>(length);
        let bytes: Vec<u8> = (0..length).map(|n| 128 + (n % 128) as u8).collect();
        // Also where serde asks for no type: the value found must be the one that was written.
        travels::<MessagePack, _>(&Tagged::Sequence { bytes: bytes.clone() });
        travels::<MessagePack, _>(&Tagged::Strict { bytes: Strict(bytes.clone()) });
        travels::<MessagePack, _>(&Flat { rest: BTreeMap::from([("x".into(), bytes)]) });
    }
    assert!(travels::<MessagePack, _>(&[200u8; 32]) < 40);
    assert!(travels::<MessagePack, _>(&(200u8, 201u8, 202u8)) < 8);
    // All but the last are bytes, or all but the first.
    travels::<MessagePack, _>(&(1u8, 200u8, "x".to_string()));
    travels::<MessagePack, _>(&(-1i8, 200u8, 1u8));
    travels::<MessagePack, _>(&serde_json::json!([1, 2, 255, "x", [200, 201]]));
}

#[test]
fn an_empty_sequence_of_unknown_length_is_one() {
    struct Odd(Vec<u32>);
    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.iter().filter(|n| **n % 2 == 1))
        }
    }
    for (all, odd) in [(vec![], vec![]), (vec![2], vec![]), (vec![1, 2, 300], vec![1])] {
        assert_eq!(decoded::<MessagePack, Vec<u32>>(&encoded::<MessagePack>(&Odd(all))), Ok(odd));
    }
    assert!(Postcard::encode(&Odd(vec![1]), &mut Vec::new()).is_err());
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Shape {
    Unit,
    Newtype(String),
    Tuple(u16, i64),
    Struct { width: f64, name: Option<String> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Everything {
    signed: (i8, i16, i32, i64),
    unsigned: (u16, u32, u64),
    wide: (i128, u128),
    floats: (f32, f64),
    text: (char, String),
    shapes: Vec<Shape>,
    map: BTreeMap<u16, Vec<String>>,
    option: Option<u32>,
    unit: (),
    flag: bool,
    bytes: Strict,
}

fn everything(scale: u32) -> Everything {
    let scaled = |n: i64| n >> scale;
    Everything {
        signed: (scaled(-128) as i8, scaled(-32768) as i16, scaled(i32::MIN.into()) as i32, scaled(i64::MIN)),
        unsigned: (u16::MAX >> scale.min(15), u32::MAX >> scale.min(31), u64::MAX >> scale),
        wide: (i128::MIN >> scale, u128::MAX >> scale),
        floats: (1.5, f64::MIN_POSITIVE),
        text: ('ß', "y".repeat(scale as usize * 7000)),
        shapes: vec![
            Shape::Unit,
            Shape::Newtype("z".into()),
            Shape::Tuple(scale as u16, scaled(-9)),
            Shape::Struct { width: 0.5, name: (scale > 3).then(|| "n".into()) },
        ],
        map: (0..scale as u16).map(|n| (n, vec![n.to_string(); n as usize])).collect(),
        option: (scale % 2 == 0).then_some(scale),
        unit: (),
        flag: scale % 2 == 1,
        bytes: Strict(vec![200; scale as usize * 40]),
    }
}

#[test]
fn the_formats_are_those_of_message_pack_and_postcard() {
    for scale in [0, 1, 2, 5, 7, 9, 15, 17, 31, 40, 63] {
        let value = everything(scale);
        let packed = encoded::<MessagePack>(&value);
        assert_eq!(decoded::<MessagePack, Everything>(&packed).as_ref(), Ok(&value), "{scale}");
        let theirs = rmp_serde::to_vec_named(&value).unwrap();
        // Everything but the bytes, which come last.
        let at = packed.windows(6).position(|window| window == b"\xa5bytes").unwrap() + 6;
        assert!(packed[..at] == theirs[..at], "{scale}: {packed:x?} {theirs:x?}");
        assert_eq!(decoded::<MessagePack, Everything>(&theirs).as_ref(), Ok(&value), "{scale}");

        let carded = encoded::<Postcard>(&value);
        assert!(carded == postcard::to_stdvec(&value).unwrap(), "{scale}");
        assert_eq!(decoded::<Postcard, Everything>(&carded).as_ref(), Ok(&value), "{scale}");
    }
    // Bytes are an ext of type 1, and a nil inside `Some` one of type 2.
    assert_eq!(encoded::<MessagePack>(&Strict(vec![7, 8, 9])), [0xc7, 3, 1, 7, 8, 9]);
    assert_eq!(encoded::<MessagePack>(&Some(Some(()))), [0xd5, 2, 0, 2]);
    assert_eq!(encoded::<MessagePack>(&[7u8, 8, 9]), [0xc4, 3, 7, 8, 9]);
    // Other programs read our sequences of bytes as bytes or as sequences, and we read theirs.
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(rmp_serde::from_slice::<Vec<u8>>(&encoded::<MessagePack>(&bytes)).unwrap(), bytes);
    assert_eq!(decoded::<MessagePack, Vec<u8>>(&rmp_serde::to_vec_named(&bytes).unwrap()), Ok(bytes.clone()));
    assert_eq!(decoded::<MessagePack, Vec<u8>>(&rmp_serde::to_vec_named(&Strict(bytes.clone())).unwrap()), Ok(bytes.clone()));
    assert_eq!(
        decoded::<MessagePack, Strict>(&rmp_serde::to_vec_named(&Strict(bytes.clone())).unwrap()),
        Ok(Strict(bytes.clone()))
    );
    assert_eq!(decoded::<MessagePack, Vec<Option<u8>>>(&encoded::<MessagePack>(&[200u8, 201])), Ok(vec![Some(200), Some(201)]));
    assert_eq!(encoded::<Postcard>(&bytes), postcard::to_stdvec(&bytes).unwrap());
}

#[test]
fn bytes_that_end_too_early_or_lie_about_their_length_are_an_error() {
    fn all<C: Codec>() {
        let bytes = encoded::<C>(&everything(5));
        for length in 0..bytes.len().min(3000) {
            assert!(decoded::<C, Everything>(&bytes[..length]).is_err(), "{} of {length}", C::NAME);
        }
    }
    all::<MessagePack>();
    all::<Postcard>();
    for lying in
        [&[0xdd, 0xff, 0xff, 0xff, 0xff, 1][..], &[0xdf, 0xff, 0xff, 0xff, 0xff], &[0xc6, 0xff, 0, 0, 0, 1], &[0xdb, 0, 0, 1, 0]]
    {
        assert!(decoded::<MessagePack, Vec<u64>>(lying).is_err());
        assert!(decoded::<MessagePack, serde_json::Value>(lying).is_err());
    }
    assert!(decoded::<Postcard, Vec<u64>>(&[0xff; 9]).is_err());
    assert!(decoded::<Postcard, Vec<u8>>(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1]).is_err());
    assert!(decoded::<Postcard, u16>(&[0xff, 0xff, 0x07]).is_err());
    let texts = ObjectQueue::<String>::new(1).unwrap();
    assert!(matches!(texts.try_get(), Err(GetError::Empty)));
}

/// Refuses, with an error text of its own.
#[derive(Debug)]
struct Unwilling;

impl Serialize for Unwilling {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not written today"))
    }
}

impl<'de> Deserialize<'de> for Unwilling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer)?;
        Err(serde::de::Error::custom("not read today"))
    }
}

#[test]
fn what_a_type_says_when_it_refuses_is_in_the_error_however_deep_it_is() {
    fn all<C: Codec>() {
        let refused = C::encode(&Shapes { many: vec![Some((1u8, Unwilling))] }, &mut Vec::new());
        assert_eq!(refused.unwrap_err().to_string(), "not written today");
        let bytes = encoded::<C>(&Shapes { many: vec![Some((1u8, 2u8))] });
        assert_eq!(decoded::<C, Shapes<(u8, Unwilling)>>(&bytes).unwrap_err(), "not read today");
        // A type that takes the bytes, too.
        let mut room = [0; 3];
        let full = C::encode(&("four", 4), &mut &mut room[..]).unwrap_err();
        assert_eq!(full.downcast::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::WriteZero);
    }
    #[derive(Serialize, Deserialize, Debug)]
    struct Shapes<T> {
        many: Vec<Option<T>>,
    }
    all::<MessagePack>();
    all::<Postcard>();
}

/// Data as a program of another version may have left it: the only requirement is that no decoder
/// panics.
#[test]
fn garbage_is_an_error_or_a_value() {
    for seed in 0..20_000u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let bytes: Vec<u8> = (0..seed % 40)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Many of them start a value.
                if state & 0x100 == 0 { state as u8 } else { [0x81, 0x91, 0xc0, 0xc4, 0xd5, 2, 1, 0xa1][state as usize >> 9 & 7] }
            })
            .collect();
        let _ = decoded::<MessagePack, serde_json::Value>(&bytes);
        let _ = decoded::<MessagePack, Option<Option<Vec<Option<Strict>>>>>(&bytes);
        let _ = decoded::<MessagePack, BTreeMap<String, Untagged>>(&bytes);
        let _ = decoded::<MessagePack, Vec<Shape>>(&bytes);
        let _ = decoded::<Postcard, Vec<Shape>>(&bytes);
        let _ = decoded::<Postcard, Option<Vec<Option<Strict>>>>(&bytes);
    }
}

/// A number inside that many brackets.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Peano(Option<Box<Peano>>);

/// Takes no bytes when encoded, and memory when decoded.
#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
struct Skipped {
    #[serde(skip)]
    cache: [u64; 8],
}

#[test]
fn a_byte_may_not_be_taken_for_endlessly_nested_values() {
    for bytes in [[0xc5, 0, 1, 7].as_slice(), &[0xc4, 1, 7]] {
        let decoded = MessagePack::decode::<Vec<Peano>>(&mut &*bytes);
        assert!(decoded.is_err_and(|error| error.to_string().contains("depth limit")), "{bytes:?}");
    }
}

#[test]
fn few_bytes_do_not_ask_for_any_number_of_elements() {
    let endless = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| error.to_string().contains("take no bytes");
    assert!(Postcard::decode::<Vec<()>>(&mut &endless[..]).is_err_and(refused));
    assert!(Postcard::decode::<Vec<Skipped>>(&mut &[0x80, 0xad, 0xe2, 0x04][..]).is_err_and(refused));
    assert!(Postcard::decode::<BTreeMap<(), ()>>(&mut &endless[..]).is_err_and(refused));
    // Every value that can be put can be got.
    let mut bytes = Vec::new();
    assert!(Postcard::encode(&vec![Skipped::default(); 65_600], &mut bytes).is_err_and(refused));
    bytes.clear();
    Postcard::encode(&vec![Skipped::default(); 65_000], &mut bytes).unwrap();
    assert_eq!(Postcard::decode::<Vec<Skipped>>(&mut &*bytes).unwrap().len(), 65_000);
    bytes.clear();
    for inner in [vec![], vec![1u16, 300]] {
        bytes.clear();
        Postcard::encode(&vec![inner; 100_000], &mut bytes).unwrap();
        assert_eq!(Postcard::decode::<Vec<Vec<u16>>>(&mut &*bytes).unwrap().len(), 100_000);
    }
}
