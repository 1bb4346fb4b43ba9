//! How an object becomes bytes and back: the trait, and the two codecs that come with the crate.

use super::decode::{self, Input};
use super::encode::{Encoder, Output};
use super::message_pack::{MessagePackFormat, PostcardFormat};
use super::nesting::Passage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::io;

type Refusal = Box<dyn Error + Send + Sync>;

/// How an [`ObjectQueue`](crate::ObjectQueue) turns values into bytes and back: [`MessagePack`] by
/// default; [`Postcard`] where speed matters and the types are plain; or one of your own.
///
/// Both codecs of this crate refuse a value that is nested too deep for the stack, and `put`
/// refuses what `get` would. A codec of your own has to do so itself: what its `decode` cannot read
/// is an error to `get`.
///
/// ```
/// use serde::{Serialize, de::DeserializeOwned};
/// use std::{error::Error, io};
///
/// type Refusal = Box<dyn Error + Send + Sync>;
///
/// /// Text that can be read in the segment.
/// enum Json {}
///
/// impl shmq::Codec for Json {
///     const NAME: &'static str = "JSON";
///     fn encode<T>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal>
///     where
///         T: Serialize + ?Sized,
///     {
///         Ok(serde_json::to_writer(to, value)?)
///     }
///     fn decode<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Refusal> {
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
    /// Part of the segment's type name: programs with different codecs do not open each other's
    /// queues.
    const NAME: &'static str;

    /// Writes the value. Called once to learn its length, and for a large value once more to write
    /// it: both calls must write the same bytes.
    ///
    /// # Errors
    /// Anything that the value or the codec refuses. Nothing is enqueued then.
    fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal>;

    /// Reads one value from the front of `from`, and moves `from` behind it. Bytes left over are an
    /// error, which the caller reports.
    ///
    /// # Errors
    /// Anything that is wrong with the bytes. Their message is consumed then.
    fn decode<T: DeserializeOwned>(from: &mut &[u8]) -> Result<T, Refusal>;
}

/// MessagePack with the names of fields and variants, by rmp-serde. It carries every serde type,
/// untagged and flattened ones, `skip_serializing_if`, `default` and values without a schema
/// (`serde_json::Value`) included. Programs may differ in fields, as with JSON.
///
/// `Some(())` and `Some(None)` are not `None`. A sequence of `u8` (`Vec<u8>`, arrays,
/// `VecDeque<u8>` ...) travels as bytes, whatever its type: other programs see a bin, and
/// `serde_bytes` is not needed. Where they see an extension, type 1 is bytes that serde was given
/// as bytes, and type 2 a nil inside as many `Some` as its 16 bits say, big endian. 128-bit
/// integers travel, but not inside untagged or flattened parts (serde itself buffers none).
///
/// A value that is nested more than 256 deep is refused, to `put` and to `get` alike: structs,
/// sequences, maps, variants, newtypes and `Some` count one each, variants with several fields two.
///
/// ```
/// use shmq::{MessagePack, ObjectQueue};
///
/// let queue = ObjectQueue::<Option<Vec<u8>>, MessagePack>::new(8)?; // the default codec
/// queue.put(&Some(vec![1, 2, 3]))?;
/// assert_eq!(queue.get()?, Some(vec![1, 2, 3]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum MessagePack {}

impl Codec for MessagePack {
    const NAME: &'static str = "MessagePack";

    fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal> {
        let mut to = Output::new(to);
        let passage = Passage::default();
        let mut inner = rmp_serde::Serializer::new(&mut to).with_struct_map();
        let encoded = value.serialize(Encoder::<_, MessagePackFormat>::new(&mut inner, &passage));
        to.outcome(encoded)
    }

    fn decode<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Refusal> {
        let from = Input::new(bytes);
        let value = decode::value::<T, MessagePackFormat, _>(&mut rmp_serde::Deserializer::new(&from), &from)?;
        *bytes = from.rest.get();
        Ok(value)
    }
}

/// [Postcard](https://docs.rs/postcard): no names, no types, the fewest bytes, the least time. Both
/// programs must have the same types. Nested as deep as with [`MessagePack`], and no deeper.
///
/// It does not carry what serde can only read with names or types at hand. All of these are errors:
///
/// | type | error |
/// |---|---|
/// | `#[serde(flatten)]`, and maps and sequences of unknown length | to `put` |
/// | `#[serde(untagged)]`, internally or adjacently tagged enums, `serde_json::Value` | to `get` |
/// | over 65,536 elements without bytes (`()`, empty structs) in one message | to `put` and `get` |
/// | `skip_serializing_if` that skips something | to `get`, or **a wrong value** |
///
/// The last one is a wrong value where the bytes that follow look like the skipped field.
///
/// ```
/// use shmq::{ObjectQueue, Postcard};
///
/// let queue = ObjectQueue::<(u64, String), Postcard>::new(8)?;
/// queue.put(&(7, "seven".to_string()))?;
/// assert_eq!(queue.get()?, (7, "seven".to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Postcard {}

impl Codec for Postcard {
    const NAME: &'static str = "Postcard";

    fn encode<T: Serialize + ?Sized>(value: &T, to: &mut dyn io::Write) -> Result<(), Refusal> {
        let mut to = Output::new(to);
        let passage = Passage::default();
        let mut inner = postcard::Serializer { output: &mut to };
        let encoded = value.serialize(Encoder::<_, PostcardFormat>::new(&mut inner, &passage));
        let encoded = encoded.and_then(|()| passage.check_count(to.written()));
        to.outcome(encoded)
    }

    fn decode<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Refusal> {
        let from = Input::new(bytes);
        let mut inner = postcard::Deserializer::from_bytes(bytes);
        let value = decode::value::<T, PostcardFormat, _>(&mut inner, &from)?;
        *bytes = inner.finalize()?;
        Ok(value)
    }
}
