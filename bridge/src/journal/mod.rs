//! What a bridge must know after its death.

mod segment;

pub use segment::Segment;

/// The most messages of an out bridge that may be under way.
pub const OUT_WINDOW_MAX: usize = 1 << 14;
