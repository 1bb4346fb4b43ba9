//! The protocol of objects in files of their own, as state machines.

mod bytes;
mod lifetimes;
mod positions;
