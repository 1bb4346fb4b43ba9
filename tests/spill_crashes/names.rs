//! Processes that make, open, unlink and replace queues of one name, put and take objects in files
//! of their own, and are killed at random: no object is lost as long as its queue has users, and in
//! the end no file is left.

use crate::deaths::builder;
use crate::objects::{Before, Object, sweep};
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{fork, shared_words};
use crate::support::{Rng, shm_files, unique_name};
use shmq::{CreateError, GetError, ObjectQueue, OpenError, PutError};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![a_storm_over_one_name_leaves_no_file.leaves_temporaries()]
}

/// How long it lasts, in an ordinary run and with `--ignored`.
const EVERY_DAY_S: u64 = 2;
const WHOLE_S: u64 = 40;
const PROCESSES: usize = 4;
const PAUSE: Duration = Duration::from_millis(4);

fn open(name: &str, rng: &mut Rng) -> Option<ObjectQueue<Object>> {
    let builder = builder(name).max_participants(16);
    let made = match rng.below(4) {
        0 => builder.create(),
        _ => builder.open_or_create(),
    };
    match made {
        Ok(queue) => Some(queue),
        Err(CreateError::AlreadyExists { .. }) => None,
        // Others change the name all the time.
        Err(CreateError::Os { source, .. }) if source.kind() == std::io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error:?}"),
    }
}

fn use_it(queue: &ObjectQueue<Object>, rng: &mut Rng) {
    for _ in 0..rng.below(4) {
        match rng.below(4) {
            0 | 1 => match queue.try_put(&Object::new(rng.below(40))) {
                Ok(()) | Err(PutError::Full | PutError::Held { .. } | PutError::Busy) => {}
                Err(error) => panic!("{error:?}"),
            },
            2 => match queue.try_get() {
                Ok(_) | Err(GetError::Empty | GetError::Held { .. } | GetError::Busy) => {}
                Err(error) => panic!("{error:?}"),
            },
            _ => match queue.try_lease() {
                Ok(lease) if rng.chance(50) => lease.give_back(),
                Ok(_) | Err(GetError::Empty | GetError::Held { .. } | GetError::Busy) => {}
                Err(error) => panic!("{error:?}"),
            },
        }
    }
}

fn live(name: &str, stop: &AtomicU64, rounds: &AtomicU64, mut rng: Rng) {
    while stop.load(SeqCst) == 0 {
        rounds.fetch_add(1, SeqCst);
        if let Some(queue) = open(name, &mut rng) {
            use_it(&queue, &mut rng);
            if rng.chance(10) {
                queue.persist();
            }
            if rng.chance(10) {
                queue.recover();
            }
            if rng.chance(30) {
                unlink(name);
                use_it(&queue, &mut rng);
            }
        } else if rng.chance(50) {
            unlink(name);
        }
    }
}

fn unlink(name: &str) {
    match ObjectQueue::<Object>::unlink(name) {
        Ok(()) | Err(OpenError::NotFound { .. } | OpenError::NotReady { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn a_storm_over_one_name_leaves_no_file() {
    let mut rng = Rng::new("names of spilled objects");
    let (before, name) = (Before::now(), unique_name("one"));
    let [stop, rounds] = [0, 1].map(|i| &shared_words(2)[i..=i]).map(|words| &words[0]);
    let seconds = if asks_for_ignored() { WHOLE_S } else { EVERY_DAY_S };
    let seconds = std::env::var("SHMQ_TEST_STORM_S").map_or(seconds, |text| text.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let start = |rng: &mut Rng| {
        let rng = rng.split();
        fork("one of them", || live(&name, stop, rounds, rng))
    };
    let mut all: Vec<_> = (0..PROCESSES).map(|_| start(&mut rng)).collect();
    let mut kills = 0;
    while Instant::now() < end || kills < 50 {
        std::thread::sleep(rng.duration_below(PAUSE));
        let victim = rng.below(PROCESSES as u64) as usize;
        std::mem::replace(&mut all[victim], start(&mut rng)).kill();
        kills += 1;
    }
    stop.store(1, SeqCst);
    all.into_iter().for_each(|one| one.expect_success());
    unlink(&name);
    sweep();
    println!("{kills} kills, {} rounds", rounds.load(SeqCst));
    assert_eq!(shm_files(&format!("shmq.{name}")), [""; 0]);
    before.expect_none_left();
}
