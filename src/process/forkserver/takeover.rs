//! Which of the two a process is: it forks a server and is its standby, or is the server that was
//! forked; and again when the other has died. The invariants are those of the parent module.

use super::role::Role;
use super::{server, standby};
use crate::os::{Fork, Parent, become_subreaper, fork, socket};
use crate::process::supervision::{self, Predecessor};
use std::os::fd::OwnedFd;

/// The life of either, a helper from its beginning: the exit code.
pub(super) fn run(requests: OwnedFd, program: Parent) -> i32 {
    supervision::begin();
    if program.has_ended() {
        return 0;
    }
    let mut role = Role::new(requests, program);
    loop {
        if let Some(code) = fork_server(&mut role) {
            return code;
        }
    }
}

/// Forks a server, and is standby or server until that has to be done again (`None`) or all is
/// over.
fn fork_server(role: &mut Role) -> Option<i32> {
    let parent = Predecessor::own_pid();
    let (records, report_to) = match socket::packet_pair() {
        Ok(ends) => ends,
        Err(error) => return standby::serve_without_server(role, &error),
    };
    // Before the fork: orphans of the server are ours from the beginning.
    become_subreaper();
    // SAFETY: this process has one thread (Invariant 1).
    match unsafe { fork() } {
        Err(error) => standby::serve_without_server(role, &error),
        Ok(Fork::Child) => {
            drop(records);
            role.children.clear();
            role.unready = 0;
            server::serve(role, parent, &report_to)
        }
        Ok(Fork::Parent(server)) => {
            drop(report_to);
            standby::stand_by(role, server, &records)
        }
    }
}
