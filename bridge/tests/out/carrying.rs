//! What is carried, and how a bridge ends.

use crate::rig::{Folder, Running, SOON, bridge, work_queue};
use crate::stage::{Stage, forget_journal, landed, out};
use crate::support::{unique_name, wait_at_most};
use shmq::{DynQueue, MessageLayout, Queue};
use shmq_bridge::headers;

pub fn what_is_put_lands_once_in_order_and_with_its_headers() {
    let stage = Stage::new();
    stage.put(0..50);
    let mut bridge = stage.carrying(&["--create", "--retention", "limits"]);
    for number in 50..3000 {
        stage.put(number..number + 1);
    }
    stage.wait_for_last(3000);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    assert!(stage.queue.is_empty());
    stage.expect_in_order(0..3000);
    let messages = stage.landed();
    let nonce = stage.queue.nonce().to_be_bytes();
    assert!(messages.iter().all(|message| message.id.to_bytes()[..8] == nonce));
    assert!(messages.windows(2).all(|two| two[0].id < two[1].id && two[0].sequence + 1 == two[1].sequence));
    assert_eq!(messages[0].headers.get(headers::TYPE).map(|value| value.as_str()), Some("slice 1 1 u8"));
    // It goes on where it ended.
    let mut bridge = stage.carrying(&[]);
    stage.put(3000..3010);
    stage.wait_for_last(3010);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    stage.expect_in_order(0..3010);
}

pub fn values_and_encoded_objects_of_any_size_land() {
    let stage = Stage::new();
    let (values, objects) = (unique_name("values"), unique_name("objects"));
    let ticks = Queue::<u64>::builder().name(&values).capacity(16).persist(true).create().unwrap();
    let layout = MessageLayout::encoded();
    // Most of these are larger than the ring.
    let encoded = DynQueue::builder(layout).name(&objects).capacity_bytes(4096).persist(true).create().unwrap();
    let url = stage.server.url();
    let start = |name: &str, stream: &str| {
        let mut bridge =
            Running::start(out(name, stream, &url, &["--create", "--retention", "limits"]), name, stage.folder.path());
        bridge.wait_for("carrying", SOON);
        bridge
    };
    let mut bridges = [start(&values, "VALUES"), start(&objects, "OBJECTS")];
    let sizes = [10, 200_000, 0, 1000, 900_000, 3000];
    for (number, &size) in sizes.iter().enumerate() {
        ticks.put_timeout(&(number as u64), SOON).unwrap();
        encoded.put_timeout(&vec![number as u8; size], SOON).unwrap();
    }
    for (queue, stream) in [("values", "VALUES"), ("objects", "OBJECTS")] {
        let all = || stage.admin.state(stream).last_sequence == sizes.len() as u64;
        wait_at_most(SOON, &format!("all of {queue}"), all, || format!("{:?}", stage.admin.state(stream)));
    }
    let landed_values: Vec<Vec<u8>> = landed(&stage.admin, "VALUES").into_iter().map(|message| message.payload).collect();
    assert_eq!(landed_values, (0..6u64).map(|number| number.to_ne_bytes().to_vec()).collect::<Vec<_>>());
    for (number, message) in landed(&stage.admin, "OBJECTS").into_iter().enumerate() {
        assert_eq!((message.payload.len(), message.payload.iter().all(|&byte| byte == number as u8)), (sizes[number], true));
        assert_eq!(message.headers.get(headers::TYPE).map(|value| value.as_str()), Some("encoded 1 1"));
    }
    for bridge in &mut bridges {
        assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    }
    for name in [values, objects] {
        Queue::<u64>::unlink(&name).unwrap();
        forget_journal(&name);
    }
}

pub fn a_closed_queue_is_drained_and_ends_the_bridge() {
    let stage = Stage::new();
    stage.put(0..100);
    stage.queue.close();
    let mut bridge = stage.bridge(&["--create", "--retention", "limits"]);
    assert_eq!(bridge.wait(SOON), 0, "{}", bridge.end_of_log());
    stage.expect_in_order(0..100);
}

pub fn a_full_stream_delays_and_loses_nothing() {
    let stage = Stage::new();
    let mut bridge = stage.carrying(&["--create", "--max-messages", "100"]);
    stage.put(0..500);
    bridge.wait_for("the stream is full", SOON);
    let mut next = 0;
    stage.admin.wait(async {
        use futures_util::StreamExt;
        let stream = stage.admin.jetstream().get_stream(&stage.stream).await.unwrap();
        let config = async_nats::jetstream::consumer::pull::Config { durable_name: Some("test".into()), ..Default::default() };
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        while next < 500 {
            let message = messages.next().await.unwrap().unwrap();
            assert_eq!(crate::rig::roles::number_of(&message.payload), next);
            message.double_ack().await.unwrap();
            next += 1;
        }
    });
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    assert_eq!(stage.admin.state(&stage.stream).last_sequence, 500);
}

pub fn a_full_stream_ends_the_bridge_if_asked() {
    let stage = Stage::new();
    stage.put(0..200);
    let mut bridge = stage.bridge(&["--create", "--retention", "limits", "--max-messages", "100", "--on-full", "stop"]);
    assert_eq!(bridge.wait(SOON), 14, "{}", bridge.end_of_log());
    assert!(bridge.output().contains("is full"), "{}", bridge.end_of_log());
    stage.expect_in_order(0..100);
    // All others are in the queue.
    let left: Vec<u64> = (0..100).map(|_| crate::rig::roles::number_of(&stage.queue.get_timeout(SOON).unwrap())).collect();
    assert!(left.into_iter().eq(100..200));
}

pub fn what_is_under_way_at_the_end_comes_first_later() {
    let stage = Stage::new();
    let proxy = crate::rig::Proxy::start(stage.server.address());
    let mut config = work_queue(&stage.stream);
    config.retention = async_nats::jetstream::stream::RetentionPolicy::Limits;
    stage.admin.make(config);
    let mut bridge = Running::start(
        stage.command_at(&proxy.url(), &["--drain", "500ms", "--ack-timeout", "200ms"]),
        "bridge",
        stage.folder.path(),
    );
    bridge.wait_for("carrying", SOON);
    proxy.hold();
    stage.put(0..20);
    bridge.wait_for("no ack for 200ms", SOON);
    assert_eq!(bridge.terminate(SOON), 15, "{}", bridge.end_of_log());
    drop(proxy);
    let mut bridge = stage.carrying(&[]);
    stage.put(20..30);
    stage.wait_for_last(30);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    stage.expect_in_order(0..30);
}

pub fn several_queues_are_carried_by_one_file() {
    let stage = Stage::new();
    let names = [unique_name("a"), unique_name("b")];
    let queues = names.clone().map(|name| crate::rig::roles::queue(&name));
    let folder = Folder::new();
    let file = folder.path().join("bridge.toml");
    let mut text = format!("[server]\nserver = [\"{}\"]\n", stage.server.url());
    for (name, stream) in names.iter().zip(["A", "B"]) {
        text += &format!("[[out]]\nqueue = \"{name}\"\nstream = \"{stream}\"\ncreate = true\nretention = \"limits\"\n");
    }
    std::fs::write(&file, text).unwrap();
    let mut command = bridge();
    command.arg("run").arg(&file).arg("--plain-logs");
    let mut running = Running::start(command, "several", folder.path());
    for (nth, queue) in queues.iter().enumerate() {
        (0..100).for_each(|number| queue.put_timeout(&crate::rig::roles::message(number), SOON).unwrap());
        let all = || running.output().matches("carrying").count() == 2 && stage.admin.state(["A", "B"][nth]).last_sequence == 100;
        wait_at_most(SOON, "all of a queue", all, || running.end_of_log());
    }
    assert_eq!(running.terminate(SOON), 0, "{}", running.end_of_log());
    for name in names {
        Queue::<[u8]>::unlink(&name).unwrap();
        forget_journal(&name);
    }
}
