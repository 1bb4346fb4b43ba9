//! What is explored, and the tests that must fail.

use super::{Brings, Flaw, Kind, State};
use crate::lock::model::explore;

const SMALL: Kind = Kind::Putter([Some(Brings::Small), None]);
const SPILLS: Kind = Kind::Putter([Some(Brings::Spilled), None]);
const SPILLS_TWICE: Kind = Kind::Putter([Some(Brings::Spilled), Some(Brings::Spilled)]);
const SPILLS_THEN_SMALL: Kind = Kind::Putter([Some(Brings::Spilled), Some(Brings::Small)]);
const ABANDONS: Kind = Kind::Putter([Some(Brings::Abandoned), None]);
const ABANDONS_THEN_SPILLS: Kind = Kind::Putter([Some(Brings::Abandoned), Some(Brings::Spilled)]);
const GETS: Kind = Kind::Getter { messages: 1, gives_back: 0 };
const GETS_TWICE: Kind = Kind::Getter { messages: 2, gives_back: 0 };
const GIVES_BACK: Kind = Kind::Getter { messages: 1, gives_back: 1 };
const RECOVERS: Kind = Kind::Recoverer { gives_up: false };
const GIVES_UP: Kind = Kind::Recoverer { gives_up: true };
const SWEEPS: Kind = Kind::Sweeper;

fn all(kills: u32, cases: &[&[Kind]]) -> usize {
    cases.iter().map(|kinds| explore(State::new(kinds), kills)).sum()
}

fn explore_without(flaw: Flaw, kills: u32, kinds: &[Kind]) {
    explore(State { flaw, ..State::new(kinds) }, kills);
}

#[test]
fn no_object_is_lost_and_no_file_is_left_by_two_deaths() {
    let states = all(
        2,
        &[
            &[SPILLS, GETS, GETS],
            &[SPILLS, SPILLS, GETS],
            &[SPILLS_TWICE, GETS_TWICE, RECOVERS],
            &[SPILLS_THEN_SMALL, GETS_TWICE, GETS],
            &[SPILLS, GIVES_BACK, RECOVERS],
            &[SPILLS, GETS, GIVES_UP],
            &[SPILLS_TWICE, GIVES_BACK, GIVES_UP],
            &[SPILLS, SMALL, SPILLS],
        ],
    );
    println!("{states} states");
    assert!(states > 10_000, "{states} states are not all");
}

#[test]
fn a_position_that_is_used_again_keeps_its_new_file() {
    let states = all(
        2,
        &[
            &[ABANDONS, SPILLS, GETS],
            &[ABANDONS_THEN_SPILLS, SPILLS, GETS],
            &[ABANDONS_THEN_SPILLS, GETS, RECOVERS],
            &[ABANDONS, SPILLS, SMALL],
            &[SPILLS, SPILLS_THEN_SMALL, RECOVERS],
            &[ABANDONS_THEN_SPILLS, GIVES_BACK, GIVES_UP],
        ],
    );
    println!("{states} states");
}

#[test]
fn a_sweep_removes_what_is_finished_and_nothing_else() {
    let states = all(
        2,
        &[
            &[SPILLS_TWICE, GETS_TWICE, SWEEPS],
            &[ABANDONS_THEN_SPILLS, GETS, SWEEPS],
            &[ABANDONS_THEN_SPILLS, GIVES_BACK, SWEEPS],
            &[SPILLS, RECOVERS, SWEEPS],
            &[SPILLS_THEN_SMALL, GIVES_UP, SWEEPS],
            &[ABANDONS, SPILLS, SWEEPS],
        ],
    );
    println!("{states} states");
}

/// Tests that must fail: each leaves one rule out.
macro_rules! fails {
    ($($name:ident: $flaw:ident, $kills:literal, $kinds:expr, $message:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $message)]
            fn $name() {
                explore_without(Flaw::$flaw, $kills, &$kinds);
            }
        )+
    };
}

fails! {
    a_commit_before_the_file_would_lose_the_object:
        CommitsBeforeCreate, 1, [SPILLS, GETS], "a committed object without its file";
    a_commit_before_the_file_is_whole_would_tear_the_object:
        CommitsBeforeFill, 1, [SPILLS, GETS], "a committed object without its file";
    a_file_before_its_claim_would_be_left:
        CreatesBeforeClaim, 1, [SPILLS, GETS], "a file is left";
    an_owner_that_aborts_first_would_unlink_a_later_puts_file:
        OwnerUnlinksAfterAbort, 0, [ABANDONS, SPILLS], "a committed object without its file";
    an_owner_that_does_not_unlink_would_leave_its_file:
        OwnerDoesNotUnlink, 0, [ABANDONS], "a file is left";
    a_claim_that_is_not_read_again_would_lose_what_its_owner_committed_before_it_died:
        ClaimNotReadAgain, 1, [SPILLS, GETS], "a committed object without its file";
    an_aborter_that_aborts_first_would_leave_the_file_at_its_death:
        OthersUnlinkAfterAbort, 2, [SPILLS, SPILLS], "a file is left";
    an_aborter_that_does_not_unlink_would_leave_the_file:
        OthersDoNotUnlink, 1, [SPILLS, RECOVERS], "a file is left";
    a_put_side_that_does_not_unlink_would_leave_the_file:
        PutSideDoesNotUnlink, 2, [SPILLS, SPILLS], "a file is left";
    an_unlink_before_the_end_of_the_lease_would_lose_the_object:
        UnlinksBeforeDone, 1, [SPILLS, GETS], "a committed object without its file";
    an_unlink_of_what_is_given_back_would_lose_the_object:
        UnlinksWhatIsGivenBack, 0, [SPILLS, GIVES_BACK], "a committed object without its file";
    a_getter_that_does_not_unlink_would_leave_the_file:
        GetterDoesNotUnlink, 0, [SPILLS, GETS], "a file is left";
    a_sweep_ahead_of_head_would_unlink_a_later_puts_file:
        SweepsAhead, 0, [ABANDONS_THEN_SPILLS, SWEEPS], "a committed object without its file";
    a_sweep_that_reads_the_header_before_head_would_unlink_a_leased_object:
        HeaderBeforeHead, 0, [ABANDONS_THEN_SPILLS, GETS, SWEEPS], "a committed object without its file";
    a_sweep_of_leased_objects_would_lose_them:
        SweepsLeases, 0, [SPILLS, GETS, SWEEPS], "a committed object without its file";
    a_sweep_that_does_not_read_reclaim_would_leave_files:
        ReclaimNotRead, 1, [SPILLS_TWICE, SPILLS_TWICE, GETS], "a file is left";
}

#[test]
fn what_saves_time_alone_loses_nothing_when_it_is_left_out() {
    // The sweep finds it.
    explore_without(Flaw::GivenUpIsNotUnlinked, 2, &[SPILLS, GETS, GIVES_UP]);
    // A position that is claimed has no file, unless an unlink was refused.
    for kinds in [[ABANDONS_THEN_SPILLS, SPILLS, GETS], [SPILLS, SPILLS, RECOVERS]] {
        explore_without(Flaw::StaleFileKept, 2, &kinds);
    }
}
