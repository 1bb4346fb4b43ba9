//! What only a topic has: its subscribers, and the gate that the slowest of them keeps.

use super::inspector::Inspector;
use super::records::{Records, WALKS};
use super::snapshot::{Hold, Holding};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::error::SubscriberId;
use crate::raw::topic::{id_of, lag_of, pid_of, subscriber_at, topic_ring};
use crate::raw::{Mapped, Stats, SubscriberInfo, TopicStats};
use crate::ring::topic::{Hold as Held, LineWord, Standing, TopicRing};
use crate::ring::{Header, Memory, Owner, State as RecordState};
use crate::shm::id::{GENERATION_LOW_MASK, Id};
use crate::shm::layout::SubscriberLine;

/// Reads of words that belong together, before one that may not fit is good enough.
const READS: u32 = 16;

/// Does a publisher find room in a topic?
///
/// ```
/// # let name = format!("doc-inspect-gate-{}", std::process::id());
/// use shmq::inspect::{Gate, Inspector};
///
/// let topic = shmq::Topic::<u64>::create(&name, 1)?;
/// let slow = topic.subscribe()?;
/// topic.publish(&1)?;
/// assert_eq!(Inspector::open(&name)?.topic().unwrap().gate, Gate::Subscriber(slow.id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// Yes, for the smallest message at least.
    Open,
    /// No: this gating subscriber is a whole capacity behind, or it was evicted and reads in place.
    Subscriber(SubscriberId),
    /// No: an open loan lies where the next message would go.
    Loan {
        /// The loan's process, as that process saw itself; 0 if it is not known any more.
        pid: u32,
    },
}

/// What only a topic has, as it was seen at one moment: [`Inspector::topic`], and in each
/// [`Snapshot`](super::Snapshot).
///
/// Three positions are given in cells since the topic's first message: in a topic of messages of
/// one size, the number of the message there.
///
/// ```
/// # let name = format!("doc-inspect-topic-{}", std::process::id());
/// let topic = shmq::Topic::<u64>::create(&name, 8)?;
/// let (every, _live) = (topic.subscribe()?, topic.subscribe_lossy()?);
/// topic.publish_slice(&[1, 2, 3])?;
/// every.next()?;
/// let seen = shmq::inspect::Inspector::open(&name)?.topic().expect("a topic");
/// let lags: Vec<_> = seen.subscribers.iter().map(|one| (one.kind.to_string(), one.lag)).collect();
/// assert_eq!(lags, [("gating".to_owned(), 2), ("lossy".to_owned(), 3)]);
/// assert_eq!((seen.stats.published, seen.kept, seen.tail), (3, 3, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TopicSnapshot {
    /// All subscribers, in the order of their places.
    pub subscribers: Vec<SubscriberInfo>,
    /// Does a publisher find room? Otherwise, what it waits for.
    pub gate: Gate,
    /// Threads of live processes that sleep in a publish.
    pub sleeping_publishers: u32,
    /// Places that were published and can still be read: what
    /// [`Start::Oldest`](crate::Start::Oldest) begins with.
    pub kept: u64,
    /// Where the next message goes.
    pub tail: u64,
    /// Publishers may go a capacity beyond this without another look at the subscribers: none of
    /// those that gate is before it.
    pub gated_from: u64,
    /// What lies before it may be overwritten at any time.
    pub reclaimed_to: u64,
    /// Its counters.
    pub stats: TopicStats,
}

impl Inspector {
    /// What only a topic has; `None` if it is none. It reads no record, so it costs a topic at full
    /// speed almost nothing.
    ///
    /// ```
    /// # let name = format!("doc-inspector-topic-{}", std::process::id());
    /// use shmq::inspect::{Gate, Inspector};
    ///
    /// let topic = shmq::Topic::<u64>::create(&name, 8)?;
    /// let seen = Inspector::open(&name)?.topic().expect("a topic");
    /// assert_eq!((seen.gate, seen.subscribers.len()), (Gate::Open, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn topic(&self) -> Option<TopicSnapshot> {
        self.with_topic(|topic| {
            let (first, geometry) = (topic.linear(topic.first()), &topic.ring.geometry);
            let smallest = if geometry.sized { geometry.message_bytes as u32 } else { 0 };
            let since_first = |position: u64| topic.linear(position).saturating_sub(first);
            let stats = TopicStats::read(topic, &self.view.head().rare);
            TopicSnapshot {
                subscribers: subscribers(topic, |participant| (self.pid(participant), self.is_alive(participant))),
                gate: match topic.hold(smallest, true) {
                    Ok(Some(Held::Subscriber { line, word })) => Gate::Subscriber(id_of(line, word)),
                    Ok(Some(Held::Loan(header))) => Gate::Loan { pid: self.pid_of_owner(header.owner()) },
                    _ => Gate::Open,
                },
                sleeping_publishers: self.sleeping_publishers(),
                kept: kept(topic, stats.published),
                tail: since_first(topic.tail()),
                gated_from: since_first(topic.words.gate.load(Relaxed)),
                reclaimed_to: since_first(topic.words.reclaim.load(Relaxed)),
                stats,
            }
        })
    }

    pub(super) fn with_topic<R>(&self, read: impl FnOnce(&TopicRing<'_, Mapped>) -> R) -> Option<R> {
        let area = self.view.topic()?;
        Some(read(&topic_ring(&self.ring, &area)))
    }

    /// Places that the slowest gating subscriber has not passed.
    pub(super) fn topic_backlog(&self) -> u64 {
        let backlog = self.with_topic(|topic| {
            let slowest = topic.lowest_gating(true).1.and_then(|(line, _)| topic.lines.get(line));
            // No more can be: the words may be garbage.
            slowest.map_or(0, |line| lag_of(topic, line)).min(topic.ring.geometry.capacity).min(topic.ring.geometry.cells)
        });
        backlog.unwrap_or(0)
    }

    /// The counters of a topic under the names that those of queues have.
    pub(super) fn topic_counters(&self) -> Stats {
        let counters = self.with_topic(|topic| {
            let seen = TopicStats::read(topic, &self.view.head().rare);
            let gets = subscribers(topic, |_| (0, true)).iter().fold(0u64, |sum, one| sum.wrapping_add(one.received));
            let geometry = &topic.ring.geometry;
            Stats {
                puts: seen.published,
                gets,
                bytes_put: seen.bytes_published,
                bytes_got: if geometry.sized { gets.saturating_mul(geometry.message_bytes) } else { 0 },
                aborted: seen.aborted,
                recoveries: seen.recoveries,
                blocked_puts: seen.blocked_publishes,
                blocked_gets: seen.blocked_reads,
                blocked_put_time: seen.blocked_publish_time,
                blocked_get_time: seen.blocked_read_time,
                refused_puts: seen.refused_publishes,
                put_timeouts: seen.publish_timeouts,
                get_timeouts: seen.read_timeouts,
                wakes: seen.wakes,
                ..Stats::default()
            }
        });
        counters.unwrap_or_default()
    }

    /// The messages that subscribers read in place.
    pub(super) fn samples(&self, subscribers: &[SubscriberInfo]) -> Vec<Holding> {
        let samples = self.with_topic(|topic| {
            let geometry = &topic.ring.geometry;
            let sample = |one: &SubscriberInfo| {
                let position = topic.lines.get(one.id.line as usize)?.cursor.load(Acquire);
                let header = geometry.cell(position).map(|cell| topic.ring.load_header(cell));
                let length = header.filter(|header| header.state() == Some(RecordState::Ready)).map_or(0, Header::length);
                Some(Holding {
                    what: Hold::Sample,
                    pid: one.pid,
                    alive: one.is_alive,
                    position,
                    bytes: if length as u64 <= geometry.max_message_bytes() { length.into() } else { 0 },
                    deliveries: 0,
                    since: None,
                })
            };
            subscribers.iter().filter(|one| one.has_sample).filter_map(sample).collect()
        });
        samples.unwrap_or_default()
    }

    /// Walks the records. The flag says that they, or the words of the topic, hold garbage.
    pub(super) fn records_of_topic(&self) -> (Records, bool) {
        let mut garbage_at = None;
        for _ in 0..WALKS {
            let walked = self.with_topic(|topic| {
                let words = topic.words;
                let at = (words.reclaim.load(Acquire), words.gate.load(Acquire), topic.tail());
                let lowest = topic.lowest_gating(true).0;
                let mut records = Records::default();
                let mut plausible = self.are_words_plausible(topic, at);
                let walked = topic.walk(at.0, |walked| {
                    let (header, length) = (walked.header, walked.header.length() as u64);
                    plausible &= self.is_plausible(header);
                    match header.state() {
                        Some(RecordState::Ready) if topic.linear(walked.position) >= lowest => {
                            records.messages += 1;
                            records.bytes = records.bytes.saturating_add(length);
                        }
                        Some(RecordState::Claimed) => {
                            records.on_loan += 1;
                            records.hold(Hold::Loan, walked.position, header);
                        }
                        Some(RecordState::Ready | RecordState::Done) => {}
                        _ => plausible = false,
                    }
                    plausible
                });
                (records, at, plausible && walked.is_ok(), plausible && matches!(walked, Ok(Some(_))))
            });
            let Some((records, at, plausible, is_whole)) = walked else { break };
            // As in `records`: garbage only if it stays so while nothing moves.
            match plausible {
                true if is_whole => return (records, false),
                true => {}
                false if garbage_at == Some(at) => return (self.estimated_records(), true),
                false => garbage_at = Some(at),
            }
        }
        (self.estimated_records(), false)
    }

    /// Can these be the positions of a topic (reclaim, gate, tail), and those its lines?
    fn are_words_plausible(&self, topic: &TopicRing<'_, Mapped>, (reclaim, gate, tail): (u64, u64, u64)) -> bool {
        let geometry = &topic.ring.geometry;
        let behind = |position: u64| topic.linear(tail).wrapping_sub(topic.linear(position));
        let are_cells = [reclaim, gate, tail].iter().all(|&position| geometry.cell(position).is_some());
        let at_tail = geometry.cell(tail).map(|cell| Header::from_bits(topic.ring.memory.header(cell).load(Acquire)));
        let is_end = at_tail.is_some_and(|header| self.is_plausible(header));
        let in_ring = behind(reclaim) <= geometry.cells && behind(gate) <= geometry.cells;
        let are_lines = topic.words.lines_end.load(Acquire) as usize <= topic.lines.len();
        are_cells && is_end && in_ring && are_lines && topic.lines.iter().all(|line| self.is_line_plausible(topic, line))
    }

    fn is_line_plausible(&self, topic: &TopicRing<'_, Mapped>, line: &SubscriberLine) -> bool {
        let word = LineWord::from_bits(line.state.load(Acquire));
        let is_known = || Id::from_bits(word.participant()).is_some_and(|id| id.entry() < self.view.info().max_participants);
        match word.standing() {
            None => false,
            Some(Standing::Free) => true,
            Some(Standing::Joining | Standing::Lossy | Standing::Evicted) => is_known(),
            Some(Standing::Gating | Standing::Evicting) => {
                let cursor = line.cursor.load(Acquire);
                // Loaded behind the cursor, which may be past the stored tail.
                let most = topic.linear(topic.tail()).saturating_add(topic.ring.geometry.cells);
                let is_in_ring = topic.ring.geometry.cell(cursor).is_some() && topic.linear(cursor) <= most;
                is_known() && is_in_ring && line.pin.load(Relaxed) <= 1
            }
        }
    }

    /// Is the participant of that id attached? Yes where the kernel does not say.
    fn is_alive(&self, participant: u32) -> bool {
        let Some(id) = Id::from_bits(participant) else { return false };
        let Some(entry) = self.view.entries().get(id.entry() as usize) else { return false };
        // In this order: the entry may change hands in between.
        self.view.liveness_is_held(id.entry()).unwrap_or(true) && entry.generation.load(Acquire) == id.generation()
    }

    fn pid(&self, participant: u32) -> u32 {
        pid_of(self.view.entries(), participant)
    }

    fn pid_of_owner(&self, owner: Owner) -> u32 {
        let entry = self.view.entries().get(owner.entry() as usize);
        let its = entry.filter(|entry| entry.generation.load(Acquire) & GENERATION_LOW_MASK == owner.generation_low());
        its.map_or(0, |entry| entry.pid.load(Relaxed))
    }

    fn sleeping_publishers(&self) -> u32 {
        let asleep = (0..).zip(self.view.entries()).filter_map(|(number, entry)| {
            let threads = Some(entry.put_sleepers.load(Relaxed)).filter(|&threads| threads != 0)?;
            self.view.liveness_is_held(number).unwrap_or(true).then_some(threads)
        });
        asleep.fold(0, u32::saturating_add)
    }
}

/// All subscribers. `process` finds the pid of a participant, and whether it is alive.
fn subscribers(topic: &TopicRing<'_, Mapped>, process: impl Fn(u32) -> (u32, bool)) -> Vec<SubscriberInfo> {
    let lines = topic.lines.iter().enumerate();
    lines.filter_map(|(index, line)| subscriber_at(topic, index, line, &process)).collect()
}

/// Places from reclaim on, of `published`.
fn kept(topic: &TopicRing<'_, Mapped>, published: u64) -> u64 {
    for _ in 0..READS {
        let reclaim = topic.words.reclaim.load(Acquire);
        let Ok(oldest) = topic.number_at(reclaim) else { return 0 };
        if topic.is_intact(reclaim) {
            return published.saturating_sub(oldest).min(topic.ring.geometry.cells);
        }
    }
    0
}
