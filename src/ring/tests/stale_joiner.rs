//! A subscriber that stalls while it joins, beside a publisher that goes on: a whole lap, and more.

use super::heap::Heap;
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::ring::topic::{Fences, Limits, LineWord, Standing, Start, TopicRing};
use crate::ring::{NoRoom, Ring};
use crate::shm::geometry::Geometry;
use crate::shm::layout::{SubscriberLine, TopicWords};
use std::cell::Cell;

const CAPACITY: u64 = 8;
const MESSAGE_BYTES: u32 = 8;

/// Runs something once, inside the heavy barrier of one that joins: it is GATING, and has not read
/// the gate yet.
struct Meanwhile<'a>(Cell<Option<&'a dyn Fn()>>);

impl Fences for Meanwhile<'_> {
    fn light(&self) {}

    fn heavy(&self) -> bool {
        if let Some(act) = self.0.take() {
            act();
        }
        true
    }
}

fn publish(topic: &TopicRing<'_, Heap>) -> Result<(), NoRoom> {
    let slot = topic.ring.reserve_at_once::<true>(MESSAGE_BYTES).map_or_else(|| topic.reserve(MESSAGE_BYTES, &none()), Ok)?;
    topic.ring.commit(slot);
    Ok(())
}

fn none() -> Meanwhile<'static> {
    Meanwhile(Cell::new(None))
}

/// It loaded where the oldest record is, and was not scheduled until that had been overwritten. The
/// publisher sees its line, with that cursor, before it has raised it.
#[test]
fn one_that_begins_at_the_oldest_record_does_not_begin_at_what_was_overwritten() {
    let geometry = Geometry::topic(8, 8, CAPACITY).unwrap();
    let ring = Ring { memory: Heap::new(&geometry), geometry };
    let (words, lines) = (TopicWords::default(), [SubscriberLine::default(), SubscriberLine::default()]);
    let topic = TopicRing { ring: &ring, words: &words, lines: &lines, limits: Limits { history: 0, max_lag: 0 } };
    topic.initialise();
    let oldest = words.reclaim.load(Acquire);
    (0..4 * CAPACITY).for_each(|_| publish(&topic).unwrap());
    let stalled = || {
        // As if its two stores came this late.
        let line = &lines[0];
        assert_eq!(LineWord::from_bits(line.state.load(Relaxed)).standing(), Some(Standing::Gating));
        line.cursor.store(oldest, Relaxed);
        while publish(&topic).is_ok() {}
        assert!(words.reclaim.load(Relaxed) > oldest);
        assert!(words.gate.load(Relaxed) >= words.reclaim.load(Relaxed), "a subscriber may begin at the gate");
    };
    let joined = topic.join(1 << 10, Start::Oldest, true, |_| false, &Meanwhile(Cell::new(Some(&stalled))), || {});
    let joined = joined.unwrap().expect("a line is free");
    assert!(joined.cursor >= words.reclaim.load(Acquire), "what lies there may be overwritten");
    assert!(joined.number + CAPACITY >= topic.published(), "it is no more than a capacity behind");
    assert_eq!(publish(&topic), Err(NoRoom::Full), "it gates");
    assert!(topic.leave(joined.line, joined.word));
    publish(&topic).unwrap();
}
