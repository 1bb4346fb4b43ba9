//! Each transition of a word, one after the other.

use super::word::{BEAT_MASK, BEAT_SHIFT};
use super::*;

const OWN: Entry = Entry { index: 5, generation: 1 };

fn own_pid() -> u32 {
    std::process::id()
}

fn board(limit_ns: u64) -> Board {
    let board = Board::new(3).unwrap();
    board.begin(OWN, limit_ns);
    board
}

fn seat(number: u32) -> Seat {
    Seat { number, pid: own_pid() }
}

fn run(board: &Board, number: u32) -> Turn<'_> {
    match board.take(OWN, seat(number), true) {
        Taken::Run(turn) => turn,
        _ => panic!("it is to be run"),
    }
}

#[test]
fn a_chunk_is_cancelled_before_it_began_or_killed_while_it_runs() {
    let board = board(NO_LIMIT);
    assert_eq!(board.cancel(OWN), Ended::BeforeItBegan);
    assert!(matches!(board.take(OWN, seat(0), true), Taken::Cancelled));
    assert_eq!((board.cancel(OWN), board.kill(OWN)), (Ended::No, Ended::No));

    let again = Entry { generation: 2, ..OWN };
    board.begin(again, NO_LIMIT);
    assert!(matches!(board.take(OWN, seat(0), true), Taken::Cancelled), "of the generation before");
    let Taken::Run(_turn) = board.take(again, seat(0), true) else { panic!("it is to be run") };
    assert_eq!(board.judge(0, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
    assert_eq!((board.cancel(again), board.kill(OWN), board.kill(again)), (Ended::No, Ended::No, Ended::WhileItRan));
    assert_eq!(board.judge(0, own_pid(), 0), Verdict::Kill);
    assert!(matches!(board.take(again, seat(1), true), Taken::Killed));
    assert!(matches!(board.take(again, seat(1), false), Taken::Killed), "nor does it count as a death");
}

#[test]
fn a_chunk_that_is_done_is_ended_by_nothing() {
    let board = board(1);
    run(&board, 2).finish();
    assert_eq!((board.cancel(OWN), board.kill(OWN)), (Ended::No, Ended::No));
    assert_eq!(board.judge(2, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
    // Its worker died before the results were put: it is run again, or has died too often.
    assert!(matches!(board.take(OWN, seat(1), false), Taken::Died));
    assert_eq!(board.kill(OWN), Ended::No);
    assert_eq!(
        {
            run(&board, 1);
            board.kill(OWN)
        },
        Ended::WhileItRan
    );
}

#[test]
fn the_time_of_a_task_runs_while_it_runs() {
    let board = board(1_000);
    let mut turn = run(&board, 1);
    let Verdict::GoOn { until_ns } = board.judge(1, own_pid(), 0) else { panic!("it has just begun") };
    assert!(until_ns <= now_ns() + 1_000);
    turn.pause();
    assert_eq!(board.judge(1, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
    turn.resume();
    let Verdict::GoOn { until_ns: later } = board.judge(1, own_pid(), until_ns - 1) else { panic!("it has just begun") };
    assert!(later > until_ns);
    assert_eq!(board.judge(1, own_pid(), later), Verdict::Kill);
    assert!(matches!(board.take(OWN, seat(2), true), Taken::TimedOut(1_000)));
    assert_eq!((board.cancel(OWN), board.kill(OWN)), (Ended::No, Ended::No));
}

#[test]
fn a_task_that_has_gone_on_since_it_was_read_is_not_ended() {
    let board = board(1_000);
    let mut turn = run(&board, 1);
    let shared = board.entry(OWN.index, WORD);
    let read = shared.load(Acquire);
    turn.pause();
    turn.resume();
    assert_ne!(shared.load(Acquire), read, "the beat");
    assert_eq!(Word(shared.load(Acquire)).state(), state::RUNNING);
}

#[test]
fn a_worker_whose_chunk_is_at_another_seat_is_not_killed() {
    let board = board(1_000);
    // The worker of seat 0 has stopped just before it gave up its seat; the entry is used again.
    board.seat(0).store(seat_word(own_pid(), OWN.index + 1), Release);
    run(&board, 1);
    assert_eq!(board.judge(0, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
    board.kill(OWN);
    assert_eq!(board.judge(0, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
    assert_eq!(board.judge(1, own_pid() + 1, u64::MAX), Verdict::GoOn { until_ns: u64::MAX }, "another process");
    assert_eq!(board.judge(1, own_pid(), u64::MAX), Verdict::Kill);
}

#[test]
fn a_worker_that_ended_itself_is_known_whatever_its_entry_is_used_for() {
    let board = board(NO_LIMIT);
    run(&board, 1);
    assert!(!board.has_ended_itself(1, own_pid()));
    board.seat(1).store(seat_word(own_pid(), ENDED_ITSELF), Release);
    board.begin(Entry { generation: 2, ..OWN }, NO_LIMIT);
    assert!(board.has_ended_itself(1, own_pid()) && !board.has_ended_itself(1, own_pid() + 1));
    assert_eq!(board.judge(1, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
}

#[test]
fn a_retry_at_the_same_seat_has_the_whole_time() {
    let board = board(1_000_000_000);
    run(&board, 1); // and dies
    board.clear_seat(1);
    board.entry(OWN.index, BEGUN).store(0, Relaxed);
    assert_eq!(board.judge(1, own_pid(), u64::MAX), Verdict::GoOn { until_ns: u64::MAX });
    run(&board, 1);
    assert!(matches!(board.judge(1, own_pid(), now_ns()), Verdict::GoOn { until_ns } if until_ns > now_ns()));
}

#[test]
fn the_shortest_limit_falls_until_it_is_set() {
    let board = board(NO_LIMIT);
    assert_eq!(board.shortest_limit(), NO_LIMIT);
    assert!(!board.note_limit(NO_LIMIT) && board.note_limit(50) && !board.note_limit(60) && board.note_limit(40));
    assert_eq!(board.shortest_limit(), 40);
    board.set_shortest_limit(NO_LIMIT);
    assert_eq!(board.shortest_limit(), NO_LIMIT);
}

#[test]
fn words_hold_the_largest_seat_and_wrap_their_beat() {
    let word = Word::waiting(u32::MAX).running(499).with_state(state::HELD);
    assert_eq!((word.generation(), word.seat(), word.state()), (u32::MAX, 499, state::HELD));
    let last = Word(word.0 | BEAT_MASK << BEAT_SHIFT);
    assert_eq!(last.running(3).generation(), u32::MAX);
    assert_eq!(last.running(3).0 >> BEAT_SHIFT & BEAT_MASK, 0);
}
