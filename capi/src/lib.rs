//! The C interface of shmq: what `shmq.h` declares and `libshmq` has, over the crate's public API
//! alone.
//!
//! ```text
//!   C --handle--> slots --> DynQueue, DynProducer, ... of the crate
//!     <--code---  failure (details per thread)  <-- of_error <-- errors of the crate
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `slots.rs` | handles: a table of slots with generations |
//! | `border.rs` | no panic goes out, and no pointer comes in unchecked |
//! | `failure.rs`, `of_error.rs`, `details.rs` | codes, and the details of the last error of a thread |
//! | `until.rs`, `stop.rs` | how long calls wait, and what ends them |
//! | `options.rs`, `layout.rs` | structs that begin with their size; what messages are |
//! | `queue/`, `endpoint/`, `guard/` | queues, their endpoints, messages in place |
//! | `topic/` | topics, publishers, subscribers |
//! | `sync/` | events, semaphores, mutexes |
//! | `readiness.rs` | descriptors for event loops |
//!
//! `shmq.h` is made of the comments here by cbindgen, and committed: `make header`. A comment of an
//! exported function says, in this order, whether it blocks, which threads may call it, what it
//! does after a fork, whether a signal handler may call it, and what a dead process does to it.

#![allow(clippy::missing_safety_doc, reason = "what each pointer has to be is said once, at the head of the header")]

mod border;
mod details;
mod endpoint;
mod failure;
mod guard;
mod layout;
mod of_error;
mod options;
mod queue;
mod readiness;
mod slots;
mod stop;
mod sync;
mod topic;
mod until;
