//! Servers that cannot be used, and the ways to prove who one is.

use crate::rig::{Running, SOON, Settings};
use crate::stage::{Stage, refused};
use std::net::TcpListener;

pub fn servers_that_cannot_be_used_are_refused() {
    let stage = Stage::with(Settings { jetstream: false, ..Settings::default() });
    stage.put(0..5);
    stage.refused(&["--create"], 7, &["no JetStream", "-js"]);
    // Nothing listens there.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    drop(listener);
    refused(stage.command_at(&url, &["--connect-timeout", "300ms"]), 5, &["no server could be reached", &url], &stage.folder);
    refused(stage.command_at("nats://:x", &["--create"]), 2, &["nats://:x"], &stage.folder);
    let guarded = Settings { user: Some(("ann".into(), "secret".into())), ..Settings::default() };
    let server = crate::rig::Server::start_with(guarded);
    for more in [&["--create"][..], &["--create", "--user", "ann", "--password", "wrong"]] {
        refused(stage.command_at(&server.url(), more), 6, &["refuses the credentials"], &stage.folder);
    }
    // All is in the queue.
    let left: Vec<u64> = (0..5).map(|_| crate::rig::roles::number_of(&stage.queue.get_timeout(SOON).unwrap())).collect();
    assert!(left.into_iter().eq(0..5));
}

pub fn users_tokens_nkeys_and_tls_are_used() {
    let stage = Stage::new();
    let folder = stage.folder.path().to_owned();
    let password = folder.join("password");
    std::fs::write(&password, "secret\n").unwrap();
    // A pair that the library of nkeys made.
    let pair = nkeys::KeyPair::new_user();
    let seed = folder.join("seed");
    std::fs::write(&seed, pair.seed().unwrap()).unwrap();
    let text = |path: &std::path::Path| path.display().to_string();
    let ways = [
        (
            "authorization { user: ann, password: secret }".to_owned(),
            vec!["--user".to_owned(), "ann".into(), "--password-file".into(), text(&password)],
        ),
        ("authorization { token: secret }".to_owned(), vec!["--token".into(), "secret".into()]),
        (format!("authorization {{ users: [ {{ nkey: {} }} ] }}", pair.public_key()), vec!["--nkey".into(), text(&seed)]),
    ];
    for (nth, (more, arguments)) in ways.into_iter().enumerate() {
        let server = crate::rig::Server::start_with(Settings { more, ..Settings::default() });
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--create", "--adopt"]).collect();
        let mut bridge = Running::start(stage.command_at(&server.url(), &arguments), &format!("way-{nth}"), &folder);
        bridge.wait_for("carrying", SOON);
        stage.put(0..5);
        crate::support::wait_at_most(SOON, "messages that are carried", || stage.queue.is_empty(), || bridge.end_of_log());
        assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    }
    tls(&stage);
}

/// With a certificate that `openssl` makes; not where there is none.
fn tls(stage: &Stage) {
    let folder = stage.folder.path();
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("without TLS: there is no openssl");
        return;
    }
    let more = format!("tls {{ cert_file: {:?}, key_file: {:?} }}", certificate.display().to_string(), key.display().to_string());
    let server = crate::rig::Server::start_with(Settings { more, ..Settings::default() });
    // Not trusted.
    refused(
        stage.command_at(&server.url(), &["--create", "--adopt", "--connect-timeout", "300ms"]),
        5,
        &["could be reached"],
        &stage.folder,
    );
    let ca = certificate.display().to_string();
    let arguments = ["--create", "--adopt", "--tls", "--tls-ca", &ca];
    let mut bridge = Running::start(stage.command_at(&server.url(), &arguments), "tls", folder);
    bridge.wait_for("carrying", SOON);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
}
