//! Options of the builder: those that an existing topic does not have, and those that it cannot
//! have.

use crate::support::harness::Case;
use crate::support::unique_name;
use shmq::{CreateError, Topic};

pub fn cases() -> Vec<Case> {
    crate::cases![
        options_that_an_existing_topic_does_not_have_are_listed,
        a_topic_of_slices_is_bounded_in_bytes,
        the_number_of_subscribers_has_bounds,
    ]
}

fn options_that_an_existing_topic_does_not_have_are_listed() {
    let name = unique_name("topic-options");
    let first = || Topic::<u64>::builder().name(&name).capacity(8).history(3).max_subscribers(7).max_lag_before_evict(8);
    let topic = first().create().unwrap();
    assert_eq!(topic.unapplied_options(), []);
    assert_eq!(first().open_or_create().unwrap().unapplied_options(), [], "the same options");
    assert_eq!(Topic::<u64>::open(&name).unwrap().unapplied_options(), [], "nothing was asked for");
    let other = Topic::<u64>::builder().name(&name).capacity(9).history(0).max_subscribers(62).max_lag_before_evict(0);
    let other = other.open_or_create().unwrap();
    let found: Vec<String> = other.unapplied_options().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "capacity: asked for 9, is 8",
            "history: asked for 0, is 3",
            "max_subscribers: asked for 62, is 7",
            "max_lag_before_evict: asked for 0, is 8"
        ]
    );
}

fn a_topic_of_slices_is_bounded_in_bytes() {
    for asked in [0, 1, 100] {
        let refused = Topic::<[u8]>::builder().capacity(asked).create().unwrap_err();
        assert!(matches!(refused, CreateError::OutOfRange { option: "capacity", max: 0, .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains("must be left out") && text.contains("capacity_bytes"), "{text}");
    }
    assert!(Topic::<[u8]>::builder().capacity_bytes(4096).create().is_ok());
}

fn the_number_of_subscribers_has_bounds() {
    for asked in [0, 1001] {
        let refused = Topic::<u64>::builder().capacity(1).max_subscribers(asked).create().unwrap_err();
        assert!(matches!(refused, CreateError::OutOfRange { option: "max_subscribers", min: 1, max: 1000, .. }), "{refused:?}");
    }
    assert!(Topic::<u64>::builder().capacity(1).max_subscribers(1000).create().is_ok());
}
