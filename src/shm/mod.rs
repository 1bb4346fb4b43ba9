//! The shared memory: what lies where in a segment, which shape a ring has, and which processes use it.

pub(crate) mod geometry;
pub(crate) mod id;
pub(crate) mod kind;
pub(crate) mod layout;
#[cfg(not(loom))]
pub(crate) mod letter;
#[cfg(not(loom))]
pub(crate) mod participant;
#[cfg(not(loom))]
pub(crate) mod segment;
