//! How to wait.

pub(crate) mod strategy;
