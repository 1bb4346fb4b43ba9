//! The memory cgroup of this process: what it takes beyond its limit ends in SIGKILL, and shared memory
//! counts as its maker's.

use std::fs;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";
/// Smaller needs are not worth a look: some 50 us.
const WORTH_A_LOOK_BYTES: u64 = 1 << 20;

/// Memory that the cgroup of this process, and those that it lies in, still have for what cannot be
/// dropped; `None` if that is enough for `bytes`, as far as can be told. What others take meanwhile is
/// not foreseen: ask before each large step.
pub(crate) fn memory_short_of(bytes: u64) -> Option<u64> {
    if bytes < WORTH_A_LOOK_BYTES {
        return None;
    }
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().filter_map(free_by).min().filter(|&free| free < bytes)
}

/// Names of files, and of the numbers in `memory.stat` that tell what is not dropped for others.
struct Version {
    root: PathBuf,
    limit: &'static str,
    kept: [&'static str; 2],
    /// Its limit and its use; of version 1 both are mixed with those of memory.
    swap: Option<[&'static str; 2]>,
}

/// The least that is free by a line of `/proc/self/cgroup`.
fn free_by(line: &str) -> Option<u64> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    let version = match controllers {
        "" => Version {
            root: PathBuf::from(MOUNT),
            limit: "memory.max",
            kept: ["anon", "shmem"],
            swap: Some(["memory.swap.max", "memory.swap.current"]),
        },
        _ if controllers.split(',').any(|name| name == "memory") => Version {
            root: Path::new(MOUNT).join("memory"),
            limit: "memory.limit_in_bytes",
            kept: ["total_rss", "total_shmem"],
            swap: None,
        },
        _ => return None,
    };
    let start = version.root.join(path.trim_start_matches('/'));
    // In a container the path may be that of the machine: its own group is then the root that it sees.
    let start = if start.is_dir() { start } else { version.root.clone() };
    let has_swap = has_swap();
    let groups = start.ancestors().take_while(|group| group.starts_with(&version.root));
    groups.filter_map(|group| free_in(group, &version, has_swap)).min()
}

fn free_in(group: &Path, version: &Version, has_swap: bool) -> Option<u64> {
    let limit = number(&group.join(version.limit))?;
    let (swap, swapped) = match version.swap {
        _ if !has_swap => (0, 0),
        Some([limit, used]) => (number(&group.join(limit))?, number(&group.join(used)).unwrap_or(0)),
        None => return None,
    };
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let of = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0);
    let kept: u64 = version.kept.iter().map(|name| of(&format!("{name} "))).sum();
    Some(limit.saturating_add(swap).saturating_sub(kept).saturating_sub(swapped))
}

/// `None` for `max`, and where there is no such file.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn has_swap() -> bool {
    // One line of headings, then one for each.
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}
