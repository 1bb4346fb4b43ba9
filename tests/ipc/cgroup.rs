//! A memory cgroup that kills: a death like any other.

use crate::support::harness::{Case, skip};
use crate::support::process::{Child, Exit, exit_now, fork, fork_with_code};
use crate::support::sandbox::{is_root, mount_tmpfs, own_mounts};
use crate::support::{PATIENCE, segment_exists, unique_name};
use shmq::{CreateError, Queue};
use std::path::PathBuf;
use std::{fs, io};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_memory_cgroups_kill_is_a_death_like_any_other.leaves_temporaries(),
        a_queue_larger_than_the_memory_cgroup_is_refused,
        what_a_creator_killed_by_its_cgroup_leaves_is_removed,
    ]
}

/// A memory cgroup for this test, removed at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    /// A cgroup of either version, if this process may make one and limit it.
    fn new(limit_bytes: u64) -> io::Result<Cgroup> {
        let name = format!("shmq-test-{}", std::process::id());
        let (root, file) = match fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") {
            Ok(controllers) if controllers.contains("memory") => ("/sys/fs/cgroup", "memory.max"),
            _ => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        };
        let path = PathBuf::from(root).join(name);
        fs::create_dir(&path)?;
        let group = Cgroup(path);
        fs::write(group.0.join(file), limit_bytes.to_string())?;
        // No swap, where that can be set.
        let _ = fs::write(group.0.join("memory.swap.max"), "0");
        let _ = fs::write(group.0.join("memory.memsw.limit_in_bytes"), limit_bytes.to_string());
        Ok(group)
    }

    fn enter(&self) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), std::process::id().to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The group is empty once its last process was waited for. The kernel may need a moment.
        for _ in 0..500 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(std::thread::panicking(), "{} is still there", self.0.display());
    }
}

fn a_memory_cgroups_kill_is_a_death_like_any_other() {
    const LIMIT: usize = 24 << 20;
    /// Megabytes that the first child takes, and its exit code if it gets them.
    const GREED: usize = 64;
    /// Exit code of a child that could not enter the group.
    const NOT_IN: i32 = 79;
    let group = match Cgroup::new(LIMIT as u64) {
        Ok(group) => group,
        Err(error) => skip(&format!("no memory cgroup can be made here: {error}")),
    };
    let enter = || match group.enter() {
        Ok(()) => {}
        Err(_) => exit_now(NOT_IN),
    };
    let ended = |mut child: Child| match child.wait() {
        Exit::Code(NOT_IN) => {
            let _ = fs::remove_dir(&group.0);
            skip("a memory cgroup cannot be entered here")
        }
        exit => exit,
    };
    // Killed while it holds what others wait for.
    let queue: Queue<u64> = Queue::new(8).unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    let greedy = fork_with_code("one who takes too much memory", || {
        enter();
        let _lease = queue.lease().unwrap();
        let _loan = queue.loan().unwrap();
        let _producer = queue.producer().unwrap();
        let mut all = Vec::new();
        for _ in 0..GREED {
            all.push(vec![1u8; 1 << 20]);
        }
        all.len() as i32
    });
    let exit = ended(greedy);
    if exit == Exit::Code(GREED as i32) {
        let _ = fs::remove_dir(&group.0);
        skip("the memory cgroup does not kill here (it swaps)");
    }
    assert_eq!(exit, Exit::Signal(libc::SIGKILL));
    let report = queue.recover();
    assert_eq!((report.dead_participants, report.redelivered, report.aborted), (1, 1, 1));
    let lease = queue.lease_timeout(PATIENCE).unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    lease.release();
    queue.put_timeout(&3, PATIENCE).unwrap();
    assert_eq!((queue.get_timeout(PATIENCE).unwrap(), queue.get_timeout(PATIENCE).unwrap()), (2, 3));
    // Killed, or refused, while it creates: shared memory is charged to its creator.
    let name = unique_name("greedy");
    let creator = fork_with_code("one who makes too large a queue", || {
        enter();
        match Queue::<[u8]>::builder().name(&name).capacity_bytes(3 * LIMIT).create() {
            Ok(_) => 1,
            Err(CreateError::Os { .. } | CreateError::NoSpace { .. }) => 0,
            Err(_) => 2,
        }
    });
    let exit = ended(creator);
    assert!(matches!(exit, Exit::Signal(libc::SIGKILL) | Exit::Code(0)), "{exit:?}");
    assert!(!segment_exists(&name), "no process sees half a queue");
    Queue::<u64>::create(&name, 3).unwrap();
}

/// A child in a group of that many bytes. Skips the case where there can be none.
fn in_a_group(limit: u64, what: &'static str, run: impl FnOnce() -> i32) -> Exit {
    let group = match Cgroup::new(limit) {
        Ok(group) => group,
        Err(error) => skip(&format!("no memory cgroup can be made here: {error}")),
    };
    let mut child = fork_with_code(what, || if group.enter().is_ok() { run() } else { 79 });
    let exit = child.wait();
    drop(group);
    if exit == Exit::Code(79) {
        skip("a memory cgroup cannot be entered here");
    }
    exit
}

fn a_queue_larger_than_the_memory_cgroup_is_refused() {
    const LIMIT: u64 = 24 << 20;
    let create = |bytes: usize| Queue::<[u8]>::builder().capacity_bytes(bytes).create();
    let exit = in_a_group(LIMIT, "one who makes too large a queue", || {
        match create(64 << 20) {
            Err(CreateError::NoSpace { needed_bytes, free_bytes, by_cgroup: true, .. }) => {
                assert!(needed_bytes > 64 << 20 && free_bytes <= LIMIT);
            }
            other => panic!("{other:?}"),
        }
        // The memory in use already counts.
        let first = create(10 << 20).unwrap();
        assert!(matches!(create(16 << 20), Err(CreateError::NoSpace { by_cgroup: true, .. })));
        drop(first);
        drop(create(16 << 20).unwrap());
        0
    });
    assert_eq!(exit, Exit::Code(0));
}

fn what_a_creator_killed_by_its_cgroup_leaves_is_removed() {
    const LIMIT: u64 = 24 << 20;
    // In a mount namespace, so that what the killed process leaves stays in there. `/sys` is
    // covered there, so the limit of the group is not detected in advance.
    let mut machine = fork_with_code("a machine", || {
        if !is_root() || !own_mounts() {
            skip("mounts are root's");
        }
        let files = || fs::read_dir("/dev/shm").unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
        mount_tmpfs(c"/dev/shm", 0, c"mode=1777");
        let exit = in_a_group(LIMIT, "one that does not foresee its end", || {
            assert!(own_mounts());
            mount_tmpfs(c"/sys", 0, c"");
            match Queue::<[u8]>::builder().name("greedy").capacity_bytes(200 << 20).create() {
                Err(CreateError::Os { .. }) => 1,
                _ => 2,
            }
        });
        if exit == Exit::Signal(libc::SIGKILL) {
            let left = files();
            assert!(left.len() == 1 && left[0].to_str().unwrap().starts_with(".shmq-"), "{left:?}");
            // No process treats the temporary as a dead one's before it is old enough.
            std::thread::sleep(std::time::Duration::from_millis(11_500));
            fork("the next one", || drop(Queue::<u64>::create("next", 3).unwrap())).expect_success();
        } else {
            assert_eq!(exit, Exit::Code(1), "it got the error instead");
        }
        assert!(files().is_empty(), "{:?}", files());
        0
    });
    match machine.wait() {
        Exit::Code(77) => skip("no memory cgroup, or no mount, can be made here"),
        exit => assert_eq!(exit, Exit::Code(0)),
    }
}
