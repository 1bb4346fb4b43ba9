//! What `#[shmq::message]` makes of types: how they travel, what they are checked for, and the
//! schema that their openers must share.

use super::{queue, slices};
use crate::support::unique_name;
use shmq::sync::{Array, Mutex, Value};
use shmq::{CreateError, GetError, Message, OpenError, Plain, Queue};
use std::marker::PhantomData;
use std::num::NonZeroU16;

/// Attributes, a raw name, and a field that no build has.
#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
struct Quote {
    price: f64,
    r#type: u32,
    #[cfg(any())]
    gone: String,
    flags: [bool; 4],
}

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair<A, B> {
    a: A,
    b: B,
}

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Buffer<T, const N: usize>
where
    T: Copy,
{
    used: u64,
    items: [T; N],
    of: PhantomData<T>,
}

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
struct Id(u64);

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, packed)]
struct Packet(u8, u32, NonZeroU16);

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
struct Line([Id; 8]);

#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(i16)]
enum Level {
    Low = -7,
    Next,
    High = 300,
}

/// As large as its largest variant, and so are the others.
#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Event<T> {
    Moved { by: [u8; 3], fast: bool } = 4,
    Named([T; 4]),
    Both(T, T, bool, Option<std::num::NonZeroU8>) = 0x80,
}

#[shmq::message]
struct Nothing;

fn goes_round<T: Message<Owned = T> + Clone + std::fmt::Debug + PartialEq>(value: &T) {
    let queue = queue::<T>(4);
    queue.put(value).unwrap();
    assert_eq!(&queue.get().unwrap(), value);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.put(value).unwrap();
    assert_eq!(&consumer.get().unwrap(), value);
}

fn goes_in_place<T: Plain<Owned = T> + Copy + std::fmt::Debug + PartialEq>(value: T) {
    goes_round(&value);
    let queue = queue::<T>(4);
    let mut loan = queue.loan().unwrap();
    *loan = value;
    loan.commit().unwrap();
    assert_eq!(*queue.lease().unwrap(), value);
    let elements = slices::<T>(4096);
    elements.put(&[value; 3]).unwrap();
    assert_eq!(elements.get().unwrap(), [value; 3]);
    assert_eq!(*Mutex::new(value).unwrap().lock().unwrap(), value);
    assert_eq!(Value::new(value).unwrap().get().unwrap(), value);
}

const QUOTE: Quote = Quote { price: 1.5, r#type: 7, flags: [true, false, true, true] };

#[test]
fn structs_and_enums_travel() {
    goes_round(&QUOTE);
    goes_round(&Pair { a: QUOTE, b: [Level::Low, Level::Next, Level::High, Level::Low] });
    goes_round(&Packet(1, 2, NonZeroU16::MAX));
    for level in [Level::Low, Level::Next, Level::High] {
        goes_round(&level);
    }
    goes_round(&Event::<u8>::Moved { by: [1, 2, 3], fast: true });
    goes_round(&Event::Named([9u8; 4]));
    goes_round(&Event::Both(1u8, 2, false, None));
    let nothing = queue::<Nothing>(2);
    nothing.put(&Nothing).unwrap();
    let Nothing = nothing.get().unwrap();
}

#[test]
fn what_has_a_value_for_any_bits_travels_in_place() {
    goes_in_place(Id(7));
    goes_in_place(Line([Id(1), Id(2), Id(3), Id(4), Id(5), Id(6), Id(7), Id(8)]));
    goes_in_place(Pair { a: Id(3), b: 4.5 });
    goes_in_place(Pair { a: Pair { a: 1u32, b: 2i32 }, b: [NonZeroU16::new(3), None, None, None] });
    goes_in_place(Buffer::<u16, 4> { used: 2, items: [7, 8, 0, 0], of: PhantomData });
    let line = Array::new(vec![Id(1), Id(2)]).unwrap();
    assert_eq!(line.lock().unwrap()[1], Id(2));
}

/// For every byte at `at` in the bytes of `value`: those that give a valid `T`.
fn values_at<T: Message<Owned = T> + std::fmt::Debug>(value: &[u8], at: usize) -> Vec<u8> {
    let name = unique_name("bits");
    // The same size and alignment, as the schema promises; `u8` alone would have another.
    let checked = Queue::<T>::builder().name(&name).capacity(256).schema("bits").create().unwrap();
    let mut found = Vec::new();
    for byte in 0..=255 {
        let mut bits = value.to_vec();
        bits[at] = byte;
        match put_bits(&name, &bits, align_of::<T>()).and_then(|()| checked.try_get()) {
            Ok(_) => found.push(byte),
            Err(GetError::Invalid) => {}
            Err(error) => panic!("{error}"),
        }
    }
    found
}

/// Puts bytes as a program does that does not know the type.
fn put_bits(name: &str, bits: &[u8], align: usize) -> Result<(), GetError> {
    fn put<T: Message<Owned = T>>(name: &str, value: &T) {
        Queue::<T>::builder().name(name).schema("bits").open().unwrap().put(value).unwrap();
    }
    match (bits.len(), align) {
        (2, 2) => put(name, &i16::from_ne_bytes(bits.try_into().unwrap())),
        (5, 1) => put::<[u8; 5]>(name, bits.try_into().unwrap()),
        (7, 1) => put::<[u8; 7]>(name, bits.try_into().unwrap()),
        (16, 8) => put(name, &[0, 8].map(|at| u64::from_ne_bytes(bits[at..at + 8].try_into().unwrap()))),
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[test]
fn bits_that_are_no_value_of_a_field_or_a_variant_are_invalid() {
    let all: Vec<u8> = (0..=255).collect();
    // bool, inside an array.
    let quote = [0; 16];
    assert_eq!(values_at::<Quote>(&quote, 0), all);
    assert_eq!(values_at::<Quote>(&quote, 15), [0, 1]);
    // A field that is not aligned.
    assert_eq!(values_at::<Packet>(&[0; 7], 5), all[1..]);
    assert_eq!(values_at::<Packet>(&[0, 0, 0, 0, 0, 0, 1], 1), all);
    // Signed and sparse.
    let [low, high] = (-7i16).to_ne_bytes();
    let low_at = usize::from(cfg!(target_endian = "big"));
    assert_eq!(values_at::<Level>(&[low, high], low_at), [-7i8 as u8, -6i8 as u8]);
    // The variant decides which bytes are checked for what.
    for (first, at, valid) in
        [(4, 4, &all[..2]), (4, 3, &all), (5, 4, &all), (0x80, 3, &all[..2]), (0x80, 4, &all), (0, 0, &[4, 5, 0x80])]
    {
        assert_eq!(values_at::<Event<u8>>(&[first, 0, 0, 0, 0], at), valid, "{first} {at}");
    }
}

#[test]
fn schemas_say_names_offsets_and_types() {
    if cfg!(target_endian = "big") {
        return;
    }
    assert_eq!(Quote::schema(), "{price@0: f64, type@8: u32, flags@12: [bool; 4]}");
    assert_eq!(
        Pair::<Quote, [Pair<u8, i8>; 4]>::schema(),
        format!("{{a@0: {}, b@16: [{{a@0: u8, b@1: i8}}; 4]}}", Quote::schema())
    );
    assert_eq!(Buffer::<u16, 4>::schema(), "{used@0: u64, items@8: [u16; 4]}");
    assert_eq!((Id::schema(), Line::schema()), ("u64".to_owned(), "{0@0: [u64; 8]}".to_owned()));
    assert_eq!(Packet::schema(), "{0@0: u8, 1@1: u32, 2@5: u16}");
    assert_eq!(Level::schema(), "enum i16 {Low=-7, Next=-6, High=300}");
    let event = "enum u8 {Moved=4 {by@1: [u8; 3], fast@4: bool}, Named=5 {0@1: [u8; 4]}, Both=128 {0@1: u8, 1@2: u8, 2@3: bool, 3@4: u8}}";
    assert_eq!(Event::<u8>::schema(), event);
    assert_eq!(Nothing::schema(), "{}");
    let queue = queue::<Quote>(1);
    let about = shmq::inspect::Inspector::open(queue.name()).unwrap().about();
    assert_eq!(about.structure, Some(Quote::schema()), "any program may read it");
}

mod first {
    #[shmq::message]
    pub struct Tick {
        pub price: f64,
        pub volume: u64,
    }
}

/// Versions of the same type, as in programs of different releases.
mod swapped {
    #[shmq::message]
    pub struct Tick {
        pub volume: u64,
        pub price: f64,
    }
}
mod renamed {
    #[shmq::message]
    pub struct Tick {
        pub price: f64,
        pub amount: u64,
    }
}
mod retyped {
    #[shmq::message]
    pub struct Tick {
        pub price: f64,
        pub volume: i64,
    }
}
mod longer {
    #[shmq::message]
    pub struct Tick {
        pub price: f64,
        pub volume: u64,
        pub venue: u64,
    }
}

/// The error of an opener for `T`, which is the same as that of `open_or_create`.
fn refusal<T: ?Sized + Message>(name: &str) -> String {
    let refused = Queue::<T>::builder().name(name).capacity(4).open_or_create().map(drop);
    match (Queue::<T>::open(name), refused) {
        (Err(OpenError::Mismatch { ours, theirs, .. }), Err(CreateError::Mismatch { ours: same, theirs: too, .. })) => {
            assert_eq!((&ours, &theirs), (&same, &too));
            format!("{theirs} | {ours}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_that_are_swapped_added_renamed_or_retyped_are_refused() {
    let name = unique_name("versions");
    let ticks = Queue::<first::Tick>::create(&name, 4).unwrap();
    let theirs = "messages of type Tick (16 bytes) of structure {price@0: f64, volume@8: u64}";
    for (text, expected) in [
        (
            refusal::<swapped::Tick>(&name),
            "messages of type Tick (16 bytes) of structure {volume@0: u64, price@8: f64} \
             (they differ first at byte 0: the field `price` there, `volume` here)",
        ),
        (
            refusal::<renamed::Tick>(&name),
            "messages of type Tick (16 bytes) of structure {price@0: f64, amount@8: u64} \
             (they differ first at byte 8: the field `volume` there, `amount` here)",
        ),
        (
            refusal::<retyped::Tick>(&name),
            "messages of type Tick (16 bytes) of structure {price@0: f64, volume@8: i64} \
             (they differ first in the field `volume`: u64 there, i64 here)",
        ),
        (
            refusal::<longer::Tick>(&name),
            "messages of type Tick (24 bytes) of structure {price@0: f64, volume@8: u64, venue@16: u64} \
             (they differ first in the field `venue`, which is only here)",
        ),
    ] {
        if cfg!(target_endian = "little") {
            assert_eq!(text, format!("{theirs} | {expected}"));
        }
    }
    // Inside other types, and as elements of slices.
    let nested = unique_name("nested");
    let _outer = Queue::<Pair<first::Tick, u64>>::create(&nested, 4).unwrap();
    let text = refusal::<Pair<swapped::Tick, u64>>(&nested);
    assert!(text.ends_with("(they differ first at byte 0: the field `a.price` there, `a.volume` here)"), "{text}");
    let many = unique_name("many");
    let _elements = Queue::<[first::Tick]>::builder().name(&many).create().unwrap();
    assert!(refusal::<[renamed::Tick]>(&many).contains("`volume` there, `amount` here"));
    // A handle that was sent is checked in the same way.
    let sent = serde_json::to_string(&ticks).unwrap();
    serde_json::from_str::<Queue<first::Tick>>(&sent).unwrap();
    let refused = serde_json::from_str::<Queue<swapped::Tick>>(&sent).unwrap_err().to_string();
    assert!(refused.contains("`price` there, `volume` here"), "{refused}");
}

#[test]
fn a_schema_of_both_sides_stands_in_for_the_structure() {
    let name = unique_name("agreed");
    let ticks = Queue::<first::Tick>::builder().name(&name).capacity(4).schema("tick/1").create().unwrap();
    ticks.put(&first::Tick { price: 0.0, volume: 7 }).unwrap();
    assert!(refusal::<renamed::Tick>(&name).contains("amount"), "only one of them names it");
    let settings = || Queue::<renamed::Tick>::builder().name(&name);
    assert!(matches!(settings().schema("tick/2").open(), Err(OpenError::Mismatch { .. })));
    let same = settings().schema("tick/1").open().unwrap();
    assert_eq!(same.get().unwrap().amount, 7);
    // The size still counts.
    let longer = Queue::<longer::Tick>::builder().name(&name).schema("tick/1").open();
    assert!(matches!(longer, Err(OpenError::Mismatch { .. })));
    // A structure that the builder sets must match.
    let said = settings().schema("tick/1").structure("{amount@0: u64}").open();
    assert!(matches!(said, Err(OpenError::Mismatch { .. })));
}

#[test]
fn a_structure_that_is_said_travels_with_the_handle() {
    let name = unique_name("said");
    let settings = || Queue::<[u64; 2]>::builder().name(&name).capacity(4).structure("{price@0: f64, volume@8: u64}");
    let queue = settings().create().unwrap();
    // It is written like the schema of a type, and this type has a different one.
    assert!(refusal::<[u64; 2]>(&name).contains("of structure {price@0: f64, volume@8: u64}"));
    settings().open().unwrap();
    let sent = serde_json::to_string(&queue).unwrap();
    let received: Queue<[u64; 2]> = serde_json::from_str(&sent).unwrap();
    received.put(&[1, 2]).unwrap();
    assert_eq!(queue.get().unwrap(), [1, 2]);
}

#[test]
fn what_primitives_hold_is_compared_too() {
    let name = unique_name("guarded");
    let _mutex = Mutex::create(&name, first::Tick { price: 1.0, volume: 2 }).unwrap();
    assert!(Mutex::<first::Tick>::open(&name).is_ok());
    let refused = Mutex::<swapped::Tick>::open(&name).unwrap_err().to_string();
    assert!(refused.contains("`price` there, `volume` here"), "{refused}");
    assert!(Value::<first::Tick>::open(&name).is_err());
}

#[test]
fn a_crate_that_is_renamed_is_named_in_the_attribute() {
    use shmq as ipc;
    #[ipc::message(crate = ipc)]
    #[derive(Clone, Debug, PartialEq)]
    struct Here {
        at: u64,
    }
    goes_round(&Here { at: 3 });
}
