//! What `ls`, `stat`, `schema` and `peek` show, as text and as JSON: of live queues, of garbage, of
//! other users' queues, of no queue.

use crate::command::{Name, bytes, feed, run, run_with, shmq, wait_for};
use crate::peers;
use crate::schema;
use serde_json::{Value, json};
use shmq::Queue;
use shmq::inspect::Inspector;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

/// The line of `ls` that is about this queue.
#[track_caller]
fn line(name: &str) -> String {
    let ran = run(&["ls"]).expect(0);
    let found = ran.text().lines().find(|line| line.split_whitespace().next() == Some(name)).map(str::to_owned);
    found.unwrap_or_else(|| panic!("{name} is not in:\n{}", ran.text()))
}

#[test]
fn ls_shows_each_queue_in_a_line() {
    let name = Name::new("ls");
    let queue = Queue::<u64>::builder().name(&*name).capacity(10).schema("answer/1").create().expect("created");
    queue.put_slice(&[1, 2, 3]).expect("room");
    let getter = peers::start_and_see("lessee", &name, |seen, _| seen.on_lease == 1);
    let shown = line(&name);
    for word in
        ["in use", "u64 answer/1", " 2 ", " 10 ", "16 B", &format!("{} cli", std::process::id()), &getter.pid().to_string()]
    {
        assert!(shown.contains(word), "{word:?} is not in {shown}");
    }
    queue.close();
    assert!(line(&name).contains("closed"));
}

#[test]
fn schema_shows_what_the_messages_are() {
    let name = Name::new("schema");
    let settings = Queue::<[u64; 2]>::builder().name(&*name).capacity(10).schema("tick/1");
    let _queue = settings.structure("{price: f64,\n volume: u64}\u{1b}[2J").create().expect("created");
    let ran = run(&["schema", &name]).expect(0);
    let text = ran.text();
    for word in ["[u64; 2] tick/1", "16 bytes", "{price: f64,", "volume: u64}\\u{1b}"] {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
    let printed = run(&["schema", &name, "--json"]).expect(0).json();
    schema::check(&printed, "schema");
    assert_eq!(printed["structure"], "{price: f64,\n volume: u64}\u{1b}[2J");
    assert!(run(&["stat", &name, "-i", "0"]).expect(0).text().contains("{price: f64,"));
    run(&["schema", "no-such-queue"]).expect(3);
}

#[test]
fn ls_prints_json_as_the_schema_says() {
    let name = Name::new("json");
    let queue = Queue::<u64>::create(&*name, 10).expect("created");
    queue.put_slice(&[1, 2, 3]).expect("room");
    let lessee = peers::start_and_see("lessee", &name, |seen, _| seen.on_lease == 1);
    let all = run(&["ls", "--json"]).expect(0).json();
    schema::check(&all, "ls");
    let one = run(&["ls", "--json", &name]).expect(0).json();
    let one = &one.as_array().expect("a list")[0];
    schema::check(one, "queue");
    assert_eq!(all.as_array().unwrap().iter().filter(|queue| queue["name"] == *name).count(), 1);
    assert_eq!(
        (&one["messages"], &one["bytes"], &one["capacity"], &one["type"]),
        (&json!(2), &json!(16), &json!(10), &json!("u64"))
    );
    let held = &one["holdings"][0];
    assert_eq!((&held["what"], &held["pid"], &held["alive"]), (&json!("lease"), &json!(lessee.pid()), &json!(true)));
    let participants: Vec<&Value> =
        one["participants"].as_array().unwrap().iter().map(|participant| &participant["pid"]).collect();
    assert_eq!(participants, [&json!(std::process::id()), &json!(lessee.pid())]);
}

#[test]
fn stat_prints_everything() {
    let name = Name::new("stat");
    let queue = Queue::<u64>::create(&*name, 2).expect("created");
    let producer = peers::start_and_see("producer", &name, |seen, pid| {
        seen.participants.iter().any(|participant| participant.pid == pid && participant.put_waits.is_some())
    });
    queue.get().expect("a message");
    let lease = queue.lease().expect("a message");
    // The producer goes on, and waits again for the room that the lease takes.
    let waits_again = || {
        let seen = Inspector::open(&*name).expect("it is there").snapshot();
        let waits =
            seen.participants.iter().any(|participant| participant.pid == producer.pid() && participant.put_waits.is_some());
        seen.stats.puts >= 3 && seen.stats.blocked_puts >= 1 && waits
    };
    wait_for(&name, "the producer to wait again", waits_again);
    let printed = run(&["stat", &name, "--json", "--interval", "0.01"]).expect(0).json();
    schema::check(&printed, "stat");
    let stats = &printed["stats"];
    assert!(stats["puts"].as_u64() >= Some(3) && stats["gets"] == 2 && stats["high_water"] == 2, "{printed:#}");
    assert!(stats["blocked_puts"].as_u64() >= Some(1) && stats["blocked_put_s"].as_f64() > Some(0.0), "{printed:#}");
    assert!(printed["rates"]["interval_s"].as_f64() >= Some(0.01), "{printed:#}");
    assert_eq!(run(&["stat", &name, "--json", "-i", "0"]).expect(0).json()["rates"], Value::Null);
    let text = run(&["stat", &name, "-i", "0.01"]).expect(0);
    for word in ["blocked puts", "high water", "PUT WAITS", "lease", "wakes", &producer.pid().to_string()] {
        assert!(text.text().contains(word), "{word:?} is not in {}", text.text());
    }
    lease.release();
    run(&["stat", "no-such-queue"]).expect(3);
}

#[test]
fn stat_prints_the_owner_of_a_side_and_for_how_long() {
    let name = Name::new("endpoint");
    let _queue = Queue::<u64>::create(&*name, 2).expect("created");
    let owner = peers::start_and_see("endpoint", &name, |seen, _| seen.holdings.len() == 1);
    let printed = run(&["stat", &name, "--json", "-i", "0"]).expect(0).json();
    let held = &printed["holdings"][0];
    assert_eq!((&held["what"], &held["pid"]), (&json!("producer"), &json!(owner.pid())));
    assert!(held["since_s"].as_f64().is_some());
    assert!(line(&name).contains("producer"), "{}", line(&name));
}

#[test]
fn what_is_no_queue_is_shown_and_not_operated() {
    let name = Name::new("mutex");
    let _mutex = shmq::sync::Mutex::<u64>::create(&*name, 7).expect("created");
    let shown = line(&name);
    assert!(shown.contains("in use") && shown.contains("mutex u64") && !shown.contains("damaged"), "{shown}");
    let printed = run(&["ls", &name, "--json"]).expect(0).json();
    schema::check(&printed[0], "queue");
    assert_eq!(printed[0]["kind"], "mutex");
    run(&["stat", &name, "-i", "0"]).expect(0);
    run(&["doctor", &name, "-i", "0"]).expect(0);
    for verb in ["close", "drain", "recover", "put", "get"] {
        assert!(run(&[verb, &name]).expect(7).err.contains("mutex"), "{verb}");
    }
}

#[test]
fn the_holder_of_a_lock_is_shown_and_its_death_reported() {
    let name = Name::new("lock");
    let lock = shmq::sync::Lock::create(&*name).expect("created");
    let holder = peers::start_and_see("locker", &name, |seen, _| seen.holdings.len() == 1);
    let printed = run(&["stat", &name, "--json", "-i", "0"]).expect(0).json();
    schema::check(&printed, "queue");
    let held = &printed["holdings"][0];
    assert_eq!((&held["what"], &held["pid"], &held["alive"]), (&json!("lock"), &json!(holder.pid()), &json!(true)));
    assert!(run(&["stat", &name, "-i", "0"]).expect(0).text().contains("lock"));
    run(&["doctor", &name, "-i", "0"]).expect(0);
    let pid = holder.pid();
    holder.kill();
    let ran = run(&["doctor", &name, "-i", "0"]);
    let words = ran.text();
    assert!(words.contains(&format!("{pid} died holding the lock")) && !words.contains("recover"), "{words}");
    assert!(lock.acquire().expect("taken over").owner_died);
}

#[test]
fn peek_leaves_messages_where_they_are() {
    let name = Name::new("peek");
    feed(&["put", &name, "--lines"], b"first\nsecond\n\x1b[2J\n").expect(0);
    for _ in 0..2 {
        let text = run(&["peek", &name]).expect(0);
        assert!(text.text().contains("\"first\"") && text.text().contains("\"\\x1b[2J\""), "{}", text.text());
        let printed = run(&["peek", &name, "--json", "-n", "2", "--bytes", "3"]).expect(0).json();
        schema::check(&printed, "peek");
        assert_eq!(printed[0], json!({ "length": 5, "deliveries": 0, "text": "fir", "hex": "666972", "object": null }));
        assert_eq!(printed.as_array().map(Vec::len), Some(2));
    }
    assert_eq!(run(&["peek", &name, "--raw"]).expect(0).out, b"firstsecond\x1b[2J");
    assert_eq!(run(&["get", &name, "-n", "3", "--lines"]).expect(0).out, b"first\nsecond\n\x1b[2J\n");
    assert_eq!(run(&["peek", &name, "--json"]).expect(0).json(), json!([]));
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    id: u64,
    item: String,
    price: f64,
    tags: Vec<Option<bool>>,
}

#[test]
fn peek_decodes_objects() {
    use shmq::{ObjectQueue, Postcard};
    let order = |item: &str| Order { id: 7, item: item.to_owned(), price: 1.5, tags: vec![Some(true), None] };
    let name = Name::new("objects");
    let queue = ObjectQueue::<Order>::builder().name(&*name).create().expect("created");
    queue.put(&order("tea \u{1b}[2J \u{e9}")).expect("room");
    queue.put(&order(&"x".repeat(5000))).expect("room");
    for _ in 0..2 {
        let text = run(&["peek", &name]).expect(0);
        let shown = "{\"id\": 7, \"item\": \"tea \\u{1b}[2J \u{e9}\", \"price\": 1.5, \"tags\": [true, null]}";
        assert!(text.text().contains(shown) && !text.text().contains('\x1b'), "{}", text.text());
        assert!(text.text().lines().all(|line| line.len() < 1200) && text.text().contains("xxx..."), "{}", text.text());
        let printed = run(&["peek", &name, "--json", "--bytes", "3"]).expect(0).json();
        schema::check(&printed, "peek");
        let wanted = json!({ "id": 7, "item": "tea \u{1b}[2J \u{e9}", "price": 1.5, "tags": [true, null] });
        assert_eq!((&printed[0]["object"], &printed[0]["hex"]), (&wanted, &json!("84a269")));
        assert_eq!(printed[1]["object"]["item"].as_str().map(str::len), Some(5000));
    }
    assert_eq!(queue.get().map(|order| order.id).ok(), Some(7), "it is still there");
    // Extensions that only this crate's encoder writes.
    let name = Name::new("own-words");
    let queue = ObjectQueue::<(Vec<u8>, Option<()>, Vec<u8>)>::builder().name(&*name).create().expect("created");
    queue.put(&(b"ab\0".to_vec(), Some(()), vec![7; 1 << 17])).expect("room");
    let text = run(&["peek", &name]).expect(0);
    assert!(text.text().contains("[b\"ab\\x00\", Some(null), b\"\\x07\\x07"), "{}", text.text());
    let printed = &run(&["peek", &name, "--json"]).expect(0).json()[0]["object"];
    assert_eq!((&printed[0], &printed[1]), (&json!({ "$bytes": "616200" }), &json!({ "$some": 1 })));
    assert_eq!(printed[2]["$bytes"].as_str().map(str::len), Some(2 << 17));
    // Of another codec: what cannot be decoded is shown as bytes.
    let name = Name::new("postcard");
    let queue = ObjectQueue::<(u8, String), Postcard>::builder().name(&*name).create().expect("created");
    queue.put(&(1, "text".to_owned())).expect("room");
    assert!(run(&["peek", &name]).expect(0).text().contains("\"\\x01\\x04text\""));
    assert_eq!(run(&["peek", &name, "--json"]).expect(0).json()[0]["object"], Value::Null);
    // A type name that was cut off does not name the codec.
    type Long =
        std::collections::BTreeMap<String, std::collections::BTreeMap<String, std::collections::BTreeMap<String, Vec<u8>>>>;
    let name = Name::new("long-type");
    let queue = ObjectQueue::<Long>::builder().name(&*name).create().expect("created");
    queue.put(&[("a".to_owned(), Long::new().into_values().next().unwrap_or_default())].into()).expect("room");
    assert!(run(&["peek", &name]).expect(0).text().contains("{\"a\": {}}"), "{:?}", run(&["peek", &name]));
}

#[test]
fn peek_says_why_it_shows_nothing() {
    let name = Name::new("peek-empty");
    let queue = shmq::Queue::<u64>::create(&*name, 4).expect("created");
    assert!(run(&["peek", &name]).expect(0).err.contains("is empty"));
    queue.put(&1).expect("room");
    let lease = queue.lease().expect("a message");
    assert!(run(&["peek", &name]).expect(0).err.contains("1 message on lease"));
    drop(lease);
    let name = Name::new("peek-event");
    let _event = shmq::sync::Event::create(&*name).expect("created");
    assert!(run(&["peek", &name]).expect(0).err.contains("event"));
    // Text is cut between characters.
    let name = Name::new("peek-text");
    feed(&["put", &name, "--lines"], "aé\n".as_bytes()).expect(0);
    let printed = |bytes: &str| run(&["peek", &name, "--json", "--bytes", bytes]).expect(0).json()[0]["text"].clone();
    assert_eq!([printed("1"), printed("2"), printed("3")], [json!("a"), json!("a"), json!("aé")]);
}

#[test]
fn rows_of_json_have_all_fields() {
    let (good, bad) = (Name::new("row-good"), Name::new("row-bad"));
    let _queue = bytes(&good, 4096);
    std::fs::write(format!("/dev/shm/shmq.{}", &*bad), b"not a segment").expect("written");
    let printed = run(&["ls", "--json", &good, &bad]).expect(0).json();
    schema::check(&printed, "ls");
    let fields = |row: &Value| row.as_object().expect("a row").keys().cloned().collect::<Vec<_>>();
    let by_name = |name: &str| printed.as_array().expect("rows").iter().find(|row| row["name"] == name).expect("a row");
    assert_eq!(fields(by_name(&good)), fields(by_name(&bad)));
    assert_eq!(fields(by_name(&good)), fields(&run(&["stat", &good, "--json", "-i", "0"]).expect(0).json()));
    assert!(by_name(&bad)["messages"].is_null() && by_name(&bad)["participants"].is_null(), "{:#}", by_name(&bad));
    assert_eq!(by_name(&bad)["error"]["code"], 7);
}

#[test]
fn garbage_is_named_and_harms_no_process() {
    let name = Name::new("garbage");
    let path = format!("/dev/shm/shmq.{}", &*name);
    let real = {
        let other = Name::new("model");
        let _queue = bytes(&other, 4096);
        std::fs::read(format!("/dev/shm/shmq.{}", &*other)).expect("a segment")
    };
    let mut torn = real.clone();
    torn.truncate(real.len() / 2);
    let mut scribbled = real.clone();
    // All words of the queue and its ring, but not the header that says what the segment is.
    scribbled[0x200..0x480].fill(0xa5);
    scribbled[real.len() - 4096..].fill(0xa5);
    for (content, state, code) in [
        (Vec::new(), "unusable", 7),
        (b"not a segment".to_vec(), "unusable", 7),
        (vec![0xff; 20_000], "unusable", 7),
        (torn, "unusable", 7),
        (scribbled, "damaged", 0),
    ] {
        std::fs::write(&path, &content).expect("written");
        assert!(line(&name).contains(&format!(" {state} ")), "{} bytes: {}", content.len(), line(&name));
        let printed = run(&["ls", &name, "--json"]).expect(0).json();
        schema::check(&printed, "ls");
        run(&["stat", &name, "-i", "0"]).expect(code);
        run(&["peek", &name]).expect(code);
        let doctor = run(&["doctor", &name, "--json", "-i", "0.01"]).expect(8).json();
        schema::check(&doctor, "doctor");
        let taken = run(&["get", &name, "--timeout", "0"]);
        assert!(matches!(taken.code, 5 | 7), "{taken:?}");
        run(&["rm", &name]).expect(0);
    }
    std::fs::create_dir(&path).expect("made");
    assert!(line(&name).contains("unusable"));
    assert!(run(&["stat", &name]).expect(7).err.contains("a directory"));
    let doctor = run(&["doctor", &name, "-i", "0"]).expect(8);
    assert!(doctor.text().contains("remove it by hand") && !doctor.text().contains("shmq rm"), "{}", doctor.text());
    std::fs::remove_dir(&path).expect("removed");
}

#[test]
fn another_users_queue_is_denied_in_words() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let name = Name::new("denied");
    let _queue = bytes(&name, 4096);
    // A place where the user `nobody` can run it. Another process copies it: a child that another
    // test forks at this moment would inherit our descriptor, and a file open for writing cannot be
    // executed.
    let program = std::env::temp_dir().join(format!("shmq-{}-nobody", std::process::id()));
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_shmq")).arg(&program).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    let command_of_nobody = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args(arguments).uid(65534).gid(65534);
        command
    };
    if command_of_nobody(&["--version"]).stdout(std::process::Stdio::null()).status().is_err() {
        std::fs::remove_file(&program).expect("removed");
        eprintln!("skipped: nobody may not run what lies in {}", std::env::temp_dir().display());
        return;
    }
    let as_nobody = |arguments: &[&str]| run_with(command_of_nobody(arguments), b"x");
    let results = [
        as_nobody(&["ls"]),
        as_nobody(&["stat", &name]),
        as_nobody(&["put", &name]),
        as_nobody(&["get", &name]),
        as_nobody(&["close", &name]),
        as_nobody(&["rm", &name]),
        as_nobody(&["doctor", &name, "-i", "0"]),
    ];
    std::fs::remove_file(&program).expect("removed");
    let [ls, stat, put, get, close, rm, doctor] = results;
    let shown = ls.expect(0);
    let shown = shown.text().lines().find(|line| line.starts_with(&*name)).expect("it is listed").to_owned();
    assert!(shown.contains("denied") && shown.contains("owner: user 0") && shown.contains("permission denied"), "{shown}");
    for ran in [stat, put, get, close, rm] {
        let err = ran.expect(4).err;
        assert!(err.contains("permission denied") && err.contains("belongs to another user (uid 0)"), "{err}");
    }
    assert!(doctor.expect(0).text().contains("belongs to user 0"));
}

#[test]
fn no_queues_are_no_fault() {
    let mut probe = std::process::Command::new("true");
    if empty_world(&mut probe).status().is_err() {
        eprintln!("skipped: this user may not have a /dev/shm of its own");
        return;
    }
    let alone = |arguments: &[&str]| {
        let mut command = shmq(arguments);
        empty_world(&mut command);
        run_with(command, b"")
    };
    let ls = alone(&["ls"]).expect(0);
    assert!(ls.out.is_empty() && ls.err.contains("there are no queues"), "{ls:?}");
    assert_eq!(alone(&["ls", "--json"]).expect(0).json(), json!([]));
    assert_eq!(alone(&["doctor", "--json"]).expect(0).json(), json!([]));
    assert!(alone(&["doctor"]).expect(0).err.contains("there are no queues"));
    alone(&["rm", "--stale"]).expect(0);
    for verb in ["stat", "peek", "drain", "close", "rm", "recover", "doctor", "ls"] {
        let ran = alone(&[verb, "nothing"]).expect(3);
        assert!(ran.err.contains("there is none of that name"), "{verb}: {}", ran.err);
    }
}

/// Gives the command an empty `/dev/shm` of its own.
fn empty_world(command: &mut std::process::Command) -> &mut std::process::Command {
    let enter = || {
        // SAFETY: system calls on constants, in a child that is about to exec.
        unsafe {
            let namespaces = if libc::geteuid() == 0 { libc::CLONE_NEWNS } else { libc::CLONE_NEWNS | libc::CLONE_NEWUSER };
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let none = std::ptr::null();
            let entered = libc::unshare(namespaces) == 0
                && libc::mount(none, c"/".as_ptr(), none, private, none.cast()) == 0
                && libc::mount(c"tmpfs".as_ptr(), c"/dev/shm".as_ptr(), c"tmpfs".as_ptr(), 0, none.cast()) == 0;
            if entered { Ok(()) } else { Err(io::Error::last_os_error()) }
        }
    };
    // SAFETY: `enter` only makes system calls.
    unsafe { command.pre_exec(enter) }
}

#[test]
fn colours_are_for_terminals_and_obey_no_color() {
    let name = Name::new("colours");
    let _queue = bytes(&name, 4096);
    let coloured = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = shmq(arguments);
        command.envs(environment.iter().copied());
        run_with(command, b"").expect(0).text().contains('\x1b')
    };
    assert!(!coloured(&["ls"], &[]), "a pipe");
    assert!(coloured(&["ls", "--color", "always"], &[]));
    assert!(coloured(&["ls"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["ls"], &[("CLICOLOR_FORCE", "0"), ("NO_COLOR", "1")]));
    assert!(!coloured(&["ls", "--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn usage_and_completions() {
    assert!(run(&["--help"]).expect(0).text().contains("Exit codes:"));
    for wrong in [&["frobnicate"][..], &[], &["put"], &["put", "q", "--lines", "--null"], &["create", "q"], &["rm"]] {
        run(wrong).expect(2);
    }
    for (shell, word) in [("bash", "_shmq"), ("zsh", "#compdef shmq"), ("fish", "complete -c shmq")] {
        assert!(run(&["completions", shell]).expect(0).text().contains(word));
    }
}
