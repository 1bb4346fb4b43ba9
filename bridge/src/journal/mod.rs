//! What a bridge must know after its death, in a persisted segment beside the queue.
//!
//! | file | subject |
//! |---|---|
//! | `segment.rs` | [`Segment`]: words that outlive the bridge, for one bridge at a time |
//! | `out.rs` | [`OutWords`]: which message goes to which sequence |

mod out;
mod segment;

pub use out::{OUT_WINDOW_MAX, OutWords};
pub use segment::Segment;
