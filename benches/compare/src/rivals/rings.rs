//! Which rows the rings in shared memory have in a group: shaq, ringfire, cloudtoid-interprocess,
//! and tachyon-ipc and Aeron where they are built.
#![cfg_attr(not(feature = "tachyon"), allow(unused_mut))] // rows that come with a feature only

#[cfg(feature = "aeron")]
use super::aeron::Aeron;
#[cfg(feature = "tachyon")]
use super::tachyon::{Tachyon, has_room};
use super::{
    SLEEPS, SPINS, YIELDS,
    cloudtoid::{Cloudtoid, CloudtoidBatches},
    ringfire::Ringfire,
    shaq::{Broadcasts, Mpmc, Spsc},
};
use crate::{
    first_message::{ByName, first_message},
    flows::{BATCH, flow, flow_to_all},
    forked::Case,
    idle::idle,
    ping_pong::{Turns, ping_pong, sleeping_ping_pong},
};
use std::time::Duration;

/// A rival's name in the tables, and how it is measured.
pub type Row = (&'static str, Box<dyn Case>);

/// Rivals that were not built, and what they need.
pub fn absent() -> Vec<String> {
    let built = [("tachyon-ipc", "tachyon", cfg!(feature = "tachyon")), ("Aeron IPC", "aeron", cfg!(feature = "aeron"))];
    let absent = built.into_iter().filter(|&(.., built)| !built);
    absent
        .map(|(name, feature, _)| format!("{name}: skipped, built without --features {feature} (what it needs: README)"))
        .collect()
}

/// From here on, a message a call is a batch. Asked for in a `const` block, so that the others are
/// not compiled.
const LARGE_WORDS: usize = 8192;
/// Words of a 64-byte message.
const LINE: usize = 8;

/// Messages of `W` words, one to one, each process on a core of its own.
pub fn one_to_one<const W: usize>() -> Vec<Row> {
    let mut rows = vec![
        ("shaq spsc", flow::<Spsc<W, 1, false>>()),
        ("shaq mpmc", flow::<Mpmc<W, 1, false>>()),
        ("shaq broadcast", flow::<Broadcasts<W, 1, SPINS>>()),
        ("ringfire", flow::<Ringfire<W, 1, SPINS>>()),
        ("cloudtoid-interprocess", flow::<Cloudtoid<W, false>>()),
    ];
    #[cfg(feature = "tachyon")]
    if const { has_room::<W>() } {
        rows.push(("tachyon-ipc", flow::<Tachyon<W, 1, false>>()));
    }
    #[cfg(feature = "aeron")]
    if const { W < LARGE_WORDS } {
        rows.push(("Aeron IPC", flow::<Aeron<W>>()));
    }
    if const { W < LARGE_WORDS } {
        rows.push(("shaq spsc, 32 a call", flow::<Spsc<W, BATCH, false>>()));
        rows.push(("shaq mpmc, 32 a call", flow::<Mpmc<W, BATCH, false>>()));
        rows.push(("shaq broadcast, 32 a call", flow::<Broadcasts<W, BATCH, SPINS>>()));
        rows.push(("ringfire, 32 a call", flow::<Ringfire<W, BATCH, SPINS>>()));
        rows.push(("cloudtoid-interprocess, 32 a call", flow::<CloudtoidBatches<W>>()));
        #[cfg(feature = "tachyon")]
        rows.push(("tachyon-ipc, 32 a call", flow::<Tachyon<W, BATCH, false>>()));
    }
    rows
}

/// Several producers and consumers, more than there are cores.
pub fn several<const W: usize>() -> Vec<Row> {
    let mut rows = vec![("shaq mpmc", flow::<Mpmc<W, 1, true>>()), ("cloudtoid-interprocess", flow::<Cloudtoid<W, false>>())];
    if const { W < LARGE_WORDS } {
        rows.push(("shaq mpmc, 32 a call", flow::<Mpmc<W, BATCH, true>>()));
        rows.push(("cloudtoid-interprocess, 32 a call", flow::<CloudtoidBatches<W>>()));
    }
    rows
}

/// Messages of `W` words, one to one, by what can give them to several.
pub fn broadcasts_to_one<const W: usize>() -> Vec<Row> {
    vec![
        ("shaq broadcast", flow_to_all::<Broadcasts<W, 1, SPINS>>()),
        ("ringfire", flow_to_all::<Ringfire<W, 1, SPINS>>()),
        ("shaq broadcast, 32 a call", flow_to_all::<Broadcasts<W, BATCH, SPINS>>()),
        ("ringfire, 32 a call", flow_to_all::<Ringfire<W, BATCH, SPINS>>()),
    ]
}

/// Messages of `W` words, each to three consumers, more processes than there are cores.
pub fn broadcasts_to_three<const W: usize>() -> Vec<Row> {
    let mut rows = vec![
        ("shaq broadcast", flow_to_all::<Broadcasts<W, 1, YIELDS, 3>>()),
        ("ringfire", flow_to_all::<Ringfire<W, 1, YIELDS>>()),
    ];
    if const { W < LARGE_WORDS } {
        rows.push(("shaq broadcast, sleeping", flow_to_all::<Broadcasts<W, 1, SLEEPS, 3>>()));
        rows.push(("ringfire, futex", flow_to_all::<Ringfire<W, 1, SLEEPS>>()));
        rows.push(("shaq broadcast, 32 a call", flow_to_all::<Broadcasts<W, BATCH, YIELDS, 3>>()));
        rows.push(("ringfire, 32 a call", flow_to_all::<Ringfire<W, BATCH, YIELDS>>()));
    }
    rows
}

/// 64 B, both sides on one core: receivers sleep.
pub fn one_core() -> Vec<Row> {
    let mut rows = vec![
        ("shaq spsc", flow::<Spsc<LINE, 1, true>>()),
        ("shaq mpmc", flow::<Mpmc<LINE, 1, true>>()),
        ("ringfire", flow::<Ringfire<LINE, 1, SLEEPS>>()),
        ("cloudtoid-interprocess", flow::<Cloudtoid<LINE, true>>()),
    ];
    #[cfg(feature = "tachyon")]
    rows.push(("tachyon-ipc", flow::<Tachyon<LINE, 1, true>>()));
    rows
}

/// Round trips of 64 B; both sides spin.
pub fn spinning(times: &'static Turns) -> Vec<Row> {
    let mut rows = vec![
        ("shaq spsc", ping_pong::<Spsc<LINE, 1, false>>(times, 0)),
        ("shaq mpmc", ping_pong::<Mpmc<LINE, 1, false>>(times, 0)),
        ("shaq broadcast", ping_pong::<Broadcasts<LINE, 1, SPINS>>(times, 0)),
        ("ringfire", ping_pong::<Ringfire<LINE, 1, SPINS>>(times, 0)),
        ("cloudtoid-interprocess", ping_pong::<Cloudtoid<LINE, false>>(times, 0)),
    ];
    #[cfg(feature = "tachyon")]
    rows.push(("tachyon-ipc", ping_pong::<Tachyon<LINE, 1, false>>(times, 0)));
    #[cfg(feature = "aeron")]
    rows.push(("Aeron IPC", ping_pong::<Aeron<LINE>>(times, 0)));
    rows
}

/// Round trips of 64 B; each message wakes its receiver.
pub fn blocking(times: &'static Turns) -> Vec<Row> {
    let mut rows = vec![
        ("shaq spsc", sleeping_ping_pong::<Spsc<LINE, 1, true>>(times)),
        ("shaq mpmc", sleeping_ping_pong::<Mpmc<LINE, 1, true>>(times)),
        ("shaq broadcast", sleeping_ping_pong::<Broadcasts<LINE, 1, SLEEPS>>(times)),
        ("ringfire, futex", sleeping_ping_pong::<Ringfire<LINE, 1, SLEEPS>>(times)),
        ("cloudtoid-interprocess", sleeping_ping_pong::<Cloudtoid<LINE, true>>(times)),
    ];
    #[cfg(feature = "tachyon")]
    rows.push(("tachyon-ipc", sleeping_ping_pong::<Tachyon<LINE, 1, true>>(times)));
    rows
}

/// From nothing to the first message. tachyon's ends wait for each other, so one process cannot
/// make both.
pub fn creation(times: &'static Turns) -> Vec<Row> {
    vec![
        ("shaq spsc", first_message::<ByName<Spsc<LINE, 1, false>>>(times)),
        ("ringfire", first_message::<ByName<Ringfire<LINE, 1, SPINS>>>(times)),
        ("cloudtoid-interprocess", first_message::<ByName<Cloudtoid<LINE, false>>>(times)),
    ]
}

/// A receiver that waits `lasts` for its message.
pub fn idling(lasts: Duration) -> Vec<Row> {
    vec![
        ("shaq spsc", idle::<Spsc<LINE, 1, true>>(lasts)),
        ("ringfire, futex", idle::<Ringfire<LINE, 1, SLEEPS>>(lasts)),
        ("cloudtoid-interprocess", idle::<Cloudtoid<LINE, true>>(lasts)),
    ]
}
