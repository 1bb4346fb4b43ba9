//! Senders and receivers of processes that die: a peer that waits, or polls, learns it.

use crate::roles::{expect_end, pair, steps};
use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, wait_until};
use shmq::{GetError, PutError};
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        senders_that_end_in_any_way_and_order_leave_an_end,
        killed_receivers_end_blocked_puts,
        a_killed_sender_ends_blocked_gets,
    ]
}

fn senders_that_end_in_any_way_and_order_leave_an_end() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in ORDERS {
        let (sender, receiver) = pair(64);
        let went = shared_word();
        let words = [shared_word(), shared_word(), shared_word()];
        let start = |way: usize| {
            fork("a sender", || {
                let step = steps(words[way], went);
                let one_more = sender.clone();
                one_more.put(&(way as u64)).unwrap();
                step(1);
                match way {
                    // It lives on.
                    0 => drop(one_more),
                    // It ends, or is killed.
                    1 => return,
                    _ => {}
                }
                step(2);
            })
        };
        let mut children: Vec<Option<Child>> = (0..3).map(|way| Some(start(way))).collect();
        wait_for_count("senders", went, 3);
        drop(sender);
        let mut got: Vec<u64> = (0..3).map(|_| receiver.get_timeout(PATIENCE).unwrap()).collect();
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        for way in order {
            assert!(!receiver.is_closed(), "{order:?}: before {way}");
            match way {
                0 => {
                    let before = went.load(SeqCst);
                    words[0].store(1, SeqCst);
                    wait_for_count("drop", went, before + 1);
                }
                1 => {
                    words[1].store(1, SeqCst);
                    children[1].take().unwrap().expect_success();
                }
                _ => children[2].take().unwrap().kill(),
            }
        }
        let asked = Instant::now();
        expect_end(&receiver);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        children[0].take().unwrap().kill();
    }
}

fn killed_receivers_end_blocked_puts() {
    let (sender, receiver) = pair(1);
    let went = shared_word();
    let readers: Vec<Child> = (0..2)
        .map(|_| {
            fork("a receiver", || {
                assert!(matches!(receiver.try_get(), Err(GetError::Empty)));
                steps(shared_word(), went)(1);
            })
        })
        .collect();
    wait_for_count("receivers", went, 2);
    drop(receiver);
    sender.put(&1).unwrap();
    thread::scope(|scope| {
        let putter = scope.spawn(|| (sender.put_timeout(&2, PATIENCE), Instant::now()));
        thread::sleep(Duration::from_millis(150));
        assert!(!putter.is_finished(), "it ended beside a receiver");
        readers.into_iter().for_each(Child::kill);
        let killed = Instant::now();
        let (put, ended) = putter.join().unwrap();
        assert!(matches!(put, Err(PutError::Closed)), "{put:?}");
        let late = ended.saturating_duration_since(killed);
        assert!(late < Duration::from_secs(2), "a slice is 0.1 s, and it took {late:?}");
    });
    assert!(matches!(sender.try_put(&2), Err(PutError::Closed)));
}

fn a_killed_sender_ends_blocked_gets() {
    let (sender, receiver) = pair(1);
    let went = shared_word();
    let child = fork("a sender", || {
        sender.put(&1).unwrap();
        steps(shared_word(), went)(1);
    });
    wait_for_count("a sender", went, 1);
    drop(sender);
    assert_eq!(receiver.get().unwrap(), 1);
    thread::scope(|scope| {
        let getter = scope.spawn(|| (receiver.get_timeout(PATIENCE), Instant::now()));
        thread::sleep(Duration::from_millis(150));
        assert!(!getter.is_finished(), "it ended beside a sender");
        child.kill();
        let killed = Instant::now();
        let (got, ended) = getter.join().unwrap();
        assert!(matches!(got, Err(GetError::Closed)), "{got:?}");
        let late = ended.saturating_duration_since(killed);
        assert!(late < Duration::from_secs(2), "a slice is 0.1 s, and it took {late:?}");
    });
    // One that polls learns it, too.
    let (sender, receiver) = pair(1);
    let child = fork("a sender", || {
        sender.put(&1).unwrap();
        thread::sleep(PATIENCE);
    });
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    drop(sender);
    child.kill();
    wait_until("the end", || matches!(receiver.try_get(), Err(GetError::Closed)), || format!("{receiver:?}"));
}
