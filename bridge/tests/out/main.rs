//! From a queue to a stream: what lands, once and in order, whatever is killed; what is refused, in
//! words and with the exit code of the README.

#[path = "../support/mod.rs"]
mod rig;
#[path = "../../../tests/support/mod.rs"]
mod support;

mod carrying;
mod changes;
mod kills;
mod refusals;
mod servers;
mod stage;

use crate::support::harness::Lanes;
use std::process::ExitCode;

fn main() -> ExitCode {
    rig::roles::take_role();
    use carrying::*;
    use changes::*;
    use kills::*;
    use refusals::*;
    use servers::*;
    let cases = crate::cases![
        what_is_put_lands_once_in_order_and_with_its_headers,
        values_and_encoded_objects_of_any_size_land,
        a_closed_queue_is_drained_and_ends_the_bridge,
        a_stream_that_is_changed_to_lose_messages_ends_the_bridge,
        a_queue_that_loses_its_name_ends_the_bridge,
        the_end_comes_while_the_server_is_away_and_the_client_takes_no_more,
        a_full_stream_delays_and_loses_nothing,
        a_full_stream_ends_the_bridge_if_asked,
        what_is_under_way_at_the_end_comes_first_later,
        several_queues_are_carried_by_one_file,
        a_killed_bridge_sends_again_and_nothing_doubles,
        a_killed_server_loses_and_doubles_nothing,
        bridge_server_and_producers_are_killed_at_random,
        a_link_that_is_cut_doubles_nothing,
        a_bridge_that_was_down_for_longer_than_the_window_doubles_nothing,
        an_old_server_works,
        a_second_bridge_is_refused_while_the_first_lives,
        a_get_side_that_is_held_is_refused,
        queues_that_cannot_be_carried_are_refused,
        streams_that_would_lose_something_are_refused,
        a_lost_journal_is_refused_and_can_be_adopted,
        a_queue_that_was_made_anew_is_refused,
        a_stream_whose_sequence_went_back_is_refused,
        a_stream_that_was_made_anew_is_refused,
        a_stranger_in_the_stream_is_refused,
        a_stream_of_another_bridge_is_refused,
        a_message_that_is_too_large_ends_the_bridge_and_stays,
        settings_that_cannot_be_used_are_refused,
        servers_that_cannot_be_used_are_refused,
        users_tokens_nkeys_and_tls_are_used,
    ];
    support::harness::run(Lanes::Processors, &cases)
}
