//! The protocols of the semaphore, the barrier, the lock without data and the notices of a
//! condition variable as state machines: every order of steps, and a kill at every step.
//!
//! A step is one atomic instruction on a shared word, or all that is done under the lock between
//! two of them. The lock itself is modelled in `lock/model.rs`: here it is taken, or taken over
//! from the dead, in one step.

use crate::lock::model::{Machine, explore};

mod barrier;
mod condvar;
mod hold;
mod semaphore;
