//! Tests of whole runs. Those of the lines are beside them.

use crate::amdahl::bound;
use crate::lines::{Costs, Ps};
use crate::measured::{TWO_CORES, WITHIN};
use crate::ring::{Message, Ring};
use crate::run::{Setting, run};
use crate::shape::{CAPACITY, Shape, Turn, Way};

const MS: Ps = 1_000_000_000;

fn shape(way: Way, batch: u64, lanes: usize, turn: Turn) -> Shape {
    Shape { way, batch, lanes, turn, ..Shape::ONE_LANE }
}

fn setting(shape: Shape, costs: Costs, cores: usize, pairs: usize, until: Ps) -> Setting {
    Setting { shape, costs, cores, putters: pairs, getters: pairs, until, most: u64::MAX }
}

/// Of each kind: endpoints, one lane, lanes, batches; each actor on a core of its own, and not.
fn settings(until: Ps) -> Vec<Setting> {
    let mut settings = Vec::new();
    for batch in [1, 32] {
        settings.push(setting(shape(Way::Endpoints, batch, 1, Turn::Home), Costs::NEAR, 2, 1, until));
        for (lanes, turn) in [(1, Turn::Home), (2, Turn::Next), (4, Turn::Home)] {
            for (cores, pairs) in [(2, 1), (8, 4), (32, 16), (2, 4)] {
                for costs in [Costs::NEAR, Costs::FAR] {
                    if pairs >= lanes {
                        settings.push(setting(shape(Way::Queue, batch, lanes, turn), costs, cores, pairs, until));
                    }
                }
            }
        }
    }
    settings
}

#[test]
fn a_run_is_repeated_exactly() {
    for setting in settings(MS / 10) {
        assert_eq!(run(setting), run(setting), "{setting:?}");
    }
}

/// What arrives is checked record by record as well, in `Ring::take`.
#[test]
fn no_message_is_lost() {
    for mut setting in settings(60 * MS) {
        setting.shape.each = 1_600;
        let outcome = run(setting);
        let all = setting.putters as u64 * setting.shape.each;
        assert_eq!((outcome.put, outcome.taken, outcome.left), (all, all, 0), "{setting:?}");
    }
}

#[test]
#[should_panic(expected = "not there")]
fn a_record_that_is_not_there_is_not_taken() {
    Ring::new(0, CAPACITY, 64, 1).take(0);
}

#[test]
#[should_panic(expected = "changed places")]
fn messages_of_one_putter_do_not_change_places() {
    let mut ring = Ring::new(0, CAPACITY, 64, 1);
    for (position, number) in [(0, 1), (1, 0)] {
        ring.set_ready(position, Message { putter: 0, number }, 0);
        ring.move_tail(1, 0);
        ring.take(position);
    }
}

#[test]
#[should_panic(expected = "not reclaimed")]
fn a_record_is_not_put_over_another() {
    let mut ring = Ring::new(0, 4, 64, 1);
    for position in 0..5 {
        ring.set_ready(position, Message { putter: 0, number: position }, 0);
        ring.move_tail(1, 0);
    }
}

#[test]
fn the_bound_of_the_locks_is_never_exceeded() {
    for work in [0, MS / 1000] {
        for mut setting in settings(MS) {
            setting.shape.work = work;
            // A getter may take in the measured part what was put before.
            let kept = (CAPACITY * setting.shape.lanes as u64) as f64 / (0.8 * MS as f64 / 1e6);
            let bound = bound(&setting.shape, &setting.costs, setting.putters.min(setting.cores));
            let rate = run(setting).rate;
            assert!(rate <= bound + kept, "{rate} of {bound}: {setting:?}");
        }
    }
}

#[test]
fn the_model_is_near_what_was_measured_on_two_cores() {
    for row in TWO_CORES {
        let ratio = row.modelled(Costs::NEAR).rate / row.rate;
        assert!(ratio < WITHIN && ratio > 1.0 / WITHIN, "{}: {ratio}", row.name);
    }
}

/// Measured: 3 - 5 times.
#[test]
fn far_apart_all_is_two_to_five_times_slower() {
    for row in TWO_CORES.iter().filter(|row| row.pairs == 1) {
        let ratio = row.modelled(Costs::NEAR).rate / row.modelled(Costs::FAR).rate;
        assert!((1.9..5.0).contains(&ratio), "{}: {ratio}", row.name);
    }
}
