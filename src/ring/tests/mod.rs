//! The ring on the heap: explored with kills at every store, under loom, and against a model.

#[cfg(loom)]
mod bursts;
#[cfg(loom)]
mod endpoints;
#[cfg(not(loom))]
mod explorer;
#[cfg(not(loom))]
mod gone_back;
mod heap;
#[cfg(loom)]
mod held_off;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod model;
#[cfg(loom)]
mod mortal;
#[cfg(not(loom))]
mod past_tail;
#[cfg(not(loom))]
mod stale_joiner;
#[cfg(loom)]
mod topic_loom;
#[cfg(not(loom))]
mod topic_model;
#[cfg(not(loom))]
mod views;
