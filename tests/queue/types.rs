//! Which types may be messages, and which openers fit: checked bits, mismatches that name both
//! sides, schemas.

use super::{drain, queue, slices};
use crate::support::unique_name;
use shmq::{CreateError, GetError, OpenError, Queue};
use std::num::{NonZeroU32, NonZeroU64};

#[shmq::message]
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(u32)]
enum Colour {
    Red = 1,
    Green = 0x0200,
}

#[shmq::message]
#[derive(Debug, Clone, Copy, PartialEq)]
struct Order {
    price: NonZeroU32,
    colour: Colour,
    urgent: bool,
    digits: [u8; 7],
}

#[shmq::message]
#[derive(Debug, Clone, Copy, PartialEq)]
struct RawOrder {
    price: u32,
    colour: u32,
    urgent: u8,
    digits: [u8; 7],
}

#[test]
fn checked_types_travel() {
    let order = Order { price: NonZeroU32::MIN, colour: Colour::Green, urgent: true, digits: *b"0123456" };
    let orders: Queue<Order> = queue(4);
    orders.put(&order).unwrap();
    assert_eq!(orders.put_slice(&[order, Order { colour: Colour::Red, ..order }]).unwrap(), 2);
    assert_eq!(orders.get().unwrap(), order);
    let mut buffer = [order; 4];
    assert_eq!((orders.get_slice(&mut buffer).unwrap(), buffer[1].colour), (2, Colour::Red));

    let flags: Queue<bool> = queue(4);
    assert_eq!(flags.put_slice(&[true, false, true]).unwrap(), 3);
    assert_eq!(drain(&flags), [true, false, true]);
    let numbers: Queue<NonZeroU64> = queue(4);
    numbers.put(&NonZeroU64::MAX).unwrap();
    assert_eq!(numbers.get().unwrap(), NonZeroU64::MAX);
    let nested: Queue<[Option<NonZeroU32>; 2]> = queue(4);
    nested.put(&[None, NonZeroU32::new(7)]).unwrap();
    assert_eq!(nested.get().unwrap(), [None, NonZeroU32::new(7)]);
    let letters: Queue<char> = queue(1);
    letters.put(&'\u{1f980}').unwrap();
    assert_eq!(letters.get().unwrap(), '\u{1f980}');
}

/// Two queues of one segment: one puts any bits, the other expects valid ones.
fn raw_and_checked<R: shmq::Message, C: shmq::Message>(what: &str) -> (Queue<R>, Queue<C>) {
    let name = unique_name(what);
    let raw = Queue::<R>::builder().name(&name).capacity(8).schema("same bits").create().unwrap();
    let checked = Queue::<C>::builder().name(&name).schema("same bits").open().unwrap();
    (raw, checked)
}

#[test]
fn bits_that_are_no_value_are_invalid_and_out_of_the_way() {
    let (raw, checked) = raw_and_checked::<RawOrder, Order>("orders");
    let good = RawOrder { price: 1, colour: 0x0200, urgent: 1, digits: [0; 7] };
    for bad in [RawOrder { price: 0, ..good }, RawOrder { colour: 2, ..good }, RawOrder { urgent: 2, ..good }] {
        raw.put(&good).unwrap();
        raw.put(&bad).unwrap();
        raw.put(&good).unwrap();
        assert!(checked.get().is_ok());
        assert!(matches!(checked.get(), Err(GetError::Invalid)));
        assert!(checked.get().is_ok());
        assert!(matches!(checked.try_get(), Err(GetError::Empty)));
    }
    let consumer = checked.consumer().unwrap();
    raw.put(&RawOrder { urgent: 255, ..good }).unwrap();
    assert!(matches!(consumer.get(), Err(GetError::Invalid)));
    drop(consumer);
    raw.put(&RawOrder { urgent: 255, ..good }).unwrap();
    raw.put(&good).unwrap();
    let all: Vec<_> = {
        raw.close();
        checked.iter().collect()
    };
    assert!(matches!(all[..], [Err(GetError::Invalid), Ok(_)]), "{all:?}");
}

#[test]
fn batches_stop_at_bits_that_are_no_value() {
    let (raw, flags) = raw_and_checked::<u8, bool>("flags");
    assert_eq!(raw.put_slice(&[0, 7, 1]).unwrap(), 3);
    let mut buffer = [true; 8];
    let mut got = Vec::new();
    while !flags.is_empty() {
        match flags.get_slice(&mut buffer) {
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(GetError::Invalid) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(got, [false, true]);
    assert_eq!(raw.put_slice(&[2, 3]).unwrap(), 2);
    let before = flags.len();
    assert!(matches!(flags.get_slice(&mut buffer), Err(GetError::Invalid)));
    assert!(flags.len() < before, "out of the way");
}

/// The mismatch that an opener of `O` gets, which must name both types.
#[track_caller]
fn mismatch<O: shmq::Message + ?Sized>(name: &str, ours: &str, theirs: &str) {
    let named = |our_text: &str, their_text: &str| {
        assert!(our_text.contains(ours), "{our_text:?} does not name {ours:?}");
        assert!(their_text.contains(theirs), "{their_text:?} does not name {theirs:?}");
        assert_ne!(our_text, their_text);
    };
    match Queue::<O>::open(name) {
        Err(OpenError::Mismatch { ours, theirs, .. }) => named(&ours, &theirs),
        other => panic!("{other:?}"),
    }
    match Queue::<O>::builder().name(name).capacity(4).capacity_bytes(4096).open_or_create() {
        Err(CreateError::Mismatch { ours, theirs, .. }) => named(&ours, &theirs),
        other => panic!("{other:?}"),
    }
}

mod here {
    #[shmq::message]
    pub struct Tick(pub u64);
}

mod there {
    #[shmq::message]
    pub struct Tick(pub u64);
    #[shmq::message]
    pub struct Tock(pub u64);
}

#[test]
fn an_opener_of_another_type_gets_both_types_in_its_error() {
    let name = unique_name("ticks");
    let queue: Queue<here::Tick> = Queue::create(&name, 4).unwrap();
    queue.put(&here::Tick(5)).unwrap();
    mismatch::<u32>(&name, "u32", "Tick");
    mismatch::<there::Tock>(&name, "Tock", "Tick");
    mismatch::<u64>(&name, "u64", "Tick");
    mismatch::<[u64]>(&name, "u64", "Tick");
    mismatch::<[u32; 2]>(&name, "[u32; 2]", "Tick");
    // The same name in another module is the same type: two programs have no paths in common.
    let same: Queue<there::Tick> = Queue::open(&name).unwrap();
    assert_eq!(same.get().unwrap().0, 5);

    let name = unique_name("bytes");
    let _bytes: Queue<[u8]> = Queue::<[u8]>::builder().name(&name).create().unwrap();
    mismatch::<[u16]>(&name, "u16", "u8");
    mismatch::<[i8]>(&name, "i8", "u8");
    mismatch::<u8>(&name, "u8", "u8");
}

#[test]
fn schemas_are_compared_where_both_sides_set_one() {
    let name = unique_name("schema");
    let queue = Queue::<u64>::builder().name(&name).capacity(4).schema("tick/2").create().unwrap();
    let open = |schema: Option<&str>| {
        let builder = Queue::<u64>::builder().name(&name);
        schema.map_or_else(Queue::<u64>::builder, |schema| builder.schema(schema)).name(&name).open()
    };
    open(Some("tick/2")).unwrap();
    open(None).unwrap();
    match open(Some("tick/1")) {
        Err(OpenError::Mismatch { ours, theirs, .. }) => {
            assert!(ours.contains("tick/1") && theirs.contains("tick/2"), "{ours:?} {theirs:?}")
        }
        other => panic!("{other:?}"),
    }
    // With one schema on both sides the type's name does not matter; its size and alignment do.
    let other = Queue::<[u8; 8]>::builder().name(&name).schema("tick/2").open();
    assert!(matches!(other, Err(OpenError::Mismatch { .. })), "another alignment: {other:?}");
    let signed = Queue::<i64>::builder().name(&name).schema("tick/2").open().unwrap();
    queue.put(&u64::MAX).unwrap();
    assert_eq!(signed.get().unwrap(), -1);
    // Without it, the names decide.
    assert!(matches!(Queue::<i64>::open(&name), Err(OpenError::Mismatch { .. })));
    assert!(matches!(Queue::<u32>::builder().name(&name).schema("tick/2").open(), Err(OpenError::Mismatch { .. })));
}

#[test]
fn a_schema_has_at_most_64_bytes() {
    let fits = "s".repeat(64);
    let queue = Queue::<u8>::builder().capacity(1).schema(&fits).create().unwrap();
    let name = queue.name().to_string();
    Queue::<u8>::builder().name(&name).schema(&fits).open().unwrap();
    let differs_at_the_end = "s".repeat(63) + "t";
    assert!(matches!(Queue::<u8>::builder().name(&name).schema(differs_at_the_end).open(), Err(OpenError::Mismatch { .. })));
    let begins_the_same = Queue::<u8>::builder().name(&name).schema("s".repeat(65)).open();
    assert!(matches!(begins_the_same, Err(OpenError::BadName { .. })), "{begins_the_same:?}");
    let long = Queue::<u8>::builder().capacity(1).schema("s".repeat(65)).create();
    assert!(matches!(long, Err(CreateError::BadName { .. })), "{long:?}");
}

#[test]
fn structures_are_compared_where_both_sides_say_one() {
    let name = unique_name("structure");
    let settings = || Queue::<[u64; 2]>::builder().name(&name).capacity(4);
    let queue = settings().structure("{price: f64, volume: u64}").create().unwrap();
    settings().structure("{price: f64, volume: u64}").open().unwrap();
    settings().open().unwrap();
    settings().structure("").open().unwrap();
    let swapped = settings().structure("{volume: u64, price: f64}");
    let text = swapped.open().unwrap_err().to_string();
    let expected = format!("queue {name:?}");
    let expected = expected
        + " holds messages of type [u64; 2] (16 bytes) of structure {price: f64, volume: u64}; \
                    this program wants messages of type [u64; 2] (16 bytes) of structure {volume: u64, price: f64}";
    assert_eq!(text, expected);
    let either = settings().structure("{volume: u64, price: f64}").open_or_create();
    assert!(matches!(either, Err(CreateError::Mismatch { .. })), "it is in use");
    // An equal schema does not make up for it.
    let same_schema = settings().schema("tick").structure("{volume: u64, price: f64}").open();
    assert!(matches!(same_schema, Err(OpenError::Mismatch { .. })));
    drop(queue);
    // If the creator gave no structure, that of an opener is not checked.
    let plain = settings().structure("").create().unwrap();
    settings().structure("{volume: u64, price: f64}").open().unwrap();
    plain.put(&[1, 2]).unwrap();
}

#[test]
fn a_structure_of_any_length_is_compared_whole() {
    let name = unique_name("long-structure");
    for length in [1, 63, 1000, 4095, 4096, 4097, 20_000] {
        let text = |end: char| "\u{e4}".repeat(length / 2) + &end.to_string();
        let queue = Queue::<u64>::builder().name(&name).capacity(4).max_participants(3).structure(text('x')).create().unwrap();
        assert_eq!(queue.try_put_slice(&[1, 2, 3, 4, 5]).unwrap(), 4);
        let open = |text: String| Queue::<u64>::builder().name(&name).structure(text).open();
        let same = open(text('x')).unwrap();
        let (mut taken, mut many) = (Vec::new(), [0; 4]);
        let count = same.get_slice(&mut many).unwrap();
        taken.extend_from_slice(&many[..count]);
        assert_eq!(taken, [1, 2, 3, 4], "the cells lie behind the text");
        assert!(matches!(open(text('y')), Err(OpenError::Mismatch { .. })), "{length}");
        let about = shmq::inspect::Inspector::open(&name).unwrap().about();
        let kept = about.structure.expect("a text");
        assert!(text('x').starts_with(&kept) && kept.len() >= text('x').len().min(4095), "{length}: {}", kept.len());
    }
}

#[test]
fn slices_of_plain_elements_travel_as_vectors() {
    let points = slices::<[f32; 3]>(1024);
    points.put(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).unwrap();
    assert_eq!(points.get().unwrap(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let raw = slices::<RawOrder>(1024);
    let order = RawOrder { price: 1, colour: 2, urgent: 3, digits: [4; 7] };
    raw.put(&[order; 3]).unwrap();
    assert_eq!(raw.lease().unwrap()[2], order);
}
