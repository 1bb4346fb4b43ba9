//! Topics beside their own verbs: seen by observers, waited for with other things, opened with other
//! options. Threads of one process; several processes: `tests/topic`.

#[path = "../support/mod.rs"]
mod support;

mod inspecting;
mod options;
mod waiting_for_several;
