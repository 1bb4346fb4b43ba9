//! The standby: the server's parent, which adopts its children and forks the next one when it dies.
//! The invariants are those of the parent module.

use super::role::{READY, RECORD_BYTES, Role};
use super::wire::{Answer, Refused};
use crate::os::{KILL, Pid, WaitFor, errno_or_again, peek_ended, poll, reap, send_signal, socket};
use crate::process::supervision::next_ended;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Servers in a row that may die before they are ready (Invariant 6).
const MAX_UNREADY: u32 = 10;

/// The standby's life, until the server has died (`None`) or all is over.
pub(super) fn stand_by(role: &mut Role, server: Pid, records: &OwnedFd) -> Option<i32> {
    loop {
        if role.is_over() {
            // What dies with the server dies now. It is our own child, not reaped.
            let _ = send_signal(server, KILL);
            reap(server);
            return Some(0);
        }
        role.children.forget_closed();
        receive_records(role, records);
        while let Some((pid, status)) = next_ended() {
            // An orphan's server is dead, so all records that it sent can be received.
            receive_records(role, records);
            if pid != server {
                role.children.report_end(pid, status);
                continue;
            }
            reap(pid);
            if status.success() {
                return Some(0); // it saw the program close its end
            }
            // The server has reported those that it reaped itself.
            role.children.retain(|pid| peek_ended(WaitFor::Pid(pid)).is_ok());
            role.unready += 1;
            return (role.unready > MAX_UNREADY).then_some(1);
        }
        role.wait(&[records.as_raw_fd()], false);
    }
}

/// Receives what the server has recorded of its children.
fn receive_records(role: &mut Role, records: &OwnedFd) {
    while poll(&[records.as_raw_fd()], 0) == [true] {
        let mut record = [0; RECORD_BYTES];
        let Ok(mut fds) = socket::receive(records, &mut record) else { return };
        match (Pid::from_ne_bytes(record), fds.pop()) {
            (READY, _) => role.unready = 0,
            (pid, Some(line)) => role.children.add(pid, line),
            (_, None) => {} // no number was free for the line: its end cannot be reported here
        }
    }
}

/// No processes, or no memory, for now, so there is no server meanwhile: ends of children are
/// reported all the same, and a call is refused as the server would refuse it, with `why`.
pub(super) fn serve_without_server(role: &mut Role, why: &io::Error) -> Option<i32> {
    role.children.forget_closed();
    role.report_ends();
    let requests = role.requests.as_raw_fd();
    if poll(&[requests], 0) == [true] {
        if let Err(error) = refuse_one(role, why) {
            return Some(i32::from(error.kind() != io::ErrorKind::UnexpectedEof));
        }
    } else {
        role.wait(&[requests], true);
    }
    role.is_over().then_some(0)
}

/// Refuses one request. An error: there will be no more.
fn refuse_one(role: &mut Role, why: &io::Error) -> io::Result<()> {
    role.reserve.release();
    let received = socket::receive(&role.requests, &mut [0]);
    let received = received.map(|fds| {
        // The first is the call; the other descriptors that the program sent are closed.
        if let Some(call) = fds.into_iter().next() {
            let errno = errno_or_again(why);
            let _ = socket::send(&call, &Answer::Refused { call: Refused::Fork, errno }.to_bytes(), &[]);
        }
    });
    let _ = role.reserve.fill();
    received
}
