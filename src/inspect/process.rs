//! What `/proc` says about a participant. Its pid is as the participant saw it: in another PID
//! namespace it may be another process's.

use std::fs;

/// What the kernel says that a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessState {
    /// On a processor, or waiting for one.
    Running,
    /// Waiting for something.
    Sleeping,
    /// Stopped (SIGSTOP, SIGTSTP, a debugger): it does nothing until it is continued.
    Stopped,
    /// Dead, and not yet waited for by its parent.
    Zombie,
    /// There is no such process here, or none that uses this segment: gone, or in another PID
    /// namespace.
    Unknown,
}

/// Name and state of process `pid`, if it has the file `inode` mapped, or does not let us see what
/// it has mapped.
pub(super) fn probe(pid: u32, inode: u64) -> (Option<String>, ProcessState) {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return (None, ProcessState::Unknown) };
    // The name in parentheses may contain any character.
    let (Some(start), Some(end)) = (stat.find('('), stat.rfind(')')) else { return (None, ProcessState::Unknown) };
    let state = match stat[end + 1..].trim_start().chars().next() {
        Some('R') => ProcessState::Running,
        Some('T' | 't') => ProcessState::Stopped,
        Some('Z' | 'X') => ProcessState::Zombie,
        Some(_) => ProcessState::Sleeping,
        None => ProcessState::Unknown,
    };
    if let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) {
        // A zombie has nothing mapped any more.
        if state != ProcessState::Zombie && !maps.lines().any(|line| maps_inode(line) == Some(inode)) {
            return (None, ProcessState::Unknown);
        }
    }
    (Some(program_name(pid).unwrap_or_else(|| stat[start + 1..end].to_owned())), state)
}

/// `address permissions offset device inode path`
fn maps_inode(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().nth(4)?.parse().ok()
}

/// The file name of the program, which `comm` cuts after 15 characters.
fn program_name(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_str()?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inode_is_the_fifth_word() {
        assert_eq!(maps_inode("7f0-7f1 r--s 00000000 00:18 4711   /dev/shm/shmq.a b"), Some(4711));
        assert_eq!(maps_inode("garbage"), None);
    }

    #[test]
    fn a_process_that_does_not_use_the_segment_is_a_stranger() {
        assert_eq!(probe(std::process::id(), u64::MAX), (None, ProcessState::Unknown));
        assert_eq!(probe(u32::MAX, 1), (None, ProcessState::Unknown));
    }
}
