//! Pipes.

use crate::SHORT;
use crate::support::harness::Case;
use crate::support::process::fork;
use shmq::sync::Pipe;
use shmq::{GetError, PutError, Queue};
use std::time::Instant;

pub fn cases() -> Vec<Case> {
    crate::cases![both_ends_talk_and_closing_drains, an_end_can_be_sent, a_pipe_has_timeouts_and_bounds]
}

fn both_ends_talk_and_closing_drains() {
    let (ours, theirs) = Pipe::<u32, [u64; 2]>::new(4).unwrap();
    let child = fork("the other end", || {
        while let Ok(n) = theirs.get() {
            theirs.put(&[u64::from(n), u64::from(n) * 2]).unwrap();
        }
    });
    for n in 0..1000 {
        ours.put(&n).unwrap();
        assert_eq!(ours.get().unwrap(), [u64::from(n), u64::from(n) * 2]);
    }
    ours.close();
    child.expect_success();
    assert!(matches!(ours.put(&1), Err(PutError::Closed)));
    assert!(matches!(theirs.put(&[1, 2]), Err(PutError::Closed)));
    assert!(matches!(ours.get(), Err(GetError::Closed)));
    let (ours, theirs) = Pipe::<u32, u32>::new(4).unwrap();
    ours.put(&1).unwrap();
    theirs.put(&2).unwrap();
    theirs.close();
    assert_eq!((ours.get().unwrap(), theirs.get().unwrap()), (2, 1));
    assert!(matches!((ours.get(), theirs.get()), (Err(GetError::Closed), Err(GetError::Closed))));
}

fn an_end_can_be_sent() {
    let letters = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let child = fork("one who gets an end", || {
        let end: Pipe<f64, u32> = serde_json::from_slice(&letters.get().unwrap()).unwrap();
        end.put(&f64::from(end.get().unwrap()).sqrt()).unwrap();
    });
    let (ours, theirs) = Pipe::<u32, f64>::new(1).unwrap();
    letters.put(&serde_json::to_vec(&theirs).unwrap()).unwrap();
    ours.put(&49).unwrap();
    assert_eq!(ours.get().unwrap(), 7.0);
    child.expect_success();
}

fn a_pipe_has_timeouts_and_bounds() {
    let (ours, theirs) = Pipe::<u32, u32>::new(1).unwrap();
    assert!(matches!(ours.try_get(), Err(GetError::Empty)));
    assert!(matches!(ours.get_timeout(SHORT), Err(GetError::Timeout)));
    assert!(matches!(ours.get_deadline(Instant::now()), Err(GetError::Timeout)));
    ours.try_put(&1).unwrap();
    assert!(matches!(ours.try_put(&2), Err(PutError::Full)));
    assert!(matches!(ours.put_timeout(&2, SHORT), Err(PutError::Timeout)));
    assert!(matches!(ours.put_deadline(&2, Instant::now()), Err(PutError::Timeout)));
    assert_eq!((theirs.incoming().len(), theirs.outgoing().len()), (1, 0));
    assert_eq!(theirs.clone().get().unwrap(), 1);
}
