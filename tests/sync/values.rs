//! Values that change as a whole.

use crate::support::harness::Case;
use crate::support::process::{Child, Exit, exit_now, expect_all_succeed, fork, fork_with_code};
use shmq::sync::{SyncError, Value};

pub fn cases() -> Vec<Case> {
    crate::cases![
        updates_of_many_processes_are_all_counted,
        set_returns_what_was_there,
        a_value_of_many_words_is_never_mixed,
        a_panic_in_an_update_leaves_the_value_as_it_was,
        a_fork_in_an_update_leaves_it_to_the_parent,
    ]
}

fn updates_of_many_processes_are_all_counted() {
    let value = Value::new(0u64).unwrap();
    let add = || (0..10_000).for_each(|_| assert!(value.update(|n| *n += 1).is_ok()));
    expect_all_succeed((0..4).map(|_| fork("an adder", add)).collect());
    assert_eq!(value.get().unwrap(), 40_000);
}

fn set_returns_what_was_there() {
    let value = Value::new(0u32).unwrap();
    let children = (1..=3u32).map(|n| {
        let value = &value;
        // Each setter gets the value that the one before set: none is lost.
        fork_with_code("a setter", move || value.set(n).unwrap() as i32)
    });
    let mut seen: Vec<i32> = children
        .collect::<Vec<_>>()
        .into_iter()
        .map(|mut child| match child.wait() {
            Exit::Code(code) => code,
            other => panic!("{other:?}"),
        })
        .collect();
    seen.push(value.get().unwrap() as i32);
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3]);
}

fn a_value_of_many_words_is_never_mixed() {
    let value = Value::new([0u64; 100]).unwrap();
    let change = || {
        for _ in 0..2_000 {
            let now = value.update(|words| words.iter_mut().for_each(|word| *word += 1)).unwrap();
            assert!(now.iter().all(|&word| word == now[0]));
        }
    };
    let read = || {
        let mut last = 0;
        while last < 4_000 {
            let words = value.get().unwrap();
            assert!(words.iter().all(|&word| word == words[0]) && words[0] >= last);
            last = words[0];
        }
    };
    expect_all_succeed(vec![fork("a changer", change), fork("a changer", change), fork("a reader", read)]);
}

fn a_panic_in_an_update_leaves_the_value_as_it_was() {
    let value = Value::new([1u32, 2]).unwrap();
    let mut child = fork_with_code("one who panics", || {
        let _ = value.update(|pair| {
            pair[0] = 9;
            panic!("in an update");
        });
        0
    });
    assert_eq!(child.wait(), Exit::Code(101));
    assert_eq!(value.get().unwrap(), [1, 2]);
}

fn a_fork_in_an_update_leaves_it_to_the_parent() {
    let value = Value::new(1u64).unwrap();
    let mut child = 0;
    let updated = value.update(|n| {
        // SAFETY: the case is single-threaded; the child only reads the value and exits.
        child = unsafe { libc::fork() };
        *n = if child == 0 { 99 } else { 2 };
    });
    if child == 0 {
        exit_now(i32::from(!matches!(updated, Err(SyncError::Inherited))));
    }
    assert_eq!(updated.unwrap(), 2);
    Child::adopted("a child forked in an update", child as u32).expect_success();
    assert_eq!(value.get().unwrap(), 2);
}
