//! Handles in a child that gives up its rights: it has had an open file description of its own
//! since the fork.

use crate::support::harness::{Case, skip};
use crate::support::process::fork;
use crate::support::sandbox::{become_user, is_root, refuse};
use crate::support::{PATIENCE, unique_name};
use shmq::Queue;
use shmq::sync::{Mutex, Semaphore};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        inherited_handles_work_after_a_change_of_user_and_of_root,
        inherited_handles_work_where_nothing_can_be_opened_any_more,
        a_child_of_a_process_that_gave_up_its_rights_learns_why_it_has_no_access,
    ]
}

/// A child that has used nothing yet changes itself by `change`, and then uses each kind of handle.
fn expect_handles_to_work(what: &'static str, change: impl Fn()) {
    let queue: Queue<u64> = Queue::create(unique_name("rights"), 8).unwrap();
    let bytes: Queue<[u8]> = Queue::builder().capacity_bytes(1 << 16).create().unwrap();
    let (semaphore, total) = (Semaphore::new(0).unwrap(), Mutex::new(1u64).unwrap());
    queue.put(&1).unwrap();
    fork(what, || {
        change();
        assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 1);
        let producer = queue.producer().unwrap();
        producer.put_timeout(&2, PATIENCE).unwrap();
        bytes.put_timeout(b"done", PATIENCE).unwrap();
        *total.lock_timeout(PATIENCE).unwrap() += 1;
        semaphore.release().unwrap();
    })
    .expect_success();
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2);
    assert_eq!(bytes.get_timeout(PATIENCE).unwrap(), b"done");
    assert!(semaphore.try_acquire().is_ok() && *total.lock().unwrap() == 2);
}

fn inherited_handles_work_after_a_change_of_user_and_of_root() {
    if !is_root() {
        skip("only root can change its user and its root directory");
    }
    let empty = std::env::temp_dir().join(unique_name("empty"));
    std::fs::create_dir(&empty).unwrap();
    let enter = || {
        std::os::unix::fs::chroot(&empty).unwrap();
        std::env::set_current_dir("/").unwrap();
    };
    expect_handles_to_work("a child that changed its user", || become_user(65_534));
    expect_handles_to_work("a child in a chroot", enter);
    expect_handles_to_work("a child that did both", || {
        enter();
        become_user(65_534);
    });
    std::fs::remove_dir(&empty).unwrap();
}

fn inherited_handles_work_where_nothing_can_be_opened_any_more() {
    expect_handles_to_work("a child that may have no more descriptors", || {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the limit outlives the call, which only reads it.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
    });
    let opens = [
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_memfd_create,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
    ];
    fork("a probe", || {
        if !refuse(&[libc::SYS_openat2]) {
            std::process::abort()
        }
    })
    .expect_success();
    expect_handles_to_work("a child behind a filter", || assert!(refuse(&opens)));
    // Landlock: no file below any directory may be opened any more.
    let ruleset: [u64; 1] = [(1 << 2) | (1 << 1)]; // to read, and to write, files
    // SAFETY: a ruleset of 8 bytes that outlives the call.
    let rules = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ruleset.as_ptr(), 8usize, 0) };
    if rules < 0 {
        return; // this kernel has none
    }
    expect_handles_to_work("a child under Landlock", || {
        // SAFETY: both calls take only numbers; the ruleset's descriptor is open.
        let restricted = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::syscall(libc::SYS_landlock_restrict_self, rules, 0) == 0
        };
        assert!(restricted && std::fs::File::open("/proc/self/stat").is_err());
    });
}

fn a_child_of_a_process_that_gave_up_its_rights_learns_why_it_has_no_access() {
    if !is_root() {
        skip("only root can change its user");
    }
    let queue: Queue<u64> = Queue::create(unique_name("grandchild"), 8).unwrap();
    fork("a child that changed its user", || {
        become_user(65_534);
        fork("its child", || {
            // The kernel opens no further description of it, not even through the existing one.
            let error = queue.put_timeout(&1, Duration::from_secs(1)).unwrap_err().to_string();
            assert!(error.contains("fork before"), "{error}");
        })
        .expect_success();
        queue.put(&2).unwrap();
    })
    .expect_success();
    assert_eq!(queue.get().unwrap(), 2);
}
