//! The memory cgroup of this process: exceeding its limit ends in SIGKILL, and shared memory is
//! charged to its creator.

use std::fs;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";
/// Smaller requests are not worth the check: some 50 us.
const CHECKED_FROM_BYTES: u64 = 1 << 20;

/// Memory that the cgroup of this process and its ancestors still have for what cannot be
/// reclaimed; `None` if that is enough for `bytes`, or unknown. Other processes may take memory
/// meanwhile: call it before each large step.
pub(crate) fn memory_short_of(bytes: u64) -> Option<u64> {
    if bytes < CHECKED_FROM_BYTES {
        return None;
    }
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().filter_map(free_by).min().filter(|&free| free < bytes)
}

/// Names of files, and of the fields in `memory.stat` that count memory which cannot be reclaimed.
struct Version {
    root: PathBuf,
    limit: &'static str,
    kept: [&'static str; 2],
    /// Limit and usage of swap; in version 1 both are mixed with memory's.
    swap: Option<[&'static str; 2]>,
}

/// The least free memory by a line of `/proc/self/cgroup`.
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
    // In a container the path may be the host's: its own group is then the root that it sees.
    let start = if start.is_dir() { start } else { version.root.clone() };
    let swap_free = swap_free();
    let groups = start.ancestors().take_while(|group| group.starts_with(&version.root));
    groups.filter_map(|group| free_in(group, &version, swap_free)).min()
}

fn free_in(group: &Path, version: &Version, swap_free: u64) -> Option<u64> {
    let limit = number(&group.join(version.limit))?;
    let swap = match version.swap {
        _ if swap_free == 0 => 0,
        // What the group may still swap out, limited by the free swap of the machine.
        Some([limit, used]) => match number(&group.join(limit)) {
            Some(limit) => limit.saturating_sub(number(&group.join(used)).unwrap_or(0)).min(swap_free),
            None => swap_free,
        },
        None => return None,
    };
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let of = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0);
    let kept: u64 = version.kept.iter().map(|name| of(&format!("{name} "))).sum();
    Some(limit.saturating_sub(kept).saturating_add(swap))
}

/// `None` for `max`, and where there is no such file.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Free swap space, in bytes.
fn swap_free() -> u64 {
    let about = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = about.lines().find_map(|line| line.strip_prefix("SwapFree:")?.strip_suffix("kB")?.trim().parse::<u64>().ok());
    line.map_or(0, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_counts_as_far_as_both_the_group_and_the_machine_have_it() {
        let group = std::env::temp_dir().join(format!("shmq-{}-group", std::process::id()));
        fs::create_dir_all(&group).expect("made");
        let write = |file: &str, text: &str| fs::write(group.join(file), text).expect("written");
        let version = Version {
            root: group.clone(),
            limit: "memory.max",
            kept: ["anon", "shmem"],
            swap: Some(["memory.swap.max", "memory.swap.current"]),
        };
        write("memory.stat", "anon 60\nfile 500\nshmem 30\n");
        write("memory.max", "100\n");
        write("memory.swap.max", "1000\n");
        write("memory.swap.current", "900\n");
        let free = |swap_free| free_in(&group, &version, swap_free);
        assert_eq!([free(0), free(40), free(5000)], [Some(10), Some(50), Some(110)]);
        write("memory.swap.max", "max\n");
        assert_eq!([free(0), free(40), free(5000)], [Some(10), Some(50), Some(5010)]);
        write("memory.max", "max\n");
        assert_eq!(free(40), None);
        fs::remove_dir_all(&group).expect("removed");
    }
}
