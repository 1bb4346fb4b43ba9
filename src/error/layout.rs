//! [`LayoutError`]: why there is no such layout of messages.

/// Why a [`MessageLayout`](crate::MessageLayout) was not made.
///
/// ```
/// let refused = shmq::MessageLayout::value(12, 8).unwrap_err();
/// assert_eq!(refused, shmq::LayoutError::NotAligned { size: 12, align: 8 });
/// assert_eq!(refused.to_string(), "a size of 12 bytes is no multiple of the alignment, 8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The alignment is no power of two, or more than a page.
    #[error("an alignment of {align} bytes: it is a power of two, and 4096 at most")]
    Align {
        /// The alignment as given, in bytes.
        align: usize,
    },
    /// The size is no multiple of the alignment, so values would not lie one after the other.
    #[error("a size of {size} bytes is no multiple of the alignment, {align}")]
    NotAligned {
        /// The size as given, in bytes.
        size: usize,
        /// The alignment as given, in bytes.
        align: usize,
    },
    /// No message can be so large.
    #[error("a size of {size} bytes: a message has {max} at most")]
    TooLarge {
        /// The size as given, in bytes.
        size: usize,
        /// The most bytes of a message.
        max: usize,
    },
    /// Slices of elements without bytes: how many there are would not be in their bytes.
    #[error("an element of a slice has at least one byte")]
    NoBytes,
    /// The schema is longer than a segment keeps.
    #[error("a schema of {len} bytes: a segment keeps {max}")]
    LongSchema {
        /// Bytes of the text.
        len: usize,
        /// The most that a segment keeps.
        max: usize,
    },
    /// The structure has fields behind the end of the message.
    #[error("the structure describes {described} bytes, and the message, or its element, has {size}")]
    Structure {
        /// Bytes up to the end of the structure's last field.
        described: usize,
        /// Bytes of a value, or of an element.
        size: usize,
    },
    /// A structure of encoded objects, which have no fields at fixed places.
    #[error("encoded objects have no structure; name their type, or give them a schema")]
    StructureOfEncoded,
}
