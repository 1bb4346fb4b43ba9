//! The memory cgroup of this process: what it takes beyond its limit ends in SIGKILL, and shared memory
//! counts as its maker's.

use std::fs;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";
/// Smaller needs are not worth a look: some 50 us.
const WORTH_A_LOOK_BYTES: u64 = 1 << 20;

/// The limit that `bytes` of memory would break whatever else the cgroup, or one that it lies in,
/// gives up for it; `None` if there is none such, as far as that can be told.
pub(crate) fn memory_limit(bytes: u64) -> Option<u64> {
    if bytes < WORTH_A_LOOK_BYTES {
        return None;
    }
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().filter_map(limit_of).min().filter(|&limit| limit < bytes)
}

/// The least limit on a line of `/proc/self/cgroup`.
fn limit_of(line: &str) -> Option<u64> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    let (root, limit, swap) = match controllers {
        "" => (PathBuf::from(MOUNT), "memory.max", Some("memory.swap.max")),
        // Of version 1. What it may swap is part of another limit: it is left out where swap is at hand.
        _ if controllers.split(',').any(|name| name == "memory") => {
            (Path::new(MOUNT).join("memory"), "memory.limit_in_bytes", None)
        }
        _ => return None,
    };
    let start = root.join(path.trim_start_matches('/'));
    // In a container the path may be that of the machine: its own group is then the root that it sees.
    let start = if start.is_dir() { start } else { root.clone() };
    let has_swap = has_swap();
    let limits = start.ancestors().take_while(|group| group.starts_with(&root)).filter_map(|group| {
        let limit = number(&group.join(limit))?;
        let swap = match swap {
            _ if !has_swap => 0,
            Some(swap) => number(&group.join(swap))?,
            None => return None,
        };
        limit.checked_add(swap)
    });
    limits.min()
}

/// `None` for `max`, and where there is no such file.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn has_swap() -> bool {
    // One line of headings, then one for each.
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}
