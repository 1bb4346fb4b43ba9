//! Ends of processes that are awaited: on tokio and on `futures::executor`, dropped, beside forks
//! and signals, and where the system refuses what that takes.

use crate::calls::end_fork_server;
use crate::cases;
use crate::support::harness::{Case, skip};
use crate::support::process::{shared_word, wait_for_count};
use crate::support::sandbox::refuse;
use crate::support::{Rng, wait_until};
use futures::future::{Either, join_all, select};
use shmq::Process;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        ends_are_awaited,
        many_children_are_awaited_by_many_tasks,
        a_future_that_is_dropped_leaves_its_child_running,
        a_future_is_woken_once_by_the_end,
        processes_are_spawned_beside_the_thread,
        a_child_awaits_children_of_its_own,
        the_thread_takes_no_signal,
        called_processes_are_awaited_under_tokio,
        a_child_that_other_code_has_reaped_is_an_error,
        without_pidfds_it_takes_a_moment_longer,
        without_a_thread_it_is_an_error,
    ]
}

/// Runs a future to its end.
type Executor = fn(Pin<&mut dyn Future<Output = ()>>);

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Arc<Count>) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
}

fn endless() -> Process {
    Process::spawn(|| -> () {
        loop {
            std::thread::park()
        }
    })
    .unwrap()
}

fn sleeping(ms: u64) -> Process {
    Process::spawn(move || {
        std::thread::sleep(Duration::from_millis(ms));
        (ms % 100) as i32
    })
    .unwrap()
}

fn ends_are_awaited() {
    let executors: [Executor; 3] = [
        |case| futures::executor::block_on(case),
        |case| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case),
        |case| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(case),
    ];
    for executor in executors {
        let (done, soon, killed) = (sleeping(0), sleeping(150), endless());
        wait_until("an end", || !done.is_alive(), String::new);
        executor(pin!(async {
            assert_eq!(done.join_async().await.unwrap().code(), Some(0));
            for _ in 0..2 {
                assert_eq!(soon.join_async().await.unwrap().code(), Some(50));
            }
            let mut ended = killed.join_async();
            assert!(poll_once(&mut ended, &Arc::default()).is_pending());
            killed.kill().unwrap();
            assert_eq!(ended.await.unwrap().signal(), Some(libc::SIGKILL));
        }));
    }
}

fn many_children_are_awaited_by_many_tasks() {
    let mut rng = Rng::new("children");
    let children: Vec<_> = (0..60).map(|_| Arc::new(sleeping(rng.below(300)))).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks = children.iter().flat_map(|child| std::iter::repeat_n(child, 5)).map(|child| {
            let child = Arc::clone(child);
            tokio::spawn(async move { child.join_async().await.unwrap() })
        });
        let statuses = join_all(tasks.collect::<Vec<_>>()).await;
        for (n, status) in statuses.into_iter().enumerate() {
            assert_eq!(Some(status.unwrap()), children[n / 5].exit_status().unwrap());
        }
    });
}

fn a_future_that_is_dropped_leaves_its_child_running() {
    let (child, other) = (endless(), sleeping(50));
    let waker = Arc::new(Count::default());
    futures::executor::block_on(async {
        match select(child.join_async(), other.join_async()).await {
            Either::Right((status, _)) => assert_eq!(status.unwrap().code(), Some(50)),
            Either::Left(_) => panic!("it has no end"),
        }
    });
    for _ in 0..3 {
        let mut future = child.join_async();
        assert!(poll_once(&mut future, &waker).is_pending() && poll_once(&mut future, &waker).is_pending());
        assert_eq!(Arc::strong_count(&waker), 2, "one waker of it is kept");
        drop(future);
        assert_eq!(Arc::strong_count(&waker), 1);
    }
    let mut forgotten = child.join_async();
    assert!(poll_once(&mut forgotten, &waker).is_pending());
    std::mem::forget(forgotten);
    assert!(child.is_alive());
    child.kill().unwrap();
    assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
}

fn a_future_is_woken_once_by_the_end() {
    let (child, other) = (endless(), endless());
    let (waker, never) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (mut future, mut running) = (child.join_async(), other.join_async());
    assert!(poll_once(&mut future, &waker).is_pending() && poll_once(&mut running, &never).is_pending());
    child.kill().unwrap();
    wait_until("a wake", || waker.0.load(SeqCst) == 1, String::new);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((waker.0.load(SeqCst), never.0.load(SeqCst)), (1, 0), "it is not polled, and not woken again");
    assert!(matches!(poll_once(&mut future, &waker), Poll::Ready(Ok(status)) if status.signal() == Some(libc::SIGKILL)));
    drop(running);
    other.kill().unwrap();
    other.join().unwrap();
    assert_eq!(never.0.load(SeqCst), 0);
}

fn processes_are_spawned_beside_the_thread() {
    let child = endless();
    let waker = Arc::new(Count::default());
    let mut future = child.join_async();
    for n in 0..50 {
        assert!(poll_once(&mut future, &waker).is_pending());
        let other = sleeping(n % 3);
        let mut ended = other.join_async();
        if n % 2 == 0 {
            assert_eq!(futures::executor::block_on(ended).unwrap().code(), Some((n % 3) as i32));
        } else {
            let _ = poll_once(&mut ended, &waker);
            drop(ended);
            assert_eq!(other.join().unwrap().code(), Some((n % 3) as i32));
        }
    }
    child.kill().unwrap();
    assert!(!futures::executor::block_on(future).unwrap().success());
}

fn a_child_awaits_children_of_its_own() {
    let other = endless();
    let waker = Arc::new(Count::default());
    let mut held = Some(other.join_async());
    assert!(poll_once(held.as_mut().unwrap(), &waker).is_pending());
    let child = Process::spawn(|| {
        // The parent's: an error at once, and nothing is touched.
        let mut inherited = held.take().unwrap();
        let Poll::Ready(Err(error)) = poll_once(&mut inherited, &waker) else { panic!("it waits for a child of the parent") };
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        drop(inherited);
        for n in 0..5 {
            assert_eq!(futures::executor::block_on(sleeping(n).join_async()).unwrap().code(), Some(n as i32));
        }
    })
    .unwrap();
    assert!(futures::executor::block_on(child.join_async()).unwrap().success());
    other.kill().unwrap();
    assert!(!futures::executor::block_on(held.unwrap()).unwrap().success());
}

/// The status file of the thread.
fn status_of_thread() -> Option<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut statuses = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    statuses.find(|status| status.lines().next() == Some("Name:\tshmq-processes"))
}

fn the_thread_takes_no_signal() {
    assert_eq!(status_of_thread(), None);
    let child = endless();
    let mut future = child.join_async();
    assert_eq!(status_of_thread(), None, "nothing waits yet");
    assert!(poll_once(&mut future, &Arc::default()).is_pending());
    wait_until("the thread", || status_of_thread().is_some(), String::new);
    let status = status_of_thread().unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
    let blocked = u64::from_str_radix(blocked, 16).unwrap();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGCHLD, libc::SIGUSR1, libc::SIGALRM, libc::SIGPIPE] {
        assert!(blocked & 1 << (signal - 1) != 0, "{signal}: {blocked:x}");
    }
    child.kill().unwrap();
    futures::executor::block_on(future).unwrap();
}

fn called_processes_are_awaited_under_tokio() {
    shmq::process::init().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks = (0..20).map(|n: i32| {
            tokio::spawn(async move {
                let child = Process::call(|n: i32| n, n).unwrap();
                assert_eq!(child.join_async().await.unwrap().code(), Some(n));
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let hanging = Process::call(
            |()| -> () {
                loop {
                    std::thread::park()
                }
            },
            (),
        )
        .unwrap();
        let soon = tokio::time::timeout(Duration::from_millis(30), hanging.join_async()).await;
        assert!(soon.is_err());
        hanging.kill().unwrap();
        assert_eq!(hanging.join_async().await.unwrap().signal(), Some(libc::SIGKILL));
    });
    drop(runtime);
    end_fork_server();
}

fn a_child_that_other_code_has_reaped_is_an_error() {
    let child = endless();
    let mut future = child.join_async();
    assert!(poll_once(&mut future, &Arc::default()).is_pending());
    child.kill().unwrap();
    // SAFETY: the status pointer is null, which is permitted.
    assert_eq!(unsafe { libc::waitpid(child.pid() as i32, std::ptr::null_mut(), 0) }, child.pid() as i32);
    let error = futures::executor::block_on(future).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
}

fn without_pidfds_it_takes_a_moment_longer() {
    if !refuse(&[libc::SYS_pidfd_open]) {
        skip("no seccomp");
    }
    let word = shared_word();
    let child = Process::spawn(|| {
        wait_for_count("the case's go", word, 1);
        7
    })
    .unwrap();
    assert!(child.sentinel().is_none());
    let mut future = child.join_async();
    assert!(poll_once(&mut future, &Arc::default()).is_pending());
    word.store(1, SeqCst);
    assert_eq!(futures::executor::block_on(future).unwrap().code(), Some(7));
}

fn without_a_thread_it_is_an_error() {
    let child = endless();
    if !refuse(&[libc::SYS_clone, libc::SYS_clone3]) {
        skip("no seccomp");
    }
    let waker = Arc::new(Count::default());
    for _ in 0..3 {
        let Poll::Ready(Err(error)) = poll_once(&mut child.join_async(), &waker) else { panic!("it waits without a thread") };
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
    assert_eq!(Arc::strong_count(&waker), 1);
    child.kill().unwrap();
    child.join().unwrap();
    assert!(!futures::executor::block_on(child.join_async()).unwrap().success(), "one that has ended takes no thread");
}
