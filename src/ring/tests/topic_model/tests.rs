//! What is explored, and that the machine fails without each rule.

use super::Kind::{Evictor, Publisher, Subscriber};
use super::{Case, Flaw, Kind, Loans, Reads, Start, Then};
use std::time::Instant;

const fn endpoint(messages: u8) -> Kind {
    Publisher { messages, is_endpoint: true, loans: Loans::No }
}

const fn by_lock(messages: u8) -> Kind {
    Publisher { messages, is_endpoint: false, loans: Loans::No }
}

const fn lender(messages: u8, is_endpoint: bool, loans: Loans) -> Kind {
    Publisher { messages, is_endpoint, loans }
}

const fn gating(start: Start, then: Then) -> Kind {
    Subscriber { start, reads: Reads::ByCopy, then }
}

const fn in_place(then: Then) -> Kind {
    Subscriber { start: Start::Now, reads: Reads::InPlace, then }
}

const fn lossy(start: Start) -> Kind {
    Subscriber { start, reads: Reads::Lossy, then: Then::GoesOn }
}

const FROM_NOW: Kind = gating(Start::Now, Then::GoesOn);
const FROM_OLDEST: Kind = gating(Start::Oldest, Then::GoesOn);
const STALLED: Kind = gating(Start::Now, Then::Stalls(1));
const LEAVES: Kind = gating(Start::Now, Then::Leaves(1));
const SAMPLES: Kind = in_place(Then::GoesOn);
const OPEN_SAMPLE: Kind = in_place(Then::Stalls(1));
const REJOINS: Kind = in_place(Then::Rejoins(1));
const REJOINS_OLDEST: Kind = Subscriber { start: Start::Oldest, reads: Reads::InPlace, then: Then::Rejoins(1) };
const EVICTOR: Kind = Evictor { line: 0, times: 1 };
const EVICTOR_TWICE: Kind = Evictor { line: 0, times: 2 };

fn case(kinds: &[Kind]) -> Case {
    Case::new(kinds)
}

fn killed(kills: u8, kinds: &[Kind]) -> Case {
    Case { kills, ..Case::new(kinds) }
}

fn with_history(case: Case) -> Case {
    Case { history: 2, ..case }
}

/// A ring of two cells.
fn tight(case: Case) -> Case {
    Case { capacity: 1, slack: 0, ..case }
}

/// Two lines, and stores that are visible at once.
fn on_two_lines(case: Case) -> Case {
    Case { lines: 2, buffer: 0, ..case }
}

fn explore(cases: &[Case]) {
    for case in cases {
        let began = Instant::now();
        let worlds = case.explore();
        println!("{worlds} worlds, {:.1?}: {case:?}", began.elapsed());
        assert!(worlds > 100, "{worlds} worlds are not all of {case:?}");
    }
}

fn explore_without(flaw: Flaw, case: Case) {
    Case { flaw, ..case }.explore();
}

#[test]
fn a_joiner_beside_an_endpoint_misses_nothing() {
    let in_two_cells = tight(killed(2, &[endpoint(4), FROM_NOW]));
    let twice_buffered = Case { buffer: 2, ..case(&[endpoint(3), FROM_NOW]) };
    let without_memory = Case { has_memory: false, ..killed(1, &[endpoint(3), FROM_NOW]) };
    explore(&[killed(2, &[endpoint(4), FROM_NOW]), in_two_cells, twice_buffered, without_memory]);
    explore(&[with_history(killed(2, &[endpoint(4), FROM_OLDEST]))]);
}

#[test]
fn the_gate_is_that_of_the_slowest() {
    explore(&[
        on_two_lines(case(&[endpoint(2), FROM_NOW, FROM_NOW])),
        on_two_lines(killed(1, &[endpoint(2), FROM_NOW, STALLED])),
    ]);
}

#[test]
fn a_line_is_used_again_after_its_holder_left_or_died() {
    explore(&[killed(1, &[endpoint(3), LEAVES, FROM_NOW]), with_history(killed(1, &[endpoint(3), LEAVES, FROM_OLDEST]))]);
}

#[test]
fn publishers_take_turns_at_the_lock_or_wait_for_an_endpoint_to_die() {
    explore(&[killed(1, &[by_lock(2), by_lock(1), FROM_NOW]), killed(1, &[by_lock(1), endpoint(2), FROM_NOW])]);
}

#[test]
fn a_lossy_subscriber_reads_only_what_was_published() {
    let reordered = Case { reorders: true, buffer: 4, capacity: 1, ..case(&[endpoint(5), lossy(Start::Now)]) };
    explore(&[killed(1, &[endpoint(6), lossy(Start::Now)]), killed(1, &[endpoint(6), lossy(Start::Oldest)]), reordered]);
    explore(&[killed(1, &[by_lock(2), by_lock(2), lossy(Start::Now)])]);
}

#[test]
fn an_evicted_subscriber_reads_on_as_a_lossy_one() {
    explore(&[tight(killed(1, &[endpoint(4), FROM_NOW, EVICTOR])), tight(killed(1, &[endpoint(4), STALLED, EVICTOR]))]);
    explore(&[killed(1, &[endpoint(3), FROM_NOW, EVICTOR])]);
}

#[test]
fn an_open_sample_is_not_overwritten_by_an_eviction() {
    explore(&[tight(killed(1, &[endpoint(3), SAMPLES, EVICTOR])), tight(killed(1, &[endpoint(3), OPEN_SAMPLE, EVICTOR]))]);
    explore(&[tight(case(&[endpoint(3), REJOINS, EVICTOR_TWICE])), tight(case(&[by_lock(2), by_lock(1), OPEN_SAMPLE, EVICTOR]))]);
    explore(&[tight(Case { buffer: 0, ..case(&[endpoint(2), SAMPLES, SAMPLES, EVICTOR]) })]);
}

#[test]
fn nothing_is_reclaimed_past_an_open_loan() {
    explore(&[
        killed(1, &[lender(3, true, Loans::Commits), FROM_NOW]),
        killed(1, &[lender(1, false, Loans::Commits), by_lock(1), FROM_NOW]),
    ]);
    explore(&[killed(1, &[lender(1, false, Loans::Commits), by_lock(2), lossy(Start::Now)])]);
    explore(&[killed(1, &[lender(1, false, Loans::Keeps), by_lock(2), lossy(Start::Now)])]);
}

#[test]
fn a_topic_without_subscribers_is_never_full() {
    explore(&[with_history(killed(1, &[endpoint(4)])), with_history(killed(1, &[by_lock(3), by_lock(3)]))]);
}

/// Tests that must fail: each leaves one rule out.
macro_rules! fails {
    ($($name:ident: $flaw:ident, $case:expr, $message:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $message)]
            fn $name() {
                explore_without(Flaw::$flaw, $case);
            }
        )+
    };
}

fails! {
    a_gate_that_is_not_compared_with_the_joins_after_its_store_would_pass_a_joiner:
        JoinsNotCompared, with_history(case(&[endpoint(4), FROM_OLDEST])), "beyond the capacity";
    a_gate_that_is_stored_after_the_comparison_would_pass_a_joiner:
        GateStoredAfterCompare, with_history(case(&[endpoint(4), FROM_OLDEST])), "beyond the capacity";
    joins_that_are_read_after_the_scan_would_hide_a_joiner:
        JoinsReadAfterScan, case(&[endpoint(4), FROM_NOW]), "beyond the capacity";
    a_memory_that_is_not_compared_with_the_joins_would_hide_a_joiner:
        MemoryWithoutJoins, case(&[endpoint(4), FROM_NOW]), "beyond the capacity";
    a_memory_of_the_laggard_alone_would_forget_the_others:
        MemoryWithoutOthers, on_two_lines(case(&[endpoint(2), FROM_NOW, STALLED])), "beyond the capacity";
    a_memory_that_survives_its_owner_would_be_half_of_two_scans:
        MemoryHalfWritten, killed(1, &[endpoint(4), FROM_NOW]), "beyond the capacity";
    a_scan_that_ends_in_full_and_is_not_remembered_whole_would_hide_a_joiner:
        FullForgotten, case(&[endpoint(4), FROM_NOW]), "beyond the capacity";
    a_gate_beyond_tail_would_make_a_joiner_miss_messages:
        GateBeyondTail, case(&[endpoint(4), FROM_NOW]), "not from now on";
    a_gate_below_reclaim_would_make_a_joiner_begin_there:
        GateBelowReclaim, with_history(Case { capacity: 3, ..case(&[endpoint(6), FROM_OLDEST]) }), "below reclaim";
    a_history_that_does_not_yield_would_fill_a_topic_without_subscribers:
        LagBeyondNeed, with_history(case(&[endpoint(4)])), "Full, and no live process";
    a_bound_with_the_slack_would_exceed_the_capacity:
        SlackPublished, case(&[endpoint(4), FROM_NOW]), "beyond the capacity";
    reclaim_that_passes_an_open_loan_would_write_over_it:
        ReclaimPastLoan, case(&[lender(1, false, Loans::Commits), by_lock(4), lossy(Start::Now)]), "reclaim passes an open loan";
    a_publisher_that_does_not_read_the_pin_would_write_under_a_sample:
        PinNotRead, tight(case(&[endpoint(4), SAMPLES, EVICTOR])), "a live &T was overwritten";
    a_publisher_without_a_barrier_before_the_pin_would_write_under_a_sample:
        NoBarrierBeforePin, tight(case(&[endpoint(4), SAMPLES, EVICTOR])), "a live &T was overwritten";
    an_evictor_that_runs_the_barrier_would_let_a_publisher_write_under_a_sample:
        EvictorRunsBarrier, tight(case(&[endpoint(4), SAMPLES, EVICTOR])), "a live &T was overwritten";
    a_barrier_after_the_pin_would_let_a_publisher_write_under_a_sample:
        BarrierAfterPin, tight(case(&[endpoint(4), SAMPLES, EVICTOR])), "a live &T was overwritten";
    a_line_that_is_evicted_by_a_plain_store_would_be_taken_from_its_owner:
        EvictedByStore, tight(case(&[endpoint(4), REJOINS, EVICTOR_TWICE])), "line was taken";
    a_line_that_is_freed_by_a_plain_store_would_be_taken_from_its_next_owner:
        FreedByStore, killed(1, &[endpoint(3), LEAVES, FROM_NOW]), "line was taken";
    a_free_line_that_forgets_its_generation_would_be_mistaken_for_its_next_owner:
        FreeForgetsGeneration,
        tight(with_history(case(&[endpoint(4), REJOINS_OLDEST, EVICTOR_TWICE]))),
        "a live &T was overwritten";
    a_dead_subscriber_that_stays_in_the_gate_would_stop_the_publisher:
        DeadStayInGate, killed(1, &[endpoint(4), FROM_NOW]), "Full, and no live process";
    a_joiner_without_its_barrier_would_read_an_old_gate:
        NoBarrierAtJoin, with_history(case(&[endpoint(4), FROM_OLDEST])), "beyond the capacity";
    a_joiner_that_reads_the_gate_before_its_barrier_would_read_an_old_one:
        GateReadBeforeBarrier, with_history(case(&[endpoint(4), FROM_OLDEST])), "beyond the capacity";
    a_join_that_is_counted_before_it_gates_would_be_overlooked:
        JoinCountedBeforeGating, case(&[endpoint(4), FROM_NOW]), "beyond the capacity";
    a_join_that_is_not_counted_would_be_overlooked:
        JoinNotCounted, case(&[endpoint(4), FROM_NOW]), "beyond the capacity";
    a_joiner_that_does_not_raise_its_cursor_would_begin_below_the_gate:
        CursorNotRaised, with_history(case(&[endpoint(4), FROM_OLDEST])), "beyond the capacity";
    a_joiner_that_gates_before_it_has_a_cursor_would_gate_with_that_of_its_predecessor:
        CursorAfterGating, with_history(case(&[endpoint(3), LEAVES, FROM_OLDEST])), "beyond the capacity";
    a_pin_that_outlives_its_owner_would_keep_the_next_one_from_being_evicted:
        PinNotReset, tight(killed(1, &[endpoint(3), SAMPLES, STALLED, EVICTOR])), "Full, and no live process";
    a_lossy_copy_that_is_not_checked_would_be_torn:
        LossyNotChecked, case(&[endpoint(6), lossy(Start::Now)]), "a torn or foreign value";
    a_lossy_copy_that_is_checked_before_it_is_made_would_be_torn:
        LossyCheckedBeforeCopy, case(&[endpoint(6), lossy(Start::Now)]), "a torn or foreign value";
    a_gating_copy_that_is_not_checked_would_be_torn_by_an_eviction:
        GatingNotChecked, tight(case(&[endpoint(4), FROM_NOW, EVICTOR])), "a torn or foreign value";
    a_sample_that_is_opened_without_a_check_would_be_overwritten:
        PinNotChecked, tight(case(&[endpoint(4), SAMPLES, EVICTOR])), "a live &T was overwritten";
    a_subscriber_that_waits_for_the_header_alone_would_not_learn_that_it_was_lapped:
        EvictedWaitsOn, tight(case(&[endpoint(4), FROM_NOW, EVICTOR])), "waits at";
}

#[test]
fn what_saves_time_alone_loses_nothing_when_it_is_left_out() {
    // A memory that is dropped before it is written anew is never half written, and neither is one
    // that its successor drops: either is enough.
    for flaw in [Flaw::MemoryNotDropped, Flaw::MemoryOfTheDead] {
        explore_without(flaw, killed(1, &[endpoint(4), FROM_NOW]));
        explore_without(flaw, with_history(killed(1, &[endpoint(3), LEAVES, FROM_OLDEST])));
    }
    // An evicted subscriber's cursor is its own.
    explore_without(Flaw::UnpinnedBeforeCursor, tight(case(&[endpoint(4), SAMPLES, EVICTOR])));
}
