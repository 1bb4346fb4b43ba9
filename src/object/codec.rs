//! How an object becomes bytes and back: the trait, and the two codecs that come with the crate.

use super::{message_pack, postcard};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::io;

type Refusal = Box<dyn Error + Send + Sync>;

/// How an [`ObjectQueue`](crate::ObjectQueue) turns values into bytes and back. [`MessagePack`] unless said otherwise; [`Postcard`] where
/// speed matters and the types are plain; or one of your own.
///
/// Both of ours refuse a value that is nested too deep for the stack, and `put` refuses what `get` would. A codec of your own has to do so
/// itself: what its `decode` cannot read is an error to `get`.
///
/// ```
/// use serde::{Serialize, de::DeserializeOwned};
/// use std::{error::Error, io};
///
/// /// Text that a person can read in the segment.
/// enum Json {}
///
/// impl shmq::Codec for Json {
///     const NAME: &'static str = "JSON";
///     fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Box<dyn Error + Send + Sync>> {
///         Ok(serde_json::to_writer(to, value)?)
///     }
///     fn decode<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Box<dyn Error + Send + Sync>> {
///         Ok(serde_json::from_slice(std::mem::take(from))?)
///     }
/// }
///
/// let queue = shmq::ObjectQueue::<Vec<String>, Json>::new(8)?;
/// queue.put(&vec!["a".to_string()])?;
/// assert_eq!(queue.get()?, ["a"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Codec: 'static {
    /// Part of the segment's type name: programs with different codecs do not open each other's queues.
    const NAME: &'static str;

    /// Writes the value. Called once to learn its length, and for a large value once more to write it: both must write the same bytes.
    ///
    /// # Errors
    /// Whatever the value or the codec refuses. Nothing is then enqueued.
    fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal>;

    /// Reads one value from the front of `from`, and moves `from` behind it. Bytes left over are an error, which the caller reports.
    ///
    /// # Errors
    /// Whatever the bytes lack. Their message is then consumed.
    fn decode<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Refusal>;
}

/// MessagePack with the names of fields and variants: carries every serde type, untagged and flattened ones, `skip_serializing_if`,
/// `default` and values without a schema (`serde_json::Value`) included. Programs may differ in fields, as with JSON.
///
/// `Some(())` and `Some(None)` are not `None`. A sequence of `u8` (`Vec<u8>`, arrays, `VecDeque<u8>` ...) travels as bytes, whatever its type:
/// other programs see a bin, and `serde_bytes` is not needed. 128-bit integers travel, but not inside untagged or flattened parts (serde
/// itself buffers none).
///
/// A value that is nested more than 384 deep is refused, to `put` and to `get` alike: structs, sequences, maps, variants, newtypes and `Some`
/// count one each, variants with several fields two.
#[derive(Clone, Copy, Debug)]
pub enum MessagePack {}

impl Codec for MessagePack {
    const NAME: &'static str = "MessagePack";

    fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal> {
        Ok(value.serialize(&mut message_pack::encode::Encoder::new(to))?)
    }

    fn decode<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Refusal> {
        let mut decoder = message_pack::decode::Decoder::new(from);
        let value = decoder.value()?;
        *from = decoder.from;
        Ok(value)
    }
}

/// Postcard: no names, no types, the fewest bytes, the least time. Both programs must have the same types. Nested as deep as with
/// [`MessagePack`], and no deeper.
///
/// It does not carry what serde can only read with names or types at hand. All of these are errors:
///
/// | type | error |
/// |---|---|
/// | `#[serde(flatten)]`, and maps and sequences of unknown length | to `put` |
/// | `#[serde(untagged)]`, internally or adjacently tagged enums, `serde_json::Value` | to `get` |
/// | `skip_serializing_if` that skips something | to `get` as a rule; **a wrong value** where what follows happens to look like the skipped field |
#[derive(Clone, Copy, Debug)]
pub enum Postcard {}

impl Codec for Postcard {
    const NAME: &'static str = "Postcard";

    fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal> {
        Ok(value.serialize(&mut postcard::encode::Encoder::new(to))?)
    }

    fn decode<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Refusal> {
        let mut decoder = postcard::decode::Decoder::new(from);
        let value = decoder.value()?;
        *from = decoder.from;
        Ok(value)
    }
}
