//! The standard streams of the process, without buffers.

pub mod at_start;
mod print;
mod stream;

pub use print::{complain, print};
pub use stream::Stream;
