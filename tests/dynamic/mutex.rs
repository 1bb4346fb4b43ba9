//! Mutexes by bytes, beside typed ones.

use super::Tick;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
#[cfg(not(shmq_portable_sync))]
use shmq::sync::LockError;
use shmq::sync::{DynMutex, Mutex};
use shmq::{CreateError, LayoutError, MessageLayout, OpenError};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_typed_mutex_and_one_by_bytes_are_the_same,
        other_data_are_refused,
        only_values_are_guarded,
        a_guard_stays_the_parents,
    ]
}

#[cfg(not(shmq_portable_sync))]
pub fn deaths() -> Vec<Case> {
    crate::cases![a_dead_owner_is_reported_until_the_data_are_repaired]
}

fn layout() -> MessageLayout {
    MessageLayout::value(24, 8).unwrap().structure(super::TICK).unwrap()
}

fn a_typed_mutex_and_one_by_bytes_are_the_same() {
    let name = unique_name("typed-mutex");
    let typed = Mutex::create(&name, Tick::numbered(7)).unwrap();
    let bytes = DynMutex::builder(layout(), &[]).unwrap().name(&name).open().unwrap();
    assert_eq!(bytes.lock_owned().unwrap()[..], Tick::bytes(7));
    bytes.lock_owned().unwrap().copy_from_slice(&Tick::bytes(8));
    assert_eq!(*typed.lock().unwrap(), Tick::numbered(8));
    let held = typed.lock().unwrap();
    assert!(bytes.try_lock_owned().unwrap_err().is_would_block());
    drop(held);

    // Created by bytes.
    let name = unique_name("mutex-by-bytes");
    let bytes = DynMutex::builder(layout(), &Tick::bytes(9)).unwrap().name(&name).create().unwrap();
    let typed = Mutex::<Tick>::open(&name).unwrap();
    assert_eq!(*typed.lock().unwrap(), Tick::numbered(9));
    assert_eq!(bytes.name(), typed.name());
    let again = DynMutex::builder(layout(), &[]).unwrap().name(&name).open_or_create().unwrap();
    assert_eq!(again.lock_owned().unwrap()[..], Tick::bytes(9), "what is there stays");

    // Of no bytes: a lock.
    let none = DynMutex::new(MessageLayout::of::<()>(), &[]).unwrap();
    assert_eq!(none.lock_owned().unwrap().len(), 0);
    Mutex::<()>::open(none.name()).unwrap();
}

fn other_data_are_refused() {
    let typed = Mutex::new(Tick::numbered(7)).unwrap();
    let open = |layout: MessageLayout| DynMutex::builder(layout, &[]).unwrap().name(typed.name()).open();
    open(MessageLayout::value(24, 8).unwrap()).unwrap();
    for (layout, said) in [
        (MessageLayout::value(32, 8).unwrap(), "32"),
        (MessageLayout::value(24, 8).unwrap().structure("[u64; 3]").unwrap(), "[u64; 3]"),
        (MessageLayout::value(24, 8).unwrap().type_name("Candle"), "Candle"),
    ] {
        match open(layout) {
            Err(refused @ OpenError::Mismatch { .. }) => assert!(refused.to_string().contains(said), "{refused}"),
            other => panic!("{other:?}"),
        }
    }
}

fn only_values_are_guarded() {
    assert!(matches!(DynMutex::builder(MessageLayout::encoded(), &[]), Err(LayoutError::NotAligned { .. })));
    let too_long = DynMutex::builder(MessageLayout::value(2, 1).unwrap(), b"abc");
    assert!(matches!(too_long, Err(LayoutError::TooLarge { size: 3, max: 2 })));
    let slice = DynMutex::new(MessageLayout::slice(2, 1).unwrap(), &[]);
    assert!(matches!(slice, Err(CreateError::BadMessage { bytes: 2, align: 1 })));
}

fn a_guard_stays_the_parents() {
    let mutex = DynMutex::new(MessageLayout::value(8, 8).unwrap(), &[1; 8]).unwrap();
    let guard = mutex.lock_owned().unwrap();
    let child = fork("a child with its parent's guard", || {
        assert!(guard.is_inherited());
        assert!(mutex.try_lock_owned().unwrap_err().is_would_block(), "it is the parent's");
    });
    child.expect_success();
    assert!(!guard.is_inherited());
    drop(guard);
    drop(mutex.lock_owned_timeout(PATIENCE).unwrap());
}

#[cfg(not(shmq_portable_sync))]
fn a_dead_owner_is_reported_until_the_data_are_repaired() {
    let mutex = DynMutex::new(MessageLayout::value(8, 8).unwrap(), &[1; 8]).unwrap();
    let child = crate::deaths::victim("an owner", |wait| {
        let mut guard = mutex.lock_owned().unwrap();
        guard[0] = 2;
        wait();
    });
    child.kill();
    for _ in 0..2 {
        let Err(LockError::OwnerDied(guard)) = mutex.lock_owned_timeout(PATIENCE) else { panic!("not reported") };
        assert_eq!(guard[..2], [2, 1]);
    }
    let Err(LockError::OwnerDied(mut guard)) = mutex.try_lock_owned() else { panic!("not reported") };
    guard.mark_repaired();
    drop(guard);
    drop(mutex.try_lock_owned().unwrap());
}
