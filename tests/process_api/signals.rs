//! A program under a service manager: signals to the group, masks and dispositions.

use crate::calls::forever;
use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{children_of, end_fork_server, own_children, send_signal};
use crate::support::wait_until;
use shmq::process::init;
use shmq::{Pool, Process};
use std::io::Read;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    cases![
        signals_to_the_group_end_no_fork_server,
        a_child_has_no_handler_that_ends_its_parent,
        kept_handlers_stay,
        a_called_process_has_what_the_program_has_at_the_call,
        a_signal_right_after_the_start_is_not_lost,
        a_process_that_a_worker_spawns_can_be_terminated,
        one_thread_kills_what_another_joins,
    ]
}

const ENDINGS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGINT];

pub fn end_ours() {
    end_fork_server(own_children()[0]);
    wait_until("no children", || own_children().is_empty(), || format!("{:?}", own_children()));
}

/// Sets a disposition given by its number.
fn set(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: the handler is SIG_DFL, SIG_IGN, or one of those below, which are async-signal-safe.
    assert_ne!(unsafe { libc::signal(signal, handler) }, libc::SIG_ERR);
}

static HANDLED: AtomicI32 = AtomicI32::new(-1);

/// Like the handlers of signal-hook and tokio, it writes into a pipe that children share.
extern "C" fn write_to_pipe(_: libc::c_int) {
    // SAFETY: write is async-signal-safe; the byte is static.
    unsafe { libc::write(HANDLED.load(SeqCst), b"x".as_ptr().cast(), 1) };
}

fn handle_by_a_pipe(signal: libc::c_int) {
    set(signal, write_to_pipe as extern "C" fn(libc::c_int) as libc::sighandler_t);
}

pub fn pipe() -> (std::fs::File, RawFd) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors. The kernel creates them, and no other code
    // owns the first.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK), 0);
        (std::fs::File::from_raw_fd(ends[0]), ends[1])
    }
}

fn bytes_in(mut pipe: &std::fs::File) -> usize {
    pipe.read(&mut [0; 64]).unwrap_or(0)
}

fn signals_to_the_group_end_no_fork_server() {
    let (handled, end) = pipe();
    HANDLED.store(end, SeqCst);
    for signal in ENDINGS.into_iter().chain([libc::SIGUSR1, libc::SIGTSTP, libc::SIGPIPE]) {
        // Set before init: the helpers inherit the handler, and do not run it.
        handle_by_a_pipe(signal);
        init().unwrap();
        let standby = own_children()[0];
        wait_until("a fork server", || children_of(standby).len() == 1, String::new);
        let fork_server = children_of(standby)[0];
        send_signal(0, signal);
        wait_until("the handler", || bytes_in(&handled) == 1, || format!("signal {signal}"));
        let child = Process::call(|n: i32| n, 5).unwrap();
        assert_eq!(child.join().unwrap().code(), Some(5), "signal {signal}");
        assert_eq!((own_children(), children_of(standby)), (vec![standby], vec![fork_server]), "signal {signal}");
        assert_eq!(bytes_in(&handled), 0, "a helper ran the handler of signal {signal}");
        set(signal, libc::SIG_DFL);
        end_ours();
        set(signal, libc::SIG_DFL);
    }
}

fn a_child_has_no_handler_that_ends_its_parent() {
    let (handled, end) = pipe();
    HANDLED.store(end, SeqCst);
    for with_init in [false, true] {
        ENDINGS.into_iter().for_each(handle_by_a_pipe);
        if with_init {
            init().unwrap();
        }
        for signal in ENDINGS {
            let child = if with_init { Process::call(forever, ()) } else { Process::spawn(|| forever(())) }.unwrap();
            send_signal(child.pid() as i32, signal);
            assert_eq!(child.join().unwrap().signal(), Some(signal), "by init: {with_init}");
            assert_eq!(bytes_in(&handled), 0, "signal {signal} to a child, by init: {with_init}");
        }
    }
    // The handlers of this process stayed.
    send_signal(std::process::id() as i32, libc::SIGTERM);
    wait_until("our handler", || bytes_in(&handled) == 1, String::new);
    ENDINGS.into_iter().for_each(|signal| set(signal, libc::SIG_DFL));
    end_ours();
}

fn kept_handlers_stay() {
    let (handled, end) = pipe();
    HANDLED.store(end, SeqCst);
    ENDINGS.into_iter().for_each(handle_by_a_pipe);
    for with_init in [false, true] {
        if with_init {
            init().unwrap();
        }
        for signal in ENDINGS {
            let builder = Process::builder().keep_handlers(true);
            let child = if with_init { builder.call(forever, ()) } else { builder.spawn(|| forever(())) }.unwrap();
            send_signal(child.pid() as i32, signal);
            wait_until("the handler", || bytes_in(&handled) == 1, || format!("signal {signal}, by init: {with_init}"));
            assert!(child.is_alive());
            child.kill().unwrap();
            child.join().unwrap();
        }
    }
    ENDINGS.into_iter().for_each(|signal| set(signal, libc::SIG_DFL));
    end_ours();
}

/// What this process does with a signal: 0 the default, 1 it ignores it, 2 it has a handler with
/// SA_SIGINFO, 3 another. Plus 4 if it blocks it.
fn taken(signal: libc::c_int) -> i32 {
    // SAFETY: both structures consist of plain words, and the calls fill them.
    unsafe {
        let (mut action, mut blocked): (libc::sigaction, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigaction(signal, std::ptr::null(), &mut action);
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut blocked);
        let kind = match action.sa_sigaction {
            libc::SIG_DFL => 0,
            libc::SIG_IGN => 1,
            _ if action.sa_flags & libc::SA_SIGINFO != 0 => 2,
            _ => 3,
        };
        kind + 4 * libc::sigismember(&blocked, signal)
    }
}

fn block(signal: libc::c_int, how: libc::c_int) {
    // SAFETY: a sigset_t consists of plain words, which sigemptyset fills.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        assert_eq!(libc::pthread_sigmask(how, &set, std::ptr::null_mut()), 0);
    }
}

extern "C" fn with_info(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn handle_with_info(signal: libc::c_int) {
    // SAFETY: the handler does nothing, so it is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = with_info as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

fn a_called_process_has_what_the_program_has_at_the_call() {
    let watched = [libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD, libc::SIGALRM, libc::SIGPIPE];
    let reported = |signal: i32| taken(signal);
    let check = |when: &str| {
        for signal in watched {
            let code = Process::call(reported, signal).unwrap().join().unwrap().code();
            assert_eq!(code, Some(taken(signal)), "{when}, signal {signal}");
            let code = Process::spawn(|| taken(signal)).unwrap().join().unwrap().code();
            assert_eq!(code, Some(taken(signal)), "{when}, signal {signal}, by fork");
        }
    };
    handle_with_info(libc::SIGUSR2);
    handle_with_info(libc::SIGCHLD);
    set(libc::SIGALRM, libc::SIG_IGN);
    init().unwrap();
    check("as at init");
    set(libc::SIGINT, libc::SIG_IGN);
    set(libc::SIGUSR1, libc::SIG_IGN);
    set(libc::SIGALRM, libc::SIG_DFL);
    block(libc::SIGTERM, libc::SIG_BLOCK);
    block(libc::SIGUSR2, libc::SIG_BLOCK);
    check("changed since");
    block(libc::SIGTERM, libc::SIG_UNBLOCK);
    block(libc::SIGUSR2, libc::SIG_UNBLOCK);
    set(libc::SIGINT, libc::SIG_DFL);
    set(libc::SIGCHLD, libc::SIG_IGN);
    let code = Process::call(reported, libc::SIGCHLD).unwrap().join().unwrap().code();
    assert_eq!(code, Some(1), "a program that ignores its children's ends gets those of called ones");
    set(libc::SIGCHLD, libc::SIG_DFL);
    check("changed back");
    // A handler that was installed after init is not in called processes, which lack what it works
    // with.
    handle_with_info(libc::SIGUSR1);
    assert_eq!(Process::call(reported, libc::SIGUSR1).unwrap().join().unwrap().code(), Some(0));
    end_ours();
}

fn a_signal_right_after_the_start_is_not_lost() {
    init().unwrap();
    for n in 0..200 {
        let signal = ENDINGS[n % ENDINGS.len()];
        let child = Process::call(forever, ()).unwrap();
        send_signal(child.pid() as i32, signal);
        let status = child.join_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(status.and_then(|status| status.signal()), Some(signal), "call {n}");
    }
    end_ours();
}

fn a_process_that_a_worker_spawns_can_be_terminated() {
    let nested = |signal: i32| {
        let child = Process::spawn(|| forever(())).unwrap();
        send_signal(child.pid() as i32, signal);
        (taken(signal), child.join().unwrap().signal())
    };
    set(libc::SIGHUP, libc::SIG_IGN);
    let pool = Pool::new(1).unwrap();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        assert_eq!(pool.apply(nested, signal).unwrap(), (1, Some(signal)), "the worker ignores it, its child does not");
    }
    // All processes ignore the signals that the program ignores.
    let child_of_worker = |()| Process::spawn(|| taken(libc::SIGHUP)).unwrap().join().unwrap().code();
    assert_eq!(pool.apply(child_of_worker, ()).unwrap(), Some(1));
    set(libc::SIGHUP, libc::SIG_DFL);
}

fn one_thread_kills_what_another_joins() {
    init().unwrap();
    let fork = Process::spawn(|| forever(())).unwrap();
    let called = Process::call(forever, ()).unwrap();
    for child in [fork, called] {
        std::thread::scope(|s| {
            let joins: Vec<_> = (0..3).map(|_| s.spawn(|| child.join().unwrap().signal())).collect();
            child.kill().unwrap();
            for join in joins {
                assert_eq!(join.join().unwrap(), Some(libc::SIGKILL));
            }
        });
        assert_eq!(child.join().unwrap().signal(), Some(libc::SIGKILL));
    }
    end_ours();
}
