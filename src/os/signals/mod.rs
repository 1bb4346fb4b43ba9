//! Signals: what the program does with them, what our helper processes do, and what the children of
//! helpers get back.
//!
//! ```text
//!   program ──fork──> helper: blocks and ignores all but faults, saves what the program had
//!                       └──fork──> process: the same, without handlers of terminating signals
//!                       └──fork──> worker:  the same, ignores terminating signals
//! ```
//!
//! Invariants:
//! 1. The process that forks blocks all signals but faults ([`Blocked`]) until its child has set
//!    its dispositions. So no handler of the program runs in the child before that, and no signal
//!    to the child is lost: the kernel keeps a blocked one pending, even one that is ignored.
//! 2. A helper blocks them for ever, and its children start with them blocked.
//! 3. A handler is restored only in a process that has the state it works with: one that was forked
//!    after the handler was installed.

mod dispositions;
#[cfg(feature = "object")]
mod helper;

pub(crate) use dispositions::{Blocked, begin_process};
#[cfg(feature = "object")]
pub(crate) use helper::{Recipient, RequestedSignals, Signals, begin_helper, give_back, remain_helper};
