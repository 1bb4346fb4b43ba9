//! What is read from a segment, and what is compared with it.

use super::{TICK, Tick};
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::unique_name;
use shmq::{CreateError, DynQueue, DynTopic, Form, MessageLayout, OpenError, Queue, Topic};

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_layout_of_any_queue_is_read_from_its_segment,
        a_queue_made_by_layout_is_opened_by_type,
        a_layout_is_compared_as_a_type_is,
        a_layout_that_names_no_type_is_compared_by_its_structure,
        a_creator_that_says_nothing_of_the_type_is_opened_by_layout_only,
        what_is_no_queue_is_refused,
        nothing_is_created_without_a_layout,
        text_of_the_creators_choice_is_compared_with_such_text,
        a_long_structure_is_read_as_far_as_it_is_kept,
        a_queue_of_another_layout_in_use_is_not_replaced,
        a_builder_of_any_layout_reports_what_did_not_take_effect,
    ]
}

fn tick() -> MessageLayout {
    MessageLayout::value(24, 8).unwrap().structure(TICK).unwrap()
}

fn the_layout_of_any_queue_is_read_from_its_segment() {
    let values = Queue::<Tick>::builder().capacity(3).schema("tick/2").create().unwrap();
    let layout = DynQueue::open(values.name()).unwrap().layout().clone();
    assert_eq!(layout, MessageLayout::of::<Tick>().schema("tick/2").unwrap());
    assert_eq!((layout.form(), layout.size(), layout.align()), (Form::Value, 24, 8));
    assert_eq!((layout.structure_text(), layout.name_of_type()), (Some(TICK), Some("Tick")));
    let fields: Vec<_> = layout.fields().into_iter().map(|field| (field.name, field.offset, field.size)).collect();
    assert_eq!(fields, [("price".to_owned(), 0, 8), ("volume".to_owned(), 8, 8), ("sizes".to_owned(), 16, 8)]);

    let slices = Queue::<[Tick]>::builder().capacity_bytes(4096).create().unwrap();
    let layout = DynQueue::open(slices.name()).unwrap().layout().clone();
    assert_eq!(layout, MessageLayout::of::<[Tick]>());
    assert_eq!((layout.form(), layout.size()), (Form::Slice, 24));

    #[cfg(feature = "object")]
    {
        let objects = shmq::ObjectQueue::<String>::new(4).unwrap();
        let layout = DynQueue::open(objects.name()).unwrap().layout().clone();
        assert_eq!((layout.form(), layout.name_of_type()), (Form::Encoded, Some("String as MessagePack")));
    }

    let topic = Topic::<Tick>::new(8).unwrap();
    assert_eq!(*DynTopic::open(topic.name()).unwrap().layout(), MessageLayout::of::<Tick>());
}

fn a_queue_made_by_layout_is_opened_by_type() {
    let (name, slices) = (unique_name("by-layout"), unique_name("slices-by-layout"));
    let queue = DynQueue::create(&name, tick(), 4).unwrap();
    let of_slices = DynQueue::create(&slices, MessageLayout::slice(24, 8).unwrap().structure(TICK).unwrap(), 4).unwrap();
    let opener = fork("a typed opener", || {
        assert_eq!(Queue::<Tick>::open(&name).unwrap().get().unwrap(), Tick::numbered(5));
        assert_eq!(Queue::<[Tick]>::open(&slices).unwrap().get().unwrap(), [Tick::numbered(6); 2]);
        // Of another kind, name or structure.
        for refused in [
            Queue::<[Tick]>::open(&name).unwrap_err(),
            Queue::<[u64; 3]>::open(&name).unwrap_err(),
            Queue::<u64>::open(&slices).unwrap_err(),
        ] {
            assert!(matches!(refused, OpenError::Mismatch { .. }), "{refused}");
        }
    });
    queue.put(&Tick::bytes(5)).unwrap();
    of_slices.put(&[Tick::bytes(6), Tick::bytes(6)].concat()).unwrap();
    opener.expect_success();
}

/// The text is that of the typed open.
fn a_layout_is_compared_as_a_type_is() {
    mod other {
        #[shmq::message]
        pub struct Tick {
            pub price: f64,
            pub amount: u64,
            pub sizes: [u32; 2],
        }
    }
    let queue = Queue::<Tick>::new(4).unwrap();
    let typed = Queue::<other::Tick>::open(queue.name()).unwrap_err();
    let by_layout = DynQueue::open_as(queue.name(), MessageLayout::of::<other::Tick>()).unwrap_err();
    assert_eq!(typed.to_string(), by_layout.to_string());
    let (OpenError::Mismatch { ours, theirs, .. }, said) = (&by_layout, by_layout.to_string()) else { panic!("{by_layout}") };
    assert!(ours.contains("amount@8") && theirs.contains("volume@8"), "{said}");
    assert!(said.contains("they differ first at byte 8: the field `volume` there, `amount` here"), "{said}");
    DynQueue::open_as(queue.name(), MessageLayout::of::<Tick>()).unwrap();

    for (other, what) in [
        (MessageLayout::of::<[Tick]>(), "slices of type Tick"),
        (MessageLayout::of::<u64>(), "messages of type u64 (8 bytes)"),
        (MessageLayout::value(24, 4).unwrap(), "messages of type that is not named (24 bytes, aligned to 4)"),
        (MessageLayout::encoded(), "encoded objects of type that is not named"),
    ] {
        let refused = DynQueue::open_as(queue.name(), other).unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
    // The same schema of one's own takes precedence over the structure.
    let named = Queue::<Tick>::builder().capacity(1).schema("tick/2").create().unwrap();
    let renamed = MessageLayout::of::<other::Tick>().type_name("Tock").schema("tick/2").unwrap();
    let refused = DynQueue::open_as(named.name(), renamed.clone()).is_err();
    let typed = Queue::<other::Tick>::builder().name(named.name()).schema("tick/2").open().is_err();
    assert_eq!(refused, typed);
    assert!(DynQueue::open_as(named.name(), renamed.schema("tick/3").unwrap()).is_err());
}

fn a_layout_that_names_no_type_is_compared_by_its_structure() {
    let queue = Queue::<Tick>::new(4).unwrap();
    DynQueue::open_as(queue.name(), tick()).unwrap();
    DynQueue::open_as(queue.name(), MessageLayout::value(24, 8).unwrap()).unwrap();
    let other = MessageLayout::value(24, 8).unwrap().structure("[u64; 3]").unwrap();
    assert!(matches!(DynQueue::open_as(queue.name(), other), Err(OpenError::Mismatch { .. })));
    // And so is one that names another type.
    let renamed = tick().type_name("Tock");
    assert!(matches!(DynQueue::open_as(queue.name(), renamed), Err(OpenError::Mismatch { .. })));
}

fn a_creator_that_says_nothing_of_the_type_is_opened_by_layout_only() {
    let plain = MessageLayout::value(8, 8).unwrap();
    let queue = DynQueue::new(plain.clone(), 4).unwrap();
    assert!(matches!(Queue::<u64>::open(queue.name()), Err(OpenError::Mismatch { .. })));
    assert!(matches!(DynQueue::open_as(queue.name(), MessageLayout::of::<u64>()), Err(OpenError::Mismatch { .. })));
    DynQueue::open_as(queue.name(), plain.clone()).unwrap();
    // Text that is no structural schema says nothing about a type either.
    let queue = DynQueue::new(plain.structure("a number").unwrap(), 4).unwrap();
    assert!(matches!(Queue::<u64>::open(queue.name()), Err(OpenError::Mismatch { .. })));
    // A schema on both sides stands for the name.
    let named = DynQueue::new(MessageLayout::value(8, 8).unwrap().schema("id/1").unwrap(), 4).unwrap();
    Queue::<u64>::builder().name(named.name()).schema("id/1").open().unwrap();
    assert!(Queue::<u64>::builder().name(named.name()).schema("id/2").open().is_err());
}

fn what_is_no_queue_is_refused() {
    let (queue, topic) = (Queue::<u64>::new(4).unwrap(), Topic::<u64>::new(8).unwrap());
    let mutex = shmq::sync::Mutex::new(1u64).unwrap();
    for refused in [DynQueue::open(topic.name()).unwrap_err(), DynQueue::open(mutex.name()).unwrap_err()] {
        assert!(refused.to_string().contains("a queue of any messages"), "{refused}");
    }
    for refused in [DynTopic::open(queue.name()).unwrap_err(), DynTopic::open(mutex.name()).unwrap_err()] {
        assert!(refused.to_string().contains("a topic of any messages"), "{refused}");
    }
    assert!(DynQueue::open(unique_name("none")).unwrap_err().is_not_found());
}

fn nothing_is_created_without_a_layout() {
    let name = unique_name("no-layout");
    assert!(matches!(DynQueue::builder(None).name(&name).capacity(4).create(), Err(CreateError::NoLayout)));
    assert!(matches!(DynTopic::builder(None).name(&name).capacity(4).open_or_create(), Err(CreateError::NoLayout)));
    assert!(DynQueue::open(&name).unwrap_err().is_not_found());
}

fn text_of_the_creators_choice_is_compared_with_such_text() {
    let said = |text: &str| MessageLayout::value(8, 8).unwrap().structure(text).unwrap();
    let queue = DynQueue::new(said("ticks, as of May"), 4).unwrap();
    assert_eq!(queue.layout().structure_text(), Some("ticks, as of May"));
    assert!(queue.layout().fields().is_empty());
    DynQueue::open_as(queue.name(), said("ticks, as of May")).unwrap();
    let refused = DynQueue::open_as(queue.name(), said("ticks, as of June")).unwrap_err();
    assert!(refused.to_string().contains("June"), "{refused}");
}

fn a_long_structure_is_read_as_far_as_it_is_kept() {
    let fields: Vec<String> = (0..600).map(|n| format!("field{n}@{n}: u8")).collect();
    let text = format!("{{{}}}", fields.join(", "));
    let layout = MessageLayout::value(600, 1).unwrap().structure(text.as_str()).unwrap();
    let queue = DynQueue::new(layout.clone(), 4).unwrap();
    let read = DynQueue::open(queue.name()).unwrap().layout().clone();
    assert!(read.is_structure_cut() && text.starts_with(read.structure_text().unwrap()));
    assert!(read.fields().is_empty());
    // The whole text is compared, and what was cut is not.
    DynQueue::open_as(queue.name(), layout).unwrap();
    DynQueue::open_as(queue.name(), read).unwrap();
    let other = MessageLayout::value(600, 1).unwrap().structure(text.replace("field599", "field5xx")).unwrap();
    assert!(matches!(DynQueue::open_as(queue.name(), other), Err(OpenError::Mismatch { .. })));
}

fn a_queue_of_another_layout_in_use_is_not_replaced() {
    let name = unique_name("in-use");
    let queue = Queue::<u64>::create(&name, 4).unwrap();
    queue.put(&7).unwrap();
    let refused = DynQueue::open_or_create(&name, tick(), 4).unwrap_err();
    assert!(matches!(refused, CreateError::Mismatch { .. }), "{refused}");
    let same = DynQueue::open_or_create(&name, MessageLayout::of::<u64>(), 9).unwrap();
    assert_eq!((same.get().unwrap(), same.capacity()), (7u64.to_ne_bytes().to_vec(), 4));
}

fn a_builder_of_any_layout_reports_what_did_not_take_effect() {
    let queue = Queue::<Tick>::new(4).unwrap();
    let same = DynQueue::builder(None).name(queue.name()).capacity(4).max_participants(7).open().unwrap();
    let options: Vec<_> = same.unapplied_options().iter().map(|option| option.option).collect();
    assert_eq!(options, ["max_participants"]);
}
