//! What `init` promises: one fork server, from where there are no threads.

use crate::calls::{code_of, end_fork_server, in_a_thread};
use crate::cases;
use crate::signals::end_ours;
use crate::support::harness::Case;
use crate::support::process::own_children;
use shmq::process::{active_children, init};
use shmq::{Process, SpawnError};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    cases![
        a_call_without_init_works_where_there_are_no_threads,
        a_call_without_init_is_refused_with_threads_and_names_what_to_call,
        init_is_refused_where_there_are_threads,
        init_twice_is_one_fork_server,
        a_call_sees_the_program_as_it_was_at_init,
        init_starts_a_fork_server_anew_where_it_is_dead,
        init_that_comes_too_late_says_what_to_write,
    ]
}

fn a_call_without_init_works_where_there_are_no_threads() {
    assert_eq!(Process::call(code_of, 7).unwrap().join().unwrap().code(), Some(7));
    assert_eq!(Process::call(|(a, b): (i32, i32)| a + b, (3, 4)).unwrap().join().unwrap().code(), Some(7));
}

fn a_call_without_init_is_refused_with_threads_and_names_what_to_call() {
    let error = in_a_thread(|| Process::call(code_of, 7)).unwrap_err();
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
    assert!(error.to_string().contains("call shmq::process::init() first in main"), "{error}");
}

fn init_is_refused_where_there_are_threads() {
    let error = in_a_thread(init).unwrap_err();
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
}

fn init_twice_is_one_fork_server() {
    init().unwrap();
    in_a_thread(init).unwrap();
    assert_eq!(own_children().len(), 1);
    end_fork_server();
}

fn a_call_sees_the_program_as_it_was_at_init() {
    static GLOBAL: AtomicU32 = AtomicU32::new(1);
    GLOBAL.store(2, SeqCst);
    init().unwrap();
    GLOBAL.store(3, SeqCst);
    assert_eq!(Process::call(|()| GLOBAL.load(SeqCst) as i32, ()).unwrap().join().unwrap().code(), Some(2));
    end_fork_server();
}

fn init_starts_a_fork_server_anew_where_it_is_dead() {
    for n in 0..3 {
        init().unwrap();
        assert_eq!(Process::call(|n: i32| n, n).unwrap().join().unwrap().code(), Some(n));
        end_ours();
        let refused = Process::call(|n: i32| n, n).unwrap_err();
        assert!(matches!(refused, SpawnError::ForkServerDied { .. }), "{refused:?}");
        let refused = std::thread::spawn(init).join().unwrap().unwrap_err();
        assert!(matches!(refused, SpawnError::Threaded { threads: 2 }), "{refused:?}");
        let refused = Process::call(|n: i32| n, n).unwrap_err();
        assert!(matches!(refused, SpawnError::ForkServerDied { .. }), "a failed init changes nothing: {refused:?}");
    }
    init().unwrap();
    init().unwrap();
    assert_eq!(own_children().len(), 1);
    assert_eq!(active_children(), [], "the crate's own are no children of the program's");
    end_ours();
}

fn init_that_comes_too_late_says_what_to_write() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let error = runtime.block_on(async { init().unwrap_err() });
    assert!(matches!(error, SpawnError::Threaded { threads: 2 }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("#[tokio::main]") && text.contains("plain `fn main`"), "{text}");
    drop(runtime);
    // In a fork server that was started after it was installed, the handler is there.
    init().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let code = runtime.block_on(async { Process::call(|n: i32| n, 5).unwrap().join().unwrap().code() });
    assert_eq!(code, Some(5));
    drop(runtime);
    end_ours();
}
