//! From a stream to a queue: what arrives, once and in order, whatever is killed; what is refused,
//! in words and with the exit code of the README.

#[path = "../support/mod.rs"]
mod rig;
#[path = "../../../tests/support/mod.rs"]
mod support;

mod carrying;
mod changes;
mod done;
mod kills;
mod refusals;

use crate::rig::{Admin, Folder, Running, Server, bridge, work_queue};
use crate::support::harness::Lanes;
use crate::support::{unique_name, wait_at_most};
use shmq::Queue;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    rig::roles::take_role();
    use carrying::*;
    use changes::*;
    use done::*;
    use kills::*;
    use refusals::*;
    let cases = crate::cases![
        what_is_published_arrives_once_and_in_order,
        a_full_queue_delays_and_nothing_comes_twice,
        all_that_has_come_is_renewed_however_much_it_is,
        large_messages_come_in_requests_that_are_bounded_by_bytes,
        a_bridge_that_is_ended_and_started_again_keeps_the_order,
        bridges_of_two_queues_share_one_consumer,
        others_may_put_with_shared,
        a_message_of_another_type_goes_to_the_dead_letters_if_asked,
        a_connection_that_is_held_and_cut_changes_nothing,
        a_bridge_that_is_killed_again_and_again_puts_nothing_twice,
        a_server_that_is_killed_again_and_again_loses_nothing,
        a_bridge_that_was_down_for_longer_than_the_window_puts_nothing_twice,
        a_bridge_cut_off_for_longer_than_the_ack_wait_doubles_on_another_machine,
        with_ack_on_done_the_stream_keeps_what_the_workers_have,
        with_ack_on_done_what_was_given_up_becomes_a_letter,
        with_ack_on_done_a_killed_bridge_asks_what_became_of_it,
        another_store_at_the_same_address_loses_nothing,
        a_queue_that_loses_its_name_ends_the_bridge,
        a_consumer_that_was_deleted_is_refused_where_the_stream_keeps_messages,
        a_stream_or_consumer_that_is_changed_to_lose_messages_ends_the_bridge,
        a_bridge_that_was_stopped_leaves_what_it_held_to_the_others,
        bytes_without_headers_are_no_values,
        dead_letters_that_would_come_again_are_refused,
        a_second_bridge_of_the_same_name_is_refused,
        a_put_side_that_another_process_owns_is_refused,
        queues_that_cannot_be_bridged_are_refused,
        streams_that_would_lose_something_are_refused,
        consumers_that_would_lose_something_are_refused,
        servers_that_cannot_be_used_are_refused,
        a_queue_or_a_stream_that_was_made_anew_is_refused,
        a_lost_journal_is_told_from_a_first_start,
        a_stream_whose_sequence_went_back_is_refused,
        settings_that_cannot_be_used_are_refused,
    ];
    support::harness::run(Lanes::Processors, &cases)
}

/// A server, a stream, a queue, and a folder for logs.
struct Stage {
    server: Server,
    admin: Admin,
    queue: Queue<[u8]>,
    name: String,
    folder: Folder,
}

const STREAM: &str = "JOBS";

impl Stage {
    fn new() -> Stage {
        Stage::with(Server::start(), 64 << 10)
    }

    fn with(server: Server, bytes: usize) -> Stage {
        let admin = Admin::connect(&server.url());
        admin.make(work_queue(STREAM));
        let name = unique_name("in");
        let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(bytes).persist(true).create().expect("a queue");
        Stage { server, admin, queue, name, folder: Folder::new() }
    }

    /// Starts the bridge, with more arguments.
    fn start(&self, more: &[&str]) -> Running {
        self.start_at(&self.server.url(), more)
    }

    fn start_at(&self, url: &str, more: &[&str]) -> Running {
        let mut command = bridge();
        command.args(["in", &self.name, "--stream", STREAM, "--server", url]).args(more);
        command.env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or("info".into()));
        Running::start(command, "bridge", self.folder.path())
    }

    /// It ends by itself, with that code and these words.
    #[track_caller]
    fn refuses(&self, more: &[&str], code: i32, words: &[&str]) {
        let mut running = self.start(more);
        let ended = running.wait(rig::SOON);
        let output = running.output();
        assert_eq!(ended, code, "{output}");
        words.iter().for_each(|word| assert!(output.contains(word), "{word:?} is missing in: {output}"));
        std::fs::remove_file(self.folder.path().join("bridge.log")).expect("its log");
    }

    /// Gets so many messages: their numbers.
    fn get(&self, count: usize) -> Vec<u64> {
        let get = |_| {
            let bytes = self.queue.get_timeout(rig::SOON).unwrap_or_else(|error| panic!("{error}: {}", self.says()));
            rig::roles::number_of(&bytes)
        };
        (0..count).map(get).collect()
    }

    fn says(&self) -> String {
        rig::end_of(&self.folder.path().join("bridge.log"))
    }

    /// Waits until the stream has so many messages.
    #[track_caller]
    fn wait_for_stream(&self, messages: u64) {
        let met = || self.admin.state(STREAM).messages == messages;
        wait_at_most(rig::SOON, &format!("{messages} messages in the stream"), met, || {
            format!("{:?}; {}", self.admin.state(STREAM), self.says())
        });
    }

    fn publish(&self, numbers: std::ops::Range<u64>) {
        self.admin.publish(STREAM, numbers.map(rig::roles::message));
    }

    /// Nothing more comes within that time.
    #[track_caller]
    fn wait_for_silence(&self, time: Duration) {
        if let Ok(bytes) = self.queue.get_timeout(time) {
            panic!("message {} came again; {}", rig::roles::number_of(&bytes), self.says());
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for name in [self.name.clone(), format!("{}.bridge-in", self.name)] {
            let _ = Queue::<[u8]>::unlink(&name);
        }
    }
}
