//! A dropped loan is as if it had never been, and so is the part that a shortened one did not need:
//! in what the queue reports about itself, in the results of `wait_any`, and in the available room,
//! with and without endpoints on either side.

use super::{A_WHILE, SOON, drain, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::{Consumer, GetError, Message, Producer, PutError, Queue, WaitError, wait_any};
use std::time::Instant;

/// Which sides have a live endpoint.
#[derive(Clone, Copy, Debug)]
struct Owned {
    put: bool,
    get: bool,
}

const OWNED: [Owned; 4] = [
    Owned { put: false, get: false },
    Owned { put: true, get: false },
    Owned { put: false, get: true },
    Owned { put: true, get: true },
];

/// A queue with its endpoints, and the verbs of both sides.
struct Ends {
    queue: Queue<u32>,
    producer: Option<Producer<u32>>,
    consumer: Option<Consumer<u32>>,
}

impl Ends {
    fn of(queue: Queue<u32>, owned: Owned) -> Ends {
        let producer = owned.put.then(|| queue.producer().unwrap());
        let consumer = owned.get.then(|| queue.consumer().unwrap());
        Ends { queue, producer, consumer }
    }

    fn try_put(&self, message: u32) -> Result<(), PutError> {
        self.producer.as_ref().map_or_else(|| self.queue.try_put(&message), |producer| producer.try_put(&message))
    }

    fn try_get(&self) -> Result<u32, GetError> {
        self.consumer.as_ref().map_or_else(|| self.queue.try_get(), Consumer::try_get)
    }

    /// Takes that many loans, and commits those that `commits` lists.
    fn loans(&self, count: usize, commits: &[usize]) {
        let loans: Vec<_> = (0..count)
            .map(|_| match &self.producer {
                Some(producer) => producer.try_loan().unwrap(),
                None => self.queue.try_loan().unwrap(),
            })
            .collect();
        for (place, mut loan) in loans.into_iter().enumerate() {
            if commits.contains(&place) {
                *loan = place as u32;
                loan.commit().unwrap();
            }
        }
    }

    fn is_ready(&self) -> bool {
        match &self.consumer {
            Some(consumer) => wait_any(&[consumer], Instant::now()) == Ok(0),
            None => wait_any(&[&self.queue], Instant::now()) == Ok(0),
        }
    }

    /// Puts until there is no room.
    fn fill(&self, from: u32) -> Vec<u32> {
        (from..).take_while(|&message| !matches!(self.try_put(message), Err(PutError::Full))).collect()
    }

    fn drain(&self) -> Vec<u32> {
        std::iter::from_fn(|| self.try_get().ok()).collect()
    }
}

fn everywhere(capacities: &[usize], test: impl Fn(Ends, usize)) {
    for &capacity in capacities {
        for owned in OWNED {
            // Also with the first record in other places than the start of the ring.
            for laps in [0, 1, capacity / 2 + 1] {
                let ends = Ends::of(queue(capacity), owned);
                for _ in 0..laps {
                    ends.try_put(0).unwrap();
                    ends.try_get().unwrap();
                }
                test(ends, capacity);
            }
        }
    }
    // The same for slices that are bounded in messages: see `slices_that_are_bounded_in_messages`.
}

#[test]
fn a_queue_of_dropped_loans_is_empty_and_has_all_its_room() {
    everywhere(&[1, 2, 3, 64], |ends, capacity| {
        for _ in 0..3 {
            ends.loans(capacity, &[]);
            let Ends { queue, .. } = &ends;
            assert_eq!((queue.len(), queue.is_empty(), queue.is_full(), ends.is_ready()), (0, true, false, false), "{queue:?}");
            let put = ends.fill(10);
            assert_eq!(put.len(), capacity, "{queue:?}");
            assert_eq!((queue.len(), queue.is_full()), (capacity, true));
            assert_eq!(ends.drain(), put);
        }
    });
}

#[test]
fn room_behind_an_unread_message_comes_back_as_long_as_nothing_was_put_there() {
    everywhere(&[2, 3, 64], |ends, capacity| {
        ends.loans(capacity, &[0]);
        assert_eq!((ends.queue.len(), ends.queue.is_full(), ends.is_ready()), (1, false, true), "{:?}", ends.queue);
        let put = ends.fill(10);
        assert_eq!(put.len(), capacity - 1, "{:?}", ends.queue);
        assert!(ends.queue.is_full());
        assert_eq!(ends.drain(), [&[0], &put[..]].concat());
    });
}

/// The bound that the docs of `loan` name.
#[test]
fn room_between_messages_comes_back_when_those_before_it_are_taken() {
    everywhere(&[3, 64], |ends, capacity| {
        ends.loans(capacity, &[0, capacity - 1]);
        assert_eq!((ends.queue.len(), ends.queue.is_full()), (2, true), "{:?}", ends.queue);
        assert!(matches!(ends.try_put(9), Err(PutError::Full)));
        assert_eq!(ends.try_get().unwrap(), 0);
        assert_eq!((ends.queue.len(), ends.queue.is_full()), (1, false), "{:?}", ends.queue);
        let put = ends.fill(100);
        assert_eq!(put.len(), capacity - 1, "{:?}", ends.queue);
        assert_eq!(ends.drain(), [&[capacity as u32 - 1], &put[..]].concat());
    });
}

#[test]
fn room_comes_back_once_the_message_before_it_was_taken_or_its_lease_ended() {
    for by_lease in [false, true] {
        everywhere(&[2, 3, 8, 64], |ends, capacity| {
            ends.loans(capacity, &[0]);
            match (&ends.consumer, by_lease) {
                (Some(consumer), true) => consumer.try_lease().unwrap().release(),
                (None, true) => ends.queue.try_lease().unwrap().release(),
                (_, false) => assert_eq!(ends.try_get().unwrap(), 0),
            }
            assert_eq!((ends.queue.len(), ends.queue.is_full(), ends.is_ready()), (0, false, false), "{:?}", ends.queue);
            assert_eq!(ends.fill(0).len(), capacity, "{:?}", ends.queue);
        });
    }
}

#[test]
fn a_message_on_lease_keeps_its_room_and_dropped_loans_behind_it_none() {
    everywhere(&[2, 3, 64], |ends, capacity| {
        ends.loans(capacity, &[0]);
        let lease = ends.consumer.as_ref().map_or_else(|| ends.queue.try_lease(), Consumer::try_lease).unwrap();
        let put = ends.fill(10);
        assert_eq!(put.len(), capacity - 1, "{:?}", ends.queue);
        lease.give_back();
        assert_eq!(ends.drain(), [&[0], &put[..]].concat());
    });
}

#[test]
fn slices_that_are_bounded_in_messages_count_no_dropped_loan() {
    for (capacity, consumes) in [(1, false), (3, false), (1, true), (3, true)] {
        let queue = Queue::<[u8]>::builder().capacity(capacity).capacity_bytes(4096).create().unwrap();
        let consumer = consumes.then(|| queue.consumer().unwrap());
        for length in [0, 1, 100, 500] {
            let fits = || (0..=capacity).take_while(|_| queue.try_put(&[7; 11]).is_ok()).count();
            let drain = || match &consumer {
                Some(consumer) => while consumer.try_get().is_ok() {},
                None => while queue.try_get().is_ok() {},
            };
            (0..capacity).for_each(|_| drop(queue.try_loan_len(length).unwrap()));
            assert_eq!((queue.len(), queue.is_full(), fits()), (0, false, capacity), "{queue:?}");
            drain();
            queue.try_put(&[1]).unwrap();
            (1..capacity).for_each(|_| drop(queue.try_loan_len(length).unwrap()));
            assert_eq!((queue.len(), queue.is_full(), fits()), (1, capacity == 1, capacity - 1), "{queue:?}");
            drain();
        }
    }
}

#[test]
fn the_largest_message_fits_an_empty_queue_whatever_was_lent_before() {
    for consumes in [false, true] {
        for laps in 0..40 {
            let queue = slices::<u8>(4096);
            let consumer = consumes.then(|| queue.consumer().unwrap());
            let get = || consumer.as_ref().map_or_else(|| queue.try_get(), Consumer::try_get);
            (0..laps).for_each(|_| {
                queue.try_put(&[1; 100]).unwrap();
                get().unwrap();
            });
            let max = queue.max_len();
            queue.try_loan_len(max).unwrap().commit_len(8).unwrap();
            drop(queue.try_loan_len(max / 2).unwrap());
            assert_eq!(get().unwrap().len(), 8);
            assert!(queue.is_empty() && !queue.is_full());
            queue.try_put(&vec![5; max]).unwrap_or_else(|error| panic!("{laps} laps: {error}, {queue:?}"));
            assert_eq!(get().unwrap(), vec![5; max]);
        }
    }
}

/// The part that a shortened loan did not need becomes free while its message is unread.
#[test]
fn what_a_shortened_loan_did_not_need_is_room() {
    for consumes in [false, true] {
        let queue = slices::<u8>(4096);
        let consumer = consumes.then(|| queue.consumer().unwrap());
        let max = queue.max_len();
        for round in 0..50u8 {
            queue.try_loan_len(max).unwrap().commit_len(8 + usize::from(round)).unwrap();
            queue.try_put(&vec![round; max - 200]).unwrap_or_else(|error| panic!("round {round}: {error}, {queue:?}"));
            let get = || consumer.as_ref().map_or_else(|| queue.try_get(), Consumer::try_get).unwrap();
            assert_eq!(get().len(), 8 + usize::from(round));
            assert_eq!(get(), vec![round; max - 200]);
        }
    }
}

/// Each way to wait for a message, while dropped loans take all the room: the next put has room at
/// once, and reaches the waiter.
#[test]
fn waiters_and_putters_meet_behind_dropped_loans() {
    fn got_by<T: Message<Owned = u32>>(queue: &Queue<T>) -> u32 {
        wait_any(&[queue], Instant::now() + SOON).unwrap();
        queue.try_get().expect("it was ready")
    }
    type Way = fn(&Queue<u32>) -> u32;
    let ways: [(&str, Way); 5] = [
        ("get", |queue| queue.get_timeout(SOON).unwrap()),
        ("get of a Consumer", |queue| queue.consumer().unwrap().get_timeout(SOON).unwrap()),
        ("wait_any", got_by),
        ("wait_any on a Consumer", |queue| {
            let consumer = queue.consumer().unwrap();
            wait_any(&[&consumer], Instant::now() + SOON).unwrap();
            consumer.try_get().expect("it was ready")
        }),
        ("is_empty before the get of a Consumer", |queue| {
            let consumer = queue.consumer().unwrap();
            while queue.is_empty() {
                std::thread::sleep(A_WHILE / 10);
            }
            consumer.try_get().expect("it is not empty")
        }),
    ];
    for (way, get) in ways {
        for produces in [false, true] {
            let queue: Queue<u32> = queue(4);
            let waiter = start_and_wait_until_asleep("a waiter", {
                let queue = queue.clone();
                move || get(&queue)
            });
            let ends = Ends::of(queue, Owned { put: produces, get: false });
            ends.loans(4, &[]);
            ends.try_put(7).unwrap_or_else(|error| panic!("{way}: {error}"));
            assert_eq!(waiter.join(), 7, "{way}");
        }
    }
}

/// If there is nothing to take, and nothing that a get would find, the queue is not ready.
#[test]
fn what_wait_any_calls_ready_can_be_taken() {
    let queue = slices::<u8>(512);
    let is_ready = || match wait_any(&[&queue], Instant::now()) {
        Ok(_) => true,
        Err(WaitError::Timeout) => false,
        Err(error) => panic!("{error}"),
    };
    assert!(!is_ready());
    for round in 0..1000 {
        // Fillers at the end of the ring, at many places.
        let length = 8 + (round * 37) % 93;
        match round % 5 {
            0 => queue.try_loan_len(length).unwrap().commit_len(length / 2).unwrap(),
            1 => {
                drop(queue.try_loan_len(length).unwrap());
                assert!(!is_ready(), "round {round}: {queue:?}");
                queue.try_put(&[2]).unwrap();
            }
            _ => queue.try_put(&vec![1; length]).unwrap(),
        }
        assert!(is_ready(), "round {round}: {queue:?}");
        match round % 3 {
            0 => queue.try_lease().unwrap().release(),
            1 => {
                queue.try_lease().unwrap().give_back();
                assert!(is_ready(), "round {round}: {queue:?}");
                drop(queue.try_get().unwrap());
            }
            _ => drop(queue.try_get().unwrap()),
        }
        assert!(!is_ready(), "round {round}: {queue:?}");
    }
    let loan = queue.try_loan_len(5).unwrap();
    queue.try_put(&[1]).unwrap();
    assert!(!is_ready(), "an open loan stands before it");
    drop(loan);
    assert!(is_ready());
}

#[test]
fn what_is_closed_behind_dropped_loans_is_drained() {
    everywhere(&[1, 3], |ends, capacity| {
        ends.loans(capacity, &[]);
        assert!(!ends.is_ready());
        ends.queue.close();
        assert!(ends.is_ready(), "its get would say Closed");
        assert!(matches!(ends.try_get(), Err(GetError::Closed)), "{:?}", ends.queue);
    });
}

/// Counters only grow, also where the cells of dropped loans are used again.
#[test]
fn dropped_loans_stay_counted_as_puts() {
    for owned in OWNED {
        let ends = Ends::of(queue(3), owned);
        ends.try_put(0).unwrap();
        let mut before = ends.queue.stats();
        for round in 1..20 {
            ends.loans(2, &[]);
            let stats = ends.queue.stats();
            assert_eq!((stats.puts, stats.aborted, stats.high_water), (1 + 2 * round, 2 * round, 1), "{owned:?}");
            assert!(stats.puts > before.puts && stats.bytes_put == stats.puts * 4);
            before = stats;
        }
        assert_eq!(ends.drain(), [0]);
    }
}

/// A putter that sleeps for lack of room is woken by a loan that is dropped, with and without a
/// Consumer.
#[test]
fn a_dropped_loan_wakes_a_putter() {
    for consumes in [false, true] {
        let queue: Queue<u32> = queue(2);
        let consumer = consumes.then(|| queue.consumer().unwrap());
        queue.put(&1).unwrap();
        let loan = queue.loan().unwrap();
        let putter = start_and_wait_until_asleep("a put", {
            let queue = queue.clone();
            move || queue.put_timeout(&2, SOON)
        });
        drop(loan);
        putter.join().unwrap();
        drop(consumer);
        assert_eq!(drain(&queue), [1, 2]);
    }
}

/// What `len` counts and what can be taken now differ while a loan is open before it, as the docs
/// of `len` say.
#[test]
fn messages_behind_an_open_loan_are_counted_and_cannot_be_taken_yet() {
    let queue: Queue<u32> = queue(3);
    let loan = queue.loan().unwrap();
    queue.put(&2).unwrap();
    assert_eq!((queue.len(), queue.is_empty()), (1, false));
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!(wait_any(&[&queue], Instant::now()), Err(WaitError::Timeout));
    drop(loan);
    assert_eq!((queue.len(), queue.try_get().unwrap()), (1, 2));
}
