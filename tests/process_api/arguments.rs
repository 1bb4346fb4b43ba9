//! Arguments and functions of calls.

use crate::calls::{end_fork_server, fork_servers};
use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{self, own_children};
use crate::support::wait_until;
use serde::{Deserialize, Serialize};
use shmq::process::init;
use shmq::{Process, Queue, SpawnError};
use std::collections::BTreeMap;

pub fn cases() -> Vec<Case> {
    cases![
        any_serde_argument_travels,
        every_form_of_a_function_travels,
        an_argument_that_cannot_be_encoded_is_an_error,
        an_argument_that_cannot_be_decoded_is_an_exit_code,
    ]
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Argument {
    Number(i64),
    Map(BTreeMap<String, Vec<u8>>),
}

fn any_serde_argument_travels() {
    init().unwrap();
    let argument = || Argument::Map(BTreeMap::from([("key".to_string(), vec![1; 3_000_000]), (String::new(), vec![])]));
    let check = |(got, numbers): (Argument, Vec<i128>)| {
        let expected = Argument::Map(BTreeMap::from([("key".to_string(), vec![1; 3_000_000]), (String::new(), vec![])]));
        assert!(got == expected && numbers == [-1]);
    };
    let status = Process::call(check, (argument(), vec![-1i128])).unwrap().join().unwrap();
    assert!(status.success());
    end_fork_server();
}

#[derive(Deserialize)]
struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no words for this"))
    }
}

/// The functions are chosen at run time, which the type of a closure cannot express.
fn every_form_of_a_function_travels() {
    fn same<T>(value: T) -> T {
        value
    }
    fn double(n: i32) -> i32 {
        n * 2
    }
    struct Code(i32);
    let code = |child: Process| child.join().unwrap().code();
    for by_init in [false, true] {
        if by_init {
            init().unwrap();
        }
        for (place, right) in [5, 10, 6].into_iter().enumerate() {
            let chosen = [same, double, |n| n + 1][place];
            assert_eq!(code(Process::call(chosen, 5).unwrap()), Some(right));
        }
        assert_eq!(code(Process::call(|(a, b): (i32, i32)| a - b, (9, 4)).unwrap()), Some(5));
        assert_eq!(code(Process::call(|text: String| text.len() as i32, "four".to_owned()).unwrap()), Some(4));
        assert_eq!(code(Process::call(|n| Code(n).0, 3).unwrap()), Some(3));
        assert_eq!(code(Process::call(|n: i32| std::process::exit(n), 7).unwrap()), Some(7));
        assert_eq!(code(Process::call_daemon(double, 4).unwrap()), Some(8));
    }
    process::end_fork_server(fork_servers().0);
    wait_until("its end", || own_children().is_empty(), String::new);
}

fn an_argument_that_cannot_be_encoded_is_an_error() {
    for _ in 0..2 {
        let error = Process::call(|_: Refusing| (), Refusing).unwrap_err();
        assert!(matches!(error, SpawnError::Encode { .. }), "{error:?}");
        assert!(error.to_string().contains("no words for this"), "{error}");
        init().unwrap();
    }
    end_fork_server();
}

fn an_argument_that_cannot_be_decoded_is_an_exit_code() {
    let gone = Queue::<u8>::new(1).unwrap();
    init().unwrap();
    // A handle whose queue is gone when it arrives.
    #[derive(Serialize, Deserialize)]
    struct Stale(#[serde(serialize_with = "stale")] Queue<u8>);
    fn stale<S: serde::Serializer>(_: &Queue<u8>, to: S) -> Result<S::Ok, S::Error> {
        ("no segment has this name", 1u64, None::<&str>).serialize(to)
    }
    let status = Process::call(|_: Stale| (), Stale(gone)).unwrap().join().unwrap();
    assert_eq!(status.code(), Some(1));
    end_fork_server();
}
