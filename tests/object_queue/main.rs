//! What an `ObjectQueue` promises: every serde type, errors at the call that caused them, no
//! half-encoded message.
#![cfg(feature = "object")]

#[path = "../support/mod.rs"]
mod support;

mod decoding;
mod encoding;
mod handles;
mod types;
mod verbs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shmq::ObjectQueue;
use support::unique_name;

/// Bytes of a peer that follows no rule, in a queue of objects of the same name.
fn misdecoding<T: Serialize + DeserializeOwned, U: Serialize + DeserializeOwned>(
    capacity: usize,
) -> (ObjectQueue<T>, ObjectQueue<U>) {
    let name = unique_name("misdecoding");
    let ours = ObjectQueue::<T>::builder().name(&name).schema("same").capacity(capacity).create().unwrap();
    let theirs = ObjectQueue::<U>::builder().name(&name).schema("same").open().unwrap();
    (ours, theirs)
}
