//! Dead letters: messages that were given up, and the queue for them.
//!
//! A queue that was created with [`Builder::dead_letters`](crate::Builder::dead_letters) puts there
//! what was delivered too often or is no value of its type. Whoever looks after a system opens it
//! as [`DeadLetters`] and decides: look, mend and put again, or drop.
//!
//! A letter lies in the ring as a slice of bytes, little endian, whatever the machine:
//!
//! ```text
//!   version 1 (= 1) | reason 1 | 0 0 | deliveries 4 | Unix nanoseconds 8 | length of queue 2 | of type 2 | of text 2 | 0 0 |
//!   name of the queue | name of the message type | text of the reason | the message, to the end
//! ```

use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::message::{Message, Plain};
use crate::queue::guard::Lease;
use crate::queue::{Builder, Queue, verbs};
use crate::raw::{RecoveryReport, Stats};
use crate::shm::layout::kind;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the stamp of a queue for dead letters calls its messages.
pub(crate) const TYPE_NAME: &str = "DeadLetter";

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 24;

/// Each process that gives something up is one, of however many queues.
const MOST_PARTICIPANTS: usize = 1023;

/// Why a message was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It came back as often as [`max_deliveries`](crate::Builder::max_deliveries) allows.
    TooManyDeliveries,
    /// Its bits are no value of the message type.
    Invalid,
    /// It could not be decoded.
    NotDecoded {
        /// What the codec said: up to 1 KiB of it, and no more than has room beside the message.
        why: String,
    },
    /// Of a version of this crate that knows more reasons, or writes letters in another way: then
    /// only [`bytes`](DeadLetter::bytes) says something, the whole letter as that version wrote it.
    Other {
        /// What it said.
        why: String,
    },
}

impl Reason {
    fn number(&self) -> u8 {
        match self {
            Reason::Other { .. } => 0,
            Reason::TooManyDeliveries => 1,
            Reason::Invalid => 2,
            Reason::NotDecoded { .. } => 3,
        }
    }

    fn text(&self) -> &str {
        match self {
            Reason::TooManyDeliveries | Reason::Invalid => "",
            Reason::NotDecoded { why } | Reason::Other { why } => why,
        }
    }

    fn of(number: u8, why: String) -> Reason {
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

/// A message that was given up.
///
/// ```
/// # let name = format!("doc-letter-{}", std::process::id());
/// # let letters = shmq::DeadLetters::create(&name, 4096)?;
/// # let queue = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1).dead_letters(&name).create()?;
/// # queue.put(&7)?;
/// # queue.lease()?.give_back();
/// # assert_eq!(queue.recover().given_up, 1);
/// let letter = letters.get()?;
/// assert_eq!(letter.value::<u64>(), Some(7));
/// println!("{}: a {} was {}", letter.queue, letter.type_name, letter.reason);
/// # shmq::DeadLetters::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Name of the queue that it was in.
    pub queue: String,
    /// Name of its type, as that queue's segment says: see
    /// [`inspect::About::type_name`](crate::inspect::About::type_name).
    pub type_name: String,
    /// Why it was given up.
    pub reason: Reason,
    /// How often it was delivered before.
    pub deliveries: u32,
    /// When, by the clock of the process that gave it up.
    pub given_up: SystemTime,
    /// The message.
    pub bytes: Vec<u8>,
    /// How it lies in the ring, where that is not for this version to say.
    lies: Lies,
}

/// What a letter is put back with, beside what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lies {
    /// With that number for a reason that has none here.
    Known { other: u8 },
    /// As another version wrote it.
    Unknown,
}

impl DeadLetter {
    /// The message, if its bytes are a `T`.
    pub fn value<T: Message>(&self) -> Option<T> {
        if self.bytes.len() != size_of::<T>() {
            return None;
        }
        let from = self.bytes.as_ptr();
        // SAFETY: these are `size_of::<T>()` bytes of this process alone, and they are read as a T only
        // if `is_value` says that they are one (Message, 2).
        unsafe { T::is_value(from).then(|| from.cast::<T>().read_unaligned()) }
    }

    /// The elements of the message, if its bytes are those of a slice of `X`.
    pub fn elements<X: Plain>(&self) -> Option<Vec<X>> {
        const { crate::message::assert_plain::<X>() };
        let size = size_of::<X>();
        if size == 0 || self.bytes.len() % size != 0 {
            return None;
        }
        let element = |bytes: &[u8]| {
            // SAFETY: these are `size_of::<X>()` bytes, and any bits are an X (Plain).
            unsafe { bytes.as_ptr().cast::<X>().read_unaligned() }
        };
        Some(self.bytes.chunks_exact(size).map(element).collect())
    }

    /// The message, decoded as an `ObjectQueue<T, C>` does.
    ///
    /// # Errors
    /// What the codec says.
    #[cfg(feature = "object")]
    pub fn decode<T: serde::de::DeserializeOwned, C: crate::object::Codec>(&self) -> Result<T, GetError> {
        crate::object::decode::<T, C>(&self.bytes)
    }

    /// `None`: no letter.
    fn read(bytes: &[u8]) -> Option<DeadLetter> {
        match bytes.first()? {
            &VERSION => {}
            other => return Some(DeadLetter::of_another_version(*other, bytes)),
        }
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let [_, reason, _, _, ..] = *head;
        let deliveries = u32::from_le_bytes(head[4..8].try_into().ok()?);
        let nanoseconds = u64::from_le_bytes(head[8..16].try_into().ok()?);
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let (queue, rest) = rest.split_at_checked(length(16))?;
        let (type_name, rest) = rest.split_at_checked(length(18))?;
        let (why, message) = rest.split_at_checked(length(20))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(DeadLetter {
            queue: text(queue),
            type_name: text(type_name),
            reason: Reason::of(reason, text(why)),
            deliveries,
            given_up: UNIX_EPOCH + Duration::from_nanos(nanoseconds),
            bytes: message.to_vec(),
            lies: Lies::Known { other: reason },
        })
    }

    fn of_another_version(version: u8, bytes: &[u8]) -> DeadLetter {
        let why = format!("a letter of version {version}, which this version of the crate does not read");
        DeadLetter {
            queue: String::new(),
            type_name: String::new(),
            reason: Reason::Other { why },
            deliveries: 0,
            given_up: UNIX_EPOCH,
            bytes: bytes.to_vec(),
            lies: Lies::Unknown,
        }
    }

    /// As it lay in the ring.
    fn written(&self) -> Vec<u8> {
        let other = match self.lies {
            Lies::Known { other } => other,
            Lies::Unknown => return self.bytes.clone(),
        };
        let mut head = Head::now(&self.reason, self.deliveries, &self.queue, &self.type_name);
        head.given_up = self.given_up;
        if matches!(self.reason, Reason::Other { .. }) {
            head.number = other;
        }
        head.write(usize::MAX, &self.bytes)
    }
}

/// What stands before the message.
pub(crate) struct Head<'a> {
    number: u8,
    deliveries: u32,
    given_up: SystemTime,
    queue: &'a str,
    type_name: &'a str,
    text: &'a str,
}

impl<'a> Head<'a> {
    pub fn now(reason: &'a Reason, deliveries: u32, queue: &'a str, type_name: &'a str) -> Head<'a> {
        let (number, text) = (reason.number(), reason.text());
        let (queue, type_name) = (cut(queue, usize::MAX), cut(type_name, usize::MAX));
        Head { number, deliveries, given_up: SystemTime::now(), queue, type_name, text }
    }

    /// Bytes, but for the reason's text.
    pub fn length_without_text(&self) -> usize {
        HEAD_BYTES + self.queue.len() + self.type_name.len()
    }

    /// A letter as it lies in the ring, with so much of the reason's text at most.
    pub fn write(&self, most_text: usize, message: &[u8]) -> Vec<u8> {
        let texts = [self.queue, self.type_name, cut(self.text, most_text)];
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

/// As much of a text as fits, and as a letter can tell the length of.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most).min(u16::MAX as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A queue for dead letters: see [`Builder::dead_letters`](crate::Builder::dead_letters).
///
/// It is [persisted](crate::Queue::persist): it stays, with the letters in it, until it is
/// [unlinked](Self::unlink), also while no process uses it. Several queues may share one. A letter
/// takes its message's bytes, its names, what the reason says and 40 more; the largest takes half of
/// the queue. So it needs twice the bytes of the largest message that may come, and some more: one
/// that is too large for it stays on lease where it was, and keeps its room there, until a larger
/// queue has the name. Up to 1023 processes may use it at once, 64 bytes each.
///
/// ```
/// # let name = format!("doc-dead-letters-{}", std::process::id());
/// use shmq::{DeadLetters, GetError};
///
/// let letters = DeadLetters::open_or_create(&name, 1 << 20)?;
/// assert!(matches!(letters.try_get(), Err(GetError::Empty)));
/// # DeadLetters::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DeadLetters {
    bytes: Queue<[u8]>,
}

impl DeadLetters {
    fn builder(name: &str) -> Builder<[u8]> {
        Queue::<[u8]>::builder()
            .content(kind::SLICE, TYPE_NAME.to_owned())
            .name(name)
            .persist(true)
            .max_participants(MOST_PARTICIPANTS)
    }

    /// Creates a queue for dead letters, of that size in bytes.
    ///
    /// # Errors
    /// As [`Queue::create`].
    pub fn create(name: impl AsRef<str>, capacity_bytes: usize) -> Result<Self, CreateError> {
        Ok(DeadLetters { bytes: Self::builder(name.as_ref()).capacity_bytes(capacity_bytes).create()? })
    }

    /// Opens the one of that name.
    ///
    /// # Errors
    /// As [`Queue::open`]; a queue of another kind is a [`Mismatch`](OpenError::Mismatch).
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        Ok(DeadLetters { bytes: Self::builder(name.as_ref()).open()? })
    }

    /// Opens the one of that name, or creates it.
    ///
    /// # Errors
    /// As [`Queue::open_or_create`].
    pub fn open_or_create(name: impl AsRef<str>, capacity_bytes: usize) -> Result<Self, CreateError> {
        Ok(DeadLetters { bytes: Self::builder(name.as_ref()).capacity_bytes(capacity_bytes).open_or_create()? })
    }

    /// As [`open_or_create`](Self::open_or_create), in a directory of one's own, as [`Builder::directory`]: letters lie where the queues do that
    /// lead to them.
    ///
    /// # Errors
    /// As there.
    pub fn open_or_create_in(
        directory: impl AsRef<std::path::Path>,
        name: impl AsRef<str>,
        capacity_bytes: usize,
    ) -> Result<Self, CreateError> {
        let builder = Self::builder(name.as_ref()).directory(directory).capacity_bytes(capacity_bytes);
        Ok(DeadLetters { bytes: builder.open_or_create()? })
    }

    /// Removes a name, as [`Queue::unlink`].
    ///
    /// # Errors
    /// As there.
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Queue::<[u8]>::unlink(name)
    }

    verbs! {
        /// Gets one letter; waits while there is none. By copy: it goes with the process that got
        /// it.
        ///
        /// # Errors
        /// [`GetError::Invalid`] for what is no letter, which another program may have put there:
        /// it is taken. Otherwise as [`Queue::get`].
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<DeadLetter, GetError> {
            let bytes = self.bytes.raw().get_vec::<false, u8>(None, wait)?;
            DeadLetter::read(&bytes).ok_or(GetError::Invalid)
        }
    }

    verbs! {
        /// Leases one letter; waits while there is none. If the process dies before the lease ends,
        /// the letter is there again.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<LetterLease<'_>, GetError> {
            let lease = self.bytes.lease_patiently(wait)?;
            match DeadLetter::read(&lease.copied()) {
                Some(letter) => Ok(LetterLease { letter, lease }),
                None => {
                    lease.release();
                    Err(GetError::Invalid)
                }
            }
        }
    }

    /// Puts a letter back, as it is: one that was got to be looked at. It says still when it was
    /// given up.
    ///
    /// # Errors
    /// As [`Queue::try_put`]: does not wait.
    pub fn try_put(&self, letter: &DeadLetter) -> Result<(), PutError> {
        self.bytes.try_put(&letter.written())
    }

    /// Letters that nobody has taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The name by which other queues lead here.
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Takes no more letters, as [`Queue::close`]: what is given up from then on stays where it is.
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Counters since it was created.
    pub fn stats(&self) -> Stats {
        self.bytes.stats()
    }

    /// Looks after dead processes now, as [`Queue::recover`].
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("DeadLetters").field(&self.bytes).finish()
    }
}

/// Dropping the lease takes the letter: it is done. Dropped by a panic that began while it was
/// held, it is given back instead. As [`Lease`] otherwise.
#[must_use = "dropping takes the letter"]
#[derive(Debug)]
pub struct LetterLease<'q> {
    letter: DeadLetter,
    lease: Lease<'q, [u8]>,
}

impl LetterLease<'_> {
    /// Ends the lease and keeps the letter; it is done.
    pub fn take(self) -> DeadLetter {
        self.lease.release();
        self.letter
    }

    /// Ends the lease; the letter is done.
    pub fn release(self) {
        self.lease.release();
    }

    /// Ends the lease without finishing the letter: it is delivered again, before newer ones.
    pub fn give_back(self) {
        self.lease.give_back();
    }
}

impl std::ops::Deref for LetterLease<'_> {
    type Target = DeadLetter;

    fn deref(&self) -> &DeadLetter {
        &self.letter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written_and_garbage_is_none() {
        let reasons = [
            Reason::TooManyDeliveries,
            Reason::Invalid,
            Reason::NotDecoded { why: "ä".repeat(40_000) },
            Reason::Other { why: "x".into() },
        ];
        for reason in reasons {
            let bytes = Head::now(&reason, 3, "a queue", "Tick").write(usize::MAX, b"message");
            let letter = DeadLetter::read(&bytes).expect("a letter");
            assert_eq!((letter.queue.as_str(), letter.type_name.as_str(), letter.deliveries), ("a queue", "Tick", 3));
            assert_eq!(letter.bytes, b"message");
            assert_eq!(letter.reason.number(), reason.number());
            assert!(reason.text().starts_with(letter.reason.text()));
            assert!(letter.given_up.elapsed().is_ok_and(|age| age < Duration::from_secs(600)));
            for length in 0..bytes.len() - b"message".len() {
                assert!(DeadLetter::read(&bytes[..length]).is_none());
            }
        }
        assert!(DeadLetter::read(&[]).is_none());
    }

    #[test]
    fn a_letter_is_written_again_as_it_was() {
        let mut head = Head::now(&Reason::Invalid, 3, "a queue", "Tick");
        head.given_up = UNIX_EPOCH + Duration::from_nanos(12_345);
        // A reason that this version does not know, and the text that goes with it.
        (head.number, head.text) = (77, "so");
        let bytes = head.write(usize::MAX, b"message");
        let letter = DeadLetter::read(&bytes).expect("a letter");
        assert_eq!((&letter.reason, letter.written() == bytes), (&Reason::Other { why: "so".into() }, true));
        // Of another version.
        let letter = DeadLetter::read(&[9; 100]).expect("a letter");
        assert!(matches!(&letter.reason, Reason::Other { why } if why.contains("version 9")));
        assert_eq!((letter.bytes.as_slice(), letter.written()), ([9; 100].as_slice(), vec![9; 100]));
    }

    #[test]
    fn a_text_is_cut_between_its_characters() {
        assert_eq!((cut("aä", 2), cut("aä", 3), cut("ä", 0)), ("a", "aä", ""));
    }
}
