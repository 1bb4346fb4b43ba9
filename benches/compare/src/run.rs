//! A whole run of the bench: the machine, the groups, and the states that the machine was in.

use crate::{killed, machine_state::MachineStates, results::Group};
use std::{fs, time::Duration};

/// A whole run of the bench.
pub struct Run {
    pub machine: String,
    pub kernel: String,
    pub repetitions: usize,
    pub took: Duration,
    pub groups: Vec<Group>,
    /// What became of the others when a process was killed.
    pub killed: killed::Results,
    /// Rivals that were skipped, and why.
    pub notes: Vec<String>,
    pub states: MachineStates,
}

impl Run {
    pub fn new(groups: Vec<Group>, notes: Vec<String>, cores: &[usize], repetitions: usize, took: Duration) -> Run {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name| cpuinfo.lines().find_map(|line| line.strip_prefix(name)?.split_once(": "));
        let model = field("model name").map_or("unknown processor", |(_, model)| model.trim());
        let virtual_machine = if cpuinfo.contains(" hypervisor") { " (virtual machine)" } else { "" };
        let pair: Vec<String> = cores.iter().take(2).map(usize::to_string).collect();
        let machine = format!("{model}{virtual_machine}, {} cores, 1x1 pinned to {}", cores.len(), pair.join(" and "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        Run {
            machine,
            kernel,
            repetitions,
            took,
            groups,
            killed: killed::Results::default(),
            notes,
            states: MachineStates::default(),
        }
    }

    pub fn group(&self, title: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.title == title)
    }
}
