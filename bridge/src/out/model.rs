//! A model of an out bridge with a server and a network that do their worst. It drives the shipped
//! [`Flight`] over the shipped words of the journal through all orders of: leasing, sending, a
//! server that takes what comes or loses it, acks that come or do not, a connection that breaks and
//! whose bytes come later or never, a bridge that dies between any two of its stores, and a
//! consumer that takes any message out of the stream.
//!
//! In each state: no message lands twice, and none whose lease was ended is missing. In each end:
//! all have landed, in the order of the queue.

use super::flight::{Fault, Flight, id_at};
use crate::journal::OutWords;
use crate::server::Found;
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

const QUEUE: u64 = 7;
const MESSAGES: u64 = 3;
const WINDOW: usize = 2;

/// Rules that the protocol rests on: without any of them the model finds a message that doubles, or
/// one that is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rules {
    /// The server takes a message only at its sequence.
    expects_sequence: bool,
    /// The journal outlives the bridge.
    keeps_journal: bool,
    /// A message that was sent has not landed before it is known.
    awaits_proof: bool,
}

const RULES: Rules = Rules { expects_sequence: true, keeps_journal: true, awaits_proof: true };

/// A message on its way: the sequence that it must get, and its position.
type Packet = (u64, u64);

/// All but the bridge's own memory, which a death takes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    /// The words of the journal that count.
    journal: Vec<u64>,
    /// Of each position: was its lease ended?
    is_done: [bool; MESSAGES as usize],
    /// What landed, at sequence 1 and up: its position.
    landed: Vec<u64>,
    /// Which of them are still in the stream.
    is_there: Vec<bool>,
    /// What was sent on the connection, and what on one that broke.
    wire: Vec<Packet>,
    late: Vec<Packet>,
    /// Acks that were sent and not yet received: of a sequence, or "no".
    acks: Vec<Option<u64>>,
    deaths: u8,
    breaks: u8,
}

/// The bridge's own memory, but for what can be derived from the world.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Memory {
    /// What was done to the flight since it was resumed.
    done: Vec<Step>,
    /// Sequences to be read back.
    to_read: Vec<u64>,
    /// Did it ask what the stream has since it began, or since there was trouble?
    stands: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Assign(u64),
    Send,
    Landed(u64),
    Stand(u64, u64),
    Judge(u64, bool, u64),
    EndLanded,
}

fn words_of(journal: &[u64]) -> Vec<AtomicU64> {
    let words: Vec<AtomicU64> = (0..OutWords::COUNT).map(|_| AtomicU64::new(0)).collect();
    journal.iter().zip(&words).for_each(|(&word, to)| to.store(word, Relaxed));
    words
}

/// What tells one state from another: the world; what the flight knows, and what it sends next; what
/// is to be read back, and whether the bridge stands.
type Key = (World, Vec<(u64, bool)>, u64, Vec<u64>, bool);

struct Explorer {
    rules: Rules,
    seen: HashSet<Key>,
    ends: usize,
    words: Vec<AtomicU64>,
}

/// One bridge: a flight whose leases are positions.
struct Bridge<'j> {
    flight: Flight<'j, u64>,
    to_read: Vec<u64>,
    stands: bool,
}

const KEPT: usize = 16;

impl Explorer {
    fn load(&self, journal: &[u64]) {
        journal.iter().zip(&self.words).for_each(|(&word, to)| to.store(word, Relaxed));
    }

    fn save(&self) -> Vec<u64> {
        self.words[..KEPT].iter().map(|word| word.load(Relaxed)).collect()
    }

    /// The bridge's state again: a flight has no clone, so its steps since the resume are replayed
    /// over the journal as it was then.
    fn replay<'j>(&self, words: &'j [AtomicU64], start: &Start, memory: &Memory) -> Bridge<'j> {
        self.load(&start.journal);
        let mut flight = Flight::resume(OutWords::over(words));
        for position in flight.without_lease().collect::<Vec<_>>() {
            if !start.is_done[position as usize] {
                flight.take_back(position, position).unwrap();
            }
        }
        for &step in &memory.done {
            match step {
                Step::Assign(position) => _ = flight.assign(position, position),
                Step::Send => {
                    let sequence = flight.next_to_send().unwrap().0;
                    flight.sent(sequence);
                }
                Step::Landed(sequence) => flight.landed(sequence),
                Step::Stand(first, last) => _ = flight.stand(first, last).unwrap(),
                Step::Judge(sequence, is_there, position) => {
                    let found = if is_there { Found::Id(id_at(QUEUE, position)) } else { Found::Nothing };
                    flight.judge(sequence, found).unwrap();
                }
                Step::EndLanded => _ = flight.end_landed(|_| Ok::<(), ()>(())).unwrap(),
            }
        }
        Bridge { flight, to_read: memory.to_read.clone(), stands: memory.stands }
    }
}

/// The world as it was when the bridge began, as far as the bridge sees it.
#[derive(Clone)]
struct Start {
    journal: Vec<u64>,
    is_done: [bool; MESSAGES as usize],
}

impl World {
    fn first(&self) -> u64 {
        let there = self.is_there.iter().position(|&is_there| is_there);
        there.map_or(self.landed.len() as u64, |nth| nth as u64) + 1
    }

    fn last(&self) -> u64 {
        self.landed.len() as u64
    }

    /// The server takes a packet, or refuses it. The ack, if the connection is the live one.
    fn serve(&mut self, (sequence, position): Packet, is_live: bool, rules: Rules) {
        let is_next = sequence == self.last() + 1 || !rules.expects_sequence;
        if is_next {
            self.landed.push(position);
            self.is_there.push(true);
        }
        if is_live {
            self.acks.push(is_next.then_some(sequence));
        }
    }

    /// What is wrong, if anything is.
    fn fault(&self) -> Option<String> {
        let unique: HashSet<&u64> = self.landed.iter().collect();
        if unique.len() != self.landed.len() {
            return Some(format!("a message landed twice: {:?}", self.landed));
        }
        let is_gone = |(position, is_done): (usize, &bool)| *is_done && !self.landed.contains(&(position as u64));
        let gone = self.is_done.iter().enumerate().position(is_gone);
        gone.map(|position| format!("message {position} is neither in the queue nor was it in the stream"))
    }
}

type State = (World, Start, Memory);

/// All states that one more event leads to.
fn successors(explorer: &Explorer, (world, start, memory): &State) -> Vec<State> {
    let mut next: Vec<State> = Vec::new();
    let fresh = |world: &World| Memory {
        done: Vec::new(),
        to_read: Vec::new(),
        stands: {
            _ = world;
            false
        },
    };
    // What is not the bridge.
    if let Some((&packet, rest)) = world.wire.split_first() {
        let mut world = World { wire: rest.to_vec(), ..world.clone() };
        world.serve(packet, true, explorer.rules);
        next.push((world, start.clone(), memory.clone()));
    }
    if let Some((&packet, rest)) = world.late.split_first() {
        let mut lands = World { late: rest.to_vec(), ..world.clone() };
        lands.serve(packet, false, explorer.rules);
        next.push((lands, start.clone(), memory.clone()));
        next.push((World { late: Vec::new(), ..world.clone() }, start.clone(), memory.clone()));
    }
    for nth in 0..world.is_there.len() {
        if world.is_there[nth] {
            let mut consumed = world.clone();
            consumed.is_there[nth] = false;
            next.push((consumed, start.clone(), memory.clone()));
        }
    }
    // The bridge dies; what it sent may come late. Its leases come back.
    let dies = |mut world: World, next: &mut Vec<State>| {
        if world.deaths < 1 {
            world.deaths += 1;
            world.late.append(&mut world.wire.clone());
            world.wire.clear();
            world.acks.clear();
            if !explorer.rules.keeps_journal {
                let words = words_of(&world.journal);
                OutWords::over(&words).begin(QUEUE, 1, "S", world.last());
                OutWords::over(&words).bind();
                world.journal = words[..KEPT].iter().map(|word| word.load(Relaxed)).collect();
            }
            let start = Start { journal: world.journal.clone(), is_done: world.is_done };
            let memory = fresh(&world);
            next.push((world, start, memory));
        }
    };
    dies(world.clone(), &mut next);
    // The bridge's own steps.
    let words = &explorer.words;
    let mut step = |done: Option<Step>, change: &mut dyn FnMut(&mut World, &mut Bridge<'_>)| {
        let mut world = world.clone();
        let mut bridge = explorer.replay(words, start, memory);
        change(&mut world, &mut bridge);
        world.journal = explorer.save();
        let done = memory.done.iter().copied().chain(done).collect();
        let memory = Memory { done, to_read: bridge.to_read, stands: bridge.stands };
        next.push((world, start.clone(), memory));
    };
    let bridge = explorer.replay(words, start, memory);
    let (first, last) = (world.first(), world.last());
    if !bridge.stands {
        if bridge.to_read.is_empty() {
            let mut probe = explorer.replay(words, start, memory);
            if probe.flight.stand(first, last).is_err() {
                // The stream is not what the bridge made it: it ends, with a failure.
                assert_ne!(explorer.rules, RULES, "a failure where all is in order");
                return next;
            }
            step(Some(Step::Stand(first, last)), &mut |_, bridge| {
                bridge.to_read = bridge.flight.stand(first, last).expect("no fault");
                bridge.stands = bridge.to_read.is_empty();
            });
        } else {
            let sequence = bridge.to_read[0];
            let (is_there, position) = (world.is_there[sequence as usize - 1], world.landed[sequence as usize - 1]);
            let found = if is_there { Found::Id(id_at(QUEUE, position)) } else { Found::Nothing };
            if explorer.replay(words, start, memory).flight.judge(sequence, found).is_err() {
                assert_ne!(explorer.rules, RULES, "a failure where all is in order");
                return next;
            }
            step(Some(Step::Judge(sequence, is_there, position)), &mut |_, bridge| {
                let found = if is_there { Found::Id(id_at(QUEUE, position)) } else { Found::Nothing };
                bridge.flight.judge(sequence, found).expect("no stranger");
                bridge.to_read.remove(0);
                bridge.stands = bridge.to_read.is_empty();
            });
        }
        return next;
    }
    // The queue's next message that is in no flight and not done.
    let under_way: Vec<u64> = {
        let words = OutWords::over(words);
        (words.resolved() + 1..=words.assigned()).map(|sequence| words.position(sequence)).collect()
    };
    let waiting = (0..MESSAGES).find(|position| !world.is_done[*position as usize] && !under_way.contains(position));
    if let Some(position) = waiting.filter(|_| bridge.flight.len() < WINDOW) {
        step(Some(Step::Assign(position)), &mut |_, bridge| _ = bridge.flight.assign(position, position));
        // Killed between the two stores.
        let mut half = world.clone();
        let place = 8 + (OutWords::over(words).assigned() + 1) as usize;
        half.journal[place] = position;
        dies(half, &mut next);
    }
    let mut bridge = explorer.replay(words, start, memory);
    if let Some((sequence, position, _)) = bridge.flight.next_to_send() {
        let mut step = |change: &mut dyn FnMut(&mut World, &mut Bridge<'_>)| {
            let mut world = world.clone();
            let mut bridge = explorer.replay(words, start, memory);
            change(&mut world, &mut bridge);
            world.journal = explorer.save();
            let done = memory.done.iter().copied().chain([Step::Send]).collect();
            next.push((world, start.clone(), Memory { done, to_read: bridge.to_read, stands: bridge.stands }));
        };
        step(&mut |world, bridge| {
            world.wire.push((sequence, position));
            bridge.flight.sent(sequence);
            if !explorer.rules.awaits_proof {
                world.acks.push(Some(sequence));
            }
        });
    }
    if let Some((&ack, rest)) = world.acks.split_first() {
        let mut heard = World { acks: rest.to_vec(), ..world.clone() };
        let (done, stands) = match ack {
            Some(sequence) => (Some(Step::Landed(sequence)), true),
            // Trouble: later acks are ignored.
            None => {
                heard.acks.clear();
                (None, false)
            }
        };
        let done = memory.done.iter().copied().chain(done).collect();
        next.push((heard, start.clone(), Memory { done, to_read: Vec::new(), stands }));
    }
    if world.breaks < 2 && (!world.wire.is_empty() || !world.acks.is_empty()) {
        let mut broken = world.clone();
        broken.breaks += 1;
        broken.late.append(&mut broken.wire);
        broken.acks.clear();
        next.push((broken, start.clone(), Memory { stands: false, ..memory.clone() }));
    }
    // Ends leases, as one step, and killed before each of its stores of `resolved`.
    let mut bridge = explorer.replay(words, start, memory);
    let mut ended = Vec::new();
    bridge
        .flight
        .end_landed(|position| {
            ended.push((position, explorer.save()));
            Ok::<(), ()>(())
        })
        .unwrap();
    if !ended.is_empty() {
        let mut all = world.clone();
        for (position, journal) in ended {
            all.is_done[position as usize] = true;
            dies(World { journal, ..all.clone() }, &mut next);
        }
        explorer.replay(words, start, memory).flight.end_landed(|_| Ok::<(), ()>(())).unwrap();
        all.journal = explorer.save();
        let done = memory.done.iter().copied().chain([Step::EndLanded]).collect();
        next.push((all, start.clone(), Memory { done, ..memory.clone() }));
    }
    next
}

/// Explores all orders: how many states and ends there are, or what is wrong in the first that has a
/// fault.
fn explore(rules: Rules) -> Result<(usize, usize), String> {
    let words = words_of(&[]);
    OutWords::over(&words).begin(QUEUE, 1, "S", 0);
    OutWords::over(&words).bind();
    let mut explorer = Explorer { rules, seen: HashSet::new(), ends: 0, words };
    let journal = explorer.save();
    let is_done = [false; MESSAGES as usize];
    let world = World {
        journal: journal.clone(),
        is_done,
        landed: Vec::new(),
        is_there: Vec::new(),
        wire: Vec::new(),
        late: Vec::new(),
        acks: Vec::new(),
        deaths: 0,
        breaks: 0,
    };
    let memory = Memory { done: Vec::new(), to_read: Vec::new(), stands: false };
    let mut open = vec![(world, Start { journal, is_done }, memory)];
    while let Some(state) = open.pop() {
        let (world, start, memory) = &state;
        if let Some(fault) = world.fault() {
            return Err(fault);
        }
        let bridge = explorer.replay(&explorer.words, start, memory);
        let (known, next) = bridge.flight.known();
        let key = (world.clone(), known, next, memory.to_read.clone(), memory.stands);
        if !explorer.seen.insert(key) {
            continue;
        }
        let all_done = world.is_done.iter().all(|&is_done| is_done);
        if all_done && bridge.flight.is_empty() {
            explorer.ends += 1;
            if !world.landed.iter().copied().eq(0..MESSAGES) {
                return Err(format!("not in the queue's order: {:?}", world.landed));
            }
        }
        let next = successors(&explorer, &state);
        // Without a rule, the bridge may find out, and end.
        if next.is_empty() && !all_done && rules == RULES {
            return Err("nothing can happen, and not all is done".into());
        }
        open.extend(next);
    }
    Ok((explorer.seen.len(), explorer.ends))
}

#[test]
fn nothing_is_lost_and_nothing_lands_twice_in_any_order_of_events() {
    let (states, ends) = explore(RULES).unwrap();
    println!("{states} states, {ends} ends");
    assert!(ends > 1000, "{states} states, {ends} ends");
}

#[test]
fn each_rule_left_out_gives_a_counterexample() {
    let expect = |rules, word: &str| {
        let fault = explore(rules).expect_err("a fault");
        assert!(fault.contains(word), "{rules:?}: {fault}");
    };
    expect(Rules { expects_sequence: false, ..RULES }, "twice");
    expect(Rules { keeps_journal: false, ..RULES }, "twice");
    expect(Rules { awaits_proof: false, ..RULES }, "neither");
}

#[test]
fn a_stranger_and_a_stream_that_went_back_are_found() {
    let words = words_of(&[]);
    let journal = OutWords::over(&words);
    journal.begin(QUEUE, 1, "S", 10);
    let mut flight: Flight<'_, u64> = Flight::resume(journal);
    assert_eq!((flight.assign(100, 100), flight.assign(101, 101)), (11, 12));
    assert_eq!(flight.stand(1, 9), Err(Fault::WentBack { last: 9, reached: 10 }));
    assert_eq!(flight.stand(1, 13), Err(Fault::Beyond { sequence: 13 }));
    assert_eq!(flight.stand(1, 12), Ok(vec![11, 12]));
    let stranger = Found::Id(id_at(QUEUE, 101));
    assert_eq!(flight.judge(11, stranger), Err(Fault::Foreign { sequence: 11, found: stranger }));
    assert_eq!(flight.judge(11, Found::Stranger), Err(Fault::Foreign { sequence: 11, found: Found::Stranger }));
    // Seen once, the stream may not go back behind it.
    assert_eq!(flight.stand(1, 11), Err(Fault::WentBack { last: 11, reached: 12 }));
    // Nor behind a message whose lease was ended.
    let mut resumed: Flight<'_, u64> = Flight::resume(journal);
    assert!(resumed.take_back(100, 100).is_ok());
    assert_eq!(resumed.stand(1, 11), Err(Fault::Gone { sequence: 12, last: 11 }));
    // Consumed messages are below the first.
    assert_eq!(resumed.stand(13, 12), Ok(vec![]));
    assert_eq!(resumed.end_landed(|_| Ok::<(), ()>(())), Ok(2));
    assert_eq!((journal.resolved(), resumed.is_empty()), (12, true));
}
