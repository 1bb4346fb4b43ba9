//! Postcard's wire format, version 1: no names and no types, integers of more than 8 bits as
//! varints.

pub(super) mod decode;
pub(super) mod encode;

/// Bytes of the longest varint: 128 bits, seven to a byte.
const MAX_VARINT_BYTES: usize = 19;
