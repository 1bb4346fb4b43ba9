//! The format of a dead letter, in a record of the slice queue that takes it: little endian on
//! every machine.
//!
//! ```text
//!   version 1 (= 1) | reason 1 | 0 0 | deliveries 4 | Unix nanoseconds 8 |
//!   length of queue 2 | length of type 2 | length of text 2 | 0 0 |
//!   name of the queue | name of the message type | text of the reason | the message, to the end
//! ```

use super::text::truncated;
use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the header of a queue for dead letters calls its messages.
pub(crate) const TYPE_NAME: &str = "DeadLetter";

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 24;
/// The longest text whose length 16 bits can count.
const TEXT_BYTES: usize = u16::MAX as usize;

/// Why a message was given up.
///
/// ```
/// # let name = format!("doc-reason-{}", std::process::id());
/// use shmq::{DeadLetters, Queue, letters::Reason};
///
/// let letters = DeadLetters::create(&name, 4096)?;
/// let queue = Queue::<u64>::builder().capacity(8).max_deliveries(1);
/// let queue = queue.dead_letters(&name).create()?;
/// queue.put(&7)?;
/// queue.lease()?.give_back();
/// queue.recover(); // or the next get
/// match letters.get()?.reason {
///     Reason::TooManyDeliveries => println!("its consumers keep dying, or giving it back"),
///     other => println!("{other}"),
/// }
/// # DeadLetters::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It came back as often as [`max_deliveries`](crate::QueueBuilder::max_deliveries) allows.
    TooManyDeliveries,
    /// Its bits are no value of the message type.
    Invalid,
    /// It could not be decoded.
    NotDecoded {
        /// What the codec said: up to 1 KiB of it, and no more than has room beside the message.
        why: String,
    },
    /// A version of this crate that knows more reasons wrote the letter, or one that writes letters
    /// in another format. In the latter case only [`bytes`](crate::DeadLetter::bytes) is set: the
    /// whole letter as that version wrote it.
    Other {
        /// What that version said.
        why: String,
    },
}

impl Reason {
    pub(crate) fn number(&self) -> u8 {
        match self {
            Reason::Other { .. } => 0,
            Reason::TooManyDeliveries => 1,
            Reason::Invalid => 2,
            Reason::NotDecoded { .. } => 3,
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Reason::TooManyDeliveries | Reason::Invalid => "",
            Reason::NotDecoded { why } | Reason::Other { why } => why,
        }
    }

    pub(crate) fn of(number: u8, why: String) -> Reason {
        match number {
            1 => Reason::TooManyDeliveries,
            2 => Reason::Invalid,
            3 => Reason::NotDecoded { why },
            _ => Reason::Other { why },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::TooManyDeliveries => out.write_str("delivered too often"),
            Reason::Invalid => out.write_str("no value of the message type"),
            Reason::NotDecoded { why } => write!(out, "cannot be decoded: {why}"),
            Reason::Other { why } => write!(out, "for another reason: {why}"),
        }
    }
}

/// What precedes the message in a letter.
pub(crate) struct LetterHead<'a> {
    /// Of the reason. Kept beside the reason, since a later version may write numbers unknown here.
    pub number: u8,
    pub deliveries: u32,
    pub given_up: SystemTime,
    pub queue: Cow<'a, str>,
    pub type_name: Cow<'a, str>,
    pub text: Cow<'a, str>,
}

/// What the bytes of a record are.
pub(crate) enum WrittenLetter<'a> {
    /// A letter of this version: its head, and the message.
    Known(LetterHead<'a>, &'a [u8]),
    /// A letter of another version.
    Other(u8),
}

impl<'a> WrittenLetter<'a> {
    /// `None` if the bytes are no letter.
    pub fn read(bytes: &'a [u8]) -> Option<WrittenLetter<'a>> {
        let version = *bytes.first()?;
        if version != VERSION {
            return Some(WrittenLetter::Other(version));
        }
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let deliveries = u32::from_le_bytes(head[4..8].try_into().ok()?);
        let nanoseconds = u64::from_le_bytes(head[8..16].try_into().ok()?);
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let (queue, rest) = rest.split_at_checked(length(16))?;
        let (type_name, rest) = rest.split_at_checked(length(18))?;
        let (text, message) = rest.split_at_checked(length(20))?;
        let head = LetterHead {
            number: head[1],
            deliveries,
            given_up: UNIX_EPOCH + Duration::from_nanos(nanoseconds),
            queue: String::from_utf8_lossy(queue),
            type_name: String::from_utf8_lossy(type_name),
            text: String::from_utf8_lossy(text),
        };
        Some(WrittenLetter::Known(head, message))
    }
}

impl<'a> LetterHead<'a> {
    pub fn now(reason: &'a Reason, deliveries: u32, queue: &'a str, type_name: &'a str) -> LetterHead<'a> {
        let text = reason.text().into();
        LetterHead {
            number: reason.number(),
            deliveries,
            given_up: SystemTime::now(),
            queue: truncated(queue, TEXT_BYTES).into(),
            type_name: truncated(type_name, TEXT_BYTES).into(),
            text,
        }
    }

    /// Bytes of the head without the reason's text.
    pub fn length_without_text(&self) -> usize {
        HEAD_BYTES + self.queue.len() + self.type_name.len()
    }

    /// The whole letter, with at most `most_text` bytes of the reason's text.
    pub fn write(&self, most_text: usize, message: &[u8]) -> Vec<u8> {
        let texts = [&*self.queue, &*self.type_name, truncated(&self.text, most_text.min(TEXT_BYTES))];
        let given_up = self.given_up.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut letter = Vec::with_capacity(self.length_without_text() + texts[2].len() + message.len());
        letter.extend([VERSION, self.number, 0, 0]);
        letter.extend(self.deliveries.to_le_bytes());
        letter.extend(u64::try_from(given_up.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
        texts.iter().for_each(|text| letter.extend((text.len() as u16).to_le_bytes()));
        letter.extend([0; 2]);
        texts.iter().for_each(|text| letter.extend(text.as_bytes()));
        letter.extend(message);
        letter
    }
}
