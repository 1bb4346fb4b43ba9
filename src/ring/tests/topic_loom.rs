//! Topics under weak memory: loom tries every interleaving of the shipped transitions, and every
//! value that a load may see. Full fences stand for the two halves of the barrier.
//!
//! A payload has two words, both the record's number: a copy shows by itself whether it is whole.
//! What is read in place is a cell that loom checks for races.

use super::heap::{self, Heap, write_garbage};
use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU64, fence};
use crate::ring::topic::{Fences, Limits, LineWord, Place, Seen, Standing, Start, TopicRing, order_reclaimed};
use crate::ring::{NoRoom, Ring, SIZED_RING, SLICE_RING, Slot};
use crate::shm::geometry::{CellIndex, Geometry};
use crate::shm::layout::{SubscriberLine, TopicWords};
use ::loom::cell::UnsafeCell;
use ::loom::sync::{Arc, Mutex};
use ::loom::thread;

const BYTES: u32 = 16;
const ME: u32 = 7;

struct FullFences;

impl Fences for FullFences {
    fn light(&self) {
        fence(SeqCst);
    }

    fn heavy(&self) -> bool {
        fence(SeqCst);
        true
    }
}

struct Topic {
    ring: Ring<Heap>,
    words: TopicWords,
    lines: [SubscriberLine; 2],
    /// Two words a cell.
    payloads: Vec<[AtomicU64; 2]>,
    /// What is read in place, a cell each.
    in_place: Vec<UnsafeCell<u64>>,
    history: u64,
}

/// A gating or a lossy subscriber, as `raw` drives it.
struct Reader {
    line: usize,
    word: LineWord,
    place: Place,
}

impl Topic {
    fn new(geometry: Geometry, history: u64) -> Topic {
        let topic = Topic {
            ring: Ring { memory: Heap::new(&geometry), geometry },
            words: TopicWords::default(),
            lines: Default::default(),
            payloads: (0..geometry.cells).map(|_| Default::default()).collect(),
            in_place: (0..geometry.cells).map(|_| UnsafeCell::new(0)).collect(),
            history,
        };
        topic.topic().initialise();
        topic
    }

    fn sized(capacity: u64, history: u64) -> Topic {
        Topic::new(Geometry::topic(BYTES as u64, 8, capacity).expect("a small ring"), history)
    }

    fn topic(&self) -> TopicRing<'_, Heap> {
        TopicRing {
            ring: &self.ring,
            words: &self.words,
            lines: &self.lines,
            limits: Limits { history: self.history, max_lag: 0 },
        }
    }

    fn reserve(&self, length: u32) -> Option<Slot> {
        let at_once = match self.ring.geometry.sized {
            true => self.ring.reserve_at_once::<SIZED_RING>(length),
            false => self.ring.reserve_at_once::<SLICE_RING>(length),
        };
        at_once.or_else(|| match self.topic().reserve(length, &FullFences) {
            Ok(slot) => Some(slot),
            Err(NoRoom::Full) => None,
            Err(NoRoom::Corrupted) => panic!("corrupted"),
        })
    }

    /// `false`: it is full.
    fn publish(&self) -> bool {
        let number = self.topic().published();
        let Some(slot) = self.reserve(BYTES) else { return false };
        order_reclaimed();
        for word in &self.payloads[slot.cell.index() as usize] {
            word.store(number, Relaxed);
        }
        self.ring.commit(slot);
        true
    }

    /// For readers in place.
    fn publish_in_place(&self) -> bool {
        let number = self.topic().published();
        let Some(slot) = self.reserve(BYTES) else { return false };
        // SAFETY: the record belongs to this call until it is committed: loom checks exactly that.
        self.in_place[slot.cell.index() as usize].with_mut(|payload| unsafe { *payload = number });
        self.ring.commit(slot);
        true
    }

    fn join(&self, start: Start, gates: bool) -> Reader {
        let joined = self.topic().join(ME, start, gates, |_| false, &FullFences, || ());
        let joined = joined.expect("not corrupted").expect("a free line");
        Reader { line: joined.line, word: joined.word, place: Place { position: joined.cursor, number: joined.number } }
    }

    fn copy(&self, cell: CellIndex) -> [u64; 2] {
        let [first, second] = &self.payloads[cell.index() as usize];
        [first.load(Relaxed), second.load(Relaxed)]
    }
}

impl Reader {
    fn gates(&self, topic: &Topic) -> bool {
        self.word.standing() == Some(Standing::Gating) && topic.lines[self.line].state.load(Relaxed) == self.word.bits()
    }

    fn move_to(&mut self, topic: &Topic, next: Place) {
        self.place = next;
        topic.lines[self.line].cursor.store(next.position, Release);
    }

    /// The next message by copy, if there is one: its number. A torn copy never counts.
    fn next(&mut self, topic: &Topic) -> Option<u64> {
        for torn in 0.. {
            match topic.topic().look(self.place, || self.gates(topic)).expect("not corrupted") {
                Seen::Nothing | Seen::Loan(_) => return None,
                Seen::Skipped(next) => self.move_to(topic, next),
                Seen::Record { cell, next, .. } => {
                    let copy = topic.copy(cell);
                    if topic.topic().counts(self.place.position, &|| self.gates(topic)) {
                        let number = self.place.number;
                        assert_eq!(copy, [number; 2], "a torn or foreign value counts");
                        self.move_to(topic, next);
                        return Some(number);
                    }
                }
                Seen::Lapped => {
                    if self.word.standing() == Some(Standing::Gating) {
                        self.word = topic.topic().learn_of_eviction(self.line, self.word).expect("it was evicted");
                    }
                    let next = topic.topic().after_lapped(self.place, torn).expect("not corrupted")?;
                    assert!(next.number >= self.place.number, "it goes back");
                    self.move_to(topic, next);
                }
            }
        }
        None
    }
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.map_or(preemptions, |bound| bound.min(preemptions)));
    builder.check(model);
}

/// A subscriber joins while a publisher goes round the ring, and misses nothing from its place on.
fn joins_beside_a_publisher(start: Start, capacity: u64, history: u64, before: usize, meanwhile: usize) {
    bounded(3, move || {
        let topic = Arc::new(Topic::sized(capacity, history));
        (0..before).for_each(|_| assert!(topic.publish()));
        let publisher = topic.clone();
        let publisher = thread::spawn(move || (0..meanwhile).take_while(|_| publisher.publish()).count());
        let published_before = topic.topic().published();
        let mut reader = topic.join(start, true);
        assert!(start != Start::Now || reader.place.number >= published_before, "not from now on");
        assert!(topic.words.reclaim.load(Acquire) <= reader.place.position, "joined below reclaim");
        let mut expected = reader.place.number;
        let mut read = |reader: &mut Reader| {
            while let Some(number) = reader.next(&topic) {
                assert_eq!(number, expected, "a message was missed");
                expected += 1;
            }
        };
        read(&mut reader);
        let published = before + publisher.join().expect("publisher");
        read(&mut reader);
        assert_eq!(expected, published as u64, "all that was published is read");
        assert!(topic.publish(), "an empty ring is not full");
    });
}

#[test]
fn a_subscriber_that_joins_now_misses_nothing() {
    joins_beside_a_publisher(Start::Now, 2, 0, 1, 3);
}

#[test]
fn a_subscriber_that_joins_further_back_misses_nothing() {
    joins_beside_a_publisher(Start::Oldest, 2, 0, 2, 3);
    joins_beside_a_publisher(Start::Oldest, 3, 2, 2, 4);
}

/// A publisher laps a lossy subscriber: what is torn never counts, and every place is passed.
#[test]
fn a_lossy_subscriber_is_lapped() {
    bounded(2, || {
        let topic = Arc::new(Topic::sized(1, 0));
        let mut reader = topic.join(Start::Now, false);
        let publisher = topic.clone();
        let publisher = thread::spawn(move || (0..4).for_each(|_| assert!(publisher.publish(), "nobody gates")));
        let mut last = None;
        let mut read = |reader: &mut Reader| {
            while let Some(number) = reader.next(&topic) {
                assert!(last < Some(number), "{number} after {last:?}");
                last = Some(number);
            }
        };
        read(&mut reader);
        publisher.join().expect("publisher");
        read(&mut reader);
        assert_eq!(last, Some(3), "the newest is always there");
    });
}

/// One publisher reclaims, another one writes.
#[test]
fn a_lossy_subscriber_beside_publishers_with_a_lock() {
    bounded(1, || {
        let topic = Arc::new(Topic::sized(1, 0));
        assert!(topic.publish());
        let mut reader = topic.join(Start::Oldest, false);
        let lock = Arc::new(Mutex::new(()));
        let publishers = [0, 1].map(|_| {
            let (topic, lock) = (topic.clone(), lock.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let held = lock.lock().expect("lock");
                    assert!(topic.publish());
                    drop(held);
                }
            })
        });
        let mut last = None;
        for _ in 0..3 {
            let Some(number) = reader.next(&topic) else { break };
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
        }
        publishers.into_iter().for_each(|publisher| publisher.join().expect("publisher"));
    });
}

/// An eviction, while the subscriber reads in place: the publisher leaves its line out only while
/// it reads nothing.
#[test]
fn an_open_sample_outlives_an_eviction() {
    bounded(3, || {
        let topic = Arc::new(Topic::sized(1, 0));
        let mut reader = topic.join(Start::Now, true);
        assert!(topic.publish_in_place());
        let (line, word) = (reader.line, reader.word);
        let publisher = topic.clone();
        let publisher = thread::spawn(move || {
            publisher.topic().evict(line, word);
            (0..3).filter(|_| publisher.publish_in_place()).count()
        });
        // As `step_in_place` does.
        topic.lines[line].pin.store(1, Relaxed);
        FullFences.light();
        if reader.gates(&topic) {
            if let Seen::Record { cell, next, .. } = topic.topic().look(reader.place, || true).expect("not corrupted") {
                // SAFETY: the line gates, and is pinned: loom checks exactly that.
                let number = topic.in_place[cell.index() as usize].with(|payload| unsafe { *payload });
                assert_eq!(number, reader.place.number);
                reader.move_to(&topic, next);
            }
        }
        topic.lines[line].pin.store(0, Release);
        publisher.join().expect("publisher");
        assert!(topic.publish_in_place(), "an evicted subscriber stops nobody");
    });
}

/// Two at once: the gate is that of the slower one, whichever the publisher remembers.
#[test]
fn a_second_subscriber_joins_beside_the_laggard() {
    bounded(2, || {
        let topic = Arc::new(Topic::sized(2, 0));
        let mut slow = topic.join(Start::Now, true);
        assert!(topic.publish());
        let publisher = topic.clone();
        let publisher = thread::spawn(move || (0..3).take_while(|_| publisher.publish()).count());
        let mut second = topic.join(Start::Now, true);
        let mut first = second.place.number;
        while let Some(number) = slow.next(&topic) {
            assert!(number < 4);
        }
        let published = 1 + publisher.join().expect("publisher");
        while let Some(number) = second.next(&topic) {
            assert_eq!(number, first, "a message was missed");
            first += 1;
        }
        assert_eq!(first, published as u64);
    });
}

/// Slices: a lap changes where records begin, and payload looks like any header.
#[test]
fn a_lossy_subscriber_is_lapped_among_slices() {
    bounded(2, || {
        let topic = Arc::new(Topic::new(heap::bytes(6, u64::MAX), 0));
        let publish = |topic: &Topic, length: u32| {
            let slot = topic.reserve(length).expect("nobody gates");
            order_reclaimed();
            write_garbage(&topic.ring, slot.cell, length);
            topic.ring.commit(slot);
        };
        publish(&topic, 0);
        let mut reader = topic.join(Start::Oldest, false);
        let publisher = topic.clone();
        let publisher = thread::spawn(move || [32, 16, 32].into_iter().for_each(|length| publish(&publisher, length)));
        let mut passed = reader.place.number;
        let lengths = [0, 32, 16, 32];
        let mut step = |reader: &mut Reader| {
            loop {
                let place = reader.place;
                match topic.topic().look(place, || false).expect("not corrupted") {
                    Seen::Nothing | Seen::Loan(_) => return,
                    Seen::Skipped(next) => reader.move_to(&topic, next),
                    Seen::Record { length, next, .. } => {
                        assert_eq!(length, lengths[place.number as usize], "a payload was taken for a record");
                        passed = passed.max(next.number);
                        reader.move_to(&topic, next);
                    }
                    Seen::Lapped => {
                        let Some(next) = topic.topic().after_lapped(place, 0).expect("not corrupted") else { return };
                        assert!(next.number >= place.number && next.number <= 4, "{next:?} after {place:?}");
                        reader.move_to(&topic, next);
                    }
                }
            }
        };
        step(&mut reader);
        publisher.join().expect("publisher");
        step(&mut reader);
        assert_eq!(passed, 4, "the newest is always there");
    });
}
