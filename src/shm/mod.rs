//! Shared memory: the byte map (`layout`), the shape of a ring (`geometry`), the processes that use
//! a segment (`id`, `participant`), and the segments themselves (`segment`).

#[cfg(all(test, not(loom)))]
mod format_page;
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
#[cfg(not(loom))]
pub(crate) mod text;
