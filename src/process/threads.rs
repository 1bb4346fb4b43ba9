//! How many threads this process has.

use std::fs;
use std::io;
use std::path::Path;

/// Threads of this process, without those that are in the kernel on their way out: one that was
/// joined is still listed for a moment, on a loaded machine for long, and neither holds nor runs
/// anything of ours any more.
pub(super) fn count() -> io::Result<usize> {
    let tasks: Vec<_> = fs::read_dir("/proc/self/task")?.collect::<io::Result<_>>()?;
    if tasks.len() <= 1 {
        return Ok(tasks.len());
    }
    Ok(tasks.iter().filter(|task| !is_exiting(&task.path().join("stat"))).count())
}

/// Whether the `stat` of a thread says that it exits, or is gone by now. A thread whose `stat`
/// cannot be read for another reason is counted.
fn is_exiting(stat: &Path) -> bool {
    /// The kernel's mark of a task that exits, set long before it releases those who join it.
    const PF_EXITING: u32 = 4;
    match fs::read_to_string(stat) {
        // The name in parentheses may hold anything; behind it come state, parent, group, session,
        // terminal, its group, and the flags.
        Ok(text) => {
            let flags = text.rfind(')').and_then(|end| text[end + 1..].split_whitespace().nth(6)?.parse::<u32>().ok());
            flags.is_some_and(|flags| flags & PF_EXITING != 0)
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound || crate::os::is_no_such_process(&error),
    }
}
