//! From a queue to a stream.
//!
//! ```text
//!   lease --> journal --> publish, expecting the sequence before --> ack --> end the lease --> erase
//!                            ^                                        |
//!                            '---- again, in the journal's order <----' death, broken connection,
//!                                                                       no ack, full stream
//! ```
//!
//! De-duplication by the server is bounded in time. So nothing here rests on it: each message is
//! published with the sequence that it must get, and the journal says which, before. The server
//! takes a message only at its sequence, so it is there once, however often and from however many
//! connections it is sent.
//!
//! | file | subject |
//! |---|---|
//! | `source.rs` | the queue: what it must be |
//! | `bind.rs` | do queue, journal and stream belong together? |
//! | `flight.rs` | [`Flight`]: what is under way, and what is known of it |
//! | `leases.rs` | the thread that leases messages |
//! | `wire.rs` | publishing, and acks |
//! | `start.rs` | queue, journal, server and stream are found to belong together |
//! | `carry.rs` | the loop |
//! | `watch.rs` | what may change meanwhile: the queue's name, the stream's configuration |
//! | `model.rs` | all orders of crashes, breaks and late bytes, for `flight.rs` |

mod bind;
mod carry;
mod flight;
mod leases;
#[cfg(test)]
mod model;
mod source;
mod start;
mod watch;
mod wire;

pub use bind::{Bind, bind};
pub use flight::{Fault, Flight};
pub use start::run;
