//! Signals: what the program does with them, what our own helpers do, and what their children get
//! back.
//!
//! ```text
//!   program ──fork──> helper: blocks and ignores all but faults, remembers what the program had
//!                       └──fork──> process: has what the program had, without handlers of endings
//!                       └──fork──> worker:  the same, but ignores what would end it
//! ```
//!
//! Invariants:
//! 1. The process that forks blocks all signals but faults ([`Blocked`]) until its child has the
//!    dispositions that it shall have. So no handler of the program runs in the child before, and
//!    no signal to the child is lost: the kernel keeps a blocked one, also where it is ignored.
//! 2. A helper blocks them for ever, and its children begin so.
//! 3. A handler is given only to a process that has what the handler works with: one that was
//!    forked when the handler was there.

mod dispositions;
#[cfg(feature = "object")]
mod helper;

pub(crate) use dispositions::{Blocked, begin_process};
#[cfg(feature = "object")]
pub(crate) use helper::{Asked, Recipient, Signals, begin_helper, give_back, remain_helper};
