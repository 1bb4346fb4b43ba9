//! What is explored, and the tests that must fail.

use super::{Flaw, Kind, State};
use crate::lock::model::explore;

const fn user(is_attached: bool, puts: bool, gets: bool, persists: bool) -> Kind {
    Kind::User { is_attached, puts, gets, persists }
}

const PUTS: Kind = user(true, true, false, false);
const GETS: Kind = user(true, false, true, false);
const PUTS_AND_GETS: Kind = user(true, true, true, false);
const PERSISTS: Kind = user(true, true, false, true);
const RESTS: Kind = user(true, false, false, false);
const OPENS: Kind = user(false, false, false, false);
const OPENS_AND_GETS: Kind = user(false, false, true, false);
const OPENS_AND_PUTS: Kind = user(false, true, false, false);
const CHILD: Kind = Kind::Child;
const UNLINKS: Kind = Kind::Unlinker;
const CREATES: Kind = Kind::Creator;
const REMOVES: Kind = Kind::Remover;
const SWEEPS: Kind = Kind::Sweeper;

/// From the beginning; behind a dead process that left an object; in a persisted segment.
fn starts(kinds: &[Kind]) -> [State; 3] {
    let start = State::new(kinds);
    [start, start.with_object(), start.with_object().persisted()]
}

fn all(kills: u32, cases: &[&[Kind]]) -> usize {
    let starts = cases.iter().flat_map(|kinds| starts(kinds));
    starts.map(|start| explore(start, kills)).sum()
}

fn explore_without(flaw: Flaw, kills: u32, start: State) {
    explore(State { flaw, ..start }, kills);
}

#[test]
fn the_last_one_that_leaves_removes_all_files() {
    let states = all(
        2,
        &[&[PUTS, PUTS, GETS], &[PUTS_AND_GETS, OPENS_AND_GETS, OPENS], &[PUTS, OPENS, SWEEPS], &[PUTS_AND_GETS, RESTS, SWEEPS]],
    );
    println!("{states} states");
}

#[test]
fn an_unlinked_queue_goes_on_and_leaves_nothing() {
    let states = all(
        2,
        &[
            &[PUTS, UNLINKS, OPENS_AND_GETS],
            &[PUTS_AND_GETS, UNLINKS, GETS],
            &[RESTS, UNLINKS, PUTS],
            &[PUTS, UNLINKS, UNLINKS],
            &[PUTS, UNLINKS, SWEEPS],
            &[UNLINKS, OPENS, SWEEPS],
            &[UNLINKS, OPENS_AND_PUTS, OPENS],
        ],
    );
    println!("{states} states");
}

#[test]
fn a_persisted_queue_loses_nothing() {
    let states = all(
        2,
        &[
            &[PERSISTS, SWEEPS, OPENS_AND_GETS],
            &[PERSISTS, PUTS, UNLINKS],
            &[PERSISTS, CREATES, SWEEPS],
            &[PERSISTS, REMOVES, OPENS],
        ],
    );
    println!("{states} states");
}

#[test]
fn a_dead_segment_that_is_replaced_leaves_nothing() {
    let states = all(
        2,
        &[
            &[PUTS, CREATES, OPENS],
            &[CREATES, CREATES, OPENS_AND_PUTS],
            &[CREATES, REMOVES, SWEEPS],
            &[CREATES, UNLINKS, OPENS_AND_GETS],
            &[PUTS, REMOVES, OPENS],
            &[PUTS, CREATES, UNLINKS],
        ],
    );
    println!("{states} states");
}

#[test]
fn a_forked_child_may_attach_later_or_never() {
    let states =
        all(2, &[&[PUTS, CHILD, UNLINKS], &[PUTS_AND_GETS, CHILD, OPENS], &[PUTS, CHILD, SWEEPS], &[PUTS, CHILD, CREATES]]);
    println!("{states} states");
}

/// Tests that must fail: each leaves one rule out.
macro_rules! fails {
    ($($name:ident: $flaw:ident, $kills:literal, $start:expr, $message:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $message)]
            fn $name() {
                explore_without(Flaw::$flaw, $kills, $start);
            }
        )+
    };
}

fn start(kinds: &[Kind]) -> State {
    State::new(kinds)
}

fn behind_the_dead(kinds: &[Kind]) -> State {
    start(kinds).with_object()
}

fails! {
    an_unlink_of_a_dead_segment_without_a_clean_up_would_leave_its_files:
        UnlinkerDoesNotClean, 0, behind_the_dead(&[UNLINKS]), "a file is left";
    a_replacement_without_a_clean_up_would_leave_the_predecessors_files:
        ReplacerDoesNotClean, 0, behind_the_dead(&[CREATES]), "a file is left";
    a_removal_of_what_is_stale_without_a_clean_up_would_leave_its_files:
        ReplacerDoesNotClean, 0, behind_the_dead(&[REMOVES]), "a file is left";
    one_that_leaves_a_persisted_queue_without_a_name_and_does_not_clean_up_would_leave_its_files:
        OnlyRemoverCleans, 0, start(&[PERSISTS, UNLINKS]), "a file is left";
    an_opener_that_backs_out_without_a_clean_up_would_leave_the_files:
        BackedOutDoesNotClean, 0, start(&[PUTS, UNLINKS, OPENS]), "a file is left";
    a_deferred_name_that_is_gone_and_not_cleaned_up_would_leave_its_files:
        DeferredDoesNotClean, 0, start(&[PUTS, CHILD, UNLINKS]), "a file is left";
    a_deferred_name_that_is_forgotten_beside_a_child_would_leave_its_files:
        DeferredCleansOnce, 0, start(&[PUTS, CHILD, UNLINKS]), "a file is left";
    a_clean_up_before_the_name_goes_would_find_two_links:
        CleansBeforeName, 0, start(&[PUTS]), "a file is left";
    a_clean_up_before_the_liveness_lock_goes_would_find_itself_alive:
        CleansBeforeLiveness, 0, start(&[PUTS]), "a file is left";
    a_clean_up_that_gives_up_beside_a_claim_would_leave_the_files:
        GivesUpBesideClaims, 0, behind_the_dead(&[UNLINKS, CREATES]), "a file is left";
    a_clean_up_without_the_lock_would_lose_the_objects_of_an_unlinked_queue:
        CleansUnlocked, 0, behind_the_dead(&[RESTS, UNLINKS, SWEEPS]), "a committed object is lost";
    a_clean_up_that_counts_no_links_would_lose_the_objects_of_a_persisted_queue:
        LinksNotCounted, 0, start(&[PERSISTS, SWEEPS]), "a committed object is lost";
    an_anchor_that_goes_first_would_leave_the_files_at_a_death:
        AnchorFirst, 1, behind_the_dead(&[UNLINKS]), "a file is left";
    an_unlink_that_makes_no_anchor_would_refuse_later_puts:
        UnlinkedWithoutAnchor, 0, start(&[PUTS, UNLINKS]), "a put is refused";
    an_anchor_only_beside_participants_would_refuse_the_puts_of_the_next_one:
        AnchoredOnlyInUse, 0, start(&[RESTS, UNLINKS, OPENS_AND_PUTS]), "a put is refused";
    a_put_without_an_anchor_would_leave_its_file:
        SpillsWithoutAnchor, 0, start(&[PUTS]), "a file is left";
}

#[test]
fn what_saves_time_alone_loses_nothing_when_it_is_left_out() {
    // Names do not come back: one link stays one link.
    for kinds in [[PUTS, UNLINKS, SWEEPS], [PERSISTS, UNLINKS, SWEEPS], [PUTS, CREATES, OPENS]] {
        starts(&kinds).into_iter().for_each(|start| explore_without(Flaw::LinksCountedFirst, 2, start));
    }
}
