//! The server: connecting to it; streams, what they must be, and whose they are.
//!
//! | file | subject |
//! |---|---|
//! | `connect.rs` | [`Server`]: a connection, by whatever credentials |
//! | `request.rs` | one request to JetStream, and what its failure means |
//! | `stream.rs` | [`Facts`] of a stream; making it; reading it back |
//! | `requirements.rs` | what a stream must be to lose nothing |
//! | `mark.rs` | [`Mark`]: the identity that a stream bears |

mod connect;
mod mark;
mod request;
mod requirements;
mod stream;

pub use connect::{Server, connect, connect_plain};
pub use mark::Mark;
pub use request::{NotAnswered, Refused};
pub use requirements::{Needs, differences, matches};
pub use stream::{Facts, Found, create, facts, mark, read_back};
