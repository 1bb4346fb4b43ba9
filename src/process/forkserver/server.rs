//! The server: forks a child for each request, and reports to the program how it ended. The
//! invariants are those of the parent module.

use super::place::{check_numbers, place};
use super::role::{READY, Role, SLICE_MS};
use super::wire::{Answer, FdNumber, Refused, Request, read_request};
use crate::os::{
    Fork, Parent, Pid, Recipient, close_number, continue_process, die_with, errno_or_again, fork, give_back, no_free_descriptor,
    open_pidfd, poll, remain_helper, socket,
};
use crate::process::options::drop_descriptors_but;
use crate::process::supervision::Predecessor;
use crate::process::{handed_over, print_error, run_child};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// How long the standby may take to end when all is over, which takes it no time unless it was
/// stopped.
const GRACE: Duration = Duration::from_secs(1);

/// The server's life, until the standby has died and this is the standby (`None`), or all is over.
pub(super) fn serve(role: &mut Role, parent: Pid, report_to: &OwnedFd) -> Option<i32> {
    let _ = socket::send_now(report_to, &READY.to_ne_bytes(), &[]);
    let standby = Predecessor::watch(parent);
    loop {
        if role.is_over() {
            // The standby ends the server when all is over; one that is stopped is ended here.
            standby.outlast(GRACE, SLICE_MS);
            return Some(0);
        }
        if !standby.is_alive() {
            return None;
        }
        role.report_ends();
        role.children.forget_closed();
        if poll(&[role.requests.as_raw_fd()], 0) == [true] {
            let others: Vec<RawFd> = standby.number().into_iter().chain([report_to.as_raw_fd()]).collect();
            if let Err(error) = serve_one(role, report_to, &others) {
                // The standby ends when it sees us end, which a stopped one does not. One that is
                // not stopped does not notice this.
                if standby.is_alive() {
                    continue_process(standby.pid());
                }
                return Some(i32::from(error.kind() != io::ErrorKind::UnexpectedEof));
            }
            continue;
        }
        let fds: Vec<RawFd> = standby.number().into_iter().chain([role.requests.as_raw_fd()]).collect();
        role.wait(&fds, standby.number().is_none());
    }
}

/// What came with a request.
struct Received {
    call: OwnedFd,
    line: OwnedFd,
    /// Descriptors for the child: those handed over, and last those that it keeps.
    rest: Vec<OwnedFd>,
}

/// Serves one request. An error: there will be no more.
fn serve_one(role: &mut Role, report_to: &OwnedFd, others: &[RawFd]) -> io::Result<()> {
    let Some(received) = receive_request(role)? else { return Ok(()) };
    let Ok((request, numbers, argument)) = read_request(&received.call) else { return Ok(()) }; // the program asks no more
    if let Err(error) = check_numbers(&numbers) {
        refuse(role, &received.call, (received.line, received.rest), &error);
        return Ok(());
    }
    let this = Parent::here();
    let Received { call, line, rest } = received;
    // SAFETY: this process has one thread (Invariant 1).
    let forked = match unsafe { fork() } {
        Ok(Fork::Child) => {
            close_own(role, &call, others);
            if request.dies_with_parent() {
                die_with(&this);
            }
            drop(this);
            run_request(request, line, rest, &numbers, &argument)
        }
        Ok(Fork::Parent(pid)) => Ok(pid),
        Err(error) => Err(error),
    };
    drop((rest, this));
    role.reserve.release_one();
    match forked {
        Ok(pid) => {
            let pidfd = open_pidfd(pid);
            // A standby that is stopped, and whose socket is full, is not waited for.
            let _ = socket::send_now(report_to, &pid.to_ne_bytes(), &[line.as_raw_fd()]);
            let answer = Answer::Forked { pid, has_pidfd: pidfd.is_some(), is_elsewhere: role.is_elsewhere };
            // If it fails, the program does not ask any more, and nothing begins (Invariant 5).
            let _ = socket::send(&call, &answer.to_bytes(), pidfd.as_ref().map(AsRawFd::as_raw_fd).as_slice());
            role.children.add(pid, line);
        }
        Err(error) => {
            let answer = Answer::Refused { call: Refused::Fork, errno: error.raw_os_error().unwrap_or(0) };
            let _ = socket::send(&call, &answer.to_bytes(), &[]);
            drop(line);
        }
    }
    drop(call);
    let _ = role.reserve.fill();
    Ok(())
}

/// Takes a request's descriptors. `None`: nothing usable came, and the program gets a refusal, or
/// sees the end of its call.
fn receive_request(role: &mut Role) -> io::Result<Option<Received>> {
    let mut sent = [0];
    role.reserve.release();
    let received = socket::receive(&role.requests, &mut sent);
    let filled = role.reserve.fill();
    let mut fds = received?.into_iter();
    let Some(call) = fds.next() else { return Ok(None) };
    let mut rest: Vec<OwnedFd> = fds.collect();
    let whole = filled.and_then(|()| match rest.len() + 1 == usize::from(sent[0]) && !rest.is_empty() {
        true => Ok(()),
        false => Err(no_free_descriptor()),
    });
    if let Err(error) = whole {
        refuse(role, &call, rest, &error);
        return Ok(None);
    }
    let line = rest.remove(0);
    Ok(Some(Received { call, line, rest }))
}

/// Refuses a call for want of descriptors. First, those that the program sent are closed, so that
/// their numbers are free again.
fn refuse(role: &mut Role, call: &OwnedFd, sent: impl Sized, error: &io::Error) {
    drop(sent);
    let _ = role.reserve.fill();
    let answer = Answer::Refused { call: Refused::Descriptors, errno: errno_or_again(error) };
    let _ = socket::send(call, &answer.to_bytes(), &[]);
}

/// In a child: closes what is the server's (Invariant 3).
fn close_own(role: &mut Role, call: &OwnedFd, others: &[RawFd]) {
    role.reserve.release();
    let own = [role.requests.as_raw_fd(), call.as_raw_fd()].into_iter();
    let own = own.chain(role.program.pidfd()).chain(role.child_signal.number());
    for fd in role.children.lines().chain(own).chain(others.iter().copied()) {
        // SAFETY: open, and their owners are in frames that are never returned to: the child ends
        // in `run_child`.
        unsafe { close_number(fd) };
    }
}

/// The child's life.
fn run_request(request: Request, line: OwnedFd, mut handed: Vec<OwnedFd>, numbers: &[FdNumber], argument: &[u8]) -> ! {
    run_child(move || {
        let kept = handed.split_off(handed.len() - numbers.len());
        handed.push(line);
        if let Err(error) = place(kept, numbers, &mut handed) {
            print_error(format_args!("Error: descriptors of a call cannot be placed: {error}"));
            return 1;
        }
        if request.drops_descriptors() {
            let known = handed.iter().map(AsRawFd::as_raw_fd).chain(numbers.iter().map(|&(number, _)| number));
            drop_descriptors_but(&known.collect::<Vec<_>>());
        }
        if request.is_helper() {
            remain_helper(request.signals);
        } else {
            give_back(Recipient::Process { keep_handlers: request.keep_handlers() }, Some(request.signals));
        }
        let Some(line) = handed.pop() else { return 1 };
        let begins = socket::receive(&line, &mut [0]).is_ok();
        drop(line);
        // Invariant 5.
        if !begins {
            return 0;
        }
        handed_over::set(handed);
        // SAFETY: the program, of which this process is a copy, sent it.
        let entry = unsafe { request.entry() };
        entry(argument)
    })
}
