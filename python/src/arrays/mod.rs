//! Arrays: of any shape, written and read where they lie in the segment, or copied once a side.
//!
//! | question | file |
//! |---|---|
//! | what is an element? | `element` |
//! | what does a message that is an array look like? | `message` |
//! | how is its memory exported, and when does that end? | `array` |
//! | writing and reading in place | `loan`, `lease`, `sample` |
//! | exchange with other libraries | `dlpack` |
//! | by copy: `put` of an array, `get` of one | `copied` |
//! | the verbs of `Queue` | `verbs` |

mod array;
mod copied;
mod dlpack;
mod element;
mod lease;
mod loan;
mod message;
mod sample;
mod verbs;

pub use array::Array;
pub use copied::{Viewed, load};
pub use lease::ArrayLease;
pub use loan::{ArrayLoan, Loaned};
pub use message::{Description, is_array};
pub use sample::{ArraySample, Sampled};
