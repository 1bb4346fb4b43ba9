//! Messages that do not decode: the error, the bytes, and the dead letter.

use crate::misdecoding;
use crate::support::unique_name;
use shmq::letters::Reason;
use shmq::{Codec, DeadLetters, GetError, MessagePack, ObjectQueue, Postcard};
use std::time::Duration;

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
