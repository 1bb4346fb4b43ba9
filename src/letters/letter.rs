//! [`DeadLetter`]: one message that was given up.

#[cfg(feature = "object")]
use crate::error::GetError;
use crate::message::{Message, Plain};
use crate::shm::letter::{LetterHead, Reason, WrittenLetter};
use std::time::{SystemTime, UNIX_EPOCH};

/// A message that was given up.
///
/// ```
/// # let name = format!("doc-letter-{}", std::process::id());
/// # let letters = shmq::DeadLetters::create(&name, 4096)?;
/// # let queue = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
/// # let queue = queue.dead_letters(&name).create()?;
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
    /// What [`DeadLetters::try_put`](crate::DeadLetters::try_put) needs to write it back unchanged.
    written_as: WrittenAs,
}

/// How the letter was written, where the other fields do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WrittenAs {
    /// By this version of the format. The number is that of the reason, which may be unknown here.
    Known { number: u8 },
    /// By another version of the format: `bytes` is the whole letter.
    OtherVersion,
}

impl DeadLetter {
    /// The message, if its bytes are a `T`.
    ///
    /// ```
    /// # let name = format!("doc-letter-value-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let queue = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let queue = queue.dead_letters(&name).create()?;
    /// # queue.put(&7)?;
    /// # queue.lease()?.give_back();
    /// # queue.recover();
    /// let letter = letters.get()?; // of a Queue<u64>
    /// assert_eq!(letter.value::<u64>(), Some(7));
    /// assert_eq!(letter.value::<u32>(), None); // of another size
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn value<T: Message>(&self) -> Option<T> {
        if self.bytes.len() != size_of::<T>() {
            return None;
        }
        let from = self.bytes.as_ptr();
        // SAFETY: these are `size_of::<T>()` bytes in memory of this process alone, and they are
        // read as a T only if `is_value` says that they are one (Message, 2).
        unsafe { T::is_value(from).then(|| from.cast::<T>().read_unaligned()) }
    }

    /// The elements of the message, if its bytes are those of a slice of `X`.
    ///
    /// ```
    /// # let name = format!("doc-letter-elements-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).max_deliveries(1);
    /// # let queue = queue.dead_letters(&name).create()?;
    /// # queue.put(&[1, 2, 3])?;
    /// # queue.lease()?.give_back();
    /// # queue.recover();
    /// let letter = letters.get()?; // of a Queue<[u16]>
    /// assert_eq!(letter.elements::<u16>(), Some(vec![1, 2, 3]));
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// [`GetError::Decode`] with what the codec says.
    ///
    /// ```
    /// # let name = format!("doc-letter-decode-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let queue = shmq::ObjectQueue::<String>::builder().max_deliveries(1);
    /// # let queue = queue.dead_letters(&name).create()?;
    /// # queue.put("job")?;
    /// # queue.lease()?.give_back();
    /// # queue.recover();
    /// use shmq::MessagePack;
    ///
    /// let letter = letters.get()?; // of an ObjectQueue<String>
    /// assert_eq!(letter.decode::<String, MessagePack>()?, "job");
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "object")]
    pub fn decode<T: serde::de::DeserializeOwned, C: crate::object::Codec>(&self) -> Result<T, GetError> {
        crate::object::decode::<T, C>(&self.bytes)
    }

    /// `None` if the bytes are no letter.
    pub(super) fn read(bytes: &[u8]) -> Option<DeadLetter> {
        Some(match WrittenLetter::read(bytes)? {
            WrittenLetter::Known(head, message) => DeadLetter {
                queue: head.queue.into_owned(),
                type_name: head.type_name.into_owned(),
                reason: Reason::of(head.number, head.text.into_owned()),
                deliveries: head.deliveries,
                given_up: head.given_up,
                bytes: message.to_vec(),
                written_as: WrittenAs::Known { number: head.number },
            },
            WrittenLetter::Other(version) => DeadLetter {
                queue: String::new(),
                type_name: String::new(),
                reason: Reason::Other {
                    why: format!("a letter of version {version}, which this version of the crate does not read"),
                },
                deliveries: 0,
                given_up: UNIX_EPOCH,
                bytes: bytes.to_vec(),
                written_as: WrittenAs::OtherVersion,
            },
        })
    }

    /// The bytes of the letter as they were in the ring.
    pub(super) fn written(&self) -> Vec<u8> {
        let number = match self.written_as {
            WrittenAs::Known { number } => number,
            WrittenAs::OtherVersion => return self.bytes.clone(),
        };
        let mut head = LetterHead::now(&self.reason, self.deliveries, &self.queue, &self.type_name);
        head.given_up = self.given_up;
        if matches!(self.reason, Reason::Other { .. }) {
            head.number = number;
        }
        head.write(usize::MAX, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_letter_is_read_as_it_was_written_and_garbage_is_none() {
        let reasons = [
            Reason::TooManyDeliveries,
            Reason::Invalid,
            Reason::NotDecoded { why: "ä".repeat(40_000) },
            Reason::Other { why: "x".into() },
        ];
        for reason in reasons {
            let bytes = LetterHead::now(&reason, 3, "a queue", "Tick").write(usize::MAX, b"message");
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
        let mut head = LetterHead::now(&Reason::Invalid, 3, "a queue", "Tick");
        head.given_up = UNIX_EPOCH + Duration::from_nanos(12_345);
        // A reason that this version does not know, and the text that goes with it.
        (head.number, head.text) = (77, "so".into());
        let bytes = head.write(usize::MAX, b"message");
        let letter = DeadLetter::read(&bytes).expect("a letter");
        assert_eq!((&letter.reason, letter.written() == bytes), (&Reason::Other { why: "so".into() }, true));
        // Of another version.
        let letter = DeadLetter::read(&[9; 100]).expect("a letter");
        assert!(matches!(&letter.reason, Reason::Other { why } if why.contains("version 9")));
        assert_eq!((letter.bytes.as_slice(), letter.written()), ([9; 100].as_slice(), vec![9; 100]));
    }
}
